//! The lists of values of a rule, each with its place.
use mesh_model::resource::{Operation, Rule, Source};

use crate::rbac::Place;

/// The values of a list, as written.
pub(crate) type Values<'r> = &'r [Box<str>];

/// A list of values of a rule.
pub(crate) struct List<'r> {
    pub(crate) place: Place,
    pub(crate) is_negated: bool,
    pub(crate) values: Values<'r>,
}

/// The lists of a rule that have a value.
pub(crate) fn lists(rule: &Rule) -> Vec<List<'_>> {
    let sources = rule.from.iter().filter_map(|from| from.source.as_ref()).flat_map(of_source);
    let operations = rule.to.iter().filter_map(|to| to.operation.as_ref()).flat_map(of_operation);
    let when = rule.when.iter().enumerate().flat_map(|(index, when)| {
        let place = || Place::When { index, key: when.key.clone() };
        [
            List { place: place(), is_negated: false, values: &when.values },
            List { place: place(), is_negated: true, values: &when.not_values },
        ]
    });
    sources.chain(operations).chain(when).filter(|list| !list.values.is_empty()).collect()
}

fn of_source(source: &Source) -> Vec<List<'_>> {
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
    both(lists, Place::Source)
}

fn of_operation(operation: &Operation) -> Vec<List<'_>> {
    let lists = [
        ("hosts", operation.hosts.as_slice(), operation.not_hosts.as_slice()),
        ("ports", operation.ports.as_slice(), operation.not_ports.as_slice()),
        ("methods", operation.methods.as_slice(), operation.not_methods.as_slice()),
        ("paths", operation.paths.as_slice(), operation.not_paths.as_slice()),
    ];
    both(lists, Place::Operation)
}

fn both<'r, const N: usize>(
    lists: [(&'static str, Values<'r>, Values<'r>); N],
    place: fn(&'static str) -> Place,
) -> Vec<List<'r>> {
    lists
        .into_iter()
        .flat_map(|(name, values, not_values)| {
            [
                List { place: place(name), is_negated: false, values },
                List { place: place(name), is_negated: true, values: not_values },
            ]
        })
        .collect()
}
