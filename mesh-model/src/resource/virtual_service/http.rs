//! Routes of HTTP requests.
use super::{
    CorsPolicy, Destination, FaultInjection, Headers, HttpMatchRequest, MirrorPolicy, Percent,
    Retry, Rewrite,
};
use crate::manifest::decode::{choice, message, oneof};
use crate::name::Duration;

message! {
    /// A route of HTTP requests.
    pub struct HttpRoute {
        /// A name for logs.
        name: Box<str> = "name",
        /// Alternatives of which one must match; empty: every request does.
        matches: Vec<HttpMatchRequest> = "match",
        /// Where requests go, by weight.
        route: Vec<HttpRouteDestination> = "route",
        /// The answer is a redirect.
        redirect: Option<Redirect> = "redirect",
        /// The answer is made by the proxy.
        direct_response: Option<DirectResponse> = "directResponse" | "direct_response",
        /// Another VirtualService has the routes.
        delegate: Option<Delegate> = "delegate",
        /// What changes before a request is forwarded.
        rewrite: Option<Rewrite> = "rewrite",
        /// How long an answer may take, retries included; absent: no limit.
        timeout: Option<Duration> = "timeout",
        /// Retries; absent: the mesh's policy.
        retries: Option<Retry> = "retries",
        /// Failures that are made on purpose.
        fault: Option<FaultInjection> = "fault",
        /// A host that gets a copy of requests.
        mirror: Option<Destination> = "mirror",
        /// Hosts that get a copy of requests.
        mirrors: Vec<MirrorPolicy> = "mirrors",
        /// The share of `mirror`, percent; deprecated, `mirror_percentage` replaces it.
        mirror_percent: Option<u32> = "mirrorPercent" | "mirror_percent",
        /// The share of `mirror`; absent: all.
        mirror_percentage: Option<Percent> = "mirrorPercentage" | "mirror_percentage",
        /// Cross-origin rules.
        cors_policy: Option<CorsPolicy> = "corsPolicy" | "cors_policy",
        /// Header changes for all destinations.
        headers: Option<Headers> = "headers",
    }
}

message! {
    /// A destination with its share.
    pub struct HttpRouteDestination {
        /// The destination; validation refuses an entry without one.
        destination: Option<Destination> = "destination",
        /// The share relative to the sum of all; a single destination gets everything.
        weight: i32 = "weight",
        /// Header changes for this destination.
        headers: Option<Headers> = "headers",
    }
}

message! {
    /// Another VirtualService that has the routes.
    pub struct Delegate {
        /// Its name.
        name: Box<str> = "name",
        /// Its namespace, empty for that of the rule.
        namespace: Box<str> = "namespace",
    }
}

message! {
    /// A redirect.
    pub struct Redirect {
        /// The new path, empty to keep it.
        uri: Box<str> = "uri",
        /// What replaces the matched prefix, empty for nothing.
        prefix_rewrite: Box<str> = "prefixRewrite" | "prefix_rewrite",
        /// The new host, empty to keep it.
        authority: Box<str> = "authority",
        /// The new port; absent: kept.
        port: Option<RedirectPort> = (oneof RedirectPort),
        /// The new scheme, empty to keep it.
        scheme: Box<str> = "scheme",
        /// The status; 0: 301.
        redirect_code: u32 = "redirectCode" | "redirect_code",
    }
}

oneof! {
    /// The port of a redirect.
    pub enum RedirectPort {
        /// A number.
        Port(u32) = "port",
        /// A rule.
        DerivePort(RedirectPortSelection) = "derivePort" | "derive_port",
    }
}

choice! {
    /// Where the port of a redirect comes from.
    pub enum RedirectPortSelection default FromProtocolDefault {
        /// 80 or 443, by the scheme.
        FromProtocolDefault = 0 | "FROM_PROTOCOL_DEFAULT",
        /// The port of the request.
        FromRequestPort = 1 | "FROM_REQUEST_PORT",
    }
}

message! {
    /// An answer that the proxy makes.
    pub struct DirectResponse {
        /// The status.
        status: u32 = "status",
        /// The body; absent: none.
        body: Option<HttpBody> = "body",
    }
}

oneof! {
    /// A body.
    pub enum HttpBody {
        /// A text.
        String(Box<str>) = "string",
        /// Bytes, in base64.
        Bytes(Box<[u8]>) = "bytes",
    }
}
