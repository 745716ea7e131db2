//! What it takes to test a mesh: conformance suites, oracles and strategies, and later fixtures.
pub mod by_hand;
pub mod conformance;
pub mod oracle;
pub mod strategy;
