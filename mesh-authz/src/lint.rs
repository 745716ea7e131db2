//! Hazards of policies: what looks tighter than it is, and what has no effect.
//!
//! ```text
//! each AuthorizationPolicy ─ risky patterns ─────────────────────────────────────▶ ┐
//! the policies of each kind of workload ─ never matching, shadowed, widened, empty ▶ findings
//! the policies of each gRPC server ─ lost to another of the same name ───────────▶ ┤
//! each policy and who carries it out ─ not heard of, unattached, too new ────────▶ ┘
//! ```
//!
//! A rule is called useless only if it is so for every workload that has it.
use std::collections::{BTreeMap, BTreeSet};

use mesh_model::Compat;
use mesh_model::compat::DataPlane;
use mesh_model::lint::{Subject, sort};
use mesh_model::manifest::Diagnostic;
use mesh_model::name::Namespace;
use mesh_model::registry::{ControlPlane, Mesh};
use mesh_model::resource::{Action, AuthorizationPolicy};
use mesh_model::view::{self, Proxy, ProxyKind};

use crate::analysis::{
    Idle, Never, NeverMatches, Replaced, Risk, Useless, allows_nothing, dead_values,
    needing_several_names, replaced, risky_patterns, useless, widenings,
};
use crate::authorizer::{Authorizer, L4};
use crate::compile::{Chain, Environment, Traffic};
use crate::dry_run::is_dry_run;
use crate::matcher::{PathOptions, UnderscoredHeaders};
use crate::of_mesh::{waypoint_workload, workload_at};
use crate::rbac::{Field, Origin};
use crate::select::{Selection, applies};
use crate::ztunnel;

mod attachment;
mod data_plane;
mod port;
mod provider;
mod template;
mod version;

use self::version::{Version, Ztunnels};

/// Pairs of rules are compared for workloads with at most so many: the work grows with the square.
const MOST_RULES: usize = 100;

/// Finds what is hazardous in the policies of a mesh, by file, line and code.
pub fn lint(mesh: &Mesh) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let planes: Vec<Plane<'_>> =
        mesh.control_planes().map(|plane| Plane::new(mesh, plane)).collect();
    for plane in &planes {
        let carriers = plane.carriers();
        for policy in plane.plane.authorization_policies.iter() {
            let carriers = carriers.get(&(&policy.meta.namespace, &*policy.meta.name));
            let none = Carriers::new();
            let carriers = carriers.unwrap_or(&none);
            found.extend(plane.patterns(policy));
            found.extend(plane.dead(policy, carriers));
            template::check(plane, policy, carriers, &mut found);
        }
        let workloads = plane.workloads();
        found.extend(plane.useless(&workloads));
        for workload in &workloads {
            found.extend(plane.empty(workload));
            found.extend(plane.widened(&workload.authorizer));
        }
        found.extend(plane.replaced());
        data_plane::check(plane, &mut found);
        port::check(plane, &mut found);
        provider::check(plane, &mut found);
        version::check(plane, &mut found);
    }
    attachment::check(&planes, &mut found);
    sort(&mut found);
    found
}

/// A workload, or a service behind a waypoint.
struct Workload {
    name: String,
    authorizer: Authorizer,
}

/// What carries out a policy.
type Carriers = BTreeSet<DataPlane>;

/// A rule by its policy's namespace and name, and its place.
type Rule<'a> = (&'a Namespace, &'a str, usize);

/// A control plane, and the workloads that it serves.
struct Plane<'m> {
    mesh: &'m Mesh,
    plane: &'m ControlPlane,
    environment: Environment,
    selection: Selection,
    kinds: Vec<Kind>,
}

/// Workloads that policies do not tell apart, by the first of them.
struct Kind {
    proxy: Proxy,
    data_plane: DataPlane,
    /// The release of what carries out its policies, if anything tells it.
    version: Option<Version>,
    /// What its proxy does to paths and headers before policies see them.
    sight: (PathOptions, UnderscoredHeaders),
}

impl Kind {
    /// The policies that concern it as an Envoy has them, of which others have some.
    fn policies<'p>(&self, plane: &Plane<'p>) -> Vec<&'p AuthorizationPolicy> {
        if self.proxy.kind == ProxyKind::Waypoint {
            return Vec::new();
        }
        let workload = workload_at(plane.mesh, &self.proxy, self.data_plane);
        let near = [&plane.selection.root_namespace, &workload.namespace];
        let mut found = plane.plane.authorization_policies.of_namespaces(&near);
        found.retain(|policy| applies(policy, &workload, &plane.selection));
        found
    }
}

impl<'m> Plane<'m> {
    fn new(mesh: &'m Mesh, plane: &'m ControlPlane) -> Self {
        let proxies = mesh.proxies().filter_map(|reference| mesh.proxy(&reference).ok());
        let served = proxies.filter(|proxy| {
            let serving = mesh.control_plane_of(proxy.cluster.as_str());
            serving.is_some_and(|serving| serving.id == plane.id)
        });
        let ztunnels = Ztunnels::new(mesh);
        let mut kinds = BTreeMap::new();
        for proxy in served {
            let data_plane = view::data_plane(mesh, &proxy);
            let version = ztunnels.version_at(mesh, &proxy, data_plane);
            let environment = Environment::of_proxy(mesh, plane, &proxy);
            let sight = (environment.paths, environment.underscored_headers);
            let key = (proxy.namespace.clone(), proxy.labels.clone(), data_plane, version, sight);
            kinds.entry(key).or_insert(Kind { proxy, data_plane, version, sight });
        }
        let environment = Environment::of_plane(plane, mesh.compat());
        let selection = environment.selection();
        Self { mesh, plane, environment, selection, kinds: kinds.into_values().collect() }
    }
}

impl Plane<'_> {
    fn subject(&self, namespace: &Namespace, name: &str) -> Subject {
        self.subject_of("AuthorizationPolicy", namespace, name)
    }

    fn subject_of(&self, kind: &'static str, namespace: &Namespace, name: &str) -> Subject {
        Subject::at(self.mesh, Some(&self.plane.id), kind, (namespace, name))
    }

    /// One workload for each set of policies and data plane that has it, as its proxy decides or it
    /// decides itself; waypoints for each service.
    fn workloads(&self) -> Vec<Workload> {
        let mut seen = BTreeSet::new();
        let mut found = Vec::new();
        for Kind { proxy, data_plane, sight, .. } in &self.kinds {
            let data_plane = match data_plane {
                DataPlane::IstioProxy | DataPlane::Envoy => "proxy",
                DataPlane::Grpc => "grpc",
                DataPlane::Ztunnel => "ztunnel",
            };
            let own = Authorizer::of_proxy(self.mesh, self.plane, proxy);
            let services: Vec<Workload> = own
                .services()
                .iter()
                .map(|service| Workload {
                    name: format!("service {} behind {}", service.host, proxy.reference()),
                    authorizer: service.authorizer.clone(),
                })
                .collect();
            let own = Workload { name: proxy.reference(), authorizer: own };
            for workload in services.into_iter().chain([own]) {
                if seen.insert((data_plane, *sight, workload.authorizer.policies())) {
                    found.push(workload);
                }
            }
        }
        found
    }

    /// `HZ-AUTHZ-…`: patterns that look tighter than they are.
    fn patterns(&self, policy: &AuthorizationPolicy) -> Vec<Diagnostic> {
        let subject = self.subject(&policy.meta.namespace, &policy.meta.name);
        let patterns = risky_patterns(policy).into_iter().filter_map(|risky| {
            let (code, is_warning, message, help) = words(risky.risk)?;
            let path = |field: &Field| format!(".{}", field.path(risky.entry));
            let field = risky.field.as_ref().map(path).unwrap_or_default();
            let values = risky.field.map(|field| format!("{:?}: ", field.values));
            let message = format!("{}{message}", values.unwrap_or_default());
            let field = format!("spec.rules[{}]{field}", risky.rule);
            Some(if is_warning {
                subject.warning(code, &field, (message, help))
            } else {
                subject.info(code, &field, (message, help))
            })
        });
        patterns.collect()
    }

    /// `HZ-AUTHZ-NEVER-MATCHES`: values that no request has. Ztunnels compare none of those of requests, and
    /// gRPC servers take paths as they come.
    fn dead(&self, policy: &AuthorizationPolicy, carriers: &Carriers) -> Vec<Diagnostic> {
        let subject = self.subject(&policy.meta.namespace, &policy.meta.name);
        // A value that one proxy's requests have is not dead, whichever proxies the policy is for.
        let paths: BTreeSet<PathOptions> = self.kinds.iter().map(|kind| kind.sight.0).collect();
        let of = |environment: &Environment| {
            let mut found = dead_values(policy, environment.sight().paths);
            for paths in &paths {
                let environment = Environment { paths: *paths, ..environment.clone() };
                let others = dead_values(policy, environment.sight().paths);
                found.retain(|dead| others.contains(dead));
            }
            found
        };
        let grpc = carriers.contains(&DataPlane::Grpc).then(|| {
            let compat = Compat { data_plane: DataPlane::Grpc, ..self.environment.compat.clone() };
            of(&Environment { compat, ..self.environment.clone() })
        });
        let is_ztunnels = carriers.len() == 1 && carriers.contains(&DataPlane::Ztunnel);
        let is_grpc = carriers.len() == 1 && grpc.is_some();
        let found = of(&self.environment).into_iter().filter_map(|of| {
            let is_known = grpc.as_ref().is_none_or(|dead| dead.contains(&of));
            let is_connections = ztunnel::compares(&of.field.place);
            if (is_ztunnels && !is_connections) || (is_grpc && !is_known) {
                return None;
            }
            let effect = if of.field.is_negated { "excludes nothing" } else { "never matches" };
            let mut message = format!("{:?} {effect}: {}", of.field.values, of.why.as_str());
            if !is_known {
                message.push_str("; a gRPC server without a proxy compares it as it is");
            }
            if carriers.contains(&DataPlane::Ztunnel) && !is_connections {
                message.push_str("; a ztunnel does not compare it at all");
            }
            let help = "write the value as it is compared";
            Some(subject.warning("HZ-AUTHZ-NEVER-MATCHES", &of.path, (message, help)))
        });
        found.collect()
    }

    /// What carries out each policy, by namespace and name; nothing for one that concerns nobody.
    fn carriers(&self) -> BTreeMap<(&Namespace, &str), Carriers> {
        let mut found: BTreeMap<_, Carriers> = BTreeMap::new();
        for kind in &self.kinds {
            let carried = if kind.proxy.kind == ProxyKind::Waypoint {
                let waypoint = waypoint_workload(self.mesh, self.plane, &kind.proxy);
                let policies = self.plane.authorization_policies.iter().map(AsRef::as_ref);
                policies.filter(|policy| applies(policy, &waypoint, &self.selection)).collect()
            } else {
                kind.policies(self)
            };
            for policy in carried {
                let key = (&policy.meta.namespace, &*policy.meta.name);
                found.entry(key).or_default().insert(kind.data_plane);
            }
        }
        found
    }

    /// `HZ-AUTHZ-NEVER-MATCHES`, `HZ-AUTHZ-NEVER-MATCHES-HTTP`, `HZ-AUTHZ-SEVERAL-NAMES`,
    /// `HZ-AUTHZ-SHADOWED`: rules without an effect on any workload.
    fn useless(&self, workloads: &[Workload]) -> Vec<Diagnostic> {
        let mut uses: BTreeMap<Rule<'_>, usize> = BTreeMap::new();
        let mut found: BTreeMap<(Rule<'_>, &str), Vec<Diagnostic>> = BTreeMap::new();
        for kind in self.kinds.iter().filter(|kind| kind.data_plane == DataPlane::Ztunnel) {
            for policy in kind.policies(self) {
                for rule in 0..policy.spec.rules.len() {
                    let rule = (&policy.meta.namespace, &*policy.meta.name, rule);
                    *uses.entry(rule).or_default() += 1;
                }
                for (rule, of) in self.never_behind_ztunnel(policy) {
                    found.entry((rule, of.code)).or_default().push(of);
                }
            }
        }
        for Workload { authorizer, .. } in workloads {
            for policy in &authorizer.chain(Traffic::Http).compiled {
                for rule in 0..policy.rules.len() {
                    *uses.entry((&policy.namespace, &policy.name, rule)).or_default() += 1;
                }
            }
            for (rule, of) in self.of_workload(authorizer) {
                found.entry((rule, of.code)).or_default().push(of);
            }
        }
        let everywhere =
            found.into_iter().filter(|((rule, _), found)| uses.get(rule) == Some(&found.len()));
        everywhere.filter_map(|(_, found)| found.into_iter().next()).collect()
    }

    /// The rules of a policy that nothing matches where a ztunnel decides: what is proved of Envoy's filters is
    /// not proved of it.
    fn never_behind_ztunnel<'p>(
        &self,
        policy: &'p AuthorizationPolicy,
    ) -> Vec<(Rule<'p>, Diagnostic)> {
        let (namespace, name) = (&policy.meta.namespace, &policy.meta.name);
        let rules = ztunnel::contradictions(policy, &self.selection.root_namespace).into_iter();
        let told = rules.map(|(rule, asked)| {
            let message = format!(
                "no connection can match the rule: what it asks for by `{asked}` is excluded beside it"
            );
            let help = "mend the values, or remove the rule";
            let field = format!("spec.rules[{rule}]");
            let texts = (message, help);
            let told = self.subject(namespace, name).warning("HZ-AUTHZ-NEVER-MATCHES", &field, texts);
            ((namespace, &**name, rule), told)
        });
        told.collect()
    }

    /// The rules of one workload that have no effect on it.
    fn of_workload<'c>(&self, authorizer: &'c Authorizer) -> Vec<(Rule<'c>, Diagnostic)> {
        let rules = useless(authorizer).into_iter();
        let compiled = &authorizer.chain(Traffic::Http).compiled;
        let is_refused = |of: &Useless<'_>| {
            let Idle::Never(Never::Contradiction(field)) = &of.http else { return false };
            let policy = compiled
                .iter()
                .find(|policy| policy.namespace == *of.namespace && *policy.name == *of.name);
            let rule = policy.and_then(|policy| policy.rules.get(of.rule));
            rule.is_some_and(|rule| template::is_refused(rule, field))
        };
        let rules = rules.filter(|of| !is_refused(of));
        let mut found: Vec<_> = rules
            .filter_map(|of| Some(((of.namespace, of.name, of.rule), self.idle(&of)?)))
            .collect();
        let several = needing_several_names(authorizer.chain(Traffic::Http));
        found.extend(several.iter().map(|NeverMatches { policy, rule, why }| {
            let of = (&policy.namespace, &*policy.name, *rule);
            (of, self.several_names(of, why))
        }));
        found
    }

    fn idle(&self, of: &Useless<'_>) -> Option<Diagnostic> {
        let field = format!("spec.rules[{}]", of.rule);
        let subject = self.subject(of.namespace, of.name);
        let mend = "mend the values, or remove the rule";
        match (&of.http, &of.tcp) {
            (Idle::Never(why), Some(Idle::Never(_))) => {
                let message = format!("no request can match the rule: {}", reason(why));
                Some(subject.warning("HZ-AUTHZ-NEVER-MATCHES", &field, (message, mend)))
            }
            (Idle::Never(why), _) => {
                let message = format!(
                    "no HTTP request can match the rule, which counts on TCP only: {}",
                    reason(why)
                );
                Some(subject.warning("HZ-AUTHZ-NEVER-MATCHES-HTTP", &field, (message, mend)))
            }
            (Idle::Shadowed(by), Some(tcp)) => {
                let rule =
                    |by: &Origin| format!("rule {} of {by} ({})", by.rule, by.action.as_str());
                let other = match tcp {
                    Idle::Shadowed(other) if other != by => {
                        format!(" of HTTP, and {} of TCP", rule(other))
                    }
                    Idle::Shadowed(_) | Idle::Never(_) => String::new(),
                };
                let message = format!(
                    "the rule changes no decision: {} matches whatever it matches{other}",
                    rule(by)
                );
                let help = "remove the rule, or narrow the other one";
                Some(subject.info("HZ-AUTHZ-SHADOWED", &field, (message, help)))
            }
            (Idle::Shadowed(_), None) => None,
        }
    }

    fn several_names(&self, of: Rule<'_>, why: &Never<'_>) -> Diagnostic {
        let (namespace, name, rule) = of;
        let message = format!(
            "only a peer with several names in its certificate can match the rule, and workloads have \
             one: {}",
            reason(why)
        );
        let help = "name the peers in one field, or use two entries of `from`";
        let field = format!("spec.rules[{rule}]");
        self.subject(namespace, name).warning("HZ-AUTHZ-SEVERAL-NAMES", &field, (message, help))
    }

    /// `HZ-AUTHZ-ALLOWS-NOTHING`: ALLOW policies have rules, and none of them can match. A policy without
    /// rules says so itself; of one that no proxy takes `HZ-AUTHZ-PATH-REFUSED` does.
    fn empty(&self, workload: &Workload) -> Option<Diagnostic> {
        let authorizer = &workload.authorizer;
        let is_closed = [Traffic::Http, Traffic::Tcp]
            .into_iter()
            .all(|traffic| allows_nothing(authorizer.chain(traffic)));
        if !is_closed && !authorizer.l4().is_some_and(L4::allows_nothing) {
            return None;
        }
        let rules = authorizer.chain(Traffic::Http).compiled.iter().flat_map(|of| &of.rules);
        if rules.flat_map(|rule| &rule.omissions).any(template::refuses_listener) {
            return None;
        }
        let policies = self.plane.authorization_policies.iter();
        let names = authorizer.policies();
        let allow = policies.filter(|policy| {
            policy.spec.action == Action::Allow
                && !is_dry_run(policy)
                && !policy.spec.rules.is_empty()
        });
        let with_rules: BTreeSet<_> =
            allow.map(|policy| (&policy.meta.namespace, &*policy.meta.name)).collect();
        let (namespace, name) =
            names.iter().find(|(namespace, name)| with_rules.contains(&(namespace, &**name)))?;
        let message = format!(
            "no rule of the ALLOW policies of {} can match: all requests to it are denied",
            workload.name
        );
        let help = "mend a rule, or say so by a policy without rules";
        let subject = self.subject(namespace, name);
        Some(subject.warning("HZ-AUTHZ-ALLOWS-NOTHING", "spec.rules", (message, help)))
    }

    /// `HZ-AUTHZ-WIDENED`: a broader policy lets through what another one keeps out. The first request
    /// that shows it is told for each pair of policies.
    fn widened(&self, authorizer: &Authorizer) -> Vec<Diagnostic> {
        if count(authorizer.chain(Traffic::Http)) > MOST_RULES {
            return Vec::new();
        }
        let mut seen = BTreeSet::new();
        let of = |rule: &Origin| (rule.namespace.clone(), rule.name.clone());
        let config = &self.plane.config;
        let aliases = config.trust_domain_aliases.iter().map(AsRef::as_ref);
        let trust_domains: Vec<&str> = [&*config.trust_domain].into_iter().chain(aliases).collect();
        widenings(authorizer, Traffic::Http, &trust_domains)
            .into_iter()
            .filter(|found| seen.insert((of(found.narrow), of(found.broad))))
            .map(|found| {
                let (narrow, broad) = (found.narrow, found.broad);
                let message = format!(
                    "{} passes by rule {} of {broad}, which this rule would not let through",
                    found.request, broad.rule
                );
                let help = "ALLOW policies add up: narrow the other one, or deny by a DENY policy";
                let field = format!("spec.rules[{}]", narrow.rule);
                let subject = self.subject(&narrow.namespace, &narrow.name);
                subject.info("HZ-AUTHZ-WIDENED", &field, (message, help))
            })
            .collect()
    }
}

impl Plane<'_> {
    /// `HZ-AUTHZ-GRPC-NAMES`: policies whose namespaces and names join to one text, of which a gRPC server
    /// without a proxy has the rules of the later only. For workloads that have a proxy it is a note.
    fn replaced(&self) -> Vec<Diagnostic> {
        let mut names = BTreeSet::new();
        let policies = self.plane.authorization_policies.iter();
        let mut joined =
            policies.map(|policy| format!("{}-{}", policy.meta.namespace, policy.meta.name));
        if joined.all(|name| names.insert(name)) {
            return Vec::new();
        }
        let (servers, proxies): (Vec<&Kind>, Vec<&Kind>) =
            self.kinds.iter().partition(|kind| kind.data_plane == DataPlane::Grpc);
        let mut seen = BTreeSet::new();
        let mut found = Vec::new();
        // gRPC servers come first, so that what is lost there is not told as a note.
        for Kind { proxy, data_plane, .. } in servers.into_iter().chain(proxies) {
            let chain = Chain::of_grpc_server(self.mesh, self.plane, proxy);
            for one in replaced(&chain) {
                let rule = (one.rule.clone(), one.by.clone());
                if seen.insert(rule) {
                    found.push(self.lost(one, proxy, *data_plane != DataPlane::Grpc));
                }
            }
        }
        found
    }

    fn lost(&self, one: Replaced<'_>, proxy: &Proxy, has_proxy: bool) -> Diagnostic {
        let Replaced { rule, by } = one;
        let (action, name) = (rule.action.as_str(), proxy.reference());
        let message = if has_proxy {
            format!(
                "a gRPC server without a proxy would not have this {action} rule: it shares the name \
                 `{}-{}-{}` with rule {} of {by}, which counts ({name} has both policies)",
                rule.namespace, rule.name, rule.rule, by.rule
            )
        } else {
            format!(
                "the {action} rule is lost on the gRPC server {name}: it shares the name `{}-{}-{}` with \
                 rule {} of {by}, which counts",
                rule.namespace, rule.name, rule.rule, by.rule
            )
        };
        let help = "rename one of the policies";
        let field = format!("spec.rules[{}]", rule.rule);
        let subject = self.subject(&rule.namespace, &rule.name);
        let code = "HZ-AUTHZ-GRPC-NAMES";
        match (has_proxy, rule.action) {
            (true, _) => subject.info(code, &field, (message, help)),
            (false, Action::Deny) => subject.error(code, &field, (message, help)),
            (false, _) => subject.warning(code, &field, (message, help)),
        }
    }
}

/// Why nothing matches a rule.
fn reason(why: &Never<'_>) -> String {
    match why {
        Never::LeftOut(omissions) => {
            let omissions: Vec<String> = omissions.iter().map(ToString::to_string).collect();
            omissions.join("; ")
        }
        Never::Contradiction(field) => {
            format!("what {field} asks for ({:?}) is excluded beside it", field.values)
        }
    }
}

/// Some workloads, by name.
fn names(workloads: &[String]) -> String {
    const SHOWN: usize = 3;
    let shown: Vec<&str> = workloads.iter().take(SHOWN).map(String::as_str).collect();
    match workloads.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

fn count(chain: &Chain) -> usize {
    chain.compiled.iter().map(|policy| policy.rules.len()).sum()
}

/// Code, whether it is a warning, what will happen and what to do; `None` where admission warns already.
const fn words(risk: Risk) -> Option<(&'static str, bool, &'static str, &'static str)> {
    Some(match risk {
        Risk::HostWithoutPort => (
            "HZ-AUTHZ-HOST-PORT",
            false,
            "a request that names the port as well is another host",
            "add the host with `:*`",
        ),
        Risk::PositiveMatchWithDeny => (
            "HZ-AUTHZ-DENY-LISTS",
            false,
            "what is not listed, or written in another way, is not denied",
            "deny all but what is meant, with the field's `not` form",
        ),
        Risk::NegativeMatchWithAllow => (
            "HZ-AUTHZ-ALLOW-EXCEPT",
            false,
            "whatever was not thought of is allowed, a missing value too",
            "allow what is meant, or use the list in a DENY policy",
        ),
        Risk::SplitRule => (
            "HZ-AUTHZ-SPLIT-RULE",
            true,
            "this rule and the one before say different parts of who, what and when, and match each by itself",
            "if they are meant together make them one rule: a dash too many splits it",
        ),
        Risk::UnescapedSuffix => (
            "HZ-AUTHZ-SUFFIX",
            true,
            "longer names that end so match too",
            "begin the suffix at a separator, as in `*.example.com`",
        ),
        Risk::PathWithoutSlash => (
            "HZ-AUTHZ-PATH-PREFIX",
            false,
            "longer words that begin so match too",
            "use the path itself and the path with `/*`",
        ),
        Risk::InnerStar => (
            "HZ-AUTHZ-INNER-STAR",
            true,
            "a `*` stands for any text at the start or at the end of a value, and for nothing but itself elsewhere",
            "write `{*}` for a segment of a path, else list what is meant",
        ),
        Risk::HeaderOfOneText => (
            "HZ-AUTHZ-HEADER-LINES",
            true,
            "a second line of this header is appended to the first, and what is denied then is not",
            "deny all but what is meant with `notValues`, or use another header",
        ),
        Risk::DenyWithoutPorts => return None,
    })
}
