use serde_json::json;

use crate::resource::testing::check_rules;

#[test]
fn ports_are_ports_of_selected_workloads() {
    let selector = json!({ "matchLabels": { "app": "web" } });
    check_rules(
        "PeerAuthentication",
        &json!({ "portLevelMtls": {}, "selector": selector }),
        &["PA-PORT-EMPTY portLevelMtls"],
    );
    check_rules(
        "PeerAuthentication",
        &json!({ "portLevelMtls": { "0": {}, "70000": {} } }),
        &[
            "PA-PORT-NEEDS-SELECTOR portLevelMtls",
            "PORT-RANGE portLevelMtls.0",
            "PORT-RANGE portLevelMtls.70000",
        ],
    );
}
