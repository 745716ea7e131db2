//! What rules ask of a request that a gRPC server without a proxy does not see.
//!
//! ```text
//! connection.sni ─▶ the empty text     remote addresses ─▶ the direct peer's     metadata, tokens ─▶ none
//! ```
//!
//! # Upstream
//!
//! grpc/proposal A41-xds-rbac.md; grpc/grpc-go `internal/xds/rbac/matchers.go` `matchersFromPermissions`,
//! `matchersFromPrincipals`.
use mesh_model::resource::{Action, Rule};

use super::Told;
use super::verbatim::told;
use crate::rbac::Place;
use crate::rule::lists;

/// Finds the fields of which such a server compares nothing that the client has.
pub(super) fn fields(rule: (usize, &Rule), action: Action) -> Vec<Told> {
    let found = lists(rule.1).into_iter().filter_map(|list| {
        let (what, help) = unseen(&list.place)?;
        let who = ("gRPC servers without a proxy", what);
        let field = list.path(rule.0);
        Some(told("HZ-AUTHZ-GRPC-UNSEEN", (&list, field), action, who, help))
    });
    found.collect()
}

/// What the server does where a rule asks for what it does not see, and what to write instead.
fn unseen(place: &Place) -> Option<(&'static str, &'static str)> {
    const PROXY: &str = "ask for something else, or run the server with a proxy beside it";
    let name = match place {
        Place::Source(name) | Place::Operation(name) => name,
        Place::When { key, .. } => &**key,
    };
    match name {
        "connection.sni" => Some(("take every server name for an empty one", PROXY)),
        "remoteIpBlocks" | "remote.ip" => Some((
            "compare the address of the direct peer instead",
            "use `ipBlocks`, or run the server with a proxy beside it",
        )),
        "requestPrincipals" => Some(("read no tokens", PROXY)),
        key if key.starts_with("request.auth.") => Some(("read no tokens", PROXY)),
        key if key.starts_with("experimental.envoy.filters.") => {
            Some(("have no metadata of filters", PROXY))
        }
        _ => None,
    }
}
