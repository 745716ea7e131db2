//! Resource types and what the protocol makes of each: push order, wildcards, full state.
use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;

/// The type URL of a resource. The order is the push order: what is referred to goes out before
/// what refers.
///
/// Clusters, endpoints, listeners, routes, secrets, workloads (`Address`, `Workload`), workload
/// authorizations; then all others, which istiod sends in undefined order, by their text.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/xds/ads.go` `PushOrder`.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct TypeUrl(Cow<'static, str>);

impl TypeUrl {
    /// `envoy.config.cluster.v3.Cluster`, CDS.
    pub const CLUSTER: Self = Self::known("type.googleapis.com/envoy.config.cluster.v3.Cluster");
    /// `envoy.config.endpoint.v3.ClusterLoadAssignment`, EDS.
    pub const ENDPOINT: Self =
        Self::known("type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment");
    /// `envoy.config.listener.v3.Listener`, LDS.
    pub const LISTENER: Self = Self::known("type.googleapis.com/envoy.config.listener.v3.Listener");
    /// `envoy.config.route.v3.RouteConfiguration`, RDS.
    pub const ROUTE: Self =
        Self::known("type.googleapis.com/envoy.config.route.v3.RouteConfiguration");
    /// `envoy.extensions.transport_sockets.tls.v3.Secret`, SDS.
    pub const SECRET: Self =
        Self::known("type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret");
    /// `istio.workload.Address`, WDS.
    pub const ADDRESS: Self = Self::known("type.googleapis.com/istio.workload.Address");
    /// `istio.workload.Workload`, WDS.
    pub const WORKLOAD: Self = Self::known("type.googleapis.com/istio.workload.Workload");
    /// `istio.security.Authorization`, WADS.
    pub const AUTHORIZATION: Self = Self::known("type.googleapis.com/istio.security.Authorization");
    /// `envoy.config.core.v3.TypedExtensionConfig`, ECDS.
    pub const EXTENSION_CONFIG: Self =
        Self::known("type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig");
    /// `istio.networking.nds.v1.NameTable`, NDS.
    pub const NAME_TABLE: Self =
        Self::known("type.googleapis.com/istio.networking.nds.v1.NameTable");
    /// `istio.mesh.v1alpha1.ProxyConfig`, PCDS.
    pub const PROXY_CONFIG: Self =
        Self::known("type.googleapis.com/istio.mesh.v1alpha1.ProxyConfig");

    const PUSH_ORDER: [Self; 8] = [
        Self::CLUSTER,
        Self::ENDPOINT,
        Self::LISTENER,
        Self::ROUTE,
        Self::SECRET,
        Self::ADDRESS,
        Self::WORKLOAD,
        Self::AUTHORIZATION,
    ];

    const fn known(text: &'static str) -> Self {
        Self(Cow::Borrowed(text))
    }

    /// Takes any text for a type URL; those of this type's constants need no memory.
    pub fn new(text: &str) -> Self {
        Self::PUSH_ORDER
            .into_iter()
            .chain([Self::EXTENSION_CONFIG, Self::NAME_TABLE, Self::PROXY_CONFIG])
            .find(|known| known.as_str() == text)
            .unwrap_or_else(|| Self(Cow::Owned(text.to_owned())))
    }

    /// Returns the text, `type.googleapis.com/…`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether an empty list of names can mean all resources in the state-of-the-world protocol:
    /// clusters, listeners and what only Istio's own clients ask for. Of any other type, known or
    /// not, it means nothing.
    ///
    /// # Upstream
    ///
    /// istio/istio `pkg/xds/server.go` `IsWildcardTypeURL`: all but EDS, RDS, SDS and ECDS, so types
    /// that istiod does not know too. Those have no resources here: an empty answer would tell the
    /// client that none exists.
    pub fn is_wildcard(&self) -> bool {
        let of_istio = [
            Self::ADDRESS,
            Self::WORKLOAD,
            Self::AUTHORIZATION,
            Self::NAME_TABLE,
            Self::PROXY_CONFIG,
        ];
        self.is_full_state() || of_istio.contains(self)
    }

    /// Whether a state-of-the-world response must hold every resource: what is absent from it is
    /// deleted.
    ///
    /// # Upstream
    ///
    /// envoyproxy/go-control-plane `pkg/cache/v3/resource.go` `ResourceRequiresFullStateInSotw`.
    pub fn is_full_state(&self) -> bool {
        [Self::CLUSTER, Self::LISTENER].contains(self)
    }

    /// Whether names can bring resources of other names: what ztunnels ask for by address, and
    /// listeners that gRPC clients ask for without a port.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/xds/workload.go` `WorkloadGenerator`, `pilot/pkg/networking/grpcgen/lds.go`
    /// `newListenerNameFilter`.
    pub fn has_aliases(&self) -> bool {
        [Self::ADDRESS, Self::WORKLOAD, Self::LISTENER].contains(self)
    }

    /// Whether a resource, once sent, is never taken back in the delta protocol: extensions are
    /// dropped by Envoy when nothing refers to them any more.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/xds/delta.go` `neverRemoveDelta`.
    pub fn is_never_removed(&self) -> bool {
        *self == Self::EXTENSION_CONFIG
    }

    fn push_rank(&self) -> usize {
        Self::PUSH_ORDER.iter().position(|known| known == self).unwrap_or(usize::MAX)
    }
}

impl Ord for TypeUrl {
    fn cmp(&self, other: &Self) -> Ordering {
        self.push_rank().cmp(&other.push_rank()).then_with(|| self.0.cmp(&other.0))
    }
}

impl PartialOrd for TypeUrl {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for TypeUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_go_out_in_push_order_and_unknown_ones_last_by_text() {
        let mut types = ["b", "a"].map(TypeUrl::new).to_vec();
        types.extend([TypeUrl::NAME_TABLE, TypeUrl::SECRET, TypeUrl::ROUTE, TypeUrl::LISTENER]);
        types.extend([TypeUrl::ENDPOINT, TypeUrl::CLUSTER]);
        types.sort();
        let expected = [
            TypeUrl::CLUSTER,
            TypeUrl::ENDPOINT,
            TypeUrl::LISTENER,
            TypeUrl::ROUTE,
            TypeUrl::SECRET,
            TypeUrl::new("a"),
            TypeUrl::new("b"),
            TypeUrl::NAME_TABLE,
        ];
        assert_eq!(types, expected);
    }

    #[test]
    fn a_known_text_is_the_constant() {
        let text = TypeUrl::CLUSTER.to_string();
        assert_eq!(TypeUrl::new(&text), TypeUrl::CLUSTER);
        assert!(matches!(TypeUrl::new(&text).0, Cow::Borrowed(_)));
    }
}
