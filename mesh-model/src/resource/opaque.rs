//! Kinds that are recognised and kept as they are.
mod validate;

use super::Meta;
use crate::manifest::Node;

/// An object whose kind is known and whose fields the library does not read.
///
/// Two of them are equal only if they also stand at the same place of their documents.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "callers build objects by hand")]
pub struct Opaque {
    /// Name, namespace, labels.
    pub meta: Meta,
    /// The group and version, such as `networking.istio.io/v1alpha3`.
    pub api_version: Box<str>,
    /// The kind, such as `EnvoyFilter`.
    pub kind: &'static str,
    /// The whole object.
    pub node: Node,
}
