//! What all streams share: the newest mesh, the generator, certificates, and the end.
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use mesh_envoy_proto::envoy::config::core::v3::Node;
use mesh_model::compat::DataPlane;
use mesh_model::registry::Mesh;
use mesh_xds_gen::Generator;
use mesh_xds_gen::snapshot::Snapshot;
use tokio::sync::watch;
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

/// How many secrets that are missing are remembered, so that each is told once.
const TOLD: usize = 4096;

#[derive(Debug)]
pub(super) struct Hub {
    meshes: watch::Sender<Arc<Mesh>>,
    closed: watch::Sender<bool>,
    generator: Mutex<Generator>,
    secrets: Secrets,
    plane: Option<DataPlane>,
    streams: AtomicU64,
    told: Mutex<BTreeSet<(String, String)>>,
}

impl Hub {
    pub(super) fn new(mesh: Arc<Mesh>, secrets: Secrets, plane: Option<DataPlane>) -> Self {
        Self {
            meshes: watch::Sender::new(mesh),
            closed: watch::Sender::new(false),
            generator: Mutex::new(Generator::new()),
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
        let reference = identify::reference(node).map_err(Status::invalid_argument)?;
        let plane = self.plane.unwrap_or_else(|| identify::data_plane(node));
        let client = Client { node: node.id.clone(), reference, plane };
        match self.meshes.borrow().proxy(&client.reference) {
            Ok(_) => Ok(client),
            Err(error) => Err(Status::not_found(format!(
                "node `{}` is the pod `{}`, but {error}",
                client.node, client.reference
            ))),
        }
    }

    /// Everything that a client holds in the newest mesh; or why it is no longer part of it. A gRPC
    /// client decides by itself what it calls its listeners.
    pub(super) fn snapshot(
        &self,
        client: &Client,
        surface: Surface,
        listeners: &BTreeSet<String>,
    ) -> Result<Snapshot, String> {
        let mesh = self.meshes.borrow().clone();
        let mut proxy = mesh.proxy(&client.reference).map_err(|error| error.to_string())?;
        proxy.data_plane = client.plane;
        let secrets = Snapshot::new(self.secrets.of(&mesh, &proxy));
        if surface == Surface::Sds {
            return Ok(secrets);
        }
        let Some(view) = mesh.view(&proxy) else {
            return Err(format!("no control plane serves the cluster `{}`", proxy.cluster));
        };
        let mut generator = self.generator.lock().unwrap_or_else(PoisonError::into_inner);
        let generated = match client.plane {
            DataPlane::Grpc => {
                generator.snapshot_of_grpc(&view, listeners.iter().map(String::as_str))
            }
            DataPlane::IstioProxy | DataPlane::Envoy | DataPlane::Ztunnel => {
                generator.snapshot(&view)
            }
        };
        Ok(generated.apply(&secrets.diff(&Snapshot::default())))
    }

    /// Says once that a client asks for a secret that there is not.
    pub(super) fn tell_missing(&self, client: &Client, name: &str) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() < TOLD && told.insert((client.reference.clone(), name.to_owned())) {
            Event::MissingSecret { node: &client.node, name }.tell();
        }
    }

    /// Notices when there is a newer mesh.
    pub(super) fn subscribe(&self) -> watch::Receiver<Arc<Mesh>> {
        self.meshes.subscribe()
    }

    /// Hands out a new mesh.
    pub(super) fn publish(&self, mesh: Arc<Mesh>) {
        self.meshes.send_replace(mesh);
    }

    /// Has every client looked at again, though the mesh is the same.
    pub(super) fn refresh(&self) {
        self.meshes.send_modify(|_| {});
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
