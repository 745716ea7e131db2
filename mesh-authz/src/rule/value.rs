//! Single values of a rule, and what is wrong with those that no data plane understands.
use std::fmt;

use mesh_model::name::Cidr;

use super::Context;
use crate::identity::IdentitySource;
use crate::matcher::spiffe::SCHEME;
use crate::matcher::{Form, Pattern, StringTest, ValueTest};
use crate::rbac::{Field, HeaderTest, HeaderValue, PrincipalTest};

/// A value that was left out of what was compiled, or that a proxy refuses.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a report has these three parts")]
pub struct Omission {
    /// The field, with the value that is meant.
    pub field: Field,
    /// Why.
    pub why: Unusable,
    /// Whether the whole rule went with it; else the rule became wider, unless a proxy refuses it.
    pub drops_rule: bool,
}

impl fmt::Display for Omission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let effect = match (self.why, self.drops_rule) {
            (Unusable::Template, _) => {
                "the proxy refuses the whole listener and goes on with what it had, and here whatever the value \
                 may keep out is denied"
            }
            (Unusable::UntakenTemplate, _) => {
                "the server refuses the whole listener, and here whatever the value may keep out is denied"
            }
            (_, true) => "the rule is left out",
            (_, false) => "the value is left out",
        };
        write!(f, "{}: {}; {effect}", self.field, self.why)
    }
}

/// Why a value cannot be used.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Unusable {
    /// Only HTTP has the field, and the traffic is TCP.
    HttpOnly,
    /// Not an IP address or range.
    Address,
    /// Not a port number of 0 to 65535.
    Port,
    /// The key of a condition has no `[name]` where it needs one.
    Brackets,
    /// The key of a condition is unknown.
    Key,
    /// Only requests have the field, and a ztunnel sees connections.
    Layer4,
    /// Ztunnels are not told of the field, though connections have it.
    Untold,
    /// A path template that Envoy does not accept; it is not left out, see
    /// [`PathTest::Refused`](crate::rbac::PathTest::Refused).
    Template,
    /// A path template where a gRPC server without a proxy decides, which takes none; it is not left out,
    /// see [`PathTest::Refused`](crate::rbac::PathTest::Refused).
    ///
    /// # Upstream
    ///
    /// grpc/grpc-go `internal/xds/rbac/matchers.go` `matchersFromPermissions`.
    UntakenTemplate,
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::HttpOnly => "the field exists for HTTP only and the traffic is TCP",
            Self::Address => "neither an IP address nor a range such as `10.0.0.0/8`",
            Self::Port => "a port is a number of 0 to 65535",
            Self::Brackets => "the key needs a name in brackets",
            Self::Key => "the key is unknown",
            Self::Layer4 => "a ztunnel has no such field of a connection",
            Self::Untold => "ztunnels are not told of the field",
            Self::Template => "Envoy knows no such path template",
            Self::UntakenTemplate => "gRPC servers without a proxy take no path templates",
        })
    }
}

impl Context<'_> {
    /// Refuses what TCP does not have.
    pub(super) fn http(&self) -> Result<(), Unusable> {
        if self.is_tcp { Err(Unusable::HttpOnly) } else { Ok(()) }
    }

    /// A test of the peer's identity.
    pub(super) fn identity(&self, test: impl Into<StringTest>) -> PrincipalTest {
        match self.identity {
            IdentitySource::Certificate => PrincipalTest::Authenticated(test.into()),
            IdentitySource::FilterState => PrincipalTest::PeerPrincipal(test.into()),
        }
    }
}

/// An identity without its scheme; `*` means any name of the peer, even one of another scheme.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/security/authz/matcher/string.go` `StringMatcherWithPrefix`.
pub(super) fn principal(value: &str) -> Form {
    if value == "*" {
        Form::Pattern(Pattern::NonEmpty)
    } else if let Some(suffix) = value.strip_prefix('*') {
        Form::Pattern(Pattern::Principal { suffix: suffix.into() })
    } else if let Some(prefix) = value.strip_suffix('*') {
        Form::Prefix(format!("{SCHEME}{prefix}").into())
    } else {
        Form::Exact(format!("{SCHEME}{value}").into())
    }
}

/// A trust domain, with one star at most; what follows a first star is literal.
pub(super) fn trust_domain(value: &str) -> Form {
    match value.split_once('*') {
        Some(("", "")) => Form::Prefix(SCHEME.into()),
        Some((before, after)) => {
            Form::Pattern(Pattern::TrustDomain { before: before.into(), after: after.into() })
        }
        None => Form::Prefix(format!("{SCHEME}{value}/").into()),
    }
}

/// `NAMESPACE/NAME`, or `NAME` in the policy's namespace.
pub(super) fn service_account(value: &str, namespace: &str) -> Form {
    let (namespace, name) = value.split_once('/').unwrap_or((namespace, value));
    Form::Pattern(Pattern::service_account(namespace, name))
}

/// An address or a range.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/networking/util/util.go` `AddrStrToCidrRange`.
pub(super) fn range(value: &str) -> Result<Cidr, Unusable> {
    value.parse().map_err(|_| Unusable::Address)
}

/// A port number, 0 included.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/security/authz/model/util.go` `convertToPort`.
pub(crate) fn port(value: &str) -> Result<u16, Unusable> {
    // Rust would read a sign.
    let is_number = value.bytes().all(|byte| byte.is_ascii_digit());
    value.parse().ok().filter(|_| is_number).ok_or(Unusable::Port)
}

/// A header; `*` asks for its presence.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/security/authz/matcher/header.go` `HeaderMatcher`, `HostMatcher`.
pub(super) fn header(name: &str, value: &str, ignore_case: bool) -> HeaderTest {
    let value = if value == "*" {
        HeaderValue::Present
    } else {
        let test = StringTest::of_value(value);
        HeaderValue::Text(if ignore_case { test.ignoring_case() } else { test })
    };
    HeaderTest { name: name.into(), value }
}

/// Any of several texts.
pub(super) fn texts(values: &[Box<str>]) -> ValueTest {
    ValueTest::any_of(
        values.iter().map(|value| ValueTest::Text(StringTest::of_value(value))).collect(),
    )
}
