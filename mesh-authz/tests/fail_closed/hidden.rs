//! Policies that another document hides: in text that cannot be read, in a value, in a field that nobody reads.
use super::{answer, check, loses_nothing, mesh_and_findings};

/// A policy that denies everything in `shop`.
const POLICY: &str = "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n\
    metadata: {name: shut, namespace: shop}\nspec: {action: DENY, rules: [{}]}\n";
const JSON: &str = "{\"apiVersion\":\"security.istio.io/v1\",\"kind\":\"AuthorizationPolicy\",\
    \"metadata\":{\"name\":\"shut\",\"namespace\":\"shop\"},\"spec\":{\"action\":\"DENY\",\"rules\":[{}]}}";
const SERVICE: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: cart, namespace: shop}\n";
const OTHER: &str = "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n\
    metadata:\n  name: open\n  namespace: other\n";

fn indent(text: &str, by: usize) -> String {
    let blanks = " ".repeat(by);
    text.lines().map(|line| format!("{blanks}{line}\n")).collect()
}

/// Whatever its first lines are of, text that cannot be read and says a policy's kind may have been one.
#[test]
fn a_policy_in_text_that_cannot_be_read_denies() {
    for head in [SERVICE, OTHER, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"] {
        for hidden in [
            format!("spec:\n  ports: []\n  ---\n{}", indent(POLICY, 2)),
            format!("spec:\n  ports: []\n  ---\n{POLICY}"),
            format!("spec:\n  ports: []\n ---\n{}", indent(POLICY, 4)),
            format!("spec:\n  a: b\n  ---\n  {JSON}\n"),
            format!("spec: {{a: b\n  ---\n{}", indent(POLICY, 2)),
            format!("spec:\n  note: a\n    ---\n{}", indent(POLICY, 4)),
            format!("spec:\n\ta: b\n{}", indent(POLICY, 2)),
            "spec: [\n  kind :   'AuthorizationPolicy'\n".to_owned(),
            "spec: [\n  ? kind\n  : !!str AuthorizationPolicy\n".to_owned(),
            "spec: [\n  kind: >-\n    AuthorizationPolicy\n".to_owned(),
            "spec: [\n  kind: AuthorisationPolicy\n".to_owned(),
        ] {
            check(format!("{head}{hidden}"), true);
        }
    }
    let service = "{\"apiVersion\": \"v1\", \"kind\": \"Service\", \"metadata\": {\"name\": \"a\"}";
    check(format!("{service}, \"spec\": {{\"a\": \"b\", {JSON}}}}}\n"), true);
    check(format!("{service}, \"spec\": {{\"a\": [{JSON}]\n"), true);
}

/// What is said in a comment is not said, nor what another's kind is called.
#[test]
fn text_that_cannot_be_read_and_says_no_policy_loses_none() {
    for rest in [
        "spec: [\n# kind: AuthorizationPolicy\n",
        "spec: [\n  kinds: AuthorizationPolicy\n",
        "spec: [\n  note: an AuthorizationPolicy of that kind\n",
        "spec: [\n  group: security.istio.io\n",
    ] {
        check(format!("{SERVICE}{rest}"), false);
    }
    check("apiVersion: policy.linkerd.io/v1\nkind: AuthorizationPolicy\nspec: {\n", false);
    // What a tool keeps of the object is no other.
    let kept = format!(
        "  annotations:\n    kubectl.kubernetes.io/last-applied-configuration: |\n      {JSON}\nspec: {{\n"
    );
    check(format!("{OTHER}{kept}"), false);
}

/// A document that goes on over a `---` that is no line of its own has another one in a text.
#[test]
fn a_policy_that_another_swallowed_denies() {
    let noted =
        |head: &str, note: &str| format!("{head}  annotations:\n    note: {note}spec: {{}}\n");
    for text in [
        format!("|\n      a\n      ---\n{}", indent(POLICY, 6)),
        format!("|\n      a\n        ---\n{}", indent(POLICY, 8)),
        format!(">\n      a\n      ---\n{}", indent(JSON, 6)),
        format!("a\n      ---\n      {JSON}\n"),
    ] {
        check(noted(OTHER, &text), true);
    }
    check(format!("a: |\n  b\n    ---\n{}", indent(POLICY, 4)), true);
    check(format!("a: b\n  ---\n  {JSON}\n"), true);
    // Another one of its name is another one.
    let twin = POLICY.replace("shut", "open").replace("shop", "other");
    assert!(!loses_nothing(noted(OTHER, &format!("|\n      ---\n{}", indent(&twin, 6)))));
    // It repeats itself.
    let own = JSON.replace("shut", "open").replace("shop", "other");
    let kept = format!("'{own}'\n");
    assert!(loses_nothing(noted(OTHER, &kept).replace("note", "example.com/applied")));
}

/// Whether a mesh is open with this text beside its pod, and the codes of what is said of it.
fn told(text: &str) -> (bool, Vec<&'static str>) {
    let (mesh, found) = mesh_and_findings(text.as_bytes());
    let codes = found.iter().map(|found| found.code);
    (
        answer(&mesh),
        codes.filter(|code| *code != "KIND-UNKNOWN" && *code != "KIND-UNUSED").collect(),
    )
}

/// An object with a field, at this depth, whose value is a text with a policy.
fn with_text(object: &str, policy: &str) -> String {
    let at = object.find("TEXT").unwrap_or_default();
    let line = object.get(..at).and_then(|head| head.rsplit('\n').next()).unwrap_or_default();
    let depth = line.len() - line.trim_start_matches([' ', '-']).len() + 2;
    object.replace("TEXT", &format!("|\n{}", indent(policy, depth)))
}

/// Somebody applies the text as it is.
#[test]
fn a_policy_in_a_text_that_is_applied_denies() {
    let encoded = "YXBpVmVyc2lvbjogc2VjdXJpdHkuaXN0aW8uaW8vdjEKa2luZDogQXV0aG9yaXphdGlvblBvbGljeQptZXRhZGF0YToge25hbWU6IHNodXQs\
                   IG5hbWVzcGFjZTogc2hvcH0Kc3BlYzoge2FjdGlvbjogREVOWSwgcnVsZXM6IFt7fV19Cg==";
    let set = "apiVersion: v1\nkind: Secret\nmetadata: {name: a, namespace: mgmt}\ntype: addons.cluster.x-k8s.io/resource-set\n";
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: mgmt}\ndata:\n  p.yaml: TEXT\n---\n";
    let refers = |kind: &str, namespace: &str, reference: &str| {
        format!(
            "{map}apiVersion: addons.cluster.x-k8s.io/v1beta1\nkind: {kind}\n\
             metadata: {{name: b, namespace: {namespace}}}\nspec: {{{reference}}}\n"
        )
    };
    let of_map = "resources: [{kind: ConfigMap, name: a}]";
    for object in [
        format!("{set}data:\n  p.yaml: {encoded}\n"),
        format!("{set}stringData:\n  p.yaml: TEXT\n"),
        "apiVersion: fleet.cattle.io/v1alpha1\nkind: Bundle\nmetadata: {name: a, namespace: mgmt}\nspec:\n  \
         resources:\n  - name: p\n    content: TEXT\n"
            .to_owned(),
        "apiVersion: kappctrl.k14s.io/v1alpha1\nkind: App\nmetadata: {name: a, namespace: mgmt}\nspec:\n  \
         fetch:\n  - inline:\n      paths:\n        p.yaml: TEXT\n"
            .to_owned(),
        "apiVersion: policy.open-cluster-management.io/v1\nkind: ConfigurationPolicy\nmetadata: {name: a}\nspec:\n  \
         object-templates-raw: TEXT\n"
            .to_owned(),
        "apiVersion: fluxcd.controlplane.io/v1\nkind: ResourceSet\nmetadata: {name: a, namespace: b}\nspec:\n  \
         resourcesTemplate: TEXT\n"
            .to_owned(),
        "apiVersion: template.openshift.io/v1\nkind: Template\nmetadata: {name: a}\nobjects:\n  - TEXT\n"
            .to_owned(),
        refers("ManagedResource", "mgmt", "secretRefs: [{name: a}]")
            .replace("ConfigMap", "Secret")
            .replacen("data:", "stringData:", 2)
            .replacen("metastringData:", "metadata:", 1),
        refers("ClusterResourceSet", "mgmt", of_map),
        refers("ClusterProfile", "mgmt", "policyRefs: [{kind: ConfigMap, name: a, namespace: mgmt}]"),
        refers("ClusterProfile", "mgmt", "policyRefs: [{kind: ConfigMap, name: '{{ .Name }}'}]"),
    ] {
        let (is_open, codes) = told(&with_text(&object, POLICY));
        assert!(!is_open, "{object}");
        assert!(codes.contains(&"OBJECT-CARRIED"), "{object}: {codes:?}");
        let elsewhere = POLICY.replace("namespace: shop", "namespace: other");
        if object.contains("TEXT") {
            check(with_text(&object, &elsewhere), false);
            check(with_text(&object, &POLICY.replace(", namespace: shop", "")), true);
            check(with_text(&object, &format!("a: b\n  ---\n{}", indent(POLICY, 2))), true);
        }
    }
    for object in [
        refers("ClusterResourceSet", "other", of_map),
        refers("ClusterResourceSet", "mgmt", "resources: [{kind: Secret, name: a}]"),
    ] {
        assert_eq!(told(&with_text(&object, POLICY)), (true, vec!["POLICY-IN-TEXT"]), "{object}");
    }
}

/// Nobody here applies the text, which may be a note or what another program is told.
#[test]
fn a_policy_in_a_text_that_is_not_applied_is_told() {
    let of = |object: &str| told(&with_text(object, POLICY));
    for object in [
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: shop}\ndata:\n  p.yaml: TEXT\n",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: a, namespace: shop}\nstringData:\n  p.yaml: TEXT\n",
        "apiVersion: grafana.example.com/v1\nkind: Dashboard\nmetadata: {name: a}\nspec:\n  - note: TEXT\n",
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: a\n  annotations:\n    note: TEXT\nspec: {}\n",
    ] {
        assert_eq!(of(object), (true, vec!["POLICY-IN-TEXT"]), "{object}");
    }
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: shop}\ndata:\n";
    let binary =
        "  a: YXBpVmVyc2lvbjogc2VjdXJpdHkuaXN0aW8uaW8vdjEKa2luZDogQXV0aG9yaXphdGlvblBvbGljeQo=\n";
    assert_eq!(told(&format!("{map}{binary}")), (true, vec![]));
    assert_eq!(
        told(&format!("{map}{binary}").replace("\ndata:", "\nbinaryData:")).1,
        ["POLICY-IN-TEXT"]
    );
    for text in ["an AuthorizationPolicy", "kind AuthorizationPolicy", "kind: ServiceEntry"] {
        assert_eq!(told(&format!("{map}  a: '{text}'\n")), (true, vec![]), "{text}");
    }
    let other = POLICY.replace("security.istio.io", "policy.linkerd.io");
    assert_eq!(told(&with_text(&format!("{map}  a: TEXT\n"), &other)), (true, vec![]));
}

/// No API server knows the field: what stands there was meant for somebody.
#[test]
fn a_policy_below_a_field_of_another_object_denies() {
    for object in [
        format!("{SERVICE}spec: {{ports: [], foo: {JSON}}}\n"),
        format!("{SERVICE}spec: {{ports: []}}\nitems: [{JSON}]\n"),
        format!("{SERVICE}extra: [{{deep: {JSON}}}]\n"),
        format!("{OTHER}spec: {{foo: {JSON}}}\n"),
        format!("apiVersion: v1\nkind: List\nmetadata: {{items: [{JSON}]}}\n"),
        format!("apiVersion: v1\nkind: List\nmetadata: {{items: [{JSON}]}}\nitems: []\n"),
        format!("apiVersion: v1\nkind: List\nitems: []\nitmes: [{JSON}]\n"),
        format!("apiVersion: v1\nkind: ServiceList\nitems: []\nspec: [{JSON}]\n"),
        format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a}}\ndata: {{a: {JSON}}}\n"),
    ] {
        check(&object, true);
        if !object.contains("List") {
            check(object.replace("shop\"", "other\""), false);
        }
    }
    for object in [
        format!(
            "{SERVICE}spec: {{foo: {{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, name: a}}}}\n"
        ),
        "apiVersion: v1\nkind: List\nmetadata: {resourceVersion: '', continue: a}\nitems: []\n"
            .to_owned(),
        "apiVersion: v1\nkind: List\nmetadata: {more: a}\nitems: []\n".to_owned(),
    ] {
        assert!(loses_nothing(object.clone()), "{object}");
    }
}
