//! What one client wants of one type, what it was sent, and which names are to be looked at.
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::snapshot::{Collection, Resource, TypeUrl, Version};

/// The name that subscribes to everything.
pub(crate) const WILDCARD: &str = "*";

/// Why a name is to be looked at when the next response is made.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Need {
    /// It may differ from what the client holds.
    IfChanged,
    /// It is to be sent even if the client holds it.
    Resend,
    /// Likewise, and if it does not exist the client is to be told.
    Answer,
}

/// INVARIANT: `held` and `pending` know no more names than are subscribed to, or exist under a
/// wildcard.
#[derive(Clone, Debug, Default)]
pub(crate) struct Subscription {
    pub(crate) wildcard: bool,
    pub(crate) names: BTreeSet<Arc<str>>,
    /// What the names brought, under its own names; it stays subscribed to until it is gone or
    /// the client does not want it, even if the name that brought it no longer does.
    pub(crate) brought: BTreeSet<Arc<str>>,
    /// Names may bring others than they did.
    stale: bool,
    /// Nothing was answered yet: what the client says that it holds need not be sent again.
    pub(crate) begins: bool,
    /// What was sent last of each name; `None`: the client holds a version that is not one of ours.
    pub(crate) held: BTreeMap<Arc<str>, Option<Version>>,
    /// State of the world: names, among them `*`, that a request which came too late to count gave
    /// up. If the client wants one again it has dropped it meanwhile.
    pub(crate) given_up: BTreeSet<Arc<str>>,
    /// Delta: names given up while a response was on its way that may hold them.
    doubtful: BTreeSet<Arc<str>>,
    pending: BTreeMap<Arc<str>, Need>,
    everything: Option<Need>,
    /// The next response is due even if it is empty.
    pub(crate) answer: bool,
    /// The next response answers a request.
    pub(crate) asked: bool,
}

/// What a response holds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Composed {
    pub(crate) resources: Vec<Arc<Resource>>,
    pub(crate) removed: Vec<Arc<str>>,
    /// The client did not ask for everything, and is told by which names it knows what it gets.
    pub(crate) tells_aliases: bool,
    /// The endpoints that clusters in it need before they are warm.
    pub(crate) warming: Vec<Arc<str>>,
    /// It answers a request.
    pub(crate) asked: bool,
}

impl Subscription {
    pub(crate) fn covers(&self, name: &str) -> bool {
        self.wildcard || self.names.contains(name) || self.brought.contains(name)
    }

    /// Returns how many of these names are not subscribed to yet.
    pub(crate) fn count_new(&self, names: &[String]) -> usize {
        names.iter().filter(|name| !self.names.contains(name.as_str())).count()
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.pending.is_empty() && self.everything.is_none() && !self.answer && !self.stale
    }

    /// Whether the resource is not what the client holds.
    pub(crate) fn differs(&self, name: &str, resource: Option<&Arc<Resource>>) -> bool {
        match (self.held.get(name), resource) {
            (None, None) => false,
            (Some(held), Some(resource)) => *held != Some(resource.version()),
            _ => true,
        }
    }

    /// Whether everything is to be looked at, not only some names.
    pub(crate) fn is_refreshing(&self) -> bool {
        self.everything.is_some()
    }

    pub(crate) fn need(&mut self, name: Arc<str>, need: Need) {
        let known = self.pending.entry(name).or_insert(need);
        *known = need.max(*known);
    }

    pub(crate) fn need_everything(&mut self, need: Need) {
        self.everything = self.everything.max(Some(need));
    }

    /// Takes note of what two snapshots do not share.
    pub(crate) fn note_differences(&mut self, before: &Collection, after: &Collection) {
        for (old, new) in Collection::differences(before, after) {
            self.stale |= new.is_some_and(|new| !new.brought_by().is_empty());
            if let Some(resource) = new.or(old)
                && self.covers(resource.name())
            {
                self.need(resource.name().clone(), Need::IfChanged);
            }
        }
    }

    /// Forgets what is no longer subscribed to.
    pub(crate) fn forget_uncovered(&mut self) {
        if !self.wildcard {
            let (names, brought) = (&self.names, &self.brought);
            let covers = |name: &Arc<str>| names.contains(name) || brought.contains(name);
            self.held.retain(|name, _| covers(name));
            self.pending.retain(|name, _| covers(name));
        }
    }

    pub(crate) fn forget(&mut self, name: &str) {
        self.held.remove(name);
        self.pending.remove(name);
    }

    /// Takes note that what is held and not subscribed to any more may yet arrive: if the client
    /// subscribes to everything again before it does, only the server can know that it is to be
    /// told of its removal.
    pub(crate) fn doubt_uncovered(&mut self) {
        let given_up = self.held.keys().filter(|name| !self.covers(name)).cloned();
        self.doubtful.extend(given_up.collect::<Vec<_>>());
    }

    /// Takes note that nothing is on its way any more.
    pub(crate) fn settle(&mut self) {
        self.doubtful.clear();
    }

    /// Counts what may have arrived meanwhile among what the client holds, in a version that is not
    /// known.
    pub(crate) fn hold_doubtful(&mut self) {
        for name in std::mem::take(&mut self.doubtful) {
            self.held.entry(name).or_insert(None);
        }
    }

    /// Subscribes to what the names bring, and has it looked at: after a request of what was asked for,
    /// after a change of everything.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/xds/workload.go` `generateDeltasOndemand`. istiod looks up again only
    /// names that changed themselves: of a service, its new workloads wait until the service changes.
    /// It also sends the workloads of the client's own node unasked; here they are sent when asked for.
    pub(crate) fn bring(&mut self, collection: &Collection) {
        let begins = std::mem::take(&mut self.begins);
        let again = if begins { Need::IfChanged } else { Need::Resend };
        let is_stale = std::mem::take(&mut self.stale) || self.everything.is_some() || begins;
        let is_asked = |need: Option<&Need>| need.is_some_and(|need| *need > Need::IfChanged);
        for name in &self.names {
            let is_asked = is_asked(self.pending.get(name).max(self.everything.as_ref()));
            if !is_asked && !is_stale {
                continue;
            }
            let need = if is_asked { again } else { Need::IfChanged };
            for resource in collection.brought_by(name) {
                self.brought.insert(resource.name().clone());
                let known = self.pending.entry(resource.name().clone()).or_insert(need);
                *known = need.max(*known);
            }
        }
    }

    /// Forgets what names brought that may not be wanted any more; those that are bring theirs again.
    pub(crate) fn bring_anew(&mut self) {
        self.brought.clear();
        self.stale = true;
    }

    /// Takes the names to look at, in order; nothing is pending afterwards.
    pub(crate) fn take_work(&mut self, collection: &Collection) -> BTreeMap<Arc<str>, Need> {
        self.stale = false;
        let mut work = std::mem::take(&mut self.pending);
        let Some(everything) = self.everything.take() else { return work };
        let mut add = |name: &Arc<str>| {
            let need = work.entry(name.clone()).or_insert(everything);
            *need = everything.max(*need);
        };
        self.names.iter().chain(&self.brought).for_each(&mut add);
        if self.wildcard {
            collection.iter().for_each(|resource| add(resource.name()));
            self.held.keys().for_each(add);
        }
        work
    }

    /// Returns all that the subscription covers, in order.
    pub(crate) fn covered<'a>(&'a self, collection: &'a Collection) -> Vec<Arc<Resource>> {
        if self.wildcard {
            collection.iter().cloned().collect()
        } else {
            let brought = self.brought.iter().filter(|name| !self.names.contains(*name));
            let names = self.names.iter().chain(brought);
            let mut found: Vec<_> =
                names.filter_map(|name| collection.find(name)).cloned().collect();
            found.sort_by(|a, b| a.name().cmp(b.name()));
            found
        }
    }
}

/// Returns the endpoints that these resources refer to, if they are clusters.
///
/// Envoy warms a cluster, new or changed, until endpoints arrive, even if it has them and they are
/// the same as before (`xds_protocol.rst`, "Resource warming"); in the delta protocol it does not
/// even ask for them again.
pub(crate) fn warming<'a>(resources: impl Iterator<Item = &'a Arc<Resource>>) -> Vec<Arc<str>> {
    resources
        .flat_map(|resource| resource.references())
        .filter(|reference| reference.type_url == TypeUrl::ENDPOINT)
        .map(|reference| reference.name.clone())
        .collect()
}
