//! The rules of one namespace by the hosts that they are for.
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::MergedRule;
use crate::name::{Hostname, most_specific};

/// What is collected before it is asked. A rule that nothing was merged into otherwise is one allocation in
/// every index.
pub(super) type ByHost = BTreeMap<Hostname, Vec<Arc<MergedRule>>>;

/// The rules of each host, found by its text; a client asks for every service that it sees.
#[derive(Clone, Default, PartialEq)]
pub(super) struct Hosts {
    // INVARIANT: in the order of the hosts, each once.
    rules: Box<[(Hostname, Vec<Arc<MergedRule>>)]>,
    /// Where each host is.
    places: FxHashMap<Hostname, usize>,
    /// How many of them are no names: what begins with `*` or a byte before it.
    n_before_names: usize,
}

impl Hosts {
    /// The rules of the most specific host that covers a service's, or is it.
    pub(super) fn find(&self, host: &Hostname) -> Option<&[Arc<MergedRule>]> {
        let place = self.places.get(host).or_else(|| {
            let before = self.rules.get(..self.n_before_names)?.iter().map(|(known, _)| known);
            let wildcards = before.filter(|known| known.is_wildcard());
            self.places.get(most_specific(host, wildcards)?)
        });
        self.rules.get(*place?).map(|(_, rules)| rules.as_slice())
    }

    /// All rules, in the order of their hosts.
    pub(super) fn iter(&self) -> impl Iterator<Item = &MergedRule> {
        self.rules.iter().flat_map(|(_, rules)| rules).map(|rule| &**rule)
    }
}

/// What is shown follows from the rules alone, not from where their hashes put them.
impl fmt::Debug for Hosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.rules.iter().map(|(host, rules)| (host, rules))).finish()
    }
}

impl From<ByHost> for Hosts {
    fn from(rules: ByHost) -> Self {
        let rules: Box<[_]> = rules.into_iter().collect();
        let places = rules.iter().map(|(host, _)| host.clone()).zip(0..).collect();
        let n_before_names = rules.partition_point(|(host, _)| host.as_str() < "+");
        Self { rules, places, n_before_names }
    }
}
