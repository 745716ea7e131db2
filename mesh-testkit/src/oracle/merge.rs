//! One service of several clusters, and one host of several rules: lists walked from front to back.

/// What a cluster says of a service.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Given {
    /// The host.
    pub host: String,
    /// The ports.
    pub ports: Vec<u16>,
    /// The addresses by the cluster that gives them.
    pub vips: Vec<(String, String)>,
    /// The identities.
    pub accounts: Vec<String>,
}

/// Merges the services of clusters, first cluster first: the first that names a host decides all but
/// addresses, of which each cluster has its own, and identities, which are collected.
#[must_use]
pub fn services(clusters: &[Vec<Given>]) -> Vec<Given> {
    let mut merged: Vec<Given> = Vec::new();
    for given in clusters.iter().flatten() {
        if !merged.iter().any(|known| known.host == given.host) {
            merged.push(Given { vips: Vec::new(), accounts: Vec::new(), ..given.clone() });
        }
        for known in merged.iter_mut().filter(|known| known.host == given.host) {
            for (cluster, address) in &given.vips {
                if !known.vips.iter().any(|(other, _)| other == cluster) {
                    known.vips.push((cluster.clone(), address.clone()));
                }
            }
            for account in &given.accounts {
                if !known.accounts.contains(account) {
                    known.accounts.push(account.clone());
                }
            }
        }
    }
    merged
}

/// A rule for a host, as far as merging looks at it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Rule {
    /// When it was made.
    pub creation: i64,
    /// Its name.
    pub name: String,
    /// The policy of all of the host, by any mark.
    pub policy: Option<i32>,
    /// The subsets: a name and any mark.
    pub subsets: Vec<(String, String)>,
}

/// Merges the rules of one host, one namespace and one visibility, without selectors: the older first, the
/// first policy as a whole, of the subsets of one name the first.
#[must_use]
pub fn rules(rules: &[Rule]) -> (Option<i32>, Vec<(String, String)>) {
    let mut sorted = rules.to_vec();
    sorted.sort_by_key(|rule| (rule.creation, rule.name.clone()));
    let policy = sorted.iter().find_map(|rule| rule.policy);
    let mut subsets: Vec<(String, String)> = Vec::new();
    for subset in sorted.iter().flat_map(|rule| &rule.subsets) {
        if !subsets.iter().any(|(name, _)| *name == subset.0) {
            subsets.push(subset.clone());
        }
    }
    (policy, subsets)
}
