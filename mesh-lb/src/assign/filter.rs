//! Which endpoints a proxy may know at all.
use mesh_model::compat::Flags;
use mesh_model::endpoint::{Address, Discoverability, Endpoint, HealthStatus};
use mesh_model::name::{Labels, Locality};
use mesh_model::registry::{Resolution, TrafficDistribution};
use mesh_model::resource::destination_rule::Subset;

use super::{ClusterForm, DropReason, Input};

/// A non-empty value makes an endpoint drain, whatever its source says.
pub(super) const DRAINING: &str = "istio.io/draining";

/// What the filter asks of every endpoint, read once from an input.
#[derive(Clone, Copy, Debug)]
pub(super) struct Filter<'a> {
    input: &'a Input<'a>,
    keeps_unhealthy: bool,
    keeps_draining: bool,
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
    Filter::new(input).visible(endpoint)
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
        (is_dns && self.input.form != ClusterForm::Dns).then_some(DropReason::ResolvedByDns)
    }

    /// Why a whole shard is skipped, if it is: the service stays in the proxy's cluster or on its
    /// node.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/xds/endpoints/endpoint_builder.go` `snapshotShards`.
    pub(super) fn shard(&self, shard: &mesh_model::endpoint::Shard) -> Option<DropReason> {
        let input = self.input;
        if shard.cluster == input.proxy.cluster || input.form == ClusterForm::Dns {
            None
        } else if input.is_cluster_local {
            Some(DropReason::ClusterLocal)
        } else {
            input.service.node_local.then_some(DropReason::NodeLocal)
        }
    }

    /// Whether an endpoint serves the port: by the port's name, for DNS clusters by its number.
    pub(super) fn serves_port(&self, endpoint: &Endpoint) -> bool {
        match self.input.form {
            ClusterForm::Dns => endpoint.service_port == self.input.port.number,
            ClusterForm::Outbound
            | ClusterForm::SniDnat
            | ClusterForm::InboundVip
            | ClusterForm::SelfDiscovery => endpoint.port_name == self.input.port.name,
        }
    }

    /// Whether an endpoint passes; it already serves the port.
    pub(super) fn check(&self, endpoint: &Endpoint) -> Result<(), DropReason> {
        if self.input.form != ClusterForm::Dns && !is_dialable(endpoint) {
            return Err(DropReason::HostName);
        }
        if self.input.subset.is_some_and(|subset| !endpoint.workload.labels.contains(subset)) {
            return Err(DropReason::Subset);
        }
        self.visible(endpoint)
    }

    fn visible(&self, endpoint: &Endpoint) -> Result<(), DropReason> {
        let Input { proxy, service, .. } = self.input;
        let workload = &endpoint.workload;
        let is_other_cluster = workload.cluster != proxy.cluster;
        if service.node_local && *workload.node != *proxy.node {
            return Err(DropReason::NodeLocal);
        }
        if !proxy.sees_network(&workload.network) {
            return Err(DropReason::NetworkView);
        }
        if self.input.is_cluster_local && is_other_cluster {
            return Err(DropReason::ClusterLocal);
        }
        if workload.discoverability == Discoverability::SameCluster
            && !workload.cluster.is_same_or_empty(&proxy.cluster)
        {
            return Err(DropReason::NotExported);
        }
        let is_near = || workload.network.is_same_or_empty(&proxy.network);
        if has_no_address(endpoint) && (self.input.gateways.is_empty() || is_near()) {
            return Err(DropReason::NoAddress);
        }
        self.check_health(endpoint)?;
        if self.input.is_ambient_local && is_other_cluster {
            return Err(DropReason::AmbientScope);
        }
        if self.input.form == ClusterForm::SelfDiscovery {
            return self.check_own_workload(endpoint);
        }
        Ok(())
    }

    fn check_health(&self, endpoint: &Endpoint) -> Result<(), DropReason> {
        let is_draining = match endpoint.health {
            HealthStatus::Unhealthy if !self.keeps_unhealthy => return Err(DropReason::Unhealthy),
            HealthStatus::Terminating => return Err(DropReason::Terminating),
            HealthStatus::Draining => true,
            HealthStatus::Unknown | HealthStatus::Healthy | HealthStatus::Unhealthy => {
                !self.keeps_draining && is_labelled_draining(endpoint)
            }
        };
        if is_draining && !self.keeps_draining { Err(DropReason::Draining) } else { Ok(()) }
    }

    fn check_own_workload(&self, endpoint: &Endpoint) -> Result<(), DropReason> {
        let Input { proxy, .. } = self.input;
        let workload = &endpoint.workload;
        if proxy.metadata_text("WORKLOAD_NAME") != &*workload.name {
            return Err(DropReason::OtherWorkload);
        }
        for label in ["pod-template-hash", "rollouts-pod-template-hash"] {
            if proxy.labels.value(label) != workload.labels.value(label) {
                return Err(DropReason::OtherRevision);
            }
        }
        if proxy.locality.region() != Locality::parse(&workload.locality).region() {
            return Err(DropReason::OtherRegion);
        }
        Ok(())
    }
}

/// Whether the label makes an endpoint drain.
pub(super) fn is_labelled_draining(endpoint: &Endpoint) -> bool {
    !endpoint.workload.labels.value(DRAINING).is_empty()
}

/// Whether EDS can carry the address: an IP, one that a gateway stands in for, or a path (port 0).
fn is_dialable(endpoint: &Endpoint) -> bool {
    match endpoint.address {
        Address::Ip(_) | Address::Unknown => true,
        Address::Host(_) | Address::Unix(_) => endpoint.port == 0,
    }
}

/// Whether the list of addresses is empty. A list with one empty address is [`Address::Unknown`]
/// and passes; that no address is known at all is told by an empty host name.
fn has_no_address(endpoint: &Endpoint) -> bool {
    match &endpoint.address {
        Address::Host(name) => name.is_empty(),
        Address::Ip(_) | Address::Unix(_) | Address::Unknown => false,
    }
}
