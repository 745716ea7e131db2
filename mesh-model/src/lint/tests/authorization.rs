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
fn principals_are_of_the_mesh_or_of_an_alias() {
    let spec = "{rules: [{from: [{source: {principals: [other.example/ns/a/sa/b]}}]}]}";
    policy(spread(), spec).has("HZ-AUTHZ-TRUST-DOMAIN");
    let alias = spread().file("mesh.yaml", "trustDomainAliases: [other.example]\n");
    policy(alias, spec).lacks("HZ-AUTHZ-TRUST-DOMAIN");
    policy(spread(), "{rules: [{from: [{source: {principals: [\"*/ns/a/sa/b\"]}}]}]}")
        .lacks("HZ-AUTHZ-TRUST-DOMAIN");
}

#[test]
fn requests_exist_only_on_http_ports() {
    let spec = "{rules: [{to: [{operation: {methods: [GET]}}]}]}";
    let port = |port: &str| {
        let text = service("side", "172.20.0.4", port).replace("app: side", "app: cart");
        let slice = "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: side, \
                     namespace: shop, labels: {kubernetes.io/service-name: side}}\naddressType: IPv4\n\
                     ports: [{name: tcp, port: 90}, {name: http, port: 90}]\nendpoints: [{addresses: \
                     [10.0.0.1], nodeName: c1-0, targetRef: {kind: Pod, name: cart-0, namespace: shop}}]\n";
        policy(spread().file("clusters/c1/side.yaml", &format!("{text}{slice}")), spec)
    };
    port("{name: tcp, port: 90}").has("HZ-AUTHZ-L7-ON-TCP");
    port("{name: http, port: 90}").lacks("HZ-AUTHZ-L7-ON-TCP");
}

#[test]
fn an_allow_policy_without_rules_denies() {
    policy(spread(), "{}").has("HZ-AUTHZ-EMPTY-ALLOW");
    policy(spread(), "{rules: [{}]}").lacks("HZ-AUTHZ-EMPTY-ALLOW");
}

#[test]
fn gateways_hide_addresses() {
    let spec = "{rules: [{from: [{source: {ipBlocks: [10.0.0.0/8]}}]}]}";
    policy(networks(), spec).has("HZ-AUTHZ-IP-VIA-GATEWAY");
    policy(spread(), spec).lacks("HZ-AUTHZ-IP-VIA-GATEWAY");
}
