//! A rule that is called useless can go, whatever data plane decides, and what is said never to match
//! never does.
use mesh_authz::analysis::{allows_nothing, never_matching, samples, useless};
use mesh_authz::{Authorizer, Environment, Policies, Traffic};
use mesh_model::compat::DataPlane;
use mesh_model::resource::{Action, AuthorizationPolicy, Rule, Source};
use mesh_testkit::oracle::authz as oracle;
use mesh_testkit::strategy::authz::{policies as random, request};
use proptest::prelude::*;

#[path = "law/decision.rs"]
#[expect(dead_code, reason = "other tests use the rest of it")]
mod decision;

/// How many sets of policies each law is tried on: more where it costs less.
const CASES: u32 = if cfg!(debug_assertions) { 15 } else { 1_000 };

/// What decides of the same policies in another data plane.
fn authorizer(policies: &[AuthorizationPolicy], data_plane: DataPlane) -> Authorizer {
    let mut environment: Environment = decision::environment();
    environment.compat.data_plane = data_plane;
    let policies = Policies { understood: policies.iter().collect(), broken: Vec::new() };
    Authorizer::new(&policies, &decision::workload(), &environment)
}

/// The policies without a rule.
fn without(policies: &[AuthorizationPolicy], name: &str, rule: usize) -> Vec<AuthorizationPolicy> {
    let mut less = policies.to_vec();
    for policy in less.iter_mut().filter(|policy| *policy.meta.name == *name) {
        policy.spec.rules.remove(rule);
    }
    less
}

/// A policy of one rule about the caller.
fn policy(action: Action, name: &str, source: Source) -> AuthorizationPolicy {
    let mut policy = AuthorizationPolicy::default();
    policy.meta.name = name.into();
    policy.meta.namespace = "a".into();
    policy.spec.action = action;
    let from = vec![mesh_model::resource::From { source: Some(source) }];
    policy.spec.rules = vec![Rule { from, ..Rule::default() }];
    policy
}

fn list(values: &[&str]) -> Vec<Box<str>> {
    values.iter().copied().map(Box::from).collect()
}

#[test]
fn a_name_with_a_line_break_passes_what_a_pattern_seems_to_exclude() {
    let of = |source| [policy(Action::Deny, "p", source)];
    let anyone = of(Source {
        principals: list(&["td/*"]),
        not_principals: list(&["*"]),
        ..Source::default()
    });
    let domain = of(Source {
        trust_domains: list(&["td"]),
        not_principals: list(&["*"]),
        ..Source::default()
    });
    let part = of(Source {
        trust_domains: list(&["t*d"]),
        not_principals: list(&["*"]),
        ..Source::default()
    });
    for (policies, name) in [
        (anyone, "spiffe://td/ns/a/sa/b\n"),
        (domain, "spiffe://td/ns/a/sa/b\n"),
        (part, "spiffe://t\nd/ns/a/sa/b"),
    ] {
        for data_plane in [DataPlane::Envoy, DataPlane::Grpc] {
            let authorizer = authorizer(&policies, data_plane);
            assert_eq!(never_matching(authorizer.chain(Traffic::Http)), []);
            let mut peer = mesh_authz::analysis::Sample::plain(Traffic::Http);
            peer.identity = Some(name.into());
            assert!(!peer.with(|request| authorizer.decide(request).is_allowed()), "{name:?}");
        }
    }
}

#[test]
fn what_stands_for_the_trust_domain_elsewhere_excludes_nothing_on_a_grpc_server() {
    let policies = [policy(
        Action::Deny,
        "p",
        Source {
            principals: list(&["td/ns/a/sa/b"]),
            not_principals: list(&["td2/ns/a/sa/b"]),
            ..Source::default()
        },
    )];
    let never =
        |data_plane| never_matching(authorizer(&policies, data_plane).chain(Traffic::Http)).len();
    assert_eq!([never(DataPlane::Envoy), never(DataPlane::Grpc)], [1, 0]);
}

#[test]
fn the_only_allow_rule_of_a_grpc_server_keeps_it_closed_though_nothing_matches_it() {
    let never = Source {
        principals: list(&["td/ns/a/sa/b"]),
        not_principals: list(&["td/ns/a/sa/b"]),
        ..Source::default()
    };
    let policies = [policy(Action::Allow, "p", never)];
    let grpc = authorizer(&policies, DataPlane::Grpc);
    assert_eq!(useless(&grpc), []);
    assert!(allows_nothing(grpc.chain(Traffic::Http)));
    assert_eq!(useless(&authorizer(&policies, DataPlane::Envoy)).len(), 1);
    // Without any rule a gRPC server has no filter that denies.
    let empty = without(&policies, "p", 0);
    assert!(!allows_nothing(authorizer(&empty, DataPlane::Grpc).chain(Traffic::Http)));
    assert!(allows_nothing(authorizer(&empty, DataPlane::Envoy).chain(Traffic::Http)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    /// No request notices that a useless rule is gone, HTTP or not, whatever names the caller's certificate
    /// has: the specification typed out says so.
    #[test]
    fn a_useless_rule_can_go(
        policies in random(5),
        requests in prop::collection::vec(request(), 15),
    ) {
        let full = decision::authorizer(&policies);
        let trust_domains = decision::TRUST_DOMAINS.map(str::to_owned);
        for of in useless(&full) {
            let less = without(&policies, of.name, of.rule);
            for request in requests.iter().filter(|request| request.is_http || of.tcp.is_some()) {
                let [a, b] = [&policies, &less].map(|policies| {
                    oracle::decide(policies, &trust_domains, request).0
                });
                prop_assert_eq!(a, b, "{:?} without {}[{}]", request, of.name, of.rule);
            }
        }
    }

    /// The same of every data plane, as it decides itself: an Envoy, a gRPC server and a ztunnel, about
    /// which nothing is claimed.
    #[test]
    fn a_useless_rule_can_go_on_every_data_plane(
        policies in random(5),
        requests in prop::collection::vec(request(), 15),
    ) {
        for data_plane in [DataPlane::Envoy, DataPlane::Grpc, DataPlane::Ztunnel] {
            let full = authorizer(&policies, data_plane);
            let found = useless(&full);
            let tried = [Traffic::Http, Traffic::Tcp].into_iter().filter(|_| !found.is_empty());
            let samples: Vec<_> = tried.map(|traffic| (traffic, samples(&full, traffic))).collect();
            for of in found {
                let less = authorizer(&without(&policies, of.name, of.rule), data_plane);
                for request in requests.iter().filter(|request| request.is_http || of.tcp.is_some()) {
                    let (a, b) = decision::with(request, |request| {
                        (full.decide(request).is_allowed(), less.decide(request).is_allowed())
                    });
                    prop_assert_eq!(a, b, "{:?} without {}[{}]", request, of.name, of.rule);
                }
                for (traffic, samples) in &samples {
                    let is_meant = *traffic == Traffic::Http || of.tcp.is_some();
                    for sample in samples.iter().filter(|_| is_meant) {
                        let (a, b) = sample.with(|request| {
                            (full.decide(request).is_allowed(), less.decide(request).is_allowed())
                        });
                        prop_assert_eq!(a, b, "{} without {}[{}]", sample, of.name, of.rule);
                    }
                }
            }
        }
    }

    /// What is said to match nothing is matched by no request, and what allows nothing allows none.
    #[test]
    fn what_never_matches_decides_nothing(
        policies in random(4),
        requests in prop::collection::vec(request(), 15),
    ) {
        for data_plane in [DataPlane::Envoy, DataPlane::Grpc] {
            let authorizer = authorizer(&policies, data_plane);
            for request in &requests {
                let traffic = if request.is_http { Traffic::Http } else { Traffic::Tcp };
                let chain = authorizer.chain(traffic);
                let decision = decision::with(request, |request| authorizer.decide(request));
                prop_assert!(!(allows_nothing(chain) && decision.is_allowed()), "{:?}", request);
                let rule = decision.reason().rule();
                let is_never = never_matching(chain).iter().any(|never| {
                    rule.is_some_and(|rule| {
                        *rule.name == *never.policy.name && rule.rule == never.rule
                    })
                });
                prop_assert!(!is_never, "{:?} {:?}", rule, request);
            }
        }
    }
}
