//! Authorization policies.
use super::{Fixture, networks, service, spread};

fn policy(mesh: Fixture, spec: &str) -> Fixture {
    let text = format!(
        "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {{name: p, namespace: \
         shop}}\nspec: {spec}\n"
    );
    mesh.file("config/policy.yaml", &text)
}

fn strict(mesh: Fixture) -> Fixture {
    let text = "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: default, \
                namespace: shop}\nspec: {mtls: {mode: STRICT}}\n";
    mesh.file("config/strict.yaml", text)
}

#[test]
fn identities_need_mutual_tls() {
    let spec = "{action: DENY, rules: [{from: [{source: {namespaces: [evil]}}]}]}";
    policy(spread(), spec).has("HZ-AUTHZ-NEEDS-MTLS");
    policy(strict(spread()), spec).lacks("HZ-AUTHZ-NEEDS-MTLS");
}

#[test]
fn what_plain_text_matches_needs_no_mutual_tls() {
    let denied = "{action: DENY, rules: [{from: [{source: {notPrincipals: [\"*\"]}}]}]}";
    policy(spread(), denied).lacks("HZ-AUTHZ-NEEDS-MTLS");
    let domain = "{rules: [{when: [{key: source.trustDomain, values: [a]}]}]}";
    policy(spread(), domain).has("HZ-AUTHZ-NEEDS-MTLS");
    let port = |port: &str| {
        let text = "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: cart, \
                    namespace: shop}\nspec: {selector: {matchLabels: {app: cart}}, mtls: {mode: STRICT}, \
                    portLevelMtls: {9090: {mode: DISABLE}}}\n";
        let spec = format!(
            "{{rules: [{{from: [{{source: {{namespaces: [a]}}}}], to: [{{operation: {{ports: \
             [\"{port}\"]}}}}]}}]}}"
        );
        policy(spread().file("config/port.yaml", text), &spec)
    };
    port("9090").has("HZ-AUTHZ-NEEDS-MTLS");
    port("8080").lacks("HZ-AUTHZ-NEEDS-MTLS");
}

#[test]
fn principals_are_of_the_mesh_or_of_an_alias() {
    let spec = "{rules: [{from: [{source: {principals: [other.example/ns/a/sa/b]}}]}]}";
    policy(spread(), spec).has("HZ-AUTHZ-TRUST-DOMAIN");
    let alias = spread().file("mesh.yaml", "trustDomainAliases: [other.example]\n");
    policy(alias, spec).lacks("HZ-AUTHZ-TRUST-DOMAIN");
    policy(spread(), "{rules: [{from: [{source: {principals: [\"*/ns/a/sa/b\"]}}]}]}")
        .lacks("HZ-AUTHZ-TRUST-DOMAIN");
    let root = "caCertificates: [{pem: a, trustDomains: [other.example]}]\n";
    policy(spread().file("mesh.yaml", root), spec).lacks("HZ-AUTHZ-TRUST-DOMAIN");
    let when = "{rules: [{when: [{key: source.principal, values: [other.example/ns/a/sa/b]}]}]}";
    policy(spread(), when).has("HZ-AUTHZ-TRUST-DOMAIN");
}

#[test]
fn requests_exist_only_on_http_ports() {
    let spec = "{rules: [{to: [{operation: {methods: [GET]}}]}]}";
    let with = |port: &str, spec: &str| {
        let text = service("side", "172.20.0.4", port).replace("app: side", "app: cart");
        let slice = "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: side, \
                     namespace: shop, labels: {kubernetes.io/service-name: side}}\naddressType: IPv4\n\
                     ports: [{name: tcp, port: 90}, {name: http, port: 90}]\nendpoints: [{addresses: \
                     [10.0.0.1], nodeName: c1-0, targetRef: {kind: Pod, name: cart-0, namespace: shop}}]\n";
        policy(spread().file("clusters/c1/side.yaml", &format!("{text}{slice}")), spec)
    };
    with("{name: tcp, port: 90}", spec).has("HZ-AUTHZ-L7-ON-TCP");
    with("{name: http, port: 90}", spec).lacks("HZ-AUTHZ-L7-ON-TCP");
    let on = |ports: &str| {
        let operation = format!("{{methods: [POST], {ports}}}");
        with("{name: tcp, port: 90}", &format!("{{rules: [{{to: [{{operation: {operation}}}]}}]}}"))
    };
    on("ports: [\"90\"]").has("HZ-AUTHZ-L7-ON-TCP");
    on("ports: [\"8080\"]").lacks("HZ-AUTHZ-L7-ON-TCP");
    on("notPorts: [\"90\"]").lacks("HZ-AUTHZ-L7-ON-TCP");
    let token = "{rules: [{from: [{source: {requestPrincipals: [\"*\"]}}]}]}";
    with("{name: tcp, port: 90}", token).has("HZ-AUTHZ-L7-ON-TCP");
    // There the rule does not become wider, nor does it matter what a port speaks.
    let ambient = "---\napiVersion: v1\nkind: Pod\nmetadata: {name: cart-9, namespace: shop, labels: {app: far, \
                   istio.io/dataplane-mode: ambient}}\nspec: {containers: [{name: cart}]}\nstatus: {phase: \
                   Running, podIP: 10.0.0.9}\n";
    let text = service("far", "172.20.0.5", "{name: tcp, port: 90}");
    let slice = "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: far, namespace: \
                 shop, labels: {kubernetes.io/service-name: far}}\naddressType: IPv4\nports: [{name: tcp, port: \
                 90}]\nendpoints: [{addresses: [10.0.0.9], targetRef: {kind: Pod, name: cart-9, namespace: shop}}]\n";
    let far =
        "{selector: {matchLabels: {app: far}}, rules: [{to: [{operation: {methods: [GET]}}]}]}";
    let of = |pod: &str| {
        policy(spread().file("clusters/c1/far.yaml", &format!("{text}{slice}{pod}")), far)
    };
    of(ambient).lacks("HZ-AUTHZ-L7-ON-TCP");
    of(&ambient.replace("ambient", "none")).has("HZ-AUTHZ-L7-ON-TCP");
}

#[test]
fn an_allow_policy_without_rules_denies() {
    policy(spread(), "{}").has("HZ-AUTHZ-EMPTY-ALLOW");
    policy(spread(), "{rules: [{}]}").lacks("HZ-AUTHZ-EMPTY-ALLOW");
    let selector = |app: &str| format!("{{selector: {{matchLabels: {{app: {app}}}}}}}");
    policy(spread(), &selector("cart")).has("HZ-AUTHZ-EMPTY-ALLOW");
    policy(spread(), &selector("nobody")).lacks("HZ-AUTHZ-EMPTY-ALLOW");
    policy(spread(), &selector("machine"))
        .object("WorkloadEntry", "m", "{address: 10.9.0.1, labels: {app: machine}}")
        .has("HZ-AUTHZ-EMPTY-ALLOW");
    let trial = |value: &str| {
        let text = format!(
            "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {{name: p, \
             namespace: shop, annotations: {{istio.io/dry-run: '{value}'}}}}\nspec: {{}}\n"
        );
        spread().file("config/policy.yaml", &text)
    };
    trial("true").lacks("HZ-AUTHZ-EMPTY-ALLOW");
    trial("false").has("HZ-AUTHZ-EMPTY-ALLOW");
}

#[test]
fn gateways_hide_addresses() {
    let spec = "{rules: [{from: [{source: {ipBlocks: [10.0.0.0/8]}}]}]}";
    policy(networks(), spec).has("HZ-AUTHZ-IP-VIA-GATEWAY");
    policy(spread(), spec).lacks("HZ-AUTHZ-IP-VIA-GATEWAY");
    let when = "{rules: [{when: [{key: source.ip, values: [10.0.0.0/8]}]}]}";
    policy(networks(), when).has("HZ-AUTHZ-IP-VIA-GATEWAY");
}

#[test]
fn every_foreign_principal_is_told_where_it_stands() {
    let spec = "{rules: [{from: [{source: {principals: [x/ns/a/sa/b]}}]}, \
                {from: [{source: {namespaces: [a]}}, {source: {principals: [cluster.local/ns/a/sa/b, \
                y/ns/a/sa/b]}}]}, {when: [{key: source.ip, values: [10.0.0.1]}, {key: source.principal, \
                values: [z/ns/a/sa/b]}]}]}";
    let found = policy(spread(), spec).findings();
    let told: Vec<&String> =
        found.iter().filter(|found| found.contains("HZ-AUTHZ-TRUST-DOMAIN")).collect();
    let places = [
        "spec.rules[0].from[0].source.principals[0]",
        "spec.rules[1].from[1].source.principals[1]",
        "spec.rules[2].when[1].values[0]",
    ];
    assert_eq!(told.len(), places.len(), "{told:?}");
    for place in places {
        assert!(told.iter().any(|found| found.contains(place)), "{place}: {told:?}");
    }
}

#[test]
fn a_policy_in_a_namespace_where_nobody_is_concerns_nobody() {
    let of = |kind: &str, namespace: &str, spec: &str| {
        let text = format!(
            "apiVersion: security.istio.io/v1\nkind: {kind}\nmetadata: {{name: p, namespace: \
             {namespace}}}\nspec: {spec}\n"
        );
        spread().file("config/policy.yaml", &text)
    };
    let code = "HZ-POLICY-NAMESPACE";
    let deny = "{action: DENY, rules: [{}]}";
    of("AuthorizationPolicy", "shp", deny).has(code);
    let told = of("AuthorizationPolicy", "shp", deny).findings();
    assert!(told.iter().any(|found| found.contains("did you mean namespace `shop`?")), "{told:?}");
    of("PeerAuthentication", "shp", "{mtls: {mode: STRICT}}").has(code);
    of("RequestAuthentication", "shp", "{jwtRules: [{issuer: i, jwks: '{\"keys\":[]}'}]}")
        .has(code);
    of("AuthorizationPolicy", "shop", deny).lacks(code);
    of("AuthorizationPolicy", "istio-system", deny).lacks(code);
    // Of one with labels, and of one that is attached by reference, other findings tell that.
    let selecting = "{selector: {matchLabels: {app: cart}}, action: DENY, rules: [{}]}";
    of("AuthorizationPolicy", "shp", selecting).lacks(code);
    of("AuthorizationPolicy", "shp", selecting).has("IST0127");
    // A namespace that there is awaits its workloads.
    let there = |text: &str| {
        of("AuthorizationPolicy", "shp", deny).file("clusters/c1/more.yaml", text).lacks(code);
    };
    there("apiVersion: v1\nkind: Namespace\nmetadata: {name: shp}\n");
    there("apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: a, namespace: shp}\n");
    there(
        "apiVersion: v1\nkind: Service\nmetadata: {name: a, namespace: shp}\nspec: {ports: [{port: 80}]}\n",
    );
    // Without any workload nothing is known.
    let alone = Fixture::default().cluster("c1", "", &[]);
    policy(alone, deny).lacks(code);
}

#[test]
fn sources_are_of_namespaces_and_trust_domains_that_exist() {
    let policy = |rule: &str| {
        let text = format!(
            "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {{name: from, namespace: \
             shop}}\nspec: {{rules: [{rule}]}}\n"
        );
        spread().file("config/from.yaml", &text)
    };
    let source = |list: &str| policy(&format!("{{from: [{{source: {{{list}}}}}]}}"));
    let when = |key: &str, value: &str| {
        policy(&format!("{{when: [{{key: source.{key}, values: [\"{value}\"]}}]}}"))
    };
    source("namespaces: [shpo]").has("IST0101");
    source("namespaces: [shop, istio-system]").lacks("IST0101");
    source("namespaces: [\"shp*\"]").lacks("IST0101");
    source("notNamespaces: [shpo]").lacks("IST0101");
    when("namespace", "shpo").has("IST0101");
    when("namespace", "shop").lacks("IST0101");
    source("trustDomains: [other]").has("HZ-AUTHZ-TRUST-DOMAIN");
    source("trustDomains: [cluster.local, \"*.example\"]").lacks("HZ-AUTHZ-TRUST-DOMAIN");
    when("trustDomain", "other").has("HZ-AUTHZ-TRUST-DOMAIN");
    let alias = "trustDomainAliases: [other]\n";
    source("trustDomains: [other]").file("mesh.yaml", alias).lacks("HZ-AUTHZ-TRUST-DOMAIN");
}

#[test]
fn keys_that_no_proxy_can_read_close_its_listeners() {
    let rule = |rule: &str| {
        let text = format!(
            "apiVersion: security.istio.io/v1\nkind: RequestAuthentication\nmetadata: {{name: p, namespace: \
             shop}}\nspec: {{jwtRules: [{{issuer: a, jwksUri: 'https://a/k'}}, {{issuer: b, {rule}}}]}}\n"
        );
        spread().file("config/policy.yaml", &text)
    };
    let found = rule("jwks: '{\"keys\":[]}'").findings();
    let told = found.iter().find(|found| found.contains("HZ-JWT-NO-KEY"));
    assert!(told.is_some_and(|told| told.contains("spec.jwtRules[1].jwks")), "{found:#?}");
    rule("jwks: '{\"keys\":[{\"kty\":\"oct\",\"k\":\"AAAA\"}]}'").lacks("HZ-JWT-NO-KEY");
    rule("jwksUri: 'https://b/k'").lacks("HZ-JWT-NO-KEY");
}
