//! The clients: proxies that subscribe to all clusters and endpoints, and note when a change arrives.
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use mesh_envoy_proto::envoy::config::cluster::v3::Cluster;
use mesh_envoy_proto::envoy::config::core::v3::{Address, Node, address, socket_address};
use mesh_envoy_proto::envoy::config::endpoint::v3::{ClusterLoadAssignment, lb_endpoint};
use mesh_envoy_proto::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse,
};
use prost::Message;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_stream::wrappers::ReceiverStream;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status, Streaming};

use super::folder::{PROBE, address_of};
use crate::problem::{Attempt, Problem};
use crate::process;

const ADS: &str = "/envoy.service.discovery.v3.AggregatedDiscoveryService/";
const CLUSTER: &str = "type.googleapis.com/envoy.config.cluster.v3.Cluster";
const ENDPOINT: &str = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment";

/// Streams that share a connection. A server lets in 200.
const STREAMS: usize = 20;
/// How long all clients may take to know of something.
const PATIENCE: Duration = Duration::from_secs(300);

/// What a client does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    /// Takes everything, and is measured.
    Measured,
    /// Subscribes, and never reads.
    Slow,
    /// Takes everything, until it is gone without a word.
    Vanishing,
}

/// When changes were made, and when they arrived.
#[derive(Debug)]
struct Clock {
    made: Mutex<BTreeMap<String, (u8, Instant)>>,
    arrived: Mutex<BTreeMap<u8, Vec<Duration>>>,
}

impl Clock {
    fn note(&self, address: &str) {
        let now = process::now();
        let made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((number, time)) = made.get(address) {
            let mut arrived = self.arrived.lock().unwrap_or_else(PoisonError::into_inner);
            arrived.entry(*number).or_default().push(now - *time);
        }
    }
}

/// All clients.
pub(super) struct Fleet {
    server: String,
    proxies: Vec<String>,
    clock: Arc<Clock>,
    streams: JoinSet<Result<(), Status>>,
    vanishing: JoinSet<Result<(), Status>>,
    next: usize,
    ended: Arc<AtomicUsize>,
}

impl Fleet {
    pub(super) fn new(server: String, proxies: Vec<String>) -> Self {
        let made = [(address_of(0), (0, process::now()))].into();
        let clock = Clock { made: Mutex::new(made), arrived: Mutex::default() };
        Self {
            server,
            proxies,
            clock: Arc::new(clock),
            streams: JoinSet::new(),
            vanishing: JoinSet::new(),
            next: 0,
            ended: Arc::default(),
        }
    }

    /// Connects so many more clients, half of each protocol.
    pub(super) async fn connect(&mut self, count: usize, kind: Kind) -> Result<(), Problem> {
        let what = || format!("connect to {}", self.server);
        let mut channel = None;
        for at in 0..count {
            if at % STREAMS == 0 {
                let endpoint = Endpoint::from_shared(format!("http://{}", self.server));
                let endpoint = endpoint.attempt(what())?.connect_timeout(PATIENCE);
                channel = Some(endpoint.connect().await.attempt(what())?);
            }
            let Some(channel) = channel.clone() else { continue };
            let proxy = self.proxies.get(self.next % self.proxies.len().max(1));
            let node = Node { id: proxy.cloned().unwrap_or_default(), ..Node::default() };
            let clock = (kind == Kind::Measured).then(|| Arc::clone(&self.clock));
            let client = Client { channel, node, clock, reads: kind != Kind::Slow };
            let is_delta = self.next.is_multiple_of(2);
            self.next += 1;
            let ended = Arc::clone(&self.ended);
            let stream = async move {
                let end = if is_delta { client.delta().await } else { client.sotw().await };
                ended.fetch_add(1, Ordering::Relaxed);
                end
            };
            if kind == Kind::Vanishing {
                self.vanishing.spawn(stream);
            } else {
                self.streams.spawn(stream);
            }
        }
        Ok(())
    }

    /// Says that a change is made now.
    pub(super) fn changed(&self, number: u8) {
        let mut made = self.clock.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.insert(address_of(number), (number, process::now()));
    }

    /// How long a change took to each client that knows of it.
    pub(super) fn latencies(&self, number: u8) -> Vec<Duration> {
        let arrived = self.clock.arrived.lock().unwrap_or_else(PoisonError::into_inner);
        arrived.get(&number).cloned().unwrap_or_default()
    }

    /// Waits until so many clients know of a change.
    pub(super) async fn arrived(&self, number: u8, count: usize) -> Result<(), Problem> {
        let all = async {
            while self.latencies(number).len() < count {
                let ended = self.ended.load(Ordering::Relaxed);
                if ended > 0 {
                    return Err(Problem(format!("{ended} streams ended")));
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Ok(())
        };
        match tokio::time::timeout(PATIENCE, all).await {
            Ok(ended) => ended,
            Err(_) => {
                let count = self.latencies(number).len();
                Err(Problem(format!("only {count} clients know of change {number}")))
            }
        }
    }

    /// Has some clients vanish: their connections are dropped.
    pub(super) fn vanish(&mut self) {
        self.vanishing.abort_all();
    }
}

/// One stream.
struct Client {
    channel: Channel,
    node: Node,
    /// `None`: nobody asks when something arrives.
    clock: Option<Arc<Clock>>,
    reads: bool,
}

impl Client {
    async fn open<Q, A>(
        &self,
        method: &'static str,
        first: Q,
    ) -> Result<(mpsc::Sender<Q>, Streaming<A>), Status>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        let mut grpc = tonic::client::Grpc::new(self.channel.clone());
        grpc = grpc.max_decoding_message_size(usize::MAX);
        grpc.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
        let (requests, receiver) = mpsc::channel(8);
        requests.send(first).await.map_err(|_| Status::unavailable("the stream ended"))?;
        let codec = tonic_prost::ProstCodec::<Q, A>::default();
        let path = PathAndQuery::try_from(format!("{ADS}{method}"));
        let path = path.map_err(|error| Status::internal(error.to_string()))?;
        let request = Request::new(ReceiverStream::new(receiver));
        let responses = grpc.streaming(request, path, codec).await?.into_inner();
        Ok((requests, responses))
    }

    async fn delta(self) -> Result<(), Status> {
        let ask = |type_url: &str| DeltaDiscoveryRequest {
            type_url: type_url.to_owned(),
            ..DeltaDiscoveryRequest::default()
        };
        let first = DeltaDiscoveryRequest { node: Some(self.node.clone()), ..ask(CLUSTER) };
        let (requests, mut responses) =
            self.open::<_, DeltaDiscoveryResponse>("DeltaAggregatedResources", first).await?;
        if !self.reads {
            std::future::pending::<()>().await;
        }
        while let Some(response) = responses.message().await? {
            let accept =
                DeltaDiscoveryRequest { response_nonce: response.nonce, ..ask(&response.type_url) };
            send(&requests, accept).await?;
            if response.type_url == CLUSTER {
                let names = response.resources.iter().map(|it| it.name.clone());
                let names = names.filter(|name| name.starts_with("outbound|")).collect();
                let more =
                    DeltaDiscoveryRequest { resource_names_subscribe: names, ..ask(ENDPOINT) };
                send(&requests, more).await?;
                continue;
            }
            for resource in response.resources.iter().filter_map(|it| it.resource.as_ref()) {
                self.note(&resource.value);
            }
        }
        Ok(())
    }

    async fn sotw(self) -> Result<(), Status> {
        let first = DiscoveryRequest {
            node: Some(self.node.clone()),
            type_url: CLUSTER.to_owned(),
            ..DiscoveryRequest::default()
        };
        let (requests, mut responses) =
            self.open::<_, DiscoveryResponse>("StreamAggregatedResources", first).await?;
        if !self.reads {
            std::future::pending::<()>().await;
        }
        let mut names = Vec::new();
        while let Some(response) = responses.message().await? {
            let is_clusters = response.type_url == CLUSTER;
            let accept = DiscoveryRequest {
                version_info: response.version_info,
                response_nonce: response.nonce,
                type_url: response.type_url,
                resource_names: if is_clusters { Vec::new() } else { names.clone() },
                ..DiscoveryRequest::default()
            };
            send(&requests, accept).await?;
            if !is_clusters {
                response.resources.iter().for_each(|resource| self.note(&resource.value));
                continue;
            }
            let clusters = response.resources.iter();
            let clusters = clusters.filter_map(|it| Cluster::decode(&*it.value).ok());
            names = clusters.map(|it| it.name).filter(|it| it.starts_with("outbound|")).collect();
            let more = DiscoveryRequest {
                type_url: ENDPOINT.to_owned(),
                resource_names: names.clone(),
                ..DiscoveryRequest::default()
            };
            send(&requests, more).await?;
        }
        Ok(())
    }

    /// Notes what change endpoints tell of, if they are those that change.
    fn note(&self, bytes: &[u8]) {
        // Its name is the first field; the endpoints of other clusters need not be read.
        let is_probe = bytes.get(2..).is_some_and(|it| it.starts_with(PROBE.as_bytes()));
        let (Some(clock), true) = (&self.clock, is_probe) else { return };
        let Ok(assignment) = ClusterLoadAssignment::decode(bytes) else { return };
        let endpoints = assignment.endpoints.iter().flat_map(|it| &it.lb_endpoints);
        for endpoint in endpoints {
            if let Some(lb_endpoint::HostIdentifier::Endpoint(endpoint)) = &endpoint.host_identifier
                && let Some(Address { address: Some(address::Address::SocketAddress(socket)) }) =
                    &endpoint.address
                && let Some(socket_address::PortSpecifier::PortValue(_)) = socket.port_specifier
            {
                clock.note(&socket.address);
            }
        }
    }
}

async fn send<Q>(requests: &mpsc::Sender<Q>, request: Q) -> Result<(), Status> {
    requests.send(request).await.map_err(|_| Status::unavailable("the stream ended"))
}
