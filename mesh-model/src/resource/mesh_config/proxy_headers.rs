//! Which headers a proxy adds.
use super::ForwardClientCertDetails;
use crate::manifest::decode::{choice, message};

message! {
    /// Which headers a proxy adds; absent blocks leave Istio's choice.
    pub struct ProxyHeaders {
        /// What happens to `x-forwarded-client-cert` of inbound requests.
        forwarded_client_cert: ForwardClientCertDetails =
            "forwardedClientCert" | "forwarded_client_cert",
        /// What `x-forwarded-client-cert` tells.
        set_current_client_cert_details: Option<SetCurrentClientCertDetails> =
            "setCurrentClientCertDetails" | "set_current_client_cert_details",
        /// `x-request-id`.
        request_id: Option<RequestId> = "requestId" | "request_id",
        /// `server`.
        server: Option<ServerHeader> = "server",
        /// `x-envoy-attempt-count`.
        attempt_count: Option<AttemptCount> = "attemptCount" | "attempt_count",
        /// The other `x-envoy-` headers.
        envoy_debug_headers: Option<EnvoyDebugHeaders> =
            "envoyDebugHeaders" | "envoy_debug_headers",
        /// `x-envoy-peer-metadata` and its id.
        metadata_exchange_headers: Option<MetadataExchangeHeaders> =
            "metadataExchangeHeaders" | "metadata_exchange_headers",
        /// Whether HTTP/1 headers keep their case; absent: they do not.
        preserve_http1_header_case: Option<bool> =
            "preserveHttp1HeaderCase" | "preserve_http1_header_case",
        /// `x-forwarded-host`.
        x_forwarded_host: Option<XForwardedHost> = "xForwardedHost" | "x_forwarded_host",
        /// `x-forwarded-port`.
        x_forwarded_port: Option<XForwardedPort> = "xForwardedPort" | "x_forwarded_port",
    }
}

impl ProxyHeaders {
    /// Takes from an outer layer those blocks that upstream inherits; the newer ones it does not.
    ///
    /// # Upstream
    ///
    /// istio/istio `pkg/config/mesh/mesh.go` `correctProxyHeaders`.
    pub(super) fn or(mut self, outer: Self) -> Self {
        if self.forwarded_client_cert == ForwardClientCertDetails::Undefined {
            self.forwarded_client_cert = outer.forwarded_client_cert;
        }
        self.request_id = self.request_id.or(outer.request_id);
        self.attempt_count = self.attempt_count.or(outer.attempt_count);
        self.server = self.server.or(outer.server);
        self.envoy_debug_headers = self.envoy_debug_headers.or(outer.envoy_debug_headers);
        self
    }
}

message! {
    /// What `x-forwarded-client-cert` tells of a client's certificate.
    pub struct SetCurrentClientCertDetails {
        /// The subject; absent: yes.
        subject: Option<bool> = "subject",
        /// The certificate; absent: no.
        cert: Option<bool> = "cert",
        /// The chain; absent: no.
        chain: Option<bool> = "chain",
        /// The DNS names; absent: yes.
        dns: Option<bool> = "dns",
        /// The URI; absent: yes.
        uri: Option<bool> = "uri",
    }
}

message! {
    /// `x-request-id`.
    pub struct RequestId {
        /// Whether none is made.
        disabled: Option<bool> = "disabled",
    }
}

message! {
    /// `server`.
    pub struct ServerHeader {
        /// Whether the application's is kept.
        disabled: Option<bool> = "disabled",
        /// The value, empty for `istio-envoy`.
        value: Box<str> = "value",
    }
}

message! {
    /// `x-envoy-attempt-count`.
    pub struct AttemptCount {
        /// Whether none is added.
        disabled: Option<bool> = "disabled",
    }
}

message! {
    /// The other `x-envoy-` headers.
    pub struct EnvoyDebugHeaders {
        /// Whether none is added.
        disabled: Option<bool> = "disabled",
    }
}

message! {
    /// `x-forwarded-host`.
    pub struct XForwardedHost {
        /// Whether it is added where the host changes.
        enabled: Option<bool> = "enabled",
    }
}

message! {
    /// `x-forwarded-port`.
    pub struct XForwardedPort {
        /// Whether it is added.
        enabled: Option<bool> = "enabled",
    }
}

message! {
    /// `x-envoy-peer-metadata` and its id.
    pub struct MetadataExchangeHeaders {
        /// To whom they are sent.
        mode: MetadataExchangeMode = "mode",
    }
}

choice! {
    /// To whom the headers of metadata exchange are sent.
    pub enum MetadataExchangeMode default Undefined {
        /// Everybody.
        Undefined = 0 | "UNDEFINED",
        /// Hosts of the mesh.
        InMesh = 1 | "IN_MESH",
    }
}
