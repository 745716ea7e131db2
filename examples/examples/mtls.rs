//! May this caller do that, and what if the answer changes?   cargo run -p mesh-examples --example mtls
//!
//! A server on a loopback address terminates mutual TLS, takes the caller's identity out of the handshake
//! and asks mesh-authz about each request, with the policies of a mesh folder. The folder changes while
//! two callers hold their connections: the one that was denied is allowed from then on, on the same
//! connection. It is heard, too, where another folder takes its place.
use std::convert::Infallible;
use std::error::Error;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::SendRequest;
use hyper::header::HeaderValue;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use mesh_authz::identity::tls::{ClientVerifier, PeerNames, ServerVerifier, TrustStore};
use mesh_authz::{Authorizer, Connection, Header, Http};
use mesh_model::Compat;
use mesh_model::name::TrustDomain;
use mesh_model::registry::Registry;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ServerConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::{TlsAcceptor, TlsConnector};

#[path = "../src/folder.rs"]
#[expect(dead_code, reason = "the story reads a folder, and no more")]
mod folder;
#[path = "../src/watch.rs"]
mod folder_watch;

use self::folder_watch::Watch;

type Failure = Box<dyn Error + Send + Sync>;

/// The workload that the server is.
const SERVER: &str = "east/shop/cart-0";
const POD: &str = "
apiVersion: v1
kind: Pod
metadata: {name: cart-0, namespace: shop, labels: {app: cart}}
spec: {serviceAccountName: cart}
status: {phase: Running, podIP: 127.0.0.1}
";

/// The policy at first: who may read items.
fn policy(account: &str) -> String {
    format!(
        "
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {{name: readers, namespace: shop}}
spec:
  selector: {{matchLabels: {{app: cart}}}}
  rules:
  - from: [{{source: {{serviceAccounts: [{account}]}}}}]
    to: [{{operation: {{methods: [GET], hosts: [cart.shop], paths: [/items, '/items/*']}}}}]
"
    )
}

/// Another policy, in a file of its own.
const DENY: &str = "
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: nobody, namespace: shop}
spec: {action: DENY, rules: [{}]}
";

fn main() -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    for line in runtime.block_on(story())? {
        println!("{line}");
    }
    Ok(())
}

/// What happens, a line an answer.
pub(crate) async fn story() -> Result<Vec<String>, Failure> {
    let place = std::env::temp_dir().join(format!("mesh-mtls-{}", std::process::id()));
    let folder = place.join("mesh");
    lay(&folder, "web")?;
    let told = tell(&folder).await;
    std::fs::remove_dir_all(&place)?;
    told
}

/// Lays a mesh folder in which an account may read items.
fn lay(folder: &Path, account: &str) -> Result<(), Failure> {
    std::fs::create_dir_all(folder.join("clusters/east"))?;
    std::fs::create_dir_all(folder.join("config"))?;
    std::fs::write(folder.join("clusters/east/cart.yaml"), POD)?;
    std::fs::write(folder.join("config/policy.yaml"), policy(account))?;
    Ok(())
}

async fn tell(folder: &Path) -> Result<Vec<String>, Failure> {
    let root = Root::new()?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let (policies, watching) = policies_of(folder)?;
    let serving = tokio::spawn(serve(listener, root.server("cart")?, policies.clone()));

    let mut web = connect(address, root.client("web")?).await?;
    let mut batch = connect(address, root.client("batch")?).await?;
    let mut told = vec![
        format!("web /items/7: {}", get(&mut web, "/items/7").await?),
        format!("web /admin: {}", get(&mut web, "/admin").await?),
        // What asks for another host says so, the header `host` says cart.shop.
        format!("web http://a.shop/items/7: {}", get(&mut web, "http://a.shop/items/7").await?),
        format!("batch /items/7: {}", get(&mut batch, "/items/7").await?),
    ];

    // The new file takes the place of the old one at once.
    replace(folder, "batch")?;
    turns(&mut batch, &policies, StatusCode::OK).await?;
    told.push("now the policy says batch".to_owned());
    told.push(format!("web /items/7: {}", get(&mut web, "/items/7").await?));
    told.push(format!("batch /items/7: {}", get(&mut batch, "/items/7").await?));

    // A file that was not there before counts as those that were.
    std::fs::write(folder.join("config/more.yaml"), DENY)?;
    turns(&mut batch, &policies, StatusCode::FORBIDDEN).await?;
    told.push("now another policy denies".to_owned());
    std::fs::remove_file(folder.join("config/more.yaml"))?;
    turns(&mut batch, &policies, StatusCode::OK).await?;
    told.push("now it is gone".to_owned());

    // So does another folder, whose files are heard of from then on.
    lay(&folder.with_extension("next"), "web")?;
    std::fs::rename(folder, folder.with_extension("old"))?;
    std::fs::rename(folder.with_extension("next"), folder)?;
    turns(&mut web, &policies, StatusCode::OK).await?;
    told.push("now another folder says web".to_owned());
    told.push(format!("batch /items/7: {}", get(&mut batch, "/items/7").await?));
    replace(folder, "batch")?;
    turns(&mut batch, &policies, StatusCode::OK).await?;
    told.push("and its policy says batch".to_owned());
    told.push(format!("web /items/7: {}", get(&mut web, "/items/7").await?));
    serving.abort();
    watching.abort();
    Ok(told)
}

/// Puts another policy in the place of the one that is there, all at once.
fn replace(folder: &Path, account: &str) -> Result<(), Failure> {
    std::fs::write(folder.join("new"), policy(account))?;
    std::fs::rename(folder.join("new"), folder.join("config/policy.yaml"))?;
    Ok(())
}

/// Waits for policies that answer a caller otherwise than those before.
async fn turns(
    caller: &mut SendRequest<Empty<Bytes>>,
    policies: &watch::Receiver<Arc<Authorizer>>,
    answer: StatusCode,
) -> Result<(), Failure> {
    let mut policies = policies.clone();
    let turned = async {
        while get(caller, "/items/7").await? != answer {
            policies.changed().await?;
        }
        Ok(())
    };
    tokio::time::timeout(Duration::from_secs(20), turned).await?
}

/// What the server decides by, made anew whenever the folder changes.
fn policies_of(
    folder: &Path,
) -> Result<(watch::Receiver<Arc<Authorizer>>, JoinHandle<()>), Failure> {
    let (sender, receiver) = watch::channel(Arc::new(authorizer(folder)?));
    let of = folder.to_owned();
    let mut changes = Watch::new(vec![of.clone()], |message| eprintln!("{message}"));
    let watching = tokio::spawn(async move {
        while changes.changed(true).await.is_some() {
            // A folder that cannot be read leaves the policies as they are; one that holds what is no
            // policy denies what it might have denied.
            if let Ok(authorizer) = authorizer(&of) {
                sender.send_replace(Arc::new(authorizer));
            }
        }
    });
    Ok((receiver, watching))
}

fn authorizer(folder: &Path) -> Result<Authorizer, Failure> {
    let files = folder::Files::read(folder)?;
    // What cannot be read may be a policy: who goes on without it allows what it denies.
    if let Some(name) = files.unreadable().next() {
        return Err(format!("`{name}` cannot be read").into());
    }
    let mut registry = Registry::new(Compat::default()).with_all_places();
    for diagnostic in files.diagnostics.into_iter().chain(registry.load(files.sources)) {
        eprintln!("{diagnostic}");
    }
    let mesh = registry.mesh();
    let plane = mesh.control_plane_of("east").ok_or("no control plane serves the cluster")?;
    Ok(Authorizer::of_proxy(&mesh, plane, &mesh.proxy(SERVER)?))
}

async fn serve(
    listener: TcpListener,
    config: ServerConfig,
    policies: watch::Receiver<Arc<Authorizer>>,
) {
    let acceptor = TlsAcceptor::from(Arc::new(config));
    while let Ok((stream, from)) = listener.accept().await {
        let (acceptor, policies) = (acceptor.clone(), policies.clone());
        // A connection that fails ends alone.
        tokio::spawn(async move { attend(acceptor, stream, from, policies).await });
    }
}

/// Serves one connection: the caller is who the handshake says, the policies are the newest at each
/// request.
async fn attend(
    acceptor: TlsAcceptor,
    stream: TcpStream,
    from: SocketAddr,
    policies: watch::Receiver<Arc<Authorizer>>,
) -> Result<(), Failure> {
    let to = stream.local_addr()?;
    let stream = acceptor.accept(stream).await?;
    let (_, session) = stream.get_ref();
    let certificate = session.peer_certificates().and_then(|chain| chain.first());
    let caller = PeerNames::of_certificate(certificate.ok_or("no certificate")?)?;
    let service = service_fn(|request| {
        let authorizer = Arc::clone(&policies.borrow());
        let status = if is_allowed(&authorizer, &caller, (from, to), &request) {
            StatusCode::OK
        } else {
            StatusCode::FORBIDDEN
        };
        let mut answer = Response::new(Empty::<Bytes>::new());
        *answer.status_mut() = status;
        async { Ok::<_, Infallible>(answer) }
    });
    let http = hyper::server::conn::http1::Builder::new();
    Ok(http.serve_connection(TokioIo::new(stream), service).await?)
}

fn is_allowed(
    authorizer: &Authorizer,
    caller: &PeerNames,
    (from, to): (SocketAddr, SocketAddr),
    request: &Request<Incoming>,
) -> bool {
    // A request that names a whole URI goes to the host in it, whatever the header `host` says.
    let host = request.headers().get(hyper::header::HOST).map(HeaderValue::as_bytes);
    let host = request.uri().authority().map(|of| of.as_str().as_bytes()).or(host);
    let headers: Vec<Header<'_>> = request
        .headers()
        .iter()
        .map(|(name, value)| {
            let value = host.filter(|_| name == hyper::header::HOST).unwrap_or(value.as_bytes());
            Header { name: name.as_str(), value }
        })
        .collect();
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    caller.with(|peer| {
        let decision = authorizer.decide(&mesh_authz::Request {
            connection: Connection {
                source_ip: from.ip(),
                remote_ip: None,
                destination_ip: to.ip(),
                destination_port: to.port(),
                peer: Some(peer),
                sni: None,
            },
            http: Some(Http {
                method: request.method().as_str(),
                authority: host.and_then(|host| std::str::from_utf8(host).ok()),
                path,
                headers: &headers,
                payload: None,
            }),
            metadata: None,
        });
        decision.is_allowed()
    })
}

async fn connect(
    to: SocketAddr,
    config: ClientConfig,
) -> Result<SendRequest<Empty<Bytes>>, Failure> {
    let stream = TcpStream::connect(to).await?;
    let name = ServerName::from(to.ip());
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

async fn get(caller: &mut SendRequest<Empty<Bytes>>, path: &str) -> Result<StatusCode, Failure> {
    caller.ready().await?;
    let request = Request::get(path).header(hyper::header::HOST, "cart.shop");
    Ok(caller.send_request(request.body(Empty::new())?).await?.status())
}

/// The authority of the trust domain `cluster.local`, in the place of a mesh's.
struct Root {
    issuer: Issuer<'static, KeyPair>,
    trusted: Arc<TrustStore>,
}

impl Root {
    fn new() -> Result<Self, Failure> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key)?;
        let mut trusted = TrustStore::default();
        trusted.add(TrustDomain::from("cluster.local"), certificate.der())?;
        Ok(Self { issuer: Issuer::new(params, key), trusted: Arc::new(trusted) })
    }

    fn certificate(
        &self,
        account: &str,
    ) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), Failure> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        let uri = format!("spiffe://cluster.local/ns/shop/sa/{account}");
        params.subject_alt_names = vec![SanType::URI(uri.try_into()?)];
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok((vec![certificate.der().clone()], PrivateKeyDer::try_from(key.serialize_der())?))
    }

    fn server(&self, account: &str) -> Result<ServerConfig, Failure> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = ClientVerifier::new(Arc::clone(&self.trusted), Arc::clone(&provider));
        let (chain, key) = self.certificate(account)?;
        Ok(ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(Arc::new(verifier))
            .with_single_cert(chain, key)?)
    }

    /// A client that talks to `cart` and to nobody else.
    fn client(&self, account: &str) -> Result<ClientConfig, Failure> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let expected = ["spiffe://cluster.local/ns/shop/sa/cart".into()];
        let verifier =
            ServerVerifier::new(Arc::clone(&self.trusted), Arc::clone(&provider), expected);
        let (chain, key) = self.certificate(account)?;
        Ok(ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_client_auth_cert(chain, key)?)
    }
}
