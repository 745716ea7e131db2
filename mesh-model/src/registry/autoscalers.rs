//! How far the workloads of pods may grow.
//!
//! ```text
//! Pod ──controller──▶ ReplicaSet web-7d4 ──pod-template-hash──▶ Deployment web ◀──scaleTargetRef── autoscaler
//! ```
use rustc_hash::FxHashMap;

use super::{Mesh, Store};
use crate::resource::{Pod, PodPhase, group_of};

/// The label by which a pod without a controller says its workload.
const WORKLOAD_NAME: &str = "service.istio.io/workload-name";

/// The replicas of a workload that an autoscaler scales.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "plain data out")]
pub struct Replicas {
    /// How many there are.
    pub current: u32,
    /// How many there may be.
    pub max: u32,
}

/// The autoscalers of a mesh, by what they scale.
///
/// The current replicas are the target's pods that the mesh has: those that have not ended and are not
/// being deleted, ready or not, which is what the controller counts. `status.currentReplicas` is not asked:
/// it is as old as the object, and often not there.
///
/// A workload that several autoscalers are for is scaled by none.
///
/// # Upstream
///
/// kubernetes/kubernetes `pkg/controller/podautoscaler/horizontal.go` `reconcileAutoscaler` (the scale of
/// the target, several autoscalers for its pods); `pkg/controller/controller_utils.go` `IsPodActive`.
#[derive(Clone, Debug, Default)]
pub struct Autoscalers<'m> {
    by_target: FxHashMap<Target<'m>, Scaled>,
}

/// An object of a cluster that can be scaled.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
struct Target<'m> {
    cluster: &'m str,
    namespace: &'m str,
    workload: Workload<'m>,
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Workload<'m> {
    /// Group, kind and name.
    Object(&'m str, &'m str, &'m str),
    /// What pods without a controller call it.
    Named(&'m str),
}

#[derive(Clone, Copy, Debug, Default)]
struct Scaled {
    autoscalers: u32,
    replicas: Replicas,
}

impl Mesh {
    /// Returns the autoscalers; costs the number of pods in the namespaces that have some.
    pub fn autoscalers(&self) -> Autoscalers<'_> {
        let mut found = Autoscalers::default();
        for (cluster, part) in &self.parts.clusters {
            found.add(cluster.as_str(), &part.store);
        }
        found
    }
}

impl<'m> Autoscalers<'m> {
    /// Returns the replicas of a pod's workload, if exactly one autoscaler scales it.
    ///
    /// The workload is the pod's controller, or what that is of: the Deployment of a ReplicaSet by the label
    /// `pod-template-hash`, the Rollout by `rollouts-pod-template-hash`, the DeploymentConfig of a
    /// ReplicationController by `deploymentconfig`. A pod that names no controller is of the workload in its
    /// label `service.istio.io/workload-name`, whatever its kind.
    pub fn replicas(&self, cluster: &str, pod: &Pod) -> Option<Replicas> {
        let of_pod = workloads(pod).map(|workload| Target {
            cluster,
            namespace: pod.meta.namespace.as_str(),
            workload,
        });
        let mut scaled = of_pod.filter_map(|target| self.by_target.get(&target));
        let one = scaled.next().filter(|scaled| scaled.autoscalers == 1)?;
        scaled.next().is_none().then_some(one.replicas)
    }

    fn add(&mut self, cluster: &'m str, store: &'m Store) {
        let mut namespaces: Vec<&str> = Vec::new();
        for autoscaler in store.autoscalers.iter() {
            let namespace = autoscaler.meta.namespace.as_str();
            let of = &autoscaler.spec.scale_target_ref;
            let object = Workload::Object(group_of(&of.api_version), &of.kind, &of.name);
            for workload in [object, Workload::Named(&of.name)] {
                let target = Target { cluster, namespace, workload };
                let scaled = self.by_target.entry(target).or_default();
                scaled.autoscalers += 1;
                scaled.replicas.max = u32::try_from(autoscaler.spec.max_replicas).unwrap_or(0);
            }
            if namespaces.last() != Some(&namespace) {
                namespaces.push(namespace);
            }
        }
        let pods = namespaces.into_iter().flat_map(|name| store.pods.with_first(name));
        for pod in pods.filter(|pod| is_active(pod)) {
            let namespace = pod.meta.namespace.as_str();
            for workload in workloads(pod) {
                let target = Target { cluster, namespace, workload };
                if let Some(scaled) = self.by_target.get_mut(&target) {
                    scaled.replicas.current += 1;
                }
            }
        }
    }
}

/// Whether a pod counts as a replica: it has not ended, and is not being deleted.
fn is_active(pod: &Pod) -> bool {
    pod.meta.deletion.is_none()
        && !matches!(pod.status.phase, PodPhase::Failed | PodPhase::Succeeded)
}

/// What a pod is of: its controller, and the controller of that.
fn workloads(pod: &Pod) -> impl Iterator<Item = Workload<'_>> {
    let labels = &pod.meta.labels;
    let controller = pod.meta.controller.as_ref();
    let own = controller.map(|owner| Workload::Object(&owner.group, &owner.kind, &owner.name));
    let named = labels.get(WORKLOAD_NAME).filter(|_| controller.is_none()).map(Workload::Named);
    let above = controller.and_then(|owner| match (&*owner.group, &*owner.kind) {
        ("apps", "ReplicaSet") => {
            let stem = |label| owner.name.strip_suffix(labels.get(label)?)?.strip_suffix('-');
            let deployment = stem("pod-template-hash").map(|stem| ("apps", "Deployment", stem));
            let rollout = || Some(("argoproj.io", "Rollout", stem("rollouts-pod-template-hash")?));
            deployment.or_else(rollout)
        }
        ("", "ReplicationController") => labels
            .get("deploymentconfig")
            .map(|config| ("apps.openshift.io", "DeploymentConfig", config)),
        _ => None,
    });
    let above = above.map(|(group, kind, name)| Workload::Object(group, kind, name));
    own.into_iter().chain(above).chain(named)
}
