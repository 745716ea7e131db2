//! Why a group of a ztunnel's policy does not match.
use std::fmt;

use mesh_model::name::Cidr;

use super::{Clause, Group, Lists, Match, Peer, ServiceAccountMatch, TextMatch};
use crate::rbac::{Field, Place};
use crate::rule::{Omission, Unusable};

/// What stands for an attribute that a connection does not have.
const NOTHING: &str = "nothing";

/// The field that kept a group from matching: the first that does not hold, of the first alternative of the
/// first clause of which none holds.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "callers print every part")]
pub struct L4Failure {
    /// The field, with its values as a ztunnel has them, or as they are written where it is not told of the
    /// field; `None` if nothing is asked for there.
    pub field: Option<Field>,
    /// What the connection has there.
    pub saw: String,
}

impl fmt::Display for L4Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(field) = &self.field else { return f.write_str(&self.saw) };
        let not = if field.is_negated { "none of " } else { "" };
        write!(f, "{field}: expected {not}{:?}, saw {}", field.values, self.saw)
    }
}

impl Group {
    /// Returns the field that fails; `None` if the group matches. `omissions` are what the ztunnel is not told
    /// of the rule: where that leaves nothing the first of it is the field.
    pub(crate) fn failure(&self, peer: &Peer<'_>, omissions: &[Omission]) -> Option<L4Failure> {
        let holds = |of: &Match| !of.is_empty() && of.matches(peer);
        let fails = |of: &&Clause| !of.matches.is_empty() && !of.matches.iter().any(holds);
        let (at, clause) = self.clauses.iter().enumerate().find(|(_, clause)| fails(clause))?;
        let first = clause.matches.iter().find(|of| !of.is_empty());
        first.and_then(|of| of.failure(clause.condition, peer)).or_else(|| {
            let field = self.untold(at, clause, omissions).cloned();
            let saw = match &field {
                Some(_) => "nothing: a ztunnel does not compare it",
                None => "a connection: a ztunnel is told nothing of what is asked for here",
            };
            Some(L4Failure { field, saw: saw.to_owned() })
        })
    }

    /// The first field of a clause that the ztunnel is not told. What is asked of operations stands before what
    /// is asked of sources, and conditions behind both.
    fn untold<'o>(
        &self,
        at: usize,
        clause: &Clause,
        omissions: &'o [Omission],
    ) -> Option<&'o Field> {
        let others = self.clauses.iter().filter(|clause| clause.condition.is_none());
        let has_both = others.count() > 1;
        let is_meant = |place: &Place| match (clause.condition, place) {
            (Some(condition), Place::When { index, .. }) => condition == *index,
            (None, Place::Operation(_)) => at == 0,
            (None, Place::Source(_)) => at == 1 || !has_both,
            (Some(_), Place::Operation(_) | Place::Source(_)) | (None, Place::When { .. }) => false,
        };
        let untold = omissions
            .iter()
            .filter(|omission| matches!(omission.why, Unusable::Layer4 | Unusable::Untold));
        untold.map(|omission| &omission.field).find(|field| is_meant(&field.place))
    }
}

impl Match {
    fn failure(&self, condition: Option<usize>, peer: &Peer<'_>) -> Option<L4Failure> {
        let of_source = self.failure_of_source(condition, peer);
        of_source.or_else(|| self.failure_of_address(condition, peer))
    }

    fn failure_of_source(&self, condition: Option<usize>, peer: &Peer<'_>) -> Option<L4Failure> {
        let own = |text: &str| if text.is_empty() { NOTHING.to_owned() } else { text.to_owned() };
        let principal = peer.principal.as_deref();
        let place = of_clause(condition, Place::Source("principals"), "source.principal");
        let is_of = |test: &TextMatch| principal.is_some_and(|text| test.matches(text));
        let found = of_field(&self.principals, place, own(principal.unwrap_or_default()), is_of);
        let found = found.or_else(|| {
            let place = of_clause(condition, Place::Source("namespaces"), "source.namespace");
            let is_of = |test: &TextMatch| test.matches(peer.namespace);
            of_field(&self.namespaces, place, own(peer.namespace), is_of)
        });
        found.or_else(|| {
            // Of conditions a ztunnel is told of none.
            let place = Place::Source("serviceAccounts");
            let account = peer.connection.source_identity;
            let saw = account.map(|of| format!("{}/{}", of.namespace, of.service_account));
            let is_of = |test: &ServiceAccountMatch| {
                account.is_some_and(|of| {
                    *of.namespace.as_str() == *test.namespace && of.service_account == test.name
                })
            };
            of_field(&self.service_accounts, place, own(&saw.unwrap_or_default()), is_of)
        })
    }

    fn failure_of_address(&self, condition: Option<usize>, peer: &Peer<'_>) -> Option<L4Failure> {
        let connection = &peer.connection;
        let source = connection.source_ip.to_canonical();
        let place = of_clause(condition, Place::Source("ipBlocks"), "source.ip");
        let is_of = |range: &Cidr| range.contains(source);
        let found = of_field(&self.source_ips, place, source.to_string(), is_of);
        let found = found.or_else(|| {
            // Only conditions ask for it.
            let index = condition.unwrap_or_default();
            let place = Place::When { index, key: "destination.ip".into() };
            let address = connection.destination_ip.to_canonical();
            let is_of = |range: &Cidr| range.contains(address);
            of_field(&self.destination_ips, place, address.to_string(), is_of)
        });
        found.or_else(|| {
            let place = of_clause(condition, Place::Operation("ports"), "destination.port");
            let port = connection.destination_port;
            of_field(&self.destination_ports, place, port.to_string(), |of| *of == port)
        })
    }
}

/// Where a field of a clause was written: as a condition of this key, or in `from` or `to`.
fn of_clause(condition: Option<usize>, own: Place, key: &str) -> Place {
    condition.map_or(own, |index| Place::When { index, key: key.into() })
}

/// The failure of one field.
fn of_field<T: Told>(
    lists: &Lists<T>,
    place: Place,
    saw: String,
    test: impl Fn(&T) -> bool,
) -> Option<L4Failure> {
    let is_negated = lists.any_of.is_empty() || lists.any_of.iter().any(&test);
    if is_negated && !lists.none_of.iter().any(&test) {
        return None;
    }
    let values = if is_negated { &lists.none_of } else { &lists.any_of };
    let values = values.iter().map(|value| value.told().into()).collect();
    Some(L4Failure { field: Some(Field { place, is_negated, values }), saw })
}

/// A value that can be printed as policies have it.
trait Told {
    fn told(&self) -> String;
}

impl Told for TextMatch {
    fn told(&self) -> String {
        match self {
            Self::Exact(text) => text.to_string(),
            Self::Prefix(text) => format!("{text}*"),
            Self::Suffix(text) => format!("*{text}"),
            Self::Presence => "*".to_owned(),
        }
    }
}

impl Told for ServiceAccountMatch {
    fn told(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }
}

impl Told for Cidr {
    fn told(&self) -> String {
        self.to_string()
    }
}

impl Told for u16 {
    fn told(&self) -> String {
        self.to_string()
    }
}
