//! Which endpoint: the algorithms that pick one host of a list.
//!
//! A list is a number of hosts, a host is an index into it. Random numbers are drawn from a
//! function that the caller passes, in the order in which Envoy draws them.
pub mod client_side;
pub mod edf;
pub mod least_request;
pub mod peak_ewma;
pub mod random;
pub mod round_robin;
pub mod slow_start;
pub mod turns;

// The hash balancers: a request's hash, the hosts' weights, two tables, and what bounds them.
pub mod bounded_load;
pub mod hash;
pub mod hash_policy;
pub mod maglev;
mod mt19937;
pub mod ring_hash;
pub mod weight;
