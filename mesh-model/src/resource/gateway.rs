//! Ports of a gateway.
mod validate;

pub use self::validate::CIPHERS;
pub(in crate::resource) use self::validate::server_tls;
use super::Meta;
use crate::manifest::decode::{choice, message};
use crate::name::Labels;

message! {
    /// `networking.istio.io` `Gateway`.
    ///
    /// # Upstream
    ///
    /// istio/api `networking/v1alpha3/gateway.proto`.
    pub struct Gateway ignoring unknown {
        /// Name, namespace, age.
        meta: Meta = (elsewhere),
        /// What the object says.
        spec: GatewaySpec = "spec",
    }
}

message! {
    /// The fields of a [`Gateway`].
    pub struct GatewaySpec {
        /// The ports with their hosts.
        servers: Vec<Server> = "servers",
        /// The labels of the gateway pods, in any namespace; empty: all of them.
        selector: Labels = "selector",
    }
}

message! {
    /// A port with its hosts.
    pub struct Server {
        /// The port; validation refuses a server without one.
        port: Option<Port> = "port",
        /// The address, empty for any.
        bind: Box<str> = "bind",
        /// The hosts, `[NAMESPACE/]HOST`: the namespace, of VirtualServices that may bind here, is a
        /// name, `.` or `*`.
        hosts: Vec<Box<str>> = "hosts",
        /// TLS that is terminated or passed through.
        tls: Option<ServerTlsSettings> = "tls",
        /// Never used.
        default_endpoint: Box<str> = "defaultEndpoint" | "default_endpoint",
        /// A name for logs.
        name: Box<str> = "name",
    }
}

message! {
    /// A port of a server.
    pub struct Port {
        /// The number.
        number: u32 = "number",
        /// The protocol: `HTTP`, `HTTPS`, `GRPC`, `GRPC-WEB`, `HTTP2`, `MONGO`, `TCP`, `TLS`.
        protocol: Box<str> = "protocol",
        /// The name.
        name: Box<str> = "name",
        /// Never used.
        target_port: u32 = "targetPort" | "target_port",
    }
}

message! {
    /// TLS of a server.
    pub struct ServerTlsSettings {
        /// Whether HTTP requests are redirected to HTTPS.
        https_redirect: bool = "httpsRedirect" | "https_redirect",
        /// What happens to TLS; a block without a mode passes it through.
        mode: ServerTlsMode = "mode",
        /// A file with the server's certificate.
        server_certificate: Box<str> = "serverCertificate" | "server_certificate",
        /// A file with the server's key.
        private_key: Box<str> = "privateKey" | "private_key",
        /// A file with the authorities that sign clients.
        ca_certificates: Box<str> = "caCertificates" | "ca_certificates",
        /// A file with revoked certificates.
        ca_crl: Box<str> = "caCrl" | "ca_crl",
        /// A secret instead of files.
        credential_name: Box<str> = "credentialName" | "credential_name",
        /// Secrets of several kinds of key instead of files.
        credential_names: Vec<Box<str>> = "credentialNames" | "credential_names",
        /// A secret with the authorities that sign clients.
        ca_cert_credential_name: Box<str> =
            "caCertCredentialName" | "ca_cert_credential_name",
        /// Files of several kinds of key.
        tls_certificates: Vec<TlsCertificate> = "tlsCertificates" | "tls_certificates",
        /// Names of which a client must have one; empty: not checked.
        subject_alt_names: Vec<Box<str>> = "subjectAltNames" | "subject_alt_names",
        /// Hashes of client keys of which one must fit, in base64.
        verify_certificate_spki: Vec<Box<str>> =
            "verifyCertificateSpki" | "verify_certificate_spki",
        /// Hashes of client certificates of which one must fit, in hexadecimal.
        verify_certificate_hash: Vec<Box<str>> =
            "verifyCertificateHash" | "verify_certificate_hash",
        /// The oldest version.
        min_protocol_version: TlsProtocol = "minProtocolVersion" | "min_protocol_version",
        /// The newest version.
        max_protocol_version: TlsProtocol = "maxProtocolVersion" | "max_protocol_version",
        /// The ciphers by their OpenSSL names; empty: Envoy's.
        cipher_suites: Vec<Box<str>> = "cipherSuites" | "cipher_suites",
        /// The curves; empty: Envoy's.
        ecdh_curves: Vec<Box<str>> = "ecdhCurves" | "ecdh_curves",
        /// Whether clients are not verified at all; absent: they are.
        insecure_skip_verify: Option<bool> = "insecureSkipVerify" | "insecure_skip_verify",
    }
}

message! {
    /// Files of one kind of key.
    pub struct TlsCertificate {
        /// A file with the server's certificate.
        server_certificate: Box<str> = "serverCertificate" | "server_certificate",
        /// A file with the server's key.
        private_key: Box<str> = "privateKey" | "private_key",
        /// A file with the authorities that sign clients.
        ca_certificates: Box<str> = "caCertificates" | "ca_certificates",
    }
}

choice! {
    /// What happens to TLS.
    pub enum ServerTlsMode default Passthrough {
        /// It is passed on; the server name chooses the route.
        Passthrough = 0 | "PASSTHROUGH",
        /// It is terminated.
        Simple = 1 | "SIMPLE",
        /// It is terminated, clients need a certificate.
        Mutual = 2 | "MUTUAL",
        /// It is passed on to the cluster that the server name spells: an east-west gateway.
        AutoPassthrough = 3 | "AUTO_PASSTHROUGH",
        /// It is terminated with the workload's identity, clients need one of the mesh.
        IstioMutual = 4 | "ISTIO_MUTUAL",
        /// It is terminated, clients may have a certificate.
        OptionalMutual = 5 | "OPTIONAL_MUTUAL",
    }
}

choice! {
    /// A version of TLS.
    pub enum TlsProtocol default Auto {
        /// Envoy's choice.
        Auto = 0 | "TLS_AUTO",
        /// TLS 1.0.
        V1_0 = 1 | "TLSV1_0",
        /// TLS 1.1.
        V1_1 = 2 | "TLSV1_1",
        /// TLS 1.2.
        V1_2 = 3 | "TLSV1_2",
        /// TLS 1.3.
        V1_3 = 4 | "TLSV1_3",
    }
}
