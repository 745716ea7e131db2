//! Localities: three parts whatever the text, and what is printed is read again.
#![cfg_attr(fuzzing, no_main)]

use mesh_model::name::Locality;

mesh_fuzz::target!(|bytes| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let parsed = Locality::parse(text);
    assert_eq!(Locality::new(parsed.region(), parsed.zone(), parsed.sub_zone()), parsed);
    let printed = parsed.to_string();
    assert_eq!(Locality::parse(&printed).to_string(), printed);
    assert!(printed.len() <= text.len());
    assert!(!parsed.region().contains('/') && !parsed.sub_zone().contains('/'));
});
