//! Deciding as a ztunnel does: about connections, by identity, addresses and port.
use std::net::IpAddr;

use mesh_model::name::{Identity, Namespace};
use mesh_model::resource::Action;

use super::Observer;
use crate::compile::{Environment, Policies};
use crate::decision::{Decision, Reason};
use crate::dry_run::DryRun;
use crate::rbac::Origin;
use crate::request::Request;
use crate::rule::Omission;
use crate::select::Workload;
use crate::ztunnel::{self, Authorization, Group, L4Connection, L4Failure, Peer, convert, omitted};

/// The policies of a workload as its ztunnel has them, DENY first.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct L4(Vec<Policy>);

#[derive(Clone, Debug, PartialEq)]
struct Policy {
    authorization: Authorization,
    /// The policy as a whole.
    origin: Origin,
    /// Its rules, in order. Those that are not left out are the groups, in order.
    rules: Vec<Rule>,
}

/// A rule of a policy, and what of it its ztunnel is not told.
#[derive(Clone, Debug, PartialEq)]
struct Rule {
    /// What is reported where it decides.
    origin: Origin,
    omissions: Vec<Omission>,
}

impl Rule {
    fn is_left_out(&self) -> bool {
        self.omissions.iter().any(|omission| omission.drops_rule)
    }
}

/// What a rule says of a connection.
pub(crate) struct Looked<'p> {
    /// Its place in the policy.
    pub(crate) rule: usize,
    pub(crate) outcome: L4Outcome,
    pub(crate) omissions: &'p [Omission],
}

/// Whether a rule matches a connection.
pub(crate) enum L4Outcome {
    Matched,
    Failed(L4Failure),
    /// The ztunnel does not have it.
    LeftOut,
}

impl L4 {
    /// Converts the policies that concern a workload; those that could not be understood deny what they
    /// might have denied.
    pub(super) fn new(
        policies: &Policies<'_>,
        workload: &Workload,
        environment: &Environment,
    ) -> Self {
        let root = &environment.root_namespace.0;
        let sends_dry_run = environment.compat.flags.ambient_enable_dry_run_authorization_policy;
        let (namespace, labels) = (&workload.namespace, &workload.labels);
        let converted = policies.understood.iter();
        let converted = converted
            .filter_map(|policy| Some((convert(policy, root, sends_dry_run)?, omitted(policy))));
        let concerning = converted.filter(|(policy, _)| policy.concerns(namespace, labels, root));
        let mut built = Self::default();
        concerning.for_each(|(policy, omitted)| built.add(policy, false, omitted));
        let selection = environment.selection();
        for broken in
            policies.broken.iter().filter(|policy| policy.may_select(workload, &selection))
        {
            if let Some(policy) = ztunnel::stand_in(broken, root) {
                built.add_whole(policy, true);
            }
        }
        built.sort();
        built
    }

    /// Adds policies that are the workload's whatever they select: those that became of its
    /// PeerAuthentications.
    pub(super) fn with(mut self, policies: impl IntoIterator<Item = Authorization>) -> Self {
        policies.into_iter().for_each(|policy| self.add_whole(policy, false));
        self.sort();
        self
    }

    /// Adds a policy of which nothing is left out.
    fn add_whole(&mut self, authorization: Authorization, is_broken: bool) {
        let omitted = vec![Vec::new(); authorization.groups.len()];
        self.add(authorization, is_broken, omitted);
    }

    /// Adds a policy with what is left out of each of its rules.
    fn add(&mut self, authorization: Authorization, is_broken: bool, omitted: Vec<Vec<Omission>>) {
        let action = match authorization.action {
            ztunnel::Action::Allow => Action::Allow,
            ztunnel::Action::Deny => Action::Deny,
        };
        let origin = |rule| Origin {
            namespace: authorization.namespace.clone(),
            name: authorization.name.clone(),
            rule,
            action,
            is_broken,
        };
        let rules = omitted.into_iter().enumerate();
        let rules = rules.map(|(rule, omissions)| Rule { origin: origin(rule), omissions });
        self.0.push(Policy { origin: origin(0), rules: rules.collect(), authorization });
    }

    /// By action and name: the first that matches is the one reported.
    fn sort(&mut self) {
        let key = |policy: &Policy| {
            let Authorization { action, namespace, name, .. } = &policy.authorization;
            (*action == ztunnel::Action::Allow, namespace.clone(), name.clone())
        };
        self.0.sort_by_cached_key(key);
    }

    pub(super) fn decide<'p>(
        &'p self,
        request: &Request<'_>,
        observer: &mut impl Observer<'p>,
    ) -> Decision<'p> {
        let identity = identity(request);
        let connection = connection(request, identity.as_ref());
        let peer = Peer::of(&connection);
        self.watch(&peer, observer);
        let mut has_allow = false;
        for policy in self.0.iter().filter(|policy| !policy.authorization.is_dry_run) {
            let matched = policy.matching(&peer);
            match (policy.authorization.action, matched) {
                (ztunnel::Action::Deny, Some(origin)) if origin.is_broken => {
                    return Decision::Deny(Reason::PolicyBroken(origin));
                }
                (ztunnel::Action::Deny, Some(origin)) => {
                    return Decision::Deny(Reason::DenyMatched(origin));
                }
                (ztunnel::Action::Deny, None) => {}
                (ztunnel::Action::Allow, Some(origin)) => {
                    return Decision::Allow(Reason::AllowMatched(origin));
                }
                (ztunnel::Action::Allow, None) => has_allow = true,
            }
        }
        if has_allow {
            Decision::Deny(Reason::NoAllowPolicyMatched)
        } else {
            Decision::Allow(Reason::NoAllowPolicy)
        }
    }

    /// Tells what the policies on trial say.
    fn watch<'p, O: Observer<'p>>(&'p self, peer: &Peer<'_>, observer: &mut O) {
        if !O::WATCHES {
            return;
        }
        for action in [Action::Deny, Action::Allow] {
            let mut trials = self
                .0
                .iter()
                .filter(|policy| policy.authorization.is_dry_run && policy.origin.action == action);
            if trials.clone().next().is_some() {
                let matched = trials.find_map(|policy| policy.matching(peer));
                observer.dry_run(DryRun { action, matched });
            }
        }
    }

    /// The actions of policies on trial, DENY first.
    pub(super) fn has_trial(&self, action: Action) -> bool {
        self.0
            .iter()
            .any(|policy| policy.authorization.is_dry_run && policy.origin.action == action)
    }

    /// The policies by namespace and name.
    pub(super) fn policies(&self) -> impl Iterator<Item = (Namespace, Box<str>)> {
        let all = self.0.iter().map(|policy| &policy.authorization);
        all.map(|policy| (policy.namespace.clone(), policy.name.clone()))
    }

    /// The policies of an action that are not on trial.
    pub(crate) fn enforced(&self, action: ztunnel::Action) -> impl Iterator<Item = &Authorization> {
        let all = self.0.iter().map(|policy| &policy.authorization);
        all.filter(move |policy| policy.action == action && !policy.is_dry_run)
    }

    /// Whether ALLOW policies are enforced of which it is known that nothing matches them.
    pub(crate) fn allows_nothing(&self) -> bool {
        let mut allow = self.enforced(ztunnel::Action::Allow).peekable();
        allow.peek().is_some() && allow.all(|policy| policy.groups.iter().all(Group::is_never))
    }

    /// What each policy says of a request, by `told` of the policy, whether it is on trial, and its rules.
    pub(crate) fn look<'p, T>(
        &'p self,
        request: &Request<'_>,
        told: impl Fn(&'p Origin, bool, Vec<Looked<'p>>) -> T,
    ) -> Vec<T> {
        let identity = identity(request);
        let connection = connection(request, identity.as_ref());
        let peer = Peer::of(&connection);
        let looked = self.0.iter().map(|policy| {
            told(&policy.origin, policy.authorization.is_dry_run, policy.look(&peer))
        });
        looked.collect()
    }
}

impl Policy {
    /// The rules that the ztunnel has, with what they became.
    fn kept(&self) -> impl Iterator<Item = (&Rule, &Group)> {
        let kept = self.rules.iter().filter(|rule| !rule.is_left_out());
        kept.zip(&self.authorization.groups)
    }

    fn matching(&self, peer: &Peer<'_>) -> Option<&Origin> {
        let matched = self.kept().find(|(_, group)| group.matches(peer));
        matched.map(|(rule, _)| &rule.origin)
    }

    fn look(&self, peer: &Peer<'_>) -> Vec<Looked<'_>> {
        let mut kept = self.kept();
        let looked = self.rules.iter().map(|rule| {
            let group = if rule.is_left_out() { None } else { kept.next() };
            let outcome = match group {
                None => L4Outcome::LeftOut,
                Some((_, group)) => {
                    let failure = group.failure(peer, &rule.omissions);
                    failure.map_or(L4Outcome::Matched, L4Outcome::Failed)
                }
            };
            Looked { rule: rule.origin.rule, outcome, omissions: &rule.omissions }
        });
        looked.collect()
    }
}

/// The identity that a tunnel's certificate shows; only the form of workloads is one.
fn identity(request: &Request<'_>) -> Option<Identity> {
    let peer = request.connection.peer?;
    peer.uri_sans.first().and_then(|name| name.parse().ok())
}

fn connection<'c>(request: &Request<'_>, identity: Option<&'c Identity>) -> L4Connection<'c> {
    let connection = &request.connection;
    let canonical = |address: IpAddr| address.to_canonical();
    L4Connection {
        source_ip: canonical(connection.source_ip),
        source_identity: identity,
        destination_ip: canonical(connection.destination_ip),
        destination_port: connection.destination_port,
    }
}
