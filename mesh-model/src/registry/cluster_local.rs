//! Which hosts stay in the client's own cluster.
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/model/cluster_local.go` `onMeshUpdated`, `GetClusterLocalHosts`.
use std::collections::BTreeMap;

use crate::name::{Hostname, most_specific};

/// The hosts that are cluster-local and those that are said not to be.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ClusterLocalHosts {
    hosts: BTreeMap<Hostname, bool>,
}

impl ClusterLocalHosts {
    /// Compiles `MeshConfig.serviceSettings` over the defaults.
    ///
    /// `settings` are pairs of `clusterLocal` and `hosts` in the order of the document;
    /// `discovery_address` is that of the default proxy config (`istiod.istio-system.svc:15012`).
    /// The defaults are `*.kube-system.svc.DOMAIN`, `kubernetes.default.svc.DOMAIN` and the host of
    /// the control plane. A host that is said not to be cluster-local takes every default away that
    /// covers it, so negating one host below `kube-system` negates all of `kube-system`.
    pub fn new<'s, H: IntoIterator<Item = &'s str>>(
        settings: impl IntoIterator<Item = (bool, H)>,
        discovery_address: &str,
        domain: &str,
    ) -> Self {
        let mut defaults = defaults(discovery_address, domain);
        let mut hosts = BTreeMap::new();
        for (cluster_local, names) in settings {
            for name in names.into_iter().map(Hostname::from) {
                if !cluster_local {
                    defaults.retain(|default| !covers(default, &name));
                }
                hosts.insert(name, cluster_local);
            }
        }
        for default in defaults {
            hosts.insert(default, true);
        }
        Self { hosts }
    }

    /// Returns whether only endpoints of the client's own cluster count: what the most specific entry
    /// for the host says.
    pub fn contains(&self, host: &Hostname) -> bool {
        most_specific(host, self.hosts.keys()).and_then(|entry| self.hosts.get(entry))
            == Some(&true)
    }
}

fn defaults(discovery_address: &str, domain: &str) -> Vec<Hostname> {
    let mut hosts = vec![
        Hostname::from(format!("*.kube-system.svc.{domain}").as_str()),
        Hostname::from(format!("kubernetes.default.svc.{domain}").as_str()),
    ];
    let host = discovery_address.rsplit_once(':').map_or(discovery_address, |(host, _)| host);
    if host.ends_with(domain) {
        hosts.push(Hostname::from(host));
    } else if !host.is_empty() {
        hosts.push(Hostname::from(format!("{host}.{domain}").as_str()));
    }
    hosts
}

/// Whether a default is the host itself or a wildcard that ends it.
fn covers(default: &Hostname, host: &Hostname) -> bool {
    default == host
        || default.as_str().strip_prefix('*').is_some_and(|suffix| host.as_str().ends_with(suffix))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(settings: &[(bool, &[&str])], host: &str, expected: bool) {
        let settings = settings.iter().map(|(local, hosts)| (*local, hosts.iter().copied()));
        let hosts =
            ClusterLocalHosts::new(settings, "istiod.istio-system.svc:15012", "cluster.local");
        assert_eq!(hosts.contains(&Hostname::from(host)), expected, "{host}");
    }

    #[test]
    fn the_control_plane_and_kube_system_stay_in_their_cluster() {
        check(&[], "dns.kube-system.svc.cluster.local", true);
        check(&[], "istiod.istio-system.svc.cluster.local", true);
        check(&[], "cart.shop.svc.cluster.local", false);
    }

    #[test]
    fn negating_one_host_takes_its_default_away() {
        let negated: &[(bool, &[&str])] = &[(false, &["dns.kube-system.svc.cluster.local"])];
        check(negated, "other.kube-system.svc.cluster.local", false);
        check(&[(false, &["*"])], "other.kube-system.svc.cluster.local", true);
    }
}
