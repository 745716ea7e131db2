//! A certificate authority that is thrown away with the program.
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, Error, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType,
};

use super::Pair;

/// Signs certificates for identities of the mesh, and remembers them: whoever asks again, or asks
/// for the same workload, is given the same.
///
/// They never expire before the program ends, and nothing else trusts them.
pub(in super::super) struct Authority {
    root: Vec<u8>,
    issuer: Issuer<'static, KeyPair>,
    issued: Mutex<BTreeMap<String, Pair>>,
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

impl Authority {
    pub(super) fn new(trust_domain: &str) -> Result<Self, Error> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, trust_domain);
        let key = KeyPair::generate()?;
        let root = params.self_signed(&key)?.pem().into_bytes();
        Ok(Self { root, issuer: Issuer::new(params, key), issued: Mutex::default() })
    }

    /// The certificate to verify others by, in PEM.
    pub(super) fn root(&self) -> &[u8] {
        &self.root
    }

    /// A certificate for an identity such as `spiffe://cluster.local/ns/shop/sa/web`; `None` if the
    /// identity cannot stand in one.
    pub(super) fn issue(&self, identity: &str) -> Option<Pair> {
        let mut issued = self.issued.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pair) = issued.get(identity) {
            return Some(pair.clone());
        }
        let pair = self.sign(identity).ok()?;
        issued.insert(identity.to_owned(), pair.clone());
        Some(pair)
    }

    /// # Upstream
    ///
    /// istio/istio `security/pkg/pki/util/generate_csr.go` `GenCSRTemplate`: no subject, the identity
    /// as URI; `security/pkg/pki/util/generate_cert.go` `genCertTemplateFromCSR`: for servers and
    /// clients.
    fn sign(&self, identity: &str) -> Result<Pair, Error> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.subject_alt_names = vec![SanType::URI(identity.try_into()?)];
        params.key_usages =
            vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let chain = params.signed_by(&key, &self.issuer)?.pem().into_bytes();
        Ok(Pair { chain, key: key.serialize_pem().into_bytes() })
    }
}
