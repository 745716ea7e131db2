//! The weights of hosts on a ring or table, which sum to 1.
use crate::number::double;

/// The hosts that a ring or table is built from, each with its share of 1.
///
/// Hosts are numbered through all localities in order; those of a locality without weight keep
/// their numbers and are left out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NormalizedWeights {
    // INVARIANT: ascending by host.
    hosts: Box<[(u32, f64)]>,
}

impl NormalizedWeights {
    /// Divides the weights of a list of hosts by their sum. A weight of 0 acts as 1.
    ///
    /// # Upstream
    ///
    /// Envoy `source/extensions/load_balancing_policies/common/thread_aware_lb_impl.cc`,
    /// `normalizeHostWeights`.
    pub fn flat(weights: &[u32]) -> Self {
        Self { hosts: (0..).zip(normalized(weights, 1.0)).collect() }
    }

    /// Shares 1 among localities by their weight, then among the hosts of each. The weights of
    /// localities without usable hosts count in the sum, health does not. Localities of weight 0
    /// are left out; if all are, so is everything.
    ///
    /// # Upstream
    ///
    /// Envoy `source/extensions/load_balancing_policies/common/thread_aware_lb_impl.cc`,
    /// `normalizeLocalityWeights`.
    pub fn by_locality<'a>(
        localities: impl IntoIterator<Item = (u32, &'a [u32]), IntoIter: Clone>,
    ) -> Self {
        let localities = localities.into_iter();
        let sum: u64 = localities.clone().map(|(weight, _)| u64::from(weight)).sum();
        let mut hosts = Vec::new();
        let mut first = 0;
        for (weight, host_weights) in localities {
            if weight > 0 {
                let share = f64::from(weight) / double(sum);
                hosts.extend((first..).zip(normalized(host_weights, share)));
            }
            first += u32::try_from(host_weights.len()).unwrap_or(0);
        }
        Self { hosts: hosts.into() }
    }

    /// Takes weights that are normalized already; none unless each is positive and they sum to at
    /// most 1 (and a millionth, for rounding).
    pub fn from_normalized(weights: &[f64]) -> Option<Self> {
        let positive = weights.iter().all(|&weight| weight > 0.0);
        let bounded = weights.iter().sum::<f64>() <= 1.000_001;
        (positive && bounded).then(|| Self { hosts: (0..).zip(weights.iter().copied()).collect() })
    }

    /// Returns the hosts and their shares, in the order of the hosts.
    pub const fn hosts(&self) -> &[(u32, f64)] {
        &self.hosts
    }

    /// Returns the share of a host; 0 if it has none.
    pub fn of(&self, host: u32) -> f64 {
        let position = self.hosts.binary_search_by_key(&host, |(host, _)| *host);
        position.ok().and_then(|position| self.hosts.get(position)).map_or(0.0, |host| host.1)
    }

    /// Returns the least share, 1 if there are no hosts.
    pub fn min(&self) -> f64 {
        self.hosts.iter().fold(1.0, |least, (_, weight)| f64::min(least, *weight))
    }

    /// Returns the greatest share, 0 if there are no hosts.
    pub fn max(&self) -> f64 {
        self.hosts.iter().fold(0.0, |greatest, (_, weight)| f64::max(greatest, *weight))
    }
}

fn normalized(weights: &[u32], share: f64) -> impl Iterator<Item = f64> {
    let sum = double(weights.iter().map(|&weight| u64::from(weight.max(1))).sum());
    weights.iter().map(move |&weight| f64::from(weight.max(1)) * share / sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(localities: &[(u32, &[u32])], expected: &[(u32, f64)]) {
        let weights = NormalizedWeights::by_locality(localities.iter().copied());
        assert_eq!(weights.hosts(), expected);
    }

    #[test]
    fn a_locality_without_weight_is_left_out_and_keeps_its_numbers() {
        check(&[(1, &[1, 1]), (0, &[5]), (3, &[1])], &[(0, 0.125), (1, 0.125), (3, 0.75)]);
        check(&[(0, &[1]), (0, &[1])], &[]);
    }

    #[test]
    fn a_locality_without_hosts_keeps_its_part_of_the_sum() {
        check(&[(1, &[]), (1, &[2, 2])], &[(0, 0.25), (1, 0.25)]);
    }

    #[test]
    fn the_share_of_a_host_is_found_by_its_number() {
        let weights = NormalizedWeights::by_locality([(0, [1].as_slice()), (1, &[1, 3])]);
        assert_eq!([0, 1, 2, 3].map(|host| weights.of(host)), [0.0, 0.25, 0.75, 0.0]);
    }
}
