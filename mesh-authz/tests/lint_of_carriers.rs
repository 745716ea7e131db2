//! Hazards of policies by what carries them out: what it is not told of, does not enforce, does not know.
use mesh_authz::lint::lint;
use mesh_model::Compat;
use mesh_model::manifest::Diagnostic;
use mesh_model::registry::{Origin, Registry, Source};

#[path = "lint_of_carriers/verbatim.rs"]
mod verbatim;

/// The findings over objects of one cluster; pods are `shop/web`.
fn found(compat: Compat, objects: &[&str], description: &str) -> Vec<Diagnostic> {
    found_with("", compat, objects, description)
}

/// The same with more settings of the mesh.
fn found_with(more: &str, compat: Compat, objects: &[&str], description: &str) -> Vec<Diagnostic> {
    let source = |origin, name: &str, text: String| Source {
        origin,
        name: name.into(),
        text: text.into_bytes(),
    };
    let mut registry = Registry::new(compat);
    let settings = "extensionProviders: [{name: over-http, envoyExtAuthzHttp: {service: \
        ask.shop.svc.cluster.local, port: 80}}, {name: over-grpc, envoyExtAuthzGrpc: {service: \
        ask.shop.svc.cluster.local, port: 80}}]";
    let ask = "{apiVersion: v1, kind: Service, metadata: {name: ask, namespace: shop}, \
        spec: {clusterIP: 10.9.0.9, ports: [{name: http, port: 80}]}}";
    let text = [&[ask], objects].concat().join("\n---\n");
    let diagnostics = registry.load([
        source(Origin::MeshConfig, "mesh.yaml", format!("{settings}\n{more}")),
        source(Origin::Description("c".into()), "cluster.yaml", description.to_owned()),
        source(Origin::Cluster("c".into()), "objects.yaml", text),
    ]);
    let errors: Vec<String> = diagnostics.iter().map(ToString::to_string).collect();
    assert!(errors.iter().all(|text| !text.contains("error[")), "{errors:?}");
    lint(&registry.mesh())
}

/// Checks which of some findings there are, as `CODE SEVERITY FIELD`; patterns are left out.
#[track_caller]
fn check(objects: &[&str], expected: &[&str]) {
    check_with(Compat::default(), objects, "{}", expected);
}

#[track_caller]
fn check_with(compat: Compat, objects: &[&str], description: &str, expected: &[&str]) {
    check_found(&found(compat, objects, description), expected);
}

#[track_caller]
fn check_found(found: &[Diagnostic], expected: &[&str]) {
    const PATTERNS: [&str; 6] = [
        "HZ-AUTHZ-ALLOW-EXCEPT",
        "HZ-AUTHZ-DENY-LISTS",
        "HZ-AUTHZ-ALLOWS-NOTHING",
        "HZ-AUTHZ-PATH-PREFIX",
        "HZ-AUTHZ-SHADOWED",
        "HZ-AUTHZ-WIDENED",
    ];
    let found = found.iter().filter(|found| !PATTERNS.contains(&found.code));
    let found: Vec<String> = found
        .map(|found| {
            assert!(!found.help.is_empty(), "{found}");
            let code = found.code.strip_prefix("HZ-AUTHZ-").unwrap_or(found.code);
            format!("{code} {} {}", found.severity.as_str(), found.field)
        })
        .collect();
    assert_eq!(found, expected);
}

fn pod(metadata: &str, containers: &str) -> String {
    format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: web, namespace: shop, {metadata}}}, spec: {{nodeName: n1, \
         serviceAccountName: web, containers: [{containers}]}}, status: {{phase: Running, podIP: 10.0.0.1}}}}"
    )
}

fn sidecar() -> String {
    pod(
        "labels: {app: web}",
        "{name: app}, {name: istio-proxy, image: 'docker.io/istio/proxyv2:1.32.0'}",
    )
}

fn ambient() -> String {
    pod("labels: {app: web, istio.io/dataplane-mode: ambient}", "{name: app}")
}

fn grpc() -> String {
    pod("labels: {app: web}, annotations: {inject.istio.io/templates: grpc-agent}", "{name: app}")
}

fn policy(metadata: &str, spec: &str) -> String {
    format!(
        "{{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {{name: p, namespace: \
         shop{metadata}}}, spec: {spec}}}"
    )
}

#[test]
fn nobody_asks_or_marks_where_no_envoy_is() {
    let custom = policy("", "{action: CUSTOM, provider: {name: over-grpc}, rules: [{}]}");
    check(&[&ambient(), &custom], &["ZTUNNEL-ACTION error spec.action"]);
    check(&[&grpc(), &custom], &["GRPC-ACTION error spec.action"]);
    check(&[&sidecar(), &custom], &[]);
    let audit = policy("", "{action: AUDIT, rules: [{}]}");
    check(&[&ambient(), &audit], &["ZTUNNEL-ACTION warning spec.action"]);
    check(&[&grpc(), &audit], &["GRPC-ACTION warning spec.action"]);
    check(&[&sidecar(), &audit], &[]);
}

#[test]
fn a_grpc_server_enforces_what_is_on_trial() {
    let trial = policy(", annotations: {istio.io/dry-run: 'true'}", "{action: DENY, rules: [{}]}");
    let field = "metadata.annotations[istio.io/dry-run]";
    check(&[&grpc(), &trial], &[&format!("GRPC-DRY-RUN warning {field}")]);
    check(&[&sidecar(), &trial], &[]);
    check(&[&grpc(), &policy("", "{action: DENY, rules: [{}]}")], &[]);
}

/// What it does not see of a request is told by what comes of it.
#[test]
fn a_grpc_server_does_not_see_all_of_a_request() {
    let rule = |action: &str, rule: &str| {
        policy("", &format!("{{action: {action}, rules: [{{{rule}}}]}}"))
    };
    let [sni, not_sni] = ["values", "notValues"]
        .map(|list| format!("when: [{{key: connection.sni, {list}: [a.b]}}]"));
    let field = "spec.rules[0].when[0]";
    for (action, rule_of, expected) in [
        ("DENY", &sni, format!("GRPC-UNSEEN error {field}.values")),
        ("ALLOW", &sni, format!("GRPC-UNSEEN warning {field}.values")),
        ("DENY", &not_sni, format!("GRPC-UNSEEN warning {field}.notValues")),
        ("ALLOW", &not_sni, format!("GRPC-UNSEEN error {field}.notValues")),
    ] {
        check(&[&grpc(), &rule(action, rule_of)], &[&expected]);
        check(&[&sidecar(), &rule(action, rule_of)], &[]);
    }
    for (rule_of, field) in [
        ("from: [{source: {remoteIpBlocks: [1.1.1.1]}}]", "from[0].source.remoteIpBlocks"),
        ("when: [{key: remote.ip, values: [1.1.1.1]}]", "when[0].values"),
        ("from: [{source: {requestPrincipals: [i/s]}}]", "from[0].source.requestPrincipals"),
        ("when: [{key: 'experimental.envoy.filters.a[b]', values: [v]}]", "when[0].values"),
    ] {
        let expected = format!("GRPC-UNSEEN error spec.rules[0].{field}");
        check(&[&grpc(), &rule("DENY", rule_of)], &[&expected]);
    }
    check(&[&grpc(), &rule("DENY", "from: [{source: {ipBlocks: [1.1.1.1]}}]")], &[]);
}

/// One finding says it, and only where somebody refuses it.
#[test]
fn a_refused_template_is_told_once() {
    let rule = |selector: &str, path: &str| {
        policy(
            "",
            &format!("{{{selector} rules: [{{to: [{{operation: {{paths: ['{path}']}}}}]}}]}}"),
        )
    };
    let told = |objects: &[&str]| -> Vec<&'static str> {
        let found = found(Compat::default(), objects, "{}").into_iter();
        found.map(|found| found.code).filter(|code| *code != "HZ-AUTHZ-PATH-PREFIX").collect()
    };
    let refused = ["HZ-AUTHZ-PATH-REFUSED"];
    assert_eq!(told(&[&sidecar(), &rule("", "{*}/a")]), refused);
    assert_eq!(told(&[&rule("", "{*}/a")]), refused, "nothing is known of workloads");
    assert_eq!(told(&[&sidecar(), &rule("", "/{*}/a")]), [""; 0]);
    assert_eq!(told(&[&grpc(), &rule("", "{*}/a")]), refused);
    assert_eq!(told(&[&grpc(), &rule("", "/{*}/a")]), refused);
    assert_eq!(told(&[&grpc(), &rule("", "/a*")]), [""; 0]);
    let waypoint = pod(
        "labels: {gateway.networking.k8s.io/gateway-name: gate, gateway.istio.io/managed: \
         istio.io-mesh-controller}",
        "{name: istio-proxy}",
    );
    let refs = "targetRefs: [{kind: Gateway, group: gateway.networking.k8s.io, name: gate}],";
    assert_eq!(told(&[&waypoint, &rule(refs, "{*}/a")]), refused);
    let of_nobody = rule("selector: {matchLabels: {app: none}},", "{*}/a");
    assert_eq!(told(&[&sidecar(), &of_nobody]), [""; 0]);
}

#[test]
fn a_grpc_server_is_open_by_a_policy_without_rules() {
    let empty = policy("", "{}");
    check(&[&grpc(), &empty], &["GRPC-EMPTY-ALLOW error spec.rules"]);
    check(&[&sidecar(), &empty], &[]);
    check(&[&ambient(), &empty], &[]);
    // Another policy keeps the filter there.
    let other =
        policy("", "{rules: [{to: [{operation: {ports: ['80']}}]}]}").replace("name: p", "name: q");
    check(&[&grpc(), &empty, &other], &[]);
}

#[test]
fn what_a_ztunnel_makes_of_requests_is_told_by_the_action() {
    let rule =
        |action: &str, rule: &str| policy("", &format!("{{action: {action}, rules: [{rule}]}}"));
    let paths = "{to: [{operation: {paths: [/a]}}]}";
    check(&[&ambient(), &rule("ALLOW", paths)], &["ZTUNNEL-L7 warning spec.rules[0]"]);
    check(&[&ambient(), &rule("DENY", paths)], &["ZTUNNEL-L7 error spec.rules[0]"]);
    let ports = "{to: [{operation: {paths: [/a], ports: ['80']}}]}";
    check(&[&ambient(), &rule("DENY", ports)], &["ZTUNNEL-L7 warning spec.rules[0]"]);
    let either = "{to: [{operation: {paths: [/a]}}, {operation: {ports: ['80']}}]}";
    check(&[&ambient(), &rule("DENY", either)], &["ZTUNNEL-L7 error spec.rules[0]"]);
    check(&[&sidecar(), &rule("DENY", paths)], &[]);
    check(&[&ambient(), &rule("DENY", "{to: [{operation: {ports: ['80']}}]}")], &[]);
}

#[test]
fn what_a_ztunnel_does_not_compare_is_named() {
    let told = |rule: &str| {
        let spec = format!("{{action: DENY, rules: [{rule}]}}");
        let found = found(Compat::default(), &[&ambient(), &policy("", &spec)], "{}");
        let found = found.into_iter().find(|found| found.code == "HZ-AUTHZ-ZTUNNEL-L7");
        found.map(|found| found.message).unwrap_or_default()
    };
    let named = |rule: &str, field: &str| {
        let message = told(rule);
        let expected =
            format!("ztunnels, which do not compare `{field}`: what asks for nothing else");
        assert!(message.contains(&expected), "{message}");
    };
    named("{to: [{operation: {paths: [/a]}}]}", "to.operation.paths");
    named("{from: [{source: {remoteIpBlocks: [10.0.0.0/8]}}]}", "from.source.remoteIpBlocks");
    named("{when: [{key: connection.sni, values: [a]}]}", "when[connection.sni].values");
    named(
        "{when: [{key: source.serviceAccount, values: [a/b]}]}",
        "when[source.serviceAccount].values",
    );
}

#[test]
fn a_rule_that_excludes_what_it_asks_for_is_told_of_ztunnels_too() {
    let deny = |rule: &str| policy("", &format!("{{action: DENY, rules: [{rule}]}}"));
    let never = "NEVER-MATCHES warning spec.rules[0]";
    let ports = deny("{to: [{operation: {ports: ['80'], notPorts: ['80']}}]}");
    check(&[&ambient(), &ports], &[never]);
    check(&[&ambient().replace("name: web", "name: one"), &sidecar(), &ports], &[never]);
    let source = |fields: &str| deny(&format!("{{from: [{{source: {{{fields}}}}}]}}"));
    check(&[&ambient(), &source("namespaces: [a], notNamespaces: ['*']")], &[never]);
    check(&[&ambient(), &source("namespaces: [a, b], notNamespaces: [a]")], &[]);
    let inside = source("ipBlocks: [10.1.0.0/16], notIpBlocks: [10.0.0.0/8]");
    check(&[&ambient(), &inside], &[never]);
    let around = source("ipBlocks: [10.0.0.0/8], notIpBlocks: [10.1.0.0/16]");
    check(&[&ambient(), &around], &[]);
    let either = deny(
        "{to: [{operation: {ports: ['80'], notPorts: ['80']}}, {operation: {ports: ['81']}}]}",
    );
    check(&[&ambient(), &either], &[]);
    let second = deny("{}, {to: [{operation: {ports: ['80'], notPorts: ['80']}}]}");
    check(&[&ambient(), &second], &["NEVER-MATCHES warning spec.rules[1]"]);
}

#[test]
fn of_a_policy_on_trial_nothing_is_lost_behind_a_ztunnel() {
    let on_trial = |spec: &str| policy(", annotations: {istio.io/dry-run: 'true'}", spec);
    let rule = "{to: [{operation: {paths: [/a]}}]}";
    check(&[&ambient(), &on_trial(&format!("{{action: DENY, rules: [{rule}]}}"))], &[]);
    check(&[&ambient(), &on_trial(&format!("{{rules: [{rule}]}}"))], &[]);
    let domains = "{from: [{source: {trustDomains: [td]}}]}";
    check(&[&ambient(), &on_trial(&format!("{{action: DENY, rules: [{domains}]}}"))], &[]);
}

#[test]
fn a_ztunnel_is_not_told_of_trust_domains() {
    let rule = |action: &str, source: &str| {
        policy("", &format!("{{action: {action}, rules: [{{from: [{{source: {{{source}}}}}]}}]}}"))
    };
    let told = |severity: &str| format!("ZTUNNEL-TRUST-DOMAINS {severity} spec.rules[0]");
    let alone = "trustDomains: [td]";
    check(&[&ambient(), &rule("ALLOW", alone)], &[&told("warning")]);
    check(&[&ambient(), &rule("DENY", alone)], &[&told("error")]);
    let beside = "trustDomains: [td], namespaces: [a]";
    check(&[&ambient(), &rule("ALLOW", beside)], &[&told("error")]);
    check(&[&ambient(), &rule("DENY", beside)], &[&told("warning")]);
    check(&[&sidecar(), &rule("ALLOW", beside)], &[]);
    check(&[&ambient(), &rule("ALLOW", "namespaces: [a]")], &[]);
}

/// What no path is equal to is still compared by nobody at a ztunnel, and as it is by a gRPC server.
#[test]
fn values_that_no_request_has_are_told_of_who_compares_them() {
    let dots = policy(
        "",
        "{action: DENY, rules: [{to: [{operation: {paths: [/a/../b], ports: ['80']}}]}]}",
    );
    let told = |pod: &str| {
        let found = found(Compat::default(), &[pod, &dots], "{}").into_iter();
        let found = found.filter(|found| found.code == "HZ-AUTHZ-NEVER-MATCHES");
        found.map(|found| found.message).collect::<Vec<_>>()
    };
    let [message] = told(&sidecar()).try_into().unwrap();
    assert!(message.ends_with("are resolved before paths are compared"), "{message}");
    assert!(told(&ambient()).is_empty());
    assert!(told(&grpc()).is_empty());
    let second =
        |text: String| text.replace("name: web,", "name: web2,").replace("10.0.0.1", "10.0.0.2");
    let both = format!("{}\n---\n{}", sidecar(), second(ambient()));
    let [message] = told(&both).try_into().unwrap();
    assert!(message.ends_with("; a ztunnel does not compare it at all"), "{message}");
    let both = format!("{}\n---\n{}", sidecar(), second(grpc()));
    let [message] = told(&both).try_into().unwrap();
    assert!(message.ends_with("; a gRPC server without a proxy compares it as it is"), "{message}");
}

#[test]
fn a_provider_over_http_is_not_asked_about_connections() {
    let port = |name: &str| {
        format!(
            "{{apiVersion: v1, kind: Service, metadata: {{name: db, namespace: shop}}, spec: {{clusterIP: \
             10.9.0.1, selector: {{app: web}}, ports: [{{name: {name}, port: 90}}]}}}}\n---\n\
             {{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {{name: db, namespace: shop, \
             labels: {{kubernetes.io/service-name: db}}}}, addressType: IPv4, ports: [{{name: {name}, port: \
             9000}}], endpoints: [{{addresses: [10.0.0.1], targetRef: {{kind: Pod, name: web, namespace: \
             shop}}}}]}}"
        )
    };
    let custom = |provider: &str, rule: &str| {
        policy("", &format!("{{action: CUSTOM, provider: {{name: {provider}}}, rules: [{rule}]}}"))
    };
    let told = "PROVIDER-TCP error spec.rules[0]";
    check(&[&sidecar(), &port("tcp"), &custom("over-http", "{}")], &[told]);
    check(&[&sidecar(), &port("http"), &custom("over-http", "{}")], &[]);
    check(&[&sidecar(), &port("tcp"), &custom("over-grpc", "{}")], &[]);
    let of = |port: &str| format!("{{to: [{{operation: {{ports: ['{port}']}}}}]}}");
    check(&[&sidecar(), &port("tcp"), &custom("over-http", &of("80"))], &[]);
    check(&[&sidecar(), &port("tcp"), &custom("over-http", &of("9000"))], &[told]);
}

#[test]
fn a_reference_that_attaches_to_nothing_is_told() {
    let refers = |target: &str| {
        policy("", &format!("{{action: DENY, rules: [{{}}], targetRefs: [{{{target}}}]}}"))
    };
    let nothing = "TARGET-NOTHING warning spec.targetRefs[0]";
    let service = |labels: &str| {
        format!(
            "{{apiVersion: v1, kind: Service, metadata: {{name: db, namespace: shop, labels: {{{labels}}}}}, \
             spec: {{clusterIP: 10.9.0.1, ports: [{{name: http, port: 80}}]}}}}"
        )
    };
    let gateway = "{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: gate, \
        namespace: shop}, spec: {gatewayClassName: istio-waypoint, listeners: []}}";
    let waypoint = pod(
        "labels: {gateway.networking.k8s.io/gateway-name: gate, gateway.istio.io/managed: \
         istio.io-mesh-controller}",
        "{name: istio-proxy}",
    );
    let db = refers("kind: Service, group: '', name: db");
    let uses = service("istio.io/use-waypoint: gate");
    check(&[&db], &[nothing]);
    check(&[&service(""), &db], &[nothing]);
    check(&[&uses, &db], &[nothing]);
    check(&[&uses, gateway, &db], &[]);
    check(&[&uses, &waypoint, &db], &[]);
    let gate = |name: &str| {
        refers(&format!("kind: Gateway, group: gateway.networking.k8s.io, name: {name}"))
    };
    check(&[&waypoint, &gate("gate")], &[]);
    check(&[gateway, &gate("gate")], &[]);
    check(&[&waypoint, &gate("other")], &[nothing]);
    let tokens = |name: &str| {
        format!(
            "{{apiVersion: security.istio.io/v1, kind: RequestAuthentication, metadata: {{name: t, namespace: \
             shop}}, spec: {{jwtRules: [{{issuer: a, jwks: '{{\"keys\": []}}'}}], targetRefs: [{{kind: Gateway, \
             group: gateway.networking.k8s.io, name: {name}}}]}}}}"
        )
    };
    check(&[&waypoint, &tokens("gate")], &[]);
    check(&[&waypoint, &tokens("other")], &[nothing]);
}

#[test]
fn a_reference_is_as_its_gateway_will_read_it() {
    let why = |objects: &[&str], namespace: &str, target: &str| {
        let refers =
            policy("", &format!("{{action: DENY, rules: [{{}}], targetRefs: [{{{target}}}]}}"));
        let refers = refers.replace("namespace: shop", &format!("namespace: {namespace}"));
        let found = found(Compat::default(), &[objects, &[&refers]].concat(), "{}");
        let told = found.into_iter().find(|found| found.code == "HZ-AUTHZ-TARGET-NOTHING");
        told.map(|found| found.message).unwrap_or_default()
    };
    let gateway = |class: &str| {
        format!(
            "{{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {{name: gate, \
             namespace: shop}}, spec: {{gatewayClassName: {class}, listeners: []}}}}"
        )
    };
    let (waypoint, ingress) = (gateway("istio-waypoint"), gateway("istio"));
    let class =
        |name: &str| format!("kind: GatewayClass, group: gateway.networking.k8s.io, name: {name}");
    let of_class = class("istio-waypoint");
    assert_eq!(why(&[&waypoint], "istio-system", &of_class), "");
    assert_eq!(why(&[&gateway("own")], "istio-system", &of_class), "");
    let told = why(&[&waypoint], "shop", &of_class);
    assert!(told.contains("from the root namespace `istio-system` only"), "{told}");
    let told = why(&[&ingress], "istio-system", &class("istio"));
    assert!(told.contains("`istio` is not that of waypoints"), "{told}");
    let told = why(&[&ingress], "istio-system", &of_class);
    assert!(told.contains("there is no waypoint"), "{told}");
    let service = "{apiVersion: v1, kind: Service, metadata: {name: db, namespace: shop, \
        labels: {istio.io/use-waypoint: gate}}, spec: {clusterIP: 10.9.0.1, ports: [{name: http, port: 80}]}}";
    let db = "kind: Service, group: '', name: db";
    assert_eq!(why(&[service, &waypoint], "shop", db), "");
    let told = why(&[service, &ingress], "shop", db);
    assert!(told.contains("which is a gateway and no waypoint"), "{told}");
    let entry = |name: &str| {
        format!(
            "{{apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {{name: {name}, namespace: shop, \
             labels: {{istio.io/use-waypoint: gate}}}}, spec: {{hosts: [a.example], addresses: [10.9.0.7], \
             resolution: STATIC, location: MESH_INTERNAL, ports: [{{number: 80, name: http, protocol: HTTP}}], \
             endpoints: [{{address: 10.9.9.9}}]}}}}"
        )
    };
    let runs = pod(
        "labels: {gateway.networking.k8s.io/gateway-name: gate, gateway.istio.io/managed: \
         istio.io-mesh-controller}",
        "{name: istio-proxy}",
    );
    let target = "kind: ServiceEntry, group: networking.istio.io, name: second";
    let told = why(&[&entry("first"), &entry("second"), &runs], "shop", target);
    assert!(told.contains("which does not have it"), "{told}");
}

/// What each of two primaries has a copy of reaches its gateway in one of them.
#[test]
fn a_reference_is_of_use_that_reaches_somebody_in_one_cluster() {
    let policy = policy(
        "",
        "{action: DENY, rules: [{}], targetRefs: [{kind: Gateway, group: gateway.networking.k8s.io, name: gate}]}",
    );
    let gateway = "{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: gate, \
        namespace: shop}, spec: {gatewayClassName: istio, listeners: []}}";
    let told = |first: &str, second: &str| {
        let mut registry = Registry::new(Compat::default());
        let cluster = |name: &str, text: &str| {
            let primary = Source {
                origin: Origin::Description(name.into()),
                name: format!("{name}/cluster.yaml").into(),
                text: b"role: primary".to_vec(),
            };
            let text = format!("{policy}\n---\n{text}").into_bytes();
            let origin = Origin::Cluster(name.into());
            [primary, Source { origin, name: format!("{name}/a.yaml").into(), text }]
        };
        registry.load([cluster("a", first), cluster("b", second)].into_iter().flatten());
        let found = lint(&registry.mesh());
        found.iter().filter(|found| found.code == "HZ-AUTHZ-TARGET-NOTHING").count()
    };
    assert_eq!(told(gateway, &sidecar()), 0);
    assert_eq!(told(&sidecar(), gateway), 0);
    assert_eq!(told(&sidecar(), &sidecar()), 1);
}

#[test]
fn what_an_old_control_plane_passes_over_is_told_once() {
    let too_old = |version: &str, objects: &[&str]| -> Vec<(String, String)> {
        let found = found(Compat::default(), objects, &format!("istioVersion: '{version}'"));
        let found = found.into_iter().filter(|found| found.code == "HZ-AUTHZ-TOO-OLD");
        found.map(|found| (found.field.to_string(), found.message)).collect()
    };
    let check_at = |version: &str, objects: &[&str], field: &str, effect: &str| {
        let told = too_old(version, objects);
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(told[0].0, field);
        assert!(told[0].1.contains(effect), "{told:?}");
    };
    let class = "{kind: GatewayClass, group: gateway.networking.k8s.io, name: istio-waypoint}";
    let of_class = |field: &str| {
        policy("", &format!("{{action: DENY, rules: [{{}}], {field}}}"))
            .replace("namespace: shop", "namespace: istio-system")
    };
    let everywhere = "one of all workloads of the mesh";
    let check = |objects: &[&str], field, effect| check_at("1.20.1", objects, field, effect);
    check(&[&of_class(&format!("targetRefs: [{class}]"))], "spec.targetRefs", everywhere);
    let single = of_class(&format!("targetRef: {class}"));
    check_at("1.19.9", &[&single], "spec.targetRef", everywhere);
    check(&[&single], "spec.targetRef", "attaches the policy to nothing");
    // Known since 1.20 of Gateways, since 1.22 of Services too.
    let of =
        |target: &str| policy("", &format!("{{action: DENY, rules: [{{}}], targetRef: {target}}}"));
    let gateway = of("{kind: Gateway, group: gateway.networking.k8s.io, name: gate}");
    let of_namespace = "one of all workloads of its namespace";
    check_at("1.19.9", &[&gateway], "spec.targetRef", of_namespace);
    assert_eq!(too_old("1.20.0", &[&gateway]), []);
    let service = of("{kind: Service, group: '', name: web}");
    check_at("1.21.6", &[&service], "spec.targetRef", "attaches the policy to nothing");
    assert_eq!(too_old("1.22.0", &[&service]), []);
    let service = "{kind: Service, group: '', name: web}";
    let entry = "{kind: ServiceEntry, group: networking.istio.io, name: web}";
    let both =
        policy("", &format!("{{action: DENY, rules: [{{}}], targetRefs: [{entry}, {service}]}}"));
    check_at("1.22.0", &[&both], "spec.targetRefs[0]", "by its other references only");
    let neither = both.replace(service, entry);
    check_at("1.22.0", &[&neither], "spec.targetRefs[0]", "attaches the policy to nothing");
    let template = policy("", "{action: DENY, rules: [{to: [{operation: {paths: ['/a/{*}']}}]}]}");
    let old = sidecar().replace("proxyv2:1.32.0", "proxyv2:1.20.0");
    check(
        &[&old, &template],
        "spec.rules[0].to[0].operation.paths[0]",
        "compares the text as it stands",
    );
}

/// What a control plane, a proxy or a ztunnel of some release does not know.
#[test]
fn what_is_too_new_is_told() {
    let refers = policy(
        "",
        "{action: DENY, rules: [{}], targetRefs: [{kind: Gateway, group: gateway.networking.k8s.io, name: gate}]}",
    );
    let gateway = "{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: gate, \
        namespace: shop}, spec: {gatewayClassName: istio, listeners: []}}";
    let plane = |objects: &[&str], version: &str, expected: &[&str]| {
        let description = format!("istioVersion: '{version}'");
        check_with(Compat::default(), objects, &description, expected);
    };
    let refs = "TOO-OLD warning spec.targetRefs";
    plane(&[gateway, &refers], "1.21.4", &[refs]);
    plane(&[gateway, &refers], "1.22.0", &[]);
    plane(&[gateway, &refers], "", &[]);
    let istiod = |tag: &str| {
        format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: istiod, namespace: istio-system, labels: {{app: \
             istiod}}}}, spec: {{containers: [{{name: discovery, image: 'docker.io/istio/pilot:{tag}'}}]}}}}"
        )
    };
    check(&[gateway, &refers, &istiod("1.21.4")], &[refs]);
    check(&[gateway, &refers, &istiod("1.22.1-distroless")], &[]);
    let rules =
        |action: &str, rule: &str| policy("", &format!("{{action: {action}, rules: [{rule}]}}"));
    let accounts = "{from: [{source: {serviceAccounts: [web]}}]}";
    plane(&[&rules("ALLOW", accounts)], "1.24", &["TOO-OLD error spec.rules[0].from[0].source"]);
    plane(&[&rules("DENY", accounts)], "1.24", &["TOO-OLD warning spec.rules[0].from[0].source"]);
    plane(&[&rules("DENY", accounts)], "1.25", &[]);
    let account = "{when: [{key: source.serviceAccount, values: [shop/web]}]}";
    plane(&[&rules("DENY", account)], "1.24", &["TOO-OLD error spec.rules[0].when[0].key"]);
    plane(&[&rules("ALLOW", account)], "1.24", &["TOO-OLD warning spec.rules[0].when[0].key"]);
    let domains = "{from: [{source: {trustDomains: [td]}}]}";
    plane(&[&rules("ALLOW", domains)], "1.29", &["TOO-OLD error spec.rules[0].from[0].source"]);
    plane(&[&rules("ALLOW", domains)], "1.30", &[]);
    let tokens = "{apiVersion: security.istio.io/v1, kind: RequestAuthentication, metadata: {name: t, namespace: \
        shop}, spec: {jwtRules: [{issuer: a, jwks: '{\"keys\": []}', spaceDelimitedClaims: [b]}]}}";
    plane(&[tokens], "1.27", &["TOO-OLD warning spec.jwtRules[0].spaceDelimitedClaims"]);
    plane(&[tokens], "1.28", &[]);
}

#[test]
fn an_old_proxy_refuses_templates_of_paths() {
    let template = policy("", "{rules: [{to: [{operation: {paths: ['/a/{*}']}}]}]}");
    let old = sidecar().replace("1.32.0", "1.21.6");
    check(&[&old, &template], &["TOO-OLD error spec.rules[0].to[0].operation.paths[0]"]);
    check(&[&sidecar(), &template], &[]);
    // What the proxy says of itself counts more than its image.
    let says = "proxyv2:1.32.0', env: [{name: ISTIO_META_ISTIO_VERSION, value: '1.21.0'}]";
    let said = sidecar().replace("proxyv2:1.32.0'", says);
    check(&[&said, &template], &["TOO-OLD error spec.rules[0].to[0].operation.paths[0]"]);
    let plain = policy("", "{rules: [{to: [{operation: {paths: ['/a']}}]}]}");
    check(&[&old, &plain], &[]);
}

#[test]
fn an_old_ztunnel_passes_over_what_it_does_not_know() {
    let ztunnel = |node: &str, tag: &str| {
        format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: ztunnel-{node}, namespace: istio-system, labels: \
             {{app: ztunnel}}}}, spec: {{nodeName: {node}, containers: [{{name: istio-proxy, image: \
             'istio/ztunnel:{tag}'}}]}}}}"
        )
    };
    let accounts =
        policy("", "{action: DENY, rules: [{from: [{source: {serviceAccounts: [web]}}]}]}");
    let told = "TOO-OLD error spec.rules[0].from[0].source";
    check(&[&ambient(), &ztunnel("n1", "1.24.2"), &accounts], &[told]);
    check(&[&ambient(), &ztunnel("n1", "1.25.0"), &accounts], &[]);
    check(&[&ambient(), &ztunnel("n2", "1.24.2"), &accounts], &[]);
    let trial = policy(", annotations: {istio.io/dry-run: 'true'}", "{action: DENY, rules: [{}]}");
    let mut sends = Compat::default();
    sends.flags.ambient_enable_dry_run_authorization_policy = true;
    let old = ztunnel("n1", "1.28.0");
    let field = "TOO-OLD warning metadata.annotations[istio.io/dry-run]";
    check_with(sends.clone(), &[&ambient(), &old, &trial], "{}", &[field]);
    check_with(sends, &[&ambient(), &ztunnel("n1", "1.29.0"), &trial], "{}", &[]);
    check(&[&ambient(), &old, &trial], &[]);
}
