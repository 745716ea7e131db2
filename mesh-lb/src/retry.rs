//! And if it fails: which host a request may name, and which one a retry may use.
pub mod override_host;
