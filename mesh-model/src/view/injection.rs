//! Would a pod be given a sidecar?
//!
//! ```text
//! namespace and pod labels ─▶ which webhook is called ─▶ labels, annotations, network ─▶ yes or no
//! ```
//!
//! # Upstream
//!
//! istio/istio `manifests/charts/istio-control/istio-discovery/templates/mutatingwebhook.yaml`;
//! `pkg/kube/inject/inject.go` `injectRequired`.
use crate::name::Labels;

/// The annotation and label that say yes or no.
const INJECT: &str = "sidecar.istio.io/inject";
/// The label that names a revision of the control plane.
const REVISION: &str = "istio.io/rev";
/// The label of namespaces for the default revision.
const INJECTION: &str = "istio-injection";
/// Namespaces of the cluster itself.
const IGNORED: [&str; 4] = ["kube-system", "kube-public", "kube-node-lease", "local-path-storage"];

/// A pod that is about to be made.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "the inputs of one function")]
pub struct Candidate<'c> {
    /// Its namespace.
    pub namespace: &'c str,
    /// The labels of its namespace.
    pub namespace_labels: &'c Labels,
    /// Its labels.
    pub labels: &'c Labels,
    /// Its annotations.
    pub annotations: &'c Labels,
    /// Whether it uses the network of its node.
    pub host_network: bool,
    /// The revision of the control plane that is asked, `default` if it has no name.
    pub revision: &'c str,
}

/// The webhook that a pod is sent to.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_enums, reason = "the webhooks that upstream installs")]
pub enum Webhook {
    /// By the revision of the namespace.
    RevisionNamespace,
    /// By the revision of the pod.
    RevisionObject,
    /// By `istio-injection: enabled` of the namespace.
    Namespace,
    /// By the pod's own wish.
    Object,
}

impl Webhook {
    /// Returns the beginning of the webhook's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RevisionNamespace => "rev.namespace",
            Self::RevisionObject => "rev.object",
            Self::Namespace => "namespace",
            Self::Object => "object",
        }
    }
}

impl<'c> Candidate<'c> {
    /// Returns the webhook that the pod is sent to, if any; annotations have no say.
    ///
    /// # Upstream
    ///
    /// istio/istio `manifests/charts/istio-control/istio-discovery/templates/mutatingwebhook.yaml`.
    pub fn webhook(&self) -> Option<Webhook> {
        let wish = self.labels.get(INJECT);
        let (injection, revision) =
            (self.namespace_labels.get(INJECTION), self.namespace_labels.get(REVISION));
        let pod_revision = self.labels.get(REVISION);
        if wish == Some("false") {
            return None;
        }
        match (injection, revision) {
            (None, Some(revision)) if revision == self.revision => Some(Webhook::RevisionNamespace),
            (None, None) if pod_revision == Some(self.revision) => Some(Webhook::RevisionObject),
            _ if self.revision != "default" => None,
            (Some("enabled"), _) => Some(Webhook::Namespace),
            (None, None) if wish == Some("true") && pod_revision.is_none() => Some(Webhook::Object),
            _ => None,
        }
    }

    /// Returns whether the webhook gives the pod a sidecar, where the mesh's policy is `enabled` and no
    /// selector of it says otherwise.
    ///
    /// # Upstream
    ///
    /// istio/istio `pkg/kube/inject/inject.go` `injectRequired`.
    pub fn is_injected(&self) -> bool {
        let wish = self.labels.get(INJECT).or_else(|| self.annotations.get(INJECT));
        self.webhook().is_some()
            && !self.host_network
            && !IGNORED.contains(&self.namespace)
            && wish != Some("false")
    }

    /// Returns the templates that the pod asks for, `sidecar` if none.
    pub fn templates(&self) -> Vec<&'c str> {
        match self.annotations.get("inject.istio.io/templates") {
            Some(names) => names.split(',').map(str::trim).collect(),
            None => vec!["sidecar"],
        }
    }
}
