//! What decides which policies are in force and differs between control planes: labels of namespaces, waypoints
//! of services, settings in several places.
#![expect(clippy::unwrap_used, reason = "helpers of tests may fail like tests")]
use mesh_model::Compat;
use mesh_model::registry::{Change, Mesh, Origin, Registry, Source};
use mesh_model::resource::decode;

const UNTOLD: &str = "unreadable.invalid";

fn source(path: &str, text: &str) -> Source {
    let origin = Origin::of_path(path).unwrap();
    Source { origin, name: path.into(), text: text.as_bytes().to_vec() }
}

fn policy(target: &str) -> String {
    format!(
        "{{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {{name: p, namespace: shop}}, \
         spec: {{{target}action: DENY, rules: [{{}}]}}}}\n"
    )
}

fn object(kind: &str, labels: &str) -> String {
    format!(
        "{{apiVersion: v1, kind: {kind}, metadata: {{name: shop, namespace: shop, labels: {{{labels}}}}}, \
         spec: {{}}}}\n"
    )
}

/// Two primaries, with these objects, and a remote that does not say which one serves it.
fn registry(objects: [&str; 2], mesh: &str, common: &str) -> Registry {
    let mut registry = Registry::new(Compat::default());
    registry.load([
        source("mesh.yaml", mesh),
        source("config/p.yaml", common),
        source("clusters/c1/cluster.yaml", "role: primary"),
        source("clusters/c2/cluster.yaml", "role: primary"),
        source("clusters/c3/cluster.yaml", "role: remote"),
        source("clusters/c1/o.yaml", objects[0]),
        source("clusters/c2/o.yaml", objects[1]),
    ]);
    registry
}

fn served(mesh: &Mesh) -> String {
    mesh.control_plane_of("c3").unwrap().id.to_string()
}

const SELECTS: &str = "discoverySelectors: [{matchLabels: {read: me}}]";

#[test]
fn labels_of_namespaces_that_selectors_are_asked_of_matter_where_policies_are() {
    let told = |labels: [&str; 2], mesh: &str, common: &str| {
        let namespaces = labels.map(|labels| object("Namespace", labels));
        served(&registry([&namespaces[0], &namespaces[1]], mesh, common).mesh())
    };
    let deny = policy("");
    assert_eq!(told(["read: me", ""], SELECTS, &deny), UNTOLD);
    assert_eq!(told(["read: me", "read: me, a: b"], SELECTS, &deny), "c1");
    assert_eq!(told(["read: me", ""], "{}", &deny), "c1");
    assert_eq!(told(["read: me", ""], SELECTS, ""), "c1");
    assert_eq!(
        told(["read: me", ""], SELECTS, &deny.replace("namespace: shop", "namespace: a")),
        "c1"
    );
}

#[test]
fn waypoints_of_services_and_namespaces_matter_where_policies_are() {
    let deny = policy("");
    let told = |kind: &str, labels: [&str; 2], common: &str| {
        let objects = labels.map(|labels| object(kind, labels));
        served(&registry([&objects[0], &objects[1]], "{}", common).mesh())
    };
    let waypoint = "istio.io/use-waypoint: wp";
    let elsewhere = "istio.io/use-waypoint: wp, istio.io/use-waypoint-namespace: a";
    for kind in ["Namespace", "Service"] {
        assert_eq!(told(kind, [waypoint, ""], &deny), UNTOLD, "{kind}");
        assert_eq!(told(kind, [waypoint, elsewhere], &deny), UNTOLD, "{kind}");
        assert_eq!(
            told(kind, [waypoint, "istio.io/use-waypoint: wp, a: b"], &deny),
            "c1",
            "{kind}"
        );
        assert_eq!(told(kind, [waypoint, ""], ""), "c1", "{kind}");
    }
    assert_eq!(told("Pod", [waypoint, ""], &deny), "c1");
    // Where a control plane has no service of a name it reads the other's labels.
    let one = object("Service", waypoint);
    assert_eq!(served(&registry([&one, ""], "{}", &deny).mesh()), "c1");
    let namespace = object("Namespace", waypoint);
    assert_eq!(served(&registry([&namespace, ""], "{}", &deny).mesh()), UNTOLD);
}

/// The change to an object of a cluster.
fn upsert(cluster: &str, text: &str) -> Change {
    let origin = match cluster {
        "" => Origin::Config,
        name => Origin::Cluster(name.into()),
    };
    let reading = mesh_model::manifest::read("", text.as_bytes(), &Default::default());
    let decoded = decode(&reading.documents.first().unwrap().node, &"".into(), "default");
    Change::Upsert { origin, resource: Box::new(decoded.resource.unwrap()) }
}

#[test]
fn so_they_do_when_they_change() {
    let deny = policy("");
    let waypoint = "istio.io/use-waypoint: wp";
    for kind in ["Namespace", "Service"] {
        let [with, without] = [waypoint, ""].map(|labels| object(kind, labels));
        let mut changed = registry([&with, &with], "{}", &deny);
        assert_eq!(served(&changed.mesh()), "c1");
        assert!(changed.apply(upsert("c2", &without)).everything);
        assert_eq!(served(&changed.mesh()), UNTOLD);
        assert!(changed.apply(upsert("c2", &with)).everything);
        assert_eq!(served(&changed.mesh()), "c1");
    }
}

fn map(mesh: &str) -> String {
    format!(
        "{{apiVersion: v1, kind: ConfigMap, metadata: {{name: istio, namespace: istio-system}}, \
         data: {{mesh: '{mesh}'}}}}\n"
    )
}

/// How many things the control planes of `c1` and `c2` do not understand: settings stand for policies, too.
fn broken(mesh: &Mesh) -> [usize; 2] {
    ["c1", "c2"].map(|id| mesh.control_plane_of(id).unwrap().broken.len())
}

#[test]
fn settings_that_come_to_contradict_each_other_close_as_those_that_were_loaded() {
    let deny = policy("");
    let [same, other, lost] =
        ["rootNamespace: a", "rootNamespace: b", "rootNamespace: [a]"].map(map);
    let check = |cluster: &str, text: &str, expected: [usize; 2]| {
        let mut changed = registry(["", ""], "rootNamespace: a", &deny);
        assert_eq!(broken(&changed.mesh()), [0, 0]);
        changed.apply(upsert(cluster, text));
        let both = format!("{deny}---\n{text}");
        let (config, objects) = match cluster {
            "" => (&*both, ["", ""]),
            "c1" => (&*deny, [text, ""]),
            "c2" => (&*deny, ["", text]),
            _ => (&*deny, ["", ""]),
        };
        let loaded = registry(objects, "rootNamespace: a", config);
        assert_eq!(broken(&changed.mesh()), broken(&loaded.mesh()), "{cluster} {text}");
        assert_eq!(broken(&changed.mesh()), expected, "{cluster} {text}");
        assert_eq!(served(&changed.mesh()), served(&loaded.mesh()), "{cluster} {text}");
        changed.apply(upsert(cluster, &same));
        assert_eq!(broken(&changed.mesh()), [0, 0], "{cluster} {text}");
    };
    check("", &same, [0, 0]);
    check("", &other, [2, 2]);
    check("", &lost, [3, 3]);
    check("c1", &other, [2, 0]);
    check("c2", &other, [0, 2]);
    check("c2", &lost, [0, 3]);
    // Others' settings count for nobody.
    check("c3", &other, [0, 0]);
}
