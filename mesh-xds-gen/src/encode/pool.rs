//! Memory for contents that are made one after the other and then kept for as long.
//!
//! ```text
//! one alone    [cluster]
//! of many      [cluster cluster cluster cluster ░░░] [cluster cluster …
//! ```
use bytes::{Bytes, BytesMut};

/// So many bytes are allocated at once at most; what is longer is alone.
const MOST: usize = 64 << 10;

/// Contents of one call: of many, several are one allocation, which lives as long as one of them does.
///
/// An allocation is a quarter of what was put before it at most, so that no more than that is never used;
/// whatever is kept of a call's contents, and for how long, it keeps no more than those contents were.
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
            if size < content.len() {
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
}
