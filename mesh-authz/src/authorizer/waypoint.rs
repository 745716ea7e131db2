//! Deciding as a waypoint does: by the policies of the service that a request is addressed to.
use std::collections::BTreeMap;
use std::net::IpAddr;

use super::Authorizer;
use crate::request::Request;

/// A service behind a waypoint.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "a service has these parts")]
pub struct ServiceBehind {
    /// Its host.
    pub host: Box<str>,
    /// Its addresses, in any cluster.
    pub addresses: Vec<IpAddr>,
    /// What decides about requests that are addressed to one of them.
    pub authorizer: Authorizer,
}

/// The services behind a waypoint, by address.
#[derive(Clone, Debug, Default)]
pub(super) struct Services {
    behind: Vec<ServiceBehind>,
    by_address: BTreeMap<IpAddr, usize>,
}

impl Authorizer {
    /// The same, deciding what is addressed to one of these services by its own authorizer; of two
    /// services with one address the first counts.
    ///
    /// What is addressed to none of them is decided as before: by what refers to the waypoint itself.
    #[must_use]
    pub fn with_services(mut self, services: impl IntoIterator<Item = ServiceBehind>) -> Self {
        for service in services {
            let place = self.services.behind.len();
            for address in &service.addresses {
                self.services.by_address.entry(address.to_canonical()).or_insert(place);
            }
            self.services.behind.push(service);
        }
        self
    }

    /// The services behind a waypoint; none for any other workload.
    pub fn services(&self) -> &[ServiceBehind] {
        &self.services.behind
    }

    /// The authorizer that a request is for.
    pub(crate) fn facing(&self, request: &Request<'_>) -> &Self {
        if self.services.by_address.is_empty() {
            return self;
        }
        let address = request.connection.destination_ip.to_canonical();
        let place = self.services.by_address.get(&address);
        let service = place.and_then(|place| self.services.behind.get(*place));
        service.map_or(self, |service| &service.authorizer)
    }
}
