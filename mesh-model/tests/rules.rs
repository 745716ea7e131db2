//! Rules of admission: an object for each that no other test shows, and that none is without a test.
#![expect(clippy::unwrap_used, reason = "helpers of tests may fail like tests")]
use std::collections::BTreeSet;
use std::path::Path;

use mesh_model::Compat;
use mesh_model::manifest::{Diagnostic, Limits, Severity};
use mesh_model::registry::{Origin, Registry, Source};

/// What loading says of an object of Istio's in namespace `shop`; `metadata` is added to its own.
fn diagnose(kind: &str, metadata: &str, spec: &str) -> Vec<Diagnostic> {
    let group = match kind {
        "AuthorizationPolicy" | "PeerAuthentication" | "RequestAuthentication" => {
            "security.istio.io"
        }
        "Telemetry" => "telemetry.istio.io",
        _ => "networking.istio.io",
    };
    let text = format!(
        "apiVersion: {group}/v1\nkind: {kind}\nmetadata: {{name: object, namespace: shop{metadata}}}\n\
         spec: {spec}\n"
    );
    let source = Source { origin: Origin::Config, name: "config/a.yaml".into(), text: text.into() };
    Registry::new(Compat::default()).load([source])
}

/// Checks that an object breaks a rule, and is told what to do.
#[track_caller]
fn check_with(kind: &str, metadata: &str, spec: &str, rule: &str) {
    let found = diagnose(kind, metadata, spec);
    let told = found.iter().find(|finding| finding.code == rule);
    assert!(told.is_some(), "no {rule} in {found:#?}");
    let told = told.unwrap();
    assert!(!told.help.is_empty(), "{told}");
}

#[test]
fn of_a_field_in_two_spellings_that_of_json_counts() {
    let told = |kind: &str, spec: &str| {
        let found = diagnose(kind, "", spec);
        let told = found.iter().find(|it| it.code == "FIELD-SPELT-TWICE");
        told.map(|it| (it.severity, it.field.clone(), it.message.clone()))
    };
    let expected = |field: &str, camel: &str| {
        let key = field.rsplit('.').next().unwrap();
        let message = format!("`{key}` is `{camel}`, which is given, too: `{key}` is ignored");
        Some((Severity::Warning, field.to_owned(), message))
    };
    let routes = "http: [{route: [{destination: {host: cart}}]}]";
    for both in ["exportTo: ['.'], export_to: ['*']", "export_to: ['*'], exportTo: ['.']"] {
        let spec = format!("{{hosts: [cart], {both}, {routes}}}");
        assert_eq!(told("VirtualService", &spec), expected("spec.export_to", "exportTo"));
    }
    let one = format!("{{hosts: [cart], export_to: ['*'], exportto: ['*'], {routes}}}");
    assert_eq!(told("VirtualService", &one), None);
    let none = format!("{{hosts: [cart], export_to: null, exportTo: ['*'], {routes}}}");
    assert_eq!(told("VirtualService", &none), None);
    // In lists, in members of a oneof, and in policies.
    let balancer = "{host: a, trafficPolicy: {loadBalancer: {consistentHash: {useSourceIp: true}, \
                    consistent_hash: {useSourceIp: false}}}}";
    let field = "spec.trafficPolicy.loadBalancer.consistent_hash";
    assert_eq!(told("DestinationRule", balancer), expected(field, "consistentHash"));
    let policy = "{rules: [{from: [{source: {notPrincipals: [a], not_principals: [b]}}]}]}";
    let field = "spec.rules[0].from[0].source.not_principals";
    assert_eq!(told("AuthorizationPolicy", policy), expected(field, "notPrincipals"));
}

#[track_caller]
fn check(kind: &str, spec: &str, rule: &str) {
    check_with(kind, "", spec, rule);
}

#[track_caller]
fn check_policy(policy: &str, rule: &str) {
    check("DestinationRule", &format!("{{host: cart, trafficPolicy: {policy}}}"), rule);
}

#[track_caller]
fn check_route(route: &str, rule: &str) {
    check("VirtualService", &format!("{{hosts: [cart], http: [{route}]}}"), rule);
}

#[track_caller]
fn check_server(server: &str, rule: &str) {
    check("Gateway", &format!("{{selector: {{a: b}}, servers: [{server}]}}"), rule);
}

#[test]
fn annotations_of_istio_s_own_are_not_for_users() {
    let own = ", annotations: {internal.istio.io/parents: x}";
    check_with("Sidecar", own, "{egress: [{hosts: ['./*']}]}", "META-INTERNAL-ANNOTATION");
}

#[test]
fn hosts_and_references() {
    let sidecar = |host: &str| format!("{{egress: [{{hosts: ['{host}']}}]}}");
    check("Sidecar", &sidecar("/a.test"), "HOST-NS-EMPTY");
    check("Sidecar", &sidecar("a_b/a.test"), "HOST-NS-VALUE");
    let through = |gateway: &str, hosts: &str| {
        format!(
            "{{hosts: [{hosts}], gateways: ['{gateway}'], tls: [{{match: [{{sniHosts: [{hosts}]}}], \
             route: [{{destination: {{host: cart}}}}]}}]}}"
        )
    };
    check("VirtualService", &through("shop/A_B", "a.test"), "GWREF-NAME");
    check("VirtualService", &through("a", "outbound_x"), "HOST-SNI-FORMAT");
    check(
        "VirtualService",
        "{hosts: [cart], exportTo: ['.', '~'], http: [{route: [{destination: {host: cart}}]}]}",
        "EXPORT-VALUE",
    );
    check("ServiceEntry", "{hosts: [a.test], exportTo: ['~', '.']}", "EXPORT-NONE-MIX");
    let export = "{host: cart, workloadSelector: {matchLabels: {'': b}}}";
    check("DestinationRule", export, "SEL-EMPTY-KEY");
}

#[test]
fn policies_of_traffic() {
    check_policy("{tunnel: {targetHost: a, targetPort: 1}, proxyProtocol: {}}", "TP-TUNNEL-PROXY");
    let local = "{outlierDetection: {consecutiveLocalOriginFailures: 3}}";
    check_policy(local, "OD-LOCAL-ORIGIN");
    let hash = |by: &str| format!("{{loadBalancer: {{consistentHash: {{{by}}}}}}}");
    let cookie = "httpCookie: {name: a, attributes: [{name: b}, {name: b}]}";
    check_policy(&hash(cookie), "LB-COOKIE-ATTR");
    check_policy(&hash("useSourceIp: true, minimumRingSize: 5, maglev: {}"), "LB-RING-ONEOF");
    let warm = |up: &str| format!("{{loadBalancer: {{simple: RANDOM, warmup: {{{up}}}}}}}");
    check_policy(&warm(""), "LB-WARMUP-DURATION");
    check_policy(&warm("duration: 1s, minimumPercent: 101"), "LB-WARMUP-PERCENT");
    check_policy(&warm("duration: 1s, aggression: 0"), "LB-WARMUP-AGGRESSION");
    check_policy(
        "{tls: {mode: SIMPLE, credentialName: a, caCertificates: b}}",
        "TLS-CREDENTIAL-MIX",
    );
}

#[test]
fn preference_by_place() {
    let by = |setting: &str| format!("{{loadBalancer: {{localityLbSetting: {setting}}}}}");
    let share = "{distribute: [{from: a, to: {b: 101}}]}";
    check_policy(&by(share), "LLB-WEIGHT-RANGE");
    let zones = |from: &str, to: &str| {
        format!(
            "{{loadBalancer: {{zoneAwareLbSetting: {{failover: [{{from: '{from}', to: '{to}'}}]}}}}}}"
        )
    };
    check_policy(&zones("a", "a"), "ZLB-FAILOVER-SAME");
    check_policy(&zones("a", "b/c"), "ZLB-FAILOVER-SUBREGION");
    check_policy(&zones("a", "*"), "ZLB-FAILOVER-WILDCARD");
}

#[test]
fn the_order_of_shares_counts() {
    let shares = |shares: &str| {
        let policy =
            format!("{{localityLbSetting: {{distribute: [{{from: a, to: {{{shares}}}}}]}}}}");
        diagnose(
            "DestinationRule",
            "",
            &format!("{{host: cart, trafficPolicy: {{loadBalancer: {policy}}}}}"),
        )
    };
    assert_eq!(shares("r1/z1: 50, r1/*: 50"), []);
    assert_eq!(shares("r1/*: 50, r1/z1: 50")[0].code, "LLB-LOCALITY-OVERLAP");
    assert_eq!(shares("r1/z1: 50, r1: 50")[0].code, "LLB-LOCALITY-OVERLAP");
}

#[test]
fn routes() {
    let to = "{destination: {host: cart}}";
    let route = |more: &str| format!("{{route: [{to}], {more}}}");
    check_route("{route: [{destination: {host: '*'}}]}", "DEST-WILDCARD");
    check_route("{route: [{destination: {host: cart}, weight: -1}]}", "WEIGHT-NEGATIVE");
    check_route("{route: [{}]}", "DEST-REQUIRED");
    check_route(&route("corsPolicy: {allowOrigins: [{}]}"), "CORS-ORIGIN");
    check_route(&route("corsPolicy: {maxAge: 1500ms}"), "CORS-MAXAGE");
    check_route(
        &route("fault: {abort: {grpcStatus: NOPE, percentage: {value: 1}}}"),
        "FAULT-GRPC-STATUS",
    );
    check_route(&route("fault: {abort: {percentage: {value: 1}}}"), "FAULT-ABORT-TYPE");
    let percent = "fault: {abort: {httpStatus: 500, percentage: {value: 0.00001}}}";
    check_route(&route(percent), "PERCENT-RANGE");
    let mirror = "mirrors: [{destination: {host: cart}, percentage: {value: 101}}]";
    check_route(&route(mirror), "MIRROR-PERCENT");
    check_route(&route("retries: {attempts: -1}"), "RETRY-ATTEMPTS");
    check_route(&route("rewrite: {}"), "REWRITE-INVALID");
    check_route(&route("delegate: {name: a}"), "ROUTE-ROOT-CONFLICT");
    let tls = |matches: &str| format!("{{hosts: [cart], tls: [{{route: [{to}]{matches}}}]}}");
    check("VirtualService", &tls(""), "TLSROUTE-MATCH");
    check("VirtualService", &tls(", match: [{port: 1}]"), "TLSROUTE-SNI");
}

#[test]
fn entries_and_workloads() {
    let entry = |more: &str| format!("{{hosts: [a.test], {more}}}");
    let both =
        "workloadSelector: {labels: {a: b}}, endpoints: [{address: 10.0.0.1}], resolution: STATIC";
    check("ServiceEntry", &entry(both), "SE-SELECTOR-AND-ENDPOINTS");
    let twice = "ports: [{number: 1, name: a, protocol: TCP}, {number: 1, name: b, protocol: TCP}]";
    check("ServiceEntry", &entry(twice), "SE-PORT-NUMBER-DUP");
    let dynamic =
        "{hosts: ['*.a.test'], resolution: DYNAMIC_DNS, endpoints: [{address: 10.0.0.1}]}";
    check("ServiceEntry", dynamic, "SE-DYNAMIC-ENDPOINTS");
    let waypoint = ", labels: {istio.io/use-waypoint: a}";
    let dynamic = "{hosts: ['*.a.test'], resolution: DYNAMIC_DNS, location: MESH_INTERNAL}";
    check_with("ServiceEntry", waypoint, dynamic, "SE-DYNAMIC-WAYPOINT");
    check("WorkloadEntry", "{address: 'unix:///a', ports: {a: 1}}", "WE-UNIX-PORTS");
    check("ServiceEntry", &entry("resolution: NOWHERE"), "FIELD-ENUM");
}

#[test]
fn gateways_and_sidecars() {
    check_with(
        "Gateway",
        "",
        "{servers: [{port: {number: 1, name: a, protocol: TCP}, hosts: ['*']}, {port: {number: 2, name: a, protocol: TCP}, hosts: ['*']}]}",
        "GW-PORT-NAME-DUP",
    );
    let tls = |tls: &str| {
        format!("{{port: {{number: 1, name: a, protocol: HTTPS}}, hosts: ['*'], tls: {{{tls}}}}}")
    };
    check_server(&tls("mode: SIMPLE, serverCertificate: a, privateKey: b, caCrl: c"), "TLS-CRL");
    let pair = "{serverCertificate: a, privateKey: b}";
    let three = format!("mode: SIMPLE, tlsCertificates: [{pair}, {pair}, {pair}]");
    check_server(&tls(&three), "TLS-TOO-MANY-CERTS");
    let ingress = |more: &str| format!("{{ingress: [{{defaultEndpoint: '127.0.0.1:1'{more}}}]}}");
    check("Sidecar", &ingress(""), "SC-INGRESS-PORT");
    let target = ", port: {number: 1, name: a, protocol: HTTP, targetPort: 2}";
    check("Sidecar", &ingress(target), "SC-TARGET-PORT");
    let redirect =
        ", port: {number: 1, name: a, protocol: HTTPS}, tls: {mode: SIMPLE, httpsRedirect: true}";
    check("Sidecar", &ingress(redirect), "SC-INGRESS-TLS");
}

#[test]
fn a_gateway_s_name_is_a_label() {
    let text = "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: a.b, namespace: shop}\n\
                spec: {servers: [{port: {number: 1, name: a, protocol: TCP}, hosts: ['*']}]}\n";
    let source = Source { origin: Origin::Config, name: "config/a.yaml".into(), text: text.into() };
    let found = Registry::new(Compat::default()).load([source]);
    assert!(found.iter().any(|finding| finding.code == "GW-NAME"), "{found:?}");
}

/// Checks that loading a file of a mesh folder tells a code.
#[track_caller]
fn check_file(path: &str, text: &str, code: &str) {
    let source = |path: &str, text: &str| Source {
        origin: Origin::of_path(path).or_else(|| Origin::of_misspelt_path(path)).unwrap(),
        name: path.into(),
        text: text.as_bytes().to_vec(),
    };
    let found = Registry::new(Compat::default()).load([source(path, text)]);
    let told = found.iter().find(|finding| finding.code == code);
    assert!(told.is_some(), "no {code} in {found:#?}");
    let told = told.unwrap();
    assert!(!told.help.is_empty(), "{told}");
}

#[test]
fn values_that_cannot_be_read() {
    let body = |body: &str| format!("{{directResponse: {{status: 200, body: {{{body}}}}}}}");
    check_route(&body("bytes: '?'"), "FIELD-BASE64");
    check_route(&body(&format!("string: {}", "x".repeat(200_000))), "DIRECT-RESPONSE-SIZE");
    check_route("{route: [{destination: {host: cart}}], timeout: 5}", "FIELD-TYPE");
    check_route("{route: [{destination: {host: cart}}], timeout: 5d}", "FIELD-DURATION");
    check("PeerAuthentication", "{portLevelMtls: {http: {}}}", "FIELD-KEY");
    check_with("Sidecar", ", creationTimestamp: now", "{}", "FIELD-TIME");
    let deep = format!("{}1{}", "[".repeat(110), "]".repeat(110));
    let text = format!(r#"[{{"ref": "a/b/c", "metadata": {{"A": {deep}}}}}]"#);
    let limits = Limits { depth: Limits::MAX_DEPTH, ..Limits::default() };
    let source = Source { origin: Origin::Proxies, name: "proxies.json".into(), text: text.into() };
    let found = Registry::new(Compat::default()).with_limits(limits).load([source]);
    assert!(found.iter().any(|finding| finding.code == "LIMIT-DEPTH"), "{found:?}");
}

#[test]
fn rules_of_one_field() {
    check_policy("{tls: {mode: SIMPLE, credentialName: 'configmap://other/a'}}", "TLS-CONFIG-MAP");
    let policy = "{outboundTrafficPolicy: {mode: ALLOW_ANY_DYNAMIC_DNS}}";
    check("Sidecar", policy, "SC-OUTBOUND-MODE");
    let pool = "{ingress: [{port: {number: 1, name: a, protocol: TCP}, connectionPool: {http: {http2MaxRequests: 1}}}]}";
    check("Sidecar", pool, "SC-POOL-HTTP");
    let metrics = |more: &str| format!("{{metrics: [{{overrides: [{{{more}}}]}}]}}");
    check("Telemetry", &metrics("match: {customMetric: ''}"), "TM-METRIC");
    check("Telemetry", &metrics("tagOverrides: {'': {value: a}}"), "TM-TAG-NAME");
    check("Telemetry", "{accessLogging: [{filter: {}}]}", "TM-FILTER");
}

#[test]
fn namespaces_in_the_settings_of_the_mesh() {
    let selectors = |selector: &str| format!("discoverySelectors: [{{{selector}}}]");
    for selector in [
        "matchExpressions: [{key: a, operator: Foo}]",
        "matchExpressions: [{key: a, operator: In}]",
        "matchExpressions: [{key: a, operator: Exists, values: [b]}]",
        "matchExpressions: [{key: 'a b', operator: Exists}]",
        "matchExpressions: [{key: a, operator: NotIn, values: ['b c']}]",
        "matchLabels: {'a b': c}",
        "matchLabels: {Big/a: c}",
        "matchLabels: {a: 'b c'}",
    ] {
        check_file("mesh.yaml", &selectors(selector), "MC-DISCOVERY-SELECTOR");
    }
    check_file("mesh.yaml", "rootNamespace: A B", "MC-ROOT-NAMESPACE");
    check_file("mesh.yaml", "defaultServiceExportTo: ['~', '*']", "MC-EXPORT-TO");
    check_file("mesh.yaml", "defaultDestinationRuleExportTo: [A_B]", "MC-EXPORT-TO");
    check_file("mesh.yaml", "defaultVirtualServiceExportTo: ['*', a]", "MC-EXPORT-TO");
}

#[test]
fn limits_of_schemas() {
    let rules = format!("{{rules: [{}]}}", "{}, ".repeat(513));
    check("AuthorizationPolicy", &rules, "SCHEMA-MAX-ITEMS");
    let long = format!("{{address: 10.0.0.1, network: {}}}", "a".repeat(2049));
    check("WorkloadEntry", &long, "SCHEMA-MAX-LENGTH");
    check("WorkloadEntry", "{address: 'unix:///run/'}", "UNIX-ADDRESS");
    let ports = "{selector: {matchLabels: {a: b}}, portLevelMtls: {70000: {mode: STRICT}}}";
    check("PeerAuthentication", ports, "SCHEMA-PORT");
    let both = "{jwtRules: [{issuer: a, jwks: '{\"keys\": []}', jwksUri: 'https://a.test/b'}]}";
    check("RequestAuthentication", both, "SCHEMA-EXCLUSIVE");
    check_policy("{retryBudget: {percent: 101}}", "SCHEMA-RANGE");
    let claims = "{jwtRules: [{issuer: a, spaceDelimitedClaims: ['']}]}";
    check("RequestAuthentication", claims, "SCHEMA-MIN-LENGTH");
    let server = "{servers: [{hosts: [a.test], port: {number: 443, name: a, protocol: TLS}, tls: \
                  {tlsCertificates: []}}]}";
    check("Gateway", server, "SCHEMA-MIN-ITEMS");
}

#[test]
fn entries_of_proxies() {
    let path = "proxies.json";
    check_file(path, r#"[{"ref": "a/b/c", "metadata": {"CLUSTER_ID": 5}}]"#, "PROXY-METADATA");
    check_file(path, r#"[{"ref": "a/b/c"}, {"ref": "a/b/c"}]"#, "PROXY-TWICE");
    check_file(path, r#"{"ref": "a/b/c"}"#, "PROXY-LIST");
}

#[test]
fn one_illegal_selector_lets_every_namespace_through() {
    let load = |text: &str| {
        let source =
            Source { origin: Origin::MeshConfig, name: "mesh.yaml".into(), text: text.into() };
        let mut registry = Registry::new(Compat::default());
        let found = registry.load([source]);
        (found.len(), registry.mesh().config().discovery_selectors.len())
    };
    let legal =
        "{matchLabels: {a.test/b: ''}, matchExpressions: [{key: a, operator: In, values: [b]}]}";
    assert_eq!(load(&format!("discoverySelectors: [{legal}, {legal}]")), (0, 2));
    let illegal = "{matchExpressions: [{key: a, operator: Foo}]}";
    assert_eq!(load(&format!("discoverySelectors: [{legal}, {illegal}]")), (1, 0));
}

#[test]
fn settings_of_the_mesh() {
    check_file("mesh.yaml", "tlsDefaults: {ecdhCurves: [X]}", "MC-CURVE");
    check_file("mesh.yaml", "meshMTLS: {ecdhCurves: [P-256]}", "MC-MESH-CURVES");
    let allocates = "defaultConfig: {proxyMetadata: {ISTIO_META_DNS_AUTO_ALLOCATE: 'true'}}";
    check_file("mesh.yaml", allocates, "MC-DNS-AUTO-ALLOCATE");
    check_file("mesh.yaml", "defaultConfig: {discoveryAddress: nowhere}", "MC-PROXY-ADDRESS");
    let connections = |of: &str| format!("defaultConfig: {{connectionSettings: {{{of}}}}}");
    let limit = connections("httpMaxConcurrentStreams: 0");
    check_file("mesh.yaml", &limit, "MC-CONNECTION-LIMIT");
    let timeout = connections("httpIdleTimeout: -1s");
    check_file("mesh.yaml", &timeout, "MC-CONNECTION-TIMEOUT");
    let tracing = "defaultConfig: {tracing: {lightstep: {address: 'a.test:80'}}}";
    check_file("mesh.yaml", tracing, "MC-TRACING-TOKEN");
    check_file("mesh.yaml", "defaultConfig: {privateKeyProvider: {}}", "MC-KEY-PROVIDER");
    let retries = "defaultInboundHttpRetryPolicy: {attempts: 1, perTryTimeout: 1s}";
    check_file("mesh.yaml", retries, "MC-INBOUND-RETRY");
    check_file("mesh.yaml", "extensionProviders: [{name: a}]", "MC-PROVIDER");
    // So it is where they stand in the ConfigMap that istiod reads.
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio, namespace: istio-system}\ndata:\n  mesh: |\n    \
               tlsDefaults: {ecdhCurves: [X]}\n  meshNetworks: |\n    networks: {n1: {endpoints: [{fromCidr: a}]}}\n";
    for path in ["mesh.yaml", "networks.yaml", "config/istio.yaml", "clusters/c1/istio.yaml"] {
        check_file(path, map, "MC-CURVE");
        check_file(path, map, "CIDR");
    }
}

/// Of settings in two places that contradict each other one counts.
#[test]
fn settings_in_several_places() {
    let map = |root: &str| {
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: istio, namespace: istio-system}}\n\
             data: {{mesh: 'rootNamespace: {root}'}}\n"
        )
    };
    let told = |root: &str| {
        let source = |path: &str, text: &str| {
            let origin = Origin::of_path(path).unwrap();
            Source { origin, name: path.into(), text: text.as_bytes().to_vec() }
        };
        let mut registry = Registry::new(Compat::default());
        let files = [source("mesh.yaml", "rootNamespace: a"), source("config/m.yaml", &map(root))];
        let found = registry.load(files).into_iter();
        found.map(|found| (found.code, found.file.to_string(), found.field)).collect::<Vec<_>>()
    };
    let field = "data.mesh.rootNamespace".to_owned();
    assert_eq!(told("b"), [("SETTINGS-DIFFER", "config/m.yaml".to_owned(), field)]);
    assert_eq!(told("a"), []);
}

#[test]
fn files_of_the_folder() {
    check_file("clusters/c1/cluster.yaml", "name: c2", "CLUSTER-NAME");
    let strange = "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: p, namespace: Shop}\nspec: {}";
    check_file("config/a.yaml", strange, "NAMESPACE-NAME");
    check_file("config/a.txt", strange, "FILE-MISPLACED");
    check_file("mesh.yaml", strange, "FILE-MISPLACED");
    let carried = "{apiVersion: template.openshift.io/v1, kind: Template, metadata: {name: t}, objects: \
                   [{apiVersion: security.istio.io/v1, kind: PeerAuthentication, metadata: {name: p}}]}";
    check_file("config/a.yaml", carried, "OBJECT-CARRIED");
    let twice =
        format!("{{apiVersion: a.b/v1, kind: Work, metadata: {{name: w}}, spec: [{carried}]}}");
    check_file("config/a.yaml", &twice, "OBJECT-CARRIED");
    let generated = "{apiVersion: kyverno.io/v1, kind: ClusterPolicy, metadata: {name: k}, spec: {generate: \
                     {apiVersion: security.istio.io/v1, kind: PeerAuthentication, name: p, data: {spec: {}}}}}";
    check_file("config/a.yaml", generated, "OBJECT-CARRIED");
    check_file("clusters/c1/cluster.yaml", "reads: [c2]", "CLUSTER-UNKNOWN");
    check_file("clusters/c1/cluster.yaml", "controlPlane: c2", "CLUSTER-UNKNOWN");
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: b}\n";
    check_file("clusters/c1/a.yaml", &format!("{pod}---\n{pod}"), "DUPLICATE-OBJECT");
    check_file("config/a.yaml", pod, "KIND-MISPLACED");
    check_file("mesh.yaml", "rootNamespace: a\n---\nrootNamespace: b\n", "ONE-DOCUMENT");
    let beside = strange.replace("Shop}\nspec: {}", "shop}\nmtls: {mode: STRICT}");
    check_file("config/a.yaml", &beside, "FIELD-MISPLACED");
    let slice = "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: a}\naddressType: FQDN\n";
    check_file("clusters/c1/a.yaml", slice, "SLICE-FQDN");
}

/// The second of two objects of one name is not always without a consequence.
#[test]
fn what_becomes_of_an_object_that_is_written_twice_is_told() {
    let check = |path: &str, first: &str, second: &str, consequence: &str| {
        let text = format!("{first}\n---\n{second}");
        let origin = Origin::of_path(path).unwrap();
        let source = Source { origin, name: path.into(), text: text.into_bytes() };
        let mut registry = Registry::new(Compat::default());
        let found = registry.load([source]);
        let told: Vec<&str> = found
            .iter()
            .filter(|found| found.code == "DUPLICATE-OBJECT")
            .map(|found| found.message.as_str())
            .collect();
        assert_eq!(told.len(), 1, "{found:?}");
        assert!(told[0].ends_with(consequence), "{told:?}");
        registry.mesh().broken().len()
    };
    let object = |version: &str, kind: &str, labels: &str| {
        format!(
            "{{apiVersion: {version}, kind: {kind}, metadata: {{name: a, namespace: b, labels: {labels}}}}}"
        )
    };
    let path = "clusters/c1/a.yaml";
    let policy = object("security.istio.io/v1", "AuthorizationPolicy", "{}");
    assert_eq!(check(path, &policy, &policy, "denies what it might have denied"), 1);
    let of = |kind: &str, labels: &str| object("v1", kind, labels);
    for (kind, remembered) in [("Service", 1), ("Pod", 0)] {
        let same = [of(kind, "{app: one}"), of(kind, "{app: one}")];
        assert_eq!(check(path, &same[0], &same[1], "this one is not used"), 0);
        let consequence =
            if kind == "Pod" { "are not in force for it" } else { "might deny is denied" };
        assert_eq!(check(path, &same[0], &of(kind, "{app: two}"), consequence), remembered);
    }
    let rule = of("ServiceAccount", "{}");
    assert_eq!(check(path, &rule, &rule, "this one is not used"), 0);
    let map = "{apiVersion: v1, kind: ConfigMap, metadata: {name: istio, namespace: istio-system}, data: {}}";
    assert_eq!(check(path, map, map, "policies might deny is denied"), 1);
}

#[test]
fn the_config_map_of_the_control_plane_counts() {
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio, namespace: istio-system}\ndata:\n  mesh: |\n    \
               trustDomain: td\n  meshNetworks: |\n    networks: {n1: {}}\n";
    let of = |path: &str, more: &[(&str, &str)]| {
        let sources =
            [(path, map)].into_iter().chain(more.iter().copied()).map(|(path, text)| Source {
                origin: Origin::of_path(path).unwrap(),
                name: path.into(),
                text: text.as_bytes().to_vec(),
            });
        let mut registry = Registry::new(Compat::default());
        let found = registry.load(sources);
        let is_told = more.iter().any(|(path, _)| *path == "mesh.yaml");
        assert!(found.iter().all(|found| is_told && found.code == "SETTINGS-DIFFER"), "{found:?}");
        assert_eq!(found.len(), usize::from(is_told));
        let mesh = registry.mesh();
        (mesh.config().trust_domain.to_string(), mesh.networks().networks.len())
    };
    for path in ["mesh.yaml", "networks.yaml", "config/a.yaml", "clusters/c1/a.yaml"] {
        assert_eq!(of(path, &[]), ("td".to_owned(), 1), "{path}");
    }
    let own = of("config/a.yaml", &[("mesh.yaml", "trustDomain: own")]);
    assert_eq!(own, ("own".to_owned(), 1));
    // Of clusters only a control plane's own counts.
    let remote = [
        ("clusters/c1/cluster.yaml", "role: remote"),
        ("clusters/c2/cluster.yaml", "role: primary"),
    ];
    assert_eq!(of("clusters/c1/a.yaml", &remote), ("cluster.local".to_owned(), 0));
}

#[test]
fn what_cannot_be_read_does_not_hide_the_rest() {
    let route = "{route: [{destination: {host: cart}, weight: heavy}, {destination: {host: '*'}}], timeout: 0s, \
                 retries: {attempts: -1}}";
    let found = diagnose("VirtualService", "", &format!("{{hosts: [cart], http: [{route}]}}"));
    let codes: BTreeSet<&str> = found.iter().map(|finding| finding.code).collect();
    assert!(
        codes.is_superset(&BTreeSet::from([
            "FIELD-TYPE",
            "DEST-WILDCARD",
            "DUR-MIN",
            "RETRY-ATTEMPTS"
        ])),
        "{codes:?}"
    );
    // What is missing only because it could not be read is not told.
    let found = diagnose(
        "VirtualService",
        "",
        "{hosts: cart, http: [{route: [{destination: {host: cart}}]}]}",
    );
    let codes: Vec<&str> = found.iter().map(|finding| finding.code).collect();
    assert_eq!(codes, ["FIELD-TYPE"]);
}

/// The texts of a folder's files, each with its path.
fn files(folder: &Path, extension: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(folder) = waiting.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                waiting.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push((path.display().to_string(), std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found
}

/// The codes of findings that a text has between quotes.
fn codes(text: &str) -> impl Iterator<Item = &str> {
    text.split('"').filter(|word| {
        let is_part = |part: &str| {
            part.len() > 1 && part.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit())
        };
        let is_ours = word.contains('-') && word.split('-').all(is_part);
        let is_istio = word
            .strip_prefix("IST")
            .is_some_and(|rest| rest.len() == 4 && rest.chars().all(|c| c.is_ascii_digit()));
        let is_cipher = ["AES", "ECDHE", "DES"].iter().any(|cipher| word.starts_with(cipher));
        (is_ours || is_istio) && !is_cipher && !word.starts_with("X-")
    })
}

#[test]
fn no_code_is_without_a_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut emitted, mut tested) = (BTreeSet::new(), BTreeSet::new());
    for (path, text) in files(&root.join("src"), "rs") {
        let is_test = path.contains("/tests");
        let (code, tests) = text.split_once("mod tests {").unwrap_or((&text, ""));
        let (code, tests) = if is_test { ("", code) } else { (code, tests) };
        let code: Vec<&str> =
            code.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        emitted.extend(codes(&code.join("\n")).map(ToOwned::to_owned));
        tested.insert(tests.to_owned());
    }
    assert!(emitted.len() > 250, "{}", emitted.len());
    let texts = |folder: &str, extension: &str| files(&root.join(folder), extension).into_iter();
    tested.extend(texts("tests", "rs").map(|(_, text)| text));
    tested.extend(texts("../conformance/model", "json").map(|(_, text)| text));
    tested.extend(texts("../conformance/authz", "json").map(|(_, text)| text));
    let is_tested = |code: &str| {
        let ends = |rest: &str| !rest.starts_with(|c: char| c == '-' || c.is_ascii_alphanumeric());
        tested.iter().any(|text| {
            text.match_indices(code)
                .any(|(at, _)| ends(text.get(at + code.len()..).expect("a boundary")))
        })
    };
    let untested: Vec<&String> = emitted.iter().filter(|code| !is_tested(code)).collect();
    assert!(untested.is_empty(), "{untested:?}");
}
