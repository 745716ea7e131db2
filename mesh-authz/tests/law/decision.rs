//! The law that tests and fuzzing share: the authorizer decides as the specification typed out, and its
//! explanation tells the same.
use std::collections::BTreeMap;

use mesh_authz::compile::Environment;
use mesh_authz::identity::{Metadata, Payload, Peer, TrustBundle, Value};
use mesh_authz::{Authorizer, Connection, Decision, Header, Http, Policies, Request, Workload};
use mesh_model::name::{Namespace, TrustDomain};
use mesh_model::resource::{Action, AuthorizationPolicy};
use mesh_testkit::oracle::authz as oracle;

/// The trust domains of the mesh.
pub(crate) const TRUST_DOMAINS: [&str; 2] = ["td", "td2"];

fn value(json: &serde_json::Value) -> Value {
    match json {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(value) => Value::Bool(*value),
        serde_json::Value::Number(number) => Value::Number(number.as_f64().unwrap_or_default()),
        serde_json::Value::String(text) => Value::Text(text.as_str().into()),
        serde_json::Value::Array(items) => Value::List(items.iter().map(value).collect()),
        serde_json::Value::Object(map) => {
            Value::Map(map.iter().map(|(key, item)| (key.as_str().into(), value(item))).collect())
        }
    }
}

fn map(json: &serde_json::Value) -> BTreeMap<Box<str>, Value> {
    let map = json.as_object().into_iter().flatten();
    map.map(|(key, item)| (key.as_str().into(), value(item))).collect()
}

/// What the workload of namespace `a` decides by.
pub(crate) fn authorizer(policies: &[AuthorizationPolicy]) -> Authorizer {
    authorizer_as(oracle::Envoy::default(), policies)
}

/// The same with a proxy of another release.
pub(crate) fn authorizer_as(envoy: oracle::Envoy, policies: &[AuthorizationPolicy]) -> Authorizer {
    let mut environment = environment();
    environment.compat.envoy.rbac_match_headers_individually = !envoy.joins_headers;
    environment.compat.envoy.uri_template_matches_star = !envoy.has_no_star;
    let policies = Policies { understood: policies.iter().collect(), broken: Vec::new() };
    Authorizer::new(&policies, &workload(), &environment)
}

/// The mesh's settings.
pub(crate) fn environment() -> Environment {
    Environment {
        trust: TrustBundle { trust_domains: TRUST_DOMAINS.map(TrustDomain::from).into() },
        ..Environment::default()
    }
}

/// The workload.
pub(crate) fn workload() -> Workload {
    Workload { namespace: Namespace::from("a"), ..Workload::default() }
}

/// Hands a request of the oracle on as one of ours.
pub(crate) fn with<T>(request: &oracle::Request, use_it: impl FnOnce(&Request<'_>) -> T) -> T {
    let names: Vec<&str> = request.peer.iter().flatten().map(String::as_str).collect();
    let headers: Vec<Header<'_>> = request
        .headers
        .iter()
        .map(|(name, value)| Header { name, value: value.as_bytes() })
        .collect();
    let payload = request.claims.as_ref().map(|claims| Payload::new(map(claims), &[]));
    let metadata = Metadata { namespaces: map(&request.metadata) };
    use_it(&Request {
        connection: Connection {
            source_ip: request.source_ip,
            remote_ip: Some(request.remote_ip),
            destination_ip: request.destination_ip,
            destination_port: request.destination_port,
            peer: request.peer.as_ref().map(|_| Peer { uri_sans: &names, ..Peer::default() }),
            sni: Some(&request.sni),
        },
        http: request.is_http.then_some(Http {
            method: &request.method,
            authority: request.host.as_deref(),
            path: &request.path,
            headers: &headers,
            payload: payload.as_ref(),
        }),
        metadata: Some(&metadata),
    })
}

/// Whether both decide alike, by the same rule, and what is different if not.
pub(crate) fn agree(
    policies: &[AuthorizationPolicy],
    authorizer: &Authorizer,
    request: &oracle::Request,
) -> Result<(), String> {
    agree_as(oracle::Envoy::default(), policies, authorizer, request)
}

/// The same with a proxy of another release.
pub(crate) fn agree_as(
    envoy: oracle::Envoy,
    policies: &[AuthorizationPolicy],
    authorizer: &Authorizer,
    request: &oracle::Request,
) -> Result<(), String> {
    let trust_domains = TRUST_DOMAINS.map(str::to_owned);
    let expected = oracle::decide_as(envoy, policies, &trust_domains, request);
    with(request, |request_ref| {
        let decision = authorizer.decide(request_ref);
        let matched = decision
            .reason()
            .rule()
            .map(|rule| (rule.namespace.to_string(), rule.name.to_string(), rule.rule));
        let got = (decision.is_allowed(), matched);
        if got == expected {
            return Ok(());
        }
        Err(format!("{got:?} is not {expected:?}: {request:?} by {policies:#?}"))
    })
}

/// Whether the explanation tells the decision, and of a rule that decides that it matches.
pub(crate) fn explains(authorizer: &Authorizer, request: &oracle::Request) -> Result<(), String> {
    with(request, |request_ref| {
        let decision = authorizer.decide(request_ref);
        let explanation = authorizer.explain(request_ref);
        let any = |action| {
            explanation.trace.iter().any(|policy| policy.action == action && policy.is_match())
        };
        let is_told = match decision {
            Decision::Deny(reason) if reason.action() == Some(Action::Deny) => any(Action::Deny),
            Decision::Deny(_) => !any(Action::Deny) && !any(Action::Allow),
            Decision::Allow(reason) if reason.rule().is_some() => any(Action::Allow),
            Decision::Allow(_) => !any(Action::Deny) && !any(Action::Allow),
        };
        if explanation.decision == decision && is_told {
            return Ok(());
        }
        Err(format!("{decision:?} is not told by {explanation:?}"))
    })
}
