//! Oracles: each rule typed out a second time, slow and obvious, plain data in and plain data out.
//!
//! An engine and its oracle share no code; random inputs must make them agree.
pub mod ads_client;
pub mod assign;
pub mod authz;
pub mod breaker;
pub mod connections;
pub mod ejections;
pub mod grpc;
pub mod hash;
pub mod health;
pub mod host;
pub mod keys;
pub mod load;
pub mod load_aware;
pub mod merge;
pub mod outlier;
pub mod pick;
pub mod retry;
pub mod subset;
pub mod zone;
pub mod ztunnel;
