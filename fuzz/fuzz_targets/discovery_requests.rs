//! Requests on the wire: any bytes are decoded or refused; what was decoded is written and read again
//! without loss, is answered or ends the stream, and what is answered is of the snapshot. However
//! strange a client is, a session falls silent.
//!
//! The input is a list of messages, each after two bytes that say how long it is; the first byte picks
//! the protocol.
#![cfg_attr(fuzzing, no_main)]

use std::sync::Arc;

use mesh_envoy_proto::envoy::service::discovery::v3::{DeltaDiscoveryRequest, DiscoveryRequest};
use mesh_envoy_proto::google::rpc::Status;
use mesh_envoy_proto::prost::Message;
use mesh_xds_gen::delta::{ErrorDetail, SessionConfig, incremental, sotw};
use mesh_xds_gen::snapshot::{Resource, Snapshot, TypeUrl};

mesh_fuzz::target!(|bytes| {
    let Some((protocol, rest)) = bytes.split_first() else { return };
    if protocol % 2 == 0 {
        state_of_the_world(rest);
    } else {
        delta(rest);
    }
});

/// Small limits, so that small inputs reach them.
fn config() -> SessionConfig {
    SessionConfig { max_types: 4, max_names: 16, ..SessionConfig::default() }
}

/// More responses than this are not to be had of one request.
const RESPONSES: usize = 64;

fn state_of_the_world(bytes: &[u8]) {
    let mut session = sotw::Session::new(config(), 1);
    session.handle_snapshot(snapshot());
    for request in messages::<DiscoveryRequest>(bytes) {
        let handled = session.handle_request(&sotw::Request {
            node: request.node.map(|node| node.id).unwrap_or_default(),
            type_url: TypeUrl::new(&request.type_url),
            names: request.resource_names,
            nonce: request.response_nonce,
            error: request.error_detail.map(error),
        });
        if handled.is_err() {
            return;
        }
        let responses = std::iter::from_fn(|| session.poll_response()).take(RESPONSES + 1);
        assert!(responses.inspect(|it| check(&it.resources)).count() <= RESPONSES);
    }
}

fn delta(bytes: &[u8]) {
    let mut session = incremental::Session::new(config(), 1);
    session.handle_snapshot(snapshot());
    for request in messages::<DeltaDiscoveryRequest>(bytes) {
        let handled = session.handle_request(&incremental::Request {
            node: request.node.map(|node| node.id).unwrap_or_default(),
            type_url: TypeUrl::new(&request.type_url),
            subscribe: request.resource_names_subscribe,
            unsubscribe: request.resource_names_unsubscribe,
            initial_versions: request.initial_resource_versions.into_iter().collect(),
            nonce: request.response_nonce,
            error: request.error_detail.map(error),
        });
        if handled.is_err() {
            return;
        }
        let responses = std::iter::from_fn(|| session.poll_response()).take(RESPONSES + 1);
        assert!(responses.inspect(|it| check(&it.resources)).count() <= RESPONSES);
    }
}

fn error(status: Status) -> ErrorDetail {
    ErrorDetail { code: status.code, message: status.message }
}

/// The messages that can be read, up to the first that cannot.
fn messages<M: Message + Default>(mut bytes: &[u8]) -> Vec<M> {
    let mut messages = Vec::new();
    while let [high, low, rest @ ..] = bytes {
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(rest.len());
        let (message, rest) = rest.split_at(length);
        let Ok(message) = M::decode(message) else { return messages };
        // Not by equality: a number in a node's metadata may be none.
        let written = message.encode_to_vec();
        let again = M::decode(written.as_slice()).map(|again| again.encoded_len());
        assert_eq!(again, Ok(written.len()));
        messages.push(message);
        bytes = rest;
    }
    messages
}

fn snapshot() -> Arc<Snapshot> {
    let kinds = [TypeUrl::CLUSTER, TypeUrl::ENDPOINT, TypeUrl::LISTENER, TypeUrl::ROUTE];
    let of_kind = |kind: TypeUrl| {
        ["a", "b", "c"].map(|name| Resource::new(kind.clone(), name, name.as_bytes()))
    };
    Arc::new(Snapshot::new(kinds.into_iter().flat_map(of_kind)))
}

fn check(resources: &[Arc<Resource>]) {
    let all = snapshot();
    for sent in resources {
        let known = all.resource(sent.type_url(), sent.name());
        assert_eq!(known.map(|it| it.version()), Some(sent.version()));
    }
    let mut names: Vec<_> = resources.iter().map(|it| it.name()).collect();
    names.dedup();
    assert_eq!(names.len(), resources.len(), "a name is there twice");
}
