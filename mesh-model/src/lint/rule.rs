//! DestinationRules that are void, split, or known to the wrong control plane.
use std::collections::BTreeSet;
use std::sync::Arc;

use super::Subject;
use super::route::targets;
use super::scene::{Rule, Scene, services, some};
use crate::manifest::Diagnostic;
use crate::registry::{MergedRule, place};
use crate::resource::DestinationRule;
use crate::resource::destination_rule::{ClientTlsMode, TrafficPolicy};

pub(super) fn check(scene: &Scene<'_>, found: &mut Vec<Diagnostic>) {
    let routed = routed(scene);
    for rule in &scene.rules {
        found.extend(unknown_host(scene, rule));
        unverified(rule, found);
        empty_subsets(scene, rule, &routed, found);
        found.extend(cluster_local(scene, rule));
    }
    let mut seen = BTreeSet::new();
    for merged in scene.plane.destination_rules.iter().filter(|merged| merged.from.len() > 1) {
        if seen.insert((&merged.host, &merged.from)) {
            split(scene, merged, found);
        }
    }
}

/// `IST0174`: a rule for a host that nobody has.
fn unknown_host(scene: &Scene<'_>, rule: &Rule<'_>) -> Option<Diagnostic> {
    let host = &rule.object.spec.host;
    if !rule.services.is_empty() || host.is_empty() || is_half_qualified(scene, host) {
        return None;
    }
    let message = format!("no service has the host `{host}`: the rule changes nothing");
    let help = "name a service of the mesh; short names are of the rule's own namespace";
    Some(rule.subject.warning("IST0174", "spec.host", (message, help)))
}

fn is_half_qualified(scene: &Scene<'_>, host: &str) -> bool {
    let full = format!("{host}.svc.{}", scene.plane.domain);
    host.matches('.').count() == 1 && scene.plane.services.of_host(&full).next().is_some()
}

/// `IST0128` and `IST0129`: TLS towards servers that anybody could be.
fn unverified(rule: &Rule<'_>, found: &mut Vec<Diagnostic>) {
    let Some(top) = &rule.object.spec.traffic_policy else { return };
    let is_open = |tls: &crate::resource::destination_rule::ClientTlsSettings| {
        matches!(tls.mode, ClientTlsMode::Simple | ClientTlsMode::Mutual)
            && tls.ca_certificates.is_empty()
            && tls.credential_name.is_empty()
            && tls.insecure_skip_verify != Some(true)
    };
    let help = "set caCertificates (`system` for those of the operating system)";
    let message = |mode: ClientTlsMode| {
        format!(
            "TLS mode {} without caCertificates: the server's certificate is not verified",
            mode.as_str()
        )
    };
    if let Some(tls) = top.tls.as_ref().filter(|tls| is_open(tls)) {
        let field = "spec.trafficPolicy.tls";
        found.push(rule.subject.warning("IST0128", field, (message(tls.mode), help)));
    }
    for (index, port) in top.port_level_settings.iter().enumerate() {
        if let Some(tls) = port.tls.as_ref().filter(|tls| is_open(tls)) {
            let field = format!("spec.trafficPolicy.portLevelSettings[{index}].tls");
            found.push(rule.subject.warning("IST0129", &field, (message(tls.mode), help)));
        }
    }
}

/// The hosts and subsets that routes name.
fn routed(scene: &Scene<'_>) -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    for (object, _) in scene.virtual_services() {
        for target in targets(object).iter().map(|target| target.destination) {
            for service in services(scene.plane, &target.host, &object.meta.namespace) {
                found.insert((service.hostname.to_string(), target.subset.to_string()));
            }
        }
    }
    found
}

/// `IST0173`: a subset that selects nothing; of routed ones the route speaks.
fn empty_subsets(
    scene: &Scene<'_>,
    rule: &Rule<'_>,
    routed: &BTreeSet<(String, String)>,
    found: &mut Vec<Diagnostic>,
) {
    for service in &rule.services {
        let endpoints = scene.endpoints(service);
        if endpoints.is_empty() {
            continue;
        }
        for (index, subset) in rule.object.spec.subsets.iter().enumerate() {
            let key = (service.hostname.to_string(), subset.name.to_string());
            let is_alive = endpoints.iter().any(|e| e.workload.labels.contains(&subset.labels));
            if is_alive || routed.contains(&key) {
                continue;
            }
            let message = format!(
                "no endpoint of `{}` has the labels of subset `{}`: a route to it would get 503",
                service.hostname, subset.name
            );
            let field = format!("spec.subsets[{index}].labels");
            let help = "correct the labels, or deploy what they name";
            found.push(rule.subject.error("IST0173", &field, (message, help)));
        }
    }
}

/// `HZ-CLUSTER-LOCAL`: a host that stays in its cluster, with subsets that name other clusters.
fn cluster_local(scene: &Scene<'_>, rule: &Rule<'_>) -> Option<Diagnostic> {
    let service = rule
        .services
        .iter()
        .find(|service| scene.plane.cluster_local.contains(&service.hostname))?;
    let names_cluster = |subset: &crate::resource::destination_rule::Subset| {
        subset.labels.get(place::CLUSTER).is_some()
    };
    let mut subsets = rule.object.spec.subsets.iter().enumerate();
    let (index, subset) = subsets.find(|(_, subset)| names_cluster(subset))?;
    let message = format!(
        "`{}` is cluster-local: clients of other clusters than `{}` have no endpoint in subset `{}`",
        service.hostname,
        subset.labels.value(place::CLUSTER),
        subset.name
    );
    let help = "leave the subsets out, or the host out of `serviceSettings`";
    let field = format!("spec.subsets[{index}].labels.{}", place::CLUSTER);
    Some(rule.subject.warning("HZ-CLUSTER-LOCAL", &field, (message, help)))
}

/// `HZ-DR-SPLIT`, and `HZ-OD-IN-SUBSET-ONLY` where what is dropped was needed.
fn split(scene: &Scene<'_>, merged: &MergedRule, found: &mut Vec<Diagnostic>) {
    let objects: Vec<(&Arc<DestinationRule>, &Subject)> = merged
        .from
        .iter()
        .filter_map(|(namespace, name)| {
            let mut rules = scene.rules.iter();
            rules
                .find(|rule| {
                    rule.object.meta.namespace == *namespace && rule.object.meta.name == *name
                })
                .map(|rule| (rule.object, &rule.subject))
        })
        .collect();
    let names: Vec<String> =
        merged.from.iter().map(|(namespace, name)| format!("{namespace}/{name}")).collect();
    let mut with_policy = objects.iter().filter(|(object, _)| object.spec.traffic_policy.is_some());
    let kept = with_policy.next();
    for (object, subject) in with_policy {
        let Some(dropped) = &object.spec.traffic_policy else { continue };
        let first =
            kept.map(|(object, _)| format!("{}/{}", object.meta.namespace, object.meta.name));
        let message = format!(
            "rules {} are for one host and only the first top-level policy counts, that of `{}`: the \
             one here is dropped",
            some(&names),
            first.unwrap_or_default()
        );
        let help = "merge the rules into one";
        found.push(subject.warning("HZ-DR-SPLIT", "spec.trafficPolicy", (message, help)));
        found.extend(lost_half(merged, dropped, subject));
    }
    if kept.is_some_and(|_| objects.len() > 1) || objects.len() < 2 {
        repeated(&objects, found);
    }
}

/// Subsets that a rule before it names already.
fn repeated(objects: &[(&Arc<DestinationRule>, &Subject)], found: &mut Vec<Diagnostic>) {
    let mut seen = BTreeSet::new();
    for (object, subject) in objects {
        for (index, subset) in object.spec.subsets.iter().enumerate() {
            if !seen.insert(&*subset.name) {
                let message = format!(
                    "an older rule for this host defines subset `{}` too: this one is dropped",
                    subset.name
                );
                let field = format!("spec.subsets[{index}].name");
                let help = "give each subset one definition";
                found.push(subject.warning("HZ-DR-SPLIT", &field, (message, help)));
            }
        }
    }
}

/// `HZ-OD-IN-SUBSET-ONLY`: the half of a pair that was dropped.
fn lost_half(
    merged: &MergedRule,
    dropped: &TrafficPolicy,
    subject: &Subject,
) -> Option<Diagnostic> {
    let has_locality = |policy: &TrafficPolicy| {
        policy.load_balancer.as_ref().is_some_and(|lb| lb.locality_lb_setting.is_some())
    };
    let kept = merged.traffic_policy.iter();
    let of_subsets = merged.subsets.iter().filter_map(|subset| subset.traffic_policy.as_ref());
    let others: Vec<&TrafficPolicy> = kept.chain(of_subsets).collect();
    let detects = others.iter().any(|policy| policy.outlier_detection.is_some());
    let locates = others.iter().any(|policy| has_locality(policy));
    let (lost, left) = if has_locality(dropped) && !locates && detects {
        ("the locality setting", "outlier detection")
    } else if dropped.outlier_detection.is_some() && !detects && locates {
        ("outlier detection", "the locality setting")
    } else {
        return None;
    };
    let message = format!(
        "{lost} is in this rule, whose policy is dropped, and {left} in another: failover needs both in \
         one composed policy"
    );
    let help = "put both into one rule";
    Some(subject.error("HZ-OD-IN-SUBSET-ONLY", "spec.trafficPolicy", (message, help)))
}
