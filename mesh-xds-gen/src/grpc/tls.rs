//! Mutual TLS with the certificates of the program's own bootstrap.
//!
//! Each reference is written twice: as clients of today read it, and as older ones do.
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/networking/grpcgen/grpcgen.go` `buildCommonTLSContext`.
use mesh_envoy_proto::envoy::config::core::v3 as core;
use mesh_envoy_proto::envoy::extensions::transport_sockets::tls::v3 as proto;
use mesh_envoy_proto::envoy::r#type::matcher::v3::{StringMatcher, string_matcher};
use mesh_envoy_proto::prost::Name;
use mesh_envoy_proto::{pack, prost_types};
use proto::common_tls_context::{
    CertificateProviderInstance, CombinedCertificateValidationContext, ValidationContextType,
};

/// The name that gRPC programs insist on.
pub(super) const SOCKET: &str = "envoy.transport_sockets.tls";
const PROVIDER: &str = "default";
const OWN: &str = "default";
const ROOT: &str = "ROOTCA";

/// TLS towards a server that shows one of these identities.
pub(super) fn upstream(identities: &[String]) -> core::TransportSocket {
    socket(&proto::UpstreamTlsContext {
        common_tls_context: Some(common(identities)),
        ..proto::UpstreamTlsContext::default()
    })
}

/// TLS towards clients that have to show a certificate.
pub(super) fn downstream() -> core::TransportSocket {
    socket(&proto::DownstreamTlsContext {
        common_tls_context: Some(common(&[])),
        require_client_certificate: Some(true),
        ..proto::DownstreamTlsContext::default()
    })
}

fn socket<M: Name>(tls: &M) -> core::TransportSocket {
    let config: prost_types::Any = pack(tls);
    core::TransportSocket {
        name: SOCKET.to_owned(),
        config_type: Some(core::transport_socket::ConfigType::TypedConfig(config)),
    }
}

fn common(identities: &[String]) -> proto::CommonTlsContext {
    let exact = |identity: &String| StringMatcher {
        match_pattern: Some(string_matcher::MatchPattern::Exact(identity.clone())),
        ..StringMatcher::default()
    };
    let validation = proto::CertificateValidationContext {
        match_subject_alt_names: identities.iter().map(exact).collect(),
        ca_certificate_provider_instance: Some(instance(ROOT)),
        ..proto::CertificateValidationContext::default()
    };
    proto::CommonTlsContext {
        tls_certificate_provider_instance: Some(instance(OWN)),
        tls_certificate_certificate_provider_instance: Some(older_instance(OWN)),
        validation_context_type: Some(ValidationContextType::CombinedValidationContext(
            CombinedCertificateValidationContext {
                default_validation_context: Some(validation),
                validation_context_certificate_provider_instance: Some(older_instance(ROOT)),
                ..CombinedCertificateValidationContext::default()
            },
        )),
        ..proto::CommonTlsContext::default()
    }
}

fn instance(certificate: &str) -> proto::CertificateProviderPluginInstance {
    proto::CertificateProviderPluginInstance {
        instance_name: PROVIDER.to_owned(),
        certificate_name: certificate.to_owned(),
    }
}

fn older_instance(certificate: &str) -> CertificateProviderInstance {
    CertificateProviderInstance {
        instance_name: PROVIDER.to_owned(),
        certificate_name: certificate.to_owned(),
    }
}
