//! What can be told of an object that could not be understood.
use crate::manifest::{Document, Entry, Node, Value};
use crate::name::Labels;
use crate::registry::attachment::{DATAPLANE_MODE, USE_WAYPOINT};
use crate::registry::load::labels_of;
use crate::resource::Action;

/// Where a request has something that a RequestAuthentication is about.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_enums, reason = "what stands in for it acts on both")]
pub enum TokenPlace {
    /// In a header, that it reads or writes; cookies are of `cookie`.
    Header(Box<str>),
    /// In a parameter of the query.
    Query,
}

/// The labels in `spec.selector.matchLabels` of an object that could not be decoded.
///
/// Only a selector that is readable as a whole narrows what the object may concern, and only one that
/// stands alone: a reference beside it may mean others.
pub(super) fn selector(document: &Document) -> Option<Labels> {
    let spec = document.node.get(&["spec"])?;
    let references = ["targetRef", "target_ref", "targetRefs", "target_refs"];
    if references.iter().any(|field| spec.get(&[*field]).is_some_and(|node| !node.is_null())) {
        return None;
    }
    let labels = spec.get(&["selector"])?.get(&["matchLabels", "match_labels"])?;
    // Who wrote a pattern, or a name to be replaced, where labels are equal or not meant more than it says.
    let is_plain = |entry: &Entry| {
        let is_plain = |text: &str| !text.contains(['*', '$', '{']);
        let value = entry.node.as_str().unwrap_or_default();
        !entry.key.is_empty() && is_plain(&entry.key) && is_plain(value)
    };
    labels_of(labels).filter(|_| labels.entries().iter().all(is_plain))
}

/// The action of a policy that could not be decoded; absent is ALLOW.
pub(super) fn action(document: &Document) -> Option<Action> {
    let action = document.node.get(&["spec"])?.get(&["action"]);
    let Some(action) = action.filter(|action| !action.is_null()) else {
        return Some(Action::Allow);
    };
    let text = action.as_str()?;
    [Action::Allow, Action::Deny, Action::Audit, Action::Custom]
        .into_iter()
        .find(|known| known.as_str() == text)
}

/// The labels of an object, those that are texts; none if they are no map, or one that names a waypoint or
/// a data plane is no text.
pub(in crate::registry) fn labels(document: &Document) -> Option<Labels> {
    let metadata = document.node.get(&["metadata"])?;
    if !matches!(metadata.value, Value::Map(_)) {
        return None;
    }
    let Some(labels) = metadata.get(&["labels"]).filter(|labels| !labels.is_null()) else {
        return Some(Labels::default());
    };
    let Value::Map(entries) = &labels.value else { return None };
    let decides = |name: &str| name.starts_with(USE_WAYPOINT) || name == DATAPLANE_MODE;
    let is_plain = |text: &str| !text.contains(['$', '{']);
    let is_told = |entry: &Entry| entry.node.as_str().is_some_and(is_plain) || !decides(&entry.key);
    let texts = entries.iter().filter_map(|entry| Some((&*entry.key, entry.node.as_str()?)));
    entries.iter().all(is_told).then(|| texts.collect())
}

/// The labels by which a Service or a ServiceEntry selects workloads.
pub(super) fn selector_of_service(document: &Document) -> Option<Labels> {
    let spec = document.node.get(&["spec"])?;
    let of_entry = spec.get(&["workloadSelector", "workload_selector"]);
    let selector = match of_entry {
        Some(selector) => selector.get(&["labels"]),
        None => spec.get(&["selector"]),
    };
    selector.and_then(labels_of).filter(|labels| !labels.is_empty())
}

/// Where a RequestAuthentication looks for tokens, and the headers that it writes; none if a rule says
/// anything that is not understood there.
pub(super) fn token_places(document: &Document) -> Option<Box<[TokenPlace]>> {
    let spec = document.node.get(&["spec"])?;
    let rules = spec.get(&["jwtRules", "jwt_rules"])?;
    let mut found = Vec::new();
    for rule in list(rules)? {
        places_of_rule(rule, &mut found)?;
    }
    found.sort();
    found.dedup();
    Some(found.into())
}

fn places_of_rule(rule: &Node, found: &mut Vec<TokenPlace>) -> Option<()> {
    const ELSEWHERE: [&str; 11] = [
        "issuer",
        "audiences",
        "jwksUri",
        "jwks_uri",
        "jwks",
        "forwardOriginalToken",
        "forward_original_token",
        "timeout",
        "spaceDelimitedClaims",
        "space_delimited_claims",
        "presence",
    ];
    let Value::Map(entries) = &rule.value else { return None };
    let mut is_default = true;
    for Entry { key, node, .. } in entries {
        match &**key {
            "fromHeaders" | "from_headers" => {
                headers(node, "name", found)?;
                is_default &= list(node)?.is_empty();
            }
            "fromParams" | "from_params" | "fromCookies" | "from_cookies" => {
                let is_query = key.ends_with("arams");
                let cookie = TokenPlace::Header("cookie".into());
                found.push(if is_query { TokenPlace::Query } else { cookie });
                is_default &= list(node)?.is_empty();
            }
            "outputPayloadToHeader" | "output_payload_to_header" => {
                found.push(TokenPlace::Header(node.as_str()?.into()));
            }
            "outputClaimToHeaders" | "output_claim_to_headers" => headers(node, "header", found)?,
            known if ELSEWHERE.contains(&known) => {}
            _ => return None,
        }
    }
    if is_default {
        found.extend([TokenPlace::Header("authorization".into()), TokenPlace::Query]);
    }
    Some(())
}

/// The names of headers in a list of maps.
fn headers(node: &Node, field: &str, found: &mut Vec<TokenPlace>) -> Option<()> {
    for item in list(node)? {
        let name = item.get(&[field])?.as_str()?;
        found.push(TokenPlace::Header(name.into()));
    }
    Some(())
}

fn list(node: &Node) -> Option<&[Node]> {
    match &node.value {
        Value::List(items) => Some(items),
        Value::Null
        | Value::Bool(_)
        | Value::Integer(_)
        | Value::Float(_)
        | Value::String(_)
        | Value::Map(_) => None,
    }
}
