//! What every object has: a name, a namespace, labels, annotations and an age.
use std::fmt;
use std::sync::Arc;

use crate::manifest::decode::{Cursor, Message, Timestamp, message};
use crate::manifest::{METADATA_FIELDS, Node};
use crate::name::{Labels, Namespace, share_text};

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
    pub generate_name: Arc<str>,
    /// The owner that has `controller: true`, if any.
    pub controller: Option<Arc<Owner>>,
}

/// The controlling owner of an object.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "callers build objects by hand")]
pub struct Owner {
    /// The owner's API group, such as `apps`; empty for Kubernetes' core.
    pub group: Box<str>,
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

    /// Takes the allocations of another object's metadata for what is equal to it.
    pub(crate) fn share(&mut self, near: &Self) {
        if self.namespace == near.namespace {
            self.namespace.clone_from(&near.namespace);
        }
        self.labels.share(&near.labels);
        self.annotations.share(&near.annotations);
        share_text(&mut self.generate_name, &near.generate_name);
        if self.controller == near.controller {
            self.controller.clone_from(&near.controller);
        }
    }
}

message! {
    /// `metadata` as it is written.
    struct Written ignoring unknown {
        /// The name.
        name: Box<str> = "name",
        /// The namespace.
        namespace: Namespace = "namespace",
        /// The labels.
        labels: Labels = "labels",
        /// The annotations.
        annotations: Labels = "annotations",
        /// When it was created.
        creation: Option<Timestamp> = "creationTimestamp",
        /// When deletion was asked for.
        deletion: Option<Timestamp> = "deletionTimestamp",
        /// The unique id.
        uid: Box<str> = "uid",
        /// The name's beginning, where the API server chose the rest.
        generate_name: Arc<str> = "generateName",
        /// The owners.
        owners: Vec<WrittenOwner> = "ownerReferences",
    }
}

message! {
    /// An entry of `ownerReferences`.
    struct WrittenOwner ignoring unknown {
        /// The group and version.
        api_version: Box<str> = "apiVersion",
        /// The kind.
        kind: Box<str> = "kind",
        /// The name.
        name: Box<str> = "name",
        /// Whether it is the one that manages the object.
        controller: bool = "controller",
    }
}

/// The kinds whose labels decide which policies are in force for whom.
const SELECTED: [&str; 5] = ["Pod", "Namespace", "Service", "ServiceEntry", "WorkloadEntry"];

/// What a label that is none does.
const UNSEEN: &str =
    " until then no selector of a policy, no discovery selector and no waypoint sees what it says";

impl Meta {
    /// Reports what the `metadata` of an object of a kind has and none should.
    ///
    /// # Upstream
    ///
    /// The strict validation of `kubectl`; the API server drops the field if it is asked for none.
    pub(super) fn unknown_fields(object: &Node, kind: &str, cursor: &mut Cursor) {
        let Some(metadata) = object.get(&["metadata"]) else { return };
        let known = METADATA_FIELDS.map(|name| (name, name));
        let before = cursor.unknown.len();
        cursor.field("metadata", |cursor| cursor.unknown_fields(metadata, &[&known]));
        let found = cursor.unknown.get_mut(before..).unwrap_or_default();
        for problem in found.iter_mut().filter(|_| SELECTED.contains(&kind)) {
            if problem.help.contains("`labels`") {
                problem.help.push_str(UNSEEN);
            }
        }
    }

    /// Reads `metadata`, as much of it as can be read; the namespace is as written.
    pub(super) fn read(node: &Node, cursor: &mut Cursor) -> Self {
        let mut written = Written::default();
        if cursor.expect_map(node) {
            written.overlay(node, cursor);
        }
        let controller = written.owners.into_iter().find(|owner| owner.controller);
        Self {
            name: written.name,
            namespace: written.namespace,
            labels: written.labels,
            annotations: written.annotations,
            creation: written.creation.map(|time| time.0),
            deletion: written.deletion.map(|time| time.0),
            uid: written.uid,
            generate_name: written.generate_name,
            controller: controller.map(|owner| Arc::new(owner.into())),
        }
    }
}

impl From<WrittenOwner> for Owner {
    fn from(written: WrittenOwner) -> Self {
        let WrittenOwner { api_version, kind, name, .. } = written;
        Self { group: group_of(&api_version).into(), kind, name }
    }
}

/// The group of an `apiVersion`, empty for Kubernetes' core.
pub(crate) fn group_of(api_version: &str) -> &str {
    api_version.split_once('/').map_or("", |(group, _)| group)
}

/// The kind, namespace and name of an object, printed `Kind/namespace/name`.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_structs, reason = "a key has these three parts")]
pub struct ObjectKey {
    /// The kind, such as `DestinationRule`; with its group where two kinds have one name
    /// (`Gateway.gateway.networking.k8s.io`).
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
