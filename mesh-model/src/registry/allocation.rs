//! Which addresses a control plane allocates for entries that have none.
//!
//! ```text
//! ServiceEntry ──hosts──▶ hosts that need addresses ──AddressPool──▶ status.addresses
//!                                                   └─by_name──────▶ no status: from the name alone
//! ```
//!
//! By default a controller draws from a pool and writes what it drew into the status of the entry,
//! where [`Mesh`](super::Mesh) finds it. With `PILOT_ENABLE_IP_AUTOALLOCATE` off every control plane
//! computes the addresses for itself, from names alone.
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/controllers/ipallocate/ipallocate.go`,
//! `pilot/pkg/networking/serviceentry/ip_autoallocation.go`,
//! `pilot/pkg/serviceregistry/serviceentry/auto_allocation.go`.
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use super::AutoAllocated;
use crate::name::Cidr;
use crate::resource::ServiceEntry;
use crate::resource::service_entry::Resolution;

const LABEL: &str = "networking.istio.io/enable-autoallocate-ip";

/// Returns whether addresses are allocated for an entry: it has none, its addresses count
/// (resolution `NONE` passes on what the client dialled), and its label does not decline.
pub fn is_wanted(entry: &ServiceEntry) -> bool {
    let declined = entry.meta.labels.value(LABEL).eq_ignore_ascii_case("false");
    let is_passthrough = entry.spec.resolution == Resolution::None;
    !declined && !is_passthrough && entry.spec.addresses.is_empty()
}

/// Returns the hosts of an entry that get addresses, in their order, each once. Wildcards get some
/// only with resolution `DYNAMIC_DNS`.
pub fn hosts(entry: &ServiceEntry) -> Vec<&str> {
    let mut hosts: Vec<&str> = Vec::new();
    if !is_wanted(entry) {
        return hosts;
    }
    let takes_wildcards = entry.spec.resolution == Resolution::DynamicDns;
    for host in entry.spec.hosts.iter().map(AsRef::as_ref) {
        if (takes_wildcards || !is_wildcard(host)) && !hosts.contains(&host) {
            hosts.push(host);
        }
    }
    hosts
}

/// Returns the addresses that the status of an entry holds for a host, in its order and however many;
/// none where they do not count. What is no address is passed over.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/networking/serviceentry/ip_autoallocation.go`
/// `getHostAddressesFromServiceEntryStatus`, `shouldV2AutoAllocateIPFromPieces`.
pub fn of_status<'e>(entry: &'e ServiceEntry, host: &'e str) -> impl Iterator<Item = IpAddr> + 'e {
    let counts = is_wanted(entry);
    let of_host = entry.status.addresses.iter().filter(move |it| counts && *it.host == *host);
    of_host.filter_map(|address| address.value.parse().ok())
}

fn is_wildcard(host: &str) -> bool {
    host.starts_with('*')
}

/// Whether an address was free when somebody claimed it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "an address is out of range, free, one's own or not")]
pub enum Claim {
    /// The address is not of the pool: nothing to claim.
    Elsewhere,
    /// The address was free and now belongs to the owner.
    New,
    /// The address belongs to this owner already.
    Own,
    /// The address belongs to somebody else; the older one keeps it.
    Conflict,
}

/// A range of addresses, and who holds which.
///
/// # Examples
///
/// ```
/// # use mesh_model::registry::allocation::AddressPool;
/// let mut pool = AddressPool::new("240.240.0.0/16".parse().unwrap());
/// assert_eq!(pool.allocate("shop/cart").unwrap().to_string(), "240.240.0.1");
/// assert_eq!(pool.allocate("shop/till").unwrap().to_string(), "240.240.0.2");
/// ```
#[derive(Clone, Debug)]
pub struct AddressPool {
    range: Cidr,
    owners: BTreeMap<IpAddr, Arc<str>>,
    /// Where the search for a free address starts; it may have run out of the range.
    next: Option<IpAddr>,
}

impl AddressPool {
    /// An empty pool. Istio's are `240.240.0.0/16` and `2001:2::/48`.
    pub fn new(range: Cidr) -> Self {
        let next = after(range.address());
        Self { range, owners: BTreeMap::new(), next }
    }

    /// Draws the next free address for an owner (an entry, `NAMESPACE/NAME`); at the end of the range
    /// the search starts over, once. `None`: all are held. The first address of the range is
    /// never drawn.
    pub fn allocate(&mut self, owner: &str) -> Option<IpAddr> {
        let first = after(self.range.address());
        let start = self.next.filter(|next| self.range.contains(*next));
        let found = start
            .and_then(|start| self.free_from(start))
            .or_else(|| first.and_then(|first| self.free_from(first)))?;
        self.owners.insert(found, Arc::from(owner));
        self.next = after(found);
        Some(found)
    }

    /// The first free address from one on, within the range.
    fn free_from(&self, start: IpAddr) -> Option<IpAddr> {
        let mut address = start;
        for (&held, _) in self.owners.range(start..) {
            if held != address {
                break;
            }
            address = after(address)?;
        }
        self.range.contains(address).then_some(address)
    }

    /// Notes that somebody has an address, by hand or from an earlier allocation.
    pub fn claim(&mut self, address: IpAddr, owner: &str) -> Claim {
        let address = address.to_canonical();
        if !self.range.contains(address) {
            return Claim::Elsewhere;
        }
        match self.owners.get(&address) {
            Some(holder) if **holder == *owner => Claim::Own,
            Some(_) => Claim::Conflict,
            None => {
                self.owners.insert(address, Arc::from(owner));
                Claim::New
            }
        }
    }

    /// Gives an address back, if it is the owner's; the next search starts no later than there.
    pub fn free(&mut self, address: IpAddr, owner: &str) {
        let address = address.to_canonical();
        if self.owners.get(&address).is_none_or(|holder| **holder != *owner) {
            return;
        }
        self.owners.remove(&address);
        let keeps = |next: &IpAddr| self.range.contains(*next) && *next <= address;
        self.next = Some(self.next.filter(keeps).unwrap_or(address));
    }
}

fn after(address: IpAddr) -> Option<IpAddr> {
    match address {
        IpAddr::V4(address) => {
            u32::from(address).checked_add(1).map(|bits| Ipv4Addr::from(bits).into())
        }
        IpAddr::V6(address) => {
            u128::from(address).checked_add(1).map(|bits| Ipv6Addr::from(bits).into())
        }
    }
}

/// How many services can have addresses that come from their names.
const SLOTS: u32 = 256 * 254;
/// The greatest prime below, for the second hash.
const PRIME: u32 = 65_011;

/// Returns the addresses that follow from names alone, in the order of the keys
/// (`NAMESPACE/HOST`); `None` where there is no room left. Equal keys get equal addresses.
///
/// A key takes the slot of its hash, or if that is taken one of a sequence that a second hash walks
/// through; the number of a slot becomes the last two parts of the address, so that a
/// collision also moves the addresses of every slot behind it.
///
/// Upstream's IPv6 addresses print these parts in hexadecimal without leading zeros, so that two
/// IPv4 addresses may share one; it is kept.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/serviceregistry/serviceentry/auto_allocation.go` `autoAllocateIPs`.
pub fn by_name<'k>(keys: impl IntoIterator<Item = &'k str>) -> Vec<Option<AutoAllocated>> {
    let keys: Vec<&str> = keys.into_iter().collect();
    let mut slots: BTreeMap<u32, usize> = BTreeMap::new();
    for (at, key) in keys.iter().enumerate() {
        if let Some(slot) = free_slot(&slots, fnv1a(key)) {
            slots.insert(slot, at);
        }
    }
    let mut addresses: Vec<Option<AutoAllocated>> = vec![None; keys.len()];
    let mut of_key: BTreeMap<&str, AutoAllocated> = BTreeMap::new();
    let mut skipped = 0;
    for (slot, at) in slots {
        let mut number = slot + 1 + skipped;
        if number % 255 == 0 {
            (number, skipped) = (number + 1, skipped + 1);
        }
        let (Some(key), Some(address)) = (keys.get(at), addresses.get_mut(at)) else { continue };
        *address = Some(*of_key.entry(key).or_insert_with(|| numbered(number / 255, number % 255)));
    }
    addresses
}

/// The slot of a hash, or the first free one of its sequence.
fn free_slot(slots: &BTreeMap<u32, usize>, hash: u32) -> Option<u32> {
    let step = PRIME - hash % PRIME;
    let walk = (1..SLOTS).map(|i| hash.wrapping_add(i.wrapping_mul(step)) % (SLOTS - 1));
    std::iter::once(hash % SLOTS).chain(walk).find(|slot| !slots.contains_key(slot))
}

fn numbered(third: u32, fourth: u32) -> AutoAllocated {
    let part = |part: u32| u8::try_from(part).unwrap_or_default();
    let last = if third == 0 { format!("{fourth:x}") } else { format!("{third:x}{fourth:x}") };
    AutoAllocated {
        v4: Some(Ipv4Addr::new(240, 240, part(third), part(fourth)).into()),
        v6: format!("2001:2::f0f0:{last}").parse().ok(),
        by_name: true,
    }
}

/// FNV-1a, 32 bits.
fn fnv1a(text: &str) -> u32 {
    let mix = |hash: u32, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    text.bytes().fold(0x811c_9dc5, mix)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(range: &str) -> AddressPool {
        AddressPool::new(range.parse().unwrap())
    }

    fn check(pool: &mut AddressPool, expected: &[&str]) {
        for expected in expected {
            let drawn = pool.allocate("owner").map(|address| address.to_string());
            assert_eq!(drawn.as_deref().unwrap_or("none"), *expected);
        }
    }

    #[test]
    fn addresses_are_drawn_in_order_until_none_is_left() {
        check(&mut pool("10.0.0.0/30"), &["10.0.0.1", "10.0.0.2", "10.0.0.3", "none", "none"]);
    }

    #[test]
    fn what_is_held_by_hand_is_skipped() {
        let mut pool = pool("2001:2::/48");
        assert_eq!(pool.claim("2001:2::2".parse().unwrap(), "other"), Claim::New);
        assert_eq!(pool.claim("2001:2::2".parse().unwrap(), "other"), Claim::Own);
        assert_eq!(pool.claim("2001:2::2".parse().unwrap(), "owner"), Claim::Conflict);
        assert_eq!(pool.claim("10.0.0.1".parse().unwrap(), "owner"), Claim::Elsewhere);
        check(&mut pool, &["2001:2::1", "2001:2::3"]);
    }

    #[test]
    fn a_freed_address_is_drawn_again_first() {
        let mut pool = pool("10.0.0.0/24");
        check(&mut pool, &["10.0.0.1", "10.0.0.2", "10.0.0.3"]);
        pool.free("10.0.0.2".parse().unwrap(), "somebody else");
        check(&mut pool, &["10.0.0.4"]);
        pool.free("10.0.0.2".parse().unwrap(), "owner");
        check(&mut pool, &["10.0.0.2", "10.0.0.5"]);
    }

    #[test]
    fn a_search_that_leaves_the_range_starts_over() {
        let mut pool = pool("255.255.255.252/30");
        check(&mut pool, &["255.255.255.253", "255.255.255.254", "255.255.255.255"]);
        pool.free("255.255.255.254".parse().unwrap(), "owner");
        check(&mut pool, &["255.255.255.254", "none"]);
    }

    #[test]
    fn more_names_than_slots_leave_some_without_and_end() {
        let keys: Vec<String> = (0..SLOTS + 100).map(|n| format!("shop/{n}.example.com")).collect();
        let drawn = by_name(keys.iter().map(String::as_str));
        let without = drawn.iter().filter(|address| address.is_none()).count();
        assert!((100..=101).contains(&without), "{without}");
    }
}
