//! The authorizer and the specification typed out say the same of random policies and requests.
use mesh_authz::Traffic;
use mesh_model::resource::{Action, AuthorizationPolicy};
use mesh_testkit::oracle::authz as oracle;
use mesh_testkit::strategy::authz::{policies, request};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};

use self::decision::{
    agree, agree_as, authorizer, authorizer_as, environment, explains, with, workload,
};

#[path = "law/decision.rs"]
mod decision;
#[path = "oracle/matrix.rs"]
mod matrix;

fn check(policies: &[AuthorizationPolicy], request: &oracle::Request) -> Result<(), TestCaseError> {
    let authorizer = authorizer(policies);
    agree(policies, &authorizer, request)
        .and_then(|()| explains(&authorizer, request))
        .map_err(TestCaseError::fail)
}

/// How many decisions the longer run compares: more where it costs less.
const DECISIONS: usize = if cfg!(debug_assertions) { 5_000 } else { 2_000_000 };
/// How many requests each set of policies is asked.
const REQUESTS: usize = 100;

/// Many more decisions than the others, from one seed: the run that finds what is rare.
#[test]
fn a_long_run_agrees_with_the_specification() {
    let seed: &[u8; 32] = b"who may call whom, and how often";
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, seed);
    let mut runner = TestRunner::new_with_rng(ProptestConfig::default(), rng);
    let draw = "strategies over words draw whatever is asked of them";
    for run in 0..DECISIONS / REQUESTS {
        // Few policies and many take different ways through the authorizer.
        let size = if run % 4 == 0 { 30 } else { 6 };
        let policies = policies(size).new_tree(&mut runner).expect(draw).current();
        let authorizer = authorizer(&policies);
        for _ in 0..REQUESTS {
            let request = request().new_tree(&mut runner).expect(draw).current();
            if let Err(difference) = agree(&policies, &authorizer, &request) {
                panic!("run {run}: {difference}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn few_policies_agree_with_the_specification(
        policies in policies(5),
        request in request(),
    ) {
        check(&policies, &request)?;
    }

    /// Enough policies that they are found through the index.
    #[test]
    fn many_policies_agree_with_the_specification(
        policies in policies(40),
        request in request(),
    ) {
        check(&policies, &request)?;
    }

    /// Joined headers, templates without a star: what older proxies decide.
    #[test]
    fn older_proxies_agree_with_the_specification(
        policies in policies(12),
        request in request(),
        (joins_headers, has_no_star) in any::<(bool, bool)>(),
    ) {
        let envoy = oracle::Envoy { joins_headers, has_no_star };
        let authorizer = authorizer_as(envoy, &policies);
        agree_as(envoy, &policies, &authorizer, &request)
            .and_then(|()| explains(&authorizer, &request))
            .map_err(TestCaseError::fail)?;
    }

    #[test]
    fn one_more_deny_never_allows_more(
        mut policies in policies(6),
        request in request(),
    ) {
        let full = authorizer(&policies);
        let removed = policies.iter().position(|policy| policy.spec.action == Action::Deny);
        if let Some(removed) = removed {
            policies.remove(removed);
        }
        let without = authorizer(&policies);
        let [full, without] = [&full, &without]
            .map(|authorizer| with(&request, |request| authorizer.decide(request).is_allowed()));
        prop_assert!(without || !full);
    }

    /// Replaced one by one, with an index and without, policies decide as if they had always been there.
    #[test]
    fn a_replaced_policy_decides_as_if_compiled_anew(
        mut all in policies(30),
        others in policies(30),
        requests in prop::collection::vec(request(), 1..6),
    ) {
        let (environment, workload) = (environment(), workload());
        let mut replaced = authorizer(&all);
        for (place, other) in others.into_iter().enumerate().take(all.len()) {
            let new = AuthorizationPolicy { meta: all[place].meta.clone(), spec: other.spec };
            if replaced.replace(&new, &workload, &environment) {
                all[place] = new;
            }
        }
        let anew = authorizer(&all);
        for traffic in [Traffic::Http, Traffic::Tcp] {
            prop_assert_eq!(replaced.chain(traffic), anew.chain(traffic));
        }
        for request in &requests {
            with(request, |request| {
                prop_assert_eq!(replaced.decide(request), anew.decide(request));
                Ok(())
            })?;
        }
    }

    #[test]
    fn the_order_of_policies_does_not_matter(
        mut policies in policies(12),
        request in request(),
    ) {
        let forward = authorizer(&policies);
        policies.reverse();
        let backward = authorizer(&policies);
        with(&request, |request| {
            prop_assert_eq!(forward.decide(request), backward.decide(request));
            Ok(())
        })?;
    }
}
