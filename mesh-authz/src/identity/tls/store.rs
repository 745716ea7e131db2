//! Whose roots vouch for whom.
use std::collections::BTreeMap;
use std::fmt;

use mesh_model::name::TrustDomain;
use rustls::pki_types::{CertificateDer, TrustAnchor, UnixTime};

use super::der::Validity;

/// The roots of each trust domain.
///
/// A trust domain may have several, as while its root is replaced. A domain without any is not trusted
/// at all. Aliases of the own trust domain are domains like any other: add the roots under each.
#[derive(Clone, Debug, Default)]
pub struct TrustStore {
    roots: BTreeMap<TrustDomain, Vec<(Validity, TrustAnchor<'static>)>>,
}

/// The bytes are no certificate that can be a root.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct InvalidRoot(());

impl fmt::Display for InvalidRoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a certificate that can be a root")
    }
}

impl std::error::Error for InvalidRoot {}

impl TrustStore {
    /// Adds a root, a certificate in DER, to those of a trust domain.
    ///
    /// # Errors
    ///
    /// When the bytes are not a certificate.
    pub fn add(&mut self, trust_domain: TrustDomain, der: &[u8]) -> Result<(), InvalidRoot> {
        let validity = Validity::of(der).ok_or(InvalidRoot(()))?;
        let der = CertificateDer::from(der);
        let root = webpki::anchor_from_trusted_cert(&der).map_err(|_| InvalidRoot(()))?;
        self.roots.entry(trust_domain).or_default().push((validity, root.to_owned()));
        Ok(())
    }

    /// Returns the trust domains that have a root.
    pub fn trust_domains(&self) -> impl Iterator<Item = &TrustDomain> {
        self.roots.keys()
    }

    /// The roots of a trust domain that are valid at a time.
    ///
    /// # Upstream
    ///
    /// google/boringssl `crypto/x509/x509_vfy.cc` `internal_verify`, which Envoy verifies chains by: it
    /// checks the times of every certificate of a chain, the root's too.
    pub(super) fn of(
        &self,
        trust_domain: &TrustDomain,
        now: UnixTime,
    ) -> Vec<TrustAnchor<'static>> {
        let roots = self.roots.get(trust_domain).into_iter().flatten();
        roots.filter(|(validity, _)| validity.contains(now)).map(|(_, root)| root.clone()).collect()
    }
}
