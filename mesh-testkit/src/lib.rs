//! Strategies, oracles, fixtures and conformance suites for testing meshes.
