//! Keys that a change moves, key by key.

/// How many keys moved, and how many of these needlessly: the host before is still among those that are
/// `fit`. `before` and `after` say the host of each key, if it has one.
pub fn moved(before: &[Option<&str>], after: &[Option<&str>], fit: &[&str]) -> (usize, usize) {
    let (mut moved, mut needlessly) = (0, 0);
    for (before, after) in before.iter().zip(after) {
        if before == after {
            continue;
        }
        moved += 1;
        if let Some(host) = before
            && fit.contains(host)
        {
            needlessly += 1;
        }
    }
    (moved, needlessly)
}
