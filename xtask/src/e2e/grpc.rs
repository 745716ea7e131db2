//! A real gRPC client, `xds:///`: it finds plain gRPC servers on loopback addresses through
//! `mesh serve`, balances over those beside it, and goes on to the next locality when they are gone.
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::e2e::loopback::{self, CART, Endpoint};
use crate::e2e::mesh::{Mesh, is_event};
use crate::e2e::report::Report;
use crate::e2e::venv::Tools;
use crate::problem::{Attempt, Problem};
use crate::process::wait_for;

const WEB: &str = "loop/shop/web-0";
const TARGET: &str = "xds:///cart.shop.svc.cluster.local:19080";
const SCRIPT: &str = include_str!("grpc_client.py");
/// How many requests are sent to see who answers.
const REQUESTS: usize = 200;
/// How soon a change must have reached the client.
const CHANGE: Duration = Duration::from_secs(15);

pub(super) fn run(
    tools: &Tools,
    binary: &Path,
    dir: &Path,
    report: &mut Report,
) -> Result<(), Problem> {
    let dir = dir.join("grpc");
    std::fs::create_dir_all(&dir).attempt(format!("create `{}`", dir.display()))?;
    let mesh = Mesh { binary: binary.to_owned(), folder: loopback::copy(&dir)? };
    let server = mesh.serve(tools, &dir.join("serve.log"))?;
    let bootstrap = mesh.grpc_bootstrap(WEB, server.address)?;
    let mut client = Client::start(tools, &bootstrap, &dir)?;
    report.check("a gRPC client balances over the servers beside it", client.reaches("eu-a"));
    let sentence = "a server that the folder says is not ready gets no more requests";
    report.check(sentence, client.avoids(&mesh, &CART[0]));
    for (gone, next) in [("eu-a", "eu-b"), ("eu-b", "us-a")] {
        client.stop(gone)?;
        let sentence = format!("with the servers of {gone} gone it goes on to those of {next}");
        report.check(&sentence, client.reaches(next));
    }
    report.check("back, the servers beside it get the requests again", client.returns());
    let rejected = server.events().into_iter().find(|event| is_event(event, "nack"));
    let rejected = rejected.map_or(Ok(()), |nack| Err(Problem(nack.to_string())));
    report.check("the gRPC client rejects nothing", rejected);
    client.end()?;
    server.end()
}

/// The Python program, which is asked line by line.
struct Client {
    child: Child,
    // Closed first when the program is to end.
    requests: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Client {
    fn start(tools: &Tools, bootstrap: &Value, dir: &Path) -> Result<Self, Problem> {
        let (script, config) = (dir.join("client.py"), dir.join("bootstrap.json"));
        std::fs::write(&script, SCRIPT).attempt(format!("write `{}`", script.display()))?;
        std::fs::write(&config, bootstrap.to_string())
            .attempt(format!("write `{}`", config.display()))?;
        let log = dir.join("client.log");
        let log = std::fs::File::create(&log).attempt(format!("create `{}`", log.display()))?;
        let mut command = tools.python(&script);
        command.arg(TARGET).args(CART.iter().map(Endpoint::name));
        command.env("GRPC_XDS_BOOTSTRAP", &config);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log);
        let mut child = command.spawn().attempt("start the gRPC client")?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (requests, answers) =
            pipes.ok_or_else(|| Problem::new("the gRPC client has no pipes"))?;
        let mut client = Self { child, requests: Some(requests), answers: BufReader::new(answers) };
        client.hear()?;
        Ok(client)
    }

    fn hear(&mut self) -> Result<Value, Problem> {
        let mut line = String::new();
        self.answers.read_line(&mut line).attempt("hear the gRPC client")?;
        serde_json::from_str(&line).attempt("read what the gRPC client says: see client.log")
    }

    fn ask(&mut self, line: &str) -> Result<Value, Problem> {
        let requests = self.requests.as_mut();
        let requests = requests.ok_or_else(|| Problem::new("the gRPC client has ended"))?;
        writeln!(requests, "{line}").attempt("ask the gRPC client")?;
        self.hear()
    }

    /// Requests by the server that answered; an error is a problem.
    fn call(&mut self, count: usize) -> Result<BTreeMap<String, usize>, Problem> {
        let said = self.ask(&format!("call {count}"))?;
        let errors = said.get("errors").and_then(Value::as_object);
        if let Some(errors) = errors.filter(|errors| !errors.is_empty()) {
            return Err(Problem(format!("requests fail: {errors:?}")));
        }
        let answers = said.get("answers").cloned().unwrap_or_default();
        serde_json::from_value(answers).attempt("read who answered")
    }

    fn stop(&mut self, node: &str) -> Result<(), Problem> {
        self.ask(&format!("stop {}", at(node).join(","))).map(|_| ())
    }

    /// The servers of a node, and no others, share the requests evenly.
    fn reaches(&mut self, node: &str) -> Result<(), Problem> {
        self.balances(&at(node))
    }

    fn balances(&mut self, servers: &[String]) -> Result<(), Problem> {
        let answers = self.call(REQUESTS)?;
        let fair = REQUESTS.checked_div(servers.len()).unwrap_or(0);
        // Connections that come up late miss the first rounds.
        let is_fair = |server: &String| {
            answers.get(server).is_some_and(|count| count.abs_diff(fair) <= fair / 4)
        };
        if answers.len() == servers.len() && servers.iter().all(is_fair) {
            return Ok(());
        }
        Err(Problem(format!("{answers:?} answer, not {servers:?} evenly")))
    }

    /// Turns an endpoint unready, and waits until only the others beside the client are asked.
    fn avoids(&mut self, mesh: &Mesh, endpoint: &Endpoint) -> Result<(), Problem> {
        loopback::set_cart(&mesh.folder, &loopback::cart_with_unready(1))?;
        let others: Vec<String> =
            at(endpoint.node).into_iter().filter(|name| *name != endpoint.name()).collect();
        let ended = self.until(|client| client.balances(&others));
        loopback::set_cart(&mesh.folder, &CART)?;
        ended?;
        let all = at(endpoint.node);
        self.until(|client| client.balances(&all))
    }

    fn returns(&mut self) -> Result<(), Problem> {
        self.ask(&format!("start {}", at("eu-a").join(",")))?;
        self.until(|client| client.reaches("eu-a"))
    }

    /// Tries until something is so, or too late.
    fn until(
        &mut self,
        mut attempt: impl FnMut(&mut Self) -> Result<(), Problem>,
    ) -> Result<(), Problem> {
        let mut last = Ok(());
        let done = wait_for(CHANGE, || {
            last = attempt(self);
            last.is_ok().then_some(())
        });
        done.map_or(last, Ok)
    }

    fn end(mut self) -> Result<(), Problem> {
        self.requests = None;
        let ended = wait_for(Duration::from_secs(5), || self.child.try_wait().ok().flatten());
        match ended {
            Some(status) if status.success() => Ok(()),
            status => Err(Problem(format!("the gRPC client ended so: {status:?}"))),
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _code = self.child.wait();
    }
}

/// The servers on a node.
fn at(node: &str) -> Vec<String> {
    CART.iter().filter(|endpoint| endpoint.node == node).map(Endpoint::name).collect()
}
