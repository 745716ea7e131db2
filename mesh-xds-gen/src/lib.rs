//! What Envoy is told: xDS resources, snapshots, deltas and ADS sessions.
pub mod delta;
pub mod name;
pub mod route;
pub mod snapshot;
