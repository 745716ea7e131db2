//! Which namespaces of a cluster exist for a control plane (`MeshConfig.discoverySelectors`).
//!
//! # Upstream
//!
//! istio/istio `pkg/kube/namespace/filter.go`.
use super::Store;
use crate::resource::MeshConfig;

/// The selectors of a mesh and the namespaces of a cluster that they are asked of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Discovery<'o> {
    // `None`: every namespace exists.
    selective: Option<(&'o MeshConfig, &'o Store)>,
}

impl<'o> Discovery<'o> {
    /// The namespaces of a cluster; every namespace where no selector is set.
    pub(crate) fn new(config: &'o MeshConfig, store: &'o Store) -> Self {
        let selects = !config.discovery_selectors.is_empty();
        Self { selective: selects.then_some((config, store)) }
    }

    /// Every namespace.
    pub(crate) const fn everywhere() -> Self {
        Self { selective: None }
    }

    /// Whether a namespace exists.
    pub(crate) fn contains(&self, namespace: &str) -> bool {
        let Some((config, store)) = self.selective else { return true };
        let Some(meta) = store.namespace(namespace) else { return false };
        config.discovery_selectors.iter().any(|selector| selector.selects(&meta.labels))
    }
}

/// Whether a namespace of a cluster exists for the control plane.
pub(crate) fn is_discovered(config: &MeshConfig, store: &Store, namespace: &str) -> bool {
    Discovery::new(config, store).contains(namespace)
}
