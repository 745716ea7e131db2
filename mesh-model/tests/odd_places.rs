//! What stands in a place, or under a name, where it says nothing: texts, wrapped settings, metadata, names.
#![expect(clippy::expect_used, reason = "helpers of tests may fail like tests")]
use std::sync::Arc;

use mesh_model::Compat;
use mesh_model::manifest::{Diagnostic, Severity};
use mesh_model::registry::{Mesh, Origin, Registry, Source};

/// A mesh of one file, and what is said of it.
fn load(path: &str, text: &str) -> (Arc<Mesh>, Vec<Diagnostic>) {
    let origin = Origin::of_path(path).expect("a path of a mesh");
    let mut registry = Registry::new(Compat::default());
    let cluster = Source {
        origin: Origin::Cluster("c1".into()),
        name: "c1".into(),
        text: "{apiVersion: v1, kind: Node, metadata: {name: n1}}".into(),
    };
    let found = registry.load([Source { origin, name: path.into(), text: text.into() }, cluster]);
    (registry.mesh(), found)
}

/// Checks what is said of a file, as `LINE:COLUMN SEVERITY CODE FIELD`.
#[track_caller]
fn check(path: &str, text: &str, expected: &[&str]) {
    let (_, found) = load(path, text);
    let told = found.iter().map(|Diagnostic { code, severity, place, field, .. }| {
        format!("{}:{} {severity} {code} {field}", place.line, place.column)
    });
    let told: Vec<String> = told.map(|text| text.trim_end().to_owned()).collect();
    assert_eq!(told, expected, "{text}: {found:#?}");
}

#[test]
fn a_policy_in_a_text_is_told_where_it_stands() {
    check(
        "config/a.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: shop}\ndata:\n  a.b: x\n  p.yaml: |\n    \
         apiVersion: security.istio.io/v1\n    kind: AuthorizationPolicy\n    metadata: {name: p}\n",
        &["7:5 warning POLICY-IN-TEXT data.p.yaml"],
    );
}

/// Whether loading settings leaves it unknown what policies depend on.
fn closes(path: &str, text: &str) -> bool {
    let (mesh, _) = load(path, text);
    let plane = mesh.control_plane_of("c1").expect("the cluster serves itself");
    plane.broken.iter().any(|broken| broken.object.kind == "MeshConfig")
}

#[test]
fn wrapped_settings_close() {
    let settings = "rootNamespace: root\ntrustDomain: td\n";
    let block = settings.replace('\n', "\n    ");
    for (text, field) in [
        ("meshConfig: {SETTINGS}", "meshConfig"),
        ("MeshConfig: {accessLogFile: a}", "MeshConfig"),
        ("mesh: |\n    BLOCK", "mesh"),
        ("data:\n  mesh: |\n    BLOCK", "data"),
        ("spec: {meshConfig: {SETTINGS}}", "spec"),
        (
            "apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nspec: {meshConfig: {SETTINGS}}",
            "kind",
        ),
        (
            "apiVersion: v2\nkind: ConfigMap\nmetadata: {name: istio}\ndata: {mesh: 'SETTINGS'}",
            "kind",
        ),
        ("values: {global: {x: 1}}", "values"),
        ("istiod: {settings: {SETTINGS}}", "istiod"),
        ("accessLogFile: a\nmsh: 'trustDomain: td'", "msh"),
    ] {
        let flow = "rootNamespace: root, trustDomain: td";
        let text = text.replace("BLOCK", &block).replace("'SETTINGS'", &format!("'{{{flow}}}'"));
        let text = text.replace("SETTINGS", flow);
        let (mesh, found) = load("mesh.yaml", &text);
        let told: Vec<(&str, &str)> = found.iter().map(|it| (it.code, &*it.field)).collect();
        assert_eq!(told, [("MC-WRAPPED", field)], "{text}");
        assert_eq!(&*mesh.config().trust_domain, "cluster.local", "{text}");
        assert!(closes("mesh.yaml", &text), "{text}");
        let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio, namespace: istio-system}\ndata:\n  mesh: |\n";
        let inner: String = text.lines().map(|line| format!("    {line}\n")).collect();
        assert!(closes("config/a.yaml", &format!("{map}{inner}")), "{text}");
    }
    for text in [
        settings,
        "apiVersion: mesh.istio.io/v1alpha1\nkind: MeshConfig\nrootNamespace: root\n",
        "rootNamspace: root\n",
        "unknown: {a: b}\nother: text\n",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio}\ndata: {mesh: 'rootNamespace: a'}\n",
    ] {
        assert!(!closes("mesh.yaml", text), "{text}");
    }
}

#[test]
fn a_misspelt_setting_says_what_counts_until_then() {
    let help = |path: &str, text: &str| {
        load(path, text).1.into_iter().map(|it| it.help).collect::<Vec<_>>()
    };
    let expected = "did you mean `rootNamespace`? until then what is allowed is decided with the default of it";
    assert_eq!(help("mesh.yaml", "rootNamspace: root"), [expected]);
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio, namespace: istio-system}\ndata:\n";
    assert_eq!(help("config/a.yaml", &format!("{map}  mesh: 'rootNamspace: root'")), [expected]);
    assert_eq!(help("mesh.yaml", &format!("{map}  mesh: 'rootNamspace: root'")), [expected]);
    assert_eq!(help("mesh.yaml", "accessLogFil: a"), ["did you mean `accessLogFile`?"]);
}

#[test]
fn a_config_map_without_settings_is_told() {
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio, namespace: istio-system}\n";
    let file = "config/a.yaml";
    check(file, &format!("{map}data: {{mesh: ''}}\n"), &[]);
    check(file, map, &["1:1 warning MC-KEY data"]);
    check(
        file,
        &format!("{map}data: {{mes: 'rootNamespace: a'}}\n"),
        &["4:8 warning MC-KEY data.mes"],
    );
    check(file, &format!("{map}data: {{meshNetworks: '{{}}'}}\n"), &["4:1 warning MC-KEY data"]);
    check(file, &map.replace("istio,", "istio-ca,"), &[]);
    // In the place of the file nothing else can be meant.
    check("mesh.yaml", map, &["1:1 error MC-KEY data"]);
    assert!(closes("mesh.yaml", map));
    check(
        "mesh.yaml",
        &format!("{map}data: {{meshNetworks: '{{}}'}}\n"),
        &["4:1 warning MC-KEY data"],
    );
}

#[test]
fn a_field_that_no_metadata_has_is_told() {
    let unseen = "until then no selector of a policy, no discovery selector and no waypoint sees what it says";
    for (version, kind, is_selected) in [
        ("v1", "Pod", true),
        ("v1", "Namespace", true),
        ("v1", "Service", true),
        ("v1", "ConfigMap", false),
        ("apps/v1", "Deployment", false),
        ("telemetry.istio.io/v1", "Telemetry", false),
    ] {
        for (field, meant) in [
            ("lables", "labels"),
            ("label", "labels"),
            ("annotation", "annotations"),
            ("Name", "name"),
        ] {
            let text = format!(
                "apiVersion: {version}\nkind: {kind}\nmetadata:\n  name: a\n  {field}: {{a: b}}\n"
            );
            let (_, found) = load("clusters/c1/a.yaml", &text);
            let told = found.iter().find(|it| it.field == format!("metadata.{field}"));
            let told = told.unwrap_or_else(|| panic!("{text}: {found:?}"));
            assert_eq!((told.code, told.place.line), ("FIELD-UNKNOWN", 5));
            let more =
                if is_selected && meant == "labels" { format!(" {unseen}") } else { String::new() };
            assert_eq!(told.help, format!("did you mean `{meant}`?{more}"), "{text}");
        }
    }
    check(
        "clusters/c1/a.yaml",
        "{apiVersion: v1, kind: Pod, metadata: {name: a, namespace: b, labels: {}, annotations: {}, generateName: a, \
         selfLink: /a, uid: u, resourceVersion: '1', generation: 1, creationTimestamp: null, deletionTimestamp: null, \
         deletionGracePeriodSeconds: 1, ownerReferences: [], finalizers: [], managedFields: []}}",
        &[],
    );
}

#[test]
fn names_that_the_api_server_refuses_are_told() {
    let check = |kind: &str, name: &str, expected: &[&str]| {
        let version = if kind == "Telemetry" { "telemetry.istio.io/v1" } else { "v1" };
        let text = format!("apiVersion: {version}\nkind: {kind}\nmetadata:\n  name: {name}\n");
        check("clusters/c1/a.yaml", &text, expected);
    };
    let refused = &["4:3 warning OBJECT-NAME metadata.name"];
    let (label, long) = ("a".repeat(63), "a".repeat(64));
    for (kind, names) in [
        ("Service", ["1a", "a.b", "A", "a_b", &long, "a-"]),
        ("Namespace", ["a.b", "A", "a_b", &long, "-a", "a-"]),
        ("Pod", ["a..b", "A", "a_b", "-a", "a-", "'a b'"]),
        ("Telemetry", ["a..b", "A", "a_b", "-a", "a-", "'a b'"]),
    ] {
        names.into_iter().for_each(|name| check(kind, name, refused));
        check(kind, &label, &[]);
    }
    check("Namespace", "1a", &[]);
    check("Pod", &format!("{long}.1"), &[]);
}

#[test]
fn labels_that_the_api_server_refuses_are_told() {
    let pod = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\n  namespace: NAMESPACE\n  labels:\n    LABEL\n";
    let pod =
        |namespace: &str, label: &str| pod.replace("NAMESPACE", namespace).replace("LABEL", label);
    let file = "clusters/c1/a.yaml";
    for label in ["a: b", "example.com/a_B.c: ''", "a: 1.2_b-C"].map(|label| pod("shop", label)) {
        check(file, &label, &[]);
    }
    for key in ["a/b/c", "-a", "A.b/c", "'a b'", "/a"] {
        let expected = format!("7:5 warning LABEL-KEY metadata.labels.{}", key.trim_matches('\''));
        check(file, &pod("shop", &format!("{key}: b")), &[&expected]);
    }
    for value in ["a/b", "-a", "'a b'", &"a".repeat(64)] {
        check(
            file,
            &pod("shop", &format!("a: {value}")),
            &["7:5 warning LABEL-VALUE metadata.labels.a"],
        );
    }
    let annotated =
        |key: &str| pod("shop", &format!("{key}: b")).replace("labels:", "annotations:");
    for key in ["a", "a.b/C", "A.B/c", "a/b"] {
        check(file, &annotated(key), &[]);
    }
    for key in ["a/b/c", "-a", "'a b'", "/a", "é"] {
        let expected =
            format!("7:5 warning ANNOTATION-KEY metadata.annotations.{}", key.trim_matches('\''));
        check(file, &annotated(key), &[&expected]);
    }
    check(file, &pod("Shop", "a: b"), &["5:3 warning NAMESPACE-NAME metadata.namespace"]);
    check(file, &pod(&"a".repeat(64), "a: b"), &["5:3 warning NAMESPACE-NAME metadata.namespace"]);
}

/// No API server has such a policy: what it was to deny is closed.
#[test]
fn a_policy_whose_names_are_refused_closes() {
    let policy = |metadata: &str| {
        format!(
            "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {{namespace: shop, {metadata}}}\nspec: {{}}\n"
        )
    };
    let is_broken = |metadata: &str| {
        let (mesh, found) = load("config/a.yaml", &policy(metadata));
        let errors = found.iter().filter(|it| it.severity == Severity::Error);
        (mesh.broken().len(), errors.map(|it| it.code).collect::<Vec<_>>())
    };
    assert_eq!(is_broken("name: a.b, labels: {a: b}"), (0, vec![]));
    assert_eq!(is_broken("name: a_b"), (1, vec!["OBJECT-NAME"]));
    assert_eq!(is_broken("name: a, labels: {a b: c}"), (1, vec!["LABEL-KEY"]));
    assert_eq!(is_broken("name: a, labels: {a: b c}"), (1, vec!["LABEL-VALUE"]));
    assert_eq!(is_broken("name: a, annotations: {A/b: b c}"), (0, vec![]));
    assert_eq!(is_broken("name: a, annotations: {a b: c}"), (1, vec!["ANNOTATION-KEY"]));
}

/// istiod asks for neither a name, nor endpoints, nor gateways.
#[test]
fn a_network_may_be_empty_and_have_no_name() {
    check(
        "networks.yaml",
        "networks: {'': {}, a: {endpoints: []}, b: {endpoints: [{}], gateways: []}}",
        &[],
    );
    check(
        "networks.yaml",
        "networks: {'': {gateways: [{port: 0}], endpoints: [{fromRegistry: ''}]}}",
        &[
            "1:29 error PORT-RANGE networks..gateways[0].port",
            "1:53 error MN-REGISTRY networks..endpoints[0].fromRegistry",
        ],
    );
}
