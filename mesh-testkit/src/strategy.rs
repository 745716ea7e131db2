//! Random meshes and requests, skewed to where rules differ.
pub mod authz;
pub mod mesh;
