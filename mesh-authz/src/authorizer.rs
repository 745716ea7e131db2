//! CUSTOM → DENY → ALLOW: deciding, by walking the filters of a chain.
use std::collections::BTreeSet;
use std::sync::Arc;

use mesh_model::compat::DataPlane;
use mesh_model::name::Namespace;
use mesh_model::resource::Action;

use crate::compile::index::Plan;
use crate::compile::{Chain, Environment, Policies, Traffic};
use crate::decision::{Decision, ExternalCheck, Reason, Verdict};
use crate::dry_run::DryRun;
use crate::rbac::{Filter, Origin, Policy, Purpose, RbacFilter, Rules};
use crate::request::{Request, Seen, Sight};
use crate::select::Workload;
use crate::ztunnel::Authorization;

mod l4;
mod replace;
mod waypoint;

pub(crate) use self::l4::{L4, L4Outcome, Looked};
pub use self::waypoint::ServiceBehind;
use self::waypoint::Services;

/// The policies of one workload, compiled: what its proxy would decide.
///
/// Building costs what the policies cost; deciding takes no lock and allocates nothing, unless a path
/// has to be normalized, a server name has capitals, a tunnel brought several names or a header that
/// proxies join has several lines.
///
/// # Examples
///
/// ```
/// use mesh_authz::{Authorizer, Connection, Environment, Http, Policies, Request, Workload};
///
/// let authorizer =
///     Authorizer::new(&Policies::default(), &Workload::default(), &Environment::default());
/// let request = Request {
///     connection: Connection {
///         source_ip: "10.1.0.5".parse()?,
///         remote_ip: None,
///         destination_ip: "10.2.0.9".parse()?,
///         destination_port: 8080,
///         peer: None,
///         sni: None,
///     },
///     http: Some(Http {
///         method: "GET",
///         authority: Some("cart.shop"),
///         path: "/items",
///         headers: &[],
///         payload: None,
///     }),
///     metadata: None,
/// };
/// let decision = authorizer.decide(&request);
/// assert!(decision.is_allowed());
/// assert_eq!(decision.reason().code(), "no_allow_policy");
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Authorizer {
    // Services behind a waypoint that have the same policies share what is compiled of them.
    http: Arc<Compiled>,
    tcp: Arc<Compiled>,
    sight: Sight,
    /// What decides instead of the chains where a ztunnel does.
    l4: Option<L4>,
    /// What denies beside the chains where a ztunnel may decide.
    perhaps: Option<L4>,
    services: Services,
    space_delimited: Box<[Box<str>]>,
    /// Whether a filter without policies is none, as gRPC servers have it.
    needs_policies: bool,
}

/// A chain with the plans of its filters.
#[derive(Clone, Debug, Default)]
struct Compiled {
    chain: Chain,
    stages: Box<[Stage]>,
}

/// What happens to a request at one place of the chain.
#[derive(Clone, Debug)]
enum Stage {
    /// The filter in shadow and the external authorizer after it.
    Ask {
        provider: Box<str>,
        /// How the names of the policies begin for which the authorizer is asked.
        prefix: Box<str>,
        asked: Plan,
        trial: Plan,
    },
    BadProvider(Plan),
    Audit(Sides),
    Deny(Sides),
    Allow(Sides),
}

#[derive(Clone, Debug)]
struct Sides {
    enforced: Option<Plan>,
    trial: Option<Plan>,
}

/// What is told of a request besides the decision.
pub(crate) trait Observer<'p> {
    /// Whether rules that cannot change the decision are evaluated.
    const WATCHES: bool;

    /// An external authorizer is asked.
    fn ask(&mut self, check: ExternalCheck<'p>) -> Verdict;

    /// AUDIT policies apply: whether one of them matches.
    fn audit(&mut self, is_match: bool);

    /// Policies on trial apply: the first of them that matches.
    fn dry_run(&mut self, dry_run: DryRun<'p>);
}

struct Asking<F>(F);

impl<'p, F: FnMut(ExternalCheck<'p>) -> Verdict> Observer<'p> for Asking<F> {
    const WATCHES: bool = false;

    fn ask(&mut self, check: ExternalCheck<'p>) -> Verdict {
        (self.0)(check)
    }

    fn audit(&mut self, _is_match: bool) {}

    fn dry_run(&mut self, _dry_run: DryRun<'p>) {}
}

impl Authorizer {
    /// Whether a gRPC server without a proxy decides.
    pub(crate) fn is_grpc(&self) -> bool {
        self.sight.is_grpc()
    }

    /// Compiles the policies of a workload, as the data plane of `environment.compat` decides: an Envoy,
    /// a gRPC server without a proxy, or a ztunnel, for which requests are no more than their
    /// connections.
    ///
    /// A ztunnel's answer reads the first URI of the peer's certificate, and allocates.
    pub fn new(policies: &Policies<'_>, workload: &Workload, environment: &Environment) -> Self {
        let compiled =
            |traffic| Arc::new(Compiled::new(Chain::new(policies, workload, environment, traffic)));
        let sight = environment.sight();
        match environment.compat.data_plane {
            DataPlane::IstioProxy | DataPlane::Envoy => Self {
                http: compiled(Traffic::Http),
                tcp: compiled(Traffic::Tcp),
                sight,
                ..Self::default()
            },
            DataPlane::Grpc => {
                let chain = Chain::of_grpc(policies, workload, environment);
                let compiled = Arc::new(Compiled::new(chain));
                let needs_policies = true;
                Self {
                    http: Arc::clone(&compiled),
                    tcp: compiled,
                    sight,
                    needs_policies,
                    ..Self::default()
                }
            }
            DataPlane::Ztunnel => {
                let l4 = Some(L4::new(policies, workload, environment));
                Self { l4, sight, ..Self::default() }
            }
        }
    }

    /// The same for a workload whose tokens have claims of words beside `scope` and `permission`: what
    /// [`analysis`](crate::analysis) makes of claims is read so. Deciding takes payloads as they are.
    #[must_use]
    pub fn with_space_delimited_claims(
        mut self,
        claims: impl IntoIterator<Item = Box<str>>,
    ) -> Self {
        self.space_delimited = claims.into_iter().collect();
        self
    }

    /// The claims of words beside `scope` and `permission`.
    pub(crate) fn space_delimited_claims(&self) -> &[Box<str>] {
        &self.space_delimited
    }

    /// The same with what a workload's PeerAuthentications became for its ztunnel; nothing is different
    /// for other data planes.
    #[must_use]
    pub(crate) fn with_authorizations(
        mut self,
        policies: impl IntoIterator<Item = Authorization>,
    ) -> Self {
        self.l4 = self.l4.take().map(|l4| l4.with(policies));
        self
    }

    /// The same where nobody can tell whether a ztunnel decides instead, as `other` has it: what either
    /// denies is denied.
    #[must_use]
    pub(crate) fn or_ztunnel(self, other: Self) -> Self {
        Self { perhaps: other.l4, ..self }
    }

    /// Decides, external authorizers taken to allow; [`Self::decide_asking`] asks them.
    pub fn decide<'p>(&'p self, request: &Request<'_>) -> Decision<'p> {
        self.decide_asking(request, |_| Verdict::Allow)
    }

    /// Decides, with the verdicts of external authorizers from `ask`, in the order in which the proxy
    /// asks them; after a denial no other is asked.
    pub fn decide_asking<'p>(
        &'p self,
        request: &Request<'_>,
        ask: impl FnMut(ExternalCheck<'p>) -> Verdict,
    ) -> Decision<'p> {
        self.observe(request, &mut Asking(ask))
    }

    /// Returns whether another authorizer has the same answer to every request, because it was made of the
    /// same: the same filters and settings. False says nothing.
    pub fn is_equal(&self, other: &Self) -> bool {
        self.http.chain == other.http.chain
            && self.tcp.chain == other.tcp.chain
            && self.sight == other.sight
            && self.l4 == other.l4
            && self.perhaps == other.perhaps
            && self.services().len() == other.services().len()
            && self.services().iter().zip(other.services()).all(|(one, other)| {
                one.host == other.host
                    && one.addresses == other.addresses
                    && one.authorizer.is_equal(&other.authorizer)
            })
    }

    /// Returns the filters that the workload's proxy is configured with: none where a ztunnel decides;
    /// of a waypoint those of what is addressed to no service.
    pub fn chain(&self, traffic: Traffic) -> &Chain {
        match traffic {
            Traffic::Http => &self.http.chain,
            Traffic::Tcp => &self.tcp.chain,
        }
    }

    /// Returns the names of the external authorizers that may be asked about a request; of a waypoint those of
    /// what is addressed to no service.
    pub fn external_authorizers(&self, traffic: Traffic) -> BTreeSet<&str> {
        let filters = self.chain(traffic).filters.iter();
        let providers = filters.filter_map(|filter| match filter {
            Filter::ExternalAuthorization { provider } => Some(&**provider),
            Filter::Rbac(_) => None,
        });
        providers.collect()
    }

    pub(crate) fn observe<'p>(
        &'p self,
        request: &Request<'_>,
        observer: &mut impl Observer<'p>,
    ) -> Decision<'p> {
        let facing = self.facing(request);
        if let Some(l4) = &facing.l4 {
            return l4.decide(request, observer);
        }
        let compiled = if request.http.is_some() { &facing.http } else { &facing.tcp };
        let decision = match Seen::new(request, facing.sight) {
            Ok(mut seen) => compiled.decide(&mut seen, observer),
            Err(unseen) => Decision::Deny(unseen.into()),
        };
        let perhaps = facing.perhaps.as_ref().filter(|_| decision.is_allowed());
        let perhaps = perhaps.map(|l4| l4.decide(request, &mut Asking(|_| Verdict::Allow)));
        perhaps.filter(|perhaps| !perhaps.is_allowed()).unwrap_or(decision)
    }

    /// The policies that it was made of, by namespace and name, in the order in which they are asked; of a
    /// waypoint those of what is addressed to no service.
    pub(crate) fn policies(&self) -> Vec<(Namespace, Box<str>)> {
        let compiled = self.http.chain.compiled.iter();
        let compiled = compiled.map(|of| (of.namespace.clone(), of.name.clone()));
        compiled.chain(self.l4.iter().flat_map(L4::policies)).collect()
    }

    /// What a ztunnel decides by, where one may decide beside the chains.
    pub(crate) const fn perhaps(&self) -> Option<&L4> {
        self.perhaps.as_ref()
    }

    /// What a ztunnel decides by, where one decides.
    pub(crate) const fn l4(&self) -> Option<&L4> {
        self.l4.as_ref()
    }

    /// Whether policies of an action are on trial.
    pub(crate) fn has_trial(&self, traffic: Traffic, action: Action) -> bool {
        let compiled = &self.chain(traffic).compiled;
        compiled.iter().any(|of| of.action == action && of.is_dry_run)
            || self.l4.as_ref().is_some_and(|l4| l4.has_trial(action))
    }

    /// The ALLOW rule without which everything is allowed: the only one of a gRPC server.
    pub(crate) fn only_allow(&self) -> Option<&Origin> {
        let mut filters = self.http.chain.filters.iter().filter(|_| self.needs_policies);
        let rules = filters.find_map(|filter| match filter {
            Filter::Rbac(filter) if filter.purpose == Purpose::Allow => filter.rules.as_ref(),
            Filter::Rbac(_) | Filter::ExternalAuthorization { .. } => None,
        })?;
        let [only] = rules.policies() else { return None };
        Some(&only.origin)
    }

    /// Whether both see the same of a request.
    pub(crate) fn sees_like(&self, other: &Self) -> bool {
        self.sight == other.sight
    }

    /// Returns the request as policies see it.
    pub(crate) fn see<'r>(&self, request: &'r Request<'r>) -> Result<Seen<'r>, Reason<'static>> {
        Seen::new(request, self.sight).map_err(Reason::from)
    }
}

impl Compiled {
    fn new(chain: Chain) -> Self {
        let mut stages = Vec::with_capacity(chain.filters.len());
        let mut asking: Option<(Plan, Plan)> = None;
        for filter in &chain.filters {
            match filter {
                Filter::Rbac(filter) => match filter.purpose {
                    Purpose::Custom => {
                        asking = Some((plan(&filter.shadow_rules), plan(&filter.rules)));
                    }
                    Purpose::BadProvider => stages.push(Stage::BadProvider(plan(&filter.rules))),
                    Purpose::Audit => stages.push(Stage::Audit(Sides::new(filter))),
                    Purpose::Deny => stages.push(Stage::Deny(Sides::new(filter))),
                    Purpose::Allow => stages.push(Stage::Allow(Sides::new(filter))),
                },
                Filter::ExternalAuthorization { provider } => {
                    let (asked, trial) = asking.take().unwrap_or_default();
                    let prefix = format!("istio-ext-authz-{provider}").into();
                    stages.push(Stage::Ask { provider: provider.clone(), prefix, asked, trial });
                }
            }
        }
        Self { chain, stages: stages.into() }
    }

    fn decide<'p>(&'p self, seen: &mut Seen<'_>, observer: &mut impl Observer<'p>) -> Decision<'p> {
        let mut allowed = Reason::NoAllowPolicy;
        // CUSTOM comes before the token is validated.
        let payload = seen.payload.take();
        // What the filters in shadow write: it stays until another one of them matches.
        let mut named: Option<&'p Policy> = None;
        for stage in &self.stages {
            let verdict = match stage {
                Stage::Ask { provider, prefix, asked, trial } => {
                    named = asked.first_match(seen).or(named);
                    let is_meant = |policy: &&Policy| policy.name.starts_with(&**prefix);
                    let question = named.filter(is_meant).map(|policy| (&**provider, policy));
                    denied(trial.first_match(seen), Reason::CustomTrial)
                        .and_then(|()| ask(question, observer))
                }
                Stage::BadProvider(plan) => {
                    denied(plan.first_match(seen), Reason::ProviderUnusable)
                }
                Stage::Audit(sides) => {
                    seen.payload = payload;
                    sides.audit(seen, observer);
                    Ok(())
                }
                Stage::Deny(sides) => {
                    seen.payload = payload;
                    sides.deny(seen, observer)
                }
                Stage::Allow(sides) => {
                    seen.payload = payload;
                    sides.allow(seen, observer).map(|reason| allowed = reason)
                }
            };
            if let Err(reason) = verdict {
                return Decision::Deny(reason);
            }
        }
        Decision::Allow(allowed)
    }
}

fn plan(rules: &Option<Rules>) -> Plan {
    rules.as_ref().map(Plan::new).unwrap_or_default()
}

fn denied<'p>(
    matched: Option<&'p Policy>,
    reason: impl FnOnce(&'p Origin) -> Reason<'p>,
) -> Result<(), Reason<'p>> {
    matched.map_or(Ok(()), |policy| Err(reason(&policy.origin)))
}

fn ask<'p>(
    question: Option<(&'p str, &'p Policy)>,
    observer: &mut impl Observer<'p>,
) -> Result<(), Reason<'p>> {
    let Some((provider, policy)) = question else { return Ok(()) };
    let rule = &policy.origin;
    match observer.ask(ExternalCheck { provider, rule }) {
        Verdict::Allow => Ok(()),
        Verdict::Deny => Err(Reason::ExternalDenied { rule, provider }),
    }
}

impl Sides {
    fn new(filter: &RbacFilter) -> Self {
        Self {
            enforced: filter.rules.as_ref().map(Plan::new),
            trial: filter.shadow_rules.as_ref().map(Plan::new),
        }
    }

    fn audit<'p, O: Observer<'p>>(&'p self, seen: &Seen<'_>, observer: &mut O) {
        if O::WATCHES
            && let Some(plan) = &self.enforced
        {
            observer.audit(plan.first_match(seen).is_some());
        }
    }

    fn watch<'p, O: Observer<'p>>(&'p self, action: Action, seen: &Seen<'_>, observer: &mut O) {
        if O::WATCHES
            && let Some(plan) = &self.trial
        {
            let matched = plan.first_match(seen).map(|policy| &policy.origin);
            observer.dry_run(DryRun { action, matched });
        }
    }

    fn deny<'p>(
        &'p self,
        seen: &Seen<'_>,
        observer: &mut impl Observer<'p>,
    ) -> Result<(), Reason<'p>> {
        self.watch(Action::Deny, seen, observer);
        let matched = self.enforced.as_ref().and_then(|plan| plan.first_match(seen));
        denied(matched, |rule| {
            if rule.is_broken { Reason::PolicyBroken(rule) } else { Reason::DenyMatched(rule) }
        })
    }

    fn allow<'p>(
        &'p self,
        seen: &Seen<'_>,
        observer: &mut impl Observer<'p>,
    ) -> Result<Reason<'p>, Reason<'p>> {
        self.watch(Action::Allow, seen, observer);
        let Some(plan) = &self.enforced else { return Ok(Reason::NoAllowPolicy) };
        plan.first_match(seen)
            .map(|policy| Reason::AllowMatched(&policy.origin))
            .ok_or(Reason::NoAllowPolicyMatched)
    }
}
