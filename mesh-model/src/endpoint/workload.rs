//! What endpoints run in, and where.
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use super::Discoverability;
use crate::name::{ClusterId, Labels, Namespace, NetworkId, Text, Texts};

/// What an endpoint runs in: what pods of one owner on one node have in common, and all their ports.
///
/// ```text
/// Endpoint: address, port, the pod's own name
///    └──▶ Workload: labels
///            ├──▶ Template: names, account (that of the owner's pods on every node)
///            └──▶ Place: cluster, network, locality, node (that of every owner's pods there)
/// ```
///
/// A million endpoints then cost little more than their addresses and names. The fields of the template are read
/// as if they were its own, and written so too; what is written is no longer shared.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "callers build workloads by hand")]
pub struct Workload {
    /// Its labels, with the topology labels that istiod adds.
    pub labels: Labels,
    /// Where it runs.
    pub place: Arc<Place>,
    /// What it is, wherever it runs.
    pub template: Arc<Template>,
}

/// What workloads of one owner are, wherever they run.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "callers build workloads by hand")]
pub struct Template {
    /// The workload's name, that of a deployment for example; `None` where each has
    /// [its own](super::Endpoint::workload_name).
    pub name: Option<Text>,
    /// Its namespace.
    pub namespace: Namespace,
    /// Its service account, empty if unknown.
    pub service_account: Arc<str>,
    /// The identity a server certificate must show (`spiffe://…`), empty if unknown.
    pub identity: Arc<str>,
    /// `istio` if a sidecar accepts mutual TLS, else `disabled` (or what the label says).
    pub tls_mode: Arc<str>,
    /// `spec.hostname` of a pod, for headless names: empty where that is the pod's own name, and `None` for
    /// anything but a pod. [`Endpoint::hostname`](super::Endpoint::hostname) tells it.
    pub hostname: Option<Text>,
    /// `spec.subdomain` of a pod, empty for anything else.
    pub subdomain: Arc<str>,
    /// Which clusters may use it.
    pub discoverability: Discoverability,
}

/// Where a workload runs.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "callers build workloads by hand")]
pub struct Place {
    /// Its cluster.
    pub cluster: ClusterId,
    /// Its network, empty if unknown.
    pub network: NetworkId,
    /// The raw locality text; endpoints are grouped by it as it stands (`r1/z1` is not `r1/z1/`).
    pub locality: Arc<str>,
    /// The node it runs on, empty if unknown.
    pub node: Text,
}

impl Deref for Workload {
    type Target = Template;

    #[inline]
    fn deref(&self) -> &Template {
        &self.template
    }
}

impl DerefMut for Workload {
    fn deref_mut(&mut self) -> &mut Template {
        Arc::make_mut(&mut self.template)
    }
}

impl Workload {
    /// Returns where it runs, to be changed for it alone.
    pub fn place_mut(&mut self) -> &mut Place {
        Arc::make_mut(&mut self.place)
    }
}

impl Template {
    /// Takes the allocations that are known of texts that many have.
    pub(crate) fn share_texts(&mut self, texts: &mut Texts) {
        let Self { service_account, identity, tls_mode, subdomain, .. } = self;
        [service_account, identity, tls_mode, subdomain].into_iter().for_each(|t| texts.share(t));
    }
}

impl Place {
    /// Returns whether two places are of one cluster and network.
    #[inline]
    pub(super) fn is_of_same(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
            || (self.cluster == other.cluster && self.network == other.network)
    }

    /// Takes the allocations that are known of texts that many have.
    pub(crate) fn share_texts(&mut self, texts: &mut Texts) {
        texts.share(&mut self.locality);
    }
}

/// The labels that name a workload's service, in order.
const CANONICAL_NAME: &[&str] =
    &["service.istio.io/canonical-name", "app.kubernetes.io/name", "app"];
/// The labels that name a workload's revision, in order.
const CANONICAL_REVISION: &[&str] =
    &["service.istio.io/canonical-revision", "app.kubernetes.io/version", "version"];

/// Returns the service that a workload's labels name, the canonical one first; `None` where none does
/// and the workload's own name stands for it.
///
/// # Upstream
///
/// istio/istio `pkg/kube/labels/labels.go` `CanonicalService`.
pub fn canonical_service(labels: &Labels) -> Option<&str> {
    CANONICAL_NAME.iter().find_map(|key| labels.get(key))
}

/// Returns the revision that a workload's labels name; `None` where none does, which means `latest`.
///
/// # Upstream
///
/// istio/istio `pkg/kube/labels/labels.go` `CanonicalService`.
pub fn canonical_revision(labels: &Labels) -> Option<&str> {
    CANONICAL_REVISION.iter().find_map(|key| labels.get(key))
}
