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

/// Returns the remainder of a random number or hash as an index below `len`; none if that is 0.
pub(crate) fn index(random: u64, len: usize) -> Option<usize> {
    let len = u64::try_from(len).ok()?;
    usize::try_from(random.checked_rem(len)?).ok()
}
