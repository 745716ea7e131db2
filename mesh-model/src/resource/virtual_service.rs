//! Where requests for a host go.
mod fault;
mod http;
mod r#match;
mod modifier;
mod semantics;
mod tcp;
mod validate;

pub use self::fault::{Abort, AbortError, Delay, DelayKind, FaultInjection, Percent};
pub use self::http::{
    Delegate, DirectResponse, HttpBody, HttpRoute, HttpRouteDestination, Redirect, RedirectPort,
    RedirectPortSelection,
};
pub use self::r#match::{HttpMatchRequest, StringMatch};
pub use self::modifier::{
    CorsPolicy, HeaderOperations, Headers, MirrorPolicy, RegexRewrite, Retry, Rewrite,
    UnmatchedPreflights,
};
pub use self::semantics::Semantics;
pub use self::tcp::{L4MatchAttributes, RouteDestination, TcpRoute, TlsMatchAttributes, TlsRoute};
pub(in crate::resource) use self::validate::{destination, retry};
use super::Meta;
use super::selector::PortSelector;
use crate::manifest::decode::message;

message! {
    /// `networking.istio.io` `VirtualService`.
    ///
    /// # Upstream
    ///
    /// istio/api `networking/v1alpha3/virtual_service.proto`.
    pub struct VirtualService ignoring unknown {
        /// Name, namespace, age.
        meta: Meta = (elsewhere),
        /// What the rule says.
        spec: VirtualServiceSpec = "spec",
    }
}

message! {
    /// The fields of a [`VirtualService`]. In each list of routes the first that matches counts.
    pub struct VirtualServiceSpec {
        /// The hosts that clients ask for; empty: another VirtualService delegates here.
        hosts: Vec<Box<str>> = "hosts",
        /// Where the rule applies: gateways (`NAMESPACE/NAME`, `NAME`) and `mesh` for sidecars;
        /// empty: `mesh`.
        gateways: Vec<Box<str>> = "gateways",
        /// Routes of HTTP requests.
        http: Vec<HttpRoute> = "http",
        /// Routes of TLS connections by server name.
        tls: Vec<TlsRoute> = "tls",
        /// Routes of other connections.
        tcp: Vec<TcpRoute> = "tcp",
        /// Namespaces that see the rule: `.`, `*` or names; empty: the mesh's default.
        export_to: Vec<Box<str>> = "exportTo" | "export_to",
    }
}

message! {
    /// A host with its port and subset.
    pub struct Destination {
        /// The host; a name without a dot is one of the rule's namespace.
        host: Box<str> = "host",
        /// A subset that a DestinationRule names, empty for all endpoints.
        subset: Box<str> = "subset",
        /// The port; may be absent where the service has only one.
        port: Option<PortSelector> = "port",
    }
}

#[cfg(test)]
mod tests;
