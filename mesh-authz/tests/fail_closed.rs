//! A security policy whose text cannot be used closes what it might have closed.
#![expect(clippy::expect_used, reason = "helpers of tests may fail like tests")]
use std::sync::Arc;

use mesh_authz::Authorizer;
use mesh_authz::identity::Peer;
use mesh_model::Compat;
use mesh_model::manifest::{Diagnostic, Severity};
use mesh_model::name::Namespace;
use mesh_model::registry::{Mesh, Origin, Registry, Source};
use mesh_model::resource::MutualTlsMode;

#[path = "fail_closed/hidden.rs"]
mod hidden;
#[path = "fail_closed/meant.rs"]
mod meant;
#[path = "fixture/request.rs"]
mod request;

const POD: &str = "{apiVersion: v1, kind: Pod, metadata: {name: web, namespace: shop, labels: {app: web}}, \
    spec: {containers: [{name: istio-proxy, image: proxyv2}]}, status: {phase: Running, podIP: 10.0.0.1}}";

/// A mesh of one pod, in which loading the policy finds an error.
fn mesh(policy: &[u8]) -> Arc<Mesh> {
    let (mesh, found) = mesh_and_findings(policy);
    assert!(found.iter().any(|found| found.severity == Severity::Error), "{found:?}");
    mesh
}

/// A mesh of one pod, and what loading the text beside it finds.
fn mesh_and_findings(text: &[u8]) -> (Arc<Mesh>, Vec<Diagnostic>) {
    let source = |path: &str, text: &[u8]| Source {
        origin: Origin::of_path(path).expect("a path of a mesh"),
        name: Arc::from(path),
        text: text.to_vec(),
    };
    let mut registry = Registry::new(Compat::default());
    let found = registry
        .load([source("clusters/c1/pod.yaml", POD.as_bytes()), source("config/p.yaml", text)]);
    (registry.mesh(), found)
}

fn is_allowed(policy: &[u8]) -> bool {
    answer(&mesh(policy))
}

/// Whether the pod answers.
fn answer(mesh: &Mesh) -> bool {
    let proxy = mesh.proxy("c1/shop/web").expect("the pod is there");
    let plane = mesh.control_plane_of("c1").expect("the cluster serves itself");
    Authorizer::of_proxy(mesh, plane, &proxy).decide(&request::get("/")).is_allowed()
}

#[track_caller]
fn check(policy: impl AsRef<[u8]>, is_denied: bool) {
    let text = String::from_utf8_lossy(policy.as_ref()).into_owned();
    assert_eq!(is_allowed(policy.as_ref()), !is_denied, "{text}");
}

const BLOCK: &str = "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n\
    metadata:\n  name: shut\n  namespace: shop\nspec:\n  action: DENY\n";

#[test]
fn text_that_cannot_be_read_denies() {
    for rest in [
        "  rules: [{}\n",
        "  rules: [{}]\n  rules: [{}]\n",
        "  rules: *nothing\n",
        "\trules: [{}]\n",
        "  rules: [{}] # \u{0}\n",
    ] {
        check(format!("{BLOCK}{rest}"), true);
    }
    check([BLOCK.as_bytes(), b"  rules: [{}] # \xff\n"].concat(), true);
    let deep = "[".repeat(10_000);
    check(format!("{BLOCK}  rules: {deep}\n"), true);
}

/// The API server would drop the field, and let everybody in.
#[test]
fn a_field_that_no_policy_has_denies() {
    let policy = |labels: &str, spec: &str| {
        format!(
            "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {{name: shut, namespace: shop}}\nspec: \
             {{selector: {{matchLabels: {{app: {labels}}}}}, {spec}}}\n"
        )
    };
    let misspelt = "rules: [{form: [{source: {principals: [a]}}]}]";
    check(policy("web", misspelt), true);
    check(policy("cart", misspelt), false);
}

#[test]
fn so_it_is_in_every_style() {
    let head = "apiVersion: security.istio.io/v1, kind: AuthorizationPolicy";
    check(
        format!("{{{head}, metadata: {{name: shut, namespace: shop}}, spec: {{rules: [}}\n"),
        true,
    );
    check(
        format!("{{{head}, metadata: {{name: shut, namespace: other}}, spec: {{rules: [}}\n"),
        false,
    );
    let flow = "\nmetadata: {name: shut, namespace: 'shop'}\nspec: {rules: [}\n";
    check(format!("apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy{flow}"), true);
    let json = "{\"apiVersion\": \"security.istio.io/v1\", \"kind\": \"AuthorizationPolicy\", ";
    check(
        format!(
            "{json}\"metadata\": {{\"namespace\": \"shop\", \"name\": \"shut\"}}, \"spec\": {{"
        ),
        true,
    );
    check(
        format!(
            "{json}\"metadata\": {{\"namespace\": \"other\", \"name\": \"shut\"}}, \"spec\": {{"
        ),
        false,
    );
}

#[test]
fn without_a_namespace_it_may_be_for_anyone() {
    check("kind: AuthorizationPolicy\nmetadata:\n  name: shut\nspec: [\n", true);
    // Which namespace it is in is known where the document can be read.
    check(
        "apiVersion: security.istio.io/v9\nkind: AuthorizationPolicy\nmetadata:\n  name: shut\n",
        false,
    );
}

/// Its namespace was meant to be some other than `default`, whatever else is wrong.
#[test]
fn a_misspelt_namespace_may_be_any() {
    let policy = |kind: &str, metadata: &str, rules: &str| {
        format!(
            "apiVersion: security.istio.io/v1\nkind: {kind}\nmetadata: {{name: shut, {metadata}}}\n\
             spec: {{action: DENY, rules: {rules}}}\n"
        )
    };
    for (kind, rules) in [
        ("AuthorizationPolicy", "[{}]"),
        ("AuthorizationPolicy", "5"),
        ("AuthorizationPolicies", "[{}]"),
        ("FooPolicy", "[{}]"),
    ] {
        check(policy(kind, "namespce: shop", rules), true);
        check(policy(kind, "namespce: other", rules), true);
    }
    check(policy("AuthorizationPolicy", "namespace: other", "5"), false);
    check(policy("AuthorizationPolicy", "namespace: other, namespaces: shop", "5"), false);
}

#[test]
fn what_is_no_object_of_ours_denies_too() {
    let metadata = "kind: AuthorizationPolicy\nmetadata:\n  namespace: shop\n";
    check(format!("apiVersion: security.istio.io/v9\n{metadata}  name: shut\n"), true);
    check(format!("apiVersion: networking.istio.io/v1\n{metadata}  name: shut\n"), true);
    check(format!("apiVersion: security.istio.io/v1\n{metadata}"), true);
    // Somebody else's kind of the same name.
    check(
        format!("apiVersion: policy.linkerd.io/v1alpha1\n{metadata}  name: shut\nspec: [\n"),
        false,
    );
}

/// Of this group there are policies only: one of a kind that nobody knows may have denied everything.
#[test]
fn a_kind_of_the_security_group_that_is_not_known_denies_in_its_namespace() {
    let object = |version: &str, kind: &str, namespace: &str| {
        format!(
            "apiVersion: {version}\nkind: {kind}\nmetadata: {{name: shut, namespace: {namespace}}}\n\
             spec: {{action: DENY, rules: [{{}}]}}\n"
        )
    };
    for version in
        ["security.istio.io/v1", "security.istio.io/v9", "Securty.istio.io/v1", "security.istio.io"]
    {
        check(object(version, "FooPolicy", "shop"), true);
        check(object(version, "FooPolicy", "other"), false);
        check(object(version, "FooPolicy", "shop").replace("rules: [{}]", "rules: [{]"), true);
        check(
            format!(
                "apiVersion: {version}\nkind: FooPolicyList\nitems: [{{metadata: {{name: a, namespace: shop}}}}]\n"
            ),
            true,
        );
    }
    let others =
        "apiVersion: security.example/v1\nkind: FooPolicy\nmetadata: {name: shut}\nspec: [\n";
    check(others, false);
}

/// Whether a text of the config folder closes nothing.
fn loses_nothing(text: String) -> bool {
    let source = Source {
        origin: Origin::Config,
        name: Arc::from("config/p.yaml"),
        text: text.into_bytes(),
    };
    let mut registry = Registry::new(Compat::default());
    registry.load([source]);
    registry.mesh().broken().is_empty()
}

/// The kinds before today's, which no istiod reads any more, denied what they did not allow.
#[test]
fn a_kind_of_the_groups_before_denies() {
    let object = |version: &str, kind: &str, namespace: &str| {
        format!(
            "apiVersion: {version}\nkind: {kind}\nmetadata: {{name: shut, namespace: {namespace}}}\nspec: {{}}\n"
        )
    };
    let roles = "rbac.istio.io/v1alpha1";
    check(object(roles, "ServiceRole", "shop"), true);
    check(object(roles, "ServiceRoleBinding", "other"), false);
    check(object("rbc.istio.io/v1alpha1", "ServiceRole", "shop"), true);
    // These were of no namespace.
    check(object(roles, "ClusterRbacConfig", "other"), true);
    assert!(loses_nothing(object("rbac.authorization.k8s.io/v1", "Role", "shop")));
}

/// Nobody can tell whether what another object carries is applied.
#[test]
fn a_policy_that_another_object_carries_denies() {
    let policy = |namespace: &str| {
        format!(
            "{{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {{name: shut{namespace}}}, \
             spec: {{action: DENY, selector: {{matchLabels: {{app: LABEL}}}}, rules: [{{}}]}}}}"
        )
    };
    let template = "apiVersion: template.openshift.io/v1\nkind: Template\nmetadata: {name: t}\nobjects:\n- POLICY\n";
    let work = "apiVersion: work.open-cluster-management.io/v1\nkind: ManifestWork\n\
                metadata: {name: w, namespace: c1}\nspec: {workload: {manifests: [POLICY]}}\n";
    for carrier in [template, work] {
        let carry = |namespace: &str, label: &str| {
            carrier.replace("POLICY", &policy(namespace)).replace("LABEL", label)
        };
        for (namespace, denies) in [
            ("", true),
            (", namespace: shop", true),
            (", namespace: '${N}'", true),
            (", namespace: other", false),
        ] {
            check(carry(namespace, "web"), denies);
            check(carry(namespace, "'${APP}'"), denies);
            check(carry(namespace, "else"), false);
        }
        let reference = "{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, name: p}";
        for other in [reference, "{apiVersion: v1, kind: Pod, metadata: {name: p}}"] {
            assert!(loses_nothing(carrier.replace("POLICY", other)), "{other}");
        }
    }
}

#[test]
fn a_lost_demand_for_mutual_tls_is_strict() {
    let check = |text: &str, expected: MutualTlsMode| {
        let mesh = mesh(text.as_bytes());
        let proxy = mesh.proxy("c1/shop/web").expect("the pod is there");
        let view = mesh.view(&proxy).expect("the cluster serves itself");
        let mode = view.server_mode(&Namespace::from("shop"), &proxy.labels).of_port(80);
        assert_eq!(mode, expected, "{text}");
    };
    let kind = "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata:\n";
    let spec = "spec: {mtls: {mode: STRICT}\n";
    check(&format!("{kind}  {{name: a, namespace: shop}}\n{spec}"), MutualTlsMode::Strict);
    check(&format!("{kind}  name: a\n  namespace: shop\n{spec}"), MutualTlsMode::Strict);
    check(&format!("{kind}  name: a\n  namespace: other\n{spec}"), MutualTlsMode::Permissive);
    check(&format!("{kind}  name: a\n{spec}"), MutualTlsMode::Strict);
    let misspelt = "spec: {mtls: {mode: PERMISSIVE}, portLevelMtlss: {80: {mode: STRICT}}}\n";
    check(&format!("{kind}  name: a\n  namespace: shop\n{misspelt}"), MutualTlsMode::Strict);
    let unknown = kind.replace("PeerAuthentication", "MeshPolicy");
    check(&format!("{unknown}  name: a\n  namespace: shop\nspec: {{}}\n"), MutualTlsMode::Strict);
}

/// The parts of a mesh with a waypoint `infra/waypoint`: what is asked of it, and of `shop/web`.
const WAYPOINT: &str = "{apiVersion: v1, kind: Pod, metadata: {name: wp, namespace: infra, labels: \
    {gateway.networking.k8s.io/gateway-name: waypoint, gateway.networking.k8s.io/gateway-class-name: istio-waypoint}}, \
    spec: {containers: [{name: istio-proxy, image: proxyv2}]}, status: {phase: Running, podIP: 10.0.0.7}}\n---\n";
const USES: &str = "istio.io/use-waypoint: waypoint, istio.io/use-waypoint-namespace: infra";

/// Who answers `GET /`, of `web` of shop itself, `other` beside it, and the waypoint for `10.9.0.1`.
fn answers(cluster: &str, config: &str) -> [bool; 3] {
    let source = |path: &str, text: String| Source {
        origin: Origin::of_path(path).expect("a path of a mesh"),
        name: Arc::from(path),
        text: text.into_bytes(),
    };
    let other = POD.replace("app: web", "app: other").replace("name: web", "name: other");
    let pods = format!("{POD}\n---\n{}\n---\n{WAYPOINT}{cluster}", other.replace("0.0.1", "0.0.2"));
    let mut registry = Registry::new(Compat::default());
    registry.load([
        source("clusters/c1/pod.yaml", pods),
        source("config/p.yaml", format!("apiVersion: security.istio.io/v1\n{config}")),
    ]);
    let mesh = registry.mesh();
    let plane = mesh.control_plane_of("c1").expect("the cluster serves itself");
    ["shop/web", "shop/other", "infra/wp"].map(|name| {
        let proxy = mesh.proxy(&format!("c1/{name}")).expect("the pod is there");
        let authorizer = Authorizer::of_proxy(&mesh, plane, &proxy);
        let mut request = request::get("/");
        request.connection.destination_ip = [10, 9, 0, 1].into();
        authorizer.decide(&request).is_allowed()
    })
}

fn service(labels: &str) -> String {
    format!(
        "{{apiVersion: v1, kind: Service, metadata: {{name: web, namespace: shop, labels: {{{labels}}}}}, \
         spec: {{clusterIP: 10.9.0.1, selector: {{app: web}}, ports: [{{name: http, port: 80}}]}}}}\n"
    )
}

/// A policy of `shop/web`, the service.
fn of_service(spec: &str) -> String {
    format!(
        "kind: AuthorizationPolicy\nmetadata: {{name: p, namespace: shop}}\n\
         spec: {{targetRefs: [{{kind: Service, group: '', name: web}}], {spec}}}\n"
    )
}

const DENY: &str = "action: DENY, rules: [{to: [{operation: {paths: [/]}}]}]";

#[test]
fn what_is_attached_to_a_service_is_in_force_at_its_waypoint() {
    let policy = of_service(DENY);
    assert_eq!(answers(&service(USES), &policy), [true, true, false]);
    assert_eq!(answers(&service(""), &policy), [true, true, true]);
}

#[test]
fn a_service_that_cannot_be_read_closes_what_its_policies_might_have() {
    let policy = of_service(DENY);
    let broken = format!("{USES}, x: 5");
    // What it selects can be told.
    assert_eq!(answers(&service(&broken), &policy), [false, true, false]);
    // Here nothing can.
    let text = "apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: shop}\nspec: [\n";
    assert_eq!(answers(text, &policy), [false, false, false]);
    let anchored = text.replace("kind: Service", "kind: &a Service");
    assert_eq!(answers(&anchored, &policy), [false, false, false]);
    // It is behind no waypoint: its policies never were in force.
    assert_eq!(answers(&service("x: 5"), &policy), [true, true, true]);
    assert_eq!(answers(&service("x: 5, istio.io/use-waypoint: none"), &policy), [true, true, true]);
    // Others' services, and kinds that are no services of the mesh.
    assert_eq!(answers(&text.replace("shop", "other"), &policy), [true, true, true]);
    let knative = text.replace("apiVersion: v1", "apiVersion: serving.knative.dev/v1");
    assert_eq!(answers(&knative, &policy), [true, true, true]);
    let pod = text.replace("kind: Service", "kind: Pod");
    assert_eq!(answers(&pod, &policy), [true, true, true]);
}

/// Who answers `GET /` of an address that no service is known by where `c2` has lost its service: `web` of
/// `c1` and of `c2`, and the waypoint of `c1`. Of each cluster there is what its description says.
fn answers_of_clusters(descriptions: [&str; 2], lost: &str) -> [bool; 3] {
    let source = |path: &str, text: String| Source {
        origin: Origin::of_path(path).expect("a path of a mesh"),
        name: Arc::from(path),
        text: text.into_bytes(),
    };
    let pods = format!("{POD}\n---\n{WAYPOINT}");
    let policy = format!("apiVersion: security.istio.io/v1\n{}", of_service(DENY));
    let [first, second] = descriptions.map(ToOwned::to_owned);
    let mut registry = Registry::new(Compat::default());
    registry.load([
        source("clusters/c1/cluster.yaml", first),
        source("clusters/c2/cluster.yaml", second),
        source("clusters/c1/pod.yaml", format!("{pods}{}", service(USES))),
        source("clusters/c2/pod.yaml", format!("{pods}{lost}")),
        source("config/p.yaml", policy),
    ]);
    let mesh = registry.mesh();
    ["c1/shop/web", "c2/shop/web", "c1/infra/wp"].map(|name| {
        let proxy = mesh.proxy(name).expect("the pod is there");
        let plane = mesh.control_plane_of(proxy.cluster.as_str()).expect("somebody serves it");
        let authorizer = Authorizer::of_proxy(&mesh, plane, &proxy);
        let mut request = request::get("/");
        request.connection.destination_ip = [10, 9, 0, 2].into();
        authorizer.decide(&request).is_allowed()
    })
}

/// A Service selects pods of its own cluster; waypoints serve those of all that their control plane reads.
#[test]
fn a_service_that_cannot_be_read_closes_pods_of_its_own_cluster() {
    let primary = "role: primary";
    let lost = service(&format!("{USES}, x: 5"));
    assert_eq!(answers_of_clusters([primary, primary], &lost), [true, false, false]);
    assert_eq!(answers_of_clusters([primary, primary], &service(USES)), [true, true, true]);
    let remote = "{role: remote, controlPlane: c1}";
    assert_eq!(answers_of_clusters([primary, remote], &lost), [true, false, false]);
    // Without the secret of the other cluster nothing of it is known.
    let alone = "{role: primary, reads: []}";
    assert_eq!(answers_of_clusters([alone, primary], &lost), [true, false, true]);
    // Nobody can tell what it selects.
    let unread = "apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: shop}\nspec: [\n";
    assert_eq!(answers_of_clusters([primary, primary], unread), [true, false, false]);
}

#[test]
fn its_allow_policies_allow_nothing() {
    let broken = service(&format!("{USES}, x: 5"));
    assert_eq!(answers(&broken, &of_service("rules: [{}]")), [false, true, false]);
    assert_eq!(answers(&broken, &of_service("action: AUDIT, rules: [{}]")), [true, true, true]);
}

#[test]
fn a_waypoint_that_a_service_may_be_behind_is_missed_too() {
    let policy = |name: &str| {
        format!(
            "kind: AuthorizationPolicy\nmetadata: {{name: p, namespace: infra}}\nspec: {{action: DENY, rules: [{{}}], \
             targetRefs: [{{kind: Gateway, group: gateway.networking.k8s.io, name: {name}}}]}}\n"
        )
    };
    let broken = service(&format!("{USES}, x: 5"));
    assert_eq!(answers(&service(USES), &policy("waypoint")), [true, true, false]);
    assert_eq!(answers(&broken, &policy("waypoint")), [false, true, false]);
    assert_eq!(answers(&broken, &policy("ingress")), [true, true, true]);
}

#[test]
fn so_does_a_namespace_whose_services_say_nothing_of_a_waypoint() {
    let namespace = |labels: &str| {
        format!(
            "{{apiVersion: v1, kind: Namespace, metadata: {{name: shop, labels: {{{labels}}}}}}}\n---\n{}",
            service("")
        )
    };
    let policy = of_service(DENY);
    assert_eq!(answers(&namespace(USES), &policy), [true, true, false]);
    assert_eq!(answers(&namespace(&format!("{USES}, x: 5")), &policy), [false, false, false]);
    assert_eq!(answers(&namespace("x: 5"), &policy), [true, true, true]);
    let says_none = namespace("x: ").replace(
        "web, namespace: shop, labels: {",
        "web, namespace: shop, labels: {istio.io/use-waypoint: none, y: z",
    );
    assert_eq!(
        answers(&says_none.replace("x: }", "istio.io/use-waypoint: 5}"), &policy),
        [true, true, true]
    );
}

/// Which waypoint a service is behind is said by the object that a policy names: neither by another kind's
/// of that name, nor by another object for that host.
#[test]
fn an_object_of_the_name_says_which_waypoint_it_is_behind_and_no_other() {
    let lost = format!(
        "---\n{{apiVersion: v1, kind: Namespace, metadata: {{name: shop, labels: {{{USES}, x: 5}}}}}}\n"
    );
    let entry = |name: &str, host: &str, labels: &str| {
        format!(
            "---\n{{apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {{name: {name}, \
             namespace: shop, labels: {{{labels}}}}}, spec: {{hosts: [{host}], addresses: [10.9.0.1], \
             ports: [{{number: 80, name: http, protocol: HTTP}}], resolution: STATIC, \
             workloadSelector: {{labels: {{app: web}}}}}}}}\n"
        )
    };
    let none = "istio.io/use-waypoint: none";
    let beside = |host: &str| format!("{}{lost}{}", service(""), entry("web", host, none));
    let of_entry = of_service(DENY)
        .replace("kind: Service, group: ''", "kind: ServiceEntry, group: networking.istio.io");
    let check = |cluster: &str, policy: &str, expected: bool| {
        assert_eq!(answers(cluster, policy)[0], expected, "{cluster} {policy}");
    };
    check(&beside("web"), &of_service(DENY), false);
    check(&beside("web.example.com"), &of_service(DENY), false);
    let alone = |name: &str, host: &str, labels: &str| entry(name, host, labels) + &lost;
    check(&alone("web", "x.example.com", none), &of_entry, true);
    check(&alone("web", "x.example.com", ""), &of_entry, false);
    check(&alone("x", "web", none), &of_entry, false);
}

/// Whether a request with such headers, and a path, is allowed beside a RequestAuthentication.
fn is_open(spec: &str, header: &str, path: &str) -> bool {
    let policy = format!(
        "apiVersion: security.istio.io/v1\nkind: RequestAuthentication\n\
         metadata: {{name: r, namespace: shop}}\nspec: {spec}\n"
    );
    let mesh = mesh(policy.as_bytes());
    let proxy = mesh.proxy("c1/shop/web").expect("the pod is there");
    let plane = mesh.control_plane_of("c1").expect("the cluster serves itself");
    let headers = [mesh_authz::Header { name: header, value: b"x" }];
    let mut request = request::get(path);
    if let Some(http) = &mut request.http {
        http.headers = &headers;
    }
    Authorizer::of_proxy(&mesh, plane, &proxy).decide(&request).is_allowed()
}

#[test]
fn a_lost_demand_on_tokens_denies_what_may_carry_one() {
    let default = "{jwtRules: [{issuer: 5}]}";
    assert!(is_open(default, "user-agent", "/"));
    assert!(!is_open(default, "Authorization", "/"));
    assert!(!is_open(default, "user-agent", "/?access%5Ftoken=x"));
    let header = "{jwtRules: [{issuer: 5, fromHeaders: [{name: x-token}], outputPayloadToHeader: x-claims}]}";
    assert!(is_open(header, "authorization", "/?access_token=x"));
    assert!(!is_open(header, "x-token", "/"));
    assert!(!is_open(header, "x-claims", "/"));
    // Nobody knows where this one looks, or what it writes.
    assert!(!is_open("{jwtRules: [{issuer: 5, fromHeader: x-token}]}", "user-agent", "/"));
    assert!(!is_open("[", "user-agent", "/"));
    // Of others.
    assert!(is_open(
        "{selector: {matchLabels: {app: other}}, jwtRules: [{issuer: 5}]}",
        "authorization",
        "/"
    ));
}

#[test]
fn a_lost_demand_on_tokens_is_not_about_connections() {
    let policy = "apiVersion: security.istio.io/v1\nkind: RequestAuthentication\n\
                  metadata: {name: r, namespace: shop}\nspec: [\n";
    let mesh = mesh(policy.as_bytes());
    let proxy = mesh.proxy("c1/shop/web").expect("the pod is there");
    let plane = mesh.control_plane_of("c1").expect("the cluster serves itself");
    let mut request = request::get("/");
    request.http = None;
    assert!(Authorizer::of_proxy(&mesh, plane, &proxy).decide(&request).is_allowed());
}

/// A ztunnel knows no pattern in the middle of a namespace's name: it lets in nobody where an Envoy does.
#[test]
fn a_namespace_that_may_have_said_ambient_denies_what_a_ztunnel_would() {
    let is_allowed = |namespace: &str, pod: &str| {
        let source = |path: &str, text: String| Source {
            origin: Origin::of_path(path).expect("a path of a mesh"),
            name: Arc::from(path),
            text: text.into_bytes(),
        };
        let policy = "{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, \
            metadata: {name: p, namespace: shop}, spec: {rules: [{from: [{source: {namespaces: ['s*p']}}]}]}}";
        let mut registry = Registry::new(Compat::default());
        registry.load([
            source("clusters/c1/pod.yaml", format!("{pod}\n---\n{namespace}\n")),
            source("config/p.yaml", policy.to_owned()),
        ]);
        let mesh = registry.mesh();
        let proxy = mesh.proxy("c1/shop/web").expect("the pod is there");
        let plane = mesh.control_plane_of("c1").expect("the cluster serves itself");
        let mut request = request::get("/");
        let uri_sans = ["spiffe://cluster.local/ns/shop/sa/other"];
        request.connection.peer = Some(Peer { uri_sans: &uri_sans, ..Peer::default() });
        Authorizer::of_proxy(&mesh, plane, &proxy).decide(&request).is_allowed()
    };
    let namespace = |labels: &str| {
        format!(
            "{{apiVersion: v1, kind: Namespace, metadata: {{name: shop, labels: {{{labels}}}}}}}"
        )
    };
    let pod = POD.replace("name: istio-proxy", "name: app");
    let ambient = "istio.io/dataplane-mode: ambient";
    for lost in [&*format!("{ambient}, x: 5"), "istio.io/dataplane-mode: [ambient]"] {
        assert!(!is_allowed(&namespace(lost), &pod), "{lost}");
        assert!(is_allowed(&namespace(lost).replace("shop", "other"), &pod), "{lost}");
        // A pod with a sidecar is an Envoy's, and so is one that says so.
        assert!(is_allowed(&namespace(lost), POD), "{lost}");
        let says_none = pod.replace("app: web", "app: web, istio.io/dataplane-mode: none");
        assert!(is_allowed(&namespace(lost), &says_none), "{lost}");
    }
    assert!(!is_allowed("apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\nspec: [", &pod));
    assert!(!is_allowed(&namespace(ambient), &pod));
    assert!(is_allowed(&namespace("a: b"), &pod));
    assert!(is_allowed(&namespace("x: 5"), &pod));
}
