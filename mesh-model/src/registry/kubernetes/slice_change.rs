//! A slice that is another: which of its entries differ, and where that is their conditions only.
use std::sync::Arc;

use super::endpoints::{count, health, ports};
use crate::endpoint::{Endpoints, HealthStatus};
use crate::registry::Service;
use crate::resource::{AddressType, EndpointSlice, SliceEntry};

/// Two states of a slice.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SliceChange<'s> {
    pub(crate) before: &'s Arc<EndpointSlice>,
    pub(crate) after: &'s Arc<EndpointSlice>,
    /// How many entries both begin with, and how many both end with.
    start: usize,
    end: usize,
}

impl<'s> SliceChange<'s> {
    pub(crate) fn new(before: &'s Arc<EndpointSlice>, after: &'s Arc<EndpointSlice>) -> Self {
        let (start, end) = before.endpoints.common(&after.endpoints);
        Self { before, after, start, end }
    }

    /// The entries before, between the common beginning and the common end.
    pub(crate) fn old_entries(self) -> impl Iterator<Item = SliceEntry<'s>> {
        self.between(self.before)
    }

    /// The entries now, between the common beginning and the common end.
    pub(crate) fn new_entries(self) -> impl Iterator<Item = SliceEntry<'s>> {
        self.between(self.after)
    }

    fn between(self, slice: &'s EndpointSlice) -> impl Iterator<Item = SliceEntry<'s>> {
        let len = slice.endpoints.len() - self.start - self.end;
        slice.endpoints.iter().skip(self.start).take(len)
    }

    /// Whether entries are known to differ in their conditions only.
    pub(crate) fn is_of_conditions(self) -> bool {
        self.before.endpoints.shares_places(&self.after.endpoints)
    }

    /// Which endpoints of the service have another health, by their index, if that is all that differs;
    /// `None` where that cannot be told without making them again.
    ///
    /// `before` are the endpoints of the service before, `slices` its slices now.
    pub(crate) fn in_health(
        &self,
        before: &Endpoints,
        service: Option<&Service>,
        slices: &[Arc<EndpointSlice>],
    ) -> Option<Vec<(u32, HealthStatus)>> {
        let (old, new) = (self.before, self.after);
        let are_alike = || {
            let mut pairs = self.old_entries().zip(self.new_entries());
            pairs.all(|(old, new)| old.is_placed_like(new))
        };
        let same = old.address_type == new.address_type
            && old.ports == new.ports
            && old.endpoints.len() == new.endpoints.len()
            && (self.is_of_conditions() || are_alike());
        // Of each entry there is an endpoint for every address and port, none is left out.
        let is_whole = before.len() == slices.iter().map(|slice| count(slice)).sum::<usize>();
        if !same || !is_whole || new.address_type == AddressType::Fqdn {
            return None;
        }
        let (others, ports) = (slices.iter(), ports(new));
        let others = others.take_while(|slice| slice.meta.name != new.meta.name);
        let mut index = others.map(|slice| count(slice)).sum::<usize>()
            + new.endpoints.addresses_of_first(self.start) * ports;
        let keeps_sessions = service.is_some_and(Service::has_session_label);
        let mut changed = Vec::new();
        for entry in self.new_entries() {
            let of_entry = index..index + entry.addresses().count() * ports;
            index = of_entry.end;
            let health = health(service.is_some(), keeps_sessions, entry);
            for index in of_entry {
                if before.get(index)?.health != health {
                    changed.push((u32::try_from(index).ok()?, health));
                }
            }
        }
        Some(changed)
    }
}
