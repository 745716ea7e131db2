//! Rules, services, pods, selectors.
use super::{Fixture, namespace, networks, service, spread};

#[test]
fn a_rule_is_for_a_host_that_exists() {
    spread().rule("nobody", "{host: nobody}").has("IST0174");
    spread().rule("cart", "{host: cart}").lacks("IST0174");
}

#[test]
fn tls_without_authorities_trusts_anybody() {
    spread().policy("{tls: {mode: SIMPLE}}").has("IST0128");
    spread().policy("{tls: {mode: SIMPLE, caCertificates: system}}").lacks("IST0128");
    let port = |tls: &str| {
        spread().policy(&format!(
            "{{tls: {{mode: ISTIO_MUTUAL}}, portLevelSettings: [{{port: {{number: 80}}, tls: {tls}}}]}}"
        ))
    };
    port("{mode: SIMPLE}").has("IST0129");
    port("{mode: SIMPLE, caCertificates: system}").lacks("IST0129");
}

#[test]
fn of_two_rules_of_a_host_one_policy_is_dropped() {
    let guard = "{host: cart, trafficPolicy: {outlierDetection: {maxEjectionPercent: 100}}}";
    let place = "{host: cart, trafficPolicy: {loadBalancer: {localityLbSetting: {failover: [{from: r1, to: \
                 r2}]}}}}";
    let pool = "{host: cart, trafficPolicy: {connectionPool: {tcp: {maxConnections: 5}}}}";
    let both = spread().rule("a", guard).rule("b", place);
    both.has("HZ-DR-SPLIT");
    both.has("HZ-OD-IN-SUBSET-ONLY");
    spread().rule("a", guard).rule("b", pool).lacks("HZ-OD-IN-SUBSET-ONLY");
    spread().rule("a", guard).lacks("HZ-DR-SPLIT");
}

#[test]
fn cluster_local_hosts_have_no_subsets_of_other_clusters() {
    let subsets =
        |label: &str| format!("{{host: cart, subsets: [{{name: far, labels: {{{label}: c1}}}}]}}");
    let local = || {
        let settings = "serviceSettings: [{settings: {clusterLocal: true}, hosts: \
                        [cart.shop.svc.cluster.local]}]\n";
        spread().file("mesh.yaml", settings)
    };
    local().rule("far", &subsets("topology.istio.io/cluster")).has("HZ-CLUSTER-LOCAL");
    local().rule("far", &subsets("version")).lacks("HZ-CLUSTER-LOCAL");
}

#[test]
fn a_port_says_its_protocol() {
    let odd = service("odd", "172.20.0.6", "{name: web, port: 80}");
    let mesh = spread().file("clusters/c1/odd.yaml", &odd);
    mesh.has("IST0118");
    let routes = "{hosts: [odd], http: [{route: [{destination: {host: odd}}]}]}";
    mesh.object("VirtualService", "odd", routes).has("HZ-PORT-SNIFF");
    spread().lacks("IST0118");
    spread().lacks("HZ-PORT-SNIFF");
}

#[test]
fn a_service_is_the_same_in_every_cluster() {
    let mesh = || {
        Fixture::default().cluster("c1", "", &["10.0.0.1 r1/z1"]).cluster(
            "c2",
            "",
            &["10.1.0.1 r1/z2"],
        )
    };
    let one =
        mesh().file("clusters/c1/x.yaml", &service("x", "172.20.0.6", "{name: http, port: 80}"));
    let same = service("x", "172.20.0.7", "{name: http, port: 80}");
    let other = service("x", "172.20.0.7", "{name: http, port: 81}");
    one.clone().file("clusters/c2/x.yaml", &other).has("IST0170");
    one.file("clusters/c2/x.yaml", &same).lacks("IST0170");
}

#[test]
fn a_service_without_an_address_in_a_cluster_has_no_name_there() {
    let mesh = || {
        Fixture::default()
            .cluster("c1", "", &["10.0.0.1 r1/z1"])
            .cluster("c2", "", &["10.1.0.1 r1/z2"])
            .file("clusters/c1/x.yaml", &service("x", "172.20.0.6", "{name: http, port: 80}"))
    };
    mesh().has("HZ-VIP-PER-CLUSTER");
    let captured = "defaultConfig: {proxyMetadata: {ISTIO_META_DNS_CAPTURE: \"true\"}}\n";
    mesh().file("mesh.yaml", captured).lacks("HZ-VIP-PER-CLUSTER");
}

#[test]
fn addresses_slices_and_nodes_fit_together() {
    let twin = service("twin", "172.20.0.1", "{name: http, port: 80}");
    spread().file("clusters/c1/twin.yaml", &twin).has("SERVICE-VIP-DUP");
    let slice = "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: lost, namespace: \
                 shop, labels: {kubernetes.io/service-name: nobody}}\naddressType: IPv4\nports: [{name: \
                 http, port: 80}]\nendpoints: [{addresses: [10.0.0.9], targetRef: {kind: Pod, name: ghost}}]\n";
    let lost = spread().file("clusters/c1/lost.yaml", slice);
    lost.has("SLICE-NO-SERVICE");
    lost.has("SLICE-NO-POD");
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: stray, namespace: shop}\nspec: {nodeName: n9, \
               containers: [{name: a}]}\nstatus: {phase: Running, podIP: 10.0.0.1}\n";
    let stray = spread().file("clusters/c1/stray.yaml", pod);
    stray.has("POD-NO-NODE");
    stray.has("POD-IP-DUP");
    for code in ["SERVICE-VIP-DUP", "SLICE-NO-SERVICE", "SLICE-NO-POD", "POD-NO-NODE", "POD-IP-DUP"]
    {
        spread().lacks(code);
    }
}

#[test]
fn a_namespace_has_one_label_of_injection() {
    let both = namespace("both", "{istio-injection: enabled, istio.io/rev: canary}");
    let one = namespace("both", "{istio.io/rev: canary}");
    spread().file("clusters/c1/both.yaml", &both).has("IST0123");
    spread().file("clusters/c1/both.yaml", &one).lacks("IST0123");
}

#[test]
fn selectors_select_something() {
    let sidecar = |app: &str| {
        format!("{{workloadSelector: {{labels: {{app: {app}}}}}, egress: [{{hosts: [\"./*\"]}}]}}")
    };
    spread().object("Sidecar", "x", &sidecar("nobody")).has("IST0127");
    spread().object("Sidecar", "x", &sidecar("cart")).lacks("IST0127");
    let two =
        spread().object("Sidecar", "x", &sidecar("cart")).object("Sidecar", "z", &sidecar("cart"));
    two.has("IST0110");
    let whole = "{egress: [{hosts: [\"./*\"]}]}";
    spread().object("Sidecar", "x", whole).object("Sidecar", "z", whole).has("IST0111");
    spread().object("Sidecar", "x", whole).lacks("IST0111");
    spread()
        .object("Sidecar", "x", whole)
        .object("Sidecar", "z", &sidecar("cart"))
        .lacks("IST0110");
}

#[test]
fn a_pod_without_labels_behind_a_ztunnel_is_met_by_every_selector() {
    let pod = |annotations: &str| {
        format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: bare, namespace: shop, \
             annotations: {annotations}}}, status: {{phase: Running, podIP: 10.0.0.77}}}}"
        )
    };
    let spec = "{selector: {matchLabels: {app: nobody}}, action: DENY, rules: [{}]}";
    let with = |kind: &str, annotations: &str| {
        let text = format!(
            "{{apiVersion: security.istio.io/v1, kind: {kind}, metadata: {{name: x, namespace: shop}}, \
             spec: {}}}",
            if kind == "AuthorizationPolicy" {
                spec
            } else {
                "{selector: {matchLabels: {app: nobody}}}"
            }
        );
        spread().file("config/x.yaml", &text).file("clusters/c1/bare.yaml", &pod(annotations))
    };
    let captured = "{ambient.istio.io/redirection: enabled}";
    with("AuthorizationPolicy", captured).lacks("IST0127");
    with("AuthorizationPolicy", "{}").has("IST0127");
    with("PeerAuthentication", captured).has("IST0127");
}

/// A machine has the labels of its spec and those of the object; behind a ztunnel one without any is met by
/// every selector, as a pod is.
#[test]
fn a_machine_is_met_by_either_of_its_labels() {
    let policy = "{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {name: x, namespace: \
                  shop}, spec: {selector: {matchLabels: {app: old}}, action: DENY, rules: [{}]}}";
    let with = |mode: &str, metadata: &str, spec: &str| {
        let namespace = format!(
            "{{apiVersion: v1, kind: Namespace, metadata: {{name: shop, labels: {{istio.io/dataplane-mode: {mode}}}}}}}"
        );
        let entry = format!(
            "{{apiVersion: networking.istio.io/v1, kind: WorkloadEntry, metadata: {{name: m, namespace: shop, \
             {metadata}}}, spec: {{address: 10.7.7.7, {spec}}}}}"
        );
        let files = spread().file("config/x.yaml", policy).file("config/m.yaml", &entry);
        files.file("clusters/c1/mode.yaml", &namespace)
    };
    for mode in ["none", "ambient"] {
        with(mode, "labels: {app: old}", "").lacks("IST0127");
        with(mode, "", "labels: {app: old}").lacks("IST0127");
        with(mode, "labels: {app: new}", "labels: {app: old}").has("IST0127");
    }
    with("ambient", "", "").lacks("IST0127");
    with("none", "", "").has("IST0127");
}

#[test]
fn proxies_are_where_their_environment_says() {
    let pod = |list: &str, env: &str| {
        let text = format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: web, namespace: shop}}\nspec: {{{list}: [{{name: \
             istio-proxy, restartPolicy: Always, env: [{{name: A, value: b}}, {env}]}}]}}\nstatus: {{phase: \
             Running, podIP: 10.0.0.9}}\n"
        );
        networks().file("clusters/c1/web.yaml", &text)
    };
    let cluster = |value: &str| format!("{{name: ISTIO_META_CLUSTER_ID, value: {value}}}");
    pod("containers", &cluster("c1")).lacks("PROXY-CLUSTER");
    for list in ["containers", "initContainers"] {
        let found = pod(list, &cluster("Kubernetes")).findings();
        let field = format!("spec.{list}[0].env[1].value");
        let told = found.iter().find(|found| found.contains("PROXY-CLUSTER"));
        assert!(told.is_some_and(|told| told.contains(&field)), "{found:#?}");
    }
    let network = |value: &str| format!("{{name: ISTIO_META_NETWORK, value: '{value}'}}");
    pod("containers", &network("n1")).lacks("PROXY-NETWORK");
    pod("containers", &network("n2")).has("PROXY-NETWORK");
    pod("containers", &network("")).has("PROXY-NETWORK");
    // What the cluster's folder does not know contradicts nothing.
    let unknown = pod("containers", &network("n2")).cluster("c1", "", &[]);
    unknown.lacks("PROXY-NETWORK");
}

#[test]
fn proxies_are_as_the_manifests_say() {
    let entry = |text: &str| networks().file("proxies.json", text);
    entry(r#"[{"ref": "c1/shop/cart-0", "network": "n9"}]"#).has("PROXY-CONTRADICTS");
    entry(r#"[{"ref": "c1/shop/ghost"}]"#).has("PROXY-UNKNOWN");
    let told = |fields: &str, expected: &str| {
        let found = entry(&format!(r#"[{{"ref": "c1/shop/cart-0", {fields}}}]"#)).findings();
        assert!(found.iter().any(|found| found.contains(expected)), "{expected} in {found:#?}");
    };
    told(r#""network": "n9""#, "the manifests say `n1`: the manifests count");
    told(
        r#""network": "n9", "metadata": {"NETWORK": "n2"}"#,
        "its own `metadata.NETWORK` says `n2`: the metadata counts",
    );
    told(
        r#""interception_mode": "NONE", "metadata": {"NETWORK": "n2"}"#,
        "the manifests say `REDIRECT`: the manifests count",
    );
    let right = entry(r#"[{"ref": "c1/shop/cart-0", "network": "n1", "ip": "10.0.0.1"}]"#);
    right.lacks("PROXY-CONTRADICTS");
    right.lacks("PROXY-UNKNOWN");
}

fn custom(provider: &str) -> Fixture {
    let text = format!(
        "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {{name: ask, namespace: \
         shop}}\nspec: {{action: CUSTOM, provider: {{name: {provider}}}, rules: [{{}}]}}\n"
    );
    spread().file("config/ask.yaml", &text)
}

#[test]
fn a_policy_names_an_authorizer_that_can_be_asked() {
    let found = |provider: &str| {
        let settings = format!("extensionProviders: [{{name: asked, {provider}}}]\n");
        custom("asked").file("mesh.yaml", &settings)
    };
    let check = |mesh: &Fixture, text: &str| {
        let (_, found) = mesh.errors_and_findings();
        let told = |it: &&String| it.contains("error[IST0101]") && it.contains(text);
        assert!(found.iter().any(|it| told(&it)), "no `{text}` in {found:#?}");
    };
    check(&custom("nobody"), "spec.provider.name: MeshConfig has no extension provider `nobody`");
    let service = |host: &str| format!("envoyExtAuthzGrpc: {{service: {host}, port: 80}}");
    found(&service("cart.shop.svc.cluster.local")).lacks("IST0101");
    found(&service("shop/cart.shop.svc.cluster.local")).lacks("IST0101");
    let gone = found(&service("gone.shop.svc.cluster.local"));
    check(
        &gone,
        "no service has the host `gone.shop.svc.cluster.local` of extension provider `asked`",
    );
    check(&found(&service("web/cart.shop.svc.cluster.local")), "no service has the host");
    let traces = "zipkin: {service: cart.shop.svc.cluster.local, port: 80}";
    check(&found(traces), "extension provider `asked` is no authorizer");
}

#[test]
fn telemetry_goes_to_providers_that_exist() {
    let telemetry = |list: &str, name: &str| {
        let text = format!(
            "apiVersion: telemetry.istio.io/v1\nkind: Telemetry\nmetadata: {{name: t, namespace: shop}}\n\
             spec: {{{list}: [{{providers: [{{name: {name}}}]}}]}}\n"
        );
        let settings = "extensionProviders: [{name: mine, prometheus: {}}]\n";
        spread().file("config/t.yaml", &text).file("mesh.yaml", settings)
    };
    for list in ["tracing", "metrics", "accessLogging"] {
        telemetry(list, "nobody").has("IST0101");
        telemetry(list, "mine").lacks("IST0101");
        let default = |name: &str| {
            let text = format!(
                "extensionProviders: [{{name: mine, prometheus: {{}}}}]\ndefaultProviders: {{{list}: [{name}]}}\n"
            );
            spread().file("mesh.yaml", &text)
        };
        default("nobody").has("IST0101");
        default("mine").lacks("IST0101");
    }
    telemetry("metrics", "prometheus").lacks("IST0101");
}

#[test]
fn selectors_of_every_kind_select_somebody() {
    let with = |group: &str, kind: &str, spec: &str| {
        let text = format!(
            "apiVersion: {group}\nkind: {kind}\nmetadata: {{name: some, namespace: shop}}\nspec: {spec}\n"
        );
        spread().file("config/some.yaml", &text)
    };
    let kinds = [
        ("telemetry.istio.io/v1", "Telemetry", "selector: {matchLabels: LABELS}, tracing: [{}]"),
        (
            "networking.istio.io/v1beta1",
            "ProxyConfig",
            "selector: {matchLabels: LABELS}, concurrency: 1",
        ),
        (
            "networking.istio.io/v1",
            "DestinationRule",
            "workloadSelector: {matchLabels: LABELS}, host: cart.shop.svc.cluster.local",
        ),
        (
            "networking.istio.io/v1",
            "Sidecar",
            "workloadSelector: {labels: LABELS}, egress: [{hosts: [\"./*\"]}]",
        ),
    ];
    for (group, kind, spec) in kinds {
        let of = |app: &str| {
            let labels = format!("{{app: {app}}}");
            with(group, kind, &format!("{{{}}}", spec.replace("LABELS", &labels)))
        };
        let (_, found) = of("nobody").errors_and_findings();
        let field =
            if spec.starts_with("workload") { "spec.workloadSelector" } else { "spec.selector" };
        let text = format!("{field}: no workload has app=nobody");
        assert!(
            found.iter().any(|it| it.contains("[IST0127]") && it.contains(&text)),
            "{found:#?}"
        );
        of("cart").lacks("IST0127");
    }
}
