//! What all streams share: the newest mesh, the generator, certificates, and the end.
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::num::NonZero;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use mesh_envoy_proto::envoy::config::core::v3::Node;
use mesh_model::compat::DataPlane;
use mesh_model::registry::{Effect, Mesh};
use mesh_model::view::{Proxy, ProxyKind, ProxyView, Scopes};
use mesh_xds_gen::Generator;
use mesh_xds_gen::snapshot::Snapshot;
use tokio::sync::{Semaphore, SemaphorePermit, watch};
use tonic::Status;

use super::event::Event;
use super::identify;
use super::secrets::Secrets;

/// What a stream asks for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Surface {
    /// Everything.
    Ads,
    /// Secrets alone.
    Sds,
}

impl Surface {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Ads => "ads",
            Self::Sds => "sds",
        }
    }
}

/// A proxy that connected.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Client {
    /// The id of its node, as it wrote it.
    pub(super) node: String,
    /// The pod, as `CLUSTER/NAMESPACE/POD`.
    pub(super) reference: String,
    pub(super) plane: DataPlane,
}

/// So much of what is told once is remembered.
const TOLD: usize = 4096;

/// So many of the last changes are remembered; whoever missed more looks at everything.
const REMEMBERED: usize = 64;

/// The newest mesh, and how it came about.
#[derive(Debug)]
pub(super) struct Published {
    mesh: Arc<Mesh>,
    /// What proxies see of it: looked for once for all that see the same.
    scopes: Mutex<Scopes>,
    /// How many meshes there were before.
    count: u64,
    /// What made the last of them different from the one before each, the newest last.
    effects: VecDeque<Arc<Effect>>,
    /// How often secrets may have changed.
    secrets: u64,
}

impl Published {
    /// A mesh of which something is seen already, if it is like the one before.
    fn new(mesh: Arc<Mesh>, scopes: Scopes) -> Self {
        let scopes = Mutex::new(scopes);
        Self { mesh, scopes, count: 0, effects: VecDeque::new(), secrets: 0 }
    }

    fn scopes(&self) -> Scopes {
        self.scopes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn view<'m>(&'m self, proxy: &'m Proxy) -> Option<ProxyView<'m>> {
        self.scopes.lock().unwrap_or_else(PoisonError::into_inner).view(&self.mesh, proxy)
    }

    /// Whether a change can make a difference to a client; a client that the mesh does not have, it
    /// can.
    fn concerns(&self, effect: &Effect, client: &Client) -> bool {
        if effect.is_empty() {
            return false;
        }
        let Ok(mut proxy) = self.mesh.proxy(&client.reference) else { return true };
        proxy.data_plane = client.plane;
        self.view(&proxy).is_none_or(|view| view.sees(effect))
    }

    /// What is different from an earlier mesh.
    fn since(&self, earlier: &Self) -> Effect {
        let missed = usize::try_from(self.count.saturating_sub(earlier.count));
        let mut all = Effect::default();
        match missed {
            Ok(missed) if missed <= self.effects.len() => {
                let effects = self.effects.iter().rev().take(missed);
                effects.for_each(|effect| all.merge(Effect::clone(effect)));
            }
            Ok(_) | Err(_) => all.everything = true,
        }
        all
    }
}

/// What a client holds, and of which mesh.
#[derive(Clone, Debug)]
pub(super) struct Held {
    of: Arc<Published>,
    pub(super) snapshot: Snapshot,
}

/// Clients of the newest mesh: several streams of one proxy are sent the same.
#[derive(Debug, Default)]
struct Made {
    count: u64,
    snapshots: BTreeMap<(String, DataPlane), Snapshot>,
}

/// What is told once of a pod.
#[derive(Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Once {
    MissingSecret(String),
    OtherType(&'static str),
}

#[derive(Debug)]
pub(super) struct Hub {
    meshes: watch::Sender<Arc<Published>>,
    closed: watch::Sender<bool>,
    generator: Mutex<(Generator, Made)>,
    /// Who may compute: more at a time than there are processors would only wait for each other.
    turns: Semaphore,
    secrets: Secrets,
    plane: Option<DataPlane>,
    streams: AtomicU64,
    told: Mutex<BTreeSet<(String, Once)>>,
}

impl Hub {
    pub(super) fn new(mesh: Arc<Mesh>, secrets: Secrets, plane: Option<DataPlane>) -> Self {
        let first = Published::new(mesh, Scopes::default());
        let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
        Self {
            meshes: watch::Sender::new(Arc::new(first)),
            closed: watch::Sender::new(false),
            generator: Mutex::default(),
            turns: Semaphore::new(processors),
            secrets,
            plane,
            streams: AtomicU64::new(1),
            told: Mutex::default(),
        }
    }

    /// A number that no other stream has.
    pub(super) fn stream(&self) -> u64 {
        self.streams.fetch_add(1, Ordering::Relaxed)
    }

    /// Tells who connects, and that the mesh has such a proxy.
    pub(super) fn client(&self, node: &Node) -> Result<Client, Status> {
        let mesh = self.meshes.borrow().mesh.clone();
        let reference = identify::reference(node, &mesh)?;
        let plane = self.plane.unwrap_or_else(|| identify::data_plane(node));
        let client = Client { node: node.id.clone(), reference, plane };
        match mesh.proxy(&client.reference) {
            Ok(proxy) => {
                let stated = identify::kind(node);
                if let Some(stated) = stated.filter(|stated| *stated != proxy.kind) {
                    self.tell_other_type(&client, stated, proxy.kind);
                }
                Ok(client)
            }
            Err(error) => Err(Status::not_found(format!(
                "node `{}` is the pod `{}`, but {error}",
                client.node, client.reference
            ))),
        }
    }

    /// What a client holds in a mesh, after what it held in an earlier one: the same snapshot if
    /// nothing that changed concerns it. Or why it is no longer part of the mesh. A gRPC client
    /// decides by itself what it calls its listeners.
    ///
    /// Takes processor time: to be called where that hurts nobody.
    pub(super) fn hold(
        &self,
        client: &Client,
        surface: Surface,
        listeners: &BTreeSet<String>,
        published: Arc<Published>,
        held: Option<Held>,
    ) -> Result<Held, String> {
        if let Some(held) = held {
            let effect = published.since(&held.of);
            let is_same = published.secrets == held.of.secrets
                && (surface == Surface::Sds || !held.of.concerns(&effect, client))
                && !published.concerns(&effect, client);
            if is_same {
                return Ok(Held { of: published, ..held });
            }
            let made = self.snapshot(client, surface, listeners, &published)?;
            // Shared parts are not compared again.
            return Ok(Held { snapshot: made.sharing(&held.snapshot), of: published });
        }
        let snapshot = self.snapshot(client, surface, listeners, &published)?;
        Ok(Held { of: published, snapshot })
    }

    fn snapshot(
        &self,
        client: &Client,
        surface: Surface,
        listeners: &BTreeSet<String>,
        published: &Published,
    ) -> Result<Snapshot, String> {
        let mesh = &published.mesh;
        let mut proxy = mesh.proxy(&client.reference).map_err(|error| error.to_string())?;
        proxy.data_plane = client.plane;
        let secrets = Snapshot::new(self.secrets.of(mesh, &proxy));
        if surface == Surface::Sds {
            return Ok(secrets);
        }
        let Some(view) = published.view(&proxy) else {
            return Err(format!("no control plane serves the cluster `{}`", proxy.cluster));
        };
        let mut guard = self.generator.lock().unwrap_or_else(PoisonError::into_inner);
        let (generator, made) = &mut *guard;
        if client.plane == DataPlane::Grpc {
            let generated = generator.snapshot_of_grpc(&view, listeners.iter().map(String::as_str));
            return Ok(generated.apply(&secrets.diff(&Snapshot::default())));
        }
        if made.count != published.count {
            *made = Made { count: published.count, snapshots: BTreeMap::new() };
        }
        let key = (client.reference.clone(), client.plane);
        let generated = made.snapshots.entry(key).or_insert_with(|| generator.snapshot(&view));
        let generated = generated.clone();
        drop(guard);
        Ok(generated.apply(&secrets.diff(&Snapshot::default())))
    }

    /// Waits for a turn to compute.
    pub(super) async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        self.turns.acquire().await.ok()
    }

    /// Says once that a client asks for a secret that there is not.
    pub(super) fn tell_missing(&self, client: &Client, name: &str) {
        if self.is_first(client, Once::MissingSecret(name.to_owned())) {
            Event::MissingSecret { node: &client.node, name }.tell();
        }
    }

    /// Says once that a node takes itself for something else than the manifests, which decide.
    fn tell_other_type(&self, client: &Client, stated: ProxyKind, known: ProxyKind) {
        let (stated, known) = (stated.as_str(), known.as_str());
        if self.is_first(client, Once::OtherType(stated)) {
            let (node, proxy) = (&client.node, &client.reference);
            Event::OtherType { node, proxy, stated, known }.tell();
        }
    }

    fn is_first(&self, client: &Client, once: Once) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.len() < TOLD && told.insert((client.reference.clone(), once))
    }

    /// Notices when there is a newer mesh.
    pub(super) fn subscribe(&self) -> watch::Receiver<Arc<Published>> {
        self.meshes.subscribe()
    }

    /// Hands out a new mesh, and what makes it different from the one before.
    pub(super) fn publish(&self, mesh: Arc<Mesh>, effect: Effect) {
        self.meshes.send_modify(|published| {
            let mut effects = published.effects.clone();
            effects.push_back(Arc::new(effect));
            if effects.len() > REMEMBERED {
                effects.pop_front();
            }
            let (count, secrets) = (published.count + 1, published.secrets);
            let new = Published::new(mesh, published.scopes());
            *published = Arc::new(Published { count, effects, secrets, ..new });
        });
    }

    /// Has the secrets of every client looked at again, though the mesh is the same.
    pub(super) fn refresh(&self) {
        self.meshes.send_modify(|published| {
            let (count, effects) = (published.count, published.effects.clone());
            let secrets = published.secrets + 1;
            let new = Published::new(published.mesh.clone(), published.scopes());
            *published = Arc::new(Published { count, effects, secrets, ..new });
        });
    }

    /// Ends all streams.
    pub(super) fn close(&self) {
        self.closed.send_replace(true);
    }

    /// Waits for the end.
    pub(super) async fn closed(&self) {
        let mut closed = self.closed.subscribe();
        let _closed = closed.wait_for(|closed| *closed).await;
    }
}

#[cfg(test)]
mod tests {
    use mesh_model::Compat;
    use mesh_model::name::{Hostname, Namespace};

    use super::*;
    use crate::folder;

    fn hub() -> Hub {
        let mesh = folder::load(&folder::example().join("../loopback"), &Compat::default());
        Hub::new(mesh.unwrap().mesh, Secrets::throw_away("cluster.local").unwrap(), None)
    }

    fn newest(hub: &Hub) -> Arc<Published> {
        hub.meshes.borrow().clone()
    }

    fn of_service(host: &str) -> Effect {
        let service = (Hostname::from(host), Namespace::from("shop"));
        Effect { endpoints: [service].into(), ..Effect::default() }
    }

    fn hold(hub: &Hub, pod: &str, held: Option<Held>) -> Held {
        let client =
            Client { node: pod.to_owned(), reference: pod.to_owned(), plane: DataPlane::Envoy };
        hub.hold(&client, Surface::Ads, &BTreeSet::new(), newest(hub), held).unwrap()
    }

    #[test]
    fn what_changed_meanwhile_adds_up_until_too_much_did() {
        let hub = hub();
        let first = newest(&hub);
        for host in ["a.shop", "b.shop"] {
            hub.publish(first.mesh.clone(), of_service(host));
        }
        assert_eq!(newest(&hub).since(&first).endpoints.len(), 2);
        for _ in 0..REMEMBERED {
            hub.publish(first.mesh.clone(), of_service("c.shop"));
        }
        assert!(newest(&hub).since(&first).everything);
        assert!(newest(&hub).since(&newest(&hub)).is_empty());
    }

    #[test]
    fn who_is_not_concerned_keeps_the_same_snapshot() {
        let hub = hub();
        let version = |held: &Held| {
            let of = |(kind, it): (_, &Arc<mesh_xds_gen::snapshot::Collection>)| {
                (format!("{kind:?}"), Arc::as_ptr(it))
            };
            held.snapshot.types().map(of).collect::<Vec<_>>()
        };
        let held = hold(&hub, "loop/shop/web-0", None);
        hub.publish(held.of.mesh.clone(), of_service("nobody.elsewhere"));
        let after = hold(&hub, "loop/shop/web-0", Some(held.clone()));
        assert_eq!(version(&held), version(&after));
        assert_eq!(after.of.count, 1);
    }
}
