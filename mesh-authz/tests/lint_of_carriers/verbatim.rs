//! Values and selectors that only an Envoy reads more into.
use mesh_model::Compat;

use super::{ambient, check, check_found, found_with, grpc, policy, sidecar};

/// An Envoy takes the mesh's trust domain, its aliases and `cluster.local` for one; nobody else does.
#[test]
fn names_of_trust_domains_stand_for_themselves_where_no_envoy_is() {
    let check = |pod: &str, settings: &str, spec: &str, expected: &[&str]| {
        let objects = [pod, &policy("", spec)];
        check_found(&found_with(settings, Compat::default(), &objects, "{}"), expected);
    };
    let of = |action: &str, list: &str, value: &str| {
        format!("{{action: {action}, rules: [{{from: [{{source: {{{list}: ['{value}']}}}}]}}]}}")
    };
    let td = "trustDomain: td\ntrustDomainAliases: [old]";
    let field = "spec.rules[0].from[0].source";
    for (pod, who) in [(ambient(), "ZTUNNEL"), (grpc(), "GRPC")] {
        for (action, list, severity) in [
            ("ALLOW", "principals", "warning"),
            ("ALLOW", "notPrincipals", "error"),
            ("DENY", "principals", "error"),
            ("DENY", "notPrincipals", "warning"),
        ] {
            let expected = format!("{who}-TRUST-ALIAS {severity} {field}.{list}[0]");
            for value in ["cluster.local/ns/a/sa/b", "td/ns/a/sa/b", "old/ns/a/sa/b"] {
                let spec = of(action, list, value);
                check(&pod, td, &spec, &[&expected]);
                check(&sidecar(), td, &spec, &[]);
            }
            // Here it stands for nothing else, is a pattern, or is nobody's of the mesh.
            check(&pod, "", &of(action, list, "cluster.local/ns/a/sa/b"), &[]);
            check(&pod, td, &of(action, list, "*/ns/a/sa/b"), &[]);
            check(&pod, td, &of(action, list, "other/ns/a/sa/b"), &[]);
        }
        let when = "{rules: [{when: [{key: source.principal, values: [old/ns/a/sa/b]}]}]}";
        check(
            &pod,
            td,
            when,
            &[&format!("{who}-TRUST-ALIAS warning spec.rules[0].when[0].values[0]")],
        );
    }
    // All of them are said.
    let both = "{rules: [{from: [{source: {principals: [td/ns/a/sa/b, old/ns/a/sa/b]}}]}]}";
    check(&ambient(), td, both, &[]);
    let domains = of("DENY", "trustDomains", "old");
    check(&grpc(), td, &domains, &[&format!("GRPC-TRUST-ALIAS error {field}.trustDomains[0]")]);
    check(&ambient(), td, &domains, &["ZTUNNEL-TRUST-DOMAINS error spec.rules[0]"]);
    // A ztunnel does not have the rule.
    let of_paths = "{rules: [{from: [{source: {principals: [old/ns/a/sa/b]}}], to: [{operation: {paths: [/a]}}]}]}";
    check(&ambient(), td, of_paths, &["ZTUNNEL-L7 warning spec.rules[0]"]);
}

/// A ztunnel knows one star, first or last; an Envoy knows them anywhere in a namespace.
#[test]
fn a_ztunnel_takes_a_star_inside_a_namespace_for_a_letter() {
    let of = |action: &str, list: &str, value: &str| {
        policy(
            "",
            &format!(
                "{{action: {action}, rules: [{{from: [{{source: {{{list}: ['{value}']}}}}]}}]}}"
            ),
        )
    };
    let field = "spec.rules[0].from[0].source";
    for value in ["f*t", "*a*", "a*b*", "**"] {
        let told =
            |severity: &str, list: &str| format!("ZTUNNEL-WILDCARD {severity} {field}.{list}[0]");
        let allow = of("ALLOW", "namespaces", value);
        check(&[&ambient(), &allow], &[&told("warning", "namespaces")]);
        check(&[&sidecar(), &allow], &[]);
        check(&[&grpc(), &allow], &[]);
        check(&[&ambient(), &of("DENY", "namespaces", value)], &[&told("error", "namespaces")]);
        let denied = of("DENY", "notNamespaces", value);
        check(&[&ambient(), &denied], &[&told("warning", "notNamespaces")]);
    }
    for value in ["*", "f*", "*t", "ft"] {
        check(&[&ambient(), &of("ALLOW", "namespaces", value)], &[]);
    }
    // In a principal no data plane knows one there.
    let told = "INNER-STAR warning spec.rules[0].from[0].source.principals";
    check(&[&ambient(), &of("ALLOW", "principals", "td/ns/a*b/sa/c")], &[told]);
    let when = "{action: DENY, rules: [{when: [{key: source.namespace, values: ['f*t']}]}]}";
    let told = "ZTUNNEL-WILDCARD error spec.rules[0].when[0].values[0]";
    check(&[&ambient(), &policy("", when)], &[told]);
}

#[test]
fn a_selector_without_labels_selects_nothing_behind_a_ztunnel() {
    for action in ["ALLOW", "DENY"] {
        for selector in ["{}", "{matchLabels: {}}"] {
            let of =
                policy("", &format!("{{selector: {selector}, action: {action}, rules: [{{}}]}}"));
            check(&[&ambient(), &of], &["ZTUNNEL-SELECTOR error spec.selector"]);
            check(&[&sidecar(), &of], &[]);
            let elsewhere = of.replace("namespace: shop", "namespace: other");
            check(&[&ambient(), &elsewhere], &[]);
        }
    }
}

/// Admission takes them; a real Envoy does not.
#[test]
fn a_template_that_envoy_refuses_is_told() {
    let of = |field: &str, path: &str| {
        policy("", &format!("{{rules: [{{to: [{{operation: {{{field}: ['{path}']}}}}]}}]}}"))
    };
    for path in ["{*}/a", "{**}", "{*}", "a/{*}", "//a/{*}", "/a/{*}//"] {
        let told =
            |field: &str| format!("PATH-REFUSED error spec.rules[0].to[0].operation.{field}[0]");
        check(&[&sidecar(), &of("paths", path)], &[&told("paths")]);
        let found = found_with("", Compat::default(), &[&sidecar(), &of("notPaths", path)], "{}");
        assert!(found.iter().any(|found| told("notPaths").ends_with(&found.field)), "{found:?}");
        check(&[&ambient(), &of("paths", path)], &["ZTUNNEL-L7 warning spec.rules[0]"]);
    }
    for path in ["/{*}/a", "/a/{*}/", "*/a"] {
        check(&[&sidecar(), &of("paths", path)], &[]);
    }
}
