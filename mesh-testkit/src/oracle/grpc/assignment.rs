//! What a gRPC client accepts and how it numbers it, a rule a line.

/// An endpoint: all its addresses, and its weight.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Its addresses, the first one first.
    pub addresses: Vec<String>,
    /// Its weight.
    pub weight: Option<u32>,
}

/// A locality of an assignment.
#[derive(Clone, Debug)]
pub struct Locality {
    /// Its name, if it has one.
    pub name: Option<String>,
    /// Its priority.
    pub priority: u32,
    /// Its weight.
    pub weight: u32,
    /// Its endpoints.
    pub endpoints: Vec<Endpoint>,
}

/// Returns the places of the localities that count; none if the assignment is refused.
pub fn accepted(localities: &[Locality]) -> Option<Vec<usize>> {
    let counted: Vec<&Locality> = localities.iter().filter(|one| one.weight != 0).collect();
    let endpoints = || counted.iter().flat_map(|locality| &locality.endpoints);
    let mut priorities: Vec<u32> = counted.iter().map(|locality| locality.priority).collect();
    priorities.sort_unstable();
    priorities.dedup();
    let sum_at = |priority: u32| -> u128 {
        let here = counted.iter().filter(|locality| locality.priority == priority);
        here.map(|locality| u128::from(locality.weight)).sum()
    };
    let sum_in = |locality: &Locality| -> u128 {
        locality.endpoints.iter().map(|one| u128::from(one.weight.unwrap_or(1))).sum()
    };
    let places: Vec<(u32, &Option<String>)> =
        counted.iter().map(|locality| (locality.priority, &locality.name)).collect();
    let addresses: Vec<&String> = endpoints().flat_map(|one| &one.addresses).collect();
    let rules = [
        counted.iter().all(|locality| locality.name.is_some()),
        priorities.iter().all(|priority| sum_at(*priority) < 1 << 32),
        are_different(&places),
        endpoints().all(|endpoint| endpoint.weight != Some(0)),
        counted.iter().all(|locality| sum_in(locality) < 1 << 32),
        are_different(&addresses),
        priorities.iter().copied().eq((0..).take(priorities.len())),
    ];
    let place = |(place, locality): (usize, &Locality)| (locality.weight != 0).then_some(place);
    rules
        .iter()
        .all(|holds| *holds)
        .then(|| localities.iter().enumerate().filter_map(place).collect())
}

fn are_different<T: PartialEq>(all: &[T]) -> bool {
    all.iter().enumerate().all(|(place, one)| !all.iter().take(place).any(|before| before == one))
}

/// Returns the weights of the endpoints of a level, its localities given by weight and weights of their
/// endpoints, in parts of 2^31, cut off twice; a product modulo 2^32 if they are `simple`.
pub fn weights(level: &[(u32, Vec<u32>)], simple: bool) -> Vec<Vec<u128>> {
    let all: u128 = level.iter().map(|(weight, _)| u128::from(*weight)).sum();
    let one = |(of_locality, of_endpoints): &(u32, Vec<u32>)| {
        let within: u128 = of_endpoints.iter().map(|weight| u128::from(*weight)).sum();
        let locality = u128::from(*of_locality);
        let weigh = |endpoint: &u32| {
            let endpoint = u128::from(*endpoint);
            if simple {
                return (endpoint * locality) % (1 << 32);
            }
            let part = (endpoint * (1 << 31)) / within.max(1);
            let share = (locality * (1 << 31)) / all.max(1);
            (part * share / (1 << 31)).max(1)
        };
        of_endpoints.iter().map(weigh).collect()
    };
    level.iter().map(one).collect()
}

/// Returns the leaves below a cluster in order, or none if some path is longer than sixteen. A cluster
/// that was met before is not entered again. `members` has the aggregates only.
pub fn leaves(root: &str, members: &[(String, Vec<String>)]) -> Option<Vec<String>> {
    let (mut met, mut leaves): (Vec<String>, Vec<String>) = Default::default();
    // What is still to be looked at, the next one last, and how deep each is.
    let mut open = vec![(root.to_owned(), 1)];
    while let Some((cluster, depth)) = open.pop() {
        if depth > 16 {
            return None;
        }
        if met.contains(&cluster) {
            continue;
        }
        match members.iter().find(|(name, _)| *name == cluster) {
            None => leaves.push(cluster.clone()),
            Some((_, inside)) => {
                open.extend(inside.iter().rev().map(|member| (member.clone(), depth + 1)));
            }
        }
        met.push(cluster);
    }
    Some(leaves)
}

/// Returns the names of the levels of each of several assignments in turn; a level is a list of
/// localities. New names are numbers never used before.
pub fn level_names(assignments: &[Vec<Vec<String>>]) -> Vec<Vec<u32>> {
    let mut history: Vec<Vec<u32>> = Vec::new();
    let mut unused = 0;
    for (turn, levels) in assignments.iter().enumerate() {
        let before = turn.checked_sub(1);
        let old_levels = before.and_then(|at| assignments.get(at)).cloned().unwrap_or_default();
        let old_names = before.and_then(|at| history.get(at)).cloned().unwrap_or_default();
        // The name that each locality went by: that of the last level it was in.
        let name_of = |locality: &String| {
            let found = old_levels.iter().zip(&old_names).rfind(|(old, _)| old.contains(locality));
            found.map(|(_, name)| *name)
        };
        let mut names: Vec<Option<u32>> = levels.iter().map(|_| None).collect();
        for ((name, level), old) in names.iter_mut().zip(levels).zip(&old_names) {
            let stays = level.iter().any(|locality| name_of(locality) == Some(*old));
            *name = stays.then_some(*old);
        }
        for place in 0..levels.len() {
            let taken = names.clone();
            if let (Some(name @ None), Some(level)) = (names.get_mut(place), levels.get(place)) {
                let claims = level.iter().map(name_of);
                *name = claims.flatten().find(|claim| !taken.contains(&Some(*claim)));
            }
        }
        for name in names.iter_mut().filter(|name| name.is_none()) {
            *name = Some(unused);
            unused += 1;
        }
        history.push(names.into_iter().flatten().collect());
    }
    history
}
