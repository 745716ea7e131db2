//! What a cluster is called in statistics.
use mesh_model::endpoint::Provider;
use mesh_model::registry::Service;

/// What a pattern for names in statistics can say.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "the inputs of one function")]
pub struct StatName<'a> {
    /// The host of the service.
    pub host: &'a str,
    /// Name and namespace of a Kubernetes service.
    pub kubernetes: Option<(&'a str, &'a str)>,
    /// The subset, empty for all of it.
    pub subset: &'a str,
    /// The number of the service port.
    pub port: u16,
    /// The name of the service port.
    pub port_name: &'a str,
    /// The port of the workload; 0 for outbound clusters.
    pub target_port: u16,
}

/// Returns a name for statistics that ends where the next part of a statistic's name begins.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/networking/util/util.go` `DelimitedStatsPrefix`.
pub(crate) fn delimited(name: &str) -> String {
    format!("{name};")
}

impl<'a> StatName<'a> {
    /// The name and namespace that a service is known by, if it is one of Kubernetes.
    pub fn kubernetes_name(service: &'a Service) -> Option<(&'a str, &'a str)> {
        let name = (&*service.name, service.namespace.as_str());
        (service.provider == Provider::Kubernetes).then_some(name)
    }

    /// Fills in a pattern, and ends the name; an empty one stands for the cluster's own name.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/networking/telemetry/telemetry.go` `BuildStatPrefix`.
    pub fn alternative(&self, pattern: &str, cluster: &str) -> String {
        delimited(&self.prefix(pattern, cluster))
    }

    /// Fills in a pattern; an empty one stands for the cluster's own name.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/networking/telemetry/telemetry.go` `BuildStatPrefix`.
    pub fn prefix(&self, pattern: &str, cluster: &str) -> String {
        if pattern.is_empty() {
            return cluster.to_owned();
        }
        let host = self.host;
        let (short, name) = match self.kubernetes {
            Some((name, namespace)) => (format!("{name}.{namespace}"), name),
            None => (host.to_owned(), host),
        };
        pattern
            .replace("%SERVICE%", &short)
            .replace("%SERVICE_NAME%", name)
            .replace("%SERVICE_FQDN%", host)
            .replace("%SUBSET_NAME%", self.subset)
            .replace("%TARGET_PORT%", &self.target_port.to_string())
            .replace("%SERVICE_PORT%", &self.port.to_string())
            .replace("%SERVICE_PORT_NAME%", self.port_name)
    }
}
