//! A changed value changes what some request is answered: such a request is found.
#![expect(clippy::indexing_slicing, clippy::panic, reason = "helpers of tests may fail like tests")]
use std::collections::BTreeSet;
use std::sync::Arc;

use mesh_authz::analysis::diff;
use mesh_authz::compile::ProviderKind;
use mesh_authz::identity::TrustBundle;
use mesh_authz::matcher::{PathNormalization, PathOptions};
use mesh_authz::{Authorizer, Environment, Policies, Workload};
use mesh_model::manifest::{Limits, read};
use mesh_model::name::{Namespace, TrustDomain};
use mesh_model::resource::{self, AuthorizationPolicy, Provider, Resource};
use mesh_testkit::oracle::authz as oracle;
use mesh_testkit::strategy::authz::{mutated, policies, request};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};

#[path = "law/decision.rs"]
#[expect(dead_code, reason = "other tests use the rest of it")]
mod decision;

/// A policy of rules in YAML's flow style.
fn policy(action: &str, rules: &str) -> AuthorizationPolicy {
    let yaml = format!(
        "{{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {{name: p, \
         namespace: a}}, spec: {{action: {action}, rules: {rules}}}}}"
    );
    let reading = read("test", yaml.as_bytes(), &Limits::default());
    let decoded = resource::decode(&reading.documents[0].node, &Arc::from("test"), "a");
    let Some(Resource::AuthorizationPolicy(policy)) = decoded.resource else { panic!("{yaml}") };
    policy
}

fn authorizer(policies: &[AuthorizationPolicy], environment: &Environment) -> Authorizer {
    let workload = Workload { namespace: Namespace::from("a"), ..Workload::default() };
    let policies = Policies { understood: policies.iter().collect(), broken: Vec::new() };
    Authorizer::new(&policies, &workload, environment)
}

/// A rule with a list in the place of `#`, of which either value goes or comes without the decisions of
/// all requests that are tried staying the same, be it listed or excluded.
fn check(rule: &str, values: [&str; 2]) {
    let of = |action: &str, values: &str| {
        let rules = format!("[{}]", rule.replace('#', values));
        authorizer(&[policy(action, &rules)], &Environment::default())
    };
    let [first, second] = values;
    for action in ["ALLOW", "DENY"] {
        let both = of(action, &format!("['{first}', '{second}']"));
        for one in values {
            let one = of(action, &format!("['{one}']"));
            assert_ne!(diff(&both, &one), [], "{action} {rule} {values:?}");
            assert_ne!(diff(&one, &both), [], "{action} {rule} {values:?}");
        }
    }
}

#[test]
fn every_value_of_every_list_counts() {
    let in_source = [
        ("principals", ["td/ns/a/sa/b", "*/ns/c/*"]),
        ("requestPrincipals", ["issuer/subject", "other/*"]),
        ("namespaces", ["b", "c*"]),
        ("serviceAccounts", ["b", "c/d"]),
        ("trustDomains", ["td", "u*"]),
        ("ipBlocks", ["10.0.0.0/8", "2001:db8::1"]),
        ("remoteIpBlocks", ["10.0.0.0/8", "11.0.0.0/8"]),
    ];
    let in_operation = [
        ("hosts", ["a.com", "*.b.com"]),
        ("ports", ["80", "8443"]),
        ("methods", ["GET", "PUT"]),
        ("paths", ["/a", "/b*"]),
        ("paths", ["/a/{*}", "/b/{**}"]),
    ];
    let both = |name: &str| {
        let (first, rest) = name.split_at(1);
        [name.to_owned(), format!("not{}{rest}", first.to_uppercase())]
    };
    for (list, values) in in_source {
        for list in both(list) {
            check(&format!("{{from: [{{source: {{{list}: #}}}}]}}"), values);
        }
    }
    for (list, values) in in_operation {
        for list in both(list) {
            check(&format!("{{to: [{{operation: {{{list}: #}}}}]}}"), values);
        }
    }
}

#[test]
fn every_value_of_every_condition_counts() {
    let conditions = [
        ("source.ip", ["10.0.0.0/8", "192.168.0.1"]),
        ("remote.ip", ["10.0.0.0/8", "192.168.0.1"]),
        ("destination.ip", ["10.0.0.0/9", "10.128.0.0/9"]),
        ("destination.port", ["80", "8443"]),
        ("source.principal", ["td/ns/a/sa/b", "td/ns/a/sa/c"]),
        ("source.namespace", ["b", "*c"]),
        ("source.serviceAccount", ["b", "c/d"]),
        ("connection.sni", ["a.com", "*.b.com"]),
        ("request.headers[x-a]", ["v", "w*"]),
        ("request.headers[host]", ["a.com", "b.com"]),
        ("request.headers[:path]", ["/a?b", "/c"]),
        ("request.auth.principal", ["issuer/subject", "*other"]),
        ("request.auth.audiences", ["v", "w"]),
        ("request.auth.claims[a][b]", ["v", "w*"]),
        ("experimental.envoy.filters.x[k]", ["v", "[w]"]),
    ];
    for (key, values) in conditions {
        for list in ["values", "notValues"] {
            check(&format!("{{when: [{{key: '{key}', {list}: #}}]}}"), values);
        }
    }
}

/// Whether a change of the mesh's settings is noticed by a policy.
fn check_settings(rule: &str, old: &Environment, new: &Environment) {
    for action in ["ALLOW", "DENY"] {
        let policies = [policy(action, &format!("[{rule}]"))];
        let (old, new) = (authorizer(&policies, old), authorizer(&policies, new));
        assert_ne!(diff(&old, &new), [], "{action} {rule}");
        assert_ne!(diff(&new, &old), [], "{action} {rule}");
    }
}

#[test]
fn every_step_of_normalization_counts() {
    use PathNormalization::{Base, DecodeAndMergeSlashes, MergeSlashes, None};
    let of = |normalization| Environment {
        paths: PathOptions { normalization, ..PathOptions::default() },
        ..Environment::default()
    };
    for paths in
        ["paths: [/admin]", "paths: ['/admin/*']", "paths: ['*b/x']", "notPaths: ['/a/{**}']"]
    {
        let rule = format!("{{to: [{{operation: {{{paths}}}}}]}}");
        for [old, new] in
            [[None, Base], [Base, MergeSlashes], [MergeSlashes, DecodeAndMergeSlashes]]
        {
            check_settings(&rule, &of(old), &of(new));
        }
    }
}

#[test]
fn every_alias_of_the_trust_domain_counts() {
    let of = |domains: &[&str]| Environment {
        trust: TrustBundle {
            trust_domains: domains.iter().copied().map(TrustDomain::from).collect(),
        },
        ..Environment::default()
    };
    for source in
        ["principals: [td/ns/a/sa/b]", "notPrincipals: [td/ns/a/sa/b]", "trustDomains: [td]"]
    {
        let rule = format!("{{from: [{{source: {{{source}}}}}]}}");
        check_settings(&rule, &of(&["td", "one", "two"]), &of(&["td", "one"]));
        check_settings(&rule, &of(&["td", "one", "two"]), &of(&["td", "two"]));
        check_settings(&rule, &of(&["td", "one"]), &of(&["td"]));
    }
}

#[test]
fn a_value_that_other_rules_hide_from_most_requests_counts() {
    let of = |rules: [(&str, &str); 2]| {
        let policies = rules.map(|(action, rule)| policy(action, &format!("[{rule}]")));
        let [mut first, second] = policies;
        first.meta.name = "q".into();
        authorizer(&[first, second], &Environment::default())
    };
    let with = |methods: &str| format!("{{to: [{{operation: {{methods: {methods}}}}}]}}");
    // Plain text is denied, as is whatever asks for another port.
    let known = ("DENY", "{from: [{source: {notPrincipals: ['*']}}]}");
    let port = ("DENY", "{to: [{operation: {notPorts: ['8443']}}]}");
    let allowed =
        ("ALLOW", "{from: [{source: {namespaces: [b]}}], to: [{operation: {ports: ['8443']}}]}");
    for (beside, action) in [(known, "ALLOW"), (port, "ALLOW"), (allowed, "DENY"), (port, "DENY")] {
        let old = of([beside, (action, &with("[GET, PUT]"))]);
        let new = of([beside, (action, &with("[GET]"))]);
        assert_ne!(diff(&old, &new), [], "{beside:?} {action}");
    }
}

/// Whether a difference between two sets of rules is told, in either direction.
fn check_rules(action: &str, old: &str, new: &str) {
    let [old, new] =
        [old, new].map(|rules| authorizer(&[policy(action, rules)], &Environment::default()));
    assert_ne!(diff(&old, &new), [], "{action}");
    assert_ne!(diff(&new, &old), [], "{action}");
}

#[test]
fn a_combination_that_is_lost_counts() {
    let from = ["{source: {namespaces: [a]}}", "{source: {ipBlocks: [10.0.0.0/8]}}"];
    let to = ["{operation: {paths: [/a]}}", "{operation: {methods: [PUT]}}"];
    let rule = |from: &str, to: &str| format!("{{from: [{from}], to: [{to}]}}");
    let all = format!("[{}]", rule(&from.join(", "), &to.join(", ")));
    for lost in 0..4 {
        let pairs = (0..4).filter(|pair| *pair != lost);
        let kept: Vec<String> = pairs.map(|pair| rule(from[pair % 2], to[pair / 2])).collect();
        for action in ["ALLOW", "DENY"] {
            check_rules(action, &all, &format!("[{}]", kept.join(", ")));
        }
    }
}

#[test]
fn a_combination_of_values_that_is_lost_counts() {
    let rule = |namespaces: &str, methods: &str, paths: &str, ports: &str| {
        format!(
            "{{from: [{{source: {{namespaces: [{namespaces}]}}}}], to: [{{operation: {{methods: \
             [{methods}], paths: [{paths}], ports: [{ports}]}}}}]}}"
        )
    };
    let all = rule("a, b", "GET, PUT", "/a, /b", "'1', '2'");
    let kept = [
        rule("a", "GET, PUT", "/a, /b", "'1', '2'"),
        rule("b", "GET", "/a, /b", "'1', '2'"),
        rule("b", "PUT", "/a", "'1', '2'"),
        rule("b", "PUT", "/b", "'1'"),
    ];
    for action in ["ALLOW", "DENY"] {
        check_rules(action, &format!("[{all}]"), &format!("[{}]", kept.join(", ")));
    }
}

#[test]
fn a_template_and_a_prefix_differ() {
    let rule = |path: &str| format!("[{{to: [{{operation: {{paths: ['{path}']}}}}]}}]");
    for [one, other] in
        [["/a/*", "/a/{**}"], ["/a/*", "/a/{*}"], ["/a/{*}", "/a/{**}"], ["/{*}", "*"]]
    {
        for action in ["ALLOW", "DENY"] {
            check_rules(action, &rule(one), &rule(other));
        }
    }
}

#[test]
fn a_policy_that_allows_nothing_closes_the_workload_whatever_is_denied_beside_it() {
    let deny = "[{from: [{source: {notPrincipals: ['*']}}]}, {to: [{operation: {notPorts: ['8443'], notMethods: [PUT]}}]}]";
    let deny = policy("DENY", deny);
    let mut allow = policy("ALLOW", "[]");
    allow.meta.name = "q".into();
    let old = authorizer(std::slice::from_ref(&deny), &Environment::default());
    let new = authorizer(&[deny, allow], &Environment::default());
    assert_ne!(diff(&old, &new), []);
    assert_ne!(diff(&new, &old), []);
}

#[test]
fn what_an_external_authorizer_is_no_longer_asked_counts() {
    let custom = |provider: &str| {
        let mut policy = policy("CUSTOM", "[{to: [{operation: {paths: [/a], ports: ['80']}}]}]");
        policy.spec.provider = Some(Provider { name: provider.into() });
        policy
    };
    let environment = Environment {
        providers: ["g", "h"].map(|name| (name.into(), ProviderKind::Grpc)).into(),
        ..Environment::default()
    };
    let of = |policies: &[AuthorizationPolicy]| authorizer(policies, &environment);
    let found = |old: &Authorizer, new: &Authorizer| {
        let found = diff(old, new).into_iter();
        let told = found.map(|of| (of.if_denied_by.map(String::from), of.new.is_allowed()));
        told.collect::<BTreeSet<_>>()
    };
    let by = |name: &str, is_allowed| (Some(name.to_owned()), is_allowed);
    assert_eq!(found(&of(&[custom("g")]), &of(&[])), [by("g", true)].into());
    assert_eq!(found(&of(&[]), &of(&[custom("g")])), [by("g", false)].into());
    let other = [by("g", true), by("h", false)].into();
    assert_eq!(found(&of(&[custom("g")]), &of(&[custom("h")])), other);
    // A provider that cannot be used denies.
    assert_eq!(found(&of(&[custom("g")]), &of(&[custom("none")])), [(None, false)].into());
}

/// Pairs of policy sets that are compared: more where it costs less.
const PAIRS: usize = if cfg!(debug_assertions) { 80 } else { 1_000 };
/// Requests that each pair is asked by the specification typed out.
const REQUESTS: usize = 30;

/// Whether the decision of a request changes. A certificate with three names may have one for each of
/// three fields: samples have two.
fn is_changed(sets: [&[AuthorizationPolicy]; 2], request: &oracle::Request) -> bool {
    let trust_domains = decision::TRUST_DOMAINS.map(str::to_owned);
    let [old, new] = sets.map(|policies| oracle::decide(policies, &trust_domains, request).0);
    old != new && request.peer.as_ref().is_none_or(|names| names.len() < 3)
}

/// One value is added, taken away or replaced in policies of any shape: whenever the specification typed
/// out answers some request differently, a difference is told.
#[test]
fn a_changed_value_that_some_request_notices_is_told() {
    let seed: &[u8; 32] = b"one value differs, who notices? ";
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, seed);
    let mut runner = TestRunner::new_with_rng(ProptestConfig::default(), rng);
    let draw = "strategies over words draw whatever is asked of them";
    for pair in 0..PAIRS {
        let sets = policies(4).prop_flat_map(mutated);
        let (old, new) = sets.new_tree(&mut runner).expect(draw).current();
        let requests = prop::collection::vec(request(), REQUESTS);
        let requests = requests.new_tree(&mut runner).expect(draw).current();
        let noticed = requests.iter().find(|request| is_changed([&old, &new], request));
        let Some(request) = noticed else { continue };
        let (was, is) = (decision::authorizer(&old), decision::authorizer(&new));
        assert_ne!(diff(&was, &is), [], "pair {pair}: {request:?} {old:#?} {new:#?}");
    }
}
