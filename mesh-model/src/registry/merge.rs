//! One service of several clusters.
//!
//! The same name and namespace in several clusters is one service: the first cluster's, with the
//! addresses and identities of the others.
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/serviceregistry/aggregate/controller.go` `Services`, `mergeService`.
use std::collections::BTreeMap;
use std::sync::Arc;

use super::Service;
use crate::name::Hostname;

/// Merges the services of Kubernetes clusters, given cluster by cluster in the order in which the
/// control plane knows them.
///
/// Everything but addresses and identities is the first cluster's: a port that only a later cluster
/// has is not routable. The order of the result is that of first appearance.
pub fn merge_clusters(clusters: impl IntoIterator<Item = Vec<Service>>) -> Vec<Arc<Service>> {
    let mut merged: Vec<Service> = Vec::new();
    let mut index: BTreeMap<Hostname, usize> = BTreeMap::new();
    for service in clusters.into_iter().flatten() {
        let known = index.get(&service.hostname).and_then(|index| merged.get_mut(*index));
        match known {
            Some(known) => absorb(known, service),
            None => {
                index.insert(service.hostname.clone(), merged.len());
                merged.push(service);
            }
        }
    }
    merged.into_iter().map(Arc::new).collect()
}

/// Adds a later cluster's addresses and identities.
fn absorb(known: &mut Service, later: Service) {
    let mut vips = std::mem::take(&mut known.cluster_vips).into_vec();
    for (cluster, addresses) in later.cluster_vips {
        if vips.iter().all(|(other, _)| *other != cluster) {
            vips.push((cluster, addresses));
        }
    }
    known.cluster_vips = vips.into();
    let mut accounts: Vec<Arc<str>> = Vec::new();
    for account in known.service_accounts.iter().chain(&later.service_accounts) {
        if !accounts.contains(account) {
            accounts.push(account.clone());
        }
    }
    known.service_accounts = accounts.into();
}
