//! What carries the mesh to a workload: an Envoy beside it, a ztunnel on its node, or itself.
use super::{Proxy, ProxyKind};
use crate::compat::DataPlane;
use crate::name::Labels;
use crate::registry::{Mesh, Origin};
use crate::resource::{Meta, Pod};

/// Returns what carries the mesh to the workload of a proxy, as far as its pod tells.
///
/// A ztunnel, where the mesh's [`Compat`](crate::Compat) says so or a pod without a sidecar is captured:
/// its label `istio.io/dataplane-mode` is `ambient`, or its namespace's and its own is not `none`, or it is
/// annotated `ambient.istio.io/redirection: enabled`. A gRPC server that is its own data plane, where
/// `Compat` or the proxy says so or the pod is injected with `grpc-agent` or `grpc-simple`. An Envoy
/// everywhere else: pods that name no containers are taken to have one.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/serviceregistry/ambient/workloads.go` `podWorkloadBuilder`; `cni/pkg/util`
/// `PodRedirectionEnabled`; `manifests/charts/istio-control/istio-discovery/files/grpc-agent.yaml`.
pub fn data_plane(mesh: &Mesh, proxy: &Proxy) -> DataPlane {
    let of_mesh = mesh.compat().data_plane;
    let is_workload = proxy.kind == ProxyKind::Sidecar;
    let grpc = DataPlane::Grpc;
    if !is_workload {
        return DataPlane::IstioProxy;
    }
    if of_mesh == DataPlane::Ztunnel {
        return DataPlane::Ztunnel;
    }
    if of_mesh == grpc || proxy.data_plane == grpc {
        return grpc;
    }
    let (cluster, namespace) = (proxy.cluster.as_str(), proxy.namespace.as_str());
    let Some(pod) = mesh.pod(cluster, namespace, &proxy.name) else { return of_mesh };
    let mut templates = pod.meta.annotations.value("inject.istio.io/templates").split(',');
    if templates.any(|name| matches!(name.trim(), "grpc-agent" | "grpc-simple")) {
        return grpc;
    }
    if !has_sidecar(pod) && is_captured(mesh, cluster, &pod.meta) {
        return DataPlane::Ztunnel;
    }
    of_mesh
}

/// Returns whether nobody can tell if a ztunnel captures the pod of a proxy: it has no sidecar and says
/// nothing of `istio.io/dataplane-mode` itself, and its namespace, which may, could not be read.
///
/// [`data_plane`] is an Envoy then. What either data plane would deny is to be denied, and who calls from
/// there, or whether callers of it show who they are, is unknown. A namespace whose labels can be told, as
/// far as they are texts, and that does not have this one, hides nothing.
pub fn may_be_captured(mesh: &Mesh, proxy: &Proxy) -> bool {
    let by_envoy = matches!(data_plane(mesh, proxy), DataPlane::IstioProxy | DataPlane::Envoy);
    if proxy.kind != ProxyKind::Sidecar || !by_envoy {
        return false;
    }
    let pod = mesh.pod(proxy.cluster.as_str(), proxy.namespace.as_str(), &proxy.name);
    pod.is_some_and(|pod| !has_sidecar(pod) && pod.meta.labels.value(MODE) != "none")
        && hides_mode(mesh, proxy)
}

/// Whether the namespace of a proxy could not be read, and may have said what carries the mesh there.
fn hides_mode(mesh: &Mesh, proxy: &Proxy) -> bool {
    mesh.broken().iter().any(|lost| {
        let (object, labels) = (&lost.object, lost.labels.as_ref());
        object.kind == "Namespace"
            && matches!(&lost.origin, Origin::Cluster(cluster) if *cluster == proxy.cluster)
            && (object.name.is_empty() || *object.name == *proxy.namespace.as_str())
            && labels.is_none_or(|labels| labels.get(MODE).is_some())
    })
}

/// Returns whether anything carries the mesh to the workload of a proxy and from it: else it shows no
/// identity to whom it calls, and nobody enforces what policies say of it.
///
/// A pod that names its containers and has no `istio-proxy` among them is out, unless a ztunnel captures it
/// or it is a gRPC server that needs none; and one that says `sidecar.istio.io/inject: "false"`.
pub fn is_in_mesh(mesh: &Mesh, proxy: &Proxy) -> bool {
    let by_envoy = matches!(data_plane(mesh, proxy), DataPlane::IstioProxy | DataPlane::Envoy);
    if proxy.kind != ProxyKind::Sidecar || !by_envoy {
        return true;
    }
    let pod = mesh.pod(proxy.cluster.as_str(), proxy.namespace.as_str(), &proxy.name);
    pod.is_none_or(|pod| {
        const INJECT: &str = "sidecar.istio.io/inject";
        let is_out = pod.meta.labels.value(INJECT) == "false"
            || pod.meta.annotations.value(INJECT) == "false";
        has_sidecar(pod) || (pod.spec.containers.is_empty() && !is_out)
    })
}

fn has_sidecar(pod: &Pod) -> bool {
    let mut containers = pod.spec.containers.iter().chain(pod.spec.init_containers.iter());
    pod.meta.annotations.get("sidecar.istio.io/status").is_some()
        || containers.any(|container| *container.name == *"istio-proxy")
}

/// Returns whether a selector of an AuthorizationPolicy makes a workload behind a ztunnel one that refers to
/// the policy: one with the labels, or without any label, as where there are none upstream filters by none.
/// An empty selector makes nobody refer.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/serviceregistry/ambient/workloads.go` `buildWorkloadPolicies`;
/// `pkg/kube/krt/filter.go` `FilterSelects`.
pub fn selects_behind_ztunnel(selector: &Labels, workload: &Labels) -> bool {
    !selector.is_empty() && (workload.is_empty() || workload.contains(selector))
}

/// Whether the connections of a pod pass through a ztunnel.
pub(crate) fn is_captured(mesh: &Mesh, cluster: &str, pod: &Meta) -> bool {
    let own = pod.labels.value(MODE);
    let namespace = mesh.namespace(cluster, pod.namespace.as_str());
    let of_namespace = namespace.is_some_and(|meta| meta.labels.value(MODE) == AMBIENT);
    pod.annotations.value("ambient.istio.io/redirection") == "enabled"
        || own == AMBIENT
        || (of_namespace && own != "none")
}

/// The label that says it of a pod or a namespace.
const MODE: &str = "istio.io/dataplane-mode";
/// Its value for ztunnels.
const AMBIENT: &str = "ambient";
