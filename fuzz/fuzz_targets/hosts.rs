//! Hosts, two names a line: covering is reflexive and implies matching, their order is one, and both
//! relations are those of the oracle.
#![cfg_attr(fuzzing, no_main)]

use std::cmp::Ordering;

use mesh_model::name::Hostname;
use mesh_testkit::oracle::host;

mesh_fuzz::target!(|bytes| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (left, right) = text.split_once('\n').unwrap_or((text, "*.example.org"));
    let (a, b) = (Hostname::from(left), Hostname::from(right));
    assert!(a.is_subset_of(left) && a.matches(left));
    assert_eq!(a.matches(right), b.matches(left));
    assert!(!a.is_subset_of(right) || a.matches(right));
    assert_eq!(a.matches(right), host::meet(left, right));
    assert_eq!(a.is_subset_of(right), host::is_subset(left, right));
    assert_eq!(a.by_specificity(&b), b.by_specificity(&a).reverse());
    assert_eq!(a.by_specificity(&b) == Ordering::Equal, a == b);
    let full = Hostname::resolve(left, "shop", "cluster.local");
    assert_eq!(Hostname::resolve(full.as_str(), "other", "cluster.local"), full);
});
