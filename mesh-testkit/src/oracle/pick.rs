//! Scheduling by earliest deadline, without a heap.

/// Picks from a list of `weights`, all positive, that was started with `seed`.
pub fn earliest_deadline_first(weights: &[f64], seed: u64, picks: usize) -> Vec<usize> {
    let initial = u32::try_from(seed % (1 << 32)).unwrap_or(0) % 429_496_729;
    let shifted: Vec<f64> = weights.iter().map(|weight| weight + 1e-13).collect();
    let sum = shifted.iter().fold(0.0, |sum, weight| sum + weight);
    // How often each entry was picked already, by its share, and never more than it is due.
    let taken: Vec<u32> = shifted
        .iter()
        .map(|weight| {
            let share = weight * f64::from(initial) / sum;
            let floor = (0..=initial).rev().find(|&n| f64::from(n) <= share).unwrap_or(0);
            let late = f64::from(floor) / weight >= f64::from(initial) / sum;
            if floor > 0 && late { floor - 1 } else { floor }
        })
        .collect();
    let mut now = 0.0;
    // Deadline and age of each entry.
    let mut due: Vec<(f64, usize)> = Vec::new();
    for (entry, (weight, taken)) in shifted.iter().zip(&taken).enumerate() {
        now = f64::max(now, f64::from(*taken) / weight);
        due.push(((f64::from(*taken) + 1.0) / weight, entry));
    }
    let already: u32 = taken.iter().sum();
    let left = usize::try_from(initial - already).unwrap_or(0);
    let mut sequence = Vec::new();
    for age in 0..left + picks {
        let mut next = 0;
        for (entry, deadline) in due.iter().enumerate() {
            if due.get(next).is_none_or(|first| deadline < first) {
                next = entry;
            }
        }
        if let (Some(deadline), Some(weight)) = (due.get_mut(next), weights.get(next)) {
            now = deadline.0;
            *deadline = (now + 1.0 / weight, weights.len() + age);
        }
        sequence.push(next);
    }
    sequence.split_off(left)
}
