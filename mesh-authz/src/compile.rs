//! Policies of one workload → the filters of its chain.
//!
//! ```text
//! CUSTOM by provider ─▶ [RBAC in shadow, external authorizer] …  ─▶ AUDIT ─▶ DENY ─▶ ALLOW
//! ```
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/security/authz/builder/builder.go`.
use std::collections::BTreeMap;
use std::sync::Arc;

use mesh_model::Compat;
use mesh_model::compat::DataPlane;
use mesh_model::name::Namespace;
use mesh_model::registry::TokenPlace;
use mesh_model::resource::{Action, AuthorizationPolicy};

use crate::dry_run::is_dry_run;
use crate::identity::{IdentitySource, TrustBundle};
use crate::matcher::{
    Form, PathNormalization, PathOptions, Pattern, StringTest, UnderscoredHeaders,
};
use crate::rbac::{
    Body, Clause, Entry, Field, Filter, HeaderTest, HeaderValue, Node, Origin, Place, Policy,
    PrincipalTest, Purpose, RbacFilter, Rules,
};
use crate::request::Sight;
use crate::rule::{Compiler, Context, Omission};
use crate::select::{BrokenPolicy, Selected, Selection, Subject, Workload, WorkloadKind, select};

mod grpc;
pub(crate) mod index;
mod texts;

/// What policies are compiled for besides the workload: the mesh's own settings.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "callers set single fields over the default")]
pub struct Environment {
    /// The namespace whose policies concern all others (`MeshConfig.rootNamespace`).
    pub root_namespace: RootNamespace,
    /// The trust domain of the mesh and its aliases.
    pub trust: TrustBundle,
    /// Whether no trust domain stands for another, as ztunnels have it.
    pub keeps_trust_domains: bool,
    /// What proxies do to paths before policies see them.
    pub paths: PathOptions,
    /// What proxies do to headers with an underscore before policies see them.
    pub underscored_headers: UnderscoredHeaders,
    /// The external authorizers that can be used, by name; one that is misconfigured is left out.
    pub providers: BTreeMap<Box<str>, ProviderKind>,
    /// Where the workload's proxy reads the identity of its peers.
    pub identity: IdentitySource,
    /// Which upstream is followed.
    pub compat: Compat,
}

impl Environment {
    /// How the proxy looks at requests: its settings, as far as its release of Envoy heeds them.
    pub(crate) fn sight(&self) -> Sight {
        let envoy = self.compat.envoy;
        let (mut paths, mut underscored_headers) = (self.paths, self.underscored_headers);
        paths.dot_segments_with_parameters &= envoy.strip_dotdot_segments_with_parameters;
        paths.ignores_parameters &= envoy.rbac_respect_ignore_path_parameters;
        if self.compat.data_plane == DataPlane::Grpc {
            // A path is a method's name there: no connection manager makes another of it.
            let normalization = PathNormalization::None;
            paths =
                PathOptions { normalization, merge_slashes: None, escaped_slashes: None, ..paths };
            underscored_headers = UnderscoredHeaders::Allow;
        }
        let joins_headers = !envoy.rbac_match_headers_individually;
        let data_plane = self.compat.data_plane;
        Sight { paths, underscored_headers, identity: self.identity, joins_headers, data_plane }
    }

    pub(crate) fn selection(&self) -> Selection {
        let flags = &self.compat.flags;
        Selection {
            root_namespace: self.root_namespace.0.clone(),
            selects_gateways: flags.enable_selector_based_k8s_gateway_policy,
        }
    }
}

/// The root namespace; the default is `istio-system`.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_structs, reason = "a namespace with a default")]
pub struct RootNamespace(
    /// The namespace.
    pub Namespace,
);

impl Default for RootNamespace {
    fn default() -> Self {
        Self(Namespace::from("istio-system"))
    }
}

/// The protocol of an external authorizer.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_enums, reason = "generators act on both")]
pub enum ProviderKind {
    /// `envoyExtAuthzGrpc`.
    Grpc,
    /// `envoyExtAuthzHttp`: not asked about TCP, where its policies have no effect.
    Http,
}

/// What the traffic of a filter chain is.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_enums, reason = "a chain is one or the other")]
pub enum Traffic {
    /// HTTP, gRPC included.
    Http,
    /// Anything else.
    Tcp,
}

/// All the policies of a mesh, those that could not be understood included.
#[derive(Clone, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "callers fill both lists")]
pub struct Policies<'p> {
    /// Those that could be read.
    pub understood: Vec<&'p AuthorizationPolicy>,
    /// Those that could not.
    pub broken: Vec<&'p BrokenPolicy>,
}

/// The filters of one chain of a workload, in order, and how its policies went into them.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "generators read every part")]
pub struct Chain {
    /// The filters.
    pub filters: Vec<Filter>,
    /// The policies, in the order of their filters.
    pub compiled: Vec<CompiledPolicy>,
}

/// How a policy went into a chain.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a report has these parts")]
pub struct CompiledPolicy {
    /// The policy's namespace.
    pub namespace: Namespace,
    /// The policy's name.
    pub name: Box<str>,
    /// The policy's action.
    pub action: Action,
    /// Whether it is on trial only.
    pub is_dry_run: bool,
    /// Its rules, in order; for a broken policy what stands in for it.
    pub rules: Vec<CompiledRule>,
}

/// What became of a rule.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a report has these two parts")]
pub struct CompiledRule {
    /// The policy of the filter; `None` if the rule was left out.
    pub policy: Option<Arc<Policy>>,
    /// The values that were left out, or the one that the rule was left out for.
    pub omissions: Vec<Omission>,
}

impl Chain {
    /// Compiles the policies of a workload for one kind of traffic.
    pub fn new(
        policies: &Policies<'_>,
        workload: &Workload,
        environment: &Environment,
        traffic: Traffic,
    ) -> Self {
        let (selected, broken) = selected(policies, workload, environment);
        let mut builder = Builder { environment, traffic, chain: Self::default() };
        builder.custom(&selected);
        builder.local(&selected, &broken);
        builder.chain
    }

    /// Compiles the filters in front of a waypoint, where its tunnels end: what policies with selectors
    /// say of connections, no CUSTOM, peers by their certificates. Empty unless
    /// `ENABLE_LAYERED_WAYPOINT_AUTHORIZATION_POLICIES` is set.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/networking/plugin/authz/authorization.go` `NewWaypointTerminationBuilder`.
    pub fn in_front_of_waypoint(
        policies: &Policies<'_>,
        waypoint: &Workload,
        environment: &Environment,
    ) -> Self {
        if !environment.compat.flags.enable_layered_waypoint_authorization_policies {
            return Self::default();
        }
        let as_workload = Workload { kind: WorkloadKind::Proxy, ..waypoint.clone() };
        let by_certificate =
            Environment { identity: IdentitySource::Certificate, ..environment.clone() };
        let (selected, broken) = selected(policies, &as_workload, environment);
        let (environment, traffic) = (&by_certificate, Traffic::Tcp);
        let mut builder = Builder { environment, traffic, chain: Self::default() };
        builder.local(&selected, &broken);
        builder.chain
    }
}

/// The policies of a workload, by what they do or might have done.
fn selected<'p>(
    policies: &Policies<'p>,
    workload: &Workload,
    environment: &Environment,
) -> (Selected<'p>, Broken<'p>) {
    let selection = environment.selection();
    let selected = select(policies.understood.iter().copied(), workload, &selection);
    let broken = policies.broken.iter().copied();
    let broken = broken.filter(|policy| policy.may_select(workload, &selection)).collect();
    (selected, Broken::new(broken))
}

/// Broken policies by what they might have denied.
struct Broken<'p> {
    /// Everything.
    deny: Vec<&'p BrokenPolicy>,
    /// What no other policy allows.
    allow: Vec<&'p BrokenPolicy>,
}

impl<'p> Broken<'p> {
    fn new(broken: Vec<&'p BrokenPolicy>) -> Self {
        let may_deny = |policy: &&BrokenPolicy| policy.action != Some(Action::Audit);
        let (allow, deny) = broken
            .into_iter()
            .filter(may_deny)
            .partition(|policy| policy.action == Some(Action::Allow));
        Self { deny, allow }
    }
}

struct Builder<'b> {
    environment: &'b Environment,
    traffic: Traffic,
    chain: Chain,
}

/// The policies of a filter being built: those enforced and those on trial.
#[derive(Default)]
struct Built {
    enforced: Option<Vec<Arc<Policy>>>,
    trial: Option<Vec<Arc<Policy>>>,
}

impl Builder<'_> {
    /// CUSTOM: a pair of filters for each provider, in byte order of the names.
    fn custom(&mut self, selected: &Selected<'_>) {
        let mut by_provider: BTreeMap<&str, Built> = BTreeMap::new();
        for policy in &selected.custom {
            let provider = policy.spec.provider.as_ref().map_or("", |provider| &provider.name);
            let prefix = if provider.is_empty() {
                "istio-ext-authz-".to_owned()
            } else {
                format!("istio-ext-authz-{provider}-")
            };
            self.policy(policy, &prefix, by_provider.entry(provider).or_default());
        }
        let may_be_many =
            self.environment.compat.flags.pilot_enable_multiple_custom_authz_providers;
        let is_one = by_provider.len() < 2 || may_be_many;
        for (provider, built) in by_provider {
            match self.environment.providers.get(provider).filter(|_| is_one) {
                None => self.bad_provider(built),
                Some(ProviderKind::Http) if self.traffic == Traffic::Tcp => {}
                Some(ProviderKind::Http | ProviderKind::Grpc) => self.ask(provider, built),
            }
        }
    }

    fn ask(&mut self, provider: &str, built: Built) {
        self.chain.filters.push(Filter::Rbac(RbacFilter {
            purpose: Purpose::Custom,
            rules: built.trial.filter(|policies| !policies.is_empty()).map(Rules::new),
            shadow_rules: Some(Rules::new(built.enforced.unwrap_or_default())),
        }));
        self.chain.filters.push(Filter::ExternalAuthorization { provider: provider.into() });
    }

    /// Nobody can be asked: what would have been asked about is denied.
    fn bad_provider(&mut self, built: Built) {
        let renamed = |policy: Arc<Policy>| {
            let name = format!("{}-deny-due-to-bad-CUSTOM-action", policy.name).into();
            Arc::new(Policy { name, ..Policy::clone(&policy) })
        };
        let policies = built.enforced.unwrap_or_default().into_iter().map(renamed).collect();
        self.chain.filters.push(Filter::Rbac(RbacFilter {
            purpose: Purpose::BadProvider,
            rules: Some(Rules::new(policies)),
            shadow_rules: None,
        }));
    }

    /// AUDIT, DENY and ALLOW: one filter each, if a policy has the action.
    fn local(&mut self, selected: &Selected<'_>, broken: &Broken<'_>) {
        for (purpose, policies) in [
            (Purpose::Audit, &selected.audit),
            (Purpose::Deny, &selected.deny),
            (Purpose::Allow, &selected.allow),
        ] {
            let mut built = Built::default();
            for policy in policies {
                self.policy(policy, "", &mut built);
            }
            match purpose {
                Purpose::Deny => self.broken(&broken.deny, Action::Deny, &mut built),
                Purpose::Allow => self.broken(&broken.allow, Action::Allow, &mut built),
                Purpose::Audit | Purpose::Custom | Purpose::BadProvider => {}
            }
            if built.enforced.is_some() || built.trial.is_some() {
                self.chain.filters.push(Filter::Rbac(RbacFilter {
                    purpose,
                    rules: built.enforced.map(Rules::new),
                    shadow_rules: built.trial.map(Rules::new),
                }));
            }
        }
    }

    fn policy(&mut self, policy: &AuthorizationPolicy, prefix: &str, built: &mut Built) {
        let is_dry_run = is_dry_run(policy);
        let list = if is_dry_run { &mut built.trial } else { &mut built.enforced };
        let list = list.get_or_insert_default();
        let mut compiled = CompiledPolicy {
            namespace: policy.meta.namespace.clone(),
            name: policy.meta.name.as_str().into(),
            action: policy.spec.action,
            is_dry_run,
            rules: Vec::with_capacity(policy.spec.rules.len()),
        };
        for (index, rule) in policy.spec.rules.iter().enumerate() {
            let mut compiler = Compiler::new(Context {
                is_tcp: self.traffic == Traffic::Tcp,
                is_allow: policy.spec.action == Action::Allow,
                identity: self.environment.identity,
                trust: Some(&self.environment.trust)
                    .filter(|_| !self.environment.keeps_trust_domains),
                namespace: policy.meta.namespace.as_str(),
                envoy: self.environment.compat.envoy,
                takes_templates: true,
            });
            let built = compiler.rule(rule).ok().map(|body| named(policy, prefix, index, body));
            list.extend(built.clone());
            let omissions = compiler.omissions;
            compiled.rules.push(CompiledRule { policy: built, omissions });
        }
        if policy.spec.rules.is_empty() {
            list.push(named(policy, prefix, 0, Body::Never));
        }
        self.chain.compiled.push(compiled);
    }

    /// What a broken policy may have denied of the traffic; nothing if it is not about it.
    fn closed(&self, policy: &BrokenPolicy) -> Option<Body> {
        match (&policy.subject, self.traffic) {
            (Subject::Connections, _) | (Subject::Requests, Traffic::Http) => Some(Body::always()),
            (Subject::Tokens(places), Traffic::Http) => Some(Body::Rule {
                permissions: [Entry { clauses: Box::default() }].into(),
                principals: places.iter().map(carries).collect(),
            }),
            (Subject::Requests | Subject::Tokens(_), Traffic::Tcp) => None,
        }
    }

    fn broken(&mut self, broken: &[&BrokenPolicy], action: Action, built: &mut Built) {
        for policy in broken {
            let body =
                if action == Action::Allow { Some(Body::Never) } else { self.closed(policy) };
            let Some(body) = body else { continue };
            let name = policy_name("", &policy.namespace, &policy.name, 0);
            let is_policy = policy.subject == Subject::Connections;
            let stand_in = Arc::new(Policy {
                // A RequestAuthentication may have the name of a policy.
                name: if is_policy { name } else { format!("{name}-jwt").into() },
                origin: Origin {
                    namespace: policy.namespace.clone(),
                    name: policy.name.clone(),
                    rule: 0,
                    action: policy.action.unwrap_or(Action::Deny),
                    is_broken: true,
                },
                body,
            });
            built.enforced.get_or_insert_default().push(Arc::clone(&stand_in));
            self.chain.compiled.push(CompiledPolicy {
                namespace: policy.namespace.clone(),
                name: policy.name.clone(),
                action: stand_in.origin.action,
                is_dry_run: false,
                rules: vec![CompiledRule { policy: Some(stand_in), omissions: Vec::new() }],
            });
        }
    }
}

/// What a request must have for a RequestAuthentication to be about it.
fn carries(place: &TokenPlace) -> Entry<PrincipalTest> {
    let (name, value) = match place {
        TokenPlace::Header(name) => (name.clone(), HeaderValue::Present),
        TokenPlace::Query => {
            let form = Form::Pattern(Pattern::Contains { literals: ["?".into()].into() });
            (":path".into(), HeaderValue::Text(StringTest::from(form)))
        }
    };
    let key = format!("request.headers[{name}]").into();
    let field = Field {
        place: Place::When { index: 0, key },
        is_negated: false,
        values: ["*".into()].into(),
    };
    let node = Node::Test(PrincipalTest::Header(HeaderTest { name, value }));
    Entry { clauses: [Clause { field, node }].into() }
}

fn named(policy: &AuthorizationPolicy, prefix: &str, rule: usize, body: Body) -> Arc<Policy> {
    let meta = &policy.meta;
    Arc::new(Policy {
        name: policy_name(prefix, &meta.namespace, &meta.name, rule),
        origin: Origin {
            namespace: meta.namespace.clone(),
            name: meta.name.as_str().into(),
            rule,
            action: policy.spec.action,
            is_broken: false,
        },
        body,
    })
}

fn policy_name(prefix: &str, namespace: &Namespace, name: &str, rule: usize) -> Box<str> {
    format!("{prefix}ns[{namespace}]-policy[{name}]-rule[{rule}]").into()
}
