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
        if text.contains('/') {
            let net = text.parse().map_err(|_| InvalidCidr(()))?;
            return Ok(Self { net, has_mask: true });
        }
        let address: IpAddr = text.parse().map_err(|_| InvalidCidr(()))?;
        Ok(Self { net: address.into(), has_mask: false })
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
        assert!("10.1.2.3/33".parse::<Cidr>().is_err());
        assert!("::/0".parse::<Cidr>().unwrap().overlaps(&"2001:db8::1".parse().unwrap()));
    }
}
