//! What happens when something fails: laws over every mesh folder of the repository, and small meshes.
#![expect(clippy::unwrap_used, reason = "helpers of tests may fail like tests")]
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mesh_lb::assign::{Assignment, Discovery};
use mesh_lb::share::Spread;
use mesh_lb::whatif::{
    Asked, Failure, Loss, Outcome, Scenario, Shift, Survey, services, services_and_subsets,
};
use mesh_model::Compat;
use mesh_model::endpoint::Provider;
use mesh_model::registry::{Mesh, Origin, Registry, Resolution, Source};
use mesh_model::view::{Destination, Proxy, ProxyView, Subset};

fn files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
}

fn folder(name: &str) -> Arc<Mesh> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/meshes").join(name);
    let mut paths = Vec::new();
    files(&root, &mut paths);
    let sources = paths.iter().filter_map(|path| {
        let name = path.strip_prefix(&root).unwrap().to_str().unwrap();
        let text = std::fs::read(path).unwrap();
        Some(Source { origin: Origin::of_path(name)?, name: Arc::from(name), text })
    });
    let mut registry = Registry::new(Compat::default());
    registry.load(sources);
    registry.mesh()
}

fn proxies(mesh: &Mesh) -> Vec<Proxy> {
    mesh.proxies().map(|reference| mesh.proxy(&reference).unwrap()).collect()
}

fn destinations<'m>(view: &ProxyView<'m>) -> Vec<Destination<'m>> {
    let services = view.services().iter().filter(|s| s.resolution != Resolution::Alias);
    services
        .flat_map(|service| {
            let subsets =
                view.rule(service).map(|rule| rule.subsets.as_slice()).unwrap_or_default();
            let port = service.ports.iter().find(|port| service.port(port.number) == Some(*port));
            let named = subsets.iter().map(|subset| Subset::Named(&subset.name));
            let all = port.into_iter().flat_map(move |port| {
                [Subset::None].into_iter().chain(named.clone()).map(move |subset| (port, subset))
            });
            all.map(|(port, subset)| view.destination_of(service.clone(), port.clone(), subset))
                .collect::<Vec<_>>()
        })
        .collect()
}

/// Every single failure of a part of the mesh, in both ways.
fn scenarios(mesh: &Mesh) -> Vec<Scenario> {
    let mut failures: Vec<Failure> =
        mesh.clusters().map(|id| Failure::Cluster(id.as_str().into())).collect();
    for proxy in proxies(mesh).iter().take(40) {
        let (region, zone) = (proxy.locality.region(), proxy.locality.zone());
        failures.push(Failure::Region(region.into()));
        failures.push(Failure::Zone(region.into(), zone.into()));
        failures.push(Failure::Network(proxy.network.as_str().into()));
    }
    for plane in mesh.control_planes() {
        let gateways = plane.named_gateways.iter();
        failures.extend(gateways.map(|g| Failure::Gateway(g.address.to_string().into())));
        let hosts = plane.services.hosts().take(5);
        failures.extend(hosts.map(|host| Failure::Service(host.as_str().into(), 30.0)));
    }
    failures.sort_by_key(ToString::to_string);
    failures.dedup();
    let both = |failure: Failure| {
        [Loss::Unhealthy, Loss::Removed]
            .map(|loss| Scenario { failures: vec![failure.clone()], loss })
    };
    failures.into_iter().flat_map(both).collect()
}

/// Calls a check for every eleventh proxy of a folder and all of its destinations.
fn for_each(name: &str, mut check: impl FnMut(&ProxyView<'_>, &Destination<'_>, &[Scenario])) {
    let mesh = folder(name);
    let scenarios = scenarios(&mesh);
    for proxy in proxies(&mesh).iter().step_by(11) {
        let Some(view) = mesh.view(proxy) else { continue };
        for destination in destinations(&view) {
            check(&view, &destination, &scenarios);
        }
    }
}

fn sum(outcome: &Outcome) -> f64 {
    outcome.cells().iter().map(|cell| cell.share).sum()
}

#[test]
fn without_a_failure_nothing_moves() {
    for_each("shop", |view, destination, _| {
        let now = Outcome::now(view, destination);
        assert_eq!(now.assignment, Assignment::new(view, destination));
        let shares = match Discovery::of(view, destination).picks() {
            true => now.assignment.shares(&Spread::of(view, destination)),
            false => now.assignment.no_shares(),
        };
        assert_eq!(now.shares, shares);
        assert!(Shift::new(&now, &now).moved.is_empty());
    });
}

#[test]
fn traffic_is_neither_lost_nor_invented() {
    for name in ["shop", "failover"] {
        for_each(name, |view, destination, scenarios| {
            let before = Outcome::now(view, destination);
            for scenario in scenarios {
                let after = scenario.outcome(view, destination);
                let shift = Shift::new(&before, &after);
                let found: f64 =
                    shift.moved.iter().filter(|m| m.from.is_none()).map(|m| m.share).sum();
                let difference = sum(&after) - (sum(&before) - shift.lost() + found);
                assert!(difference.abs() < 1e-6, "{scenario:?} {difference}");
                let received: f64 = after.received().iter().map(|(_, share)| share).sum();
                assert!(received <= sum(&after) + 1e-6, "{scenario:?}");
            }
        });
    }
}

#[test]
fn what_has_failed_gets_nothing() {
    for_each("shop", |view, destination, scenarios| {
        // What ServiceEntries list lies outside of every cluster.
        let is_inside = destination.service.provider == Provider::Kubernetes;
        for scenario in scenarios.iter().filter(|_| is_inside) {
            let Some(Failure::Cluster(cluster)) = scenario.failures.first() else { continue };
            let after = scenario.outcome(view, destination);
            let share: f64 =
                after.cells().iter().filter(|c| c.cluster == **cluster).map(|c| c.share).sum();
            assert!(share.abs() < 1e-9, "{cluster} {share}");
        }
    });
}

/// Every proxy by itself has the outcome of its class, for every destination.
fn check_survey(name: &str, every: usize) {
    let mesh = folder(name);
    let scenarios = scenarios(&mesh);
    let all = proxies(&mesh);
    let survey = Survey::new(&mesh, &all, services_and_subsets);
    for scenario in scenarios.iter().step_by(every) {
        let impacts = survey.impact(scenario, 1.4);
        for impact in impacts.iter().step_by(3) {
            let class = impact.class;
            for proxy in survey.proxies(class).iter().step_by(5) {
                let view = mesh.view(proxy).unwrap();
                let now = Outcome::now(&view, impact.destination);
                let after = scenario.outcome(&view, impact.destination);
                assert_eq!(now.shares, class.before.shares, "{scenario:?} {}", proxy.reference());
                assert_eq!(after.shares, impact.outcome().shares, "{scenario:?}");
                assert_eq!(after.cells(), impact.outcome().cells(), "{scenario:?}");
                assert_eq!(Shift::new(&now, &after), impact.shift);
            }
        }
    }
}

#[test]
fn a_survey_answers_for_every_proxy_what_the_proxy_alone_is_answered() {
    for name in ["failover", "shop", "canary"] {
        check_survey(name, 31);
    }
}

#[test]
fn a_survey_leaves_no_proxy_out_and_counts_none_twice() {
    let mesh = folder("shop");
    let all = proxies(&mesh);
    let survey = Survey::new(&mesh, &all, services);
    for surveyed in survey.destinations() {
        let members: Vec<String> = surveyed
            .classes
            .iter()
            .flat_map(|class| survey.proxies(class))
            .map(Proxy::reference)
            .collect();
        let counted: usize = surveyed.classes.iter().map(|class| class.n_proxies).sum();
        let unique: std::collections::BTreeSet<&String> = members.iter().collect();
        assert_eq!((members.len(), counted), (unique.len(), unique.len()));
    }
    let classes: usize = survey.destinations().iter().map(|d| d.classes.len()).sum();
    assert!(classes < survey.destinations().len() * all.len() / 2, "{classes}");
}

#[test]
fn no_two_classes_of_a_destination_have_one_name() {
    for name in ["shop", "failover", "canary"] {
        let mesh = folder(name);
        let all = proxies(&mesh);
        let survey = Survey::new(&mesh, &all, services_and_subsets);
        let classes = survey.destinations().iter().flat_map(|surveyed| {
            surveyed.classes.iter().map(|class| (&surveyed.destination, class))
        });
        let names = survey.names();
        let mut seen = BTreeSet::new();
        for ((destination, class), name) in classes.clone().zip(&names) {
            let Destination { service, port, subset, .. } = destination;
            assert!(seen.insert((service.hostname.as_str(), port.number, subset, name)), "{name}");
            assert!(name.starts_with(class.view.proxy().cluster.as_str()), "{name}");
        }
        assert_eq!(classes.count(), names.len());
    }
}

/// Two zones of one region with the same number of endpoints, and outlier detection.
fn two_zones() -> Arc<Mesh> {
    zones(["", ""])
}

/// The same, with the CPU that pods of each zone ask for.
fn zones(cpu: [&str; 2]) -> Arc<Mesh> {
    let mut text = String::from(
        "apiVersion: v1\nkind: Service\nmetadata: {name: cart, namespace: shop}\nspec: {clusterIP: \
         172.20.0.1, ports: [{name: http, port: 80}]}\n",
    );
    let mut addresses = String::new();
    let [one, two] = cpu;
    for (index, (zone, cpu)) in
        [("z1", one), ("z1", one), ("z2", two), ("z2", two)].iter().enumerate()
    {
        text.push_str(&format!(
            "---\napiVersion: v1\nkind: Node\nmetadata: {{name: n{index}, labels: \
             {{topology.kubernetes.io/region: r1, topology.kubernetes.io/zone: {zone}}}}}\n---\n\
             apiVersion: v1\nkind: Pod\nmetadata: {{name: cart-{index}, namespace: shop}}\nspec: \
             {{nodeName: n{index}, containers: [{{name: cart, resources: {{requests: {{cpu: \
             {cpu:?}}}}}}}, {{name: istio-proxy}}]}}\nstatus: {{phase: Running, podIP: \
             10.0.0.{index}}}\n"
        ));
        addresses.push_str(&format!(
            "- {{addresses: [10.0.0.{index}], targetRef: {{kind: Pod, name: cart-{index}, namespace: \
             shop}}}}\n"
        ));
    }
    text.push_str(&format!(
        "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {{name: cart, namespace: \
         shop, labels: {{kubernetes.io/service-name: cart}}}}\naddressType: IPv4\nports: [{{name: http, \
         port: 8080}}]\nendpoints:\n{addresses}"
    ));
    let rule = "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: cart, \
                namespace: shop}\nspec: {host: cart, trafficPolicy: {outlierDetection: {}}}\n";
    let source = |origin, name: &str, text: &str| Source {
        origin,
        name: name.into(),
        text: text.as_bytes().to_vec(),
    };
    let mut registry = Registry::new(Compat::default());
    let found = registry.load([
        source(Origin::Cluster("c1".into()), "c1.yaml", &text),
        source(Origin::Config, "rule.yaml", rule),
    ]);
    assert_eq!(found.iter().map(ToString::to_string).collect::<Vec<_>>(), [""; 0]);
    registry.mesh()
}

/// Shares of the zones after a failure, and the overloaded endpoints with clients in both zones.
fn check(failure: &str, zones: &[(&str, f64)], overloaded: &[&str]) {
    check_mesh(&two_zones(), failure, zones, overloaded);
}

fn check_mesh(mesh: &Mesh, failure: &str, zones: &[(&str, f64)], overloaded: &[&str]) {
    let scenario = Scenario { failures: vec![failure.parse().unwrap()], loss: Loss::Unhealthy };
    let proxies = ["c1/shop/cart-0", "c1/shop/cart-2"].map(|name| mesh.proxy(name).unwrap());
    let survey = Survey::new(mesh, &proxies, |view| {
        let cart = view.destination("cart", 80, Subset::None).unwrap();
        vec![Asked { service: cart.service, port: cart.port, subset: cart.subset }]
    });
    let impacts = survey.impact(&scenario, 1.4);
    let cells = impacts.first().unwrap().outcome().cells();
    let found: Vec<(&str, f64)> =
        cells.iter().map(|cell| (cell.locality.zone(), cell.share)).collect();
    assert_eq!(found, zones);
    let found = impacts.iter().flat_map(|impact| &impact.overloaded);
    let found = found.map(|o| format!("{} {:.1}", o.address, o.factor));
    let found: Vec<String> = found.collect::<BTreeSet<_>>().into_iter().collect();
    assert_eq!(found, overloaded);
}

#[test]
fn a_zone_that_fails_spills_to_the_next_and_doubles_its_load() {
    check("zone=r1/z1", &[("z1", 0.0), ("z2", 100.0)], &["10.0.0.2:8080 2.0", "10.0.0.3:8080 2.0"]);
}

#[test]
fn pods_that_ask_for_more_carry_more() {
    let shares = [("z1", 0.0), ("z2", 100.0)];
    check_mesh(&zones(["500m", "2"]), "zone=r1/z1", &shares, &[]);
    let twice = ["10.0.0.2:8080 2.0", "10.0.0.3:8080 2.0"];
    check_mesh(&zones(["2", "500m"]), "zone=r1/z1", &shares, &twice);
}

#[test]
fn one_endpoint_of_two_keeps_what_overprovisioning_lets_it_carry() {
    check("endpoint=10.0.0.0", &[("z1", 70.0), ("z2", 30.0)], &[]);
    check("service=cart.shop,25%", &[("z1", 70.0), ("z2", 30.0)], &[]);
}

#[test]
fn nothing_is_left_when_the_region_fails() {
    let mesh = two_zones();
    let scenario = Scenario { failures: vec!["region=r1".parse().unwrap()], loss: Loss::Removed };
    let proxy = mesh.proxy("c1/shop/cart-0").unwrap();
    let view = mesh.view(&proxy).unwrap();
    let destination = view.destination("cart", 80, Subset::None).unwrap();
    let after = scenario.outcome(&view, &destination);
    assert!(after.is_unreachable());
    let shift = Shift::new(&Outcome::now(&view, &destination), &after);
    assert_eq!(shift.lost(), 100.0);
}

#[test]
fn a_failure_that_selects_nothing_is_known() {
    let mesh = two_zones();
    let exists = |text: &str| text.parse::<Failure>().unwrap().exists_in(&mesh);
    for text in
        ["cluster=c1", "region=r1", "zone=r1/z2", "endpoint=10.0.0.1:8080", "service=cart.shop"]
    {
        assert!(exists(text), "{text}");
    }
    for text in
        ["cluster=c9", "region=r9", "zone=r1/z9", "network=n1", "gateway=1.1.1.1", "service=x"]
    {
        assert!(!exists(text), "{text}");
    }
}
