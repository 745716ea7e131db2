//! Resources that proxies would be sent, by class of proxies and type.
use std::collections::BTreeMap;
use std::sync::Arc;

use mesh_model::registry::Mesh;
use mesh_xds_gen::Generator;
use mesh_xds_gen::snapshot::Snapshot;
use serde_json::{Value, json};

use super::Sides;
use super::concerned::Concerned;
use super::traffic::class_of;

/// The resources of one type that differ, for the proxies for which the same ones do.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) class: String,
    pub(super) proxies: Vec<String>,
    pub(super) type_url: String,
    pub(super) changed: Vec<String>,
    pub(super) added: Vec<String>,
    pub(super) removed: Vec<String>,
}

/// What differs alike: the class, the type, and the names that are changed, added and removed.
type Key = (String, String, [Vec<String>; 3]);

/// Compares what each proxy is sent.
pub(super) fn changes(sides: Sides<'_>, proxies: &[Concerned<'_>]) -> Vec<Change> {
    let mut alike: BTreeMap<Key, Vec<String>> = BTreeMap::new();
    // Those of one namespace have most in common: it is made once, and of the other side only what differs.
    for proxies in proxies.chunk_by(|a, b| neighbourhood(a) == neighbourhood(b)) {
        let mut generator = Generator::new();
        let [old, new] = sides.each().map(|mesh| {
            let sent = proxies.iter().map(|proxy| sent(&mut generator, mesh, proxy.reference));
            sent.collect::<Vec<_>>()
        });
        for (proxy, (was, is)) in proxies.iter().zip(old.iter().zip(&new)) {
            let Some(class) = is.0.as_ref().or(was.0.as_ref()) else { continue };
            for (type_url, delta) in is.1.diff(&was.1).types() {
                let names = delta.changed.iter().map(|resource| resource.name());
                let (changed, added): (Vec<&Arc<str>>, _) =
                    names.partition(|name| was.1.resource(type_url, name).is_some());
                let names = [changed, added, delta.removed.iter().collect()];
                let names = names.map(|names| names.into_iter().map(ToString::to_string).collect());
                let key = (class.clone(), type_url.as_str().to_owned(), names);
                alike.entry(key).or_default().push(proxy.reference.to_owned());
            }
        }
    }
    let mut changes: Vec<Change> = alike.into_iter().map(Change::new).collect();
    changes.sort_by(|a, b| {
        (&a.class, &a.type_url, &a.proxies).cmp(&(&b.class, &b.type_url, &b.proxies))
    });
    changes
}

/// The cluster and namespace of a proxy.
fn neighbourhood<'p>(proxy: &Concerned<'p>) -> &'p str {
    proxy.reference.rsplit_once('/').map_or(proxy.reference, |(place, _)| place)
}

/// A proxy's class, and what it is sent.
fn sent(generator: &mut Generator, mesh: &Mesh, reference: &str) -> (Option<String>, Snapshot) {
    let Ok(proxy) = mesh.proxy(reference) else { return (None, Snapshot::default()) };
    let view = mesh.view(&proxy);
    let snapshot = view.map(|view| generator.snapshot(&view)).unwrap_or_default();
    (Some(class_of(&proxy)), snapshot)
}

impl Change {
    fn new((key, proxies): (Key, Vec<String>)) -> Self {
        let (class, type_url, [changed, added, removed]) = key;
        Self { class, proxies, type_url, changed, added, removed }
    }

    /// Whether it can change where requests go: a listener, a route configuration, or a cluster that comes or goes.
    pub(super) fn routes_traffic(&self) -> bool {
        let short = self.type_url.rsplit('.').next().unwrap_or_default();
        let comes_or_goes = !self.added.is_empty() || !self.removed.is_empty();
        matches!(short, "Listener" | "RouteConfiguration") || (short == "Cluster" && comes_or_goes)
    }

    /// The names of what comes and goes, and of the listeners and route configurations that differ.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        let is_cluster = self.type_url.ends_with(".Cluster");
        let changed = self.changed.iter().filter(move |_| !is_cluster);
        changed.chain(&self.added).chain(&self.removed).map(String::as_str)
    }

    pub(super) fn to_json(&self) -> Value {
        json!({
            "proxy_class": self.class,
            "proxies": self.proxies,
            "type": self.type_url,
            "changed": self.changed,
            "added": self.added,
            "removed": self.removed,
        })
    }
}
