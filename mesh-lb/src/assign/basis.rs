//! What clients share whose assignments differ in nothing but priorities and weights.
//!
//! ```text
//! shards ─filter, group, split horizon─▶ Basis ─rank, for each place of a client─▶ Assignment
//! ```
use std::sync::Arc;

use mesh_model::endpoint::{Discoverability, Shards};

use super::draft::Draft;
use super::layout::Layout;
use super::{Assignment, ClusterForm, Input, Standpoint};

/// The endpoints and gateways that clients may use, by locality, before anything is ranked.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Basis {
    pub(super) shards: Shards,
    pub(super) layout: Arc<Layout>,
}

impl Basis {
    /// Endpoints, and where they are put.
    pub(super) fn new(shards: &Shards, layout: Arc<Layout>) -> Arc<Self> {
        Arc::new(Self { shards: shards.clone(), layout })
    }
}

/// The bases of one destination with one supply, each made once for all clients that it is the same for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bases {
    reads: Option<Reads>,
    known: Vec<Known>,
}

/// A basis, and the standpoint and the node that it is for.
#[derive(Clone, Debug)]
struct Known {
    standpoint: Standpoint,
    node: Box<str>,
    basis: Arc<Basis>,
}

/// What a basis reads of its client beside what it always does.
#[derive(Clone, Copy, Debug)]
struct Reads {
    cluster: bool,
    network: bool,
}

impl Reads {
    fn by(input: &Input<'_>) -> Self {
        let cohorts = input.shards.iter().flat_map(|shard| shard.cohorts());
        let mut kinds = cohorts.flat_map(|of| of.cohort().kinds());
        Self {
            cluster: input.is_cluster_local
                || input.is_ambient_local
                || input.service.node_local
                || kinds.any(|kind| kind.discoverability == Discoverability::SameCluster),
            network: !input.gateways.is_empty() || input.compat.flags.ambient_multi_network(),
        }
    }
}

impl Bases {
    /// The assignment of an input, as [`Assignment::compute`] has it.
    pub(crate) fn assign(&mut self, input: &Input<'_>) -> Assignment {
        if input.form == ClusterForm::SelfDiscovery || Assignment::reshapes(input) {
            return Assignment::compute(input);
        }
        let reads = *self.reads.get_or_insert_with(|| Reads::by(input));
        let standpoint = Standpoint::anywhere(input.proxy, reads.cluster, reads.network);
        let node = if input.service.node_local { &*input.proxy.node } else { "" };
        let is_of = |known: &Known| known.standpoint == standpoint && *known.node == *node;
        let at = self.known.iter().position(is_of).unwrap_or_else(|| {
            let basis = Draft::of(input).into_basis();
            self.known.push(Known { standpoint, node: node.into(), basis });
            self.known.len() - 1
        });
        match self.known.get(at) {
            Some(Known { basis, .. }) => Assignment::on(Arc::clone(basis), input),
            None => Assignment::compute(input),
        }
    }
}
