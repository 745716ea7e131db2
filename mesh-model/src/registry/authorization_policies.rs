//! The AuthorizationPolicies of a control plane, found by the namespaces that may concern a workload.
use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;

use crate::name::Namespace;
use crate::resource::AuthorizationPolicy;

/// AuthorizationPolicies, oldest first; of one age by name and namespace.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AuthorizationPolicies {
    all: Arc<[Arc<AuthorizationPolicy>]>,
    // INVARIANT: the places in `all` of each namespace's, in order.
    by_namespace: BTreeMap<Namespace, Vec<usize>>,
}

impl AuthorizationPolicies {
    pub(crate) fn new(all: Arc<[Arc<AuthorizationPolicy>]>) -> Self {
        let mut by_namespace = BTreeMap::<_, Vec<usize>>::new();
        for (place, policy) in all.iter().enumerate() {
            by_namespace.entry(policy.meta.namespace.clone()).or_default().push(place);
        }
        Self { all, by_namespace }
    }

    /// Returns those of some namespaces in their common order: a workload's own and the root namespace have
    /// all that may concern it, unless it is a waypoint.
    pub fn of_namespaces(&self, namespaces: &[&Namespace]) -> Vec<&AuthorizationPolicy> {
        let of = |namespace: &&Namespace| self.by_namespace.get(*namespace);
        let mut places: Vec<usize> = namespaces.iter().filter_map(of).flatten().copied().collect();
        places.sort_unstable();
        places.dedup();
        let found = places.into_iter().filter_map(|place| self.all.get(place));
        found.map(AsRef::as_ref).collect()
    }
}

impl Deref for AuthorizationPolicies {
    type Target = [Arc<AuthorizationPolicy>];

    fn deref(&self) -> &Self::Target {
        &self.all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::Meta;

    /// The names of the policies of some namespaces, which are `NAMESPACE/NAME` by age.
    fn check(policies: &[&str], namespaces: &[&str], expected: &[&str]) {
        let policies = policies.iter().map(|text| {
            let (namespace, name) = text.split_once('/').unwrap();
            let meta = Meta::new(namespace, name);
            Arc::new(AuthorizationPolicy { meta, ..AuthorizationPolicy::default() })
        });
        let all = AuthorizationPolicies::new(policies.collect());
        let namespaces: Vec<Namespace> = namespaces.iter().map(|name| (*name).into()).collect();
        let namespaces: Vec<&Namespace> = namespaces.iter().collect();
        let found = all.of_namespaces(&namespaces);
        let found: Vec<&str> = found.iter().map(|policy| &*policy.meta.name).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn those_of_several_namespaces_keep_their_order() {
        let policies = ["b/1", "a/2", "c/3", "b/4", "a/5"];
        check(&policies, &["a", "b"], &["1", "2", "4", "5"]);
        check(&policies, &["b", "a"], &["1", "2", "4", "5"]);
        check(&policies, &["a", "a"], &["2", "5"]);
        check(&policies, &["x", "c"], &["3"]);
        check(&policies, &[], &[]);
    }
}
