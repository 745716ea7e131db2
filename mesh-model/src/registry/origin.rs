//! Where a document comes from, which decides whom it concerns.
use std::sync::Arc;

use crate::name::ClusterId;

/// The part of a mesh folder that a document is in.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_enums, reason = "readers of folders act on every part")]
pub enum Origin {
    /// `mesh.yaml`: the mesh's settings.
    MeshConfig,
    /// `networks.yaml`: the mesh's networks.
    MeshNetworks,
    /// `proxies.json`: proxies worth naming.
    Proxies,
    /// `clusters/NAME/cluster.yaml`: what a cluster is meant to be.
    Description(ClusterId),
    /// `config/…`: objects of the config cluster, which count for the whole mesh.
    Config,
    /// `clusters/NAME/…`: what a cluster contains.
    Cluster(ClusterId),
}

impl Origin {
    /// Returns the part that a file is in, by its path relative to the folder with `/` between the
    /// parts; `None` for files that a mesh folder does not have.
    ///
    /// Manifests end in `.yaml`, `.yml` or `.json`, in letters of either case: a policy that `p.YAML` holds is
    /// meant. `kubectl apply -f FOLDER` passes over what is not in small letters, and reads it where the file
    /// itself is named.
    ///
    /// ```
    /// # use mesh_model::registry::Origin;
    /// assert_eq!(Origin::of_path("mesh.yaml"), Some(Origin::MeshConfig));
    /// assert_eq!(Origin::of_path("clusters/c1/shop/cart.yaml"), Some(Origin::Cluster("c1".into())));
    /// assert_eq!(Origin::of_path("config/policies.YAML"), Some(Origin::Config));
    /// assert_eq!(Origin::of_path("README.md"), None);
    /// ```
    ///
    /// # Upstream
    ///
    /// kubernetes/cli-runtime `pkg/resource/visitor.go` `ignoreFile`.
    pub fn of_path(path: &str) -> Option<Self> {
        let (stem, extension) = path.rsplit_once('.')?;
        let extension = extension.to_ascii_lowercase();
        if !["yaml", "yml", "json"].contains(&extension.as_str()) {
            return None;
        }
        match stem {
            "mesh" => return Some(Self::MeshConfig),
            "networks" => return Some(Self::MeshNetworks),
            "proxies" if extension == "json" => return Some(Self::Proxies),
            _ => {}
        }
        let (folder, rest) = stem.split_once('/')?;
        match folder {
            "config" => Some(Self::Config),
            "clusters" => {
                let (cluster, file) = rest.split_once('/')?;
                let cluster = ClusterId::from(cluster);
                Some(match file {
                    "cluster" => Self::Description(cluster),
                    _ => Self::Cluster(cluster),
                })
            }
            _ => None,
        }
    }
}

/// A text to load.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "callers read folders and hand texts in")]
pub struct Source {
    /// Which part of the mesh it is.
    pub origin: Origin,
    /// The name that diagnostics show, as a rule its path.
    pub name: Arc<str>,
    /// The text: one or many documents, YAML or JSON.
    pub text: Vec<u8>,
}
