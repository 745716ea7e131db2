//! Which identities the servers of a service may show.
use std::sync::Arc;

use mesh_model::endpoint::Shards;
use mesh_model::name::{Identity, TrustDomain};

/// Returns the identities of all endpoints of a service, in whatever state, and the service's
/// [own](mesh_model::registry::Services::accounts), each once more for every alias of the trust domain; sorted.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/model/push_context.go` `ServiceAccounts`; `pkg/spiffe/spiffe.go`
/// `ExpandWithTrustDomains`.
pub fn of_service(own: &[Arc<str>], shards: Option<&Shards>, aliases: &[Box<str>]) -> Vec<String> {
    let shown = identities(shards);
    let mut accounts: Vec<String> = shown.iter().map(|name| (**name).to_owned()).collect();
    if own.is_empty() && aliases.is_empty() {
        return accounts;
    }
    let own = own.iter().filter(|name| !name.is_empty());
    accounts.extend(own.map(|name| name.to_string()));
    let known: Vec<Identity> = accounts.iter().filter_map(|name| name.parse().ok()).collect();
    for identity in known {
        for alias in aliases {
            let trust_domain = TrustDomain::from(&**alias);
            accounts.push(Identity { trust_domain, ..identity.clone() }.to_string());
        }
    }
    accounts.sort_unstable();
    accounts.dedup();
    accounts
}

/// The identities of all endpoints, in whatever state; sorted.
pub(crate) fn identities(shards: Option<&Shards>) -> &[Arc<str>] {
    shards.map(Shards::identities).unwrap_or_default()
}
