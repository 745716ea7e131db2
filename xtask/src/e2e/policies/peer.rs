//! Who connects: certificates made for the run, and connections with one of them, or without.
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::Arc;

use mesh_authz::identity::tls::{ServerVerifier, TrustStore};
use mesh_model::name::TrustDomain;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair, SanType,
};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};

use crate::e2e::http::PATIENCE;
use crate::problem::{Attempt, Problem};

/// What the certificate of a caller says; all empty: there is none.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Names {
    pub(super) uris: &'static [&'static str],
    pub(super) hosts: &'static [&'static str],
    common_name: &'static str,
}

impl Names {
    /// The subject as Envoy writes it.
    pub(super) fn subject(&self) -> String {
        match self.common_name {
            "" => String::new(),
            name => format!("CN={name}"),
        }
    }
}

const fn uris(uris: &'static [&'static str]) -> Names {
    Names { uris, hosts: &[], common_name: "" }
}

/// The callers, the first without a certificate.
pub(super) const CALLERS: [Names; 10] = [
    uris(&[]),
    uris(&["spiffe://td/ns/a/sa/x"]),
    uris(&["spiffe://td/ns/lab/sa/x"]),
    uris(&["spiffe://td2/ns/b/sa/y"]),
    uris(&["spiffe://other/ns/ab/sa/x"]),
    uris(&["https://x.example.com", "spiffe://td/ns/a/sa/x"]),
    uris(&["spiffe://td/r/e/ns/a/k/v/sa/x/p/q"]),
    Names { uris: &["spiffe://td/ns/b/sa/y"], hosts: &["y.example.com"], common_name: "" },
    Names { uris: &[], hosts: &["x.example.com"], common_name: "" },
    Names { uris: &[], hosts: &[], common_name: "x" },
];

/// Who signs, and how callers connect.
#[derive(Debug)]
pub(super) struct Authority {
    root: String,
    server: (String, String),
    /// One a caller of [`CALLERS`].
    clients: Vec<Arc<ClientConfig>>,
}

/// A certificate and its key.
struct Signed {
    certificate: rcgen::Certificate,
    key: KeyPair,
}

impl Authority {
    pub(super) fn new() -> Result<Self, Problem> {
        let key = KeyPair::generate().attempt("make a key")?;
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "td");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = params.self_signed(&key).attempt("make a root")?;
        let issuer = Issuer::new(params, key);
        let server = signed(&issuer, &uris(&["spiffe://td/ns/lab/sa/server"]))?;
        let verifier = verifier(root.der())?;
        let clients = CALLERS.iter().map(|names| client(&issuer, names, &verifier));
        Ok(Self {
            root: root.pem(),
            server: (server.certificate.pem(), server.key.serialize_pem()),
            clients: clients.collect::<Result<_, _>>()?,
        })
    }

    /// Envoy's side of TLS: a client may have a certificate, and it must be one of ours.
    pub(super) fn transport_socket(&self) -> Value {
        let (certificate, key) = &self.server;
        json!({
            "name": "envoy.transport_sockets.tls",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
                "require_client_certificate": false,
                "common_tls_context": {
                    "tls_certificates": [{
                        "certificate_chain": {"inline_string": certificate},
                        "private_key": {"inline_string": key},
                    }],
                    "validation_context": {"trusted_ca": {"inline_string": self.root}},
                },
            },
        })
    }

    /// Shakes hands as one of the callers, over a connection that is open.
    pub(super) fn shake_hands(
        &self,
        caller: usize,
        sni: Option<&str>,
        mut stream: TcpStream,
    ) -> Result<Stream, Problem> {
        let config = self.clients.get(caller).ok_or_else(|| Problem::new("no such caller"))?;
        // An address is no server name, so none is sent.
        let name = sni.unwrap_or("127.77.0.1").to_owned();
        let name = ServerName::try_from(name).attempt("read a server name")?;
        let connection = ClientConnection::new(Arc::clone(config), name);
        let mut connection = connection.attempt("begin TLS")?;
        while connection.is_handshaking() {
            connection.complete_io(&mut stream).attempt("shake hands")?;
        }
        Ok(Stream::Tls(Box::new(StreamOwned::new(connection, stream))))
    }
}

fn signed(issuer: &Issuer<'_, KeyPair>, names: &Names) -> Result<Signed, Problem> {
    let key = KeyPair::generate().attempt("make a key")?;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    if !names.common_name.is_empty() {
        params.distinguished_name.push(DnType::CommonName, names.common_name);
    }
    for uri in names.uris {
        params.subject_alt_names.push(SanType::URI((*uri).try_into().attempt("name by URI")?));
    }
    for host in names.hosts {
        params.subject_alt_names.push(SanType::DnsName((*host).try_into().attempt("name a host")?));
    }
    let certificate = params.signed_by(&key, issuer).attempt("sign a certificate")?;
    Ok(Signed { certificate, key })
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn verifier(root: &CertificateDer<'_>) -> Result<Arc<ServerVerifier>, Problem> {
    let mut store = TrustStore::default();
    store.add(TrustDomain::from("td"), root).attempt("take the root")?;
    Ok(Arc::new(ServerVerifier::new(Arc::new(store), provider(), [])))
}

fn client(
    issuer: &Issuer<'_, KeyPair>,
    names: &Names,
    verifier: &Arc<ServerVerifier>,
) -> Result<Arc<ClientConfig>, Problem> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .attempt("choose versions of TLS")?
        .dangerous()
        .with_custom_certificate_verifier(Arc::<ServerVerifier>::clone(verifier));
    if names.uris.is_empty() && names.hosts.is_empty() && names.common_name.is_empty() {
        return Ok(Arc::new(builder.with_no_client_auth()));
    }
    let Signed { certificate, key } = signed(issuer, names)?;
    let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(Problem::new)?;
    let config = builder.with_client_auth_cert(vec![certificate.der().clone()], key);
    Ok(Arc::new(config.attempt("use a certificate")?))
}

/// A connection, in plain text or not.
#[derive(Debug)]
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Stream {
    fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => &stream.sock,
        }
    }

    /// Our side of the connection.
    pub(super) fn local(&self) -> Result<SocketAddr, Problem> {
        self.socket().local_addr().attempt("ask for our own address")
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}

/// Connects from an address of our own.
pub(super) fn connect(from: IpAddr, to: SocketAddr) -> Result<TcpStream, Problem> {
    let what = format!("connect from {from} to {to}");
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, None).attempt(&what)?;
    socket.bind(&SocketAddr::new(from, 0).into()).attempt(&what)?;
    socket.connect_timeout(&to.into(), PATIENCE).attempt(&what)?;
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).attempt(&what)?;
    stream.set_nodelay(true).attempt(&what)?;
    Ok(stream)
}
