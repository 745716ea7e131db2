//! Where a rule says what holds for a port of a subset, or of the whole service.
use mesh_model::lint::Subject;
use mesh_model::resource::destination_rule::{
    DestinationRuleSpec, LoadBalancerSettings, PortTrafficPolicy, TrafficPolicy,
};

use super::Case;

impl Case<'_, '_> {
    /// The rule of the destination with the path of the balancer in force, if the rule itself names one that is
    /// meant; not if it has it from another that was merged.
    pub(super) fn balancer(
        &self,
        is_meant: impl Fn(&LoadBalancerSettings) -> bool,
    ) -> Option<(Subject, String)> {
        let rule = &self.destination.rule?.rule;
        let subset = &self.destination.subset;
        let (settings, path) = in_force(&rule.spec, subset, self.destination.port.number)?;
        let (mesh, plane) = (self.view.mesh(), &self.view.plane().id);
        is_meant(settings).then(|| (Subject::of(mesh, plane, "DestinationRule", &rule.meta), path))
    }
}

/// The balancer of the port before that of all ports, of the subset before that of the service.
fn in_force<'r>(
    spec: &'r DestinationRuleSpec,
    subset: &str,
    port: u16,
) -> Option<(&'r LoadBalancerSettings, String)> {
    let own = spec.subsets.iter().position(|one| *one.name == *subset && !subset.is_empty());
    let own = own.and_then(|at| {
        let policy = spec.subsets.get(at)?.traffic_policy.as_ref()?;
        of_port(policy, &format!("spec.subsets[{at}].trafficPolicy"), port)
    });
    own.or_else(|| of_port(spec.traffic_policy.as_ref()?, "spec.trafficPolicy", port))
}

/// The balancer that a policy names for a port, and where.
fn of_port<'p>(
    policy: &'p TrafficPolicy,
    path: &str,
    port: u16,
) -> Option<(&'p LoadBalancerSettings, String)> {
    let is_for = |entry: &PortTrafficPolicy| {
        entry.port.as_ref().is_some_and(|of| of.number == u32::from(port))
    };
    let mut of_ports = policy.port_level_settings.iter().enumerate();
    let (of, path) = match of_ports.find(|(_, entry)| is_for(entry)) {
        Some((at, entry)) => (&entry.load_balancer, format!("{path}.portLevelSettings[{at}]")),
        None => (&policy.load_balancer, path.to_owned()),
    };
    of.as_ref().map(|of| (of, format!("{path}.loadBalancer")))
}
