//! Which version of Istio a cluster runs, as far as anybody says.
use super::Subject;
use crate::name::ClusterId;
use crate::registry::Mesh;

/// What is written of a version, and where.
pub(super) struct Told<'m> {
    pub(super) subject: Subject,
    pub(super) field: &'static str,
    pub(super) text: &'m str,
}

/// What is said of the version that a cluster runs: by its description, then by `Istio` objects of Alibaba
/// Cloud. What says nothing is left out.
pub(super) fn versions<'m>(mesh: &'m Mesh, cluster: &ClusterId) -> Vec<Told<'m>> {
    let described = mesh.description(cluster.as_str()).map(|says| Told {
        subject: Subject::cluster(mesh, cluster),
        field: "istioVersion",
        text: &says.istio_version,
    });
    let part = mesh.parts.clusters.get(cluster);
    let objects = part.into_iter().flat_map(|part| part.store.opaque.values());
    let written = objects.filter(|object| object.kind == "Istio").filter_map(|object| {
        let text = object.node.get(&["spec"])?.get(&["version"])?.as_str()?;
        let subject = Subject::in_cluster(mesh, cluster, "Istio", &object.meta);
        Some(Told { subject, field: "spec.version", text })
    });
    described.into_iter().chain(written).filter(|told| !told.text.is_empty()).collect()
}

/// Major and minor number of `MAJOR.MINOR`, with a patch number or the name of a build behind it if need be.
pub(super) fn minor_version(text: &str) -> Option<(u32, u32)> {
    let text = text.strip_prefix('v').unwrap_or(text);
    let release = text.split(['-', '+']).next()?;
    let numbers: Option<Vec<u32>> = release.split('.').map(|part| part.parse().ok()).collect();
    match numbers?.as_slice() {
        [major, minor] | [major, minor, _] => Some((*major, *minor)),
        _ => None,
    }
}

pub(super) fn is_one_zero(text: &str) -> bool {
    minor_version(text) == Some((1, 0))
}
