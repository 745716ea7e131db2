//! Which TLS a cluster's connections get: the rule's, the mesh's own, or none.
//!
//! ```text
//! rule's tls │ automatic mutual TLS ──settings, with SNI and SANs──▶ context ──▶ sockets
//! ```
use std::borrow::Cow;

use mesh_model::resource::destination_rule::{ClientTlsMode, ClientTlsSettings};
use mesh_model::view::Proxy;

/// Files with a client certificate that the proxy's metadata names, instead of the mesh's own.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "three files")]
pub struct ClientCertificates<'p> {
    /// The certificate and those that signed it.
    pub chain: &'p str,
    /// Its key.
    pub key: &'p str,
    /// The authorities that sign servers.
    pub root: &'p str,
}

impl<'p> ClientCertificates<'p> {
    /// Reads node metadata `TLS_CLIENT_CERT_CHAIN`, without which there is none, `TLS_CLIENT_KEY`
    /// and `TLS_CLIENT_ROOT_CERT`.
    pub fn of(proxy: &'p Proxy) -> Option<Self> {
        let chain = proxy.metadata_text("TLS_CLIENT_CERT_CHAIN");
        let (key, root) = ("TLS_CLIENT_KEY", "TLS_CLIENT_ROOT_CERT");
        let (key, root) = (proxy.metadata_text(key), proxy.metadata_text(root));
        (!chain.is_empty()).then_some(Self { chain, key, root })
    }
}

/// Who asked for TLS.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "sockets act on both")]
pub enum Origin {
    /// The user, or nobody.
    User,
    /// Automatic mutual TLS, so that it depends on the endpoint.
    Automatic,
}

/// What the decision depends on.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "the inputs of one decision")]
pub struct Demand<'a> {
    /// The rule's block.
    pub given: Option<&'a ClientTlsSettings>,
    /// Whether without a block mutual TLS is used.
    pub is_automatic: bool,
    /// The server name of mutual TLS.
    pub default_sni: &'a str,
    /// The identities of the service.
    pub accounts: &'a [String],
    /// Certificates of the proxy's metadata.
    pub certificates: Option<ClientCertificates<'a>>,
    /// Whether a block counts although the proxy's metadata has certificates: the service is outside
    /// the mesh (`PREFER_DESTINATIONRULE_TLS_FOR_EXTERNAL_SERVICES`).
    pub keeps_own: bool,
}

/// Returns the settings in force, complete with server name and identities, and who asked for them.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/networking/core/cluster_tls.go` `buildUpstreamTLSSettings`.
pub fn settings<'a>(demand: &Demand<'a>) -> (Option<Cow<'a, ClientTlsSettings>>, Origin) {
    let Some(given) = demand.given else {
        if !demand.is_automatic {
            return (None, Origin::User);
        }
        let automatic = ClientTlsSettings {
            subject_alt_names: identities(demand.accounts),
            sni: demand.default_sni.into(),
            ..ClientTlsSettings::default()
        };
        return (Some(Cow::Owned(with_certificates(automatic, demand))), Origin::Automatic);
    };
    let is_own = matches!(given.mode, ClientTlsMode::Disable | ClientTlsMode::Simple);
    let keeps_own = match demand.certificates {
        // The authority of the proxy's certificates need not be known outside the mesh.
        Some(_) => demand.keeps_own,
        None => given.mode != ClientTlsMode::IstioMutual,
    };
    if is_own || keeps_own {
        return (Some(Cow::Borrowed(given)), Origin::User);
    }
    let mut mutual = ClientTlsSettings {
        subject_alt_names: given.subject_alt_names.clone(),
        sni: given.sni.clone(),
        insecure_skip_verify: given.insecure_skip_verify,
        ..ClientTlsSettings::default()
    };
    if demand.certificates.is_none() {
        if mutual.sni.is_empty() {
            mutual.sni = demand.default_sni.into();
        }
        if mutual.subject_alt_names.is_empty() {
            mutual.subject_alt_names = identities(demand.accounts);
        }
    }
    (Some(Cow::Owned(with_certificates(mutual, demand))), Origin::User)
}

/// The mode and files: the mesh's own certificate, or that of the proxy's metadata.
fn with_certificates(settings: ClientTlsSettings, demand: &Demand<'_>) -> ClientTlsSettings {
    match demand.certificates {
        None => ClientTlsSettings { mode: ClientTlsMode::IstioMutual, ..settings },
        Some(files) => ClientTlsSettings {
            mode: ClientTlsMode::Mutual,
            client_certificate: files.chain.into(),
            private_key: files.key.into(),
            ca_certificates: files.root.into(),
            ..settings
        },
    }
}

fn identities(accounts: &[String]) -> Vec<Box<str>> {
    accounts.iter().map(|account| account.as_str().into()).collect()
}

/// How the server's name is found and checked: from the request, unless the rule says it.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/networking/core/cluster_tls.go` `setAutoSniAndAutoSanValidation`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct ServerName {
    pub(super) from_request: bool,
    pub(super) is_checked: bool,
}

impl ServerName {
    /// Of a cluster that looks hosts up; `None` without TLS.
    pub(super) fn looked_up(settings: &ClientTlsSettings) -> Option<Self> {
        (settings.mode != ClientTlsMode::Disable).then(|| Self {
            from_request: settings.sni.is_empty(),
            is_checked: settings.insecure_skip_verify != Some(true),
        })
    }

    /// Of any other cluster; `None` for mutual TLS of the mesh, whose names are known.
    pub(super) fn known(settings: &ClientTlsSettings) -> Option<Self> {
        let names_nobody = settings.subject_alt_names.is_empty();
        let looked_up = Self::looked_up(settings)?;
        (settings.mode != ClientTlsMode::IstioMutual).then_some(Self {
            is_checked: looked_up.is_checked && looked_up.from_request && names_nobody,
            ..looked_up
        })
    }

    /// Whether Envoy has to be told that the name that was looked up is not the server's.
    pub(super) const fn is_insecure(self) -> bool {
        !self.from_request || !self.is_checked
    }
}
