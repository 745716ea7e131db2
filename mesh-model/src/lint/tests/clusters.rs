//! Clusters, topologies, control planes.
use super::{Fixture, networks};

/// Two clusters in one network, with what `cluster.yaml` says of each.
fn pair(first: &str, second: &str) -> Fixture {
    Fixture::default()
        .cluster("c1", "", &["10.0.0.1 r1/z1"])
        .cluster("c2", "", &["10.1.0.1 r1/z2"])
        .file("clusters/c1/cluster.yaml", first)
        .file("clusters/c2/cluster.yaml", second)
}

#[test]
fn ranges_of_one_network_do_not_overlap() {
    let overlapping = pair("podCidrs: [10.0.0.0/8]\n", "podCidrs: [10.1.0.0/16]\n");
    overlapping.has("TOPO-CIDR-POD");
    overlapping.has("HZ-CIDR-OVERLAP");
    pair("podCidrs: [10.0.0.0/16]\n", "podCidrs: [10.1.0.0/16]\n").lacks("HZ-CIDR-OVERLAP");
    pair("podCidrs: [10.0.0.0/16]\n", "podCidrs: [10.1.0.0/16]\n").lacks("TOPO-CIDR-POD");
    let apart =
        pair("podCidrs: [10.0.0.0/8]\nnetwork: a\n", "podCidrs: [10.0.0.0/8]\nnetwork: b\n");
    apart.lacks("TOPO-CIDR-POD");
    apart.has("TOPO-CIDR-OVERLAP-OK");
    pair("serviceCidrs: [172.20.0.0/16]\n", "serviceCidrs: [172.20.0.0/16]\n")
        .has("TOPO-CIDR-SERVICE");
    pair("serviceCidrs: [172.20.0.0/16]\n", "serviceCidrs: [172.21.0.0/16]\n")
        .lacks("TOPO-CIDR-SERVICE");
}

#[test]
fn service_ranges_that_overlap_lose_traffic_where_clients_ask_for_addresses() {
    let check = |version: &str, capture: &str, expected: &str| {
        let ranges = "serviceCidrs: [172.20.0.0/16]\n";
        let mesh =
            format!("defaultConfig: {{proxyMetadata: {{ISTIO_META_DNS_CAPTURE: '{capture}'}}}}\n");
        let found = pair(ranges, &format!("{ranges}istioVersion: {version}\n"))
            .file("mesh.yaml", &mesh)
            .findings();
        let expected = format!("{expected}[TOPO-CIDR-SERVICE]");
        assert!(found.iter().any(|text| text.contains(&expected)), "{expected} in {found:#?}");
    };
    check("1.26.1", "true", "warning");
    check("1.26.1", "1", "warning");
    check("1.26.1", "false", "error");
    check("1.0.6", "true", "error");
}

#[test]
fn clusters_of_one_network_reach_each_other() {
    pair("routable: []\n", "name: c2\n").has("TOPO-ROUTABLE");
    pair("routable: [c2]\n", "routable: [c1]\n").lacks("TOPO-ROUTABLE");
}

#[test]
fn trust_is_shared() {
    let strangers = pair("rootCaFingerprint: a\n", "rootCaFingerprint: b\n");
    strangers.has("TOPO-ROOT-CA");
    strangers.has("HZ-ROOT-CA");
    pair("rootCaFingerprint: a\n", "rootCaFingerprint: a\n").lacks("HZ-ROOT-CA");
    pair("rootCaFingerprint: a\n", "rootCaFingerprint: a\n").lacks("TOPO-ROOT-CA");
    let spelt = pair("rootCaFingerprint: sha256:aa0b\n", "rootCaFingerprint: SHA256:AA:0B\n");
    spelt.lacks("TOPO-ROOT-CA");
    spelt.lacks("HZ-ROOT-CA");
    let domains = || pair("trustDomain: one\n", "trustDomain: two\n");
    domains().has("TOPO-TRUST-DOMAIN");
    let aliases = "trustDomain: one\ntrustDomainAliases: [two]\n";
    domains().file("mesh.yaml", aliases).lacks("TOPO-TRUST-DOMAIN");
}

#[test]
fn nothing_is_made_up_of_a_trust_domain_that_cannot_be_read() {
    let (errors, found) = pair("trustDomain: [one]\n", "trustDomain: one\n").errors_and_findings();
    assert_eq!(errors.len(), 1, "{errors:?}");
    let told = found.iter().find(|text| text.contains("unreadable"));
    assert_eq!(told, None);
    assert!(!found.iter().any(|text| text.contains("TOPO-TRUST-DOMAIN")), "{found:#?}");
}

#[test]
fn configuration_is_read_in_the_cluster_of_the_control_plane() {
    let policy = "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n\
                  metadata: {name: p, namespace: shop}\nspec: {}\n";
    let remote = || pair("role: primary\n", "role: remote\ncontrolPlane: c1\n");
    remote().file("clusters/c2/p.yaml", policy).has("HZ-REMOTE-CONFIG");
    remote().file("clusters/c1/p.yaml", policy).lacks("HZ-REMOTE-CONFIG");
    remote().file("config/p.yaml", policy).lacks("HZ-REMOTE-CONFIG");
    remote().lacks("HZ-REMOTE-CONFIG");
    pair("role: primary\n", "role: primary\n")
        .file("clusters/c2/p.yaml", policy)
        .lacks("HZ-REMOTE-CONFIG");
}

#[test]
fn objects_of_a_revision_are_not_for_all() {
    let labelled = |labels: &str| {
        let text = format!(
            "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n\
             metadata: {{name: p, namespace: shop, labels: {{{labels}}}}}\nspec: {{}}\n"
        );
        pair("name: c1\n", "name: c2\n").file("config/p.yaml", &text)
    };
    labelled("istio.io/rev: canary").has("HZ-REVISION");
    labelled("app: canary").lacks("HZ-REVISION");
}

#[test]
fn a_lost_api_server_leaves_old_endpoints() {
    pair("name: c1\n", "reachable: false\n").has("HZ-REMOTE-API-DOWN");
    pair("name: c1\n", "reachable: true\n").lacks("HZ-REMOTE-API-DOWN");
}

#[test]
fn old_control_planes_know_one_network() {
    let old = "istioVersion: 1.0.6\nnetwork: a\n";
    pair(old, "network: b\n").has("TOPO-MODE-1.0");
    pair(old, "network: a\n").lacks("TOPO-MODE-1.0");
    // Labels and MeshNetworks decide, whatever is described.
    let labelled = |second: &str| {
        Fixture::default()
            .cluster("c1", "n1", &["10.0.0.1 r1/z1"])
            .cluster("c2", second, &["10.1.0.1 r1/z2"])
            .file("clusters/c1/cluster.yaml", "istioVersion: 1.0.6\n")
    };
    labelled("n2").has("TOPO-MODE-1.0");
    labelled("n1").lacks("TOPO-MODE-1.0");
    let listed = |second: &str| {
        let text = format!(
            "networks: {{n1: {{endpoints: [{{fromRegistry: c1}}]}}, {second}: {{endpoints: \
             [{{fromRegistry: c2}}]}}}}\n"
        );
        pair("istioVersion: 1.0.6\n", "name: c2\n").file("networks.yaml", &text)
    };
    listed("n2").has("TOPO-MODE-1.0");
}

/// An `Istio` object of Alibaba Cloud.
fn settings(spec: &str) -> String {
    format!(
        "apiVersion: istio.alibabacloud.com/v1beta1\nkind: Istio\nmetadata: {{name: istio-config, \
         namespace: istio-system}}\nspec: {spec}\n"
    )
}

#[test]
fn the_version_of_a_cluster_is_read_where_it_is_written() {
    let running = |version: &str| {
        let spec = format!("{{version: {version}}}");
        pair("network: a\n", "network: b\n").file("clusters/c1/istio.yaml", &settings(&spec))
    };
    let found = running("1.0.5").findings();
    let place = "clusters/c1/istio.yaml:1:1: error[TOPO-MODE-1.0]: Istio/istio-system/istio-config: \
                 spec.version: ";
    assert!(found.iter().any(|text| text.starts_with(place)), "{found:#?}");
    running("1.1.8").lacks("TOPO-MODE-1.0");
    let ranges = |version: &str| {
        let first = format!("podCidrs: [10.0.0.0/8]\nnetwork: a\nistioVersion: {version}\n");
        pair(&first, "podCidrs: [10.0.0.0/8]\nnetwork: b\n")
    };
    ranges("1.0.6").lacks("TOPO-CIDR-OVERLAP-OK");
    ranges("1.1.8").has("TOPO-CIDR-OVERLAP-OK");
    let described = |version: &str| pair(&format!("istioVersion: {version}\n"), "name: c2\n");
    for wrong in ["banana", "'1'", "1.x", "1.2.3.4", "latest"] {
        described(wrong).has("TOPO-VERSION");
    }
    for right in ["'1.32'", "1.26.2", "v1.26.2", "1.27.0-alpha.1", "''"] {
        described(right).lacks("TOPO-VERSION");
    }
}

#[test]
fn networks_name_clusters_that_exist() {
    let of = |cluster: &str| {
        let text = format!("networks: {{n1: {{endpoints: [{{fromRegistry: {cluster}}}]}}}}\n");
        Fixture::default().cluster("c1", "", &["10.0.0.1 r1/z1"]).file("networks.yaml", &text)
    };
    of("c9").has("IST0126");
    of("c1").lacks("IST0126");
}

#[test]
fn every_cluster_or_none_has_a_network() {
    let mixed = Fixture::default().cluster("c1", "n1", &["10.0.0.1 r1/z1"]).cluster(
        "c2",
        "",
        &["10.1.0.1 r1/z2"],
    );
    mixed.has("TOPO-NETWORK-MIX");
    networks().lacks("TOPO-NETWORK-MIX");
    networks().cluster("c3", "", &["10.2.0.1 r3/z1"]).has("TOPO-SYSTEM-NS");
    networks().lacks("TOPO-SYSTEM-NS");
    networks().file("clusters/c1/cluster.yaml", "network: n7\n").has("TOPO-NETWORK-DIFFERS");
    networks().file("clusters/c1/cluster.yaml", "network: n1\n").lacks("TOPO-NETWORK-DIFFERS");
}

#[test]
fn a_range_of_addresses_is_a_network_only_for_what_is_in_it() {
    let ranges = |range: &str| {
        let text = format!("networks: {{n7: {{endpoints: [{{fromCidr: {range}}}]}}}}\n");
        Fixture::default()
            .cluster("c1", "n1", &["10.0.0.1 r1/z1"])
            .cluster("c2", "", &["10.1.0.1 r1/z2"])
            .file("networks.yaml", &text)
    };
    ranges("10.1.0.0/16").lacks("TOPO-NETWORK-MIX");
    ranges("10.1.0.0/16").lacks("TOPO-SYSTEM-NS");
    ranges("192.168.0.0/16").has("TOPO-NETWORK-MIX");
    ranges("192.168.0.0/16").has("TOPO-SYSTEM-NS");
}

#[test]
fn the_described_network_is_the_one_that_pods_are_in() {
    let described = |network: &str, label: &str, pod: &str| {
        Fixture::default()
            .cluster("c1", label, &[&format!("10.0.0.1 r1/z1{pod}")])
            .file("clusters/c1/cluster.yaml", &format!("network: {network}\n"))
    };
    let listed = "networks: {n7: {endpoints: [{fromRegistry: c1}]}}\n";
    described("n1", "", "").has("TOPO-NETWORK-DIFFERS");
    described("n1", "n1", " topology.istio.io/network=n2").has("TOPO-NETWORK-DIFFERS");
    described("n2", "n1", " topology.istio.io/network=n2").lacks("TOPO-NETWORK-DIFFERS");
    described("n1", "", "").file("networks.yaml", listed).has("TOPO-NETWORK-DIFFERS");
    described("n7", "", "").file("networks.yaml", listed).lacks("TOPO-NETWORK-DIFFERS");
}

#[test]
fn a_remote_cluster_is_served_by_another() {
    pair("role: remote\n", "role: remote\n").has("TOPO-NO-PRIMARY");
    pair("role: primary\n", "role: remote\n").lacks("TOPO-NO-PRIMARY");
    pair("role: remote\n", "name: c2\n").has("TOPO-NO-PRIMARY");
    pair("name: c1\n", "role: remote\n").lacks("TOPO-NO-PRIMARY");
    let external = "role: remote\ncontrolPlane: external\n";
    pair(external, external).lacks("TOPO-NO-PRIMARY");
}

#[test]
fn one_control_plane_for_several_regions_is_told() {
    let one = "role: primary\nregion: r1\n";
    pair(one, "role: remote\nregion: r2\n").has("TOPO-SINGLE-CP");
    pair(one, "role: remote\nregion: r1\n").lacks("TOPO-SINGLE-CP");
}

#[test]
fn primaries_read_each_other_and_have_the_same_rules() {
    let primary = "role: primary\n";
    pair("role: primary\nreads: [c1]\n", primary).has("TOPO-SECRET-MISSING");
    pair(primary, primary).lacks("TOPO-SECRET-MISSING");
    let rule = "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: cart, \
                namespace: shop}\nspec: {host: cart}\n";
    let one = pair(primary, primary).file("clusters/c1/rule.yaml", rule);
    one.has("TOPO-CONFIG-DRIFT");
    one.file("clusters/c2/rule.yaml", rule).lacks("TOPO-CONFIG-DRIFT");
    let servers = pair(primary, primary).cluster("c2", "", &[]).file("clusters/c1/rule.yaml", rule);
    servers.has("HZ-DR-WRONG-CLUSTER");
    servers.file("clusters/c2/rule.yaml", rule).lacks("HZ-DR-WRONG-CLUSTER");
}

#[test]
fn control_planes_do_not_each_sign_for_themselves() {
    let settings = |own: bool| {
        format!(
            "apiVersion: istio.alibabacloud.com/v1beta1\nkind: Istio\nmetadata: {{name: istio-config, \
             namespace: istio-system}}\nspec: {{security: {{selfSigned: {own}}}}}\n"
        )
    };
    let mesh = |second: bool| {
        pair("name: c1\n", "name: c2\n")
            .file("clusters/c1/istio.yaml", &settings(true))
            .file("clusters/c2/istio.yaml", &settings(second))
    };
    mesh(true).has("HZ-ROOT-CA");
    mesh(false).lacks("HZ-ROOT-CA");
}

#[test]
fn what_an_operator_was_asked_for_is_compared_with_what_servers_demand() {
    let code = "HZ-MTLS-INSTALLED";
    let istio = |enabled: &str| {
        let text = format!(
            "apiVersion: istio.alibabacloud.com/v1beta1\nkind: Istio\nmetadata: {{name: istio-config, \
             namespace: istio-system}}\nspec: {{mtls: {{enabled: {enabled}}}}}\n"
        );
        pair("name: c1\n", "name: c2\n").file("clusters/c1/istio.yaml", &text)
    };
    let strict = |mesh: Fixture, namespace: &str| {
        let text = format!(
            "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {{name: default, \
             namespace: {namespace}}}\nspec: {{mtls: {{mode: STRICT}}}}\n"
        );
        mesh.file("config/strict.yaml", &text)
    };
    istio("true").has(code);
    istio("'true'").has(code);
    istio("false").lacks(code);
    istio("null").lacks(code);
    strict(istio("true"), "shop").has(code);
    strict(istio("true"), "istio-system").lacks(code);
    strict(istio("false"), "istio-system").has(code);
    let told = istio("true").findings();
    let told = told.iter().find(|text| text.contains(code)).unwrap();
    assert!(told.contains("error[") && told.contains("is PERMISSIVE"), "{told}");
    assert!(told.starts_with("clusters/c1/istio.yaml:1:1: "), "{told}");
}

#[test]
fn every_cluster_has_an_id_of_its_own() {
    let (errors, found) = pair("name: c1\n", "name: c1\n").errors_and_findings();
    assert_eq!(errors.len(), 1, "the name is not that of the folder: {errors:?}");
    assert!(found.iter().any(|text| text.contains("[TOPO-CLUSTER-ID]")), "{found:?}");
    pair("name: c1\n", "name: c2\n").lacks("TOPO-CLUSTER-ID");
}

#[test]
fn what_a_refused_gateway_selects_is_looked_for_too() {
    let gateway = |app: &str| {
        let spec = format!("{{selector: {{app: {app}}}, servers: []}}");
        pair("name: c1\n", "name: c2\n").object("Gateway", "x", &spec).errors_and_findings().1
    };
    assert!(gateway("nobody").iter().any(|text| text.contains("[IST0127]")));
    assert!(gateway("cart").iter().all(|text| !text.contains("[IST0127]")));
}

#[test]
fn primaries_have_equal_objects_of_every_kind_that_they_read() {
    let specs = [
        ("security", "AuthorizationPolicy", "{rules: [{}]}", "{action: DENY, rules: [{}]}"),
        ("security", "PeerAuthentication", "{mtls: {mode: STRICT}}", "{mtls: {mode: PERMISSIVE}}"),
        (
            "security",
            "RequestAuthentication",
            "{jwtRules: [{issuer: a, jwksUri: \"https://a/k\"}]}",
            "{jwtRules: [{issuer: b, jwksUri: \"https://b/k\"}]}",
        ),
        (
            "networking",
            "Sidecar",
            "{egress: [{hosts: [\"./*\"]}]}",
            "{egress: [{hosts: [\"*/*\"]}]}",
        ),
        (
            "networking",
            "Gateway",
            "{selector: {app: cart}, servers: [{port: {number: 80, name: a, protocol: HTTP}, hosts: [\"*\"]}]}",
            "{selector: {app: cart}, servers: [{port: {number: 81, name: a, protocol: HTTP}, hosts: [\"*\"]}]}",
        ),
        (
            "networking",
            "ServiceEntry",
            "{hosts: [a.example], ports: [{number: 80, name: http, protocol: HTTP}], resolution: DNS}",
            "{hosts: [b.example], ports: [{number: 80, name: http, protocol: HTTP}], resolution: DNS}",
        ),
        ("networking", "WorkloadEntry", "{address: 10.0.0.7}", "{address: 10.0.0.8}"),
        (
            "networking",
            "WorkloadGroup",
            "{template: {serviceAccount: a}}",
            "{template: {serviceAccount: b}}",
        ),
        ("networking", "ProxyConfig", "{concurrency: 1}", "{concurrency: 2}"),
        ("telemetry", "Telemetry", "{tracing: [{}]}", "{metrics: [{}]}"),
        (
            "networking",
            "EnvoyFilter",
            "{configPatches: [{applyTo: CLUSTER, patch: {operation: REMOVE}}]}",
            "{configPatches: [{applyTo: LISTENER, patch: {operation: REMOVE}}]}",
        ),
        ("extensions", "WasmPlugin", "{url: \"oci://a\"}", "{url: \"oci://b\"}"),
    ];
    for (group, kind, one, two) in specs {
        let version = match kind {
            "EnvoyFilter" => "v1alpha3",
            "ProxyConfig" => "v1beta1",
            "WasmPlugin" => "v1alpha1",
            _ => "v1",
        };
        let text = |lead: &str, spec: &str| {
            format!(
                "{lead}apiVersion: {group}.istio.io/{version}\nkind: {kind}\nmetadata: {{name: same, namespace: \
                 shop}}\nspec: {spec}\n"
            )
        };
        let mesh = pair("role: primary\n", "role: primary\n")
            .file("clusters/c1/same.yaml", &text("", one));
        let told = |mesh: Fixture, how: &str| {
            let (_, found) = mesh.errors_and_findings();
            let text = format!("{kind} `shop/same` of `c1` is {how} in `c2`");
            found.iter().any(|it| it.contains("[TOPO-CONFIG-DRIFT]") && it.contains(&text))
        };
        assert!(told(mesh.clone(), "missing"), "a missing {kind}");
        let other = mesh.clone().file("clusters/c2/same.yaml", &text("", two));
        assert!(told(other, "different"), "another {kind}");
        let lead = "# Elsewhere in its file.\n";
        let equal = mesh.file("clusters/c2/same.yaml", &text(lead, one));
        assert!(
            ["missing", "different"].iter().all(|how| !told(equal.clone(), how)),
            "an equal {kind}"
        );
    }
}
