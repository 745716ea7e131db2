//! Keys that do not stay: the loss of one endpoint moves far more of them than are its own.
//!
//! Consistent hashing promises that only the keys of the endpoint that is lost go elsewhere. Of Envoy's
//! tables that is nearly so; a ring moves about as many again, since it is filled up to its least size:
//! of eight endpoints with 128 entries each the seven that are left get 147. What is told here is worse
//! than that: a table or ring with so few entries that they are shared out by chance, and failover: as
//! soon as a priority is less than 100 percent healthy (1.4 times its healthy part), some keys of
//! endpoints that are well are sent to the next one.
use std::collections::BTreeMap;

use mesh_model::manifest::Diagnostic;

use super::Case;
use crate::balancer::{Balancer, BalancerPolicy, Host, HostFacts, PickRequest, assigned_health};
use crate::health::status::{HealthFlag, HealthFlags, HealthStatus, HostHealth};
use crate::simulate::{MovedKeys, Seeded, moved_keys};
use crate::whatif::{Failure, Loss, Outcome, Scenario};

/// As many keys as are tried.
const KEYS: u32 = 2_000;
/// Any: the same mesh gives the same figures.
const SEED: u64 = 1;
/// So many times what an endpoint gets by its weight, and so many percent of all keys more than that,
/// its removal may move. A ring needs twice as much.
const TIMES_ITS_SHARE: f64 = 3.0;
const MORE_THAN_ITS_SHARE: f64 = 8.0;
/// So many percent of all keys its ejection may move beyond that.
const MORE_THAN_BY_REMOVAL: f64 = 10.0;

/// `HZ-HASH-UNSTABLE`: the keys of one endpoint are not all that its loss moves.
pub(super) fn check(case: &Case<'_, '_>) -> Option<Diagnostic> {
    let policy = BalancerPolicy::of(case.view, case.destination);
    if !policy.algorithm.is_consistent() {
        return None;
    }
    let now = Outcome::now(case.view, case.destination);
    let before = Balancer::new(&now.assignment, &policy);
    let lost = busiest(&before)?;
    let share = share_by_weight(&now, lost);
    let removal = moved_keys(&before, &case.removed(lost, &policy), KEYS, SEED);
    if removal.percent() >= (share * TIMES_ITS_SHARE).max(share + MORE_THAN_ITS_SHARE) {
        let help = "give the table or ring more room: `maglev.tableSize` (a prime number) or \
                    `ringHash.minimumRingSize` of at least a hundred entries an endpoint";
        return Some(case.unstable("is gone", (&removal, share), (lost, &before), help));
    }
    let of_cluster = case.destination.cluster_policy.as_ref();
    of_cluster.and_then(|policy| policy.outlier_detection.as_ref())?;
    let ejection = moved_keys(&before, &ejected(&now, lost, &policy), KEYS, SEED);
    if ejection.percent() < removal.percent() + MORE_THAN_BY_REMOVAL {
        return None;
    }
    let help = "keep more endpoints in the first priority, so that it stays at 72% of health without one \
                of them, or let this service fail over nowhere (`localityLbSetting.enabled: false`)";
    Some(case.unstable("is ejected as an outlier", (&ejection, share), (lost, &before), help))
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
        self.subject().warning("HZ-HASH-UNSTABLE", "", (message, help))
    }
}
