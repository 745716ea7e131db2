//! `mesh authz --matrix --workloads`: the same pair by pair, with what each caller shows to each workload.
//!
//! ```text
//! {"protocol": "http|tcp", "port": 80 or null,
//!  "matrix": [{"to": "c1/shop/cart-0", "service": host or null, "last_allow": "ns/name" or null,
//!              "from": [{"workload": "c1/shop/web-0", "identity": "spiffe://…" or null,
//!                        "access": "always|depends|never"}]}]}
//! ```
//!
//! What a caller shows follows from the rules that it sends by: a workload that it calls in plain text does
//! not see who it is, and one whose handshake fails is never reached.
use std::collections::BTreeMap;

use mesh_authz::Traffic;
use mesh_authz::analysis::Access;
use mesh_model::registry::Mesh;
use mesh_model::view::Proxy;
use serde_json::{Value, json};

use super::super::caller::{Call, Shown};
use super::{Answers, Question, columns, protocol, word};
use crate::commands::authz::identity;
use crate::say::say;
use crate::{Failure, Output, json};

/// Who may call one workload, or a service behind it.
struct Called<'m> {
    workload: String,
    service: Option<String>,
    callers: Vec<(&'m Proxy, Option<String>)>,
    answers: Answers,
}

pub(super) fn run(
    mesh: &Mesh,
    all: &[Proxy],
    question: Question<'_>,
    output: Output,
) -> Result<(), Failure> {
    let is = |one: Option<&Proxy>, proxy: &Proxy| {
        one.is_none_or(|one| one.reference() == proxy.reference())
    };
    let called = all.iter().filter(|proxy| is(question.to, proxy));
    let callers: Vec<&Proxy> = all.iter().filter(|proxy| is(question.from, proxy)).collect();
    let found: Vec<Called<'_>> =
        called.flat_map(|to| of_workload(mesh, &callers, to, question)).collect();
    match output {
        Output::Json => json::print(&answer(&found, question)),
        Output::Table => table(&found, question),
    }
    Ok(())
}

fn of_workload<'m>(
    mesh: &Mesh,
    callers: &[&'m Proxy],
    to: &Proxy,
    question: Question<'_>,
) -> Vec<Called<'m>> {
    let is_http = question.traffic == Traffic::Http;
    let others = callers.iter().filter(|from| from.reference() != to.reference());
    let shown: Vec<(&Proxy, Option<String>, bool)> = others
        .map(|from| {
            let call = Call { from, to, host: None, port: question.port, is_http };
            match Shown::of(mesh, call) {
                Shown::Identity(name) => (*from, Some(name), false),
                Shown::Nothing(_) => (*from, None, false),
                Shown::Refused(_) => (*from, Some(identity(mesh, from)), true),
            }
        })
        .collect();
    let identities: Vec<Option<String>> = shown.iter().map(|(_, name, _)| name.clone()).collect();
    let columns = columns(mesh, &identities, &[to], question);
    let found = columns.into_iter().map(|mut column| {
        for (access, (_, _, is_refused)) in column.answers.access.iter_mut().zip(&shown) {
            if *is_refused {
                *access = Access::Never;
            }
        }
        Called {
            workload: column.workload,
            service: column.service,
            callers: shown.iter().map(|(from, name, _)| (*from, name.clone())).collect(),
            answers: column.answers,
        }
    });
    found.collect()
}

fn answer(found: &[Called<'_>], question: Question<'_>) -> Value {
    let of_workload = |called: &Called<'_>| {
        let from = called.callers.iter().zip(&called.answers.access);
        json!({
            "to": called.workload,
            "service": called.service,
            "last_allow": called.answers.last_allow,
            "from": from.map(|((from, name), access)| json!({
                "workload": from.reference(),
                "identity": name,
                "access": access.as_str(),
            })).collect::<Vec<_>>(),
        })
    };
    json!({
        "protocol": protocol(question.traffic),
        "port": question.port,
        "matrix": found.iter().map(of_workload).collect::<Vec<_>>(),
    })
}

/// The callers of each workload, by what they may.
fn table(found: &[Called<'_>], question: Question<'_>) {
    let port = question.port.map(|port| format!(", port {port}")).unwrap_or_default();
    say!("WHO MAY CALL WHOM, BY WORKLOAD ({}{port})", protocol(question.traffic));
    say!("  yes: always   ask: it depends on what is asked for   -: never");
    for called in found {
        match &called.service {
            Some(service) => say!("\n{service} of {}", called.workload),
            None => say!("\n{}", called.workload),
        }
        let mut alike: BTreeMap<Access, Vec<String>> = BTreeMap::new();
        for ((from, name), access) in called.callers.iter().zip(&called.answers.access) {
            let plain = if name.is_none() { " (plain text)" } else { "" };
            alike.entry(*access).or_default().push(format!("{}{plain}", from.reference()));
        }
        for (access, callers) in &alike {
            say!("  {:>3}  {}", word(*access), callers.join(", "));
        }
    }
}
