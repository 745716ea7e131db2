//! Finding the policy of a filter that matches, without a walk over all of them.
//!
//! A policy can only match a request that has one of a few keys: an identity, a path, a port that the
//! policy names. Each policy is filed under those of its keys that the fewest others have, and only
//! the policies filed under what a request has are looked at. Policies without keys are always looked
//! at; the others cost nothing.
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::texts::{self, Texts};
use crate::matcher::spiffe::each_namespace;
use crate::rbac::{Body, Entry, Key, Policy, Rules, Test};
use crate::request::Seen;

/// Below this many policies a walk is as fast.
const WORTH_AN_INDEX: usize = 8;

/// The policies of a filter, ready to be asked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan {
    // INVARIANT: in byte order of the names, as Envoy walks them.
    policies: Vec<Arc<Policy>>,
    index: Index,
}

#[derive(Clone, Debug, Default)]
struct Index {
    /// The places of the policies that any request may match.
    always: Vec<usize>,
    /// Whether any policy is filed under a key.
    has_keys: bool,
    identities: Texts,
    namespaces: Texts,
    paths: Texts,
    methods: Texts,
    /// In lower case.
    hosts: Texts,
    server_names: Texts,
    /// By port.
    ports: Vec<(u16, Vec<usize>)>,
}

impl Plan {
    pub(crate) fn new(rules: &Rules) -> Self {
        let policies: Vec<Arc<Policy>> = rules.policies().into();
        let index = Index::new(&policies);
        Self { policies, index }
    }

    /// Puts another policy in the place of one of the same name; false, and nothing done, if there is
    /// none of that name or too few policies for an index.
    pub(crate) fn replace(&mut self, policy: &Arc<Policy>) -> bool {
        if self.policies.len() < WORTH_AN_INDEX {
            return false;
        }
        let at = self.policies.binary_search_by(|known| known.name.cmp(&policy.name));
        let Some((place, known)) = at.ok().and_then(|at| Some((at, self.policies.get_mut(at)?)))
        else {
            return false;
        };
        let old = std::mem::replace(known, Arc::clone(policy));
        self.index.remove(&old, place);
        self.index.add(policy, place);
        true
    }

    /// Returns the first policy in byte order of the names that matches.
    pub(crate) fn first_match(&self, seen: &Seen<'_>) -> Option<&Policy> {
        if !self.index.has_keys {
            let mut all = self.index.always.iter().filter_map(|place| self.policies.get(*place));
            return all.find(|policy| policy.matches(seen)).map(|policy| &**policy);
        }
        let mut first: Option<usize> = None;
        self.index.candidates(seen, &mut |places| {
            for place in places {
                if first.is_some_and(|first| first <= *place) {
                    return;
                }
                if self.policies.get(*place).is_some_and(|policy| policy.matches(seen)) {
                    first = Some(*place);
                    return;
                }
            }
        });
        self.policies.get(first?).map(|policy| &**policy)
    }
}

/// Where a key is looked up.
enum List<'i, 'k> {
    Ports(u16),
    Texts { texts: &'i mut Texts, text: Cow<'k, str>, is_prefix: bool },
}

impl Index {
    fn new(policies: &[Arc<Policy>]) -> Self {
        if policies.len() < WORTH_AN_INDEX {
            let may_match = |(_, policy): &(usize, &Arc<Policy>)| policy.body != Body::Never;
            let always = policies.iter().enumerate().filter(may_match);
            let always = always.map(|(place, _)| place).collect();
            return Self { always, ..Self::default() };
        }
        let popularity = popularity(policies);
        let mut cost = |key: &Key<'_>| popularity.get(key).copied().unwrap_or_default();
        let mut builder = Builder::default();
        for (place, policy) in policies.iter().enumerate() {
            let Body::Rule { permissions, principals } = &policy.body else { continue };
            let sides = [best(permissions, &mut cost), best(principals, &mut cost)];
            match sides.into_iter().flatten().min_by_key(|choice| choice.cost) {
                Some(choice) => choice.keys.into_iter().for_each(|key| builder.file(key, place)),
                None => builder.always.push(place),
            }
        }
        builder.build()
    }

    /// Files a policy.
    fn add(&mut self, policy: &Policy, place: usize) {
        let Body::Rule { permissions, principals } = &policy.body else { return };
        let mut cost = |key: &Key<'_>| self.count(*key);
        let sides = [best(permissions, &mut cost), best(principals, &mut cost)];
        match sides.into_iter().flatten().min_by_key(|choice| choice.cost) {
            Some(choice) => {
                self.has_keys = true;
                choice.keys.into_iter().for_each(|key| self.file(key, place));
            }
            None => texts::insert(&mut self.always, place),
        }
    }

    /// Takes a policy away from wherever it may be filed.
    fn remove(&mut self, policy: &Policy, place: usize) {
        if let Ok(at) = self.always.binary_search(&place) {
            self.always.remove(at);
        }
        let Body::Rule { permissions, principals } = &policy.body else { return };
        let mut keys = Vec::new();
        permissions.iter().for_each(|entry| collect(entry, &mut keys));
        principals.iter().for_each(|entry| collect(entry, &mut keys));
        for key in keys {
            match self.list(key) {
                List::Ports(port) => {
                    let at = self.ports.binary_search_by_key(&port, |(port, _)| *port);
                    if let Some((_, places)) = at.ok().and_then(|at| self.ports.get_mut(at))
                        && let Ok(at) = places.binary_search(&place)
                    {
                        places.remove(at);
                    }
                }
                List::Texts { texts, text, is_prefix } => {
                    texts.take(text.as_bytes(), is_prefix, place);
                }
            }
        }
    }

    fn file(&mut self, key: Key<'_>, place: usize) {
        match self.list(key) {
            List::Ports(port) => {
                let at = self.ports.binary_search_by_key(&port, |(port, _)| *port);
                let at = at.unwrap_or_else(|at| {
                    self.ports.insert(at, (port, Vec::new()));
                    at
                });
                if let Some((_, places)) = self.ports.get_mut(at) {
                    texts::insert(places, place);
                }
            }
            List::Texts { texts, text, is_prefix } => {
                texts.add(text.as_bytes(), is_prefix, place);
            }
        }
    }

    /// How many policies are filed under a key.
    fn count(&mut self, key: Key<'_>) -> usize {
        match self.list(key) {
            List::Ports(port) => {
                let at = self.ports.binary_search_by_key(&port, |(port, _)| *port).ok();
                at.and_then(|at| self.ports.get(at)).map_or(0, |(_, places)| places.len())
            }
            List::Texts { texts, text, is_prefix } => texts.count(text.as_bytes(), is_prefix),
        }
    }

    /// Where a key is looked up.
    fn list<'k>(&mut self, key: Key<'k>) -> List<'_, 'k> {
        let (texts, text, is_prefix) = match key {
            Key::Port(port) => return List::Ports(port),
            Key::Identity(text) => (&mut self.identities, text, false),
            Key::IdentityPrefix(text) => (&mut self.identities, text, true),
            Key::Namespace(text) => (&mut self.namespaces, text, false),
            Key::Path(text) => (&mut self.paths, text, false),
            Key::PathPrefix(text) => (&mut self.paths, text, true),
            Key::Method(text) => (&mut self.methods, text, false),
            Key::ServerName(text) => (&mut self.server_names, text, false),
            Key::Host(text) | Key::HostPrefix(text) => {
                let text = Cow::Owned(text.to_ascii_lowercase());
                let is_prefix = matches!(key, Key::HostPrefix(_));
                return List::Texts { texts: &mut self.hosts, text, is_prefix };
            }
        };
        List::Texts { texts, text: Cow::Borrowed(text), is_prefix }
    }

    /// Calls `visit` with lists of places, each ascending, that together hold every policy that
    /// matches.
    fn candidates(&self, seen: &Seen<'_>, visit: &mut impl FnMut(&[usize])) {
        visit(&self.always);
        if !self.has_keys {
            return;
        }
        if let Ok(at) =
            self.ports.binary_search_by_key(&seen.connection.destination_port, |(port, _)| *port)
            && let Some((_, places)) = self.ports.get(at)
        {
            visit(places);
        }
        if !self.identities.is_empty() || !self.namespaces.is_empty() {
            seen.each_identity(|identity| {
                self.identities.find(identity.as_bytes(), &mut *visit);
                if !self.namespaces.is_empty() {
                    each_namespace(identity, |name| {
                        self.namespaces.find(name.as_bytes(), &mut *visit);
                    });
                }
            });
        }
        self.server_names.find(seen.sni.as_bytes(), &mut *visit);
        let Some(http) = &seen.http else { return };
        self.paths.find(seen.path().unwrap_or_default().as_bytes(), &mut *visit);
        self.methods.find(seen.method(http).as_bytes(), &mut *visit);
        if !self.hosts.is_empty()
            && let Some(host) = http.authority()
        {
            in_lower_case(&host, |host| self.hosts.find(host, visit));
        }
    }
}

/// Hands on a host in lower case, without allocating unless it is as long as no host may be.
fn in_lower_case(host: &[u8], use_it: impl FnOnce(&[u8])) {
    let mut buffer = [0; 255];
    if !host.iter().any(u8::is_ascii_uppercase) {
        use_it(host);
    } else if let Some(lower) = buffer.get_mut(..host.len()) {
        lower.copy_from_slice(host);
        lower.make_ascii_lowercase();
        use_it(lower);
    } else {
        use_it(&host.to_ascii_lowercase());
    }
}

/// The keys that a policy may be filed under, and how many policies share them.
struct Choice<'p> {
    keys: Vec<Key<'p>>,
    cost: usize,
}

/// The rarest keys of a side: each entry's rarest clause, if every entry has one.
fn best<'p, T: Test>(
    entries: &'p [Entry<T>],
    cost: &mut impl FnMut(&Key<'_>) -> usize,
) -> Option<Choice<'p>> {
    let mut choice = Choice { keys: Vec::new(), cost: 0 };
    for entry in entries {
        let clauses = entry.clauses.iter().filter_map(|clause| {
            let mut keys = Vec::new();
            clause.node.keys(&mut keys).then(|| {
                let cost = keys.iter().map(&mut *cost).sum();
                Choice { keys, cost }
            })
        });
        let rarest = clauses.min_by_key(|choice| choice.cost)?;
        choice.cost += rarest.cost;
        choice.keys.extend(rarest.keys);
    }
    Some(choice)
}

/// How many policies name each key.
fn popularity(policies: &[Arc<Policy>]) -> BTreeMap<Key<'_>, usize> {
    let mut popularity = BTreeMap::new();
    let mut keys = Vec::new();
    for policy in policies {
        let Body::Rule { permissions, principals } = &policy.body else { continue };
        permissions.iter().for_each(|entry| collect(entry, &mut keys));
        principals.iter().for_each(|entry| collect(entry, &mut keys));
        keys.drain(..).for_each(|key| *popularity.entry(key).or_insert(0) += 1);
    }
    popularity
}

fn collect<'p, T: Test>(entry: &'p Entry<T>, keys: &mut Vec<Key<'p>>) {
    for clause in &entry.clauses {
        let length = keys.len();
        if !clause.node.keys(keys) {
            keys.truncate(length);
        }
    }
}

#[derive(Default)]
struct Builder {
    always: Vec<usize>,
    has_keys: bool,
    identities: texts::Builder,
    namespaces: texts::Builder,
    paths: texts::Builder,
    methods: texts::Builder,
    hosts: texts::Builder,
    server_names: texts::Builder,
    ports: BTreeMap<u16, Vec<usize>>,
}

impl Builder {
    fn file(&mut self, key: Key<'_>, place: usize) {
        self.has_keys = true;
        match key {
            Key::Identity(text) => self.identities.exact(text.as_bytes(), place),
            Key::IdentityPrefix(text) => self.identities.prefix(text.as_bytes(), place),
            Key::Namespace(text) => self.namespaces.exact(text.as_bytes(), place),
            Key::Path(text) => self.paths.exact(text.as_bytes(), place),
            Key::PathPrefix(text) => self.paths.prefix(text.as_bytes(), place),
            Key::Method(text) => self.methods.exact(text.as_bytes(), place),
            Key::Host(text) => self.hosts.exact(text.to_ascii_lowercase().as_bytes(), place),
            Key::HostPrefix(text) => {
                self.hosts.prefix(text.to_ascii_lowercase().as_bytes(), place);
            }
            Key::ServerName(text) => self.server_names.exact(text.as_bytes(), place),
            Key::Port(port) => {
                let places = self.ports.entry(port).or_default();
                if places.last() != Some(&place) {
                    places.push(place);
                }
            }
        }
    }

    fn build(self) -> Index {
        Index {
            always: self.always,
            has_keys: self.has_keys,
            identities: self.identities.build(),
            namespaces: self.namespaces.build(),
            paths: self.paths.build(),
            methods: self.methods.build(),
            hosts: self.hosts.build(),
            server_names: self.server_names.build(),
            ports: self.ports.into_iter().collect(),
        }
    }
}
