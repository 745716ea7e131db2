//! Known defects that change where traffic goes: both shares, with the defect and with its switch.
#![expect(clippy::unwrap_used, reason = "helpers of tests may fail like tests")]
use std::fmt::Write as _;
use std::sync::Arc;

use mesh_lb::lint::lint;
use mesh_lb::whatif::Outcome;
use mesh_model::Compat;
use mesh_model::compat::Fixes;
use mesh_model::manifest::Severity;
use mesh_model::registry::{Mesh, Origin, Registry, Source};
use mesh_model::view::Subset;

/// A cluster of a network: `cart` with an endpoint for each place and version, and a gateway.
fn cluster(name: &str, network: &str, gateway: &str, endpoints: &[(&str, &str, &str)]) -> Source {
    let mut text = format!(
        "apiVersion: v1\nkind: Namespace\nmetadata: {{name: istio-system, labels: \
         {{topology.istio.io/network: {network}}}}}\n---\napiVersion: v1\nkind: Service\nmetadata: {{name: \
         ew, namespace: istio-system, labels: {{topology.istio.io/network: {network}}}}}\nspec: {{type: \
         LoadBalancer, ports: [{{name: tls, port: 15443}}]}}\nstatus: {{loadBalancer: {{ingress: [{{ip: \
         {gateway}}}]}}}}\n---\napiVersion: v1\nkind: Service\nmetadata: {{name: cart, namespace: \
         shop}}\nspec: {{clusterIP: 172.20.0.1, ports: [{{name: http, port: 80}}]}}\n"
    );
    let mut addresses = String::new();
    for (index, (address, zone, version)) in endpoints.iter().enumerate() {
        let _ = write!(
            text,
            "---\napiVersion: v1\nkind: Node\nmetadata: {{name: {name}-{index}, labels: \
             {{topology.kubernetes.io/region: r1, topology.kubernetes.io/zone: {zone}}}}}\n---\n\
             apiVersion: v1\nkind: Pod\nmetadata: {{name: cart-{index}, namespace: shop, labels: {{version: \
             {version}, security.istio.io/tlsMode: istio}}}}\nspec: {{nodeName: {name}-{index}, containers: \
             [{{name: cart}}, {{name: istio-proxy}}]}}\nstatus: {{phase: Running, podIP: {address}}}\n"
        );
        let _ = writeln!(
            addresses,
            "- {{addresses: [{address}], nodeName: {name}-{index}, targetRef: {{kind: Pod, name: \
             cart-{index}, namespace: shop}}}}"
        );
    }
    let _ = write!(
        text,
        "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {{name: cart, namespace: shop, \
         labels: {{kubernetes.io/service-name: cart}}}}\naddressType: IPv4\nports: [{{name: http, port: \
         8080}}]\nendpoints:\n{addresses}"
    );
    Source {
        origin: Origin::Cluster(name.into()),
        name: format!("{name}.yaml").into(),
        text: text.into_bytes(),
    }
}

fn rule(policy: &str) -> Source {
    let text = format!(
        "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: cart, namespace: \
         shop}}\nspec: {{host: cart, trafficPolicy: {policy}}}\n"
    );
    Source { origin: Origin::Config, name: "rule.yaml".into(), text: text.into_bytes() }
}

fn mesh(sources: &[Source], fixes: Fixes) -> Arc<Mesh> {
    let mut registry = Registry::new(Compat { fixes, ..Compat::default() });
    let found = registry.load(sources.iter().cloned());
    assert_eq!(found.iter().map(ToString::to_string).collect::<Vec<_>>(), [""; 0]);
    registry.mesh()
}

/// The shares of the clusters for a client, as `CLUSTER PRIORITY SHARE`.
fn shares(mesh: &Mesh) -> Vec<String> {
    let proxy = mesh.proxy("c1/shop/cart-0").unwrap();
    let view = mesh.view(&proxy).unwrap();
    let destination = view.destination("cart", 80, Subset::None).unwrap();
    let cells = Outcome::now(&view, &destination).cells();
    let used = cells.iter().filter(|cell| cell.share > 0.0);
    used.map(|cell| format!("{} P{} {:.1}", cell.cluster, cell.priority, cell.share)).collect()
}

fn check(sources: &[Source], code: &str, fixes: Fixes, shares_of: (&[&str], &[&str])) {
    let as_upstream = mesh(sources, Fixes::default());
    assert_eq!(shares(&as_upstream), shares_of.0);
    assert_eq!(shares(&mesh(sources, fixes)), shares_of.1);
    let found: Vec<String> = lint(&as_upstream).iter().map(ToString::to_string).collect();
    assert!(found.iter().any(|text| text.contains(&format!("[{code}]"))), "{found:?}");
    let mended = lint(&mesh(sources, fixes));
    assert!(mended.iter().all(|one| one.code != code), "{mended:?}");
}

#[test]
fn a_cluster_that_spans_localities_keeps_its_weight_with_the_switch() {
    let near = cluster(
        "c1",
        "n1",
        "34.1.1.1",
        &[
            ("10.0.0.1", "z1", "v1"),
            ("10.0.0.2", "z1", "v1"),
            ("10.0.0.3", "z1", "v1"),
            ("10.0.0.4", "z1", "v1"),
        ],
    );
    let far = |zones: [&str; 4]| {
        let [a, b, c, d] = zones;
        let endpoints = [
            ("10.1.0.1", a, "v1"),
            ("10.1.0.2", b, "v1"),
            ("10.1.0.3", c, "v1"),
            ("10.1.0.4", d, "v1"),
        ];
        cluster("c2", "n2", "34.2.2.2", &endpoints)
    };
    check(
        &[near.clone(), far(["z2", "z2", "z3", "z3"])],
        "HZ-GW-WEIGHTS",
        Fixes { gateway_weights: true, ..Fixes::default() },
        (&["c1 P0 66.7", "c2 P0 33.3"], &["c1 P0 50.0", "c2 P0 50.0"]),
    );
    let told = lint(&mesh(&[near.clone(), far(["z2", "z2", "z3", "z3"])], Fixes::default()));
    let fields = told.iter().filter(|one| one.code == "HZ-GW-WEIGHTS").map(|one| &*one.field);
    assert_eq!(fields.collect::<Vec<_>>(), ["spec.ports[0]"]);
    let whole = mesh(&[near, far(["z2"; 4])], Fixes::default());
    assert_eq!(shares(&whole), ["c1 P0 50.0", "c2 P0 50.0"]);
    assert!(lint(&whole).iter().all(|one| one.code != "HZ-GW-WEIGHTS"));
}

#[test]
fn labels_behind_a_gateway_count_with_the_switch() {
    let policy = |label: &str| {
        rule(&format!(
            "{{outlierDetection: {{}}, loadBalancer: {{localityLbSetting: {{failoverPriority: [{label}]}}}}}}"
        ))
    };
    // The client is of v1; so are all endpoints of the other cluster, and one of its own is not.
    let near =
        || cluster("c1", "n1", "34.1.1.1", &[("10.0.0.1", "z1", "v1"), ("10.0.0.2", "z1", "v2")]);
    let far = || cluster("c2", "n2", "34.2.2.2", &[("10.1.0.1", "z1", "v1")]);
    check(
        &[near(), far(), policy("version")],
        "HZ-GW-LABELS",
        Fixes { gateway_labels: true, ..Fixes::default() },
        (&["c1 P0 100.0"], &["c1 P0 50.0", "c2 P0 50.0"]),
    );
    let told = lint(&mesh(&[near(), far(), policy("version")], Fixes::default()));
    let told = told.iter().find(|one| one.code == "HZ-GW-LABELS").unwrap();
    let field = "spec.trafficPolicy.loadBalancer.localityLbSetting.failoverPriority";
    assert_eq!((&*told.object, &*told.field), ("DestinationRule/shop/cart", field));
    let settings = Source {
        origin: Origin::MeshConfig,
        name: "mesh.yaml".into(),
        text: b"localityLbSetting: {failoverPriority: [version]}\n".to_vec(),
    };
    let told =
        lint(&mesh(&[near(), far(), rule("{outlierDetection: {}}"), settings], Fixes::default()));
    let told = told.iter().find(|one| one.code == "HZ-GW-LABELS").unwrap();
    let field = "localityLbSetting.failoverPriority";
    assert_eq!((&*told.object, &*told.field), ("MeshConfig", field));
    let by_network = mesh(&[near(), far(), policy("topology.istio.io/network")], Fixes::default());
    assert!(lint(&by_network).iter().all(|one| one.code != "HZ-GW-LABELS"));
}

/// What is said of a code.
fn message(sources: &[Source], code: &str) -> Option<String> {
    let found = lint(&mesh(sources, Fixes::default()));
    found.into_iter().find(|one| one.code == code).map(|one| one.message)
}

#[test]
fn a_defect_of_a_subset_is_told_with_both_shares_and_a_client_that_has_them() {
    let near =
        cluster("c1", "n1", "34.1.1.1", &[("10.0.0.1", "z1", "v1"), ("10.0.0.2", "z1", "v2")]);
    let far = cluster("c2", "n2", "34.2.2.2", &[("10.1.0.1", "z1", "v1")]);
    let text = "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: cart, namespace: \
                shop}\nspec: {host: cart, subsets: [{name: all, trafficPolicy: {outlierDetection: {}, \
                loadBalancer: {localityLbSetting: {failoverPriority: [version]}}}}]}\n";
    let of_subset = Source { text: text.as_bytes().to_vec(), ..rule("{}") };
    let text = message(&[near, far, of_subset], "HZ-GW-LABELS").unwrap();
    let now = "clients like `c1/shop/cart-0` in `r1/z1` send `cart.shop.svc.cluster.local:80` subset `all` c1 100.0%";
    assert!(text.contains(now), "{text}");
    assert!(text.ends_with("by the labels it would be c1 50.0%, c2 50.0%"), "{text}");
}

#[test]
fn a_defect_that_shows_after_a_failover_is_told_for_that_step() {
    let near = cluster("c1", "n1", "34.1.1.1", &[("10.0.0.1", "z1", "v1")]);
    let [a, b, c, d] = ["10.1.0.1", "10.1.0.2", "10.1.0.3", "10.1.0.4"];
    let far = |zones: [&str; 4]| {
        let [e, f, g, h] = zones;
        cluster("c2", "n2", "34.2.2.2", &[(a, e, "v1"), (b, f, "v1"), (c, g, "v1"), (d, h, "v1")])
    };
    let other = || {
        let endpoints = [("10.2.0.1", "z2", "v1"), ("10.2.0.2", "z2", "v1")];
        cluster("c3", "n3", "34.3.3.3", &endpoints)
    };
    let eject = || rule("{outlierDetection: {}}");
    let split = [near.clone(), far(["z2", "z2", "z3", "z3"]), other(), eject()];
    let text = message(&split, "HZ-GW-WEIGHTS").unwrap();
    let now = "once what they use first has failed, clients like `c1/shop/cart-0` in `r1/z1` send \
               `cart.shop.svc.cluster.local:80` c2 50.0%, c3 50.0%";
    assert!(text.contains(now), "{text}");
    assert!(text.contains("by the endpoints it would be c2 66.7%, c3 33.3%"), "{text}");
    // In one locality nothing is lost.
    assert_eq!(message(&[near, far(["z2"; 4]), other(), eject()], "HZ-GW-WEIGHTS"), None);
}

#[test]
fn an_imbalance_behind_a_gateway_is_told_in_figures() {
    let two = [("10.0.0.1", "z1", "v1"), ("10.0.0.2", "z1", "v1")];
    let near = cluster("c1", "n1", "34.1.1.1", &two);
    let far: Vec<(String, &str, &str)> =
        (1..=8).map(|n| (format!("10.1.0.{n}"), "z1", "v1")).collect();
    let far: Vec<(&str, &str, &str)> =
        far.iter().map(|(address, zone, version)| (address.as_str(), *zone, *version)).collect();
    let mesh = mesh(&[near, cluster("c2", "n2", "34.2.2.2", &far)], Fixes::default());
    let mut found = mesh_model::lint::lint(&mesh);
    let codes = |found: &[mesh_model::manifest::Diagnostic]| -> Vec<&str> {
        found.iter().map(|one| one.code).collect()
    };
    let before = codes(&found).len();
    mesh_lb::lint::add_figures(&mesh, &mut found);
    assert_eq!(codes(&found).len(), before);
    let text = found.iter().find(|one| one.code == "HZ-EW-L4-IMBALANCE").unwrap().message.clone();
    assert!(text.contains("of 2 clients in network `n1`, played through"), "{text}");
    assert!(text.contains("the busiest of 8 endpoints gets"), "{text}");

    let proxy = mesh.proxy("c1/shop/cart-0").unwrap();
    let view = mesh.view(&proxy).unwrap();
    let destination = view.destination("cart", 80, Subset::None).unwrap();
    let outcome = Outcome::now(&view, &destination);
    // One client has two connections: at most two of eight endpoints get anything.
    let played = outcome.imbalance(&destination, 1, 7).unwrap();
    assert!(played.by_connection.idle() >= 6);
    assert_eq!(played, outcome.imbalance(&destination, 1, 7).unwrap());
    assert!(played.by_request.busiest() < 1.1 && played.by_connection.busiest() >= 3.9);
}

#[test]
fn the_ejection_of_an_only_address_is_told_in_figures() {
    let near = cluster("c1", "n1", "34.1.1.1", &[("10.0.0.1", "z1", "v1")]);
    let far: Vec<(String, &str, &str)> =
        (1..=4).map(|n| (format!("10.1.0.{n}"), "z1", "v1")).collect();
    let far: Vec<(&str, &str, &str)> =
        far.iter().map(|(address, zone, version)| (address.as_str(), *zone, *version)).collect();
    let guarded = rule("{outlierDetection: {maxEjectionPercent: 100}}");
    let mesh = mesh(&[near, cluster("c2", "n2", "34.2.2.2", &far), guarded], Fixes::default());
    let mut found = mesh_model::lint::lint(&mesh);
    mesh_lb::lint::add_figures(&mesh, &mut found);
    let text = found.iter().find(|one| one.code == "HZ-SINGLE-EW-ADDRESS").unwrap().message.clone();
    assert!(text.contains("with 1 of 4 endpoints there answering 503"), "{text}");
    assert!(text.contains("ejects the address"), "{text}");

    let proxy = mesh.proxy("c1/shop/cart-0").unwrap();
    let view = mesh.view(&proxy).unwrap();
    let destination = view.destination("cart", 80, Subset::None).unwrap();
    let outcome = Outcome::now(&view, &destination);
    let played = outcome.ejection(&destination, 3).unwrap();
    assert_eq!(played.scenario.outlier_detection.max_ejection_percent, 100);
    assert_eq!((played.scenario.gateways, played.scenario.backends), (1, 4));
    assert_eq!(Some(played), outcome.ejection(&destination, 3));
}

/// What is found of keys that move, for `cart` with this many endpoints here and there.
fn unstable(policy: &str, here: u32, there: u32) -> Vec<String> {
    let near = (1..=here).map(|n| (format!("10.0.0.{n}"), "z1", "v1"));
    let far = (1..=there).map(|n| (format!("10.0.1.{n}"), "z2", "v1"));
    let all: Vec<(String, &str, &str)> = near.chain(far).collect();
    let all: Vec<(&str, &str, &str)> =
        all.iter().map(|(address, zone, version)| (address.as_str(), *zone, *version)).collect();
    let mesh = mesh(&[cluster("c1", "n1", "34.1.1.1", &all), rule(policy)], Fixes::default());
    let found = lint(&mesh).into_iter().filter(|one| one.code == "HZ-HASH-UNSTABLE");
    found.map(|one| one.to_string()).collect()
}

/// A policy that hashes a header so, and fails over by zone if it ejects.
fn hashed(algorithm: &str, more: &str) -> String {
    format!(
        "{{loadBalancer: {{consistentHash: {{httpHeaderName: x{algorithm}}}, localityLbSetting: \
         {{enabled: true}}}}{more}}}"
    )
}

#[test]
fn a_table_with_few_entries_moves_keys_needlessly() {
    let small = unstable(&hashed(", maglev: {tableSize: 5}", ""), 20, 0);
    assert_eq!(small.len(), 1, "{small:?}");
    let text = &small[0];
    assert!(
        text.contains("when one of 20 endpoints of `cart.shop.svc.cluster.local` is gone"),
        "{text}"
    );
    assert!(text.contains("maglev.tableSize"), "{text}");
    let place = "DestinationRule/shop/cart: spec.trafficPolicy.loadBalancer.consistentHash: ";
    assert!(text.contains(place), "{text}");
    let of_port = hashed(", maglev: {tableSize: 5}", "").replacen('{', "{port: {number: 80}, ", 1);
    let of_port = unstable(&format!("{{portLevelSettings: [{of_port}]}}"), 20, 0);
    let place = "spec.trafficPolicy.portLevelSettings[0].loadBalancer.consistentHash: ";
    assert!(matches!(&*of_port, [one] if one.contains(place)), "{of_port:?}");
    assert_eq!(unstable(&hashed(", maglev: {tableSize: 65537}", ""), 20, 0), [""; 0]);
    assert_eq!(unstable("{loadBalancer: {simple: ROUND_ROBIN}}", 20, 0), [""; 0]);
}

#[test]
fn a_ring_with_few_entries_gives_one_endpoint_more_than_its_share() {
    let small = unstable(&hashed(", ringHash: {minimumRingSize: 1}", ""), 25, 0);
    assert_eq!(small.len(), 1, "{small:?}");
    let text = "each of 25 endpoints of `cart.shop.svc.cluster.local` has 1 entries on the ring";
    assert!(small[0].contains(text) && small[0].contains("some 50.0% of the keys"), "{small:?}");
    let usual = hashed(", ringHash: {minimumRingSize: 1024}", "");
    for endpoints in [3, 5, 8, 12, 20, 40, 78] {
        assert_eq!(unstable(&usual, endpoints, 0), [""; 0]);
    }
    // Whether the next loss is the one that gives each an entry more does not matter.
    for endpoints in [92, 93, 94, 95, 127, 128, 129] {
        assert_eq!(unstable(&usual, endpoints, 0).len(), 1, "{endpoints}");
    }
}

#[test]
fn failover_moves_keys_of_endpoints_that_are_well() {
    let detecting = |more: &str| {
        let detection = format!(", outlierDetection: {{{more}}}");
        hashed(", maglev: {tableSize: 65537}", &detection)
    };
    let ejecting = detecting("maxEjectionPercent: 100");
    let found = unstable(&ejecting, 2, 2);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("is ejected as an outlier"), "{found:?}");
    // With one of four ejected the priority is still at 100: 1.4 times three quarters.
    assert_eq!(unstable(&ejecting, 4, 4), [""; 0]);
    // One of four is more than 10 percent, and nothing is counted: neither ejects.
    assert_eq!(unstable(&detecting(""), 2, 2), [""; 0]);
    let counts = "maxEjectionPercent: 100, consecutive5xxErrors: 0, consecutiveGatewayErrors: 0";
    assert_eq!(unstable(&detecting(counts), 2, 2), [""; 0]);
    // Nowhere to fail over to.
    assert_eq!(unstable(&ejecting, 2, 0), [""; 0]);
}

/// A mesh with a client and `db.example`, of two endpoints with these weights, under a rule.
fn weighted(weights: [u32; 2], policy: &str) -> Arc<Mesh> {
    let [one, other] = weights;
    let entry = format!(
        "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{name: db, namespace: shop}}\n\
         spec:\n  hosts: [db.example]\n  addresses: [192.0.2.9]\n  ports: [{{number: 80, name: http, protocol: \
         HTTP}}]\n  resolution: STATIC\n  location: MESH_INTERNAL\n  endpoints: [{{address: 192.0.2.1, weight: \
         {one}, locality: r1/a}}, {{address: 192.0.2.2, weight: {other}, locality: r1/a}}]\n---\napiVersion: \
         networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: db, namespace: shop}}\nspec: {{host: \
         db.example, trafficPolicy: {policy}}}\n"
    );
    let client = "{apiVersion: v1, kind: Pod, metadata: {name: web, namespace: shop}, spec: {containers: \
                  [{name: a}, {name: istio-proxy}]}, status: {phase: Running, podIP: 10.0.0.1}}\n";
    let source = |origin, name: &str, text: &str| Source {
        origin,
        name: name.into(),
        text: text.as_bytes().to_vec(),
    };
    mesh(
        &[
            source(Origin::Config, "db.yaml", &entry),
            source(Origin::Cluster("c1".into()), "c1.yaml", client),
        ],
        Fixes::default(),
    )
}

/// The severity and the message of the finding about weights, if there is one.
fn overflow(weights: [u32; 2], policy: &str) -> Option<(Severity, String)> {
    let found = lint(&weighted(weights, policy)).into_iter();
    let mut found = found.filter(|found| found.code == "HZ-WEIGHT-OVERFLOW");
    let one = found.next()?;
    assert_eq!(found.next(), None);
    let heaviest = usize::from(weights[1] > weights[0]);
    let field = format!("spec.endpoints[{heaviest}].weight");
    assert_eq!((&*one.object, &*one.field), ("ServiceEntry/shop/db", &*field));
    Some((one.severity, one.message))
}

#[test]
fn sums_of_weights_beyond_32_bits_are_told_and_refused_by_hashing_clients() {
    let hash = "{loadBalancer: {consistentHash: {useSourceIp: true}}}";
    let most = u32::MAX;
    let plain = "{loadBalancer: {simple: ROUND_ROBIN}}";
    for policy in [plain, hash] {
        assert_eq!(overflow([most - 1, 1], policy), None, "{policy}");
    }
    assert!(overflow([1, most], plain).is_some());
    let (severity, message) = overflow([most, 1], plain).unwrap();
    assert_eq!(severity, Severity::Warning);
    assert!(
        message.contains("come to 4294967296, and istiod's arithmetic leaves 4294967295"),
        "{message}"
    );
    let (severity, message) = overflow([most, 1], hash).unwrap();
    assert_eq!(severity, Severity::Error);
    let refused = "the weights of the endpoints of priority 0 sum to 4294967296 for clients like `c1/shop/web`";
    assert!(message.starts_with(refused), "{message}");
    let distribute =
        "{loadBalancer: {localityLbSetting: {distribute: [{from: '*', to: {'r1/*': 100}}]}}}";
    let (severity, _) = overflow([most / 100, most / 100], distribute).unwrap();
    assert_eq!(severity, Severity::Warning);
    assert_eq!(overflow([most / 200, most / 200], distribute), None);
}
