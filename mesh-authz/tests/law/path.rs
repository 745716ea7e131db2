//! Laws of paths that tests and fuzzing share.
use mesh_authz::matcher::{NormalPath, PathNormalization, PathOptions, PathTemplate};
use regex::Regex;

/// Every way to normalize.
pub(crate) const NORMALIZATIONS: [PathNormalization; 4] = [
    PathNormalization::None,
    PathNormalization::Base,
    PathNormalization::MergeSlashes,
    PathNormalization::DecodeAndMergeSlashes,
];

/// What must be so of a path that is normalized; what is not if it is not.
pub(crate) fn is_normal(raw: &str, normalization: PathNormalization) -> Result<(), String> {
    let options = PathOptions { normalization, ..PathOptions::default() };
    let Ok(normal) = NormalPath::new(raw, options) else { return Ok(()) };
    let text = normal.as_str();
    let (path, query) = text.split_once('?').unwrap_or((text, ""));
    let law = |name: &str, holds: bool| {
        if holds { Ok(()) } else { Err(format!("{name}: {raw:?} became {text:?}")) }
    };
    law("a path starts with a slash", path.starts_with('/'))?;
    law("the query stays", raw.split_once('?').map_or("", |(_, query)| query) == query)?;
    if normalization == PathNormalization::None {
        return law("nothing is changed", text == raw);
    }
    let is_dots = |segment: &str| matches!(segment.split(';').next(), Some("." | ".."));
    law("no segment is dots", !path.split('/').any(is_dots))?;
    law("a backslash is a slash", !path.contains('\\'))?;
    if normalization == PathNormalization::Base {
        return Ok(());
    }
    // Envoy leaves a path alone that is nothing but two slashes.
    law("slashes are merged", path == "//" || !path.contains("//"))
}

/// Whether a template matches as the regular expression of its operators does.
pub(crate) fn matches_as_expression(template: &str, path: &str) -> Result<(), String> {
    let Ok(compiled) = PathTemplate::new(template) else { return Ok(()) };
    const ANY: &str = r"[a-zA-Z0-9\-._~%!$&'()+,;:@=*]";
    let segments = compiled.as_envoy().split('/').map(|segment| match segment {
        "*" => format!("{ANY}+"),
        "**" => format!("(?:{ANY}|/)*"),
        literal => regex::escape(literal),
    });
    let expression = format!("^(?:{})$", segments.collect::<Vec<_>>().join("/"));
    let expression = Regex::new(&expression).map_err(|error| error.to_string())?;
    let (got, expected) =
        (compiled.matches(path), expression.is_match(path.split(['?', '#']).next().unwrap_or("")));
    if got == expected {
        return Ok(());
    }
    Err(format!("{template:?} matches {path:?}: {got}, as an expression: {expected}"))
}
