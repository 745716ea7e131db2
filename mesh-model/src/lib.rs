//! What the mesh is: manifests in, an immutable index out, and what one proxy sees of it.
//!
//! ```text
//! text ──manifest──▶ resources ──registry──▶ Mesh ──view──▶ ProxyView
//! ```
//!
//! No I/O, no clock, no random numbers. Parsing may reject, loading reports, computing cannot fail.
pub mod compat;

pub mod name; // Reading order: from words to what one proxy sees.

pub mod manifest;

pub mod resource;

pub mod endpoint;

pub mod registry;

pub mod view;

pub mod lint;

pub use self::compat::Compat;
