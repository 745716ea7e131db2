//! The filters that istiod generates, as neutral values: what Envoy is told, and what is decided by.
//!
//! ```text
//! Filters ─▶ Filter ─▶ Rules ─▶ Policy ─▶ permissions × principals ─▶ Entry ─▶ Clause ─▶ Node ─▶ test
//!            (chain)   (map)    (a rule)  (any, any)                   (all)    (a field)
//! ```
//!
//! A generator of configuration writes these trees as they stand; the authorizer walks the same ones,
//! so what is decided is by construction what Envoy decides.
mod filter;
mod node;
mod policy;

pub use self::filter::{Filter, Purpose, RbacFilter, Rules};
pub use self::node::{HeaderTest, HeaderValue, Node, PathTest, PermissionTest, PrincipalTest};
pub(crate) use self::node::{Key, Test};
pub use self::policy::{Body, Clause, Entry, Field, Origin, Place, Policy};
