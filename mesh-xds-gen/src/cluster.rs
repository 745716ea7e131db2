//! The clusters of one proxy (CDS): how it reaches each port of each service, and itself.
//!
//! ```text
//! service × port ──type, policy, TLS──▶ default cluster ──subsets of the rule──▶ subset clusters
//! workload ports ──▶ inbound clusters        and the special ones: BlackHole, Passthrough, …
//! ```
//!
//! One field group a module. What endpoints a cluster has is not decided here but for services that
//! DNS resolves, whose endpoints are part of the cluster.
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/networking/core/cluster.go`, `cluster_builder.go`,
//! `cluster_traffic_policy.go`, `cluster_tls.go`.
pub mod accounts; // Reading order: the parts, then the clusters made of them.
pub mod connection_pool;
pub mod discovery;
pub mod http;
pub mod load_balancer;
pub mod locality;
pub mod metadata;
pub mod outlier;
pub mod socket;
pub mod stat_name;
pub mod tls;
mod tls_context;
mod wire;

mod attached;
mod context;
pub mod delta;
pub(crate) mod dynamic_dns;
mod inbound;
mod outbound;
mod special;
mod stencils;

use std::collections::BTreeMap;
use std::sync::Arc;

use mesh_envoy_proto::envoy::config::cluster::v3::Cluster;
use mesh_model::registry::Service;
use mesh_model::view::{ProxyKind, ProxyView};

pub(crate) use self::attached::{Attached, follows_tokens};
use self::context::Context;
pub(crate) use self::discovery::eds_name;
pub(crate) use self::outbound::session_statuses;
pub(crate) use self::stencils::Encoded;
use self::stencils::Stencils;
use crate::name::Form;

/// Returns all clusters of a proxy, by name; of several with one name the first that upstream makes.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/networking/core/cluster.go` `buildClusters`; `cluster_builder.go`
/// `normalizeClusters`.
pub fn clusters(view: &ProxyView<'_>) -> Vec<Cluster> {
    of_services(view, view.services())
}

/// The clusters of these services as far as the proxy has clusters of them, and those that are of none.
pub(crate) fn of_services(view: &ProxyView<'_>, services: &[Arc<Service>]) -> Vec<Cluster> {
    let context = Context::new(view);
    let attached = Attached::of(view).among(services);
    let mut found = outbound::clusters(&context, Form::Subset, &attached);
    found.push(special::black_hole(&context));
    if view.passes_mutual_tls() {
        found.extend(outbound::clusters(&context, Form::DnsSrv, services));
    }
    found.extend(own(&context));
    let mut by_name = BTreeMap::new();
    for cluster in found {
        by_name.entry(cluster.name.clone()).or_insert(cluster);
    }
    by_name.into_values().collect()
}

/// The same as bytes, after `adapt` has changed each of them.
pub(crate) fn encoded_of_services(
    view: &ProxyView<'_>,
    services: &[Arc<Service>],
    adapt: &dyn Fn(&mut Cluster),
) -> Vec<Encoded> {
    let context = Context::new(view);
    let attached = Attached::of(view).among(services);
    let mut stencils = Stencils::new(adapt);
    let mut found = Vec::new();
    outbound::for_each(&context, Form::Subset, &attached, |draft, wanted| {
        stencils.make(draft, wanted, &mut found)
    });
    found.push(stencils.encoded(&mut special::black_hole(&context)));
    if view.passes_mutual_tls() {
        outbound::for_each(&context, Form::DnsSrv, services, |draft, wanted| {
            stencils.make(draft, wanted, &mut found)
        });
    }
    found.extend(own(&context).iter_mut().map(|cluster| stencils.encoded(cluster)));
    // Hosts mostly come in order: what precedes them in a name is told apart first.
    found.sort_by_key(|cluster| cluster.sort);
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found.dedup_by(|later, kept| later.name == kept.name);
    found
}

/// The clusters that are of no service that the proxy sends to.
fn own(context: &Context<'_>) -> Vec<Cluster> {
    let mut found = match context.proxy.kind {
        ProxyKind::Sidecar => {
            let mut found = vec![special::passthrough(context)];
            found.extend(special::allow_any_dynamic_dns(context));
            found.extend(inbound::clusters(context));
            found.push(special::inbound_passthrough(context));
            found
        }
        ProxyKind::Router | ProxyKind::Waypoint | ProxyKind::Ztunnel => Vec::new(),
    };
    found.extend(special::external_secrets(context));
    found
}
