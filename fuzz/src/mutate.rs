//! Inputs near those that are known.
use rand::RngExt as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

/// Longer inputs are cut: what breaks breaks small.
const LONGEST: usize = 4_096;

/// What parsers of this project see something in.
const TOKENS: &[&[u8]] = &[
    b"\n",
    b"\n---\n",
    b": ",
    b"- ",
    b"{",
    b"}",
    b"[",
    b"]",
    b"\"",
    b"'",
    b"&a ",
    b"*a",
    b"<<: ",
    b"|\n ",
    b"*",
    b".",
    b"/",
    b"..",
    b"%2f",
    b"%00",
    b"\\",
    b"//",
    b":",
    b";",
    b",",
    b"0",
    b"-1",
    b"18446744073709551615",
    b"1e309",
    b"\xff",
    b"\xc3\x28",
    b"\0",
    b"s",
    b"h",
    b"::",
    b"::1/128",
    b"10.0.0.0/8",
    b"{*}",
    b"{**}",
    b"spiffe://",
    b"cluster.local",
    b"null",
    b"true",
    b"not",
    b"in",
    b"exists",
    b"\xe2\x80\xa8",
];

/// One of the inputs with a few changes.
pub(crate) fn mutated(pool: &[Vec<u8>], random: &mut StdRng) -> Vec<u8> {
    let mut bytes = pool.choose(random).cloned().unwrap_or_default();
    for _ in 0..random.random_range(1..=6) {
        change(&mut bytes, pool, random);
    }
    bytes.truncate(LONGEST);
    bytes
}

fn change(bytes: &mut Vec<u8>, pool: &[Vec<u8>], random: &mut StdRng) {
    let at = random.random_range(0..=bytes.len());
    let end = random.random_range(at..=bytes.len().min(at + 32));
    match random.random_range(0..7) {
        0 => bytes.insert(at, random.random()),
        1 => bytes.get_mut(at).into_iter().for_each(|byte| *byte ^= 1 << random.random_range(0..8)),
        2 => bytes.get_mut(at).into_iter().for_each(|byte| *byte = random.random()),
        3 => drop(bytes.drain(at..end)),
        4 => {
            let copy = bytes.get(at..end).unwrap_or_default().to_vec();
            insert(bytes, end, &copy);
        }
        5 => insert(bytes, at, TOKENS.choose(random).copied().unwrap_or_default()),
        _ => {
            // The beginning of one input with the end of another.
            let other = pool.choose(random).map(Vec::as_slice).unwrap_or_default();
            let from = random.random_range(0..=other.len());
            bytes.truncate(at);
            bytes.extend_from_slice(other.get(from..).unwrap_or_default());
        }
    }
}

fn insert(bytes: &mut Vec<u8>, at: usize, more: &[u8]) {
    drop(bytes.splice(at..at, more.iter().copied()));
}
