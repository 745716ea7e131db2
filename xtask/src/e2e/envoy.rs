//! A real Envoy: started with a bootstrap, asked through its admin interface, ended when dropped.
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::e2e::http;
use crate::e2e::venv::Tools;
use crate::problem::{Attempt, Problem};
use crate::process::{Running, wait_for};

/// A running Envoy with one worker, so that shares are those of one balancer.
pub(super) struct Envoy {
    running: Running,
    admin: SocketAddr,
}

/// How long Envoy may take to start, and to get its first configuration.
const START: Duration = Duration::from_secs(40);

impl Envoy {
    /// Starts Envoy and waits for its admin interface. `dir` receives the bootstrap and the log;
    /// the admin address of the bootstrap is replaced by a free port.
    pub(super) fn start(
        tools: &Tools,
        name: &str,
        bootstrap: &Value,
        dir: &Path,
    ) -> Result<Self, Problem> {
        let dir = dir.join(name);
        std::fs::create_dir_all(&dir).attempt(format!("create `{}`", dir.display()))?;
        let (config, address) = (dir.join("bootstrap.json"), dir.join("admin.txt"));
        let _absent = std::fs::remove_file(&address);
        std::fs::write(&config, with_free_admin(bootstrap).to_string())
            .attempt(format!("write `{}`", config.display()))?;
        let mut command = tools.envoy();
        command.arg("--config-path").arg(&config).arg("--admin-address-path").arg(&address);
        command.args(["--concurrency", "1", "--disable-hot-restart", "--log-level", "warning"]);
        command.args(["--drain-time-s", "1", "--parent-shutdown-time-s", "2"]);
        let mut running = Running::start(name, &mut command, &dir.join("envoy.log"))?;
        let mut ended = Ok(());
        let admin = wait_for(START, || {
            ended = running.still_runs();
            let text = std::fs::read_to_string(&address).unwrap_or_default();
            text.trim().parse().ok().map(Some).or(ended.is_err().then_some(None))
        });
        ended?;
        match admin.flatten() {
            Some(admin) => Ok(Self { running, admin }),
            None => Err(Problem(format!("{name} opens no admin interface:\n{}", running.tail()))),
        }
    }

    /// Waits until every cluster and listener is there.
    pub(super) fn wait_until_ready(&mut self) -> Result<(), Problem> {
        let mut ended = Ok(());
        let ready = wait_for(START, || {
            ended = self.running.still_runs();
            let live = http::get(self.admin, "/ready").is_ok_and(|answer| answer.status == 200);
            (live || ended.is_err()).then_some(())
        });
        ended?;
        ready.ok_or_else(|| Problem(format!("Envoy does not get ready:\n{}", self.running.tail())))
    }

    /// What an admin path answers in JSON.
    pub(super) fn ask(&self, path: &str) -> Result<Value, Problem> {
        let answer = http::get(self.admin, path)?;
        if answer.status != 200 {
            return Err(Problem(format!("Envoy's admin answers {} to {path}", answer.status)));
        }
        serde_json::from_slice(&answer.body).attempt(format!("read what Envoy says to {path}"))
    }

    /// What Envoy has printed so far.
    pub(super) fn log(&self) -> String {
        self.running.printed()
    }

    /// Counters and gauges whose name contains a text.
    pub(super) fn counters(&self, name: &str) -> Result<BTreeMap<String, u64>, Problem> {
        let answer = self.ask(&format!("/stats?format=json&filter={name}"))?;
        let stats = answer.get("stats").and_then(Value::as_array).into_iter().flatten();
        let pair = |stat: &Value| {
            Some((stat.get("name")?.as_str()?.to_owned(), stat.get("value")?.as_u64()?))
        };
        Ok(stats.filter_map(pair).collect())
    }

    /// The addresses that the listeners are bound to, by name.
    pub(super) fn listeners(&self) -> Result<BTreeMap<String, SocketAddr>, Problem> {
        let answer = self.ask("/listeners?format=json")?;
        let list = answer.get("listener_statuses").and_then(Value::as_array).into_iter().flatten();
        let pair = |status: &Value| {
            let socket = status.pointer("/local_address/socket_address")?;
            let address = socket.get("address")?.as_str()?;
            let port = socket.get("port_value")?.as_u64()?;
            let address = format!("{address}:{port}").parse().ok()?;
            Some((status.get("name")?.as_str()?.to_owned(), address))
        };
        Ok(list.filter_map(pair).collect())
    }

    /// The hosts of a cluster as Envoy has them: `ADDRESS:PORT` and the health that EDS gave.
    pub(super) fn hosts(&self, cluster: &str) -> Result<BTreeMap<String, String>, Problem> {
        let health = |status: Value| Some(status.get("eds_health_status")?.as_str()?.to_owned());
        let all = self.host_statuses(cluster)?.into_iter();
        Ok(all.filter_map(|(name, status)| Some((name, health(status)?))).collect())
    }

    /// The health status of each host of a cluster, by `ADDRESS:PORT`.
    pub(super) fn host_statuses(&self, cluster: &str) -> Result<BTreeMap<String, Value>, Problem> {
        let answer = self.ask("/clusters?format=json")?;
        let clusters = answer.get("cluster_statuses").and_then(Value::as_array);
        let found = clusters
            .into_iter()
            .flatten()
            .find(|status| status.get("name").is_some_and(|name| name == cluster));
        let hosts = found.and_then(|status| status.get("host_statuses")?.as_array());
        let pair = |host: &Value| {
            let socket = host.pointer("/address/socket_address")?;
            let address = socket.get("address")?.as_str()?;
            let port = socket.get("port_value")?.as_u64()?;
            Some((format!("{address}:{port}"), host.get("health_status")?.clone()))
        };
        Ok(hosts.into_iter().flatten().filter_map(pair).collect())
    }

    /// Ends Envoy and says how.
    pub(super) fn end(mut self) -> Result<std::process::ExitStatus, Problem> {
        self.running.end()
    }
}

fn with_free_admin(bootstrap: &Value) -> Value {
    let mut bootstrap = bootstrap.clone();
    let socket = json!({"socket_address": {"address": "127.0.0.1", "port_value": 0}});
    if let Value::Object(members) = &mut bootstrap {
        members.insert("admin".to_owned(), json!({"address": socket}));
    }
    bootstrap
}
