//! No clock, environment, file, socket, thread and random number in a library crate: they are
//! arguments. `wasm32-unknown-unknown` builds prove the same from the other side.
use crate::tidy::Finding;
use crate::tidy::scan::{self, CodePath, Source};

/// What may not be named, and what to do instead.
const FORBIDDEN: &[(&str, &str)] = &[
    ("std::time::Instant", TIME),
    ("std::time::SystemTime", TIME),
    ("std::time::UNIX_EPOCH", TIME),
    ("std::env", "configuration is an argument"),
    ("std::fs", "take the text and the name of its source as arguments"),
    ("std::io::stdin", IO),
    ("std::io::stdout", IO),
    ("std::io::stderr", IO),
    ("std::os", IO),
    ("std::process", IO),
    ("std::net::TcpListener", IO),
    ("std::net::TcpStream", IO),
    ("std::net::UdpSocket", IO),
    ("std::net::ToSocketAddrs", IO),
    ("std::thread", "the caller decides about threads"),
    ("std::hash::RandomState", RANDOM),
    ("std::collections::hash_map::RandomState", RANDOM),
    ("rand::rng", RANDOM),
    ("rand::thread_rng", RANDOM),
    ("rand::random", RANDOM),
    ("rand::rngs::OsRng", RANDOM),
    ("rand::rngs::ThreadRng", RANDOM),
    ("rand::rngs::SysRng", RANDOM),
    ("getrandom", RANDOM),
    ("fastrand", RANDOM),
];

const TIME: &str = "time is an argument";
const IO: &str = "I/O belongs to the caller";
const RANDOM: &str = "random numbers are arguments";

/// Macros that print or read the environment of the build.
const FORBIDDEN_MACROS: &[&str] = &["print", "println", "eprint", "eprintln", "dbg", "option_env"];

/// Returns the uses of the outside world in one file of a library crate.
pub(super) fn check(source: &Source) -> Vec<Finding> {
    let is_test = source.path.ends_with("/tests.rs") || source.path.contains("/tests/");
    if is_test || !source.path.ends_with(".rs") {
        return Vec::new();
    }
    let code = scan::without_tests(&scan::code(&source.text));
    scan::paths(&code)
        .iter()
        .filter_map(|path| {
            let (what, instead) = forbidden(path)?;
            let sentence = format!("`{what}` has no place in a library crate: {instead}");
            Some(Finding { path: source.path.clone(), line: path.line, sentence })
        })
        .collect()
}

fn forbidden(path: &CodePath) -> Option<(String, &'static str)> {
    let name = path.segments.join("::");
    if path.called_macro && FORBIDDEN_MACROS.contains(&name.as_str()) {
        return Some((format!("{name}!"), IO));
    }
    // `use std::net;` and `use std::net::*;` would hide what is used of it.
    let opened = name.trim_end_matches("::self").trim_end_matches("::*");
    FORBIDDEN.iter().find_map(|&(what, instead)| {
        let inside =
            name.strip_prefix(what).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"));
        let hidden = path.segments.len() > 1
            && what.strip_prefix(opened).is_some_and(|rest| rest.starts_with("::"));
        (inside && path.segments.len() > 1 || hidden).then(|| (name.clone(), instead))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_text(text: &str, expected: &[&str]) {
        let source = Source { path: "mesh-lb/src/load.rs".to_owned(), text: text.to_owned() };
        let found: Vec<String> = check(&source)
            .iter()
            .filter_map(|finding| finding.sentence.split('`').nth(1).map(str::to_owned))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn durations_and_addresses_are_values() {
        check_text(
            "use std::net::{IpAddr, Ipv4Addr};\nuse std::time::Duration;\nfn random(r: u64) { fs(r) }",
            &[],
        );
        check_text(
            "let environment = env!(\"X\"); let thread = 1; let time = std::time::Duration::ZERO;",
            &[],
        );
    }

    #[test]
    fn a_clock_is_refused_however_it_is_named() {
        check_text("let now = std::time::Instant::now();", &["std::time::Instant::now"]);
        check_text("use std::time::{Duration, SystemTime};", &["std::time::SystemTime"]);
        check_text("use std::time;", &["std::time"]);
        check_text("use std::time::*;", &["std::time::*"]);
    }

    #[test]
    fn files_sockets_threads_environment_and_chance_are_refused() {
        check_text("use std::{env, fs::File};", &["std::env", "std::fs::File"]);
        check_text(
            "use std::net::{self, UdpSocket as S};",
            &["std::net::self", "std::net::UdpSocket"],
        );
        check_text("std::thread::spawn(f); rand::rng();", &["std::thread::spawn", "rand::rng"]);
        check_text("println!(\"x\");", &["println!"]);
    }

    #[test]
    fn tests_may_do_what_they_like() {
        check_text("#[cfg(test)]\nmod tests { use std::fs; }\n/// Not `std::fs`.\nfn f() {}", &[]);
    }
}
