//! What the mesh is: manifests in, an immutable index out, and what one proxy sees of it.
//!
//! ```text
//! text ──manifest──▶ resources ──registry──▶ Mesh ──view──▶ ProxyView
//! ```
//!
//! No I/O, no clock, no random numbers. Parsing may reject, loading reports, computing cannot fail.
pub mod manifest;
pub mod name;
pub mod resource;
