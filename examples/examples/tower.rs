//! How does a Rust service without a sidecar balance its own requests?   cargo run --example tower
//!
//! A [`tower`] service asks a [`Balancer`] for the endpoint of each request and sends it there: real
//! HTTP over loopback. Two endpoints are near, one is far; then one of the near ones fails.
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mesh_lb::assign::Assignment;
use mesh_lb::health::status::{HealthFlag, HealthFlags, HealthStatus, HostHealth};
use mesh_lb::simulate::Seeded;
use mesh_lb::{Balancer, BalancerPolicy, PickRequest, assigned_health};
use mesh_model::Compat;
use mesh_model::registry::{Origin, Registry, Source};
use mesh_model::view::Subset;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tower::{Service, ServiceExt, service_fn};

type Problem = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Problem> {
    story().await?.iter().for_each(|line| println!("{line}"));
    Ok(())
}

/// Tells how a thousand requests are shared, before and after.
pub(crate) async fn story() -> Result<Vec<String>, Problem> {
    let served = [const { AtomicUsize::new(0) }; 3].map(Arc::new);
    let mut ports = Vec::new();
    for count in &served {
        ports.push(serve(Arc::clone(count)).await?.port());
    }
    let (proxy, mesh) = {
        let mut registry = Registry::new(Compat::default());
        for diagnostic in registry.load(manifests(&ports)) {
            eprintln!("{diagnostic}");
        }
        let mesh = registry.mesh();
        (mesh.proxy("here/shop/web-0")?, mesh)
    };
    let view = mesh.view(&proxy).ok_or("no control plane serves the cluster")?;
    let cart = view.destination("cart.shop.mesh", 80, Subset::None)?;
    let assignment = Assignment::new(&view, &cart);
    let policy = BalancerPolicy::of(&view, &cart);
    let before = Balancer::new(&assignment, &policy);
    // One of the near endpoints is ejected: what it leaves goes to the other, and the spill far away.
    let sick = format!("127.0.0.1:{}", ports.first().copied().unwrap_or(0));
    let after = before.update(&assignment, &policy, 0, |endpoint| {
        if format!("127.0.0.1:{}", endpoint.target().port()) == sick {
            HostHealth::new(
                HealthStatus::Healthy,
                HealthFlags::of(&[HealthFlag::FailedOutlierCheck]),
            )
        } else {
            assigned_health(endpoint)
        }
    });
    let mut told = Vec::new();
    for (when, balancer) in [("all healthy", before), ("one ejected", after)] {
        send(&mut balanced(Arc::new(balancer)), 1000).await?;
        let counts = served.each_ref().map(|count| count.swap(0, Ordering::Relaxed));
        told.push(format!("{when}: near {} and {}, far {}", counts[0], counts[1], counts[2]));
    }
    Ok(told)
}

/// A service that sends each request to the endpoint that a balancer picks, and counts it as in flight.
fn balanced(
    balancer: Arc<Balancer>,
) -> impl Service<&'static str, Response = String, Error = Problem> {
    let mut random = Seeded::new(7);
    service_fn(move |path| {
        let pick = balancer.pick(&PickRequest::default(), || random.draw());
        let chosen = pick.map(|pick| (pick.host.address().to_owned(), pick.start()));
        async move {
            let (address, _in_flight) = chosen.ok_or("no healthy upstream")?;
            let mut stream = TcpStream::connect(&address).await?;
            let request = format!("GET {path} HTTP/1.1\r\nhost: cart\r\nconnection: close\r\n\r\n");
            stream.write_all(request.as_bytes()).await?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await?;
            Ok(answer)
        }
    })
}

async fn send<S>(service: &mut S, requests: u32) -> Result<(), Problem>
where
    S: Service<&'static str, Response = String, Error = Problem>,
{
    for _ in 0..requests {
        let answer = service.ready().await?.call("/items").await?;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    Ok(())
}

/// Starts a server that answers 200 and counts.
async fn serve(count: Arc<AtomicUsize>) -> Result<SocketAddr, Problem> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::Relaxed);
            let mut head = [0; 1024];
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            if stream.read(&mut head).await.is_ok() {
                let _ = stream.write_all(answer).await;
            }
        }
    });
    Ok(address)
}

fn manifests(ports: &[u16]) -> Vec<Source> {
    let endpoints: String = ports
        .iter()
        .zip(["eu/a", "eu/a", "us/b"])
        .map(|(port, place)| {
            format!("  - {{address: 127.0.0.1, locality: {place}, ports: {{http: {port}}}}}\n")
        })
        .collect();
    let pod = "{apiVersion: v1, kind: Node, metadata: {name: node-1, labels: \
        {topology.kubernetes.io/region: eu, topology.kubernetes.io/zone: a}}}\n---\n\
        {apiVersion: v1, kind: Pod, metadata: {name: web-0, namespace: shop}, spec: {nodeName: node-1, \
        containers: [{name: istio-proxy, image: proxyv2}]}, status: {podIP: 10.0.0.1}}\n";
    let config = format!(
        "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\n\
         metadata: {{name: cart, namespace: shop}}\nspec:\n  hosts: [cart.shop.mesh]\n  \
         resolution: STATIC\n  location: MESH_INTERNAL\n  \
         ports: [{{number: 80, name: http, protocol: HTTP}}]\n  endpoints:\n{endpoints}---\n\
         apiVersion: networking.istio.io/v1\nkind: DestinationRule\n\
         metadata: {{name: cart, namespace: shop}}\n\
         spec: {{host: cart.shop.mesh, trafficPolicy: {{loadBalancer: {{simple: ROUND_ROBIN}}, \
         outlierDetection: {{}}}}}}\n"
    );
    let files = [("clusters/here/pod.yaml", pod.to_owned()), ("config/cart.yaml", config)];
    let source = |(name, text): (&str, String)| {
        Some(Source { origin: Origin::of_path(name)?, name: Arc::from(name), text: text.into() })
    };
    files.into_iter().filter_map(source).collect()
}
