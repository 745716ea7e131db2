//! Policies in force: who may call whom, who must show an identity, which tokens are asked for.
use std::collections::BTreeMap;
use std::sync::Arc;

use mesh_model::name::{Labels, Namespace};
use mesh_model::registry::{ControlPlane, Mesh};
use mesh_model::resource::{AuthorizationPolicy, MutualTlsMode, WorkloadSelector};
use mesh_model::view::Proxy;

use super::html::{Cell, Page};

pub(super) fn section(page: &mut Page, mesh: &Mesh) {
    // Workloads, be there a proxy beside them or not.
    let all = mesh.proxies().filter_map(|reference| mesh.proxy(&reference).ok());
    let proxies: Vec<Proxy> = all.collect();
    page.section(
        "policies",
        "Policies in force",
        "What is said about who may call whom, and for how many workloads it holds.",
    );
    let planes: Vec<&Arc<ControlPlane>> = mesh.control_planes().collect();
    for plane in &planes {
        if planes.len() > 1 {
            page.heading(&format!("Control plane of {}", plane.id));
        }
        let own = |proxy: &&Proxy| {
            mesh.control_plane_of(proxy.cluster.as_str()).is_some_and(|other| other.id == plane.id)
        };
        let served: Vec<&Proxy> = proxies.iter().filter(own).collect();
        authorization(page, plane, &served);
        mutual_tls(page, plane, &served);
        tokens(page, plane, &served);
        traffic(page, plane);
    }
}

/// How many workloads a policy is for.
fn reach(
    plane: &ControlPlane,
    namespace: &Namespace,
    selector: Option<&WorkloadSelector>,
    proxies: &[&Proxy],
) -> usize {
    let is_root = *namespace.as_str() == *plane.config.root_namespace;
    let all = Labels::default();
    let labels = selector.map_or(&all, |selector| &selector.match_labels);
    let is_meant = |proxy: &&&Proxy| {
        (is_root || proxy.namespace == *namespace) && proxy.labels.contains(labels)
    };
    proxies.iter().filter(is_meant).count()
}

/// Whom a selector means, in words.
fn meant(namespace: &Namespace, selector: Option<&WorkloadSelector>, root: &str) -> String {
    let labels = selector.map(|selector| &selector.match_labels).filter(|l| !l.is_empty());
    let place = if namespace.as_str() == root {
        "every namespace".to_owned()
    } else {
        namespace.to_string()
    };
    match labels {
        None => format!("all of {place}"),
        Some(labels) => {
            let pairs: Vec<String> = labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
            format!("{} in {place}", pairs.join(", "))
        }
    }
}

fn authorization(page: &mut Page, plane: &ControlPlane, proxies: &[&Proxy]) {
    page.heading("Authorization");
    let root = &plane.config.root_namespace;
    let rows = plane.authorization_policies.iter().map(|policy| {
        let spec = &policy.spec;
        let (namespace, selector) = (&policy.meta.namespace, spec.selector.as_ref());
        let targets = spec.target_refs.iter().chain(spec.target_ref.iter());
        let targets: Vec<String> =
            targets.map(|target| format!("{} {}", target.kind, target.name)).collect();
        let (whom, count) = match targets.as_slice() {
            [] => {
                let count = reach(plane, namespace, selector, proxies).to_string();
                (meant(namespace, selector, root), count)
            }
            targets => (targets.join(", "), "–".to_owned()),
        };
        vec![
            Cell::key(&format!("{namespace}/{}", policy.meta.name)),
            Cell::tag("", spec.action.as_str()),
            Cell::text(&whom),
            Cell::number(&count),
            Cell::prose(&rules(policy)),
        ]
    });
    let rows: Vec<Vec<Cell>> = rows.collect();
    if rows.is_empty() {
        page.nothing("No AuthorizationPolicy: every request is allowed.");
        return;
    }
    page.card(|page| page.table(&["policy", "action", "for", "workloads", "rules"], &rows));
}

/// The rules, a phrase each.
fn rules(policy: &AuthorizationPolicy) -> String {
    let rules = &policy.spec.rules;
    if rules.is_empty() {
        return "none: nothing matches".to_owned();
    }
    let phrase = |rule: &mesh_model::resource::Rule| {
        let sources = rule.from.iter().filter_map(|from| from.source.as_ref());
        let who: Vec<String> = sources
            .flat_map(|s| {
                let is = [
                    &s.principals,
                    &s.namespaces,
                    &s.service_accounts,
                    &s.trust_domains,
                    &s.ip_blocks,
                    &s.remote_ip_blocks,
                    &s.request_principals,
                ];
                let is_not = [
                    &s.not_principals,
                    &s.not_namespaces,
                    &s.not_service_accounts,
                    &s.not_trust_domains,
                    &s.not_ip_blocks,
                    &s.not_remote_ip_blocks,
                    &s.not_request_principals,
                ];
                named(&is, &is_not)
            })
            .collect();
        let operations = rule.to.iter().filter_map(|to| to.operation.as_ref());
        let what: Vec<String> = operations
            .flat_map(|o| {
                let is = [&o.methods, &o.paths, &o.hosts, &o.ports];
                let is_not = [&o.not_methods, &o.not_paths, &o.not_hosts, &o.not_ports];
                named(&is, &is_not)
            })
            .collect();
        let when: Vec<String> =
            rule.when.iter().map(|condition| condition.key.to_string()).collect();
        let parts = [("from ", who), ("to ", what), ("when ", when)];
        let given = parts.into_iter().filter(|(_, list)| !list.is_empty());
        let parts: Vec<String> =
            given.map(|(word, list)| format!("{word}{}", some(&list))).collect();
        if parts.is_empty() { "every request".to_owned() } else { parts.join(" ") }
    };
    rules.iter().map(phrase).collect::<Vec<_>>().join("; ")
}

/// What is listed, and what is excepted.
fn named(is: &[&Vec<Box<str>>], is_not: &[&Vec<Box<str>>]) -> Vec<String> {
    let listed = is.iter().flat_map(|list| list.iter()).map(ToString::to_string);
    let excepted = is_not.iter().flat_map(|list| list.iter()).map(|text| format!("not {text}"));
    listed.chain(excepted).collect()
}

/// The first few of many.
fn some(items: &[String]) -> String {
    const SHOWN: usize = 3;
    let shown: Vec<&str> = items.iter().take(SHOWN).map(String::as_str).collect();
    let more = items.len().saturating_sub(SHOWN);
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    format!("{}{more}", shown.join(", "))
}

fn mutual_tls(page: &mut Page, plane: &ControlPlane, proxies: &[&Proxy]) {
    page.heading("Mutual TLS");
    let mut modes: BTreeMap<(String, &'static str, bool), usize> = BTreeMap::new();
    for proxy in proxies {
        let mode = plane.peer_authentications.server_mode(&proxy.namespace, &proxy.labels);
        let key = (proxy.namespace.to_string(), mode.mode.as_str(), !mode.ports.is_empty());
        *modes.entry(key).or_default() += 1;
    }
    let rows = modes.into_iter().map(|((namespace, mode, has_ports), count)| {
        let is_open = mode != MutualTlsMode::Strict.as_str();
        let note = match (is_open, has_ports) {
            (true, false) => "plain text is accepted: such callers have no identity",
            (true, true) => "plain text is accepted, but some ports differ",
            (false, true) => "some ports differ",
            (false, false) => "callers show a certificate",
        };
        vec![
            Cell::name(&namespace),
            Cell::tag(if is_open { "warning" } else { "" }, mode),
            Cell::number(&count.to_string()),
            Cell::prose(note),
        ]
    });
    let rows: Vec<Vec<Cell>> = rows.collect();
    if rows.is_empty() {
        page.nothing("No workload.");
        return;
    }
    page.card(|page| page.table(&["namespace", "mode", "workloads", "what it means"], &rows));
}

fn tokens(page: &mut Page, plane: &ControlPlane, proxies: &[&Proxy]) {
    let root = &plane.config.root_namespace;
    let rows = plane.request_authentications.iter().map(|policy| {
        let (namespace, selector) = (&policy.meta.namespace, policy.spec.selector.as_ref());
        let issuers: Vec<String> =
            policy.spec.jwt_rules.iter().map(|rule| rule.issuer.to_string()).collect();
        vec![
            Cell::key(&format!("{namespace}/{}", policy.meta.name)),
            Cell::text(&meant(namespace, selector, root)),
            Cell::number(&reach(plane, namespace, selector, proxies).to_string()),
            Cell::prose(&some(&issuers)),
        ]
    });
    let rows: Vec<Vec<Cell>> = rows.collect();
    if !rows.is_empty() {
        page.heading("Tokens that are verified");
        page.card(|page| page.table(&["policy", "for", "workloads", "issuers"], &rows));
    }
}

/// The rules of traffic.
fn traffic(page: &mut Page, plane: &ControlPlane) {
    let rows = plane.destination_rules.iter().map(|rule| {
        let policy = rule.traffic_policy.as_ref();
        let settings = policy.and_then(|policy| policy.load_balancer.as_ref());
        let locality = settings.and_then(|settings| settings.locality_lb_setting.as_ref());
        let mut says = Vec::new();
        if policy.is_some_and(|policy| policy.outlier_detection.is_some()) {
            says.push("outlier detection".to_owned());
        }
        if let Some(setting) = locality {
            let counts = [
                ("distribute", setting.distribute.len()),
                ("failover", setting.failover.len()),
                ("failoverPriority", setting.failover_priority.len()),
            ];
            let given = counts.iter().filter(|(_, count)| *count > 0);
            says.extend(given.map(|(name, count)| format!("{name} ({count})")));
        }
        let subsets: Vec<String> = rule.subsets.iter().map(|s| s.name.to_string()).collect();
        if !subsets.is_empty() {
            says.push(format!("subsets {}", some(&subsets)));
        }
        let from: Vec<String> = rule.from.iter().map(|(ns, name)| format!("{ns}/{name}")).collect();
        let says = if says.is_empty() { "other settings".to_owned() } else { says.join(", ") };
        vec![Cell::key(rule.host.as_str()), Cell::prose(&says), Cell::code(&from.join(", "))]
    });
    let rows: Vec<Vec<Cell>> = rows.collect();
    if !rows.is_empty() {
        page.heading("Rules for destinations");
        page.card(|page| page.table(&["host", "says", "from"], &rows));
    }
}
