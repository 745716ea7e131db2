//! Picks that are made again: while a host is rejected, and for a request that has failed elsewhere.
use super::{Balancer, Choice, Host, Pick, PickRequest};
use crate::load::choose_priority;
use crate::retry::previous_priorities::PreviousPriorities;

impl Balancer {
    /// Picks again, up to `retries` times more, while `rejects` says no; the last pick stands even if
    /// it is rejected. A pick without host ends at once.
    ///
    /// # Upstream
    ///
    /// Envoy `source/extensions/load_balancing_policies/common/load_balancer_impl.cc`,
    /// `ZoneAwareLoadBalancerBase::chooseHost`; `thread_aware_lb_impl.cc` there,
    /// `ThreadAwareLoadBalancerBase::LoadBalancerImpl::chooseHost`, draws once for all attempts.
    pub fn pick_unless<'b>(
        &'b self,
        request: &PickRequest,
        retries: u32,
        mut random: impl FnMut() -> u64,
        rejects: impl FnMut(&Host) -> bool,
    ) -> Option<Pick<'b>> {
        // Ring and table move on from where the request began, even if that was drawn.
        let hash = match request.hash {
            None if self.policy.algorithm.is_consistent() => Some(random()),
            known => known,
        };
        let request = PickRequest { hash, ..*request };
        let pick = |attempt| self.pick(&PickRequest { attempt, ..request }, &mut random);
        accepted(request.attempt, retries, pick, rejects)
    }

    /// Picks for a retry of a request, by the loads that its earlier attempts leave: `previous` is to
    /// be [told](PreviousPriorities::attempt) of each of them. As [`Balancer::pick_unless`] otherwise;
    /// with no `retries` nothing is rejected.
    ///
    /// Ring hash and Maglev do not look at earlier attempts, as upstream's do not: there a request
    /// stays in the priority that its hash says. Whether a priority is in panic is the balancer's own
    /// state. Loads are asked for anew at each pick: where all priorities have been tried, so that they
    /// are forgotten, a host that is then rejected is followed by one of the original loads.
    ///
    /// # Examples
    ///
    /// ```
    /// use mesh_lb::assign::{Assignment, Input};
    /// use mesh_lb::retry::previous_priorities::{PreviousPriorities, UpdateFrequency};
    /// use mesh_lb::{Balancer, BalancerPolicy, PickRequest};
    /// # use mesh_model::resource::destination_rule::LocalityLbSetting;
    /// # use mesh_model::{Compat, endpoint::Gateways};
    /// # use mesh_testkit::by_hand;
    /// # let (proxy, service) = (by_hand::proxy("c1", "eu/west/a"), by_hand::service("cart.shop"));
    /// # let shards = by_hand::shards([("10.0.0.1", "eu/west/a"), ("10.0.1.1", "us/east/b")].map(
    /// #     |(address, place)| by_hand::endpoint(address, "c1", place),
    /// # ));
    /// # let (compat, gateways) = (Compat::default(), Gateways::default());
    /// # let port = service.port(80).unwrap();
    /// # let setting = LocalityLbSetting { enabled: Some(true), ..LocalityLbSetting::default() };
    /// # let mut input = Input::new(&proxy, &compat, (&service, port), &shards, &gateways);
    /// # (input.mesh_locality, input.has_outlier_detection) = (Some(&setting), true);
    /// # let assignment = Assignment::compute(&input);
    ///
    /// let balancer = Balancer::new(&assignment, &BalancerPolicy::default());
    /// let request = PickRequest::default();
    /// let mut previous = PreviousPriorities::new(UpdateFrequency::new(1).unwrap());
    /// let first = balancer.pick(&request, || 0).unwrap();
    /// assert_eq!(first.host.address(), "10.0.0.1:8080");
    ///
    /// previous.attempt(first.choice.priority);
    /// let again = balancer.pick_elsewhere(&request, &mut previous, 0, || 0, |_| false).unwrap();
    /// assert_eq!(again.host.address(), "10.0.1.1:8080");
    /// ```
    ///
    /// # Upstream
    ///
    /// Envoy `source/extensions/load_balancing_policies/common/load_balancer_impl.cc`,
    /// `LoadBalancerBase::chooseHostSet`: `determinePriorityLoad`.
    pub fn pick_elsewhere<'b>(
        &'b self,
        request: &PickRequest,
        previous: &mut PreviousPriorities,
        retries: u32,
        mut random: impl FnMut() -> u64,
        rejects: impl FnMut(&Host) -> bool,
    ) -> Option<Pick<'b>> {
        if self.policy.algorithm.is_consistent() {
            return self.pick_unless(request, retries, random, rejects);
        }
        let levels = self.load.levels();
        let pick = |attempt| {
            let hash = random();
            let loads = previous.loads(levels);
            let healthy = loads.iter().map(|level| level.healthy_load);
            let degraded = loads.iter().map(|level| level.degraded_load);
            let chosen = Choice::new(choose_priority(hash, healthy, degraded), levels);
            self.pick_of(&chosen, hash, &PickRequest { attempt, ..*request }, &mut random)
        };
        accepted(request.attempt, retries, pick, rejects)
    }
}

/// The first pick that is not rejected, or the last one.
fn accepted<'b>(
    first: u32,
    retries: u32,
    mut pick: impl FnMut(u32) -> Option<Pick<'b>>,
    mut rejects: impl FnMut(&Host) -> bool,
) -> Option<Pick<'b>> {
    let mut picked = pick(first)?;
    for retry in 1..=retries {
        if !rejects(picked.host) {
            break;
        }
        picked = pick(first.saturating_add(retry))?;
    }
    Some(picked)
}
