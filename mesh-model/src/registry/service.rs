//! A service as the mesh knows it: merged over clusters, from Kubernetes or a `ServiceEntry`.
use std::net::IpAddr;
use std::sync::Arc;

use crate::endpoint::Provider;
use crate::name::{ClusterId, Hostname, Labels, Namespace, Protocol};

/// The address of a service that has none: headless, or a `ServiceEntry` without address.
pub const UNSPECIFIED: &str = "0.0.0.0";

/// A service.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/model/service.go` `Service`, `ServiceAttributes`.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    clippy::struct_excessive_bools,
    reason = "callers build services by hand"
)]
pub struct Service {
    /// The host that clients name; with the namespace the service's key.
    pub hostname: Hostname,
    /// The namespace.
    pub namespace: Namespace,
    /// The Kubernetes name; of a `ServiceEntry` the host again.
    pub name: Arc<str>,
    /// Where the service is from.
    pub provider: Provider,
    /// When the object was created (seconds since 1970), `None` if unknown, which is oldest.
    pub creation: Option<i64>,
    /// The ports, in the order of the object.
    pub ports: Box<[ServicePort]>,
    /// How clients find endpoints.
    pub resolution: Resolution,
    /// The address where no cluster's own is known: an IP, a CIDR, or [`UNSPECIFIED`].
    pub default_address: Arc<str>,
    /// The addresses in each cluster that has the service, in the order of the clusters.
    pub cluster_vips: Box<[ClusterVips]>,
    /// The addresses that the control plane allocated.
    pub auto_allocated: AutoAllocated,
    /// Who may see it, as the object says; `None`: the mesh's default.
    pub export_to: Option<ExportTo>,
    /// The labels of the object.
    pub labels: Labels,
    /// The labels that select its workloads; empty: none.
    pub selector: Labels,
    /// Outside the mesh: no mutual TLS by default.
    pub mesh_external: bool,
    /// Only endpoints on the client's own node (`internalTrafficPolicy: Local`).
    pub node_local: bool,
    /// Endpoints that are not ready count as ready (`publishNotReadyAddresses`).
    pub publish_not_ready: bool,
    /// Which endpoints clients prefer.
    pub traffic_distribution: TrafficDistribution,
    /// Identities that servers may show, beside those of the endpoints.
    pub service_accounts: Box<[Arc<str>]>,
    /// What an ExternalName service stands for.
    pub alias_of: Option<Hostname>,
    /// ExternalName services that stand for this one, in the order of their hosts.
    pub aliases: Box<[Hostname]>,
    /// Where a DNS cluster races the addresses of a host instead of using all
    /// (annotation `istio.io/connect-strategy: RACE_FIRST_TCP_CONNECT`).
    pub race_connects: bool,
}

/// The addresses that a service has in one cluster.
pub type ClusterVips = (ClusterId, Box<[Arc<str>]>);

/// A port of a service.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "callers build services by hand")]
pub struct ServicePort {
    /// The name; endpoints serve it by this name.
    pub name: Arc<str>,
    /// The number that clients dial.
    pub number: u16,
    /// What it speaks.
    pub protocol: Protocol,
    /// The `targetPort` of a port of a `ServiceEntry` with resolution NONE, which replaces the port
    /// that a client asked for; 0 if none.
    pub target_port: u16,
}

/// How clients find a service's endpoints.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_enums, reason = "generators act on every resolution")]
pub enum Resolution {
    /// The control plane sends them.
    #[default]
    ClientSideLb,
    /// Each address that DNS gives is an endpoint.
    DnsLb,
    /// One address at a time, from DNS.
    DnsRoundRobinLb,
    /// The client's own destination address is kept.
    Passthrough,
    /// Another service stands for it.
    Alias,
    /// The proxy resolves the requested host itself.
    DynamicDns,
}

/// Which endpoints clients prefer (`trafficDistribution`).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_enums, reason = "rules act on every value")]
pub enum TrafficDistribution {
    /// No preference.
    #[default]
    Any,
    /// Those of the client's zone, then of its region.
    SameZone,
    /// Those of the client's node, then as `SameZone`.
    SameNode,
}

impl TrafficDistribution {
    /// Returns the name as it is printed.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Any => "Any",
            Self::SameZone => "PreferSameZone",
            Self::SameNode => "PreferSameNode",
        }
    }

    /// Reads `spec.trafficDistribution` (exact) or else the annotations of the service and of its
    /// namespace (any case); an unknown annotation on the service ends the search.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/model/service.go` `GetTrafficDistribution`.
    pub fn resolve(spec: Option<&str>, service: Option<&str>, namespace: Option<&str>) -> Self {
        match spec {
            Some("PreferClose" | "PreferSameZone") => return Self::SameZone,
            Some("PreferSameNode") => return Self::SameNode,
            Some(_) | None => {}
        }
        let annotation = service.filter(|text| !text.is_empty()).or(namespace).unwrap_or_default();
        match annotation.to_ascii_lowercase().as_str() {
            "preferclose" | "prefersamezone" => Self::SameZone,
            "prefersamenode" => Self::SameNode,
            _ => Self::Any,
        }
    }
}

/// Addresses that a control plane allocated for a service without one ([`super::allocation`]).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "one address a family, and how they were allocated")]
pub struct AutoAllocated {
    /// The IPv4 address.
    pub v4: Option<IpAddr>,
    /// The IPv6 address.
    pub v6: Option<IpAddr>,
    /// Whether they follow from the name of the service: then they are only for proxies that ask
    /// for them (`DNS_AUTO_ALLOCATE`).
    pub by_name: bool,
}

/// Who may see an object.
///
/// # Upstream
///
/// istio/istio `pkg/config/visibility`; `pilot/pkg/model/push_context.go` `IsServiceVisible`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "callers build objects by hand")]
pub struct ExportTo {
    /// Everyone (`*`).
    pub public: bool,
    /// The object's own namespace (`.`).
    pub private: bool,
    /// Nobody (`~`).
    pub none: bool,
    /// These namespaces.
    pub namespaces: Box<[Namespace]>,
}

impl ExportTo {
    /// Reads a list of `exportTo` values.
    pub fn parse<'t>(values: impl IntoIterator<Item = &'t str>) -> Self {
        let mut namespaces = Vec::new();
        let mut export_to = Self::default();
        for value in values {
            match value {
                "*" => export_to.public = true,
                "." => export_to.private = true,
                "~" => export_to.none = true,
                name => namespaces.push(Namespace::from(name)),
            }
        }
        Self { namespaces: namespaces.into(), ..export_to }
    }

    /// Returns whether a client of `namespace` sees an object of `owner`.
    pub fn reaches(&self, owner: &Namespace, namespace: &Namespace) -> bool {
        self.public || (self.private && owner == namespace) || self.namespaces.contains(namespace)
    }
}

impl Service {
    /// Whether it is a Kubernetes service without address of its own (`clusterIP: None`).
    pub fn is_kubernetes_headless(&self) -> bool {
        self.provider == Provider::Kubernetes && self.resolution == Resolution::Passthrough
    }

    /// Whether clients use endpoints that drain: it has a persistent-session label (cookie).
    pub fn keeps_sessions(&self) -> bool {
        !self.labels.value("istio.io/persistent-session").is_empty()
    }

    /// Whether it has a persistent-session label, for cookies or for a header.
    pub fn has_session_label(&self) -> bool {
        self.keeps_sessions() || !self.labels.value("istio.io/persistent-session-header").is_empty()
    }

    /// Returns the port with a number: the first that is not UDP.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/model/service.go` `PortList.GetByPort`.
    pub fn port(&self, number: u16) -> Option<&ServicePort> {
        self.ports.iter().find(|port| port.number == number && port.protocol != Protocol::Udp)
    }

    /// Returns the addresses that it has in a cluster.
    pub fn vips_in(&self, cluster: &ClusterId) -> &[Arc<str>] {
        self.cluster_vips
            .iter()
            .find(|(owner, _)| owner == cluster)
            .map(|(_, addresses)| addresses.as_ref())
            .unwrap_or_default()
    }
}
