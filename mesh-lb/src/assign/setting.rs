//! Which of several settings for localities is in effect.
use mesh_model::registry::TrafficDistribution;
use mesh_model::resource::destination_rule::{
    LoadBalancerSettings, LocalityLbSetting, ZoneAwareLbSetting,
};

/// The setting that decides priorities and weights. Settings are never merged: the first that exists
/// wins, and one that is switched off still hides those after it.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "rules act on every setting")]
pub enum EffectiveSetting<'a> {
    /// Localities are not told apart.
    None,
    /// Locality load balancing of a DestinationRule or of the mesh, which is not switched off.
    Locality(&'a LocalityLbSetting),
    /// The service's own preference; it forces failover.
    Distribution(TrafficDistribution),
    /// Zone-aware load balancing, possibly switched off; it forces failover otherwise.
    ZoneAware(&'a ZoneAwareLbSetting),
}

/// A setting to be kept.
#[derive(Clone, Debug)]
pub(super) enum OwnedSetting {
    None,
    Locality(LocalityLbSetting),
    Distribution(TrafficDistribution),
    ZoneAware(ZoneAwareLbSetting),
}

impl From<EffectiveSetting<'_>> for OwnedSetting {
    fn from(setting: EffectiveSetting<'_>) -> Self {
        match setting {
            EffectiveSetting::None => Self::None,
            EffectiveSetting::Locality(setting) => Self::Locality(setting.clone()),
            EffectiveSetting::Distribution(distribution) => Self::Distribution(distribution),
            EffectiveSetting::ZoneAware(setting) => Self::ZoneAware(setting.clone()),
        }
    }
}

impl<'a> From<&'a OwnedSetting> for EffectiveSetting<'a> {
    fn from(setting: &'a OwnedSetting) -> Self {
        match setting {
            OwnedSetting::None => Self::None,
            OwnedSetting::Locality(setting) => Self::Locality(setting),
            OwnedSetting::Distribution(distribution) => Self::Distribution(*distribution),
            OwnedSetting::ZoneAware(setting) => Self::ZoneAware(setting),
        }
    }
}

/// The labels of `PreferSameNode`; those of `PreferSameZone` are the first three.
const SAME_NODE: &[&str] = &[
    "topology.istio.io/network",
    "topology.kubernetes.io/region",
    "topology.kubernetes.io/zone",
    "topology.istio.io/subzone",
    "kubernetes.io/hostname",
];

impl<'a> EffectiveSetting<'a> {
    /// Finds the setting in effect: the DestinationRule's, else the service's preference, else the
    /// mesh's; zone-aware before locality.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/networking/core/loadbalancer/loadbalancer.go` `GetEffectiveLbSetting`.
    pub fn new(
        rule: Option<&'a LoadBalancerSettings>,
        distribution: TrafficDistribution,
        mesh_zone_aware: Option<&'a ZoneAwareLbSetting>,
        mesh_locality: Option<&'a LocalityLbSetting>,
    ) -> Self {
        if let Some(setting) = rule.and_then(|rule| rule.zone_aware_lb_setting.as_ref()) {
            return Self::ZoneAware(setting);
        }
        if let Some(setting) = rule.and_then(|rule| rule.locality_lb_setting.as_ref()) {
            return Self::locality(setting);
        }
        if distribution != TrafficDistribution::Any {
            return Self::Distribution(distribution);
        }
        match (mesh_zone_aware, mesh_locality) {
            (Some(setting), _) => Self::ZoneAware(setting),
            (None, Some(setting)) => Self::locality(setting),
            (None, None) => Self::None,
        }
    }

    fn locality(setting: &'a LocalityLbSetting) -> Self {
        if setting.enabled == Some(false) { Self::None } else { Self::Locality(setting) }
    }

    /// Whether priorities are assigned even without outlier detection.
    pub fn forces_failover(self) -> bool {
        match self {
            Self::None | Self::Locality(_) => false,
            Self::Distribution(_) => true,
            Self::ZoneAware(setting) => setting.enabled != Some(false),
        }
    }

    /// The labels by which endpoints are ranked, in order.
    pub fn failover_priority(self) -> impl Iterator<Item = &'a str> + Clone {
        let (fixed, own): (&[&str], &'a [Box<str>]) = match self {
            Self::None | Self::Distribution(TrafficDistribution::Any) => (&[], &[]),
            Self::Distribution(TrafficDistribution::SameZone) => {
                (SAME_NODE.get(..3).unwrap_or_default(), &[])
            }
            Self::Distribution(TrafficDistribution::SameNode) => (SAME_NODE, &[]),
            Self::Locality(setting) => (&[], &setting.failover_priority),
            Self::ZoneAware(setting) => (&[], &setting.failover_priority),
        };
        fixed.iter().copied().chain(own.iter().map(AsRef::as_ref))
    }

    /// The region that the client's region fails over to: of the first entry for it.
    pub(super) fn failover_target(self, region: &str) -> Option<&'a str> {
        let (locality, zone_aware) = match self {
            Self::None | Self::Distribution(_) => return None,
            Self::Locality(setting) => (Some(&setting.failover), None),
            Self::ZoneAware(setting) => (None, Some(&setting.failover)),
        };
        let locality = locality.into_iter().flatten().map(|entry| (&*entry.from, &*entry.to));
        let zone_aware = zone_aware.into_iter().flatten().map(|entry| (&*entry.from, &*entry.to));
        locality.chain(zone_aware).find(|(from, _)| *from == region).map(|(_, to)| to)
    }
}
