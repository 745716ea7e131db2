//! Which inspectors an inbound listener needs, and on which ports they are off.
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/networking/core/listener_inbound.go` `populateListenerFilters`,
//! `buildTLSInspector`, `buildHTTPInspector`.
use std::collections::BTreeMap;

use mesh_envoy_proto::envoy::config::listener::v3::listener_filter_chain_match_predicate::{
    MatchSet, Rule,
};
use mesh_envoy_proto::envoy::config::listener::v3::{
    FilterChain, ListenerFilter, ListenerFilterChainMatchPredicate as Predicate,
};
use mesh_envoy_proto::envoy::r#type::v3::Int32Range;

use super::chain::PLAINTEXT_HTTP;
use super::filters::{http_inspector, tls_inspector};

/// What the chains of one port need.
#[derive(Clone, Copy, Debug, Default)]
struct Needs {
    tls: bool,
    http: bool,
}

/// The inspectors that chains need, TLS before HTTP.
pub(super) fn inspectors(chains: &[FilterChain]) -> Vec<ListenerFilter> {
    let mut groups: BTreeMap<u32, Needs> = BTreeMap::new();
    for chain in chains {
        let found = chain.filter_chain_match.as_ref();
        let port = found.and_then(|found| found.destination_port).unwrap_or(0);
        let needs = groups.entry(port).or_default();
        let Some(found) = found else { continue };
        needs.tls |= found.transport_protocol == "tls";
        let mut names = found.application_protocols.iter();
        needs.http |= names.any(|name| PLAINTEXT_HTTP.contains(&name.as_str()));
    }
    let ports = |keep: &dyn Fn(&Needs) -> bool| -> Vec<u32> {
        groups.iter().filter(|(_, needs)| keep(needs)).map(|(port, _)| *port).collect()
    };
    let mut filters = Vec::new();
    let with_tls = ports(&|needs| needs.tls);
    if !with_tls.is_empty() {
        let filter_disabled = if with_tls.contains(&0) {
            any_of(&ports(&|needs| !needs.tls))
        } else {
            any_of(&with_tls).map(not)
        };
        filters.push(ListenerFilter { filter_disabled, ..tls_inspector() });
    }
    if groups.values().any(|needs| needs.http) {
        let filter_disabled = any_of(&ports(&|needs| !needs.http));
        filters.push(ListenerFilter { filter_disabled, ..http_inspector() });
    }
    filters
}

fn not(predicate: Predicate) -> Predicate {
    Predicate { rule: Some(Rule::NotMatch(Box::new(predicate))) }
}

/// Any of several ports; `None` for none.
fn any_of(ports: &[u32]) -> Option<Predicate> {
    let mut rules: Vec<Predicate> = ports.iter().map(|port| one(*port)).collect();
    match (rules.len(), rules.pop()) {
        (_, None) => None,
        (1, Some(only)) => Some(only),
        (_, Some(last)) => {
            rules.push(last);
            Some(Predicate { rule: Some(Rule::OrMatch(MatchSet { rules })) })
        }
    }
}

fn one(port: u32) -> Predicate {
    let start = i32::try_from(port).unwrap_or(i32::MAX);
    let range = Int32Range { start, end: start.saturating_add(1) };
    Predicate { rule: Some(Rule::DestinationPortRange(range)) }
}
