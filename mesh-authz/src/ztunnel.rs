//! What a ztunnel decides: the same policies, at layer 4 only.
//!
//! ```text
//! AuthorizationPolicy, PeerAuthentication ──convert──▶ Authorization ──attach──▶ decide
//! ```
//!
//! istiod converts what layer 4 can express and drops the rest; where that differs from a sidecar on
//! TCP the difference is upstream's, and kept.
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/serviceregistry/ambient/authorization.go`; istio/ztunnel `src/rbac.rs`,
//! `src/state.rs` `assert_rbac`.
use std::net::IpAddr;

use mesh_model::name::{Cidr, Identity, Labels, Namespace};
use mesh_model::view::selects_behind_ztunnel;

mod contradiction;
mod convert;
mod failure;
mod of_mesh;
mod omitted;

pub(crate) use self::contradiction::contradictions;
pub use self::convert::{convert, convert_peer_authentication, static_strict};
pub use self::failure::L4Failure;
pub use self::of_mesh::{authorizations, policies_of_workload};
pub(crate) use self::of_mesh::{of_workload, stand_in};
pub(crate) use self::omitted::{compares, omitted};

/// A policy as a ztunnel gets it.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "generators read every part")]
pub struct Authorization {
    /// The policy's namespace.
    pub namespace: Namespace,
    /// The policy's name.
    pub name: Box<str>,
    /// Which workloads it concerns.
    pub scope: Scope,
    /// Whether a match allows or denies.
    pub action: Action,
    /// Alternatives; without any the policy never matches.
    pub groups: Vec<Group>,
    /// Whether it is logged only.
    pub is_dry_run: bool,
}

/// Which workloads a policy concerns.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "generators act on every scope")]
pub enum Scope {
    /// All of the mesh.
    Global,
    /// Those of the policy's namespace.
    Namespace,
    /// Those that refer to it, in the policy's namespace, or in any if it is of the root namespace: with these
    /// labels, or without any label of their own. An empty selector none refers to, unlike on sidecars: see
    /// [`selects_behind_ztunnel`].
    WorkloadSelector(Labels),
}

/// What a match means.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_enums, reason = "a ztunnel knows these two")]
pub enum Action {
    /// The connection is allowed, and what no such policy matches is denied.
    Allow,
    /// The connection is denied.
    Deny,
}

/// A rule: all of its clauses; without any it matches.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "generators read every part")]
pub struct Group {
    /// One for `to`, one for `from`, one for each condition.
    pub clauses: Vec<Clause>,
}

/// Any of several matches; without any it matches.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "generators read every part")]
pub struct Clause {
    /// Which condition of the rule this is, from 0; `None` for `to` and `from`. No ztunnel is told of it.
    pub condition: Option<usize>,
    /// The alternatives. One without a field is skipped: a clause of only such ones matches nothing.
    pub matches: Vec<Match>,
}

/// All of several fields: any of the values, none of the others.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "generators read every part")]
pub struct Match {
    /// Namespaces of the peer.
    pub namespaces: Lists<TextMatch>,
    /// Service accounts of the peer.
    pub service_accounts: Lists<ServiceAccountMatch>,
    /// Identities of the peer without `spiffe://`.
    pub principals: Lists<TextMatch>,
    /// Addresses of the peer.
    pub source_ips: Lists<Cidr>,
    /// Addresses of the workload.
    pub destination_ips: Lists<Cidr>,
    /// Ports of the workload.
    pub destination_ports: Lists<u16>,
}

/// The values of a field: any of these, none of those.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a field has these two lists")]
pub struct Lists<T> {
    /// Any of these, if there is one.
    pub any_of: Vec<T>,
    /// None of these.
    pub none_of: Vec<T>,
}

/// A test of a text.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "generators write every test")]
pub enum TextMatch {
    /// Equal to this.
    Exact(Box<str>),
    /// Starting with this.
    Prefix(Box<str>),
    /// Ending with this.
    Suffix(Box<str>),
    /// Not empty.
    Presence,
}

/// A service account, in full.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "an account has these two parts")]
pub struct ServiceAccountMatch {
    /// The namespace.
    pub namespace: Box<str>,
    /// The name.
    pub name: Box<str>,
}

/// A connection to a workload behind a ztunnel.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "callers build connections by hand")]
pub struct L4Connection<'c> {
    /// The peer's address.
    pub source_ip: IpAddr,
    /// The peer's identity, from the tunnel's certificate; `None` in plain text.
    pub source_identity: Option<&'c Identity>,
    /// The workload's address.
    pub destination_ip: IpAddr,
    /// The workload's port.
    pub destination_port: u16,
}

/// The answer to a connection, with the policy that decided unless it is a default.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "callers act on every answer")]
pub enum L4Decision<'p> {
    /// The connection may pass.
    Allow(Option<&'p Authorization>),
    /// The connection is closed.
    Deny(Option<&'p Authorization>),
}

/// Decides among the policies of a workload, the first that matches being reported.
pub fn decide<'p>(
    policies: impl IntoIterator<Item = &'p Authorization>,
    connection: &L4Connection<'_>,
) -> L4Decision<'p> {
    let (allow, deny): (Vec<&Authorization>, Vec<&Authorization>) = policies
        .into_iter()
        .filter(|policy| !policy.is_dry_run)
        .partition(|policy| policy.action == Action::Allow);
    let first = |policies: Vec<&'p Authorization>| {
        policies.into_iter().find(|policy| policy.matches(connection))
    };
    let has_allow = !allow.is_empty();
    match (first(deny), has_allow) {
        (Some(denied), _) => L4Decision::Deny(Some(denied)),
        (None, false) => L4Decision::Allow(None),
        (None, true) => {
            let allowed = first(allow);
            allowed.map_or(L4Decision::Deny(None), |policy| L4Decision::Allow(Some(policy)))
        }
    }
}

impl Authorization {
    /// Returns whether the policy concerns a workload.
    pub fn concerns(&self, namespace: &Namespace, labels: &Labels, root: &Namespace) -> bool {
        match &self.scope {
            Scope::Global => true,
            Scope::Namespace => self.namespace == *namespace,
            Scope::WorkloadSelector(selector) => {
                (self.namespace == *namespace || self.namespace == *root)
                    && selects_behind_ztunnel(selector, labels)
            }
        }
    }

    /// Returns whether a connection is one that the policy means.
    pub fn matches(&self, connection: &L4Connection<'_>) -> bool {
        let peer = Peer::of(connection);
        self.groups.iter().any(|group| group.matches(&peer))
    }
}

impl Group {
    /// Whether a clause has matches and no match a field, so that nothing passes it.
    pub(crate) fn is_never(&self) -> bool {
        let is_empty = |clause: &Clause| {
            !clause.matches.is_empty() && clause.matches.iter().all(Match::is_empty)
        };
        self.clauses.iter().any(is_empty)
    }

    /// Whether an alternative of a clause has no field, so that nothing passes it.
    pub(crate) fn has_gap(&self) -> bool {
        self.clauses.iter().any(|clause| clause.matches.iter().any(Match::is_empty))
    }

    pub(crate) fn matches(&self, peer: &Peer<'_>) -> bool {
        self.clauses.iter().all(|clause| {
            clause.matches.is_empty()
                || clause.matches.iter().any(|of| !of.is_empty() && of.matches(peer))
        })
    }
}

/// A connection with the texts of its identity.
pub(crate) struct Peer<'c> {
    connection: L4Connection<'c>,
    /// Empty in plain text.
    namespace: &'c str,
    principal: Option<String>,
}

impl<'c> Peer<'c> {
    pub(crate) fn of(connection: &L4Connection<'c>) -> Self {
        let identity = connection.source_identity;
        Self {
            connection: *connection,
            namespace: identity.map_or("", |identity| identity.namespace.as_str()),
            principal: identity.map(|identity| {
                let Identity { trust_domain, namespace, service_account } = identity;
                format!("{trust_domain}/ns/{namespace}/sa/{service_account}")
            }),
        }
    }
}

impl Match {
    pub(crate) fn is_empty(&self) -> bool {
        self.namespaces.is_empty()
            && self.service_accounts.is_empty()
            && self.principals.is_empty()
            && self.source_ips.is_empty()
            && self.destination_ips.is_empty()
            && self.destination_ports.is_empty()
    }

    fn matches(&self, peer: &Peer<'_>) -> bool {
        let connection = &peer.connection;
        self.destination_ips.hold(|range| range.contains(connection.destination_ip.to_canonical()))
            && self.source_ips.hold(|range| range.contains(connection.source_ip.to_canonical()))
            && self.destination_ports.hold(|port| *port == connection.destination_port)
            && self.is_identity_of(peer)
    }

    /// Whether the fields of identities hold.
    pub(crate) fn is_identity_of(&self, peer: &Peer<'_>) -> bool {
        let identity = peer.connection.source_identity;
        self.service_accounts.hold(|account| {
            identity.is_some_and(|identity| {
                *identity.namespace.as_str() == *account.namespace
                    && identity.service_account == account.name
            })
        }) && self
            .principals
            .hold(|test| peer.principal.as_deref().is_some_and(|principal| test.matches(principal)))
            && self.namespaces.hold(|test| test.matches(peer.namespace))
    }
}

impl<T> Lists<T> {
    pub(crate) fn is_empty(&self) -> bool {
        self.any_of.is_empty() && self.none_of.is_empty()
    }

    pub(crate) fn hold(&self, test: impl Fn(&T) -> bool) -> bool {
        (self.any_of.is_empty() || self.any_of.iter().any(&test)) && !self.none_of.iter().any(&test)
    }
}

impl<T> Default for Lists<T> {
    fn default() -> Self {
        Self { any_of: Vec::new(), none_of: Vec::new() }
    }
}

impl TextMatch {
    fn matches(&self, text: &str) -> bool {
        match self {
            Self::Exact(exact) => **exact == *text,
            Self::Prefix(prefix) => text.starts_with(&**prefix),
            Self::Suffix(suffix) => text.ends_with(&**suffix),
            Self::Presence => !text.is_empty(),
        }
    }
}
