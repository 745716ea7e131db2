//! Changing a mesh: one resource of one cluster at a time, or many at once.
//!
//! ```text
//! Change ──store──▶ parts ──what differs──▶ renew: the endpoints, services, rules that it touches ──▶ Mesh, Effect
//!                                      └──▶ rebuild: settings, topology, which namespaces exist
//! ```
mod renew;

use std::sync::Arc;

use super::control_plane::ControlPlane;
use super::effect::Effect;
use super::index::Index;
use super::objects::Stored;
use super::{Broken, Mesh, Origin, Registry};
use crate::name::ClusterId;
use crate::resource::{
    ClusterDescription, MeshConfig, MeshNetworks, ObjectKey, ProxyEntry, Resource,
};

/// A change of what a mesh is made of.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "callers make changes")]
pub enum Change {
    /// A resource is new, or is now this.
    Upsert {
        /// Which part of the mesh it is in: a cluster, or the config cluster.
        origin: Origin,
        /// The resource.
        resource: Box<Resource>,
    },
    /// A resource is gone; nothing happens if there is none.
    Delete {
        /// Which part of the mesh it was in.
        origin: Origin,
        /// Its kind, namespace and name.
        object: ObjectKey,
    },
    /// A cluster is gone with everything that it contains.
    Remove(ClusterId),
    /// What a cluster is meant to be; `None`: nothing is said.
    Describe(ClusterId, Option<Arc<ClusterDescription>>),
    /// The mesh's settings; `None`: upstream's defaults.
    MeshConfig(Option<Arc<MeshConfig>>),
    /// The mesh's networks; `None`: nothing is said.
    MeshNetworks(Option<Arc<MeshNetworks>>),
    /// What is said of proxies, instead of what was.
    Proxies(Vec<ProxyEntry>),
    /// The security policies that could not be understood, instead of those before.
    Broken(Vec<Broken>),
}

/// From so many changes on, indexing everything again once is cheaper than one after the other.
const MANY: usize = 256;

/// What an object was and is now.
struct Touched {
    origin: Origin,
    key: ObjectKey,
    before: Option<Stored>,
    after: Option<Stored>,
}

impl Registry {
    /// Applies a change, and tells what it makes different.
    ///
    /// [`Registry::mesh`] is a new mesh then, which shares with the one before what the change does not
    /// touch; who holds the one before keeps it. Where nothing is different it is the same mesh.
    ///
    /// A change of endpoints costs the number of the service's endpoints in its cluster, whatever the
    /// size of the mesh. Services, rules and policies are indexed again where they are; the settings of
    /// the mesh and its topology concern everything, and so everything is indexed again.
    ///
    /// # Examples
    ///
    /// ```
    /// use mesh_model::registry::{Change, Origin, Registry};
    /// use mesh_model::resource::{Resource, ServiceEntry};
    ///
    /// let mut registry = Registry::default();
    /// let mut entry = ServiceEntry::default();
    /// entry.meta.name = "news".into();
    /// entry.spec.hosts = vec!["news.example".into()];
    /// let resource = Box::new(Resource::ServiceEntry(entry));
    /// let change = Change::Upsert { origin: Origin::Cluster("c1".into()), resource };
    /// let effect = registry.apply(change.clone());
    /// assert_eq!(effect.services.iter().next().unwrap().0.as_str(), "news.example");
    /// assert!(registry.apply(change).is_empty());
    /// ```
    pub fn apply(&mut self, change: Change) -> Effect {
        self.apply_all([change])
    }

    /// Applies changes in their order, and tells what they make different together.
    pub fn apply_all(&mut self, changes: impl IntoIterator<Item = Change>) -> Effect {
        let mut touched = Vec::new();
        let mut pending = Pending::default();
        let changes = changes.into_iter();
        let is_many = changes.size_hint().0 >= MANY;
        for change in changes {
            self.store_change(change, &mut touched, &mut pending);
            if is_many {
                continue;
            }
            for object in touched.drain(..) {
                pending.is_changed = true;
                if !pending.rebuild {
                    pending.rebuild = self.renew(&object, &mut pending.effect);
                }
                pending.late.extend(pending.rebuild.then_some(object));
            }
        }
        pending.is_changed |= !touched.is_empty();
        pending.rebuild |= !touched.is_empty();
        touched.append(&mut pending.late);
        if !pending.is_changed {
            return pending.effect;
        }
        let before = self.mesh();
        if pending.rebuild {
            self.rebuild();
            for object in &touched {
                self.name(object, &mut pending.effect);
            }
            pending.effect.compare(&before, &self.mesh());
        } else {
            self.publish();
        }
        pending.effect
    }

    /// Indexes everything again.
    pub(super) fn rebuild(&mut self) {
        let (index, planes) = Index::build(&self.parts, &self.compat, &self.planes);
        self.index = index;
        self.planes = planes;
        self.publish();
    }

    pub(super) fn publish(&mut self) {
        let parts = Arc::new(self.parts.clone());
        self.mesh = Arc::new(Mesh::new(parts, &self.index, self.planes.clone()));
    }

    /// Puts a change into the parts.
    fn store_change(&mut self, change: Change, touched: &mut Vec<Touched>, pending: &mut Pending) {
        match change {
            Change::Upsert { origin, resource } => {
                let key = resource.key();
                pending.settle(self.meets_new_cluster(&origin));
                let differs = self.store(&origin).upsert(*resource);
                touched.extend(differs.map(|(before, after)| {
                    let after = Some(after);
                    Touched { origin, key, before, after }
                }));
            }
            Change::Delete { origin, object: key } => {
                if self.meets_new_cluster(&origin) || !self.store(&origin).contains(&key) {
                    return;
                }
                let before = self.store(&origin).remove(&key);
                touched.push(Touched { origin, key, before, after: None });
            }
            Change::Remove(cluster) => {
                pending.settle(self.parts.clusters.remove(&cluster).is_some());
            }
            Change::Describe(cluster, description) => {
                let known = self.parts.clusters.get(&cluster);
                if known.is_none_or(|known| known.description != description) {
                    self.parts.clusters.entry(cluster).or_default().description = description;
                    pending.settle(true);
                }
            }
            Change::MeshConfig(config) => {
                pending.settle(replace(&mut self.parts.mesh_config, config));
            }
            Change::MeshNetworks(networks) => {
                pending.settle(replace(&mut self.parts.networks, networks));
            }
            Change::Proxies(proxies) => self.store_proxies(proxies, pending),
            Change::Broken(broken) => self.store_broken(broken, pending),
        }
    }

    fn meets_new_cluster(&self, origin: &Origin) -> bool {
        match origin {
            Origin::Cluster(id) | Origin::Description(id) => !self.parts.clusters.contains_key(id),
            Origin::Config
            | Origin::MeshConfig
            | Origin::MeshNetworks
            | Origin::Proxies
            | Origin::Misplaced(_) => false,
        }
    }

    fn store_proxies(&mut self, proxies: Vec<ProxyEntry>, pending: &mut Pending) {
        let before = &self.parts.proxies;
        let entries = before.iter().filter(|entry| !proxies.contains(entry));
        let entries = entries.chain(proxies.iter().filter(|entry| !before.contains(entry)));
        let references = entries.filter_map(|entry| entry.reference.clone());
        pending.effect.proxies.extend(references);
        if **before != proxies {
            self.parts.proxies = Arc::new(proxies);
            pending.is_changed = true;
        }
    }

    fn store_broken(&mut self, broken: Vec<Broken>, pending: &mut Pending) {
        let before = self.parts.broken.clone();
        if *before == broken {
            return;
        }
        let policies = before.iter().filter(|policy| !broken.contains(policy));
        for policy in policies.chain(broken.iter().filter(|policy| !before.contains(policy))) {
            self.name_policy(&policy.object, &mut pending.effect);
        }
        self.parts.broken = Arc::new(broken);
        pending.is_changed = true;
        if self.is_served_otherwise() {
            pending.settle(true);
        } else {
            self.renew_peer_authentications();
        }
    }

    /// A control plane that is to be changed.
    fn plane_mut(&mut self, id: &ClusterId) -> Option<&mut ControlPlane> {
        self.planes.get_mut(id).map(Arc::make_mut)
    }
}

/// What is left to do once all changes are stored.
#[derive(Default)]
struct Pending {
    effect: Effect,
    is_changed: bool,
    rebuild: bool,
    /// Objects whose change came when it was clear that everything is indexed again.
    late: Vec<Touched>,
}

impl Pending {
    /// Takes note of whether the settings or the topology are different.
    fn settle(&mut self, differs: bool) {
        self.is_changed |= differs;
        self.rebuild |= differs;
        self.effect.everything |= differs;
    }
}

fn replace<T: PartialEq>(setting: &mut Option<Arc<T>>, value: Option<Arc<T>>) -> bool {
    let differs = *setting != value;
    if differs {
        *setting = value;
    }
    differs
}
