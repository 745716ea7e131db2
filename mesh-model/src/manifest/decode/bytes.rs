//! Bytes in base64, as proto JSON writes them.
use super::{Cursor, Decode, text};
use crate::manifest::Node;

impl Decode for Box<[u8]> {
    fn decode(node: &Node, cursor: &mut Cursor) -> Option<Self> {
        let bytes = base64(text(node, cursor)?);
        if bytes.is_none() {
            cursor.error("FIELD-BASE64", node.place, "the text is not base64", "encode it");
        }
        bytes.map(Vec::into_boxed_slice)
    }
}

/// Reads either alphabet of base64, padded or not.
pub(crate) fn base64(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=');
    let padding = text.len() - digits.len();
    if digits.len() % 4 == 1 || padding > 2 || (padding > 0 && !text.len().is_multiple_of(4)) {
        return None;
    }
    let mut bytes = Vec::with_capacity(digits.len() / 4 * 3 + 2);
    for group in digits.as_bytes().chunks(4) {
        let mut bits: u32 = 0;
        for &digit in group {
            bits = bits << 6 | value(digit)?;
        }
        bits <<= 6 * (4 - group.len());
        let [_, whole @ ..] = bits.to_be_bytes();
        bytes.extend(whole.into_iter().take(group.len() * 3 / 4));
    }
    Some(bytes)
}

/// Writes base64 in the standard alphabet, padded.
pub(crate) fn to_base64(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits = group.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        let bits = bits << (8 * (3 - group.len()));
        text.extend((0..=group.len()).map(|digit| self::digit(bits >> (18 - 6 * digit) & 0x3f)));
        text.extend(std::iter::repeat_n('=', 3 - group.len()));
    }
    text
}

/// The digit of six bits.
fn digit(bits: u32) -> char {
    const DIGITS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    usize::try_from(bits)
        .ok()
        .and_then(|at| DIGITS.as_bytes().get(at))
        .map_or('A', |it| char::from(*it))
}

/// The six bits of a digit.
fn value(digit: u8) -> Option<u32> {
    let value = match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    };
    Some(u32::from(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_alphabets_with_and_without_padding_are_read() {
        assert_eq!(base64("aGk=").unwrap(), b"hi");
        assert_eq!(base64("aGk").unwrap(), b"hi");
        assert_eq!(base64("--__").unwrap(), base64("++//").unwrap());
        assert_eq!(base64("").unwrap(), b"");
        for bytes in [&b""[..], b"a", b"ab", b"abc", b"\xff\xfe\xfd\xfc", b"\0\0"] {
            assert_eq!(base64(&to_base64(bytes)).unwrap(), bytes);
        }
        assert_eq!(to_base64(b"hi"), "aGk=");
        for text in ["a", "aGk==", "a=Gk", "aG k", "===="] {
            assert_eq!(base64(text), None, "{text}");
        }
    }
}
