//! Where something is fetched: `http://` and `https://`.
use std::net::Ipv6Addr;

use super::{Verdict, Wrong};
use crate::manifest::decode::clip;

/// Checks the URL that keys of tokens are fetched from, as far as Go reads it.
///
/// # Upstream
///
/// istio/istio `pkg/config/security/security.go` `ParseJwksURI`; Go `net/url.Parse`.
pub(crate) fn of_keys(text: &str) -> Verdict {
    if is_http(text) {
        return Ok(());
    }
    let message = format!("`{}` is not an HTTP URL", clip(text));
    Err(Wrong::new("JWT-JWKS-URI", message, "write `https://HOST/PATH`"))
}

fn is_http(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    let is_scheme = ["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known));
    let (rest, fragment) = rest.split_once('#').unwrap_or((rest, ""));
    let (rest, _query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = match rest.strip_prefix("//") {
        Some(rest) => rest.split_at(rest.find('/').unwrap_or(rest.len())),
        None => ("", rest),
    };
    is_scheme
        && !text.bytes().any(|byte| byte.is_ascii_control())
        && is_authority(authority)
        && is_escaped(path)
        && is_escaped(fragment)
}

/// Checks the URL of keys once more, as the API server reads it: a fragment is part of what it is in.
///
/// # Upstream
///
/// kubernetes/kubernetes apiserver `pkg/cel/library/urls.go` `stringToUrl`; Go `net/url.ParseRequestURI`.
pub(crate) fn of_request(text: &str) -> Verdict {
    let rest = text.split_once(':').map_or(text, |(_, rest)| rest);
    let rest = rest.split_once('?').map_or(rest, |(rest, _)| rest);
    let authority = rest.strip_prefix("//").map(|rest| rest.split('/').next().unwrap_or(rest));
    if !authority.is_some_and(|authority| authority.contains('#')) || !is_http(text) {
        return Ok(());
    }
    let message = format!("`{}` has a fragment and no path", clip(text));
    Err(Wrong::new("JWT-JWKS-URI", message, "write `https://HOST/PATH`"))
}

/// Whether Go reads a text that begins with `/` as the path of a URL, with what follows it.
///
/// # Upstream
///
/// Go `net/url.Parse`.
pub(crate) fn is_path(text: &str) -> bool {
    let (rest, fragment) = text.split_once('#').unwrap_or((text, ""));
    let (rest, _query) = rest.split_once('?').unwrap_or((rest, ""));
    // Three slashes begin a path without an authority.
    let (authority, path) = match rest.strip_prefix("//").filter(|rest| !rest.starts_with('/')) {
        Some(rest) => rest.split_at(rest.find('/').unwrap_or(rest.len())),
        None => ("", rest),
    };
    text.starts_with('/')
        && !text.bytes().any(|byte| byte.is_ascii_control())
        && is_authority(authority)
        && is_escaped(path)
        && is_escaped(fragment)
}

/// `[USER@]HOST[:PORT]`.
fn is_authority(text: &str) -> bool {
    let (user, host) = text.rsplit_once('@').unwrap_or(("", text));
    let (is_name, port) = match host.strip_prefix('[') {
        Some(rest) => match rest.rsplit_once(']') {
            Some((address, port)) => (!rest.contains('[') && is_literal(address), port),
            None => return false,
        },
        None => {
            let (name, port) = host.split_at(host.find(':').unwrap_or(host.len()));
            (!name.contains('[') && escapes_no_ascii(name), port)
        }
    };
    let is_port = match port.strip_prefix(':') {
        Some(digits) => digits.len() <= 18 && digits.bytes().all(|byte| byte.is_ascii_digit()),
        None => port.is_empty(),
    };
    let is_host = |byte: u8| {
        !byte.is_ascii()
            || byte.is_ascii_alphanumeric()
            || b"-_.~!$&'()*+,;=:[]<>\"%".contains(&byte)
    };
    is_user(user) && is_name && is_port && host.bytes().all(is_host) && is_escaped(host)
}

/// `USER[:PASSWORD]`, maybe empty.
fn is_user(text: &str) -> bool {
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(&byte);
    text.bytes().all(is_legal) && is_escaped(text)
}

/// An address of version 6 in brackets, maybe with a zone.
fn is_literal(text: &str) -> bool {
    let (address, zone) = text.split_once("%25").map_or((text, None), |(a, zone)| (a, Some(zone)));
    zone != Some("") && address.parse::<Ipv6Addr>().is_ok()
}

/// Whether only bytes beyond ASCII are escaped in a host, and `%` itself.
fn escapes_no_ascii(host: &str) -> bool {
    host.split('%').skip(1).all(|part| part.starts_with("25") || !part.starts_with(|c| c < '8'))
}

/// Whether two hexadecimal digits follow each `%`.
fn is_escaped(text: &str) -> bool {
    let is_hex = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_hexdigit);
    text.split('%').skip(1).all(|part| {
        let bytes = part.as_bytes();
        is_hex(bytes.first()) && is_hex(bytes.get(1))
    })
}
