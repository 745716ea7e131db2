//! TLS that a gateway's server terminates.
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/networking/core/listener.go` `BuildListenerTLSContext`;
//! `pilot/pkg/security/model/authentication.go` `ApplyToCommonTLSContext`,
//! `ApplyCredentialSDSToServerCommonTLSContext`, `ConstructSdsSecretConfigForCredential`.
use mesh_envoy_proto::envoy::config::core::v3 as core;
use mesh_envoy_proto::envoy::extensions::transport_sockets::tls::v3 as proto;
use mesh_envoy_proto::envoy::r#type::matcher::v3::{StringMatcher, string_matcher};
use mesh_model::resource::gateway::{CIPHERS, ServerTlsMode, ServerTlsSettings, TlsProtocol};
use mesh_model::resource::mesh_config::{ProviderKind, SdsProvider, TlsVersion};
use mesh_model::view::GatewayServer;
use proto::certificate_validation_context::TrustChainVerification;
use proto::common_tls_context::{CombinedCertificateValidationContext, ValidationContextType};
use proto::tls_parameters::TlsProtocol as Version;

use super::super::context::Context;
use super::super::tls::{downstream, own_secret, root_secret};
use crate::name::ClusterName;
use crate::secret::{self, AUTHORITIES, Credential};

/// The transport socket of a server; `None` if it terminates no TLS.
pub(super) fn socket(
    context: &Context<'_, '_>,
    server: &GatewayServer,
) -> Option<core::TransportSocket> {
    let tls = server.server.tls.as_ref().filter(|_| !server.passes_tls())?;
    let reads_requests = server.is_terminated_https();
    let alpn: &[&str] = if tls.mode == ServerTlsMode::IstioMutual && !reads_requests {
        &["istio-peer-exchange", "h2", "http/1.1"]
    } else {
        &["h2", "http/1.1"]
    };
    let common = proto::CommonTlsContext {
        alpn_protocols: alpn.iter().map(|name| (*name).to_owned()).collect(),
        tls_params: parameters(context, tls),
        ..certificates(context, tls)
    };
    let needs_client = matches!(tls.mode, ServerTlsMode::Mutual | ServerTlsMode::IstioMutual);
    Some(downstream(common, needs_client))
}

/// Whether clients are verified.
const fn validates(tls: &ServerTlsSettings) -> bool {
    match tls.mode {
        ServerTlsMode::Mutual | ServerTlsMode::IstioMutual | ServerTlsMode::OptionalMutual => true,
        ServerTlsMode::Simple | ServerTlsMode::Passthrough | ServerTlsMode::AutoPassthrough => {
            false
        }
    }
}

/// The server's certificates and how clients are verified.
fn certificates(context: &Context<'_, '_>, tls: &ServerTlsSettings) -> proto::CommonTlsContext {
    if tls.mode == ServerTlsMode::IstioMutual {
        let (own, root) = (own_secret(context), root_secret(context));
        return common(vec![own], validation(tls, Some(root), from_files(tls)));
    }
    if !tls.credential_names.is_empty() || !tls.credential_name.is_empty() {
        return of_credentials(context, tls);
    }
    let file = |chain: &str, key: &str| match (chain, key) {
        ("", _) | (_, "") => secret::of_agent(secret::OWN),
        (chain, key) => secret::of_files(context.proxy(), &format!("file-cert:{chain}~{key}")),
    };
    let own = if tls.tls_certificates.is_empty() {
        vec![file(&tls.server_certificate, &tls.private_key)]
    } else {
        let several = tls.tls_certificates.iter();
        several.map(|entry| file(&entry.server_certificate, &entry.private_key)).collect()
    };
    let root = match &*tls.ca_certificates {
        "" => secret::of_agent(secret::ROOT),
        root => secret::of_files(context.proxy(), &format!("file-root:{root}")),
    };
    let clients = validates(tls).then(|| validation(tls, Some(root), from_files(tls)));
    common(own, clients.flatten())
}

fn of_credentials(context: &Context<'_, '_>, tls: &ServerTlsSettings) -> proto::CommonTlsContext {
    let single = [tls.credential_name.clone()];
    let names = match tls.credential_names.as_slice() {
        [] => &single,
        several => several,
    };
    let own = names.iter().filter_map(|name| credential(context, name)).collect();
    if validates(tls) {
        let first = names.first().map(|name| &**name).unwrap_or_default();
        let authorities = match &*tls.ca_cert_credential_name {
            "" => format!("{first}{AUTHORITIES}"),
            named => named.to_owned(),
        };
        let context_of = proto::CertificateValidationContext {
            verify_certificate_spki: texts(&tls.verify_certificate_spki),
            verify_certificate_hash: texts(&tls.verify_certificate_hash),
            ..proto::CertificateValidationContext::default()
        };
        return common(own, validation(tls, credential(context, &authorities), context_of));
    }
    let clients = (!tls.subject_alt_names.is_empty()).then(|| {
        ValidationContextType::ValidationContext(proto::CertificateValidationContext {
            match_subject_alt_names: names_of_clients(tls),
            ..proto::CertificateValidationContext::default()
        })
    });
    common(own, clients)
}

fn common(
    own: Vec<proto::SdsSecretConfig>,
    clients: Option<ValidationContextType>,
) -> proto::CommonTlsContext {
    proto::CommonTlsContext {
        tls_certificate_sds_secret_configs: own,
        validation_context_type: clients,
        ..proto::CommonTlsContext::default()
    }
}

/// How clients are verified, beside what every way has in common.
#[expect(clippy::unnecessary_wraps, reason = "the value of a field that may be absent")]
fn validation(
    tls: &ServerTlsSettings,
    authorities: Option<proto::SdsSecretConfig>,
    more: proto::CertificateValidationContext,
) -> Option<ValidationContextType> {
    let trust = if tls.insecure_skip_verify == Some(true) {
        TrustChainVerification::AcceptUntrusted
    } else {
        TrustChainVerification::VerifyTrustChain
    };
    let default = proto::CertificateValidationContext {
        match_subject_alt_names: names_of_clients(tls),
        trust_chain_verification: trust.into(),
        ..more
    };
    Some(ValidationContextType::CombinedValidationContext(CombinedCertificateValidationContext {
        default_validation_context: Some(default),
        validation_context_sds_secret_config: authorities,
        ..CombinedCertificateValidationContext::default()
    }))
}

/// What only certificates of the workload or of files are checked for.
fn from_files(tls: &ServerTlsSettings) -> proto::CertificateValidationContext {
    let file = Some(tls.ca_crl.to_string()).filter(|file| !file.is_empty());
    proto::CertificateValidationContext {
        crl: file.map(|file| core::DataSource {
            specifier: Some(core::data_source::Specifier::Filename(file)),
            ..core::DataSource::default()
        }),
        ..proto::CertificateValidationContext::default()
    }
}

fn names_of_clients(tls: &ServerTlsSettings) -> Vec<StringMatcher> {
    let exact = |name: &str| StringMatcher {
        match_pattern: Some(string_matcher::MatchPattern::Exact(name.to_owned())),
        ignore_case: false,
    };
    tls.subject_alt_names.iter().map(|name| exact(name)).collect()
}

fn texts(values: &[Box<str>]) -> Vec<String> {
    values.iter().map(ToString::to_string).collect()
}

/// The secret that a credential means; `None` if its source is unknown.
fn credential(context: &Context<'_, '_>, name: &str) -> Option<proto::SdsSecretConfig> {
    let credential = Credential::new(context.proxy(), name);
    if let Credential::External(resource) = credential {
        let providers = &context.config().extension_providers;
        let sds = |kind: &Option<ProviderKind>| matches!(kind, Some(ProviderKind::Sds(_)));
        let provider = providers.iter().find(|provider| sds(&provider.kind));
        if let Some(Some(ProviderKind::Sds(provider))) = provider.map(|found| &found.kind) {
            return of_provider(context, provider, resource);
        }
    }
    Some(credential.or_of_kubernetes())
}

/// A secret that a source of the mesh's settings serves.
fn of_provider(
    context: &Context<'_, '_>,
    provider: &SdsProvider,
    resource: &str,
) -> Option<proto::SdsSecretConfig> {
    let service = context.view.plane().services.lookup(&provider.service).found()?;
    let port = u16::try_from(provider.port).unwrap_or_default();
    let host = service.hostname.as_str();
    Some(secret::served(resource, &ClusterName::outbound(port, "", host).to_string(), host))
}

/// Versions, ciphers and curves, of the server over those of the mesh; `None` if nobody says any, or
/// the mesh's own TLS is meant.
fn parameters(context: &Context<'_, '_>, tls: &ServerTlsSettings) -> Option<proto::TlsParameters> {
    if tls.mode == ServerTlsMode::IstioMutual {
        return None;
    }
    let mut found = proto::TlsParameters::default();
    if let Some(mesh) = &context.config().tls_defaults {
        found.ecdh_curves = texts(&mesh.ecdh_curves);
        found.cipher_suites = texts(&mesh.cipher_suites);
        found.tls_minimum_protocol_version = match mesh.min_protocol_version {
            TlsVersion::Auto => Version::TlsAuto,
            TlsVersion::V1_2 => Version::TlSv12,
            TlsVersion::V1_3 => Version::TlSv13,
        }
        .into();
    }
    if let Some(version) = version(tls.min_protocol_version) {
        found.tls_minimum_protocol_version = version.into();
    }
    if let Some(version) = version(tls.max_protocol_version) {
        found.tls_maximum_protocol_version = version.into();
    }
    let ciphers = known_ciphers(&tls.cipher_suites);
    if !ciphers.is_empty() {
        found.cipher_suites = ciphers;
    }
    if !tls.ecdh_curves.is_empty() {
        found.ecdh_curves = texts(&tls.ecdh_curves);
    }
    (found != proto::TlsParameters::default()).then_some(found)
}

const fn version(version: TlsProtocol) -> Option<Version> {
    Some(match version {
        TlsProtocol::Auto => return None,
        TlsProtocol::V1_0 => Version::TlSv10,
        TlsProtocol::V1_1 => Version::TlSv11,
        TlsProtocol::V1_2 => Version::TlSv12,
        TlsProtocol::V1_3 => Version::TlSv13,
    })
}

/// The ciphers that Envoy takes, each once; expressions with operators pass.
///
/// # Upstream
///
/// istio/istio `pkg/config/security/security.go` `FilterCipherSuites`.
fn known_ciphers(ciphers: &[Box<str>]) -> Vec<String> {
    let is_known = |cipher: &str| {
        let is_name = cipher.starts_with(|first: char| first.is_alphanumeric());
        !is_name || cipher == "ALL" || CIPHERS.contains(&cipher)
    };
    let mut found: Vec<String> = Vec::new();
    for cipher in ciphers.iter().filter(|cipher| is_known(cipher)) {
        if !found.iter().any(|known| **known == **cipher) {
            found.push(cipher.to_string());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ciphers_that_envoy_does_not_know_are_left_out_and_expressions_stay() {
        let asked = ["AES128-SHA", "RC4-MD5", "-ALL", "AES128-SHA", "ALL"].map(Box::from);
        assert_eq!(known_ciphers(&asked), ["AES128-SHA", "-ALL", "ALL"]);
    }
}
