//! From the mesh to one proxy, and to what it sees.
use std::collections::BTreeSet;

use super::data_plane::is_captured;
use super::{Evidence, Proxy, ProxyView, has_proxy, proxy_of_pod};
use crate::name::{ClusterId, closest_name, hint, nearest_name};
use crate::registry::{ClusterPart, DOMAIN, Mesh};
use crate::resource::{Pod, PodPhase, ProxyRef};

impl Mesh {
    /// Finds the proxy beside a pod, named `CLUSTER/NAMESPACE/POD`.
    ///
    /// # Errors
    ///
    /// Where the name has another form, or there is no such cluster or pod, or the pod has no address
    /// or has ended; each names what exists instead.
    pub fn proxy(&self, reference: &str) -> Result<Proxy, UnknownProxy> {
        let parsed: ProxyRef =
            reference.parse().map_err(|_| UnknownProxy::Form(shown(reference)))?;
        let ProxyRef { cluster, namespace, pod } = &parsed;
        let Some(part) = self.parts.clusters.get(&**cluster) else {
            let nearest = nearest_name(cluster, self.clusters().map(ClusterId::as_str));
            return Err(UnknownProxy::Cluster {
                cluster: shown(cluster),
                nearest: nearest.map(str::to_owned),
                clusters: self.clusters().map(ToString::to_string).collect(),
            });
        };
        let Some(pod) = part.store.pods.get((namespace, pod)) else {
            let nearest = self.nearest_pod(&parsed);
            return Err(UnknownProxy::Pod { reference: shown(reference), nearest });
        };
        if !runs(pod) {
            return Err(UnknownProxy::NotRunning(shown(reference)));
        }
        let entry =
            self.parts.proxies.iter().find(|entry| entry.reference.as_ref() == Some(&parsed));
        let id = ClusterId::from(&**cluster);
        let workload = self.workload(&id, &part.store, pod);
        Ok(proxy_of_pod(&Evidence {
            pod,
            workload: &workload,
            entry,
            defaults: &self.config().default_config,
            domain: DOMAIN,
            root_namespace: &self.config().root_namespace,
        }))
    }

    /// Every pod that is a client of the mesh's control planes, as `CLUSTER/NAMESPACE/POD`, sorted: of
    /// [`proxies`](Self::proxies) those that `proxies.json` names, those with a container of the proxy (or an
    /// init container of that name that restarts always) whose role is a proxy's, and those of which the
    /// manifest tells no containers: these are taken to have a sidecar, unless a ztunnel captures them.
    ///
    /// [`proxy`](Self::proxy) answers for any pod that somebody names, as if it had a proxy.
    pub fn clients(&self) -> impl Iterator<Item = String> {
        let named: BTreeSet<String> = self.named_proxies().collect();
        let is_client = move |(cluster, pod): &(&ClusterId, &Pod), reference: &str| {
            let is_captured = || is_captured(self, cluster.as_str(), &pod.meta);
            named.contains(reference) || has_proxy(pod).unwrap_or_else(|| !is_captured())
        };
        self.running_pods().filter_map(move |(cluster, pod)| {
            let reference = format!("{cluster}/{}/{}", pod.meta.namespace, pod.meta.name);
            is_client(&(cluster, pod), &reference).then_some(reference)
        })
    }

    /// Every pod that can have a proxy, as `CLUSTER/NAMESPACE/POD`, sorted: it has an address and has not
    /// ended. [`clients`](Self::clients) are those of them that have one.
    pub fn proxies(&self) -> impl Iterator<Item = String> {
        let pods = self.running_pods();
        pods.map(|(cluster, pod)| format!("{cluster}/{}/{}", pod.meta.namespace, pod.meta.name))
    }

    fn running_pods(&self) -> impl Iterator<Item = (&ClusterId, &Pod)> {
        self.parts.clusters.iter().flat_map(|(cluster, part)| {
            let pods = part.store.pods.iter().map(AsRef::as_ref);
            pods.filter(|pod| runs(pod)).map(move |pod| (cluster, pod))
        })
    }

    /// The pod that was probably meant: the same of another cluster, else one of the namespace, else of the
    /// cluster.
    fn nearest_pod(&self, ProxyRef { cluster, namespace, pod }: &ProxyRef) -> Option<String> {
        let has_pod = |part: &&ClusterPart| part.store.pods.contains((namespace, pod));
        let mut elsewhere = self.parts.clusters.iter().filter(|(_, part)| has_pod(part));
        if let Some((other, _)) = elsewhere.next() {
            return Some(format!("{other}/{namespace}/{pod}"));
        }
        let pods = &self.parts.clusters.get(&**cluster)?.store.pods;
        let of_namespace = pods.with_first(namespace).filter(|pod| runs(pod));
        if let Some(name) = closest_name(pod, of_namespace.map(|pod| &*pod.meta.name)) {
            return Some(format!("{cluster}/{namespace}/{name}"));
        }
        let running = pods.iter().filter(|pod| runs(pod));
        let names = running.map(|pod| format!("{}/{}", pod.meta.namespace, pod.meta.name));
        let names: Vec<String> = names.collect();
        let written = format!("{namespace}/{pod}");
        let nearest = closest_name(&written, names.iter().map(String::as_str))?;
        Some(format!("{cluster}/{nearest}"))
    }

    /// The mesh as a proxy sees it; `None` if the proxy's cluster is not part of the mesh.
    pub fn view<'m>(&'m self, proxy: &'m Proxy) -> Option<ProxyView<'m>> {
        let plane = self.control_plane_of(proxy.cluster.as_str())?;
        Some(ProxyView::new(self, plane, proxy))
    }
}

/// Whether a pod has an address and has not ended.
fn runs(pod: &Pod) -> bool {
    let has_ended = matches!(pod.status.phase, PodPhase::Failed | PodPhase::Succeeded);
    !has_ended && pod.status.pod_ip.is_some()
}

/// There is no such proxy.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum UnknownProxy {
    /// The name has another form.
    #[error("`{0}` does not name a proxy; write `CLUSTER/NAMESPACE/POD`")]
    Form(String),
    /// There is no such cluster.
    #[error("there is no cluster `{cluster}` in the mesh{}", hint(.nearest.as_deref(), &there_are(.clusters)))]
    Cluster {
        /// The cluster that was asked for.
        cluster: String,
        /// The nearest that exists.
        nearest: Option<String>,
        /// The clusters that exist, by name.
        clusters: Vec<String>,
    },
    /// There is no such pod.
    #[error("there is no pod `{reference}` in the mesh{}", hint(.nearest.as_deref(), NAME_A_POD))]
    Pod {
        /// The pod that was asked for.
        reference: String,
        /// The nearest that exists.
        nearest: Option<String>,
    },
    /// The pod has no address, or has ended.
    #[error("pod `{0}` does not run: it has no address or has ended")]
    NotRunning(String),
}

/// How many characters of a name are worth showing: more than those of a cluster, a namespace and a pod.
const SHOWN: usize = 600;

/// The beginning of a name that somebody gave.
fn shown(name: &str) -> String {
    let mut shown: String = name.chars().take(SHOWN).collect();
    if shown.len() < name.len() {
        shown.push('…');
    }
    shown
}

/// What to do where no pod has a similar name.
const NAME_A_POD: &str = "name one that a file below `clusters/` defines, as CLUSTER/NAMESPACE/POD";

fn there_are(clusters: &[String]) -> String {
    match clusters {
        [] => "the mesh has none".to_owned(),
        clusters => format!("there are {}", clusters.join(", ")),
    }
}
