//! The lists of values of a rule, each with its place.
use mesh_model::resource::{Operation, Rule, Source};

use crate::rbac::{Field, Place};

/// The values of a list, as written.
pub(crate) type Values<'r> = &'r [Box<str>];

/// A list of values of a rule.
pub(crate) struct List<'r> {
    pub(crate) place: Place,
    /// The place of the entry in `from`, `to` or `when`.
    pub(crate) entry: usize,
    pub(crate) is_negated: bool,
    pub(crate) values: Values<'r>,
}

impl List<'_> {
    /// The path of the list in its policy: `spec.rules[1].from[0].source.principals`.
    pub(crate) fn path(&self, rule: usize) -> String {
        let (place, is_negated) = (self.place.clone(), self.is_negated);
        let field = Field { place, is_negated, values: Box::default() };
        format!("spec.rules[{rule}].{}", field.path(self.entry))
    }

    /// The path of the first of its values that something is said of: `…principals[2]`.
    pub(crate) fn path_of(&self, rule: usize, is_meant: impl Fn(&str) -> bool) -> String {
        let path = self.path(rule);
        match self.values.iter().position(|value| is_meant(value)) {
            Some(at) => format!("{path}[{at}]"),
            None => path,
        }
    }
}

/// The lists of a rule that have a value.
pub(crate) fn lists(rule: &Rule) -> Vec<List<'_>> {
    let sources = rule.from.iter().enumerate();
    let sources = sources.filter_map(|(entry, from)| Some((entry, from.source.as_ref()?)));
    let sources = sources.flat_map(|(entry, source)| of_source(entry, source));
    let operations = rule.to.iter().enumerate();
    let operations = operations.filter_map(|(entry, to)| Some((entry, to.operation.as_ref()?)));
    let operations = operations.flat_map(|(entry, operation)| of_operation(entry, operation));
    let when = rule.when.iter().enumerate().flat_map(|(index, when)| {
        let place = || Place::When { index, key: when.key.clone() };
        [
            List { place: place(), entry: index, is_negated: false, values: &when.values },
            List { place: place(), entry: index, is_negated: true, values: &when.not_values },
        ]
    });
    sources.chain(operations).chain(when).filter(|list| !list.values.is_empty()).collect()
}

fn of_source(entry: usize, source: &Source) -> Vec<List<'_>> {
    let lists = [
        ("principals", source.principals.as_slice(), source.not_principals.as_slice()),
        (
            "requestPrincipals",
            source.request_principals.as_slice(),
            source.not_request_principals.as_slice(),
        ),
        ("namespaces", source.namespaces.as_slice(), source.not_namespaces.as_slice()),
        (
            "serviceAccounts",
            source.service_accounts.as_slice(),
            source.not_service_accounts.as_slice(),
        ),
        ("trustDomains", source.trust_domains.as_slice(), source.not_trust_domains.as_slice()),
        ("ipBlocks", source.ip_blocks.as_slice(), source.not_ip_blocks.as_slice()),
        (
            "remoteIpBlocks",
            source.remote_ip_blocks.as_slice(),
            source.not_remote_ip_blocks.as_slice(),
        ),
    ];
    both(entry, lists, Place::Source)
}

fn of_operation(entry: usize, operation: &Operation) -> Vec<List<'_>> {
    let lists = [
        ("hosts", operation.hosts.as_slice(), operation.not_hosts.as_slice()),
        ("ports", operation.ports.as_slice(), operation.not_ports.as_slice()),
        ("methods", operation.methods.as_slice(), operation.not_methods.as_slice()),
        ("paths", operation.paths.as_slice(), operation.not_paths.as_slice()),
    ];
    both(entry, lists, Place::Operation)
}

fn both<'r, const N: usize>(
    entry: usize,
    lists: [(&'static str, Values<'r>, Values<'r>); N],
    place: fn(&'static str) -> Place,
) -> Vec<List<'r>> {
    lists
        .into_iter()
        .flat_map(|(name, values, not_values)| {
            [
                List { place: place(name), entry, is_negated: false, values },
                List { place: place(name), entry, is_negated: true, values: not_values },
            ]
        })
        .collect()
}
