//! Which endpoints a proxy may know at all.
use mesh_model::compat::Flags;
use mesh_model::endpoint::{
    Cohort, Dialled, Discoverability, Endpoint, HealthStatus, Kind, Workload,
};
use mesh_model::name::{Labels, Locality};
use mesh_model::registry::{Resolution, TrafficDistribution};
use mesh_model::resource::destination_rule::Subset;

use super::{ClusterForm, DropReason, Input};

/// What the filter asks of every endpoint, read once from an input.
#[derive(Clone, Copy, Debug)]
pub(super) struct Filter<'a> {
    input: &'a Input<'a>,
    keeps_unhealthy: bool,
    keeps_draining: bool,
}

/// Where endpoints stand to the proxy.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing {
    sees_network: bool,
    is_other_cluster: bool,
    /// Also where either is unknown.
    may_be_same_cluster: bool,
    /// In its network, or where either is unknown.
    is_near: bool,
}

/// Returns whether a proxy may know an endpoint of the service, and if not, why.
///
/// Only the rules for single endpoints are asked, not whether it serves the port or belongs to the
/// subset.
///
/// # Errors
///
/// The first rule that the endpoint fails.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/xds/endpoints/endpoint_builder.go` `filterIstioEndpoint`.
pub fn check_visible(input: &Input<'_>, endpoint: &Endpoint) -> Result<(), DropReason> {
    let filter = Filter::new(input);
    filter.visible(filter.standing(&endpoint.workload), &Kind::of(endpoint), endpoint)
}

/// Whether unhealthy endpoints are sent, so that Envoy sees how much of a locality is fit.
///
/// They are not where `minHealthPercent` lets Envoy panic: it would then use them.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/xds/endpoints/endpoint_builder.go` `supportsUnhealthyEndpoints`.
pub const fn supports_unhealthy_endpoints(
    flags: &Flags,
    distribution: TrafficDistribution,
    min_health_percent: i32,
) -> bool {
    if flags.pilot_send_unhealthy_endpoints || !matches!(distribution, TrafficDistribution::Any) {
        return true;
    }
    flags.pilot_auto_send_unhealthy_endpoints && min_health_percent <= 0
}

/// The labels that a subset's endpoints have: of the first subset with the name, `None` for no name
/// and for a name that no subset has.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/xds/endpoints/endpoint_builder.go` `getSubSetLabels`.
pub fn subset_labels<'r>(subsets: &'r [Subset], name: &str) -> Option<&'r Labels> {
    let named = subsets.iter().find(|subset| !name.is_empty() && *subset.name == *name);
    named.map(|subset| &subset.labels)
}

impl<'a> Filter<'a> {
    pub(super) fn new(input: &'a Input<'a>) -> Self {
        Self {
            input,
            keeps_unhealthy: supports_unhealthy_endpoints(
                &input.compat.flags,
                input.service.traffic_distribution,
                input.min_health_percent,
            ),
            keeps_draining: input.service.keeps_sessions(),
        }
    }

    /// Whether unhealthy endpoints pass.
    pub(super) const fn keeps_unhealthy(&self) -> bool {
        self.keeps_unhealthy
    }

    /// Why EDS sends nothing at all for the service, if so: it was of a resolved kind when the
    /// cluster was made and DNS resolves it now.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/xds/endpoints/endpoint_builder.go` `findShards`.
    pub(super) fn whole_service(&self) -> Option<DropReason> {
        let is_dns = match self.input.service.resolution {
            Resolution::DnsLb | Resolution::DnsRoundRobinLb => true,
            Resolution::ClientSideLb
            | Resolution::Passthrough
            | Resolution::Alias
            | Resolution::DynamicDns => false,
        };
        (is_dns && !self.input.form.is_dns()).then_some(DropReason::ResolvedByDns)
    }

    /// Why a whole shard is skipped, if it is: the service stays in the proxy's cluster or on its
    /// node.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/xds/endpoints/endpoint_builder.go` `snapshotShards`.
    pub(super) fn shard(&self, shard: &mesh_model::endpoint::Shard) -> Option<DropReason> {
        let input = self.input;
        if shard.cluster == input.proxy.cluster || input.form.is_dns() {
            None
        } else if input.is_cluster_local {
            Some(DropReason::ClusterLocal)
        } else {
            input.service.node_local.then_some(DropReason::NodeLocal)
        }
    }

    /// Whether endpoints serve the port: by the port's name, for DNS clusters by its number.
    pub(super) fn serves_port(&self, cohort: &Cohort) -> bool {
        match self.input.form {
            ClusterForm::Dns | ClusterForm::SniDnatDns => {
                cohort.service_port() == self.input.port.number
            }
            ClusterForm::Outbound
            | ClusterForm::SniDnat
            | ClusterForm::InboundVip
            | ClusterForm::SelfDiscovery => **cohort.port_name() == *self.input.port.name,
        }
    }

    /// What the rules ask of the cluster and network that endpoints are from.
    pub(super) fn standing(&self, workload: &Workload) -> Standing {
        let Input { proxy, .. } = self.input;
        Standing {
            sees_network: proxy.sees_network(&workload.place.network),
            is_other_cluster: workload.place.cluster != proxy.cluster,
            may_be_same_cluster: workload.place.cluster.is_same_or_empty(&proxy.cluster),
            is_near: workload.place.network.is_same_or_empty(&proxy.network),
        }
    }

    /// Whether an endpoint of a kind passes, of whatever subset; it already serves the port.
    pub(super) fn check(
        &self,
        standing: Standing,
        kind: &Kind,
        endpoint: &Endpoint,
    ) -> Result<(), DropReason> {
        if !self.input.form.is_dns() && !is_dialable(kind) {
            return Err(DropReason::HostName);
        }
        self.visible(standing, kind, endpoint)
    }

    /// Whether an endpoint belongs to the subset, if there is one.
    pub(super) fn is_in_subset(&self, endpoint: &Endpoint) -> bool {
        self.input.subset.is_none_or(|subset| endpoint.workload.labels.contains(subset))
    }

    fn visible(
        &self,
        standing: Standing,
        kind: &Kind,
        endpoint: &Endpoint,
    ) -> Result<(), DropReason> {
        let Input { proxy, service, .. } = self.input;
        if service.node_local && *endpoint.workload.place.node != *proxy.node {
            return Err(DropReason::NodeLocal);
        }
        if !standing.sees_network {
            return Err(DropReason::NetworkView);
        }
        if self.input.is_cluster_local && standing.is_other_cluster {
            return Err(DropReason::ClusterLocal);
        }
        if kind.discoverability == Discoverability::SameCluster && !standing.may_be_same_cluster {
            return Err(DropReason::NotExported);
        }
        // An address that is only unknown passes: that there is none at all is told by an empty name.
        let is_nowhere = kind.dialled == Dialled::Nowhere;
        if is_nowhere && (self.input.gateways.is_empty() || standing.is_near) {
            return Err(DropReason::NoAddress);
        }
        self.check_health(kind)?;
        if self.input.is_ambient_local && standing.is_other_cluster {
            return Err(DropReason::AmbientScope);
        }
        if self.input.form == ClusterForm::SelfDiscovery {
            return self.check_own_workload(endpoint);
        }
        Ok(())
    }

    fn check_health(&self, kind: &Kind) -> Result<(), DropReason> {
        let is_draining = match kind.health {
            HealthStatus::Unhealthy if !self.keeps_unhealthy => return Err(DropReason::Unhealthy),
            HealthStatus::Terminating => return Err(DropReason::Terminating),
            HealthStatus::Draining => true,
            HealthStatus::Unknown | HealthStatus::Healthy | HealthStatus::Unhealthy => {
                kind.is_labelled_draining
            }
        };
        if is_draining && !self.keeps_draining { Err(DropReason::Draining) } else { Ok(()) }
    }

    fn check_own_workload(&self, endpoint: &Endpoint) -> Result<(), DropReason> {
        let Input { proxy, .. } = self.input;
        let workload = &endpoint.workload;
        if proxy.metadata_text("WORKLOAD_NAME") != endpoint.workload_name().as_str() {
            return Err(DropReason::OtherWorkload);
        }
        for label in ["pod-template-hash", "rollouts-pod-template-hash"] {
            if proxy.labels.value(label) != workload.labels.value(label) {
                return Err(DropReason::OtherRevision);
            }
        }
        if proxy.locality.region() != Locality::parse(&workload.place.locality).region() {
            return Err(DropReason::OtherRegion);
        }
        Ok(())
    }
}

/// Whether EDS can carry the address: an IP, one that a gateway stands in for, or a path (port 0).
const fn is_dialable(kind: &Kind) -> bool {
    match kind.dialled {
        Dialled::Ip | Dialled::Unknown => true,
        Dialled::Text | Dialled::Nowhere => kind.port == 0,
    }
}
