//! The assignment of a destination as a proxy sees it.
use std::cell::RefCell;

use mesh_model::Compat;
use mesh_model::endpoint::{Endpoint, Gateways, Shards};
use mesh_model::name::Namespace;
use mesh_model::resource::MutualTlsMode;
use mesh_model::resource::destination_rule::{ClientTlsMode, TrafficPolicy};
use mesh_model::view::mtls::ClientTls;
use mesh_model::view::{Destination, ProxyView};

use super::{Assignment, Bases, ClusterForm, Input};

/// What an assignment is computed from beside the proxy and the destination.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "the inputs of one function")]
pub struct Supply<'s> {
    /// The endpoints of the service.
    pub shards: &'s Shards,
    /// How networks are entered.
    pub gateways: &'s Gateways,
    /// Whether gateways by host name count ([`Input::counts_names`]).
    pub counts_names: bool,
    /// The upstream that is followed.
    pub compat: &'s Compat,
}

impl Assignment {
    /// Computes which endpoints a proxy uses for a destination, how it reaches them, and in what
    /// order and shares.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/xds/endpoints/endpoint_builder.go` `NewEndpointBuilder`; for clusters
    /// that DNS resolves also `pilot/pkg/networking/core/loadbalancer/loadbalancer.go`
    /// `ApplyToCluster`.
    pub fn new(view: &ProxyView<'_>, destination: &Destination<'_>) -> Self {
        Self::of_form(view, destination, ClusterForm::of(destination.service.resolution))
    }

    /// The same for another form of cluster than the one that the service has by itself.
    pub fn of_form(view: &ProxyView<'_>, destination: &Destination<'_>, form: ClusterForm) -> Self {
        Self::with_input(view, destination, form, Self::compute)
    }

    /// Hands out what a destination's assignment is computed from.
    pub(super) fn with_input<T>(
        view: &ProxyView<'_>,
        destination: &Destination<'_>,
        form: ClusterForm,
        compute: impl FnOnce(&Input<'_>) -> T,
    ) -> T {
        let none = Shards::default();
        let shards = view.shards(&destination.service).map_or(&none, AsRef::as_ref);
        let gateways = view.gateways(form.is_dns());
        let compat = view.mesh().compat();
        let supply = Supply { shards, gateways, counts_names: false, compat };
        with_supply(view, destination, form, supply, compute)
    }

    /// The same with other endpoints and gateways than those of the mesh, or by other switches.
    pub fn of_supply(
        view: &ProxyView<'_>,
        destination: &Destination<'_>,
        form: ClusterForm,
        supply: Supply<'_>,
    ) -> Self {
        with_supply(view, destination, form, supply, Self::compute)
    }

    /// The same, of what other clients of the destination share with this one as far as they do.
    pub(crate) fn of_bases(
        view: &ProxyView<'_>,
        destination: &Destination<'_>,
        form: ClusterForm,
        (supply, bases): (Supply<'_>, &mut Bases),
    ) -> Self {
        with_supply(view, destination, form, supply, |input| bases.assign(input))
    }
}

/// Hands out what a destination's assignment is computed from, of a supply.
pub(super) fn with_supply<T>(
    view: &ProxyView<'_>,
    destination: &Destination<'_>,
    form: ClusterForm,
    Supply { shards, gateways, counts_names, compat }: Supply<'_>,
    compute: impl FnOnce(&Input<'_>) -> T,
) -> T {
    let service = &*destination.service;
    let config = &view.plane().config;
    let policy: Option<&TrafficPolicy> = destination.policy.as_deref();
    let outlier_detection = policy.and_then(|policy| policy.outlier_detection.as_ref());
    let modes = Modes { view, last: RefCell::new(None) };
    let of_cluster = destination.cluster_policy.as_deref();
    let fails_over = match form {
        // Ranked as the cluster is made, whose policy the mesh's default has completed.
        ClusterForm::Dns | ClusterForm::SniDnatDns => {
            of_cluster.is_some_and(|policy| policy.outlier_detection.is_some())
        }
        ClusterForm::Outbound
        | ClusterForm::SniDnat
        | ClusterForm::InboundVip
        | ClusterForm::SelfDiscovery => outlier_detection.is_some(),
    };
    let input = Input {
        counts_names,
        form,
        is_cluster_local: view.is_cluster_local(service),
        subset: destination.subset_labels,
        load_balancer: policy.and_then(|policy| policy.load_balancer.as_ref()),
        has_outlier_detection: fails_over,
        min_health_percent: outlier_detection.map_or(0, |block| block.min_health_percent),
        tls_mode: destination.endpoint_tls.map(tls_mode),
        mesh_locality: Some(&config.locality_lb_setting),
        mesh_zone_aware: config.zone_aware_lb_setting.as_ref(),
        peer_mode: &|endpoint| modes.of(endpoint),
        peer_mode_varies: &|endpoint| {
            let authentications = &view.plane().peer_authentications;
            authentications.differs_by_workload(&endpoint.workload.namespace)
        },
        ..Input::new(view.proxy(), compat, (service, &destination.port), shards, gateways)
    };
    compute(&input)
}

/// What workloads demand, asked once where all of a namespace demand the same.
struct Modes<'v, 'm> {
    view: &'v ProxyView<'m>,
    /// The last namespace of which all demand the same: endpoints of a service are mostly of one.
    last: RefCell<Option<(Namespace, MutualTlsMode)>>,
}

impl Modes<'_, '_> {
    fn of(&self, endpoint: &Endpoint) -> MutualTlsMode {
        let namespace = &endpoint.workload.namespace;
        let mut last = self.last.borrow_mut();
        if let Some((known, mode)) = &*last
            && known == namespace
        {
            return *mode;
        }
        let mode = self.view.endpoint_mode(endpoint);
        if !self.view.plane().peer_authentications.differs_by_workload(namespace) {
            *last = Some((namespace.clone(), mode));
        }
        mode
    }
}

const fn tls_mode(mode: ClientTls) -> ClientTlsMode {
    match mode {
        ClientTls::Disable => ClientTlsMode::Disable,
        ClientTls::Simple => ClientTlsMode::Simple,
        ClientTls::Mutual => ClientTlsMode::Mutual,
        ClientTls::IstioMutual => ClientTlsMode::IstioMutual,
    }
}
