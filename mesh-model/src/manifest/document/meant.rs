//! What an object that cannot be read may have been meant as, of those whose loss opens a door.
//!
//! Security fails closed: what was meant as a policy and cannot be understood has to be known. Where the
//! text says plainly and once what it is, that counts. Everything else is looked through for the names
//! of the kinds and of their group, however they are written: in another encoding, escaped, folded over
//! lines.
use super::head::{Guess, Head};
use super::{form, list, said};
use crate::manifest::{Entry, Node, Value};
use crate::name::nearest_name;

/// The kinds whose loss opens what they would have closed.
pub const SECURITY_KINDS: [&str; 3] =
    ["AuthorizationPolicy", "PeerAuthentication", "RequestAuthentication"];

/// The API group of those kinds, which has no others.
pub(super) const SECURITY_GROUP: &str = "security.istio.io";

/// The groups of the kinds before those, which no istiod reads since 1.6: what they denied is open.
const OLD_GROUPS: [(&str, &[&str]); 2] = [
    ("rbac.istio.io", &["AuthorizationPolicy"]),
    ("authentication.istio.io", &["PeerAuthentication", "RequestAuthentication"]),
];

/// The kinds that policies and waypoints are attached by: what their loss detaches is in force nowhere.
pub const TARGET_KINDS: [&str; 3] = ["Service", "ServiceEntry", "Namespace"];

/// The fields that metadata has (kubernetes/apimachinery `pkg/apis/meta/v1/types.go` `ObjectMeta`).
pub(crate) const METADATA_FIELDS: [&str; 15] = [
    "name",
    "namespace",
    "labels",
    "annotations",
    "generateName",
    "selfLink",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "ownerReferences",
    "finalizers",
    "managedFields",
];

/// What an object may have been meant as.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "callers build documents by hand")]
pub struct Meant {
    /// Those of [`SECURITY_KINDS`] that it may be, in their order.
    pub security_kinds: Vec<&'static str>,
    /// Those of [`TARGET_KINDS`] that it may be, in their order.
    pub target_kinds: Vec<&'static str>,
    /// Whether its namespace is what its head says, `default` if that is empty; else it may be any.
    pub tells_namespace: bool,
}

impl Meant {
    /// Tells of an object that was read, but not understood.
    pub(crate) fn of_node(node: &Node) -> Self {
        let text = |field| node.get(&[field]).and_then(Node::as_str).unwrap_or_default();
        let (kind, version) = (text("kind").trim(), text("apiVersion"));
        // What holds other objects, in a way that is not understood, says nothing of them by itself.
        let holds_others = ["items", "item"].iter().any(|field| node.get(&[*field]).is_some())
            || kind.to_ascii_lowercase().ends_with("list");
        let is_object = matches!(node.value, Value::Map(_)) && !holds_others;
        if is_object && !kind.is_empty() && !kind.contains(['{', '$']) {
            let security_kinds = of_kind(kind, version);
            let target_kinds = target_of_kind(kind, version).into_iter().collect();
            // Some of the old kinds were of no namespace, and counted in all.
            let tells_namespace = tells_namespace(node)
                && (!is_of_old_policies(version)
                    || ["Policy", "ServiceRole", "ServiceRoleBinding"].contains(&kind));
            return Self { security_kinds, target_kinds, tells_namespace };
        }
        let target = kind.strip_suffix("List").and_then(|kind| target_of_kind(kind, version));
        let mut security_kinds: Vec<&str> = Vec::new();
        if is_bare(node) || has_form(node) && !is_kustomization(node) {
            security_kinds.extend(SECURITY_KINDS.into_iter().filter(|kind| names(node, kind)));
        }
        // A typed list: its items need not say what they are.
        if security_kinds.is_empty() {
            security_kinds = of_kind(kind.strip_suffix("List").unwrap_or_default(), version);
        }
        Self {
            security_kinds,
            target_kinds: target.into_iter().collect(),
            tells_namespace: is_object && tells_namespace(node),
        }
    }

    /// Tells of text that could not be read.
    pub(super) fn of_text(text: &str, Guess { head, is_plain }: &Guess) -> Self {
        let is_told = *is_plain && !head.kind.is_empty() && !list::is_list_kind(&head.kind);
        if is_told {
            let target = target_of_kind(&head.kind, &head.api_version);
            let mut security_kinds = of_kind(&head.kind, &head.api_version);
            let hidden = hidden_behind(head, text);
            if !hidden.is_empty() {
                let known = security_kinds;
                let is_meant = |kind: &&str| known.contains(kind) || hidden.contains(kind);
                security_kinds = SECURITY_KINDS.into_iter().filter(is_meant).collect();
            }
            return Self {
                security_kinds,
                target_kinds: target.into_iter().collect(),
                tells_namespace: !head.namespace.is_empty() && hidden.is_empty(),
            };
        }
        let letters = letters(text);
        let is_binary =
            ["!binary", "2002:binary"].iter().any(|tag| letters.contains(tag)) || is_packed(text);
        let security_kinds =
            if is_binary { SECURITY_KINDS.into() } else { security_kinds_in(&letters) };
        let is_named = |kind: &&str| is_kind_of_text(&letters, &kind.to_ascii_lowercase());
        let target_kinds = TARGET_KINDS.into_iter().filter(is_named).collect();
        Self { security_kinds, target_kinds, tells_namespace: false }
    }
}

/// The security kinds that a text says beside that of its head: where it stops being what its head says,
/// nobody can tell.
fn hidden_behind(head: &Head, text: &str) -> Vec<&'static str> {
    let mut said = said::said_kinds(text);
    if let Some(own) = nearest_name(&head.kind, SECURITY_KINDS.into_iter())
        && let Some(at) = said.iter().position(|kind| *kind == own)
    {
        said.remove(at);
    }
    said
}

/// Whether a name follows the word `kind` in a text of small letters, be there one word between them.
fn is_kind_of_text(text: &str, kind: &str) -> bool {
    let words = |rest: &'_ str| -> bool {
        rest.split(|letter: char| !letter.is_alphanumeric())
            .filter(|word| !word.is_empty())
            .take(2)
            .any(|word| word == kind)
    };
    text.match_indices("kind").any(|(at, word)| text.get(at + word.len()..).is_some_and(words))
}

/// The security kinds that a text of small letters may be of: those that it names, misspelt where it says a
/// kind; any if it has a version of their group more often than it names kinds.
fn security_kinds_in(letters: &str) -> Vec<&'static str> {
    let said = misspelt_kinds(letters);
    let mut named = said.len();
    let mut is_meant = |kind: &&str| {
        let times = letters.matches(&kind.to_ascii_lowercase()).count();
        named += times;
        times > 0 || said.contains(kind)
    };
    let kinds = SECURITY_KINDS.into_iter().filter(&mut is_meant).collect();
    if versions_of_security(letters) > named { SECURITY_KINDS.into() } else { kinds }
}

/// The security kinds that stand misspelt behind the word `kind`.
fn misspelt_kinds(letters: &str) -> Vec<&'static str> {
    let misspelt = |rest: &str| -> Option<&'static str> {
        let words = rest.split(|letter: char| !letter.is_alphanumeric());
        let mut words = words.filter(|word| !word.is_empty()).take(2);
        words.find_map(|word| {
            nearest_name(word, SECURITY_KINDS.into_iter())
                .filter(|kind| !word.contains(&kind.to_ascii_lowercase()))
        })
    };
    letters
        .match_indices("kind")
        .filter_map(|(at, word)| misspelt(letters.get(at + word.len()..)?))
        .collect()
}

/// How often a text of small letters has a version of the group of the security kinds, misspelt or not: the
/// group behind `apiVersion`, or with a version behind it. The group alone, as roles and labels have it, is
/// none.
fn versions_of_security(letters: &str) -> usize {
    let is_of_word = |letter: char| letter.is_alphanumeric() || ".-_/".contains(letter);
    let words = letters.split(|letter: char| !is_of_word(letter)).filter(|word| !word.is_empty());
    // At most one word stands between, such as a tag or an anchor.
    let mut before = ["", ""];
    let mut count = 0;
    for word in words {
        let (_, version) = word.rsplit_once('/').unwrap_or_default();
        let is_version = version
            .strip_prefix('v')
            .is_some_and(|rest| rest.starts_with(|digit: char| digit.is_ascii_digit()));
        let is_said = is_version || before.contains(&"apiversion");
        count += usize::from(is_said && is_of_security(word.trim_start_matches('/')));
        before = [before[1], word];
    }
    count
}

/// The kind that policies are attached by that an object says it is, misspelt or not.
fn target_of_kind(kind: &str, version: &str) -> Option<&'static str> {
    let meant = nearest_name(kind.trim(), TARGET_KINDS.into_iter())?;
    let of_core = group(version).is_empty();
    let is_meant = if meant == "ServiceEntry" { is_ours(version) } else { of_core };
    is_meant.then_some(meant)
}

/// The security kinds that an object may be by what it says: the one that it names, misspelt or not; any if
/// it names none of the group that has no others.
fn of_kind(kind: &str, version: &str) -> Vec<&'static str> {
    if let Some((_, kinds)) = old_group(version) {
        return kinds.to_vec();
    }
    match nearest_name(kind.trim(), SECURITY_KINDS.into_iter()) {
        Some(meant) if is_ours(version) => vec![meant],
        _ if is_of_security(version) => SECURITY_KINDS.into(),
        Some(_) | None => Vec::new(),
    }
}

/// The group of policies that are read no more that a version is of, misspelt or not.
fn old_group(version: &str) -> Option<(&'static str, &'static [&'static str])> {
    let (group, names) = (group(version), OLD_GROUPS.into_iter().map(|(group, _)| group));
    let meant = nearest_name(&group, names.chain([SECURITY_GROUP]))?;
    OLD_GROUPS.into_iter().find(|(group, _)| *group == meant)
}

/// Returns whether a version is of the groups of policies before those of [`SECURITY_KINDS`].
pub(crate) fn is_of_old_policies(version: &str) -> bool {
    old_group(version).is_some()
}

/// Whether a version is of the group of the security kinds, misspelt or not.
fn is_of_security(version: &str) -> bool {
    nearest_name(&group(version), [SECURITY_GROUP].into_iter()).is_some()
}

/// The group of a version, in small letters, without what makes an address of it; kinds of the core group
/// have none. A name with dots is one that lacks its version.
fn group(version: &str) -> String {
    let version = version.split_once("://").map_or(version, |(_, version)| version);
    let alone = if version.contains('.') { version } else { "" };
    let (group, _) = version.split_once('/').unwrap_or((alone, ""));
    group.trim().to_ascii_lowercase()
}

/// Whether a version is of a group of Istio's, or of one that was meant to be; kinds of the same names in
/// others' groups say nothing to the mesh.
///
/// Others' groups are domain names with a dot: those without one are Kubernetes' own and have no such kinds
/// (kubernetes/kubernetes `staging/src/k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation/validation.go`
/// `ValidateCustomResourceDefinitionSpec`).
fn is_ours(version: &str) -> bool {
    let group = group(version);
    let is_letter = |letter: char| letter.is_ascii_alphanumeric() || ".-".contains(letter);
    !group.contains('.')
        || !group.chars().all(is_letter)
        || group.ends_with(".istio.io")
        || nearest_name(&group, [SECURITY_GROUP, "istio.io"].into_iter()).is_some()
}

/// Whether an object says its namespace, or says none: what stands there instead of a text may mean any.
fn tells_namespace(node: &Node) -> bool {
    if !matches!(node.value, Value::Map(_)) {
        return false;
    }
    // Nobody forgets all of it: it stands there under another name.
    let Some(metadata) = node.get(&["metadata"]) else { return false };
    let is_map = matches!(metadata.value, Value::Map(_));
    let namespace = metadata.get(&["namespace"]).filter(|node| !node.is_null());
    is_map
        && misplaced_namespace(node).is_none()
        && namespace.is_none_or(|node| node.as_str().is_some())
}

/// Returns the field that was meant as the namespace of an object that has none: misspelt, in another place
/// than its metadata, or one that no metadata has.
pub(crate) fn misplaced_namespace(node: &Node) -> Option<&Entry> {
    let namespace = node.get(&["metadata"]).and_then(|metadata| metadata.get(&["namespace"]));
    let says_none =
        |node: &Node| node.is_null() || node.as_str().is_some_and(|text| text.trim().is_empty());
    if !namespace.is_none_or(says_none) {
        return None;
    }
    let is_unknown = |entry: &&Entry| !METADATA_FIELDS.contains(&&*entry.key);
    let unknown = || node.get(&["metadata"])?.entries().iter().find(is_unknown);
    node.entries().iter().find_map(namespace_in).or_else(unknown)
}

/// Below fields of these names are names that are chosen freely, and namespaces of others.
const OTHERS: [&str; 9] = [
    "status",
    "labels",
    "annotations",
    "managedFields",
    "matchLabels",
    "match_labels",
    "targetRef",
    "target_ref",
    "provider",
];

/// The entry with a namespace, or what is near to one, of an entry and those below it. A namespace that says
/// nothing is none.
fn namespace_in(entry: &Entry) -> Option<&Entry> {
    let key = &*entry.key;
    if OTHERS.contains(&key) {
        return None;
    }
    let says_nothing = entry.node.is_null() || entry.node.as_str().is_some_and(str::is_empty);
    if nearest_name(key, ["namespace"].into_iter()).is_some() && !says_nothing {
        return Some(entry);
    }
    entry.node.entries().iter().find_map(namespace_in)
}

/// Whether what stands where an object does is nothing but the name of a security kind, or a list with one.
fn is_bare(node: &Node) -> bool {
    match &node.value {
        Value::String(text) => {
            SECURITY_KINDS.iter().any(|kind| kind.eq_ignore_ascii_case(text.trim()))
        }
        Value::List(items) => items.iter().any(is_bare),
        Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Float(_) | Value::Map(_) => false,
    }
}

/// Whether a map without kind is a `kustomization.yaml`, which needs none: it says how others' objects are
/// changed, and has fields that no object has, and none that one has.
///
/// # Upstream
///
/// kubernetes-sigs/kustomize `api/types/kustomization.go` `Kustomization`.
fn is_kustomization(node: &Node) -> bool {
    const FIELDS: [&str; 30] = [
        "bases",
        "buildMetadata",
        "commonAnnotations",
        "commonLabels",
        "components",
        "configMapGenerator",
        "configurations",
        "crds",
        "generatorOptions",
        "generators",
        "helmCharts",
        "helmChartInflationGenerator",
        "helmGlobals",
        "images",
        "imageTags",
        "inventory",
        "labels",
        "namePrefix",
        "nameSuffix",
        "namespace",
        "openapi",
        "patches",
        "patchesJson6902",
        "patchesStrategicMerge",
        "replacements",
        "replicas",
        "resources",
        "secretGenerator",
        "sortOptions",
        "transformers",
    ];
    // Validators, variables and the version beside them say nothing by themselves.
    const BESIDE: [&str; 3] = ["apiVersion", "validators", "vars"];
    let entries = node.entries();
    let is_known = |entry: &Entry| FIELDS.contains(&&*entry.key) || BESIDE.contains(&&*entry.key);
    entries.iter().all(is_known) && entries.iter().any(|entry| FIELDS.contains(&&*entry.key))
}

/// Whether a tree has the form of a security object somewhere: a field that says which kind or version it is
/// of, metadata beside a specification, or a text that is a manifest. Values of charts, schemas and dashboards
/// speak of kinds, too, and mean no object.
fn has_form(node: &Node) -> bool {
    match &node.value {
        Value::String(text) => form::of_text(text) || said::swallows(text),
        Value::List(items) => items.iter().any(has_form),
        Value::Map(entries) => {
            let is_near =
                |entry: &Entry, name| nearest_name(&entry.key, [name].into_iter()).is_some();
            let has = |name: &'static str| entries.iter().any(|entry| is_near(entry, name));
            let says = |entry: &Entry| {
                (is_near(entry, "kind") || is_near(entry, "apiVersion"))
                    && says_security(&entry.node)
            };
            entries.iter().any(says)
                || has("metadata") && has("spec")
                || entries.iter().any(|entry| has_form(&entry.node))
        }
        Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Float(_) => false,
    }
}

/// Whether the value of a field says a security kind or a version of its group, or what is to be replaced by
/// one.
fn says_security(value: &Node) -> bool {
    let is_kind = |text: &str| {
        let text = letters(text);
        let is_named = |kind: &&str| text.contains(&kind.to_ascii_lowercase());
        SECURITY_KINDS.iter().any(is_named) || !of_kind(&text, "").is_empty()
    };
    match &value.value {
        Value::String(text) => {
            text.contains(['{', '$'])
                || is_kind(text)
                || is_of_security(text)
                || is_of_old_policies(text)
        }
        Value::List(items) => items.iter().any(says_security),
        Value::Map(entries) => entries.iter().any(|entry| is_kind(&entry.key)),
        Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Float(_) => false,
    }
}

/// Whether a key or a text of a tree is the name of a kind.
fn names(node: &Node, kind: &str) -> bool {
    let is_kind = |text: &str| kind.eq_ignore_ascii_case(text.trim());
    match &node.value {
        Value::String(text) => letters(text).contains(&kind.to_ascii_lowercase()),
        Value::List(items) => items.iter().any(|item| names(item, kind)),
        Value::Map(entries) => {
            entries.iter().any(|entry| is_kind(&entry.key) || names(&entry.node, kind))
        }
        Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Float(_) => false,
    }
}

/// Whether what cannot be read is no text at all, such as an archive.
fn is_packed(text: &str) -> bool {
    let lost = text.chars().filter(|letter| *letter == char::REPLACEMENT_CHARACTER).count();
    lost > text.chars().count() / 8
}

/// The letters of a text in lower case, as they are meant.
///
/// Escapes are what they stand for, a line that goes on behind a backslash goes on. What is left of an
/// encoding that is not UTF-8 is left out: of UTF-16 and UTF-32 the zeros between the letters, of others
/// what is no letter.
pub(super) fn letters(text: &str) -> String {
    let mut letters = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        let letter = match character {
            '\0' | char::REPLACEMENT_CHARACTER => continue,
            '\\' => match escaped(&mut characters) {
                Some(letter) => letter,
                None => continue,
            },
            other => other,
        };
        letters.push(letter.to_ascii_lowercase());
    }
    letters
}

/// The letter behind a backslash; none where a line goes on.
fn escaped(characters: &mut std::str::Chars<'_>) -> Option<char> {
    let digits = match characters.next()? {
        'x' => 2,
        'u' => 4,
        'U' => 8,
        'n' | 'r' | 't' => return Some(' '),
        '\n' | '\r' => {
            let rest = characters.as_str().trim_start();
            *characters = rest.chars();
            return None;
        }
        other => return Some(other),
    };
    let (code, rest) = characters.as_str().split_at_checked(digits)?;
    let letter = u32::from_str_radix(code, 16).ok().and_then(char::from_u32)?;
    *characters = rest.chars();
    Some(letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks what a text that cannot be read may be, and whether its namespace counts.
    #[track_caller]
    fn check(text: &str, expected: &[&str], tells_namespace: bool) {
        let meant = Meant::of_text(text, &Guess::of(text));
        assert_eq!(meant.security_kinds, expected, "{text}");
        assert_eq!(meant.tells_namespace, tells_namespace, "{text}");
    }

    const POLICY: &[&str] = &["AuthorizationPolicy"];

    #[test]
    fn a_plain_head_counts() {
        let head = "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n";
        check(&format!("{head}metadata: {{name: p, namespace: shop}}\nspec: {{"), POLICY, true);
        check(&format!("{head}metadata:\n  name: p\n  namespace: shop\nspec: {{"), POLICY, true);
        check(&format!("{head}metadata:\n  name: p\nspec: {{"), POLICY, false);
        check(r#"{"kind":"AuthorizationPolicy","metadata":{"namespace":"a"},"#, POLICY, true);
        check("kind: Service # no AuthorizationPolicy\nspec: {", &[], false);
        let others = "apiVersion: policy.linkerd.io/v1\nkind: AuthorizationPolicy\nspec: {";
        check(others, &[], false);
    }

    #[test]
    fn what_is_no_plain_head_is_looked_through() {
        for head in [
            "  kind: AuthorizationPolicy",
            "kind:\n  AuthorizationPolicy",
            "kind: &a AuthorizationPolicy",
            "x: &a AuthorizationPolicy\nkind: *a",
            "kind: !!str AuthorizationPolicy",
            "kind: \"Authorization\\u0050olicy\"",
            "kind: \"Authorization\\x50olicy\"",
            "kind: \"Authorization\\\n  Policy\"",
            "? kind\n: AuthorizationPolicy",
            "kind: Service\nkind: AuthorizationPolicy",
            "kind: AuthorizationPolicy\nkind: Service",
            "kind: List\nitems:\n- kind: AuthorizationPolicy",
            "{kind: Service, # }\nkind: AuthorizationPolicy",
            "%TAG ! tag:yaml.org,2002:\nkind: AuthorizationPolicy",
            "kind: >-\n  AuthorizationPolicy",
            "kind: authorizationPolicy ",
            "{\"kind\": \"authorizationpolicy\"",
        ] {
            check(&format!("{head}\nmetadata: [\n"), POLICY, false);
        }
        check("kind: !!binary QXV0aG9y\nspec: {", &SECURITY_KINDS, false);
        let wide: String = "kind: PeerAuthentication\n".chars().flat_map(|c| ['\0', c]).collect();
        check(&wide, &["PeerAuthentication"], false);
        check("kind: List\nitems: [{kind: Service, metadata: {", &[], false);
    }

    #[test]
    fn a_namespace_said_in_any_other_way_is_any() {
        for metadata in [
            "metadata:\n  namespace: other\n  namespace: shop",
            "metadata: {namespace: &n other, x: 1}",
            "metadata: {namespace: other}\nmetadata: {namespace: shop}",
            "metadata: &m\n  namespace: shop",
            "metadata:\n  namespace: !!str shop",
            "metadata:\n  namespace: \"sh\\x6fp\"",
            "metadata:\n  namespace: *n",
            "metadata:\n  ? namespace\n  : shop",
            "metadata:\n  \"name\\u0073pace\": shop\n  namespace: other",
        ] {
            check(&format!("kind: AuthorizationPolicy\n{metadata}\nspec: {{"), POLICY, false);
        }
    }
}
