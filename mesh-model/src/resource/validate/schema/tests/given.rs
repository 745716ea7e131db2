//! What is given and empty.
use serde_json::{Value, json};

use super::{admitted, entry, exceeds, fits};

#[test]
fn what_is_given_and_empty_stands_beside_nothing_that_excludes_it() {
    let exclusive = |kind: &str, spec: &Value, field: &str| {
        exceeds(kind, spec, &format!("SCHEMA-EXCLUSIVE {field}"))
    };
    let selector = json!({ "matchLabels": { "app": "cart" } });
    let target = json!({ "kind": "Service", "name": "cart" });
    for kind in ["AuthorizationPolicy", "RequestAuthentication", "Telemetry"] {
        fits(kind, &json!({ "targetRefs": [] }));
        fits(kind, &json!({ "targetRefs": null, "selector": selector }));
        let told = "spec.targetRefs";
        exclusive(kind, &json!({ "targetRefs": [], "selector": selector }), told);
        exclusive(kind, &json!({ "targetRefs": [], "targetRef": target }), told);
    }
    let source = |source: Value| json!({ "rules": [{ "from": [{ "source": source }] }] });
    let ours = json!({ "serviceAccounts": ["shop/cart"], "requestPrincipals": [], "ipBlocks": [] });
    fits("AuthorizationPolicy", &source(ours));
    for (name, full) in [("principals", "serviceAccounts"), ("notServiceAccounts", "namespaces")] {
        let told = format!("spec.rules[0].from[0].source.{name}");
        exclusive("AuthorizationPolicy", &source(json!({ name: [], full: ["cart"] })), &told);
    }
    let keys = |rule: Value| json!({ "jwtRules": [rule] });
    let (here, there) = (r#"{"keys": []}"#, "https://a.test/");
    fits("RequestAuthentication", &keys(json!({ "issuer": "a", "jwks": "" })));
    let both = keys(json!({ "issuer": "a", "jwks": "", "jwksUri": there }));
    exclusive("RequestAuthentication", &both, "spec.jwtRules[0].jwks");
    let both = keys(json!({ "issuer": "a", "jwks": here, "jwks_uri": there }));
    exclusive("RequestAuthentication", &both, "spec.jwtRules[0].jwks");
    let twice = keys(json!({ "issuer": "a", "jwksUri": there, "jwks_uri": there }));
    exclusive("RequestAuthentication", &twice, "spec.jwtRules[0].jwks_uri");
}

#[test]
fn endpoints_and_their_ports_that_are_given_and_empty_are_given() {
    let exclusive = |kind: &str, spec: &Value, field: &str| {
        exceeds(kind, spec, &format!("SCHEMA-EXCLUSIVE {field}"))
    };
    fits("ServiceEntry", &entry(&json!({ "endpoints": [], "resolution": "DNS" })));
    fits("ServiceEntry", &entry(&json!({ "endpoints": null, "resolution": "NONE" })));
    for resolution in [json!("NONE"), Value::Null] {
        let spec = entry(&json!({ "endpoints": [], "resolution": resolution }));
        exclusive("ServiceEntry", &spec, "spec.endpoints");
    }
    let selector = json!({ "labels": { "app": "cart" } });
    let both = json!({ "endpoints": [], "workloadSelector": selector, "resolution": "STATIC" });
    exclusive("ServiceEntry", &entry(&both), "spec.endpoints");
    let (address, socket) = (json!({ "address": "10.0.0.1", "ports": {} }), "unix:///run/a");
    let socket = json!({ "address": socket, "ports": {} });
    fits("WorkloadEntry", &address);
    exclusive("WorkloadEntry", &socket, "spec.ports");
    exclusive("WorkloadGroup", &json!({ "template": socket }), "spec.template.ports");
    let listed = entry(&json!({ "endpoints": [socket], "resolution": "STATIC" }));
    exclusive("ServiceEntry", &listed, "spec.endpoints[0].ports");
}

#[test]
fn secrets_that_are_given_and_empty_are_given() {
    let gateway = |tls: Value| {
        let port = json!({ "number": 443, "name": "https", "protocol": "HTTPS" });
        json!({ "servers": [{ "port": port, "hosts": ["*"], "tls": tls }] })
    };
    let secret = |more: Value| {
        let mut tls = json!({ "mode": "SIMPLE", "credentialName": "a" });
        tls.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        gateway(tls)
    };
    fits("Gateway", &secret(json!({ "credentialNames": null, "serverCertificate": "" })));
    for name in ["credentialNames", "tlsCertificates"] {
        let told = format!("SCHEMA-MIN-ITEMS spec.servers[0].tls.{name}");
        exceeds("Gateway", &secret(json!({ name: [] })), &told);
        let tls = json!({ "mode": "ISTIO_MUTUAL", name: [] });
        let port = json!({ "number": 80, "name": "tls", "protocol": "TLS" });
        let sidecar =
            json!({ "ingress": [{ "port": port, "defaultEndpoint": "127.0.0.1:80", "tls": tls }] });
        let told = format!("SCHEMA-MIN-ITEMS spec.ingress[0].tls.{name}");
        let admitted = admitted("Sidecar", &sidecar);
        assert!(admitted.diagnostics.iter().any(|it| format!("{} {}", it.code, it.field) == told));
    }
    let both = secret(json!({ "credentialName": "", "credentialNames": ["a"] }));
    exceeds("Gateway", &both, "SCHEMA-EXCLUSIVE spec.servers[0].tls.credentialName");
}
