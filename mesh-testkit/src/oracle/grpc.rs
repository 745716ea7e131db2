//! What a gRPC client makes of an assignment: acceptance, weights, levels in use, shares and picks.
pub mod assignment;
pub mod channel;
pub mod outlier;
pub mod reports;
pub mod share;
