//! The folder that `mesh serve --secrets` takes, made for one run.
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, SanType,
};

use crate::problem::{Attempt, Problem};

/// An authority that signs into a folder: `root.pem` is its own certificate.
pub(super) struct Certificates {
    pub(super) folder: PathBuf,
    issuer: Issuer<'static, KeyPair>,
}

impl Certificates {
    /// Makes the folder with the root certificate.
    pub(super) fn new(folder: PathBuf) -> Result<Self, Problem> {
        let what = format!("make certificates in `{}`", folder.display());
        std::fs::create_dir_all(&folder).attempt(&what)?;
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().attempt(&what)?;
        let root = params.self_signed(&key).attempt(&what)?;
        std::fs::write(folder.join("root.pem"), root.pem()).attempt(&what)?;
        Ok(Self { folder, issuer: Issuer::new(params, key) })
    }

    /// Signs an identity, such as `spiffe://cluster.local/ns/shop/sa/web`, into `NAME.crt` and
    /// `NAME.key`.
    pub(super) fn identity(&self, name: &str, identity: &str) -> Result<(), Problem> {
        let identity = identity.try_into().attempt(format!("certify `{identity}`"))?;
        self.sign(name, SanType::URI(identity))
    }

    /// Signs the name of a server into `NAME.crt` and `NAME.key`.
    pub(super) fn server(&self, name: &str, host: &str) -> Result<(), Problem> {
        let host = host.try_into().attempt(format!("certify `{host}`"))?;
        self.sign(name, SanType::DnsName(host))
    }

    fn sign(&self, name: &str, whom: SanType) -> Result<(), Problem> {
        let what = format!("make the certificate `{name}`");
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.subject_alt_names = vec![whom];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().attempt(&what)?;
        let chain = params.signed_by(&key, &self.issuer).attempt(&what)?;
        let write = |extension: &str, text: String| write(&self.folder, name, extension, &text);
        write("crt", chain.pem()).and_then(|()| write("key", key.serialize_pem())).attempt(what)
    }
}

fn write(folder: &Path, name: &str, extension: &str, text: &str) -> std::io::Result<()> {
    std::fs::write(folder.join(format!("{name}.{extension}")), text)
}
