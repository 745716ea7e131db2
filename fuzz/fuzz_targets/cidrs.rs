//! Ranges, two a line: what is printed is read again, a range holds its address, sharing is mutual.
#![cfg_attr(fuzzing, no_main)]

use mesh_model::name::Cidr;

mesh_fuzz::target!(|bytes| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (left, right) = text.split_once('\n').unwrap_or((text, "10.0.0.0/8"));
    let Ok(a) = left.parse::<Cidr>() else { return };
    assert_eq!(a.to_string().parse::<Cidr>().as_ref(), Ok(&a));
    assert!(a.contains(a.address()) && a.overlaps(&a));
    if let Ok(b) = right.parse::<Cidr>() {
        assert_eq!(a.overlaps(&b), b.overlaps(&a));
        assert!(a.overlaps(&b) || !a.contains(b.address()));
    }
});
