//! Outlier detection.
use super::{Fixture, networks, spread};

fn guarded(mesh: Fixture, block: &str) -> Fixture {
    mesh.policy(&format!("{{outlierDetection: {{{block}}}}}"))
}

#[test]
fn the_default_cap_ejects_nothing_of_a_few_hosts() {
    guarded(spread(), "").has("HZ-OD-CANNOT-EJECT");
    guarded(spread(), "maxEjectionPercent: 34").lacks("HZ-OD-CANNOT-EJECT");
}

#[test]
fn a_cap_below_a_zone_keeps_part_of_it() {
    let zones = || {
        let places = ["10.0.0.1 r1/z1", "10.0.0.2 r1/z1", "10.0.0.3 r1/z1", "10.0.0.4 r1/z2"];
        Fixture::default().cluster("c1", "", &places)
    };
    guarded(zones(), "maxEjectionPercent: 50").has("HZ-OD-CAP-BELOW-DOMAIN");
    guarded(zones(), "maxEjectionPercent: 75").lacks("HZ-OD-CAP-BELOW-DOMAIN");
}

#[test]
fn one_address_of_a_network_can_be_ejected_whole() {
    guarded(networks(), "maxEjectionPercent: 100").has("HZ-SINGLE-EW-ADDRESS");
    let two = networks().gateway("c1", "n1", &["34.1.1.1", "34.1.1.2"]);
    let two = two.gateway("c2", "n2", &["34.2.2.2", "34.2.2.3"]);
    guarded(two, "maxEjectionPercent: 100").lacks("HZ-SINGLE-EW-ADDRESS");
}

#[test]
fn panic_defeats_failover() {
    guarded(spread(), "minHealthPercent: 50, maxEjectionPercent: 100").has("HZ-PANIC");
    guarded(spread(), "maxEjectionPercent: 100").lacks("HZ-PANIC");
}

#[test]
fn long_ejections_return_late() {
    guarded(spread(), "baseEjectionTime: 10m, maxEjectionPercent: 100").has("HZ-OD-SLOW-RETURN");
    guarded(spread(), "baseEjectionTime: 30s, maxEjectionPercent: 100").lacks("HZ-OD-SLOW-RETURN");
}
