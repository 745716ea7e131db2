//! What a cluster is called in statistics.
use mesh_model::endpoint::Provider;
use mesh_model::registry::Service;

/// What a pattern for names in statistics can say.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "the inputs of one function")]
pub struct StatName<'a> {
    /// The service.
    pub service: &'a Service,
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
pub(super) fn delimited(name: &str) -> String {
    format!("{name};")
}

impl StatName<'_> {
    /// Fills in a pattern; an empty one stands for the cluster's own name.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/networking/telemetry/telemetry.go` `BuildStatPrefix`.
    pub fn alternative(&self, pattern: &str, cluster: &str) -> String {
        if pattern.is_empty() {
            return delimited(cluster);
        }
        let service = self.service;
        let host = service.hostname.as_str();
        let (short, name) = match service.provider {
            Provider::Kubernetes => {
                (format!("{}.{}", service.name, service.namespace), &*service.name)
            }
            Provider::External => (host.to_owned(), host),
        };
        let text = pattern
            .replace("%SERVICE%", &short)
            .replace("%SERVICE_NAME%", name)
            .replace("%SERVICE_FQDN%", host)
            .replace("%SUBSET_NAME%", self.subset)
            .replace("%TARGET_PORT%", &self.target_port.to_string())
            .replace("%SERVICE_PORT%", &self.port.to_string())
            .replace("%SERVICE_PORT_NAME%", self.port_name);
        delimited(&text)
    }
}
