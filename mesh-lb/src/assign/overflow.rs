//! Weights that 32 bits do not hold: where istiod's arithmetic wraps or ends, and what is refused for it.
//!
//! ```text
//! weight × factor ─▶ ends at the largest      sums of gateways and localities, shares of distribute ─▶ wrap
//! ```
use std::collections::BTreeMap;

use mesh_model::compat::DataPlane;
use mesh_model::endpoint::Endpoint;
use mesh_model::name::Locality;
use mesh_model::resource::destination_rule::LbPolicy;
use mesh_model::view::{Destination, ProxyView};
use rustc_hash::FxHashMap;

use super::discovery::sends_by_key;
use super::{AssignedEndpoint, AssignedLocality, Assignment, Id, Reason, Target};

const MOST: u128 = u32::MAX as u128;

/// A weight that is not the number that it stands for, because 32 bits do not hold that.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "plain data out")]
pub struct Overflow {
    /// What the weights that it is made of come to.
    pub exact: u128,
    /// The weight that is sent.
    pub weight: u32,
}

/// Weights of one priority that a data plane refuses together: with them all endpoints of the cluster.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "callers tell each")]
pub enum Excess {
    /// The weights of the priority's localities, those without endpoints among them.
    Localities {
        /// The priority.
        priority: u32,
        /// Their sum.
        sum: u128,
    },
    /// The weights of the priority's endpoints.
    Endpoints {
        /// The priority.
        priority: u32,
        /// Their sum.
        sum: u128,
    },
    /// The weights of a locality's endpoints.
    OfLocality {
        /// The locality.
        locality: Locality,
        /// Their sum.
        sum: u128,
    },
}

impl Excess {
    /// Returns what is too much, in words.
    pub fn text(&self) -> String {
        match self {
            Self::Localities { priority, sum } => {
                format!("the weights of the localities of priority {priority} sum to {sum}")
            }
            Self::Endpoints { priority, sum } => {
                format!("the weights of the endpoints of priority {priority} sum to {sum}")
            }
            Self::OfLocality { locality, sum } => {
                format!("the weights of the endpoints in `{locality}` sum to {sum}")
            }
        }
    }
}

impl Assignment {
    /// Returns whether any weight is not the number that it stands for.
    pub fn overflows(&self) -> bool {
        self.localities().any(|locality| locality.overflow().is_some())
            || self.endpoints().any(|endpoint| endpoint.overflow().is_some())
    }

    /// Returns the first sum of weights for which the client refuses all endpoints of the destination. A proxy
    /// keeps what it had before, and a new one has none.
    ///
    /// Envoy refuses with ring hash and Maglev alone, be localities weighted or not; other balancers of its
    /// do not sum in 32 bits. A gRPC client refuses whatever the balancer is.
    ///
    /// # Upstream
    ///
    /// envoyproxy/envoy `source/extensions/load_balancing_policies/common/thread_aware_lb_impl.cc`
    /// `TypedHashLbConfigBase::validateEndpoints`; grpc/grpc-go `xds/internal/xdsclient/xdsresource/unmarshal_eds.go`
    /// `parseEDSRespProto`.
    pub fn excess(&self, view: &ProxyView<'_>, destination: &Destination<'_>) -> Option<Excess> {
        match view.proxy().data_plane {
            DataPlane::IstioProxy | DataPlane::Envoy => {
                let policy = destination.cluster_policy.as_deref();
                let settings = policy.and_then(|policy| policy.load_balancer.as_ref());
                let algorithm = settings.and_then(|settings| settings.policy.as_ref());
                let is_hashed = matches!(algorithm, Some(LbPolicy::ConsistentHash(_)))
                    || sends_by_key(view, destination);
                if is_hashed { self.excess_of_priority(true) } else { None }
            }
            DataPlane::Grpc => self.excess_of_priority(false).or_else(|| self.excess_of_locality()),
            DataPlane::Ztunnel => None,
        }
    }

    fn excess_of_priority(&self, counts_endpoints: bool) -> Option<Excess> {
        (0..self.n_priorities()).find_map(|priority| {
            let of = || self.localities().filter(|locality| locality.priority() == priority);
            // Of a locality that is told again the last weight counts.
            let weights: BTreeMap<&Locality, u32> = of()
                .filter_map(|locality| Some((locality.locality(), locality.weight()?)))
                .collect();
            let localities: u128 = weights.into_values().map(u128::from).sum();
            if localities > MOST {
                return Some(Excess::Localities { priority, sum: localities });
            }
            let sum: u128 = of().map(AssignedLocality::sum).sum();
            (counts_endpoints && sum > MOST).then_some(Excess::Endpoints { priority, sum })
        })
    }

    fn excess_of_locality(&self) -> Option<Excess> {
        let mut localities = self.localities().map(|one| (one.locality(), one.sum()));
        let (locality, sum) = localities.find(|(_, sum)| *sum > MOST)?;
        Some(Excess::OfLocality { locality: locality.clone(), sum })
    }
}

impl AssignedLocality<'_> {
    /// The sum of the weights of its endpoints.
    fn sum(self) -> u128 {
        self.endpoints().map(|endpoint| u128::from(endpoint.weight())).sum()
    }

    /// Returns its weight if 32 bits do not hold the sum of its endpoints' weights, or what `distribute`
    /// computes from it: the sum is exact, the weight what istiod's arithmetic left of it. Costs the number of
    /// its endpoints.
    pub fn overflow(self) -> Option<Overflow> {
        let (exact, weight) = (self.sum(), self.weight()?);
        let wraps = matches!(self.reason(), Reason::Distributed { wraps: true, .. });
        (wraps || exact > MOST).then_some(Overflow { exact, weight })
    }
}

impl AssignedEndpoint<'_> {
    /// Returns its weight if that is not its own times the scale that lets gateways divide weights, or, of a
    /// gateway, not its part of the scaled weights behind it.
    pub fn overflow(self) -> Option<Overflow> {
        let assignment = self.locality().assignment();
        let scale = assignment.scale()?;
        let scaled = |endpoint: &Endpoint| scaled(endpoint, scale);
        let exact = match self.target() {
            Target::Direct(own) | Target::Tunnel(own) => scaled(own),
            Target::Gateway(_) | Target::DoubleTunnel(_) => {
                let whole: u128 = self.fronts().map(scaled).sum();
                if whole.saturating_add(u128::from(scale)) < MOST {
                    return None;
                }
                let dividers = dividers(assignment);
                let part = |(id, endpoint)| {
                    scaled(endpoint).checked_div(dividers.get(&id).copied().unwrap_or(1))
                };
                self.behind().filter_map(part).sum::<u128>().max(1)
            }
        };
        let weight = self.weight();
        (exact != u128::from(weight)).then_some(Overflow { exact, weight })
    }
}

fn scaled(endpoint: &Endpoint, scale: u32) -> u128 {
    u128::from(endpoint.effective_weight()) * u128::from(scale)
}

/// How many gateways stand for each endpoint.
fn dividers(assignment: &Assignment) -> FxHashMap<Id, u128> {
    let mut dividers = FxHashMap::default();
    for (id, _) in assignment.endpoints().flat_map(AssignedEndpoint::behind) {
        *dividers.entry(id).or_default() += 1;
    }
    dividers
}
