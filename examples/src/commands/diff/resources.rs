//! Resources that proxies would be sent, by class of proxies and type.
use std::collections::{BTreeMap, BTreeSet};

use mesh_model::registry::Mesh;
use mesh_xds_gen::Resources;
use mesh_xds_gen::snapshot::{Snapshot, Version};
use serde_json::{Value, json};

use super::Sides;
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

type ByType = BTreeMap<String, BTreeMap<String, Version>>;

/// Compares what each proxy is sent.
pub(super) fn changes(sides: Sides<'_>, proxies: &[String]) -> Vec<Change> {
    let mut changes: Vec<Change> = Vec::new();
    for reference in proxies {
        let [old, new] = sides.each().map(|mesh| sent(mesh, reference));
        let Some(class) = new.0.as_ref().or(old.0.as_ref()) else { continue };
        let types: BTreeSet<&String> = old.1.keys().chain(new.1.keys()).collect();
        let none = BTreeMap::new();
        for type_url in types {
            let [was, is] = [&old, &new].map(|side| side.1.get(type_url).unwrap_or(&none));
            let missing = |from: &BTreeMap<String, Version>, other: &BTreeMap<String, Version>| {
                from.keys().filter(|name| !other.contains_key(*name)).cloned().collect::<Vec<_>>()
            };
            let changed = is
                .iter()
                .filter(|(name, version)| was.get(*name).is_some_and(|before| before != *version));
            let change = Change {
                class: class.clone(),
                proxies: Vec::new(),
                type_url: type_url.clone(),
                changed: changed.map(|(name, _)| name.clone()).collect(),
                added: missing(is, was),
                removed: missing(was, is),
            };
            add(&mut changes, change, reference);
        }
    }
    changes.sort_by(|a, b| {
        (&a.class, &a.type_url, &a.proxies).cmp(&(&b.class, &b.type_url, &b.proxies))
    });
    changes
}

/// Adds a change to the one that it is alike; nothing if nothing differs.
fn add(changes: &mut Vec<Change>, change: Change, reference: &str) {
    if change.changed.is_empty() && change.added.is_empty() && change.removed.is_empty() {
        return;
    }
    let alike = changes.iter_mut().find(|known| known.is_like(&change));
    match alike {
        Some(known) => known.proxies.push(reference.to_owned()),
        None => changes.push(Change { proxies: vec![reference.to_owned()], ..change }),
    }
}

/// A proxy's class, and what it is sent: the version of each resource by type and name.
fn sent(mesh: &Mesh, reference: &str) -> (Option<String>, ByType) {
    let Ok(proxy) = mesh.proxy(reference) else { return (None, ByType::new()) };
    let class = Some(class_of(&proxy));
    let Some(view) = mesh.view(&proxy) else { return (class, ByType::new()) };
    let snapshot = Snapshot::new(Resources::new(&view).into_resources());
    let by_type = snapshot.types().map(|(url, resources)| {
        let names = resources.iter().map(|found| (found.name().to_string(), found.version()));
        (url.as_str().to_owned(), names.collect())
    });
    (class, by_type.collect())
}

impl Change {
    fn is_like(&self, other: &Self) -> bool {
        (&self.class, &self.type_url) == (&other.class, &other.type_url)
            && self.changed == other.changed
            && self.added == other.added
            && self.removed == other.removed
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
