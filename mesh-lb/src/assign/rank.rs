//! Localities in the order in which a client uses them.
use std::borrow::Borrow;

use mesh_model::name::{Labels, Locality};
use mesh_model::view::ProxyKind;

use super::{EffectiveSetting, Equal, Reason, distribute, failover, failover_priority, zone_aware};

/// The endpoints of one locality that share a priority.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "callers group endpoints of their own")]
pub struct Group<M, L = Locality> {
    /// The locality, owned or borrowed, `None` where the group has none at all (which no failover target names).
    pub locality: Option<L>,
    /// The weight among the localities of its priority; `None`: not told.
    pub weight: Option<u32>,
    /// The priority: 0 is used first.
    pub priority: u32,
    /// The endpoints.
    pub members: Vec<M>,
    /// Why the group has its priority and weight.
    pub reason: Reason,
}

impl<M, L: Borrow<Locality>> Group<M, L> {
    /// The locality, if the group has one.
    pub(super) fn place(&self) -> Option<&Locality> {
        self.locality.as_ref().map(Borrow::borrow)
    }
}

/// Whose view it is, and by which setting, that localities are ranked.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "callers rank groups of their own")]
pub struct Ranking<'a> {
    /// The client's locality.
    pub locality: &'a Locality,
    /// The client's labels.
    pub labels: &'a Labels,
    /// What the client is; waypoints do not balance by zones.
    pub kind: ProxyKind,
    /// The setting in effect.
    pub setting: EffectiveSetting<'a>,
    /// Whether priorities may differ: outlier detection is there to notice a failure. Some settings
    /// force it.
    pub fails_over: bool,
    /// Whether labels rank endpoints too; upstream skips that for a subset that DNS resolves, and for all that
    /// gateways reach by server names and DNS resolves.
    pub ranks_by_labels: bool,
}

impl Ranking<'_> {
    /// Gives groups their priorities or weights; groups may be split by labels, or lose their
    /// endpoints to a distribution.
    ///
    /// `has_label` tells whether a member has a label with a value; an absent label has the value
    /// `""`.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/networking/core/loadbalancer/loadbalancer.go`
    /// `ApplyLocalityLoadBalancer`, `ApplyZoneAwareLoadBalancer`.
    #[must_use]
    pub fn apply<M>(
        &self,
        groups: Vec<Group<M>>,
        weight_of: impl Fn(&M) -> u32,
        has_label: impl Fn(&M, &str, &str) -> bool,
    ) -> Vec<Group<M>> {
        let mut groups = self.rank(groups, weight_of, has_label);
        for group in groups.iter_mut().filter(|group| group.reason == Reason::Undistributed) {
            group.members.clear();
        }
        groups
    }

    /// Whether groups may be split, or lose their endpoints.
    pub(super) fn reshapes(&self) -> bool {
        if self.equal().is_some() {
            return false;
        }
        if let EffectiveSetting::Locality(setting) = self.setting
            && !setting.distribute.is_empty()
        {
            return distribute::entry_for(self.locality, &setting.distribute).is_some();
        }
        let by_labels = self.setting.failover_priority().next().is_some();
        by_labels && self.ranks_by_labels && !self.labels.is_empty()
    }

    /// As [`Ranking::apply`], but groups that a distribution leaves out are only marked.
    pub(super) fn rank<M, L: Borrow<Locality> + Clone>(
        &self,
        mut groups: Vec<Group<M, L>>,
        weight_of: impl Fn(&M) -> u32,
        has_label: impl Fn(&M, &str, &str) -> bool,
    ) -> Vec<Group<M, L>> {
        if let Some(why) = self.equal() {
            groups.iter_mut().for_each(|group| group.reason = Reason::Equal(why));
            return groups;
        }
        if let EffectiveSetting::Locality(setting) = self.setting
            && !setting.distribute.is_empty()
        {
            distribute::apply(&mut groups, self.locality, &setting.distribute);
            return groups;
        }
        groups = self.rank_by_labels(groups, weight_of, has_label);
        let target = self.setting.failover_target(self.locality.region());
        match self.setting {
            EffectiveSetting::ZoneAware(_) => zone_aware::apply(&mut groups, self.locality, target),
            EffectiveSetting::Locality(setting)
                if setting.failover_priority.is_empty() || !setting.failover.is_empty() =>
            {
                failover::apply(&mut groups, self.locality, target);
            }
            EffectiveSetting::None
            | EffectiveSetting::Locality(_)
            | EffectiveSetting::Distribution(_) => {}
        }
        groups
    }

    fn rank_by_labels<M, L: Clone>(
        &self,
        mut groups: Vec<Group<M, L>>,
        weight_of: impl Fn(&M) -> u32,
        has_label: impl Fn(&M, &str, &str) -> bool,
    ) -> Vec<Group<M, L>> {
        let labels = self.setting.failover_priority();
        let obstacle = match (self.ranks_by_labels, self.labels.is_empty()) {
            _ if labels.clone().next().is_none() => return groups,
            (true, false) => {
                return failover_priority::apply(groups, self.labels, labels, weight_of, has_label);
            }
            (true, true) => Equal::ClientWithoutLabels,
            (false, _) => Equal::SubsetOfDns,
        };
        groups.iter_mut().for_each(|group| group.reason = Reason::Equal(obstacle));
        groups
    }

    /// Why all groups stay at priority 0 with the weights they have, if they do.
    fn equal(&self) -> Option<Equal> {
        match self.setting {
            EffectiveSetting::None => Some(Equal::NoSetting),
            EffectiveSetting::Locality(setting) => {
                let needs_failover = setting.distribute.is_empty();
                (needs_failover && !self.fails_over).then_some(Equal::NoOutlierDetection)
            }
            EffectiveSetting::Distribution(_) => None,
            EffectiveSetting::ZoneAware(_) if !self.setting.forces_failover() => {
                Some(Equal::ZoneAwareOff)
            }
            EffectiveSetting::ZoneAware(_) => {
                (self.kind == ProxyKind::Waypoint).then_some(Equal::Waypoint)
            }
        }
    }
}
