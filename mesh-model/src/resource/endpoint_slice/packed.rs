//! The endpoints of a slice, packed: a million of them are kept, and most are one address and one pod each.
//!
//! ```text
//! SliceEndpoints ──▶ conditions, one an endpoint
//!               └──▶ places (shared by states of a slice that differ in conditions only) ──▶ addresses, one after the other
//!                                                                                      └──▶ targets: their names in one text
//! ```
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use super::{
    EndpointAddress, EndpointAddresses, EndpointConditions, SliceEndpoint, TargetKind, TargetRef,
};
use crate::manifest::Node;
use crate::manifest::decode::{Cursor, Decode};

/// The endpoints of a slice, in its order.
///
/// They are collected from [`SliceEndpoint`]s and read as [`SliceEntry`]s.
#[derive(Clone, Default)]
pub struct SliceEndpoints {
    // INVARIANT: one an endpoint, here and in `places`.
    conditions: Box<[EndpointConditions]>,
    places: Arc<Places>,
}

/// Where endpoints are, and which objects.
#[derive(Debug, Default, PartialEq)]
struct Places {
    addresses: Addresses,
    targets: Targets,
}

#[derive(Debug, PartialEq)]
enum Addresses {
    /// One each, of one family.
    V4(Box<[Ipv4Addr]>),
    V6(Box<[Ipv6Addr]>),
    /// Any other.
    Any(Box<[EndpointAddresses]>),
}

#[derive(Debug, Default, PartialEq)]
enum Targets {
    /// No endpoint says what it is.
    #[default]
    None,
    /// All are pods, of a namespace as it is written.
    Pods {
        namespace: Box<str>,
        names: Box<str>,
        /// Where each name ends.
        ends: Box<[u32]>,
    },
    /// Any other.
    Any(Box<[Option<Box<TargetRef>>]>),
}

/// An endpoint as a slice lists it.
#[derive(Clone, Copy)]
pub struct SliceEntry<'s> {
    /// Its state.
    pub conditions: EndpointConditions,
    places: &'s Places,
    index: usize,
}

/// The object that an endpoint of a slice is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "the fields of `TargetRef`")]
pub struct EntryTarget<'s> {
    /// The kind.
    pub kind: TargetKind,
    /// The name.
    pub name: &'s str,
    /// The namespace, empty for that of the slice.
    pub namespace: &'s str,
}

impl SliceEndpoints {
    /// Returns how many endpoints there are.
    pub const fn len(&self) -> usize {
        self.conditions.len()
    }

    /// Returns whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.conditions.is_empty()
    }

    /// Returns the endpoints in order.
    pub fn iter(
        &self,
    ) -> impl DoubleEndedIterator<Item = SliceEntry<'_>> + ExactSizeIterator + Clone {
        let entry = |(index, conditions): (usize, &EndpointConditions)| SliceEntry {
            conditions: *conditions,
            places: &self.places,
            index,
        };
        self.conditions.iter().enumerate().map(entry)
    }

    /// How many addresses the first endpoints have.
    pub(crate) fn addresses_of_first(&self, n: usize) -> usize {
        match &self.places.addresses {
            Addresses::V4(_) | Addresses::V6(_) => n.min(self.len()),
            Addresses::Any(lists) => lists.iter().take(n).map(|list| list.len()).sum(),
        }
    }

    /// Whether addresses and targets are the very ones of another, not only equal ones: endpoints differ in
    /// their conditions only.
    pub(crate) fn shares_places(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.places, &other.places)
    }

    /// How many endpoints both begin with, and of the others how many both end with.
    pub(crate) fn common(&self, other: &Self) -> (usize, usize) {
        if self.shares_places(other) {
            return common(self.conditions.iter(), other.conditions.iter());
        }
        common(self.iter(), other.iter())
    }

    /// Takes the addresses and targets of another if they are equal.
    pub(crate) fn share(&mut self, near: &Self) {
        if !self.shares_places(near) && self.places == near.places {
            self.places = Arc::clone(&near.places);
        }
    }
}

/// How many values both begin with, and of the others how many both end with.
fn common<T: PartialEq>(
    one: impl DoubleEndedIterator<Item = T> + ExactSizeIterator + Clone,
    other: impl DoubleEndedIterator<Item = T> + ExactSizeIterator + Clone,
) -> (usize, usize) {
    let is_same = |(a, b): &(T, T)| a == b;
    let room = one.len().min(other.len());
    let start = one.clone().zip(other.clone()).take_while(is_same).count();
    let back = one.rev().zip(other.rev()).take(room - start);
    (start, back.take_while(is_same).count())
}

impl PartialEq for SliceEndpoints {
    fn eq(&self, other: &Self) -> bool {
        // What changes are mostly conditions.
        self.conditions == other.conditions
            && (self.shares_places(other) || self.places == other.places)
    }
}

impl fmt::Debug for SliceEndpoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl FromIterator<SliceEndpoint> for SliceEndpoints {
    fn from_iter<I: IntoIterator<Item = SliceEndpoint>>(endpoints: I) -> Self {
        let endpoints: Vec<SliceEndpoint> = endpoints.into_iter().collect();
        let conditions = endpoints.iter().map(|endpoint| endpoint.conditions).collect();
        let targets = Targets::of(&endpoints);
        let (addresses, targets) = match (Addresses::of(&endpoints), targets) {
            (Some(addresses), Some(targets)) => (addresses, targets),
            (addresses, targets) => {
                let parts = endpoints.into_iter().map(|one| (one.addresses, one.target_ref));
                let (any_addresses, any_targets): (Vec<_>, Vec<_>) = parts.unzip();
                let any_addresses = || Addresses::Any(any_addresses.into());
                let any_targets = || Targets::Any(any_targets.into());
                (addresses.unwrap_or_else(any_addresses), targets.unwrap_or_else(any_targets))
            }
        };
        Self { conditions, places: Arc::new(Places { addresses, targets }) }
    }
}

impl Decode for SliceEndpoints {
    fn decode(node: &Node, cursor: &mut Cursor) -> Option<Self> {
        Some(Vec::decode(node, cursor)?.into_iter().collect())
    }
}

impl Addresses {
    /// The addresses of endpoints that have one each, of one family.
    fn of(endpoints: &[SliceEndpoint]) -> Option<Self> {
        let ip = |endpoint: &SliceEndpoint| match &*endpoint.addresses {
            [EndpointAddress::Ip(ip)] => Some(*ip),
            _ => None,
        };
        let v4 = |endpoint: &SliceEndpoint| match ip(endpoint)? {
            IpAddr::V4(ip) => Some(ip),
            IpAddr::V6(_) => None,
        };
        let v6 = |endpoint: &SliceEndpoint| match ip(endpoint)? {
            IpAddr::V6(ip) => Some(ip),
            IpAddr::V4(_) => None,
        };
        let all_v4 = endpoints.iter().map(v4).collect::<Option<_>>().map(Self::V4);
        all_v4.or_else(|| endpoints.iter().map(v6).collect::<Option<_>>().map(Self::V6))
    }
}

impl Default for Addresses {
    fn default() -> Self {
        Self::V4(Box::default())
    }
}

impl Targets {
    /// The targets of endpoints that have none, or a pod of one namespace each.
    fn of(endpoints: &[SliceEndpoint]) -> Option<Self> {
        let mut targets = endpoints.iter().map(|endpoint| endpoint.target_ref.as_deref());
        let Some(first) = targets.clone().find_map(|target| target) else {
            return Some(Self::None);
        };
        let is_like = |target: Option<&TargetRef>| {
            target.is_some_and(|target| {
                target.kind == TargetKind::Pod && target.namespace == first.namespace
            })
        };
        if !targets.clone().all(is_like) {
            return None;
        }
        let mut names =
            String::with_capacity(targets.clone().flatten().map(|t| t.name.len()).sum());
        let add = |target: Option<&TargetRef>| {
            names.push_str(&target?.name);
            u32::try_from(names.len()).ok()
        };
        let ends = targets.by_ref().map(add).collect::<Option<_>>()?;
        Some(Self::Pods { namespace: first.namespace.clone(), names: names.into(), ends })
    }
}

impl<'s> SliceEntry<'s> {
    /// Returns its addresses; consumers use each as an endpoint of its own.
    pub fn addresses(self) -> impl Iterator<Item = EndpointAddress> + Clone + use<'s> {
        let index = self.index;
        let (one, listed) = match &self.places.addresses {
            Addresses::V4(ips) => (ips.get(index).copied().map(IpAddr::V4), None),
            Addresses::V6(ips) => (ips.get(index).copied().map(IpAddr::V6), None),
            Addresses::Any(lists) => (None, lists.get(index)),
        };
        let listed = listed.map(|list| &**list).unwrap_or_default();
        one.into_iter().map(EndpointAddress::Ip).chain(listed.iter().cloned())
    }

    /// Returns the object that it is, as a rule a pod.
    pub fn target(self) -> Option<EntryTarget<'s>> {
        match &self.places.targets {
            Targets::None => None,
            Targets::Pods { namespace, names, ends } => {
                let end =
                    |index: usize| Some(usize::try_from(*ends.get(index)?).unwrap_or_default());
                let start = self.index.checked_sub(1).and_then(end).unwrap_or_default();
                let name = names.get(start..end(self.index)?)?;
                Some(EntryTarget { kind: TargetKind::Pod, name, namespace })
            }
            Targets::Any(targets) => {
                let TargetRef { kind, name, namespace } = targets.get(self.index)?.as_deref()?;
                Some(EntryTarget { kind: *kind, name, namespace })
            }
        }
    }

    /// Whether it is at the addresses and of the target of another.
    pub(crate) fn is_placed_like(self, other: SliceEntry<'_>) -> bool {
        let is_same = std::ptr::eq(self.places, other.places) && self.index == other.index;
        is_same || (self.addresses().eq(other.addresses()) && self.target() == other.target())
    }
}

impl PartialEq for SliceEntry<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.conditions == other.conditions && self.is_placed_like(*other)
    }
}

impl fmt::Debug for SliceEntry<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SliceEntry")
            .field("addresses", &self.addresses().collect::<Vec<_>>())
            .field("conditions", &self.conditions)
            .field("target", &self.target())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Endpoints from words: addresses, and after `=` the target (`Pod`s as `NAMESPACE/NAME`, others after `!`).
    fn endpoints(texts: &[&str]) -> Vec<SliceEndpoint> {
        let endpoint = |text: &&str| {
            let (addresses, target) = text.split_once('=').unwrap_or((text, ""));
            let address = |word: &str| match word.parse() {
                Ok(ip) => EndpointAddress::Ip(ip),
                Err(_) => EndpointAddress::Name(word.into()),
            };
            let (kind, name) = match target.strip_prefix('!') {
                Some(name) => (TargetKind::Other, name),
                None => (TargetKind::Pod, target),
            };
            let target_ref = name.split_once('/').map(|(namespace, name)| {
                Box::new(TargetRef { kind, name: name.into(), namespace: namespace.into() })
            });
            let addresses = addresses.split_whitespace().map(address).collect();
            let ready = [None, Some(true), Some(false)][text.len() % 3];
            let conditions = EndpointConditions { ready, ..EndpointConditions::default() };
            SliceEndpoint { addresses, conditions, target_ref }
        };
        texts.iter().map(endpoint).collect()
    }

    const LISTS: &[&[&str]] = &[
        &[],
        &["10.0.0.1"],
        &["10.0.0.1", "10.0.0.2"],
        &["10.0.0.1", "fd00::2"],
        &["fd00::1", "fd00::2"],
        &["10.0.0.1 10.0.0.2", "10.0.0.3"],
        &["10.0.0.1", ""],
        &["10.0.0.1", "a.example"],
        &["10.0.0.1=/a", "10.0.0.2=/bc", "10.0.0.3=/"],
        &["10.0.0.1=/ab", "10.0.0.2=/c", "10.0.0.3=/"],
        &["10.0.0.1=ns/a", "10.0.0.2=ns/bc"],
        &["10.0.0.1=ns/a", "10.0.0.2=/bc"],
        &["10.0.0.1=ns/a", "10.0.0.2"],
        &["10.0.0.1", "10.0.0.2=ns/a"],
        &["10.0.0.1=ns/a", "10.0.0.2=!ns/b"],
        &["10.0.0.1 fd00::1=ns/a", "=!ns/b", "a.example 10.0.0.1"],
    ];

    #[test]
    fn entries_are_what_was_put_in() {
        for list in LISTS {
            let written = endpoints(list);
            let packed: SliceEndpoints = written.iter().cloned().collect();
            assert_eq!((packed.len(), packed.iter().len()), (written.len(), written.len()));
            for (entry, written) in packed.iter().zip(&written) {
                assert!(entry.addresses().eq(written.addresses.iter().cloned()), "{list:?}");
                assert_eq!(entry.conditions, written.conditions);
                let target = written.target_ref.as_deref();
                let target = target.map(|target| (target.kind, &*target.name, &*target.namespace));
                let found = entry.target();
                assert_eq!(found.map(|found| (found.kind, found.name, found.namespace)), target);
            }
            for n in 0..=written.len() {
                let addresses: usize = written.iter().take(n).map(|one| one.addresses.len()).sum();
                assert_eq!(packed.addresses_of_first(n), addresses);
            }
        }
    }

    #[test]
    fn lists_are_equal_if_their_entries_are() {
        for list in LISTS {
            for other in LISTS {
                let (a, b) = (endpoints(list), endpoints(other));
                let packed = |list: &[SliceEndpoint]| list.iter().cloned().collect();
                let (mut one, two): (SliceEndpoints, SliceEndpoints) = (packed(&a), packed(&b));
                assert_eq!(one == two, a == b, "{list:?} {other:?}");
                let (start, end) = one.common(&two);
                let pairs = a.iter().zip(&b);
                assert_eq!(start, pairs.take_while(|(a, b)| a == b).count());
                let room = a.len().min(b.len()) - start;
                let pairs = a.iter().rev().zip(b.iter().rev()).take(room);
                assert_eq!(end, pairs.take_while(|(a, b)| a == b).count());
                assert_eq!(one.iter().eq(two.iter()), a == b, "{list:?} {other:?}");
                one.share(&two);
                assert_eq!(one.shares_places(&two), a == b);
                assert_eq!(one.common(&two), (start, end));
                assert_eq!(one, packed(&a));
            }
        }
    }
}
