//! Requests that are newly allowed or denied by the workload that is called: of each it is given what the caller
//! shows, so that a caller that shows something else after the change is not told here.
use std::collections::{BTreeMap, BTreeSet};

use mesh_authz::rbac::{Body, Filter, Place, Policy};
use mesh_authz::{Authorizer, Traffic, data_plane};
use mesh_model::compat::DataPlane;
use mesh_model::registry::Mesh;
use mesh_model::view::{Proxy, ProxyKind};
use serde_json::{Value, json};

use super::Sides;
use super::requests::{Asked, ports_of};
use crate::Failure;
use crate::commands::authz::entrance::Door;
use crate::commands::authz::request::RequestFile;
use crate::commands::authz::{Decider, verdict};

/// A request whose answer changes, the first of those for which the same two rules decide.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub(super) workload: String,
    pub(super) allowed: bool,
    pub(super) request: Value,
    pub(super) by_old: Decider,
    pub(super) by_new: Decider,
    /// The external authorizer that denies the request, or would; `None`: all of them allow.
    pub(super) if_denied_by: Option<String>,
    /// How many of the requests that were tried change so.
    pub(super) count: usize,
}

/// What was found of requests.
#[derive(Clone, Debug, Default)]
pub(super) struct Decisions {
    pub(super) changes: Vec<Change>,
    pub(super) incomplete: Vec<Incomplete>,
}

/// A rule that only one side has, and of which no request was found that it decides, though not all was
/// tried.
#[derive(Clone, Debug)]
pub(super) struct Incomplete {
    pub(super) workload: String,
    /// The policy and its rule; `None`: the ALLOW policies as a whole.
    pub(super) rule: Option<Decider>,
}

/// Workloads of which what was found is kept for those that are like them.
const KNOWN: usize = 256;

/// Asks the workloads that both sides have the requests that their policies tell apart. Workloads that decide
/// by the same policies in the same place are asked once.
pub(super) fn changes(sides: Sides<'_>, proxies: &[String]) -> Result<Decisions, Failure> {
    let mut all = Decisions::default();
    let mut known: Vec<([Judge<'_>; 2], Decisions)> = Vec::new();
    for reference in proxies {
        let (Ok(old), Ok(new)) = (sides.old.proxy(reference), sides.new.proxy(reference)) else {
            continue;
        };
        let (Some(was), Some(is)) = (Judge::new(sides.old, old), Judge::new(sides.new, new)) else {
            continue;
        };
        if was.answers_like(&is) {
            continue;
        }
        let judges = [was, is];
        if let Some((_, found)) = known.iter().find(|(known, _)| are_alike(known, &judges)) {
            all.extend(found.of(reference));
            continue;
        }
        let found = of_workload(reference, &judges, &asked(sides, &judges))?;
        all.extend(found.clone());
        if known.len() < KNOWN && is_anywhere(&judges) {
            known.push((judges, found));
        }
    }
    Ok(all)
}

impl Decisions {
    fn extend(&mut self, other: Self) {
        self.changes.extend(other.changes);
        self.incomplete.extend(other.incomplete);
    }

    /// The same of a workload that is like the one that it was found of.
    fn of(&self, workload: &str) -> Self {
        let mut of = self.clone();
        of.changes.iter_mut().for_each(|change| change.workload = workload.to_owned());
        of.incomplete.iter_mut().for_each(|rule| rule.workload = workload.to_owned());
        of
    }
}

/// What is compared at a workload.
fn asked<'a>(sides: Sides<'a>, [was, is]: &'a [Judge<'_>; 2]) -> Asked<'a> {
    let mixed = [was, is].map(|judge| judge.as_ztunnel.as_ref().filter(|_| !judge.is_ztunnel));
    let [of_old, of_new] = mixed;
    let is_mixed = of_old.is_some() || of_new.is_some();
    let own = [was.sampled(), is.sampled()];
    let others = [of_old.unwrap_or(was.sampled()), of_new.unwrap_or(is.sampled())];
    Asked {
        sides,
        proxies: [&was.proxy, &is.proxy],
        authorizers: std::iter::once(own).chain(is_mixed.then_some(others)).collect(),
        doors: [&was.door, &is.door],
        same_door: was.door == is.door,
    }
}

/// Whether what is found of two workloads is the same, but for their names.
fn are_alike(one: &[Judge<'_>; 2], other: &[Judge<'_>; 2]) -> bool {
    is_anywhere(other) && one.iter().zip(other).all(|(one, other)| one.is_like(other))
}

/// Whether it does not matter where a workload is: no policy asks for it, and requests need not name it.
fn is_anywhere([was, is]: &[Judge<'_>; 2]) -> bool {
    let of = |judge: &Judge<'_>| judge.proxy.addresses.first().copied();
    of(was) == of(is) && was.is_anywhere() && is.is_anywhere()
}

/// The changes of one workload, with external authorizers that allow, and with each of them denying alone.
fn of_workload(
    workload: &str,
    [was, is]: &[Judge<'_>; 2],
    asked: &Asked<'_>,
) -> Result<Decisions, Failure> {
    let [of_old, of_new] = [was, is].map(|judge| external_authorizers(&judge.authorizer));
    let deniers: BTreeSet<&str> = of_old.union(&of_new).copied().collect();
    let mut alike: BTreeMap<(bool, Option<&str>, Decider, Decider), Change> = BTreeMap::new();
    let requests = asked.requests();
    for request in requests.files {
        let mut file: RequestFile = serde_json::from_value(request.clone())?;
        file.fill_to(is.proxy.addresses.first().copied());
        let mut usual = None;
        for denier in std::iter::once(None).chain(deniers.iter().copied().map(Some)) {
            let (before, by_old) = was.verdict(&file, denier)?;
            let (allowed, by_new) = is.verdict(&file, denier)?;
            // What changes whoever denies is told once.
            let answers = Some((before, allowed));
            if before == allowed || usual == answers {
                continue;
            }
            usual = usual.or(answers.filter(|_| denier.is_none()));
            let key = (allowed, denier, by_old.clone(), by_new.clone());
            let change = || Change {
                workload: workload.to_owned(),
                allowed,
                request: request.clone(),
                by_old,
                by_new,
                if_denied_by: denier.map(str::to_owned),
                count: 0,
            };
            alike.entry(key).or_insert_with(change).count += 1;
        }
    }
    let changes: Vec<Change> = alike.into_values().collect();
    let is_told = |rule: &Option<Decider>| {
        let is_by = |of: &Decider| rule.as_ref() == Some(of);
        changes.iter().any(|change| is_by(&change.by_old) || is_by(&change.by_new))
    };
    let incomplete = requests.incomplete.into_iter().filter(|rule| !is_told(rule));
    let incomplete =
        incomplete.map(|rule| Incomplete { workload: workload.to_owned(), rule }).collect();
    Ok(Decisions { changes, incomplete })
}

/// Who may be asked about a request of a workload, or of a service behind a waypoint.
fn external_authorizers(authorizer: &Authorizer) -> BTreeSet<&str> {
    let services = authorizer.services().iter().map(|service| &service.authorizer);
    let all = services.chain([authorizer]).flat_map(|of| {
        [Traffic::Http, Traffic::Tcp].map(|traffic| of.external_authorizers(traffic))
    });
    all.flatten().collect()
}

/// A workload and what decides who may call it.
struct Judge<'m> {
    mesh: &'m Mesh,
    proxy: Proxy,
    authorizer: Authorizer,
    /// Where a ztunnel decides, or may: what a sidecar would by the same policies, whose rules can be taken
    /// apart. Requests are found by it, and answered by the ztunnel's.
    as_ztunnel: Option<Authorizer>,
    /// Whether a ztunnel decides, and nobody else.
    is_ztunnel: bool,
    door: Option<Door<'m>>,
}

impl<'m> Judge<'m> {
    fn new(mesh: &'m Mesh, proxy: Proxy) -> Option<Self> {
        let plane = mesh.control_plane_of(proxy.cluster.as_str())?;
        let authorizer = Authorizer::of_proxy(mesh, plane, &proxy);
        let is_ztunnel = data_plane(mesh, &proxy) == DataPlane::Ztunnel;
        let as_ztunnel = Authorizer::as_envoy_of_ztunnel(mesh, plane, &proxy);
        let door = Door::of(mesh, &proxy, &authorizer);
        Some(Self { mesh, proxy, authorizer, as_ztunnel, is_ztunnel, door })
    }

    /// Whether the answers are the same to every request: so are the rules, and who is let in at all.
    fn answers_like(&self, other: &Self) -> bool {
        self.authorizer.is_equal(&other.authorizer)
            && self.door == other.door
            && self.proxy.addresses == other.proxy.addresses
    }

    /// Whether another workload of the same side is asked the same, and answers the same.
    fn is_like(&self, other: &Self) -> bool {
        let place =
            |of: &Self| (of.proxy.kind, of.proxy.cluster.clone(), of.proxy.namespace.clone());
        let is_same = match (&self.as_ztunnel, &other.as_ztunnel) {
            (Some(one), Some(other)) => one.is_equal(other),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        is_same
            && self.authorizer.is_equal(&other.authorizer)
            && place(self) == place(other)
            && self.door == other.door
            && ports_of(self.mesh, &self.proxy) == ports_of(other.mesh, &other.proxy)
    }

    /// Whether no policy asks for the workload's address, nor for a service's behind it.
    fn is_anywhere(&self) -> bool {
        let of = self.sampled();
        let names = [Traffic::Http, Traffic::Tcp].iter().any(|traffic| {
            let filters = of.chain(*traffic).filters.iter().filter_map(|filter| match filter {
                Filter::Rbac(filter) => Some(filter),
                Filter::ExternalAuthorization { .. } => None,
            });
            let rules = filters.flat_map(|filter| filter.rules.iter().chain(&filter.shadow_rules));
            rules.flat_map(|rules| rules.policies()).any(|policy| names_address(policy))
        });
        self.proxy.kind != ProxyKind::Waypoint && of.services().is_empty() && !names
    }

    fn sampled(&self) -> &Authorizer {
        self.as_ztunnel.as_ref().filter(|_| self.is_ztunnel).unwrap_or(&self.authorizer)
    }

    fn verdict(
        &self,
        request: &RequestFile,
        denier: Option<&str>,
    ) -> Result<(bool, Decider), Failure> {
        verdict(self.mesh, (&self.proxy, &self.authorizer), request, denier)
    }
}

/// Whether a rule asks for the address that requests go to.
fn names_address(policy: &Policy) -> bool {
    let Body::Rule { permissions, .. } = &policy.body else { return false };
    let mut places =
        permissions.iter().flat_map(|to| &to.clauses).map(|clause| &clause.field.place);
    places.any(|place| matches!(place, Place::When { key, .. } if **key == *"destination.ip"))
}

impl Incomplete {
    pub(super) fn to_json(&self) -> Value {
        let rule = self.rule.as_ref();
        json!({
            "workload": self.workload,
            "policy": rule.map(|rule| &rule.by),
            "rule": rule.and_then(|rule| rule.rule),
        })
    }
}

impl Change {
    pub(super) const fn word(&self) -> &'static str {
        if self.allowed { "newly_allowed" } else { "newly_denied" }
    }

    pub(super) fn to_json(&self) -> Value {
        let mut told = json!({
            "workload": self.workload,
            "change": self.word(),
            "request": self.request,
            "by_old": self.by_old.by,
            "rule_old": self.by_old.rule,
            "by_new": self.by_new.by,
            "rule_new": self.by_new.rule,
            "count": self.count,
        });
        if let (Some(denier), Some(told)) = (&self.if_denied_by, told.as_object_mut()) {
            told.insert("if_denied_by".to_owned(), denier.as_str().into());
        }
        told
    }
}
