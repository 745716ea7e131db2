//! Paths and templates against their laws.
use proptest::prelude::*;

use self::path::{NORMALIZATIONS, is_normal, matches_as_expression};

#[path = "law/path.rs"]
mod path;

/// Pieces of which paths are made, those that mean something most of all.
fn any_path() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "/", "/", "//", "\\", ".", "..", "%2e", "%2F", "%5c", "%", "%4", "%41", "%%34", ";a=b",
        "a", "b", "|", "~", "*", "?", "#", "%00", " ", "é",
    ]);
    prop::collection::vec(piece, 0..12).prop_map(|pieces| format!("/{}", pieces.concat()))
}

fn any_template() -> impl Strategy<Value = String> {
    let piece =
        prop::sample::select(vec!["/", "/", "/a", "/b", "/{*}", "/{**}", "a", "{*}", "/%41"]);
    prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn a_path_that_is_served_is_normal(raw in any_path()) {
        for normalization in NORMALIZATIONS {
            is_normal(&raw, normalization).map_err(TestCaseError::fail)?;
        }
    }

    #[test]
    fn a_template_matches_as_an_expression_does(
        template in any_template(),
        raw in any_path(),
    ) {
        matches_as_expression(&template, &raw).map_err(TestCaseError::fail)?;
    }
}
