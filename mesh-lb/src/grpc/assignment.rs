//! Which assignments a gRPC client accepts, and the weights that it gives endpoints.
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use mesh_model::name::Locality;

use crate::health::status::HealthStatus;

/// One endpoint of an assignment.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a value of the protocol")]
pub struct Endpoint {
    /// Its address.
    pub address: Box<str>,
    /// Other addresses of the same endpoint.
    pub additional_addresses: Vec<Box<str>>,
    /// Its weight; unset is 1.
    pub weight: Option<u32>,
    /// Its health: only unknown and healthy endpoints are used.
    pub health: HealthStatus,
    /// What it is named by on a ring instead of its address, unless empty.
    pub hash_key: Box<str>,
}

impl Endpoint {
    /// Returns whether a gRPC client connects to it.
    pub const fn is_usable(&self) -> bool {
        matches!(self.health, HealthStatus::Unknown | HealthStatus::Healthy)
    }

    /// Returns what names it on a ring.
    pub fn key(&self) -> &str {
        if self.hash_key.is_empty() { &self.address } else { &self.hash_key }
    }
}

/// One locality of an assignment.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a value of the protocol")]
pub struct GrpcLocality {
    /// Where it is; a locality without it is refused.
    pub name: Option<Locality>,
    /// Its priority, 0 first.
    pub priority: u32,
    /// Its weight; with 0 it is left out.
    pub weight: u32,
    /// Its endpoints.
    pub endpoints: Vec<Endpoint>,
}

/// Why a whole assignment is refused.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RefusedAssignment {
    kind: Kind,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Kind {
    Nameless,
    LocalityWeights { priority: u32 },
    SameLocality { priority: u32 },
    ZeroWeight { address: Box<str> },
    EndpointWeights,
    SameAddress { address: Box<str> },
    Gap { missing: u32 },
}

impl fmt::Display for RefusedAssignment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Nameless => f.write_str("a locality has no name"),
            Kind::LocalityWeights { priority } => {
                write!(f, "the locality weights of priority `{priority}` exceed 4294967295")
            }
            Kind::SameLocality { priority } => {
                write!(f, "priority `{priority}` has the same locality twice")
            }
            Kind::ZeroWeight { address } => write!(f, "endpoint `{address}` has weight `0`"),
            Kind::EndpointWeights => {
                f.write_str("the endpoint weights of a locality exceed 4294967295")
            }
            Kind::SameAddress { address } => write!(f, "address `{address}` occurs twice"),
            Kind::Gap { missing } => write!(f, "there is no priority `{missing}` below others"),
        }
    }
}

impl std::error::Error for RefusedAssignment {}

/// An assignment as a gRPC client takes it: localities without weight are gone.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Accepted<'a> {
    // INVARIANT: positive weights; the priorities are 0..n without gap.
    localities: Vec<&'a GrpcLocality>,
}

impl<'a> Accepted<'a> {
    /// Accepts an assignment, or refuses all of it: the last good one then stays in use.
    ///
    /// A locality of weight 0 is left out before anything else about it is looked at, so that its
    /// mistakes do not count; if a priority has only such localities it is missing.
    ///
    /// # Errors
    ///
    /// A locality has no name, or the same one as another of its priority; weights are 0 or sum to
    /// more than 32 bits; an address occurs twice; a priority is missing.
    ///
    /// # Upstream
    ///
    /// grpc-go `internal/xds/xdsclient/xdsresource/unmarshal_eds.go`, `parseEDSRespProto`.
    pub fn new(localities: &'a [GrpcLocality]) -> Result<Self, RefusedAssignment> {
        let mut weights: BTreeMap<u32, u32> = BTreeMap::new();
        let mut names = BTreeSet::new();
        let mut addresses = BTreeSet::new();
        let kept: Vec<&GrpcLocality> = localities.iter().filter(|l| l.weight > 0).collect();
        let error = |kind| RefusedAssignment { kind };
        let refused = |kind| Err(error(kind));
        for locality in &kept {
            let priority = locality.priority;
            let Some(name) = &locality.name else { return refused(Kind::Nameless) };
            let sum = weights.entry(priority).or_insert(0);
            let Some(added) = sum.checked_add(locality.weight) else {
                return refused(Kind::LocalityWeights { priority });
            };
            *sum = added;
            if !names.insert((priority, name)) {
                return refused(Kind::SameLocality { priority });
            }
            locality.accept_endpoints(&mut addresses).map_err(error)?;
        }
        if let Some((missing, _)) = (0..).zip(weights.keys()).find(|(level, found)| level != *found)
        {
            return refused(Kind::Gap { missing });
        }
        Ok(Self { localities: kept })
    }

    /// Returns the localities that count, in the order of the assignment.
    pub fn localities(&self) -> &[&'a GrpcLocality] {
        &self.localities
    }

    /// Returns the number of levels. An assignment without localities is one level without
    /// endpoints.
    pub fn levels(&self) -> u32 {
        self.localities.iter().map(|locality| locality.priority + 1).max().unwrap_or(1)
    }

    /// Returns the localities of one level and their places in [`localities`](Self::localities).
    pub fn level(&self, priority: u32) -> impl Iterator<Item = (usize, &'a GrpcLocality)> {
        let all = self.localities.iter().copied().enumerate();
        all.filter(move |(_, locality)| locality.priority == priority)
    }
}

impl GrpcLocality {
    fn accept_endpoints<'a>(&'a self, addresses: &mut BTreeSet<&'a str>) -> Result<(), Kind> {
        let mut sum: u32 = 0;
        for endpoint in &self.endpoints {
            let weight = endpoint.weight.unwrap_or(1);
            if weight == 0 {
                return Err(Kind::ZeroWeight { address: endpoint.address.clone() });
            }
            sum = sum.checked_add(weight).ok_or(Kind::EndpointWeights)?;
            for address in [&endpoint.address].into_iter().chain(&endpoint.additional_addresses) {
                if !addresses.insert(address) {
                    return Err(Kind::SameAddress { address: address.clone() });
                }
            }
        }
        Ok(())
    }
}

/// How the weights of localities and endpoints are joined.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum WeightScheme {
    /// Shares in fixed point: 2^31 is the whole level (gRFC A113).
    #[default]
    FixedPoint,
    /// The product, modulo 2^32: `GRPC_EXPERIMENTAL_PF_WEIGHTED_SHUFFLING=false`.
    Product,
}

/// Returns the weight of each endpoint of a level, locality by locality. Endpoints that are not
/// usable count in the sums, and have a weight too.
///
/// # Upstream
///
/// grpc-go `internal/xds/balancer/cdsbalancer/configbuilder.go`, `priorityLocalitiesToClusterImpl`.
pub fn endpoint_weights(scheme: WeightScheme, level: &[&GrpcLocality]) -> Vec<Vec<u32>> {
    let sum = level.iter().map(|locality| u64::from(locality.weight)).sum();
    level.iter().map(|locality| locality.weights(scheme, sum)).collect()
}

impl GrpcLocality {
    fn weights(&self, scheme: WeightScheme, level_sum: u64) -> Vec<u32> {
        let weights = self.endpoints.iter().map(|endpoint| endpoint.weight.unwrap_or(1));
        match scheme {
            WeightScheme::Product => weights.map(|one| one.wrapping_mul(self.weight)).collect(),
            WeightScheme::FixedPoint => {
                fixed_point(&weights.collect::<Vec<_>>(), self.weight, level_sum)
            }
        }
    }
}

/// The weights of endpoints as shares of their level, of which their locality has a share.
pub(crate) fn fixed_point(weights: &[u32], locality: u32, level_sum: u64) -> Vec<u32> {
    let sum = weights.iter().copied().map(u64::from).sum();
    let share = u64::from(fraction(locality, level_sum));
    let weight = |&weight: &u32| {
        let product = (u64::from(fraction(weight, sum)) * share) >> 31;
        u32::try_from(product).unwrap_or(u32::MAX).max(1)
    };
    weights.iter().map(weight).collect()
}

/// `part / whole` in fixed point, 31 bits behind the point; a whole of 0 acts as 1.
fn fraction(part: u32, whole: u64) -> u32 {
    u32::try_from((u64::from(part) << 31) / whole.max(1)).unwrap_or(u32::MAX)
}

/// Returns the leaves of an aggregate cluster in the order of their levels: depth first, a leaf met
/// again is left out. `children` names the members of an aggregate, or is none for a leaf.
///
/// # Errors
///
/// The clusters nest deeper than 16.
///
/// # Upstream
///
/// grpc-go `internal/xds/xdsdepmgr/xds_dependency_manager.go`, `populateClusterConfigLocked`.
pub fn leaves<'a, C: IntoIterator<Item = &'a str>>(
    root: &'a str,
    children: &impl Fn(&str) -> Option<C>,
) -> Result<Vec<&'a str>, InvalidNesting> {
    let mut leaves = Vec::new();
    collect(root, children, 0, &mut BTreeSet::new(), &mut leaves)?;
    Ok(leaves)
}

/// Aggregate clusters nest deeper than 16.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct InvalidNesting(());

impl fmt::Display for InvalidNesting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("aggregate clusters nest deeper than `16`")
    }
}

impl std::error::Error for InvalidNesting {}

fn collect<'a, C: IntoIterator<Item = &'a str>>(
    cluster: &'a str,
    children: &impl Fn(&str) -> Option<C>,
    depth: u32,
    seen: &mut BTreeSet<&'a str>,
    leaves: &mut Vec<&'a str>,
) -> Result<(), InvalidNesting> {
    if depth >= 16 {
        return Err(InvalidNesting(()));
    }
    if !seen.insert(cluster) {
        return Ok(());
    }
    let Some(members) = children(cluster) else {
        leaves.push(cluster);
        return Ok(());
    };
    members.into_iter().try_for_each(|member| collect(member, children, depth + 1, seen, leaves))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `LOCALITY PRIORITY WEIGHT ADDRESS…`, a line a locality.
    fn localities(text: &str) -> Vec<GrpcLocality> {
        let lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        lines
            .map(|words| GrpcLocality {
                name: Some(Locality::parse(words[0])),
                priority: words[1].parse().unwrap(),
                weight: words[2].parse().unwrap(),
                endpoints: words[3..]
                    .iter()
                    .map(|address| Endpoint { address: (*address).into(), ..Endpoint::default() })
                    .collect(),
            })
            .collect()
    }

    fn check(text: &str, expected: Result<usize, &str>) {
        let localities = localities(text);
        let accepted = Accepted::new(&localities);
        let got = accepted.map(|a| a.localities().len()).map_err(|error| error.to_string());
        assert_eq!(got, expected.map_err(str::to_owned));
    }

    #[test]
    fn priorities_have_no_gap_and_begin_at_zero() {
        check("a 0 1 x\nb 2 1 y", Err("there is no priority `1` below others"));
        check("a 1 1 x", Err("there is no priority `0` below others"));
        check("a 0 0 x\nb 1 1 y", Err("there is no priority `0` below others"));
        check("", Ok(0));
    }

    #[test]
    fn a_locality_without_weight_is_not_even_looked_at() {
        check("a 0 1 x\na 0 0 x", Ok(1));
        check("a 0 1 x\na 0 1 y", Err("priority `0` has the same locality twice"));
        check("a 0 1 x\na 1 1 x", Err("address `x` occurs twice"));
    }

    #[test]
    fn weights_are_shares_of_two_to_the_thirty_first() {
        let localities = localities("a 0 1 x y\nb 0 1 z");
        let level: Vec<&GrpcLocality> = localities.iter().collect();
        let weights = endpoint_weights(WeightScheme::FixedPoint, &level);
        assert_eq!(weights, [vec![1 << 29, 1 << 29], vec![1 << 30]]);
        assert_eq!(endpoint_weights(WeightScheme::Product, &level), [vec![1, 1], vec![1]]);
    }

    #[test]
    fn clusters_that_contain_themselves_end() {
        let members = |name: &str| match name {
            "root" => Some(vec!["x", "loop", "y", "x"]),
            "loop" => Some(vec!["root", "z"]),
            _ => None,
        };
        assert_eq!(leaves("root", &members), Ok(vec!["x", "z", "y"]));
    }
}
