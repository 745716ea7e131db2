//! What is said of sets of policies, and that proofs and examples hold for random ones.
#![expect(clippy::indexing_slicing, clippy::panic, reason = "helpers of tests may fail like tests")]
use std::sync::Arc;

use mesh_authz::analysis::{
    Access, Caller, Never, Risk, access, access_over, allows_nothing, coverage, dead_values, diff,
    example, last_allow, needing_several_names, never_matching, risky_patterns, samples, shadowed,
    useless, widenings,
};
use mesh_authz::identity::Value;
use mesh_authz::matcher::{NormalPath, PathNormalization, PathOptions, StringTest};
use mesh_authz::{Authorizer, Environment, Policies, Traffic, Workload};
use mesh_model::manifest::{Limits, read};
use mesh_model::name::Namespace;
use mesh_model::registry::ServerMode;
use mesh_model::resource::{
    self, AuthorizationPolicy, MutualTlsMode, Operation, Resource, Rule, To,
};
use mesh_testkit::strategy::authz::policies as random;
use proptest::prelude::*;

/// `NAME ACTION RULES`, a policy a line, rules in YAML's flow style.
fn policies(text: &str) -> Vec<AuthorizationPolicy> {
    let policy = |line: &str| {
        let mut words = line.trim().splitn(3, ' ');
        let mut word = || words.next().unwrap_or("[]").to_owned();
        let yaml = format!(
            "{{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {{name: {}, \
             namespace: a}}, spec: {{action: {}, rules: {}}}}}",
            word(),
            word(),
            word()
        );
        let reading = read("test", yaml.as_bytes(), &Limits::default());
        let decoded = resource::decode(&reading.documents[0].node, &Arc::from("test"), "a");
        match decoded.resource {
            Some(Resource::AuthorizationPolicy(policy)) => policy,
            _ => panic!("{yaml}"),
        }
    };
    text.lines().filter(|line| !line.trim().is_empty()).map(policy).collect()
}

fn authorizer(policies: &[AuthorizationPolicy]) -> Authorizer {
    let workload = Workload { namespace: Namespace::from("a"), ..Workload::default() };
    let policies = Policies { understood: policies.iter().collect(), broken: Vec::new() };
    Authorizer::new(&policies, &workload, &Environment::default())
}

/// Which rules never match, with the field that leaves no value.
fn check_never(text: &str, expected: &[&str]) {
    let authorizer = authorizer(&policies(text));
    let found: Vec<String> = never_matching(authorizer.chain(Traffic::Http))
        .iter()
        .map(|found| {
            let why = match &found.why {
                Never::LeftOut(omissions) => omissions[0].to_string(),
                Never::Contradiction(field) => field.to_string(),
                _ => String::new(),
            };
            format!("{}[{}] {why}", found.policy.name, found.rule)
        })
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn a_rule_whose_fields_exclude_each_other_never_matches() {
    check_never(
        "p ALLOW [{to: [{operation: {paths: [/a], notPaths: ['/a*']}}]}]",
        &["p[0] to.operation.paths"],
    );
    check_never(
        "p ALLOW [{to: [{operation: {ports: ['80']}}], when: [{key: destination.port, values: ['81']}]}]",
        &["p[0] to.operation.ports"],
    );
    check_never(
        "p ALLOW [{from: [{source: {principals: [cluster.local/ns/b/sa/x], notNamespaces: [b]}}]}]",
        &["p[0] from.source.principals"],
    );
    check_never(
        "p ALLOW [{from: [{source: {ipBlocks: [10.0.0.0/8]}}], when: [{key: source.ip, values: [192.168.0.0/16]}]}]",
        &["p[0] from.source.ipBlocks"],
    );
}

#[test]
fn what_is_excluded_covers_what_is_asked_for_in_many_ways() {
    let of = |field: &str, list: &str| {
        let (side, entry, name) = match field {
            "to" => ("to", "operation", list),
            _ => ("from", "source", list),
        };
        let place = name.split(':').next().unwrap_or_default();
        let found = format!("p[0] {side}.{entry}.{place}");
        check_never(&format!("p ALLOW [{{{side}: [{{{entry}: {{{list}}}}}]}}]"), &[&found]);
    };
    for list in [
        "paths: ['*'], notPaths: ['/*']",
        "paths: ['*a'], notPaths: ['/*']",
        "paths: ['*'], notPaths: ['*']",
        "hosts: ['*'], notHosts: ['*']",
        "hosts: [A.com], notHosts: ['*.com']",
        "methods: ['*'], notMethods: ['*']",
        "methods: [GET, GO], notMethods: ['G*']",
        "ports: ['80'], notPorts: ['81', '80']",
    ] {
        of("to", list);
    }
    for list in [
        "principals: ['*'], notPrincipals: ['*']",
        "namespaces: ['*'], notNamespaces: ['*']",
        "requestPrincipals: ['*'], notRequestPrincipals: ['*']",
        "requestPrincipals: ['a/b'], notRequestPrincipals: ['a/b']",
        "ipBlocks: [10.0.0.0/8], notIpBlocks: [0.0.0.0/0]",
        "ipBlocks: [10.0.0.0/8], notIpBlocks: [10.128.0.0/9, 10.0.0.0/9]",
        "remoteIpBlocks: ['::/0'], notRemoteIpBlocks: ['::/1', '8000::/1']",
    ] {
        of("from", list);
    }
    for list in [
        "ipBlocks: [10.0.0.0/8], notIpBlocks: [10.0.0.0/9, 10.128.0.0/10]",
        "ipBlocks: [10.0.0.0/8, 11.0.0.0/8], notIpBlocks: [10.0.0.0/8]",
        "requestPrincipals: ['*'], notRequestPrincipals: ['a/b']",
    ] {
        check_never(&format!("p ALLOW [{{from: [{{source: {{{list}}}}}]}}]"), &[]);
    }
    check_never("p ALLOW [{to: [{operation: {paths: ['*'], notPaths: ['/a*']}}]}]", &[]);
}

#[test]
fn one_entry_that_can_match_is_enough() {
    check_never(
        "p ALLOW [{to: [{operation: {paths: [/a], notPaths: [/a]}}, {operation: {paths: [/b]}}]}]",
        &[],
    );
    check_never("p ALLOW [{to: [{operation: {paths: ['/a*'], notPaths: [/a/b]}}]}]", &[]);
    // A request may have the header twice.
    check_never(
        "p ALLOW [{when: [{key: 'request.headers[x]', values: [a]}, {key: 'request.headers[x]', values: [b]}]}]",
        &[],
    );
}

#[test]
fn fields_that_only_different_names_of_one_certificate_pass_ask_for_several_names() {
    let text =
        "p ALLOW [{from: [{source: {principals: [cluster.local/ns/b/sa/x], namespaces: [c]}}]}]";
    check_never(text, &[]);
    let authorizer = authorizer(&policies(text));
    let found = needing_several_names(authorizer.chain(Traffic::Http));
    let [found] = found.as_slice() else { panic!("{found:?}") };
    let Never::Contradiction(field) = &found.why else { panic!("{found:?}") };
    assert_eq!(field.to_string(), "from.source.principals");
}

#[test]
fn a_rule_that_proxies_do_not_get_never_matches() {
    check_never(
        "p ALLOW [{to: [{operation: {ports: [http]}}]}]",
        &["p[0] to.operation.ports: a port is a number of 0 to 65535; the rule is left out"],
    );
}

/// `RULE < RULE` for each rule that another one makes useless.
fn check_shadowed(text: &str, expected: &[&str]) {
    let authorizer = authorizer(&policies(text));
    let found: Vec<String> = shadowed(authorizer.chain(Traffic::Http))
        .iter()
        .map(|of| format!("{}[{}] < {}[{}]", of.rule.name, of.rule.rule, of.by.name, of.by.rule))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn a_rule_that_a_broader_one_covers_is_useless() {
    check_shadowed(
        "p ALLOW [{to: [{operation: {paths: [/a/b], methods: [GET]}}]}, {to: [{operation: {paths: ['/a*']}}]}]",
        &["p[0] < p[1]"],
    );
    check_shadowed(
        "p ALLOW [{from: [{source: {serviceAccounts: [b/x]}}]}, {from: [{source: {namespaces: [b]}}]}]",
        &["p[0] < p[1]"],
    );
    check_shadowed("p ALLOW [{}]\nq ALLOW [{}]", &["q[0] < p[0]"]);
    check_shadowed(
        "p ALLOW [{to: [{operation: {ports: ['80', '81']}}]}]\nq DENY [{to: [{operation: {notPorts: ['443']}}]}]",
        &["p[0] < q[0]"],
    );
    check_shadowed(
        "p ALLOW [{from: [{source: {ipBlocks: [10.1.0.0/16]}}]}, {from: [{source: {ipBlocks: [10.0.0.0/8]}}]}]",
        &["p[0] < p[1]"],
    );
}

#[test]
fn rules_that_only_overlap_are_both_needed() {
    check_shadowed(
        "p ALLOW [{to: [{operation: {paths: ['/a*'], methods: [GET]}}]}, {to: [{operation: {paths: ['/a/b*']}}]}]",
        &[],
    );
    check_shadowed(
        "p DENY [{to: [{operation: {paths: [/a]}}]}]\nq ALLOW [{to: [{operation: {paths: ['/a*']}}]}]",
        &[],
    );
}

#[test]
fn a_certificate_may_have_the_name_that_one_rule_denies_and_the_one_that_another_does_not() {
    check_shadowed(
        "p DENY [{from: [{source: {notPrincipals: [cluster.local/ns/a/sa/b]}}]}, \
                 {from: [{source: {principals: [cluster.local/ns/c/sa/d]}}]}]",
        &[],
    );
}

/// `RULE` for each rule that does nothing for HTTP, and whether it does nothing at all.
fn check_useless(text: &str, expected: &[&str]) {
    let authorizer = authorizer(&policies(text));
    let found: Vec<String> = useless(&authorizer)
        .iter()
        .map(|of| {
            format!("{}[{}]{}", of.name, of.rule, if of.tcp.is_some() { "" } else { " HTTP" })
        })
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn a_rule_is_useless_if_neither_http_nor_tcp_needs_it() {
    // Without the fields of HTTP the first entry denies every connection.
    let contradictory = "{operation: {paths: [/a], notPaths: ['/a*']}}";
    let ports = "{operation: {ports: ['80']}}";
    check_useless(
        &format!("p DENY [{{to: [{ports}]}}, {{to: [{contradictory}, {ports}]}}]"),
        &["p[1] HTTP"],
    );
    check_useless(&format!("p DENY [{{to: [{contradictory}]}}]"), &["p[0] HTTP"]);
    // TCP has no ALLOW rule that asks for what only HTTP has.
    check_useless(&format!("p ALLOW [{{to: [{contradictory}]}}, {{}}]"), &["p[0]"]);
    check_useless(&format!("p DENY [{{to: [{ports}]}}, {{to: [{ports}]}}]"), &["p[1]"]);
}

/// What callers may do: with an identity and in plain text, at port 80 and at any.
fn check_over(text: &str, mode: MutualTlsMode, ports: &[(u32, MutualTlsMode)], expected: &str) {
    let authorizer = authorizer(&policies(text));
    let mode = ServerMode { mode, ports: ports.iter().copied().collect() };
    let ask = |identity, port| {
        access_over(&authorizer, Traffic::Http, Caller { identity, port }, &mode).as_str()
    };
    let web = Some("spiffe://cluster.local/ns/a/sa/web");
    let found = [ask(web, Some(80)), ask(None, Some(80)), ask(web, None), ask(None, None)];
    assert_eq!(found.join(" "), expected, "{text}");
}

#[test]
fn mutual_tls_decides_who_has_an_identity() {
    use MutualTlsMode::{Disable, Permissive, Strict};
    let anyone = "p ALLOW [{}]";
    check_over(anyone, Permissive, &[], "always always always always");
    check_over(anyone, Strict, &[], "always never always never");
    check_over(anyone, Strict, &[(80, Permissive)], "always always always depends");
    check_over(anyone, Permissive, &[(80, Strict)], "always never always depends");
    let web = "p ALLOW [{from: [{source: {serviceAccounts: [web]}}]}]";
    check_over(web, Permissive, &[], "always never always never");
    // Where no TLS ends nobody has an identity.
    check_over(web, Disable, &[], "never never never never");
    check_over(web, Permissive, &[(80, Disable)], "never never depends never");
    check_over("p DENY [{}]", Permissive, &[(80, Strict)], "never never never never");
}

#[test]
fn removing_the_last_allow_opens_the_workload() {
    let of = |text: &str| {
        let authorizer = authorizer(&policies(text));
        last_allow(authorizer.chain(Traffic::Http)).map(|policy| policy.name.to_string())
    };
    assert_eq!(of("p ALLOW [{}]\nd DENY [{}]"), Some("p".to_owned()));
    assert_eq!(of("p ALLOW [{}]\nq ALLOW [{}]"), None);
    assert_eq!(of("d DENY [{}]"), None);
}

#[test]
fn an_allow_policy_without_a_rule_that_can_match_denies_all() {
    let of = |text: &str| allows_nothing(authorizer(&policies(text)).chain(Traffic::Http));
    assert!(of("p ALLOW []"));
    assert!(of("p ALLOW [{to: [{operation: {ports: [http]}}]}]"));
    assert!(!of("p ALLOW [{}]"));
    assert!(!of("p DENY [{}]"));
}

#[test]
fn a_broad_policy_lets_through_what_a_narrow_one_keeps_out() {
    let text = "admin ALLOW [{from: [{source: {principals: [cluster.local/ns/a/sa/root]}}], to: [{operation: {paths: ['/admin*']}}]}]
                all ALLOW [{from: [{source: {namespaces: [a]}}]}]";
    let authorizer = authorizer(&policies(text));
    let found = widenings(&authorizer, Traffic::Http, &["td.test"]);
    let [widening] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((&*widening.narrow.name, &*widening.broad.name), ("admin", "all"));
    let request = &widening.request;
    assert!(request.http.as_ref().unwrap().path.starts_with("/admin"));
    assert!(request.identity.as_ref().unwrap().starts_with("spiffe://td.test/ns/a/"));
    assert!(request.with(|request| authorizer.decide(request).is_allowed()));
}

#[test]
fn what_a_change_newly_allows_and_denies_is_told_with_a_request() {
    let old = authorizer(&policies("p ALLOW [{to: [{operation: {paths: [/a]}}]}]"));
    let new = authorizer(&policies("p ALLOW [{to: [{operation: {paths: [/b]}}]}]"));
    let found = diff(&old, &new);
    let paths: Vec<(&str, bool)> = found
        .iter()
        .map(|of| (&*of.request.http.as_ref().unwrap().path, of.new.is_allowed()))
        .collect();
    assert_eq!(paths, [("/a", false), ("/b", true)]);
    assert_eq!(diff(&old, &old), []);
}

#[test]
fn examples_have_claims_as_the_workload_reads_them() {
    let text = "p ALLOW [{when: [{key: 'request.auth.claims[g]', values: ['a b']}]}]";
    let authorizer = authorizer(&policies(text)).with_space_delimited_claims(["g".into()]);
    let chain = authorizer.chain(Traffic::Http);
    let rule = chain.compiled[0].rules[0].policy.as_ref().unwrap();
    let found = example(&authorizer, Traffic::Http, rule).unwrap();
    let http = found.http.as_ref().unwrap();
    assert_eq!(http.space_delimited, [Box::from("g")]);
    // No word has a blank, but an element of a list may.
    let words = Value::List([Value::Text("a b".into())].into());
    assert_eq!(http.claims.as_ref().unwrap().get("g"), Some(&words));
    assert!(found.with(|request| authorizer.decide(request).is_allowed()));
}

#[test]
fn coverage_counts_matches_and_decisions() {
    let authorizer = authorizer(&policies(
        "a ALLOW [{}, {to: [{operation: {methods: [GET]}}]}]\nd DENY [{to: [{operation: {methods: [PUT]}}]}]",
    ));
    let tried = samples(&authorizer, Traffic::Http);
    let puts = tried.iter().find(|of| &*of.http.as_ref().unwrap().method == "PUT").unwrap();
    let counts = puts.with(|request| {
        coverage(&authorizer, Traffic::Http, &[*request])
            .iter()
            .map(|of| (of.rule.name.to_string(), of.matched, of.decided))
            .collect::<Vec<_>>()
    });
    let expected = [("d", 1, 1), ("a", 1, 0), ("a", 0, 0)]
        .map(|(name, matched, decided)| (name.to_owned(), matched, decided));
    assert_eq!(counts, expected);
}

/// Callers `web` and `db` of namespace `a`, and one in plain text.
fn check_access(text: &str, expected: [Access; 3]) {
    let authorizer = authorizer(&policies(text));
    let of = |identity| access(&authorizer, Traffic::Http, Caller { identity, port: Some(80) });
    let found = [
        of(Some("spiffe://cluster.local/ns/a/sa/web")),
        of(Some("spiffe://cluster.local/ns/a/sa/db")),
        of(None),
    ];
    assert_eq!(found, expected, "{text}");
}

#[test]
fn identities_alone_often_decide() {
    use Access::{Always, Depends, Never};
    check_access("", [Always; 3]);
    check_access("p ALLOW []", [Never; 3]);
    check_access("p ALLOW [{from: [{source: {serviceAccounts: [web]}}]}]", [Always, Never, Never]);
    check_access(
        "p ALLOW [{from: [{source: {serviceAccounts: [web]}}], to: [{operation: {paths: [/a]}}]}]",
        [Depends, Never, Never],
    );
    check_access("p DENY [{from: [{source: {notPrincipals: ['*']}}]}]", [Always, Always, Never]);
    check_access("p ALLOW [{to: [{operation: {ports: ['81']}}]}]", [Never; 3]);
    check_access("p DENY [{to: [{operation: {methods: [PUT]}}]}]", [Depends; 3]);
}

fn check_risks(text: &str, expected: &[&str]) {
    let found: Vec<String> = policies(text)
        .iter()
        .flat_map(risky_patterns)
        .map(|of| match of.field {
            Some(field) => format!("{} {} {field} {:?}", of.rule, of.risk.code(), field.values),
            None => format!("{} {}", of.rule, of.risk.code()),
        })
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn patterns_that_look_tighter_than_they_are_are_told() {
    check_risks(
        "p ALLOW [{to: [{operation: {hosts: [a.com, 'b.com:*', b.com, 'c.com*']}}]}]",
        &["0 host_without_port to.operation.hosts [\"a.com\"]"],
    );
    check_risks("p ALLOW [{to: [{operation: {hosts: [A.com, 'a.com:*']}}]}]", &[]);
    check_risks("p ALLOW [{to: [{operation: {hosts: [b.com, '*']}}]}]", &[]);
    check_risks("p ALLOW [{to: [{operation: {hosts: ['*:8080']}}]}]", &[]);
    check_risks("p DENY [{to: [{operation: {paths: ['*'], ports: ['80']}}]}]", &[]);
    check_risks(
        "p ALLOW [{to: [{operation: {hosts: ['*a.com:80', '*.b.com:80']}}]}]",
        &["0 unescaped_suffix to.operation.hosts [\"*a.com:80\"]"],
    );
    check_risks(
        "p ALLOW [{from: [{source: {namespaces: [a]}}]}, {to: [{operation: {ports: ['80']}}]}]",
        &["1 split_rule"],
    );
    check_risks(
        "p ALLOW [{from: [{source: {notNamespaces: [a]}}]}]",
        &["0 negative_match_with_allow from.source.notNamespaces [\"a\"]"],
    );
    check_risks(
        "p DENY [{to: [{operation: {paths: ['/admin*']}}]}]",
        &[
            "0 path_without_slash to.operation.paths [\"/admin*\"]",
            "0 positive_match_with_deny to.operation.paths [\"/admin*\"]",
            "0 deny_without_ports",
        ],
    );
    let of_header = |name: &str, list: &str| {
        format!("p DENY [{{when: [{{key: 'request.headers[{name}]', {list}: [bad, '*']}}]}}]")
    };
    check_risks(
        &of_header("User-Agent", "values"),
        &["0 header_of_one_text when[request.headers[User-Agent]].values [\"bad\"]"],
    );
    check_risks(&of_header("User-Agent", "notValues"), &[]);
    check_risks(
        &of_header("x-role", "values"),
        &["0 positive_match_with_deny when[request.headers[x-role]].values [\"bad\", \"*\"]"],
    );
    check_risks("p DENY [{to: [{operation: {ports: ['80']}}]}]", &[]);
}

#[test]
fn a_rule_may_be_split_anywhere() {
    let (from, to) = ("from: [{source: {namespaces: [a]}}]", "to: [{operation: {ports: ['80']}}]");
    let when = "when: [{key: destination.ip, values: [10.0.0.1]}]";
    let two = |a: &str, b: &str| format!("p ALLOW [{{{a}}}, {{{b}}}]");
    let pairs = [(from, to), (from, when), (to, when)];
    for (a, b) in pairs {
        check_risks(&two(a, b), &["1 split_rule"]);
        check_risks(&two(b, a), &["1 split_rule"]);
    }
    check_risks(&two(&format!("{from}, {to}"), when), &["1 split_rule"]);
    check_risks(&two(from, &format!("{to}, {when}")), &["1 split_rule"]);
    check_risks(
        &format!("p ALLOW [{{{from}}}, {{{to}}}, {{{when}}}]"),
        &["1 split_rule", "2 split_rule"],
    );
    check_risks(&two(from, &format!("{from}, {to}")), &[]);
    check_risks(&two(from, ""), &[]);
}

#[test]
fn whatever_a_rule_denies_by_a_list_is_told_but_the_workloads_own_ports_and_addresses() {
    for field in ["principals: ['*']", "namespaces: [b]", "ipBlocks: [10.0.0.1]"] {
        let text = format!("p DENY [{{from: [{{source: {{{field}}}}}]}}]");
        let risks: Vec<_> = policies(&text).iter().flat_map(risky_patterns).collect();
        assert!(risks.iter().any(|of| of.risk == Risk::PositiveMatchWithDeny), "{text}");
    }
    let when = |key: &str| format!("p DENY [{{when: [{{key: '{key}', values: ['1']}}]}}]");
    check_risks(
        &when("source.namespace"),
        &["0 positive_match_with_deny when[source.namespace].values [\"1\"]"],
    );
    check_risks(&when("destination.port"), &[]);
}

#[test]
fn a_host_without_its_port_is_told_of_headers_too() {
    for name in [":authority", "host", "Host"] {
        let text =
            format!("p ALLOW [{{when: [{{key: 'request.headers[{name}]', values: [a.com]}}]}}]");
        let field = format!("0 host_without_port when[request.headers[{name}]].values [\"a.com\"]");
        check_risks(&text, &[&field]);
    }
}

/// The values that no request has, in one list of a rule.
fn check_dead(list: &str, paths: PathNormalization, expected: &[&str]) {
    let text = match list.split_once(": ") {
        Some(("paths" | "notPaths", _)) => format!("p ALLOW [{{to: [{{operation: {{{list}}}}}]}}]"),
        Some(("when", rest)) => format!("p ALLOW [{{when: [{rest}]}}]"),
        _ => format!("p ALLOW [{{from: [{{source: {{{list}}}}}]}}]"),
    };
    let options = PathOptions { normalization: paths, ..PathOptions::default() };
    let found: Vec<String> = policies(&text)
        .iter()
        .flat_map(|policy| dead_values(policy, options))
        .flat_map(|of| {
            of.field.values.into_iter().map(|value| value.to_string()).collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(found, expected, "{list}");
}

#[test]
fn a_value_that_no_request_has_is_told() {
    use PathNormalization::{Base, MergeSlashes, None};
    let sni = "when: {key: connection.sni, values: [A.com, a.com, '*.B.com']}";
    check_dead(sni, Base, &["A.com", "*.B.com"]);
    for list in ["principals", "notPrincipals", "trustDomains"] {
        let values = format!("{list}: ['spiffe://td/ns/a/sa/b', td]");
        check_dead(&values, Base, &["spiffe://td/ns/a/sa/b"]);
    }
    let principal = "when: {key: source.principal, notValues: ['spiffe://td/*']}";
    check_dead(principal, Base, &["spiffe://td/*"]);
    check_dead("paths: ['/a?b', '/a?*', '*?a', '/a']", None, &["/a?b", "/a?*", "*?a"]);
    check_dead("paths: [admin, 'admin*', '*admin', '*', '{*}']", None, &["admin", "admin*"]);
    let dots = "paths: [/a/../b, '/a/..*', '/../*', '*..', '*/..', /a..b, '/..;x/a', '/{*}/./a']";
    check_dead(dots, Base, &["/a/../b", "/../*", "*/..", "/..;x/a", "/{*}/./a"]);
    check_dead(dots, None, &[]);
    let escapes = "paths: ['/%61', '/a%2Fb', '*%7e', '/%6', '/{*}/%2D']";
    check_dead(escapes, Base, &["/%61", "*%7e", "/{*}/%2D"]);
    let decoded = ["/%61", "/a%2Fb", "*%7e", "/{*}/%2D"];
    check_dead(escapes, PathNormalization::DecodeAndMergeSlashes, &decoded);
    check_dead(escapes, None, &[]);
    check_dead("namespaces: [' a', 'a ', 'b', '*']", Base, &[" a", "a "]);
    check_dead("principals: ['td/ns/a/sa/b ', ' td*', '*']", Base, &["td/ns/a/sa/b ", " td*"]);
    let header = "when: {key: 'request.headers[x]', values: [' a', 'a b', 'a *', \"b\\t\"]}";
    check_dead(header, Base, &[" a", "b\t"]);
    check_dead("when: {key: 'request.auth.claims[x]', values: [' a']}", Base, &[]);
    check_dead("notPaths: ['/a//b', '//', '//*', '*//a']", MergeSlashes, &["/a//b", "*//a"]);
    check_dead("paths: ['/a//b']", Base, &[]);
    check_dead("paths: ['/a\\b', '/a|b', '/a b']", Base, &["/a\\b", "/a|b", "/a b"]);
    check_dead("paths: ['/a\\b', '/a b']", None, &["/a b"]);
}

/// How many sets of policies each law is tried on: more where it costs less.
const CASES: u32 = if cfg!(debug_assertions) { 12 } else { 1_000 };

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    /// No request that is found contradicts a proof.
    #[test]
    fn what_is_proved_holds_for_every_example(policies in random(6)) {
        let authorizer = authorizer(&policies);
        for traffic in [Traffic::Http, Traffic::Tcp] {
            let chain = authorizer.chain(traffic);
            let never: Vec<(&str, usize)> = never_matching(chain)
                .iter()
                .map(|found| (&*found.policy.name, found.rule))
                .collect();
            for policy in chain.compiled.iter().flat_map(|of| &of.rules).filter_map(|of| of.policy.as_ref()) {
                let is_never = never.contains(&(&*policy.origin.name, policy.origin.rule));
                prop_assert!(!is_never || example(&authorizer, traffic, policy).is_none(), "{policy:?}");
            }
            let shadowed = shadowed(chain);
            let allows_nothing = allows_nothing(chain);
            for sample in samples(&authorizer, traffic) {
                let (is_allowed, rule) = sample.with(|request| {
                    let decision = authorizer.decide(request);
                    (decision.is_allowed(), decision.reason().rule().cloned())
                });
                prop_assert!(!(allows_nothing && is_allowed));
                // A rule that another action's rule shadows decides nothing.
                let is_useless = shadowed.iter().any(|of| {
                    Some(of.rule) == rule.as_ref() && of.by.action != of.rule.action
                });
                prop_assert!(!is_useless, "{sample}");
                // A caller of the matrix has one name.
                if !sample.other_names.is_empty() {
                    continue;
                }
                let caller = Caller { identity: sample.identity.as_deref(), port: Some(sample.destination_port) };
                match access(&authorizer, traffic, caller) {
                    Access::Always => prop_assert!(is_allowed, "{sample}"),
                    Access::Never => prop_assert!(!is_allowed, "{sample}"),
                    Access::Depends => {}
                }
            }
        }
    }

    /// No path comes out of normalization that a value passes of which that is said.
    #[test]
    fn a_dead_value_is_passed_by_no_path(
        raw in "/([./;ab{*?%]|//|%2[eEfF]|%5C|%61|\\\\){0,8}",
        value in "[*]?(/|[./;ab{]|//|%61|%2[eEfF]|\\\\){0,6}[*]?",
        normalization in 0_usize..4,
    ) {
        use PathNormalization::{Base, DecodeAndMergeSlashes, MergeSlashes, None};
        let options = PathOptions {
            normalization: [None, Base, MergeSlashes, DecodeAndMergeSlashes][normalization],
            ..PathOptions::default()
        };
        let mut policy = AuthorizationPolicy::default();
        let paths = vec![value.as_str().into()];
        let operation = Some(Operation { paths, ..Operation::default() });
        policy.spec.rules = vec![Rule { to: vec![To { operation }], ..Rule::default() }];
        if let Ok(path) = NormalPath::new(&raw, options) {
            let passes = StringTest::of_value(&value).matches(path.without_query().as_bytes());
            prop_assert!(!passes || dead_values(&policy, options).is_empty(), "{raw} {value}");
        }
    }
}
