//! Scopes that proxies share: those of one namespace and Sidecar import the same.
use std::sync::Arc;

use super::{Proxy, ProxyKind, ProxyView, Scope};
use crate::name::Namespace;
use crate::registry::{ControlPlane, Mesh};
use crate::resource::Sidecar;

/// How many scopes are remembered.
const KNOWN: usize = 1024;

/// The scopes of proxies, each computed once a namespace and Sidecar, and again only when what it is
/// made of is different.
///
/// # Examples
///
/// ```
/// use mesh_model::registry::{Mesh, Origin, Registry, Source};
/// use mesh_model::view::{Proxy, Scopes};
///
/// fn example(mesh: &Mesh, first: &Proxy, second: &Proxy) -> Option<()> {
///     let mut scopes = Scopes::default();
///     let (a, b) = (scopes.view(mesh, first)?, scopes.view(mesh, second)?);
///     assert_eq!(std::ptr::eq(a.scope(), b.scope()), first.namespace == second.namespace);
///     Some(())
/// }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Scopes {
    known: Vec<Known>,
    /// What is put in next where no place is free.
    oldest: usize,
}

#[derive(Clone, Debug)]
struct Known {
    plane: Arc<ControlPlane>,
    namespace: Namespace,
    is_sidecar: bool,
    sidecar: Option<Arc<Sidecar>>,
    scope: Arc<Scope>,
}

impl Scopes {
    /// The mesh as a proxy sees it, as [`Mesh::view`]; `None` if the proxy's cluster is not part of
    /// the mesh.
    pub fn view<'m>(&mut self, mesh: &'m Mesh, proxy: &'m Proxy) -> Option<ProxyView<'m>> {
        let plane = mesh.control_plane_of(proxy.cluster.as_str())?;
        let is_sidecar = proxy.kind == ProxyKind::Sidecar;
        let sidecar = is_sidecar.then(|| plane.sidecar(&proxy.namespace, &proxy.labels)).flatten();
        let is_for = |known: &Known| {
            known.is_sidecar == is_sidecar
                && known.namespace == proxy.namespace
                && known.plane.id == plane.id
                && known.sidecar.as_ref().map(Arc::as_ptr) == sidecar.map(Arc::as_ptr)
        };
        let index = self.known.iter().position(is_for);
        if let Some(known) = index.and_then(|index| self.known.get_mut(index)) {
            let is_new = !Arc::ptr_eq(&known.plane, plane);
            if is_new && !known.plane.imports_alike(plane) {
                known.scope = Arc::new(Scope::of_proxy(plane, &mesh.compat().flags, proxy));
            }
            if is_new {
                known.plane = plane.clone();
            }
            return Some(ProxyView::with_scope(mesh, plane, proxy, known.scope.clone()));
        }
        let scope = Arc::new(Scope::of_proxy(plane, &mesh.compat().flags, proxy));
        let known = Known {
            plane: plane.clone(),
            namespace: proxy.namespace.clone(),
            is_sidecar,
            sidecar: sidecar.cloned(),
            scope: scope.clone(),
        };
        match self.known.get_mut(self.oldest) {
            Some(place) => *place = known,
            None => self.known.push(known),
        }
        self.oldest = (self.oldest + 1) % KNOWN;
        Some(ProxyView::with_scope(mesh, plane, proxy, scope))
    }
}
