//! What webpki does not hand out of an X.509 certificate: its times, and how many URI names it has.
//!
//! The bytes are read by `der`, which reads values and no certificates: a crate that knows all of a certificate
//! (`x509-cert`) refuses one for a field that is of no interest here, such as a long serial number. Times are read
//! here, because those of `der` begin with 1970, and a root may be older.
use der::{AnyRef, Reader, SliceReader, Tag, TagNumber, Tagged};
use rustls::pki_types::UnixTime;

const VERSION: Tag = Tag::ContextSpecific { constructed: true, number: TagNumber(0) };
const EXTENSIONS: Tag = Tag::ContextSpecific { constructed: true, number: TagNumber(3) };
const URI: Tag = Tag::ContextSpecific { constructed: false, number: TagNumber(6) };
/// `subjectAltName`, 2.5.29.17.
const SUBJECT_ALT_NAME: [u8; 3] = [0x55, 0x1d, 0x11];

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
        let mut times = expect(&mut fields, Tag::Sequence)?;
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
    while let Some(field) = next(&mut fields) {
        if field.tag() != EXTENSIONS {
            continue;
        }
        let mut extensions = expect(&mut inside(field)?, Tag::Sequence)?;
        while !extensions.is_finished() {
            let mut extension = expect(&mut extensions, Tag::Sequence)?;
            if next(&mut extension)?.value() != SUBJECT_ALT_NAME {
                continue;
            }
            // It may say whether it is critical.
            let mut octets = loop {
                let value = next(&mut extension)?;
                if value.tag() == Tag::OctetString {
                    break inside(value)?;
                }
            };
            let mut names = expect(&mut octets, Tag::Sequence)?;
            while !names.is_finished() {
                count += usize::from(next(&mut names)?.tag() == URI);
            }
        }
    }
    Some(count)
}

/// The fields of a certificate from its validity on.
fn behind_issuer(certificate: &[u8]) -> Option<SliceReader<'_>> {
    let mut certificate = expect(&mut SliceReader::new(certificate).ok()?, Tag::Sequence)?;
    let mut fields = expect(&mut certificate, Tag::Sequence)?;
    let first = next(&mut fields)?;
    let serial = if first.tag() == VERSION { next(&mut fields)? } else { first };
    if serial.tag() != Tag::Integer {
        return None;
    }
    // The algorithm of the signature, and the issuer.
    expect(&mut fields, Tag::Sequence)?;
    expect(&mut fields, Tag::Sequence)?;
    Some(fields)
}

fn next<'d>(values: &mut SliceReader<'d>) -> Option<AnyRef<'d>> {
    values.decode().ok()
}

fn expect<'d>(values: &mut SliceReader<'d>, tag: Tag) -> Option<SliceReader<'d>> {
    next(values).filter(|value| value.tag() == tag).and_then(inside)
}

fn inside(value: AnyRef<'_>) -> Option<SliceReader<'_>> {
    SliceReader::new(value.value()).ok()
}

/// A time in seconds of Unix time: `YYMMDDHHMMSSZ`, where years from 50 on are of the last century, or
/// `YYYYMMDDHHMMSSZ` (RFC 5280, 4.1.2.5).
fn time(value: AnyRef<'_>) -> Option<i64> {
    let digits = value.value().strip_suffix(b"Z")?;
    let is_long = value.tag() == Tag::GeneralizedTime;
    if !is_long && value.tag() != Tag::UtcTime {
        return None;
    }
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
            assert_eq!(time(AnyRef::new(tag, text.as_bytes()).unwrap()), expected, "{text}");
        };
        check(Tag::UtcTime, "700101000000Z", Some(0));
        check(Tag::UtcTime, "260601000000Z", Some(1_780_272_000));
        check(Tag::UtcTime, "000229235959Z", Some(951_868_799));
        check(Tag::UtcTime, "500101000000Z", Some(-631_152_000));
        check(Tag::GeneralizedTime, "20500101000000Z", Some(2_524_608_000));
        check(Tag::GeneralizedTime, "260601000000Z", None);
        check(Tag::UtcTime, "2606010000Z", None);
        check(Tag::UtcTime, "260601000000", None);
    }

    #[test]
    fn bytes_that_end_too_soon_have_no_times() {
        for der in [&b""[..], b"\x30", b"\x30\x84\xff\xff\xff\xff", b"\x30\x80", &[0x30; 64]] {
            assert_eq!((Validity::of(der), uri_names(der)), (None, None));
        }
    }
}
