//! Shares of traffic that move, by class of proxies.
use std::collections::BTreeMap;

use mesh_lb::whatif::{Outcome, Shift};
use mesh_model::registry::Mesh;
use mesh_model::view::{Proxy, Scopes};
use serde_json::{Value, json};

use super::Sides;
use super::concerned::Concerned;
use crate::commands::plan::destinations_of;
use crate::commands::whatif::moved_to_json;

/// One destination whose traffic moves, for the proxies for which it moves alike.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) class: String,
    pub(super) proxies: Vec<String>,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) subset: String,
    pub(super) shift: Shift,
}

type Key = (String, u16, String);
/// Changes by class and destination.
type Alike = BTreeMap<(String, Key), Vec<Change>>;

/// Compares where the proxies' traffic goes; a destination that one side lacks goes nowhere there. A
/// proxy that one side lacks has no traffic that moves: it comes or goes with its workload.
pub(super) fn changes(sides: Sides<'_>, proxies: &[Concerned<'_>]) -> Vec<Change> {
    let mut changes = Alike::new();
    let mut scopes = [Scopes::default(), Scopes::default()];
    for proxy in proxies {
        let mut scopes = scopes.iter_mut();
        let [before, after] = sides.each().map(|mesh| Seen::new(mesh, proxy, scopes.next()));
        let (Some(before), Some(after)) = (before, after) else { continue };
        let mut keys: Vec<&Key> = before.outcomes.keys().chain(after.outcomes.keys()).collect();
        keys.sort();
        keys.dedup();
        for key in keys {
            let nowhere = Outcome::nowhere();
            let [was, is] =
                [&before, &after].map(|side| side.outcomes.get(key).unwrap_or(&nowhere));
            let shift = Shift::new(was, is);
            if !shift.moved.is_empty() {
                add(&mut changes, (&after.class, proxy.reference), key, shift);
            }
        }
    }
    let mut changes: Vec<Change> = changes.into_values().flatten().collect();
    changes.sort_by(|a, b| a.key().cmp(&b.key()));
    changes
}

/// Adds a shift to the change that it is alike.
fn add(changes: &mut Alike, (class, reference): (&str, &str), key: &Key, shift: Shift) {
    let of_key = changes.entry((class.to_owned(), key.clone())).or_default();
    match of_key.iter_mut().find(|change| change.shift == shift) {
        Some(change) => change.proxies.push(reference.to_owned()),
        None => of_key.push(Change {
            class: class.to_owned(),
            proxies: vec![reference.to_owned()],
            host: key.0.clone(),
            port: key.1,
            subset: key.2.clone(),
            shift,
        }),
    }
}

/// What one proxy sees on one side.
struct Seen {
    class: String,
    outcomes: BTreeMap<Key, Outcome>,
}

impl Seen {
    /// `None`: the side has no such proxy.
    fn new(mesh: &Mesh, concerned: &Concerned<'_>, scopes: Option<&mut Scopes>) -> Option<Self> {
        let proxy = mesh.proxy(concerned.reference).ok()?;
        let class = class_of(&proxy);
        let view = scopes.and_then(|scopes| scopes.view(mesh, &proxy));
        let Some(view) = view else { return Some(Self { class, outcomes: BTreeMap::new() }) };
        let destinations = destinations_of(&view, |host| concerned.may_move(host));
        let outcomes = destinations.into_iter().map(|destination| {
            let host = destination.service.hostname.to_string();
            let key = (host, destination.port.number, destination.subset.to_string());
            (key, Outcome::now(&view, &destination))
        });
        Some(Self { class, outcomes: outcomes.collect() })
    }
}

/// The name of a proxy's class: where it is.
pub(super) fn class_of(proxy: &Proxy) -> String {
    mesh_lb::whatif::clients::class_name(proxy)
}

impl Change {
    fn key(&self) -> (&str, u16, &str, &str, &[String]) {
        (&self.host, self.port, &self.subset, &self.class, &self.proxies)
    }

    pub(super) fn to_json(&self) -> Value {
        json!({
            "proxy_class": self.class,
            "proxies": self.proxies,
            "host": self.host,
            "port": self.port,
            "subset": self.subset,
            "moved": self.shift.moved.iter().map(moved_to_json).collect::<Vec<_>>(),
            "total_moved": self.shift.total(),
        })
    }
}
