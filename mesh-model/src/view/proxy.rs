//! The one who asks.
use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use crate::compat::DataPlane;
use crate::name::{ClusterId, Labels, Locality, Namespace, NetworkId};
use crate::resource::mesh_config::ProxyConfig;
use crate::resource::{Json, MeshConfig};

/// A proxy as a control plane knows it.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/model/context.go` `Proxy`, `NodeMetadata`.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "callers without a pod build proxies by hand")]
pub struct Proxy {
    /// What it is used as.
    pub kind: ProxyKind,
    /// The program it is.
    pub data_plane: DataPlane,
    /// The pod's name.
    pub name: Box<str>,
    /// The pod's namespace.
    pub namespace: Namespace,
    /// The cluster it runs in.
    pub cluster: ClusterId,
    /// The network it is in, empty if unknown.
    pub network: NetworkId,
    /// Its addresses, the primary one first.
    pub addresses: Box<[IpAddr]>,
    /// Its labels, with the topology labels that istiod adds.
    pub labels: Labels,
    /// Where it runs.
    pub locality: Locality,
    /// Its service account.
    pub service_account: Box<str>,
    /// Its node, as metadata `NODE_NAME` says; empty if it says nothing.
    pub node: Box<str>,
    /// The domain it resolves short names in, such as `shop.svc.cluster.local`.
    pub dns_domain: Box<str>,
    /// How traffic reaches it.
    pub interception: InterceptionMode,
    /// The networks it wants to see (metadata `REQUESTED_NETWORK_VIEW`); empty: all.
    pub network_view: Box<[NetworkId]>,
    /// All node metadata, by key; nearly all values are texts.
    pub metadata: std::collections::BTreeMap<Box<str>, Json>,
    /// The settings that it was started with, where its pod tells other than the mesh's, all of them; metadata
    /// `PROXY_CONFIG` counts more.
    pub started_with: Option<Arc<ProxyConfig>>,
}

/// What a proxy is used as.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_enums, reason = "generators act on every kind")]
pub enum ProxyKind {
    /// Beside a workload.
    #[default]
    Sidecar,
    /// A gateway of any sort.
    Router,
    /// An ambient waypoint.
    Waypoint,
    /// An ambient node proxy.
    Ztunnel,
}

impl ProxyKind {
    /// Returns the word in a node id.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sidecar => "sidecar",
            Self::Router => "router",
            Self::Waypoint => "waypoint",
            Self::Ztunnel => "ztunnel",
        }
    }
}

/// How traffic reaches a proxy.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_enums, reason = "generators act on every mode")]
pub enum InterceptionMode {
    /// Redirected by address translation.
    #[default]
    Redirect,
    /// Redirected with the original source kept.
    Tproxy,
    /// Not redirected: listeners bind to their ports.
    None,
}

impl InterceptionMode {
    /// Reads the exact text of metadata `INTERCEPTION_MODE`; anything else is REDIRECT.
    pub fn parse(text: &str) -> Self {
        match text {
            "TPROXY" => Self::Tproxy,
            "NONE" => Self::None,
            _ => Self::Redirect,
        }
    }

    /// Returns the text of metadata `INTERCEPTION_MODE`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Redirect => "REDIRECT",
            Self::Tproxy => "TPROXY",
            Self::None => "NONE",
        }
    }
}

/// Which families of addresses a proxy has.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_enums, reason = "rules act on every combination")]
pub enum IpFamilies {
    /// Only IPv4.
    V4,
    /// Only IPv6.
    V6,
    /// Both.
    Dual,
    /// No address is known.
    Unknown,
}

impl IpFamilies {
    /// Returns the families of some addresses.
    pub fn of(addresses: &[IpAddr]) -> Self {
        let v4 = addresses.iter().any(IpAddr::is_ipv4);
        let v6 = addresses.iter().any(IpAddr::is_ipv6);
        match (v4, v6) {
            (true, true) => Self::Dual,
            (true, false) => Self::V4,
            (false, true) => Self::V6,
            (false, false) => Self::Unknown,
        }
    }

    /// Returns the name as istiod prints it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
            Self::Dual => "Dual",
            Self::Unknown => "Unknown",
        }
    }
}

impl Proxy {
    /// Which families of addresses the proxy has.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/model/context.go` `DiscoverIPMode`.
    pub fn ip_families(&self) -> IpFamilies {
        IpFamilies::of(&self.addresses)
    }

    /// Whether it is an ingress gateway.
    pub fn is_ingress_gateway(&self) -> bool {
        self.kind == ProxyKind::Router
            && (self.labels.get("istio") == Some("ingressgateway")
                || self.labels.get("gateway.istio.io/managed")
                    == Some("istio.io-gateway-controller"))
    }

    /// Whether the proxy asked to see a network; without a wish it sees all, and everyone sees what
    /// has no network.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/model/proxy_view.go` `ProxyView.IsVisible`.
    pub fn sees_network(&self, network: &NetworkId) -> bool {
        network.is_empty() || self.network_view.is_empty() || self.network_view.contains(network)
    }

    /// The proxy's settings: its own (node metadata `PROXY_CONFIG`, else
    /// [`started_with`](Self::started_with), which an agent sends as such), which replace all of the
    /// mesh's, else the mesh's.
    ///
    /// A field of its own that cannot be read is left out. Of all of them istiod reads `tracing`,
    /// `proxyHeaders`, `gatewayTopology`, `connectionSettings` and, for the keys of gateways,
    /// `privateKeyProvider`; the others are the agent's, which writes Envoy's bootstrap by them.
    ///
    /// # Upstream
    ///
    /// istio/istio `pkg/model/proxy.go` `ProxyConfigOrDefault`.
    pub fn settings<'c>(&'c self, config: &'c MeshConfig) -> Cow<'c, ProxyConfig> {
        match self.metadata.get("PROXY_CONFIG") {
            Some(own @ Json::Map(_)) => {
                Cow::Owned(ProxyConfig::decode(&own.to_node(), &Arc::default()).0)
            }
            _ => Cow::Borrowed(self.started_with.as_deref().unwrap_or(&config.default_config)),
        }
    }

    /// A text value of the node metadata, `""` if there is none.
    pub fn metadata_text(&self, key: &str) -> &str {
        self.metadata.get(key).and_then(Json::as_str).unwrap_or_default()
    }

    /// A switch in the node metadata: a text that Go's `ParseBool` reads as true.
    pub fn metadata_bool(&self, key: &str) -> bool {
        matches!(self.metadata_text(key), "1" | "t" | "T" | "TRUE" | "true" | "True")
    }

    /// The name as `CLUSTER/NAMESPACE/POD`.
    pub fn reference(&self) -> String {
        format!("{}/{}/{}", self.cluster, self.namespace, self.name)
    }

    /// The id that the proxy presents itself by: `TYPE~IP~POD.NAMESPACE~DOMAIN`.
    ///
    /// # Upstream
    ///
    /// istio/istio `pkg/model/proxy.go` `ServiceNode`.
    pub fn node_id(&self) -> String {
        let address = self.addresses.first().map(ToString::to_string).unwrap_or_default();
        let (kind, domain) = (self.kind.as_str(), &self.dns_domain);
        format!("{kind}~{address}~{}.{}~{domain}", self.name, self.namespace)
    }
}
