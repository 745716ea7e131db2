//! Sidecars and annotations of pods.
use super::{Fixture, namespace, service, spread};

/// A pod of namespace `shop` with containers in YAML's flow form; `more` is of its metadata.
fn pod(mesh: Fixture, more: &str, containers: &str) -> Fixture {
    let text = format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: extra, namespace: shop{more}}}\nspec: {{nodeName: \
         c1-0, containers: [{containers}]}}\nstatus: {{phase: Running, podIP: 10.0.9.9}}\n"
    );
    mesh.file("clusters/c1/extra.yaml", &text)
}

fn labelled(labels: &str) -> Fixture {
    spread().file("clusters/c1/namespace.yaml", &namespace("shop", labels))
}

const BARE: &str = "{name: a, image: a}";

#[test]
fn a_namespace_says_whether_its_pods_get_sidecars() {
    pod(labelled("{}"), "", BARE).has("IST0102");
    pod(labelled("{istio-injection: disabled}"), "", BARE).lacks("IST0102");
    labelled("{}").lacks("IST0102");
}

#[test]
fn an_injector_may_take_silence_for_yes() {
    let injector = |by_default: bool| {
        let text = format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: istio-sidecar-injector, namespace: \
             istio-system}}\ndata:\n  values: |-\n    {{\"sidecarInjectorWebhook\": \
             {{\"enableNamespacesByDefault\": {by_default}}}}}\n"
        );
        pod(labelled("{}"), "", BARE).file("clusters/c1/injector.yaml", &text)
    };
    injector(true).has("IST0148");
    injector(true).lacks("IST0102");
    injector(false).lacks("IST0148");
    injector(false).has("IST0102");
}

#[test]
fn a_pod_of_an_injected_namespace_has_a_proxy() {
    let injected = || labelled("{istio-injection: enabled}");
    pod(injected(), "", BARE).has("IST0103");
    pod(injected(), ", labels: {sidecar.istio.io/inject: \"false\"}", BARE).lacks("IST0103");
    pod(injected(), "", "{name: a}, {name: istio-proxy, image: p}").lacks("IST0103");
}

#[test]
fn the_image_of_a_proxy_is_not_left_to_injection() {
    pod(spread(), "", "{name: istio-proxy, image: auto}").has("IST0147");
    pod(spread(), "", "{name: istio-proxy, image: \"p:1\"}").lacks("IST0147");
}

#[test]
fn proxies_of_a_namespace_are_of_one_version() {
    let two = |image: &str| {
        let first =
            pod(labelled("{istio-injection: enabled}"), "", "{name: istio-proxy, image: \"p:1\"}");
        let text = format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: other, namespace: shop}}\nspec: {{nodeName: c1-0, \
             containers: [{{name: istio-proxy, image: \"{image}\"}}]}}\nstatus: {{podIP: 10.0.9.8}}\n"
        );
        first.file("clusters/c1/other.yaml", &text)
    };
    two("p:2").has("IST0158");
    two("p:1").lacks("IST0158");
}

#[test]
fn an_application_does_not_run_as_the_proxy_does() {
    let user = |id: u32| format!("{{name: a, securityContext: {{runAsUser: {id}}}}}");
    pod(spread(), "", &user(1337)).has("IST0144");
    pod(spread(), "", &user(1000)).lacks("IST0144");
}

#[test]
fn annotations_are_known_and_on_the_right_objects() {
    let with = |annotation: &str| pod(spread(), &format!(", annotations: {{{annotation}}}"), BARE);
    with("sidecar.istio.io/interceptionMod: TPROXY").has("IST0108");
    with("networking.istio.io/exportTo: \".\"").has("IST0107");
    with("sidecar.istio.io/interceptionMode: tproxy").has("IST0125");
    with("sidecar.istio.io/inject: \"true\"").has("IST0135");
    let right = with("sidecar.istio.io/interceptionMode: TPROXY");
    for code in ["IST0107", "IST0108", "IST0125", "IST0135"] {
        right.lacks(code);
    }
}

#[test]
fn services_of_the_same_pods_agree_about_ports() {
    let twin = |port: &str| {
        let text = service("twin", "172.20.0.7", port).replace("app: twin", "app: cart");
        spread().file("clusters/c1/twin.yaml", &text)
    };
    twin("{name: dns, port: 80, protocol: UDP, targetPort: 81}").has("IST0116");
    twin("{name: http, port: 8081, targetPort: 80}").has("IST0137");
    let same = twin("{name: http, port: 80}");
    same.lacks("IST0116");
    same.lacks("IST0137");
}

#[test]
fn a_name_of_a_name_says_its_protocol() {
    let named = |port: &str| {
        let text = format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: out, namespace: shop}}\nspec: {{type: \
             ExternalName, externalName: a.example.com, ports: [{{name: {port}, port: 80}}]}}\n"
        );
        spread().file("clusters/c1/out.yaml", &text)
    };
    named("tcp").has("IST0150");
    named("http").lacks("IST0150");
}

#[test]
fn the_image_of_a_template_is_replaced_by_a_webhook() {
    let deployment = |labels: &str| {
        format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: ew, namespace: shop}}\nspec: {{template: \
             {{metadata: {{labels: {{{labels}}}}}, spec: {{containers: [{{name: istio-proxy, image: \
             auto}}]}}}}}}\n"
        )
    };
    let mesh = |of_namespace: &str, of_pod: &str| {
        labelled(of_namespace).file("clusters/c1/deployment.yaml", &deployment(of_pod))
    };
    mesh("{}", "").has("IST0146");
    mesh("{}", "sidecar.istio.io/inject: \"true\"").lacks("IST0146");
    mesh("{}", "istio.io/rev: canary").lacks("IST0146");
    mesh("{istio.io/rev: canary}", "").lacks("IST0146");
    mesh("{istio-injection: enabled}", "").lacks("IST0146");
    mesh("{istio-injection: enabled}", "sidecar.istio.io/inject: \"false\"").has("IST0146");
}

#[test]
fn features_in_their_alpha_phase_are_told() {
    let with = |name: &str| pod(spread(), &format!(", annotations: {{{name}: a}}"), BARE);
    with("sidecar.istio.io/proxyCPU").has("IST0136");
    with("proxy.istio.io/config").lacks("IST0136");
    with("sidecar.istio.io/status").lacks("IST0136");
}
