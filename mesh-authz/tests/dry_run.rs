//! What policies on trial would do.
#![expect(clippy::indexing_slicing, clippy::panic, reason = "helpers of tests may fail like tests")]
use std::sync::Arc;

use mesh_authz::{Authorizer, Environment, Policies, Verdict, Workload};
use mesh_model::manifest::{Limits, read};
use mesh_model::name::Namespace;
use mesh_model::resource::{self, AuthorizationPolicy, Resource};

#[path = "fixture/request.rs"]
mod request;

/// `NAME ACTION RULES`; `?` after the name puts the policy on trial.
fn policy(line: &str) -> AuthorizationPolicy {
    let mut words = line.splitn(3, ' ');
    let mut word = || words.next().unwrap_or_default();
    let (name, action, rules) = (word(), word(), word());
    let trial = name.ends_with('?');
    let name = name.trim_end_matches('?');
    let yaml = format!(
        "{{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {{name: {name}, \
         namespace: a, annotations: {{istio.io/dry-run: '{trial}'}}}}, spec: {{action: {action}, \
         rules: {rules}}}}}",
    );
    let reading = read("test", yaml.as_bytes(), &Limits::default());
    let decoded = resource::decode(&reading.documents[0].node, &Arc::from("test"), "a");
    let Some(Resource::AuthorizationPolicy(policy)) = decoded.resource else { panic!("{yaml}") };
    policy
}

/// What policies on trial would do with `GET /a`.
fn check(policies: &[&str], expected: &[&str]) {
    let policies: Vec<AuthorizationPolicy> = policies.iter().map(|line| policy(line)).collect();
    let policies = Policies { understood: policies.iter().collect(), broken: Vec::new() };
    let workload = Workload { namespace: Namespace::from("a"), ..Workload::default() };
    let authorizer = Authorizer::new(&policies, &workload, &Environment::default());
    let explained = authorizer.explain(&request::get("/a")).trials();
    let found: Vec<String> = explained
        .iter()
        .map(|trial| match trial.would {
            Verdict::Allow => format!("{} allow", trial.name),
            Verdict::Deny => format!("{} deny", trial.name),
        })
        .collect();
    assert_eq!(found, expected);
}

const A: &str = "[{to: [{operation: {paths: [/a]}}]}]";
const B: &str = "[{to: [{operation: {paths: [/b]}}]}]";

#[test]
fn a_policy_on_trial_that_matches_would_do_what_its_action_says() {
    check(&[&format!("p? ALLOW {A}"), &format!("d? DENY {A}")], &["d deny", "p allow"]);
    check(&[&format!("d? DENY {B}")], &[]);
}

#[test]
fn allow_policies_on_trial_of_which_none_matches_would_deny() {
    check(&[&format!("p? ALLOW {B}")], &["p deny"]);
    check(&["p? ALLOW []", &format!("q? ALLOW {B}")], &["p deny", "q deny"]);
    check(&["p? ALLOW []", &format!("q? ALLOW {A}")], &["q allow"]);
    // The proxy decides them by themselves, whatever is enforced beside them.
    check(&[&format!("p? ALLOW {B}"), &format!("e ALLOW {A}")], &["p deny"]);
    check(&[&format!("p? ALLOW {B}"), &format!("e ALLOW {B}")], &["p deny"]);
}

#[test]
fn of_what_a_denied_request_does_not_get_to_nothing_is_known() {
    check(&[&format!("p? ALLOW {B}"), &format!("e DENY {A}")], &[]);
}
