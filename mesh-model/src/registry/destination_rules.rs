//! Which DestinationRule counts for a client and a host, merged from all that name the host.
//!
//! ```text
//! rules, oldest first ──index──▶ by namespace ▶ by host ▶ merged list ──lookup──▶ candidates
//! ```
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/model/push_context.go` `setDestinationRules`, `destinationRule`;
//! `destination_rule.go` `mergeDestinationRule`.
mod hosts;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use self::hosts::{ByHost, Hosts};
use super::ExportTo;
use crate::name::{Hostname, Labels, Namespace, Text};
use crate::resource::destination_rule::{Subset, TrafficPolicy};
use crate::resource::{DestinationRule, WorkloadSelector};

/// A rule with everything that other rules of its host add.
#[derive(Clone, Debug, PartialEq)]
pub struct MergedRule {
    /// The rule that the others were merged into; its name is the one that clusters report.
    pub rule: Arc<DestinationRule>,
    /// The host, completed.
    pub host: Hostname,
    /// The policy of all ports and subsets: that of the first rule that has one.
    pub traffic_policy: Option<TrafficPolicy>,
    /// The subsets of all rules; of several with one name the first.
    pub subsets: Vec<Subset>,
    /// Every rule that took part, in order, as namespace and name.
    pub from: Vec<(Namespace, Text)>,
    export_to: BTreeSet<Box<str>>,
}

impl MergedRule {
    /// Returns the first subset of a name.
    pub fn subset(&self, name: &str) -> Option<&Subset> {
        self.subsets.iter().find(|subset| *subset.name == *name)
    }

    /// Returns the labels that an endpoint of a subset must have; `None`: no restriction.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/xds/endpoints/endpoint_builder.go` `getSubSetLabels`.
    pub fn subset_labels(&self, name: &str) -> Option<&Labels> {
        if name.is_empty() {
            return None;
        }
        self.subset(name).map(|subset| &subset.labels).filter(|labels| !labels.is_empty())
    }

    fn selector(&self) -> Option<&WorkloadSelector> {
        self.rule.spec.workload_selector.as_ref()
    }

    /// Whether a namespace may use it when it is found outside the namespace's own.
    fn is_exported_to(&self, namespace: &Namespace) -> bool {
        self.export_to.is_empty()
            || self.export_to.contains("*")
            || self.export_to.contains(namespace.as_str())
    }
}

/// The rules of a control plane.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DestinationRules {
    // Those of one namespace are shared by the indexes before and after.
    local: BTreeMap<Namespace, Arc<Hosts>>,
    exported: BTreeMap<Namespace, Arc<Hosts>>,
    root_local: Arc<Hosts>,
    root_namespace: Namespace,
}

/// What indexing needs to know of the mesh.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "the inputs of one function")]
pub struct Scoping<'m> {
    /// `MeshConfig.rootNamespace`.
    pub root_namespace: &'m Namespace,
    /// `MeshConfig.defaultDestinationRuleExportTo`; only `*` and `.` are honoured.
    pub default_export_to: &'m ExportTo,
    /// The domain that short hosts are completed with.
    pub domain: &'m str,
    /// `ENABLE_ENHANCED_DESTINATIONRULE_MERGE`.
    pub enhanced_merge: bool,
}

impl DestinationRules {
    /// Indexes rules given in any order.
    pub fn new(
        rules: impl IntoIterator<Item = Arc<DestinationRule>>,
        scoping: &Scoping<'_>,
    ) -> Self {
        let mut rules: Vec<_> = rules.into_iter().collect();
        rules.sort_by(|a, b| order(a).cmp(&order(b)));
        let mut collected = Collected::default();
        for rule in &rules {
            collected.add(rule, scoping);
        }
        let by_namespace = |of: BTreeMap<Namespace, ByHost>| {
            of.into_iter().map(|(namespace, of)| (namespace, Arc::new(of.into()))).collect()
        };
        Self {
            local: by_namespace(collected.local),
            exported: by_namespace(collected.exported),
            root_local: Arc::new(collected.root_local.into()),
            root_namespace: scoping.root_namespace.clone(),
        }
    }

    /// Indexes the rules of one namespace again, given in any order.
    pub(crate) fn renewed(
        &self,
        namespace: &Namespace,
        rules: impl IntoIterator<Item = Arc<DestinationRule>>,
        scoping: &Scoping<'_>,
    ) -> Self {
        let mut own = Self::new(rules, scoping);
        let mut index = self.clone();
        replace(&mut index.local, namespace, own.local.remove(namespace));
        replace(&mut index.exported, namespace, own.exported.remove(namespace));
        if *namespace == self.root_namespace {
            index.root_local = own.root_local;
        }
        index
    }

    /// Returns the rules that may count for a client, in order: of its own namespace, else of the
    /// service's, else of the root namespace. In each the most specific host is taken first, and
    /// what is not exported to the client is dropped after that.
    pub fn candidates(
        &self,
        client: &Namespace,
        host: &Hostname,
        service: &Namespace,
    ) -> Vec<&MergedRule> {
        let (found, is_own) = self.list(client, host, service);
        let found = found.iter().map(|rule| &**rule);
        found.filter(|rule| is_own || rule.is_exported_to(client)).collect()
    }

    /// The rules among which those are that count, and whether they are of the client's namespace:
    /// then they count whomever they are exported to.
    fn list(
        &self,
        client: &Namespace,
        host: &Hostname,
        service: &Namespace,
    ) -> (&[Arc<MergedRule>], bool) {
        let own: Option<&Arc<Hosts>> = if *client == self.root_namespace {
            Some(&self.root_local)
        } else {
            self.local.get(client)
        };
        if let Some(list) = own.and_then(|hosts| hosts.find(host)) {
            return (list, true);
        }
        let lists = [service, &self.root_namespace].into_iter().filter_map(|namespace| {
            self.exported.get(namespace).and_then(|hosts| hosts.find(host))
        });
        let mut visible = lists.filter(|list| list.iter().any(|rule| rule.is_exported_to(client)));
        (visible.next().unwrap_or_default(), false)
    }

    /// Returns the rule in force for what a client sends to a service (its host and namespace):
    /// [`DestinationRules::effective`] of [`DestinationRules::candidates`].
    pub fn of_client(
        &self,
        client: &Namespace,
        (host, service): (&Hostname, &Namespace),
        labels: Option<&Labels>,
    ) -> Option<&MergedRule> {
        let (found, is_own) = self.list(client, host, service);
        let found = found.iter().map(|rule| &**rule);
        let visible = found.filter(|rule| is_own || rule.is_exported_to(client));
        in_force(visible, client, labels)
    }

    /// Returns the rule in force for a client's outbound traffic: the first with a selector that
    /// fits the client, of the client's own namespace, else the last without a selector.
    ///
    /// `labels` are the client's; `None` asks for inbound, where selectors never count.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/model/sidecar.go` `SidecarScope.DestinationRule`.
    pub fn effective<'r>(
        candidates: &[&'r MergedRule],
        client: &Namespace,
        labels: Option<&Labels>,
    ) -> Option<&'r MergedRule> {
        in_force(candidates.iter().copied(), client, labels)
    }

    /// Returns every merged rule, some of them more than once: those that count within their namespaces, then
    /// those that others may use, then the root namespace's own, each in the order of namespaces and hosts.
    pub fn iter(&self) -> impl Iterator<Item = &MergedRule> {
        let by_namespace = self.local.values().chain(self.exported.values());
        let hosts = by_namespace.chain([&self.root_local]);
        hosts.flat_map(|hosts| hosts.iter())
    }
}

/// The rules of a control plane while they are merged.
#[derive(Debug, Default)]
struct Collected {
    local: BTreeMap<Namespace, ByHost>,
    exported: BTreeMap<Namespace, ByHost>,
    root_local: ByHost,
}

impl Collected {
    fn add(&mut self, rule: &Arc<DestinationRule>, scoping: &Scoping<'_>) {
        let own = &rule.meta.namespace;
        let export_to = export_to(rule);
        let host = Hostname::resolve(&rule.spec.host, own.as_str(), scoping.domain);
        let incoming = Arc::new(MergedRule {
            rule: rule.clone(),
            host: host.clone(),
            traffic_policy: rule.spec.traffic_policy.clone(),
            subsets: unique_subsets(&rule.spec.subsets),
            from: vec![(own.clone(), rule.meta.name.clone())],
            export_to,
        });
        let names = &incoming.export_to;
        let only_own = names.contains(".") || names.contains(own.as_str());
        if names.is_empty() || names.contains("*") || only_own {
            let hosts = self.local.entry(own.clone()).or_default();
            merge(hosts.entry(host.clone()).or_default(), &incoming, scoping.enhanced_merge);
        }
        let is_private = if names.is_empty() {
            scoping.default_export_to.private
        } else {
            names.len() == 1 && only_own
        };
        if !is_private {
            let hosts = self.exported.entry(own.clone()).or_default();
            merge(hosts.entry(host).or_default(), &incoming, scoping.enhanced_merge);
        } else if own == scoping.root_namespace {
            let list = self.root_local.entry(host).or_default();
            merge(list, &incoming, scoping.enhanced_merge);
        }
    }
}

fn in_force<'r>(
    mut candidates: impl DoubleEndedIterator<Item = &'r MergedRule> + Clone,
    client: &Namespace,
    labels: Option<&Labels>,
) -> Option<&'r MergedRule> {
    let selected = labels.and_then(|labels| {
        candidates.clone().find(|rule| {
            rule.rule.meta.namespace == *client
                && rule.selector().is_some_and(|s| labels.contains(&s.match_labels))
        })
    });
    selected.or_else(|| candidates.rfind(|rule| rule.selector().is_none()))
}

fn replace(
    index: &mut BTreeMap<Namespace, Arc<Hosts>>,
    namespace: &Namespace,
    hosts: Option<Arc<Hosts>>,
) {
    match hosts {
        Some(hosts) => drop(index.insert(namespace.clone(), hosts)),
        None => drop(index.remove(namespace)),
    }
}

/// Rules with a selector first, then the older.
fn order(rule: &DestinationRule) -> (bool, (Option<i64>, &str, &Namespace)) {
    (rule.spec.workload_selector.is_none(), rule.meta.age())
}

/// A rule with a selector stays in its namespace whatever it says.
fn export_to(rule: &DestinationRule) -> BTreeSet<Box<str>> {
    if rule.spec.workload_selector.is_some() {
        return BTreeSet::from([".".into()]);
    }
    rule.spec.export_to.iter().cloned().collect()
}

fn unique_subsets(subsets: &[Subset]) -> Vec<Subset> {
    let mut unique: Vec<Subset> = Vec::with_capacity(subsets.len());
    for subset in subsets {
        if unique.iter().all(|known| known.name != subset.name) {
            unique.push(subset.clone());
        }
    }
    unique
}

/// Merges a rule into those of its host: into each that it is exported like, or wider than. It is
/// appended as one of its own if the last of them would not take it.
fn merge(list: &mut Vec<Arc<MergedRule>>, incoming: &Arc<MergedRule>, enhanced: bool) {
    let mut append = true;
    for known in list.iter_mut() {
        if enhanced {
            let same = known.export_to == incoming.export_to;
            let wider =
                !known.export_to.is_empty() && incoming.export_to.is_superset(&known.export_to);
            append = !same;
            if !same && !wider {
                continue;
            }
        }
        match (known.selector(), incoming.selector()) {
            (Some(a), Some(b)) if a.match_labels != b.match_labels => {
                append = true;
                continue;
            }
            (Some(_), Some(_)) | (None, None) => append = false,
            (Some(_), None) | (None, Some(_)) => {}
        }
        absorb(Arc::make_mut(known), incoming);
    }
    if append {
        list.push(incoming.clone());
    }
}

/// Adds what a rule has and the other lacks: subsets by name, and the top-level policy as a whole.
fn absorb(known: &mut MergedRule, incoming: &MergedRule) {
    known.from.extend(incoming.from.iter().cloned());
    for subset in &incoming.subsets {
        if known.subset(&subset.name).is_none() {
            known.subsets.push(subset.clone());
        }
    }
    if known.traffic_policy.is_none() {
        known.traffic_policy.clone_from(&incoming.traffic_policy);
    }
}
