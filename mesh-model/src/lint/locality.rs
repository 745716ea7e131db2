//! Failover by locality that does not happen, or not as meant.
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Subject;
use super::scene::{Policy, Rule, Scene};
use crate::endpoint::Workload;
use crate::manifest::Diagnostic;
use crate::name::{Labels, Locality};
use crate::registry::{Service, Services, TrafficDistribution, place};
use crate::resource::Pod;
use crate::resource::destination_rule::LocalityLbSetting;
use crate::view::has_proxy;

pub(super) fn check(scene: &Scene<'_>, found: &mut Vec<Diagnostic>) {
    for rule in &scene.rules {
        for policy in rule.policies() {
            found.extend(no_outlier_detection(scene, rule, &policy));
            found.extend(missing(scene, rule, &policy));
            found.extend(lost_clients(scene, rule, &policy));
            found.extend(empty_target(scene, rule, &policy));
            found.extend(gateway_labels(scene, rule, &policy));
            found.extend(distribution(rule, &policy));
        }
    }
    found.extend(mesh_without_outlier_detection(scene));
    found.extend(same(scene));
}

fn fails_over(setting: &LocalityLbSetting) -> bool {
    setting.enabled != Some(false)
        && (!setting.failover.is_empty() || !setting.failover_priority.is_empty())
}

/// `HZ-FAILOVER-NO-OD`: failover is asked for, and nothing notices that an endpoint fails.
fn no_outlier_detection(
    scene: &Scene<'_>,
    rule: &Rule<'_>,
    policy: &Policy<'_>,
) -> Option<Diagnostic> {
    let setting = policy.load_balancer?.locality_lb_setting.as_ref()?;
    if !fails_over(setting) || policy.outlier_detection.is_some() {
        return None;
    }
    let field = format!("{}.loadBalancer.localityLbSetting", policy.field);
    let help = "add `outlierDetection` to the same policy";
    let spread = rule.services.iter().find(|service| scene.localities(service).len() > 1);
    Some(match spread {
        Some(service) => {
            let message = format!(
                "without outlier detection all endpoints of `{}` have priority 0: traffic goes to \
                 every locality alike and never fails over",
                service.hostname
            );
            rule.subject.error("HZ-FAILOVER-NO-OD", &field, (message, help))
        }
        None => {
            let message = "without outlier detection this setting does nothing: should the host get \
                           endpoints in several localities, all of them have priority 0";
            rule.subject.warning("HZ-FAILOVER-NO-OD", &field, (message.to_owned(), help))
        }
    })
}

/// The same for the mesh's setting: hosts in several localities whose rules have no outlier detection.
fn mesh_without_outlier_detection(scene: &Scene<'_>) -> Option<Diagnostic> {
    let setting = &scene.plane.config.locality_lb_setting;
    if setting.enabled == Some(false) {
        return None;
    }
    // Where a rule has a setting of its own the mesh's is not in effect.
    let is_own = |policy: &Policy<'_>| {
        policy.load_balancer.is_some_and(|settings| {
            settings.locality_lb_setting.is_some() || settings.zone_aware_lb_setting.is_some()
        })
    };
    let is_guarded = |policy: &Policy<'_>| policy.outlier_detection.is_some() || is_own(policy);
    let guarded: BTreeSet<&str> = scene
        .rules
        .iter()
        .filter(|rule| rule.policies().iter().any(is_guarded))
        .flat_map(|rule| rule.services.iter().map(|service| service.hostname.as_str()))
        .collect();
    let is_bare = |host: &str| !guarded.contains(host);
    let bare: Vec<&str> = scene
        .plane
        .services
        .iter()
        .filter(|service| service.traffic_distribution == TrafficDistribution::Any)
        .filter(|service| is_bare(service.hostname.as_str()))
        .filter(|service| scene.localities(service).len() > 1)
        .map(|service| service.hostname.as_str())
        .collect();
    if bare.is_empty() {
        return None;
    }
    let (have, their) = if bare.len() == 1 { ("has", "its") } else { ("have", "their") };
    let message = format!(
        "locality load balancing is on and no rule gives outlier detection to {}, which {have} \
         endpoints in several localities: {their} traffic goes to every locality alike",
        super::scene::some(&bare)
    );
    let help =
        "give the hosts a DestinationRule with `outlierDetection` where near endpoints are meant";
    let subject = Subject::config(scene.mesh);
    Some(if fails_over(setting) {
        subject.error("HZ-FAILOVER-NO-OD", "localityLbSetting", (message, help))
    } else {
        // The default: the mesh did not ask for it.
        subject.info("HZ-FAILOVER-NO-OD", "localityLbSetting", (message, help))
    })
}

/// `HZ-LOCALITY-MISSING`: some endpoints do not say where they are.
fn missing(scene: &Scene<'_>, rule: &Rule<'_>, policy: &Policy<'_>) -> Option<Diagnostic> {
    policy.outlier_detection?;
    scene.locality_setting(policy)?;
    let lost = |service: &&&Arc<Service>| {
        let localities = scene.localities(service);
        localities.len() > 1 && localities.keys().any(Locality::is_empty)
    };
    let service = rule.services.iter().find(lost)?;
    let total: usize = scene.localities(service).values().sum();
    let count = scene.localities(service).get(&Locality::default()).copied().unwrap_or_default();
    let message = format!(
        "{count} of {total} endpoints of `{}` have no locality: they match only clients without one, so for all \
         others they come last whatever their distance",
        service.hostname
    );
    let help = "label their nodes with topology.kubernetes.io/region and zone, or set `locality`";
    Some(rule.subject.error("HZ-LOCALITY-MISSING", &policy.field, (message, help)))
}

/// `HZ-LOCALITY-MISSING`: the endpoints say where they are, and clients that see them do not. Labels and shares
/// by `*` hold for them all the same.
fn lost_clients(scene: &Scene<'_>, rule: &Rule<'_>, policy: &Policy<'_>) -> Option<Diagnostic> {
    policy.outlier_detection?;
    let setting = scene.locality_setting(policy)?;
    if !setting.failover_priority.is_empty() || !setting.distribute.is_empty() {
        return None;
    }
    let is_spread = |service: &&&Arc<Service>| {
        let localities = scene.localities(service);
        localities.len() > 1 && !localities.keys().any(Locality::is_empty)
    };
    let service = rule.services.iter().find(is_spread)?;
    let default = &scene.plane.default_service_export_to;
    let is_lost = |(pod, workload): &&(&Arc<Pod>, Workload)| {
        workload.place.locality.is_empty()
            && has_proxy(pod) == Some(true)
            && Services::is_visible(service, &pod.meta.namespace, default)
    };
    let mut lost = scene.workloads.iter().filter(is_lost).peekable();
    let (pod, workload) = *lost.peek()?;
    let first = format!("{}/{}/{}", workload.place.cluster, pod.meta.namespace, pod.meta.name);
    let message = format!(
        "{} clients, such as `{first}`, have no locality: to them all endpoints of `{}` are equally far, so they \
         send to every locality alike and prefer none",
        lost.count(),
        service.hostname
    );
    let help = "label their nodes with topology.kubernetes.io/region and zone";
    Some(rule.subject.error("HZ-LOCALITY-MISSING", &policy.field, (message, help)))
}

/// `HZ-FAILOVER-TARGET-EMPTY`: the region that helps out has nothing of the host. Without outlier detection
/// nothing fails over at all, which is another hazard.
fn empty_target(scene: &Scene<'_>, rule: &Rule<'_>, policy: &Policy<'_>) -> Option<Diagnostic> {
    policy.outlier_detection?;
    let setting = policy.load_balancer?.locality_lb_setting.as_ref().filter(|it| fails_over(it))?;
    let service = rule.services.iter().find(|service| !scene.localities(service).is_empty())?;
    let localities = scene.localities(service);
    let (index, entry) = setting
        .failover
        .iter()
        .enumerate()
        .find(|(_, entry)| localities.keys().all(|locality| locality.region() != &*entry.to))?;
    let message = format!(
        "`{}` has no endpoint in region `{}`: failover from `{}` goes to all other regions alike",
        service.hostname, entry.to, entry.from
    );
    let field = format!("{}.loadBalancer.localityLbSetting.failover[{index}].to", policy.field);
    let help = "name a region in which the host has endpoints";
    Some(rule.subject.warning("HZ-FAILOVER-TARGET-EMPTY", &field, (message, help)))
}

/// `HZ-GW-LABELS`: labels that gateways do not have decide the failover.
fn gateway_labels(scene: &Scene<'_>, rule: &Rule<'_>, policy: &Policy<'_>) -> Option<Diagnostic> {
    if !scene.is_multi_network() {
        return None;
    }
    let setting = policy.load_balancer?.locality_lb_setting.as_ref()?;
    let key = |text: &'_ str| text.split('=').next().unwrap_or_default().to_owned();
    let keys = setting.failover_priority.iter().map(|text| key(text));
    let mut lost: Vec<String> = Vec::new();
    for key in keys.filter(|key| *key != place::NETWORK && *key != place::CLUSTER) {
        // A label may be asked for with several values.
        if !lost.contains(&key) {
            lost.push(key);
        }
    }
    if lost.is_empty() {
        return None;
    }
    let message = format!(
        "a gateway stands for the endpoints of another network and has none of their labels {}: all \
         remote endpoints share one class",
        super::scene::some(&lost)
    );
    let help = "use `failover` between regions, whose localities are kept, or the fix of \
                istio/istio#49500";
    let field = format!("{}.loadBalancer.localityLbSetting.failoverPriority", policy.field);
    Some(rule.subject.warning("HZ-GW-LABELS", &field, (message, help)))
}

/// `HZ-TRAFFIC-DISTRIBUTION`: two settings for one host.
fn distribution(rule: &Rule<'_>, policy: &Policy<'_>) -> Option<Diagnostic> {
    policy.load_balancer?.locality_lb_setting.as_ref()?;
    let service = rule
        .services
        .iter()
        .find(|service| service.traffic_distribution != TrafficDistribution::Any)?;
    let message = format!(
        "`{}` asks for {} and this rule sets localities too: the rule wins, and the service's wish \
         counts for nothing",
        service.hostname,
        service.traffic_distribution.as_str()
    );
    let field = format!("{}.loadBalancer.localityLbSetting", policy.field);
    let help = "keep one of the two";
    Some(rule.subject.info("HZ-TRAFFIC-DISTRIBUTION", &field, (message, help)))
}

/// `HZ-LOCALITY-SAME`: clusters that cannot be told apart by region and zone.
fn same(scene: &Scene<'_>) -> Option<Diagnostic> {
    let mut of_cluster: BTreeMap<&str, BTreeSet<(String, String)>> = BTreeMap::new();
    for (_, workload) in &scene.workloads {
        let locality = Locality::parse(&workload.place.locality);
        let zone = (locality.region().to_owned(), locality.zone().to_owned());
        of_cluster.entry(workload.place.cluster.as_str()).or_default().insert(zone);
    }
    let mut zones = of_cluster.values();
    let first = zones.next()?;
    let (region, zone) = first.first()?;
    let is_one = first.len() == 1 && !region.is_empty() && of_cluster.len() > 1;
    if !is_one || zones.any(|other| other != first) {
        return None;
    }
    let clusters: Vec<&str> = of_cluster.keys().copied().collect();
    let message = format!(
        "clusters {} all say that they are in `{region}/{zone}`: endpoints of all of them are equally \
         near, so no cluster is preferred",
        super::scene::some(&clusters)
    );
    let help = "give each cluster's nodes their true region and zone, or a sub-zone of their own";
    let (pod, workload) = scene.workloads.iter().find(|(_, one)| !one.place.locality.is_empty())?;
    let (subject, field) = written(scene, pod, workload)?;
    Some(subject.warning("HZ-LOCALITY-SAME", &field, (message, help)))
}

/// Where the zone of a pod is written: at a label of its own, else at one of its node's.
fn written(scene: &Scene<'_>, pod: &Pod, workload: &Workload) -> Option<(Subject, String)> {
    let (id, store) = scene.clusters().find(|(id, _)| **id == workload.place.cluster)?;
    let field = |labels: &Labels, keys: &[&str]| {
        let key = keys.iter().find(|key| !labels.value(key).is_empty());
        key.map(|key| format!("metadata.labels.{key}"))
    };
    if let Some(field) = field(&pod.meta.labels, &[place::LOCALITY, place::LEGACY_LOCALITY]) {
        return Some((Subject::in_cluster(scene.mesh, id, "Pod", &pod.meta), field));
    }
    let node = store.nodes.get(("", &*pod.spec.node_name))?;
    let keys = [place::ZONE, place::LEGACY_ZONE, place::REGION, place::LEGACY_REGION];
    let field = field(&node.meta.labels, &keys)?;
    Some((Subject::in_cluster(scene.mesh, id, "Node", &node.meta), field))
}
