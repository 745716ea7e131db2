//! What a ztunnel does with a connection: which service, which workload, and through what.
//!
//! ```text
//! address ─▶ service ─▶ its waypoint, else candidates ─rank─▶ the best ─capacity─▶ one workload
//!    └─────▶ workload ─────────────────────────────────────▶ HBONE, plain TCP, or a gateway
//! ```
//!
//! Only the best rank counts: one healthy workload of it takes everything.
pub mod route;
pub mod select;
pub mod service;
pub mod workload;
