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

/// Macros that print, read the environment of the build or know of threads.
const FORBIDDEN_MACROS: &[&str] =
    &["print", "println", "eprint", "eprintln", "dbg", "option_env", "thread_local"];

/// What hides from this check what is used: without types a lexer cannot see through it. Spaces stand
/// for any blanks.
const HIDING: &[(&str, &str)] = &[
    ("use std as", "name what you use of `std`"),
    ("extern crate", "name what you use by its path"),
    ("std::r#", "no name of the standard library needs `r#`"),
    ("std::$", "write out what a macro uses of `std`"),
    ("use crate as", "name what you use of the crate"),
    ("use super as", "name what you use of the module above"),
    ("#[path", "a module lies where its name says"),
    (".exists()", IO),
    (".try_exists()", IO),
    (".read_dir()", IO),
    (".canonicalize()", IO),
    (".is_file()", IO),
    (".is_dir()", IO),
];

/// Returns the uses of the outside world in one file of a library crate.
pub(super) fn check(source: &Source) -> Vec<Finding> {
    let is_test = source.path.ends_with("/tests.rs") || source.path.contains("/tests/");
    if is_test || !source.path.ends_with(".rs") {
        return Vec::new();
    }
    let code = scan::without_tests(&scan::code(&source.text));
    let finding = |line, what: &str, instead: &str| {
        let sentence = format!("`{what}` has no place in a library crate: {instead}");
        Finding { path: source.path.clone(), line, sentence }
    };
    let paths = scan::paths(&code);
    let named = paths.iter().filter_map(|path| {
        let (what, instead) = forbidden(path)?;
        Some(finding(path.line, &what, instead))
    });
    let lines = code.lines().enumerate();
    let hiding = lines.filter_map(|(index, line)| {
        let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
        let (what, instead) = HIDING.iter().find(|(what, _)| line.contains(what))?;
        Some(finding(index + 1, what, instead))
    });
    named.chain(hiding).collect()
}

fn forbidden(path: &CodePath) -> Option<(String, &'static str)> {
    let name = path.segments.join("::");
    let last = path.segments.last().map_or("", String::as_str);
    if path.called_macro && FORBIDDEN_MACROS.contains(&last) {
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
        check_text("println!(\"x\"); std::println!();", &["println!", "std::println!"]);
    }

    #[test]
    fn what_hides_a_use_is_refused() {
        check_text("use std as s;\nfn f() { s::fs::read(x) }", &["use std as"]);
        check_text("use crate  as c;", &["use crate as"]);
        check_text("#[path = \"../x.rs\"]\nmod x;", &["#[path"]);
        check_text("macro_rules! m { ($a:ident) => { std::$a::read() } }", &["std::$"]);
        check_text("let is_there = Path::new(name).exists();", &[".exists()"]);
    }

    #[test]
    fn tests_may_do_what_they_like() {
        check_text("#[cfg(test)]\nmod tests { use std::fs; }\n/// Not `std::fs`.\nfn f() {}", &[]);
    }
}
