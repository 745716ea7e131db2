//! Policies in texts: manifests that a value of another object holds, as a file in a ConfigMap does.
//!
//! | Where | What becomes of them |
//! |---|---|
//! | what somebody applies as it is | they close what they might, as an object does that is carried |
//! | a policy | the same: a `---` that is no line of its own ends no document |
//! | anything else | they are told: nobody here applies them |
//!
//! What repeats the object that it stands in, as tools note what they applied, holds nothing.
use std::borrow::Cow;
use std::sync::Arc;

use super::carried::carried;
use super::{Origin, Registry};
use crate::manifest::decode::base64;
use crate::manifest::{
    self, Diagnostic, Document, Head, Limits, Meant, Node, Place, Reading, Severity, Value,
    names_security, said_kinds,
};

/// Texts with policies, and which objects somebody applies the texts of.
#[derive(Debug, Default)]
pub(super) struct Texts {
    held: Vec<Held>,
    applied: Vec<Reference>,
}

/// A text that holds a policy.
#[derive(Debug)]
struct Held {
    origin: Origin,
    file: Arc<str>,
    /// What it stands in.
    owner: Head,
    field: String,
    place: Place,
    reading: Reading,
    usage: Usage,
}

/// What becomes of a text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Usage {
    /// Somebody applies it as it is.
    Applied,
    /// A policy goes on over the `---` that should have ended it.
    Swallowed,
    /// Nobody here applies it.
    Kept,
}

/// Objects whose texts somebody applies; what is to be replaced may be any.
#[derive(Debug)]
struct Reference {
    kind: String,
    namespace: Option<String>,
    name: Option<String>,
}

impl Reference {
    fn means(&self, head: &Head) -> bool {
        let is = |said: &Option<String>, text: &str| said.as_deref().is_none_or(|it| it == text);
        self.kind == head.kind
            && is(&self.name, &head.name)
            && (is(&self.namespace, &head.namespace) || head.namespace.is_empty())
    }
}

impl Texts {
    /// Takes the texts of an object that hold a policy, and whose texts it applies; returns whether it names
    /// security anywhere but where it says its own kind.
    pub(super) fn collect(&mut self, origin: &Origin, document: &Document) -> bool {
        let mut search = Search { found: Vec::new(), names: false, applied: &mut self.applied };
        search.map(&document.node, Usage::Kept, &["kind", "apiVersion"]);
        let Search { found, names, .. } = search;
        if !found.is_empty() {
            self.hold(origin, document, found);
        }
        names
    }

    fn hold(&mut self, origin: &Origin, document: &Document, found: Vec<Found<'_>>) {
        let (owner, is_policy) = (document.head(), !document.meant().security_kinds.is_empty());
        if owner.kind.is_empty() && is_policy {
            // As a whole it closes what any may concern.
            return;
        }
        for Found { mut path, place, text, usage } in found {
            let reading = manifest::read("", text.as_bytes(), &Limits::default());
            if repeats(&text, &reading, &owner) || !holds_policy(&reading) {
                continue;
            }
            path.reverse();
            let usage = if is_policy { Usage::Swallowed } else { usage };
            self.held.push(Held {
                origin: origin.clone(),
                file: document.file.clone(),
                owner: owner.clone(),
                field: path.join("."),
                place,
                reading,
                usage,
            });
        }
    }
}

/// Whether what was read of a text is, or carries, a policy.
fn holds_policy(reading: &Reading) -> bool {
    let is_policy = |document: &Document| !document.meant().security_kinds.is_empty();
    let mut documents = reading.documents.iter();
    documents.any(|document| is_policy(document) || carried(document).iter().any(is_policy))
        || reading.unreadable.iter().any(|it| !it.meant.security_kinds.is_empty())
}

/// Whether a text is nothing but the object that it stands in, as tools note it in JSON.
fn repeats(text: &str, reading: &Reading, owner: &Head) -> bool {
    let [document] = &*reading.documents else { return false };
    let head = document.head();
    let is_same_namespace = head.namespace.is_empty() || head.namespace == owner.namespace;
    reading.unreadable.is_empty()
        && text.starts_with('{')
        && head.kind == owner.kind
        && head.name == owner.name
        && is_same_namespace
}

/// The texts of an object that say a security kind.
struct Search<'n, 't> {
    found: Vec<Found<'n>>,
    /// Whether any text names a security kind or their group.
    names: bool,
    applied: &'t mut Vec<Reference>,
}

struct Found<'n> {
    /// The fields that lead to it, the last one first.
    path: Vec<&'n str>,
    place: Place,
    text: Cow<'n, str>,
    usage: Usage,
}

impl<'n> Search<'n, '_> {
    fn look(&mut self, node: &'n Node, usage: Usage) {
        match &node.value {
            Value::String(text) => self.text(node.place, Cow::Borrowed(text), usage),
            Value::List(items) => items.iter().for_each(|item| self.look(item, usage)),
            Value::Map(_) => self.map(node, usage, &[]),
            Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Float(_) => {}
        }
    }

    /// Looks at the entries of a map, those with these keys left out.
    fn map(&mut self, map: &'n Node, usage: Usage, without: &[&str]) {
        let kind = map.get(&["kind"]).and_then(Node::as_str).unwrap_or_default();
        let (applied, encoded) = fields(map, kind);
        self.applied.extend(references(map, kind));
        for entry in map.entries().iter().filter(|entry| !without.contains(&&*entry.key)) {
            let (before, key) = (self.found.len(), &*entry.key);
            let usage = if applied.contains(&key) { Usage::Applied } else { usage };
            if key == encoded {
                self.bytes(&entry.node, usage);
            } else {
                self.look(&entry.node, usage);
            }
            let found = self.found.get_mut(before..).unwrap_or_default();
            found.iter_mut().for_each(|found| found.path.push(key));
        }
    }

    /// Looks at the values of a map, which are texts in base64.
    fn bytes(&mut self, map: &'n Node, usage: Usage) {
        for entry in map.entries() {
            let letters: String =
                entry.node.as_str().unwrap_or_default().split_whitespace().collect();
            let text = base64(&letters).and_then(|bytes| String::from_utf8(bytes).ok());
            let before = self.found.len();
            self.text(entry.node.place, Cow::Owned(text.unwrap_or_default()), usage);
            let found = self.found.get_mut(before..).unwrap_or_default();
            found.iter_mut().for_each(|found| found.path.push(&entry.key));
        }
    }

    fn text(&mut self, place: Place, text: Cow<'n, str>, usage: Usage) {
        if names_security(&text) {
            self.names = true;
            if !said_kinds(&text).is_empty() {
                self.found.push(Found { path: Vec::new(), place, text, usage });
            }
        }
    }
}

/// The kinds below whose `spec`, or `objects`, every text is applied as it is.
const APPLIED: [(&str, &str); 9] = [
    ("fleet.cattle.io", "Bundle"),
    ("kappctrl.k14s.io", "App"),
    ("policy.open-cluster-management.io", "ConfigurationPolicy"),
    ("fluxcd.controlplane.io", "ResourceSet"),
    ("template.openshift.io", "Template"),
    ("work.open-cluster-management.io", "ManifestWork"),
    ("work.open-cluster-management.io", "ManifestWorkReplicaSet"),
    ("work.karmada.io", "Work"),
    ("hive.openshift.io", "SyncSet"),
];

/// The fields of an object whose texts somebody applies as they are, and the field whose texts are in base64.
///
/// # Upstream
///
/// kubernetes-sigs/cluster-api `ClusterResourceSet`; rancher/fleet `pkg/apis/fleet.cattle.io/v1alpha1`
/// `BundleSpec`; carvel-dev/kapp-controller `AppFetchInline`; stolostron/config-policy-controller
/// `ConfigurationPolicySpec`; controlplaneio-fluxcd/flux-operator `ResourceSetSpec`.
fn fields(object: &Node, kind: &str) -> (&'static [&'static str], &'static str) {
    let text = |field| object.get(&[field]).and_then(Node::as_str).unwrap_or_default();
    let is_of = |group: &str| {
        text("apiVersion").split_once('/').is_some_and(|(written, _)| written == group)
    };
    match kind {
        "Secret" if text("type") == "addons.cluster.x-k8s.io/resource-set" => {
            (&["data", "stringData"], "data")
        }
        "Secret" => (&[], "data"),
        "ConfigMap" => (&[], "binaryData"),
        _ if APPLIED.iter().any(|(group, known)| *known == kind && is_of(group)) => {
            (&["spec", "objects"], "")
        }
        _ => (&[], ""),
    }
}

/// The ConfigMaps and Secrets whose texts an object applies.
///
/// # Upstream
///
/// kubernetes-sigs/cluster-api `ClusterResourceSet`; projectsveltos/addon-controller `ClusterProfile`;
/// gardener/gardener `ManagedResource`.
fn references(object: &Node, kind: &str) -> Vec<Reference> {
    let (list, of_kind) = match kind {
        "ClusterResourceSet" => ("resources", ""),
        "ClusterProfile" | "Profile" => ("policyRefs", ""),
        "ManagedResource" => ("secretRefs", "Secret"),
        _ => return Vec::new(),
    };
    let spec = object.get(&["spec"]).and_then(|spec| spec.get(&[list]));
    let Some(Value::List(items)) = spec.map(|list| &list.value) else { return Vec::new() };
    let head = Head::of(object);
    let said = |node: Option<&Node>| {
        let text = node.and_then(Node::as_str).filter(|text| !text.contains(['{', '$']));
        text.filter(|text| !text.is_empty()).map(ToOwned::to_owned)
    };
    let reference = |item: &Node| Reference {
        kind: said(item.get(&["kind"])).unwrap_or_else(|| of_kind.to_owned()),
        namespace: match kind {
            "ClusterProfile" | "Profile" => said(item.get(&["namespace"])),
            _ => Some(head.namespace.clone()).filter(|it| !it.is_empty()),
        },
        name: said(item.get(&["name"])),
    };
    items.iter().map(reference).collect()
}

const REASON: &str = "it is the text of another object";

impl Registry {
    /// `OBJECT-CARRIED` and `POLICY-IN-TEXT`: policies that are texts of other objects.
    pub(super) fn remember_texts(&mut self, texts: Texts) -> Vec<Diagnostic> {
        let Texts { held, applied } = texts;
        let mut found = Vec::new();
        for held in held {
            let is_applied = applied.iter().any(|reference| reference.means(&held.owner));
            let usage = if is_applied { Usage::Applied } else { held.usage };
            if usage != Usage::Kept {
                self.close_by_text(&held);
            }
            found.push(held.diagnose(usage));
        }
        found
    }

    /// What a text holds closes what it might, as if it stood in a place where nothing is read.
    fn close_by_text(&mut self, Held { origin, reading, .. }: &Held) {
        for document in &reading.documents {
            for inner in carried(document).iter().chain([document]) {
                let before = self.parts.broken.len();
                self.remember_unread(origin, inner);
                self.forget_namespaces(before, inner);
            }
        }
        for unreadable in &reading.unreadable {
            let tells_namespace = false;
            let meant = Meant { tells_namespace, ..unreadable.meant.clone() };
            self.remember_meant(origin, &unreadable.head, &meant, REASON);
        }
    }
}

impl Held {
    fn diagnose(self, usage: Usage) -> Diagnostic {
        let Self { file, owner, field, place, reading, .. } = self;
        let is_policy = |document: &&Document| !document.meant().security_kinds.is_empty();
        let readable = reading.documents.iter().find(is_policy).map(|it| it.head().to_string());
        let kinds = || reading.unreadable.iter().flat_map(|it| &it.meant.security_kinds);
        let first = readable.or_else(|| kinds().next().map(ToString::to_string));
        let held = first.map_or_else(|| "a policy".to_owned(), |first| format!("`{first}`"));
        const CLOSED: &str = "what it may concern denies what it might have denied";
        let (severity, message, help) = match usage {
            Usage::Applied => (
                Severity::Error,
                format!(
                    "it carries {held} as a text, which is not read: nobody can tell whether it is applied, \
                     and {CLOSED}"
                ),
                "write it as a document of its own, as it is in the cluster, or remove it",
            ),
            Usage::Swallowed => (
                Severity::Error,
                format!(
                    "the text holds {held}, which is not read: nobody can tell whether it was to be another \
                     document, and {CLOSED}"
                ),
                "end the document before it with a line `---` without blanks, or take it out of the text",
            ),
            Usage::Kept => (
                Severity::Warning,
                format!("the text holds {held}, and nothing here applies it: it is not in force"),
                "write it as a document of its own if it is meant to be in force",
            ),
        };
        let code = if usage == Usage::Kept { "POLICY-IN-TEXT" } else { "OBJECT-CARRIED" };
        let object = owner.to_string();
        Diagnostic { code, severity, file, place, object, field, message, help: help.to_owned() }
    }
}
