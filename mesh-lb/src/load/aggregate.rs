//! Aggregate clusters: the priorities of several clusters in a row. Composite clusters: one after the other.
//!
//! The load of the row is computed like that of one cluster; the member that a request falls to
//! then puts all its load on the one priority that was chosen.
use super::overprovision::LevelHosts;

/// One priority of the row.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct AggregateLevel {
    /// The index of the member cluster in the configured list.
    pub cluster: usize,
    /// The index of the priority in that cluster.
    pub priority: usize,
}

/// The priorities of the members in a row, and the hosts of each.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Aggregate {
    levels: Vec<AggregateLevel>,
    hosts: Vec<LevelHosts>,
}

impl Aggregate {
    /// Puts the priorities of `clusters` in a row, without those that have no hosts at all. A
    /// cluster that does not exist is an empty list.
    ///
    /// # Examples
    ///
    /// ```
    /// use mesh_lb::load::{Aggregate, LevelHosts};
    ///
    /// let quarter = LevelHosts::healthy_of(1, 4);
    /// let first = [quarter, LevelHosts::default(), quarter];
    /// let second = [LevelHosts::healthy_of(2, 2)];
    /// let row = Aggregate::new(&[&first, &second]);
    /// let row: Vec<_> = row.levels().iter().map(|at| (at.cluster, at.priority)).collect();
    /// assert_eq!(row, [(0, 0), (0, 2), (1, 0)]);
    /// ```
    ///
    /// # Upstream
    ///
    /// Envoy `source/extensions/clusters/aggregate/cluster.cc`,
    /// `AggregateClusterLoadBalancer::linearizePrioritySet`.
    pub fn new(clusters: &[&[LevelHosts]]) -> Self {
        let mut row = Self::default();
        for (cluster, priorities) in clusters.iter().enumerate() {
            for (priority, hosts) in priorities.iter().enumerate().filter(|(_, p)| p.total > 0) {
                row.levels.push(AggregateLevel { cluster, priority });
                row.hosts.push(*hosts);
            }
        }
        row
    }

    /// Returns where each priority of the row comes from.
    pub fn levels(&self) -> &[AggregateLevel] {
        &self.levels
    }

    /// Returns the hosts of each priority of the row, to [spill](super::PriorityLoad::spill).
    /// Without any there is no host.
    pub fn hosts(&self) -> &[LevelHosts] {
        &self.hosts
    }
}

/// Returns the index of the member of a composite cluster that an attempt goes to, none beyond the last:
/// there is no host then. Attempts are counted from 1; health does not matter.
///
/// # Upstream
///
/// Envoy `source/extensions/clusters/composite/cluster.cc`,
/// `CompositeClusterLoadBalancer::mapAttemptToClusterIndex`.
pub fn composite_member(members: usize, attempt: u32) -> Option<usize> {
    let index = usize::try_from(attempt.checked_sub(1)?).ok()?;
    (index < members).then_some(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_composite_cluster_asks_the_next_member_at_each_attempt() {
        let members: Vec<_> = (0..5).map(|attempt| composite_member(2, attempt)).collect();
        assert_eq!(members, [None, Some(0), Some(1), None, None]);
        assert_eq!(composite_member(0, 1), None);
    }
}
