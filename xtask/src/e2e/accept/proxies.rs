//! The proxies of a mesh folder.
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use mesh_model::Compat;
use mesh_model::registry::{Origin, Registry, Source};
use mesh_model::view::ProxyKind;
use serde_json::Value;

use crate::e2e::random::Random;
use crate::problem::{Attempt, Problem};
use crate::workspace;

/// References `CLUSTER/NAMESPACE/POD`.
#[derive(Clone, Debug)]
pub(super) struct Proxies {
    pub(super) all: Vec<String>,
    /// Those that the folder names, and gateways.
    named: BTreeSet<String>,
}

impl Proxies {
    /// Those that the folder names, gateways, and so many random others.
    pub(super) fn some(self, others: usize, seed: u64) -> Vec<String> {
        let mut random = Random::new(seed);
        let Self { mut all, named } = self;
        all.retain(|proxy| !named.contains(proxy));
        let mut selected: Vec<String> = named.into_iter().collect();
        for _ in 0..others.min(all.len()) {
            selected.push(all.swap_remove(random.below(all.len())));
        }
        selected
    }
}

pub(super) fn proxies(folder: &Path) -> Result<Proxies, Problem> {
    let mut registry = Registry::new(Compat::default());
    registry.load(sources(folder)?);
    let mesh = registry.mesh();
    let all: Vec<String> = mesh.proxies().collect();
    let is_gateway =
        |name: &&String| mesh.proxy(name).is_ok_and(|proxy| proxy.kind == ProxyKind::Router);
    let mut named: BTreeSet<String> = all.iter().filter(is_gateway).cloned().collect();
    let list = folder.join("proxies.json");
    if list.is_file() {
        let text = std::fs::read(&list).attempt(format!("read `{}`", list.display()))?;
        let list: Vec<Value> =
            serde_json::from_slice(&text).attempt(format!("read `{}`", list.display()))?;
        let name = |proxy: &Value| Some(proxy.get("ref")?.as_str()?.to_owned());
        named.extend(list.iter().filter_map(name));
    }
    Ok(Proxies { all, named })
}

fn sources(folder: &Path) -> Result<Vec<Source>, Problem> {
    let mut sources = Vec::new();
    let mut pending = vec![folder.to_owned()];
    while let Some(path) = pending.pop() {
        if path.is_dir() {
            pending.extend(workspace::entries(&path)?);
            continue;
        }
        let relative = path.strip_prefix(folder).unwrap_or(&path);
        let parts: Vec<_> = relative.iter().map(|part| part.to_string_lossy()).collect();
        let name = parts.join("/");
        let Some(origin) = Origin::of_path(&name) else { continue };
        let text = std::fs::read(&path).attempt(format!("read `{}`", path.display()))?;
        sources.push(Source { origin, name: Arc::from(name), text });
    }
    Ok(sources)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_proxies_come_first_and_nobody_twice() {
        let all: Vec<String> = (0..9).map(|number: u32| format!("c/n/p-{number}")).collect();
        let named = [all[4].clone()].into();
        let some = Proxies { all, named }.some(3, 1);
        assert_eq!((some.len(), some[0].as_str()), (4, "c/n/p-4"));
        assert_eq!(some.iter().collect::<BTreeSet<_>>().len(), 4);
    }
}
