//! Envoy's config dump: what it holds, in which version, and what it could not use.
use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::e2e::envoy::Envoy;
use crate::problem::Problem;

/// What an Envoy was sent, as it says itself.
#[derive(Clone, Debug)]
pub(super) struct Dump(Value);

/// How a type stands in a dump: our name, its list of resources, and where each has its name. A
/// resource that is active has its version beside it.
const KINDS: &[(&str, &str, &str, &str)] = &[
    ("clusters", "dynamic_active_clusters", "/cluster/name", "/version_info"),
    ("listeners", "dynamic_listeners", "/active_state/listener/name", "/active_state/version_info"),
    ("routes", "dynamic_route_configs", "/route_config/name", "/version_info"),
    ("endpoints", "dynamic_endpoint_configs", "/endpoint_config/cluster_name", "/version_info"),
];

impl Dump {
    pub(super) fn of(envoy: &Envoy) -> Result<Self, Problem> {
        Ok(Self(envoy.ask("/config_dump?include_eds")?))
    }

    fn lists<'d>(&'d self, key: &'d str) -> impl Iterator<Item = &'d Value> {
        let configs = self.0.get("configs").and_then(Value::as_array).into_iter().flatten();
        configs.filter_map(move |config| config.get(key)?.as_array()).flatten()
    }

    /// The names of the active resources of a type.
    pub(super) fn active(&self, kind: &str) -> BTreeSet<String> {
        let kinds = KINDS.iter().filter(|(name, ..)| *name == kind);
        kinds
            .flat_map(|(_, list, name, _)| self.lists(list).filter_map(|r| text(r, name)))
            .collect()
    }

    /// The version of every active resource, by type and name.
    pub(super) fn versions(&self) -> BTreeMap<String, String> {
        let mut versions = BTreeMap::new();
        for (kind, list, name, version) in KINDS {
            for resource in self.lists(list) {
                if let (Some(name), Some(version)) = (text(resource, name), text(resource, version))
                {
                    versions.insert(format!("{kind} {name}"), version);
                }
            }
        }
        versions
    }

    /// A problem if something warms up or was refused.
    pub(super) fn no_errors(&self) -> Result<(), Problem> {
        if let Some(warming) = self.lists("dynamic_warming_clusters").next() {
            let name = text(warming, "/cluster/name").unwrap_or_default();
            return Err(Problem(format!("cluster `{name}` is not warm")));
        }
        for (_, list, ..) in KINDS {
            for resource in self.lists(list) {
                if let Some(error) = resource.get("error_state") {
                    return Err(Problem(format!("Envoy refused a resource: {error}")));
                }
                if resource.get("warming_state").is_some() {
                    return Err(Problem(format!("a resource is not warm: {resource}")));
                }
            }
        }
        Ok(())
    }
}

fn text(value: &Value, pointer: &str) -> Option<String> {
    value.pointer(pointer)?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn dump(listener: &Value) -> Dump {
        Dump(json!({"configs": [
            {"@type": "…ClustersConfigDump", "dynamic_active_clusters": [
                {"version_info": "v1", "cluster": {"name": "a"}}]},
            {"@type": "…ListenersConfigDump", "dynamic_listeners": [listener]},
        ]}))
    }

    #[test]
    fn active_resources_have_names_and_versions() {
        let active = json!({"version_info": "v2", "listener": {"name": "l"}});
        let dump = dump(&json!({"name": "l", "active_state": active}));
        assert_eq!(dump.active("clusters"), ["a".to_owned()].into());
        assert_eq!(dump.active("routes"), BTreeSet::new());
        let pair = |name: &str, version: &str| (name.to_owned(), version.to_owned());
        assert_eq!(dump.versions(), [pair("clusters a", "v1"), pair("listeners l", "v2")].into());
        assert_eq!(dump.no_errors(), Ok(()));
    }

    #[test]
    fn what_was_refused_or_waits_is_a_problem() {
        assert!(dump(&json!({"name": "l", "error_state": {"details": "no"}})).no_errors().is_err());
        assert!(dump(&json!({"name": "l", "warming_state": {}})).no_errors().is_err());
    }
}
