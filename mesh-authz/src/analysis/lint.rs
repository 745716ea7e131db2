//! Patterns in policies that look tighter than they are.
use mesh_model::resource::{Action, AuthorizationPolicy, Operation, Rule};

use crate::matcher::{is_template, joins_lines};
use crate::rbac::{Field, Place};
use crate::rule::{List, lists};

/// A pattern in a policy that is likely not what was meant.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a report has these parts")]
pub struct RiskyPattern {
    /// The place of the rule in `spec.rules`.
    pub rule: usize,
    /// What is risky.
    pub risk: Risk,
    /// The field, with the values that are meant; `None` where the rule as a whole is.
    pub field: Option<Field>,
    /// The place of the entry in `from`, `to` or `when` that has the field; 0 where the rule as a whole is
    /// meant.
    pub entry: usize,
}

/// What is risky.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Risk {
    /// A host that does not mean itself with a port, `a.com` without `a.com:*`: clients may write the
    /// port, and the rule does not match.
    HostWithoutPort,
    /// A DENY rule that lists what is denied: what is not listed is let through, as is what is written in
    /// another way, in another case or with another encoding. Denying all but what is meant fails closed.
    /// Ports and addresses of the workload itself are all known and do not count.
    PositiveMatchWithDeny,
    /// An ALLOW rule that lists what is not allowed: a negative match is true of a missing value, and
    /// of everything that was not thought of.
    NegativeMatchWithAllow,
    /// Two rules one after the other of which neither says a part of who, what and when that the other
    /// says: a stray dash splits a rule in two, each of which matches by itself.
    SplitRule,
    /// A suffix that does not begin at a separator: `*example.com` matches `badexample.com`.
    UnescapedSuffix,
    /// The start of a path that ends in the middle of a word: `/admin*` matches `/administrators`.
    PathWithoutSlash,
    /// A `*` within a value, as in `/a/*/b`, or at both ends of one: it stands for any text at one end only,
    /// and is that letter elsewhere.
    InnerStar,
    /// A DENY rule on the text of a header that proxies keep as one, such as `user-agent`: a second line
    /// is appended to the first, and the rule does not match.
    HeaderOfOneText,
    /// A DENY rule with HTTP fields and without ports: on ports that are not HTTP it denies all.
    DenyWithoutPorts,
}

impl Risk {
    /// Returns a stable word for the risk.
    pub const fn code(self) -> &'static str {
        match self {
            Self::HostWithoutPort => "host_without_port",
            Self::PositiveMatchWithDeny => "positive_match_with_deny",
            Self::NegativeMatchWithAllow => "negative_match_with_allow",
            Self::SplitRule => "split_rule",
            Self::UnescapedSuffix => "unescaped_suffix",
            Self::PathWithoutSlash => "path_without_slash",
            Self::InnerStar => "inner_star",
            Self::HeaderOfOneText => "header_of_one_text",
            Self::DenyWithoutPorts => "deny_without_ports",
        }
    }
}

/// Finds the risky patterns of a policy, rule by rule. None is an error: each may be meant.
pub fn risky_patterns(policy: &AuthorizationPolicy) -> Vec<RiskyPattern> {
    let rules = &policy.spec.rules;
    let mut found = Vec::new();
    for (place, rule) in rules.iter().enumerate() {
        let before = place.checked_sub(1).and_then(|before| rules.get(before));
        if before.is_some_and(|before| is_split(before, rule)) {
            found.push(RiskyPattern { rule: place, risk: Risk::SplitRule, field: None, entry: 0 });
        }
        for list in lists(rule) {
            let risks = list.risks(policy.spec.action);
            found.extend(risks.map(|(risk, values)| RiskyPattern {
                rule: place,
                risk,
                field: Some(Field {
                    place: list.place.clone(),
                    is_negated: list.is_negated,
                    values,
                }),
                entry: list.entry,
            }));
        }
        if policy.spec.action == Action::Deny && denies_tcp(rule) {
            let risk = Risk::DenyWithoutPorts;
            found.push(RiskyPattern { rule: place, risk, field: None, entry: 0 });
        }
    }
    found
}

/// Whether two rules say different parts of who, what and when, so that one rule may have been meant.
fn is_split(a: &Rule, b: &Rule) -> bool {
    let parts = |rule: &Rule| [!rule.from.is_empty(), !rule.to.is_empty(), !rule.when.is_empty()];
    let (a, b) = (parts(a), parts(b));
    let says = |parts: [bool; 3]| parts.contains(&true);
    says(a) && says(b) && !a.into_iter().zip(b).any(|(a, b)| a && b)
}

/// Whether a rule asks for HTTP somewhere and for no port.
fn denies_tcp(rule: &Rule) -> bool {
    let operations = || rule.to.iter().filter_map(|to| to.operation.as_ref());
    let has = |list: &[Box<str>]| !list.is_empty();
    let is_http = |of: &Operation| {
        has(&of.hosts)
            || has(&of.not_hosts)
            || has(&of.methods)
            || has(&of.not_methods)
            || has(&of.paths)
            || has(&of.not_paths)
    };
    let names_port = |of: &Operation| has(&of.ports) || has(&of.not_ports);
    operations().any(is_http)
        && !operations().all(names_port)
        && !rule.when.iter().any(|when| &*when.key == "destination.port")
}

impl List<'_> {
    /// The risks of the list, each with the values that have it.
    fn risks(&self, action: Action) -> impl Iterator<Item = (Risk, Box<[Box<str>]>)> {
        let mut found: Vec<(Risk, Vec<Box<str>>)> = Vec::new();
        let mut add = |risk, is_risky: &dyn Fn(&str) -> bool| {
            let values: Vec<Box<str>> =
                self.values.iter().filter(|value| is_risky(value)).cloned().collect();
            if !values.is_empty() {
                found.push((risk, values));
            }
        };
        let name = match &self.place {
            Place::Source(name) | Place::Operation(name) => name,
            Place::When { key, .. } => &**key,
        };
        let is_authority = header(name).is_some_and(|name| {
            name.eq_ignore_ascii_case(":authority") || name.eq_ignore_ascii_case("host")
        });
        if name == "hosts" || is_authority {
            add(Risk::HostWithoutPort, &|value| self.lacks_port(value));
        }
        if matches!(name, "hosts" | "connection.sni") {
            add(Risk::UnescapedSuffix, &|value| is_bare_suffix(value, "."));
        }
        if matches!(name, "principals" | "source.principal") {
            add(Risk::UnescapedSuffix, &|value| is_bare_suffix(value, "/"));
        }
        if name == "paths" {
            add(Risk::PathWithoutSlash, &is_open_path);
        }
        add(Risk::InnerStar, &|value| has_inner_star(name, value));
        let is_own = matches!(name, "ports" | "destination.port" | "destination.ip");
        // Every request has them.
        let denies_all =
            matches!(name, "paths" | "methods") && self.values.iter().any(|one| **one == *"*");
        let is_joined = header(name).is_some_and(joins_lines);
        match (action, self.is_negated) {
            (Action::Deny, false) if is_joined => add(Risk::HeaderOfOneText, &|value| value != "*"),
            (Action::Deny, false) if !is_own && !denies_all => {
                add(Risk::PositiveMatchWithDeny, &|_| true);
            }
            (Action::Allow, true) => add(Risk::NegativeMatchWithAllow, &|_| true),
            _ => {}
        }
        found.into_iter().map(|(risk, values)| (risk, values.into()))
    }

    /// Whether a host means itself without a port only.
    fn lacks_port(&self, value: &str) -> bool {
        // Case does not count; and `*` means every host and port.
        let value = value.to_ascii_lowercase();
        let with_port = |other: &str| {
            let other = other.to_ascii_lowercase();
            let rest = other.strip_prefix(value.as_str());
            other == "*" || rest.is_some_and(|rest| rest.starts_with([':', '*']))
        };
        !value.ends_with('*')
            && !value.contains(':')
            && !self.values.iter().any(|other| with_port(other))
    }
}

/// Whether a `*` of a value of a field is no more than that letter.
///
/// Namespaces have wildcards anywhere, trust domains at one end as admission has it, and paths in templates;
/// accounts, ports and addresses have none at all.
fn has_inner_star(name: &str, value: &str) -> bool {
    let is_text = matches!(
        name,
        "principals"
            | "source.principal"
            | "requestPrincipals"
            | "hosts"
            | "methods"
            | "paths"
            | "connection.sni"
    ) || ["request.headers[", "request.auth.", "experimental."]
        .iter()
        .any(|key| name.starts_with(key));
    if !is_text || (name == "paths" && is_template(value)) {
        return false;
    }
    let is_list = name.starts_with("experimental.");
    let item = value.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    without_wildcard(item.filter(|_| is_list).unwrap_or(value)).contains('*')
}

/// A value without the one star that stands for any text.
fn without_wildcard(value: &str) -> &str {
    value.strip_prefix('*').or_else(|| value.strip_suffix('*')).unwrap_or(value)
}

/// The header that a key names.
fn header(key: &str) -> Option<&str> {
    key.strip_prefix("request.headers[")?.strip_suffix(']')
}

/// Whether a suffix goes on in the middle of a word; one that is only a port begins with its colon.
fn is_bare_suffix(value: &str, separator: &str) -> bool {
    value.strip_prefix('*').is_some_and(|rest| {
        !rest.is_empty() && !rest.starts_with(separator) && !rest.starts_with(':')
    })
}

/// Whether the start of a path ends in the middle of a word.
fn is_open_path(value: &str) -> bool {
    match value.strip_suffix('*') {
        Some(prefix) => !prefix.is_empty() && !prefix.ends_with('/') && !prefix.starts_with('*'),
        None => false,
    }
}
