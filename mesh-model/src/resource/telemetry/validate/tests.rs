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
