//! What happens, a line of JSON each on stderr.
use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;

use mesh_model::manifest::Diagnostic;
use serde_json::{Value, json};

use crate::json;

/// Something that whoever runs the server may want to know.
#[derive(Clone, Debug)]
pub(super) enum Event<'e> {
    /// Proxies can connect.
    Listening { address: SocketAddr },
    /// Certificates come from an authority that ends with the program.
    Authority { trust_domain: &'e str },
    /// A stream began.
    Connect { node: &'e str, proxy: &'e str, service: &'e str, protocol: &'e str, plane: &'e str },
    /// A response went out.
    Push { node: &'e str, pushed: &'e Pushed, reason: &'e str },
    /// A response was accepted.
    Ack { node: &'e str, type_url: &'e str, nonce: &'e str },
    /// A response was rejected, in the proxy's own words.
    Nack { node: &'e str, type_url: &'e str, nonce: &'e str, code: i32, message: &'e str },
    /// A proxy asked for a secret that there is not.
    MissingSecret { node: &'e str, name: &'e str },
    /// A node says that it is of another type than the manifests say.
    OtherType { node: &'e str, proxy: &'e str, stated: &'e str, known: &'e str },
    /// The proxy of a stream is no longer part of the mesh; it keeps what it has.
    Gone { node: &'e str, message: &'e str },
    /// A stream ended.
    Disconnect { node: &'e str, reason: &'e str },
    /// The folder changed.
    Reload(&'e Reload),
    /// The folder cannot be watched.
    Unwatched { message: &'e str },
}

/// What a response held.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Pushed {
    pub(super) type_url: String,
    pub(super) sent: usize,
    pub(super) removed: usize,
    pub(super) version: String,
}

/// What became of a changed folder.
#[derive(Clone, Debug, Default)]
pub(super) struct Reload {
    /// The files that changed, came or went.
    pub(super) changed: Vec<Arc<str>>,
    /// Those of them whose last good text still counts, because the new one has errors.
    pub(super) kept: Vec<Arc<str>>,
    /// What is wrong with the documents on disk.
    pub(super) diagnostics: Vec<Diagnostic>,
    /// Why the folder could not be read at all; everything stays as it was.
    pub(super) problem: Option<String>,
}

impl Event<'_> {
    /// Prints the event. Nobody may be reading: that is no reason to stop serving.
    pub(super) fn tell(&self) {
        let line = format!("{}\n", self.to_json());
        let _told = std::io::stderr().lock().write_all(line.as_bytes());
    }

    fn to_json(&self) -> Value {
        match self {
            Self::Listening { address } => {
                json!({"event": "listening", "address": address.to_string()})
            }
            Self::Authority { trust_domain } => json!({
                "event": "authority",
                "trust_domain": trust_domain,
                "message": "certificates are signed by a throw-away authority; `--secrets DIR` serves others",
            }),
            Self::Connect { node, proxy, service, protocol, plane } => json!({
                "event": "connect",
                "node": node,
                "proxy": proxy,
                "service": service,
                "protocol": protocol,
                "data_plane": plane,
            }),
            Self::Push { node, pushed, reason } => json!({
                "event": "push",
                "node": node,
                "type": pushed.type_url,
                "sent": pushed.sent,
                "removed": pushed.removed,
                "version": pushed.version,
                "reason": reason,
            }),
            Self::Ack { node, type_url, nonce } => {
                json!({"event": "ack", "node": node, "type": type_url, "nonce": nonce})
            }
            Self::Nack { node, type_url, nonce, code, message } => json!({
                "event": "nack",
                "node": node,
                "type": type_url,
                "nonce": nonce,
                "code": code,
                "message": message,
            }),
            Self::MissingSecret { node, name } => json!({
                "event": "missing_secret",
                "node": node,
                "name": name,
                "message": format!("there is no secret `{name}`; the proxy waits for it"),
            }),
            Self::OtherType { node, proxy, stated, known } => json!({
                "event": "other_type",
                "node": node,
                "proxy": proxy,
                "stated": stated,
                "known": known,
                "message": format!(
                    "the node says that it is a {stated}, the manifests that `{proxy}` is a {known}, and is \
                     served as one"
                ),
            }),
            Self::Gone { node, message } => {
                json!({"event": "gone", "node": node, "message": message})
            }
            Self::Disconnect { node, reason } => {
                json!({"event": "disconnect", "node": node, "reason": reason})
            }
            Self::Reload(reload) => reload.to_json(),
            Self::Unwatched { message } => json!({"event": "unwatched", "message": message}),
        }
    }
}

impl Reload {
    fn to_json(&self) -> Value {
        let names =
            |names: &[Arc<str>]| -> Vec<String> { names.iter().map(ToString::to_string).collect() };
        let mut value = json::diagnostics(&self.diagnostics);
        let members = [
            ("event", "reload".into()),
            ("changed", names(&self.changed).into()),
            ("kept", names(&self.kept).into()),
            ("problem", self.problem.clone().into()),
        ];
        if let Value::Object(map) = &mut value {
            map.extend(members.map(|(key, value)| (key.to_owned(), value)));
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(event: &Event<'_>, expected: &Value) {
        let line = event.to_json().to_string();
        assert!(!line.contains('\n'), "{line}");
        assert_eq!(event.to_json(), *expected);
    }

    #[test]
    fn the_bound_address_is_a_text() {
        let event = Event::Listening { address: "127.0.0.1:4711".parse().unwrap() };
        check(&event, &json!({"event": "listening", "address": "127.0.0.1:4711"}));
    }

    #[test]
    fn a_push_says_what_went_out_and_why() {
        let pushed =
            Pushed { type_url: "T".to_owned(), sent: 1, removed: 0, version: "v".to_owned() };
        check(
            &Event::Push { node: "n", pushed: &pushed, reason: "change" },
            &json!({"event": "push", "node": "n", "type": "T", "sent": 1, "removed": 0,
                    "version": "v", "reason": "change"}),
        );
    }

    #[test]
    fn what_a_proxy_says_stays_on_one_line() {
        let event =
            Event::Nack { node: "n", type_url: "T", nonce: "1.1", code: 13, message: "a\nb\u{1b}" };
        check(
            &event,
            &json!({"event": "nack", "node": "n", "type": "T", "nonce": "1.1", "code": 13,
                    "message": "a\nb\u{1b}"}),
        );
    }

    #[test]
    fn a_reload_has_its_diagnostics_and_what_was_kept() {
        let reload = Reload {
            changed: vec!["config/a.yaml".into()],
            kept: vec!["config/a.yaml".into()],
            ..Reload::default()
        };
        check(
            &Event::Reload(&reload),
            &json!({"event": "reload", "changed": ["config/a.yaml"], "kept": ["config/a.yaml"],
                    "problem": null, "diagnostics": [], "errors": 0, "warnings": 0, "infos": 0}),
        );
    }
}
