//! The names in a certificate.
use std::fmt;

use mesh_model::name::TrustDomain;
use rustls::pki_types::CertificateDer;
use webpki::EndEntityCert;

use super::der;
use crate::identity::Peer;

const SCHEME: &str = "spiffe://";

/// The names of a peer's certificate.
///
/// Made of a certificate that the transport has verified: this reads names, it believes none.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a certificate has these names")]
pub struct PeerNames {
    /// The URI names, in the order of the certificate.
    pub uri_sans: Vec<Box<str>>,
    /// The DNS names.
    pub dns_sans: Vec<Box<str>>,
}

/// The bytes are no X.509 certificate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct InvalidCertificate(());

impl fmt::Display for InvalidCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not an X.509 certificate of version 3")
    }
}

impl std::error::Error for InvalidCertificate {}

impl PeerNames {
    /// Reads the first certificate of a chain, in DER, as `peer_certificates()` of a finished
    /// handshake returns it.
    ///
    /// # Errors
    ///
    /// When the bytes are not a certificate, or a URI name in it is no text.
    pub fn of_certificate(der: &[u8]) -> Result<Self, InvalidCertificate> {
        let der = CertificateDer::from(der);
        let certificate = EndEntityCert::try_from(&der).map_err(|_| InvalidCertificate(()))?;
        Self::of(&certificate, &der).ok_or(InvalidCertificate(()))
    }

    /// None where a URI name is no text: then nobody can tell who it is.
    pub(super) fn of(certificate: &EndEntityCert<'_>, der: &[u8]) -> Option<Self> {
        let uri_sans: Vec<Box<str>> = certificate.valid_uri_names().map(Box::from).collect();
        let dns_sans = certificate.valid_dns_names().map(Box::from).collect();
        let is_whole = der::uri_names(der) == Some(uri_sans.len());
        is_whole.then_some(Self { uri_sans, dns_sans })
    }

    /// Returns the SPIFFE id with its trust domain, if there is exactly one URI name and it is one.
    pub fn identity(&self) -> Option<(&str, TrustDomain)> {
        let [only] = self.uri_sans.as_slice() else { return None };
        let (trust_domain, path) = only.strip_prefix(SCHEME)?.split_once('/')?;
        let is_name =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-_".contains(&byte);
        let is_complete = !trust_domain.is_empty()
            && trust_domain.bytes().all(is_name)
            && !path.is_empty()
            && path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/.-_".contains(&byte))
            && path.split('/').all(|segment| !matches!(segment, "" | "." | ".."));
        is_complete.then(|| (&**only, TrustDomain::from(trust_domain)))
    }

    /// Hands the names on as a [`Peer`] of a request.
    ///
    /// The subject is left empty: a certificate with a URI name has one that policies can mean, and
    /// none can mean a subject, since each asks for `spiffe://` or for any name.
    pub fn with<T>(&self, use_it: impl FnOnce(Peer<'_>) -> T) -> T {
        let uris: Vec<&str> = self.uri_sans.iter().map(AsRef::as_ref).collect();
        let names: Vec<&str> = self.dns_sans.iter().map(AsRef::as_ref).collect();
        use_it(Peer { uri_sans: &uris, dns_sans: &names, subject: "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(uris: &[&str], expected: Option<&str>) {
        let uri_sans = uris.iter().map(|uri| Box::from(*uri)).collect();
        let names = PeerNames { uri_sans, dns_sans: Vec::new() };
        let found = names.identity();
        assert_eq!(found.as_ref().map(|(_, domain)| domain.as_str()), expected, "{uris:?}");
    }

    #[test]
    fn an_identity_is_the_only_uri_name() {
        check(&["spiffe://td/ns/a/sa/b"], Some("td"));
        check(&[], None);
        check(&["spiffe://td/ns/a/sa/b", "spiffe://td/ns/a/sa/b"], None);
        check(&["spiffe://td/ns/a/sa/b", "https://td/x"], None);
    }

    #[test]
    fn what_is_no_spiffe_id_is_no_identity() {
        check(&["https://td/ns/a/sa/b"], None);
        check(&["spiffe://td"], None);
        check(&["spiffe://td/"], None);
        check(&["spiffe:///ns/a/sa/b"], None);
        check(&["spiffe://TD/ns/a/sa/b"], None);
        check(&["spiffe://u@td/ns/a/sa/b"], None);
        check(&["spiffe://td/ns/a/../sa/b"], None);
        check(&["spiffe://td//ns/a/sa/b"], None);
        for path in ["a?b", "a#b", "%2e", "a%2fb", "a b", "ü"] {
            check(&[&format!("spiffe://td/ns/a/sa/{path}")], None);
        }
        check(&["spiffe://td/ns/a/sa/A.b-c_1"], Some("td"));
    }

    #[test]
    fn bytes_that_are_no_certificate_are_refused() {
        for der in [&b""[..], b"\x30", b"\x30\x82\xff\xff", &[0x30; 64]] {
            assert_eq!(PeerNames::of_certificate(der), Err(InvalidCertificate(())));
        }
    }
}
