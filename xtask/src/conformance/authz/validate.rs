//! Admission of policies, conditions and single values, each within the least policy that has it.
use mesh_model::manifest::Severity;
use serde_json::{Value, json};

use super::json::{Fields, Rejection, text};
use super::policy;

/// A whole policy.
pub(super) fn whole(input: &Value) -> Result<Value, Rejection> {
    let mut fields = Fields::of(input)?;
    let policy = fields.required("policy")?;
    fields.end()?;
    judge(policy)
}

/// A condition.
pub(super) fn condition(input: &Value) -> Result<Value, Rejection> {
    let mut fields = Fields::of(input)?;
    let (key, values) = (text(&mut fields, "key")?, fields.required("values")?);
    fields.end()?;
    of_rule(&json!({ "when": [{ "key": key, "values": values }] }))
}

/// A value of `paths`.
pub(super) fn path(input: &Value) -> Result<Value, Rejection> {
    let mut fields = Fields::of(input)?;
    let path = text(&mut fields, "path")?;
    fields.end()?;
    of_rule(&json!({ "to": [{ "operation": { "paths": [path] } }] }))
}

/// A list of values of a field, named as in Go.
pub(super) fn field(input: &Value) -> Result<Value, Rejection> {
    let mut fields = Fields::of(input)?;
    let (name, values) = (text(&mut fields, "field")?, fields.required("values")?);
    fields.end()?;
    let mut letters = name.chars();
    let first = letters.next().unwrap_or_default().to_ascii_lowercase();
    let name = format!("{first}{}", letters.as_str());
    let bare = name.trim_start_matches("not").to_ascii_lowercase();
    let rule = match &*bare {
        "hosts" | "ports" | "methods" | "paths" => {
            json!({ "to": [{ "operation": { name: values } }] })
        }
        _ => json!({ "from": [{ "source": { name: values } }] }),
    };
    of_rule(&rule)
}

fn of_rule(rule: &Value) -> Result<Value, Rejection> {
    judge(&json!({
        "apiVersion": "security.istio.io/v1",
        "kind": "AuthorizationPolicy",
        "metadata": { "name": "case", "namespace": "default" },
        "spec": { "rules": [rule] },
    }))
}

fn judge(policy: &Value) -> Result<Value, Rejection> {
    let violations = policy::policy(policy)?.validate();
    let has = |severity| violations.iter().any(|violation| violation.severity == severity);
    Ok(json!({ "valid": !has(Severity::Error), "warning": has(Severity::Warning) }))
}
