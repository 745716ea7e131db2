//! Zone-aware routing: whether, and to which locality, as the oracle says, whatever the fleet and the hosts.
#![cfg_attr(fuzzing, no_main)]

use std::collections::BTreeSet;

use mesh_lb::load::{LocalityBasis, Zone, ZoneAwareConfig, ZoneRouting, Zones};
use mesh_testkit::oracle::zone as oracle;

mesh_fuzz::target!(|bytes| {
    let [switches, least, force, draw, zones @ ..] = bytes else { return };
    let (zones, _) = zones.as_chunks::<3>();
    let (fleet, hosts) = zones.split_at(zones.len() / 2);
    let (fleet, hosts) = (unique(fleet), unique(hosts));
    let force = (switches & 1 != 0).then(|| u32::from(*force));
    let by_weight = switches & 2 != 0;
    let (fleet_is_local, hosts_are_local) = (switches & 4 != 0, switches & 8 != 0);
    let config = ZoneAwareConfig {
        min_cluster_size: u64::from(*least % 32),
        force_local_zone_min_size: force,
        locality_basis: if by_weight {
            LocalityBasis::HealthyHostsWeight
        } else {
            LocalityBasis::HealthyHostsNum
        },
    };
    let got = ZoneRouting::new(
        &config,
        &Zones { zones: &fleet, has_local_locality: fleet_is_local },
        &Zones { zones: &hosts, has_local_locality: hosts_are_local },
    );
    let rules = oracle::Rules {
        min_cluster_size: config.min_cluster_size,
        force_local: force.map(Into::into),
        by_weight,
    };
    let expected =
        oracle::routing(rules, (&told(&fleet), fleet_is_local), (&told(&hosts), hosts_are_local));
    assert_eq!(got.is_ok(), expected.is_some());
    let (Ok(got), Some(expected)) = (got, expected) else { return };
    assert_eq!(got.local_percent_to_route(), expected.stays);
    for number in 0..40_u64 {
        let first = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(u64::from(*draw));
        let draws = [first, first.rotate_left(29)];
        let mut next = draws.into_iter();
        let pick = got.pick(|| next.next().unwrap_or(0)).locality;
        let wanted =
            if got.is_direct() { 0 } else { oracle::locality(&expected, hosts.len(), draws) };
        assert_eq!(pick, wanted);
    }
});

/// A zone of three bytes: its name, its healthy hosts and their weight, the others.
fn unique(zones: &[[u8; 3]]) -> Vec<Zone<u32>> {
    let mut seen = BTreeSet::new();
    let kept = zones.iter().take(12).filter(|zone| seen.insert(zone[0] % 8));
    kept.map(|&[name, healthy, others]| {
        let (healthy, weight) = (u32::from(healthy % 32), u32::from(healthy / 32) + 1);
        Zone {
            locality: u32::from(name % 8),
            total: healthy + u32::from(others % 32),
            healthy,
            healthy_weight: u64::from(healthy * weight),
        }
    })
    .collect()
}

fn told(zones: &[Zone<u32>]) -> Vec<oracle::Zone> {
    let of = |zone: &Zone<u32>| oracle::Zone {
        locality: zone.locality,
        total: zone.total.into(),
        healthy: zone.healthy.into(),
        weight: zone.healthy_weight,
    };
    zones.iter().map(of).collect()
}
