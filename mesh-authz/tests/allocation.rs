//! Deciding allocates nothing, however many policies there are.
use mesh_authz::identity::Peer;
use mesh_authz::{Authorizer, Connection, Environment, Header, Http, Policies, Request, Workload};
use mesh_model::name::Namespace;
use mesh_model::resource::{
    Action, AuthorizationPolicy, AuthorizationPolicySpec, Condition, From, Meta, Operation, Rule,
    Source, To,
};

/// A policy of every kind of field, different from its neighbours in each.
fn policy(index: usize, action: Action) -> AuthorizationPolicy {
    let text = |text: String| vec![Box::from(text)];
    let source = Source {
        principals: text(format!("td/ns/a/sa/client-{index}")),
        not_principals: text("*/sa/nobody".to_owned()),
        not_request_principals: text("*".to_owned()),
        namespaces: text("a*".to_owned()),
        not_namespaces: text("b".to_owned()),
        ip_blocks: text("10.0.0.0/8".to_owned()),
        not_remote_ip_blocks: text("192.168.0.0/16".to_owned()),
        service_accounts: text(format!("a/client-{index}")),
        trust_domains: text("t*".to_owned()),
        ..Source::default()
    };
    let operation = Operation {
        hosts: text("*.shop".to_owned()),
        ports: text(format!("{}", 8000 + index % 100)),
        methods: text("GET".to_owned()),
        paths: vec![format!("/api/{index}/*").into(), "/{*}/x/{**}".into()],
        ..Operation::default()
    };
    let condition = Condition {
        key: "request.headers[x-token]".into(),
        values: vec!["v*".into()],
        ..Condition::default()
    };
    AuthorizationPolicy {
        meta: Meta::new("a", format!("p{index}")),
        spec: AuthorizationPolicySpec {
            rules: vec![Rule {
                from: vec![From { source: Some(source) }],
                to: vec![To { operation: Some(operation) }],
                when: vec![condition],
            }],
            action,
            ..AuthorizationPolicySpec::default()
        },
    }
}

/// Counts the allocations of one decision; the request is client 7's, of its own path.
fn check(policies: usize, client: &str, is_allowed: bool) {
    let mut all: Vec<AuthorizationPolicy> =
        (0..policies).map(|index| policy(index, Action::Allow)).collect();
    all.extend((policies..policies + 3).map(|index| policy(index, Action::Deny)));
    let policies = Policies { understood: all.iter().collect(), broken: Vec::new() };
    let workload = Workload { namespace: Namespace::from("a"), ..Workload::default() };
    let authorizer = Authorizer::new(&policies, &workload, &Environment::default());
    let headers = [Header { name: "X-Token", value: b"v1" }];
    let request = Request {
        connection: Connection {
            source_ip: [10, 1, 0, 5].into(),
            remote_ip: None,
            destination_ip: [10, 2, 0, 9].into(),
            destination_port: 8007,
            peer: Some(Peer { uri_sans: &[client], ..Peer::default() }),
            sni: Some("outbound_.80_._.cart.shop"),
        },
        http: Some(Http {
            method: "GET",
            authority: Some("cart.shop"),
            path: "/api/7/items?page=1",
            headers: &headers,
            payload: None,
        }),
        metadata: None,
    };
    let mut decided = None;
    let measured =
        allocation_counter::measure(|| decided = Some(authorizer.decide(&request).is_allowed()));
    assert_eq!(decided, Some(is_allowed));
    assert_eq!(measured.count_total, 0);
}

#[test]
fn a_decision_does_not_allocate() {
    check(8, "spiffe://td/ns/a/sa/client-7", true);
    check(1000, "spiffe://td/ns/a/sa/client-7", true);
    check(1000, "spiffe://td/ns/a/sa/client-8", false);
}
