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
    /// ```
    /// # use mesh_model::registry::Origin;
    /// assert_eq!(Origin::of_path("mesh.yaml"), Some(Origin::MeshConfig));
    /// assert_eq!(Origin::of_path("clusters/c1/shop/cart.yaml"), Some(Origin::Cluster("c1".into())));
    /// assert_eq!(Origin::of_path("README.md"), None);
    /// ```
    pub fn of_path(path: &str) -> Option<Self> {
        match path {
            "mesh.yaml" | "mesh.yml" | "mesh.json" => return Some(Self::MeshConfig),
            "networks.yaml" | "networks.yml" | "networks.json" => return Some(Self::MeshNetworks),
            "proxies.json" => return Some(Self::Proxies),
            _ => {}
        }
        if ![".yaml", ".yml", ".json"].iter().any(|extension| path.ends_with(extension)) {
            return None;
        }
        let (folder, rest) = path.split_once('/')?;
        match folder {
            "config" => Some(Self::Config),
            "clusters" => {
                let (cluster, file) = rest.split_once('/')?;
                let cluster = ClusterId::from(cluster);
                Some(match file {
                    "cluster.yaml" | "cluster.yml" | "cluster.json" => Self::Description(cluster),
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
