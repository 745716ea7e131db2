//! The `mesh` command, as users run it: bootstrap, plan, authz, snapshot, serve.
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::e2e::venv::Tools;
use crate::problem::{Attempt, Problem};
use crate::process::{self, Running, wait_for};

/// How a data plane is told: everything of a type again, or what changed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Protocol {
    Sotw,
    Delta,
}

pub(super) const PROTOCOLS: &[Protocol] = &[Protocol::Sotw, Protocol::Delta];

impl Protocol {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Sotw => "sotw",
            Self::Delta => "delta",
        }
    }

    /// The same bootstrap over this protocol.
    pub(super) fn of(self, mut bootstrap: Value) -> Result<Value, Problem> {
        let api = match self {
            Self::Sotw => "GRPC",
            Self::Delta => "DELTA_GRPC",
        };
        let ads = ["/dynamicResources/adsConfig", "/dynamic_resources/ads_config"]
            .into_iter()
            .find(|pointer| bootstrap.pointer(pointer).is_some());
        let ads = ads.and_then(|pointer| bootstrap.pointer_mut(pointer)?.as_object_mut());
        let ads = ads.ok_or_else(|| Problem::new("the bootstrap has no ADS"))?;
        ads.remove("api_type");
        ads.insert("apiType".to_owned(), api.into());
        Ok(bootstrap)
    }
}

/// The command, on one mesh folder.
#[derive(Clone, Debug)]
pub(super) struct Mesh {
    pub(super) binary: PathBuf,
    pub(super) folder: PathBuf,
}

impl Mesh {
    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(&self.binary);
        command.arg(name).arg("-f").arg(&self.folder);
        command
    }

    /// The bootstrap of a proxy for a server, over a protocol.
    pub(super) fn bootstrap(
        &self,
        proxy: &str,
        server: SocketAddr,
        protocol: Protocol,
    ) -> Result<Value, Problem> {
        let mut command = self.command("bootstrap");
        command.args(["--proxy", proxy, "--xds", &server.to_string()]);
        protocol.of(answer(&mut command, &[0])?.1)
    }

    /// The bootstrap of a gRPC client in a pod.
    pub(super) fn grpc_bootstrap(&self, proxy: &str, server: SocketAddr) -> Result<Value, Problem> {
        let mut command = self.command("bootstrap");
        command.args(["--proxy", proxy, "--data-plane", "grpc", "--xds", &server.to_string()]);
        Ok(answer(&mut command, &[0])?.1)
    }

    /// Percent of the traffic to a service by `ADDRESS:PORT`, as `mesh plan` says.
    pub(super) fn shares(
        &self,
        proxy: &str,
        service: &str,
    ) -> Result<BTreeMap<String, f64>, Problem> {
        let mut command = self.command("plan");
        command.args(["--proxy", proxy, "--service", service, "-o", "json"]);
        shares(&answer(&mut command, &[0])?.1)
            .ok_or_else(|| Problem(format!("`mesh plan` names no endpoints of {service}")))
    }

    /// What `mesh authz` decides: true if it allows.
    pub(super) fn allows(&self, from: &str, to: &str, request: &Value) -> Result<bool, Problem> {
        let mut command = self.command("authz");
        command.args(["--from", from, "--to", to, "--request", "-", "-o", "json"]);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .attempt("run `mesh authz`")?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(request.to_string().as_bytes()).attempt("write the request")?;
        }
        let output = child.wait_with_output().attempt("wait for `mesh authz`")?;
        let said = read_answer("authz", &output, &[0, 1])?.1;
        match said.get("decision").and_then(Value::as_str) {
            Some("allow") => Ok(true),
            Some("deny") => Ok(false),
            _ => Err(Problem(format!("`mesh authz` decides nothing: {said}"))),
        }
    }

    /// What `mesh routes` says that a stock Envoy in this pod does with the requests of a file, a
    /// list; one answer each.
    pub(super) fn routes(&self, proxy: &str, requests: &Path) -> Result<Vec<Value>, Problem> {
        let mut command = self.command("routes");
        command.args(["--proxy", proxy, "--data-plane", "envoy", "-o", "json", "--request"]);
        command.arg(requests);
        let said = answer(&mut command, &[0])?.1;
        let answers = said.as_array().cloned();
        answers.ok_or_else(|| Problem(format!("`mesh routes` answers no list: {said}")))
    }

    /// The names that a stock Envoy in this pod is sent, by type.
    pub(super) fn names(
        &self,
        proxy: &str,
        out: &Path,
    ) -> Result<BTreeMap<&'static str, BTreeSet<String>>, Problem> {
        std::fs::create_dir_all(out).attempt(format!("create `{}`", out.display()))?;
        let mut command = self.command("snapshot");
        command.args(["--proxy", proxy, "--data-plane", "envoy", "--out"]).arg(out);
        let output = process::output(&mut command)?;
        if !output.status.success() {
            return Err(read_answer("snapshot", &output, &[]).err().unwrap_or(Problem::new("")));
        }
        let mut names = BTreeMap::new();
        for kind in ["clusters", "listeners", "routes"] {
            let list = list(out, kind)?;
            let name = |resource: &Value| Some(resource.get("name")?.as_str()?.to_owned());
            names.insert(kind, list.iter().filter_map(name).collect());
        }
        Ok(names)
    }

    /// Starts `mesh serve` on a free port and waits until it says which.
    pub(super) fn serve(&self, tools: &Tools, log: &Path) -> Result<Server, Problem> {
        Self::start(self.serving(tools), log)
    }

    /// The same with the certificates of a folder.
    pub(super) fn serve_secrets(
        &self,
        tools: &Tools,
        log: &Path,
        secrets: &Path,
    ) -> Result<Server, Problem> {
        let mut command = self.serving(tools);
        command.arg("--secrets").arg(secrets);
        Self::start(command, log)
    }

    fn serving(&self, tools: &Tools) -> Command {
        let mut command = tools.beside_us(&self.binary);
        command.arg("serve").arg("-f").arg(&self.folder).args(["--listen", "127.0.0.1:0"]);
        command
    }

    fn start(mut command: Command, log: &Path) -> Result<Server, Problem> {
        let mut running = Running::start("mesh serve", &mut command, log)?;
        let mut ended = Ok(());
        let address = wait_for(Duration::from_secs(10), || {
            ended = running.still_runs();
            let listening = events(&running.printed()).iter().find_map(listening);
            listening.map(Some).or(ended.is_err().then_some(None))
        });
        ended?;
        match address.flatten() {
            Some(address) => Ok(Server { running, address }),
            None => Err(Problem(format!("`mesh serve` does not listen:\n{}", running.tail()))),
        }
    }
}

/// What `mesh snapshot` wrote of a type.
pub(super) fn list(out: &Path, kind: &str) -> Result<Vec<Value>, Problem> {
    let path = out.join(format!("{kind}.json"));
    let text = std::fs::read(&path).attempt(format!("read `{}`", path.display()))?;
    serde_json::from_slice(&text).attempt(format!("read `{}`", path.display()))
}

/// A running `mesh serve`.
pub(super) struct Server {
    running: Running,
    pub(super) address: SocketAddr,
}

impl Server {
    /// The events printed so far, in order.
    pub(super) fn events(&self) -> Vec<Value> {
        events(&self.running.printed())
    }

    /// Ends it with SIGTERM; anything but exit code 0 is a problem.
    pub(super) fn end(mut self) -> Result<(), Problem> {
        let status = self.running.end()?;
        if status.success() {
            Ok(())
        } else {
            Err(Problem(format!("`mesh serve` ended with {status}:\n{}", self.running.tail())))
        }
    }
}

fn events(printed: &str) -> Vec<Value> {
    let values = printed.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    values.filter(|value| value.get("event").is_some()).collect()
}

/// The address of a `listening` event, under whatever key.
fn listening(event: &Value) -> Option<SocketAddr> {
    let members = event.as_object().filter(|_| is_event(event, "listening"))?;
    members.values().find_map(|value| value.as_str()?.parse().ok())
}

pub(super) fn is_event(event: &Value, name: &str) -> bool {
    event.get("event").is_some_and(|event| event == name)
}

/// Runs a command that answers in JSON with one of these exit codes.
fn answer(command: &mut Command, codes: &[i32]) -> Result<(i32, Value), Problem> {
    let name = command.get_args().next().unwrap_or_default().to_string_lossy().into_owned();
    read_answer(&name, &process::output(command)?, codes)
}

fn read_answer(
    name: &str,
    output: &std::process::Output,
    codes: &[i32],
) -> Result<(i32, Value), Problem> {
    let code = output.status.code().unwrap_or(-1);
    if !codes.contains(&code) {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(Problem(format!("`mesh {name}` ended with code {code}: {said}")));
    }
    let value = serde_json::from_slice(&output.stdout);
    Ok((code, value.attempt(format!("read what `mesh {name}` printed"))?))
}

fn shares(plan: &Value) -> Option<BTreeMap<String, f64>> {
    let service = plan.get("services")?.as_array()?.first()?;
    let endpoints = service.get("endpoints")?.as_array()?.iter();
    endpoints.map(|endpoint| Some((dialled(endpoint)?, endpoint.get("share")?.as_f64()?))).collect()
}

/// Where the proxy connects to: `dial`, or the endpoint itself.
fn dialled(endpoint: &Value) -> Option<String> {
    match endpoint.get("dial").and_then(Value::as_str) {
        Some(dial) if dial.contains(':') => Some(dial.to_owned()),
        _ => {
            let port = endpoint.get("port")?.as_u64()?;
            Some(format!("{}:{port}", endpoint.get("address")?.as_str()?))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn events_are_told_from_other_lines() {
        let printed =
            "a warning\n{\"event\":\"listening\",\"address\":\"127.0.0.1:4711\"}\n{\"x\":1}\n";
        let events = events(printed);
        assert_eq!(events.len(), 1);
        assert_eq!(events.iter().find_map(listening), Some("127.0.0.1:4711".parse().unwrap()));
    }

    #[test]
    fn shares_are_read_by_the_address_that_is_dialled() {
        let plan = json!({"services": [{"endpoints": [
            {"address": "127.2.1.1", "port": 80, "dial": null, "share": 70.0},
            {"address": "10.0.0.1", "port": 80, "dial": "34.1.1.1:15443", "share": 30},
        ]}]});
        let expected = [("127.2.1.1:80".to_owned(), 70.0), ("34.1.1.1:15443".to_owned(), 30.0)];
        assert_eq!(shares(&plan), Some(expected.into()));
        assert_eq!(shares(&json!({"services": []})), None);
    }

    #[test]
    fn a_bootstrap_is_turned_to_either_protocol() {
        let bootstrap = json!({"dynamicResources": {"adsConfig": {"apiType": "GRPC"}}});
        let delta = Protocol::Delta.of(bootstrap.clone()).unwrap();
        assert_eq!(
            delta.pointer("/dynamicResources/adsConfig/apiType"),
            Some(&json!("DELTA_GRPC"))
        );
        assert_eq!(Protocol::Sotw.of(bootstrap.clone()), Ok(bootstrap));
        assert!(Protocol::Sotw.of(json!({})).is_err());
    }
}
