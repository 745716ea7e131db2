//! How far a workload may grow.
use super::Meta;
use crate::manifest::decode::message;

mod validate;

message! {
    /// Kubernetes `autoscaling` `HorizontalPodAutoscaler`: what tells how far it may grow. When it grows
    /// (metrics, behaviour) is not read.
    ///
    /// # Upstream
    ///
    /// kubernetes/api `autoscaling/v2/types.go`; what is read is the same in all versions.
    pub struct HorizontalPodAutoscaler ignoring unknown {
        /// Name, namespace.
        meta: Meta = (elsewhere),
        /// What is asked for.
        spec: HorizontalPodAutoscalerSpec = "spec",
        /// What the controller made of it.
        status: HorizontalPodAutoscalerStatus = "status",
    }
}

message! {
    /// The fields of a [`HorizontalPodAutoscaler`] that are read.
    pub struct HorizontalPodAutoscalerSpec ignoring unknown {
        /// What is scaled.
        scale_target_ref: ScaleTarget = "scaleTargetRef",
        /// The fewest replicas; unset is 1.
        min_replicas: Option<i32> = "minReplicas",
        /// The most replicas.
        max_replicas: i32 = "maxReplicas",
        /// What it scales by, `version` 2 only: zero replicas ask for certain types.
        metrics: Box<[ScalingMetric]> = "metrics",
    }
}

message! {
    /// The object that a [`HorizontalPodAutoscaler`] scales, in its own namespace.
    pub struct ScaleTarget ignoring unknown {
        /// The group and version, such as `apps/v1`; of it the group counts.
        api_version: Box<str> = "apiVersion",
        /// The kind, such as `Deployment`.
        kind: Box<str> = "kind",
        /// The name.
        name: Box<str> = "name",
    }
}

message! {
    /// What a [`HorizontalPodAutoscaler`] scales by.
    pub struct ScalingMetric ignoring unknown {
        /// `Resource`, `ContainerResource`, `Pods`, `Object` or `External`.
        kind: Box<str> = "type",
    }
}

message! {
    /// The status of a [`HorizontalPodAutoscaler`]: as old as the object, so that pods are counted instead
    /// where they are known.
    pub struct HorizontalPodAutoscalerStatus ignoring unknown {
        /// The replicas that it saw last.
        current_replicas: i32 = "currentReplicas",
        /// The replicas that it wanted last.
        desired_replicas: i32 = "desiredReplicas",
    }
}
