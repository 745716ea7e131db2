//! `grpc_priority`.
use mesh_lb::grpc::priority::PriorityPolicy;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::grpc::{connectivity, connectivity_name};
use super::{Answered, read};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    steps: Vec<Step>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    t_ms: Option<u64>,
    priorities: Option<Vec<String>>,
    child: Option<String>,
    state: Option<String>,
    check: Option<String>,
}

/// The numbers that the library knows levels by, for the names of a case.
#[derive(Default)]
struct Names(Vec<String>);

impl Names {
    fn number(&mut self, name: &str) -> u32 {
        let known = self.0.iter().position(|known| known == name);
        let index = known.unwrap_or_else(|| {
            self.0.push(name.to_owned());
            self.0.len() - 1
        });
        u32::try_from(index).unwrap_or(u32::MAX)
    }

    fn name(&self, number: u32) -> &str {
        usize::try_from(number).ok().and_then(|index| self.0.get(index)).map_or("", String::as_str)
    }
}

pub(super) fn priority(input: &Value) -> Answered {
    let input: Input = read(input)?;
    let mut names = Names::default();
    let mut policy = PriorityPolicy::default();
    let mut now = 0;
    let mut checks = Vec::new();
    for step in &input.steps {
        now = step.t_ms.unwrap_or(now);
        policy.handle_timeout(now);
        if let Some(priorities) = &step.priorities {
            let levels: Vec<u32> = priorities.iter().map(|name| names.number(name)).collect();
            policy.handle_update(&levels, now);
        }
        if let (Some(child), Some(state)) = (&step.child, &step.state) {
            policy.handle_state(names.number(child), connectivity(state)?, now);
        }
        if let Some(label) = &step.check {
            checks.push(report(label, &policy, &names));
        }
    }
    Ok(json!({ "checks": checks }))
}

fn report(label: &str, policy: &PriorityPolicy, names: &Names) -> Value {
    let started: Vec<&str> = policy.started().map(|(level, _)| names.name(level)).collect();
    let timers: Map<String, Value> = policy
        .started()
        .filter_map(|(level, timer)| Some((names.name(level).to_owned(), json!(timer?))))
        .collect();
    json!({
        "check": label,
        "in_use": policy.in_use().map(|level| names.name(level)),
        "state": connectivity_name(policy.state()),
        "started": started,
        "init_timers": timers,
    })
}
