//! Mutual TLS towards clients, with the mesh's certificates.
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/security/authn/utils/utils.go` `BuildInboundTLS`;
//! `pilot/pkg/security/model/authentication.go` `ApplyToCommonTLSContext`.
use std::collections::BTreeSet;

use mesh_envoy_proto::envoy::config::core::v3 as core;
use mesh_envoy_proto::envoy::extensions::transport_sockets::tls::v3 as proto;
use mesh_envoy_proto::envoy::r#type::matcher::v3::{StringMatcher, string_matcher};
use mesh_envoy_proto::pack;
use mesh_model::resource::mesh_config::TlsVersion;
use proto::common_tls_context::{CombinedCertificateValidationContext, ValidationContextType};
use proto::tls_parameters::TlsProtocol;

use super::context::Context;
use crate::secret;

/// The ciphers where the mesh names none.
const CIPHERS: [&str; 6] = [
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "AES256-GCM-SHA384",
    "AES128-GCM-SHA256",
];
/// The transport socket of mutual TLS that offers these protocols.
pub(super) fn mutual(context: &Context<'_, '_>, alpn: &[&str]) -> core::TransportSocket {
    let common = proto::CommonTlsContext {
        tls_params: Some(parameters(context)),
        tls_certificate_sds_secret_configs: vec![own_secret(context)],
        alpn_protocols: alpn.iter().map(|name| (*name).to_owned()).collect(),
        validation_context_type: Some(ValidationContextType::CombinedValidationContext(
            CombinedCertificateValidationContext {
                default_validation_context: Some(identities(context)),
                validation_context_sds_secret_config: Some(root_secret(context)),
                ..CombinedCertificateValidationContext::default()
            },
        )),
        ..proto::CommonTlsContext::default()
    };
    downstream(common, true)
}

/// The transport socket of TLS that ends here.
pub(super) fn downstream(
    common: proto::CommonTlsContext,
    needs_client_certificate: bool,
) -> core::TransportSocket {
    let tls = proto::DownstreamTlsContext {
        common_tls_context: Some(common),
        require_client_certificate: Some(needs_client_certificate),
        ..proto::DownstreamTlsContext::default()
    };
    core::TransportSocket {
        name: "envoy.transport_sockets.tls".to_owned(),
        config_type: Some(core::transport_socket::ConfigType::TypedConfig(pack(&tls))),
    }
}

fn parameters(context: &Context<'_, '_>) -> proto::TlsParameters {
    let settings = context.config().mesh_mtls.as_ref();
    let named = settings.map(|settings| settings.cipher_suites.as_slice()).unwrap_or_default();
    let is_newest =
        settings.is_some_and(|settings| settings.min_protocol_version == TlsVersion::V1_3);
    let minimum = if is_newest { TlsProtocol::TlSv13 } else { TlsProtocol::TlSv12 };
    proto::TlsParameters {
        tls_minimum_protocol_version: minimum.into(),
        tls_maximum_protocol_version: TlsProtocol::TlSv13.into(),
        cipher_suites: if named.is_empty() {
            CIPHERS.map(str::to_owned).to_vec()
        } else {
            named.iter().map(ToString::to_string).collect()
        },
        ..proto::TlsParameters::default()
    }
}

/// Clients of the mesh's trust domains, and of those that its authorities sign; of any, where nobody shall look
/// (flag `PILOT_SKIP_VALIDATE_TRUST_DOMAIN`).
///
/// # Upstream
///
/// istio/istio `pilot/pkg/networking/plugin/authn/util.go` `TrustDomainsForValidation`.
fn identities(context: &Context<'_, '_>) -> proto::CertificateValidationContext {
    if context.flags().pilot_skip_validate_trust_domain {
        return proto::CertificateValidationContext::default();
    }
    let config = context.config();
    let mut aliases: Vec<&str> = config.trust_domain_aliases.iter().map(AsRef::as_ref).collect();
    aliases.sort_unstable();
    let signed = config.ca_certificates.iter().flat_map(|authority| &authority.trust_domains);
    let all = std::iter::once(&*config.trust_domain).chain(aliases);
    let mut seen = BTreeSet::new();
    let domains = all
        .chain(signed.map(AsRef::as_ref))
        .filter(|domain| !domain.is_empty() && seen.insert(*domain));
    let matchers = domains.map(|domain| {
        let prefix = string_matcher::MatchPattern::Prefix(format!("spiffe://{domain}/"));
        StringMatcher { match_pattern: Some(prefix), ignore_case: false }
    });
    proto::CertificateValidationContext {
        match_subject_alt_names: matchers.collect(),
        ..proto::CertificateValidationContext::default()
    }
}

/// The workload's own certificate: of the mesh, or a file that metadata names.
pub(super) fn own_secret(context: &Context<'_, '_>) -> proto::SdsSecretConfig {
    let proxy = context.proxy();
    let chain = proxy.metadata_text("TLS_SERVER_CERT_CHAIN");
    let key = proxy.metadata_text("TLS_SERVER_KEY");
    if chain.is_empty() || key.is_empty() {
        return secret::of_agent(secret::OWN);
    }
    secret::of_files(proxy, &format!("file-cert:{chain}~{key}"))
}

/// The authorities that verify clients: of the mesh, or a file that metadata names.
pub(super) fn root_secret(context: &Context<'_, '_>) -> proto::SdsSecretConfig {
    let proxy = context.proxy();
    match proxy.metadata_text("TLS_SERVER_ROOT_CERT") {
        "" => secret::of_agent(secret::ROOT),
        root => secret::of_files(proxy, &format!("file-root:{root}")),
    }
}
