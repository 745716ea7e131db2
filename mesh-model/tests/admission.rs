//! Admission: of whole folders, and its laws on random documents.
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "helpers of tests may fail like tests"
)]
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mesh_model::Compat;
use mesh_model::manifest::{Diagnostic, Limits, Node, Severity};
use mesh_model::registry::{Broken, Mesh, Origin, Registry, Source};
use mesh_model::resource::{MeshConfig, MeshNetworks, admit, decode};
use proptest::prelude::*;
use serde_json::{Value, json};

/// The cases of conformance: objects of every kind with what upstream says of them.
fn cases() -> Vec<Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../conformance/model");
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let suites = paths.iter().filter(|path| path.extension().is_some_and(|e| e == "json"));
    let cases = suites.flat_map(|path| {
        let suite: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        suite["cases"].as_array().unwrap().clone()
    });
    cases.filter(|case| case["op"] == "validate").collect()
}

/// The findings of a document by what it is.
fn diagnose(manifest: &Value) -> Vec<Diagnostic> {
    let file = Arc::from("case");
    let spec = Node::from(&manifest["spec"]);
    match manifest["kind"].as_str() {
        Some("MeshConfig") => MeshConfig::admit(&spec, &file).1,
        Some("MeshNetworks") => MeshNetworks::admit(&spec, &file).1,
        _ => admit(&Node::from(manifest), &file, "default").diagnostics,
    }
}

fn is_refused(diagnostics: &[Diagnostic]) -> bool {
    diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
}

#[test]
fn nothing_is_accepted_that_upstream_rejects() {
    let cases = cases();
    assert!(cases.len() >= 100, "{}", cases.len());
    for case in cases {
        let diagnostics = diagnose(&case["input"]["manifest"]);
        assert_eq!(!is_refused(&diagnostics), case["expect"]["valid"], "{}", case["name"]);
    }
}

#[test]
fn every_finding_says_what_and_what_to_do() {
    for case in cases() {
        for diagnostic in diagnose(&case["input"]["manifest"]) {
            let message = &diagnostic.message;
            assert!(!message.is_empty() && !message.ends_with('.'), "{message}");
            assert!(!diagnostic.help.is_empty(), "what to do about {diagnostic}");
        }
    }
}

/// A registry of one file of the config cluster.
fn load(text: &str) -> (Registry, Vec<Diagnostic>) {
    let mut registry = Registry::new(Compat::default());
    let text = text.as_bytes().to_vec();
    let source = Source { origin: Origin::Config, name: Arc::from("config/a.yaml"), text };
    let found = registry.load([source]);
    (registry, found)
}

#[test]
fn a_finding_points_into_the_text() {
    let (_, found) = load(
        "apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: front, namespace: shop}
spec:
  servers:
  - port: {number: 0, name: http, protocol: HTTP}
    hosts: [a.example.com]
",
    );
    let told: Vec<_> = found.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        ["config/a.yaml:6:12: error[PORT-RANGE]: Gateway/shop/front: \
          spec.servers[0].port.number: `0` is not the number of a port \
          (write a number of 1 to 65535)"]
    );
}

#[test]
fn a_refused_policy_is_remembered_with_what_it_selects() {
    let (registry, found) = load(
        "apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: ports, namespace: shop}
spec: {portLevelMtls: {8080: {mode: DISABLE}}}
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: nothing, namespace: shop}
spec: {}
",
    );
    assert!(is_refused(&found));
    let mesh = registry.mesh();
    let broken: Vec<_> = mesh.broken().iter().map(|broken| broken.object.to_string()).collect();
    assert_eq!(broken, ["PeerAuthentication/shop/ports"]);
}

/// Checks of a DENY policy that cannot be used whether its namespace and selector narrow what it may concern.
#[track_caller]
fn check_narrowed(metadata: &str, selector: &str, namespace: &str, has_selector: bool) {
    let (registry, found) = load(&format!(
        "apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {metadata}
spec: {{selector: {{matchLabels: {selector}}}, action: DENY, rules: 5}}
"
    ));
    assert!(is_refused(&found), "{found:?}");
    let mesh = registry.mesh();
    let broken: Vec<_> = mesh
        .broken()
        .iter()
        .map(|broken| (broken.object.namespace.to_string(), broken.selector.is_some()))
        .collect();
    assert_eq!(broken, [(namespace.to_owned(), has_selector)], "{metadata} {selector}");
}

#[test]
fn only_what_is_understood_narrows_a_refused_policy() {
    check_narrowed("{name: p, namespace: shop}", "{app: web}", "shop", true);
    for selector in ["{app: \"we*\"}", "{\"*\": web}", "{\"\": web}", "{app: [web]}"] {
        check_narrowed("{name: p, namespace: shop}", selector, "shop", false);
    }
    for namespace in ["[shop]", "5", "{a: b}"] {
        check_narrowed(&format!("{{name: p, namespace: {namespace}}}"), "{app: web}", "", true);
    }
    check_narrowed("{name: p}", "{app: web}", "default", true);
    check_narrowed("[1]", "{app: web}", "", false);
}

fn load_files(files: &[(&str, &str)]) -> (Vec<Diagnostic>, Arc<Mesh>) {
    let mut registry = Registry::new(Compat::default());
    let sources = files.iter().map(|(path, text)| Source {
        origin: Origin::of_path(path).unwrap(),
        name: Arc::from(*path),
        text: text.as_bytes().to_vec(),
    });
    (registry.load(sources), registry.mesh())
}

/// The security objects that are remembered as broken, of a mesh of these files.
#[track_caller]
fn broken_of(files: &[(&str, &str)]) -> Vec<String> {
    let (found, mesh) = load_files(files);
    assert!(is_refused(&found), "{found:?}");
    let plane = mesh.control_planes().next().unwrap();
    let told = |broken: &Broken| {
        let Broken { object, selector, .. } = broken;
        let selects = if selector.is_some() { " selects" } else { "" };
        format!("{}/{}/{}{selects}", object.kind, object.namespace, object.name)
    };
    plane.broken.iter().map(told).collect()
}

const POLICY: &str = "apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: p, namespace: shop}
spec: {action: DENY, rules: [{to: [{operation: {paths: [/a]}}]}]}
";

/// Something that is refused.
const REFUSED: (&str, &str) =
    ("config/a.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: 5\n");

/// Something that makes `c1` a cluster with a control plane.
const POD: (&str, &str) =
    ("clusters/c1/pod.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n");

#[test]
fn a_namespace_that_selectors_may_mean_is_remembered() {
    let selectors = ("mesh.yaml", "discoverySelectors: [{matchLabels: {a: b}}]\n");
    let policy = ("config/p.yaml", POLICY);
    let unusable =
        "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {a: b, c: 7}}\n";
    let unreadable = "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: shop\n  labels: {[\n";
    for text in [unusable, unreadable] {
        let namespace = ("clusters/c1/n.yaml", text);
        let stand_ins = broken_of(&[POD, selectors, policy, namespace]);
        assert_eq!(stand_ins, ["AuthorizationPolicy/shop/shop"], "{text}");
        // Without selectors its labels decide nothing.
        let none: [&str; 0] = [];
        assert_eq!(broken_of(&[POD, policy, namespace]), none, "{text}");
    }
}

#[test]
fn a_policy_that_is_misspelt_or_misplaced_is_remembered() {
    let head = "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n";
    let without_metadata = format!("{head}Metadata: {{name: p, namespace: shop}}\nspec: {{}}\n");
    let misspelt = format!("{head}metadata: {{name: p, namspace: shop}}\nspec: {{}}\n");
    let beside = format!("{head}metadata: {{name: p, namespace: shop}}\naction: DENY\n");
    let list = format!("kind: List\nitem:\n- {}", POLICY.trim_end().replace('\n', "\n  "));
    let text = format!("kind: List\nitems:\n- |\n  {}", POLICY.trim_end().replace('\n', "\n  "));
    for (text, expected) in [
        (&without_metadata, "AuthorizationPolicy//"),
        (&misspelt, "AuthorizationPolicy//p"),
        (&beside, "AuthorizationPolicy/shop/p"),
        (&list, "AuthorizationPolicy//"),
        (&text, "AuthorizationPolicy//"),
    ] {
        assert_eq!(broken_of(&[POD, ("config/a.yaml", text)]), [expected], "{text}");
    }
    let settings = format!("rootNamespace: istio-system\n---\n{POLICY}");
    let told = broken_of(&[POD, ("mesh.yaml", &settings)]);
    assert_eq!(told, ["AuthorizationPolicy/shop/p", "MeshConfig//"]);
    let described = "role: primary\n---\nrole: remote\n";
    let none: [&str; 0] = [];
    assert_eq!(broken_of(&[POD, ("clusters/c1/cluster.yaml", described)]), none);
}

/// Of settings in several places one counts; who wrote the others meant them, too.
#[test]
fn settings_that_contradict_others_are_remembered() {
    let map = |mesh: &str| {
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: istio, namespace: istio-system}}\n\
             data: {{mesh: '{mesh}'}}\n"
        )
    };
    let policy = ("config/p.yaml", POLICY);
    let [one, other, same] =
        ["rootNamespace: x", "rootNamespace: other", "{rootNamespace: x, accessLogFile: a}"]
            .map(map);
    let broken = ["MeshConfig//", "AuthorizationPolicy//"];
    let none: [&str; 0] = [];
    let primary = ("clusters/c2/cluster.yaml", "role: primary");
    let own = ("clusters/c1/cluster.yaml", "role: primary");
    for (second, expected) in [(&other, &broken[..]), (&same, &none[..])] {
        let second = second.as_str();
        for files in [
            vec![("mesh.yaml", "rootNamespace: x"), ("config/m.yaml", second)],
            vec![("mesh.yaml", "rootNamespace: x"), ("clusters/c1/m.yaml", second)],
            vec![("config/m.yaml", &one), ("clusters/c1/m.yaml", second)],
            vec![("clusters/c1/m.yaml", &one), ("clusters/c2/m.yaml", second)],
        ] {
            let files = [vec![POD, REFUSED, policy], files].concat();
            assert_eq!(broken_of(&files), expected, "{files:?}");
        }
    }
    // Of two primaries each obeys its own, and those of the first are known: proxies of the other are not served
    // by what it says.
    let files = [POD, REFUSED, policy, own, primary, ("clusters/c1/m.yaml", &one)];
    let files = [&files[..], &[("clusters/c2/m.yaml", &other)]].concat();
    assert_eq!(broken_of(&files), none);
    let (_, mesh) = load_files(&files);
    assert_eq!(mesh.control_plane_of("c2").unwrap().broken.len(), 2);
    // Nobody reads that of a remote.
    let remote = ("clusters/c2/cluster.yaml", "role: remote");
    let files = [POD, REFUSED, policy, own, remote, ("clusters/c1/m.yaml", &one)];
    let files = [&files[..], &[("clusters/c2/m.yaml", &other)]].concat();
    assert_eq!(broken_of(&files), none);
}

/// What the folder's own files say is no object: a policy there is not in force wherever it stands in them.
#[test]
fn a_policy_among_settings_is_remembered() {
    let list = format!("kind: List\nitems:\n- {}", POLICY.trim_end().replace('\n', "\n  "));
    for (file, text) in [
        ("mesh.yaml", "rootNamespace: istio-system\n"),
        ("networks.yaml", "networks: {}\n"),
        ("proxies.json", "[]\n"),
        ("clusters/c1/cluster.yaml", "role: primary\n"),
    ] {
        for (policies, expected) in [
            (format!("{POLICY}---\n{text}"), "AuthorizationPolicy/shop/p"),
            (POLICY.to_owned(), "AuthorizationPolicy/shop/p"),
            (
                format!("- {}\n", POLICY.trim_end().replace('\n', "\n  ")),
                "AuthorizationPolicy/shop/p",
            ),
            (list.clone(), "AuthorizationPolicy/shop/p"),
            (POLICY.replace("kind: Auth", "kind: Autj"), "AuthorizationPolicy/shop/p"),
            (
                POLICY.replace("AuthorizationPolicy", "RequestAuthentication"),
                "RequestAuthentication/shop/p",
            ),
            (
                POLICY.replace("AuthorizationPolicy", "PeerAuthentication"),
                "PeerAuthentication/shop/p",
            ),
        ] {
            assert_eq!(broken_of(&[POD, (file, &policies)]), [expected], "{file}: {policies}");
        }
        let none: [&str; 0] = [];
        assert_eq!(broken_of(&[POD, REFUSED, (file, text)]), none, "{file}");
    }
    // Words of settings are none.
    let settings = "extensionProviders: [{name: AuthorizationPolicy, envoyExtAuthzGrpc: {service: a, port: 1}}]\n";
    let none: [&str; 0] = [];
    assert_eq!(broken_of(&[POD, REFUSED, ("mesh.yaml", settings)]), none);
}

#[test]
fn settings_in_a_map_that_is_refused_are_remembered() {
    let policy = ("config/p.yaml", POLICY);
    for data in ["{mesh: 'rootNamespace: sec', other: 5}", "{mesh: {rootNamespace: sec}}", "[a]"] {
        let text = format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: istio, namespace: istio-system}}\ndata: {data}\n"
        );
        let told = broken_of(&[POD, policy, ("config/m.yaml", &text)]);
        assert_eq!(told, ["MeshConfig//", "AuthorizationPolicy//"], "{data}");
    }
}

#[test]
fn a_policy_that_cannot_be_read_is_remembered_wherever_it_stands() {
    let list = "kind: List\nitems:\n- apiVersion: security.istio.io/v1\n  kind: AuthorizationPolicy\n  spec: {[\n";
    assert_eq!(broken_of(&[POD, ("config/a.yaml", list)]), ["AuthorizationPolicy//"]);
    let item = "kind: List\nitems: [5, [AuthorizationPolicy], \"AuthorizationPolicy\"]\n";
    // Two items may each be one; what they close is the same.
    assert_eq!(broken_of(&[POD, ("config/a.yaml", item)]), ["AuthorizationPolicy//"]);
    let kind = "apiVersion: security.istio.io/v1\nkind: [PeerAuthentication]\nspec: {}\n";
    assert_eq!(broken_of(&[POD, ("config/a.yaml", kind)]), ["PeerAuthentication//"]);
    for held in [
        "items:\n- {kind: AuthorizationPolicy, metadata: {namespace: shop}}\n",
        "kind: List\nitems: {a: {kind: AuthorizationPolicy}}\n",
        "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicyList\nitem: [{spec: {}}]\n",
    ] {
        assert_eq!(
            broken_of(&[POD, REFUSED, ("config/b.yaml", held)]),
            ["AuthorizationPolicy//"],
            "{held}"
        );
    }
    let no_kind = "apiVersion: security.istio.io/v1\nmetadata: {name: p, namespace: shop}\n";
    assert_eq!(broken_of(&[POD, REFUSED, ("config/b.yaml", no_kind)]).len(), 3);
    for namespace in ["\"shop \"", "Shop", "a.b"] {
        let policy = POLICY.replace("namespace: shop", &format!("namespace: {namespace}"));
        let found = broken_of(&[POD, ("config/a.yaml", &policy)]);
        assert_eq!(found, ["AuthorizationPolicy//p"], "{namespace}");
    }
    for version in ["Security.istio.io/v1", "istio.io/v1", "security.istio.i/v1"] {
        let policy = POLICY.replace("security.istio.io/v1", version);
        let found = broken_of(&[POD, REFUSED, ("config/b.yaml", &policy)]);
        assert_eq!(found, ["AuthorizationPolicy/shop/p"], "{version}");
    }
    for kind in ["authorizationPolicy", "AuthorisationPolicy", "AuthorizationPolicies"] {
        let policy = POLICY.replace("AuthorizationPolicy", kind);
        let found = broken_of(&[POD, ("config/a.yaml", &policy)]);
        assert_eq!(found, ["AuthorizationPolicy/shop/p"], "{kind}");
    }
}

#[test]
fn a_reference_beside_a_selector_may_mean_others() {
    let policy = POLICY.replace(
        "spec: {",
        "spec: {selector: {matchLabels: {app: a}}, targetRefs: [{kind: Service, name: b}], ",
    );
    assert_eq!(broken_of(&[POD, ("config/a.yaml", &policy)]), ["AuthorizationPolicy/shop/p"]);
    let policy = POLICY.replace("spec: {", "spec: {selector: {matchLabels: {app: a}}, rules: 5, ");
    let selecting = ["AuthorizationPolicy/shop/p selects"];
    let policy = policy.replace(", action: DENY, rules: [", ", action: DENY, x: [");
    assert_eq!(broken_of(&[POD, ("config/a.yaml", &policy)]), selecting);
}

#[test]
fn policies_are_broken_that_two_parts_of_the_mesh_have() {
    let other = POLICY.replace("/a", "/b");
    let files = [POD, ("config/p.yaml", POLICY), ("clusters/c1/p.yaml", &*other)];
    assert_eq!(broken_of(&files), ["AuthorizationPolicy/shop/p"]);
}

#[test]
fn policies_are_broken_where_settings_of_security_are_not_understood() {
    let all = ["MeshConfig//", "AuthorizationPolicy//"];
    for settings in [
        "rootNamespace: rootns\nfoo: [\n",
        "rootNamespace: [a]\n",
        "pathNormalization: {normalization: merge_slashes}\n",
        "- a\n",
        "trustDomain: 5\n",
        "apiVersion: v1\nkind: ConfigMap\ndata: {mesh: \"rootNamespace: [\"}\n",
    ] {
        let files = [POD, ("mesh.yaml", settings), ("config/p.yaml", POLICY)];
        assert_eq!(broken_of(&files), all, "{settings}");
    }
    let settings = "connectTimeout: soon\n";
    let files = [POD, ("mesh.yaml", settings), ("config/p.yaml", POLICY)];
    assert_eq!(broken_of(&files), [""; 0]);
    let files = [POD, ("mesh.yaml", "rootNamespace: [\n")];
    assert_eq!(broken_of(&files), ["MeshConfig//"]);
}

/// A value, skewed to what rules look at.
fn leaf() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        prop_oneof![Just(0_i64), Just(-1), Just(80), Just(70_000), any::<i64>()]
            .prop_map(Value::from),
        prop_oneof![
            Just("*".to_owned()),
            Just("*.example.com".to_owned()),
            Just("outbound_.80_._.a".to_owned()),
            Just("mesh".to_owned()),
            Just("%REQ(".to_owned()),
            Just("[a-z]{2,1".to_owned()),
            "[a-z*./~_\\\\({\\[é]{0,12}",
            any::<String>(),
        ]
        .prop_map(Value::from),
    ]
}

/// A document that is a case with some of its values replaced.
fn mutated() -> impl Strategy<Value = Value> {
    let cases = cases();
    let spots = prop::collection::vec((any::<prop::sample::Index>(), leaf()), 1..4);
    (any::<prop::sample::Index>(), spots).prop_map(move |(case, spots)| {
        let mut manifest = case.get(&cases)["input"]["manifest"].clone();
        for (spot, value) in spots {
            let paths = paths(&manifest["spec"]);
            if paths.is_empty() {
                manifest["spec"] = json!({ "hosts": [value] });
            } else if let Some(place) = manifest["spec"].pointer_mut(spot.get(&paths).as_str()) {
                *place = value;
            }
        }
        manifest
    })
}

/// The pointers to everything inside a value.
fn paths(value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![(String::new(), value)];
    while let Some((path, value)) = open.pop() {
        let escaped = |key: &str| key.replace('~', "~0").replace('/', "~1");
        let inner: Vec<(String, &Value)> = match value {
            Value::Object(members) => {
                members.iter().map(|(key, value)| (escaped(key), value)).collect()
            }
            Value::Array(items) => {
                items.iter().enumerate().map(|(index, item)| (index.to_string(), item)).collect()
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
        };
        for (key, value) in inner {
            let path = format!("{path}/{key}");
            found.push(path.clone());
            open.push((path, value));
        }
    }
    found.sort();
    found
}

proptest! {
    /// No document makes admission panic, and it says the same each time.
    #[test]
    fn admission_is_total_and_deterministic(manifest in mutated()) {
        prop_assert_eq!(diagnose(&manifest), diagnose(&manifest));
    }

    /// Admission takes no more than reading does, and what it takes has no error.
    #[test]
    fn what_is_admitted_has_no_error(manifest in mutated()) {
        let (node, file) = (Node::from(&manifest), Arc::from("case"));
        let admitted = admit(&node, &file, "default");
        let read = decode(&node, &file, "default");
        prop_assert_eq!(&admitted.object, &read.object);
        if admitted.resource.is_some() {
            prop_assert!(!is_refused(&admitted.diagnostics));
            prop_assert_eq!(admitted.resource, read.resource);
        }
    }

    /// The settings that are left after admission break no rule.
    #[test]
    fn repaired_settings_break_no_rule(manifest in mutated()) {
        let (spec, file) = (Node::from(&manifest["spec"]), Arc::from("case"));
        let (config, _) = MeshConfig::admit(&spec, &file);
        let is_wrong = |v: &mesh_model::resource::validate::Violation| v.severity == Severity::Error;
        prop_assert!(!config.validate().iter().any(is_wrong));
        let (networks, _) = MeshNetworks::admit(&spec, &file);
        prop_assert!(networks.validate().is_empty());
    }
}

#[test]
fn ports_that_the_api_refuses_are_told_and_their_objects_left_out() {
    let check = |text: &str, expected: &[&str]| {
        let file = Arc::from("f");
        let reading = mesh_model::manifest::read("f", text.as_bytes(), &Default::default());
        let decoded = admit(&reading.documents[0].node, &file, "default");
        let found: Vec<String> =
            decoded.diagnostics.iter().map(|d| format!("{} {}", d.code, d.field)).collect();
        assert_eq!(found, expected, "{text}");
        assert_eq!(decoded.resource.is_some(), expected.is_empty(), "{text}");
    };
    let service = |ports: &str| {
        format!(
            "{{apiVersion: v1, kind: Service, metadata: {{name: a}}, spec: {{ports: [{ports}]}}}}"
        )
    };
    check(&service("{port: 80}"), &[]);
    check(&service("{port: 53, name: a, protocol: UDP}, {port: 53, name: b}"), &[]);
    check(&service("{port: 99999}"), &["PORT-RANGE spec.ports[0].port"]);
    check(&service("{name: http}"), &["PORT-RANGE spec.ports[0].port"]);
    check(&service("{port: 80, nodePort: 70000}"), &["PORT-RANGE spec.ports[0].nodePort"]);
    check(
        &service("{port: 80}, {port: 81}"),
        &["SVC-PORT-NAME spec.ports[0].name", "SVC-PORT-NAME spec.ports[1].name"],
    );
    let twice = ["SVC-PORT-DUP spec.ports[1].port", "SVC-PORT-NAME spec.ports[1].name"];
    check(&service("{port: 80, name: a}, {port: 80, name: a}"), &twice);
    let slice = |port: &str| {
        let head = "apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: a}";
        format!("{{{head}, addressType: IPv4, ports: [{{{port}}}]}}")
    };
    check(&slice("name: http"), &[]);
    let reading =
        mesh_model::manifest::read("f", slice("port: 98080").as_bytes(), &Limits::default());
    let decoded = admit(&reading.documents[0].node, &Arc::from("f"), "default");
    // Only the port is left out.
    assert!(decoded.resource.is_some());
    assert_eq!(decoded.diagnostics.iter().map(|d| d.code).collect::<Vec<_>>(), ["PORT-RANGE"]);
}
