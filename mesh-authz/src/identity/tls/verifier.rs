//! The verifiers that plug into rustls.
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use webpki::{EndEntityCert, KeyUsage};

use super::{PeerNames, TrustStore};

/// Verifies the clients of a server: every client must have a certificate of the mesh.
///
/// For [`rustls::ServerConfig`]; who the client is says
/// [`PeerNames::of_certificate`] of the first of its `peer_certificates()`.
#[derive(Clone, Debug)]
pub struct ClientVerifier {
    common: Common,
}

/// Verifies the server of a client: a workload of the mesh, one of those that are expected.
///
/// For [`rustls::ClientConfig`]. The host that is dialled does not matter, as in a mesh; the identity
/// does.
#[derive(Clone, Debug)]
pub struct ServerVerifier {
    common: Common,
    expected: Box<[Box<str>]>,
}

/// What both sides share.
#[derive(Clone, Debug)]
struct Common {
    store: Arc<TrustStore>,
    provider: Arc<CryptoProvider>,
}

impl ClientVerifier {
    /// A verifier that believes the clients of the trust domains in `store`.
    pub fn new(store: Arc<TrustStore>, provider: Arc<CryptoProvider>) -> Self {
        Self { common: Common { store, provider } }
    }
}

impl ServerVerifier {
    /// A verifier that believes servers with one of the expected identities, each with its scheme, such
    /// as `spiffe://cluster.local/ns/shop/sa/cart`; none expected: with any of the trust domains in
    /// `store`, as a mesh's clients do for services whose accounts are not known.
    pub fn new(
        store: Arc<TrustStore>,
        provider: Arc<CryptoProvider>,
        expected: impl IntoIterator<Item = Box<str>>,
    ) -> Self {
        Self { common: Common { store, provider }, expected: expected.into_iter().collect() }
    }
}

impl Common {
    /// The names of a certificate that is believed.
    fn verify(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
        usage: KeyUsage,
    ) -> Result<PeerNames, Error> {
        let certificate = EndEntityCert::try_from(end_entity).map_err(|error| refused(&error))?;
        let names = PeerNames::of(&certificate, end_entity);
        let known = names.as_ref().and_then(PeerNames::identity);
        let Some((names, (_, trust_domain))) = names.as_ref().zip(known) else {
            return Err(CertificateError::ApplicationVerificationFailure.into());
        };
        let roots = self.store.of(&trust_domain, now);
        let algorithms = self.algorithms().all;
        certificate
            .verify_for_usage(algorithms, &roots, intermediates, now, usage, None, None)
            .map_err(|error| refused(&error))?;
        Ok(names.clone())
    }

    fn algorithms(&self) -> &WebPkiSupportedAlgorithms {
        &self.provider.signature_verification_algorithms
    }
}

/// What the traits of both sides ask of signatures: the caller's provider of cryptography answers.
macro_rules! signatures_by_provider {
    () => {
        fn verify_tls12_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signed: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            verify_tls12_signature(message, certificate, signed, self.common.algorithms())
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signed: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            verify_tls13_signature(message, certificate, signed, self.common.algorithms())
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            self.common.algorithms().supported_schemes()
        }
    };
}

/// Why a certificate is refused, in rustls' words, which become the alert that the peer gets.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "whatever else is wrong, the peer is told that it is not believed"
)]
fn refused(error: &webpki::Error) -> Error {
    let error = match error {
        webpki::Error::BadDer | webpki::Error::BadDerTime | webpki::Error::TrailingData(_) => {
            CertificateError::BadEncoding
        }
        webpki::Error::CertExpired { .. } => CertificateError::Expired,
        webpki::Error::CertNotValidYet { .. } => CertificateError::NotValidYet,
        webpki::Error::UnknownIssuer => CertificateError::UnknownIssuer,
        webpki::Error::InvalidSignatureForPublicKey => CertificateError::BadSignature,
        webpki::Error::RequiredEkuNotFoundContext(_) => CertificateError::InvalidPurpose,
        _ => CertificateError::ApplicationVerificationFailure,
    };
    error.into()
}

impl ClientCertVerifier for ClientVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        // Workloads have one certificate: there is nothing to choose by a hint.
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.common.verify(end_entity, intermediates, now, KeyUsage::client_auth())?;
        Ok(ClientCertVerified::assertion())
    }

    signatures_by_provider!();
}

impl ServerCertVerifier for ServerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let names = self.common.verify(end_entity, intermediates, now, KeyUsage::server_auth())?;
        let is_expected = names.identity().is_some_and(|(identity, _)| {
            self.expected.is_empty() || self.expected.iter().any(|name| **name == *identity)
        });
        if is_expected {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(CertificateError::NotValidForName.into())
        }
    }

    signatures_by_provider!();
}
