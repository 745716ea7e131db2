//! What every object has: a name, a namespace, labels, annotations and an age.
use std::fmt;

use crate::name::{Labels, Namespace};

/// The metadata of an object.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "callers build objects by hand")]
pub struct Meta {
    /// The object's name.
    pub name: Box<str>,
    /// The object's namespace; empty for kinds without one.
    pub namespace: Namespace,
    /// The labels.
    pub labels: Labels,
    /// The annotations.
    pub annotations: Labels,
    /// When the object was created: seconds since 1970 in UTC, `None` where the manifest does not say,
    /// which counts as older than any time (Go's zero time).
    pub creation: Option<i64>,
    /// When deletion was asked for, as `creation`.
    pub deletion: Option<i64>,
    /// The object's `uid`, empty where the manifest does not say.
    pub uid: Box<str>,
    /// What `metadata.generateName` says, empty if nothing.
    pub generate_name: Box<str>,
    /// The owner that has `controller: true`, if any.
    pub controller: Option<Owner>,
}

/// The controlling owner of an object.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "callers build objects by hand")]
pub struct Owner {
    /// The owner's kind.
    pub kind: Box<str>,
    /// The owner's name.
    pub name: Box<str>,
}

impl Meta {
    /// The order in which objects of one kind count: by creation time, name, namespace.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/model/config.go` `configCompareByCreationTime`.
    pub fn age(&self) -> (Option<i64>, &str, &Namespace) {
        (self.creation, &self.name, &self.namespace)
    }
}

/// The kind, namespace and name of an object, printed `Kind/namespace/name`.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_structs, reason = "a key has these three parts")]
pub struct ObjectKey {
    /// The kind, such as `DestinationRule`.
    pub kind: &'static str,
    /// The namespace; empty for kinds without one.
    pub namespace: Namespace,
    /// The name.
    pub name: Box<str>,
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.kind, self.namespace, self.name)
    }
}
