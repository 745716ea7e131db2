//! What it takes to test a mesh: conformance suites and oracles, and later strategies and fixtures.
pub mod by_hand;
pub mod conformance;
pub mod oracle;
