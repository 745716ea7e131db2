//! Where two resources differ: paths with our value and the golden one.
//!
//! The elements of a list are held against each other by their own names where they have some, so
//! that one missing element is one difference and not a shift of all behind it.
use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// One place where ours and the golden value differ; null where there is nothing.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Difference {
    /// The path to the place inside the resource, `` for all of it.
    pub(super) path: String,
    pub(super) ours: Value,
    pub(super) golden: Value,
}

/// Returns every difference between two canonical values.
pub(super) fn differences(ours: &Value, golden: &Value) -> Vec<Difference> {
    let mut walk = Walk { found: Vec::new() };
    walk.value(ours, golden, "");
    walk.found
}

struct Walk {
    found: Vec<Difference>,
}

impl Walk {
    fn differ(&mut self, path: String, ours: Value, golden: Value) {
        self.found.push(Difference { path, ours, golden });
    }

    fn value(&mut self, ours: &Value, golden: &Value, path: &str) {
        match (ours, golden) {
            (Value::Object(ours), Value::Object(golden)) => self.object(ours, golden, path),
            (Value::Array(ours), Value::Array(golden)) => self.list(ours, golden, path),
            (Value::Number(a), Value::Number(b)) if a.as_f64() == b.as_f64() => {}
            _ if ours == golden => {}
            _ => self.differ(path.to_owned(), ours.clone(), golden.clone()),
        }
    }

    fn object(&mut self, ours: &Map<String, Value>, golden: &Map<String, Value>, path: &str) {
        let names: BTreeSet<&String> = ours.keys().chain(golden.keys()).collect();
        for name in names {
            let path = format!("{path}.{name}");
            match (ours.get(name), golden.get(name)) {
                (Some(ours), Some(golden)) => self.value(ours, golden, &path),
                (ours, golden) => self.differ(
                    path,
                    ours.cloned().unwrap_or_default(),
                    golden.cloned().unwrap_or_default(),
                ),
            }
        }
    }

    fn list(&mut self, ours: &[Value], golden: &[Value], path: &str) {
        let left = labels(ours);
        let right = labels(golden);
        let (left_set, right_set) = (set(&left), set(&right));
        let unique = left_set.len() == left.len() && right_set.len() == right.len();
        if unique && left_set != right_set {
            self.missing_elements(ours, golden, path);
            return;
        }
        let mut ours: Vec<&Value> = ours.iter().collect();
        if unique && left != right {
            let names = |labels: &[String]| Value::from(labels.to_vec());
            self.differ(format!("{path}[order]"), names(&left), names(&right));
            let place = |name| left.iter().position(|label| label == name);
            ours = right.iter().filter_map(|name| ours.get(place(name)?).copied()).collect();
        } else if ours.len() != golden.len() {
            self.differ(format!("{path}[length]"), ours.len().into(), golden.len().into());
        }
        for ((ours, golden), name) in ours.into_iter().zip(golden).zip(&right) {
            self.value(ours, golden, &format!("{path}[{name}]"));
        }
    }

    fn missing_elements(&mut self, ours: &[Value], golden: &[Value], path: &str) {
        let left: Vec<(String, &Value)> = labels(ours).into_iter().zip(ours).collect();
        let right: Vec<(String, &Value)> = labels(golden).into_iter().zip(golden).collect();
        let find = |list: &[(String, &Value)], name: &str| {
            list.iter().find(|(label, _)| label == name).map(|(_, value)| (*value).clone())
        };
        for (name, golden) in right.iter().filter(|(name, _)| find(&left, name).is_none()) {
            self.differ(format!("{path}[{name}]"), Value::Null, (*golden).clone());
        }
        for (name, ours) in left.iter().filter(|(name, _)| find(&right, name).is_none()) {
            self.differ(format!("{path}[{name}]"), (*ours).clone(), Value::Null);
        }
        for (name, golden) in &right {
            if let Some(ours) = find(&left, name) {
                self.value(&ours, golden, &format!("{path}[{name}]"));
            }
        }
    }
}

fn labels(items: &[Value]) -> Vec<String> {
    items.iter().enumerate().map(|(index, item)| label(item, index)).collect()
}

fn set(labels: &[String]) -> BTreeSet<&String> {
    labels.iter().collect()
}

/// How an element of a list is named in a path: by its own name where it has one.
fn label(item: &Value, index: usize) -> String {
    let text = |pointer: &str| item.pointer(pointer).and_then(Value::as_str);
    for field in ["/name", "/clusterName", "/@type"] {
        if let Some(name) = text(field).filter(|name| !name.is_empty()) {
            return name.rsplit('/').next().unwrap_or(name).to_owned();
        }
    }
    if item.get("lbEndpoints").is_some() || item.get("locality").is_some() {
        let priority = item.get("priority").and_then(Value::as_u64).unwrap_or(0);
        let part = |name: &str| text(&format!("/locality/{name}")).unwrap_or_default();
        return format!("p{priority}:{}/{}/{}", part("region"), part("zone"), part("subZone"));
    }
    if let Some(socket) = item.pointer("/endpoint/address/socketAddress") {
        let address = text("/endpoint/address/socketAddress/address").unwrap_or("None");
        let port = socket.get("portValue").map_or_else(|| "None".to_owned(), Value::to_string);
        return format!("{address}:{port}");
    }
    index.to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check_paths(ours: &Value, golden: &Value, expected: &[&str]) {
        let found: Vec<String> =
            differences(ours, golden).into_iter().map(|difference| difference.path).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn equal_values_differ_nowhere() {
        check_paths(&json!({"a": [1, {"b": 2}]}), &json!({"a": [1.0, {"b": 2}]}), &[]);
    }

    #[test]
    fn members_and_elements_are_named() {
        check_paths(
            &json!({"a": 1, "list": [{"name": "x", "v": 1}]}),
            &json!({"b": 1, "list": [{"name": "x", "v": 2}]}),
            &[".a", ".b", ".list[x].v"],
        );
    }

    #[test]
    fn one_missing_element_is_one_difference() {
        let element = |name: &str| json!({"name": name});
        check_paths(
            &json!([element("b"), element("c")]),
            &json!([element("a"), element("b"), element("c")]),
            &["[a]"],
        );
        check_paths(
            &json!([element("b"), element("a")]),
            &json!([element("a"), element("b")]),
            &["[order]"],
        );
    }

    #[test]
    fn endpoints_are_named_by_their_address_and_localities_by_theirs() {
        let endpoint = |health: &str| json!([{"locality": {"region": "eu", "zone": "a"}, "lbEndpoints": [{"healthStatus": health, "endpoint": {"address": {"socketAddress": {"address": "10.0.0.1", "portValue": 80}}}}]}]);
        check_paths(
            &endpoint("HEALTHY"),
            &endpoint("UNHEALTHY"),
            &["[p0:eu/a/].lbEndpoints[10.0.0.1:80].healthStatus"],
        );
    }

    #[test]
    fn lists_without_names_differ_by_place() {
        check_paths(&json!([1, 2]), &json!([1]), &["[1]"]);
        check_paths(&json!([1, 2]), &json!([2, 1]), &["[0]", "[1]"]);
        check_paths(&json!([true]), &json!([1]), &["[0]"]);
    }
}
