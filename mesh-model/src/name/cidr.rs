//! Address ranges.
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// An IP address or a range of them, with the text of its address as written.
///
/// Whether two ranges or an address and a range match never depends on host bits, and families never
/// match each other. Generated configuration keeps the address as written.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Cidr {
    net: ipnet::IpNet,
    has_mask: bool,
}

impl Cidr {
    /// Returns whether the address is in the range.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.net.contains(&address)
    }

    /// The address as written, host bits included.
    pub fn address(&self) -> IpAddr {
        self.net.addr()
    }

    /// The number of leading bits that count.
    pub fn prefix_len(&self) -> u8 {
        self.net.prefix_len()
    }

    /// Returns whether the text had a `/`.
    pub fn has_mask(&self) -> bool {
        self.has_mask
    }

    /// Returns whether the two ranges share an address.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.net.contains(&other.net.trunc()) || other.net.contains(&self.net.trunc())
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.has_mask { self.net.fmt(f) } else { self.net.addr().fmt(f) }
    }
}

/// The text is neither an IP address nor a range.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("neither an IP address nor a range such as `10.0.0.0/8`")]
pub struct InvalidCidr(());

impl FromStr for Cidr {
    type Err = InvalidCidr;

    fn from_str(text: &str) -> Result<Self, InvalidCidr> {
        let address = |text: &str| text.parse::<IpAddr>().map_err(|_| InvalidCidr(()));
        let Some((prefix, length)) = text.rsplit_once('/') else {
            return Ok(Self { net: address(text)?.into(), has_mask: false });
        };
        // Go reads neither a sign nor leading zeros, of octets and of the length.
        let is_number = length.bytes().all(|byte| byte.is_ascii_digit());
        let length =
            Some(length).filter(|text| is_number && (*text == "0" || !text.starts_with('0')));
        let length = length.and_then(|text| text.parse().ok()).ok_or(InvalidCidr(()))?;
        let net = ipnet::IpNet::new(address(prefix)?, length).map_err(|_| InvalidCidr(()))?;
        Ok(Self { net, has_mask: true })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_bits_do_not_count_and_families_never_match() {
        let range: Cidr = "10.1.2.3/8".parse().unwrap();
        assert!(range.contains("10.9.9.9".parse().unwrap()));
        assert!(!range.contains("::ffff:10.9.9.9".parse().unwrap()));
        assert_eq!(range.to_string(), "10.1.2.3/8");
        assert!("::/0".parse::<Cidr>().unwrap().overlaps(&"2001:db8::1".parse().unwrap()));
    }

    #[test]
    fn what_go_does_not_read_is_no_range() {
        let wrong = "10.1.2.3/33 10.0.0.0/08 10.0.0.0/+8 10.0.0.0/ 10.0.0.0/8/8 /8 010.0.0.0/8 10.0.0.0/00 \
                     ::/129 fe80::1%eth0 fe80::%eth0/10 10.0.0/8";
        for text in wrong.split_whitespace() {
            assert!(text.parse::<Cidr>().is_err(), "{text}");
        }
        assert!("0.0.0.0/0".parse::<Cidr>().is_ok());
    }

    #[test]
    fn ranges_overlap_in_any_direction() {
        assert!("::/0".parse::<Cidr>().unwrap().overlaps(&"2001:db8::1".parse().unwrap()));
    }
}
