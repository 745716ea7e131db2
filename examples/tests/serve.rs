//! `mesh serve` from outside: a folder, the program, and a proxy's streams.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests may fail like tests"
)]
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mesh_envoy_proto::envoy::config::core::v3::Node;
use mesh_envoy_proto::envoy::config::endpoint::v3::ClusterLoadAssignment;
use mesh_envoy_proto::envoy::config::listener::v3::Listener;
use mesh_envoy_proto::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse,
};
use mesh_envoy_proto::prost_types;
use prost::Message as _;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::{Code, Request, Status, Streaming};

const CLUSTER: &str = "type.googleapis.com/envoy.config.cluster.v3.Cluster";
const ENDPOINT: &str = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment";
const SECRET: &str = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret";

const ADS: &str = "/envoy.service.discovery.v3.AggregatedDiscoveryService/";
const SDS: &str = "/envoy.service.secret.v3.SecretDiscoveryService/";

const SITE: &str = "blue/web/site-v1-0";
const OFFERS: &str = "outbound|8080||offers.travel.svc.cluster.local";
const OFFERS_FILE: &str = "clusters/blue/travel/offers.yaml";
const OFFERS_ENDPOINT: &str = "10.11.1.17";

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running `mesh serve` on a copy of the canary folder.
struct Server {
    child: Child,
    folder: PathBuf,
    events: Arc<Mutex<Vec<Value>>>,
}

impl Server {
    fn start(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("mesh-serve-{name}-{}", std::process::id()));
        copy(&canary(), &folder);
        Self::of_folder(folder)
    }

    fn of_folder(folder: PathBuf) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mesh"));
        command.args(["serve", "--listen", "127.0.0.1:0", "-f"]).arg(&folder);
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let events = Arc::<Mutex<Vec<Value>>>::default();
        let (lines, heard) = (child.stderr.take().unwrap(), events.clone());
        std::thread::spawn(move || {
            for line in BufReader::new(lines).lines().map_while(Result::ok) {
                heard.lock().unwrap().extend(serde_json::from_str::<Value>(&line));
            }
        });
        Self { child, folder, events }
    }

    fn of(&self, kind: &str) -> Vec<Value> {
        let events = self.events.lock().unwrap();
        events.iter().filter(|event| event["event"] == kind).cloned().collect()
    }

    /// The newest event of a kind.
    async fn event(&self, kind: &str) -> Value {
        self.events(kind, 1).await.pop().unwrap()
    }

    /// The events of a kind, once there are so many.
    async fn events(&self, kind: &str, count: usize) -> Vec<Value> {
        let found = async {
            while self.of(kind).len() < count {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            self.of(kind)
        };
        tokio::time::timeout(PATIENCE, found).await.unwrap()
    }

    /// Opens a stream, its first request sent.
    async fn stream<Q, A>(&self, path: &str, first: Q) -> Client<Q, A>
    where
        Q: prost::Message + 'static,
        A: prost::Message + Default + 'static,
    {
        let address = self.event("listening").await["address"].as_str().unwrap().to_owned();
        let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{address}"));
        let channel = endpoint.unwrap().connect().await.unwrap();
        let mut grpc = tonic::client::Grpc::new(channel).max_decoding_message_size(usize::MAX);
        grpc.ready().await.unwrap();
        let (requests, receiver) = mpsc::channel(8);
        requests.send(first).await.unwrap();
        let codec = tonic_prost::ProstCodec::<Q, A>::default();
        let request = Request::new(ReceiverStream::new(receiver));
        let path = path.parse::<PathAndQuery>().unwrap();
        let responses = grpc.streaming(request, path, codec).await.unwrap().into_inner();
        Client { requests, responses }
    }

    /// Changes a file all at once, as editors and `kubectl` tools do.
    fn replace(&self, file: &str, from: &str, to: &str) {
        let (path, new) = (self.folder.join(file), self.folder.join("new"));
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{file} has no {from}");
        std::fs::write(&new, text.replace(from, to)).unwrap();
        std::fs::rename(&new, &path).unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _code = self.child.wait();
        let _removed = std::fs::remove_dir_all(&self.folder);
    }
}

fn canary() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("meshes/canary")
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

struct Client<Q, A> {
    requests: mpsc::Sender<Q>,
    responses: Streaming<A>,
}

impl<Q: Send, A> Client<Q, A> {
    async fn say(&self, request: Q) {
        assert!(self.requests.send(request).await.is_ok());
    }

    async fn hear(&mut self) -> A {
        self.next().await.unwrap().unwrap()
    }

    async fn next(&mut self) -> Result<Option<A>, Status> {
        tokio::time::timeout(PATIENCE, self.responses.message()).await.unwrap()
    }

    /// The status that the stream ends with.
    async fn refused(&mut self) -> Status {
        self.next().await.err().unwrap()
    }
}

fn node(id: &str) -> Option<Node> {
    Some(Node { id: id.to_owned(), ..Node::default() })
}

fn ask(type_url: &str, names: &[&str]) -> DiscoveryRequest {
    DiscoveryRequest {
        node: node(SITE),
        type_url: type_url.to_owned(),
        resource_names: names.iter().map(|name| (*name).to_owned()).collect(),
        ..DiscoveryRequest::default()
    }
}

/// The same from a node with metadata.
fn with(request: DiscoveryRequest, key: &str, text: &str) -> DiscoveryRequest {
    let value =
        prost_types::Value { kind: Some(prost_types::value::Kind::StringValue(text.to_owned())) };
    let metadata = Some(prost_types::Struct { fields: [(key.to_owned(), value)].into() });
    let node = request.node.map(|node| Node { metadata, ..node });
    DiscoveryRequest { node, ..request }
}

fn subscribe(type_url: &str, names: &[&str]) -> DeltaDiscoveryRequest {
    DeltaDiscoveryRequest {
        node: node(SITE),
        type_url: type_url.to_owned(),
        resource_names_subscribe: names.iter().map(|name| (*name).to_owned()).collect(),
        ..DeltaDiscoveryRequest::default()
    }
}

fn accept(response: &DiscoveryResponse, names: &[&str]) -> DiscoveryRequest {
    DiscoveryRequest {
        version_info: response.version_info.clone(),
        response_nonce: response.nonce.clone(),
        ..ask(&response.type_url, names)
    }
}

fn accept_delta(response: &DeltaDiscoveryResponse) -> DeltaDiscoveryRequest {
    DeltaDiscoveryRequest {
        response_nonce: response.nonce.clone(),
        ..subscribe(&response.type_url, &[])
    }
}

/// The addresses of an encoded load assignment, with their health.
fn addresses(bytes: &[u8]) -> BTreeMap<String, i32> {
    let text = mesh_envoy_proto::json::to_value(&ClusterLoadAssignment::decode(bytes).unwrap());
    let text = text.unwrap();
    let localities = text["endpoints"].as_array().cloned().unwrap_or_default();
    let endpoints = localities.iter().flat_map(|it| it["lbEndpoints"].as_array().cloned().unwrap());
    let pair = |it: Value| {
        let socket = it.pointer("/endpoint/address/socketAddress/address").cloned().unwrap();
        (socket.as_str().unwrap().to_owned(), i32::from(it["healthStatus"] == "UNHEALTHY"))
    };
    endpoints.map(pair).collect()
}

#[tokio::test]
async fn the_state_of_the_world_follows_the_folder_with_one_push() {
    let server = Server::start("sotw");
    let mut client: Client<_, DiscoveryResponse> =
        server.stream(&format!("{ADS}StreamAggregatedResources"), ask(CLUSTER, &[])).await;
    let clusters = client.hear().await;
    assert!(clusters.resources.len() > 10, "{}", clusters.resources.len());
    client.say(accept(&clusters, &[])).await;
    client.say(ask(ENDPOINT, &[OFFERS])).await;
    let endpoints = client.hear().await;
    assert!(addresses(&endpoints.resources[0].value).contains_key(OFFERS_ENDPOINT));
    client.say(accept(&endpoints, &[OFFERS])).await;
    server.events("ack", 2).await;
    assert_eq!(server.events("push", 2).await.len(), 2);

    server.replace(OFFERS_FILE, OFFERS_ENDPOINT, "10.11.1.99");
    let changed = client.hear().await;
    assert_eq!(changed.resources.len(), 1);
    assert!(addresses(&changed.resources[0].value).contains_key("10.11.1.99"));
    client.say(accept(&changed, &[OFFERS])).await;
    server.events("ack", 3).await;
    let pushes = server.events("push", 3).await;
    let [_, _, push] = pushes.as_slice() else { panic!("{pushes:?}") };
    assert_eq!((&push["type"], &push["sent"]), (&ENDPOINT.into(), &1.into()));
    assert_eq!((&push["node"], &push["reason"]), (&SITE.into(), &"change".into()));
    assert_eq!(server.event("reload").await["changed"][0], OFFERS_FILE);
}

#[tokio::test]
async fn a_delta_stream_is_sent_only_what_changed() {
    let server = Server::start("delta");
    let mut client: Client<_, DeltaDiscoveryResponse> = server
        .stream(&format!("{ADS}DeltaAggregatedResources"), subscribe(ENDPOINT, &[OFFERS]))
        .await;
    let endpoints = client.hear().await;
    assert_eq!(endpoints.resources[0].name, OFFERS);
    client.say(accept_delta(&endpoints)).await;
    client.say(subscribe(SECRET, &["default", "ROOTCA", "nowhere"])).await;
    let secrets = client.hear().await;
    assert_eq!(
        (secrets.resources.len(), secrets.removed_resources),
        (2, vec!["nowhere".to_owned()])
    );
    assert_eq!(server.event("missing_secret").await["name"], "nowhere");

    server.replace(OFFERS_FILE, OFFERS_ENDPOINT, "10.11.1.99");
    let changed = client.hear().await;
    assert_eq!((changed.type_url.as_str(), changed.resources.len()), (ENDPOINT, 1));
    assert_ne!(changed.resources[0].version, endpoints.resources[0].version);
}

#[tokio::test]
async fn a_file_that_breaks_pushes_nothing_and_is_told() {
    let server = Server::start("broken");
    let mut client: Client<_, DeltaDiscoveryResponse> = server
        .stream(&format!("{ADS}DeltaAggregatedResources"), subscribe(ENDPOINT, &[OFFERS]))
        .await;
    let endpoints = client.hear().await;
    client.say(accept_delta(&endpoints)).await;
    server.replace(OFFERS_FILE, "apiVersion: v1", "apiVersion: [v1");
    let reload = server.event("reload").await;
    assert_eq!(reload["kept"][0], OFFERS_FILE);
    assert!(reload["errors"].as_u64() > Some(0));
    server.replace(OFFERS_FILE, "apiVersion: [v1", "apiVersion: v1");
    server.replace(OFFERS_FILE, OFFERS_ENDPOINT, "10.11.1.99");
    let changed = client.hear().await;
    assert!(changed.removed_resources.is_empty());
    let bytes = &changed.resources[0].resource.as_ref().unwrap().value;
    assert!(addresses(bytes).contains_key("10.11.1.99"));
}

#[tokio::test]
async fn the_service_for_secrets_serves_both_protocols() {
    let server = Server::start("sds");
    let names = ["default", "ROOTCA"];
    // What is not there, or is no name at all, is left out.
    let more = [&names[..], &["kubernetes://web/tls", "://", ""]].concat();
    let mut sotw: Client<_, DiscoveryResponse> =
        server.stream(&format!("{SDS}StreamSecrets"), ask(SECRET, &more)).await;
    assert_eq!(sotw.hear().await.resources.len(), 2);
    let mut delta: Client<_, DeltaDiscoveryResponse> =
        server.stream(&format!("{SDS}DeltaSecrets"), subscribe(SECRET, &names)).await;
    assert_eq!(delta.hear().await.resources.len(), 2);
    assert_eq!(server.of("authority").len(), 1);
}

#[tokio::test]
async fn a_stranger_is_refused_and_told_why() {
    let server = Server::start("stranger");
    let path = format!("{ADS}StreamAggregatedResources");
    let ids = [
        ("blue/web/nobody", Code::NotFound, "blue/web/nobody"),
        ("nobody", Code::InvalidArgument, "`nobody`"),
        ("sidecar~10.0.0.1~nobody.web~d", Code::NotFound, "no cluster has"),
        ("sidecar~10.0.0.1~site-v1-0.web~d", Code::InvalidArgument, "several clusters have"),
    ];
    for (id, code, part) in ids {
        let first = DiscoveryRequest { node: node(id), ..ask(CLUSTER, &[]) };
        let mut client: Client<_, DiscoveryResponse> = server.stream(&path, first).await;
        let status = client.refused().await;
        assert_eq!(status.code(), code, "{id}");
        assert!(status.message().contains(part), "{}", status.message());
    }
}

#[tokio::test]
async fn a_malformed_request_ends_its_stream_and_no_other() {
    let server = Server::start("malformed");
    let path = format!("{ADS}DeltaAggregatedResources");
    let mut good: Client<_, DeltaDiscoveryResponse> =
        server.stream(&path, subscribe(ENDPOINT, &[OFFERS])).await;
    let endpoints = good.hear().await;
    good.say(accept_delta(&endpoints)).await;
    // The first field of a request is a message; this one's is a text that is none.
    let garbage =
        || DiscoveryResponse { version_info: "\u{7f}".repeat(9), ..DiscoveryResponse::default() };
    let mut bad: Client<_, DeltaDiscoveryResponse> = server.stream(&path, garbage()).await;
    let status = bad.refused().await;
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().contains("cannot be read"), "{}", status.message());
    let untyped = DeltaDiscoveryRequest { node: node(SITE), ..DeltaDiscoveryRequest::default() };
    let mut untyped: Client<_, DeltaDiscoveryResponse> = server.stream(&path, untyped).await;
    let status = untyped.refused().await;
    assert_eq!(
        (status.code(), status.message()),
        (Code::InvalidArgument, "type URL is required for ADS")
    );

    server.replace(OFFERS_FILE, OFFERS_ENDPOINT, "10.11.1.99");
    assert_eq!(good.hear().await.resources.len(), 1);
}

#[tokio::test]
async fn a_change_is_pushed_only_to_streams_that_subscribe_to_it() {
    let server = Server::start("concerned");
    let path = format!("{ADS}DeltaAggregatedResources");
    let mut near: Client<_, DeltaDiscoveryResponse> =
        server.stream(&path, subscribe(ENDPOINT, &[OFFERS])).await;
    let endpoints = near.hear().await;
    near.say(accept_delta(&endpoints)).await;
    let mut clusters: Client<_, DeltaDiscoveryResponse> =
        server.stream(&path, subscribe(CLUSTER, &[])).await;
    let all = clusters.hear().await;
    clusters.say(accept_delta(&all)).await;
    server.events("ack", 2).await;
    let before = server.of("push").len();
    server.replace(OFFERS_FILE, OFFERS_ENDPOINT, "10.11.1.99");
    near.hear().await;
    near.say(subscribe(SECRET, &["default"])).await;
    near.hear().await;
    // What the second stream subscribes to is the same as before: two pushes, both to the first. They
    // are told after they are sent.
    server.events("push", before + 2).await;
    assert_eq!(server.of("push").len(), before + 2);
}

/// A folder that holds what is served and another mesh with a changed file.
struct Replacing {
    base: PathBuf,
    server: Server,
    client: Client<DeltaDiscoveryRequest, DeltaDiscoveryResponse>,
}

impl Replacing {
    async fn start(name: &str, link: bool) -> Self {
        let base = std::env::temp_dir().join(format!("mesh-serve-{name}-{}", std::process::id()));
        let _removed = std::fs::remove_dir_all(&base);
        let [served, other] = ["served", "other"].map(|name| base.join(name));
        copy(&canary(), &base.join("v1"));
        copy(&canary(), &other);
        let file = other.join(OFFERS_FILE);
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, text.replace(OFFERS_ENDPOINT, "10.11.1.98")).unwrap();
        if link {
            #[cfg(unix)]
            std::os::unix::fs::symlink(base.join("v1"), &served).unwrap();
        } else {
            std::fs::rename(base.join("v1"), &served).unwrap();
        }
        let server = Server::of_folder(served);
        let path = format!("{ADS}DeltaAggregatedResources");
        let mut client = server.stream(&path, subscribe(ENDPOINT, &[OFFERS])).await;
        hears(&mut client, OFFERS_ENDPOINT).await;
        Self { base, server, client }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.base.join(name)
    }

    /// What the folder holds now is served, and so is what changes in it later.
    async fn is_heard(&mut self) {
        hears(&mut self.client, "10.11.1.98").await;
        self.server.replace(OFFERS_FILE, "10.11.1.98", "10.11.1.99");
        hears(&mut self.client, "10.11.1.99").await;
    }
}

/// Accepts what comes until an endpoint does.
async fn hears(client: &mut Client<DeltaDiscoveryRequest, DeltaDiscoveryResponse>, address: &str) {
    loop {
        let response = client.hear().await;
        client.say(accept_delta(&response)).await;
        let mut sent = response.resources.iter().filter_map(|sent| sent.resource.as_ref());
        if sent.any(|sent| addresses(&sent.value).contains_key(address)) {
            return;
        }
    }
}

impl Drop for Replacing {
    fn drop(&mut self) {
        let _removed = std::fs::remove_dir_all(&self.base);
    }
}

#[tokio::test]
async fn a_folder_removed_and_copied_anew_is_still_heard() {
    let mut mesh = Replacing::start("copied", false).await;
    std::fs::remove_dir_all(mesh.at("served")).unwrap();
    copy(&mesh.at("other"), &mesh.at("served"));
    mesh.is_heard().await;
}

#[tokio::test]
async fn a_folder_moved_away_and_back_is_still_heard() {
    let mut mesh = Replacing::start("back", false).await;
    std::fs::rename(mesh.at("served"), mesh.at("away")).unwrap();
    std::fs::copy(mesh.at("other").join(OFFERS_FILE), mesh.at("away").join(OFFERS_FILE)).unwrap();
    std::fs::rename(mesh.at("away"), mesh.at("served")).unwrap();
    mesh.is_heard().await;
}

#[tokio::test]
async fn a_folder_swapped_for_another_is_still_heard() {
    let mut mesh = Replacing::start("swapped", false).await;
    std::fs::rename(mesh.at("served"), mesh.at("away")).unwrap();
    std::fs::rename(mesh.at("other"), mesh.at("served")).unwrap();
    mesh.is_heard().await;
}

#[cfg(unix)]
#[tokio::test]
async fn a_link_that_leads_elsewhere_is_heard() {
    let mut mesh = Replacing::start("linked", true).await;
    std::os::unix::fs::symlink(mesh.at("other"), mesh.at("new")).unwrap();
    std::fs::rename(mesh.at("new"), mesh.at("served")).unwrap();
    mesh.is_heard().await;
}

#[cfg(unix)]
#[tokio::test]
async fn asked_to_end_it_closes_its_streams() {
    let mut server = Server::start("end");
    let mut client: Client<_, DiscoveryResponse> =
        server.stream(&format!("{ADS}StreamAggregatedResources"), ask(CLUSTER, &[])).await;
    client.hear().await;
    let ended = Command::new("kill").arg(server.child.id().to_string()).status().unwrap();
    assert!(ended.success());
    assert!(client.next().await.unwrap().is_none());
    drop(client);
    let code = tokio::task::spawn_blocking(move || server.child.wait().unwrap()).await.unwrap();
    assert!(code.success(), "{code}");
}

/// The names of listeners.
fn names(response: &DiscoveryResponse) -> Vec<String> {
    let listeners = response.resources.iter().map(|it| Listener::decode(&*it.value).unwrap());
    listeners.map(|listener| listener.name).collect()
}

/// A gRPC program beside the site asks for hosts without ports, and for more names one by one.
#[tokio::test]
async fn a_grpc_client_is_sent_every_port_of_a_host_and_all_that_it_names() {
    const LISTENER: &str = "type.googleapis.com/envoy.config.listener.v3.Listener";
    const FLIGHTS: &str = "outbound|50051||flights.travel.svc.cluster.local";
    let server = Server::start("grpc");
    let path = format!("{ADS}StreamAggregatedResources");
    let mut client: Client<_, DiscoveryResponse> =
        server.stream(&path, with(ask(LISTENER, &["site"]), "GENERATOR", "grpc")).await;
    let listeners = client.hear().await;
    let names = names(&listeners);
    assert!(!names.is_empty() && names.iter().all(|name| name.starts_with("site:")), "{names:?}");
    client.say(ask(ENDPOINT, &[OFFERS])).await;
    let endpoints = client.hear().await;
    assert_eq!(endpoints.resources.len(), 1);
    client.say(accept(&endpoints, &[OFFERS, FLIGHTS])).await;
    assert_eq!(client.hear().await.resources.len(), 2);

    let mut client: Client<_, DiscoveryResponse> =
        server.stream(&path, with(ask(LISTENER, &[]), "GENERATOR", "grpc")).await;
    let all = self::names(&client.hear().await);
    assert!(all.contains(&"flights.travel.svc.cluster.local:50051".to_owned()), "{all:?}");
    assert!(!all.iter().any(|name| name.contains("/inbound/")), "{all:?}");
}

#[tokio::test]
async fn a_node_of_another_type_than_the_manifests_say_is_told_of_once() {
    let server = Server::start("other-type");
    let id = "router~10.11.1.10~site-v1-0.web~web.svc.cluster.local";
    let path = format!("{ADS}StreamAggregatedResources");
    for connects in 1..=2 {
        let request = DiscoveryRequest { node: node(id), ..ask(CLUSTER, &[]) };
        let request = with(request, "CLUSTER_ID", "blue");
        let mut client: Client<_, DiscoveryResponse> = server.stream(&path, request).await;
        assert!(client.hear().await.resources.len() > 10);
        server.events("connect", connects).await;
    }
    let told = server.of("other_type");
    let [told] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!((&told["node"], &told["proxy"]), (&id.into(), &SITE.into()));
    assert_eq!((&told["stated"], &told["known"]), (&"router".into(), &"sidecar".into()));
}
