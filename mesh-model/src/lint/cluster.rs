//! What `cluster.yaml` says of pairs of clusters: addresses, routes, roots of trust.
use std::net::IpAddr;

use super::Subject;
use super::scene::some;
use super::service::captures_dns;
use super::version::{is_one_zero, versions};
use crate::manifest::Diagnostic;
use crate::name::{Cidr, ClusterId};
use crate::registry::Mesh;
use crate::resource::{ClusterDescription, MeshConfig};

pub(super) fn check(mesh: &Mesh, found: &mut Vec<Diagnostic>) {
    let described: Vec<Described<'_>> = mesh
        .clusters()
        .filter_map(|id| Some(Described { mesh, id, says: mesh.description(id.as_str())? }))
        .collect();
    for (index, cluster) in described.iter().enumerate() {
        found.extend(cluster.lost());
        for other in described.iter().take(index) {
            let pair = Pair { first: other, second: cluster };
            found.extend(pair.pod_ranges());
            found.extend(pair.wrong_pods());
            found.extend(pair.service_ranges());
            found.extend(pair.routes());
            found.extend(pair.roots());
            found.extend(pair.handshakes());
            found.extend(pair.trust_domains());
        }
    }
}

struct Described<'m> {
    mesh: &'m Mesh,
    id: &'m ClusterId,
    says: &'m ClusterDescription,
}

impl Described<'_> {
    fn subject(&self) -> Subject {
        Subject::cluster(self.mesh, self.id)
    }

    /// `HZ-REMOTE-API-DOWN`: its objects are the last known.
    fn lost(&self) -> Option<Diagnostic> {
        if self.says.reachable {
            return None;
        }
        let message = format!(
            "the API server of `{}` is not reachable: its endpoints stay as they were known last, dead \
             ones too, and a control plane that restarts waits for it",
            self.id
        );
        let help =
            "rely on outlier detection until it is back, or remove the cluster's remote secret";
        Some(self.subject().warning("HZ-REMOTE-API-DOWN", "reachable", (message, help)))
    }

    fn is_one_zero(&self) -> bool {
        versions(self.mesh, self.id).iter().any(|told| is_one_zero(told.text))
    }

    /// Whether its proxies answer DNS themselves, by the settings of the mesh.
    fn captures_dns(&self) -> bool {
        let plane = self.mesh.control_plane_of(self.id.as_str());
        captures_dns(plane.map_or(self.mesh.config(), |plane| &plane.config))
    }

    fn trust_domain<'a>(&'a self, config: &'a MeshConfig) -> &'a str {
        match &*self.says.trust_domain {
            "" => &config.trust_domain,
            own => own,
        }
    }
}

struct Pair<'p, 'm> {
    first: &'p Described<'m>,
    second: &'p Described<'m>,
}

impl Pair<'_, '_> {
    fn shares_network(&self) -> bool {
        self.first.says.network == self.second.says.network
    }

    fn names(&self) -> (&str, &str) {
        (self.first.id.as_str(), self.second.id.as_str())
    }

    /// `TOPO-CIDR-POD`, and `TOPO-CIDR-OVERLAP-OK` where gateways stand between.
    fn pod_ranges(&self) -> Option<Diagnostic> {
        let (a, b, index) = overlap(&self.first.says.pod_cidrs, &self.second.says.pod_cidrs)?;
        let field = format!("podCidrs[{index}]");
        let (first, second) = self.names();
        let subject = self.second.subject();
        if self.shares_network() {
            let message = format!(
                "pod ranges {a} of `{first}` and {b} of `{second}` overlap in one network: requests reach \
                 the wrong pod"
            );
            let help =
                "give the clusters ranges of their own, or networks of their own with gateways";
            return Some(subject.error("TOPO-CIDR-POD", &field, (message, help)));
        }
        // Istio 1.0 has no gateways between networks, which is told of itself.
        if self.first.is_one_zero() || self.second.is_one_zero() {
            return None;
        }
        let message = format!(
            "pod ranges {a} of `{first}` and {b} of `{second}` overlap: between networks with gateways \
             that is allowed"
        );
        let help = "nothing, as long as no network of the two is made one";
        Some(subject.info("TOPO-CIDR-OVERLAP-OK", &field, (message, help)))
    }

    /// `HZ-CIDR-OVERLAP`: what an overlap of pod ranges does to requests.
    fn wrong_pods(&self) -> Option<Diagnostic> {
        let (_, _, index) = overlap(&self.first.says.pod_cidrs, &self.second.says.pod_cidrs)
            .filter(|_| self.shares_network())?;
        let addresses = |cluster: &Described<'_>| -> std::collections::BTreeSet<IpAddr> {
            let part = cluster.mesh.parts.clusters.get(cluster.id);
            let pods = part.into_iter().flat_map(|part| part.store.pods.values());
            pods.filter(|pod| !pod.spec.host_network).filter_map(|pod| pod.status.pod_ip).collect()
        };
        let (ours, theirs) = (addresses(self.first), addresses(self.second));
        let twice: Vec<String> = ours.intersection(&theirs).map(ToString::to_string).collect();
        let (first, second) = self.names();
        let now = match twice.as_slice() {
            [] => "no address is used twice yet, and any new pod may change that".to_owned(),
            twice => format!("{} are used in both already", some(twice)),
        };
        let message = format!(
            "a request for a pod of `{first}` can reach another of `{second}`, which has the same \
             address: {now}"
        );
        let help = "give the clusters pod ranges of their own";
        let field = format!("podCidrs[{index}]");
        Some(self.second.subject().error("HZ-CIDR-OVERLAP", &field, (message, help)))
    }

    /// `TOPO-CIDR-SERVICE`.
    fn service_ranges(&self) -> Option<Diagnostic> {
        let (a, b, index) =
            overlap(&self.first.says.service_cidrs, &self.second.says.service_cidrs)
                .filter(|_| self.shares_network())?;
        let field = format!("serviceCidrs[{index}]");
        let (first, second) = self.names();
        let message = format!(
            "service ranges {a} of `{first}` and {b} of `{second}` overlap: an address of one cluster's \
             service can be that of another service in the other"
        );
        let help = "give the clusters service ranges of their own, or capture DNS in the proxies";
        let subject = self.second.subject();
        // Proxies that capture DNS know which cluster's service is meant; other clients ask for the address.
        let is_lost = |cluster: &&Described<'_>| cluster.is_one_zero() || !cluster.captures_dns();
        Some(if [self.first, self.second].iter().any(is_lost) {
            subject.error("TOPO-CIDR-SERVICE", &field, (message, help))
        } else {
            subject.warning("TOPO-CIDR-SERVICE", &field, (message, help))
        })
    }

    /// `TOPO-ROUTABLE`: one network, and no route.
    fn routes(&self) -> Option<Diagnostic> {
        let reaches = |from: &Described<'_>, to: &Described<'_>| {
            let routable = from.says.routable.as_ref();
            routable.is_none_or(|list| list.iter().any(|name| **name == *to.id.as_str()))
        };
        let one_way = reaches(self.first, self.second) && reaches(self.second, self.first);
        if !self.shares_network() || one_way {
            return None;
        }
        let (first, second) = self.names();
        let message = format!(
            "`{first}` and `{second}` are in one network and do not reach each other's pods: requests \
             between them time out"
        );
        let help = "route the pod ranges of both, or give the clusters networks of their own with \
                    gateways";
        Some(self.second.subject().error("TOPO-ROUTABLE", "routable", (message, help)))
    }

    /// `TOPO-ROOT-CA`.
    fn roots(&self) -> Option<Diagnostic> {
        let (a, b) = (self.first.says, self.second.says);
        let is_untold =
            [a, b].iter().any(|says| says.root_ca_fingerprint.is_empty() || says.hides_root());
        if is_untold || a.has_root_of(b) {
            return None;
        }
        let (first, second) = self.names();
        let message = format!(
            "`{first}` and `{second}` have different root certificates: mutual TLS between their \
             workloads fails in the handshake"
        );
        let help = "sign the intermediates of both with one root, or distribute both roots";
        Some(self.second.subject().error("TOPO-ROOT-CA", "rootCaFingerprint", (message, help)))
    }

    /// `HZ-ROOT-CA`: which requests different roots break.
    fn handshakes(&self) -> Option<Diagnostic> {
        self.roots()?;
        let mesh = self.first.mesh;
        let hosts: Vec<&str> = mesh
            .control_planes()
            .flat_map(|plane| plane.services.iter().map(move |service| (plane, service)))
            .filter(|(plane, service)| {
                let clusters: std::collections::BTreeSet<&ClusterId> = plane
                    .shards(service)
                    .into_iter()
                    .flat_map(|shards| shards.endpoints())
                    .map(|endpoint| &endpoint.workload.place.cluster)
                    .collect();
                clusters.contains(self.first.id) && clusters.contains(self.second.id)
            })
            .map(|(_, service)| service.hostname.as_str())
            .collect();
        let mut hosts = hosts;
        hosts.sort_unstable();
        hosts.dedup();
        if hosts.is_empty() {
            return None;
        }
        let (first, second) = self.names();
        let message = format!(
            "{} run in `{first}` and `{second}`, whose certificates have different roots: requests that \
             cross fail in the handshake, and outlier detection ejects the endpoints of the other side",
            some(&hosts)
        );
        let help = "give both clusters one root before they share services";
        Some(self.second.subject().error("HZ-ROOT-CA", "rootCaFingerprint", (message, help)))
    }

    /// `TOPO-TRUST-DOMAIN`.
    fn trust_domains(&self) -> Option<Diagnostic> {
        // Loading has told of a description that cannot be read.
        if self.first.says.hides_trust_domain() || self.second.says.hides_trust_domain() {
            return None;
        }
        let config = self.first.mesh.config();
        let (a, b) = (self.first.trust_domain(config), self.second.trust_domain(config));
        let is_known = |name: &str| {
            name == &*config.trust_domain
                || config.trust_domain_aliases.iter().any(|alias| **alias == *name)
        };
        if a == b || (is_known(a) && is_known(b)) {
            return None;
        }
        let (first, second) = self.names();
        let message = format!(
            "trust domains `{a}` of `{first}` and `{b}` of `{second}` are no aliases of each other: \
             policies that name principals of one do not match workloads of the other"
        );
        let help = "list both in `trustDomainAliases`";
        Some(self.second.subject().warning("TOPO-TRUST-DOMAIN", "trustDomain", (message, help)))
    }
}

/// The first two ranges that have addresses in common, and the index of the second.
fn overlap<'c>(a: &'c [Cidr], b: &'c [Cidr]) -> Option<(&'c Cidr, &'c Cidr, usize)> {
    a.iter().find_map(|a| {
        let index = b.iter().position(|b| a.overlaps(b))?;
        Some((a, b.get(index)?, index))
    })
}
