//! Active health checks: a real Envoy must think of a host what our state machine thinks of it.
//!
//! ```text
//! story ─┬─▶ server ──answer──▶ Envoy ──▶ flags, next check, who gets requests ─┐
//!        └─▶ result ──────────▶ our session ──▶ flags, next check, loads ───────┴─▶ the same
//! ```
//!
//! A server keeps each check until the story says what to answer. As long as Envoy waits for an answer
//! nothing about the host changes, so what its admin interface tells then is certain: chance and the
//! speed of the machine decide nothing but how long it takes.
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use self::follow::Follower;
use self::story::Story;
use crate::e2e::envoy::Envoy;
use crate::e2e::front;
use crate::e2e::http::Connection;
use crate::e2e::random::Random;
use crate::e2e::report::Report;
use crate::e2e::venv::Tools;
use crate::problem::{Attempt, Problem};
use crate::process::wait_for;

mod chosen;
mod cluster;
mod follow;
mod server;
mod story;

/// How long Envoy may take for what it does at once.
const SOON: Duration = Duration::from_secs(20);

pub(super) fn run(
    tools: &Tools,
    seed: u64,
    dir: &Path,
    report: &mut Report,
) -> Result<(), Problem> {
    let mut random = Random::new(seed);
    let mut stories = chosen::all();
    stories.extend(chosen::of_chance(&mut random));
    let numbered = stories.iter().enumerate();
    let mut followers = numbered
        .map(|(number, story)| Follower::start(number, story))
        .collect::<Result<Vec<_>, Problem>>()?;
    let files = dir.join("checks");
    std::fs::create_dir_all(&files).attempt(format!("create `{}`", files.display()))?;
    for (number, story) in stories.iter().enumerate() {
        cluster::write_endpoints(&files, number, story)?;
    }
    let envoy = Envoy::start(tools, "checks", &bootstrap(&files, &stories), dir)?;
    let results: Vec<Result<(), Problem>> = std::thread::scope(|scope| {
        let envoy = &envoy;
        let threads: Vec<_> = followers
            .iter_mut()
            .map(|follower| scope.spawn(move || follower.follow(envoy)))
            .collect();
        let ended = |_| Problem::new("the thread that follows it ended");
        threads.into_iter().map(|thread| thread.join().map_err(ended)?).collect()
    });
    report.check_each(stories.iter().map(|story| &*story.sentence).zip(results));
    envoy.end()?;
    Ok(())
}

/// The listener in front of all clusters, once every host has been checked.
fn listener(envoy: &Envoy) -> Result<SocketAddr, Problem> {
    let found = wait_for(SOON, || {
        let address = front::address(envoy).ok()?;
        // It is bound before it listens.
        Connection::open(address).ok().map(|_| address)
    });
    found.ok_or_else(|| Problem::new("Envoy opens no listener `front`"))
}

fn bootstrap(files: &Path, stories: &[Story]) -> Value {
    let clusters: Vec<Value> = stories
        .iter()
        .enumerate()
        .map(|(number, story)| cluster::of_story(files, number, story))
        .collect();
    let routes: Vec<Value> = (0..stories.len())
        .map(|number| {
            let route = json!({"cluster": cluster::name(number), "timeout": "0s"});
            json!({"match": {"prefix": cluster::path(number)}, "route": route})
        })
        .collect();
    json!({
        "node": {"id": "checks", "cluster": "checks"},
        "static_resources": {"listeners": [front::listener("127.92.0.1", &routes)], "clusters": clusters},
    })
}
