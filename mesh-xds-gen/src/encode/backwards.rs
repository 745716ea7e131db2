//! A protobuf writer that begins at the end: when a message's length is wanted, it is known.
//!
//! ```text
//! ░░░░░░░░░░░░░░░ length │ field 1 │ field 2 │ …
//!               ◀── the next is put before what is there
//! ```
use std::net::Ipv4Addr;

use bytes::Bytes;

use super::Pool;

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

    /// What is written since a mark.
    pub(crate) fn since(&self, mark: usize) -> &[u8] {
        self.as_slice().get(..self.len().saturating_sub(mark)).unwrap_or_default()
    }

    /// Takes back what is written since a mark.
    pub(crate) fn back_to(&mut self, mark: usize) {
        self.start = self.bytes.len().saturating_sub(mark.min(self.len()));
    }

    /// Takes what is written; nothing is then.
    pub(crate) fn take(&mut self, pool: &mut Pool) -> Bytes {
        let taken = pool.put(self.as_slice());
        self.start = self.bytes.len();
        taken
    }

    /// Takes back what was taken, as far as it was within so many bytes of the end; nothing may have been
    /// written since.
    pub(crate) fn restore(&mut self, len: usize) {
        self.start = self.bytes.len().saturating_sub(len);
    }

    /// Puts a number in the place of another that takes as many bytes and begins that many bytes before the
    /// end; `None` if it is not there.
    pub(crate) fn replace(&mut self, from_end: usize, old: u16, new: u16) -> Option<()> {
        let [(old, len), (new, _)] = [old, new].map(varint_of);
        let start = self.bytes.len().checked_sub(from_end)?;
        let place = self.bytes.get_mut(start..)?.get_mut(..len)?;
        if *place != *old.get(..len)? {
            return None;
        }
        place.copy_from_slice(new.get(..len)?);
        Some(())
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

    /// The same of as many bytes as are known beforehand.
    #[inline]
    pub(crate) fn push_array<const N: usize>(&mut self, bytes: [u8; N]) {
        let before = self.bytes.get_mut(..self.start).and_then(|before| before.last_chunk_mut());
        match before {
            Some(place) => {
                *place = bytes;
                self.start = self.start.wrapping_sub(N);
            }
            None => self.push(&bytes),
        }
    }

    /// The same of the last `len` of some bytes; what stands before them may be written too and is then
    /// overwritten by what comes next.
    #[inline]
    fn push_last<const N: usize>(&mut self, bytes: [u8; N], len: usize) {
        let before = self.bytes.get_mut(..self.start).and_then(|before| before.last_chunk_mut());
        match before {
            Some(place) => {
                *place = bytes;
                self.start = self.start.wrapping_sub(len.min(N));
            }
            None => self.push(bytes.get(N.saturating_sub(len)..).unwrap_or_default()),
        }
    }

    /// Makes room for as many bytes, so that they are put without another move.
    pub(crate) fn reserve(&mut self, more: usize) {
        if more > self.start {
            self.grow(more);
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

    #[inline]
    pub(crate) fn byte(&mut self, byte: u8) {
        let before = self.start.wrapping_sub(1);
        match self.bytes.get_mut(before) {
            Some(place) => {
                *place = byte;
                self.start = before;
            }
            None => self.push(&[byte]),
        }
    }

    /// A number in as few bytes as it needs, seven bits each.
    #[inline]
    pub(crate) fn varint(&mut self, value: u64) {
        match u8::try_from(value) {
            Ok(small @ 0..128) => self.byte(small),
            Ok(_) | Err(_) => self.long(value),
        }
    }

    #[inline]
    fn long(&mut self, value: u64) {
        let [low, high, ..] = value.to_le_bytes();
        if value < 1 << 14 {
            return self.push_array([low | 0x80, high << 1 | low >> 7]);
        }
        self.longer(value);
    }

    fn longer(&mut self, mut value: u64) {
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
    #[inline]
    pub(crate) fn field(&mut self, tag: u8, mark: usize) {
        self.head(tag, self.len().saturating_sub(mark));
    }

    /// What stands before a content of that length.
    #[inline]
    fn head(&mut self, tag: u8, len: usize) {
        match u8::try_from(len) {
            Ok(small @ 0..128) => self.push_array([tag << 3 | 2, small]),
            Ok(_) | Err(_) => {
                self.long(u64::try_from(len).unwrap_or(u64::MAX));
                self.byte(tag << 3 | 2);
            }
        }
    }

    /// A text, also an empty one.
    pub(crate) fn text(&mut self, tag: u8, text: &str) {
        self.push(text.as_bytes());
        self.head(tag, text.len());
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
        if let Ok(small @ 1..128) = u8::try_from(value) {
            return self.push_array([tag << 3 | 2, 2, 1 << 3, small]);
        }
        let mark = self.len();
        self.some_number(1, value.into());
        self.field(tag, mark);
    }

    /// An IPv4 address as text.
    #[inline]
    pub(crate) fn ipv4(&mut self, address: Ipv4Addr) {
        // The text stands at the end of a number: each octet moves what is before it to the left.
        let (mut text, mut len) = (0_u128, 0);
        for octet in address.octets() {
            let Octet { digits, len: more } = Octet::of(octet);
            text = text << (8 * more) | u128::from(digits);
            len += usize::from(more);
        }
        // No dot before the first.
        self.push_last(text.to_be_bytes(), len.saturating_sub(1));
    }
}

/// A number as [`Backwards::varint`] writes it, and how many bytes that takes.
fn varint_of(value: u16) -> ([u8; 3], usize) {
    let [low, high] = value.to_le_bytes();
    match value {
        0..0x80 => ([low, 0, 0], 1),
        0x80..0x4000 => ([low | 0x80, high << 1 | low >> 7, 0], 2),
        0x4000.. => ([low | 0x80, high << 1 | low >> 7 | 0x80, high >> 6], 3),
    }
}

/// A dot and an octet's digits.
#[derive(Clone, Copy)]
struct Octet {
    digits: u32,
    /// How many bytes that is.
    len: u8,
}

impl Octet {
    const ALL: [Self; 256] = {
        let mut all = [Self { digits: 0, len: 0 }; 256];
        let mut rest: &mut [Self] = &mut all;
        let mut octet = 0;
        while let [first, more @ ..] = rest {
            *first = Self::made(octet);
            octet = octet.wrapping_add(1);
            rest = more;
        }
        all
    };

    const fn made(octet: u8) -> Self {
        let [hundreds, tens, ones] =
            [b'0' + octet / 100, b'0' + octet / 10 % 10, b'0' + octet % 10];
        let (digits, len) = match octet {
            0..10 => ([0, 0, b'.', ones], 2),
            10..100 => ([0, b'.', tens, ones], 3),
            100.. => ([b'.', hundreds, tens, ones], 4),
        };
        Self { digits: u32::from_be_bytes(digits), len }
    }

    #[inline]
    fn of(octet: u8) -> Self {
        Self::ALL.get(usize::from(octet)).copied().unwrap_or(Self { digits: 0, len: 0 })
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
        assert_eq!(&*bytes.take(&mut Pool::default()), "mesh".repeat(10_000).as_bytes());
    }

    #[test]
    fn addresses_are_written_as_they_are_printed() {
        for address in [[0, 0, 0, 0], [10, 96, 0, 7], [255; 4], [1, 20, 100, 9]].map(Ipv4Addr::from)
        {
            let mut bytes = Backwards::default();
            bytes.ipv4(address);
            assert_eq!(bytes.as_slice(), address.to_string().as_bytes());
        }
    }
}
