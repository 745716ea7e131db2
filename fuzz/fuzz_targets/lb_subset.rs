//! Subsets: a request is picked among the hosts that the oracle names, whatever the selectors and fallbacks.
#![cfg_attr(fuzzing, no_main)]

#[path = "../../mesh-lb/tests/subset/engine.rs"]
mod engine;

use mesh_testkit::oracle::subset::{self as oracle, Fallback, Pairs};

const KEYS: [&str; 3] = ["a", "b", "c"];

mesh_fuzz::target!(|bytes| {
    let [switches, default, asked, list, rest @ ..] = bytes else { return };
    let middle = rest.len().min(usize::from(switches >> 4) % 6);
    let (selectors, hosts) = rest.split_at(middle);
    let rules = oracle::Rules {
        selectors: selectors.iter().filter_map(|&byte| selector(byte)).collect(),
        default: pairs(*default),
        fallback: match switches & 3 {
            0 => Fallback::Nothing,
            1 => Fallback::Any,
            _ => Fallback::Default,
        },
        panic_any: switches & 4 != 0,
        redundant_keys: switches & 8 != 0,
    };
    let hosts: Vec<oracle::Metadata> = hosts.iter().take(8).map(|&byte| host(byte)).collect();
    let asked = pairs(*asked);
    // Up to two entries of a list that is tried in turn.
    let list: Option<Vec<Pairs>> = (list & 3 != 3).then(|| {
        (0..list & 3).map(|entry| pairs(list.rotate_right(2 + 3 * u32::from(entry)))).collect()
    });
    let list = list.as_deref();
    let found = engine::hosts(&rules, &hosts, &asked, list);
    assert_eq!(found, oracle::hosts(&rules, &hosts, &asked, list));
});

/// Two bits a key: absent, or one of two values.
fn pairs(byte: u8) -> Pairs {
    let value = |shift: usize| match (byte >> (2 * shift)) & 3 {
        1 => Some("1"),
        2 => Some("2"),
        _ => None,
    };
    let all = KEYS.iter().enumerate();
    all.filter_map(|(at, key)| Some(((*key).to_owned(), value(at)?.to_owned()))).collect()
}

/// Two bits a key: absent, one of two values, or both.
fn host(byte: u8) -> oracle::Metadata {
    let values = |shift: usize| match (byte >> (2 * shift)) & 3 {
        0 => None,
        1 => Some(vec!["1".to_owned()]),
        2 => Some(vec!["2".to_owned()]),
        _ => Some(vec!["1".to_owned(), "2".to_owned()]),
    };
    let all = KEYS.iter().enumerate();
    all.filter_map(|(at, key)| Some(((*key).to_owned(), values(at)?))).collect()
}

/// A bit a key, then what happens without such a subset.
fn selector(byte: u8) -> Option<oracle::Selector> {
    let chosen = KEYS.iter().enumerate().filter(|(at, _)| byte >> at & 1 != 0);
    let keys: Vec<String> = chosen.map(|(_, key)| (*key).to_owned()).collect();
    let fallback = match (byte >> 3) % 5 {
        0 => Some(Fallback::Nothing),
        1 => Some(Fallback::Any),
        2 => Some(Fallback::Default),
        3 if keys.len() > 1 => Some(Fallback::Keys(keys.iter().skip(1).cloned().collect())),
        _ => None,
    };
    (!keys.is_empty()).then_some(oracle::Selector { keys, fallback })
}
