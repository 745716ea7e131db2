//! A slice that is another: which of its entries differ, and where that is their conditions only.
use std::sync::Arc;

use super::endpoints::{count, health, ports};
use crate::endpoint::{Endpoint, HealthStatus};
use crate::registry::Service;
use crate::resource::{AddressType, EndpointSlice, SliceEndpoint};

/// Two states of a slice.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SliceChange<'s> {
    pub(crate) before: &'s Arc<EndpointSlice>,
    pub(crate) after: &'s Arc<EndpointSlice>,
    /// How many entries both begin with.
    start: usize,
    /// The entries between their common beginning and their common end.
    pub(crate) old: &'s [SliceEndpoint],
    pub(crate) new: &'s [SliceEndpoint],
}

impl<'s> SliceChange<'s> {
    pub(crate) fn new(before: &'s Arc<EndpointSlice>, after: &'s Arc<EndpointSlice>) -> Self {
        let (old, new) = (&*before.endpoints, &*after.endpoints);
        let start = old.iter().zip(new).take_while(|(a, b)| a == b).count();
        let old = old.get(start..).unwrap_or_default();
        let new = new.get(start..).unwrap_or_default();
        let end = old.iter().rev().zip(new.iter().rev()).take_while(|(a, b)| a == b).count();
        let without_end = |list: &'s [SliceEndpoint]| list.get(..list.len() - end);
        let (old, new) =
            (without_end(old).unwrap_or_default(), without_end(new).unwrap_or_default());
        Self { before, after, start, old, new }
    }

    /// Which endpoints of the service have another health, by their index, if that is all that differs;
    /// `None` where that cannot be told without making them again.
    ///
    /// `before` are the endpoints of the service before, `slices` its slices now.
    pub(crate) fn in_health(
        &self,
        before: &[Endpoint],
        service: Option<&Service>,
        slices: &[Arc<EndpointSlice>],
    ) -> Option<Vec<(u32, HealthStatus)>> {
        let (old, new) = (self.before, self.after);
        let are_alike = |(old, new): (&SliceEndpoint, &SliceEndpoint)| {
            old.addresses == new.addresses && old.target_ref == new.target_ref
        };
        let same = old.address_type == new.address_type
            && old.ports == new.ports
            && self.old.len() == self.new.len()
            && self.old.iter().zip(self.new).all(are_alike);
        // Of each entry there is an endpoint for every address and port, none is left out.
        let is_whole = before.len() == slices.iter().map(|slice| count(slice)).sum::<usize>();
        if !same || !is_whole || new.address_type == AddressType::Fqdn {
            return None;
        }
        let (others, ports) = (slices.iter(), ports(new));
        let others = others.take_while(|slice| slice.meta.name != new.meta.name);
        let addresses = new.endpoints.iter().take(self.start).map(|entry| entry.addresses.len());
        let mut index =
            others.map(|slice| count(slice)).sum::<usize>() + addresses.sum::<usize>() * ports;
        let keeps_sessions = service.is_some_and(Service::has_session_label);
        let mut changed = Vec::new();
        for entry in self.new {
            let of_entry = index..index + entry.addresses.len() * ports;
            index = of_entry.end;
            let health = health(service.is_some(), keeps_sessions, entry);
            for (index, endpoint) in of_entry.clone().zip(before.get(of_entry)?) {
                if endpoint.health != health {
                    changed.push((u32::try_from(index).ok()?, health));
                }
            }
        }
        Some(changed)
    }
}
