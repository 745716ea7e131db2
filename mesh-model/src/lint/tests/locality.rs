//! Failover and shares by locality.
use super::{Fixture, networks, spread};

const FAILOVER: &str = "loadBalancer: {localityLbSetting: {failover: [{from: r1, to: r2}]}}";
const GUARD: &str = "outlierDetection: {maxEjectionPercent: 100}";

#[test]
fn failover_without_outlier_detection_never_happens() {
    spread().policy(&format!("{{{FAILOVER}}}")).has("HZ-FAILOVER-NO-OD");
    spread().policy(&format!("{{{FAILOVER}, {GUARD}}}")).lacks("HZ-FAILOVER-NO-OD");
}

#[test]
fn the_mesh_setting_needs_outlier_detection_too() {
    spread().has("HZ-FAILOVER-NO-OD");
    spread().file("mesh.yaml", "localityLbSetting: {enabled: false}\n").lacks("HZ-FAILOVER-NO-OD");
}

#[test]
fn endpoints_without_locality_come_last() {
    let lost = Fixture::default().cluster("c1", "", &["10.0.0.1 r1/z1", "10.0.0.2"]);
    lost.policy(&format!("{{{GUARD}}}")).has("HZ-LOCALITY-MISSING");
    spread().policy(&format!("{{{GUARD}}}")).lacks("HZ-LOCALITY-MISSING");
}

#[test]
fn clients_without_locality_prefer_no_endpoint() {
    let client = |containers: &str, node: &str| {
        let text = format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: web, namespace: web}}\nspec: {{nodeName: {node}, \
             containers: [{{name: web}}{containers}]}}\nstatus: {{podIP: 10.0.9.1}}\n"
        );
        spread().file("clusters/c1/web.yaml", &text)
    };
    let sidecar = ", {name: istio-proxy}";
    let guarded = format!("{{{GUARD}}}");
    let found = client(sidecar, "gone").policy(&guarded).findings();
    let text = "1 clients, such as `c1/web/web`, have no locality: to them all endpoints of `cart.shop.svc.cluster.local` \
                are equally far";
    assert!(
        found.iter().any(|it| it.contains("HZ-LOCALITY-MISSING") && it.contains(text)),
        "{found:#?}"
    );
    client(sidecar, "c1-0").policy(&guarded).lacks("HZ-LOCALITY-MISSING");
    client("", "gone").policy(&guarded).lacks("HZ-LOCALITY-MISSING");
    let labels = "loadBalancer: {localityLbSetting: {failoverPriority: [version]}}";
    client(sidecar, "gone").policy(&format!("{{{GUARD}, {labels}}}")).lacks("HZ-LOCALITY-MISSING");
    client(sidecar, "gone").policy(&format!("{{{FAILOVER}}}")).lacks("HZ-LOCALITY-MISSING");
    let one = Fixture::default().cluster("c1", "", &["10.0.0.1 r1/z1"]);
    let lost = client(sidecar, "gone").0.remove("clusters/c1/web.yaml").unwrap();
    one.file("clusters/c1/web.yaml", &lost).policy(&guarded).lacks("HZ-LOCALITY-MISSING");
}

#[test]
fn clusters_in_one_zone_are_not_told_apart() {
    let same = Fixture::default().cluster("c1", "", &["10.0.0.1 r1/z1"]).cluster(
        "c2",
        "",
        &["10.1.0.1 r1/z1"],
    );
    same.has("HZ-LOCALITY-SAME");
    let other = Fixture::default().cluster("c1", "", &["10.0.0.1 r1/z1"]).cluster(
        "c2",
        "",
        &["10.1.0.1 r1/z2"],
    );
    other.lacks("HZ-LOCALITY-SAME");
}

#[test]
fn a_failover_target_has_endpoints() {
    let to = |region: &str| {
        format!(
            "{{{GUARD}, loadBalancer: {{localityLbSetting: {{failover: [{{from: r1, to: {region}}}]}}}}}}"
        )
    };
    spread().policy(&to("r9")).has("HZ-FAILOVER-TARGET-EMPTY");
    spread().policy(&to("r2")).lacks("HZ-FAILOVER-TARGET-EMPTY");
    let off = to("r9").replace("{failover", "{enabled: false, failover");
    spread().policy(&off).lacks("HZ-FAILOVER-TARGET-EMPTY");
    let unguarded = "{loadBalancer: {localityLbSetting: {failover: [{from: r1, to: r9}]}}}";
    spread().policy(unguarded).has("HZ-FAILOVER-NO-OD");
    spread().policy(unguarded).lacks("HZ-FAILOVER-TARGET-EMPTY");
}

#[test]
fn labels_are_lost_behind_gateways() {
    let by = |label: &str| {
        format!("{{{GUARD}, loadBalancer: {{localityLbSetting: {{failoverPriority: [{label}]}}}}}}")
    };
    networks().policy(&by("version")).has("HZ-GW-LABELS");
    let twice = networks().policy(&by("version, version=v2")).findings();
    let text = twice.iter().find(|text| text.contains("[HZ-GW-LABELS]")).unwrap();
    assert_eq!(text.matches("`version`").count(), 1, "{text}");
    networks().policy(&by("topology.istio.io/network")).lacks("HZ-GW-LABELS");
    spread().policy(&by("version")).lacks("HZ-GW-LABELS");
}

#[test]
fn a_rule_beats_the_wish_of_the_service() {
    let near = "apiVersion: v1\nkind: Service\nmetadata: {name: near, namespace: shop}\nspec: \
                {clusterIP: 172.20.0.7, trafficDistribution: PreferClose, ports: [{name: http, port: 80}]}\n";
    let rule = format!("{{host: near, trafficPolicy: {{{FAILOVER}, {GUARD}}}}}");
    let mesh = spread().file("clusters/c1/near.yaml", near);
    mesh.clone().rule("near", &rule).has("HZ-TRAFFIC-DISTRIBUTION");
    mesh.rule("near", &format!("{{host: near, trafficPolicy: {{{GUARD}}}}}"))
        .lacks("HZ-TRAFFIC-DISTRIBUTION");
}

#[test]
fn shares_name_localities_that_exist_and_all_of_them() {
    let to = |to: &str| {
        format!(
            "{{loadBalancer: {{localityLbSetting: {{distribute: [{{from: \"r1/*\", to: {to}}}]}}}}}}"
        )
    };
    spread().policy(&to("{\"r1/*\": 80, \"r9/*\": 20}")).has("HZ-DISTRIBUTE-DEAD");
    spread().policy(&to("{\"r1/*\": 80, \"r9/*\": 20}")).has("HZ-DISTRIBUTE-OMITS");
    let whole = spread().policy(&to("{\"r1/*\": 80, \"r2/*\": 20}"));
    whole.lacks("HZ-DISTRIBUTE-DEAD");
    whole.lacks("HZ-DISTRIBUTE-OMITS");
    whole.lacks("LLB-ORDER-DEPENDENT");
    spread().policy(&to("{\"r1/z1\": 80, \"r1/*\": 20}")).has("LLB-ORDER-DEPENDENT");
    spread().policy(&to("{\"r2/*\": 80, \"*\": 20}")).has("LLB-ORDER-DEPENDENT");
}
