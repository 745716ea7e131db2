//! What webpki does not hand out of an X.509 certificate: its times, and how many URI names it has.
use rustls::pki_types::UnixTime;

const INTEGER: u8 = 0x02;
const OCTETS: u8 = 0x04;
const SEQUENCE: u8 = 0x30;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;
const URI: u8 = 0x86;
/// `subjectAltName`, 2.5.29.17, as an object identifier with its tag.
const SUBJECT_ALT_NAME: [u8; 5] = [0x06, 0x03, 0x55, 0x1d, 0x11];

/// From when until when a certificate is valid, both included, in seconds of Unix time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Validity {
    not_before: i64,
    not_after: i64,
}

impl Validity {
    /// Reads that of a certificate.
    pub(super) fn of(certificate: &[u8]) -> Option<Self> {
        let mut fields = behind_issuer(certificate)?;
        let mut times = expect(&mut fields, SEQUENCE)?;
        let not_before = time(next(&mut times)?)?;
        Some(Self { not_before, not_after: time(next(&mut times)?)? })
    }

    pub(super) fn contains(self, now: UnixTime) -> bool {
        i64::try_from(now.as_secs())
            .is_ok_and(|now| (self.not_before..=self.not_after).contains(&now))
    }
}

/// How many URI names a certificate has, whatever stands in them.
pub(super) fn uri_names(certificate: &[u8]) -> Option<usize> {
    let mut fields = behind_issuer(certificate)?;
    let mut count = 0;
    while let Some((tag, mut content)) = next(&mut fields) {
        if tag != EXTENSIONS {
            continue;
        }
        let mut extensions = expect(&mut content, SEQUENCE)?;
        while !extensions.is_empty() {
            let extension = expect(&mut extensions, SEQUENCE)?;
            let Some(mut value) = extension.strip_prefix(&SUBJECT_ALT_NAME) else { continue };
            // It may say whether it is critical.
            let mut octets = loop {
                let (tag, content) = next(&mut value)?;
                if tag == OCTETS {
                    break content;
                }
            };
            let mut names = expect(&mut octets, SEQUENCE)?;
            while !names.is_empty() {
                count += usize::from(next(&mut names)?.0 == URI);
            }
        }
    }
    Some(count)
}

/// The fields of a certificate from its validity on.
fn behind_issuer(mut certificate: &[u8]) -> Option<&[u8]> {
    let mut certificate = expect(&mut certificate, SEQUENCE)?;
    let mut fields = expect(&mut certificate, SEQUENCE)?;
    if fields.first() == Some(&VERSION) {
        next(&mut fields)?;
    }
    expect(&mut fields, INTEGER)?;
    // The algorithm of the signature, and the issuer.
    expect(&mut fields, SEQUENCE)?;
    expect(&mut fields, SEQUENCE)?;
    Some(fields)
}

fn expect<'d>(bytes: &mut &'d [u8], tag: u8) -> Option<&'d [u8]> {
    next(bytes).filter(|(found, _)| *found == tag).map(|(_, content)| content)
}

/// Takes the next value: its tag and its content.
fn next<'d>(bytes: &mut &'d [u8]) -> Option<(u8, &'d [u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&length, rest) = rest.split_first()?;
    let (length, rest) = match length {
        0..0x80 => (usize::from(length), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
            let length = digits.iter().try_fold(0_usize, |length, digit| {
                length.checked_mul(256)?.checked_add(usize::from(*digit))
            })?;
            (length, rest)
        }
        0x80 | 0x85.. => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    *bytes = rest;
    Some((tag, content))
}

/// A time in seconds of Unix time: `YYMMDDHHMMSSZ`, where years from 50 on are of the last century, or
/// `YYYYMMDDHHMMSSZ` (RFC 5280, 4.1.2.5).
fn time((tag, text): (u8, &[u8])) -> Option<i64> {
    let digits = text.strip_suffix(b"Z")?;
    let is_long = match tag {
        UTC_TIME => false,
        GENERALIZED_TIME => true,
        _ => return None,
    };
    if digits.len() != if is_long { 14 } else { 12 } || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let mut pairs =
        digits.chunks_exact(2).map(|pair| pair.iter().fold(0, |n, d| n * 10 + i64::from(d - b'0')));
    let first = pairs.next()?;
    let year = match is_long {
        true => first * 100 + pairs.next()?,
        false if first >= 50 => 1900 + first,
        false => 2000 + first,
    };
    let (month, day) = (pairs.next()?, pairs.next()?);
    let (hours, minutes, seconds) = (pairs.next()?, pairs.next()?, pairs.next()?);
    // Years from March on, so that the day that not all have is the last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = year * 365 + year.div_euclid(4) - year.div_euclid(100)
        + year.div_euclid(400)
        + (153 * month + 2) / 5
        + day
        - 1;
    Some((days - 719_468) * 86_400 + hours * 3600 + minutes * 60 + seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_seconds_of_unix_time() {
        let check = |tag, text: &str, expected| {
            assert_eq!(time((tag, text.as_bytes())), expected, "{text}");
        };
        check(UTC_TIME, "700101000000Z", Some(0));
        check(UTC_TIME, "260601000000Z", Some(1_780_272_000));
        check(UTC_TIME, "000229235959Z", Some(951_868_799));
        check(UTC_TIME, "500101000000Z", Some(-631_152_000));
        check(GENERALIZED_TIME, "20500101000000Z", Some(2_524_608_000));
        check(GENERALIZED_TIME, "260601000000Z", None);
        check(UTC_TIME, "2606010000Z", None);
        check(UTC_TIME, "260601000000", None);
    }

    #[test]
    fn bytes_that_end_too_soon_have_no_times() {
        for der in [&b""[..], b"\x30", b"\x30\x84\xff\xff\xff\xff", b"\x30\x80", &[0x30; 64]] {
            assert_eq!((Validity::of(der), uri_names(der)), (None, None));
        }
    }
}
