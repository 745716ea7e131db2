//! Outlier detection that cannot eject, ejects too much, or lets back too late.
use std::collections::BTreeMap;

use super::scene::{Policy, Rule, Scene, max_ejection_percent};
use crate::endpoint::Endpoint;
use crate::manifest::Diagnostic;
use crate::name::{Duration, Locality, NetworkId};
use crate::registry::Service;
use crate::resource::destination_rule::OutlierDetection;

pub(super) fn check(scene: &Scene<'_>, found: &mut Vec<Diagnostic>) {
    for rule in &scene.rules {
        for policy in rule.policies() {
            let Some(outlier) = policy.outlier_detection else { continue };
            if policy.is_passthrough() {
                continue;
            }
            found.extend(slow_return(rule, &policy, outlier));
            for service in &rule.services {
                let endpoints = policy.selected(&scene.endpoints(service));
                let case = Case { scene, rule, policy: &policy, outlier, service, endpoints };
                found.extend(case.cannot_eject().or_else(|| case.cap_below_domain()));
                found.extend(case.single_address());
                found.extend(case.panic());
            }
        }
    }
}

/// One policy with outlier detection, for one of its services.
struct Case<'s, 'm> {
    scene: &'s Scene<'m>,
    rule: &'s Rule<'m>,
    policy: &'s Policy<'m>,
    outlier: &'m OutlierDetection,
    service: &'s Service,
    endpoints: Vec<&'m Endpoint>,
}

impl Case<'_, '_> {
    fn field(&self, name: &str) -> String {
        format!("{}.outlierDetection{name}", self.policy.field)
    }

    /// The greatest number of hosts that a client has, over the networks of clients.
    fn most_hosts(&self) -> usize {
        let clients = self.scene.networks.iter();
        clients.map(|client| self.scene.hosts(&self.endpoints, client)).max().unwrap_or_default()
    }

    /// `HZ-OD-CANNOT-EJECT`: one host is already more than may be ejected.
    fn cannot_eject(&self) -> Option<Diagnostic> {
        let hosts = self.most_hosts();
        let cap = max_ejection_percent(self.outlier);
        if hosts == 0 || exceeds(1, hosts, cap) != Some(true) {
            return None;
        }
        let message = format!(
            "`{}` has {hosts} hosts at most, and one of them is more than maxEjectionPercent {cap}: \
             Envoy ejects none of them, so passive checks never move traffic away",
            self.service.hostname
        );
        let help = "raise maxEjectionPercent above 100 divided by the number of hosts, or to 100";
        let field = self.field(".maxEjectionPercent");
        Some(self.rule.subject.error("HZ-OD-CANNOT-EJECT", &field, (message, help)))
    }

    /// `HZ-OD-CAP-BELOW-DOMAIN`: a whole zone is more than may be ejected.
    fn cap_below_domain(&self) -> Option<Diagnostic> {
        let mut zones: BTreeMap<(String, String), usize> = BTreeMap::new();
        for endpoint in &self.endpoints {
            let locality = Locality::parse(&endpoint.workload.place.locality);
            let zone = (locality.region().to_owned(), locality.zone().to_owned());
            *zones.entry(zone).or_default() += 1;
        }
        let ((region, zone), count) = zones.iter().max_by_key(|(_, count)| **count)?;
        let (total, cap) = (self.endpoints.len(), max_ejection_percent(self.outlier));
        if zones.len() < 2 || exceeds(*count, total, cap) != Some(true) {
            return None;
        }
        let message = format!(
            "{count} of {total} endpoints of `{}` are in `{region}/{zone}`, more than \
             maxEjectionPercent {cap}: if that zone fails, part of it keeps receiving traffic",
            self.service.hostname
        );
        let help = "raise maxEjectionPercent above the share of the largest zone, or to 100";
        let field = self.field(".maxEjectionPercent");
        Some(self.rule.subject.warning("HZ-OD-CAP-BELOW-DOMAIN", &field, (message, help)))
    }

    /// `HZ-SINGLE-EW-ADDRESS`: a network stands behind one address that may be ejected.
    fn single_address(&self) -> Option<Diagnostic> {
        let gateways = &self.scene.plane.gateways;
        let lone = |network: &&NetworkId| {
            let of_network = gateways.of_network(network);
            let is_used = self.endpoints.iter().any(|e| e.workload.place.network == **network);
            is_used && of_network.len() == 1
        };
        let network = self.scene.networks.iter().find(lone)?;
        let mut clients = self.scene.networks.iter().filter(|client| *client != network);
        let cap = max_ejection_percent(self.outlier);
        let client = clients.find(|client| {
            let hosts = self.scene.hosts(&self.endpoints, client);
            exceeds(1, hosts, cap) == Some(false)
        })?;
        let address =
            gateways.of_network(network).first().map(|gateway| gateway.address.to_string());
        let message = format!(
            "clients in network `{client}` reach all endpoints of `{}` in network `{network}` by one \
             address, {}: a few failures behind it eject the whole network",
            self.service.hostname,
            address.unwrap_or_default()
        );
        let help = "give the gateway several addresses, raise the thresholds or lower \
                    maxEjectionPercent";
        Some(self.rule.subject.error("HZ-SINGLE-EW-ADDRESS", &self.field(""), (message, help)))
    }

    /// `HZ-PANIC`: a level that loses health sends to its unhealthy hosts instead of failing over.
    fn panic(&self) -> Option<Diagnostic> {
        let percent = self.outlier.min_health_percent;
        let localities = self.scene.localities(self.service).len();
        self.scene.locality_setting(self.policy)?;
        if percent <= 0 || localities < 2 {
            return None;
        }
        let message = format!(
            "minHealthPercent {percent} for `{}`, which fails over between {localities} localities: \
             below {percent} percent healthy hosts requests also go to those that have failed",
            self.service.hostname
        );
        let help = "leave minHealthPercent out where failover is meant";
        let field = self.field(".minHealthPercent");
        Some(self.rule.subject.warning("HZ-PANIC", &field, (message, help)))
    }
}

/// `HZ-OD-SLOW-RETURN`: an ejected host is away for minutes.
fn slow_return(
    rule: &Rule<'_>,
    policy: &Policy<'_>,
    outlier: &OutlierDetection,
) -> Option<Diagnostic> {
    let base = outlier.base_ejection_time.map_or(30, Duration::as_secs);
    let interval = outlier.interval.map_or(10, Duration::as_secs);
    if base < 120 && interval < 60 {
        return None;
    }
    let message = format!(
        "an ejected host returns only when the interval of {interval} s ends after its ejection of \
         {base} s: it is away for {base} to {} s at first, and longer each time",
        base.saturating_add(interval)
    );
    let help = "lower baseEjectionTime and interval unless long absences are meant";
    let slow = if base < 120 { "interval" } else { "baseEjectionTime" };
    let field = format!("{}.outlierDetection.{slow}", policy.field);
    Some(rule.subject.info("HZ-OD-SLOW-RETURN", &field, (message, help)))
}

/// Whether a part of hosts is more than a percentage of them; `None` without hosts.
fn exceeds(part: usize, hosts: usize, percent: i32) -> Option<bool> {
    let percent = usize::try_from(percent.clamp(0, 100)).unwrap_or_default();
    (hosts > 0).then(|| part.saturating_mul(100) > percent.saturating_mul(hosts))
}
