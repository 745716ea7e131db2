//! The same where a ztunnel decides: addresses may be any.
use mesh_model::name::Identity;

use super::{Access, Caller, all, any};
use crate::authorizer::L4;
use crate::ztunnel::{Action, Authorization, Clause, L4Connection, Lists, Match, Peer};

/// Whether a caller gets through the policies of a workload.
pub(super) fn access(l4: &L4, caller: Caller<'_>) -> Access {
    let identity: Option<Identity> = caller.identity.and_then(|name| name.parse().ok());
    let known = Known::of(identity.as_ref(), caller.port);
    let matched = |action| any(l4.enforced(action).map(|policy| known.policy(policy)));
    let denied = match matched(Action::Deny) {
        Some(true) => Access::Never,
        Some(false) => Access::Always,
        None => Access::Depends,
    };
    let has_allow = l4.enforced(Action::Allow).next().is_some();
    let allowed = match matched(Action::Allow) {
        _ if !has_allow => Access::Always,
        Some(true) => Access::Always,
        Some(false) => Access::Never,
        None => Access::Depends,
    };
    denied.min(allowed)
}

/// What the caller alone tells of a connection.
struct Known<'c> {
    /// With addresses that are nobody's.
    peer: Peer<'c>,
    port: Option<u16>,
}

impl<'c> Known<'c> {
    fn of(identity: Option<&'c Identity>, port: Option<u16>) -> Self {
        let nowhere = std::net::Ipv4Addr::UNSPECIFIED.into();
        let connection = L4Connection {
            source_ip: nowhere,
            source_identity: identity,
            destination_ip: nowhere,
            destination_port: port.unwrap_or_default(),
        };
        Self { peer: Peer::of(&connection), port }
    }

    fn policy(&self, policy: &Authorization) -> Option<bool> {
        any(policy
            .groups
            .iter()
            .map(|group| all(group.clauses.iter().map(|clause| self.clause(clause)))))
    }

    fn clause(&self, clause: &Clause) -> Option<bool> {
        if clause.matches.is_empty() {
            return Some(true);
        }
        any(clause.matches.iter().filter(|of| !of.is_empty()).map(|of| self.r#match(of)))
    }

    fn r#match(&self, of: &Match) -> Option<bool> {
        let ports = match self.port {
            Some(port) => Some(of.destination_ports.hold(|one| *one == port)),
            None => open(&of.destination_ports),
        };
        all([
            Some(of.is_identity_of(&self.peer)),
            open(&of.source_ips),
            open(&of.destination_ips),
            ports,
        ])
    }
}

/// A field that may go either way: it holds where it asks for nothing.
fn open<T>(lists: &Lists<T>) -> Option<bool> {
    lists.is_empty().then_some(true)
}
