//! Everything one proxy is sent, as a snapshot; what proxies and revisions have in common is made once.
//!
//! ```text
//! view ──class──▶ known, same mesh      ─────────────────────────▶ its snapshot
//!                 known, earlier mesh   ──difference──▶ Reach ──▶ what is concerned, the rest shared
//!                 another sends alike   ──▶ its own listeners and ports, the rest shared
//!                 nobody like it yet    ──▶ everything
//! ```
mod class;
mod encoded;
mod reach;
mod renew;
mod resources;

use std::collections::BTreeMap;
use std::sync::Arc;

use mesh_envoy_proto::istio::workload::address;
use mesh_model::compat::DataPlane;
use mesh_model::name::{ClusterId, Namespace};
use mesh_model::registry::{Effect, Mesh};
use mesh_model::view::{ProxyKind, ProxyView};

use self::class::Class;
use self::encoded::Writer;
pub use self::reach::{Part, Reach};
pub use self::resources::Resources;
use crate::delta::Delta;
use crate::grpc;
use crate::snapshot::{Collection, Resource, Snapshot, TypeUrl};
use crate::workload::{Ambient, Names};

/// How many classes of proxies are remembered.
const CLASSES: usize = 4096;

/// Makes snapshots, and remembers those of the classes of proxies that it met.
///
/// Equal views give equal bytes whatever was generated before; what a generator remembers only
/// decides what is made anew and what is shared.
///
/// # Examples
///
/// Two pods of one deployment are told the same, and nothing twice:
///
/// ```
/// # fn example(mesh: &mesh_model::registry::Mesh) {
/// use std::sync::Arc;
/// use mesh_xds_gen::{Generator, snapshot::TypeUrl};
///
/// let mut generator = Generator::new();
/// let mut clusters = ["c1/shop/web-0", "c1/shop/web-1"].map(|name| {
///     let proxy = mesh.proxy(name).unwrap();
///     let snapshot = generator.snapshot(&mesh.view(&proxy).unwrap());
///     snapshot.collection(&TypeUrl::CLUSTER).unwrap().clone()
/// });
/// assert!(Arc::ptr_eq(&clusters[0], &clusters[1]));
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Generator {
    known: BTreeMap<(ClusterId, Namespace), Vec<Known>>,
    writer: Writer,
    /// How often something was asked, by which the least recently used class is found.
    asked: u64,
}

/// The snapshot of a class of proxies.
#[derive(Clone, Debug)]
struct Known {
    class: Class,
    mesh: Mesh,
    snapshot: Snapshot,
    asked: u64,
}

impl Generator {
    /// A generator that has met nobody yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Generates what a proxy is sent: clusters, endpoints, listeners, routes and
    /// the name table (under the empty name, for its agent).
    ///
    /// A ztunnel is sent addresses, the workloads among them by themselves, and authorizations instead.
    ///
    /// Equal views give equal bytes, and so equal versions. A stock Envoy is sent the same without
    /// Istio's own filters.
    pub fn snapshot(&mut self, view: &ProxyView<'_>) -> Snapshot {
        match (view.proxy().kind, view.proxy().data_plane) {
            (ProxyKind::Ztunnel, _) => Snapshot::of_types(&self.of_ztunnel(view)),
            (_, DataPlane::Grpc) => Snapshot::new(Resources::new(view).into_resources()),
            (ProxyKind::Sidecar | ProxyKind::Router | ProxyKind::Waypoint, _) => {
                self.of_class(view)
            }
        }
    }

    /// Generates what a gRPC client is sent that asks for these listeners, beside the services' among
    /// [`grpc::asked`]: in short forms of their names, or as a server at an address. A server's listeners
    /// are sent to nobody who did not name them.
    pub fn snapshot_of_grpc<'n>(
        &mut self,
        view: &ProxyView<'_>,
        listeners: impl IntoIterator<Item = &'n str>,
    ) -> Snapshot {
        let mut names = grpc::asked(view);
        names.retain(|name| !name.starts_with(grpc::name::INBOUND_PREFIX));
        names.extend(listeners.into_iter().map(str::to_owned));
        let resources = Resources::of_grpc(view, names.iter().map(String::as_str));
        Snapshot::new(resources.into_resources())
    }

    /// Generates one type of what a sidecar or gateway is sent, without the others: for those who are
    /// asked for a type at a time and keep no snapshots.
    ///
    /// Which endpoints there are, clusters say, and which routes, listeners: those are made too, and
    /// thrown away. Any other type has nothing.
    pub fn of_type(&mut self, view: &ProxyView<'_>, type_url: &TypeUrl) -> Collection {
        Collection::of_any(renew::of_type(&mut self.writer, view, type_url))
    }

    /// Generates what a change does to a proxy's snapshot, of each type only what the change
    /// concerns: the difference of the snapshots before and after it.
    ///
    /// `previous` is the snapshot of the proxy's view `before` the change, `view` is the one after it.
    pub fn delta(
        &mut self,
        (before, previous): (&ProxyView<'_>, &Snapshot),
        view: &ProxyView<'_>,
        effect: &Effect,
    ) -> Delta {
        let reach = Reach::of(before, view, effect);
        if reach == Reach::everything() {
            return self.snapshot(view).diff(previous);
        }
        renew::delta(&mut self.writer, view, previous, &reach)
    }

    /// Returns how many classes of proxies are remembered, each with its snapshot.
    pub fn n_classes(&self) -> usize {
        self.known.values().map(Vec::len).sum()
    }

    fn of_class(&mut self, view: &ProxyView<'_>) -> Snapshot {
        self.asked += 1;
        let (asked, writer) = (self.asked, &mut self.writer);
        let targets = view.service_targets();
        let key = (view.proxy().cluster.clone(), view.proxy().namespace.clone());
        let bucket = self.known.entry(key).or_default();
        let index = bucket.iter().position(|known| known.class.is_of(view, &targets));
        let snapshot = match index.and_then(|index| bucket.get(index)) {
            Some(known) if known.mesh.is_same(view.mesh()) => known.snapshot.clone(),
            Some(known) => {
                let delta = known.delta(view, writer, bucket);
                known.snapshot.apply(&delta)
            }
            None => anew(view, writer, bucket),
        };
        let mesh = view.mesh().clone();
        match index.and_then(|index| bucket.get_mut(index)) {
            Some(known) => {
                (known.mesh, known.asked) = (mesh, asked);
                known.snapshot.clone_from(&snapshot);
            }
            None => {
                let class = Class::new(view, targets);
                bucket.push(Known { class, mesh, snapshot: snapshot.clone(), asked });
                self.forget();
            }
        }
        snapshot
    }

    /// Forgets the half of the classes that were not asked for longest, where they are too many.
    fn forget(&mut self) {
        if self.n_classes() <= CLASSES {
            return;
        }
        let mut asked: Vec<u64> = self.known.values().flatten().map(|known| known.asked).collect();
        asked.sort_unstable();
        let middle = asked.get(asked.len() / 2).copied().unwrap_or_default();
        for bucket in self.known.values_mut() {
            bucket.retain(|known| known.asked >= middle);
        }
        self.known.retain(|_, bucket| !bucket.is_empty());
    }

    fn of_ztunnel(&mut self, view: &ProxyView<'_>) -> Vec<Arc<Resource>> {
        let ambient = Ambient::new(view.mesh(), view.plane());
        let names = ambient.names();
        let none = Names::default();
        let names_of = |name: &String| names.get(name.as_str()).unwrap_or(&none);
        let mut found = Vec::new();
        for (name, address) in &ambient.addresses {
            found.push(self.writer.named(TypeUrl::ADDRESS, name, address, names_of(name)));
        }
        for (name, address) in &ambient.addresses {
            if let Some(address::Type::Workload(workload)) = &address.r#type {
                found.push(self.writer.named(TypeUrl::WORKLOAD, name, workload, names_of(name)));
            }
        }
        let policies = ambient.authorizations.iter();
        found.extend(
            policies.map(|(name, policy)| self.writer.other(TypeUrl::AUTHORIZATION, name, policy)),
        );
        found
    }
}

/// A snapshot that shares what it can with those of the same mesh.
fn anew(view: &ProxyView<'_>, writer: &mut Writer, bucket: &[Known]) -> Snapshot {
    let alike = bucket
        .iter()
        .find(|known| known.mesh.is_same(view.mesh()) && known.class.sends_alike(view));
    match alike {
        Some(known) => renew::beside(writer, view, &known.snapshot),
        None => renew::cold(writer, view),
    }
}

impl Known {
    /// What differs in the mesh of a view of the class.
    fn delta(&self, view: &ProxyView<'_>, writer: &mut Writer, bucket: &[Self]) -> Delta {
        let before = self.mesh.control_plane_of(view.proxy().cluster.as_str());
        let reach = match before {
            Some(before) if self.mesh.settings_are_same(view.mesh()) => {
                Reach::of_difference(view, before, &view.plane().difference(before))
            }
            Some(_) | None => Reach::everything(),
        };
        if reach == Reach::everything() {
            return anew(view, writer, bucket).diff(&self.snapshot);
        }
        renew::delta(writer, view, &self.snapshot, &reach)
    }
}
