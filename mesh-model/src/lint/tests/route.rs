//! Routes and the names in them.
use super::{Fixture, service, spread};

const SUBSETS: &str = "{host: cart, subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: \
                       {version: v2}}]}";

fn versions() -> Fixture {
    let endpoints = ["10.0.0.1 r1/z1 version=v1", "10.0.0.2 r2/z1 version=v1"];
    Fixture::default().cluster("c1", "", &endpoints).rule("versions", SUBSETS)
}

fn routed(mesh: Fixture, destinations: &str) -> Fixture {
    mesh.object(
        "VirtualService",
        "cart",
        &format!("{{hosts: [cart], http: [{{route: [{destinations}]}}]}}"),
    )
}

#[test]
fn a_routed_subset_is_defined_and_has_endpoints() {
    let to = |subset: &str| format!("{{destination: {{host: cart, subset: {subset}}}}}");
    routed(versions(), &to("v9")).has("HZ-SUBSET-UNDEFINED");
    routed(versions(), &to("v2")).has("HZ-SUBSET-EMPTY");
    let good = routed(versions(), &to("v1"));
    good.lacks("HZ-SUBSET-UNDEFINED");
    good.lacks("HZ-SUBSET-EMPTY");
}

#[test]
fn mirrors_are_destinations() {
    let found = |mirror: &str| {
        let spec = format!(
            "{{hosts: [cart], http: [{{route: [{{destination: {{host: cart}}}}], {mirror}}}]}}"
        );
        versions().object("VirtualService", "cart", &spec).findings()
    };
    let check = |target: &str, code: &str, field: &str| {
        let (one, many) = (found(&format!("mirror: {target}")), {
            found(&format!("mirrors: [{{destination: {{host: cart}}}}, {{destination: {target}}}]"))
        });
        for (found, place) in [(one, "mirror"), (many, "mirrors[1].destination")] {
            let place = format!("spec.http[0].{place}{field}: ");
            let is_told = |text: &&String| text.contains(code) && text.contains(&place);
            let told = found.iter().find(is_told);
            assert!(told.is_some(), "no {code} at {place} in {found:#?}");
        }
    };
    check("{host: nobody}", "error[IST0101]", ".host");
    check("{host: cart.shop}", "error[HZ-HALF-QUALIFIED]", ".host");
    check("{host: cart, port: {number: 99}}", "error[IST0101]", ".port");
    check("{host: cart, subset: v9}", "error[HZ-SUBSET-UNDEFINED]", ".subset");
    check("{host: cart, subset: v2}", "error[HZ-SUBSET-EMPTY]", ".subset");
    let lost = found("mirror: {host: nobody}");
    assert!(lost.iter().any(|text| text.contains("copies of requests")), "{lost:#?}");
    assert_eq!(found("mirror: {host: cart, subset: v1}"), found("mirrors: []"));
}

#[test]
fn a_subset_that_nobody_routes_to_is_told_at_its_rule() {
    versions().has("IST0173");
    let both = ["10.0.0.1 r1/z1 version=v1", "10.0.0.2 r1/z1 version=v2"];
    versions().cluster("c1", "", &both).lacks("IST0173");
}

#[test]
fn the_only_living_destination_has_a_weight() {
    let weights = |one: u32, two: u32| {
        format!(
            "{{destination: {{host: cart, subset: v1}}, weight: {one}}}, {{destination: {{host: cart, \
             subset: v2}}, weight: {two}}}"
        )
    };
    routed(versions(), &weights(0, 100)).has("HZ-WEIGHT-ZERO");
    routed(versions(), &weights(100, 0)).lacks("HZ-WEIGHT-ZERO");
}

#[test]
fn shares_of_clusters_cannot_fail_over() {
    let by = |label: &str| {
        let rule = format!(
            "{{host: cart, subsets: [{{name: a, labels: {{{label}: c1}}}}, {{name: b, labels: {{{label}: \
             c2}}}}]}}"
        );
        let mesh = Fixture::default()
            .cluster("c1", "", &["10.0.0.1 r1/z1 side=c1"])
            .cluster("c2", "", &["10.1.0.1 r1/z2 side=c2"])
            .rule("versions", &rule);
        let route = "{destination: {host: cart, subset: a}, weight: 50}, {destination: {host: cart, \
                     subset: b}, weight: 50}";
        routed(mesh, route)
    };
    by("topology.istio.io/cluster").has("HZ-CLUSTER-SUBSET-FAILOVER");
    by("side").lacks("HZ-CLUSTER-SUBSET-FAILOVER");
}

#[test]
fn retries_stay_in_a_locality_that_dies() {
    let guarded = || spread().policy("{outlierDetection: {maxEjectionPercent: 100}}");
    let with = |retries: &str| {
        guarded().object(
            "VirtualService",
            "cart",
            &format!(
                "{{hosts: [cart], http: [{{route: [{{destination: {{host: cart}}}}], retries: {retries}}}]}}"
            ),
        )
    };
    with("{attempts: 2}").has("HZ-RETRY-SAME-LOCALITY");
    with("{attempts: 2, retryRemoteLocalities: true}").lacks("HZ-RETRY-SAME-LOCALITY");
}

#[test]
fn names_in_routes_exist() {
    routed(spread(), "{destination: {host: nobody}}").has("IST0101");
    routed(spread(), "{destination: {host: cart, port: {number: 9999}}}").has("IST0101");
    routed(spread(), "{destination: {host: cart, port: {number: 80}}}").lacks("IST0101");
    let bound = |gateway: &str| {
        let spec = format!(
            "{{hosts: [a.example.com], gateways: [{gateway}], http: [{{route: [{{destination: {{host: \
             cart}}}}]}}]}}"
        );
        spread().object("VirtualService", "edge", &spec)
    };
    bound("nowhere").has("IST0101");
    bound("mesh").lacks("IST0101");
}

#[test]
fn one_route_at_least_is_for_a_port_of_the_host() {
    let matched = |condition: &str| {
        let http = format!("{{match: [{condition}], route: [{{destination: {{host: cart}}}}]}}");
        let spec = format!("{{hosts: [cart], http: [{http}]}}");
        spread().object("VirtualService", "cart", &spec)
    };
    matched("{port: 81}").has("HZ-ROUTES-NO-PORT");
    matched("{port: 81}, {port: 80}").lacks("HZ-ROUTES-NO-PORT");
    matched("{uri: {prefix: /a}}").lacks("HZ-ROUTES-NO-PORT");
}

#[test]
fn half_a_name_is_not_completed() {
    routed(spread(), "{destination: {host: cart.shop}}").has("HZ-HALF-QUALIFIED");
    routed(spread(), "{destination: {host: cart}}").lacks("HZ-HALF-QUALIFIED");
    spread().rule("half", "{host: cart.shop}").has("HZ-HALF-QUALIFIED");
    let imported = |host: &str| {
        let port = "{number: 80, protocol: HTTP, name: h}";
        let hosts = format!("[istio-system/*, \"{host}\"]");
        let spec = format!("{{egress: [{{port: {port}, hosts: {hosts}}}, {{hosts: [\"./*\"]}}]}}");
        spread().object("Sidecar", "half", &spec)
    };
    for owner in ["shop", ".", "*", "~shop"] {
        let found = imported(&format!("{owner}/cart.shop")).findings();
        let told = found.iter().find(|found| found.contains("HZ-HALF-QUALIFIED"));
        let field = "spec.egress[0].hosts[1]: ";
        assert!(told.is_some_and(|told| told.contains(field)), "{found:#?}");
    }
    imported("shop/cart.shop.svc.cluster.local").lacks("HZ-HALF-QUALIFIED");
    imported("shop/cart.other").lacks("HZ-HALF-QUALIFIED");
}

#[test]
fn a_route_names_the_port_of_a_service_with_several() {
    let two = service("two", "172.20.0.5", "{name: http, port: 80}, {name: grpc, port: 90}");
    let mesh = spread().file("clusters/c1/two.yaml", &two);
    routed(mesh.clone(), "{destination: {host: two}}").has("IST0112");
    routed(mesh, "{destination: {host: two, port: {number: 90}}}").lacks("IST0112");
}

#[test]
fn a_service_is_exported_to_where_it_is_routed_to() {
    let exported = |to: &str| {
        let text = format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: far, namespace: other, annotations: \
             {{networking.istio.io/exportTo: \"{to}\"}}}}\nspec: {{clusterIP: 172.20.0.8, ports: [{{name: \
             http, port: 80}}]}}\n"
        );
        let mesh = spread().file("clusters/c1/far.yaml", &text);
        routed(mesh, "{destination: {host: far.other.svc.cluster.local}}")
    };
    exported(".").has("HZ-EXPORT-HIDDEN");
    exported("*").lacks("HZ-EXPORT-HIDDEN");
}

#[test]
fn one_host_of_the_mesh_has_one_virtual_service() {
    let routes = "{hosts: [cart], http: [{route: [{destination: {host: cart}}]}]}";
    let one = spread().object("VirtualService", "one", routes);
    one.clone().object("VirtualService", "two", routes).has("IST0109");
    one.lacks("IST0109");
}

/// A pod with a sidecar in a namespace of its own.
fn client(mesh: Fixture, namespace: &str) -> Fixture {
    let text = format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: asker, namespace: {namespace}, labels: {{app: \
         asker}}}}\nspec: {{containers: [{{name: asker}}, {{name: istio-proxy}}]}}\nstatus: {{phase: \
         Running, podIP: 10.9.0.1}}\n"
    );
    mesh.file("clusters/c1/asker.yaml", &text)
}

fn rule_in(mesh: Fixture, namespace: &str, spec: &str) -> Fixture {
    let text = format!(
        "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: there, namespace: \
         {namespace}}}\nspec: {spec}\n"
    );
    mesh.file("config/there.yaml", &text)
}

fn sidecar(mesh: Fixture, hosts: &str) -> Fixture {
    let text = format!(
        "apiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {{name: asker, namespace: web}}\n\
         spec: {{egress: [{{hosts: [{hosts}]}}]}}\n"
    );
    mesh.file("config/sidecar.yaml", &text)
}

const TO_V1: &str = "{destination: {host: cart, subset: v1}}";
const V1: &str = "subsets: [{name: v1, labels: {version: v1}}]";
const HOST: &str = "cart.shop.svc.cluster.local";

fn one_version() -> Fixture {
    Fixture::default().cluster("c1", "", &["10.0.0.1 r1/z1 version=v1"])
}

#[test]
fn a_subset_is_looked_for_as_clients_do() {
    let told = |mesh: &Fixture, text: &str| {
        let found = mesh.findings();
        let undefined: Vec<_> =
            found.iter().filter(|it| it.contains("HZ-SUBSET-UNDEFINED")).collect();
        assert_eq!(undefined.len(), usize::from(!text.is_empty()), "{found:#?}");
        assert!(undefined.iter().all(|found| found.contains(text)), "{found:#?}");
    };
    let exported = |to: &str| {
        let rule = format!("{{host: cart, exportTo: [{to}], {V1}}}");
        routed(one_version().rule("versions", &rule), TO_V1)
    };
    told(
        &client(exported("."), "web"),
        "no DestinationRule that counts for proxies of namespace `web`",
    );
    told(&client(exported("."), "shop"), "");
    told(&client(exported("'*'"), "web"), "");
    told(&client(exported("web"), "web"), "of namespace `shop`");
    told(&client(exported("shop,web"), "web"), "");
    // A rule of the clients' own namespace replaces the one that has the subset.
    let replaced = rule_in(client(exported("'*'"), "web"), "web", "{host: \"*.local\"}");
    told(&replaced, "proxies of namespace `web` DestinationRule `web/there` counts");
    let both = format!("{{host: \"*.local\", {V1}}}");
    told(&rule_in(client(exported("'*'"), "web"), "web", &both), "");
    // Rules of third namespaces count for nobody but those of the root namespace.
    let of_third = format!("{{host: {HOST}, {V1}}}");
    let third = |namespace: &str| {
        rule_in(client(routed(one_version(), TO_V1), "web"), namespace, &of_third)
    };
    told(&third("third"), "of namespace `shop`");
    told(&third("istio-system"), "");
}

#[test]
fn a_subset_is_looked_for_where_routes_are_followed() {
    let hidden = format!("{{host: cart, exportTo: [\".\"], {V1}}}");
    let bare = || client(one_version().rule("versions", &hidden), "web");
    let with = |rest: &str| {
        let spec = format!("{{hosts: [cart], {rest}, http: [{{route: [{TO_V1}]}}]}}");
        bare().object("VirtualService", "cart", &spec)
    };
    with("exportTo: [\"*\"]").has("HZ-SUBSET-UNDEFINED");
    with("exportTo: [\".\"]").lacks("HZ-SUBSET-UNDEFINED");
    let asked = |condition: &str| {
        let route = format!("{{match: [{condition}], route: [{TO_V1}]}}");
        bare().object("VirtualService", "cart", &format!("{{hosts: [cart], http: [{route}]}}"))
    };
    asked("{sourceNamespace: web}").has("HZ-SUBSET-UNDEFINED");
    asked("{sourceNamespace: shop}").lacks("HZ-SUBSET-UNDEFINED");
    asked("{sourceLabels: {app: other}}").lacks("HZ-SUBSET-UNDEFINED");
    sidecar(routed(bare(), TO_V1), "\"shop/*\"").has("HZ-SUBSET-UNDEFINED");
    sidecar(routed(bare(), TO_V1), "\"./*\"").lacks("HZ-SUBSET-UNDEFINED");
}

#[test]
fn a_subset_is_empty_for_the_clients_that_have_it() {
    let mesh = || client(routed(one_version().rule("versions", SUBSETS), TO_V1), "web");
    let own = |version: &str| {
        let spec =
            format!("{{host: {HOST}, subsets: [{{name: v1, labels: {{version: {version}}}}}]}}");
        rule_in(mesh(), "web", &spec)
    };
    own("v7").has("HZ-SUBSET-EMPTY");
    own("v1").lacks("HZ-SUBSET-EMPTY");
}

#[test]
fn a_service_is_exported_to_who_follows_routes_to_it() {
    let exported = |to: &str| {
        let text = format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: far, namespace: shop, annotations: \
             {{networking.istio.io/exportTo: \"{to}\"}}}}\nspec: {{clusterIP: 172.20.0.8, ports: [{{name: \
             http, port: 80}}]}}\n"
        );
        let mesh = client(spread().file("clusters/c1/far.yaml", &text), "web");
        routed(mesh, "{destination: {host: far}}")
    };
    exported(".").has("HZ-EXPORT-HIDDEN");
    exported(".,web").lacks("HZ-EXPORT-HIDDEN");
    sidecar(exported("."), "\"./*\"").lacks("HZ-EXPORT-HIDDEN");
}

#[test]
fn weights_are_those_of_subsets_by_the_rule_in_force() {
    // Of the two versions only v1 runs.
    let weights = "{destination: {host: cart, subset: v1}, weight: 0}, {destination: {host: cart, \
                   subset: v2}, weight: 100}";
    let versions =
        "subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]";
    let mesh = |export_to: &str, asked: &str| {
        let rule = format!("{{host: cart, exportTo: [\"{export_to}\"], {versions}}}");
        let route = format!("{{match: [{asked}], route: [{weights}]}}");
        let spec = format!("{{hosts: [cart], http: [{route}]}}");
        client(one_version().rule("versions", &rule), "web").object("VirtualService", "cart", &spec)
    };
    let web = "{sourceNamespace: web}";
    mesh("*", web).has("HZ-WEIGHT-ZERO");
    mesh("*", "{uri: {prefix: /}}").has("HZ-WEIGHT-ZERO");
    // For them no rule has the subsets, or another one, by which v2 runs and v1 does not.
    mesh(".", web).lacks("HZ-WEIGHT-ZERO");
    let other = "subsets: [{name: v2, labels: {version: v1}}, {name: v1, labels: {version: v2}}]";
    let replaced = |asked: &str| {
        rule_in(mesh("*", asked), "web", &format!("{{host: {HOST}, {other}}}")).findings()
    };
    let told = |found: &[String]| {
        let mut found = found.iter().filter(|found| found.contains("HZ-WEIGHT-ZERO"));
        found.next().cloned().unwrap_or_default()
    };
    assert_eq!(told(&replaced(web)), "");
    let everybody = told(&replaced("{uri: {prefix: /}}"));
    assert!(everybody.contains("for proxies of namespace `shop` only"), "{everybody}");
}

#[test]
fn clusters_are_those_of_subsets_by_the_rule_in_force() {
    let route = "{destination: {host: cart, subset: a}, weight: 50}, {destination: {host: cart, subset: b}, \
                 weight: 50}";
    let by = |label: &str| {
        format!(
            "subsets: [{{name: a, labels: {{{label}: c1}}}}, {{name: b, labels: {{{label}: c2}}}}]"
        )
    };
    let (clusters, sides) = (by("topology.istio.io/cluster"), by("side"));
    let mesh = |there: &str| {
        let spec = format!(
            "{{hosts: [cart], http: [{{match: [{{sourceNamespace: web}}], route: [{route}]}}]}}"
        );
        let mesh =
            client(one_version().rule("here", &format!("{{host: cart, {clusters}}}")), "web");
        rule_in(mesh, "web", there).object("VirtualService", "cart", &spec)
    };
    mesh("{host: nobody}").has("HZ-CLUSTER-SUBSET-FAILOVER");
    mesh(&format!("{{host: {HOST}, {sides}}}")).lacks("HZ-CLUSTER-SUBSET-FAILOVER");
    mesh(&format!("{{host: {HOST}, {clusters}}}")).has("HZ-CLUSTER-SUBSET-FAILOVER");
}
