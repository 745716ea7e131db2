//! Who may call whom, whatever is asked for.
//!
//! Tests of the caller's identity have an answer, every other test may go either way; trees over both
//! are true, false, or open.
use mesh_model::registry::ServerMode;
use mesh_model::resource::MutualTlsMode;

use crate::authorizer::{Authorizer, L4};
use crate::compile::Traffic;
use crate::rbac::{
    Body, Entry, Filter, Node, PathTest, PermissionTest, Policy, PrincipalTest, Purpose, Rules,
};

mod l4;

/// Who calls.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "callers build callers by hand")]
pub struct Caller<'c> {
    /// The identity with its scheme, such as `spiffe://cluster.local/ns/shop/sa/web`; `None`: plain
    /// text.
    pub identity: Option<&'c str>,
    /// The workload's port that is called; `None`: any.
    pub port: Option<u16>,
}

/// Whether a caller may call.
#[must_use]
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_enums, reason = "callers act on every answer")]
pub enum Access {
    /// Never, whatever is asked for.
    Never,
    /// That depends on what is asked for, from where, with which token, or on an external authorizer.
    Depends,
    /// Always.
    Always,
}

impl Access {
    /// Returns a stable word for the answer.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::Depends => "depends",
            Self::Always => "always",
        }
    }
}

/// The answers for several callers and workloads.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a table has these parts")]
pub struct Matrix {
    /// One row a caller, one entry a workload, in the order in which they were given.
    pub rows: Vec<Vec<Access>>,
}

/// Returns the answers for all callers and workloads.
pub fn matrix(callers: &[Caller<'_>], workloads: &[&Authorizer], traffic: Traffic) -> Matrix {
    let row = |caller: &Caller<'_>| {
        workloads.iter().map(|workload| access(workload, traffic, *caller)).collect()
    };
    Matrix { rows: callers.iter().map(row).collect() }
}

/// Returns whether a caller may call a workload.
///
/// [`Access::Always`] and [`Access::Never`] are so for every request whose path the proxy takes;
/// [`Access::Depends`] may be one of them after all, where tests that go either way depend on each other. Of
/// a waypoint that is so of what is addressed to no service.
pub fn access(authorizer: &Authorizer, traffic: Traffic, caller: Caller<'_>) -> Access {
    let of_l4 = |l4: &L4| l4::access(l4, caller);
    if let Some(l4) = authorizer.l4() {
        return of_l4(l4);
    }
    // What either denies is denied.
    let mut answer = authorizer.perhaps().map_or(Access::Always, of_l4);
    let is_http = traffic == Traffic::Http;
    let asked = Asked { caller, is_http, is_grpc: authorizer.is_grpc() };
    for filter in &authorizer.chain(traffic).filters {
        let Filter::Rbac(filter) = filter else { continue };
        let rules = filter.rules.as_ref();
        let of_filter = match filter.purpose {
            Purpose::Audit => continue,
            // What is on trial is enforced; what is asked of the authorizer is open.
            Purpose::Custom => {
                let external = deny(filter.shadow_rules.as_ref(), asked).max(Access::Depends);
                external.min(deny(rules, asked))
            }
            Purpose::BadProvider | Purpose::Deny => deny(rules, asked),
            Purpose::Allow => allow(rules, asked),
        };
        answer = answer.min(of_filter);
    }
    answer
}

/// Returns whether a caller may call a workload whose ports take mutual TLS as `mode` says.
///
/// A port that is STRICT answers nobody in plain text; one that is DISABLE ends no TLS, so that callers
/// of the mesh send it plain text, which shows no identity. Where `caller` names no port, what differs
/// between ports depends.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/security/authn/policy_applier.go` `ComposePeerAuthentication`;
/// `pilot/pkg/xds/endpoints/mtls_checker.go`.
pub fn access_over(
    authorizer: &Authorizer,
    traffic: Traffic,
    caller: Caller<'_>,
    mode: &ServerMode,
) -> Access {
    let over = |caller: Caller<'_>, mode| match (mode, caller.identity) {
        (MutualTlsMode::Strict, None) => Access::Never,
        (MutualTlsMode::Disable, Some(_)) => {
            access(authorizer, traffic, Caller { identity: None, ..caller })
        }
        _ => access(authorizer, traffic, caller),
    };
    if let Some(port) = caller.port {
        return over(caller, mode.of_port(port));
    }
    let others = over(caller, mode.mode);
    let ports =
        mode.ports.iter().filter_map(|(port, mode)| Some((u16::try_from(*port).ok()?, mode)));
    let mut answers = ports.map(|(port, mode)| over(Caller { port: Some(port), ..caller }, *mode));
    if answers.all(|answer| answer == others) { others } else { Access::Depends }
}

/// Who calls, and whether a gRPC server without a proxy decides: it sees some things always alike.
#[derive(Clone, Copy, Debug)]
struct Asked<'c> {
    caller: Caller<'c>,
    is_http: bool,
    is_grpc: bool,
}

fn deny(rules: Option<&Rules>, asked: Asked<'_>) -> Access {
    match any_rule(rules, asked) {
        Some(true) => Access::Never,
        Some(false) => Access::Always,
        None => Access::Depends,
    }
}

fn allow(rules: Option<&Rules>, asked: Asked<'_>) -> Access {
    match rules.map_or(Some(true), |_| any_rule(rules, asked)) {
        Some(true) => Access::Always,
        Some(false) => Access::Never,
        None => Access::Depends,
    }
}

fn any_rule(rules: Option<&Rules>, asked: Asked<'_>) -> Option<bool> {
    any(rules.into_iter().flat_map(Rules::policies).map(|policy| rule(policy, asked)))
}

fn rule(policy: &Policy, asked: Asked<'_>) -> Option<bool> {
    match &policy.body {
        Body::Never => Some(false),
        Body::Rule { permissions, principals } => {
            all([side(permissions, asked), side(principals, asked)])
        }
    }
}

fn side<T: Known>(entries: &[Entry<T>], asked: Asked<'_>) -> Option<bool> {
    any(entries
        .iter()
        .map(|entry| all(entry.clauses.iter().map(|clause| truth(&clause.node, asked)))))
}

/// The depth is that of the compiler's trees: four.
fn truth<T: Known>(node: &Node<T>, asked: Asked<'_>) -> Option<bool> {
    match node {
        Node::All(nodes) => all(nodes.iter().map(|node| truth(node, asked))),
        Node::AnyOf(nodes) => any(nodes.iter().map(|node| truth(node, asked))),
        Node::Not(node) => truth(node, asked).map(|truth| !truth),
        Node::Test(test) => test.known(asked),
    }
}

/// True if one is, false if all are; else open.
fn any(truths: impl IntoIterator<Item = Option<bool>>) -> Option<bool> {
    let mut found = Some(false);
    for truth in truths {
        match truth {
            Some(true) => return truth,
            Some(false) => {}
            None => found = None,
        }
    }
    found
}

/// False if one is, true if all are; else open.
fn all(truths: impl IntoIterator<Item = Option<bool>>) -> Option<bool> {
    any(truths.into_iter().map(|truth| truth.map(|truth| !truth))).map(|truth| !truth)
}

/// A test that the caller alone may answer, or who decides.
trait Known {
    fn known(&self, asked: Asked<'_>) -> Option<bool>;
}

impl Known for PermissionTest {
    fn known(&self, asked: Asked<'_>) -> Option<bool> {
        match self {
            Self::DestinationPort(port) => asked.caller.port.map(|called| called == *port),
            Self::UriTemplate(PathTest::Refused { answer, .. }) => Some(*answer),
            Self::ServerName(test) if asked.is_grpc => Some(test.matches(b"")),
            Self::Metadata(_) if asked.is_grpc => Some(false),
            Self::Header(test) if asked.is_grpc => test.constant_of_grpc(asked.is_http),
            Self::Header(_)
            | Self::UrlPath(_)
            | Self::UriTemplate(PathTest::Template(_))
            | Self::DestinationIp(_)
            | Self::ServerName(_)
            | Self::Metadata(_) => None,
        }
    }
}

impl Known for PrincipalTest {
    fn known(&self, asked: Asked<'_>) -> Option<bool> {
        match self {
            Self::Authenticated(test) | Self::PeerPrincipal(test) => {
                Some(asked.caller.identity.is_some_and(|name| test.matches(name.as_bytes())))
            }
            Self::Metadata(_) if asked.is_grpc => Some(false),
            Self::Header(test) if asked.is_grpc => test.constant_of_grpc(asked.is_http),
            Self::DirectRemoteIp(_) | Self::RemoteIp(_) | Self::Header(_) | Self::Metadata(_) => {
                None
            }
        }
    }
}
