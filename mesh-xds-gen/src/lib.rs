//! What Envoy is told: xDS resources, snapshots, deltas and ADS sessions.
pub mod cluster;
pub mod delta;
mod encode;
pub mod endpoint;
mod generator;
pub mod grpc;
pub mod jwt;
pub mod listener;
pub mod name;
pub mod name_table;
pub mod rbac;
pub mod resolve;
pub mod route;
mod secret;
pub mod snapshot;
pub mod stock;
pub mod telemetry;
pub mod workload;

pub use self::generator::{Generator, Part, Reach, Resources};
