//! Why a group of a ztunnel's policy does not match.
use std::fmt;

use mesh_model::name::Cidr;

use super::{Group, Lists, Match, Peer, ServiceAccountMatch, TextMatch};

/// What stands for an attribute that a connection does not have.
const NOTHING: &str = "nothing";

/// The field that kept a group from matching: the first that does not hold, of the first alternative of the
/// first clause of which none holds.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "callers print every part")]
pub struct L4Failure {
    /// The field by its name in a policy's rule, of a condition the one that asks for the same; empty if all
    /// of the rule's fields there are of requests, which a ztunnel does not see.
    pub field: &'static str,
    /// Whether the values are those that must not be.
    pub is_negated: bool,
    /// The values, as a ztunnel has them.
    pub values: Vec<String>,
    /// What the connection has there.
    pub saw: String,
}

impl fmt::Display for L4Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.field.is_empty() {
            return f.write_str(&self.saw);
        }
        let not = if self.is_negated { "none of " } else { "" };
        write!(f, "{}: expected {not}{:?}, saw {}", self.field, self.values, self.saw)
    }
}

impl Group {
    /// Returns the field that fails; `None` if the group matches.
    pub(crate) fn failure(&self, peer: &Peer<'_>) -> Option<L4Failure> {
        let holds = |of: &Match| !of.is_empty() && of.matches(peer);
        let clause = self
            .clauses
            .iter()
            .find(|clause| !clause.matches.is_empty() && !clause.matches.iter().any(holds))?;
        let first = clause.matches.iter().find(|of| !of.is_empty());
        first.and_then(|of| of.failure(peer)).or_else(|| {
            let saw = "a connection: all that is asked for here is of requests".to_owned();
            Some(L4Failure { field: "", is_negated: false, values: Vec::new(), saw })
        })
    }
}

impl Match {
    fn failure(&self, peer: &Peer<'_>) -> Option<L4Failure> {
        self.failure_of_source(peer).or_else(|| self.failure_of_address(peer))
    }

    fn failure_of_source(&self, peer: &Peer<'_>) -> Option<L4Failure> {
        let own = |text: &str| if text.is_empty() { NOTHING.to_owned() } else { text.to_owned() };
        let principal = peer.principal.as_deref();
        let names = ["from.source.principals", "from.source.notPrincipals"];
        let is_of = |test: &TextMatch| principal.is_some_and(|text| test.matches(text));
        let found = of_field(&self.principals, names, own(principal.unwrap_or_default()), is_of);
        let found = found.or_else(|| {
            let names = ["from.source.namespaces", "from.source.notNamespaces"];
            let is_of = |test: &TextMatch| test.matches(peer.namespace);
            of_field(&self.namespaces, names, own(peer.namespace), is_of)
        });
        found.or_else(|| {
            let names = ["from.source.serviceAccounts", "from.source.notServiceAccounts"];
            let account = peer.connection.source_identity;
            let saw = account.map(|of| format!("{}/{}", of.namespace, of.service_account));
            let is_of = |test: &ServiceAccountMatch| {
                account.is_some_and(|of| {
                    *of.namespace.as_str() == *test.namespace && of.service_account == test.name
                })
            };
            of_field(&self.service_accounts, names, own(&saw.unwrap_or_default()), is_of)
        })
    }

    fn failure_of_address(&self, peer: &Peer<'_>) -> Option<L4Failure> {
        let connection = &peer.connection;
        let source = connection.source_ip.to_canonical();
        let names = ["from.source.ipBlocks", "from.source.notIpBlocks"];
        let is_of = |range: &Cidr| range.contains(source);
        let found = of_field(&self.source_ips, names, source.to_string(), is_of);
        let found = found.or_else(|| {
            let address = connection.destination_ip.to_canonical();
            let names = ["when[destination.ip].values", "when[destination.ip].notValues"];
            let is_of = |range: &Cidr| range.contains(address);
            of_field(&self.destination_ips, names, address.to_string(), is_of)
        });
        found.or_else(|| {
            let port = connection.destination_port;
            let names = ["to.operation.ports", "to.operation.notPorts"];
            of_field(&self.destination_ports, names, port.to_string(), |of| *of == port)
        })
    }
}

/// The failure of one field.
fn of_field<T: Told>(
    lists: &Lists<T>,
    [name, negated]: [&'static str; 2],
    saw: String,
    test: impl Fn(&T) -> bool,
) -> Option<L4Failure> {
    let is_negated = lists.any_of.is_empty() || lists.any_of.iter().any(&test);
    if is_negated && !lists.none_of.iter().any(&test) {
        return None;
    }
    let (field, values) =
        if is_negated { (negated, &lists.none_of) } else { (name, &lists.any_of) };
    Some(L4Failure { field, is_negated, values: values.iter().map(T::told).collect(), saw })
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
