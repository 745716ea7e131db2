//! Every folder of `examples/meshes`: what its proxies are sent must be accepted by a stock Envoy,
//! whether it comes as files, as the state of the world or as changes.
//!
//! Accepted means: every resource that `mesh snapshot` names is active, nothing is rejected or
//! unknown, nothing but warnings is logged, and of the fields that Envoy calls deprecated there are
//! only those that istiod sets, too.
//!
//! A run looks at the proxies that a folder names, at its gateways, and at some others, which the
//! seed picks; `--every` looks at all.
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use serde_json::Value;

use self::proxies::proxies;
use crate::e2e::certificates::Certificates;
use crate::e2e::dump::Dump;
use crate::e2e::envoy::Envoy;
use crate::e2e::mesh::{self, Mesh, Protocol, Server, is_event};
use crate::e2e::report::Report;
use crate::e2e::venv::Tools;
use crate::problem::{Attempt, Problem};
use crate::workspace;

mod files;
mod proxies;

/// Envoys at a time. Most of them wait: a secret that nobody has (`file-cert:…` of a pod's own disk)
/// is waited for 15 s.
const WORKERS: usize = 9;
/// Proxies of each folder beside those that it names.
const OTHERS: usize = 1;

/// How a snapshot comes to an Envoy.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    Files,
    Over(Protocol),
}

const WAYS: [Way; 3] = [Way::Files, Way::Over(Protocol::Sotw), Way::Over(Protocol::Delta)];

impl Way {
    fn name(self) -> &'static str {
        match self {
            Self::Files => "files",
            Self::Over(protocol) => protocol.name(),
        }
    }
}

/// Deprecated fields that istiod sets (and so do we): specification of xDS, section 22; the metadata of
/// principals stands for tokens in the RBAC filters of what a real istiod sent.
const DEPRECATED: [&str; 7] = [
    "envoy.extensions.transport_sockets.tls.v3.CertificateValidationContext.match_subject_alt_names",
    "envoy.config.route.v3.RouteAction.max_grpc_timeout",
    "envoy.config.cluster.v3.Cluster.dns_refresh_rate",
    "envoy.config.cluster.v3.Cluster.dns_jitter",
    "envoy.config.cluster.v3.Cluster.respect_dns_ttl",
    "envoy.config.rbac.v3.Permission.metadata",
    "envoy.config.rbac.v3.Principal.metadata",
];

/// Which proxies are looked at.
#[derive(Clone, Copy, Debug)]
pub(super) enum Choice {
    Every,
    /// The random ones are picked by this number.
    Some(u64),
}

pub(super) fn run(
    tools: &Tools,
    binary: &Path,
    choice: Choice,
    dir: &Path,
    report: &mut Report,
) -> Result<(), Problem> {
    for folder in workspace::entries(&workspace::repository().join("examples/meshes"))? {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let dir = dir.join("accept").join(&name);
        let mesh = Mesh { binary: binary.to_owned(), folder };
        let ended = of_folder(&Site { tools, mesh, dir }, &name, choice, report);
        if ended.is_err() {
            report.check(&format!("the proxies of {name} are looked at"), ended);
        }
    }
    Ok(())
}

/// A folder, and where the run keeps its files.
struct Site<'t> {
    tools: &'t Tools,
    mesh: Mesh,
    dir: PathBuf,
}

fn of_folder(
    site: &Site<'_>,
    name: &str,
    choice: Choice,
    report: &mut Report,
) -> Result<(), Problem> {
    let selected = match choice {
        Choice::Every => proxies(&site.mesh.folder)?.all,
        Choice::Some(seed) => proxies(&site.mesh.folder)?.some(OTHERS, seed),
    };
    let snapshots = in_parallel(&selected, |proxy| {
        let out = site.out(proxy);
        site.mesh.names(proxy, &out).map(|_| ())
    });
    snapshots.into_iter().collect::<Result<Vec<()>, _>>()?;
    let certificates = site.certificates(&selected)?;
    let log = site.dir.join("serve.log");
    let server = site.mesh.serve_secrets(site.tools, &log, &certificates.folder)?;
    let Some(first) = selected.first() else { return Err(Problem::new("there is no proxy")) };
    let template = site.mesh.bootstrap(first, server.address, Protocol::Sotw)?;
    let jobs: Vec<(Way, &String)> =
        WAYS.iter().flat_map(|way| selected.iter().map(|proxy| (*way, proxy))).collect();
    let outcomes = in_parallel(&jobs, |(way, proxy)| site.accepts(proxy, *way, &template));
    for way in WAYS {
        let of_way = jobs.iter().zip(&outcomes).filter(|((of, _), _)| *of == way);
        let failed = of_way.filter_map(|((_, proxy), outcome)| {
            outcome.as_ref().err().map(|problem| format!("{proxy}: {}", problem.0))
        });
        let failed: Vec<String> = failed.collect();
        let count = selected.len();
        let sentence =
            format!("{count} proxies of {name} accept what they are sent, {}", way.name());
        let result = if failed.is_empty() { Ok(()) } else { Err(failed.join("\n    ")) };
        report.check(&sentence, result);
    }
    report.check(&format!("no proxy of {name} rejects anything"), nothing_rejected(&server));
    server.end()
}

fn nothing_rejected(server: &Server) -> Result<(), Problem> {
    let nack = server.events().into_iter().find(|event| is_event(event, "nack"));
    nack.map_or(Ok(()), |nack| Err(Problem(format!("`mesh serve` was told: {nack}"))))
}

impl Site<'_> {
    /// Where the snapshot of a proxy lies.
    fn out(&self, proxy: &str) -> PathBuf {
        self.dir.join(proxy.replace('/', "_"))
    }

    /// One certificate for all workloads, and one for each secret that a gateway names.
    fn certificates(&self, selected: &[String]) -> Result<Certificates, Problem> {
        let certificates = Certificates::new(self.dir.join("secrets"))?;
        certificates.identity("default", "spiffe://cluster.local/ns/default/sa/default")?;
        let mut names = BTreeSet::new();
        for proxy in selected {
            for kind in ["listeners", "clusters"] {
                names.extend(mesh::list(&self.out(proxy), kind)?.iter().flat_map(files::secrets));
            }
        }
        names.iter().try_for_each(|name| certificates.server(name, "gateway.test"))?;
        Ok(certificates)
    }

    /// Starts an Envoy as that proxy and looks at what it made of its snapshot.
    fn accepts(&self, proxy: &str, way: Way, template: &Value) -> Result<(), Problem> {
        let out = self.out(proxy);
        let bootstrap = self.bootstrap(&out, way, template)?;
        let mut envoy = Envoy::start(self.tools, way.name(), &bootstrap, &out)?;
        envoy.wait_until_ready()?;
        let dump = Dump::of(&envoy)?;
        dump.no_errors()?;
        for kind in ["clusters", "listeners", "routes"] {
            let list = mesh::list(&out, kind)?;
            let name = |it: &Value| Some(it.get("name")?.as_str()?.to_owned());
            let expected: BTreeSet<String> = list.iter().filter_map(name).collect();
            let active = dump.active(kind);
            // In files, routes stand in their listeners.
            let inline = way == Way::Files && kind == "routes";
            if active != expected && !inline {
                return Err(Problem(format!("the {kind} {active:?} are active, not {expected:?}")));
            }
        }
        for counter in ["update_rejected", "unknown_fields"] {
            let counters = envoy.counters(counter)?;
            if let Some((name, count)) = counters.iter().find(|(_, count)| **count > 0) {
                return Err(Problem(format!("Envoy counts {name} = {count}")));
            }
        }
        only_known(&envoy.log())?;
        envoy.end().map(|_| ())
    }

    /// The bootstrap of the folder with the node of a proxy.
    fn bootstrap(&self, out: &Path, way: Way, template: &Value) -> Result<Value, Problem> {
        let node = out.join("node.json");
        let text = std::fs::read(&node).attempt(format!("read `{}`", node.display()))?;
        let node: Value =
            serde_json::from_slice(&text).attempt(format!("read `{}`", node.display()))?;
        let mut bootstrap = match way {
            Way::Files => files::bootstrap(template, out)?,
            Way::Over(protocol) => protocol.of(template.clone())?,
        };
        if let Some(members) = bootstrap.as_object_mut() {
            members.insert("node".to_owned(), node);
        }
        Ok(bootstrap)
    }
}

/// Every line of Envoy's log is a warning about a field that istiod sets, too, or about Envoy's own
/// settings.
fn only_known(log: &str) -> Result<(), Problem> {
    for line in log.lines() {
        if line.contains("[error]") || line.contains("[critical]") {
            return Err(Problem(format!("Envoy logs {line}")));
        }
        if !line.contains("Deprecated field") {
            continue;
        }
        let field = line.split('\'').nth(1).unwrap_or_default();
        if !DEPRECATED.contains(&field) {
            return Err(Problem(format!("Envoy calls `{field}` deprecated: {line}")));
        }
    }
    Ok(())
}

/// Does something with each of several, a few at a time; the answers come in their order.
fn in_parallel<J: Sync, T: Send>(all: &[J], work: impl Fn(&J) -> T + Sync) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let at = next.fetch_add(1, Ordering::Relaxed)
                    && let Some(one) = all.get(at)
                {
                    let answer = work(one);
                    done.lock().unwrap_or_else(PoisonError::into_inner).push((at, answer));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, answer)| answer).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_done_in_parallel_keeps_its_order() {
        let all: Vec<String> = (0..50).map(|number: u32| number.to_string()).collect();
        assert_eq!(in_parallel(&all, String::clone), all);
    }

    #[test]
    fn only_fields_that_istiod_sets_may_be_deprecated() {
        let line = |field: &str| format!("[warning] Deprecated field: type T Using '{field}' from");
        assert_eq!(only_known(&line(DEPRECATED[1])), Ok(()));
        assert!(only_known(&line("envoy.config.cluster.v3.Cluster.hosts")).is_err());
        assert!(only_known("[2026-01-01][1][error][config] no").is_err());
    }
}
