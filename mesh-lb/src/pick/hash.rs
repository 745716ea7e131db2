//! The two hash functions that Envoy's hash balancers know.
use xxhash_rust::xxh64::xxh64;

/// How ring entries are hashed.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "the protocol has these two")]
pub enum HashFunction {
    /// XXH64, seed 0.
    #[default]
    XxHash,
    /// The 64-bit `MurmurHash2` of libstdc++, with its seed.
    MurmurHash2,
}

/// The seed of [`HashFunction::MurmurHash2`].
pub const MURMUR_SEED: u64 = 0xc70f_6907;

impl HashFunction {
    /// Returns the hash of `bytes` with the seed that ring entries use.
    pub fn hash(self, bytes: &[u8]) -> u64 {
        match self {
            Self::XxHash => xx_hash_64(bytes, 0),
            Self::MurmurHash2 => murmur_hash_2_64(bytes, MURMUR_SEED),
        }
    }
}

/// Returns the XXH64 of `bytes`.
///
/// # Upstream
///
/// Envoy `source/common/common/hash.h`, `HashUtil::xxHash64`.
pub fn xx_hash_64(bytes: &[u8], seed: u64) -> u64 {
    xxh64(bytes, seed)
}

/// Returns the XXH64 of several values in turn: the hash of each is the seed of the next.
pub(crate) fn xx_hash_64_chain<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> u64 {
    values.into_iter().fold(0, |seed, value| xx_hash_64(value, seed))
}

const MULTIPLIER: u64 = 0xc6a4_a793_5bd1_e995;

/// Returns the 64-bit `MurmurHash2` of `bytes`, read in little-endian words.
///
/// # Upstream
///
/// Envoy `source/common/common/hash.cc`, `MurmurHash::murmurHash2`.
pub fn murmur_hash_2_64(bytes: &[u8], seed: u64) -> u64 {
    let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    let (words, rest) = bytes.as_chunks::<8>();
    let mut hash = seed ^ length.wrapping_mul(MULTIPLIER);
    for word in words {
        let data = shift_mix(u64::from_le_bytes(*word).wrapping_mul(MULTIPLIER));
        hash = (hash ^ data.wrapping_mul(MULTIPLIER)).wrapping_mul(MULTIPLIER);
    }
    if !rest.is_empty() {
        let data = rest.iter().rev().fold(0, |data, &byte| (data << 8) | u64::from(byte));
        hash = (hash ^ data).wrapping_mul(MULTIPLIER);
    }
    shift_mix(shift_mix(hash).wrapping_mul(MULTIPLIER))
}

const fn shift_mix(value: u64) -> u64 {
    value ^ (value >> 47)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(function: HashFunction, text: &str, expected: u64) {
        assert_eq!(function.hash(text.as_bytes()), expected);
    }

    #[test]
    fn known_hashes() {
        check(HashFunction::XxHash, "127.0.0.1:90_0", 16_117_243_373_044_804_889);
        check(HashFunction::MurmurHash2, "127.0.0.1:80_0", 17_613_279_263_364_193_813);
        check(HashFunction::MurmurHash2, "a", 4_993_892_634_952_068_459);
    }
}
