//! Where a document comes from, which decides whom it concerns.
use std::sync::Arc;

use crate::name::{ClusterId, nearest_name};

const CONFIG: &str = "config";
const CLUSTERS: &str = "clusters";

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
    /// A place where nothing is read and that may have been meant as another. No object of it is in force;
    /// security policies that it holds are remembered as what nobody understands: see
    /// [`of_misspelt_path`](Self::of_misspelt_path).
    Misplaced(Box<Self>),
}

impl Origin {
    /// Returns the part that a file is in, by its path relative to the folder with `/` between the
    /// parts; `None` for files that a mesh folder does not have.
    ///
    /// Manifests end in `.yaml`, `.yml` or `.json`. Large letters are as small ones, in the names of the
    /// folder's own files and folders too: a policy that `Config/p.YAML` holds is meant. `kubectl apply -f FOLDER` passes over what is not in small letters, and reads it where the file
    /// itself is named.
    ///
    /// ```
    /// # use mesh_model::registry::Origin;
    /// assert_eq!(Origin::of_path("mesh.yaml"), Some(Origin::MeshConfig));
    /// assert_eq!(Origin::of_path("clusters/c1/shop/cart.yaml"), Some(Origin::Cluster("c1".into())));
    /// assert_eq!(Origin::of_path("Config/policies.YAML"), Some(Origin::Config));
    /// assert_eq!(Origin::of_path("README.md"), None);
    /// ```
    ///
    /// # Upstream
    ///
    /// kubernetes/cli-runtime `pkg/resource/visitor.go` `ignoreFile`.
    pub fn of_path(path: &str) -> Option<Self> {
        let (stem, extension) = path.rsplit_once('.')?;
        if !is_extension(extension) {
            return None;
        }
        let is = |written: &str, name| written.eq_ignore_ascii_case(name);
        if is(stem, "mesh") {
            return Some(Self::MeshConfig);
        }
        if is(stem, "networks") {
            return Some(Self::MeshNetworks);
        }
        if is(stem, "proxies") && is(extension, "json") {
            return Some(Self::Proxies);
        }
        let (folder, rest) = stem.split_once('/')?;
        if is(folder, CONFIG) {
            return Some(Self::Config);
        }
        let (cluster, file) = rest.split_once('/').filter(|_| is(folder, CLUSTERS))?;
        let cluster = ClusterId::from(cluster);
        Some(if is(file, "cluster") { Self::Description(cluster) } else { Self::Cluster(cluster) })
    }

    /// Whether a file's name is that of a text for readers (`README.md`, `design.html`), which no tool
    /// applies: what it says of policies decides nothing.
    pub fn is_for_readers(path: &str) -> bool {
        let name = path.rsplit('/').next().unwrap_or_default();
        let last = name.rsplit_once('.').map_or("", |(_, last)| last);
        FOR_READERS.iter().any(|known| last.eq_ignore_ascii_case(known))
    }

    /// Returns what a file that a mesh folder does not have may have been meant as; `None` if nothing says
    /// so.
    ///
    /// Meant is what lies where manifests do under another name (`config/p.txt`), beside the folders
    /// (`p.yaml`), in a folder whose name is nearly theirs (`configs/p.yaml`), or has nearly the name of one
    /// of the folder's own files, whatever it ends in (`mesh.ymal`). Not meant is a manifest that
    /// somebody put aside, for that is how one takes a policy out of force: its name goes on after
    /// `.yaml` (`config/p.yaml.bak`), or it is in a folder of another name (`docs/p.yaml`); and what is
    /// written for readers ([`is_for_readers`](Self::is_for_readers)).
    ///
    /// ```
    /// # use mesh_model::registry::Origin;
    /// let misplaced = Some(Origin::Misplaced(Box::new(Origin::Config)));
    /// assert_eq!(Origin::of_misspelt_path("config/policy.ymal"), misplaced);
    /// assert_eq!(Origin::of_misspelt_path("confg/policy.yaml"), misplaced);
    /// assert_eq!(Origin::of_misspelt_path("config/policy.yaml.bak"), None);
    /// assert_eq!(Origin::of_misspelt_path("docs/policy.yaml"), None);
    /// ```
    pub fn of_misspelt_path(path: &str) -> Option<Self> {
        if Self::of_path(path).is_some() || is_put_aside(path) {
            return None;
        }
        let stem = |file: &'_ str| file.split('.').next().unwrap_or_default().trim().to_owned();
        let is_near =
            |file: &str, name: &str| nearest_name(&stem(file), [name].into_iter()).is_some();
        let meant = match path.split_once('/') {
            None if is_near(path, "mesh") => Self::MeshConfig,
            None if is_near(path, "proxies") => Self::Proxies,
            None => {
                path.rsplit_once('.').filter(|(_, extension)| is_extension(extension))?;
                Self::Config
            }
            Some((folder, rest)) => {
                let meant = nearest_name(folder, [CONFIG, CLUSTERS].into_iter())?;
                match rest.split_once('/').filter(|_| meant == CLUSTERS) {
                    Some((cluster, file)) if is_near(file, "cluster") => {
                        Self::Description(cluster.into())
                    }
                    Some((cluster, _)) => Self::Cluster(cluster.into()),
                    None => Self::Config,
                }
            }
        };
        Some(Self::Misplaced(Box::new(meant)))
    }
}

fn is_extension(text: &str) -> bool {
    ["yaml", "yml", "json"].iter().any(|known| text.eq_ignore_ascii_case(known))
}

/// The endings of texts for readers, which no tool applies.
const FOR_READERS: [&str; 7] = ["md", "markdown", "mdx", "adoc", "asciidoc", "html", "htm"];

/// Whether a name is that of a manifest and more, or of a text for readers.
fn is_put_aside(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    let Some((stem, last)) = name.rsplit_once('.') else { return name.ends_with('~') };
    Origin::is_for_readers(path) || last.ends_with('~') || stem.split('.').skip(1).any(is_extension)
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
