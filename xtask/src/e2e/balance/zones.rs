//! Zone-aware routing: the Envoy belongs to a fleet, and prefers hosts of its own zone.
use std::sync::Arc;

use mesh_lb::LocalCluster;
use mesh_lb::health::status::HealthStatus::{Healthy, Unhealthy};
use mesh_lb::load::{LocalityBasis, ZoneAwareConfig};
use serde_json::{Value, json};

use super::scenario::{self, Expected, Probe, REQUESTS, Scenario};
use super::site::{self, Policy, Settings, Site, SiteHost, ZONES};
use super::spread::Shares;
use crate::e2e::random::Random;

/// The fleet by zone: nobody ever calls it.
const FLEET: [u32; 3] = [4, 4, 2];
/// Healthy and all hosts by zone.
type Counts = [(usize, usize); 3];
/// The name of its cluster.
pub(super) const NAME: &str = "fleet";

/// The cluster that the Envoy is one of.
pub(super) fn fleet() -> Value {
    let localities: Vec<Value> = (0..)
        .zip(ZONES.into_iter().zip(FLEET))
        .map(|(at, (zone, count)): (u32, (&str, u32))| {
            let endpoint = |n: u32| {
                let address = format!("127.91.{at}.{n}");
                site::lb_endpoint(&address, site::PORT, Healthy, 1)
            };
            let endpoints: Vec<Value> = (1..=count).map(endpoint).collect();
            locality(zone, &endpoints)
        })
        .collect();
    let mut cluster = site::static_cluster(&localities, 140);
    site::set(&mut cluster, "name", json!(NAME));
    cluster
}

/// Scenarios that are known to differ, and random ones.
pub(super) fn all(random: &mut Random) -> Vec<Scenario> {
    let default = ZoneAwareConfig::default();
    let by_weight =
        ZoneAwareConfig { locality_basis: LocalityBasis::HealthyHostsWeight, ..default };
    let forced = ZoneAwareConfig { force_local_zone_min_size: Some(2), ..default };
    let small = ZoneAwareConfig { min_cluster_size: 3, ..default };
    let known = [
        ("a zone keeps what it can take", [(5, 5), (10, 10), (5, 5)], default),
        ("a zone with its share keeps all", [(10, 10), (5, 5), (5, 5)], default),
        ("five hosts are too few for zones", [(1, 1), (2, 2), (2, 2)], default),
        ("three hosts suffice if that is said", [(1, 1), (2, 2), (2, 2)], small),
        ("two local hosts keep all by force", [(2, 2), (10, 10), (5, 5)], forced),
        ("zones count healthy hosts", [(1, 3), (7, 8), (4, 4)], default),
        ("zones count weights", [(4, 4), (3, 3), (3, 3)], by_weight),
    ];
    let mut scenarios: Vec<Scenario> =
        known.into_iter().map(|(name, zones, config)| scenario(name, zones, &config)).collect();
    for number in 0..4 {
        let zones = [0; 3].map(|_| {
            let total = 1 + random.below(7);
            (random.below(total + 1), total)
        });
        let config = ZoneAwareConfig {
            min_cluster_size: random.next() % 8,
            force_local_zone_min_size: random.once_in(4).then_some(3),
            locality_basis: random.of(
                &[LocalityBasis::HealthyHostsNum, LocalityBasis::HealthyHostsWeight],
                LocalityBasis::HealthyHostsNum,
            ),
        };
        scenarios.push(scenario(&format!("zones of chance {number}"), zones, &config));
    }
    scenarios
}

/// A host of the second zone weighs 3.
fn scenario(sentence: &str, zones: Counts, config: &ZoneAwareConfig) -> Scenario {
    let hosts: Vec<SiteHost> = ZONES
        .into_iter()
        .zip(zones)
        .flat_map(|(zone, (healthy, total))| {
            (0..total).map(move |at| SiteHost {
                weight: if zone == ZONES[1] { 3 } else { 1 },
                health: if at < healthy { Healthy } else { Unhealthy },
                ..SiteHost::healthy(0, zone)
            })
        })
        .collect();
    let expected = Expected::Shares { shares: shares(&hosts, config), requests: REQUESTS };
    let probe = Probe { route: json!({}), expected };
    let cluster = cluster(&hosts, config);
    Scenario { sentence: sentence.to_owned(), cluster, probes: vec![probe] }
}

/// What our balancer gives in the long run, as one of the fleet.
fn shares(hosts: &[SiteHost], config: &ZoneAwareConfig) -> Shares {
    let settings = Settings { zone_aware: *config, ..Settings::of(Policy::RoundRobin) };
    let callers = ZONES
        .into_iter()
        .zip(FLEET)
        .flat_map(|(zone, count)| (0..count).map(move |_| SiteHost::healthy(0, zone)));
    let fleet = site::assignment(&callers.collect::<Vec<_>>(), &settings);
    let fleet = Arc::new(LocalCluster::new(&fleet));
    scenario::shares(&Site::new(hosts, &settings).balancer.with_local_cluster(fleet, 0))
}

fn cluster(hosts: &[SiteHost], config: &ZoneAwareConfig) -> Value {
    let localities: Vec<Value> = ZONES
        .into_iter()
        .map(|zone| {
            let of_zone = hosts.iter().enumerate().filter(|(_, host)| host.zone == zone);
            let endpoints: Vec<Value> = of_zone
                .map(|(at, host)| {
                    site::lb_endpoint(&site::server(at), site::PORT, host.health, host.weight)
                })
                .collect();
            locality(zone, &endpoints)
        })
        .collect();
    let basis = match config.locality_basis {
        LocalityBasis::HealthyHostsNum => "HEALTHY_HOSTS_NUM",
        LocalityBasis::HealthyHostsWeight => "HEALTHY_HOSTS_WEIGHT",
    };
    let mut zone_aware =
        json!({"min_cluster_size": config.min_cluster_size, "locality_basis": basis});
    if let Some(least) = config.force_local_zone_min_size {
        site::set(&mut zone_aware, "force_local_zone", json!({"min_size": least}));
    }
    let settings = json!({"locality_lb_config": {"zone_aware_lb_config": zone_aware}});
    let mut cluster = site::static_cluster(&localities, 140);
    let panic_off = json!({"healthy_panic_threshold": {"value": 0}});
    site::set(&mut cluster, "common_lb_config", panic_off);
    let (key, policy) = site::extension("round_robin", "RoundRobin", settings);
    site::set(&mut cluster, key, policy);
    cluster
}

fn locality(zone: &str, endpoints: &[Value]) -> Value {
    let parts: Vec<&str> = zone.split('/').collect();
    json!({"locality": site::place(&parts), "priority": 0, "lb_endpoints": endpoints})
}
