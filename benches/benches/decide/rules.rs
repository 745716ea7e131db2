//! The rules that benches decide by: 1,000 clients, 20 ports, 200 prefixes.
use mesh_authz::identity::Peer;
use mesh_authz::{Connection, Http, Request};
use mesh_model::resource::{
    Action, AuthorizationPolicy, AuthorizationPolicySpec, From, Meta, Operation, Rule, Source, To,
};

/// The client of a rule, as policies name it.
pub(crate) fn client(index: usize) -> String {
    format!("cluster.local/ns/team-{}/sa/client-{index}", index % 50)
}

/// The port of a rule.
pub(crate) fn port(index: usize) -> usize {
    8000 + index % 20
}

/// The paths of a rule.
pub(crate) fn path(index: usize) -> String {
    format!("/api/v{}/*", index % 200)
}

/// A rule, as a policy of its own.
pub(crate) fn policy(index: usize) -> AuthorizationPolicy {
    let source = Source { principals: vec![client(index).into()], ..Source::default() };
    let operation = Operation {
        ports: vec![port(index).to_string().into()],
        paths: vec![path(index).into()],
        ..Operation::default()
    };
    AuthorizationPolicy {
        meta: Meta::new("shop", format!("policy-{index}")),
        spec: AuthorizationPolicySpec {
            rules: vec![Rule {
                from: vec![From { source: Some(source) }],
                to: vec![To { operation: Some(operation) }],
                ..Rule::default()
            }],
            action: Action::Allow,
            ..AuthorizationPolicySpec::default()
        },
    }
}

/// A request of rule 937's port and path.
pub(crate) fn request<'r>(uri_sans: &'r [&'r str]) -> Request<'r> {
    Request {
        connection: Connection {
            source_ip: [10, 1, 0, 5].into(),
            remote_ip: None,
            destination_ip: [10, 2, 0, 9].into(),
            destination_port: 8017,
            peer: Some(Peer { uri_sans, ..Peer::default() }),
            sni: None,
        },
        http: Some(Http {
            method: "GET",
            authority: Some("cart.shop.svc.cluster.local:8017"),
            path: "/api/v137/items/42?verbose=1",
            headers: &[],
            payload: None,
        }),
        metadata: None,
    }
}
