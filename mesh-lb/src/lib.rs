//! Where traffic goes: which endpoints a proxy may use, in what order, in what shares.
//!
//! No I/O, no clock, no random numbers: time and entropy are arguments. The modules below follow
//! Envoy; where its code and its documentation disagree, this crate follows the code and says so.
//!
//! ```
//! use mesh_lb::load::{DataPlane, LevelHosts, PanicThreshold, PriorityLoad};
//!
//! // Half of the first priority is healthy: it keeps 70 % and spills the rest.
//! let levels = [LevelHosts::healthy_of(2, 4), LevelHosts::healthy_of(4, 4)];
//! let mut load = PriorityLoad::default();
//! load.spill(DataPlane::Envoy, &levels, PanicThreshold::default());
//! let healthy: Vec<u32> = load.levels().iter().map(|level| level.healthy_load.get()).collect();
//! assert_eq!(healthy, [70, 30]);
//! ```
// Reading order: the path from configuration to endpoint.
pub mod assign;
pub mod health;

pub mod subset;

pub mod load;

pub mod pick;

pub mod retry;

pub mod grpc;

pub mod ztunnel;

pub mod share;

pub mod capacity;

mod balancer;
pub use self::balancer::{
    Algorithm, Balancer, BalancerPolicy, Host, HostFacts, InFlight, LocalCluster, Pick,
    PickRequest, Selection, SubsetBalancer, assigned_health,
};

pub mod simulate;

pub mod whatif;

pub mod lint;

mod number;
