//! Which level of a new assignment is which level of the last one.
use std::collections::BTreeSet;

use mesh_model::name::Locality;
use rustc_hash::FxHashMap;

/// Names levels so that a level keeps its name, and with it its connections and timers, as long as
/// some locality of it stays.
///
/// # Examples
///
/// ```
/// use mesh_lb::grpc::level_names::LevelNames;
/// use mesh_model::name::Locality;
///
/// let [a, b] = ["eu/a", "eu/b"].map(Locality::parse);
/// let mut names = LevelNames::default();
/// assert_eq!(names.update(&[vec![&a], vec![&b]]), [0, 1]);
/// assert_eq!(names.update(&[vec![&b]]), [1]); // The first level is gone, the second moves up.
/// ```
///
/// # Upstream
///
/// grpc-go `internal/xds/balancer/cdsbalancer/configbuilder_childname.go`, `nameGenerator.generate`.
#[derive(Clone, Debug, Default)]
pub struct LevelNames {
    of_localities: FxHashMap<Locality, u32>,
    last: Vec<u32>,
    next: u32,
}

impl LevelNames {
    /// Returns the names of the levels of an assignment: each a list of localities, in the order of
    /// the assignment.
    pub fn update(&mut self, levels: &[Vec<&Locality>]) -> Vec<u32> {
        let mut used = BTreeSet::new();
        let mut names: Vec<Option<u32>> =
            levels.iter().enumerate().map(|(index, level)| self.same_index(index, level)).collect();
        used.extend(names.iter().flatten().copied());
        for (name, level) in names.iter_mut().zip(levels) {
            if name.is_none() {
                let known = level.iter().filter_map(|locality| self.of_localities.get(*locality));
                *name = known.copied().find(|known| !used.contains(known));
                used.extend(*name);
            }
        }
        let names: Vec<u32> =
            names.into_iter().map(|name| name.unwrap_or_else(|| self.new_name())).collect();
        self.of_localities = names
            .iter()
            .zip(levels)
            .flat_map(|(name, level)| level.iter().map(|locality| ((*locality).clone(), *name)))
            .collect();
        self.last.clone_from(&names);
        names
    }

    fn same_index(&self, index: usize, level: &[&Locality]) -> Option<u32> {
        let name = self.last.get(index)?;
        let has_it = level.iter().any(|locality| self.of_localities.get(*locality) == Some(name));
        has_it.then_some(*name)
    }

    const fn new_name(&mut self) -> u32 {
        let name = self.next;
        self.next = self.next.wrapping_add(1);
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each update is its levels, split by `|`, of localities, split by spaces.
    fn check(updates: &[(&str, &[u32])]) {
        let mut names = LevelNames::default();
        for (update, expected) in updates {
            let levels: Vec<Vec<Locality>> = update
                .split('|')
                .map(|level| level.split_whitespace().map(Locality::parse).collect())
                .collect();
            let levels: Vec<Vec<&Locality>> =
                levels.iter().map(|level| level.iter().collect()).collect();
            assert_eq!(names.update(&levels), *expected, "{update}");
        }
    }

    #[test]
    fn a_level_that_takes_in_another_keeps_its_own_name() {
        check(&[("a|b|c", &[0, 1, 2]), ("a b|c", &[0, 2]), ("a|d", &[0, 3])]);
    }

    #[test]
    fn the_same_index_goes_before_an_earlier_claim() {
        check(&[("a|b c", &[0, 1]), ("c|b", &[2, 1])]);
    }

    #[test]
    fn a_name_is_not_taken_twice() {
        check(&[("a b", &[0]), ("a|b", &[0, 1])]);
    }
}
