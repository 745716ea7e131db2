//! Keys that do not stay: the loss of one endpoint moves far more of them than are its own.
//!
//! Consistent hashing promises that only the keys of the endpoint that is lost go elsewhere. Of Envoy's
//! tables that is nearly so; a ring is filled up to its least size with as many entries for each endpoint,
//! and where these are few, one more or less for each moves many keys. What is told here: tables and
//! rings with few entries, and failover: as soon as a priority is less than 100 percent healthy (1.4
//! times its healthy part), some keys of endpoints that are well are sent to the next one.
use std::collections::BTreeMap;

use mesh_model::manifest::Diagnostic;
use mesh_model::resource::destination_rule::{HashKey, LbPolicy, LoadBalancerSettings};
use mesh_model::view::Destination;

use super::Case;
use crate::balancer::{
    Algorithm, Balancer, BalancerPolicy, Host, HostFacts, PickRequest, assigned_health,
};
use crate::health::outlier::OutlierConfig;
use crate::health::status::{HealthFlag, HealthFlags, HealthStatus, HostHealth};
use crate::number::double;
use crate::simulate::{MovedKeys, Seeded, moved_keys};
use crate::whatif::{Failure, Loss, Outcome, Scenario};

pub(super) const CODE: &str = "HZ-HASH-UNSTABLE";
/// As many keys as are tried.
const KEYS: u32 = 2_000;
/// Any: the same mesh gives the same figures.
const SEED: u64 = 1;
/// So many times what an endpoint gets by its weight, and so many percent of all keys more than that,
/// its removal may move.
const TIMES_ITS_SHARE: f64 = 3.0;
const MORE_THAN_ITS_SHARE: f64 = 8.0;
/// So many percent of all keys its ejection may move beyond its own.
const MORE_THAN_BY_REMOVAL: f64 = 10.0;
/// Tables and rings with more entries an endpoint are not played: one entry more for each moves less than
/// [`MORE_THAN_ITS_SHARE`].
const FEW_ENTRIES: u64 = 12;

/// `HZ-HASH-UNSTABLE`: the keys of one endpoint are not all that its loss moves.
pub(super) fn check(case: &Case<'_, '_>) -> Option<Diagnostic> {
    let policy = BalancerPolicy::of(case.view, case.destination);
    let (entries, is_ring) = match policy.algorithm {
        Algorithm::RingHash { config, .. } => (config.minimum(), true),
        Algorithm::Maglev { size, .. } => (u64::from(size.get()), false),
        Algorithm::RoundRobin
        | Algorithm::ClientSide(_)
        | Algorithm::LeastRequest { .. }
        | Algorithm::Random
        | Algorithm::RandomByWeight
        | Algorithm::Passthrough => return None,
    };
    if !has_keys(case.destination) {
        return None;
    }
    let now = Outcome::now(case.view, case.destination);
    let first = now.shares.hosts().first()?;
    let of_each = entries / u64::from(first.total.max(1));
    let (few, fails_over) = (of_each <= FEW_ENTRIES, fails_over(case.destination, &now));
    if !few && !fails_over {
        return None;
    }
    if few && is_ring {
        return Some(case.few_on_ring(first.total, of_each.max(1)));
    }
    let before = Balancer::new(&now.assignment, &policy);
    let lost = busiest(&before)?;
    let share = share_by_weight(&now, lost);
    if few {
        let removal = moved_keys(&before, &case.removed(lost, &policy), KEYS, SEED);
        if removal.percent() >= (share * TIMES_ITS_SHARE).max(share + MORE_THAN_ITS_SHARE) {
            return Some(case.unstable("is gone", (&removal, share), (lost, &before), MORE_ROOM));
        }
    }
    if !fails_over {
        return None;
    }
    let ejection = moved_keys(&before, &ejected(&now, lost, &policy), KEYS, SEED);
    if ejection.percent() < share + MORE_THAN_BY_REMOVAL {
        return None;
    }
    let help = "keep more endpoints in the first priority, so that it stays at 72% of health without one \
                of them, or let this service fail over nowhere (`localityLbSetting.enabled: false`)";
    Some(case.unstable("is ejected as an outlier", (&ejection, share), (lost, &before), help))
}

/// What helps against too few entries.
const MORE_ROOM: &str = "give the table or ring more room: `maglev.tableSize` (a prime number) or \
                         `ringHash.minimumRingSize` of at least a hundred entries an endpoint";

/// Whether what is sent has keys: of connections that are not read as HTTP only the client's address is one.
fn has_keys(destination: &Destination<'_>) -> bool {
    let policy = destination.cluster_policy.as_deref();
    let settings = policy.and_then(|policy| policy.load_balancer.as_ref());
    let hash = match settings.and_then(|settings| settings.policy.as_ref()) {
        Some(LbPolicy::ConsistentHash(hash)) => hash,
        Some(LbPolicy::Simple(_) | LbPolicy::BackendUtilization(_)) | None => return false,
    };
    let is_address = matches!(hash.key, Some(HashKey::UseSourceIp(true)));
    // What is not declared is HTTP if it looks like it.
    let protocol = destination.port.protocol;
    is_address || !protocol.is_tcp()
}

/// Whether the ejection of one host sends a part of what the first priority gets to the next one: it may
/// be ejected at all, and without it 1.4 times the healthy part is less than all.
fn fails_over(destination: &Destination<'_>, now: &Outcome) -> bool {
    let policy = destination.cluster_policy.as_ref();
    let detection = policy.and_then(|policy| policy.outlier_detection.as_ref());
    let [first, _, ..] = now.shares.hosts() else { return false };
    let hosts: u32 = now.shares.hosts().iter().map(|level| level.total).sum();
    let can_eject = detection.map(OutlierConfig::of).is_some_and(|config| {
        // Answers of 5xx count as such, whatever failures to connect count as.
        let config = OutlierConfig { split_external_local_origin_errors: false, ..config };
        let hosts = usize::try_from(hosts).unwrap_or(usize::MAX);
        config.ejects_unreachable() && config.ejectable(1, hosts) > 0
    });
    let usable = u64::from(first.total.saturating_sub(first.excluded));
    let left = u64::from(first.healthy.saturating_sub(1));
    can_eject && left * u64::from(first.overprovisioning.get()) < usable * 100
}

/// The host of the first priority that most keys go to. A gateway is none: what is lost behind it is
/// not seen by keys.
fn busiest(balancer: &Balancer) -> Option<&Host> {
    let mut random = Seeded::new(SEED);
    let mut keys: BTreeMap<&str, (u32, &Host)> = BTreeMap::new();
    for _ in 0..KEYS {
        let request = PickRequest { hash: Some(random.draw()), ..PickRequest::default() };
        let Some(pick) = balancer.pick(&request, || 0) else { continue };
        if pick.choice.priority == 0 && ["direct", "tunnel"].contains(&pick.host.via()) {
            keys.entry(pick.host.address()).or_insert((0, pick.host)).0 += 1;
        }
    }
    keys.into_values().max_by_key(|(keys, _)| *keys).map(|(_, host)| host)
}

/// What a host gets by its weight, in percent of all keys.
fn share_by_weight(outcome: &Outcome, host: &Host) -> f64 {
    let endpoints = outcome.assignment.endpoints().zip(outcome.shares.endpoints());
    let own = endpoints.filter(|(endpoint, _)| *Host::address_of(*endpoint) == *host.address());
    own.map(|(_, share)| share).sum()
}

/// The balancer when outlier detection has ejected one host.
fn ejected(outcome: &Outcome, lost: &Host, policy: &BalancerPolicy) -> Balancer {
    let flags = HealthFlags::of(&[HealthFlag::FailedOutlierCheck]);
    Balancer::with_health(&outcome.assignment, policy, 0, |endpoint| {
        let is_lost = *Host::address_of(endpoint) == *lost.address();
        let health = assigned_health(endpoint);
        HostFacts::from(if is_lost {
            HostHealth::new(HealthStatus::Healthy, flags)
        } else {
            health
        })
    })
}

impl Case<'_, '_> {
    /// The balancer when one endpoint is removed.
    fn removed(&self, lost: &Host, policy: &BalancerPolicy) -> Balancer {
        let failures = vec![Failure::Endpoint(lost.address().into())];
        let after = Scenario { failures, loss: Loss::Removed }.outcome(self.view, self.destination);
        Balancer::new(&after.assignment, policy)
    }

    fn few_on_ring(&self, endpoints: u32, of_each: u64) -> Diagnostic {
        let moved = 100.0 / (double(of_each) + 1.0);
        let message = format!(
            "each of {endpoints} endpoints of `{}` has {of_each} entries on the ring: as soon as so many come \
             or go that it is one more or less for each, some {moved:.1}% of the keys of clients like {} go \
             to other endpoints, although their own are well",
            self.destination.service.hostname,
            self.client(),
        );
        self.told((message, MORE_ROOM))
    }

    fn unstable(
        &self,
        what: &str,
        (moved, share): (&MovedKeys, f64),
        (lost, before): (&Host, &Balancer),
        help: &str,
    ) -> Diagnostic {
        let needlessly = MovedKeys { moved: moved.needlessly, ..*moved }.percent();
        let message = format!(
            "when one of {} endpoints of `{}` {what} (`{}`, which gets {share:.1}% by its weight), \
             {:.1}% of the keys of clients like {} go to other endpoints, {needlessly:.1}% although \
             their own is well",
            before.hosts().count(),
            self.destination.service.hostname,
            lost.address(),
            moved.percent(),
            self.client(),
        );
        self.told((message, help))
    }

    /// A finding at the rule that asks for keys; at the service where the rule has it from another one.
    fn told(&self, texts: (String, &str)) -> Diagnostic {
        let is_hashed =
            |of: &LoadBalancerSettings| matches!(of.policy, Some(LbPolicy::ConsistentHash(_)));
        let (subject, field) = match self.balancer(is_hashed) {
            Some((subject, path)) => (subject, format!("{path}.consistentHash")),
            None => (self.subject(), self.port_field()),
        };
        subject.warning(CODE, &field, texts)
    }
}
