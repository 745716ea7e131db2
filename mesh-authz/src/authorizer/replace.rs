//! Replacing one policy of many, without compiling the others again.
use std::sync::Arc;

use mesh_model::compat::DataPlane;
use mesh_model::resource::{Action, AuthorizationPolicy};

use super::{Authorizer, Compiled, Sides, Stage};
use crate::compile::index::Plan;
use crate::compile::{Chain, CompiledPolicy, Environment, Policies, Traffic};
use crate::rbac::{Filter, Policy, Purpose, RbacFilter, Rules};
use crate::select::Workload;

impl Authorizer {
    /// Puts another version of a policy in the place of the one of the same namespace and name; returns
    /// false, and changes nothing, where that needs a new authorizer.
    ///
    /// A few microseconds, however many policies there are. `workload` and `environment` must be those
    /// that the authorizer was made for. It can be done if the policy is one of the workload's before
    /// and after, with the same action (not CUSTOM) and trial, and as many rules that proxies get. The
    /// answers are then those of an authorizer made anew, of the same age of the policy. Waypoints,
    /// ztunnels and gRPC servers need a new one.
    pub fn replace(
        &mut self,
        policy: &AuthorizationPolicy,
        workload: &Workload,
        environment: &Environment,
    ) -> bool {
        let is_envoy =
            matches!(environment.compat.data_plane, DataPlane::IstioProxy | DataPlane::Envoy);
        if !is_envoy || !self.services().is_empty() || self.perhaps.is_some() {
            return false;
        }
        let alone = Policies { understood: vec![policy], broken: Vec::new() };
        let chain = |traffic| Chain::new(&alone, workload, environment, traffic);
        let (http, tcp) = (chain(Traffic::Http), chain(Traffic::Tcp));
        let ([of_http], [of_tcp]) = (&*http.compiled, &*tcp.compiled) else { return false };
        let (Some(at_http), Some(at_tcp)) = (self.http.place(of_http), self.tcp.place(of_tcp))
        else {
            return false;
        };
        Arc::make_mut(&mut self.http).replace(at_http, of_http);
        Arc::make_mut(&mut self.tcp).replace(at_tcp, of_tcp);
        true
    }
}

impl Compiled {
    /// The place of the policy that a new version can replace.
    fn place(&self, new: &CompiledPolicy) -> Option<usize> {
        let is_same = |known: &CompiledPolicy| {
            known.name == new.name
                && known.namespace == new.namespace
                && known.action == new.action
                && known.is_dry_run == new.is_dry_run
                && known.action != Action::Custom
                && !new.rules.is_empty()
                && known.rules.len() == new.rules.len()
        };
        let place = self.chain.compiled.iter().position(is_same)?;
        let known = self.chain.compiled.get(place)?;
        let fits = known.rules.iter().zip(&new.rules).all(|(known, new)| {
            let is_understood = known.policy.as_ref().is_none_or(|rule| !rule.origin.is_broken);
            is_understood && known.policy.is_some() == new.policy.is_some()
        });
        fits.then_some(place)
    }

    fn replace(&mut self, place: usize, new: &CompiledPolicy) {
        let purpose = match new.action {
            Action::Allow => Purpose::Allow,
            Action::Deny => Purpose::Deny,
            Action::Audit => Purpose::Audit,
            Action::Custom => Purpose::Custom,
        };
        let filter = self.chain.filters.iter_mut().find_map(|filter| match filter {
            Filter::Rbac(filter) if filter.purpose == purpose => Some(filter),
            Filter::Rbac(_) | Filter::ExternalAuthorization { .. } => None,
        });
        let sides = self.stages.iter_mut().find_map(|stage| match (stage, new.action) {
            (Stage::Allow(sides), Action::Allow)
            | (Stage::Deny(sides), Action::Deny)
            | (Stage::Audit(sides), Action::Audit) => Some(sides),
            _ => None,
        });
        if let (Some(filter), Some(sides)) = (filter, sides)
            && let (Some(rules), Some(plan)) = side(filter, sides, new.is_dry_run)
        {
            let written = new.rules.iter().filter_map(|rule| rule.policy.as_ref());
            written.for_each(|policy| put(rules, plan, policy));
        }
        if let Some(known) = self.chain.compiled.get_mut(place) {
            known.clone_from(new);
        }
    }
}

fn side<'c>(
    filter: &'c mut RbacFilter,
    sides: &'c mut Sides,
    is_dry_run: bool,
) -> (Option<&'c mut Rules>, Option<&'c mut Plan>) {
    if is_dry_run {
        (filter.shadow_rules.as_mut(), sides.trial.as_mut())
    } else {
        (filter.rules.as_mut(), sides.enforced.as_mut())
    }
}

fn put(rules: &mut Rules, plan: &mut Plan, policy: &Arc<Policy>) {
    if rules.replace(policy) && !plan.replace(policy) {
        *plan = Plan::new(rules);
    }
}
