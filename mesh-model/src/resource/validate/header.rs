//! Names and values of HTTP headers.
//!
//! # Upstream
//!
//! istio/istio `pkg/config/validation/validation.go`, `header_value_validator.go`.
use super::{Verdict, Wrong};
use crate::manifest::decode::clip;

/// Checks the name of a header: one or more of the characters of an HTTP token.
///
/// # Upstream
///
/// `validHeaderNameRegex`.
pub(crate) fn token(name: &str) -> Verdict {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    named(name, is_token)
}

/// Checks the name of a header of letters, digits, dashes and underscores.
///
/// # Upstream
///
/// `ValidateStrictHTTPHeaderName`.
pub(crate) fn strict(name: &str) -> Verdict {
    named(name, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// Checks the name of a header of a probe: letters, digits and dashes.
///
/// # Upstream
///
/// `ValidateProbeHeaderName`.
pub(crate) fn probe(name: &str) -> Verdict {
    named(name, |byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn named(name: &str, is_allowed: impl Fn(u8) -> bool) -> Verdict {
    if !name.is_empty() && name.bytes().all(is_allowed) {
        return Ok(());
    }
    let message = format!("`{}` is not the name of a header", clip(name));
    Err(Wrong::new("HEADER-NAME", message, "use letters, digits and dashes"))
}

/// Returns whether a name stands for the host of a request.
pub(crate) fn is_authority(name: &str) -> bool {
    name.eq_ignore_ascii_case(":authority") || name.eq_ignore_ascii_case("host")
}

/// Checks the name of a header that is set or added to requests.
///
/// # Upstream
///
/// `ValidateHTTPHeaderWithAuthorityOperationName`.
pub(crate) fn set_in_request(name: &str) -> Verdict {
    if !name.is_empty() && (!name.starts_with(':') || is_authority(name)) {
        return Ok(());
    }
    let message = format!("`{}` cannot be set", clip(name));
    Err(Wrong::new("HEADER-OP", message, "of the names with a colon only `:authority` can be"))
}

/// Checks the name of a header that is removed from requests, or changed in answers.
///
/// # Upstream
///
/// `ValidateHTTPHeaderOperationName`.
pub(crate) fn changed(name: &str) -> Verdict {
    if !name.is_empty() && !name.starts_with(':') && !name.eq_ignore_ascii_case("host") {
        return Ok(());
    }
    let message = format!("`{}` cannot be changed", clip(name));
    Err(Wrong::new("HEADER-OP", message, "neither the host nor a name with a colon can be"))
}

/// Checks the value that a header is given: printable, each `%` doubled or around a variable such as
/// `%REQ(X)%`.
///
/// # Upstream
///
/// `ValidateHTTPHeaderValue`; envoyproxy/envoy `source/common/router/header_parser.cc`.
pub(crate) fn value(value: &str) -> Verdict {
    let is_control = |c: char| matches!(c, '\0'..='\x08' | '\x0a'..='\x1f' | '\x7f');
    if !value.contains(is_control) && has_whole_variables(value) {
        return Ok(());
    }
    let message = format!("`{}` is not the value of a header", clip(value));
    Err(Wrong::new("HEADER-VALUE", message, "write `%%` for a percent sign"))
}

/// Where in a value the look is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Literal,
    Name,
    ArgumentStart,
    ItemStart,
    Item,
    ItemEnd,
    ListEnd,
    ArgumentEnd,
}

fn has_whole_variables(value: &str) -> bool {
    let mut state = State::Literal;
    let mut bytes = value.bytes().peekable();
    while let Some(byte) = bytes.next() {
        state = match (state, byte) {
            (State::Literal, b'%') => match bytes.peek() {
                None => return false,
                Some(b'%') => {
                    bytes.next();
                    State::Literal
                }
                Some(_) => State::Name,
            },
            (State::Name | State::ArgumentEnd, b'%') => State::Literal,
            (State::Name, b'(') => State::ArgumentStart,
            (State::ArgumentStart, b'[') | (State::ItemEnd, b',') => State::ItemStart,
            (State::ItemStart, b'"') => State::Item,
            (State::Item, b'\\') => match bytes.next() {
                Some(_) => State::Item,
                None => return false,
            },
            (State::Item | State::ListEnd, b')') => State::ArgumentEnd,
            (State::Item, b'"') => State::ItemEnd,
            (State::ItemEnd, b']') => State::ListEnd,
            (State::Literal | State::Name | State::Item, _) => state,
            (_, b' ') => state,
            (State::ArgumentStart, _) => State::Item,
            (State::ItemStart | State::ItemEnd | State::ListEnd | State::ArgumentEnd, _) => {
                return false;
            }
        };
    }
    state == State::Literal
}

/// Returns whether the name of a header means a claim of a token: `@request.auth.claims.A` or
/// `@request.auth.claims[A]`.
///
/// # Upstream
///
/// istio/istio `pkg/jwt/routing.go` `ToRoutingClaim`.
pub(crate) fn is_claim(name: &str) -> bool {
    const PREFIX: &str = "@request.auth.claims";
    let Some((prefix, rest)) = name.split_at_checked(PREFIX.len()) else { return false };
    let is_dotted = rest.starts_with('.') && rest.len() > 1;
    let is_bracketed = rest.starts_with('[') && rest.ends_with(']') && rest.len() > 2;
    prefix.eq_ignore_ascii_case(PREFIX) && (is_dotted || is_bracketed)
}
