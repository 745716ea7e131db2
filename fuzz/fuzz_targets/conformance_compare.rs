//! The comparison of conformance suites: any suite can be read or is refused, and every expected
//! value compares equal to itself, whatever freedom its area grants.
#![cfg_attr(fuzzing, no_main)]

use mesh_testkit::conformance::{Suite, compare, rule};

const AREAS: [&str; 6] = ["authz", "endpoints-istio", "lb-envoy", "model", "profiles", "xds"];

mesh_fuzz::target!(|text| {
    let Ok(suite) = serde_json::from_slice::<Suite>(text) else { return };
    for case in &suite.cases {
        for area in AREAS {
            let rule = rule(area, &case.op, &case.note);
            assert_eq!(compare(rule, &case.expect, &case.expect), Ok(()));
        }
    }
});
