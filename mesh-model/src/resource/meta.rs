//! What every object has: a name, a namespace, labels, annotations and an age.
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, LazyLock};

use crate::manifest::decode::{Cursor, Message, Timestamp, message};
use crate::manifest::{METADATA_FIELDS, Node};
use crate::name::{Labels, Namespace, Text, Texts, share_text};

/// The metadata of an object: what is its own, and what it has in common with its neighbours.
///
/// There may be a million pods, and nearly all that those of one owner say of themselves is the same. That is behind
/// one pointer, [`common`](Self::common), which the registry shares between them. It is read and written as if it
/// stood here (`meta.labels`); writing to it where it is shared makes a copy first.
///
/// # Examples
///
/// ```
/// use mesh_model::resource::Meta;
///
/// let mut meta = Meta::new("shop", "cart");
/// meta.labels = [("app", "cart")].into_iter().collect();
/// assert_eq!((&*meta.name, meta.namespace.as_str()), ("cart", "shop"));
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "callers build objects by hand")]
pub struct Meta {
    /// The object's name.
    pub name: Text,
    /// The object's namespace, which objects are found by; empty for kinds without one.
    pub namespace: Namespace,
    /// The object's `uid`, empty where the manifest does not say.
    pub uid: Text,
    /// When the object was created: seconds since 1970 in UTC, `None` where the manifest does not say,
    /// which counts as older than any time (Go's zero time).
    pub creation: Option<i64>,
    /// What other objects may say, too.
    pub common: Arc<CommonMeta>,
}

/// What the objects of one owner mostly have in common of their metadata.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "callers build objects by hand")]
pub struct CommonMeta {
    /// The labels.
    pub labels: Labels,
    /// The annotations.
    pub annotations: Labels,
    /// What `metadata.generateName` says, empty if nothing.
    pub generate_name: Arc<str>,
    /// The owner that has `controller: true`, if any.
    pub controller: Option<Arc<Owner>>,
    /// When deletion was asked for, as [`Meta::creation`]: it is no other object's, but few are being deleted.
    pub deletion: Option<i64>,
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
    /// The metadata of an object of which nothing else is said.
    pub fn new(namespace: impl Into<Namespace>, name: impl Into<Text>) -> Self {
        Self { name: name.into(), namespace: namespace.into(), ..Self::default() }
    }

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
        if self.common == near.common {
            self.common.clone_from(&near.common);
        } else if let Some(common) = Arc::get_mut(&mut self.common) {
            common.share(&near.common);
        }
    }

    /// Takes the allocations that are known of its texts.
    pub(crate) fn share_texts(&mut self, texts: &mut Texts) {
        self.namespace.share(texts);
    }
}

impl CommonMeta {
    /// Takes the allocations of another object's for what is equal to it.
    fn share(&mut self, near: &Self) {
        self.labels.share(&near.labels);
        self.annotations.share(&near.annotations);
        share_text(&mut self.generate_name, &near.generate_name);
        if self.controller == near.controller {
            self.controller.clone_from(&near.controller);
        }
    }
}

impl Default for Meta {
    fn default() -> Self {
        static NONE: LazyLock<Arc<CommonMeta>> = LazyLock::new(<_>::default);
        let common = Arc::clone(&NONE);
        let (name, namespace) = (Text::default(), Namespace::default());
        Self { name, namespace, uid: Text::default(), creation: None, common }
    }
}

impl Deref for Meta {
    type Target = CommonMeta;

    #[inline]
    fn deref(&self) -> &CommonMeta {
        &self.common
    }
}

impl DerefMut for Meta {
    fn deref_mut(&mut self) -> &mut CommonMeta {
        Arc::make_mut(&mut self.common)
    }
}

message! {
    /// `metadata` as it is written.
    struct Written ignoring unknown {
        /// The name.
        name: Text = "name",
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
        uid: Text = "uid",
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
        let common = CommonMeta {
            labels: written.labels,
            annotations: written.annotations,
            generate_name: written.generate_name,
            controller: controller.map(|owner| Arc::new(owner.into())),
            deletion: written.deletion.map(|time| time.0),
        };
        Self {
            namespace: written.namespace,
            name: written.name,
            uid: written.uid,
            creation: written.creation.map(|time| time.0),
            common: common.into(),
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
    pub name: Text,
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.kind, self.namespace, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta(name: &str, app: &str) -> Meta {
        let mut meta = Meta::new("shop", name);
        meta.labels = [("app", app), ("tier", "web")].into_iter().collect();
        meta
    }

    #[test]
    fn what_neighbours_have_in_common_is_one_allocation() {
        let (near, mut equal) = (meta("cart-1", "cart"), meta("cart-2", "cart"));
        equal.share(&near);
        assert!(Arc::ptr_eq(&equal.common, &near.common));
        assert_eq!(equal, meta("cart-2", "cart"));
        equal.deletion = Some(60);
        assert_eq!((near.deletion, equal.deletion), (None, Some(60)));
    }

    #[test]
    fn what_differs_shares_its_parts() {
        let (near, mut other) = (meta("cart-1", "cart"), meta("news-1", "news"));
        other.share(&near);
        assert_eq!(other, meta("news-1", "news"));
        assert!(std::ptr::eq(other.namespace.as_str(), near.namespace.as_str()));
        let text = |meta: &Meta| std::ptr::from_ref(meta.labels.value("tier"));
        assert!(std::ptr::addr_eq(text(&other), text(&near)));
    }

    #[test]
    fn metadata_of_which_nothing_is_said_is_no_allocation() {
        assert!(Arc::ptr_eq(&Meta::default().common, &Meta::default().common));
        assert!(size_of::<Meta>() <= 6 * size_of::<u64>());
    }
}
