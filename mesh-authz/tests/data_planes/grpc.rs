//! What a gRPC server sees of a request, and an Envoy beside it.
use mesh_authz::explain::Outcome;
use mesh_authz::identity::{Metadata, Payload, Peer, Value};
use mesh_authz::{Authorizer, Header, Request};
use mesh_model::Compat;

use super::{GRPC, SIDECAR, mesh, policy, request};

/// A request that says all it can: whether an action with a rule lets it pass, and why the rule fails.
fn ask(pod: &str, action: &str, rule: &str) -> (bool, String) {
    let spec = format!("{{action: {action}, rules: [{{{rule}}}]}}");
    let mesh = mesh(Compat::default(), pod, &policy("AuthorizationPolicy", &spec));
    let text = |text: &str| Value::Text(text.into());
    let values = Value::Map([("b".into(), text("v"))].into());
    let metadata = Metadata { namespaces: [("envoy.filters.a".into(), values)].into() };
    let claims = [("iss".into(), text("i")), ("sub".into(), text("s"))];
    let payload = Payload::new(claims.into(), &[]);
    let headers =
        [("x-h", "1"), ("x-h", "2"), ("x-e", ""), ("user-agent", ""), ("user-agent", "u")];
    let headers = headers.map(|(name, value)| Header { name, value: value.as_bytes() });
    let mut request = request::get("/x");
    request.connection.remote_ip = Some([1, 1, 1, 1].into());
    request.connection.sni = Some("a.b");
    request.connection.peer =
        Some(Peer { uri_sans: &["spiffe://y"], dns_sans: &["spiffe://x"], subject: "spiffe://z" });
    request.metadata = Some(&metadata);
    let http = request.http.as_mut().expect("it is HTTP");
    http.headers = &headers;
    http.payload = Some(&payload);
    let proxy = mesh.proxy("c1/shop/web").expect("the pod is there");
    let plane = mesh.control_plane_of("c1").expect("the cluster serves itself");
    let authorizer = Authorizer::of_proxy(&mesh, plane, &proxy);
    let decision = authorizer.decide(&request);
    let explained = authorizer.explain(&request);
    assert_eq!(explained.decision, decision);
    let rules = explained.trace.iter().flat_map(|policy| &policy.rules);
    let saw = rules.map(|rule| match &rule.outcome {
        Outcome::Failed(failure) => failure.saw.clone(),
        Outcome::Matched | Outcome::Unmatched(_) | Outcome::LeftOut | Outcome::NotAsked => {
            String::new()
        }
    });
    (decision.is_allowed(), saw.collect())
}

/// Checks whether a rule matches, for an Envoy and for a gRPC server.
#[track_caller]
fn check(rule: &str, expected: [bool; 2]) {
    for (pod, expected) in [SIDECAR, GRPC].into_iter().zip(expected) {
        assert_eq!(ask(pod, "ALLOW", rule).0, expected, "{rule}");
        assert_eq!(ask(pod, "DENY", rule).0, !expected, "{rule}");
    }
}

fn when(key: &str, list: &str, value: &str) -> String {
    format!("when: [{{key: '{key}', {list}: ['{value}']}}]")
}

fn from(field: &str, value: &str) -> String {
    format!("from: [{{source: {{{field}: ['{value}']}}}}]")
}

#[test]
fn a_server_name_is_empty() {
    check(&when("connection.sni", "values", "a.b"), [true, false]);
    check(&when("connection.sni", "values", "*"), [true, false]);
    check(&when("connection.sni", "notValues", "a.b"), [false, true]);
    let (_, saw) = ask(GRPC, "DENY", &when("connection.sni", "values", "a.b"));
    assert_eq!(saw, "nothing: gRPC servers without a proxy do not see it");
}

#[test]
fn a_remote_address_is_that_of_the_direct_peer() {
    for rule in [|value| from("remoteIpBlocks", value), |value| when("remote.ip", "values", value)]
    {
        check(&rule("1.1.1.1"), [true, false]);
        check(&rule("10.0.0.0/8"), [false, true]);
    }
    let (_, saw) = ask(GRPC, "DENY", &from("remoteIpBlocks", "1.1.1.1"));
    assert_eq!(saw, "10.0.0.1");
}

#[test]
fn metadata_is_not_there() {
    let key = "experimental.envoy.filters.a[b]";
    check(&when(key, "values", "v"), [true, false]);
    check(&when(key, "notValues", "v"), [false, true]);
    check(&from("requestPrincipals", "i/s"), [true, false]);
    check(&from("notRequestPrincipals", "i/s"), [false, true]);
    let (_, saw) = ask(GRPC, "DENY", &from("requestPrincipals", "i/s"));
    assert_eq!(saw, "nothing: gRPC servers without a proxy do not see it");
}

#[test]
fn the_first_kind_of_names_counts() {
    check(&from("principals", "y"), [true, true]);
    check(&from("principals", "x"), [true, false]);
    check(&from("principals", "z"), [true, false]);
    let (_, saw) = ask(GRPC, "DENY", &from("principals", "x"));
    assert_eq!(saw, "spiffe://y");
}

#[test]
fn lines_of_a_header_are_one_text() {
    let key = "request.headers[x-h]";
    check(&when(key, "values", "1"), [true, false]);
    check(&when(key, "values", "1,2"), [false, true]);
    check(&when("request.headers[user-agent]", "values", "u"), [true, false]);
    check(&when("request.headers[user-agent]", "values", ",u"), [false, true]);
    check(&when("request.headers[x-e]", "values", "*"), [true, false]);
    let (_, saw) = ask(GRPC, "DENY", &when(key, "values", "1"));
    assert_eq!(saw, "1,2");
}

/// The server refuses its listener: what a template may keep out is kept out.
#[test]
fn templates_are_taken_for_what_denies() {
    let rule = |list: &str, path: &str| format!("to: [{{operation: {{{list}: ['{path}']}}}}]");
    for (list, path, of_envoy) in
        [("paths", "/{*}", true), ("paths", "/y/{*}", false), ("notPaths", "/{*}", false)]
    {
        let rule = rule(list, path);
        let allows = |pod, action| ask(pod, action, &rule).0;
        assert_eq!([allows(SIDECAR, "ALLOW"), allows(SIDECAR, "DENY")], [of_envoy, !of_envoy]);
        assert_eq!([allows(GRPC, "ALLOW"), allows(GRPC, "DENY")], [false, false], "{rule}");
    }
    let spec = format!("{{rules: [{{{}}}]}}", rule("notPaths", "/{*}"));
    let mesh = mesh(Compat::default(), GRPC, &policy("AuthorizationPolicy", &spec));
    let proxy = mesh.proxy("c1/shop/web").expect("the pod is there");
    let plane = mesh.control_plane_of("c1").expect("the cluster serves itself");
    let connection = Request { http: None, ..request::get("/x") };
    let decision = Authorizer::of_proxy(&mesh, plane, &proxy).decide(&connection).is_allowed();
    assert!(!decision, "a connection without a path is kept out, too");
    let spec = format!("{{rules: [{{{}}}]}}", rule("paths", "/{*}"));
    let trace = super::trace(GRPC, &policy("AuthorizationPolicy", &spec));
    let told = "0 failed [to.operation.paths: gRPC servers without a proxy take no path templates; the \
        server refuses";
    assert!(trace.first().is_some_and(|text| text.starts_with(told)), "{trace:?}");
}

#[test]
fn what_a_grpc_server_sees_always_alike_answers_for_everybody() {
    use mesh_authz::Traffic;
    use mesh_authz::analysis::{Access, Caller, access};
    let told = |pod: &str, rule: &str| {
        let spec = format!("{{action: ALLOW, rules: [{{{rule}}}]}}");
        let mesh = mesh(Compat::default(), pod, &policy("AuthorizationPolicy", &spec));
        let proxy = mesh.proxy("c1/shop/web").expect("the pod is there");
        let plane = mesh.control_plane_of("c1").expect("the cluster serves itself");
        let authorizer = Authorizer::of_proxy(&mesh, plane, &proxy);
        access(&authorizer, Traffic::Http, Caller { identity: Some("spiffe://y"), port: None })
    };
    let method = |method: &str| format!("to: [{{operation: {{methods: ['{method}']}}}}]");
    for (rule, expected) in [
        (when("connection.sni", "values", "a.b"), Access::Never),
        (when("connection.sni", "notValues", "a.b"), Access::Always),
        (when("request.auth.claims[a]", "values", "b"), Access::Never),
        (when("request.headers[host]", "values", "a"), Access::Never),
        (when("request.headers[grpc-timeout]", "notValues", "1S"), Access::Always),
        (when("request.headers[x]", "values", "a"), Access::Depends),
        (method("POST"), Access::Always),
        (method("P*"), Access::Always),
        (method("GET"), Access::Never),
    ] {
        assert_eq!(told(GRPC, &rule), expected, "{rule}");
        assert_eq!(told(SIDECAR, &rule), Access::Depends, "{rule}");
    }
}

#[test]
fn a_grpc_server_takes_posts_and_one_name_of_the_host() {
    let method = |method: &str| format!("to: [{{operation: {{methods: ['{method}']}}}}]");
    // The request is a GET.
    check(&method("GET"), [true, false]);
    check(&method("POST"), [false, true]);
    check(&when("request.headers[:method]", "values", "POST"), [false, true]);
    check(&when("request.headers[host]", "values", "*"), [true, false]);
    check(&when("request.headers[:authority]", "values", "*"), [true, true]);
}

#[test]
fn a_principal_of_a_token_is_seen_whole() {
    let rules = [
        from("requestPrincipals", "i/other"),
        from("requestPrincipals", "*/other"),
        from("requestPrincipals", "other/*"),
        from("notRequestPrincipals", "i/s"),
        "from: [{source: {requestPrincipals: ['a/b', 'i/other']}}]".to_owned(),
        when("request.auth.principal", "values", "i/other"),
        when("request.auth.principal", "notValues", "i/s"),
    ];
    for rule in rules {
        assert_eq!(ask(SIDECAR, "ALLOW", &rule), (false, "i/s".to_owned()), "{rule}");
        let (_, saw) = ask(GRPC, "ALLOW", &rule);
        let unseen = "nothing: gRPC servers without a proxy do not see it";
        assert!(saw.is_empty() || saw == unseen, "{rule}: {saw}");
    }
    // One claim alone is no principal.
    let (_, saw) = ask(SIDECAR, "ALLOW", &when("request.auth.claims[iss]", "values", "x"));
    assert_eq!(saw, "i");
}
