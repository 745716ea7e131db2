//! And if it fails: whether there may be another attempt, and where it goes.
pub mod accounts;
pub mod budget;
pub mod circuit_breaker;
pub mod host_predicate;
pub mod override_host;
pub mod previous_priorities;
