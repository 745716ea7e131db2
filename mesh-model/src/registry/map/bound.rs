//! Where the entries of a node begin.
use std::cmp::Ordering;
use std::sync::Arc;

use super::Key;

/// How long a bound is that is kept where it stands.
const SHORT: usize = 37;

/// A key that parts the entries before from those after it: no longer than telling them apart takes.
///
/// It is compared and copied without going anywhere else, as long as it is short.
#[derive(Clone, Debug)]
pub(super) enum Bound {
    // INVARIANT: `first` is at most `len`, and that at most `SHORT`.
    Short { first: u8, len: u8, text: [u8; SHORT] },
    Long(Arc<Parts>),
}

/// Both parts of a key.
type Parts = (Box<[u8]>, Box<[u8]>);

impl Bound {
    /// What no key comes before.
    pub(super) const LEAST: Self = Self::Short { first: 0, len: 0, text: [0; SHORT] };

    /// A bound after one key and not after the next.
    pub(super) fn between(before: Key<'_>, next: Key<'_>) -> Self {
        let (first, second) = (next.0.as_bytes(), next.1.as_bytes());
        if before.0 != next.0 {
            return Self::new(first, &[]);
        }
        let common = before.1.bytes().zip(second).take_while(|(a, b)| a == *b).count();
        Self::new(first, second.get(..=common).unwrap_or(second))
    }

    fn new(first: &[u8], second: &[u8]) -> Self {
        let mut text = [0; SHORT];
        let len = first.len() + second.len();
        let room = text.get_mut(..len).and_then(|room| room.split_at_mut_checked(first.len()));
        let lens = u8::try_from(first.len()).ok().zip(u8::try_from(len).ok());
        if let (Some((one, other)), Some((first_len, len))) = (room, lens) {
            one.copy_from_slice(first);
            other.copy_from_slice(second);
            return Self::Short { first: first_len, len, text };
        }
        Self::Long(Arc::new((first.into(), second.into())))
    }

    /// Compares with a key, part by part.
    pub(super) fn cmp_key(&self, key: Key<'_>) -> Ordering {
        let (first, second) = match self {
            Self::Short { first, len, text } => {
                let text = text.get(..usize::from(*len)).unwrap_or_default();
                text.split_at_checked(usize::from(*first)).unwrap_or_default()
            }
            Self::Long(parts) => (&*parts.0, &*parts.1),
        };
        first.cmp(key.0.as_bytes()).then_with(|| second.cmp(key.1.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_parts_two_keys_however_long_they_are() {
        let long = "a".repeat(40);
        let (longer, other) = (format!("{long}b"), format!("{long}\0"));
        let mut keys = vec![("", ""), ("", "a"), ("", "ab"), ("a", ""), ("a\0", "b"), ("b", "a")];
        keys.extend([("b", &*long), ("b", &longer), ("b", &other), ("ü", "ä"), ("ü", "ö")]);
        keys.extend([(&*long, ""), (&long, "a"), (&longer, "a")]);
        keys.sort_unstable();
        for (at, before) in keys.iter().enumerate() {
            assert!(Bound::LEAST.cmp_key(*before).is_le());
            for next in keys.get(at + 1..).unwrap() {
                let bound = Bound::between(*before, *next);
                assert!(bound.cmp_key(*before).is_gt() && bound.cmp_key(*next).is_le());
                // All keys on either side of the two are on either side of the bound.
                let is_parted =
                    keys.iter().all(|key| (key > before) || bound.cmp_key(*key).is_gt());
                assert!(
                    is_parted && keys.iter().all(|key| key < next || bound.cmp_key(*key).is_le())
                );
            }
        }
    }
}
