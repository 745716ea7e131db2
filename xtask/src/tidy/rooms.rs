//! Imports between the rooms of a crate: only in the direction data flows.
//!
//! A room is a top-level module. Code says where a thing lives (`crate::load::spill`); the names
//! that `lib.rs` exports again are for other crates, so that no edge hides behind the root.
use crate::tidy::Finding;
use crate::tidy::drawn::Plan;
use crate::tidy::scan::{self, Source};

/// Returns the imports of one file that the plan does not draw. `inner` is the file's path below
/// `src/`.
pub(super) fn check(plan: &Plan, inner: &str, source: &Source) -> Vec<Finding> {
    let module: Vec<&str> = inner.trim_end_matches(".rs").split('/').collect();
    let Some(&room) = module.first() else { return Vec::new() };
    if !inner.ends_with(".rs") || room == "lib" || module.contains(&"tests") {
        return Vec::new();
    }
    let finding = |line, sentence| Finding { path: source.path.clone(), line, sentence };
    if !plan.has(room) {
        return vec![finding(
            1,
            format!("room `{room}` of {} is not drawn: {HOW_TO_DRAW}", plan.package),
        )];
    }
    let code = scan::without_tests(&scan::code(&source.text));
    let mut findings: Vec<Finding> = Vec::new();
    for path in scan::paths(&code) {
        let segments: Vec<&str> = path.segments.iter().map(String::as_str).collect();
        let Some(target) = first_room(&module, &segments) else { continue };
        if !plan.has(target) {
            let sentence = format!(
                "`crate::{target}` hides the room it lives in: write `crate::ROOM::{target}`"
            );
            findings.push(finding(path.line, sentence));
        } else if !plan.allows(room, target) {
            let sentence = format!(
                "room `{room}` may not use `{target}`, data flows the other way: move what both need, or {HOW_TO_DRAW}"
            );
            findings.push(finding(path.line, sentence));
        }
    }
    // `use crate::load::{A, B}` is one import, not two.
    findings.dedup();
    findings
}

const HOW_TO_DRAW: &str = "draw it in `xtask/src/tidy/drawn.rs` and ARCHITECTURE.md";

/// The first name below the crate's root that a path leads to; none if it does not name the root.
fn first_room<'p>(module: &[&'p str], path: &[&'p str]) -> Option<&'p str> {
    let supers = path.iter().take_while(|&&segment| segment == "super").count();
    match path.first()? {
        &"crate" => path.get(1).copied(),
        // Beyond the root there is nothing: a path that compiles leads no further up.
        &"super" if supers >= module.len() => path.get(supers).copied(),
        &"super" | &"self" => module.first().copied(),
        _ => None,
    }
}

impl Plan {
    fn has(&self, room: &str) -> bool {
        self.order.contains(&room) || self.everywhere.contains(&room)
    }

    fn allows(&self, from: &str, to: &str) -> bool {
        let place = |room| self.order.iter().position(|&name| name == room);
        let in_order = match (place(from), place(to)) {
            (Some(from), Some(to)) => to <= from,
            (Some(_), None) => true,
            (None, Some(to)) => to == 0,
            (None, None) => from == to,
        };
        let turned_around = self.extra.contains(&(to, from));
        self.extra.contains(&(from, to)) || (in_order && !turned_around)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: Plan = Plan {
        package: "mesh-x",
        order: &["name", "load", "pick"],
        everywhere: &["compat"],
        extra: &[("load", "pick")],
    };

    fn check_file(inner: &str, text: &str, expected: &[&str]) {
        let source = Source { path: format!("mesh-x/src/{inner}"), text: text.to_owned() };
        let found: Vec<String> = check(&PLAN, inner, &source)
            .iter()
            .map(|finding| {
                let words: Vec<&str> = finding.sentence.split('`').collect();
                format!("{} {}", finding.line, words.get(1).copied().unwrap_or_default())
            })
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_room_uses_what_stands_before_it() {
        check_file(
            "pick/ring.rs",
            "use crate::name::Host;\nuse super::{hash, super::name::Load};",
            &[],
        );
        check_file(
            "pick.rs",
            "mod ring;\npub use self::ring::Ring; fn f(c: crate::compat::Compat) {}",
            &[],
        );
    }

    #[test]
    fn a_room_never_uses_what_stands_after_it() {
        check_file("name.rs", "use crate::{\n  load::Load,\n  name::Host };", &["2 name"]);
        check_file("name/host.rs", "fn f() { super::super::pick::pick() }", &["1 name"]);
        check_file("compat.rs", "use crate::name::Version; use crate::pick::Pick;", &["1 compat"]);
    }

    #[test]
    fn an_extra_edge_turns_the_order_around() {
        check_file("load.rs", "use crate::pick::Pick;", &[]);
        check_file("pick.rs", "use crate::load::Load;", &["1 pick"]);
    }

    #[test]
    fn the_root_hides_no_edge() {
        check_file("load.rs", "use crate::Pick;", &["1 crate::Pick"]);
        check_file("helpers.rs", "//! x", &["1 helpers"]);
        check_file("lib.rs", "pub use crate::pick::Pick;", &[]);
    }

    #[test]
    fn tests_and_text_import_what_they_like() {
        check_file(
            "name.rs",
            "// crate::pick\n#[cfg(test)]\nmod tests { use crate::pick::Pick; }",
            &[],
        );
        check_file("name/tests.rs", "use crate::pick::Pick;", &[]);
    }
}
