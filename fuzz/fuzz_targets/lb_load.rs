//! The load of priorities: whatever the hosts, shares are those of the oracle, and an explanation exists.
#![cfg_attr(fuzzing, no_main)]

use mesh_lb::load::{
    DataPlane, LevelHosts, Overprovisioning, PanicThreshold, PriorityLoad, explain,
};
use mesh_testkit::oracle::load as oracle;

mesh_fuzz::target!(|bytes| {
    let Some((&threshold, rest)) = bytes.split_first() else { return };
    let (levels, _) = rest.as_chunks::<6>();
    let hosts: Vec<LevelHosts> = levels
        .iter()
        .take(8)
        .map(|&[total, healthy, degraded, excluded, factor, wide]| {
            let scale = |count: u8| u32::from(count) << (wide % 24);
            LevelHosts {
                total: scale(total),
                healthy: scale(healthy.min(total)),
                degraded: scale(degraded.min(total.saturating_sub(healthy))),
                excluded: scale(excluded.min(total)),
                overprovisioning: Overprovisioning::new(factor.into()).unwrap_or_default(),
                weights: None,
            }
        })
        .collect();
    let panic = PanicThreshold::new(threshold.into());
    let mut load = PriorityLoad::default();
    load.spill(DataPlane::Envoy, &hosts, panic);
    let told: Vec<oracle::Level> = hosts
        .iter()
        .map(|level| oracle::Level {
            factor: level.overprovisioning.get().into(),
            hosts: [level.total, level.healthy, level.degraded, level.excluded],
            weights: None,
        })
        .collect();
    let expected = oracle::spill(&told, threshold.into());
    let healthy: Vec<u128> = load.levels().iter().map(|l| l.healthy_load.get().into()).collect();
    let degraded: Vec<u128> = load.levels().iter().map(|l| l.degraded_load.get().into()).collect();
    let panics: Vec<bool> = load.levels().iter().map(|level| level.panic).collect();
    assert_eq!((healthy, degraded), (expected.healthy_load, expected.degraded_load));
    assert_eq!(panics, expected.panic);
    assert!(hosts.is_empty() || !explain(DataPlane::Envoy, &hosts, panic, &load).is_empty());
});
