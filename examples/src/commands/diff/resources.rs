//! Resources that proxies would be sent, by class of proxies and type.
use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::sent::Sent;

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

/// What differs so far.
#[derive(Debug, Default)]
pub(super) struct Changes(BTreeMap<Key, Vec<String>>);

impl Changes {
    /// Adds what each of these proxies is sent otherwise.
    pub(super) fn add(&mut self, proxies: &[Sent<'_>]) {
        for proxy in proxies {
            for (type_url, delta) in proxy.delta.types() {
                let names = delta.changed.iter().map(|resource| resource.name());
                let (changed, added): (Vec<&Arc<str>>, _) =
                    names.partition(|name| proxy.was.resource(type_url, name).is_some());
                let names = [changed, added, delta.removed.iter().collect()];
                let names = names.map(|names| names.into_iter().map(ToString::to_string).collect());
                let key = (proxy.class.clone(), type_url.as_str().to_owned(), names);
                self.0.entry(key).or_default().push(proxy.reference.to_owned());
            }
        }
    }

    /// All that differs, by class, type and proxies.
    pub(super) fn end(self) -> Vec<Change> {
        let mut changes: Vec<Change> = self.0.into_iter().map(Change::new).collect();
        changes.sort_by(|a, b| {
            (&a.class, &a.type_url, &a.proxies).cmp(&(&b.class, &b.type_url, &b.proxies))
        });
        changes
    }
}

impl Change {
    fn new((key, proxies): (Key, Vec<String>)) -> Self {
        let (class, type_url, [changed, added, removed]) = key;
        Self { class, proxies, type_url, changed, added, removed }
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
