//! Ports of a service that have the same endpoints: they differ in the port that is dialled alone.
//!
//! ```text
//! http  10.0.0.1:8080  10.0.0.2:8080 ─┐ one workload beside the other,
//! grpc  10.0.0.1:9090  10.0.0.2:9090 ─┘ each as fit as its twin
//! ```
//!
//! What filters, localities and priorities make of them is then the same too, since nothing but a
//! demand of workloads for mutual TLS by port looks at it.
use std::sync::Arc;

use mesh_model::endpoint::{CohortOf, Endpoint, Shard};
use mesh_model::view::Destination;

use super::served::{Meant, Served};

impl Served<'_, '_> {
    /// The ports to which the endpoints of two clusters listen, if nothing else tells their assignments
    /// apart.
    pub(super) fn twins(&self, one: &Meant<'_>, other: &Meant<'_>) -> Option<(u16, u16)> {
        if one.form != other.form || !is_treated_alike(&one.destination, &other.destination) {
            return None;
        }
        let names = [one, other].map(|of| &*of.destination.port.name);
        let mut ports = None;
        for shard in self.shards?.iter() {
            let [of_one, of_other] = names.map(|name| serving(shard, name));
            let (mut others, mut distance) = (of_other, None);
            for of in of_one {
                let twins = Twins::of(of, others.next()?)?;
                let is_as_before = *ports.get_or_insert(twins.ports) == twins.ports
                    && *distance.get_or_insert(twins.distance) == twins.distance;
                if !is_as_before || self.asks_by_port(of, one) {
                    return None;
                }
            }
            if others.next().is_some() {
                return None;
            }
        }
        ports
    }

    /// Whether what workloads demand may depend on their ports.
    fn asks_by_port(&self, of: CohortOf<'_>, meant: &Meant<'_>) -> bool {
        let policies = &self.view.plane().peer_authentications;
        meant.destination.endpoint_tls.is_none()
            && policies.differs_by_workload(&of.cohort().workload().namespace)
    }
}

/// Whether assignments read the same of two destinations of one service, but for the port.
fn is_treated_alike(a: &Destination<'_>, b: &Destination<'_>) -> bool {
    let [one, other] = [a, b].map(|of| of.policy.as_deref());
    let is_same_policy = match (one, other) {
        (Some(one), Some(other)) => {
            std::ptr::eq(one, other)
                || (&one.load_balancer, &one.outlier_detection)
                    == (&other.load_balancer, &other.outlier_detection)
        }
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    };
    is_same_policy && a.subset == b.subset && a.endpoint_tls == b.endpoint_tls
}

/// The cohorts of a shard that serve a port.
fn serving<'s>(shard: &'s Shard, port: &str) -> impl Iterator<Item = CohortOf<'s>> {
    shard.cohorts().filter(move |of| **of.cohort().port_name() == *port)
}

/// Two cohorts whose endpoints differ in their ports alone.
struct Twins {
    ports: (u16, u16),
    /// How far, in the shard, each endpoint is from its twin. Where that is one number for all, those of
    /// the one port stand in the order of those of the other.
    distance: u32,
}

impl Twins {
    fn of(one: CohortOf<'_>, other: CohortOf<'_>) -> Option<Self> {
        let [first, second] = [one, other].map(|of| of.endpoint(0).map(|endpoint| endpoint.port));
        let ports = first.zip(second)?;
        let is_twin = |(a, b): (&Endpoint, &Endpoint)| {
            (a.port, b.port) == ports
                && a.address == b.address
                && a.more_addresses.is_empty()
                && b.more_addresses.is_empty()
                && (a.weight, a.health) == (b.weight, b.health)
                && Arc::ptr_eq(&a.workload, &b.workload)
                && a.instance == b.instance
        };
        let [ours, theirs] = [one, other].map(CohortOf::indices);
        let mut distances = ours.iter().zip(theirs).map(|(a, b)| b.wrapping_sub(*a));
        let distance = distances.next()?;
        let are_twins = ours.len() == theirs.len()
            && distances.all(|next| next == distance)
            && one.endpoints().zip(other.endpoints()).all(is_twin);
        are_twins.then_some(Self { ports, distance })
    }
}
