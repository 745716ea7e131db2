//! The answer, as JSON (`contract.md` 10) and for people.
use std::time::Duration;

use crate::say::say;
use mesh_xds_gen::resolve::{
    AbortStatus, Changes, Fault, Forward, Outcome, Reason, Resolution, Share,
};
use serde_json::{Map, Value, json};

pub(super) fn json(found: &Resolution) -> Value {
    let mut answer = json!({
        "listener": name(&found.listener),
        "route_config": name(&found.route_config),
        "virtual_host": name(&found.virtual_host),
        "route": (!found.virtual_host.is_empty() && found.reason == Reason::Route)
            .then_some(&found.route),
        "destinations": [],
        "fault": found.fault.as_ref().map(fault),
        "headers": changes(&found.changes),
        "reason": {"code": found.reason.code(), "text": sentence(found)},
    });
    let more = match &found.outcome {
        Outcome::Forwarded(to) => forward(to),
        Outcome::Redirected(to) => {
            json!({"redirect": {"status": to.status, "location": to.location}})
        }
        Outcome::Answered { status, body } => {
            json!({"direct_response": {"status": status, "body": body}})
        }
        Outcome::Closed => json!({}),
    };
    if let (Value::Object(answer), Value::Object(more)) = (&mut answer, more) {
        answer.extend(more);
    }
    answer
}

fn name(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

/// The reason, and what is odd about the answer.
fn sentence(found: &Resolution) -> String {
    let Outcome::Forwarded(to) = &found.outcome else { return found.reason.to_string() };
    let missing = to.destinations.iter().find(|share| !share.exists);
    match missing {
        Some(share) => format!(
            "{}; the proxy has no cluster `{}` and answers {}",
            found.reason, share.cluster, to.not_found_status
        ),
        None => found.reason.to_string(),
    }
}

fn forward(to: &Forward) -> Value {
    let shares = |shares: &[Share]| -> Vec<Value> { shares.iter().map(share).collect() };
    let rewrites = to.path.is_some() || to.host.is_some();
    json!({
        "destinations": shares(&to.destinations),
        "rewrite": rewrites.then(|| json!({"path": to.path, "host": to.host})),
        "timeout": to.timeout.map(seconds),
        "retries": (to.retries > 0).then(|| json!({
            "attempts": to.retries,
            "on": to.retry_on,
            "per_try_timeout": to.per_try_timeout.map(seconds),
        })),
        "mirrors": shares(&to.mirrors),
    })
}

fn share(share: &Share) -> Value {
    let mut printed = json!({"cluster_name": share.cluster, "share": share.share});
    let more = [
        ("exists", (!share.exists).then_some(Value::Bool(false))),
        ("host", share.host.as_ref().map(|host| json!(host))),
        ("headers", changes(&share.changes)),
    ];
    if let Value::Object(members) = &mut printed {
        let more = more.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
        members.extend(more);
    }
    printed
}

fn fault(fault: &Fault) -> Value {
    let abort = fault.abort.map(|(status, share)| match status {
        AbortStatus::Http(status) => json!({"http_status": status, "share": share}),
        AbortStatus::Grpc(status) => json!({"grpc_status": status, "share": share}),
    });
    let delay = fault.delay.map(|it| json!({"fixed": seconds(it.fixed), "share": it.share}));
    json!({"delay": delay, "abort": abort})
}

/// The lists that are not empty; `None` if all are.
fn changes(changes: &Changes) -> Option<Value> {
    let headers = |list: &[(String, String)]| -> Value {
        list.iter().map(|(name, value)| json!({"name": name, "value": value})).collect()
    };
    let lists = [
        ("request_set", headers(&changes.request_set)),
        ("request_add", headers(&changes.request_add)),
        ("request_remove", json!(changes.request_remove)),
        ("response_set", headers(&changes.response_set)),
        ("response_add", headers(&changes.response_add)),
        ("response_remove", json!(changes.response_remove)),
    ];
    let given = lists.into_iter().filter(|(_, list)| list.as_array() != Some(&Vec::new()));
    let given: Map<String, Value> = given.map(|(key, list)| (key.to_owned(), list)).collect();
    (!given.is_empty()).then_some(Value::Object(given))
}

/// A span as protobuf writes it: `2s`, `0.250s`.
fn seconds(span: Duration) -> String {
    let (whole, nanos) = (span.as_secs(), span.subsec_nanos());
    match nanos {
        0 => format!("{whole}s"),
        nanos if nanos % 1_000_000 == 0 => format!("{whole}.{:03}s", nanos / 1_000_000),
        nanos if nanos % 1_000 == 0 => format!("{whole}.{:06}s", nanos / 1_000),
        nanos => format!("{whole}.{nanos:09}s"),
    }
}

pub(super) fn table(found: &Resolution) {
    let row = |label: &str, text: &str| {
        if !text.is_empty() {
            say!("{label:<14} {text}");
        }
    };
    row("listener", &found.listener);
    row("routes", &found.route_config);
    row("virtual host", &found.virtual_host);
    row("route", &found.route);
    match &found.outcome {
        Outcome::Forwarded(to) => rows_of_forward(to, row),
        Outcome::Redirected(to) => row("redirect", &format!("{} {}", to.status, to.location)),
        Outcome::Answered { status, body } => row("answer", &format!("{status} {body}")),
        Outcome::Closed => row("answer", "the connection is closed"),
    }
    if let Some(injected) = &found.fault {
        row("fault", &fault(injected).to_string());
    }
    if let Some(changed) = changes(&found.changes) {
        row("headers", &changed.to_string());
    }
    row("reason", &sentence(found));
}

fn rows_of_forward(to: &Forward, row: impl Fn(&str, &str)) {
    for share in &to.destinations {
        row("destination", &format!("{:>6.2} %  {}", share.share, share.cluster));
    }
    row("path", to.path.as_deref().unwrap_or_default());
    row("host", to.host.as_deref().unwrap_or_default());
    row("timeout", &to.timeout.map(seconds).unwrap_or_default());
    if to.retries > 0 {
        row("retries", &format!("{} on {}", to.retries, to.retry_on));
    }
    for share in &to.mirrors {
        row("mirror", &format!("{:>6.2} %  {}", share.share, share.cluster));
    }
}
