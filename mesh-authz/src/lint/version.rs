//! Policies that an old control plane, proxy or ztunnel does not understand.
//!
//! What is new in a policy is ignored by who does not know it, as a rule without a word: see [`features`]. The
//! version of a control plane is what `cluster.yaml` says, else that of the image of `istiod`; that of a proxy
//! its metadata `ISTIO_VERSION`, else its image; that of a ztunnel its image, on the node of the workload.
//! Who does not say its version is taken to know everything.
use std::collections::BTreeMap;
use std::str::FromStr;

use mesh_model::compat::DataPlane;
use mesh_model::manifest::Diagnostic;
use mesh_model::name::ClusterId;
use mesh_model::registry::{Mesh, SYSTEM_NAMESPACE};
use mesh_model::resource::Pod;
use mesh_model::view::Proxy;

use self::features::{FEATURES, Feature, Policy, Reader};
use super::{Plane, names};

mod features;

/// A release of Istio: its minor version.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Version {
    major: u32,
    minor: u32,
}

/// The text names no release.
#[derive(Clone, Copy, Debug)]
pub(super) struct InvalidVersion;

impl FromStr for Version {
    type Err = InvalidVersion;

    /// Reads the start of a version or of an image's tag, such as `1.22.3-distroless`.
    fn from_str(text: &str) -> Result<Self, InvalidVersion> {
        let text = text.strip_prefix('v').unwrap_or(text);
        let (major, rest) = text.split_once('.').ok_or(InvalidVersion)?;
        let minor = rest.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
        match (major.parse(), minor.parse()) {
            (Ok(major), Ok(minor)) => Ok(Self { major, minor }),
            _ => Err(InvalidVersion),
        }
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// The releases of ztunnels, by cluster and node.
pub(super) struct Ztunnels<'m>(BTreeMap<(&'m str, &'m str), Version>);

impl<'m> Ztunnels<'m> {
    pub(super) fn new(mesh: &'m Mesh) -> Self {
        let clusters = mesh.clusters().map(ClusterId::as_str);
        let found = clusters.flat_map(|cluster| {
            let pods = pods_of_system(mesh, cluster, "ztunnel");
            pods.filter_map(move |pod| {
                Some(((cluster, &*pod.spec.node_name), of_container(pod, "istio-proxy")?))
            })
        });
        Self(found.collect())
    }

    /// What carries out policies at a proxy; `None` if nothing says which release that is.
    pub(super) fn version_at(
        &self,
        mesh: &Mesh,
        proxy: &Proxy,
        data_plane: DataPlane,
    ) -> Option<Version> {
        let pod = mesh.pod(proxy.cluster.as_str(), proxy.namespace.as_str(), &proxy.name);
        match data_plane {
            DataPlane::Ztunnel => {
                self.0.get(&(proxy.cluster.as_str(), &*pod?.spec.node_name)).copied()
            }
            DataPlane::IstioProxy | DataPlane::Envoy => {
                let told = proxy.metadata_text("ISTIO_VERSION").parse().ok();
                told.or_else(|| of_container(pod?, "istio-proxy"))
            }
            // It is the application's own, of which nothing is told.
            DataPlane::Grpc => None,
        }
    }
}

fn of_control_plane(plane: &Plane<'_>) -> Option<Version> {
    let id = plane.plane.id.as_str();
    let described = plane.mesh.description(id).and_then(|says| says.istio_version.parse().ok());
    described.or_else(|| {
        let pods = pods_of_system(plane.mesh, id, "istiod");
        pods.filter_map(|pod| of_container(pod, "discovery")).min()
    })
}

/// The pods of an application in the system namespace of a cluster.
fn pods_of_system<'m>(
    mesh: &'m Mesh,
    cluster: &str,
    app: &'static str,
) -> impl Iterator<Item = &'m Pod> {
    let pods = mesh.pods_of(cluster, SYSTEM_NAMESPACE).map(AsRef::as_ref);
    pods.filter(move |pod: &&Pod| pod.meta.labels.value("app") == app)
}

/// The release that the tag of a container's image names.
fn of_container(pod: &Pod, name: &str) -> Option<Version> {
    let mut containers = pod.spec.containers.iter().chain(pod.spec.init_containers.iter());
    let image = &containers.find(|container| *container.name == *name)?.image;
    let image = image.split('@').next()?;
    let (_, tag) = image.rsplit_once(':').filter(|(_, tag)| !tag.contains('/'))?;
    tag.parse().ok()
}

/// `HZ-AUTHZ-TOO-OLD`: what a policy says and who carries it out does not know.
pub(super) fn check(plane: &Plane<'_>, found: &mut Vec<Diagnostic>) {
    let control_plane = of_control_plane(plane);
    for policy in policies(plane) {
        let Some(version) = control_plane else { break };
        let is_unknown = |feature: &&Feature| {
            feature.reader == Reader::ControlPlane
                && version < feature.since
                && !feature.is_moot(version, policy, plane.mesh.compat())
        };
        for feature in FEATURES.iter().filter(is_unknown) {
            let who = format!("the control plane of `{}`", plane.plane.id);
            found.extend(tell(plane, policy, feature, version, &who));
        }
    }
    let mut reached: BTreeMap<_, (_, Version, Vec<String>)> = BTreeMap::new();
    for kind in &plane.kinds {
        let Some(version) = kind.version else { continue };
        let is_ztunnel = kind.data_plane == DataPlane::Ztunnel;
        let reader = if is_ztunnel { Reader::Ztunnel } else { Reader::Proxy };
        let features = FEATURES.iter().enumerate();
        let unknown: Vec<_> = features
            .filter(|(_, feature)| feature.reader == reader && version < feature.since)
            .collect();
        if unknown.is_empty() {
            continue;
        }
        for policy in kind.policies(plane) {
            let (of, compat) = (Policy::Calls(policy), plane.mesh.compat());
            let uses = |feature: &Feature| {
                (feature.field)(of, compat).is_some()
                    && !control_plane.is_some_and(|known| feature.is_moot(known, of, compat))
            };
            for (place, _) in unknown.iter().filter(|(_, feature)| uses(feature)) {
                let key = (&policy.meta.namespace, &*policy.meta.name, *place);
                let entry = reached.entry(key).or_insert((policy, version, Vec::new()));
                entry.1 = entry.1.min(version);
                entry.2.push(kind.proxy.reference());
            }
        }
    }
    for ((.., place), (policy, version, workloads)) in reached {
        let Some(feature) = FEATURES.get(place) else { continue };
        let who = match feature.reader {
            Reader::Ztunnel => format!("the ztunnel of {}", names(&workloads)),
            Reader::ControlPlane | Reader::Proxy => format!("the proxy of {}", names(&workloads)),
        };
        found.extend(tell(plane, Policy::Calls(policy), feature, version, &who));
    }
}

fn policies<'p>(plane: &Plane<'p>) -> impl Iterator<Item = Policy<'p>> {
    let calls = plane.plane.authorization_policies.iter();
    let tokens = plane.plane.request_authentications.iter();
    calls.map(|policy| Policy::Calls(policy)).chain(tokens.map(|policy| Policy::Tokens(policy)))
}

fn tell(
    plane: &Plane<'_>,
    policy: Policy<'_>,
    feature: &Feature,
    version: Version,
    who: &str,
) -> Option<Diagnostic> {
    let field = (feature.field)(policy, plane.mesh.compat())?;
    let Feature { name, since, loss, .. } = feature;
    let root = &plane.selection.root_namespace;
    let (opens, effect) = loss.effect(policy, root, version);
    let message =
        format!("{who} is of version {version}, and {name} is known since {since}: it {effect}");
    let help = match policy {
        Policy::Calls(_) => "upgrade it, or keep the policy from it until then",
        Policy::Tokens(_) => "upgrade it, or leave the field out until then",
    };
    let subject = plane.subject_of(policy.kind(), &policy.meta().namespace, &policy.meta().name);
    Some(if opens {
        subject.error("HZ-AUTHZ-TOO-OLD", &field, (message, help))
    } else {
        subject.warning("HZ-AUTHZ-TOO-OLD", &field, (message, help))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        let found = text.parse::<Version>().ok().map(|version| version.to_string());
        assert_eq!(found.as_deref(), expected, "{text}");
    }

    #[test]
    fn a_release_is_read_from_versions_and_tags() {
        check("1.22.3", Some("1.22"));
        check("v1.9", Some("1.9"));
        check("1.30-alpha.5f2c", Some("1.30"));
        check("1.24.1-distroless", Some("1.24"));
        check("latest", None);
        check("", None);
        check("1.", None);
        assert!("1.9".parse::<Version>().ok() < "1.22".parse::<Version>().ok());
    }
}
