//! Conversions between doubles and whole numbers, where upstream computes in both.

/// Returns the nearest double.
#[expect(clippy::cast_precision_loss, reason = "upstream rounds the same way")]
pub(crate) const fn double(value: u64) -> f64 {
    value as f64
}

/// Returns the nearest single-precision number.
#[expect(clippy::cast_precision_loss, reason = "upstream rounds the same way")]
pub(crate) const fn single(value: u64) -> f32 {
    value as f32
}

/// Returns the whole part, from 0 to `u32::MAX`; NaN is 0.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
pub(crate) const fn truncated(value: f64) -> u32 {
    value as u32
}

/// Returns the whole part, from 0 to `u64::MAX`; NaN is 0.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
pub(crate) const fn truncated_wide(value: f64) -> u64 {
    value as u64
}

/// Returns a number that looks like a random one, another for each `number` (the last step of
/// `SplitMix64`).
pub(crate) const fn mixed(number: u64) -> u64 {
    let mixed = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Returns the remainder of a random number or hash as an index below `len`; none if that is 0.
pub(crate) fn index(random: u64, len: usize) -> Option<usize> {
    let len = u64::try_from(len).ok()?;
    usize::try_from(random.checked_rem(len)?).ok()
}

/// A length that remainders are taken of, by multiplication: a pick cannot afford to divide.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Divisor {
    len: u64,
    // INVARIANT: 2^64 divided by `len`, `u64::MAX` for 1; 0 if that is 0.
    reciprocal: u64,
}

impl Divisor {
    pub(crate) fn new(len: usize) -> Self {
        let len = u64::try_from(len).unwrap_or(u64::MAX);
        let quotient = (1_u128 << 64).checked_div(len.into()).unwrap_or(0);
        Self { len, reciprocal: u64::try_from(quotient).unwrap_or(u64::MAX) }
    }

    pub(crate) const fn len(self) -> u64 {
        self.len
    }

    #[inline]
    pub(crate) const fn is_zero(self) -> bool {
        self.len == 0
    }

    /// Returns the remainder of a number; the number itself if the length is 0. The quotient that
    /// multiplication finds is at most one too small.
    #[inline]
    pub(crate) fn remainder(self, number: u64) -> u64 {
        let product = u128::from(number) * u128::from(self.reciprocal);
        let quotient = u64::try_from(product >> 64).unwrap_or(0);
        let rest = number.wrapping_sub(quotient.wrapping_mul(self.len));
        // Below the length this wraps to something larger, so the lesser is the remainder.
        rest.min(rest.wrapping_sub(self.len))
    }

    /// Returns the remainder as an index; none if the length is 0.
    #[inline]
    pub(crate) fn index(self, number: u64) -> Option<usize> {
        if self.is_zero() { None } else { usize::try_from(self.remainder(number)).ok() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn multiplication_finds_every_remainder() {
        for len in [1_usize, 2, 3, 7, 100, 1000, 65_537, 5_000_011, usize::MAX] {
            let wide = u64::try_from(len).unwrap();
            let near = [wide.wrapping_mul(3), wide - 1, wide, wide.wrapping_add(1)];
            let far = [0, 1, 99, u64::MAX, u64::MAX - 1, u64::MAX / 2, 0x1234_5678_9abc_def0];
            for number in near.into_iter().chain(far) {
                assert_eq!(Divisor::new(len).remainder(number), number % wide, "{number} % {len}");
                assert_eq!(Divisor::new(len).index(number), index(number, len));
            }
        }
        assert_eq!(Divisor::new(0).index(7), None);
    }
}
