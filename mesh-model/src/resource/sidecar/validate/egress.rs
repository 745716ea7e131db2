//! What a sidecar imports.
use std::collections::{BTreeMap, BTreeSet};

use super::super::{CaptureMode, EgressListener, SidecarPort};
use super::listener_port;
use crate::manifest::decode::clip;
use crate::resource::validate::{Violations, address, host, port};

/// Checks the outbound listeners of a Sidecar of a namespace.
pub(super) fn check(violations: &mut Violations, namespace: &str, listeners: &[EgressListener]) {
    let (mut numbers, mut sockets) = (BTreeSet::new(), BTreeSet::new());
    let mut left = listeners.len();
    violations.field("egress", |violations| {
        violations.each(listeners, |violations, listener| {
            left -= 1;
            match &listener.port {
                None if left > 0 => {
                    let message = "a listener without port leaves nothing for those after it";
                    violations.error("SC-EGRESS-CATCHALL", message, "put it last, and only once");
                }
                None => {}
                Some(port) => {
                    bound(violations, listener, port);
                    let is_new = match port.number {
                        0 => sockets.insert(&*listener.bind),
                        number => numbers.insert(number),
                    };
                    if !is_new {
                        let message = "two listeners have this port or socket";
                        violations.error_at("port", "SC-PORT-DUP", message, "keep one of them");
                    }
                }
            }
            hosts(violations, namespace, &listener.hosts);
        });
    });
}

/// # Upstream
///
/// istio/istio `pkg/config/validation/validation.go` `validateSidecarEgressPortBindAndCaptureMode`.
fn bound(violations: &mut Violations, listener: &EgressListener, port: &SidecarPort) {
    violations.field("port", |violations| listener_port(violations, port));
    if port.number != 0 {
        violations.take_at("port.number", port::number(port.number));
        address::bind(violations, &listener.bind);
        return;
    }
    match address::socket(&listener.bind) {
        Some(path) => violations.take_at("bind", address::socket_path(path)),
        None => {
            let message = "port 0 stands for a socket";
            violations.error_at("port.number", "SC-EGRESS-UNIX", message, "bind `unix://PATH`");
        }
    }
    if listener.capture_mode == CaptureMode::Iptables {
        let message = "a socket is not reached by iptables";
        violations.error_at("captureMode", "SC-CAPTURE-UNIX", message, "set NONE");
    }
}

fn hosts(violations: &mut Violations, namespace: &str, hosts: &[Box<str>]) {
    if hosts.is_empty() {
        let message = "the listener imports nothing";
        violations.error("SC-EGRESS-HOSTS", message, "add `hosts`, if only `~/*`");
        return;
    }
    let mut seen: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    violations.field("hosts", |violations| {
        violations.each(hosts, |violations, text| {
            let parts = text.split_once('/').filter(|(owner, _)| !owner.starts_with('~'));
            if let Some((owner, name)) = parts {
                let owner = if owner == "." { namespace } else { owner };
                let names = seen.entry(owner).or_default();
                let is_covered = match name {
                    "*" => !names.is_empty(),
                    name => names.contains(name) || names.contains("*"),
                };
                names.insert(name);
                if is_covered {
                    let message = format!("`{}` is imported twice", clip(text));
                    violations.warning("SC-HOST-DUP", &message, "remove one of the entries");
                }
            }
            host::namespaced(violations, text, host::Owner::Sidecar);
        });
        let has_all = seen.get("*").is_some_and(|names| names.contains("*"));
        if has_all && seen.len() > 1 {
            let message = "`*/*` imports everything and leaves nothing for other entries";
            violations.warning("SC-HOST-ALL-MIX", message, "keep `*/*` or the others");
        }
    });
}
