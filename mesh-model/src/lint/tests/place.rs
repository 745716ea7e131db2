//! Findings point at the fields that they are about.
use super::{Fixture, networks};
use crate::Compat;
use crate::lint::{lint, point_at_fields};
use crate::manifest::Limits;
use crate::registry::{Origin, Registry, Source};

/// The findings of a mesh with one code as `FILE:LINE:COLUMN FIELD`.
fn places(mesh: &Fixture, code: &str) -> Vec<String> {
    let sources = mesh.0.iter().map(|(name, text)| Source {
        origin: Origin::of_path(name).unwrap(),
        name: name.as_str().into(),
        text: text.clone().into_bytes(),
    });
    let mut registry = Registry::new(Compat::default()).with_all_places();
    registry.load(sources);
    let mut found = lint(&registry.mesh());
    let text_of = |file: &str| mesh.0.get(file).map(|text| text.clone().into_bytes());
    point_at_fields(&mut found, &Limits::default(), text_of);
    let told = found.iter().filter(|finding| finding.code == code);
    told.map(|it| format!("{}:{}:{} {}", it.file, it.place.line, it.place.column, it.field))
        .collect()
}

/// Checks where a finding about the object behind another one in a file points.
#[track_caller]
fn check(kind: &str, spec: &str, code: &str, expected: &[&str]) {
    let group = match kind {
        "AuthorizationPolicy" | "PeerAuthentication" => "security.istio.io",
        "Telemetry" => "telemetry.istio.io",
        _ => "networking.istio.io",
    };
    let text = format!(
        "apiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {{name: other, namespace: else}}\n\
         spec: {{egress: [{{hosts: ['./*']}}]}}\n---\n\
         apiVersion: {group}/v1\nkind: {kind}\nmetadata: {{name: object, namespace: shop}}\nspec:\n{spec}"
    );
    let mesh = Fixture::default()
        .cluster("c1", "", &["10.0.0.1 r1/z1", "10.0.0.2 r1/z2", "10.0.0.3 r2/z1"])
        .file("config/a.yaml", &text);
    assert_eq!(places(&mesh, code), expected);
}

#[test]
fn a_route_s_destination_is_pointed_at() {
    check(
        "VirtualService",
        "  hosts: [cart]\n  http:\n  - route:\n    - destination: {host: cart}\n  - route:\n    - \
         destination:\n        subset: v9\n        host: cart\n",
        "HZ-SUBSET-UNDEFINED",
        &["config/a.yaml:16:9 spec.http[1].route[0].destination.subset"],
    );
    check(
        "VirtualService",
        "  hosts: [cart]\n  http:\n  - route:\n    - destination:\n        host: nobody\n",
        "IST0101",
        &["config/a.yaml:14:9 spec.http[0].route[0].destination.host"],
    );
}

#[test]
fn what_is_written_in_snake_case_is_found() {
    check(
        "DestinationRule",
        "  host: cart\n  traffic_policy:\n    load_balancer:\n      locality_lb_setting:\n        failover:\n        \
         - {from: r1, to: r9}\n    outlier_detection: {interval: 10s}\n",
        "HZ-FAILOVER-TARGET-EMPTY",
        &["config/a.yaml:15:22 spec.trafficPolicy.loadBalancer.localityLbSetting.failover[0].to"],
    );
}

#[test]
fn what_is_not_written_is_where_it_would_be() {
    check(
        "DestinationRule",
        "  host: cart\n  trafficPolicy:\n    outlierDetection: {interval: 10s}\n",
        "HZ-OD-CANNOT-EJECT",
        &["config/a.yaml:12:5 spec.trafficPolicy.outlierDetection.maxEjectionPercent"],
    );
}

#[test]
fn the_locality_without_endpoints_is_pointed_at() {
    check(
        "DestinationRule",
        "  host: cart\n  trafficPolicy:\n    loadBalancer:\n      localityLbSetting:\n        distribute:\n        \
         - from: r1\n          to:\n            r1/*: 60\n            r9/z.1/*: 40\n",
        "HZ-DISTRIBUTE-DEAD",
        &["config/a.yaml:18:13 \
           spec.trafficPolicy.loadBalancer.localityLbSetting.distribute[0].to.r9/z.1/*"],
    );
}

#[test]
fn findings_without_a_text_stay_where_they_are() {
    let mesh =
        Fixture::default().cluster("c1", "", &["10.0.0.1 r1/z1"]).rule("r", "{host: nobody}");
    assert_eq!(places(&mesh, "IST0174"), ["config/DestinationRule-r.yaml:4:8 spec.host"]);
    let mut registry = Registry::new(Compat::default());
    registry.load(mesh.0.iter().map(|(name, text)| Source {
        origin: Origin::of_path(name).unwrap(),
        name: name.as_str().into(),
        text: text.clone().into_bytes(),
    }));
    let mut found = lint(&registry.mesh());
    let before = found.clone();
    point_at_fields(&mut found, &Limits::default(), |_| None);
    assert_eq!(found, before);
    // A text that is another by now has nothing where the object stood.
    point_at_fields(&mut found, &Limits::default(), |_| Some(b"\n- 1\n".to_vec()));
    assert_eq!(found, before);
}

#[test]
fn what_is_wrong_between_clusters_is_pointed_at() {
    let check = |mesh: &Fixture, code: &str, expected: &str| {
        assert_eq!(places(mesh, code), [expected]);
    };
    let gateway = |status: &str| {
        let text = format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: ew, namespace: istio-system, labels: \
             {{topology.istio.io/network: n2}}}}\nspec: {{type: LoadBalancer, ports: [{{name: tls, port: \
             15443}}]}}\nstatus:\n  loadBalancer:\n    ingress:\n    - ip: 34.9.9.9\n    - {status}\n"
        );
        networks().file("clusters/c2/gateway.yaml", &text)
    };
    let ingress = "clusters/c2/gateway.yaml:9:7 status.loadBalancer.ingress[1]";
    check(&gateway("ip: 10.9.9.9"), "TOPO-GATEWAY-PRIVATE", &format!("{ingress}.ip"));
    check(&gateway("hostname: a.example"), "HZ-EW-HOSTNAME", &format!("{ingress}.hostname"));
    let listed = "networks:\n  n2:\n    endpoints: [{fromRegistry: c2}]\n    gateways:\n    - port: 15443\n      \
                  address: fd00::1\n";
    let listed = networks().file("networks.yaml", listed);
    let expected = "networks.yaml:6:7 networks.n2.gateways[0].address";
    check(&listed, "TOPO-GATEWAY-PRIVATE", expected);
    let bare = networks().cluster("c3", "", &["10.2.0.1 r3/z1"]);
    let described =
        bare.file("clusters/c3/cluster.yaml", "name: c3\nrole: remote\ncontrolPlane: c1\n");
    check(&described, "TOPO-NETWORK-MIX", "clusters/c3/cluster.yaml:1:1 network");
    check(&described, "TOPO-SYSTEM-NS", "clusters/c3/cart.yaml:3:32 metadata.labels");
    let primary = "name: c1\nregion: r1\nrole: primary\n";
    let remote = "role: remote\ncontrolPlane: c1\nregion: r2\n";
    let single = networks().file("clusters/c1/cluster.yaml", primary);
    let single = single.file("clusters/c2/cluster.yaml", remote);
    check(&single, "TOPO-SINGLE-CP", "clusters/c1/cluster.yaml:3:1 role");
    let elsewhere = single.file(
        "clusters/c2/db.yaml",
        "apiVersion: v1\nkind: Service\nmetadata: {name: db, namespace: shop}\nspec: {clusterIP: 172.20.0.7, ports: \
         [{name: tcp, port: 80}]}\n",
    );
    check(&elsewhere, "HZ-VIP-PER-CLUSTER", "clusters/c1/cluster.yaml:1:1 name");
}

/// Checks that a hazard is found once, and where.
#[track_caller]
fn check_place(mesh: &Fixture, code: &str, expected: &str) {
    assert_eq!(places(mesh, code), [expected]);
}

#[test]
fn what_speaks_no_mutual_tls_is_pointed_at() {
    let code = "HZ-PLAINTEXT-CROSS-NETWORK";
    let plain = networks().cluster("c2", "n2", &["10.1.0.1 r2/z1 plain", "10.1.0.2 r2/z1"]);
    check_place(&plain, code, "clusters/c1/cart.yaml:8:31 spec.selector");
    let rule = networks().policy("{tls: {mode: DISABLE}}");
    let expected = "config/DestinationRule-rule.yaml:4:42 spec.trafficPolicy.tls.mode";
    check_place(&rule, code, expected);
    let entry = |more: &str| {
        let spec = format!(
            "{{hosts: [db.test], ports: [{{number: 80, name: tcp, protocol: TCP}}], resolution: STATIC,              location: MESH_INTERNAL, {more}}}"
        );
        networks().object("ServiceEntry", "db", &spec)
    };
    let machine = |address: &str, more: &str| format!("{{address: {address}, network: {more}}}");
    let near = machine("10.0.8.1", "n1, serviceAccount: db");
    let listed = |far: &str| entry(&format!("endpoints: [{near}, {}]", machine("10.1.8.1", far)));
    let expected = "config/ServiceEntry-db.yaml:4:199 spec.endpoints[1].serviceAccount";
    check_place(&listed("n2"), code, expected);
    let off = "n2, serviceAccount: db, labels: {security.istio.io/tlsMode: disabled}";
    let expected = "config/ServiceEntry-db.yaml:4:252 spec.endpoints[1].labels";
    check_place(&listed(off), code, expected);
    let far = machine("10.1.8.1", "n2, labels: {app: db}");
    let near = near.replace('}', ", labels: {app: db}}");
    let selected = entry("workloadSelector: {labels: {app: db}}")
        .object("WorkloadEntry", "near", &near)
        .object("WorkloadEntry", "far", &far);
    check_place(&selected, code, "config/WorkloadEntry-far.yaml:4:1 spec.serviceAccount");
}

#[test]
fn the_zone_that_several_clusters_have_is_pointed_at() {
    let cluster = |place: &str| {
        let one = Fixture::default().cluster("c1", "", &[&format!("10.0.0.1 {place}")]);
        one.cluster("c2", "", &[&format!("10.1.0.1 {place}")])
    };
    let expected = "clusters/c1/cart.yaml:12:70 metadata.labels.topology.kubernetes.io/zone";
    check_place(&cluster("r1/z1"), "HZ-LOCALITY-SAME", expected);
    let own = cluster("r1/z1 istio-locality=r2.z2");
    let expected = "clusters/c1/cart.yaml:16:52 metadata.labels.istio-locality";
    check_place(&own, "HZ-LOCALITY-SAME", expected);
}

#[test]
fn objects_that_nobody_reads_or_not_everybody_are_pointed_at() {
    let rule = "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: r, namespace: \
                shop}\nspec: {host: cart, trafficPolicy: {tls: {mode: SIMPLE}}}\n";
    let pair = |role: &str| {
        Fixture::default()
            .cluster("c1", "", &["10.0.0.1 r1/z1"])
            .cluster("c2", "", &["10.1.0.1 r1/z2"])
            .file("clusters/c1/cluster.yaml", "role: primary\n")
            .file("clusters/c2/cluster.yaml", role)
    };
    let unread = pair("role: remote\ncontrolPlane: c1\n").file("clusters/c2/rule.yaml", rule);
    check_place(&unread, "HZ-REMOTE-CONFIG", "clusters/c2/rule.yaml:2:1 kind");
    let one = pair("role: primary\n").file("clusters/c1/rule.yaml", rule);
    check_place(&one, "TOPO-CONFIG-DRIFT", "clusters/c1/rule.yaml:3:12 metadata.name");
    let both = one.file("clusters/c2/rule.yaml", &rule.replace("SIMPLE", "DISABLE"));
    let field = "4:42 spec.trafficPolicy.tls.mode";
    let expected = ["c1", "c2"].map(|id| format!("clusters/{id}/rule.yaml:{field}"));
    assert_eq!(places(&both, "TOPO-CONFIG-DRIFT"), expected);
}

/// Checks what is told at the first of two clusters of an object that both have, in a block below `spec:`.
#[track_caller]
fn check_drift(kind: &str, [one, two]: [&str; 2], place: &str, fields: &str) {
    let version = if kind == "EnvoyFilter" { "v1alpha3" } else { "v1" };
    let text = |spec: &str| {
        format!(
            "apiVersion: networking.istio.io/{version}\nkind: {kind}\nmetadata: {{name: r, namespace: shop}}\nspec:\n{spec}"
        )
    };
    let mesh = Fixture::default()
        .cluster("c1", "", &["10.0.0.1 r1/z1"])
        .cluster("c2", "", &["10.1.0.1 r1/z2"])
        .file("clusters/c1/cluster.yaml", "role: primary\n")
        .file("clusters/c2/cluster.yaml", "role: primary\n")
        .file("clusters/c1/r.yaml", &text(one))
        .file("clusters/c2/r.yaml", &text(two));
    let found = mesh.findings();
    let drift = found.iter().filter(|it| it.contains("[TOPO-CONFIG-DRIFT]"));
    let told: Vec<&String> = drift.filter(|it| it.contains("of `c1`")).collect();
    let message = format!("{kind} `shop/r` of `c1` is different in `c2`, in {fields}: ");
    assert!(told.len() == 1 && told.iter().all(|it| it.contains(&message)), "{told:#?}");
    let places = places(&mesh, "TOPO-CONFIG-DRIFT");
    assert!(places.contains(&format!("clusters/c1/r.yaml:{place}")), "{places:#?}");
}

#[test]
fn the_first_field_that_two_primaries_do_not_share_is_pointed_at() {
    let check = |specs, place, fields| check_drift("DestinationRule", specs, place, fields);
    // What says the same is no difference, however it is written.
    check(
        [
            "  host: cart\n  trafficPolicy:\n    outlierDetection:\n      baseEjectionTime: 1m\n      interval: 5s\n",
            "  traffic_policy:\n    outlier_detection: {interval: 5000ms, base_ejection_time: 61s}\n  host: cart\n",
        ],
        "8:7 spec.trafficPolicy.outlierDetection.baseEjectionTime",
        "1 field",
    );
    // One that the other has is where it would be; an item is a field, and so is all of a block.
    check(
        [
            "  host: cart\n  subsets:\n  - name: a\n    labels: {v: a}\n  - name: b\n",
            "  host: cart\n  subsets:\n  - name: a\n    labels: {v: a, w: b}\n  exportTo: ['.']\n",
        ],
        "8:5 spec.subsets[0].labels.w",
        "3 fields",
    );
    // A number that is given counts, even where it is the default.
    check(
        [
            "  host: cart\n  trafficPolicy: {outlierDetection: {consecutive5xxErrors: 0}}\n",
            "  host: cart\n  trafficPolicy: {outlierDetection: {}}\n",
        ],
        "6:38 spec.trafficPolicy.outlierDetection.consecutive5xxErrors",
        "1 field",
    );
    check_drift(
        "VirtualService",
        [
            "  hosts: [cart]\n  http:\n  - match: [{uri: {exact: /a}}]\n    route: [{destination: {host: cart}}]\n",
            "  hosts: [cart]\n  http:\n  - match: [{uri: {prefix: /a}}]\n    route: [{destination: {host: cart}}]\n",
        ],
        "7:20 spec.http[0].match[0].uri.exact",
        "2 fields",
    );
    check_drift(
        "EnvoyFilter",
        [
            "  priority: 1\n  configPatches:\n  - applyTo: CLUSTER\n    patch: {operation: REMOVE}\n",
            "  configPatches:\n  - patch: {operation: MERGE}\n    applyTo: CLUSTER\n  priority: 1\n",
        ],
        "8:13 spec.configPatches[0].patch.operation",
        "1 field",
    );
}

#[test]
fn the_labels_of_a_namespace_with_several_proxies_are_pointed_at() {
    let pod = |name: &str, image: &str| {
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: shop}}\nspec: {{containers: \
             [{{name: istio-proxy, image: \"{image}\"}}]}}\nstatus: {{podIP: 10.0.9.8}}\n---\n"
        )
    };
    let namespace = super::namespace("shop", "{istio-injection: enabled}");
    let mesh = Fixture::default()
        .cluster("c1", "", &[])
        .file("clusters/c1/pods.yaml", &(pod("a", "p:1") + &pod("b", "p:2") + &namespace));
    check_place(&mesh, "IST0158", "clusters/c1/pods.yaml:15:24 metadata.labels");
    let found = mesh.findings();
    let text = "different images, `p:1 of a`, `p:2 of b`: ";
    assert!(found.iter().any(|it| it.contains(text)), "{found:#?}");
}
