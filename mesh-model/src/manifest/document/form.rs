//! Whether a text is a manifest, or speaks of one: notes, rules of `make`, pictures and archives may name
//! kinds, too, and mean no object.
//!
//! What was read is one if it has a field that objects have. What cannot be read is one if one of its
//! outermost lines (in braces: any name) is `apiVersion:`, misspelt or not, or `kind:` with a kind that
//! security depends on.
use super::meant::{SECURITY_KINDS, TARGET_KINDS, letters};
use crate::manifest::{Node, Value};
use crate::name::nearest_name;

/// The fields that objects have and other texts do not.
pub(crate) const OF_OBJECTS: [&str; 4] = ["apiVersion", "kind", "spec", "items"];

/// Whether what was read has the form of an object, or of several.
pub(super) fn of_node(node: &Node) -> bool {
    let is_of_object = |key: &str| nearest_name(key, OF_OBJECTS.into_iter()).is_some();
    match &node.value {
        Value::Map(entries) => entries.iter().any(|entry| is_of_object(&entry.key)),
        Value::List(items) => items.iter().any(of_node),
        Value::String(text) => of_text(text),
        Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Float(_) => false,
    }
}

/// Whether a text that could not be read has the form of an object, or of several.
pub(super) fn of_text(text: &str) -> bool {
    any_outermost(text, names_object)
}

/// Whether one of the outermost lines of a text that could not be read is a field of one of these names,
/// misspelt or not.
pub(crate) fn has_field(text: &str, names: &[&'static str]) -> bool {
    any_outermost(text, |line| {
        let field = field(line).map(|(name, _)| name);
        field.is_some_and(|name| nearest_name(name, names.iter().copied()).is_some())
    })
}

/// Whether any of the outermost lines of a text passes, or, in braces, what follows any of them.
fn any_outermost(text: &str, mut test: impl FnMut(&str) -> bool) -> bool {
    let text = letters(text);
    if text.trim_start().starts_with(['{', '[']) {
        return text.split(['{', '[', ',', '\n', '\r']).any(test);
    }
    let lines = || {
        let lines = text.split(['\n', '\r']).filter(|line| {
            let line = line.trim_start();
            !line.is_empty() && !line.starts_with(['#', '%']) && !line.starts_with("---")
        });
        lines.map(|line| (line.len() - line.trim_start_matches([' ', '\t']).len(), line))
    };
    let outermost = lines().map(|(indent, _)| indent).min().unwrap_or_default();
    lines().any(|(indent, line)| indent == outermost && test(line))
}

/// The name and the value of the field that a line is.
fn field(line: &str) -> Option<(&str, &str)> {
    let line = line.trim_start_matches([' ', '\t', '-', '?', '"', '\'']);
    let end = line.find(|letter: char| !letter.is_alphanumeric()).unwrap_or(line.len());
    let (name, rest) = line.split_at_checked(end)?;
    Some((name, rest.trim_start_matches([' ', '\t', '"', '\'']).strip_prefix(':')?))
}

/// Whether a line, or what follows a brace, says which kind of object this is.
fn names_object(line: &str) -> bool {
    let Some((name, value)) = field(line) else { return false };
    let kinds = || SECURITY_KINDS.into_iter().chain(TARGET_KINDS).chain(["ConfigMap", "List"]);
    let values = value.split(|letter: char| !letter.is_alphanumeric());
    // A tag or an anchor may stand before it.
    let mut values = values.filter(|word| !word.is_empty()).take(2);
    nearest_name(name, ["apiVersion"].into_iter()).is_some()
        || nearest_name(name, ["kind"].into_iter()).is_some()
            && values.any(|value| nearest_name(value, kinds()).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_says_its_kind_where_objects_do_is_a_manifest() {
        for text in [
            "apiVersion: v1\n  a: [",
            "# a\n---\nkind: AuthorizationPolicy\nspec: {",
            "kind: &a AuthorizationPolicies",
            "- kind: Service\n  spec: {",
            "  apiVerson: v1\n  kind: [",
            "{\"metadata\": {}, \"kind\": \"PeerAuthentication\"",
            "{\n  \"apiVersion\": \"v1\",",
            "a\0p\0i\0V\0e\0r\0s\0i\0o\0n\0:\0",
        ] {
            assert!(of_text(text), "{text}");
        }
    }

    #[test]
    fn what_speaks_of_kinds_is_none() {
        for text in [
            "An AuthorizationPolicy of kind: any",
            "kind: deploy\n\tkubectl apply # AuthorizationPolicy: [",
            "Write this:\n    apiVersion: security.istio.io/v1\n    kind: AuthorizationPolicy\n",
            "AuthorizationPolicy",
            "see {kind} of AuthorizationPolicy: [",
            "",
        ] {
            assert!(!of_text(text), "{text}");
        }
    }
}
