//! Which identities the servers of a service may show.
use std::collections::BTreeSet;

use mesh_model::endpoint::Shards;
use mesh_model::name::{Identity, TrustDomain};
use mesh_model::registry::Service;

/// Returns the identities of all endpoints of a service, in whatever state, and the service's own,
/// each once more for every alias of the trust domain; sorted.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/model/push_context.go` `ServiceAccounts`; `pkg/spiffe/spiffe.go`
/// `ExpandWithTrustDomains`.
pub fn of_service(service: &Service, shards: Option<&Shards>, aliases: &[Box<str>]) -> Vec<String> {
    let own = service.service_accounts.iter().map(|account| &**account);
    let mut distinct = identities(shards);
    distinct.extend(own.filter(|name| !name.is_empty()));
    if aliases.is_empty() {
        return distinct.into_iter().map(str::to_owned).collect();
    }
    let mut accounts: BTreeSet<String> = distinct.iter().map(|&name| name.to_owned()).collect();
    for identity in distinct.iter().filter_map(|name| name.parse::<Identity>().ok()) {
        for alias in aliases {
            let trust_domain = TrustDomain::from(&**alias);
            accounts.insert(Identity { trust_domain, ..identity.clone() }.to_string());
        }
    }
    accounts.into_iter().collect()
}

/// The identities of all endpoints, in whatever state.
pub(crate) fn identities(shards: Option<&Shards>) -> BTreeSet<&str> {
    let mut found = BTreeSet::new();
    let mut last = "";
    for endpoint in shards.into_iter().flat_map(Shards::endpoints) {
        // Neighbours mostly share it, and then its text.
        let identity = &*endpoint.workload.identity;
        if !std::ptr::eq(identity, last) && identity != last && !identity.is_empty() {
            last = identity;
            found.insert(identity);
        }
    }
    found
}
