//! Selectors: what fails in `mesh whatif` is printed as it is read; the manifest of a label selector decodes
//! or is diagnosed, and what it demands by labels alone it selects.
#![cfg_attr(fuzzing, no_main)]

use std::sync::Arc;

use mesh_lb::whatif::Failure;
use mesh_model::manifest::{Limits, read};
use mesh_model::resource::MeshConfig;

mesh_fuzz::target!(|bytes| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(failure) = text.parse::<Failure>() {
        assert_eq!(failure.to_string().parse::<Failure>().as_ref(), Ok(&failure));
    }
    let manifest = format!("discoverySelectors: [{text}]");
    let reading = read("fuzz", manifest.as_bytes(), &Limits::default());
    for document in &reading.documents {
        let (config, _) = MeshConfig::decode(&document.node, &Arc::from("fuzz"));
        for selector in &config.discovery_selectors {
            let is_plain = selector.match_expressions.is_empty();
            assert!(!is_plain || selector.selects(&selector.match_labels));
        }
    }
});
