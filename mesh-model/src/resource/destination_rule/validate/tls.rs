//! TLS of connections to a host.
use super::super::{ClientTlsMode, ClientTlsSettings};
use crate::manifest::decode::clip;
use crate::resource::validate::Violations;

/// What stands before the name of a ConfigMap.
const CONFIG_MAP: &str = "configmap://";

/// Checks the block, if it is given.
///
/// # Upstream
///
/// istio/istio `pkg/config/validation/agent/validation.go` `ValidateTLS`.
pub(super) fn check(
    violations: &mut Violations,
    namespace: &str,
    block: Option<&ClientTlsSettings>,
) {
    let Some(block) = block else { return };
    violations.field("tls", |violations| settings(violations, namespace, block));
}

/// Checks such a block under the name that is being looked at.
pub(in crate::resource) fn settings(
    violations: &mut Violations,
    namespace: &str,
    block: &ClientTlsSettings,
) {
    if let Some(name) = block.credential_name.strip_prefix(CONFIG_MAP) {
        config_map(violations, namespace, name);
    }
    insecure(violations, block);
    let is_tls = matches!(block.mode, ClientTlsMode::Simple | ClientTlsMode::Mutual);
    if is_tls && !block.credential_name.is_empty() {
        let files =
            [&block.client_certificate, &block.private_key, &block.ca_certificates, &block.ca_crl];
        if files.iter().any(|file| !file.is_empty()) {
            let message = "a secret and files exclude each other";
            let help = "keep `credentialName` or the files";
            violations.error_at("credentialName", "TLS-CREDENTIAL-MIX", message, help);
        }
    } else if block.mode == ClientTlsMode::Mutual {
        if block.client_certificate.is_empty() {
            let message = "MUTUAL needs a certificate of the client";
            violations.error("TLS-MUTUAL-CERT", message, "add `clientCertificate`");
        }
        if block.private_key.is_empty() {
            let message = "MUTUAL needs a key of the client";
            violations.error("TLS-MUTUAL-KEY", message, "add `privateKey`");
        }
    }
}

/// A server that is not verified needs nothing to verify it with.
fn insecure(violations: &mut Violations, block: &ClientTlsSettings) {
    let files = !block.ca_certificates.is_empty() || !block.subject_alt_names.is_empty();
    let contradicts = match block.mode {
        ClientTlsMode::Simple => files || !block.credential_name.is_empty(),
        ClientTlsMode::Mutual => files,
        ClientTlsMode::Disable | ClientTlsMode::IstioMutual => false,
    };
    if contradicts && block.insecure_skip_verify == Some(true) {
        let message = "the server is not verified, so nothing verifies it";
        let help = "remove `insecureSkipVerify`, or what the server is verified with";
        violations.error_at("insecureSkipVerify", "TLS-INSECURE-CA", message, help);
    }
}

/// Checks the reference to a ConfigMap, `NAMESPACE/NAME` of the rule's own namespace.
fn config_map(violations: &mut Violations, namespace: &str, reference: &str) {
    let mut parts = reference.split('/');
    let (owner, name) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    if owner.is_empty() || name.is_empty() || owner != namespace {
        let message = format!("`{}` is no ConfigMap of the namespace", clip(reference));
        let help = "write `configmap://NAMESPACE/NAME` with the rule's own namespace";
        violations.error_at("credentialName", "TLS-CONFIG-MAP", &message, help);
    }
}
