//! What it takes to test a mesh: conformance suites, and later strategies, oracles and fixtures.
pub mod conformance;
