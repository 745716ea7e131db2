//! The trees of permissions and principals.
use mesh_model::name::Cidr;

use crate::matcher::{Form, MetadataTest, PathTemplate, StringTest};
use crate::request::{Seen, grpc};

/// A tree over tests of one kind.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "generators write every node")]
pub enum Node<T> {
    /// All of these (`and_rules`, `and_ids`).
    All(Box<[Self]>),
    /// Any of these (`or_rules`, `or_ids`).
    AnyOf(Box<[Self]>),
    /// Not this (`not_rule`, `not_id`).
    Not(Box<Self>),
    /// A test.
    Test(T),
}

/// A test on the side of permissions: what is asked for.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "generators write every test")]
pub enum PermissionTest {
    /// `header`: hosts and methods.
    Header(HeaderTest),
    /// `url_path`: the path without its query.
    UrlPath(StringTest),
    /// `uri_template`: the path without its query.
    UriTemplate(PathTest),
    /// `destination_port`.
    DestinationPort(u16),
    /// `destination_ip`.
    DestinationIp(Cidr),
    /// `requested_server_name`, in lower case; empty without one.
    ServerName(StringTest),
    /// `metadata`.
    Metadata(MetadataTest),
}

/// A test on the side of principals: who asks.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "generators write every test")]
pub enum PrincipalTest {
    /// `authenticated`: any name of the peer's certificate.
    Authenticated(StringTest),
    /// `filter_state` of the key `io.istio.peer_principal`.
    PeerPrincipal(StringTest),
    /// `direct_remote_ip`.
    DirectRemoteIp(Cidr),
    /// `remote_ip`.
    RemoteIp(Cidr),
    /// `header`.
    Header(HeaderTest),
    /// `metadata`.
    Metadata(MetadataTest),
}

/// A test of a header, any of its lines.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a test has these two parts")]
pub struct HeaderTest {
    /// The name, pseudo-headers included.
    pub name: Box<str>,
    /// What a line must be.
    pub value: HeaderValue,
}

/// What a line of a header must be.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "generators write both")]
pub enum HeaderValue {
    /// There, even if empty (`present_match`).
    Present,
    /// A text that passes (`string_match`).
    Text(StringTest),
}

/// A path template in a rule.
///
/// Envoy refuses a listener with a template that it cannot compile, and keeps what it had; so does a gRPC
/// server without a proxy with any template. Here such a template allows nothing and denies everything, whichever side it stands on.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "generators write both")]
pub enum PathTest {
    /// A template.
    Template(PathTemplate),
    /// A text that the data plane refuses.
    Refused {
        /// As the data plane gets it.
        text: Box<str>,
        /// What the test answers.
        answer: bool,
    },
}

/// What a request must have for a test to pass: what rules are found by.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Key<'t> {
    Identity(&'t str),
    IdentityPrefix(&'t str),
    /// A namespace segment of an identity.
    Namespace(&'t str),
    Path(&'t str),
    PathPrefix(&'t str),
    Method(&'t str),
    /// In lower case or not, as the rule has it.
    Host(&'t str),
    HostPrefix(&'t str),
    ServerName(&'t str),
    Port(u16),
}

/// A test that can be asked about a request.
pub(crate) trait Test {
    fn matches(&self, seen: &Seen<'_>) -> bool;

    /// What every request that passes has, if rules are to be found by it.
    fn key(&self) -> Option<Key<'_>>;
}

impl<T> Node<T> {
    pub(crate) fn matches(&self, seen: &Seen<'_>) -> bool
    where
        T: Test,
    {
        // Most lists have one value.
        match self {
            Self::AnyOf(nodes) if let [Self::Test(test)] = &**nodes => test.matches(seen),
            Self::AnyOf(_) | Self::All(_) | Self::Not(_) | Self::Test(_) => self.walk(seen),
        }
    }

    /// The depth is that of the compiler's trees: four.
    fn walk(&self, seen: &Seen<'_>) -> bool
    where
        T: Test,
    {
        match self {
            Self::All(nodes) => nodes.iter().all(|node| node.walk(seen)),
            Self::AnyOf(nodes) => nodes.iter().any(|node| node.walk(seen)),
            Self::Not(node) => !node.walk(seen),
            Self::Test(test) => test.matches(seen),
        }
    }

    /// Collects the keys of the alternatives; false if one of them has none.
    pub(crate) fn keys<'n>(&'n self, keys: &mut Vec<Key<'n>>) -> bool
    where
        T: Test,
    {
        match self {
            Self::AnyOf(nodes) => nodes.iter().all(|node| node.keys(keys)),
            Self::Test(test) => {
                let key = test.key();
                keys.extend(key);
                key.is_some()
            }
            Self::All(_) | Self::Not(_) => false,
        }
    }
}

impl Test for PermissionTest {
    fn matches(&self, seen: &Seen<'_>) -> bool {
        let path = || seen.path();
        match self {
            Self::Header(test) => test.matches(seen),
            Self::UrlPath(test) => path().is_some_and(|path| test.matches(path.as_bytes())),
            Self::UriTemplate(PathTest::Template(template)) => {
                path().is_some_and(|path| template.matches(path))
            }
            Self::UriTemplate(PathTest::Refused { answer, .. }) => *answer,
            Self::DestinationPort(port) => *port == seen.connection.destination_port,
            Self::DestinationIp(range) => range.contains(seen.destination_ip()),
            Self::ServerName(test) => test.matches(seen.sni.as_bytes()),
            Self::Metadata(test) => matches_metadata(test, seen),
        }
    }

    fn key(&self) -> Option<Key<'_>> {
        match self {
            Self::Header(test) => test.key(),
            Self::UrlPath(test) => text_key(test, Key::Path, Key::PathPrefix),
            Self::UriTemplate(PathTest::Template(template)) => {
                Some(Key::PathPrefix(template.literal_prefix()))
            }
            Self::DestinationPort(port) => Some(Key::Port(*port)),
            Self::ServerName(StringTest { form: Form::Exact(name), .. }) => {
                Some(Key::ServerName(name))
            }
            Self::UriTemplate(PathTest::Refused { .. })
            | Self::DestinationIp(_)
            | Self::ServerName(_)
            | Self::Metadata(_) => None,
        }
    }
}

impl Test for PrincipalTest {
    fn matches(&self, seen: &Seen<'_>) -> bool {
        match self {
            Self::Authenticated(test) => seen.any_name(|name| test.matches(name.as_bytes())),
            Self::PeerPrincipal(test) => {
                seen.tunnel_identity().is_some_and(|name| test.matches(name.as_bytes()))
            }
            Self::DirectRemoteIp(range) => range.contains(seen.source_ip()),
            Self::RemoteIp(range) => range.contains(seen.remote_ip()),
            Self::Header(test) => test.matches(seen),
            Self::Metadata(test) => matches_metadata(test, seen),
        }
    }

    fn key(&self) -> Option<Key<'_>> {
        match self {
            Self::Authenticated(test) | Self::PeerPrincipal(test) => match &test.form {
                Form::Pattern(pattern) => pattern.namespace_segment().map(Key::Namespace),
                Form::Exact(_) | Form::Prefix(_) | Form::Suffix(_) => {
                    text_key(test, Key::Identity, Key::IdentityPrefix)
                }
            },
            Self::Header(test) => test.key(),
            Self::DirectRemoteIp(_) | Self::RemoteIp(_) | Self::Metadata(_) => None,
        }
    }
}

impl HeaderTest {
    /// What a gRPC server answers whatever it is sent, be it a request or bytes that are none; `None`: that
    /// depends on the request.
    pub(crate) fn constant_of_grpc(&self, is_request: bool) -> Option<bool> {
        if grpc::is_hidden(&self.name.to_ascii_lowercase()) {
            return Some(false);
        }
        let is_method = self.name.eq_ignore_ascii_case(":method");
        let passes = match &self.value {
            HeaderValue::Present => true,
            HeaderValue::Text(test) => test.matches(grpc::METHOD.as_bytes()),
        };
        is_method.then_some(is_request && passes)
    }

    fn matches(&self, seen: &Seen<'_>) -> bool {
        seen.any_header(&self.name, |line| match &self.value {
            HeaderValue::Present => !(seen.is_grpc() && line.is_empty()),
            HeaderValue::Text(test) => test.matches(line),
        })
    }

    fn key(&self) -> Option<Key<'_>> {
        let HeaderValue::Text(test) = &self.value else { return None };
        match &*self.name {
            ":authority" => text_key(test, Key::Host, Key::HostPrefix),
            ":method" => match &test.form {
                Form::Exact(method) => Some(Key::Method(method)),
                Form::Prefix(_) | Form::Suffix(_) | Form::Pattern(_) => None,
            },
            _ => None,
        }
    }
}

fn text_key<'t>(
    test: &'t StringTest,
    exact: fn(&'t str) -> Key<'t>,
    prefix: fn(&'t str) -> Key<'t>,
) -> Option<Key<'t>> {
    match &test.form {
        Form::Exact(text) => Some(exact(text)),
        Form::Prefix(text) => Some(prefix(text)),
        Form::Suffix(_) | Form::Pattern(_) => None,
    }
}

fn matches_metadata(test: &MetadataTest, seen: &Seen<'_>) -> bool {
    seen.metadata(test).is_some_and(|value| test.value.matches(value))
}
