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
use crate::select::Workload;
use crate::ztunnel::{self, Authorization, Group, L4Connection, L4Failure, Peer, convert};

/// The policies of a workload as its ztunnel has them, DENY first.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct L4(Vec<Policy>);

#[derive(Clone, Debug, PartialEq)]
struct Policy {
    authorization: Authorization,
    /// What is reported of each of its groups; a policy that stands in for another has one.
    origins: Vec<Origin>,
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
        let converted = converted.filter_map(|policy| convert(policy, root, sends_dry_run));
        let concerning = converted.filter(|policy| policy.concerns(namespace, labels, root));
        let mut built = Self::default();
        concerning.for_each(|policy| built.add(policy, false));
        let selection = environment.selection();
        for broken in
            policies.broken.iter().filter(|policy| policy.may_select(workload, &selection))
        {
            built.extend(ztunnel::stand_in(broken, root).map(|policy| (policy, true)));
        }
        built.sort();
        built
    }

    /// Adds policies that are the workload's whatever they select: those that became of its
    /// PeerAuthentications.
    pub(super) fn with(mut self, policies: impl IntoIterator<Item = Authorization>) -> Self {
        policies.into_iter().for_each(|policy| self.add(policy, false));
        self.sort();
        self
    }

    fn extend(&mut self, policies: impl IntoIterator<Item = (Authorization, bool)>) {
        policies.into_iter().for_each(|(policy, is_broken)| self.add(policy, is_broken));
    }

    fn add(&mut self, authorization: Authorization, is_broken: bool) {
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
        let origins = (0..authorization.groups.len().max(1)).map(origin).collect();
        self.0.push(Policy { authorization, origins });
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
            let mut trials = self.0.iter().filter(|policy| {
                policy.authorization.is_dry_run
                    && policy.origins.first().is_some_and(|origin| origin.action == action)
            });
            if trials.clone().next().is_some() {
                let matched = trials.find_map(|policy| policy.matching(peer));
                observer.dry_run(DryRun { action, matched });
            }
        }
    }

    /// The actions of policies on trial, DENY first.
    pub(super) fn has_trial(&self, action: Action) -> bool {
        self.0.iter().any(|policy| {
            policy.authorization.is_dry_run
                && policy.origins.iter().any(|origin| origin.action == action)
        })
    }

    /// The policies by namespace and name.
    pub(super) fn policies(&self) -> impl Iterator<Item = (Namespace, Box<str>)> {
        let all = self.0.iter().map(|policy| &policy.authorization);
        all.map(|policy| (policy.namespace.clone(), policy.name.clone()))
    }

    /// Whether ALLOW policies are enforced of which it is known that nothing matches them.
    pub(crate) fn allows_nothing(&self) -> bool {
        let all = self.0.iter().map(|policy| &policy.authorization);
        let mut allow = all
            .filter(|policy| policy.action == ztunnel::Action::Allow && !policy.is_dry_run)
            .peekable();
        allow.peek().is_some() && allow.all(|policy| policy.groups.iter().all(Group::is_never))
    }

    /// What each policy says of a request, and each of its groups, by `told`: why the group does not match,
    /// unless it does.
    pub(crate) fn look<'p, T>(
        &'p self,
        request: &Request<'_>,
        told: impl Fn(&'p Origin, bool, Vec<Option<L4Failure>>) -> T,
    ) -> Vec<T> {
        let identity = identity(request);
        let connection = connection(request, identity.as_ref());
        let peer = Peer::of(&connection);
        let looked = self.0.iter().filter_map(|policy| {
            let groups = policy.authorization.groups.iter().map(|group| group.failure(&peer));
            let is_dry_run = policy.authorization.is_dry_run;
            Some(told(policy.origins.first()?, is_dry_run, groups.collect()))
        });
        looked.collect()
    }
}

impl Policy {
    fn matching(&self, peer: &Peer<'_>) -> Option<&Origin> {
        let group = self.authorization.groups.iter().position(|group| group.matches(peer))?;
        self.origins.get(group)
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
