//! The subset balancer without index: every question walks every host.

/// Pairs of key and value.
pub type Pairs = Vec<(String, String)>;

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

/// Returns the hosts among which one is picked for a request. `default` is what hosts of the
/// default subset have; `fallback` is the balancer's own, never [`Fallback::Keys`].
pub fn hosts(
    selectors: &[Selector],
    hosts: &[Pairs],
    default: &Pairs,
    fallback: &Fallback,
    asked: &Pairs,
) -> Vec<usize> {
    let having = |pairs: &Pairs| -> Vec<usize> {
        let has_all = |host: &Pairs| pairs.iter().all(|pair| host.contains(pair));
        hosts.iter().enumerate().filter(|(_, host)| has_all(host)).map(|(i, _)| i).collect()
    };
    let answer = |fallback: &Fallback| match fallback {
        Fallback::Nothing | Fallback::Keys(_) => Vec::new(),
        Fallback::Any => (0..hosts.len()).collect(),
        Fallback::Default => having(default),
    };
    let keys = sorted(asked.iter().map(|(key, _)| key));
    if asked.is_empty() {
        return answer(fallback);
    }
    let exists = selectors.iter().any(|selector| sorted(&selector.keys) == keys);
    let found = having(asked);
    if exists && !found.is_empty() {
        return found;
    }
    match policy(selectors, &keys) {
        None => answer(fallback),
        Some(Fallback::Keys(keys)) => {
            let fewer = asked.iter().filter(|(key, _)| keys.contains(key)).cloned().collect();
            self::hosts(selectors, hosts, default, fallback, &fewer)
        }
        Some(own) => answer(own),
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
