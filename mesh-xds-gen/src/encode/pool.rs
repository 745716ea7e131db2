//! Memory for contents that are made one after the other and then kept for as long.
//!
//! ```text
//! one alone    [cluster]
//! of many      [cluster cluster cluster cluster ░░░] [cluster cluster …
//! ```
use bytes::{Bytes, BytesMut};

/// So many bytes are allocated for several contents at most.
const MOST: usize = 64 << 10;
/// So many contents as long as the longest of them an allocation has place for: longer ones are alone, since the rest
/// of the allocation before would be lost for one.
const LEAST: usize = 8;

/// Contents of one call: of many, several are one allocation, which lives as long as one of them does.
///
/// An allocation is a quarter of what was put before it at most. No more than that is never used of the last one, and
/// less than an eighth of the next one's size of any other: whatever is kept of a call's contents, and for how long,
/// it keeps less than half as much again as those contents were.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    free: BytesMut,
    /// How many bytes were put.
    total: usize,
}

impl Pool {
    /// Copies a content, to be kept.
    pub(crate) fn put(&mut self, content: &[u8]) -> Bytes {
        self.total = self.total.saturating_add(content.len());
        if self.free.capacity() < content.len() {
            let size = (self.total / 4).min(MOST);
            if size / LEAST < content.len() {
                return Bytes::copy_from_slice(content);
            }
            self.free = BytesMut::with_capacity(size);
        }
        self.free.extend_from_slice(content);
        self.free.split().freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_stay_what_they_were() {
        let contents: Vec<Vec<u8>> = (0..2_000_usize)
            .map(|index| vec![index.to_le_bytes()[0]; index * 7919 % 3000])
            .collect();
        let mut pool = Pool::default();
        let kept: Vec<Bytes> = contents.iter().map(|content| pool.put(content)).collect();
        drop(pool);
        assert_eq!(kept, contents);
    }

    #[test]
    fn few_contents_are_kept_by_themselves_and_many_lie_together() {
        let mut pool = Pool::default();
        let kept: Vec<Bytes> = (0..1_000).map(|_| pool.put(&[1; 1000])).collect();
        let follows = |pair: &[Bytes]| matches!(pair, [a, b] if a.as_ptr_range().end == b.as_ptr());
        let together = kept.windows(2).filter(|pair| follows(pair)).count();
        assert!(together > 900, "{together}");
        assert!(kept.iter().take(3).all(|content| content.is_unique()));
    }

    #[test]
    fn long_contents_keep_no_more_than_they_are() {
        for len in [9_000, 17_000, 33_000, MOST] {
            let mut pool = Pool::default();
            let kept: Vec<Bytes> = (0..100).map(|_| pool.put(&vec![1; len])).collect();
            drop(pool);
            let alone = kept.into_iter().filter_map(|content| content.try_into_mut().ok());
            assert_eq!(alone.filter(|content| content.capacity() == len).count(), 100, "{len}");
        }
    }
}
