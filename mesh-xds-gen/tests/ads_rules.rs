//! Rules of the sessions that an operator would state, one conversation each.
#![expect(clippy::unwrap_used, reason = "helpers of tests may fail like tests")]
use std::sync::Arc;

use mesh_envoy_proto::envoy::config::endpoint::v3::ClusterLoadAssignment;
use mesh_envoy_proto::envoy::config::route::v3::RouteConfiguration;
use mesh_xds_gen::delta::{
    AbsentNames, AddedNames, EmptyList, ErrorDetail, InvalidRequest, RejectedNames, Retirement,
    SessionConfig, StatusCode, incremental, sotw,
};
use mesh_xds_gen::snapshot::{Reference, Resource, Snapshot, TypeUrl, Version};
use prost::Message;

fn type_url(short: &str) -> TypeUrl {
    match short {
        "CDS" => TypeUrl::CLUSTER,
        "EDS" => TypeUrl::ENDPOINT,
        "LDS" => TypeUrl::LISTENER,
        "RDS" => TypeUrl::ROUTE,
        "ECDS" => TypeUrl::EXTENSION_CONFIG,
        other => TypeUrl::new(other),
    }
}

fn short(type_url: &TypeUrl) -> &str {
    ["CDS", "EDS", "LDS", "RDS", "ECDS"]
        .into_iter()
        .find(|short| self::type_url(short) == *type_url)
        .unwrap_or(type_url.as_str())
}

/// `CDS a=1 b=2 EDS a=1`; clusters refer to their endpoints.
fn snapshot(text: &str) -> Arc<Snapshot> {
    let mut kind = TypeUrl::CLUSTER;
    let mut resources = Vec::new();
    for word in text.split_whitespace() {
        let Some((name, content)) = word.split_once('=') else {
            kind = type_url(word);
            continue;
        };
        let endpoints = (kind == TypeUrl::CLUSTER).then(|| Reference::endpoints(name, ""));
        let resource = Resource::new(kind.clone(), name, content.to_owned());
        resources.push(resource.with_references(endpoints));
    }
    Arc::new(Snapshot::new(resources))
}

/// `snapshot …`, `TYPE +name -name`, `ack TYPE +name…`, `nack TYPE +name…` (of the last response),
/// `late TYPE +name…` (of an older one). Expected: responses as `TYPE name… !removed…`, joined by
/// `; `.
fn check(config: SessionConfig, delta: bool, steps: &[(&str, &str)]) {
    let mut sotw = sotw::Session::new(config, 1);
    let mut incremental = incremental::Session::new(config, 1);
    let mut nonces = std::collections::HashMap::new();
    for (step, expected) in steps {
        if let Some(text) = step.strip_prefix("snapshot") {
            sotw.handle_snapshot(snapshot(text));
            incremental.handle_snapshot(snapshot(text));
        } else {
            let mut words = step.split(' ').peekable();
            let ack = words.next_if_eq(&"ack").is_some();
            let nack = words.next_if_eq(&"nack").is_some();
            let late = words.next_if_eq(&"late").is_some();
            let kind = words.next().unwrap();
            let words: Vec<&str> = words.collect();
            let with = |sign: char| -> Vec<String> {
                words.iter().filter_map(|it| it.strip_prefix(sign)).map(str::to_owned).collect()
            };
            let nonce = nonces.get(kind).filter(|_| ack || nack).cloned().unwrap_or_default();
            let nonce = if late { "1.0".to_owned() } else { nonce };
            let error = nack.then(|| ErrorDetail { code: 3, message: "bad".to_owned() });
            let (node, type_url) = ("node".to_owned(), type_url(kind));
            if delta {
                let request = incremental::Request {
                    node,
                    type_url,
                    subscribe: with('+'),
                    unsubscribe: with('-'),
                    initial_versions: vec![],
                    nonce,
                    error,
                };
                incremental.handle_request(&request).unwrap();
            } else {
                let names = with('+');
                let request = sotw::Request { node, type_url, names, nonce, error };
                sotw.handle_request(&request).unwrap();
            }
        }
        let mut got = Vec::new();
        while let Some((kind, nonce, words)) = poll(&mut sotw, &mut incremental, delta) {
            got.push(
                [short(&kind)]
                    .into_iter()
                    .chain(words.iter().map(|it| &**it))
                    .collect::<Vec<_>>()
                    .join(" "),
            );
            nonces.insert(short(&kind).to_owned(), nonce);
        }
        assert_eq!(got.join("; "), *expected, "after `{step}`");
    }
}

fn poll(
    sotw: &mut sotw::Session,
    incremental: &mut incremental::Session,
    delta: bool,
) -> Option<(TypeUrl, String, Vec<String>)> {
    let (kind, nonce, resources, removed) = if delta {
        let response = incremental.poll_response()?;
        (response.type_url, response.nonce, response.resources, response.removed)
    } else {
        let response = sotw.poll_response()?;
        (response.type_url, response.nonce, response.resources, vec![])
    };
    let removed = removed.iter().map(|name| format!("!{name}"));
    let words = resources.iter().map(|it| it.name().to_string()).chain(removed).collect();
    Some((kind, nonce.to_string(), words))
}

fn check_sotw(steps: &[(&str, &str)]) {
    check(SessionConfig::default(), false, steps);
}

fn check_delta(steps: &[(&str, &str)]) {
    check(SessionConfig::default(), true, steps);
}

#[test]
fn a_changed_cluster_is_followed_by_its_endpoints_though_they_are_the_same() {
    let steps = [
        ("snapshot CDS a=1 b=1 EDS a=1 b=1", ""),
        ("CDS +*", "CDS a b"),
        ("EDS +a +b", "EDS a b"),
        ("snapshot CDS a=2 b=1 EDS a=1 b=1", "CDS a b; EDS a"),
    ];
    check_sotw(&steps);
    let mut steps = steps.to_vec();
    steps[3].1 = "CDS a; EDS a";
    check_delta(&steps);
}

#[test]
fn an_empty_list_is_a_wildcard_of_clusters_listeners_and_istios_types_alone() {
    for of_istio in ["istio.workload.Address", "istio.networking.nds.v1.NameTable"] {
        let of_istio = format!("type.googleapis.com/{of_istio}");
        check_sotw(&[("snapshot CDS a=1", ""), (&of_istio, &of_istio)]);
    }
    for other in ["EDS", "type.googleapis.com/nobody.knows.This", "x"] {
        let (request, named) = (other.to_owned(), format!("{other} +a"));
        check_sotw(&[("snapshot CDS a=1", ""), (&request, ""), (&named, ""), (&request, "")]);
    }
}

#[test]
fn endpoints_are_answered_once_more_when_clusters_start_anew() {
    check_sotw(&[
        ("snapshot CDS a=1 EDS a=1", ""),
        ("EDS +a", "EDS a"),
        ("CDS", "CDS a"),
        ("ack EDS +a", "EDS a"),
        ("ack EDS +a", ""),
    ]);
    check_delta(&[("snapshot CDS a=1 EDS a=1", ""), ("EDS +a", "EDS a"), ("CDS", "CDS a; EDS a")]);
}

#[test]
fn before_the_first_snapshot_nothing_is_said() {
    let steps = [("CDS", ""), ("EDS +a", ""), ("snapshot CDS a=1 EDS a=1", "CDS a; EDS a")];
    check_sotw(&steps);
}

#[test]
fn a_wildcard_ends_when_it_is_no_longer_named() {
    check_sotw(&[
        ("snapshot CDS a=1 b=1", ""),
        ("CDS", "CDS a b"),
        ("ack CDS +* +a", "CDS a b"),
        ("ack CDS +a", "CDS a"),
        ("snapshot CDS a=1 b=2", ""),
        ("ack CDS", ""), // No names: the first time that meant everything, now nothing.
        ("snapshot CDS a=2 b=2", ""),
    ]);
}

#[test]
fn a_grpc_client_never_means_everything_by_an_empty_list() {
    let config = SessionConfig { empty_list: EmptyList::Nothing, ..SessionConfig::default() };
    for delta in [true, false] {
        check(config, delta, &[("snapshot CDS a=1", ""), ("CDS", ""), ("CDS +a", "CDS a")]);
    }
}

#[test]
fn an_empty_first_list_may_mean_every_listener_and_no_cluster() {
    let config = SessionConfig { empty_list: EmptyList::Listeners, ..SessionConfig::default() };
    let steps = [("snapshot CDS a=1 LDS l=1 m=1", ""), ("CDS", ""), ("LDS", "LDS l m")];
    check(config, true, &steps);
    let named = [("ack LDS +l", "LDS l"), ("ack LDS", ""), ("CDS +a", "CDS a")];
    check(config, false, &[steps.as_slice(), named.as_slice()].concat());
}

#[test]
fn a_name_subscribed_again_is_sent_again_and_one_that_is_not_there_is_told() {
    check_delta(&[
        ("snapshot EDS a=1", ""),
        ("EDS +a +gone", "EDS a !gone"),
        ("ack EDS", ""),
        ("EDS +a", "EDS a"),
        ("snapshot EDS a=1 gone=1", "EDS gone"),
        ("snapshot EDS a=1", "EDS !gone"),
    ]);
}

#[test]
fn names_that_are_not_there_wait_or_are_answered_empty_as_upstream() {
    let steps = |absent: &'static str, gone: &'static str, back: &'static str| {
        [
            ("snapshot EDS a=1 CDS c=1", ""),
            ("CDS +c +none", "CDS c"), // Of clusters all is sent, and absence says enough.
            ("EDS +a +b", if absent.is_empty() { "EDS a" } else { "EDS a b" }),
            ("ack EDS +a +b", ""),
            ("RDS +80", absent),
            ("snapshot EDS b=1 CDS c=1", gone),
            ("ack EDS +a +b", ""),
            ("snapshot EDS a=1 b=1 CDS c=1", back),
        ]
    };
    check_sotw(&steps("", "EDS b", ""));
    let config = SessionConfig { absent_names: AbsentNames::Empty, ..SessionConfig::default() };
    check(config, false, &steps("RDS 80", "EDS a b", "EDS a"));
}

#[test]
fn what_stands_for_absent_names_has_the_name_and_nothing_else() {
    let config = SessionConfig { absent_names: AbsentNames::Empty, ..SessionConfig::default() };
    let mut session = sotw::Session::new(config, 1);
    session.handle_snapshot(snapshot(""));
    let mut ask = |type_url: TypeUrl| {
        let (node, names) = ("a/b/c".to_owned(), vec!["x".to_owned()]);
        let (nonce, error) = (String::new(), None);
        session.handle_request(&sotw::Request { node, type_url, names, nonce, error }).unwrap();
        session.poll_response().map(|response| response.resources)
    };
    let endpoints = ask(TypeUrl::ENDPOINT).unwrap();
    let expected = ClusterLoadAssignment { cluster_name: "x".to_owned(), ..Default::default() };
    assert_eq!(ClusterLoadAssignment::decode(&**endpoints[0].bytes()).unwrap(), expected);
    let routes = ask(TypeUrl::ROUTE).unwrap();
    let expected = RouteConfiguration {
        name: "x".to_owned(),
        validate_clusters: Some(false),
        ..Default::default()
    };
    assert_eq!(RouteConfiguration::decode(&**routes[0].bytes()).unwrap(), expected);
    assert!(ask(TypeUrl::SECRET).is_none());
}

#[test]
fn a_name_given_up_under_a_wildcard_is_answered() {
    check_delta(&[
        ("snapshot EDS a=1 b=1", ""),
        ("EDS +* +a +c", "EDS a b !c"),
        ("EDS -a", "EDS a"),
        ("EDS -c", "EDS !c"),
        ("EDS -b", ""), // It was never named.
        ("snapshot EDS a=2 b=1", "EDS a"),
    ]);
}

#[test]
fn an_extension_is_never_taken_back() {
    check_delta(&[
        ("snapshot ECDS wasm=1", ""),
        ("ECDS +wasm +none", "ECDS wasm"),
        ("snapshot", ""),
        ("snapshot ECDS wasm=1", ""),
        ("snapshot ECDS wasm=2", "ECDS wasm"),
    ]);
}

#[test]
fn an_empty_wildcard_is_answered_and_listeners_can_all_go_away() {
    check_delta(&[("snapshot", ""), ("LDS +*", "LDS"), ("snapshot LDS l=1", "LDS l")]);
    check_sotw(&[
        ("snapshot LDS l=1", ""),
        ("LDS", "LDS l"),
        ("snapshot", "LDS"),
        ("snapshot RDS r=1", ""),
    ]);
}

#[test]
fn names_in_a_rejection_wait_as_upstream_or_are_answered_if_adopted() {
    let steps = |answer| {
        [
            ("snapshot EDS a=1 b=1", ""),
            ("EDS +a", "EDS a"),
            ("nack EDS +a +b", answer),
            ("ack EDS +a +b", if answer.is_empty() { "EDS b" } else { "" }),
        ]
    };
    check_sotw(&steps(""));
    let config =
        SessionConfig { rejected_names: RejectedNames::Adopted, ..SessionConfig::default() };
    check(config, false, &steps("EDS b"));
}

#[test]
fn old_clusters_stay_until_the_new_routes_are_accepted() {
    let config =
        SessionConfig { retirement: Retirement::MakeBeforeBreak, ..SessionConfig::default() };
    check(
        config,
        true,
        &[
            ("snapshot CDS x=1 RDS 80=x", ""),
            ("CDS +*", "CDS x"),
            ("ack CDS", ""),
            ("RDS +80", "RDS 80"),
            ("ack RDS", ""),
            ("snapshot CDS y=1 RDS 80=y", "CDS y; RDS 80"),
            ("ack CDS", ""),
            ("nack RDS", ""), // The proxy still routes to x.
            ("snapshot CDS y=1 RDS 80=y2", "RDS 80"),
            ("ack RDS", "CDS !x"),
        ],
    );
}

#[test]
fn what_a_policy_allowed_that_is_gone_does_not_wait_for_what_a_ztunnel_rejects() {
    let config =
        SessionConfig { retirement: Retirement::MakeBeforeBreak, ..SessionConfig::default() };
    let steps = [
        ("snapshot WDS p=1 WADS a=1 b=1", ""),
        ("WDS +*", "WDS p"),
        ("ack WDS", ""),
        ("WADS +*", "WADS a b"),
        ("ack WADS", ""),
        ("snapshot WDS p=2 WADS b=1", "WDS p; WADS !a"),
        ("nack WDS", ""),
        ("ack WADS", ""),
        ("snapshot WDS q=1 WADS b=1", "WDS q !p"), // Nor is a pod dialled that is gone.
    ];
    let full = |text: &str| {
        let text = text.replace("WADS", TypeUrl::AUTHORIZATION.as_str());
        text.replace("WDS", TypeUrl::ADDRESS.as_str())
    };
    let steps = steps.map(|(step, expected)| (full(step), full(expected)));
    let steps = steps.each_ref().map(|(step, expected)| (&**step, &**expected));
    check(config, true, &steps);
}

#[test]
fn a_name_given_up_too_late_to_count_is_sent_when_it_is_wanted_again() {
    check_sotw(&[
        ("snapshot RDS c=1", ""),
        ("RDS +b +c", "RDS c"),
        ("ack RDS +b +c", ""),
        ("snapshot RDS b=1 c=1", "RDS b"),
        ("late RDS +d", ""), // The client forgets c, and the server does not hear of it.
        ("late RDS +c", ""),
        ("ack RDS +c", "RDS c"),
        ("ack RDS +c", ""),
    ]);
}

#[test]
fn whoever_takes_everything_again_is_told_what_went_meanwhile() {
    check_delta(&[
        ("snapshot RDS d=1", ""),
        ("RDS +*", "RDS d"), // On its way until the end.
        ("RDS -*", ""),
        ("snapshot", ""),
        ("RDS +*", "RDS !d"),
    ]);
}

#[test]
fn a_request_that_gives_everything_up_accepts_the_response_it_names() {
    let config =
        SessionConfig { retirement: Retirement::MakeBeforeBreak, ..SessionConfig::default() };
    check(
        config,
        false,
        &[
            ("snapshot CDS d=1 RDS c=1", ""),
            ("CDS +d", "CDS d"),
            ("ack CDS +d", ""),
            ("RDS +c", "RDS c"),
            ("ack RDS", ""),
            ("RDS +a", ""),
            ("snapshot", "CDS"), // Nothing is waited for: the cluster goes at once.
        ],
    );
}

#[test]
fn the_status_tells_the_last_good_version_and_the_last_complaint() {
    let mut session = sotw::Session::new(SessionConfig::default(), 1);
    session.handle_snapshot(snapshot("CDS a=1"));
    let request = |nonce: &str, error: Option<&str>| sotw::Request {
        node: "node".to_owned(),
        type_url: TypeUrl::CLUSTER,
        names: vec![],
        nonce: nonce.to_owned(),
        error: error.map(|it| ErrorDetail { code: 3, message: it.to_owned() }),
    };
    session.handle_request(&request("", None)).unwrap();
    let good = session.poll_response().unwrap();
    session.handle_request(&request(&good.nonce.to_string(), None)).unwrap();
    session.handle_snapshot(snapshot("CDS a=2"));
    let bad = session.poll_response().unwrap();
    session.handle_request(&request(&bad.nonce.to_string(), Some("no such thing"))).unwrap();

    let status = session.status(&TypeUrl::CLUSTER).unwrap();
    assert_eq!((status.acked(), status.sent()), (Some(good.nonce), Some(bad.nonce)));
    assert_eq!(status.acked_version(), Some(good.version()));
    assert_eq!(status.sent_version(), Some(bad.version()));
    let rejection = status.rejection().unwrap();
    assert_eq!((&*rejection.message, rejection.version), ("no such thing", Some(bad.version())));
    assert_eq!(status.held().collect::<Vec<_>>(), [("a", Some(Version::of(b"2")))]);
    assert!(status.is_wildcard() && session.node() == Some("node"));
    assert_eq!(session.statuses().count(), 1);
}

#[test]
fn a_slow_client_is_sent_the_newest_snapshot_only() {
    let mut session = incremental::Session::new(SessionConfig::default(), 1);
    let request = incremental::Request {
        node: "node".to_owned(),
        type_url: TypeUrl::ENDPOINT,
        subscribe: vec!["a".to_owned()],
        unsubscribe: vec![],
        initial_versions: vec![],
        nonce: String::new(),
        error: None,
    };
    session.handle_snapshot(snapshot("EDS a=1"));
    session.handle_request(&request).unwrap();
    session.poll_response().unwrap();
    for text in ["EDS a=2", "EDS", "EDS a=3"] {
        session.handle_snapshot(snapshot(text));
    }
    let response = session.poll_response().unwrap();
    assert_eq!(response.resources[0].version(), Version::of(b"3"));
    assert!(session.poll_response().is_none());
    for text in ["EDS a=4", "EDS a=3"] {
        session.handle_snapshot(snapshot(text));
    }
    assert!(session.poll_response().is_none(), "there and back again is no change");
}

#[test]
fn a_stream_that_breaks_the_rules_is_closed() {
    let config = SessionConfig { max_types: 1, max_names: 2, ..SessionConfig::default() };
    let ask = |node: &str, type_url: TypeUrl, names: &[&str]| {
        let mut session = sotw::Session::new(config, 1);
        let request = |type_url: TypeUrl, names: &[&str]| sotw::Request {
            node: node.to_owned(),
            type_url,
            names: names.iter().map(|&name| name.to_owned()).collect(),
            nonce: String::new(),
            error: None,
        };
        session.handle_request(&request(TypeUrl::ENDPOINT, &["a"]))?;
        session.handle_request(&request(type_url, names))
    };
    let code = |result: Result<(), InvalidRequest>| result.unwrap_err().code();
    assert_eq!(ask("node", TypeUrl::ENDPOINT, &["a", "b"]), Ok(()));
    assert_eq!(code(ask("", TypeUrl::ENDPOINT, &[])), StatusCode::InvalidArgument);
    assert_eq!(code(ask("node", TypeUrl::new(""), &[])), StatusCode::InvalidArgument);
    assert_eq!(code(ask("node", TypeUrl::ROUTE, &["a"])), StatusCode::ResourceExhausted);
    let many = ["a", "b", "c"];
    assert_eq!(code(ask("node", TypeUrl::ENDPOINT, &many)), StatusCode::ResourceExhausted);
}

/// So istiod answers gRPC clients.
#[test]
fn who_adds_a_name_may_be_sent_all_that_it_names() {
    let steps = [
        ("snapshot EDS a=1 b=1 c=1 RDS r=1 s=1", ""),
        ("EDS +a", "EDS a"),
        ("ack EDS +a +b", "EDS a b"),
        ("ack EDS +a +b", ""),
        ("ack EDS +b", ""),
        ("ack EDS +b +nothing", "EDS b"),
        ("RDS +r", "RDS r"),
        ("ack RDS +r +s", "RDS r s"),
    ];
    let config = SessionConfig { added_names: AddedNames::WithAll, ..SessionConfig::default() };
    check(config, false, &steps);
    let mut alone = steps.to_vec();
    (alone[2].1, alone[5].1, alone[7].1) = ("EDS b", "", "RDS s");
    check_sotw(&alone);
}

/// `cart` names every port of it, as gRPC clients do.
#[test]
fn a_host_without_port_brings_the_listeners_of_its_ports() {
    let listener = |name: &str, host: &str| {
        let resource = Resource::new(TypeUrl::LISTENER, name, "1");
        resource.with_brought_by([Arc::from(host)])
    };
    let both =
        || Arc::new(Snapshot::new(["cart:80", "cart:81"].map(|name| listener(name, "cart"))));
    let config = SessionConfig { empty_list: EmptyList::Nothing, ..SessionConfig::default() };
    let mut session = sotw::Session::new(config, 1);
    let mut nonce = String::new();
    let mut ask = |session: &mut sotw::Session, names: &[&str]| {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        let (node, type_url) = ("node".to_owned(), TypeUrl::LISTENER);
        let request = sotw::Request { node, type_url, names, nonce: nonce.clone(), error: None };
        session.handle_request(&request).unwrap();
        let response = session.poll_response()?;
        nonce = response.nonce.to_string();
        assert!(session.poll_response().is_none());
        Some(
            response.resources.iter().map(|it| it.name().to_string()).collect::<Vec<_>>().join(" "),
        )
    };
    session.handle_snapshot(both());
    assert_eq!(ask(&mut session, &["cart:80"]).as_deref(), Some("cart:80"));
    assert_eq!(ask(&mut session, &["cart"]).as_deref(), Some("cart:80 cart:81"));
    assert_eq!(ask(&mut session, &["cart", "cart:80"]).as_deref(), Some("cart:80 cart:81"));
    assert_eq!(ask(&mut session, &["cart", "cart:80"]), None);
    session.handle_snapshot(Arc::new(Snapshot::new([listener("cart:81", "cart")])));
    let response = session.poll_response().unwrap();
    assert_eq!(response.resources.len(), 1);
    let more = ["cart:81", "cart:82"].map(|name| listener(name, "cart"));
    session.handle_snapshot(Arc::new(Snapshot::new(more)));
    assert_eq!(session.poll_response().unwrap().resources.len(), 2);
}
