//! What is asked: one file a kind, every field that the kind has.
//!
//! A resource is what its manifest says, typed; what a rule of validation refuses never becomes one.
//! Security policies keep their values as text: what a data plane would drop is the compiler's to
//! report.
mod authorization_policy;
mod meta;
mod peer_authentication;
mod selector;

pub use self::authorization_policy::{
    Action, AuthorizationPolicy, AuthorizationPolicySpec, Condition, From, Operation, Provider,
    Rule, Source, To,
};
pub use self::meta::{Meta, ObjectKey, Owner};
pub use self::peer_authentication::{
    MutualTls, MutualTlsMode, PeerAuthentication, PeerAuthenticationSpec,
};
pub use self::selector::{PolicyTargetReference, WorkloadSelector};
