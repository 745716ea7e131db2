//! Smaller blocks of the mesh's settings.
use crate::manifest::decode::{choice, message, oneof};
use crate::name::Duration;
use crate::resource::destination_rule::{
    ClientTlsSettings, ConnectionPoolSettings, OutlierDetection,
};
use crate::resource::selector::LabelSelector;
use crate::resource::sidecar::OutboundTrafficMode;

choice! {
    /// Which Ingress objects are read.
    pub enum IngressControllerMode default Unspecified {
        /// Istio's choice.
        Unspecified = 0 | "UNSPECIFIED",
        /// None.
        Off = 1 | "OFF",
        /// Those of the class, and those without one.
        Default = 2 | "DEFAULT",
        /// Those of the class.
        Strict = 3 | "STRICT",
    }
}

choice! {
    /// The encoding of the access log.
    pub enum AccessLogEncoding default Text {
        /// Lines.
        Text = 0 | "TEXT",
        /// JSON objects.
        Json = 1 | "JSON",
    }
}

message! {
    /// What happens to traffic for unknown hosts; a block without a mode lets nothing through.
    pub struct MeshOutboundTrafficPolicy {
        /// The mode.
        mode: OutboundTrafficMode = "mode",
        /// TLS to hosts that are looked up, with ALLOW_ANY_DYNAMIC_DNS only.
        tls: Option<ClientTlsSettings> = "tls",
    }
}

message! {
    /// Where inbound traffic for ports without a service goes.
    pub struct InboundTrafficPolicy {
        /// The mode.
        mode: InboundTrafficMode = "mode",
    }
}

choice! {
    /// The address that inbound traffic is sent on to.
    pub enum InboundTrafficMode default Passthrough {
        /// That of the workload, as the client asked.
        Passthrough = 0 | "PASSTHROUGH",
        /// `localhost`.
        Localhost = 1 | "LOCALHOST",
    }
}

message! {
    /// A source of configuration beside the Kubernetes API.
    pub struct ConfigSource {
        /// The address of an MCP server, or `fs:///PATH`, or `k8s://`.
        address: Box<str> = "address",
        /// TLS to it.
        tls_settings: Option<ClientTlsSettings> = "tlsSettings" | "tls_settings",
        /// What is read from it.
        subscribed_resources: Vec<SubscribedResource> =
            "subscribedResources" | "subscribed_resources",
    }
}

choice! {
    /// What is read from a source.
    pub enum SubscribedResource default ServiceRegistry {
        /// Services.
        ServiceRegistry = 0 | "SERVICE_REGISTRY",
    }
}

message! {
    /// An authority that signs workloads.
    pub struct CertificateData {
        /// Its certificate.
        source: Option<CertificateSource> = (oneof CertificateSource),
        /// The signers of Kubernetes that it stands for.
        cert_signers: Vec<Box<str>> = "certSigners" | "cert_signers",
        /// The trust domains that it signs; empty: that of the mesh and its aliases.
        trust_domains: Vec<Box<str>> = "trustDomains" | "trust_domains",
    }
}

oneof! {
    /// Where a certificate comes from.
    pub enum CertificateSource {
        /// The certificate.
        Pem(Box<str>) = "pem",
        /// An endpoint that gives a bundle.
        SpiffeBundleUrl(Box<str>) = "spiffeBundleUrl" | "spiffe_bundle_url",
    }
}

message! {
    /// A certificate for a component of the control plane.
    pub struct Certificate {
        /// The secret that holds it.
        secret_name: Box<str> = "secretName" | "secret_name",
        /// The names that it is for.
        dns_names: Vec<Box<str>> = "dnsNames" | "dns_names",
    }
}

choice! {
    /// Whether HTTP/1.1 is carried as HTTP/2.
    pub enum MeshH2UpgradePolicy default DoNotUpgrade {
        /// No.
        DoNotUpgrade = 0 | "DO_NOT_UPGRADE",
        /// Yes.
        Upgrade = 1 | "UPGRADE",
    }
}

message! {
    /// Settings of hosts.
    pub struct ServiceSettings {
        /// The settings.
        settings: Settings = "settings",
        /// The hosts; `*.` may begin them.
        hosts: Vec<Box<str>> = "hosts",
    }
}

message! {
    /// Settings of a host.
    pub struct Settings {
        /// Whether clients reach only the endpoints of their own cluster.
        cluster_local: bool = "clusterLocal" | "cluster_local",
    }
}

message! {
    /// Which services an ambient mesh shares with other clusters.
    pub struct ServiceScopeConfigs {
        /// The namespaces concerned; absent: all.
        namespace_selector: Option<LabelSelector> = "namespaceSelector" | "namespace_selector",
        /// The services concerned; absent: all.
        services_selector: Option<LabelSelector> = "servicesSelector" | "services_selector",
        /// Whether they are shared.
        scope: Scope = "scope",
    }
}

choice! {
    /// Where a service is reachable.
    pub enum Scope default Local {
        /// In its own cluster.
        Local = 0 | "LOCAL",
        /// In the whole mesh.
        Global = 1 | "GLOBAL",
    }
}

message! {
    /// An authority other than istiod.
    pub struct CaSettings {
        /// Its address.
        address: Box<str> = "address",
        /// TLS to it.
        tls_settings: Option<ClientTlsSettings> = "tlsSettings" | "tls_settings",
        /// How long it may take to answer; absent: 10 s.
        request_timeout: Option<Duration> = "requestTimeout" | "request_timeout",
        /// Whether istiod asks it, not the workload's agent.
        istiod_side: bool = "istiodSide" | "istiod_side",
    }
}

message! {
    /// How paths are normalized before policies see them.
    pub struct PathNormalization {
        /// How much.
        normalization: PathNormalizationType = "normalization",
    }
}

choice! {
    /// How much of a path is normalized.
    pub enum PathNormalizationType default Default {
        /// Istio's choice: BASE.
        Default = 0 | "DEFAULT",
        /// Nothing.
        None = 1 | "NONE",
        /// RFC 3986: dot segments, needless percent-encoding, backslashes.
        Base = 2 | "BASE",
        /// Also repeated slashes.
        MergeSlashes = 3 | "MERGE_SLASHES",
        /// Also encoded slashes.
        DecodeAndMergeSlashes = 4 | "DECODE_AND_MERGE_SLASHES",
    }
}

message! {
    /// Limits of TLS.
    pub struct TlsConfig {
        /// The oldest version.
        min_protocol_version: TlsVersion = "minProtocolVersion" | "min_protocol_version",
        /// The curves; empty: Envoy's.
        ecdh_curves: Vec<Box<str>> = "ecdhCurves" | "ecdh_curves",
        /// The ciphers by their OpenSSL names; empty: Envoy's.
        cipher_suites: Vec<Box<str>> = "cipherSuites" | "cipher_suites",
    }
}

choice! {
    /// A version of TLS.
    pub enum TlsVersion default Auto {
        /// Istio's choice: TLS 1.2.
        Auto = 0 | "TLS_AUTO",
        /// TLS 1.2.
        V1_2 = 1 | "TLSV1_2",
        /// TLS 1.3.
        V1_3 = 2 | "TLSV1_3",
    }
}

message! {
    /// Limits for hosts whose rules do not say them.
    pub struct DefaultTrafficPolicy {
        /// How many connections and requests there may be.
        connection_pool: Option<ConnectionPoolSettings> = "connectionPool" | "connection_pool",
        /// When an endpoint is left out for a while.
        outlier_detection: Option<OutlierDetection> = "outlierDetection" | "outlier_detection",
    }
}

message! {
    /// Who may see ServiceEntries, whatever they export to.
    pub struct ServiceEntryVisibility {
        /// For namespaces that no policy matches.
        default_visibility: Visibility = "defaultVisibility" | "default_visibility",
        /// Whether it holds for sidecars and gateways, and not only for an ambient mesh.
        apply_to_sidecars: bool = "applyToSidecars" | "apply_to_sidecars",
        /// Policies, of which the first that matches counts.
        policies: Vec<VisibilityPolicy> = "policies",
    }
}

message! {
    /// The visibility of ServiceEntries of some namespaces.
    pub struct VisibilityPolicy {
        /// The visibility.
        visibility: Visibility = "visibility",
        /// Alternatives, of which one must match.
        matching_rules: Vec<VisibilityMatchRule> = "matchingRules" | "matching_rules",
    }
}

message! {
    /// Which ServiceEntries a policy means.
    pub struct VisibilityMatchRule {
        /// Those of namespaces with these labels.
        namespace_selector: Option<LabelSelector> = "namespaceSelector" | "namespace_selector",
    }
}

choice! {
    /// Who may see a ServiceEntry.
    pub enum Visibility default Unspecified {
        /// Not said: PUBLIC.
        Unspecified = 0 | "VISIBILITY_UNSPECIFIED",
        /// Nobody.
        None = 1 | "NONE",
        /// Its namespace.
        Namespace = 2 | "NAMESPACE",
        /// Everybody.
        Public = 3 | "PUBLIC",
    }
}
