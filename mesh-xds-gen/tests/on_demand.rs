//! What a ztunnel is told that asks for single addresses and services.
#![expect(clippy::unwrap_used, reason = "helpers of tests may fail like tests")]
use std::sync::Arc;

use mesh_model::Compat;
use mesh_model::registry::{Origin, Registry, Source};
use mesh_xds_gen::Generator;
use mesh_xds_gen::delta::incremental::{Request, Session};
use mesh_xds_gen::delta::{Retirement, SessionConfig};
use mesh_xds_gen::snapshot::{Snapshot, TypeUrl};

/// Pods as `NAME=IP`, with the label `app` of the name up to its `-`; services `cart` at 10.9.0.1 and
/// `till`, in the same place; an entry of a range.
fn snapshot(pods: &str) -> Arc<Snapshot> {
    let mut text = String::from(
        "{apiVersion: v1, kind: Pod, metadata: {name: z, namespace: istio-system, labels: {app: ztunnel}},
          spec: {containers: [{name: istio-proxy, args: [proxy, ztunnel]}]}, status: {podIP: 10.0.9.9}}
---
{apiVersion: v1, kind: Service, metadata: {name: cart, namespace: shop},
  spec: {clusterIP: 10.9.0.1, selector: {app: cart}, ports: [{name: http, port: 80}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: till, namespace: shop},
  spec: {clusterIP: 10.9.0.1, selector: {app: till}, ports: [{name: http, port: 80}]}}
---
{apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {name: far, namespace: shop},
  spec: {hosts: [far.example], addresses: [10.77.0.0/16], resolution: STATIC, ports: [{number: 80, name: h, protocol: HTTP}]}}
",
    );
    for pod in pods.split_whitespace() {
        let (name, ip) = pod.split_once('=').unwrap();
        let app = name.split('-').next().unwrap();
        text.push_str(&format!(
            "---\n{{apiVersion: v1, kind: Pod, metadata: {{name: {name}, namespace: shop, labels: {{app: {app}}}}},
              spec: {{containers: [{{name: app}}]}}, status: {{phase: Running, podIP: {ip}}}}}\n"
        ));
    }
    let source = Source {
        origin: Origin::of_path("clusters/c1/all.yaml").unwrap(),
        name: Arc::from("clusters/c1/all.yaml"),
        text: text.into_bytes(),
    };
    let mut registry = Registry::new(Compat::default());
    registry.load([source]);
    let mesh = registry.mesh();
    let proxy = mesh.proxy("c1/istio-system/z").unwrap();
    Arc::new(Generator::new().snapshot(&mesh.view(&proxy).unwrap()))
}

/// Names without what all of them have in common.
fn short(name: &str) -> String {
    let name = name.strip_prefix("c1//Pod/shop/").or_else(|| name.strip_prefix("shop/"));
    name.unwrap_or_default().trim_end_matches(".shop.svc.cluster.local").to_owned()
}

/// Steps `pods NAME=IP…` and `+name -name =name` (held in the newest version, or in another: `~name`),
/// in the short form or as they are; expected: `name(aliases)… !removed…` of every response.
fn check(type_url: &TypeUrl, steps: &[(&str, &str)]) {
    let config = SessionConfig { retirement: Retirement::AtOnce, ..SessionConfig::default() };
    let mut session = Session::new(config, 1);
    let mut newest = Arc::default();
    for (step, expected) in steps {
        if let Some(pods) = step.strip_prefix("pods") {
            newest = snapshot(pods);
            session.handle_snapshot(Arc::clone(&newest));
        } else {
            let long = |name: &str| match name {
                "*" => "*".to_owned(),
                name if name.contains('/') => name.to_owned(),
                name if name.contains('-') => format!("c1//Pod/shop/{name}"),
                name => format!("shop/{name}.shop.svc.cluster.local"),
            };
            let with = |sign: char| {
                let words = step.split_whitespace();
                words.filter_map(move |word| word.strip_prefix(sign)).map(long)
            };
            let versions = |name: String| {
                let version = newest.resource(type_url, &name).unwrap().version().to_string();
                (name, version)
            };
            let request = Request {
                node: "z".to_owned(),
                type_url: type_url.clone(),
                subscribe: with('+').collect(),
                unsubscribe: with('-').collect(),
                initial_versions: with('=').map(versions).collect(),
                nonce: String::new(),
                error: None,
            };
            session.handle_request(&request).unwrap();
        }
        let mut got: Vec<String> = Vec::new();
        while let Some(response) = session.poll_response() {
            let aliases = |it: &[Arc<str>]| it.join(",");
            got.extend(response.resources.iter().map(|it| {
                let name = short(it.name());
                if response.tells_aliases {
                    format!("{name}({})", aliases(it.aliases()))
                } else {
                    name
                }
            }));
            got.extend(response.removed.iter().map(|name| format!("!{name}")));
        }
        assert_eq!(got.join(" "), *expected, "after `{step}`");
    }
}

const PODS: &str = "pods cart-0=10.0.0.1 cart-1=10.0.0.2 web-0=10.0.0.3";

#[test]
fn an_address_brings_the_workload_that_has_it_under_its_own_name() {
    let steps = [
        (PODS, ""),
        ("+/10.0.0.3", "web-0(/10.0.0.3)"),
        ("+/1.2.3.4", "!/1.2.3.4"),
        // What is asked for again is sent again.
        ("+/10.0.0.3", "web-0(/10.0.0.3)"),
        ("pods web-0=10.0.0.3 web-1=1.2.3.4", "web-1(/1.2.3.4)"),
        ("pods web-0=10.0.0.4", "web-0(/10.0.0.4) !c1//Pod/shop/web-1"),
        ("pods", "!c1//Pod/shop/web-0"),
    ];
    check(&TypeUrl::ADDRESS, &steps);
    check(&TypeUrl::WORKLOAD, &steps);
}

#[test]
fn a_service_brings_its_workloads_by_its_name_and_by_its_address() {
    let found = "cart-0(/10.0.0.1) cart-1(/10.0.0.2) cart(/10.9.0.1)";
    check(&TypeUrl::ADDRESS, &[(PODS, ""), ("+cart", found)]);
    // `till` has the same address, and is the second.
    check(&TypeUrl::ADDRESS, &[(PODS, ""), ("+/10.9.0.1", found)]);
    let workloads = "cart-0(/10.0.0.1) cart-1(/10.0.0.2)";
    check(&TypeUrl::WORKLOAD, &[(PODS, ""), ("+cart", workloads)]);
    check(&TypeUrl::WORKLOAD, &[(PODS, ""), ("+/10.9.0.1", workloads)]);
    // A workload's own address goes before that of a service.
    let pods = "pods cart-0=10.0.0.1 web-0=10.9.0.1";
    check(&TypeUrl::ADDRESS, &[(pods, ""), ("+/10.9.0.1", "web-0(/10.9.0.1)")]);
}

#[test]
fn a_range_is_found_by_its_first_address() {
    let expected = "far.example(/10.77.0.0/16)";
    check(&TypeUrl::ADDRESS, &[(PODS, ""), ("+/10.77.0.0", expected)]);
    check(&TypeUrl::ADDRESS, &[(PODS, ""), ("+/10.77.0.1", "!/10.77.0.1")]);
}

#[test]
fn workloads_of_a_service_that_come_and_go_are_told() {
    check(
        &TypeUrl::ADDRESS,
        &[
            (PODS, ""),
            ("+cart", "cart-0(/10.0.0.1) cart-1(/10.0.0.2) cart(/10.9.0.1)"),
            ("pods cart-0=10.0.0.1 cart-2=10.0.0.5", "cart-2(/10.0.0.5) !c1//Pod/shop/cart-1"),
            // What was brought stays until the client gives it up by its name.
            ("-cart", ""),
            ("pods cart-0=10.0.0.7 cart-2=10.0.0.5", "cart-0(/10.0.0.7)"),
            ("-cart-0", ""),
            ("pods cart-0=10.0.0.8", "!c1//Pod/shop/cart-2"),
        ],
    );
}

#[test]
fn a_client_that_comes_back_is_not_sent_what_it_has() {
    let steps = [(PODS, ""), ("+cart =cart =cart-0", "cart-1(/10.0.0.2)")];
    check(&TypeUrl::ADDRESS, &steps);
    let gone = [(PODS, ""), ("+/10.0.0.3 =cart-0", "web-0(/10.0.0.3) !c1//Pod/shop/cart-0")];
    check(&TypeUrl::ADDRESS, &gone);
}

#[test]
fn who_asks_for_everything_is_told_no_aliases() {
    let all = "z cart-0 cart-1 web-0 cart far.example till";
    let all = all.replacen("z ", " ", 1);
    check(&TypeUrl::ADDRESS, &[(PODS, ""), ("+*", &all), ("+/10.0.0.3", "web-0")]);
    check(&TypeUrl::WORKLOAD, &[(PODS, ""), ("+*", " cart-0 cart-1 web-0")]);
}
