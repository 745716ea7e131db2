//! The authorizer and the specification typed out say the same of random policies and requests.
use std::collections::BTreeMap;

use mesh_authz::compile::Environment;
use mesh_authz::identity::{Metadata, Payload, Peer, TrustBundle, Value};
use mesh_authz::{
    Authorizer, Connection, Decision, Header, Http, Policies, Request, Traffic, Workload,
};
use mesh_model::name::{Namespace, TrustDomain};
use mesh_model::resource::{Action, AuthorizationPolicy};
use mesh_testkit::oracle::authz as oracle;
use mesh_testkit::strategy::authz::{policies, request};
use proptest::prelude::*;

const TRUST_DOMAINS: [&str; 2] = ["td", "td2"];

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

fn authorizer(policies: &[AuthorizationPolicy]) -> Authorizer {
    let environment = Environment {
        trust: TrustBundle { trust_domains: TRUST_DOMAINS.map(TrustDomain::from).into() },
        ..Environment::default()
    };
    let workload = Workload { namespace: Namespace::from("a"), ..Workload::default() };
    let policies = Policies { understood: policies.iter().collect(), broken: Vec::new() };
    Authorizer::new(&policies, &workload, &environment)
}

fn with<T>(request: &oracle::Request, use_it: impl FnOnce(&Request<'_>) -> T) -> T {
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

fn check(policies: &[AuthorizationPolicy], request: &oracle::Request) -> Result<(), TestCaseError> {
    let authorizer = authorizer(policies);
    with(request, |request_ref| {
        let decision = authorizer.decide(request_ref);
        let matched = decision
            .reason()
            .rule()
            .map(|rule| (rule.namespace.to_string(), rule.name.to_string(), rule.rule));
        let expected = oracle::decide(policies, &TRUST_DOMAINS.map(str::to_owned), request);
        prop_assert_eq!((decision.is_allowed(), matched), expected);

        let explanation = authorizer.explain(request_ref);
        prop_assert_eq!(explanation.decision, decision);
        // A rule that decides is one that the trace calls a match, and what it says failed is there.
        let any = |action| {
            explanation.trace.iter().any(|policy| policy.action == action && policy.is_match())
        };
        let expected = match decision {
            Decision::Deny(reason) if reason.action() == Some(Action::Deny) => any(Action::Deny),
            Decision::Deny(_) => !any(Action::Deny) && !any(Action::Allow),
            Decision::Allow(reason) if reason.rule().is_some() => any(Action::Allow),
            Decision::Allow(_) => !any(Action::Deny) && !any(Action::Allow),
        };
        prop_assert!(expected, "{:?}", explanation);
        Ok(())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn few_policies_agree_with_the_specification(
        policies in policies(5),
        request in request(),
    ) {
        check(&policies, &request)?;
    }

    /// Enough policies that they are found through the index.
    #[test]
    fn many_policies_agree_with_the_specification(
        policies in policies(40),
        request in request(),
    ) {
        check(&policies, &request)?;
    }

    #[test]
    fn one_more_deny_never_allows_more(
        mut policies in policies(6),
        request in request(),
    ) {
        let full = authorizer(&policies);
        let removed = policies.iter().position(|policy| policy.spec.action == Action::Deny);
        if let Some(removed) = removed {
            policies.remove(removed);
        }
        let without = authorizer(&policies);
        let [full, without] = [&full, &without]
            .map(|authorizer| with(&request, |request| authorizer.decide(request).is_allowed()));
        prop_assert!(without || !full);
    }

    /// Replaced one by one, with an index and without, policies decide as if they had always been there.
    #[test]
    fn a_replaced_policy_decides_as_if_compiled_anew(
        mut all in policies(30),
        others in policies(30),
        requests in prop::collection::vec(request(), 1..6),
    ) {
        let environment = Environment {
            trust: TrustBundle { trust_domains: TRUST_DOMAINS.map(TrustDomain::from).into() },
            ..Environment::default()
        };
        let workload = Workload { namespace: Namespace::from("a"), ..Workload::default() };
        let mut replaced = authorizer(&all);
        for (place, other) in others.into_iter().enumerate().take(all.len()) {
            let new = AuthorizationPolicy { meta: all[place].meta.clone(), spec: other.spec };
            if replaced.replace(&new, &workload, &environment) {
                all[place] = new;
            }
        }
        let anew = authorizer(&all);
        for traffic in [Traffic::Http, Traffic::Tcp] {
            prop_assert_eq!(replaced.chain(traffic), anew.chain(traffic));
        }
        for request in &requests {
            with(request, |request| {
                prop_assert_eq!(replaced.decide(request), anew.decide(request));
                Ok(())
            })?;
        }
    }

    #[test]
    fn the_order_of_policies_does_not_matter(
        mut policies in policies(12),
        request in request(),
    ) {
        let forward = authorizer(&policies);
        policies.reverse();
        let backward = authorizer(&policies);
        with(&request, |request| {
            prop_assert_eq!(forward.decide(request), backward.decide(request));
            Ok(())
        })?;
    }
}
