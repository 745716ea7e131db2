//! Points in time as the API server writes them.
use super::{Cursor, Decode, clip, text};
use crate::manifest::Node;

/// Seconds since 1970 in UTC, read from RFC 3339; fractions of a second are dropped.
///
/// # Upstream
///
/// kubernetes/apimachinery `pkg/apis/meta/v1/time.go` `Time.UnmarshalJSON`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Timestamp(pub(crate) i64);

impl Decode for Timestamp {
    fn decode(node: &Node, cursor: &mut Cursor) -> Option<Self> {
        let text = text(node, cursor)?;
        let seconds = timestamp(text);
        if seconds.is_none() {
            cursor.error(
                "FIELD-TIME",
                node.place,
                format!("`{}` is not a time", clip(text)),
                "write it as `2026-01-31T12:00:00Z`",
            );
        }
        seconds.map(Self)
    }
}

/// Reads RFC 3339; seconds since 1970 in UTC.
fn timestamp(text: &str) -> Option<i64> {
    let (date, time) = text.split_once(['T', 't'])?;
    let [year, month, day] = fields(date, '-', [4, 2, 2])?;
    let split = time.find(['Z', 'z', '+', '-'])?;
    let (clock, zone) = time.split_at_checked(split)?;
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let [hour, minute, second] = fields(clock, ':', [2, 2, 2])?;
    let is_clock = hour < 24 && minute < 60 && second < 60;
    let is_fraction = !fraction.is_empty() && fraction.bytes().all(|byte| byte.is_ascii_digit());
    if !is_clock || !is_fraction || month == 0 || day == 0 || day > days_of(year, month)? {
        return None;
    }
    let seconds = days_since_1970(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second;
    Some(seconds - offset(zone)?)
}

/// The seconds by which a zone is ahead of UTC.
fn offset(zone: &str) -> Option<i64> {
    let (sign, clock) = match zone.split_at_checked(1)? {
        ("Z" | "z", "") => return Some(0),
        ("+", clock) => (1, clock),
        ("-", clock) => (-1, clock),
        _ => return None,
    };
    let [hour, minute] = fields(clock, ':', [2, 2])?;
    (hour < 24 && minute < 60).then_some(sign * (hour * 3_600 + minute * 60))
}

/// Splits a text into numbers of exactly the given lengths.
fn fields<const N: usize>(text: &str, separator: char, lengths: [usize; N]) -> Option<[i64; N]> {
    let mut parts = text.split(separator);
    let mut numbers = [0; N];
    for (number, length) in numbers.iter_mut().zip(lengths) {
        let part = parts.next()?;
        if part.len() != length || !part.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        *number = part.parse().ok()?;
    }
    parts.next().is_none().then_some(numbers)
}

/// The days of a month of the Gregorian calendar.
fn days_of(year: i64, month: i64) -> Option<i64> {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => Some(31),
        4 | 6 | 9 | 11 => Some(30),
        2 => Some(if is_leap { 29 } else { 28 }),
        _ => None,
    }
}

/// The days from 1970-01-01; years begin in March here, so that a leap day is the last of its year.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let month = (month + 9) % 12;
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leap_days + (month * 153 + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_calendar_and_the_zone_count() {
        assert_eq!(timestamp("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(timestamp("2000-02-29T12:00:00Z"), Some(951_825_600));
        assert_eq!(timestamp("2026-01-01T00:00:10.5+01:00"), Some(1_767_222_010));
        assert_eq!(timestamp("0001-01-01T00:00:00Z"), Some(-62_135_596_800));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "2026-01-01",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:00:00",
            "2026-01-01T00:00:00.Z",
            "2026-01-01T00:00:00+1:00",
            "26-01-01T00:00:00Z",
        ] {
            assert_eq!(timestamp(text), None, "{text}");
        }
    }
}
