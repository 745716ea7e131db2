//! Requests that are newly allowed or denied.
use std::collections::BTreeMap;

use mesh_authz::{Authorizer, data_plane};
use mesh_model::compat::DataPlane;
use mesh_model::registry::Mesh;
use mesh_model::view::Proxy;
use serde_json::{Value, json};

use super::Sides;
use super::requests::requests;
use crate::Failure;
use crate::commands::authz::entrance::Door;
use crate::commands::authz::request::RequestFile;
use crate::commands::authz::{Decider, verdict};

/// A request whose answer changes, the first of those for which the same two rules decide.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) workload: String,
    pub(super) allowed: bool,
    pub(super) request: Value,
    pub(super) by_old: Decider,
    pub(super) by_new: Decider,
    /// How many of the requests that were tried change so.
    pub(super) count: usize,
}

/// Asks the workloads that both sides have the requests that their policies tell apart.
pub(super) fn changes(sides: Sides<'_>, proxies: &[String]) -> Result<Vec<Change>, Failure> {
    let mut changes = Vec::new();
    for reference in proxies {
        let (Ok(old), Ok(new)) = (sides.old.proxy(reference), sides.new.proxy(reference)) else {
            continue;
        };
        let (Some(was), Some(is)) = (Judge::new(sides.old, &old), Judge::new(sides.new, &new))
        else {
            continue;
        };
        if was.answers_like(&is) {
            continue;
        }
        let mut alike: BTreeMap<(bool, Decider, Decider), Change> = BTreeMap::new();
        let doors = [was.door(), is.door()];
        for request in requests(sides, &new, [was.sampled(), is.sampled()], &doors) {
            let mut file: RequestFile = serde_json::from_value(request.clone())?;
            file.fill_to(new.addresses.first().copied());
            let ((before, by_old), (allowed, by_new)) = (was.verdict(&file)?, is.verdict(&file)?);
            if before == allowed {
                continue;
            }
            let workload = reference.clone();
            let known = alike.entry((allowed, by_old.clone(), by_new.clone()));
            let change = Change { workload, allowed, request, by_old, by_new, count: 0 };
            known.or_insert(change).count += 1;
        }
        changes.extend(alike.into_values());
    }
    Ok(changes)
}

/// A workload and what decides who may call it.
struct Judge<'m> {
    mesh: &'m Mesh,
    proxy: &'m Proxy,
    authorizer: Authorizer,
    /// Where a ztunnel decides: what a sidecar would, whose rules can be taken apart. Requests are found by
    /// it, and answered by the ztunnel's.
    as_sidecar: Option<Authorizer>,
}

impl<'m> Judge<'m> {
    fn new(mesh: &'m Mesh, proxy: &'m Proxy) -> Option<Self> {
        let plane = mesh.control_plane_of(proxy.cluster.as_str())?;
        let authorizer = Authorizer::of_proxy(mesh, plane, proxy);
        let is_ztunnel = data_plane(mesh, proxy) == DataPlane::Ztunnel;
        let as_sidecar = is_ztunnel.then(|| Authorizer::of_envoy(mesh, plane, proxy));
        Some(Self { mesh, proxy, authorizer, as_sidecar })
    }

    pub(super) fn door(&self) -> Option<Door<'_>> {
        Door::of(self.mesh, self.proxy, &self.authorizer)
    }

    /// Whether the answers are the same to every request: so are the rules, and who is let in at all.
    fn answers_like(&self, other: &Self) -> bool {
        self.authorizer.is_equal(&other.authorizer)
            && self.door() == other.door()
            && self.proxy.addresses == other.proxy.addresses
    }

    fn sampled(&self) -> &Authorizer {
        self.as_sidecar.as_ref().unwrap_or(&self.authorizer)
    }

    fn verdict(&self, request: &RequestFile) -> Result<(bool, Decider), Failure> {
        verdict(self.mesh, (self.proxy, &self.authorizer), request)
    }
}

impl Change {
    pub(super) const fn word(&self) -> &'static str {
        if self.allowed { "newly_allowed" } else { "newly_denied" }
    }

    pub(super) fn to_json(&self) -> Value {
        json!({
            "workload": self.workload,
            "change": self.word(),
            "request": self.request,
            "by_old": self.by_old.by,
            "rule_old": self.by_old.rule,
            "by_new": self.by_new.by,
            "rule_new": self.by_new.rule,
            "count": self.count,
        })
    }
}
