use serde_json::{Value, json};

use crate::resource::testing::check_rules;

fn check(spec: &Value, expected: &[&str]) {
    check_rules("DestinationRule", spec, expected);
}

fn check_policy(policy: &Value, expected: &[&str]) {
    check(&json!({ "host": "cart", "trafficPolicy": policy }), expected);
}

#[test]
fn every_problem_is_told_at_its_place() {
    check(
        &json!({
            "host": "",
            "subsets": [
                { "name": "v.1", "labels": { "a b": "c d" } },
                { "name": "v.1", "trafficPolicy": {} },
            ],
            "exportTo": [".", "shop", "~"],
            "workloadSelector": { "matchLabels": { "app": "*" } },
        }),
        &[
            "HOST-EMPTY host",
            "SUBSET-NAME subsets[0].name",
            "LABEL-KEY subsets[0].labels.a b",
            "LABEL-VALUE subsets[0].labels.a b",
            "SUBSET-DUP subsets[1].name",
            "SUBSET-NAME subsets[1].name",
            "TP-EMPTY subsets[1].trafficPolicy",
            "EXPORT-DUP exportTo[1]",
            "EXPORT-VALUE exportTo[2]",
            "SEL-WILDCARD workloadSelector.matchLabels.app",
        ],
    );
}

#[test]
fn a_rule_for_some_workloads_stays_in_its_namespace() {
    let rule = |export_to: Value| {
        json!({
            "host": "cart", "exportTo": export_to,
            "workloadSelector": { "matchLabels": { "app": "web" } },
        })
    };
    check(&rule(json!(["shop"])), &[]);
    check(&rule(json!(["other"])), &["EXPORT-SELECTOR exportTo"]);
    check(&rule(json!([".", "other"])), &["EXPORT-SELECTOR exportTo"]);
}

#[test]
fn limits_are_not_negative_and_durations_are_milliseconds() {
    check_policy(
        &json!({ "connectionPool": {
            "tcp": { "maxConnections": -1, "connectTimeout": "0s", "idleTimeout": "0s",
                     "tcpKeepalive": { "time": "1500us" } },
            "http": { "idleTimeout": "0s", "useClientProtocol": true,
                      "h2UpgradePolicy": "UPGRADE", "http2KeepAlive": {} },
        } }),
        &[
            "DUR-MIN trafficPolicy.connectionPool.http.idleTimeout",
            "CP-H2-CLIENT trafficPolicy.connectionPool.http.useClientProtocol",
            "CP-KEEPALIVE trafficPolicy.connectionPool.http.http2KeepAlive",
            "CP-KEEPALIVE trafficPolicy.connectionPool.http.http2KeepAlive",
            "CP-NEGATIVE trafficPolicy.connectionPool.tcp.maxConnections",
            "DUR-MIN trafficPolicy.connectionPool.tcp.connectTimeout",
            "DUR-PRECISION trafficPolicy.connectionPool.tcp.tcpKeepalive.time",
        ],
    );
}

#[test]
fn ports_lose_their_warnings_and_keep_their_errors() {
    check_policy(
        &json!({ "portLevelSettings": [
            { "port": { "number": 80 }, "outlierDetection": { "consecutiveErrors": 1 } },
            { "outlierDetection": { "maxEjectionPercent": 101 } },
        ] }),
        &[
            "PTP-PORT trafficPolicy.portLevelSettings[1]",
            "OD-PERCENT trafficPolicy.portLevelSettings[1].outlierDetection.maxEjectionPercent",
        ],
    );
}

#[test]
fn the_order_of_localities_decides_what_overlaps() {
    let check = |from: [&str; 2], expected: &[&str]| {
        let entry = |from: &str| json!({ "from": from, "to": { "x": 100 } });
        let policy = json!({ "outlierDetection": {}, "loadBalancer": { "localityLbSetting": {
            "distribute": [entry(from[0]), entry(from[1])],
        } } });
        check_policy(&policy, expected);
    };
    let overlap: &[&str] =
        &["LLB-LOCALITY-OVERLAP trafficPolicy.loadBalancer.localityLbSetting.distribute"];
    check(["r1/z1", "r1/*"], &[]);
    check(["r1/*", "r1/z1"], overlap);
    check(["r1/z1", "r1"], overlap);
    check(["r1/z1/s1", "r1/z1/s1"], overlap);
    check(["r1/z1/s1", "r1/z1/*"], &[]);
    check(["r1/z1/*", "r1/z1/s1"], overlap);
    check(["r1", "r2"], &[]);
}

#[test]
fn a_tunnel_leads_to_a_host() {
    check_policy(
        &json!({ "tunnel": { "protocol": "GET", "targetHost": "*.x", "targetPort": 0 } }),
        &[
            "TUNNEL-PROTOCOL trafficPolicy.tunnel.protocol",
            "TUNNEL-HOST trafficPolicy.tunnel.targetHost",
            "TUNNEL-PORT trafficPolicy.tunnel.targetPort",
        ],
    );
}
