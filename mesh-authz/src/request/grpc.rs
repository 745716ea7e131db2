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
//! | path | normalized | as it is |
//!
//! A template for paths it does not take at all: see [`Unusable::UntakenTemplate`].
//!
//! # Upstream
//!
//! grpc/proposal A41-xds-rbac.md; grpc/grpc-go `internal/xds/rbac/matchers.go` `matchersFromPermissions`,
//! `matchersFromPrincipals`, `authenticatedMatcher`; `internal/xds/matcher/matcher_header.go`
//! `mdValuesFromOutgoingCtx`, `HeaderPresentMatcher`.
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
