//! What a source says of an endpoint's health.

/// The health of an endpoint as its source reports it.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_enums, reason = "filters act on every status")]
pub enum HealthStatus {
    /// Nothing is reported (`ServiceEntry`, `WorkloadEntry`); counts as healthy, sent as UNKNOWN.
    #[default]
    Unknown,
    /// Ready.
    Healthy,
    /// Not ready; sent so that priorities spill over.
    Unhealthy,
    /// Shutting down, still serving the sessions it has.
    Draining,
    /// Shutting down; never sent.
    Terminating,
}

impl HealthStatus {
    /// Decides the health of an endpoint of an `EndpointSlice` from its conditions.
    ///
    /// `keeps_sessions`: the service has a persistent-session label. Conditions that are unset count
    /// as true, so that `ready: false` alone is terminating.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/serviceregistry/kube/controller/endpointslice.go`
    /// `endpointHealthStatus`.
    pub fn of_conditions(
        ready: Option<bool>,
        serving: Option<bool>,
        terminating: Option<bool>,
        service_is_known: bool,
        keeps_sessions: bool,
    ) -> Self {
        let is_set = |condition: Option<bool>| condition.unwrap_or(true);
        if is_set(ready) {
            Self::Healthy
        } else if keeps_sessions && is_set(serving) && is_set(terminating) {
            Self::Draining
        } else if service_is_known && is_set(terminating) {
            Self::Terminating
        } else {
            Self::Unhealthy
        }
    }
}
