//! Settings of the proxies of some workloads.
mod validate;

use std::collections::BTreeMap;

use super::Meta;
use super::mesh_config::ProxyImage;
use super::selector::WorkloadSelector;
use crate::manifest::decode::message;

message! {
    /// `networking.istio.io` `ProxyConfig`: what a proxy is started with. The larger message of this
    /// name is [`mesh_config::ProxyConfig`](super::mesh_config::ProxyConfig).
    ///
    /// # Upstream
    ///
    /// istio/api `networking/v1beta1/proxy_config.proto`.
    pub struct ProxyConfig ignoring unknown {
        /// Name, namespace, age.
        meta: Meta = (elsewhere),
        /// What the object says.
        spec: ProxyConfigSpec = "spec",
    }
}

message! {
    /// The fields of a [`ProxyConfig`].
    pub struct ProxyConfigSpec {
        /// The workloads concerned; absent: all of the namespace (all of the mesh in the root one).
        selector: Option<WorkloadSelector> = "selector",
        /// The number of worker threads; 0: one a core; absent: inherited.
        concurrency: Option<i32> = "concurrency",
        /// Environment of the proxy, merged by key over what is inherited.
        environment_variables: BTreeMap<Box<str>, Box<str>> =
            "environmentVariables" | "environment_variables",
        /// The proxy's image; absent: inherited.
        image: Option<ProxyImage> = "image",
    }
}
