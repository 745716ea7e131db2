//! Path normalization and templates: what is normal stays within its laws, and a template matches as the
//! regular expression of its operators does. The first line is the template.
#![cfg_attr(fuzzing, no_main)]

#[path = "../../mesh-authz/tests/law/path.rs"]
mod path;

mesh_fuzz::target!(|bytes| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (template, raw) = text.split_once('\n').unwrap_or(("", text));
    for normalization in path::NORMALIZATIONS {
        assert_eq!(path::is_normal(raw, normalization), Ok(()));
    }
    assert_eq!(path::matches_as_expression(template, raw), Ok(()));
});
