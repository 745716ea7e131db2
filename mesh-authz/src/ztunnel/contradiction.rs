//! Groups of a ztunnel's policy that nothing matches, as what they ask for is excluded beside it.
use mesh_model::name::{Cidr, Namespace};
use mesh_model::resource::AuthorizationPolicy;

use super::{Group, Lists, Match, ServiceAccountMatch, TextMatch, convert, omitted};

/// Returns the rules of a policy that are sent and that nothing matches, by their places, with a field that
/// contradicts itself.
pub(crate) fn contradictions(
    policy: &AuthorizationPolicy,
    root: &Namespace,
) -> Vec<(usize, &'static str)> {
    let Some(converted) = convert(policy, root, true) else { return Vec::new() };
    let rules = omitted(policy).into_iter().enumerate();
    let sent = rules.filter(|(_, omitted)| !omitted.iter().any(|omission| omission.drops_rule));
    let groups = sent.zip(&converted.groups);
    groups.filter_map(|((rule, _), group)| Some((rule, group.contradiction()?))).collect()
}

impl Group {
    /// Returns the field by which nothing matches the group, by its name in a rule: each alternative of a
    /// clause excludes all that it asks for. `None` if that is not known.
    fn contradiction(&self) -> Option<&'static str> {
        self.clauses.iter().find_map(|clause| {
            let mut fields = clause.matches.iter().map(Match::contradiction);
            let first = fields.next()??;
            fields.all(|field| field.is_some()).then_some(first)
        })
    }
}

impl Match {
    fn contradiction(&self) -> Option<&'static str> {
        [
            ("namespaces", self.namespaces.is_never(text_covers)),
            ("serviceAccounts", self.service_accounts.is_never(ServiceAccountMatch::eq)),
            ("principals", self.principals.is_never(text_covers)),
            ("ipBlocks", self.source_ips.is_never(range_covers)),
            ("destination.ip", self.destination_ips.is_never(range_covers)),
            ("ports", self.destination_ports.is_never(u16::eq)),
        ]
        .into_iter()
        .find_map(|(field, is_never)| is_never.then_some(field))
    }
}

impl<T> Lists<T> {
    /// Whether each of the values that are asked for is excluded.
    fn is_never(&self, covers: impl Fn(&T, &T) -> bool) -> bool {
        let is_excluded = |value: &T| self.none_of.iter().any(|excluded| covers(excluded, value));
        !self.any_of.is_empty() && self.any_of.iter().all(is_excluded)
    }
}

/// Whether whatever passes `b` passes `a`.
fn text_covers(a: &TextMatch, b: &TextMatch) -> bool {
    match (a, b) {
        (a, TextMatch::Exact(text)) => a.matches(text),
        (TextMatch::Prefix(a), TextMatch::Prefix(b)) => b.starts_with(&**a),
        (TextMatch::Suffix(a), TextMatch::Suffix(b)) => b.ends_with(&**a),
        (TextMatch::Presence, TextMatch::Prefix(text) | TextMatch::Suffix(text)) => {
            !text.is_empty()
        }
        (a, b) => a == b,
    }
}

fn range_covers(a: &Cidr, b: &Cidr) -> bool {
    a.prefix_len() <= b.prefix_len() && a.contains(b.address())
}
