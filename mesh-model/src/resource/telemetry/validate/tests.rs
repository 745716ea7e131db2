use serde_json::json;

use crate::resource::testing::check_rules;

#[test]
fn only_the_first_trace_counts_and_tags_hold_something() {
    check_rules(
        "Telemetry",
        &json!({
            "tracing": [
                { "providers": [{ "name": "" }, { "name": "b" }], "randomSamplingPercentage": 101,
                  "customTags": { "t": { "header": {} } } },
                {},
            ],
            "metrics": [{ "overrides": [{ "tagOverrides": {
                "a": {}, "b": { "operation": "REMOVE", "value": "x" },
            } }] }],
        }),
        &[
            "TM-TAG-VALUE metrics[0].overrides[0].tagOverrides.a.value",
            "TM-TAG-VALUE metrics[0].overrides[0].tagOverrides.b.value",
            "TM-MULTI-TRACING tracing",
            "TM-MULTI-PROVIDER tracing[0].providers",
            "TM-PROVIDER tracing[0].providers[0].name",
            "TM-SAMPLING tracing[0].randomSamplingPercentage",
            "TM-CUSTOM-TAG tracing[0].customTags.t.header.name",
        ],
    );
}

#[test]
fn a_filter_has_an_expression() {
    let of = |filter: serde_json::Value| json!({ "accessLogging": [{}, { "filter": filter }] });
    for expression in ["response.code >= 400", "true", " x"] {
        check_rules("Telemetry", &of(json!({ "expression": expression })), &[]);
    }
    for filter in [json!({}), json!({ "expression": "" }), json!({ "expression": " \n" })] {
        check_rules("Telemetry", &of(filter), &["TM-FILTER accessLogging[1].filter.expression"]);
    }
}
