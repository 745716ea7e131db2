//! What a gRPC client with xDS does with an assignment: not what Envoy does.
//!
//! ```text
//! assignment ─accept─▶ levels ─connectivity─▶ one level ─locality weights─▶ ready endpoints
//!                                    └─▶ no level ready: RPCs queue, or fail
//! ```
//!
//! There is no overprovisioning, no panic, no degraded class and no awareness of zones: a level
//! takes everything or nothing, by whether a connection to one of its endpoints stands.
pub mod assignment;
pub mod connectivity;
pub mod hash_policy;
pub mod level_names;
pub mod outlier;
pub mod priority;
pub mod ring;
pub mod share;
pub mod wrr;
