//! Failover by labels: the more labels of a list an endpoint shares with the client, the earlier.
use std::collections::{BTreeMap, BTreeSet};

use mesh_model::name::Labels;

use super::{Group, Reason, compact, weight};

/// The label that, as the first of a list, puts every other network behind the client's own.
const NETWORK: &str = "topology.istio.io/network";

/// The list of labels and what an endpoint must show for each.
#[derive(Clone, Debug)]
pub(super) struct WantedLabels<'a> {
    wanted: Vec<(&'a str, &'a str)>,
    /// The first entry is the network's label, without a value.
    network_first: bool,
}

impl<'a> WantedLabels<'a> {
    /// Reads entries `label` (as the client's) and `label=value`; a value holds for every entry of
    /// its label, and of two values the later.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/networking/core/loadbalancer/loadbalancer.go`
    /// `priorityLabelOverrides`.
    pub(super) fn new(
        entries: impl IntoIterator<Item = &'a str> + Clone,
        client: &'a Labels,
    ) -> Self {
        let network_first = entries.clone().into_iter().next() == Some(NETWORK);
        let mut values = BTreeMap::new();
        for (label, value) in entries.clone().into_iter().filter_map(fixed_value) {
            values.insert(label, value);
        }
        let wanted = entries.into_iter().map(|entry| {
            let label = entry.split('=').next().unwrap_or_default();
            (label, values.get(label).copied().unwrap_or_else(|| client.value(label)))
        });
        Self { wanted: wanted.collect(), network_first }
    }

    /// The labels in order, each with the value that it must have.
    pub(super) fn wanted(&self) -> &[(&'a str, &'a str)] {
        &self.wanted
    }

    /// Counts what an endpoint matches before the first label that it does not.
    fn count(&self, mut has_label: impl FnMut(&str, &str) -> bool) -> LabelMatch {
        let mut is_other_network = false;
        let mut matched = 0;
        for (index, (label, value)) in self.wanted.iter().enumerate() {
            if has_label(label, value) {
                matched = index + 1;
            } else if index == 0 && self.network_first {
                is_other_network = true;
                matched = 1;
            } else {
                break;
            }
        }
        let narrow = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        LabelMatch { matched: narrow(matched), of: narrow(self.wanted.len()), is_other_network }
    }
}

/// The labels of a client that entries ask for, in order: those that no entry says the value of, which
/// holds for all entries of its label.
pub(crate) fn asked_labels<'e>(
    entries: impl Iterator<Item = &'e str> + Clone,
) -> impl Iterator<Item = &'e str> {
    let fixed: BTreeSet<&str> = entries.clone().filter_map(fixed_value).map(|one| one.0).collect();
    let labels = entries.filter_map(|entry| entry.split('=').next());
    labels.filter(move |label| !fixed.contains(label))
}

/// Splits `label=value`; anything but exactly one `=` gives no value.
fn fixed_value(entry: &str) -> Option<(&str, &str)> {
    entry.split_once('=').filter(|(_, value)| !value.contains('='))
}

/// How many labels of a `failoverPriority` list an endpoint matches.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct LabelMatch {
    /// The labels that match before the first that does not; a leading network label counts here
    /// even where it does not match.
    pub matched: u32,
    /// The labels of the list.
    pub of: u32,
    /// The list begins with the network's label and the endpoint is in another network.
    pub is_other_network: bool,
}

impl LabelMatch {
    /// The rank before compaction: less is preferred; other networks come after all of the
    /// client's own.
    const fn rank(self) -> u32 {
        let missing = self.of.saturating_sub(self.matched);
        if self.is_other_network { missing.saturating_add(self.of) } else { missing }
    }
}

/// Splits every group by how well its endpoints match and ranks the parts.
///
/// Parts keep the locality, their endpoints' order and follow each other by rank; weights are summed
/// anew and empty groups vanish. A client without labels must not be asked: upstream does nothing.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/networking/core/loadbalancer/loadbalancer.go` `applyFailoverPriorities`,
/// `applyFailoverPriorityPerLocality`.
pub(super) fn apply<'a, M, L: Clone>(
    groups: Vec<Group<M, L>>,
    client: &'a Labels,
    entries: impl IntoIterator<Item = &'a str> + Clone,
    weight_of: impl Fn(&M) -> u32,
    has_label: impl Fn(&M, &str, &str) -> bool,
) -> Vec<Group<M, L>> {
    let labels = WantedLabels::new(entries, client);
    let mut parts = Vec::with_capacity(groups.len());
    for group in groups {
        split(group, &labels, &weight_of, &has_label, &mut parts);
    }
    compact::compact(&mut parts);
    parts
}

fn split<M, L: Clone>(
    group: Group<M, L>,
    labels: &WantedLabels<'_>,
    weight_of: impl Fn(&M) -> u32,
    has_label: impl Fn(&M, &str, &str) -> bool,
    parts: &mut Vec<Group<M, L>>,
) {
    let Group { locality, members, .. } = group;
    let mut ranked: Vec<(LabelMatch, M)> = members
        .into_iter()
        .map(|member| (labels.count(|label, value| has_label(&member, label, value)), member))
        .collect();
    ranked.sort_by_key(|(found, _)| found.rank());
    let mut ranked = ranked.into_iter().peekable();
    while let Some((found, first)) = ranked.next() {
        let mut members = vec![first];
        while let Some((_, member)) = ranked.next_if(|(other, _)| other.rank() == found.rank()) {
            members.push(member);
        }
        parts.push(Group {
            locality: locality.clone(),
            weight: weight::refreshed(members.iter().map(&weight_of)),
            priority: found.rank(),
            members,
            reason: Reason::Labels { labels: found, then: None },
        });
    }
}
