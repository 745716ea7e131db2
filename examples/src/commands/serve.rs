//! `mesh serve`: a control plane for the proxies of a mesh folder.
//!
//! ```text
//! folder ──watch──▶ Mesh ──▶ hub ──snapshot of one proxy──▶ stream ──session──▶ wire ──▶ proxy
//!                             ▲                               │
//!                          secrets                            └──▶ events: a line of JSON each
//! ```
//!
//! Every decision is the library's: what a proxy holds (`Generator`), what it is sent of that and
//! when (the sessions). Here are sockets, signals, the watched folder and certificates.
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use mesh_model::Compat;
use mesh_model::compat::DataPlane;
use tokio::net::TcpListener;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

use self::event::Event;
use self::folder::Watched;
use self::hub::Hub;
use self::secrets::Secrets;
use self::service::{Ads, Sds};
use crate::{Failure, data_plane};

mod event;
mod folder;
mod hub;
mod identify;
mod secrets;
mod service;
mod stream;
mod watch;
mod wire;

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Where to listen; port 0 takes a free one, which the `listening` event names.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:15010")]
    listen: String,
    /// Serves the certificates of this folder instead of those of a throw-away authority.
    #[arg(long, value_name = "DIR")]
    secrets: Option<PathBuf>,
    /// What every proxy is, whatever its node says.
    #[arg(long, value_parser = data_plane::with_node(), value_name = "DATA_PLANE")]
    data_plane: Option<DataPlane>,
}

/// How long connections may take to end once the server was told to.
const FAREWELL: Duration = Duration::from_secs(2);

pub(crate) fn run(folder: &Path, arguments: &Arguments) -> Result<(), Failure> {
    let listen: SocketAddr = arguments.listen.parse().map_err(|_| {
        Failure::Unanswered(format!(
            "--listen `{}`: not ADDRESS:PORT, such as `127.0.0.1:15010`",
            arguments.listen
        ))
    })?;
    let (watched, mesh) = Watched::open(folder, Compat::default())?;
    let secrets = match &arguments.secrets {
        Some(directory) => Secrets::of_directory(directory)?,
        None => Secrets::throw_away(&mesh.config().trust_domain)?,
    };
    let hub = Arc::new(Hub::new(mesh, secrets, arguments.data_plane));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let served = runtime.block_on(serve(listen, hub, watched, arguments.secrets.clone()));
    runtime.shutdown_timeout(FAREWELL);
    served
}

async fn serve(
    listen: SocketAddr,
    hub: Arc<Hub>,
    watched: Watched,
    secrets: Option<PathBuf>,
) -> Result<(), Failure> {
    let unbound =
        |error| Failure::Unanswered(format!("--listen {listen}: cannot listen there: {error}"));
    let listener = TcpListener::bind(listen).await.map_err(unbound)?;
    let address = listener.local_addr()?;
    let signal = signal()?;
    tokio::spawn(watch::watch(hub.clone(), watched, secrets));
    Event::Listening { address }.tell();
    let router = Server::builder()
        .http2_keepalive_interval(Some(Duration::from_secs(30)))
        .http2_keepalive_timeout(Some(Duration::from_secs(20)))
        .add_service(Ads(hub.clone()))
        .add_service(Sds(hub.clone()));
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let closed = hub.clone();
    let mut server = tokio::spawn(
        router.serve_with_incoming_shutdown(incoming, async move { closed.closed().await }),
    );
    tokio::select! {
        ended = &mut server => return Ok(ended??),
        () = signal => hub.close(),
    }
    match tokio::time::timeout(FAREWELL, server).await {
        Ok(ended) => Ok(ended??),
        // Whoever does not close its connection is left behind.
        Err(_elapsed) => Ok(()),
    }
}

/// Waits until the program is asked to end.
#[cfg(unix)]
fn signal() -> Result<impl Future<Output = ()>, Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Waits until the program is asked to end.
#[cfg(not(unix))]
fn signal() -> Result<impl Future<Output = ()>, Failure> {
    Ok(async {
        let _interrupted = tokio::signal::ctrl_c().await;
    })
}
