//! Durations: what is printed is read again as the same.
#![cfg_attr(fuzzing, no_main)]

use mesh_model::name::Duration;

mesh_fuzz::target!(|bytes| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(parsed) = text.parse::<Duration>() {
        let printed = parsed.to_string();
        assert_eq!(printed.parse::<Duration>().as_ref(), Ok(&parsed), "{printed}");
    }
});
