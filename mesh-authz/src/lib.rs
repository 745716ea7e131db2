//! Who may call whom: mesh identities and authorization decisions.
//!
//! ```text
//! policies ──select──▶ those of a workload ──compile──▶ filters ──plan──▶ Authorizer ──decide──▶ Decision
//!                                                       (what Envoy gets)               (and why)
//! ```
//!
//! The decision is by construction the one that Envoy reaches with the filters that istiod generates:
//! [`rbac`] holds these filters as values, and the [`Authorizer`] walks them. Where a gRPC server or a
//! ztunnel decides instead ([`data_plane`], or [`Compat::data_plane`](mesh_model::Compat::data_plane)), it
//! decides as they do. No I/O, no clock, no state: tokens are validated and certificates verified before a
//! [`Request`] is made of them.
pub mod request; // Reading order: the path from a request and policies to a decision.

pub mod identity;

pub mod select;

pub mod matcher;

pub mod rbac;

pub mod rule;

pub mod compile;

mod authorizer;

mod of_mesh;

pub mod decision;

pub mod explain;

pub mod dry_run;

pub mod ztunnel;

pub mod analysis;

pub mod lint;

pub use self::authorizer::{Authorizer, ServiceBehind};
pub use self::compile::{Chain, Environment, Policies, Traffic};
pub use self::decision::{Decision, Reason, Verdict};
pub use self::of_mesh::{jwt_rules_of_proxy, jwt_rules_of_service, may_refuse_tokens};
pub use self::request::{Connection, Header, Http, Request};
pub use self::select::{BrokenPolicy, Workload};
pub use mesh_model::view::{data_plane, is_in_mesh, may_be_captured};
