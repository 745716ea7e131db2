//! Versions: hashes of content, equal wherever and whenever the content is equal.
use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

/// The SHA-256 of content; prints as 64 lower-case hexadecimal digits.
///
/// # Examples
///
/// ```
/// # use mesh_xds_gen::snapshot::Version;
/// let version = Version::of(b"");
/// assert_eq!(version.to_string(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
/// assert_eq!(version.to_string().parse(), Ok(version));
/// ```
///
/// # Upstream
///
/// envoyproxy/go-control-plane `pkg/cache/v3/resource.go` `HashResource`.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Version([u8; 32]);

/// The text is not a version of ours.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct InvalidVersion(());

impl Version {
    /// Hashes the deterministic serialisation of one resource.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Hashes names with their versions, in the order given; each name goes in behind its length,
    /// so that no two lists have the same text.
    pub(crate) fn of_all<'a>(parts: impl IntoIterator<Item = (&'a str, Self)>) -> Self {
        let mut hash = Sha256::new();
        for (name, version) in parts {
            hash.update(u64::try_from(name.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(name);
            hash.update(version.0);
        }
        Self(hash.finalize().into())
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Version({self})")
    }
}

impl FromStr for Version {
    type Err = InvalidVersion;

    fn from_str(text: &str) -> Result<Self, InvalidVersion> {
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        };
        let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return Err(InvalidVersion(())) };
        let bytes: Option<Vec<u8>> =
            pairs.iter().map(|&[high, low]| Some(digit(high)? << 4 | digit(low)?)).collect();
        bytes.and_then(|bytes| bytes.try_into().ok()).map(Self).ok_or(InvalidVersion(()))
    }
}

impl fmt::Display for InvalidVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("version is not 64 lower-case hexadecimal digits")
    }
}

impl std::error::Error for InvalidVersion {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_server_called_a_version_is_refused() {
        for text in ["", "1", "E3b0", &"g".repeat(64), &"a".repeat(62), &"é".repeat(32)] {
            assert!(text.parse::<Version>().is_err(), "{text}");
        }
    }

    #[test]
    fn names_and_versions_do_not_run_into_each_other() {
        let one = Version::of(b"1");
        assert_ne!(Version::of_all([("a", one), ("b", one)]), Version::of_all([("ab", one)]));
        assert_ne!(Version::of_all([]), Version::of_all([("", one)]));
    }
}
