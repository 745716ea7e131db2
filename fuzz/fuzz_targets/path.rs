//! Path normalization and templates: what is normal stays within its laws, and a template matches as the
//! regular expression of its operators does. The first line is the template.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../mesh-authz/tests/law/path.rs"]
mod path;

fuzz_target!(|text: &str| {
    let (template, raw) = text.split_once('\n').unwrap_or(("", text));
    for normalization in path::NORMALIZATIONS {
        assert_eq!(path::is_normal(raw, normalization), Ok(()));
    }
    assert_eq!(path::matches_as_expression(template, raw), Ok(()));
});
