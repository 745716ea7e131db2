//! What it takes to test a mesh: conformance suites, oracles, strategies, and meshes of any size.
pub mod by_hand;
pub mod conformance;
pub mod folder;
pub mod oracle;
pub mod strategy;
pub mod synthetic;
