//! Addresses: of the internet, of sockets, and what listeners are bound to.
//!
//! # Upstream
//!
//! istio/istio `pkg/config/validation/agent/validation.go`, `pkg/config/validation/validation.go`;
//! Go `net/netip`.
use std::net::{IpAddr, Ipv6Addr};

use super::{Verdict, Violations, Wrong};
use crate::manifest::decode::clip;

/// What stands before the path of a socket.
const UNIX: &str = "unix://";

/// Returns whether a text is an IP address, of version 6 also one with a zone (`fe80::1%eth0`).
///
/// # Upstream
///
/// Go `netip.ParseAddr`.
pub(crate) fn is_ip(text: &str) -> bool {
    match text.split_once('%') {
        Some((address, zone)) => !zone.is_empty() && address.parse::<Ipv6Addr>().is_ok(),
        None => text.parse::<IpAddr>().is_ok(),
    }
}

/// Checks an IP address or range.
///
/// # Upstream
///
/// `ValidateIPSubnet`.
pub(crate) fn subnet(text: &str) -> Verdict {
    let is_legal = match text.split_once('/') {
        Some((address, length)) => is_range(address, length),
        None => is_ip(text),
    };
    if is_legal {
        return Ok(());
    }
    let message = format!("`{}` is neither an IP address nor a range", clip(text));
    Err(Wrong::new("CIDR", message, "write an address, or a range such as `10.0.0.0/8`"))
}

/// Whether an address and a number of bits are a range. A number has no leading zero.
fn is_range(address: &str, length: &str) -> bool {
    let is_number = length.bytes().all(|byte| byte.is_ascii_digit())
        && (length.len() == 1 || !length.starts_with('0'));
    match (address.parse(), length.parse::<u8>()) {
        (Ok(IpAddr::V4(_)), Ok(bits)) => is_number && bits <= 32,
        (Ok(IpAddr::V6(_)), Ok(bits)) => is_number && bits <= 128,
        (Ok(_) | Err(_), Err(_)) | (Err(_), Ok(_)) => false,
    }
}

/// Returns the path of a socket (`unix://PATH`), `None` for any other address.
pub(crate) fn socket(text: &str) -> Option<&str> {
    text.strip_prefix(UNIX)
}

/// Checks the path of a socket, the `unix://` taken off.
///
/// # Upstream
///
/// `ValidateUnixAddress`.
pub(crate) fn socket_path(path: &str) -> Verdict {
    if path.starts_with('@') || (path.starts_with('/') && !path.ends_with('/')) {
        return Ok(());
    }
    Err(no_socket(path))
}

/// What is wrong with a path that is not one of a socket.
pub(crate) fn no_socket(path: &str) -> Wrong {
    let message = format!("`{}` is not the path of a socket", clip(path));
    Wrong::new("UNIX-ADDRESS", message, "write `unix:///PATH` or `unix://@NAME`")
}

/// Checks the address that a listener is bound to.
///
/// # Upstream
///
/// `ValidateIPAddress`.
pub(crate) fn bind(violations: &mut Violations, text: &str) {
    if !text.is_empty() && !is_ip(text) {
        let message = format!("`{}` is not an IP address", clip(text));
        violations.error_at("bind", "BIND-IP", &message, "write an address, or leave it out");
    }
}

/// Splits `HOST:PORT`, an address of version 6 in brackets.
///
/// # Upstream
///
/// Go `net.SplitHostPort`.
pub(crate) fn split_host_port(text: &str) -> Option<(&str, &str)> {
    let (host, port) = text.rsplit_once(':')?;
    let (host, outside) = match host.strip_prefix('[') {
        Some(inner) => (inner.strip_suffix(']')?, ""),
        None => (host, host),
    };
    let is_plain = !outside.contains(':') && ![host, port].iter().any(|p| p.contains(['[', ']']));
    is_plain.then_some((host, port))
}
