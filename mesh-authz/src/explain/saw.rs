//! What a request has where a test looks, in words.
use crate::identity::Value;
use crate::matcher::MetadataTest;
use crate::rbac::{HeaderTest, Node, PermissionTest, PrincipalTest};
use crate::request::Seen;

/// What stands for an attribute that the request does not have.
const NOTHING: &str = "nothing";

/// The same where a gRPC server without a proxy has it of no request.
const UNSEEN: &str = "nothing: gRPC servers without a proxy do not see it";

/// A test that can say what it saw.
pub(super) trait Saw {
    fn saw(&self, seen: &Seen<'_>) -> String;
}

/// What the tests of a tree saw: all look at one attribute, of which the first one tells; those of a
/// `principal` at the issuer and the subject of a token, which are told as policies write them.
pub(super) fn saw<T: Saw>(node: &Node<T>, is_principal: bool, seen: &Seen<'_>) -> String {
    let tests = first_tests(node);
    match tests.as_slice() {
        [issuer, subject] if is_principal && seen.payload.is_some() && !seen.is_grpc() => {
            format!("{}/{}", issuer.saw(seen), subject.saw(seen))
        }
        [first, ..] => first.saw(seen),
        [] => NOTHING.to_owned(),
    }
}

/// The first test of a tree, and those that stand beside it.
fn first_tests<T>(node: &Node<T>) -> Vec<&T> {
    let as_test = |node: &'_ Node<T>| matches!(node, Node::Test(_));
    match node {
        Node::Test(test) => vec![test],
        Node::Not(node) => first_tests(node),
        Node::All(nodes) if nodes.iter().all(as_test) => {
            nodes.iter().flat_map(first_tests).collect()
        }
        Node::All(nodes) | Node::AnyOf(nodes) => nodes.first().map(first_tests).unwrap_or_default(),
    }
}

impl Saw for PermissionTest {
    fn saw(&self, seen: &Seen<'_>) -> String {
        match self {
            Self::Header(test) => header(test, seen),
            Self::UrlPath(_) | Self::UriTemplate(_) => seen.path().unwrap_or(NOTHING).to_owned(),
            Self::DestinationPort(_) => seen.connection.destination_port.to_string(),
            Self::DestinationIp(_) => seen.destination_ip().to_string(),
            Self::ServerName(_) if seen.is_grpc() => UNSEEN.to_owned(),
            Self::ServerName(_) if seen.sni.is_empty() => NOTHING.to_owned(),
            Self::ServerName(_) => seen.sni.clone().into_owned(),
            Self::Metadata(test) => metadata(test, seen),
        }
    }
}

impl Saw for PrincipalTest {
    fn saw(&self, seen: &Seen<'_>) -> String {
        match self {
            Self::Authenticated(_) => {
                let mut names = Vec::new();
                seen.any_name(|name| {
                    if !name.is_empty() {
                        names.push(name.to_owned());
                    }
                    false
                });
                match (names.is_empty(), seen.connection.peer) {
                    (false, _) => names.join(", "),
                    (true, Some(_)) => "TLS without a client certificate".to_owned(),
                    (true, None) => "no TLS".to_owned(),
                }
            }
            Self::PeerPrincipal(_) => seen.tunnel_identity().unwrap_or(NOTHING).to_owned(),
            Self::DirectRemoteIp(_) => seen.source_ip().to_string(),
            Self::RemoteIp(_) => seen.remote_ip().to_string(),
            Self::Header(test) => header(test, seen),
            Self::Metadata(test) => metadata(test, seen),
        }
    }
}

fn header(test: &HeaderTest, seen: &Seen<'_>) -> String {
    let mut lines = Vec::new();
    seen.any_header(&test.name, |line| {
        lines.push(String::from_utf8_lossy(line).into_owned());
        false
    });
    if lines.is_empty() { NOTHING.to_owned() } else { lines.join(", ") }
}

fn metadata(test: &MetadataTest, seen: &Seen<'_>) -> String {
    if seen.is_grpc() {
        return UNSEEN.to_owned();
    }
    match seen.metadata(test) {
        None if seen.payload.is_none() && &*test.filter == crate::request::JWT_FILTER => {
            "no token".to_owned()
        }
        None => NOTHING.to_owned(),
        Some(value) => describe(value),
    }
}

fn describe(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => format!("the boolean {value}"),
        Value::Number(number) => format!("the number {number}"),
        Value::Text(text) => text.clone().into_string(),
        // Only texts among the elements can match.
        Value::List(items) => {
            let texts = items.iter().filter_map(|item| match item {
                Value::Text(text) => Some(&**text),
                Value::Null
                | Value::Bool(_)
                | Value::Number(_)
                | Value::List(_)
                | Value::Map(_) => None,
            });
            format!("a list of {}", texts.collect::<Vec<_>>().join(", "))
        }
        Value::Map(_) => "a map".to_owned(),
    }
}
