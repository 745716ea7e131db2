//! Whether zones matter for a request: what is asked between the choice of a priority and that of a
//! locality.
use super::overprovision::LevelHosts;
use super::panic::PanicThreshold;
use super::zone_aware::{NoZoneRouting, ZonePick, ZoneRouting};

/// What becomes of requests in panic.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "`fail_traffic_on_panic` is set or it is not")]
pub enum OnPanic {
    /// They are sent, to any host.
    #[default]
    Send,
    /// They find no host. Ring hash and Maglev send them all the same.
    Fail,
}

impl OnPanic {
    /// Returns whether a request finds no host because its priority is in panic, which comes before all
    /// questions of localities.
    pub const fn fails(self, is_panicking: bool) -> bool {
        is_panicking && matches!(self, Self::Fail)
    }
}

/// How often zones matter, and what happens when the callers' own cluster is in panic.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "callers set single fields over the default")]
pub struct ZoneUse {
    /// The share of requests that are routed by zone, in whole percent: 100 (`routing_enabled`,
    /// `upstream.zone_routing.enabled`). More counts as 100, a fraction is cut off.
    pub routing_enabled: u32,
    /// `fail_traffic_on_panic`.
    pub on_panic: OnPanic,
}

impl Default for ZoneUse {
    fn default() -> Self {
        Self { routing_enabled: 100, on_panic: OnPanic::Send }
    }
}

/// Where a request goes within its priority.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "callers act on each")]
pub enum ZoneChoice {
    /// To the healthy (or degraded) hosts of the priority, wherever they are.
    Anywhere,
    /// To those of one locality.
    Locality(ZonePick),
    /// Nowhere.
    NoHost,
}

impl ZoneUse {
    /// Decides for one request to a priority that is not in panic itself.
    ///
    /// `routing` is that of the highest priority, an error for all others. `sample` is drawn from another
    /// source than `random`, and once a request for which there is a routing. `callers` are the hosts of
    /// the cluster that the callers form, in panic by the same threshold.
    ///
    /// # Examples
    ///
    /// ```
    /// use mesh_lb::load::{LevelHosts, NoZoneRouting, PanicThreshold, ZoneChoice, ZoneUse};
    ///
    /// let (callers, threshold) = (LevelHosts::healthy_of(4, 4), PanicThreshold::default());
    /// let none = Err(NoZoneRouting::ClusterTooSmall);
    /// let choice = ZoneUse::default().choose(none, 0, &callers, threshold, || 0);
    /// assert_eq!(choice, ZoneChoice::Anywhere);
    /// ```
    ///
    /// # Upstream
    ///
    /// Envoy `source/extensions/load_balancing_policies/common/load_balancer_impl.cc`,
    /// `ZoneAwareLoadBalancerBase::hostSourceToUse`.
    pub fn choose(
        self,
        routing: Result<&ZoneRouting, NoZoneRouting>,
        sample: u64,
        callers: &LevelHosts,
        threshold: PanicThreshold,
        random: impl FnMut() -> u64,
    ) -> ZoneChoice {
        match routing {
            Ok(routing) if sample % 100 < u64::from(self.routing_enabled) => {
                match (threshold.is_panic(callers), self.on_panic) {
                    (false, _) => ZoneChoice::Locality(routing.pick(random)),
                    (true, OnPanic::Send) => ZoneChoice::Anywhere,
                    (true, OnPanic::Fail) => ZoneChoice::NoHost,
                }
            }
            Ok(_) | Err(_) => ZoneChoice::Anywhere,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::{Zone, ZoneAwareConfig, Zones};

    /// A caller whose zone has its share of six hosts; half of the requests are routed by zone.
    fn check(sample: u64, healthy_callers: u32, on_panic: OnPanic, expected: &str) {
        let zones =
            [0, 1].map(|locality| Zone { locality, total: 3, healthy: 3, healthy_weight: 3 });
        let zones = Zones { zones: &zones, has_local_locality: true };
        let routing = ZoneRouting::new(&ZoneAwareConfig::default(), &zones, &zones).unwrap();
        let callers = LevelHosts::healthy_of(healthy_callers, 4);
        let threshold = PanicThreshold::default();
        let zone_use = ZoneUse { routing_enabled: 50, on_panic };
        let got = match zone_use.choose(Ok(&routing), sample, &callers, threshold, || 0) {
            ZoneChoice::Anywhere => "anywhere",
            ZoneChoice::Locality(pick) if pick.locality == 0 => "here",
            ZoneChoice::Locality(_) => "elsewhere",
            ZoneChoice::NoHost => "nowhere",
        };
        assert_eq!(got, expected);
    }

    #[test]
    fn the_sample_decides_whether_zones_matter() {
        check(149, 4, OnPanic::Send, "here");
        check(150, 4, OnPanic::Send, "anywhere");
    }

    #[test]
    fn callers_in_panic_ignore_zones_or_fail() {
        check(0, 2, OnPanic::Fail, "here"); // Half is no panic yet.
        check(0, 1, OnPanic::Send, "anywhere");
        check(0, 1, OnPanic::Fail, "nowhere");
        check(99, 1, OnPanic::Fail, "anywhere");
    }

    #[test]
    fn a_priority_in_panic_fails_only_if_asked_to() {
        assert!(OnPanic::Fail.fails(true));
        assert!(!OnPanic::Fail.fails(false) && !OnPanic::Send.fails(true));
    }
}
