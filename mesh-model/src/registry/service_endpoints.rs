//! The endpoints behind the ports of services, as clusters, listeners and name tables know them. EDS does not ask
//! here: it finds endpoints by the name of the port that the client's own service has.
//!
//! ```text
//! services of one host and namespace ─▶ the youngest that has endpoints at the number ─▶ its names of ports
//! ```
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/model/push_context.go` `initServiceRegistry`, `ServiceEndpointsByPort`;
//! `pilot/pkg/model/endpointshards.go` `CopyEndpoints`.
use std::collections::BTreeSet;

use super::{ControlPlane, Service};
use crate::endpoint::{Endpoint, Shards};

impl ControlPlane {
    /// Returns the endpoints behind a port of a service, in whatever state.
    ///
    /// Those of ServiceEntries count by the port's number, others by its name. What services of one host and
    /// namespace call a port of one number, the youngest says that finds an endpoint.
    pub fn endpoints_at<'s>(
        &'s self,
        service: &'s Service,
        number: u16,
    ) -> impl Iterator<Item = &'s Endpoint> + Clone {
        let found = self.shards(service).and_then(|shards| {
            let owner = self.owner(service, shards, number)?;
            let serves =
                move |of: &&Endpoint| serves(owner, number, of.service_port, &of.port_name);
            Some(shards.endpoints().filter(serves))
        });
        found.into_iter().flatten()
    }

    /// Returns the endpoints behind every port of a service, in whatever state, in the order of the ports' numbers:
    /// behind those too of other services of its host and namespace, and those that a scope leaves out.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/model/push_context.go` `ServiceEndpoints`, which knows the ports in no order.
    pub fn endpoints_at_all<'s>(
        &'s self,
        service: &'s Service,
    ) -> impl Iterator<Item = &'s Endpoint> {
        // Found when asked for: of most services nobody asks.
        let found = move || {
            let whole = self.services.get(service.hostname.as_str(), service.namespace.as_str());
            let whole = whole.map_or(service, AsRef::as_ref);
            let ports = self.services.sharing(whole).flat_map(|of| &of.ports);
            let numbers: BTreeSet<u16> = ports.map(|port| port.number).collect();
            numbers.into_iter().flat_map(|number| self.endpoints_at(whole, number))
        };
        std::iter::once_with(found).flatten()
    }

    /// Returns whether all endpoints behind a port of a service, in whatever state, say by the label
    /// `networking.istio.io/tunnel` that they accept HBONE; not where there is none.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/model/push_context.go` `AllInstancesSupportHBONE`, without what is known of
    /// workloads that ambient captures.
    pub fn all_accept_tunnel(&self, service: &Service, number: u16) -> bool {
        let Some(shards) = self.shards(service) else { return false };
        self.owner(service, shards, number).is_some_and(|owner| {
            shards.all_accept_tunnel(|of| serves(owner, number, of.service_port(), of.port_name()))
        })
    }

    /// The service whose names of ports count at a number: it has an endpoint there.
    fn owner<'s>(
        &'s self,
        service: &'s Service,
        shards: &Shards,
        number: u16,
    ) -> Option<&'s Service> {
        let cohorts = || shards.iter().flat_map(|shard| shard.cohorts());
        self.services.sharing(service).find(|owner| {
            cohorts().any(|of| {
                let cohort = of.cohort();
                serves(owner, number, cohort.service_port(), cohort.port_name())
            })
        })
    }
}

/// Whether what serves a port of a number of its own (0: none) and of a name is behind a service's port.
fn serves(service: &Service, number: u16, own: u16, name: &str) -> bool {
    let mut ports = service.ports.iter().filter(|port| port.number == number);
    match own {
        0 => ports.any(|port| *port.name == *name),
        own => own == number && ports.next().is_some(),
    }
}
