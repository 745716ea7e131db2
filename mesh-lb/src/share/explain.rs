//! Where shares come from, step by step, for people.
use super::{GroupHosts, Shares, Spread, joined};
use crate::assign::Assignment;
use crate::load::{Availability, DataPlane, LocalityWeights, explain, explain_weights};

impl Assignment {
    /// Explains its shares, one line a step: what each priority can carry and is given, and how the
    /// localities of those that are given anything share it, where they do so by weight.
    ///
    /// # Examples
    ///
    /// ```
    /// use mesh_lb::assign::{Assignment, Input};
    /// use mesh_lb::share::Spread;
    /// use mesh_model::{Compat, endpoint::Gateways};
    /// use mesh_testkit::by_hand;
    ///
    /// let (proxy, service) = (by_hand::proxy("c1", "eu/west/a"), by_hand::service("cart.shop"));
    /// let shards = by_hand::shards([by_hand::endpoint("10.0.0.1", "c1", "eu/west/a")]);
    /// let (compat, gateways) = (Compat::default(), Gateways::default());
    /// let port = service.port(80).unwrap();
    /// let input = Input::new(&proxy, &compat, (&service, port), &shards, &gateways);
    /// let (assignment, spread) = (Assignment::compute(&input), Spread::default());
    /// let steps = assignment.explain_shares(&spread, &assignment.shares(&spread));
    /// assert_eq!(steps[0], "priority 0: health = min(100, 140 × 1 / 1) = 100");
    /// ```
    pub fn explain_shares(&self, spread: &Spread, shares: &Shares) -> Vec<String> {
        let (load, hosts) = (&shares.told.load, &shares.told.hosts);
        let mut steps = explain(spread.data_plane, hosts, spread.panic_threshold, load);
        let of_envoy = match spread.data_plane {
            DataPlane::IstioProxy | DataPlane::Envoy => true,
            DataPlane::Grpc | DataPlane::Ztunnel => false,
        };
        if !of_envoy || !spread.locality_weighted {
            return steps;
        }
        let groups = joined(&shares.told.groups);
        let names: Vec<String> =
            self.localities().map(|locality| locality.locality().to_string()).collect();
        let named: Vec<(&String, &GroupHosts)> = names
            .iter()
            .zip(groups.iter())
            .filter(|(_, group)| group.first_of_locality.is_none() && group.len > 0)
            .collect();
        for (priority, level) in load.levels().iter().enumerate() {
            let of_level: Vec<_> =
                named.iter().filter(|(_, group)| group.level() == priority).collect();
            if level.healthy_load.get() == 0 || of_level.len() < 2 {
                continue;
            }
            if level.panic && spread.health_weighted {
                steps.push(format!("priority {priority}: in panic localities do not matter"));
                continue;
            }
            let hosts: Vec<_> = of_level.iter().map(|(_, group)| group.locality()).collect();
            let name = |index: usize| of_level.get(index).map_or("", |(name, _)| name.as_str());
            let factor = spread.health_weighted.then_some(spread.overprovisioning);
            let healthy = Availability::Healthy;
            let weights = match factor {
                Some(factor) => LocalityWeights::new(&hosts, factor, healthy),
                None => LocalityWeights::standing(&hosts, (!level.panic).then_some(healthy)),
            };
            let of_localities = explain_weights(name, &hosts, weights.as_ref(), (factor, healthy));
            steps.extend(
                of_localities.into_iter().map(|step| format!("priority {priority}, {step}")),
            );
        }
        steps
    }
}
