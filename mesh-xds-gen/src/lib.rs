//! What Envoy is told: xDS resources, snapshots, deltas and ADS sessions.
pub mod cluster;
pub mod delta;
pub mod endpoint;
mod generator;
pub mod name;
pub mod snapshot;

pub use self::generator::{Generator, Resources};
