//! TLS of a server.
use std::collections::BTreeSet;

use super::super::{ServerTlsMode, ServerTlsSettings, TlsProtocol};
use crate::manifest::decode::clip;
use crate::resource::validate::Violations;

/// The ciphers that Envoy knows, by their OpenSSL names.
///
/// # Upstream
///
/// istio/istio `pkg/config/security/security.go` `ValidCipherSuites`.
pub const CIPHERS: [&str; 15] = [
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
    "ECDHE-ECDSA-AES128-SHA",
    "ECDHE-RSA-AES128-SHA",
    "ECDHE-ECDSA-AES256-SHA",
    "ECDHE-RSA-AES256-SHA",
    "AES128-GCM-SHA256",
    "AES256-GCM-SHA384",
    "AES128-SHA",
    "AES256-SHA",
    "DES-CBC3-SHA",
];

/// Checks the block `tls`, if it is given.
///
/// # Upstream
///
/// istio/istio `pkg/config/validation/validation.go` `validateTLSOptions`.
pub(in crate::resource) fn check(violations: &mut Violations, tls: Option<&ServerTlsSettings>) {
    let Some(tls) = tls else { return };
    violations.field("tls", |violations| {
        let is_old = matches!(tls.min_protocol_version, TlsProtocol::V1_0 | TlsProtocol::V1_1);
        if is_old && tls.cipher_suites.is_empty() {
            let message = "no cipher of Envoy's own list works with such an old version";
            let help = "add `cipherSuites`";
            violations.warning_at("minProtocolVersion", "TLS-OLD-VERSION", message, help);
        }
        ciphers(violations, &tls.cipher_suites);
        if tls.mode == ServerTlsMode::IstioMutual {
            own_identity(violations, tls);
        } else {
            certificates(violations, tls);
        }
    });
}

fn ciphers(violations: &mut Violations, ciphers: &[Box<str>]) {
    let mut seen = BTreeSet::new();
    violations.field("cipherSuites", |violations| {
        violations.each(ciphers, |violations, cipher| {
            if !is_cipher(cipher) {
                let message = format!("the unknown cipher `{}` is ignored", clip(cipher));
                violations.warning("TLS-CIPHER-INVALID", &message, "use OpenSSL's names");
            } else if !seen.insert(cipher) {
                let message = format!("the cipher `{}` is there twice", clip(cipher));
                violations.warning("TLS-CIPHER-DUP", &message, "remove one of them");
            }
        });
    });
}

/// Operators such as `-` and `+` begin expressions, which pass unread.
///
/// Upstream takes the first byte for a letter of Latin-1, so that most letters beyond ASCII begin none.
fn is_cipher(cipher: &str) -> bool {
    let is_word = |byte: u8| char::from(byte).is_alphanumeric();
    let is_expression = cipher.bytes().next().is_none_or(|byte| !is_word(byte));
    is_expression || cipher == "ALL" || CIPHERS.contains(&cipher)
}

/// The fields that name certificates, and whether each is given.
fn sources(tls: &ServerTlsSettings) -> [(&'static str, bool); 6] {
    [
        ("serverCertificate", !tls.server_certificate.is_empty()),
        ("privateKey", !tls.private_key.is_empty()),
        ("caCertificates", !tls.ca_certificates.is_empty()),
        ("tlsCertificates", !tls.tls_certificates.is_empty()),
        ("credentialName", !tls.credential_name.is_empty()),
        ("credentialNames", !tls.credential_names.is_empty()),
    ]
}

fn own_identity(violations: &mut Violations, tls: &ServerTlsSettings) {
    for (name, _) in sources(tls).into_iter().filter(|(_, is_given)| *is_given) {
        let message = "ISTIO_MUTUAL takes the certificate of the workload";
        violations.error_at(name, "TLS-ISTIO-MUTUAL-CERT", message, "remove the field");
    }
}

fn certificates(violations: &mut Violations, tls: &ServerTlsSettings) {
    let passes = matches!(tls.mode, ServerTlsMode::Passthrough | ServerTlsMode::AutoPassthrough);
    let names_any = sources(tls).iter().any(|(_, is_given)| *is_given) || !tls.ca_crl.is_empty();
    if passes && names_any {
        let message = format!("{} needs no certificate", tls.mode.as_str());
        violations.warning("TLS-PASSTHROUGH-CERT", &message, "remove them, or set a mode");
    }
    let count = [
        !tls.server_certificate.is_empty() && !tls.private_key.is_empty(),
        !tls.credential_name.is_empty(),
        !tls.credential_names.is_empty(),
        !tls.tls_certificates.is_empty(),
    ];
    if count.into_iter().filter(|is_given| *is_given).count() > 1 {
        let message = "the certificate comes from several places";
        violations.error("TLS-CERT-SOURCES", message, "keep files or secrets, of one kind");
    }
    let has_secret = !tls.credential_name.is_empty() || !tls.credential_names.is_empty();
    if !passes && has_secret {
        return;
    }
    if !passes {
        files(violations, tls);
    }
    if !tls.ca_crl.is_empty() {
        revoked(violations, tls);
    }
}

/// Checks the files of a server that terminates TLS.
fn files(violations: &mut Violations, tls: &ServerTlsSettings) {
    let mode = tls.mode.as_str();
    if tls.mode != ServerTlsMode::Simple && tls.ca_certificates.is_empty() {
        let message = format!("{mode} needs authorities that sign clients");
        violations.error("TLS-CA-REQUIRED", &message, "add `caCertificates`");
    }
    if tls.tls_certificates.len() > 2 {
        let message = "a server has two certificates at most";
        violations.warning_at("tlsCertificates", "TLS-TOO-MANY-CERTS", message, "keep two");
    }
    if tls.tls_certificates.is_empty() {
        pair(violations, mode, &tls.server_certificate, &tls.private_key);
    }
    violations.field("tlsCertificates", |violations| {
        violations.each(&tls.tls_certificates, |violations, entry| {
            pair(violations, mode, &entry.server_certificate, &entry.private_key);
        });
    });
}

fn pair(violations: &mut Violations, mode: &str, certificate: &str, key: &str) {
    if certificate.is_empty() {
        let message = format!("{mode} needs a certificate");
        violations.error("TLS-SERVER-CERT", &message, "add `serverCertificate` or a secret");
    }
    if key.is_empty() {
        let message = format!("{mode} needs a key");
        violations.error("TLS-PRIVATE-KEY", &message, "add `privateKey` or a secret");
    }
}

fn revoked(violations: &mut Violations, tls: &ServerTlsSettings) {
    if !tls.credential_name.is_empty() {
        let message = "with a secret the list of revoked certificates is in the secret";
        violations.error_at("caCrl", "TLS-CRL", message, "remove it");
    }
    if tls.mode == ServerTlsMode::Simple {
        let message = "SIMPLE asks for no client certificate that could be revoked";
        violations.error_at("caCrl", "TLS-CRL", message, "remove it");
    }
}
