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
        for text in ["a", "aGk==", "a=Gk", "aG k", "===="] {
            assert_eq!(base64(text), None, "{text}");
        }
    }
}
