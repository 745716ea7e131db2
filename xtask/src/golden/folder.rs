//! The golden folders: which there are, and which proxy each one is.
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::problem::{Attempt, Problem};
use crate::workspace;

/// Where goldens lie, and the mesh folders they were made from.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Root {
    pub(super) golden: PathBuf,
    pub(super) meshes: PathBuf,
}

/// One folder of golden resources.
#[derive(Clone, Debug)]
pub(super) struct Folder {
    pub(super) mesh: String,
    /// The folder's name below the mesh's.
    pub(super) proxy: String,
    pub(super) golden: PathBuf,
    pub(super) mesh_dir: PathBuf,
    /// Which of the roots it is of.
    pub(super) root: usize,
}

/// Who asked for the resources of a folder.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Client {
    /// `CLUSTER/NAMESPACE/POD`, a sidecar or gateway.
    Proxy(String),
    /// The same, as a proxyless gRPC client.
    Grpc(String),
    /// The ztunnel of a cluster.
    Ztunnel(String),
}

/// The repository's own, and the shared folders where they lie beside the repository.
pub(super) fn default_roots() -> Vec<Root> {
    let shared = workspace::repository().join("../shared");
    let beside =
        Root { golden: shared.join("conformance/istiod-golden"), meshes: shared.join("meshes") };
    let all = roots_of_repository().into_iter().chain([beside]);
    all.filter(|root| root.golden.is_dir() && root.meshes.is_dir()).collect()
}

/// What every clone has: the example meshes, and the small ones.
pub(super) fn roots_of_repository() -> Vec<Root> {
    let root = workspace::repository();
    vec![
        Root { golden: root.join("golden"), meshes: root.join("examples/meshes") },
        Root { golden: root.join("recorded/golden"), meshes: root.join("recorded/meshes") },
    ]
}

/// Every folder of the roots that is selected; the first root that has one counts.
pub(super) fn folders(roots: &[Root], only: &[String]) -> Result<Vec<Folder>, Problem> {
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    for (at, root) in roots.iter().enumerate() {
        for mesh in workspace::entries(&root.golden)?.into_iter().filter(|path| path.is_dir()) {
            for golden in workspace::entries(&mesh)?.into_iter().filter(|path| path.is_dir()) {
                let (mesh, proxy) = (file_name(&mesh), file_name(&golden));
                if selects(only, &mesh, &proxy) && seen.insert((mesh.clone(), proxy.clone())) {
                    let mesh_dir = root.meshes.join(&mesh);
                    found.push(Folder { mesh, proxy, golden, mesh_dir, root: at });
                }
            }
        }
    }
    Ok(found)
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// A proxy is named as its folder, or with `/` as its pod.
fn selects(only: &[String], mesh: &str, proxy: &str) -> bool {
    only.is_empty()
        || only.iter().any(|only| match only.split_once('/') {
            Some((only_mesh, only_proxy)) => {
                only_mesh == mesh && only_proxy.replace('/', "_") == proxy
            }
            None => only == mesh,
        })
}

impl Folder {
    /// The client that the folder is named after, as the mesh's `proxies.json` knows it.
    pub(super) fn client(&self) -> Result<Client, Problem> {
        if let Some(cluster) = self.proxy.strip_suffix(".ztunnel") {
            return Ok(Client::Ztunnel(cluster.to_owned()));
        }
        let path = self.mesh_dir.join("proxies.json");
        let text = std::fs::read(&path).attempt(format!("read `{}`", path.display()))?;
        let proxies: Value =
            serde_json::from_slice(&text).attempt(format!("read `{}`", path.display()))?;
        client(&self.proxy, &proxies).ok_or_else(|| {
            Problem(format!("`{}` names no proxy of folder `{}`", path.display(), self.proxy))
        })
    }
}

fn client(folder: &str, proxies: &Value) -> Option<Client> {
    let stem = folder.strip_suffix(".grpc").unwrap_or(folder);
    let reference = proxies
        .as_array()?
        .iter()
        .filter_map(|proxy| proxy.get("ref")?.as_str())
        .find(|reference| reference.replace('/', "_") == stem)?
        .to_owned();
    Some(if stem == folder { Client::Proxy(reference) } else { Client::Grpc(reference) })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_folder_names_its_client() {
        let proxies = json!([{"ref": "c/a/b_c-0"}, {"ref": "c/a/d"}]);
        assert_eq!(client("c_a_d", &proxies), Some(Client::Proxy("c/a/d".to_owned())));
        assert_eq!(client("c_a_b_c-0.grpc", &proxies), Some(Client::Grpc("c/a/b_c-0".to_owned())));
        assert_eq!(client("c_a_e", &proxies), None);
    }

    #[test]
    fn a_mesh_or_one_of_its_proxies_is_selected() {
        let only = ["shop".to_owned(), "canary/c/a/d".to_owned()];
        assert!(selects(&only, "shop", "x"));
        assert!(selects(&only, "canary", "c_a_d"));
        assert!(!selects(&only, "canary", "c_a_e"));
        assert!(selects(&[], "any", "x"));
    }
}
