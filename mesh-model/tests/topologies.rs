//! Who is served by whom, what counts for whom, and what survives when a cluster is gone.
#![expect(clippy::unwrap_used, reason = "tests may unwrap")]
use std::sync::Arc;

use mesh_model::Compat;
use mesh_model::manifest::Severity;
use mesh_model::registry::{Change, Mesh, Origin, Registry, Source};
use mesh_model::resource::{AuthorizationPolicy, ObjectKey, Resource};
use mesh_model::view::Subset;

/// A service `cart` with one endpoint, a client `web-0`, and the network of the cluster.
fn cluster(number: u8, network: &str) -> String {
    format!(
        "{{apiVersion: v1, kind: Namespace, metadata: {{name: istio-system, labels: {{topology.istio.io/network: '{network}'}}}}}}
---
{{apiVersion: v1, kind: Service, metadata: {{name: cart, namespace: shop}}, spec: {{clusterIP: 10.100.0.{number}, ports: [{{name: http, port: 80}}]}}}}
---
{{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, addressType: IPv4, endpoints: [{{addresses: [10.{number}.0.1]}}],
  metadata: {{name: cart-1, namespace: shop, labels: {{kubernetes.io/service-name: cart}}}}, ports: [{{name: http, port: 8080}}]}}
---
{{apiVersion: v1, kind: Pod, metadata: {{name: web-0, namespace: shop}}, spec: {{containers: [{{name: istio-proxy}}]}},
  status: {{phase: Running, podIP: 10.{number}.9.9}}}}"
    )
}

/// A rule for `cart` that is told apart by its name.
fn rule(name: &str) -> String {
    format!(
        "{{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {{name: {name}, namespace: shop}},
          spec: {{host: cart.shop.svc.cluster.local}}}}"
    )
}

fn entry(name: &str) -> String {
    format!(
        "{{apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {{name: {name}, namespace: shop}},
          spec: {{hosts: [{name}.example.org], resolution: DNS, ports: [{{number: 80, name: http, protocol: HTTP}}]}}}}"
    )
}

fn source(path: &str, text: impl Into<String>) -> Source {
    let origin = Origin::of_path(path).unwrap();
    Source { origin, name: path.into(), text: text.into().into_bytes() }
}

/// Two clusters as they are described; each also has a rule and an entry of its own, named after it.
fn sources(descriptions: [&str; 2]) -> Vec<Source> {
    let mut sources = Vec::new();
    for (index, description) in descriptions.into_iter().enumerate() {
        let number = u8::try_from(index + 1).unwrap();
        let (own, other) = (rule(&format!("of-c{number}")), entry(&format!("c{number}")));
        let objects = [cluster(number, ""), own, other].join("\n---\n");
        sources.push(source(&format!("clusters/c{number}/all.yaml"), objects));
        sources.push(source(&format!("clusters/c{number}/cluster.yaml"), description));
    }
    sources
}

fn load(sources: Vec<Source>) -> Registry {
    let mut registry = Registry::new(Compat::default());
    let found = registry.load(sources);
    assert!(found.is_empty(), "{found:?}");
    registry
}

/// What the client of a cluster is told: its control plane, the endpoints of `cart`, the rule in force, and
/// the hosts of ServiceEntries.
fn told(mesh: &Mesh, cluster: &str) -> String {
    let Ok(proxy) = mesh.proxy(&format!("{cluster}/shop/web-0")) else { return "gone".to_owned() };
    let Some(view) = mesh.view(&proxy) else { return "nobody".to_owned() };
    let Ok(cart) = view.destination("cart.shop", 80, Subset::None) else {
        return format!("{} knows no cart", view.plane().id);
    };
    let shards = view.shards(&cart.service).cloned().unwrap_or_default();
    let endpoints: Vec<String> = shards.endpoints().map(|e| e.address.to_string()).collect();
    let rule = cart.rule.map_or("no rule".to_owned(), |rule| rule.rule.meta.name.to_string());
    let hosts = view.services().iter().filter(|s| s.hostname.as_str().ends_with(".example.org"));
    let hosts: Vec<&str> = hosts.map(|service| service.hostname.as_str()).collect();
    format!("{}: {} / {rule} / {}", view.plane().id, endpoints.join(" "), hosts.join(" "))
}

#[track_caller]
fn check(mesh: &Arc<Mesh>, expected: [&str; 2]) {
    assert_eq!(["c1", "c2"].map(|id| told(mesh, id)), expected);
}

const BOTH: &str = "10.1.0.1 10.2.0.1";

#[test]
fn a_primary_serves_its_remotes_by_its_own_configuration() {
    let mesh = load(sources(["role: primary", "role: remote"])).mesh();
    let told = format!("c1: {BOTH} / of-c1 / c1.example.org");
    check(&mesh, [&told, &told]);
}

/// A policy of everybody in the namespace.
fn policy(action: &str) -> String {
    format!(
        "{{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {{name: p, namespace: shop}}, \
         spec: {{action: {action}, rules: [{{}}]}}}}"
    )
}

/// What stands for a control plane of which nobody can tell which one it is.
const UNTOLD: &str = "unreadable.invalid";

/// Which of two primaries serves `c2` decides by whose policies: without a word the first is taken if it does
/// not matter, and told.
#[test]
fn who_of_several_primaries_serves_a_cluster_is_asked_for() {
    let told = |description: &str, third: &str| {
        let mut sources = sources(["role: primary", description]);
        sources.push(source("clusters/c1/p.yaml", policy("DENY")));
        sources.push(source("clusters/c3/p.yaml", third));
        sources.push(source("clusters/c3/cluster.yaml", "role: primary"));
        let mut registry = Registry::new(Compat::default());
        let found = registry.load(sources).into_iter();
        let found = found.filter(|found| *found.file == *"clusters/c2/cluster.yaml").map(|found| {
            assert!(found.help.contains("controlPlane: c1"));
            (found.code, found.severity, found.message.contains("`c1` is taken"))
        });
        (found.collect::<Vec<_>>(), registry.mesh().control_plane_of("c2").unwrap().id.to_string())
    };
    let taken = (vec![("CLUSTER-CONTROL-PLANE", Severity::Warning, true)], "c1".to_owned());
    let none = (vec![("CLUSTER-CONTROL-PLANE", Severity::Error, false)], UNTOLD.to_owned());
    let [deny, allow] = ["DENY", "ALLOW"].map(policy);
    assert_eq!(told("role: remote", &deny), taken);
    assert_eq!(told("region: r", &deny), taken);
    // By the policies of the other everybody would get in.
    assert_eq!(told("role: remote", &allow), none);
    // Nobody can tell what this one says.
    assert_eq!(told("role: remote", &format!("{deny}\n---\n{}", policy("5"))), none);
    assert_eq!(told("{role: remote, controlPlane: c3}", &allow), (Vec::new(), "c3".to_owned()));
    assert_eq!(told("role: primary", &allow), (Vec::new(), "c2".to_owned()));
}

/// Without a primary any cluster may have the control plane: the first is taken if it does not matter.
#[test]
fn who_serves_is_asked_for_where_no_cluster_is_a_primary() {
    let told = |description: &str, policies: [&str; 2]| {
        let mut sources = sources([description, description]);
        sources.push(source("clusters/c1/p.yaml", policies[0]));
        sources.push(source("clusters/c2/p.yaml", policies[1]));
        let mut registry = Registry::new(Compat::default());
        let found = registry.load(sources).into_iter();
        let found = found.map(|found| {
            assert!(found.help.contains("role: primary"), "{found:?}");
            (found.code, found.severity)
        });
        (found.collect::<Vec<_>>(), registry.mesh().control_plane_of("c2").unwrap().id.to_string())
    };
    let taken = (Vec::new(), "c1".to_owned());
    let none = (vec![("CLUSTER-CONTROL-PLANE", Severity::Error); 2], UNTOLD.to_owned());
    let [deny, allow] = ["DENY", "ALLOW"].map(policy);
    for description in ["", "{}", "region: r", "role: remote"] {
        assert_eq!(told(description, [&deny, &deny]), taken, "{description}");
        assert_eq!(told(description, ["", ""]), taken, "{description}");
        assert_eq!(told(description, ["", &deny]), none, "{description}");
        assert_eq!(told(description, [&deny, ""]), none, "{description}");
        assert_eq!(told(description, [&deny, &allow]), none, "{description}");
    }
    assert_eq!(
        told("controlPlane: external", [&deny, &allow]),
        (Vec::new(), "external".to_owned())
    );
}

/// Of several policies for everybody in a namespace the oldest counts, and what is attached to services is in
/// force where they are discovered.
#[test]
fn equal_policies_may_say_different_things() {
    let told = |first: [&str; 2], second: [&str; 2], common: &str| {
        let mut sources = sources([first[0], second[0]]);
        sources.push(source("clusters/c1/p.yaml", first[1]));
        sources.push(source("clusters/c2/p.yaml", second[1]));
        sources.push(source("clusters/c3/cluster.yaml", "role: remote"));
        sources.push(source("config/p.yaml", common));
        let mut registry = Registry::new(Compat::default());
        registry.load(sources);
        registry.mesh().control_plane_of("c3").unwrap().id.to_string()
    };
    let primary = "role: primary";
    let peers = |[a, b]: [&str; 2]| {
        [("a", a, "STRICT"), ("b", b, "PERMISSIVE")].map(|(name, month, mode)| {
            format!(
                "{{apiVersion: security.istio.io/v1, kind: PeerAuthentication, \
                 metadata: {{name: {name}, namespace: shop, creationTimestamp: '2024-{month}-01T00:00:00Z'}}, \
                 spec: {{mtls: {{mode: {mode}}}}}}}"
            )
        })
        .join("\n---\n")
    };
    let [old, later, swapped] = [["01", "02"], ["03", "04"], ["02", "01"]].map(peers);
    assert_eq!(told([primary, &old], [primary, &later], ""), "c1");
    assert_eq!(told([primary, &old], [primary, &swapped], ""), UNTOLD);
    let reads = "{role: primary, reads: []}";
    let deny = policy("DENY");
    let attached =
        deny.replace("action", "targetRefs: [{kind: Service, group: '', name: cart}], action");
    assert_eq!(told([reads, &deny], [primary, &deny], ""), "c1");
    assert_eq!(told([primary, &attached], [primary, &attached], ""), "c1");
    assert_eq!(told([reads, &attached], [primary, &attached], ""), UNTOLD);
    assert_eq!(told([reads, ""], [primary, ""], &attached), UNTOLD);
    assert_eq!(told([reads, ""], [primary, ""], &deny), "c1");
}

/// A remote has no control plane that could serve others, or itself.
#[test]
fn a_remote_serves_nobody() {
    let told = |descriptions: [&str; 2], third: &str| {
        let mut sources = sources(descriptions);
        sources.push(source("clusters/c1/p.yaml", policy("DENY")));
        sources.push(source("clusters/c3/cluster.yaml", third));
        let mut registry = Registry::new(Compat::default());
        let found = registry.load(sources).into_iter();
        let found = found.map(|found| (found.code, found.severity, found.file.to_string()));
        let mesh = registry.mesh();
        let plane = mesh.control_plane_of("c2").unwrap();
        (found.collect::<Vec<_>>(), plane.id.to_string(), plane.broken.len())
    };
    let file = "clusters/c2/cluster.yaml".to_owned();
    let none = (vec![("CLUSTER-CONTROL-PLANE", Severity::Error, file)], UNTOLD.to_owned(), 1);
    let itself = "{role: remote, controlPlane: c2}";
    assert_eq!(told(["role: primary", itself], "role: primary"), none);
    let third = "{role: remote, controlPlane: c3}";
    assert_eq!(told(["role: primary", third], "{role: remote, controlPlane: c1}"), none);
    assert_eq!(told(["role: primary", third], "role: remote"), none);
    let of = |plane: &str| (Vec::new(), plane.to_owned(), 0);
    assert_eq!(told(["role: primary", third], "role: primary"), of("c3"));
    assert_eq!(told(["role: primary", third], "role: config"), of("c3"));
    assert_eq!(told(["role: primary", third], "region: r"), of("c3"));
    assert_eq!(told(["role: primary", third], "role: standalone"), of("c3"));
}

/// A change of a policy in one of them can make it matter, or be all that is unknown.
#[test]
fn who_serves_a_cluster_is_asked_again_when_policies_change() {
    let mut all = sources(["role: primary", "role: remote"]);
    all.push(source("clusters/c1/p.yaml", policy("DENY")));
    all.push(source("clusters/c3/p.yaml", policy("DENY")));
    all.push(source("clusters/c3/cluster.yaml", "role: primary"));
    let mut registry = Registry::new(Compat::default());
    registry.load(all);
    let origin = || Origin::Cluster("c3".into());
    let served = |mesh: &Mesh| mesh.control_plane_of("c2").unwrap().id.to_string();
    let mesh = registry.mesh();
    assert_eq!(served(&mesh), "c1");
    let known = mesh.control_planes().find(|plane| *plane.id.as_str() == *"c3").unwrap();
    let known = known.authorization_policies.iter().next().unwrap().clone();
    let mut other = (*known).clone();
    other.spec.rules.clear();
    let upsert = |policy: AuthorizationPolicy| Change::Upsert {
        origin: origin(),
        resource: Box::new(Resource::AuthorizationPolicy(policy)),
    };
    let effect = registry.apply(upsert(other));
    assert!(effect.everything);
    let mesh = registry.mesh();
    assert_eq!(served(&mesh), UNTOLD);
    assert_eq!(mesh.control_plane_of("c2").unwrap().broken.len(), 1);
    registry.apply(upsert((*known).clone()));
    assert_eq!(served(&registry.mesh()), "c1");

    // Where a name is misspelt the first policy of any cluster closes it.
    let mut registry = Registry::new(Compat::default());
    registry.load(sources(["role: primary", "{role: remote, controlPlane: c9}"]));
    let broken = |registry: &Registry| registry.mesh().control_plane_of("c2").unwrap().broken.len();
    assert_eq!(broken(&registry), 0);
    let origin = Origin::Cluster("c1".into());
    let resource = Box::new(Resource::AuthorizationPolicy((*known).clone()));
    let effect = registry.apply(Change::Upsert { origin: origin.clone(), resource });
    assert!(effect.everything);
    assert_eq!(broken(&registry), 1);
    let object =
        ObjectKey { kind: "AuthorizationPolicy", namespace: "shop".into(), name: "p".into() };
    registry.apply(Change::Delete { origin, object });
    assert_eq!(broken(&registry), 0);
}

#[test]
fn primaries_discover_each_other_and_obey_their_own_configuration() {
    let mesh = load(sources(["role: primary", "role: primary"])).mesh();
    let first = format!("c1: {BOTH} / of-c1 / c1.example.org");
    let second = "c2: 10.1.0.1 10.2.0.1 / of-c2 / c2.example.org";
    check(&mesh, [&first, second]);
}

#[test]
fn a_primary_without_the_secret_of_another_does_not_see_it() {
    let mesh = load(sources(["{role: primary, reads: []}", "role: primary"])).mesh();
    check(
        &mesh,
        ["c1: 10.1.0.1 / of-c1 / c1.example.org", "c2: 10.1.0.1 10.2.0.1 / of-c2 / c2.example.org"],
    );
}

#[test]
fn a_hosted_control_plane_reads_what_is_configured_for_it_alone() {
    let hosted = "controlPlane: external";
    let mut sources = sources([hosted, hosted]);
    sources.push(source("config/all.yaml", [rule("hosted"), entry("hosted")].join("\n---\n")));
    let told = format!("external: {BOTH} / hosted / hosted.example.org");
    check(&load(sources).mesh(), [&told, &told]);
}

#[test]
fn a_config_cluster_configures_and_runs_nothing() {
    let mut sources = sources(["role: remote", "role: remote"]);
    let objects = [rule("central"), entry("central")].join("\n---\n");
    sources.push(source("clusters/c0/all.yaml", objects));
    sources.push(source("clusters/c0/cluster.yaml", "role: config"));
    let told = format!("c0: {BOTH} / central / central.example.org");
    check(&load(sources).mesh(), [&told, &told]);
}

#[test]
fn a_cluster_whose_secret_is_deleted_takes_its_endpoints_with_it() {
    let mut registry = load(sources(["role: primary", "role: primary"]));
    let old = registry.mesh();
    registry.apply(Change::Remove("c2".into()));
    check(&registry.mesh(), ["c1: 10.1.0.1 / of-c1 / c1.example.org", "gone"]);
    // Who holds what was known before goes on with it: proxies that nobody serves keep their last
    // configuration.
    let second = "c2: 10.1.0.1 10.2.0.1 / of-c2 / c2.example.org";
    check(&old, [&format!("c1: {BOTH} / of-c1 / c1.example.org"), second]);
}

#[test]
fn a_cluster_that_does_not_answer_keeps_its_last_known_endpoints() {
    let unreachable = "{role: remote, reachable: false}";
    let mesh = load(sources(["role: primary", unreachable])).mesh();
    assert!(told(&mesh, "c1").starts_with(&format!("c1: {BOTH}")));
}

#[test]
fn remotes_whose_primary_is_gone_lose_its_configuration_and_endpoints_only() {
    let remote = "{role: remote, controlPlane: c1}";
    let mut registry = load(sources(["role: primary", remote]));
    registry.apply(Change::Remove("c1".into()));
    // The control plane is still theirs; what it read is gone with its cluster.
    check(&registry.mesh(), ["gone", "c1: 10.2.0.1 / no rule / "]);
}

#[test]
fn several_networks_are_entered_by_gateways_and_one_is_not() {
    let with_networks = |networks: [&str; 2]| {
        let clusters = networks.into_iter().zip(1..).flat_map(|(network, number)| {
            let role = if number == 1 { "role: primary" } else { "role: remote" };
            let path = format!("clusters/c{number}");
            [
                source(&format!("{path}/all.yaml"), cluster(number, network)),
                source(&format!("{path}/cluster.yaml"), role),
            ]
        });
        let gateway = "{networks: {n2: {endpoints: [{fromRegistry: c2}], gateways: [{address: 192.0.2.1, port: 15443}]}}}";
        let settings = networks.contains(&"n2").then(|| source("networks.yaml", gateway));
        let mesh = load(clusters.chain(settings).collect()).mesh();
        let proxy = mesh.proxy("c1/shop/web-0").unwrap();
        let view = mesh.view(&proxy).unwrap();
        (proxy.network.to_string(), view.gateways(false).iter().count())
    };
    assert_eq!(with_networks(["n1", "n2"]), ("n1".to_owned(), 1));
    assert_eq!(with_networks(["", ""]), (String::new(), 0));
}
