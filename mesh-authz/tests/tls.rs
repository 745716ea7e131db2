//! Handshakes between workloads of a mesh, in memory.
#![cfg(feature = "rustls")]
#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "helpers of tests may fail")]
use std::sync::Arc;
use std::time::Duration;

use mesh_authz::identity::tls::{ClientVerifier, PeerNames, ServerVerifier, TrustStore};
use mesh_model::name::TrustDomain;
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType,
    date_time_ymd,
};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::{
    CertificateError, ClientConfig, ClientConnection, Error, ServerConfig, ServerConnection,
};

/// 2026-06-01: within the validity of every certificate here, unless the test moves it.
const NOW: u64 = 1_780_272_000;

#[derive(Debug)]
struct At(u64);

impl TimeProvider for At {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_secs(self.0)))
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// The root of a trust domain.
struct Root {
    der: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

fn root(name: &str) -> Root {
    root_of_years(name, [1975, 4096])
}

/// A root that is valid from the start of one year to that of another.
fn root_of_years(name: &str, [from, until]: [i32; 2]) -> Root {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(rcgen::DnType::OrganizationName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.not_before = date_time_ymd(from, 1, 1);
    params.not_after = date_time_ymd(until, 1, 1);
    let certificate = params.self_signed(&key).unwrap();
    Root { der: certificate.der().clone(), issuer: Issuer::new(params, key) }
}

struct Workload {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

fn workload(root: &Root, uris: &[&str]) -> Workload {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.not_before = date_time_ymd(2026, 1, 1);
    params.not_after = date_time_ymd(2027, 1, 1);
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
    params.subject_alt_names =
        uris.iter().map(|uri| SanType::URI((*uri).try_into().unwrap())).collect();
    let certificate = params.signed_by(&key, &root.issuer).unwrap();
    Workload {
        chain: vec![certificate.der().clone()],
        key: PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
    }
}

fn store(roots: &[(&str, &Root)]) -> Arc<TrustStore> {
    let mut store = TrustStore::default();
    for (domain, root) in roots {
        store.add(TrustDomain::from(*domain), &root.der).unwrap();
    }
    Arc::new(store)
}

/// Shakes hands; the answer is the identity that the server saw, or the first error of either side.
fn shake(
    store: &Arc<TrustStore>,
    client: Workload,
    server: Workload,
    expected: &[&str],
    now: u64,
) -> Result<String, Error> {
    let verifier = Arc::new(ClientVerifier::new(store.clone(), provider()));
    let server = ServerConfig::builder_with_details(provider(), Arc::new(At(now)))
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(verifier)
        .with_single_cert(server.chain, server.key)?;
    let expected = expected.iter().map(|name| Box::from(*name));
    let verifier = Arc::new(ServerVerifier::new(store.clone(), provider(), expected));
    let client = ClientConfig::builder_with_details(provider(), Arc::new(At(now)))
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_client_auth_cert(client.chain, client.key)?;
    let name = ServerName::try_from("cart.shop").unwrap();
    let mut client = ClientConnection::new(Arc::new(client), name)?;
    let mut server = ServerConnection::new(Arc::new(server))?;
    while client.is_handshaking() || server.is_handshaking() {
        let mut wire = Vec::new();
        client.write_tls(&mut wire).unwrap();
        server.read_tls(&mut wire.as_slice()).unwrap();
        server.process_new_packets()?;
        let mut wire = Vec::new();
        server.write_tls(&mut wire).unwrap();
        client.read_tls(&mut wire.as_slice()).unwrap();
        client.process_new_packets()?;
    }
    let certificates = server.peer_certificates().unwrap();
    let names = PeerNames::of_certificate(&certificates[0]).unwrap();
    Ok(names.with(|peer| peer.uri_sans.join(" ")))
}

const WEB: &str = "spiffe://east/ns/shop/sa/web";
const CART: &str = "spiffe://east/ns/shop/sa/cart";

fn refused(error: CertificateError) -> Result<String, Error> {
    Err(Error::InvalidCertificate(error))
}

#[test]
fn two_workloads_of_a_mesh_know_each_other() {
    let east = root("east");
    let store = store(&[("east", &east)]);
    let seen = shake(&store, workload(&east, &[WEB]), workload(&east, &[CART]), &[CART], NOW);
    assert_eq!(seen, Ok(WEB.to_owned()));
}

#[test]
fn each_trust_domain_has_its_own_roots() {
    let (east, west) = (root("east"), root("west"));
    let of_west = "spiffe://west/ns/shop/sa/web";
    let both = store(&[("east", &east), ("west", &west)]);
    let cart = || workload(&east, &[CART]);
    assert_eq!(shake(&both, workload(&west, &[of_west]), cart(), &[], NOW), Ok(of_west.to_owned()));
    // A root of one domain vouches for no other.
    assert_eq!(
        shake(&both, workload(&west, &[WEB]), cart(), &[], NOW),
        refused(CertificateError::UnknownIssuer)
    );
    let only_east = store(&[("east", &east)]);
    assert_eq!(
        shake(&only_east, workload(&west, &[of_west]), cart(), &[], NOW),
        refused(CertificateError::UnknownIssuer)
    );
}

#[test]
fn a_root_can_be_replaced_while_both_are_trusted() {
    let (old, new) = (root("old"), root("new"));
    let store = store(&[("east", &old), ("east", &new)]);
    let seen = shake(&store, workload(&new, &[WEB]), workload(&old, &[CART]), &[CART], NOW);
    assert_eq!(seen, Ok(WEB.to_owned()));
}

#[test]
fn a_certificate_has_one_identity() {
    let east = root("east");
    let store = store(&[("east", &east)]);
    let odd = [&[][..], &[WEB, CART], &[WEB, "https://east/web"], &["https://east/web"]];
    for uris in odd {
        assert_eq!(
            shake(&store, workload(&east, uris), workload(&east, &[CART]), &[], NOW),
            refused(CertificateError::ApplicationVerificationFailure),
            "{uris:?}"
        );
    }
}

#[test]
fn times_are_checked_against_the_time_that_is_passed() {
    let east = root("east");
    let store = store(&[("east", &east)]);
    let pair = || (workload(&east, &[WEB]), workload(&east, &[CART]));
    let year = 365 * 24 * 3600;
    let (web, cart) = pair();
    let late = shake(&store, web, cart, &[], NOW + year);
    assert_eq!(late, refused(CertificateError::Expired));
    let (web, cart) = pair();
    let early = shake(&store, web, cart, &[], NOW - year);
    assert_eq!(early, refused(CertificateError::NotValidYet));
}

#[test]
fn a_client_insists_on_who_it_calls() {
    let east = root("east");
    let store = store(&[("east", &east)]);
    let seen = shake(&store, workload(&east, &[WEB]), workload(&east, &[WEB]), &[CART], NOW);
    assert_eq!(seen, refused(CertificateError::NotValidForName));
}

#[test]
fn a_root_vouches_in_its_own_time_only() {
    for (years, is_valid) in
        [([2020, 2026], false), ([2027, 2060], false), ([2026, 2027], true), ([1960, 2060], true)]
    {
        let east = root_of_years("east", years);
        let store = store(&[("east", &east)]);
        let seen = shake(&store, workload(&east, &[WEB]), workload(&east, &[CART]), &[], NOW);
        let expected =
            if is_valid { Ok(WEB.to_owned()) } else { refused(CertificateError::UnknownIssuer) };
        assert_eq!(seen, expected, "{years:?}");
    }
}

#[test]
fn a_uri_name_that_is_no_text_counts() {
    let east = root("east");
    let mut params = CertificateParams::default();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    // subjectAltName: the URI name of `web`, and one of a byte that no text has.
    let mut names = vec![0x86, u8::try_from(WEB.len()).unwrap()];
    names.extend(WEB.as_bytes());
    for second in [&[][..], &[0x86, 1, 0xff]] {
        let all = [&names[..], second].concat();
        let content = [&[0x30, u8::try_from(all.len()).unwrap()][..], &all].concat();
        let of = rcgen::CustomExtension::from_oid_content(&[2, 5, 29, 17], content);
        params.custom_extensions = vec![of];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &east.issuer).unwrap();
        let names = PeerNames::of_certificate(certificate.der());
        assert_eq!(names.is_ok(), second.is_empty());
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let web = Workload { chain: vec![certificate.der().clone()], key };
        let seen = shake(&store(&[("east", &east)]), web, workload(&east, &[CART]), &[], NOW);
        assert_eq!(seen.is_ok(), second.is_empty(), "{seen:?}");
    }
}
