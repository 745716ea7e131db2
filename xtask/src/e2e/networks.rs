//! Two networks: what is in the other one is reached through its east-west gateway, over mutual TLS
//! from end to end, on `examples/meshes/crossing`.
//!
//! ```text
//! Envoy of web   ──┐   SNI outbound_.19080_._.cart…   Envoy of the gateway          Envoy of cart
//! Envoy of guest ──┴─────────── 127.32.0.10:15443 ─── (passes on, sees nothing) ─── 127.32.2.1:18080
//! ```
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use crate::e2e::certificates::Certificates;
use crate::e2e::envoy::Envoy;
use crate::e2e::http::{Connection, Request, Response};
use crate::e2e::mesh::{Mesh, Protocol};
use crate::e2e::report::Report;
use crate::e2e::upstream::{self, Upstream};
use crate::e2e::venv::Tools;
use crate::problem::{Attempt, Problem};
use crate::workspace;

/// The Envoys: their pods, and the workload that the certificate of each is for.
const ENVOYS: [(&str, &str, &str); 4] = [
    ("gateway", "far/istio-system/istio-eastwestgateway-0", "istio-eastwestgateway"),
    ("cart", "far/shop/cart-0", "cart"),
    ("web", "near/shop/web-0", "web"),
    ("guest", "near/shop/guest-0", "guest"),
];
/// Where the Sidecars of the clients bind.
const WEB: &str = "127.31.9.1:19080";
const GUEST: &str = "127.31.9.2:19080";
/// The application behind cart's Envoy.
const CART_APP: &str = "127.0.0.1:29082";
const REQUESTS: usize = 20;
/// The gateway's cluster of cart; names of statistics have a `;` after it.
const CROSSED: &str = "outbound_.19080_._.cart.shop.svc.cluster.local";

const TO_CART: Request<'_> =
    Request { method: "GET", host: "cart.shop.svc.cluster.local", path: "/" };

pub(super) fn run(
    tools: &Tools,
    binary: &Path,
    dir: &Path,
    report: &mut Report,
) -> Result<(), Problem> {
    let dir = dir.join("networks");
    let certificates = certificates(&dir)?;
    let folder = workspace::repository().join("examples/meshes/crossing");
    let mesh = Mesh { binary: binary.to_owned(), folder };
    let server = mesh.serve_secrets(tools, &dir.join("serve.log"), &certificates.folder)?;
    let app = Upstream::start(address(CART_APP)?)?;
    let mut envoys = BTreeMap::new();
    for (name, pod, _) in ENVOYS {
        let bootstrap = mesh.bootstrap(pod, server.address, Protocol::Delta)?;
        let mut envoy = Envoy::start(tools, name, &bootstrap, &dir)?;
        envoy.wait_until_ready()?;
        envoys.insert(name, envoy);
    }
    report.check("requests cross two networks over mutual TLS", crosses());
    report.check("they went through the gateway by SNI", passed_on(&envoys));
    report.check("the gateway cannot make a stranger welcome", stranger());
    report.check("who is not let in does not reach the application", only(&app, REQUESTS));
    report.check("without the gateway nothing crosses", cut_off(&mut envoys));
    for (_, envoy) in envoys {
        envoy.end()?;
    }
    server.end()
}

/// A certificate for each workload, none for anyone else.
fn certificates(dir: &Path) -> Result<Certificates, Problem> {
    let certificates = Certificates::new(dir.join("secrets"))?;
    for (_, pod, account) in ENVOYS {
        let mut parts = pod.split('/');
        let (cluster, namespace) =
            (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let identity = format!("spiffe://cluster.local/ns/{namespace}/sa/{account}");
        certificates.identity(&format!("{cluster}_{namespace}_{account}"), &identity)?;
    }
    Ok(certificates)
}

fn address(text: &str) -> Result<SocketAddr, Problem> {
    text.parse().attempt(format!("read `{text}`"))
}

fn ask(client: &str) -> Result<Response, Problem> {
    Connection::open(address(client)?)?.send(&TO_CART)
}

/// The application answers, and was told that web asks.
fn crosses() -> Result<(), Problem> {
    let mut connection = Connection::open(address(WEB)?)?;
    for _ in 0..REQUESTS {
        let answer = connection.send(&TO_CART)?;
        let who = answer.header(upstream::WHO).unwrap_or_default();
        let client = answer.header(upstream::CLIENT).unwrap_or_default();
        if answer.status != 200 || who != CART_APP {
            let body = String::from_utf8_lossy(&answer.body);
            return Err(Problem(format!("{} from `{who}`: {body}", answer.status)));
        }
        if !client.contains("URI=spiffe://cluster.local/ns/shop/sa/web") {
            return Err(Problem(format!("the application was told of the client `{client}`")));
        }
    }
    Ok(())
}

fn passed_on(envoys: &BTreeMap<&str, Envoy>) -> Result<(), Problem> {
    let gateway = envoys.get("gateway").ok_or_else(|| Problem::new("there is no gateway"))?;
    let counters = gateway.counters("upstream_cx_total")?;
    let count = |name: &str| counters.get(name).copied().unwrap_or(0);
    match count(&format!("cluster.{CROSSED};.upstream_cx_total")) {
        0 => Err(Problem(format!("the gateway opened no connection to cart: {counters:?}"))),
        _ => Ok(()),
    }
}

/// The guest's certificate is good, but cart's policy names web.
fn stranger() -> Result<(), Problem> {
    let answer = ask(GUEST)?;
    let body = String::from_utf8_lossy(&answer.body);
    match (answer.status, answer.header(upstream::WHO)) {
        (403, None) if body.contains("RBAC") => Ok(()),
        (status, _) => Err(Problem(format!("it was answered {status}: {body}"))),
    }
}

fn only(app: &Upstream, count: usize) -> Result<(), Problem> {
    let asked = app.asked();
    if asked == count { Ok(()) } else { Err(Problem(format!("it was asked {asked} times"))) }
}

fn cut_off(envoys: &mut BTreeMap<&str, Envoy>) -> Result<(), Problem> {
    let gateway = envoys.remove("gateway").ok_or_else(|| Problem::new("there is no gateway"))?;
    gateway.end()?;
    match ask(WEB)?.status {
        503 => Ok(()),
        status => Err(Problem(format!("the answer is {status}"))),
    }
}
