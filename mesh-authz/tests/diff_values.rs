//! Values that only several patterns together tell apart: where a change is noticed by them alone, it is told.
#![expect(clippy::indexing_slicing, clippy::panic, reason = "helpers of tests may fail like tests")]
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use mesh_authz::analysis::{
    Difference, Sample, Surroundings, diff, samples_between, samples_between_in,
};
use mesh_authz::identity::IdentitySource;
use mesh_authz::{Authorizer, Environment, Policies, Traffic, Workload};
use mesh_model::manifest::{Limits, read};
use mesh_model::name::Namespace;
use mesh_model::resource::{self, AuthorizationPolicy, Resource};

/// Policies, one a line: `ACTION RULE`, the rule in YAML's flow style.
fn policies(text: &str) -> Vec<AuthorizationPolicy> {
    let policy = |(place, line): (usize, &str)| {
        let (action, rule) = line.trim().split_once(' ').unwrap_or_default();
        let yaml = format!(
            "{{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {{name: p{place}, \
             namespace: a}}, spec: {{action: {action}, rules: [{rule}]}}}}"
        );
        let reading = read("test", yaml.as_bytes(), &Limits::default());
        let decoded = resource::decode(&reading.documents[0].node, &Arc::from("test"), "a");
        let Some(Resource::AuthorizationPolicy(policy)) = decoded.resource else {
            panic!("{yaml}")
        };
        policy
    };
    text.lines().filter(|line| !line.trim().is_empty()).enumerate().map(policy).collect()
}

fn authorizer_in(text: &str, environment: &Environment) -> Authorizer {
    let workload = Workload { namespace: Namespace::from("a"), ..Workload::default() };
    let policies = policies(text);
    let policies = Policies { understood: policies.iter().collect(), broken: Vec::new() };
    Authorizer::new(&policies, &workload, environment)
}

fn is_told(found: &[Difference<'_, '_>], is_allowed: bool) -> bool {
    found.iter().any(|of| of.new.is_allowed() == is_allowed && of.old.is_allowed() != is_allowed)
}

/// Whether a request is told that only the old policies deny, and the way back one that only the new ones do.
#[track_caller]
fn check_opens(old: &str, new: &str) {
    check_opens_in(old, new, &Environment::default());
}

#[track_caller]
fn check_opens_in(old: &str, new: &str, environment: &Environment) {
    let (one, other) = (authorizer_in(old, environment), authorizer_in(new, environment));
    assert!(is_told(&diff(&one, &other), true), "{old} => {new}");
    assert!(is_told(&diff(&other, &one), false), "{new} => {old}");
}

/// What an ALLOW rule and a DENY rule both mean is open once the latter is gone.
#[track_caller]
fn check_overlap(field: impl Fn(&str) -> String, allowed: &str, denied: &str) {
    let (allowed, denied) = (field(allowed), field(denied));
    check_opens(&format!("ALLOW {allowed}\nDENY {denied}"), &format!("ALLOW {allowed}"));
    // What one means and the other does not.
    check_opens(&format!("ALLOW {denied}"), &format!("ALLOW {allowed}\nALLOW {denied}"));
}

fn operation(list: &'static str) -> impl Fn(&str) -> String {
    move |value| format!("{{to: [{{operation: {{{list}: ['{value}']}}}}]}}")
}

fn source(list: &'static str) -> impl Fn(&str) -> String {
    move |value| format!("{{from: [{{source: {{{list}: ['{value}']}}}}]}}")
}

fn when(key: &'static str) -> impl Fn(&str) -> String {
    move |value| format!("{{when: [{{key: '{key}', values: ['{value}']}}]}}")
}

#[test]
fn a_start_and_an_end_meet_wherever_texts_are_compared() {
    let ends = [("ab*", "*ba"), ("ab*", "*b/c"), ("a*", "*a"), ("*b", "*ab")];
    for (allowed, denied) in ends {
        check_overlap(operation("hosts"), allowed, denied);
        check_overlap(operation("methods"), allowed, denied);
        check_overlap(when("connection.sni"), allowed, denied);
        for key in ["request.headers[x-a]", "request.headers[user-agent]", "request.headers[:path]"]
        {
            let rooted = |value: &str| match value.strip_prefix('*') {
                Some(_) => value.to_owned(),
                None => format!("/{value}"),
            };
            if key.ends_with(":path]") {
                check_overlap(when(key), &rooted(allowed), &rooted(denied));
            } else {
                check_overlap(when(key), allowed, denied);
            }
        }
        check_overlap(when("request.auth.claims[c]"), allowed, denied);
        check_overlap(when("request.auth.audiences"), allowed, denied);
        check_overlap(when("experimental.envoy.filters.f[k]"), allowed, denied);
        check_overlap(
            when("experimental.envoy.filters.f[k]"),
            &format!("[{allowed}]"),
            &format!("[{denied}]"),
        );
    }
}

#[test]
fn a_start_an_end_and_a_template_meet_in_a_path() {
    let paths = [
        ("/api/*", "*/admin"),
        ("/ab*", "*b/c"),
        ("/a/{*}/c", "/{**}/b/c"),
        ("/a/{**}", "*/b/c"),
        ("/a/{*}", "*.txt"),
        ("/a/{**}/z", "/a/b*"),
        ("/{*}/b", "/a/{*}"),
        ("*", "/a*"),
        ("/x*", "/xyz*"),
        ("/{**}", "*x"),
    ];
    for (allowed, denied) in paths {
        check_overlap(operation("paths"), allowed, denied);
    }
}

#[test]
fn ranges_and_ports_meet() {
    for list in ["ipBlocks", "remoteIpBlocks"] {
        check_overlap(source(list), "10.0.0.0/8", "10.1.0.0/16");
        check_overlap(source(list), "0.0.0.0/0", "192.0.2.0/24");
        check_overlap(source(list), "2001:db8::/32", "2001:db8:1::/48");
    }
    check_overlap(when("destination.ip"), "10.0.0.0/8", "10.1.0.0/16");
    let not = |ports: &str| format!("{{to: [{{operation: {{notPorts: [{ports}]}}}}]}}");
    let most: Vec<String> = (0..90).map(|port| format!("'{port}'")).collect();
    check_opens(&format!("DENY {}", not(&most.join(", "))), "");
}

#[test]
fn names_of_peers_meet() {
    for (allowed, denied) in
        [("td/ns/ab*", "*b/sa/x"), ("td/*", "*/sa/y"), ("td/ns/a/sa/y*", "*yz")]
    {
        check_overlap(source("principals"), allowed, denied);
    }
    for (allowed, denied) in [("ab*", "*bc"), ("ab*", "*c"), ("*", "a*"), ("a*c", "*bc")] {
        check_overlap(source("namespaces"), allowed, denied);
    }
    check_overlap(source("trustDomains"), "ab*", "*bc");
    check_overlap(source("requestPrincipals"), "i/ab*", "*c");
}

#[test]
fn what_two_mean_and_a_third_does_not_is_told() {
    let path = operation("paths");
    let of = |action: &str, value: &str| format!("{action} {}\n", path(value));
    let kept =
        [of("ALLOW", "/a*"), of("DENY", "/a/b/*"), of("DENY", "/a/{*}/z"), of("DENY", "/az")]
            .concat();
    check_opens(&(kept.clone() + &of("DENY", "*z")), &kept);
}

#[test]
fn what_stands_for_anything_is_no_value_of_another_rule() {
    for list in ["paths", "hosts", "methods"] {
        let field = operation(list);
        let of = |action: &str, value: &str| format!("{action} {}\n", field(value));
        let start = if list == "paths" { "/" } else { "" };
        let words = [
            "x",
            "other",
            "y",
            "GET",
            "POST",
            "PUT",
            "DELETE",
            "OTHER",
            "z",
            "example.org",
            "other.example",
        ];
        let taken: String =
            words.iter().map(|word| of("DENY", &format!("{start}{word}*"))).collect();
        let named = taken + &of("DENY", "*x") + &of("DENY", "*y/");
        check_opens(&(named.clone() + &of("ALLOW", "b")), &(named + &of("ALLOW", "*")));
    }
    let of = |list: &'static str, value: &str| format!("DENY {}\n", operation(list)(value));
    let paths = ["/a/x*", "/a/"].map(|path| of("paths", path)).concat();
    check_opens(&(paths.clone() + &of("paths", "/a/*")), &paths);
    let hosts = ["x.com", ".com", "*x.com"].map(|host| of("hosts", host)).concat();
    check_opens(&(hosts.clone() + &of("hosts", "*.com")), &hosts);
    let field = source("principals");
    let of = |action: &str, value: &str| format!("{action} {}\n", field(value));
    let named = of("DENY", "x/*") + &of("DENY", "*/sa/x") + &of("DENY", "*/ns/x/sa/y");
    check_opens(&(named.clone() + &of("ALLOW", "td/ns/a/sa/b")), &(named + &of("ALLOW", "*")));
}

#[test]
fn two_values_at_once_are_tried() {
    let fields = [
        ("request.headers[x-a]", "v", "w"),
        ("request.auth.claims[c]", "v", "w"),
        ("request.auth.audiences", "v", "w*"),
        ("experimental.envoy.filters.f[k]", "[v]", "[*w]"),
        ("source.principal", "td/ns/a/sa/b", "td/ns/c/sa/d"),
        ("source.namespace", "a", "b"),
    ];
    for (key, one, other) in fields {
        check_overlap(when(key), one, other);
        // One rule that asks for both.
        let both = format!(
            "{{when: [{{key: '{key}', values: ['{one}']}}, {{key: '{key}', values: ['{other}']}}]}}"
        );
        check_opens(&format!("DENY {both}"), "");
        check_opens(
            "ALLOW {to: [{operation: {ports: ['1']}}]}",
            &format!("ALLOW {both}\nALLOW {{to: [{{operation: {{ports: ['1']}}}}]}}"),
        );
    }
}

#[test]
fn values_that_are_joined_meet_as_one() {
    let mut joining = Environment::default();
    joining.compat.envoy.rbac_match_headers_individually = false;
    let (v, w) = (when("request.headers[x-a]")("v*"), when("request.headers[x-a]")("*w"));
    check_opens_in(&format!("ALLOW {v}\nDENY {w}"), &format!("ALLOW {v}"), &joining);
    let tunnel = Environment { identity: IdentitySource::FilterState, ..Environment::default() };
    let (one, other) = (source("principals")("td/ns/a*"), source("principals")("*/sa/b"));
    check_opens_in(&format!("ALLOW {one}\nDENY {other}"), &format!("ALLOW {one}"), &tunnel);
}

/// Lines of a header are looked at one by one, or joined: two lines tell the one from the other.
#[test]
fn a_release_that_joins_lines_is_told_from_one_that_does_not() {
    let mut joining = Environment::default();
    joining.compat.envoy.rbac_match_headers_individually = false;
    let rule = format!("DENY {}", when("request.headers[x-a]")("v"));
    let (old, new) =
        (authorizer_in(&rule, &joining), authorizer_in(&rule, &Environment::default()));
    assert!(is_told(&diff(&old, &new), false));
    assert!(is_told(&diff(&new, &old), true));
}

/// What comes as far as the policies is told apart, though it must be a peer of one trust domain.
#[test]
fn peers_are_of_the_trust_domains_that_are_let_in() {
    let path = operation("paths");
    let keep = "DENY {from: [{source: {namespaces: [x, z]}}]}\nDENY {from: [{source: {principals: ['*/sa/x']}}]}";
    let of = |value: &str| {
        authorizer_in(&format!("ALLOW {}\n{keep}", path(value)), &Environment::default())
    };
    let (old, new) = (of("/a"), of("/a*"));
    let around = Surroundings {
        trust_domains: ["cluster.local", "old"].map(Box::from).into(),
        demands_identity: true,
        destinations: vec!["10.0.0.1".parse().unwrap()],
    };
    let tried = samples_between_in(&old, &new, Traffic::Http, &around).hunted;
    let is_told = |sample: &&Sample| {
        sample.with(|request| {
            old.decide(request).is_allowed() != new.decide(request).is_allowed()
                && sample
                    .identity
                    .as_ref()
                    .is_some_and(|name| name.starts_with("spiffe://cluster.local/"))
                && sample.destination_ip == around.destinations[0]
        })
    };
    assert!(tried.iter().find(is_told).is_some(), "{tried:#?}");
}

#[test]
fn requests_go_where_they_may() {
    let to = when("destination.ip");
    let of = |text: &str| authorizer_in(text, &Environment::default());
    let (deny, allow) =
        (format!("DENY {}", to("10.0.0.0/8")), format!("ALLOW {}", to("0.0.0.0/0")));
    let (old, new) = (of(&format!("{deny}\n{allow}")), of(&allow));
    let around = |addresses: [&str; 2]| Surroundings {
        destinations: addresses
            .map(|address| IpAddr::V4(address.parse().unwrap_or(Ipv4Addr::LOCALHOST)))
            .into(),
        ..Surroundings::default()
    };
    let is_told = |around: &Surroundings| {
        let tried = samples_between_in(&old, &new, Traffic::Http, around);
        let mut tried = tried
            .hunted
            .iter()
            .filter(|sample| around.destinations.contains(&sample.destination_ip));
        tried.any(|sample| {
            sample.with(|it| old.decide(it).is_allowed() != new.decide(it).is_allowed())
        })
    };
    assert!(is_told(&around(["192.0.2.9", "10.7.7.7"])));
    assert!(!is_told(&around(["192.0.2.9", "11.7.7.7"])));
}

/// Of many ALLOW rules the one is found that meets what a DENY rule means.
#[test]
fn a_deny_rule_is_met_by_whichever_of_many_allow_rules() {
    let environment = Environment::default();
    let count = 400;
    let allow: Vec<String> = (0..count)
        .map(|at| {
            format!(
                "ALLOW {{from: [{{source: {{principals: ['td/ns/n/sa/s{at}']}}}}], to: [{{operation: \
                 {{paths: ['/a{at}'], hosts: ['h{at}.com']}}}}]}}"
            )
        })
        .collect();
    let allow = allow.join("\n");
    for denied in [
        "{to: [{operation: {paths: ['*399']}}]}",
        "{to: [{operation: {paths: ['/a399']}}]}",
        "{to: [{operation: {paths: ['/a39*'], notPaths: ['/a39', '/a39?']}}], from: [{source: {principals: ['*9']}}]}",
        "{to: [{operation: {hosts: ['H399.*']}}]}",
        "{from: [{source: {principals: ['*/sa/s399']}}]}",
        "{from: [{source: {serviceAccounts: [n/s399]}}]}",
        "{to: [{operation: {paths: ['/{*}'], hosts: ['h399.com']}}]}",
    ] {
        check_opens(&format!("{allow}\nDENY {denied}"), &allow);
    }
    // What is denied alone by a name needs a second name to be allowed.
    let denied = format!("{allow}\nDENY {{from: [{{source: {{principals: ['td/ns/x/sa/x']}}}}]}}");
    let old = authorizer_in(&denied, &environment);
    let new = authorizer_in(&allow, &environment);
    let found = diff(&old, &new);
    assert!(is_told(&found, true));
    assert!(found.iter().all(|of| of.request.other_names.len() == 1), "{found:#?}");
}

/// Where bounds end a search, what nothing was found for is named.
#[test]
fn what_was_not_tried_to_the_end_is_named() {
    let environment = Environment::default();
    let check = |count: usize, expected: &[&str]| {
        let names: Vec<String> = (0..count).map(|at| format!("i{at}/s")).collect();
        let of =
            |list: &str| format!("DENY {{from: [{{source: {{{list}: [{}]}}}}]}}", names.join(", "));
        let all = format!("{}\n{}", of("requestPrincipals"), of("notRequestPrincipals"));
        let more = format!("{all}\nDENY {{to: [{{operation: {{paths: [/a]}}}}]}}");
        let (old, new) = (authorizer_in(&more, &environment), authorizer_in(&all, &environment));
        let between = samples_between(&old, &new, Traffic::Http);
        let told: Vec<String> =
            between.incomplete.iter().flatten().map(ToString::to_string).collect();
        assert_eq!(told, expected, "{count}");
        assert_eq!(diff(&old, &new), [], "{count}");
    };
    check(1, &[]);
    check(7, &["a/p2"]);
}

/// Requests that are told are such as somebody may send.
#[test]
fn certificates_have_one_name_that_is_a_uri_unless_two_are_needed() {
    let environment = Environment::default();
    let of = |list: &str| format!("DENY {{from: [{{source: {{{list}}}}}]}}");
    let lists = [
        "principals: ['*']",
        "principals: ['td/*']",
        "principals: ['*/sa/x']",
        "namespaces: ['*']",
        "namespaces: [a]",
        "serviceAccounts: [a/x]",
        "trustDomains: [td]",
        "notPrincipals: ['*']",
        "notPrincipals: ['td/*']",
        "principals: ['td/*'], notPrincipals: ['*']",
        "principals: ['*'], notPrincipals: ['*/sa/x']",
        "principals: ['td/ns/a/sa/x'], notPrincipals: ['td/ns/a/sa/y']",
    ];
    let is_sendable = |sample: &Sample| {
        let mut names = sample.identity.iter().chain(&sample.other_names);
        names.all(|name| name.bytes().all(|byte| byte.is_ascii_graphic()))
    };
    for (one, other) in lists.iter().flat_map(|one| lists.iter().map(move |other| (one, other))) {
        let [old, new] = [one, other].map(|list| authorizer_in(&of(list), &environment));
        let between = samples_between(&old, &new, Traffic::Http);
        assert!(between.hunted.iter().chain(&between.around).all(is_sendable), "{one} {other}");
        let needs_two = one.contains("notPrincipals") || other.contains("notPrincipals");
        for difference in diff(&old, &new) {
            let is_one = difference.request.other_names.is_empty();
            assert!(is_one || needs_two, "{one} {other}: {}", difference.request);
        }
    }
    let last = lists[lists.len() - 1];
    let plain = authorizer_in(&of("principals: ['td/ns/a/sa/x']"), &environment);
    let excluding = authorizer_in(&of(last), &environment);
    assert!(is_told(&diff(&plain, &excluding), true), "a second name is excluded by the new rule");
}
