//! What servers demand: PeerAuthentication objects by what they are for.
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::name::{Labels, Namespace};
use crate::resource::{MutualTlsMode, PeerAuthentication};

/// What a workload demands of its clients: never UNSET.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a mode and its exceptions")]
pub struct ServerMode {
    /// The mode of every port without an entry of its own.
    pub mode: MutualTlsMode,
    /// Modes of single workload ports.
    pub ports: BTreeMap<u32, MutualTlsMode>,
}

impl ServerMode {
    /// Returns the mode of a workload (target) port.
    pub fn of_port(&self, port: u16) -> MutualTlsMode {
        self.ports.get(&u32::from(port)).copied().unwrap_or(self.mode)
    }
}

/// The `PeerAuthentication` objects of a mesh, by what they are for.
///
/// Per level only the oldest counts (creation time, name, namespace), even where it is UNSET.
/// Objects with a selector in the root namespace are ignored. What an object that could not be
/// understood may have been for is STRICT, on every port.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PeerAuthentications {
    /// Oldest first, those that are ignored too.
    all: Vec<Arc<PeerAuthentication>>,
    mesh: Option<Arc<PeerAuthentication>>,
    namespaces: BTreeMap<Namespace, Level>,
    /// Whether an object for the whole mesh could not be understood.
    is_mesh_broken: bool,
    /// What the objects that could not be understood select, by namespace; without labels: all.
    broken: BTreeMap<Namespace, Vec<Labels>>,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Level {
    namespace: Option<Arc<PeerAuthentication>>,
    /// With a selector, oldest first.
    workloads: Vec<Arc<PeerAuthentication>>,
}

impl PeerAuthentications {
    /// Indexes objects given in any order.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/model/authentication.go` `initAuthenticationPolicies`.
    pub fn new(
        objects: impl IntoIterator<Item = Arc<PeerAuthentication>>,
        root_namespace: &Namespace,
    ) -> Self {
        let mut objects: Vec<_> = objects.into_iter().collect();
        objects.sort_by(|a, b| a.meta.age().cmp(&b.meta.age()));
        let mut index = Self { all: objects.clone(), ..Self::default() };
        for object in objects {
            let selects = object.spec.selector.as_ref().is_some_and(|s| !s.match_labels.is_empty());
            let is_root = object.meta.namespace == *root_namespace;
            match (selects, is_root) {
                (false, true) => drop(index.mesh.get_or_insert(object)),
                (true, true) => {}
                (false, false) => {
                    let level = index.namespaces.entry(object.meta.namespace.clone()).or_default();
                    level.namespace.get_or_insert(object);
                }
                (true, false) => {
                    let level = index.namespaces.entry(object.meta.namespace.clone()).or_default();
                    level.workloads.push(object);
                }
            }
        }
        index
    }

    /// Remembers objects that could not be understood, each by its namespace (empty where that cannot be
    /// told: any) and what it selects, `None` where that cannot be told.
    #[must_use]
    pub fn with_broken<'b>(
        mut self,
        objects: impl IntoIterator<Item = (&'b Namespace, Option<&'b Labels>)>,
        root_namespace: &Namespace,
    ) -> Self {
        for (namespace, selector) in objects {
            let selector = selector.cloned().unwrap_or_default();
            if namespace != root_namespace && !namespace.is_empty() {
                self.broken.entry(namespace.clone()).or_default().push(selector);
            } else if namespace.is_empty() || selector.is_empty() {
                self.is_mesh_broken = true;
            }
        }
        self
    }

    /// Returns whether an object that could not be understood may be for a workload: then it is STRICT.
    pub fn may_be_broken(&self, namespace: &Namespace, labels: &Labels) -> bool {
        let of_namespace = self.broken.get(namespace).into_iter().flatten();
        self.is_mesh_broken || of_namespace.into_iter().any(|selector| labels.contains(selector))
    }

    /// Returns what a workload demands: the mesh's mode, the namespace's over it, the workload's
    /// over that; PERMISSIVE where nobody says anything.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/security/authn/policy_applier.go` `ComposePeerAuthentication`.
    pub fn server_mode(&self, namespace: &Namespace, labels: &Labels) -> ServerMode {
        if self.may_be_broken(namespace, labels) {
            return ServerMode { mode: MutualTlsMode::Strict, ports: BTreeMap::new() };
        }
        self.understood_mode(namespace, labels)
    }

    /// Returns what the objects say that could be understood, whatever the others may have meant.
    pub(crate) fn understood_mode(&self, namespace: &Namespace, labels: &Labels) -> ServerMode {
        let level = self.namespaces.get(namespace);
        let own = level.and_then(|level| {
            level.workloads.iter().find(|object| {
                object.spec.selector.as_ref().is_some_and(|s| labels.contains(&s.match_labels))
            })
        });
        let mut mode = MutualTlsMode::Permissive;
        let namespace_wide = level.and_then(|level| level.namespace.as_ref());
        for object in [self.mesh.as_ref(), namespace_wide, own].into_iter().flatten() {
            mode = inherit(mode, object);
        }
        let ports =
            own.and_then(|object| object.spec.port_level_mtls.as_ref()).into_iter().flatten();
        let ports = ports.map(|(port, entry)| match entry.mode {
            MutualTlsMode::Unset => (*port, mode),
            MutualTlsMode::Disable | MutualTlsMode::Permissive | MutualTlsMode::Strict => {
                (*port, entry.mode)
            }
        });
        ServerMode { mode, ports: ports.collect() }
    }

    /// Returns the mode of one workload port without building the whole answer.
    pub fn port_mode(&self, namespace: &Namespace, labels: &Labels, port: u16) -> MutualTlsMode {
        self.server_mode(namespace, labels).of_port(port)
    }

    /// Returns whether workloads of a namespace may differ from each other.
    pub fn differs_by_workload(&self, namespace: &Namespace) -> bool {
        let is_selected = |selectors: &Vec<Labels>| selectors.iter().any(|s| !s.is_empty());
        self.namespaces.get(namespace).is_some_and(|level| !level.workloads.is_empty())
            || self.broken.get(namespace).is_some_and(is_selected)
    }

    /// Returns the mode that a namespace has as a whole, as clients assume it for a service: its own,
    /// else the mesh's, else PERMISSIVE; STRICT and PERMISSIVE make no difference to them.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/model/push_context.go` `BestEffortInferServiceMTLSMode`;
    /// `authentication.go` `GetNamespaceMutualTLSMode`.
    pub fn namespace_mode(&self, namespace: &Namespace) -> MutualTlsMode {
        if self.may_be_broken(namespace, &Labels::default()) {
            return MutualTlsMode::Strict;
        }
        let level = self.namespaces.get(namespace).and_then(|level| level.namespace.as_ref());
        [self.mesh.as_ref(), level].into_iter().flatten().fold(MutualTlsMode::Permissive, inherit)
    }

    /// Returns every object, those that are ignored too, oldest first.
    pub fn all(&self) -> &[Arc<PeerAuthentication>] {
        &self.all
    }

    /// Returns every object in force, those of the mesh first.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<PeerAuthentication>> {
        let levels = self.namespaces.values();
        self.mesh
            .iter()
            .chain(levels.flat_map(|level| level.namespace.iter().chain(level.workloads.iter())))
    }
}

/// The mode after an object of a lower level.
fn inherit(mode: MutualTlsMode, object: &Arc<PeerAuthentication>) -> MutualTlsMode {
    match object.spec.mtls.as_ref().map(|mtls| mtls.mode) {
        None | Some(MutualTlsMode::Unset) => mode,
        Some(given) => given,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(app: &str) -> Labels {
        [("app", app)].into_iter().collect()
    }

    /// The mode of workload `web` of namespace `shop`, with one broken object.
    fn check(namespace: &str, selector: Option<&Labels>, expected: MutualTlsMode) {
        let (root, shop) = (Namespace::from("root"), Namespace::from("shop"));
        let broken = Namespace::from(namespace);
        let index = PeerAuthentications::default().with_broken([(&broken, selector)], &root);
        assert_eq!(index.server_mode(&shop, &labels("web")).of_port(80), expected);
    }

    #[test]
    fn what_a_broken_object_may_select_is_strict() {
        check("shop", None, MutualTlsMode::Strict);
        check("shop", Some(&Labels::default()), MutualTlsMode::Strict);
        check("shop", Some(&labels("web")), MutualTlsMode::Strict);
        check("shop", Some(&labels("cart")), MutualTlsMode::Permissive);
        check("other", None, MutualTlsMode::Permissive);
        check("root", None, MutualTlsMode::Strict);
        // Selectors do not count in the root namespace.
        check("root", Some(&labels("web")), MutualTlsMode::Permissive);
    }

    #[test]
    fn a_namespace_is_strict_where_the_broken_object_may_be_for_all_of_it() {
        let (root, shop) = (Namespace::from("root"), Namespace::from("shop"));
        let web = labels("web");
        let of_some = PeerAuthentications::default().with_broken([(&shop, Some(&web))], &root);
        assert_eq!(of_some.namespace_mode(&shop), MutualTlsMode::Permissive);
        assert!(of_some.differs_by_workload(&shop));
        let of_all = PeerAuthentications::default().with_broken([(&shop, None)], &root);
        assert_eq!(of_all.namespace_mode(&shop), MutualTlsMode::Strict);
        assert!(!of_all.differs_by_workload(&shop));
    }
}
