//! Laws of assignments, and their agreement with the oracle on random meshes.
#[path = "assign_laws/engine.rs"]
mod engine;
#[path = "assign_laws/worlds.rs"]
mod worlds;

use std::collections::BTreeMap;
use std::sync::Arc;

use mesh_lb::assign::{AssignedLocality, AssignedPart, Assignment, Reason, Target};
use mesh_model::endpoint::{Endpoint, Gateways, NetworkGateway, Shards};
use mesh_testkit::oracle::assign as oracle;
use mesh_testkit::oracle::assign::{Fixes, Rules, Setting};
use proptest::prelude::*;

use self::engine::plain;
use self::worlds::{World, world};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn agrees_with_the_oracle(world in world()) {
        let expected =
            oracle::assign(&world.client, &world.backends, &world.gateways, &world.rules);
        prop_assert_eq!(plain(&world.engine()), expected);
    }
}

proptest! {
    #[test]
    fn priorities_have_no_gaps(world in world()) {
        let assignment = world.engine();
        for priority in 0..assignment.n_priorities() {
            prop_assert!(assignment.localities().any(|locality| locality.priority() == priority));
        }
    }

    /// Nothing is lost and nothing is used twice: an endpoint of the port is dialled, fronted by gateways of one
    /// locality, or left out with a reason.
    #[test]
    fn every_endpoint_has_exactly_one_fate(world in world()) {
        let assignment = world.engine();
        let shards = world.shards();
        for endpoint in shards.endpoints().filter(|endpoint| world.serves_port(endpoint)) {
            let is_it = |other: &Endpoint| other.instance == endpoint.instance;
            let n_dialled = assignment.endpoints().filter(|used| match used.target() {
                Target::Direct(other) | Target::Tunnel(other) => is_it(other),
                Target::Gateway(_) | Target::DoubleTunnel(_) => false,
            });
            let n_fronted = assignment.localities().filter(|locality| {
                locality.endpoints().any(|gateway| gateway.fronts().any(is_it))
            });
            let n_dropped = assignment.dropped().filter(|(other, _)| is_it(other));
            let n_fates = n_dialled.count() + n_fronted.count() + n_dropped.count();
            // Labels split the gateways of one locality over its parts.
            let is_fronted = assignment.endpoints().any(|gateway| gateway.fronts().any(is_it));
            prop_assert!(n_fates == 1 || (n_fates > 1 && is_fronted));
        }
    }

    #[test]
    fn neither_the_order_of_shards_nor_that_of_gateways_matters(world in world()) {
        let mut shards: Vec<_> = world.shards().iter().cloned().collect();
        let mut gateways: Vec<_> = world.gateways().iter().cloned().collect();
        shards.reverse();
        gateways.reverse();
        let turned = world.assign(&Shards::new(shards), &Gateways::new(gateways));
        prop_assert_eq!(turned, world.engine());
    }

    #[test]
    fn the_order_of_endpoints_shows_only_within_localities(world in world()) {
        let mut turned = world.clone();
        turned.backends.reverse();
        let sorted = |world: &World| {
            let mut localities = plain(&world.engine());
            localities.iter_mut().for_each(|locality| locality.endpoints.sort());
            localities
        };
        prop_assert_eq!(sorted(&turned), sorted(&world));
    }

    #[test]
    fn endpoints_that_are_alike_need_not_be_looked_at_one_by_one(world in world()) {
        let (compat, shards, gateways) = (world.compat(), world.shards(), world.gateways());
        let each = world.assign_looking(&compat, &shards, &gateways, &|_| true);
        let alike = world.engine();
        prop_assert_eq!(plain(&each), plain(&alike));
        prop_assert_eq!(each.explain().to_string(), alike.explain().to_string());
        prop_assert!(each.dropped().eq(alike.dropped()));
    }

    /// What is known of a part by its identity holds: the endpoints are the same, used in the same way.
    #[test]
    fn parts_of_one_identity_are_equal(worlds in (world(), world()), kept in 0_usize..12) {
        let (before, mut after) = worlds;
        let own = before.backends.iter().take(kept).cloned();
        after.backends = own.chain(after.backends).collect();
        let shards = before.shards();
        let renewed: Shards = after.shards().iter().map(|shard| {
            let known = shards.iter().find(|known| known.cluster == shard.cluster);
            Arc::new(match known {
                Some(known) => known.renewed(shard.endpoints().clone()),
                None => (**shard).clone(),
            })
        }).collect();
        let assignment = after.assign(&renewed, &after.gateways());
        prop_assert_eq!(&assignment, &after.engine());
        let told = |part: AssignedPart<'_>| {
            let told = part.endpoints().map(|endpoint| {
                (endpoint.target().address().clone(), endpoint.weight(), endpoint.transport())
            });
            told.collect::<Vec<_>>()
        };
        let earlier = before.engine();
        for part in earlier.localities().flat_map(AssignedLocality::parts) {
            let Some(identity) = part.identity() else { continue };
            prop_assert!(part.has(&identity));
            for other in assignment.localities().flat_map(AssignedLocality::parts) {
                prop_assert!(!other.has(&identity) || told(other) == told(part));
                prop_assert_eq!(other.has(&identity), other.identity().as_ref() == Some(&identity));
            }
        }
    }

    /// With the fix a gateway occurs once and has the weight of all that it stands for.
    #[test]
    fn a_mended_gateway_keeps_its_whole_weight(world in world()) {
        let rules = Rules { setting: Setting::Off, fixes: Fixes::default(), ..world.rules };
        let world = World { rules, ..world };
        let mut compat = world.compat();
        compat.fixes.gateway_weights = true;
        let totals = |assignment: &Assignment| {
            let mut totals: BTreeMap<NetworkGateway, (u64, usize)> = BTreeMap::new();
            for endpoint in assignment.endpoints() {
                if let Target::Gateway(gateway) | Target::DoubleTunnel(gateway) = endpoint.target() {
                    let total = totals.entry(gateway.clone()).or_default();
                    total.0 += u64::from(endpoint.weight());
                    total.1 += endpoint.fronts().count();
                }
            }
            totals
        };
        let mended = world.assign_with(&compat, &world.shards(), &world.gateways());
        let is_small = world.backends.iter().all(|backend| backend.weight < 5);
        if is_small {
            prop_assert_eq!(totals(&mended), totals(&world.engine()));
        }
        let n_gateways = mended.endpoints().filter(|endpoint| {
            matches!(endpoint.target(), Target::Gateway(_) | Target::DoubleTunnel(_))
        });
        prop_assert_eq!(n_gateways.count(), totals(&mended).len());
    }

    /// Weights never overflow silently: whoever reads why an endpoint is where it is reads of every weight that is
    /// not the number that it stands for, and of no other.
    #[test]
    fn weights_that_32_bits_do_not_hold_are_told(world in world()) {
        let (assignment, gateways) = (world.engine(), world.gateways());
        let is_scaled = !gateways.is_empty() || world.spans_networks();
        let scale = if is_scaled { gateways.weight_scale_factor().max(1) } else { 1 };
        let own = |endpoint: &Endpoint| u128::from(endpoint.effective_weight()) * u128::from(scale);
        let n_fronting = |front: &Endpoint| {
            let all = assignment.endpoints();
            let is_it = |other: &Endpoint| other.instance == front.instance;
            u128::try_from(all.filter(|gateway| gateway.fronts().any(is_it)).count()).unwrap()
        };
        let explanation = assignment.explain();
        for used in &explanation.used {
            let told = |code: &str| used.reasons.iter().any(|reason| reason.code == code);
            let exact = match used.endpoint.target() {
                Target::Direct(endpoint) | Target::Tunnel(endpoint) => own(endpoint),
                Target::Gateway(_) | Target::DoubleTunnel(_) => {
                    let parts = used.endpoint.fronts().map(|front| own(front) / n_fronting(front));
                    parts.sum::<u128>().max(1)
                }
            };
            let is_exact = exact == u128::from(used.endpoint.weight());
            prop_assert_eq!(told("weight_overflow"), !is_exact);
            let locality = used.endpoint.locality();
            let sum: u64 = locality.endpoints().map(|one| u64::from(one.weight())).sum();
            if sum > u64::from(u32::MAX) {
                prop_assert!(told("locality_weight_overflow"));
            } else if !matches!(locality.reason(), Reason::Distributed { .. }) {
                prop_assert!(!told("locality_weight_overflow"));
                prop_assert_eq!(locality.weight().map(u64::from), Some(sum));
            }
        }
        prop_assert_eq!(
            assignment.overflows(),
            explanation.used.iter().any(|used| {
                used.reasons.iter().any(|reason| reason.code.ends_with("weight_overflow"))
            })
        );
    }

    /// A locality that is told twice in one priority is one to Envoy, and that is told.
    #[test]
    fn localities_that_are_told_again_are_told(world in world()) {
        let assignment = world.engine();
        let place = |one: AssignedLocality<'_>| (one.locality().clone(), one.priority());
        for used in &assignment.explain().used {
            let own = place(used.endpoint.locality());
            let times = assignment.localities().filter(|one| place(*one) == own).count();
            let is_told = used.reasons.iter().any(|reason| reason.code == "locality_told_again");
            prop_assert_eq!(is_told, times > 1);
        }
    }

    #[test]
    fn every_endpoint_is_explained(world in world()) {
        let assignment = world.engine();
        let explanation = assignment.explain();
        prop_assert_eq!(explanation.used.len(), assignment.endpoints().count());
        prop_assert!(explanation.used.iter().all(|used| !used.reasons.is_empty()));
        let n_lines = explanation.used.len() + explanation.unused.len();
        prop_assert_eq!(explanation.to_string().lines().count(), n_lines);
    }
}
