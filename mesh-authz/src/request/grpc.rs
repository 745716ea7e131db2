//! What a gRPC server without a proxy sees of a request, where it is not what an Envoy sees.
//!
//! | Of a request | An Envoy | A gRPC server |
//! |---|---|---|
//! | server name | what the client sent | the empty text, always |
//! | remote address | the original client's | the direct peer's |
//! | metadata, tokens included | what filters wrote | none: no test of it passes |
//! | names of the peer | URI and DNS names and the subject | URI names; without one DNS names; without either the subject |
//! | several lines of a header | one by one | one text, joined by `,` |
//! | an empty header | is there | is not there |
//! | path | normalized, without its query | as it is |
//! | method | what the client sent | `POST`, always: it takes no other |
//! | header `host` | the same as `:authority` | `:authority` if there is none, else dropped |
//! | other names of HTTP/2, what gRPC itself reads | are there | are not there |
//!
//! A template for paths it does not take at all: see [`Unusable::UntakenTemplate`].
//!
//! # Upstream
//!
//! grpc/proposal A41-xds-rbac.md; grpc/grpc-go `internal/xds/rbac/matchers.go` `matchersFromPermissions`,
//! `matchersFromPrincipals`, `authenticatedMatcher`; `internal/xds/matcher/matcher_header.go`
//! `mdValuesFromOutgoingCtx`, `HeaderPresentMatcher`; `internal/xds/rbac/rbac_engine.go` `newRPCData`;
//! `internal/transport/http2_server.go` `operateHeaders`, `http_util.go` `isReservedHeader`.
//!
//! [`Unusable::UntakenTemplate`]: crate::rule::Unusable::UntakenTemplate
use crate::identity::Peer;

/// Returns whether any of the names that count passes: those of one kind only.
pub(super) fn any_name(peer: &Peer<'_>, mut test: impl FnMut(&str) -> bool) -> bool {
    match (peer.uri_sans, peer.dns_sans) {
        ([], []) => test(peer.subject),
        ([], names) | (names, _) => names.iter().any(|name| test(name)),
    }
}

/// Returns the one text that the lines of a header are, empty ones included.
pub(super) fn join<'l>(lines: impl Iterator<Item = &'l [u8]>) -> Vec<u8> {
    lines.collect::<Vec<_>>().join(&b',')
}

/// The method of every request.
pub(crate) const METHOD: &str = "POST";

/// Returns whether no header of a name, in small letters, is there: it is read before, and not handed on.
pub(crate) fn is_hidden(name: &str) -> bool {
    let is_seen = matches!(name, ":method" | ":authority");
    let is_of_grpc = matches!(
        name,
        "host"
            | "te"
            | "grpc-message-type"
            | "grpc-encoding"
            | "grpc-message"
            | "grpc-status"
            | "grpc-timeout"
    );
    is_of_grpc || name.starts_with(':') && !is_seen
}
