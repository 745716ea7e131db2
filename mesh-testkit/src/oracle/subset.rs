//! The subset balancer without index: every question walks every host.

/// Pairs of key and value.
pub type Pairs = Vec<(String, String)>;

/// What a host has: one of several values of a key counts like the only one.
pub type Metadata = Vec<(String, Vec<String>)>;

/// A policy of a selector: its keys, and what to do if no subset is found.
#[derive(Clone, Debug)]
pub struct Selector {
    /// The keys, in any order.
    pub keys: Vec<String>,
    /// What to do; `None` leaves it to the balancer.
    pub fallback: Option<Fallback>,
}

/// Where to look next.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_enums, reason = "a test maps each one to the engine's")]
pub enum Fallback {
    /// Nowhere.
    Nothing,
    /// At all hosts.
    Any,
    /// At the hosts that have these pairs.
    Default,
    /// At the subset of these keys only.
    Keys(Vec<String>),
}

/// What is configured.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The selectors; without any there are no subsets.
    pub selectors: Vec<Selector>,
    /// What hosts of the default subset have.
    pub default: Pairs,
    /// The balancer's own fallback, never [`Fallback::Keys`].
    pub fallback: Fallback,
    /// Whether a fallback that finds nobody falls to all hosts.
    pub panic_any: bool,
    /// Whether a request may name more keys than a selector.
    pub redundant_keys: bool,
}

/// Returns the hosts among which one is picked for a request that asks for pairs; `list` are those that
/// it would rather have, one after the other.
pub fn hosts(
    rules: &Rules,
    hosts: &[Metadata],
    asked: &Pairs,
    list: Option<&[Pairs]>,
) -> Vec<usize> {
    let everybody = (0..hosts.len()).collect();
    if rules.selectors.is_empty() {
        return everybody;
    }
    let mut sorted_rules = rules.clone();
    if rules.redundant_keys {
        sorted_rules.selectors.sort_by_key(|one| std::cmp::Reverse(sorted(&one.keys).len()));
    }
    let Some(list) = list.filter(|list| !list.is_empty()) else {
        return search(&sorted_rules, hosts, asked);
    };
    for wanted in list {
        let mut merged: Pairs = wanted.clone();
        let is_new = |pair: &&(String, String)| wanted.iter().all(|(key, _)| *key != pair.0);
        merged.extend(asked.iter().filter(is_new).cloned());
        let found = search(&sorted_rules, hosts, &merged);
        if !found.is_empty() {
            return found;
        }
    }
    Vec::new()
}

fn search(rules: &Rules, hosts: &[Metadata], asked: &Pairs) -> Vec<usize> {
    let asked = &reduced(rules, asked);
    let having = |pairs: &Pairs| -> Vec<usize> {
        let has = |host: &Metadata, (key, value): &(String, String)| {
            host.iter().any(|(name, values)| name == key && values.contains(value))
        };
        let has_all = |host: &Metadata| pairs.iter().all(|pair| has(host, pair));
        hosts.iter().enumerate().filter(|(_, host)| has_all(host)).map(|(i, _)| i).collect()
    };
    let answer = |fallback: &Fallback| match fallback {
        Fallback::Nothing | Fallback::Keys(_) => Vec::new(),
        Fallback::Any => (0..hosts.len()).collect(),
        Fallback::Default => having(&rules.default),
    };
    let in_the_end = || match answer(&rules.fallback) {
        found if found.is_empty() && rules.panic_any => match rules.fallback {
            Fallback::Nothing => found,
            Fallback::Any | Fallback::Default | Fallback::Keys(_) => (0..hosts.len()).collect(),
        },
        found => found,
    };
    let keys = sorted(asked.iter().map(|(key, _)| key));
    if asked.is_empty() {
        return in_the_end();
    }
    let exists = rules.selectors.iter().any(|selector| sorted(&selector.keys) == keys);
    let found = having(asked);
    if exists && !found.is_empty() {
        return found;
    }
    match policy(&rules.selectors, &keys) {
        None => in_the_end(),
        Some(Fallback::Keys(keys)) => {
            let fewer = asked.iter().filter(|(key, _)| keys.contains(key)).cloned().collect();
            search(rules, hosts, &fewer)
        }
        Some(own) => answer(own),
    }
}

/// The pairs that the first selector has keys for, if it has only keys that are asked for.
fn reduced(rules: &Rules, asked: &Pairs) -> Pairs {
    let is_asked = |key: &String| asked.iter().any(|(name, _)| name == key);
    let fits = |selector: &&Selector| selector.keys.iter().all(is_asked);
    match rules.selectors.iter().find(fits).filter(|_| rules.redundant_keys) {
        Some(one) => asked.iter().filter(|(key, _)| one.keys.contains(key)).cloned().collect(),
        None => asked.clone(),
    }
}

/// The first selector whose keys, in order, begin with `keys` is the one that counts: it has a
/// policy for them only if they are all it has.
fn policy<'s>(selectors: &'s [Selector], keys: &[String]) -> Option<&'s Fallback> {
    let selector = selectors.iter().find(|selector| sorted(&selector.keys).starts_with(keys))?;
    selector.fallback.as_ref().filter(|_| sorted(&selector.keys) == keys)
}

fn sorted<'k>(keys: impl IntoIterator<Item = &'k String>) -> Vec<String> {
    let mut keys: Vec<String> = keys.into_iter().cloned().collect();
    keys.sort();
    keys.dedup();
    keys
}
