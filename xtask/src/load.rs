//! `cargo xtask load`: what many connected proxies cost `mesh serve`, and how soon they know of a
//! change.
//!
//! ```text
//! load generator ── writes one EndpointSlice a second ──▶ mesh folder ── watched ──▶ mesh serve
//!       ▲                                                                             │
//!       └────────── clients, half SotW, half delta: clusters and all endpoints ◀──────┘
//! ```
//!
//! Every change has a number, which is an endpoint's address; the time from the file's replacement to
//! the arrival of that number at each client is its latency (with the 100 ms for which the server
//! waits whether more changes come). Beside the clients that are measured there are some that ask
//! and never read, and some that vanish half way. The server's resident memory is read along the way.
//!
//! A release build of `mesh` is what to measure: `--binary target/release/mesh`.
use std::path::PathBuf;
use std::time::Duration;

use self::client::{Fleet, Kind};
use self::folder::Folder;
use crate::problem::{Attempt, Problem};
use crate::process::{Running, wait_for};
use crate::{Failure, workspace};

mod client;
mod folder;
mod summary;

/// What is asked for.
#[derive(Clone, Debug)]
struct Options {
    clients: usize,
    slow: usize,
    vanishing: usize,
    changes: u8,
    services: usize,
    endpoints: usize,
    binary: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            clients: 1_000,
            slow: 50,
            vanishing: 100,
            changes: 30,
            services: 100,
            endpoints: 10,
            binary: None,
        }
    }
}

pub(crate) fn command(arguments: &[String]) -> Result<(), Failure> {
    let options = parse(arguments)?;
    let dir = workspace::target_directory()?.join("load");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.attempt("start a runtime").map_err(Failure::from)?;
    let binary = match &options.binary {
        Some(binary) => binary.clone(),
        None => workspace::mesh_binary()?,
    };
    let folder = Folder::create(dir.join("mesh"), options.services, options.endpoints)?;
    let mut serving = std::process::Command::new(binary);
    serving.args(["serve", "--listen", "127.0.0.1:0", "-f"]).arg(&folder.path);
    let mut server = Running::start("mesh serve", &mut serving, &dir.join("serve.log"))?;
    let ended = runtime.block_on(measure(&options, folder, &mut server));
    runtime.shutdown_timeout(Duration::from_secs(1));
    ended?;
    let status = server.end()?;
    if status.success() {
        return Ok(());
    }
    println!("`mesh serve` ended with {status}:\n{}", server.tail());
    Err(Failure::Answered)
}

fn parse(arguments: &[String]) -> Result<Options, Failure> {
    let mut options = Options::default();
    let mut arguments = arguments.iter();
    while let Some(flag) = arguments.next() {
        let value =
            arguments.next().ok_or_else(|| Failure::Usage(format!("`{flag}` needs a value")))?;
        let number = || value.parse().attempt(format!("read `{value}` as a number"));
        match flag.as_str() {
            "--clients" => options.clients = number()?,
            "--slow" => options.slow = number()?,
            "--vanishing" => options.vanishing = number()?,
            "--services" => options.services = number()?,
            "--endpoints" => options.endpoints = number()?,
            "--changes" => {
                options.changes =
                    value.parse().attempt(format!("read `{value}` as a number up to 255"))?;
            }
            "--binary" => options.binary = Some(PathBuf::from(value)),
            _ => return Err(Failure::Usage(format!("unknown argument `{flag}`"))),
        }
    }
    Ok(options)
}

async fn measure(
    options: &Options,
    mut folder: Folder,
    server: &mut Running,
) -> Result<(), Problem> {
    let Options { clients, slow, vanishing, changes, .. } = *options;
    let address = address(server)?;
    let idle = server.resident()?;
    println!("{} services, {} endpoints each", options.services, options.endpoints);
    println!("{idle:8} kB resident without clients");
    let mut fleet = Fleet::new(address, folder.proxies.clone());
    fleet.connect(clients, Kind::Measured).await?;
    let all = fleet.connect(slow, Kind::Slow).await.and(fleet.arrived(0, clients).await);
    all.attempt("bring the clients up")?;
    println!(
        "{:8} kB resident with {clients} clients and {slow} that never read",
        server.resident()?
    );
    fleet.connect(vanishing, Kind::Vanishing).await?;
    let mut latencies = Vec::new();
    let mut late = 0;
    for number in 1..=changes {
        if number == changes / 2 {
            fleet.vanish();
            println!("{:8} kB resident half way; {vanishing} clients vanish", server.resident()?);
        }
        let next = tokio::time::sleep(Duration::from_secs(1));
        fleet.changed(number);
        folder.change(number)?;
        next.await;
        latencies.extend(fleet.latencies(number));
        late += clients.saturating_sub(fleet.latencies(number).len());
    }
    fleet.arrived(changes, clients).await?;
    println!("{:8} kB resident at the end", server.resident()?);
    server.still_runs()?;
    println!("{}", summary::of(latencies));
    println!("{late} of {} had not arrived within the second", clients * usize::from(changes));
    Ok(())
}

/// The address that the server says it listens on.
fn address(server: &mut Running) -> Result<String, Problem> {
    let found = wait_for(Duration::from_secs(60), || {
        let printed = server.printed();
        let events = printed.lines().filter_map(|it| serde_json::from_str(it).ok());
        let mut listening = events.filter(|it: &serde_json::Value| {
            it.get("event").is_some_and(|event| event == "listening")
        });
        listening.next()?.get("address")?.as_str().map(str::to_owned)
    });
    found.ok_or_else(|| Problem(format!("`mesh serve` does not listen:\n{}", server.tail())))
}
