//! How an answer is held against what a case expects: exactly, unless the area says otherwise.
use serde_json::Value;

/// The freedoms that an area and operation grant.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Rule {
    /// Members of the answer that `expect` does not name are not asserted, at any depth.
    pub subset: bool,
    /// Only the members named here may be missing from `expect` (at the top level).
    pub optional: &'static [&'static str],
    /// Numbers may differ by this much; `expect.tolerance` overrides it.
    pub tolerance: f64,
    /// Of an expected `error` only the presence counts.
    pub error_presence: bool,
    /// Members (at any depth) whose lists are sets.
    pub sets: &'static [&'static str],
    /// The whole answer is a set.
    pub whole_is_set: bool,
    /// Members whose objects may hold more than is expected.
    pub open: &'static [&'static str],
}

/// Where an answer departs from what was expected.
#[derive(Clone, Debug, PartialEq)]
pub struct Mismatch {
    /// The path to the place, `` for the whole answer.
    pub at: String,
    /// What the case expects there.
    pub expected: Value,
    /// What the implementation answered there; null if nothing.
    pub got: Value,
}

/// Returns the comparison rule of an area and operation (`conformance/README.md`, "Comparison").
pub fn rule(area: &str, op: &str, note: &Value) -> Rule {
    let compare_as_set = note.as_str().is_some_and(|note| note.contains("compare as a set"));
    let base = Rule { whole_is_set: compare_as_set, ..Rule::default() };
    match (area, op) {
        ("lb-envoy", _) => Rule {
            subset: true,
            tolerance: 1e-9,
            error_presence: true,
            sets: &["candidate_hosts"],
            ..base
        },
        ("xds", "translate_routes") => Rule { subset: true, error_presence: true, ..base },
        ("xds", "route_config") => Rule { optional: &["first_route_cluster"], ..base },
        ("model", "validate") => Rule { sets: &["errors", "warnings"], ..base },
        ("model", "service_network_gateways" | "dns_alt_hosts") => {
            Rule { whole_is_set: true, ..base }
        }
        ("profiles", "pod_to_proxy") => {
            Rule { tolerance: 1e-9, error_presence: true, open: &["metadata"], ..base }
        }
        ("profiles", _) => Rule { tolerance: 1e-9, error_presence: true, ..base },
        ("authz", _) => Rule {
            optional: &[
                "warning",
                "audit",
                "dry_run",
                "custom_checks",
                "connection",
                "sidecar_tcp_decision",
            ],
            ..base
        },
        _ => base,
    }
}

/// Compares an answer with what a case expects.
///
/// # Errors
///
/// The first place where they differ.
pub fn compare(rule: Rule, expected: &Value, got: &Value) -> Result<(), Mismatch> {
    if rule.error_presence && expected.get("error").is_some_and(|error| !error.is_null()) {
        return match got.get("error") {
            Some(error) if !error.is_null() => Ok(()),
            _ => Err(Mismatch { at: String::new(), expected: expected.clone(), got: got.clone() }),
        };
    }
    let tolerance = expected.get("tolerance").and_then(Value::as_f64).unwrap_or(rule.tolerance);
    Comparison { rule, tolerance }.value("", "", expected, got)
}

struct Comparison {
    rule: Rule,
    tolerance: f64,
}

impl Comparison {
    fn value(&self, at: &str, key: &str, expected: &Value, got: &Value) -> Result<(), Mismatch> {
        match (expected, got) {
            (Value::Object(expected), Value::Object(got)) => self.object(at, key, expected, got),
            (Value::Array(expected), Value::Array(got))
                if self.rule.sets.contains(&key) || (at.is_empty() && self.rule.whole_is_set) =>
            {
                self.set(at, expected, got)
            }
            (Value::Array(expected), Value::Array(got)) if expected.len() == got.len() => {
                expected.iter().zip(got).enumerate().try_for_each(|(i, (expected, got))| {
                    self.value(&format!("{at}[{i}]"), key, expected, got)
                })
            }
            (Value::Number(expected_number), Value::Number(got_number)) => {
                let close = match (expected_number.as_f64(), got_number.as_f64()) {
                    _ if expected_number == got_number => true,
                    (Some(expected), Some(got)) => (expected - got).abs() <= self.tolerance,
                    _ => false,
                };
                if close { Ok(()) } else { Err(differ(at, expected, got)) }
            }
            _ if expected == got => Ok(()),
            _ => Err(differ(at, expected, got)),
        }
    }

    fn object(
        &self,
        at: &str,
        key: &str,
        expected: &serde_json::Map<String, Value>,
        got: &serde_json::Map<String, Value>,
    ) -> Result<(), Mismatch> {
        let path =
            |name: &str| if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") };
        for (name, expected) in expected {
            if name == "tolerance" && self.rule.tolerance > 0.0 {
                continue;
            }
            // An absent member and null are the same.
            self.value(&path(name), name, expected, got.get(name).unwrap_or(&Value::Null))?;
        }
        if self.rule.subset || self.rule.open.contains(&key) {
            return Ok(());
        }
        for (name, got) in got {
            let optional = at.is_empty() && self.rule.optional.contains(&name.as_str());
            if !expected.contains_key(name) && !got.is_null() && !optional {
                return Err(differ(&path(name), &Value::Null, got));
            }
        }
        Ok(())
    }

    fn set(&self, at: &str, expected: &[Value], got: &[Value]) -> Result<(), Mismatch> {
        let sorted = |values: &[Value]| {
            let mut texts: Vec<String> = values.iter().map(Value::to_string).collect();
            texts.sort();
            texts
        };
        if sorted(expected) == sorted(got) {
            Ok(())
        } else {
            Err(differ(at, &Value::from(expected), &Value::from(got)))
        }
    }
}

fn differ(at: &str, expected: &Value, got: &Value) -> Mismatch {
    Mismatch { at: at.to_owned(), expected: expected.clone(), got: got.clone() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_compare_by_value_and_lists_by_order() {
        let exact = rule("model", "duration", &Value::Null);
        assert_eq!(compare(exact, &json!({"a": [1, 2]}), &json!({"a": [1.0, 2]})), Ok(()));
        assert!(compare(exact, &json!([1, 2]), &json!([2, 1])).is_err());
        assert!(compare(exact, &json!({"a": 1}), &json!({"a": 1, "b": 2})).is_err());
        assert!(compare(exact, &json!({"a": 1, "b": 2}), &json!({"a": 1})).is_err());
    }

    #[test]
    fn an_expected_error_only_asks_for_an_error() {
        let rule = rule("lb-envoy", "maglev", &Value::Null);
        assert_eq!(compare(rule, &json!({"error": "x"}), &json!({"error": "y"})), Ok(()));
        assert!(compare(rule, &json!({"error": "x"}), &json!({"table": []})).is_err());
    }

    #[test]
    fn what_lb_envoy_does_not_expect_is_not_asserted() {
        let rule = rule("lb-envoy", "priority_load", &Value::Null);
        assert_eq!(compare(rule, &json!({"a": 0.5}), &json!({"a": 0.5000000001, "b": 1})), Ok(()));
        assert!(compare(rule, &json!({"a": 0.5}), &json!({"b": 1})).is_err());
    }
}
