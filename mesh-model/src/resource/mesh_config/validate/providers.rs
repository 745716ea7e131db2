//! What is wrong with telemetry backends and external authorizers.
//!
//! istiod tells its log of them and goes on: who refers to one that cannot be used is the one who is hurt.
//! So they are warnings here, and the settings keep them.
use std::collections::BTreeSet;

use super::super::{ExtensionProvider, ProviderKind};
use crate::manifest::decode::{Cursor, Decode, clip};
use crate::manifest::{Node, Value};
use crate::resource::validate::host::{self, Owner};
use crate::resource::validate::{Verdict, Violation, Violations, Wrong, address, port, url};

/// Checks the entries of `extensionProviders` as a document gives them: in the settings those of one name are
/// one, and Istio's own come first.
///
/// # Upstream
///
/// istio/istio `pkg/config/validation/agent/extensionprovider.go` `validateExtensionProvider`.
pub(in crate::resource) fn check(document: &Node) -> Vec<Violation> {
    let list = document.get(&["extensionProviders", "extension_providers"]);
    let Some(Value::List(items)) = list.map(|list| &list.value) else { return Vec::new() };
    let mut violations = Violations::default();
    let mut names = BTreeSet::new();
    violations.as_warnings(|violations| {
        violations.field("extensionProviders", |violations| {
            violations.each(items, |violations, item| {
                // What cannot be read is told of where it is read.
                let entry = ExtensionProvider::decode(item, &mut Cursor::default());
                if let Some(entry) = entry {
                    violations.take_at("name", name(&entry.name, &mut names));
                    kind(violations, entry.kind.as_ref());
                }
            });
        });
    });
    violations.into_found()
}

fn wrong(message: impl Into<String>, help: &'static str) -> Verdict {
    Err(Wrong::new("MC-PROVIDER", message, help))
}

fn name(name: &str, names: &mut BTreeSet<Box<str>>) -> Verdict {
    if name.is_empty() {
        return wrong("nothing can refer to a provider without a name", "add `name`");
    }
    if !names.insert(name.into()) {
        let message = format!("there are two providers `{}`: the last one counts", clip(name));
        return wrong(message, "rename one of them");
    }
    Ok(())
}

fn kind(violations: &mut Violations, kind: Option<&ProviderKind>) {
    let (field, service, number) = match kind {
        None | Some(ProviderKind::Sds(_)) => {
            let help = "add its kind, such as `zipkin` or `envoyExtAuthzGrpc`";
            return violations
                .take(wrong("the provider is none of the kinds that are known", help));
        }
        Some(
            ProviderKind::Prometheus(_)
            | ProviderKind::Stackdriver(_)
            | ProviderKind::EnvoyFileAccessLog(_),
        ) => return,
        Some(ProviderKind::EnvoyExtAuthzHttp(it)) => ("envoyExtAuthzHttp", &it.service, it.port),
        Some(ProviderKind::EnvoyExtAuthzGrpc(it)) => ("envoyExtAuthzGrpc", &it.service, it.port),
        Some(ProviderKind::Zipkin(it)) => ("zipkin", &it.service, it.port),
        Some(ProviderKind::Lightstep(it)) => ("lightstep", &it.service, it.port),
        Some(ProviderKind::Datadog(it)) => ("datadog", &it.service, it.port),
        Some(ProviderKind::OpenCensus(it)) => ("opencensus", &it.service, it.port),
        Some(ProviderKind::SkyWalking(it)) => ("skywalking", &it.service, it.port),
        Some(ProviderKind::OpenTelemetry(it)) => ("opentelemetry", &it.service, it.port),
        Some(ProviderKind::EnvoyHttpAls(it)) => ("envoyHttpAls", &it.service, it.port),
        Some(ProviderKind::EnvoyTcpAls(it)) => ("envoyTcpAls", &it.service, it.port),
        Some(ProviderKind::EnvoyOtelAls(it)) => ("envoyOtelAls", &it.service, it.port),
    };
    violations.field(field, |violations| {
        violations.field("service", |violations| check_service(violations, service));
        violations.take_at("port", port::number(number));
        kind.into_iter().for_each(|kind| more(violations, kind));
    });
}

/// Checks what only some kinds have.
#[expect(clippy::wildcard_enum_match_arm, reason = "the others have no more")]
fn more(violations: &mut Violations, kind: &ProviderKind) {
    match kind {
        ProviderKind::EnvoyExtAuthzHttp(it) => {
            violations.take_at("statusOnError", status(&it.status_on_error));
            violations.take_at("pathPrefix", prefix(&it.path_prefix));
        }
        ProviderKind::EnvoyExtAuthzGrpc(it) => {
            violations.take_at("statusOnError", status(&it.status_on_error));
        }
        ProviderKind::Lightstep(it) if it.access_token.is_empty() => {
            violations
                .take(wrong("Lightstep takes no traces without a token", "add `accessToken`"));
        }
        ProviderKind::OpenTelemetry(it) if it.http.is_some() && it.grpc.is_some() => {
            violations.take(wrong("traces go over HTTP or over gRPC", "remove `http` or `grpc`"));
        }
        _ => {}
    }
}

/// Checks a host, an address or `NAMESPACE/HOST`.
///
/// # Upstream
///
/// istio/istio `pkg/config/validation/agent/extensionprovider.go` `validateExtensionProviderService`.
fn check_service(violations: &mut Violations, service: &str) {
    if service.is_empty() {
        violations
            .take(wrong("nothing is said of where it is", "write `HOST` or `NAMESPACE/HOST`"));
    } else if service.contains('/') {
        host::namespaced(violations, service, Owner::Sidecar);
    } else if !address::is_ip(service) {
        violations.take(host::fqdn(service));
    }
}

/// Returns whether a text is what `statusOnError` may say: a status of Envoy's `StatusCode` by its number, or
/// nothing, which is the default.
///
/// # Upstream
///
/// istio/istio `pkg/config/validation/agent/extensionprovider.go`
/// `validateExtensionProviderEnvoyExtAuthzStatusOnError`.
pub fn is_status_on_error(text: &str) -> bool {
    let is_known = |status: i32| {
        matches!(
            status,
            0 | 100
                | 200..=208
                | 226
                | 300..=305
                | 307
                | 308
                | 400..=417
                | 421..=424
                | 426
                | 428
                | 429
                | 431
                | 500..=508
                | 510
                | 511
        )
    };
    text.is_empty() || text.parse().is_ok_and(is_known)
}

fn status(text: &str) -> Verdict {
    if is_status_on_error(text) {
        return Ok(());
    }
    let message = format!("`{}` is no status that Envoy knows", clip(text));
    wrong(message, "write a status such as `503`")
}

fn prefix(text: &str) -> Verdict {
    if text.is_empty() || url::is_path(text) {
        return Ok(());
    }
    let message = format!("`{}` is not the beginning of a path", clip(text));
    wrong(message, "write a path that begins with `/`")
}
