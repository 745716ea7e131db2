//! Durations in Go's syntax.
use std::fmt;
use std::str::FromStr;

/// A span of time in whole nanoseconds, possibly negative; at most about 292 years either way.
///
/// Read in Go's syntax, which is wider than proto JSON's: an optional sign, then one or more
/// numbers with a unit (`ns`, `us`, `µs`, `ms`, `s`, `m`, `h`); `0` needs no unit. Printed as proto
/// JSON does: seconds with the suffix `s` and as many decimals as needed.
///
/// ```
/// # use mesh_model::name::Duration;
/// let duration: Duration = "1h30m".parse()?;
/// assert_eq!(duration.to_string(), "5400s");
/// assert_eq!("1.5s".parse::<Duration>()?.as_millis(), 1500);
/// assert!("10".parse::<Duration>().is_err());
/// # Ok::<(), mesh_model::name::InvalidDuration>(())
/// ```
///
/// # Upstream
///
/// Go `time.ParseDuration`; istio/istio `pkg/util/protomarshal`.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Duration(i64);

impl Duration {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// A number of nanoseconds.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// A number of milliseconds; saturates.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }

    /// A number of seconds; saturates.
    pub const fn from_secs(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000_000_000))
    }

    /// The whole nanoseconds.
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// The whole milliseconds, rounded toward zero.
    pub const fn as_millis(self) -> i64 {
        self.0 / 1_000_000
    }

    /// The whole seconds, rounded toward zero.
    pub const fn as_secs(self) -> i64 {
        self.0 / 1_000_000_000
    }

    /// The nanoseconds beyond the whole seconds, with the sign of the duration.
    pub const fn subsec_nanos(self) -> i32 {
        (self.0 % 1_000_000_000) as i32
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, nanos) = (self.as_secs().unsigned_abs(), self.subsec_nanos().unsigned_abs());
        if self.0 < 0 {
            f.write_str("-")?;
        }
        match nanos {
            0 => write!(f, "{seconds}s"),
            _ if nanos % 1_000_000 == 0 => write!(f, "{seconds}.{:03}s", nanos / 1_000_000),
            _ if nanos % 1_000 == 0 => write!(f, "{seconds}.{:06}s", nanos / 1_000),
            _ => write!(f, "{seconds}.{nanos:09}s"),
        }
    }
}

/// The text is not a duration.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidDuration(Kind);

#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
enum Kind {
    #[error("a duration is a number and a unit")]
    Syntax,
    #[error("a number without a unit")]
    UnitMissing,
    #[error("a unit other than `ns`, `us`, `ms`, `s`, `m`, `h`")]
    UnitUnknown,
    #[error("a duration beyond 292 years")]
    Range,
}

impl FromStr for Duration {
    type Err = InvalidDuration;

    fn from_str(text: &str) -> Result<Self, InvalidDuration> {
        let (negative, mut rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        if rest == "0" {
            return Ok(Self::ZERO);
        }
        if rest.is_empty() {
            return Err(InvalidDuration(Kind::Syntax));
        }
        let mut total: u64 = 0;
        while !rest.is_empty() {
            let (nanos, remaining) = term(rest)?;
            total = total.checked_add(nanos).ok_or(InvalidDuration(Kind::Range))?;
            rest = remaining;
        }
        let total = i128::from(total) * if negative { -1 } else { 1 };
        i64::try_from(total).map(Self).map_err(|_| InvalidDuration(Kind::Range))
    }
}

/// Reads one number with its unit; the nanoseconds and what is left of the text.
fn term(text: &str) -> Result<(u64, &str), InvalidDuration> {
    let (whole, rest) = digits(text);
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(rest) => digits(rest),
        None => ("", rest),
    };
    if whole.is_empty() && fraction.is_empty() {
        return Err(InvalidDuration(Kind::Syntax));
    }
    let end = rest.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(rest.len());
    let (unit, rest) = rest.split_at(end);
    let unit: u64 = match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        "" => return Err(InvalidDuration(Kind::UnitMissing)),
        _ => return Err(InvalidDuration(Kind::UnitUnknown)),
    };
    let whole: u64 = match whole {
        "" => 0,
        _ => whole.parse().map_err(|_| InvalidDuration(Kind::Range))?,
    };
    let nanos = whole.checked_mul(unit).ok_or(InvalidDuration(Kind::Range))?;
    Ok((nanos.checked_add(part_of(fraction, unit)).ok_or(InvalidDuration(Kind::Range))?, rest))
}

/// Splits the leading digits off.
fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

/// The part of a unit that decimals stand for; digits that a `u64` no longer holds are dropped, as
/// Go does.
fn part_of(fraction: &str, unit: u64) -> u64 {
    let mut numerator: u128 = 0;
    let mut scale: u128 = 1;
    for digit in fraction.bytes().take(18) {
        numerator = numerator * 10 + u128::from(digit - b'0');
        scale *= 10;
    }
    u64::try_from(numerator * u128::from(unit) / scale).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, nanos: i64) {
        assert_eq!(text.parse(), Ok(Duration(nanos)), "{text}");
    }

    #[test]
    fn go_syntax_is_read() {
        check("0", 0);
        check("-1s", -1_000_000_000);
        check(".5s", 500_000_000);
        check("1h30m", 5_400_000_000_000);
        check("1.5s", 1_500_000_000);
        check("2us3µs", 5_000);
        check("240h", 864_000_000_000_000);
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "-", "10", "s", "1x", "1s2", ".s", "1 s", "9999999999h"] {
            assert!(text.parse::<Duration>().is_err(), "{text}");
        }
    }

    #[test]
    fn seconds_are_printed() {
        assert_eq!(Duration(240_000_000_000).to_string(), "240s");
        assert_eq!(Duration(-1_500_000_000).to_string(), "-1.500s");
        assert_eq!(Duration(1).to_string(), "0.000000001s");
    }
}
