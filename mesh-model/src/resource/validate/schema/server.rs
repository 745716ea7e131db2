//! Limits of Gateways. Those of TLS in a Sidecar are not needed: it has no secrets.
use super::most;
use crate::resource::Gateway;
use crate::resource::validate::Violations;

/// Certificates of a server, as secrets or as files.
const MOST_CERTIFICATES: usize = 2;

pub(super) fn gateway(violations: &mut Violations, gateway: &Gateway) {
    violations.field("servers", |violations| {
        violations.each(&gateway.spec.servers, |violations, server| {
            let Some(tls) = &server.tls else { return };
            violations.field("tls", |violations| {
                let (files, secrets) = (tls.tls_certificates.len(), tls.credential_names.len());
                most(violations, "tlsCertificates", files, MOST_CERTIFICATES);
                most(violations, "credentialNames", secrets, MOST_CERTIFICATES);
            });
        });
    });
}
