//! What Envoy is told of TLS to a cluster: certificates, names, versions, protocols.
use mesh_envoy_proto::envoy::config::core::v3::{DataSource, data_source};
use mesh_envoy_proto::envoy::extensions::transport_sockets::tls::v3::common_tls_context::{
    CombinedCertificateValidationContext, ValidationContextType,
};
use mesh_envoy_proto::envoy::extensions::transport_sockets::tls::v3::tls_parameters::TlsProtocol;
use mesh_envoy_proto::envoy::extensions::transport_sockets::tls::v3::{
    CertificateValidationContext, CommonTlsContext, SdsSecretConfig, TlsParameters,
    UpstreamTlsContext,
};
use mesh_envoy_proto::envoy::r#type::matcher::v3::{StringMatcher, string_matcher};
use mesh_model::resource::destination_rule::{ClientTlsMode, ClientTlsSettings};
use mesh_model::resource::mesh_config::TlsConfig;
use mesh_model::view::{Proxy, ProxyKind};

use crate::secret::{self, AUTHORITIES, Credential};

/// Of which service and for which proxy the context is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Surroundings<'a> {
    pub(super) proxy: &'a Proxy,
    /// Whether the rule is for selected workloads only.
    pub(super) rule_selects: bool,
    /// The identities of a service that is no Kubernetes service; empty for those that are.
    pub(super) foreign_accounts: &'a [String],
    /// Whether the cluster speaks HTTP/2 whatever the client speaks.
    pub(super) is_http2: bool,
    /// Whether proxies tell each other who they are.
    pub(super) exchanges_metadata: bool,
    /// `MeshConfig.tlsDefaults`.
    pub(super) defaults: Option<&'a TlsConfig>,
    /// What mutual TLS of the mesh names the server where nothing else does.
    pub(super) default_sni: &'a str,
}

/// What settings come to.
#[derive(Debug)]
pub(super) enum Context {
    /// Plain text.
    Plain,
    /// TLS cannot be set up: files are missing; the cluster stays without a socket.
    Broken,
    /// TLS.
    Tls(Box<UpstreamTlsContext>),
}

/// Returns the context of settings in force.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/networking/core/cluster_tls.go` `buildUpstreamClusterTLSContext`,
/// `constructUpstreamTLS`.
pub(super) fn context(settings: &ClientTlsSettings, around: &Surroundings<'_>) -> Context {
    if needs_selector(settings) && around.proxy.kind == ProxyKind::Sidecar && !around.rule_selects {
        return Context::Plain;
    }
    let common = match settings.mode {
        ClientTlsMode::Disable => return Context::Plain,
        ClientTlsMode::IstioMutual => Some(mesh_mutual(settings, around)),
        ClientTlsMode::Simple | ClientTlsMode::Mutual => of_user(settings, around),
    };
    let Some(common) = common else { return Context::Broken };
    Context::Tls(Box::new(UpstreamTlsContext {
        common_tls_context: Some(common),
        sni: match (settings.mode, &*settings.sni) {
            (ClientTlsMode::IstioMutual, "") => around.default_sni.to_owned(),
            (_, sni) => sni.to_owned(),
        },
        ..UpstreamTlsContext::default()
    }))
}

/// Whether a secret is named that not every sidecar may read.
fn needs_selector(settings: &ClientTlsSettings) -> bool {
    let is_named = !settings.credential_name.is_empty();
    is_named && !settings.credential_name.starts_with("configmap://") && is_users(settings.mode)
}

/// Whether the user brings certificates and names.
pub(super) const fn is_users(mode: ClientTlsMode) -> bool {
    matches!(mode, ClientTlsMode::Simple | ClientTlsMode::Mutual)
}

fn mesh_mutual(settings: &ClientTlsSettings, around: &Surroundings<'_>) -> CommonTlsContext {
    let mut protocols: Vec<&str> = Vec::new();
    if around.exchanges_metadata {
        protocols.push("istio-peer-exchange");
    }
    protocols.push("istio");
    if around.is_http2 {
        protocols.push("h2");
    }
    CommonTlsContext {
        tls_params: Some(versions()),
        tls_certificate_sds_secret_configs: vec![secret::of_agent(secret::OWN)],
        alpn_protocols: protocols.into_iter().map(str::to_owned).collect(),
        validation_context_type: combined(
            server_names(&settings.subject_alt_names),
            secret::of_agent(secret::ROOT),
        ),
        ..CommonTlsContext::default()
    }
}

/// `None` if the mode is MUTUAL and there is neither a secret nor both files.
fn of_user(settings: &ClientTlsSettings, around: &Surroundings<'_>) -> Option<CommonTlsContext> {
    let mut expected = server_names(&settings.subject_alt_names);
    if settings.subject_alt_names.is_empty() {
        let accounts = around.foreign_accounts.iter().map(String::as_str);
        expected.match_subject_alt_names = accounts.map(exact).collect();
    }
    let mut common = CommonTlsContext {
        tls_params: Some(versions()),
        alpn_protocols: if around.is_http2 { vec!["h2".to_owned()] } else { Vec::new() },
        ..CommonTlsContext::default()
    };
    if let (Some(params), Some(defaults)) = (common.tls_params.as_mut(), around.defaults) {
        params.cipher_suites = defaults.cipher_suites.iter().map(ToString::to_string).collect();
        params.ecdh_curves = defaults.ecdh_curves.iter().map(ToString::to_string).collect();
    }
    let certificates = &mut common.tls_certificate_sds_secret_configs;
    let skips = settings.insecure_skip_verify == Some(true);
    let name = &*settings.credential_name;
    if name.is_empty() {
        if settings.mode == ClientTlsMode::Mutual {
            certificates.push(client_files(settings, around.proxy)?);
        }
        common.validation_context_type = if skips {
            Some(ValidationContextType::ValidationContext(<_>::default()))
        } else {
            expected.crl = revoked(&settings.ca_crl);
            combined(expected, authority_files(&settings.ca_certificates, around.proxy))
        };
    } else {
        if settings.mode == ClientTlsMode::Mutual {
            certificates.push(of_credential(around.proxy, name));
        }
        if !skips {
            let authorities = of_credential(around.proxy, &format!("{name}{AUTHORITIES}"));
            common.validation_context_type = combined(expected, authorities);
        }
    }
    Some(common)
}

fn versions() -> TlsParameters {
    TlsParameters {
        tls_minimum_protocol_version: TlsProtocol::TlSv12.into(),
        tls_maximum_protocol_version: TlsProtocol::TlSv13.into(),
        ..TlsParameters::default()
    }
}

const fn combined(
    expected: CertificateValidationContext,
    authorities: SdsSecretConfig,
) -> Option<ValidationContextType> {
    Some(ValidationContextType::CombinedValidationContext(CombinedCertificateValidationContext {
        default_validation_context: Some(expected),
        validation_context_sds_secret_config: Some(authorities),
        validation_context_certificate_provider: None,
        validation_context_certificate_provider_instance: None,
    }))
}

fn server_names(names: &[Box<str>]) -> CertificateValidationContext {
    CertificateValidationContext {
        match_subject_alt_names: names.iter().map(|name| exact(name)).collect(),
        ..CertificateValidationContext::default()
    }
}

fn exact(name: &str) -> StringMatcher {
    let pattern = string_matcher::MatchPattern::Exact(name.to_owned());
    StringMatcher { match_pattern: Some(pattern), ..StringMatcher::default() }
}

fn revoked(file: &str) -> Option<DataSource> {
    let specifier = data_source::Specifier::Filename(file.to_owned());
    (!file.is_empty()).then(|| DataSource { specifier: Some(specifier), ..DataSource::default() })
}

fn client_files(settings: &ClientTlsSettings, proxy: &Proxy) -> Option<SdsSecretConfig> {
    let (certificate, key) = (&settings.client_certificate, &settings.private_key);
    let is_complete = !certificate.is_empty() && !key.is_empty();
    is_complete.then(|| secret::of_files(proxy, &format!("file-cert:{certificate}~{key}")))
}

fn authority_files(file: &str, proxy: &Proxy) -> SdsSecretConfig {
    let file = if file.is_empty() { "system" } else { file };
    secret::of_files(proxy, &format!("file-root:{file}"))
}

/// The secret that a rule names: no provider of the mesh's settings is asked for it.
fn of_credential(proxy: &Proxy, name: &str) -> SdsSecretConfig {
    Credential::new(proxy, name).or_of_kubernetes()
}
