//! A protobuf writer that begins at the end: when a message's length is wanted, it is known.
//!
//! ```text
//! ░░░░░░░░░░░░░░░ length │ field 1 │ field 2 │ …
//!               ◀── the next is put before what is there
//! ```
use std::sync::Arc;

/// Bytes that grow to the front; its memory is used again and again.
#[derive(Clone, Debug, Default)]
pub(crate) struct Backwards {
    bytes: Vec<u8>,
    // INVARIANT: at most `bytes.len()`; what follows is written.
    start: usize,
}

impl Backwards {
    /// How much is written: the mark of a message that ends here.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len().saturating_sub(self.start)
    }

    /// What is written.
    pub(crate) fn as_slice(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }

    /// Takes what is written; nothing is then.
    pub(crate) fn take(&mut self) -> Arc<[u8]> {
        let taken = Arc::from(self.as_slice());
        self.start = self.bytes.len();
        taken
    }

    /// Puts bytes before the others.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        if bytes.len() > self.start {
            self.grow(bytes.len());
        }
        let start = self.start.saturating_sub(bytes.len());
        if let Some(place) = self.bytes.get_mut(start..self.start) {
            place.copy_from_slice(bytes);
            self.start = start;
        }
    }

    #[cold]
    fn grow(&mut self, more: usize) {
        let written = self.as_slice();
        let front = (written.len() + more).max(4096);
        let mut bytes = vec![0; front];
        bytes.extend_from_slice(written);
        (self.bytes, self.start) = (bytes, front);
    }

    pub(crate) fn byte(&mut self, byte: u8) {
        self.push(&[byte]);
    }

    /// A number in as few bytes as it needs, seven bits each.
    pub(crate) fn varint(&mut self, mut value: u64) {
        let [low, high, ..] = value.to_le_bytes();
        if value < 1 << 7 {
            return self.byte(low);
        }
        if value < 1 << 14 {
            return self.push(&[low | 0x80, high << 1 | low >> 7]);
        }
        let mut bytes = [0_u8; 10];
        let mut used = 0;
        for byte in &mut bytes {
            *byte = value.to_le_bytes()[0] & 0x7F;
            value >>= 7;
            used += 1;
            if value == 0 {
                break;
            }
            *byte |= 0x80;
        }
        self.push(bytes.get(..used).unwrap_or_default());
    }

    /// Ends, at its front, a field whose content began at a mark.
    pub(crate) fn field(&mut self, tag: u8, mark: usize) {
        let len = self.len().saturating_sub(mark);
        self.varint(u64::try_from(len).unwrap_or(u64::MAX));
        self.byte(tag << 3 | 2);
    }

    /// A text, also an empty one.
    pub(crate) fn text(&mut self, tag: u8, text: &str) {
        self.push(text.as_bytes());
        self.varint(u64::try_from(text.len()).unwrap_or(u64::MAX));
        self.byte(tag << 3 | 2);
    }

    /// A text that is left out if it is empty.
    pub(crate) fn some_text(&mut self, tag: u8, text: &str) {
        if !text.is_empty() {
            self.text(tag, text);
        }
    }

    /// A number, also zero.
    pub(crate) fn number(&mut self, tag: u8, value: u64) {
        self.varint(value);
        self.byte(tag << 3);
    }

    /// A number that is left out if it is zero.
    pub(crate) fn some_number(&mut self, tag: u8, value: u64) {
        if value != 0 {
            self.number(tag, value);
        }
    }

    /// A number in a message of its own, which tells zero from nothing.
    pub(crate) fn wrapped(&mut self, tag: u8, value: u32) {
        let mark = self.len();
        self.some_number(1, value.into());
        self.field(tag, mark);
    }

    /// A number in decimal digits.
    pub(crate) fn decimal(&mut self, mut value: u32) {
        loop {
            self.byte(b'0' + u8::try_from(value % 10).unwrap_or_default());
            value /= 10;
            if value == 0 {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_take_as_many_bytes_as_they_need() {
        for value in [0, 1, 127, 128, 300, 16_383, 16_384, u64::from(u32::MAX), u64::MAX] {
            let mut bytes = Backwards::default();
            bytes.varint(value);
            let mut expected = Vec::new();
            prost::encoding::encode_varint(value, &mut expected);
            assert_eq!(bytes.as_slice(), expected, "{value}");
        }
    }

    #[test]
    fn what_is_written_outlives_a_move_to_larger_memory() {
        let mut bytes = Backwards::default();
        for _ in 0..10_000 {
            bytes.push(b"mesh");
        }
        assert_eq!(&*bytes.take(), "mesh".repeat(10_000).as_bytes());
        bytes.decimal(65_535);
        assert_eq!(bytes.as_slice(), b"65535");
    }
}
