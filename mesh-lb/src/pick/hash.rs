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

const PRIMES: [u64; 5] = [
    0x9e37_79b1_85eb_ca87,
    0xc2b2_ae3d_27d4_eb4f,
    0x1656_67b1_9e37_79f9,
    0x85eb_ca77_c2b2_ae63,
    0x27d4_eb2f_1656_67c5,
];

/// XXH64, seed 0, of texts of one length below 32 bytes that begin alike: what they have in common is
/// hashed once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Short {
    /// As many words of 8 bytes are in `state`.
    words: usize,
    state: u64,
}

impl Short {
    /// `None` if the text is too long. The first `common` bytes stay as they are.
    pub(crate) fn new(text: &[u8], common: usize) -> Option<Self> {
        let length = u64::try_from(text.len()).ok().filter(|&length| length < 32)?;
        let (words, _) = text.get(..common)?.as_chunks::<8>();
        let begin = PRIMES[4].wrapping_add(length);
        let state = words.iter().fold(begin, |state, word| mix_word(state, *word));
        Some(Self { words: words.len(), state })
    }

    #[inline]
    pub(crate) fn hash(&self, text: &[u8]) -> u64 {
        let (words, rest) = text.as_chunks::<8>();
        let words = words.get(self.words..).unwrap_or_default();
        let mut state = words.iter().fold(self.state, |state, word| mix_word(state, *word));
        let (half, bytes) = rest.as_chunks::<4>();
        if let [half] = half {
            state ^= u64::from(u32::from_le_bytes(*half)).wrapping_mul(PRIMES[0]);
            state = state.rotate_left(23).wrapping_mul(PRIMES[1]).wrapping_add(PRIMES[2]);
        }
        for byte in bytes {
            state ^= u64::from(*byte).wrapping_mul(PRIMES[4]);
            state = state.rotate_left(11).wrapping_mul(PRIMES[0]);
        }
        state = (state ^ (state >> 33)).wrapping_mul(PRIMES[1]);
        state = (state ^ (state >> 29)).wrapping_mul(PRIMES[2]);
        state ^ (state >> 32)
    }
}

#[inline]
const fn mix_word(state: u64, word: [u8; 8]) -> u64 {
    let mixed = u64::from_le_bytes(word).wrapping_mul(PRIMES[1]).rotate_left(31);
    let state = state ^ mixed.wrapping_mul(PRIMES[0]);
    state.rotate_left(27).wrapping_mul(PRIMES[0]).wrapping_add(PRIMES[3])
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

    #[test]
    fn short_texts_are_hashed_as_all_are() {
        let text = b"10.0.0.1:8080_0123456789abcdef0123";
        for length in 0..=text.len() {
            for common in 0..=length {
                let text = &text[..length];
                let short = Short::new(text, common);
                assert_eq!(short.is_some(), length < 32);
                assert!(short.is_none_or(|short| short.hash(text) == xx_hash_64(text, 0)));
            }
        }
    }
}
