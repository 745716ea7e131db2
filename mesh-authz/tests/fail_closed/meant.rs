//! What may have been meant as a policy: of another kind or group, in another place, in text that is none.
use super::check;

/// One indentation too far left or right, its namespace is no namespace: which one was meant is unknown.
#[test]
fn a_namespace_in_a_wrong_place_may_be_any() {
    let deny = "action: DENY, rules: [{}]";
    for kind in ["AuthorizationPolicy", "FooPolicy"] {
        let head = format!("apiVersion: security.istio.io/v1\nkind: {kind}\n");
        for rest in [
            format!("metadata: {{name: shut}}\nnamespace: shop\nspec: {{{deny}}}\n"),
            format!("metadata: {{name: shut}}\nnamespce: shop\nspec: {{{deny}}}\n"),
            format!("metadata: {{name: shut, namespace: ''}}\nnamespace: shop\nspec: {{{deny}}}\n"),
            format!("metadata: {{name: shut}}\nmeta: {{namespace: shop}}\nspec: {{{deny}}}\n"),
            format!("metadata: {{name: shut}}\nspec: {{namespace: shop, {deny}}}\n"),
            format!("metadata: {{name: shut}}\nspec: {{selector: {{namespace: shop}}, {deny}}}\n"),
            format!("metadata: {{name: shut}}\nspec: {{metadata: {{namespace: shop}}, {deny}}}\n"),
            format!("metadata: {{metadata: {{name: shut, namespace: shop}}}}\nspec: {{{deny}}}\n"),
            format!("metadata: {{name: {{name: shut, namespace: shop}}}}\nspec: {{{deny}}}\n"),
        ] {
            check(format!("{head}{rest}"), true);
        }
        // It says one that counts.
        let says = "metadata: {name: shut, namespace: other}\nnamespace: shop\n";
        check(format!("{head}{says}spec: {{{deny}, extra: 1}}\n"), false);
        // Names that others may have are no namespaces.
        let labels =
            "metadata: {name: shut, labels: {namespace: shop}, annotations: {namespace: shop}}";
        let spec = "spec: {selector: {matchLabels: {namespace: a}}, extra: 1, \
                    rules: [{from: [{source: {namespaces: [a]}}]}]}\n";
        check(format!("{head}{labels}\n{spec}"), false);
        let target = "spec: {targetRefs: [{kind: Service, name: a, namespace: shop}], extra: 1}\n";
        check(format!("{head}metadata: {{name: shut}}\n{target}"), false);
    }
}

/// Nobody can tell what it is, but its group: it may be a policy of any kind.
#[test]
fn text_of_the_security_group_that_cannot_be_read_denies() {
    let object = |version: &str, kind: &str| {
        format!(
            "apiVersion: {version}\nkind: {kind}\nmetadata:\n  name: shut\n  namespace: shop\n\
             spec:\n  action: DENY\n  rules: [{{}}]\n"
        )
    };
    let version = "security.istio.io/v1";
    let wide = |text: &str| -> Vec<u8> { text.bytes().flat_map(|byte| [byte, 0]).collect() };
    for kind in ["FooPolicy", "AuthorisationPolicy", "\"\""] {
        let text = object(version, kind);
        let service = "apiVersion: v1\nkind: Service\nmetadata: {name: a, namespace: shop}\n";
        check([b"# caf\xe9\n", text.as_bytes()].concat(), true);
        check(wide(&text), true);
        check(format!("{{{{- if .Values.on }}}}\n{text}{{{{- end }}}}\n"), true);
        check(format!("{service}{text}"), true);
        check(format!("<<<<<<< HEAD\n{text}=======\n>>>>>>> other\n"), true);
        check(format!("apiVersion: {version}\n{text}"), true);
        check(format!("kind: BarPolicy\n{text}"), true);
        let item = text.trim_end().replace('\n', "\n  ");
        check(format!("apiVersion: v1\nkind: List\nitems:\n- {item}\n- [\n"), true);
    }
    for version in [version, "security.istio.io", "Securty.istio.io/v1", "\"security.istio.io/v1\""]
    {
        check(object(version, "{{ .Values.kind }}"), true);
        check(object(version, "").replace("{}]", "{]"), true);
    }
    check(object("{{ .Values.version }}", "AuthorisationPolicy"), true);
    // Another policy beside it does not say that there is no more.
    let peer = object(version, "PeerAuthentication");
    check(format!("{{{{- if .Values.on }}}}\n{peer}{}", object(version, "FooPolicy")), true);
}

/// What is of another kind and names the group closes nothing.
#[test]
fn text_that_mentions_the_security_group_is_no_policy() {
    let labels = "metadata: {name: a, labels: {security.istio.io/tlsMode: istio}}\n";
    let role = "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: a}\n\
                rules: [{apiGroups: [security.istio.io], resources: [authorizationpolicies]}]\n";
    check(format!("apiVersion: apps/v1\nkind: Deployment\n{labels}spec: {{"), false);
    check(format!("{{{{- if .Values.on }}}}\nkind: Deployment\n{labels}{{{{- end }}}}\n"), false);
    check(format!("{{{{- if .Values.on }}}}\n{role}{{{{- end }}}}\n"), false);
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  namespace: shop\ndata:\n  \
               a: 'apiVersion: security.istio.io/v1'\n";
    check(format!("{map}  b: [\n"), false);
}

/// Groups without a dot are Kubernetes' own and have no such kinds; what is no group is nobody's.
#[test]
fn a_policy_of_no_other_s_group_denies() {
    let policy = |version: &str| {
        format!(
            "apiVersion: {version}\nkind: AuthorizationPolicy\nmetadata: {{name: shut, namespace: shop}}\n\
             spec: {{action: DENY, rules: [{{}}]}}\n"
        )
    };
    for version in [
        "security/v1",
        "istio/v1",
        "apps/v1",
        "http://security.istio.io/v1",
        "https://security.istio.io/v1",
        "v1/security.istio.io",
        "/v1",
        "security .example/v1",
    ] {
        check(policy(version), true);
        check(policy(version).replace("shop", "other"), false);
        check(policy(version).replace("{}]", "{]"), true);
    }
    let foo = policy("http://security.istio.io/v1").replace("AuthorizationPolicy", "FooPolicy");
    check(foo, true);
}

/// What no metadata has may say what the policy is for, and where no namespace is said, its namespace.
#[test]
fn a_field_that_no_metadata_has_denies() {
    let policy = |metadata: &str, action: &str| {
        format!(
            "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {{name: shut, {metadata}}}\n\
             spec: {{{action}rules: [{{}}]}}\n"
        )
    };
    check(policy("namespace: shop, action: DENY", ""), true);
    check(policy("namespace: other, action: DENY", ""), false);
    for field in ["ns", "project", "targetNamespace", "nmaespcae"] {
        check(policy(&format!("{field}: shop"), "action: DENY, "), true);
    }
}
