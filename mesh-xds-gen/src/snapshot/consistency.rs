//! Whether a snapshot holds together: everything referred to is there, nothing lies about unused.
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use super::{Reference, Snapshot, TypeUrl};

/// Something that a proxy given this snapshot would miss, or never use.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Inconsistency {
    /// A resource refers to one that is not there: traffic that needs it fails.
    Missing {
        /// The type of the resource that refers.
        from_type: TypeUrl,
        /// Its name.
        from: Arc<str>,
        /// What it refers to.
        to: Reference,
    },
    /// Endpoints or a route configuration to which nothing refers: no proxy will ask for it.
    Unreferenced(Reference),
}

impl Snapshot {
    /// Returns what does not hold together, sorted; empty if the snapshot is consistent.
    ///
    /// The names of EDS resources must be exactly those that clusters refer to, those of RDS
    /// resources exactly those that listeners (or scoped routes) refer to. What go-control-plane
    /// does not check and this does: every other reference too, above all from routes to clusters.
    /// The references are those given with
    /// [`Resource::with_references`](super::Resource::with_references).
    ///
    /// # Upstream
    ///
    /// envoyproxy/go-control-plane `pkg/cache/v3/snapshot.go` `Snapshot.Consistent`.
    pub fn inconsistencies(&self) -> Vec<Inconsistency> {
        let referrers = || self.types().flat_map(|(_, collection)| collection.iter());
        let referenced: BTreeSet<&Reference> =
            referrers().flat_map(|resource| resource.references()).collect();
        let missing = referrers().flat_map(|resource| {
            let dangling = |to: &&Reference| self.resource(&to.type_url, &to.name).is_none();
            resource.references().iter().filter(dangling).map(|to| Inconsistency::Missing {
                from_type: resource.type_url().clone(),
                from: resource.name().clone(),
                to: to.clone(),
            })
        });
        let unreferenced = [TypeUrl::ENDPOINT, TypeUrl::ROUTE]
            .into_iter()
            .filter_map(|type_url| self.collection(&type_url))
            .flat_map(|collection| collection.iter())
            .map(|resource| Reference {
                type_url: resource.type_url().clone(),
                name: resource.name().clone(),
            })
            .filter(|reference| !referenced.contains(reference))
            .map(Inconsistency::Unreferenced);
        let all: BTreeSet<Inconsistency> = missing.chain(unreferenced).collect();
        all.into_iter().collect()
    }
}

impl fmt::Display for Inconsistency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { from_type, from, to } => write!(
                f,
                "`{from}` ({from_type}) refers to `{}` ({}), which is not there",
                to.name, to.type_url
            ),
            Self::Unreferenced(Reference { type_url, name }) => {
                write!(f, "nothing refers to `{name}` ({type_url})")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Resource;
    use super::*;

    /// `TYPE NAME -> NAME…`: a cluster refers to endpoints, a listener to routes, a route to
    /// clusters.
    fn check(lines: &[&str], expected: &[&str]) {
        let snapshot = Snapshot::new(lines.iter().map(|line| {
            let mut words = line.split(' ').filter(|word| *word != "->");
            let (kind, name) = (words.next().unwrap(), words.next().unwrap());
            let (type_url, target) = match kind {
                "cluster" => (TypeUrl::CLUSTER, TypeUrl::ENDPOINT),
                "endpoints" => (TypeUrl::ENDPOINT, TypeUrl::ENDPOINT),
                "listener" => (TypeUrl::LISTENER, TypeUrl::ROUTE),
                _ => (TypeUrl::ROUTE, TypeUrl::CLUSTER),
            };
            let reference = |word: &str| Reference { type_url: target.clone(), name: word.into() };
            Resource::new(type_url, name, "").with_references(words.map(reference))
        }));
        let got: Vec<String> = snapshot.inconsistencies().iter().map(ToString::to_string).collect();
        assert_eq!(got.len(), expected.len(), "{got:?}");
        for (got, expected) in got.iter().zip(expected) {
            assert!(expected.split(' ').all(|word| got.contains(word)), "{got}");
        }
    }

    #[test]
    fn a_snapshot_in_which_everything_is_found_is_consistent() {
        check(&["cluster c -> c", "endpoints c", "listener l -> 80", "route 80 -> c"], &[]);
        check(&[], &[]);
        check(&["cluster static"], &[]);
    }

    #[test]
    fn a_route_to_a_cluster_that_was_left_out_is_found() {
        check(&["listener l -> 80", "route 80 -> gone"], &["`80` refers `gone`"]);
    }

    #[test]
    fn endpoints_and_routes_that_nobody_asks_for_are_found() {
        check(&["endpoints e", "route 80"], &["nothing `e`", "nothing `80`"]);
    }

    #[test]
    fn a_listener_waits_for_its_route() {
        check(&["listener l -> 80 81", "route 81"], &["`l` refers `80`"]);
    }

    #[test]
    fn an_eds_cluster_refers_to_its_service_name_first() {
        assert_eq!(&*Reference::endpoints("c", "").name, "c");
        assert_eq!(&*Reference::endpoints("c", "e").name, "e");
    }
}
