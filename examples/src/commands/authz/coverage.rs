//! `mesh authz --coverage`: which rules of a workload a list of requests reaches.
//!
//! ```text
//! {"workload": "c1/shop/cart-0", "requests": 2, "allowed": 1, "refused": 0, "reached": 1,
//!  "rules": [{"policy": "ns/name", "rule": 0, "action": "ALLOW", "matched": 1, "decided": 1}]}
//! ```
//!
//! Rules in the order of the filters, of a waypoint those of each service behind it, too. `refused`: in plain text, which the workload does not take.
use mesh_authz::analysis::coverage;
use mesh_authz::{Authorizer, Traffic};
use mesh_model::registry::Mesh;
use mesh_model::view::Proxy;
use serde_json::{Value, json};

use super::entrance::{Entrance, facing};
use super::request::RequestFile;
use crate::say::say;
use crate::{Failure, Output, json};

/// How often the requests reach a rule.
#[derive(Debug)]
struct Row {
    policy: String,
    rule: usize,
    action: &'static str,
    matched: usize,
    decided: usize,
}

/// What a list of requests reaches.
#[derive(Debug, Default)]
struct Coverage {
    rows: Vec<Row>,
    requests: usize,
    allowed: usize,
    /// Those that are refused before any policy is asked.
    refused: usize,
}

pub(super) fn run(
    mesh: &Mesh,
    to: (&Proxy, &Authorizer),
    requests: &[RequestFile],
    output: Output,
) -> Result<(), Failure> {
    let mut found = Coverage::default();
    // A rule that matches no TCP at all is a rule of HTTP all the same.
    let behind = to.1.services().iter().map(|service| &service.authorizer);
    for authorizer in [to.1].into_iter().chain(behind) {
        found.count(authorizer, None, false);
    }
    for request in requests {
        let authorizer = facing(to.1, request).map_or(to.1, |service| &service.authorizer);
        let Entrance { refused, request, rule } = Entrance::new(mesh, to, request)?;
        let is_refused = refused.is_some();
        found.requests += 1;
        found.refused += usize::from(is_refused);
        request.with(rule, |request| {
            found.count(authorizer, Some(request), is_refused);
            Ok(())
        })?;
    }
    match output {
        Output::Json => json::print(&found.to_json(&to.0.reference())),
        Output::Table => found.table(&to.0.reference()),
    }
    Ok(())
}

impl Coverage {
    /// Adds one request.
    fn count(
        &mut self,
        authorizer: &Authorizer,
        request: Option<&mesh_authz::Request<'_>>,
        is_refused: bool,
    ) {
        if let Some(request) = request
            && !is_refused
        {
            self.allowed += usize::from(authorizer.decide(request).is_allowed());
        }
        let requests = request.copied().filter(|_| !is_refused);
        for traffic in [Traffic::Http, Traffic::Tcp] {
            for counted in coverage(authorizer, traffic, requests.as_slice()) {
                let policy = counted.rule.to_string();
                let action = counted.rule.action.as_str();
                let is_same = |row: &&mut Row| {
                    (&row.policy, row.rule, row.action) == (&policy, counted.rule.rule, action)
                };
                match self.rows.iter_mut().find(is_same) {
                    Some(row) => {
                        row.matched += counted.matched;
                        row.decided += counted.decided;
                    }
                    None => self.rows.push(Row {
                        policy,
                        rule: counted.rule.rule,
                        action,
                        matched: counted.matched,
                        decided: counted.decided,
                    }),
                }
            }
        }
    }

    fn reached(&self) -> usize {
        self.rows.iter().filter(|row| row.matched > 0).count()
    }

    fn to_json(&self, workload: &str) -> Value {
        let row = |row: &Row| {
            json!({
                "policy": row.policy,
                "rule": row.rule,
                "action": row.action,
                "matched": row.matched,
                "decided": row.decided,
            })
        };
        json!({
            "workload": workload,
            "requests": self.requests,
            "allowed": self.allowed,
            "refused": self.refused,
            "rules": self.rows.iter().map(row).collect::<Vec<_>>(),
            "reached": self.reached(),
        })
    }

    fn table(&self, workload: &str) {
        let denied = self.requests - self.allowed - self.refused;
        say!("{workload}: {} requests, {} allowed, {denied} denied", self.requests, self.allowed);
        if self.refused > 0 {
            say!("  {} in plain text, which the workload does not take", self.refused);
        }
        say!("rules reached: {} of {}", self.reached(), self.rows.len());
        for row in &self.rows {
            let Row { policy, rule, action, matched, decided } = row;
            let mark = if *matched == 0 { "  NEVER REACHED" } else { "" };
            say!("  {action:6} {policy} rule {rule}: matches {matched}, decides {decided}{mark}");
        }
    }
}
