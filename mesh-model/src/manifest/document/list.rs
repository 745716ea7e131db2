//! Documents that hold other documents.
//!
//! # Upstream
//!
//! kubernetes/apimachinery `pkg/apis/meta/v1/unstructured`: an object with a list of `items` is a
//! list; an item without kind and version has those of the list, less the ending `List`.
use super::Meant;
use super::meant::METADATA_FIELDS;
use crate::manifest::{Entry, Node, Place, Value};

/// Returns whether a kind says that the object is a list of objects.
pub(super) fn is_list_kind(kind: &str) -> bool {
    kind.ends_with("List")
}

/// Returns whether a node holds documents: a bare list, or an object that is one.
pub(super) fn is_list(node: &Node) -> bool {
    match &node.value {
        Value::List(_) => true,
        Value::Map(entries) => {
            let kind = node.get(&["kind"]).and_then(Node::as_str).unwrap_or_default();
            match node.get(&["items"]).map(|items| &items.value) {
                Some(Value::List(_)) => is_list_kind(kind),
                // `kubectl get` without a result; what says more means items by another name.
                None | Some(Value::Null) => {
                    let is_of_list = |entry: &Entry| {
                        ["apiVersion", "kind", "metadata", "items"].contains(&&*entry.key)
                    };
                    kind == "List" && entries.iter().all(is_of_list)
                }
                Some(
                    Value::Bool(_)
                    | Value::Integer(_)
                    | Value::Float(_)
                    | Value::String(_)
                    | Value::Map(_),
                ) => false,
            }
        }
        Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Float(_) | Value::String(_) => {
            false
        }
    }
}

/// The fields that the metadata of a list has and that of no object has
/// (kubernetes/apimachinery `pkg/apis/meta/v1/types.go` `ListMeta`).
const LIST_METADATA: [&str; 2] = ["continue", "remainingItemCount"];

/// Returns a list without its items, if more stands in it that may be policies: below a field that no list
/// has, or in its metadata.
pub(super) fn beside_items(list: &Node) -> Option<Node> {
    let is_of_metadata =
        |entry: &Entry| METADATA_FIELDS.iter().chain(&LIST_METADATA).any(|it| **it == *entry.key);
    let is_known = |entry: &Entry| match &*entry.key {
        "apiVersion" | "kind" | "items" => true,
        "metadata" => entry.node.entries().iter().all(is_of_metadata),
        _ => false,
    };
    if list.entries().iter().all(is_known) {
        return None;
    }
    let entries = list.entries().iter().filter(|entry| *entry.key != *"items");
    let rest =
        Node { value: Value::Map(entries.cloned().collect()), place: list.place, indent: None };
    (!Meant::of_node(&rest).security_kinds.is_empty()).then_some(rest)
}

/// Returns the documents that a list holds.
pub(super) fn items(list: Node) -> Vec<Node> {
    let entries = match list.value {
        Value::List(items) => return items,
        Value::Map(entries) => entries,
        Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Float(_) | Value::String(_) => {
            return Vec::new();
        }
    };
    let mut items = Vec::new();
    let mut kind = None;
    let mut version = None;
    for entry in entries {
        match (&*entry.key, entry.node.value) {
            ("items", Value::List(list)) => items = list,
            ("kind", Value::String(text)) => kind = text.strip_suffix("List").map(Box::from),
            ("apiVersion", Value::String(text)) => version = Some(text),
            _ => {}
        }
    }
    if let Some((kind, version)) = kind.zip(version).filter(|(kind, _)| !str::is_empty(kind)) {
        items.iter_mut().for_each(|item| name_kind(item, &kind, &version));
    }
    items
}

/// Gives an item of a typed list the kind and the version that the list leaves out of it.
fn name_kind(item: &mut Node, kind: &str, version: &str) {
    let is_named = item.get(&["kind", "apiVersion"]).is_some();
    let Value::Map(entries) = &mut item.value else { return };
    if is_named {
        return;
    }
    let place = Place::default();
    for (key, text) in [("kind", kind), ("apiVersion", version)] {
        let node = Node { value: Value::String(text.into()), place: item.place, indent: None };
        entries.push(Entry { key: key.into(), place, node });
    }
}

/// Returns the bytes of all keys and texts of a tree, and one for each value.
pub(super) fn weight(node: &Node) -> usize {
    let inner = match &node.value {
        Value::String(text) => text.len(),
        Value::List(items) => items.iter().map(weight).sum(),
        Value::Map(entries) => {
            entries.iter().map(|entry| entry.key.len() + weight(&entry.node)).sum()
        }
        Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Float(_) => 0,
    };
    inner + 1
}
