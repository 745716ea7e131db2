//! The scenario: two Envoys side by side on one machine, steered by `mesh serve`.
//!
//! `web` (zone eu/a) calls `cart`, whose servers are plain HTTP on eight loopback addresses in three
//! localities, and `ledger`, which has an Envoy of its own in front (mutual TLS from the throw-away
//! authority of `mesh serve`, and authorization policies).
//!
//! 1. every resource is accepted, none rejected;
//! 2. requests land in the client's zone;
//! 3. after endpoints turn unhealthy in the folder, traffic splits as `mesh plan` says;
//! 4. one endpoint less pushes exactly one EDS resource to the one Envoy that has it;
//! 5. Envoy denies what `mesh authz` denies, and nothing else;
//! 6. restarted, server and Envoy agree on the same versions.
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use crate::e2e::dump::Dump;
use crate::e2e::envoy::Envoy;
use crate::e2e::http::{Connection, Request};
use crate::e2e::loopback::{self, CART, Endpoint};
use crate::e2e::mesh::{Mesh, Protocol, Server, is_event};
use crate::e2e::report::Report;
use crate::e2e::traffic;
use crate::e2e::upstream::Upstream;
use crate::e2e::venv::Tools;
use crate::problem::{Attempt, Problem};
use crate::process::wait_for;

const WEB: &str = "loop/shop/web-0";
const LEDGER: &str = "loop/shop/ledger-0";
const CART_HOST: &str = "cart.shop.svc.cluster.local";
const LEDGER_HOST: &str = "ledger.shop.svc.cluster.local";
/// Where web's Sidecar binds the listener for port 19080.
const WEB_EGRESS: &str = "127.9.0.1:19080";
/// The application behind ledger's Envoy.
const LEDGER_APP: &str = "127.0.0.1:29081";
/// How soon a change of the folder must be in Envoy; the server gathers changes for 0.1 s.
const CHANGE: Duration = Duration::from_secs(10);

pub(super) fn run(
    tools: &Tools,
    binary: &Path,
    protocol: Protocol,
    dir: &Path,
    report: &mut Report,
) -> Result<(), Problem> {
    let dir = dir.join(protocol.name());
    let folder = loopback::copy(&dir)?;
    let _upstreams = upstreams()?;
    let mesh = Mesh { binary: binary.to_owned(), folder };
    let site = Site { tools, mesh, protocol, dir };
    let mut stage = site.raise("first")?;
    report.check("every resource is accepted", stage.everything_accepted(&site));
    report.check("requests land in the local zone", local_zone());
    for unready in [2, 3, 4] {
        let sentence =
            format!("with {unready} of 4 local endpoints unhealthy Envoy does as planned");
        report.check(&sentence, stage.splits_as_planned(&site, unready));
    }
    report.check("one endpoint less pushes one EDS resource", stage.one_push(&site));
    for (method, path) in REQUESTS {
        let sentence = format!("{method} {path} is decided as `mesh authz` says");
        report.check(&sentence, site.same_decision(method, path));
    }
    report.check("both decisions were made", both_decisions(&site));
    report.check("nothing was rejected on the way", stage.nothing_rejected());
    let before = stage.versions();
    report.check("`mesh serve` ends cleanly when asked", stage.end());
    let again = site.raise("again")?;
    report
        .check("restarted, both sides agree on the same versions", same(before, again.versions()));
    report.check("`mesh serve` ends cleanly again", again.end());
    Ok(())
}

/// The requests to ledger; its policies allow some of them.
const REQUESTS: &[(&str, &str)] = &[
    ("GET", "/accounts"),
    ("GET", "/accounts/7"),
    ("POST", "/accounts"),
    ("GET", "/accounts/secret"),
    ("GET", "/other"),
];

fn upstreams() -> Result<Vec<Upstream>, Problem> {
    let mut upstreams = Vec::new();
    for endpoint in CART {
        upstreams.push(Upstream::start(endpoint.address()?)?);
    }
    upstreams.push(Upstream::start(address(LEDGER_APP)?)?);
    Ok(upstreams)
}

fn address(text: &str) -> Result<SocketAddr, Problem> {
    text.parse().attempt(format!("read `{text}`"))
}

const TO_CART: Request<'_> = Request { method: "GET", host: CART_HOST, path: "/" };

fn local_zone() -> Result<(), Problem> {
    let answers = traffic::send(address(WEB_EGRESS)?, &TO_CART, 2_000)?;
    let local: f64 = CART
        .iter()
        .filter(|endpoint| endpoint.is_local())
        .map(|endpoint| answers.share(&endpoint.name()))
        .sum();
    if local > 99.99 { Ok(()) } else { Err(Problem(format!("{local:.1} % did: {answers:?}"))) }
}

fn both_decisions(site: &Site<'_>) -> Result<(), Problem> {
    let mut seen = BTreeSet::new();
    for (method, path) in REQUESTS {
        seen.insert(site.expected(method, path)?);
    }
    if seen.len() == 2 { Ok(()) } else { Err(Problem(format!("all were allowed: {seen:?}"))) }
}

fn same(
    before: Result<Versions, Problem>,
    after: Result<Versions, Problem>,
) -> Result<(), Problem> {
    let (before, after) = (before?, after?);
    if before.is_empty() {
        return Err(Problem::new("Envoy's config dump has no versions"));
    }
    if before == after { Ok(()) } else { Err(Problem(format!("{before:?} became {after:?}"))) }
}

/// Version by proxy, type and resource.
type Versions = BTreeMap<String, String>;

/// What stays the same when everything is restarted.
struct Site<'t> {
    tools: &'t Tools,
    mesh: Mesh,
    protocol: Protocol,
    dir: PathBuf,
}

/// A server and its two Envoys.
struct Stage {
    // Dropped in this order: the Envoys end before what they are connected to.
    web: Envoy,
    ledger: Envoy,
    server: Server,
}

impl Site<'_> {
    fn raise(&self, name: &str) -> Result<Stage, Problem> {
        let dir = self.dir.join(name);
        std::fs::create_dir_all(&dir).attempt(format!("create `{}`", dir.display()))?;
        let server = self.mesh.serve(self.tools, &dir.join("serve.log"))?;
        let mut envoys = Vec::new();
        for (proxy, name) in [(WEB, "web"), (LEDGER, "ledger")] {
            let bootstrap = self.mesh.bootstrap(proxy, server.address, self.protocol)?;
            let mut envoy = Envoy::start(self.tools, name, &bootstrap, &dir)?;
            envoy.wait_until_ready()?;
            envoys.push(envoy);
        }
        match (envoys.pop(), envoys.pop()) {
            (Some(ledger), Some(web)) => Ok(Stage { web, ledger, server }),
            _ => Err(Problem::new("there are not two Envoys")),
        }
    }

    /// The status that `mesh authz` implies.
    fn expected(&self, method: &str, path: &str) -> Result<u16, Problem> {
        let request = json!({
            "protocol": "http",
            "destination_ip": "127.3.0.1",
            "destination_port": 18080,
            "method": method,
            "host": LEDGER_HOST,
            "path": path,
        });
        Ok(if self.mesh.allows(WEB, LEDGER, &request)? { 200 } else { 403 })
    }

    fn same_decision(&self, method: &str, path: &str) -> Result<(), Problem> {
        let expected = self.expected(method, path)?;
        let request = Request { method, host: LEDGER_HOST, path };
        let got = Connection::open(address(WEB_EGRESS)?)?.send(&request)?;
        if got.status == expected {
            return Ok(());
        }
        let body = String::from_utf8_lossy(&got.body).into_owned();
        Err(Problem(format!(
            "`mesh authz` implies {expected}, Envoy answers {}: {body}",
            got.status
        )))
    }
}

impl Stage {
    /// Each Envoy holds what `mesh snapshot` names, active; nothing was rejected.
    fn everything_accepted(&self, site: &Site<'_>) -> Result<(), Problem> {
        for (proxy, envoy) in [(WEB, &self.web), (LEDGER, &self.ledger)] {
            let dump = Dump::of(envoy)?;
            let names = site.mesh.names(proxy, &site.dir.join(proxy.replace('/', "_")))?;
            for (kind, expected) in names {
                let active = dump.active(kind);
                if active != expected {
                    return Err(Problem(format!(
                        "{proxy} has the {kind} {active:?}, `mesh snapshot` names {expected:?}"
                    )));
                }
            }
            dump.no_errors().attempt(format!("go on with {proxy}"))?;
        }
        self.nothing_rejected()
    }

    fn nothing_rejected(&self) -> Result<(), Problem> {
        for envoy in [&self.web, &self.ledger] {
            let rejected = envoy.counters("update_rejected")?;
            if let Some((name, count)) = rejected.iter().find(|(_, count)| **count > 0) {
                return Err(Problem(format!("Envoy counts {name} = {count}")));
            }
        }
        match self.server.events().iter().find(|event| is_event(event, "nack")) {
            Some(nack) => Err(Problem(format!("`mesh serve` was told: {nack}"))),
            None => Ok(()),
        }
    }

    /// Changes the folder and waits until web's Envoy has these endpoints with this health.
    fn change_cart(&self, site: &Site<'_>, endpoints: &[Endpoint]) -> Result<(), Problem> {
        loopback::set_cart(&site.mesh.folder, endpoints)?;
        let health = |ready| if ready { "HEALTHY" } else { "UNHEALTHY" };
        let expected: BTreeMap<String, String> = endpoints
            .iter()
            .map(|endpoint| (endpoint.name(), health(endpoint.ready).to_owned()))
            .collect();
        let cluster = format!("outbound|19080||{CART_HOST}");
        let mut last = BTreeMap::new();
        let arrived = wait_for(CHANGE, || {
            last = self.web.hosts(&cluster).unwrap_or_default();
            (last == expected).then_some(())
        });
        arrived.ok_or_else(|| Problem(format!("Envoy has {last:?}, the folder {expected:?}")))
    }

    fn splits_as_planned(&mut self, site: &Site<'_>, unready: usize) -> Result<(), Problem> {
        self.change_cart(site, &loopback::cart_with_unready(unready))?;
        let planned = site.mesh.shares(WEB, &format!("{CART_HOST}:19080"))?;
        let answers = traffic::send(address(WEB_EGRESS)?, &TO_CART, 20_000)?;
        answers.matches(&planned, 2.0)
    }

    /// Back to full health first; then one endpoint goes, and what that pushed is counted.
    fn one_push(&mut self, site: &Site<'_>) -> Result<(), Problem> {
        self.change_cart(site, &CART)?;
        self.wait_until_quiet();
        let before = self.server.events().len();
        let (_, fewer) =
            CART.split_last().ok_or_else(|| Problem::new("`cart` has no endpoints"))?;
        self.change_cart(site, fewer)?;
        self.wait_until_quiet();
        let events = self.server.events();
        let pushes: Vec<&Value> =
            events.iter().skip(before).filter(|event| is_event(event, "push")).collect();
        let is_right = |push: &Value| {
            let number = |key: &str| push.get(key).and_then(Value::as_u64).unwrap_or(0);
            let text = |key: &str| push.get(key).and_then(Value::as_str).unwrap_or_default();
            number("sent") == 1
                && number("removed") == 0
                && text("type").ends_with("ClusterLoadAssignment")
                && text("node").contains("web-0")
        };
        match pushes.as_slice() {
            [push] if is_right(push) => Ok(()),
            pushes => Err(Problem(format!("these were pushed: {pushes:?}"))),
        }
    }

    /// Waits until no event has come for half a second.
    fn wait_until_quiet(&self) {
        let mut count = self.server.events().len();
        let mut quiet = 0;
        let _quiet = wait_for(CHANGE, || {
            std::thread::sleep(Duration::from_millis(80));
            let now = self.server.events().len();
            quiet = if now == count { quiet + 1 } else { 0 };
            count = now;
            (quiet >= 5).then_some(())
        });
    }

    fn versions(&self) -> Result<Versions, Problem> {
        let mut versions = Versions::new();
        for (name, envoy) in [("web", &self.web), ("ledger", &self.ledger)] {
            for (resource, version) in Dump::of(envoy)?.versions() {
                versions.insert(format!("{name} {resource}"), version);
            }
        }
        Ok(versions)
    }

    fn end(self) -> Result<(), Problem> {
        self.web.end()?;
        self.ledger.end()?;
        self.server.end()
    }
}
