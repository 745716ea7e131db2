//! `distribute`: shares of traffic by the client's locality instead of priorities.
use std::borrow::Borrow;

use mesh_model::name::Locality;
use mesh_model::resource::destination_rule::Distribute;

use super::{Equal, Group, Reason, weight};

/// Gives localities the shares of the first entry that is for the client's locality.
///
/// Each key claims the groups that no key before it did; those divide its share by their weights,
/// rounded up. Groups that no key claims are marked: they lose their endpoints. Keys are taken most specific first:
/// upstream takes them in no order at all, and validation allows none that overlap.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/networking/core/loadbalancer/loadbalancer.go` `applyLocalityWeights`.
pub(super) fn apply<M, L: Borrow<Locality>>(
    groups: &mut [Group<M, L>],
    client: &Locality,
    entries: &[Distribute],
) {
    let Some(entry) = entry_for(client, entries) else {
        groups.iter_mut().for_each(|group| group.reason = Reason::Equal(Equal::NoDistribution));
        return;
    };
    let keys = keys(entry);
    groups.iter_mut().for_each(|group| group.reason = Reason::Undistributed);
    for (key, share) in keys {
        let is_claimed = |group: &&mut Group<M, L>| {
            group.reason == Reason::Undistributed && matches_group(group.place(), key)
        };
        let mut claimed: Vec<_> = groups.iter_mut().filter(is_claimed).collect();
        let total = weight::refreshed(claimed.iter().map(|group| group.weight.unwrap_or(1)));
        let exact: u64 = claimed.iter().map(|group| u64::from(group.weight.unwrap_or(1))).sum();
        let total_wraps = exact > u64::from(u32::MAX);
        for group in &mut claimed {
            let own = group.weight.unwrap_or(1);
            group.weight = weight::apportioned(share, own, total.unwrap_or(0)).or(group.weight);
            let wraps = total_wraps || own.checked_mul(share).is_none();
            group.reason = Reason::Distributed { share, wraps };
        }
    }
}

/// The keys of an entry with their shares, the most specific first.
fn keys(entry: &Distribute) -> Vec<(&str, u32)> {
    let mut keys: Vec<(&str, u32)> = entry.to.iter().collect();
    keys.sort_by_key(|&(key, _)| (generality(key), key));
    keys
}

/// The key of an entry that claims a locality.
pub(super) fn key_for<'e>(locality: &Locality, entry: &'e Distribute) -> Option<&'e str> {
    let mut keys = keys(entry).into_iter().map(|(key, _)| key);
    keys.find(|key| locality_matches(locality, key))
}

/// The entry for a client: the first that means its locality.
pub(super) fn entry_for<'e>(
    client: &Locality,
    entries: &'e [Distribute],
) -> Option<&'e Distribute> {
    entries.iter().find(|entry| locality_matches(client, &entry.from))
}

/// Whether a rule such as `region`, `region/zone/*` or `*` means a locality.
///
/// An absent part means any, except that an empty region means only an unknown one.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/networking/util/util.go` `LocalityMatch`.
pub fn locality_matches(locality: &Locality, rule: &str) -> bool {
    let [region, zone, sub_zone] = parts(rule);
    (region == "*" || region == locality.region())
        && (is_any(zone) || zone == locality.zone())
        && (is_any(sub_zone) || sub_zone == locality.sub_zone())
}

fn matches_group(locality: Option<&Locality>, rule: &str) -> bool {
    match locality {
        Some(locality) => locality_matches(locality, rule),
        None => locality_matches(&Locality::default(), rule),
    }
}

/// Less is more specific: a rule for a sub-zone, a zone, a region, everything.
fn generality(rule: &str) -> u8 {
    match parts(rule) {
        [_, _, sub_zone] if !is_any(sub_zone) => 0,
        [_, zone, _] if !is_any(zone) => 1,
        [region, ..] if region != "*" => 2,
        _ => 3,
    }
}

fn parts(rule: &str) -> [&str; 3] {
    let mut parts = rule.split('/');
    std::array::from_fn(|_| parts.next().unwrap_or_default())
}

fn is_any(part: &str) -> bool {
    part.is_empty() || part == "*"
}
