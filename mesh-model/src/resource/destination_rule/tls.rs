//! TLS of connections to a host.
use crate::manifest::decode::{choice, message};

message! {
    /// TLS of connections to a host.
    pub struct ClientTlsSettings {
        /// The mode; a block without one means none.
        mode: ClientTlsMode = "mode",
        /// A file with the client's certificate (MUTUAL).
        client_certificate: Box<str> = "clientCertificate" | "client_certificate",
        /// A file with the client's key (MUTUAL).
        private_key: Box<str> = "privateKey" | "private_key",
        /// A file with the authorities that sign the server; empty: the system's.
        ca_certificates: Box<str> = "caCertificates" | "ca_certificates",
        /// A secret instead of files.
        credential_name: Box<str> = "credentialName" | "credential_name",
        /// Names of which the server must have one; empty: not checked, or those of the service.
        subject_alt_names: Vec<Box<str>> = "subjectAltNames" | "subject_alt_names",
        /// The server name that is sent; empty: the host of the request.
        sni: Box<str> = "sni",
        /// Whether the server is not verified at all; absent: it is verified.
        insecure_skip_verify: Option<bool> = "insecureSkipVerify" | "insecure_skip_verify",
        /// A file with revoked certificates.
        ca_crl: Box<str> = "caCrl" | "ca_crl",
    }
}

choice! {
    /// How connections to a host are made.
    pub enum ClientTlsMode default Disable {
        /// Plain text.
        Disable = 0 | "DISABLE",
        /// TLS.
        Simple = 1 | "SIMPLE",
        /// TLS with a certificate of the client's own.
        Mutual = 2 | "MUTUAL",
        /// TLS with the workload's identity.
        IstioMutual = 3 | "ISTIO_MUTUAL",
    }
}
