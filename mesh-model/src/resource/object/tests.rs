use super::*;
use crate::resource::testing::node;
use crate::resource::{ClusterIp, PortTarget, Readiness, ServiceType, Transport, admit};

fn read(json: &str) -> Decoded {
    decode(&node(json), &Arc::from("a.yaml"), "default")
}

/// Reads a document that is expected to be fine.
fn check(json: &str) -> Resource {
    let decoded = read(json);
    assert_eq!(decoded.diagnostics, []);
    decoded.resource.unwrap()
}

/// The code, severity and field of what is found in a document that yields nothing.
fn check_refused(json: &str, expected: &[(&str, Severity, &str)]) {
    let decoded = read(json);
    assert_eq!(decoded.resource, None);
    let found: Vec<_> =
        decoded.diagnostics.iter().map(|d| (d.code, d.severity, d.field.as_str())).collect();
    assert_eq!(found, expected);
}

#[test]
fn a_service_is_read_and_its_other_fields_are_left_out_silently() {
    let Resource::Service(service) = check(
        r#"{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "cart", "namespace": "shop",
            "creationTimestamp": "1970-01-01T00:01:00Z", "managedFields": []},
            "spec": {"clusterIP": "None", "sessionAffinity": "None", "ports": [
              {"name": "http", "port": 80, "targetPort": "8080"},
              {"name": "grpc", "port": 81, "targetPort": 8081, "appProtocol": ""}]},
            "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}}"#,
    ) else {
        panic!("another kind")
    };
    assert_eq!(service.meta.creation, Some(60));
    assert_eq!(service.spec.cluster_ip, ClusterIp::Headless);
    let [http, grpc] = &*service.spec.ports else { panic!("two ports") };
    assert_eq!(http.target_port, Some(PortTarget::Name("8080".into())));
    assert_eq!((http.app().as_str(), grpc.app().as_str()), ("HTTP", "UnsupportedProtocol"));
}

#[test]
fn namespaces_are_defaulted_for_namespaced_kinds_only() {
    let pod = check(r#"{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}}"#);
    assert_eq!(pod.key().to_string(), "Pod/default/a");
    let node = check(r#"{"apiVersion": "v1", "kind": "Node", "metadata": {"name": "a"}}"#);
    assert_eq!(node.key().to_string(), "Node//a");
}

#[test]
fn a_pod_is_ready_only_if_its_condition_says_so() {
    let Resource::Pod(pod) = check(
        r#"{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec":
            {"serviceAccount": "old", "containers": [{"name": "app", "resources": {},
              "env": [{"name": "A", "valueFrom": {}}]}]},
            "status": {"podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}],
            "conditions": [{"type": "Ready", "status": "False"}]}}"#,
    ) else {
        panic!("another kind")
    };
    assert_eq!(pod.status.readiness, Readiness::NotReady);
    assert_eq!(&*pod.spec.service_account_name, "old");
    let addresses: Vec<String> = pod.status.addresses().map(|ip| ip.to_string()).collect();
    assert_eq!(addresses, ["10.0.0.1", "fd00::1"]);
}

#[test]
fn an_address_of_a_slice_that_is_none_is_kept_and_warned_of() {
    let decoded = read(
        r#"{"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": {"name": "a"},
            "addressType": "IPv4", "endpoints": [{"addresses": ["10.0.0.1", "ten"]}]}"#,
    );
    let [warning] = &*decoded.diagnostics else { panic!("one warning") };
    assert_eq!((warning.code, warning.severity), ("ADDRESS", Severity::Warning));
    assert_eq!(warning.field, "endpoints[0].addresses[1]");
    assert!(decoded.resource.is_some());
}

#[test]
fn what_is_no_object_is_refused() {
    check_refused("[1]", &[("NOT-AN-OBJECT", Severity::Error, "")]);
    check_refused(
        "{}",
        &[
            ("NOT-AN-OBJECT", Severity::Error, "apiVersion"),
            ("NOT-AN-OBJECT", Severity::Error, "kind"),
        ],
    );
    check_refused(
        r#"{"apiVersion": "v1", "kind": "Pod"}"#,
        &[("META-NAME", Severity::Error, "metadata.name")],
    );
}

#[test]
fn unknown_kinds_are_told_apart_by_their_group() {
    let check = |api_version: &str, kind: &str, code, severity, field| {
        let json = format!(r#"{{"apiVersion": "{api_version}", "kind": "{kind}"}}"#);
        check_refused(&json, &[(code, severity, field)]);
    };
    check(
        "security.istio.io/v9",
        "PeerAuthentication",
        "API-VERSION",
        Severity::Error,
        "apiVersion",
    );
    check("v1", "EndpointSlice", "API-VERSION", Severity::Error, "apiVersion");
    // It may have been any policy, and closes what that would have closed.
    check("security.istio.io/v1", "PeerAuth", "KIND-UNKNOWN", Severity::Error, "kind");
    check("networking.istio.io/v1", "Services", "KIND-UNKNOWN", Severity::Warning, "kind");
    check("serving.knative.dev/v1", "Service", "KIND-UNKNOWN", Severity::Warning, "kind");
    check("security/v1", "AuthorizationPolicy", "API-VERSION", Severity::Error, "apiVersion");
    check("batch/v1", "Job", "KIND-UNUSED", Severity::Info, "kind");
    check("v1", "Pods", "KIND-UNKNOWN", Severity::Warning, "kind");
}

#[test]
fn a_broken_object_is_still_named() {
    let decoded = read(
        r#"{"apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy",
            "metadata": {"name": "p", "namespace": "a", "labels": {"x": true}},
            "spec": {"action": "MAYBE"}, "specs": {}}"#,
    );
    assert_eq!(decoded.object.unwrap().to_string(), "AuthorizationPolicy/a/p");
    let codes: Vec<_> = decoded.diagnostics.iter().map(|d| (d.code, d.field.as_str())).collect();
    assert_eq!(
        codes,
        [
            ("FIELD-UNKNOWN", "specs"),
            ("FIELD-ENUM", "spec.action"),
            ("FIELD-TYPE", "metadata.labels.x"),
        ]
    );
}

#[test]
fn only_the_mesh_s_own_config_map_is_read() {
    let json = |name: &str| {
        format!(
            r#"{{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {{"name": "{name}",
                "namespace": "istio-system"}}, "data": {{"mesh": "trustDomain: a", "meshNetworks":
                "networks: {{n1: {{}}}}"}}}}"#
        )
    };
    let Resource::MeshConfigMap(map) = check(&json("istio-canary")) else { panic!("another kind") };
    assert_eq!(map.revision(), "canary");
    let file = Arc::from("");
    assert_eq!(&*map.mesh_config(&file).unwrap().0.trust_domain, "a");
    assert!(map.mesh_networks(&file).unwrap().0.networks.contains_key("n1"));
    assert_eq!(read(&json("other")).resource, None);
}

/// Templates write `app:` for a label without a value.
#[test]
fn a_label_without_a_value_is_empty_where_kubernetes_reads_it() {
    let metadata = r#"{"name": "a", "labels": {"app": null}, "annotations": {"b": null}}"#;
    let text = format!(
        r#"{{"apiVersion": "v1", "kind": "Service", "metadata": {metadata},
            "spec": {{"selector": {{"app": null, "b": "c"}}}}}}"#
    );
    let Resource::Service(service) = check(&text) else { panic!("another kind") };
    assert_eq!(service.meta.labels.get("app"), Some(""));
    assert_eq!(service.meta.annotations.get("b"), Some(""));
    let selector: Vec<_> = service.spec.selector.iter().collect();
    assert_eq!(selector, [("app", ""), ("b", "c")]);
    // The schemas of other kinds want a text.
    let policy = |labels: &str| {
        format!(
            r#"{{"apiVersion": "security.istio.io/v1", "kind": "PeerAuthentication", "metadata": {metadata},
                "spec": {{"selector": {{"matchLabels": {{"app": {labels}}}}}}}}}"#
        )
    };
    assert_eq!(check(&policy("\"\"")).meta().labels.get("app"), Some(""));
    let field = "spec.selector.matchLabels.app";
    check_refused(&policy("null"), &[("FIELD-TYPE", Severity::Error, field)]);
    let number =
        r#"{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "labels": {"a": 1}}}"#;
    check_refused(number, &[("FIELD-TYPE", Severity::Error, "metadata.labels.a")]);
}

/// Templates write `""` for what is not set.
#[test]
fn an_empty_text_is_a_default_where_kubernetes_has_one() {
    let service = |spec: &str, status: &str| {
        format!(
            r#"{{"apiVersion": "v1", "kind": "Service", "metadata": {{"name": "a"}},
                "spec": {{"ports": [{{"port": 80, "protocol": ""}}], {spec}}},
                "status": {{"loadBalancer": {{"ingress": [{status}]}}}}}}"#
        )
    };
    let empty = r#""type": "", "externalTrafficPolicy": """#;
    let text = service(empty, r#"{"ip": "", "hostname": "a.test"}, {"ip": "192.0.2.1"}"#);
    let Resource::Service(read) = check(&text) else { panic!("another kind") };
    assert_eq!(read.spec.kind, ServiceType::ClusterIp);
    assert_eq!(read.spec.ports[0].protocol, Transport::Tcp);
    let [name, address] = &*read.status.load_balancer.ingress else { panic!("two points") };
    assert_eq!((name.ip, &*name.hostname), (None, "a.test"));
    assert_eq!(address.ip, Some("192.0.2.1".parse().unwrap()));
    let field = "status.loadBalancer.ingress[0].ip";
    let wrong = service(empty, r#"{"ip": "a"}"#);
    check_refused(&wrong, &[("ADDRESS", Severity::Error, field)]);
    let wrong = service(r#""type": "clusterip""#, "");
    check_refused(&wrong, &[("FIELD-ENUM", Severity::Error, "spec.type")]);
    // Here Kubernetes has a default for what is absent only.
    let inner = service(r#""internalTrafficPolicy": """#, "");
    let admitted = admit(&node(&inner), &Arc::from("a.yaml"), "default");
    let told: Vec<_> = admitted.diagnostics.iter().map(|it| (it.code, &*it.field)).collect();
    assert_eq!(told, [("FIELD-ENUM", "spec.internalTrafficPolicy")]);
    assert_eq!(admitted.resource, None);
}
