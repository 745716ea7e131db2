//! What a document says it is: kind and name, of a tree or of text that is no tree.
use std::fmt;

use super::list;
use crate::manifest::Node;

/// The parts of an object that name it; empty where they are absent or no texts.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "an object is named by these four")]
pub struct Head {
    /// `apiVersion`, such as `security.istio.io/v1`.
    pub api_version: String,
    /// `kind`, such as `AuthorizationPolicy`.
    pub kind: String,
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
}

impl fmt::Display for Head {
    /// `Kind/namespace/name`, parts that are empty left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for part in [&self.kind, &self.namespace, &self.name] {
            if !part.is_empty() {
                write!(f, "{separator}{part}")?;
                separator = "/";
            }
        }
        Ok(())
    }
}

impl Head {
    /// Reads the names of an object.
    pub fn of(node: &Node) -> Self {
        let text = |node: Option<&Node>| {
            node.and_then(Node::as_str).map(short).unwrap_or_default().to_owned()
        };
        let metadata = |key| node.get(&["metadata"]).and_then(|metadata| metadata.get(&[key]));
        Self {
            api_version: text(node.get(&["apiVersion"])),
            kind: text(node.get(&["kind"])),
            namespace: text(metadata("namespace")),
            name: text(metadata("name")),
        }
    }

    /// Guesses the names of an object from text that cannot be read.
    ///
    /// Only what stands where every printer puts it is found: in YAML the keys at the margin and the
    /// first deeper ones below `metadata:`, in JSON the members of the outermost object and of its
    /// `metadata`. The first of each counts.
    pub(super) fn guess(text: &str) -> Self {
        let mut head = Self::default();
        if super::json::starts(text) {
            head.guess_json(text);
        } else {
            head.guess_yaml(text);
        }
        head
    }

    fn guess_yaml(&mut self, text: &str) {
        let mut is_metadata = false;
        let mut indent = 0;
        for line in text.split(['\n', '\r']) {
            let trimmed = line.trim_start_matches(' ');
            let depth = line.len() - trimmed.len();
            let Some((key, value)) = trimmed.split_once(':') else { continue };
            let key = unquote(key.trim_end());
            if depth == 0 {
                is_metadata = key == "metadata";
                indent = 0;
                self.offer(0, key, scalar(value));
            } else if is_metadata && (indent == 0 || indent == depth) {
                indent = depth;
                self.offer(1, key, scalar(value));
            }
        }
    }

    fn guess_json(&mut self, text: &str) {
        let mut depth = 0_usize;
        let mut is_metadata = false;
        let mut key = "";
        let mut after_colon = false;
        let mut rest = text;
        while let Some((at, byte)) =
            rest.bytes().enumerate().find(|(_, byte)| b"{}[],:\"".contains(byte))
        {
            rest = rest.get(at + 1..).unwrap_or_default();
            match byte {
                b'{' | b'[' => {
                    depth += 1;
                    is_metadata |= depth == 2 && after_colon && key == "metadata";
                    after_colon = false;
                }
                b'}' | b']' => {
                    is_metadata &= depth != 2;
                    depth = depth.saturating_sub(1);
                }
                b',' => after_colon = false,
                b':' => after_colon = true,
                _ => {
                    let length = string_length(rest);
                    let string = rest.get(..length).unwrap_or_default();
                    rest = rest.get(length + 1..).unwrap_or_default();
                    if !after_colon {
                        key = string;
                    } else if depth == 1 || depth == 2 && is_metadata {
                        self.offer(depth - 1, key, string);
                    }
                }
            }
        }
    }

    /// Takes the value of a key at a depth, if it names the object and none was seen before.
    fn offer(&mut self, depth: usize, key: &str, value: &str) {
        let part = match (depth, key) {
            (0, "apiVersion") => &mut self.api_version,
            (0, "kind") => &mut self.kind,
            (1, "namespace") => &mut self.namespace,
            (1, "name") => &mut self.name,
            _ => return,
        };
        if part.is_empty() {
            *part = short(value).to_owned();
        }
    }
}

/// Returns whether text that has not been read yet is a list of objects.
pub(super) fn is_list(text: &str) -> bool {
    list::is_list_kind(&Head::guess(text).kind)
}

/// Returns the bytes up to the quote that ends a JSON string.
fn string_length(text: &str) -> usize {
    let mut is_escaped = false;
    text.bytes()
        .position(|byte| {
            let ends = byte == b'"' && !is_escaped;
            is_escaped = byte == b'\\' && !is_escaped;
            ends
        })
        .unwrap_or(text.len())
}

/// Returns the text of a scalar that stands alone behind a colon.
fn scalar(text: &str) -> &str {
    let text = text.trim();
    match text.chars().next() {
        Some(quote @ ('"' | '\'')) => {
            let inner = text.get(1..).unwrap_or_default();
            inner.split_once(quote).map(|(inner, _)| inner).unwrap_or_default()
        }
        Some(_) | None => text.split_once(" #").map_or(text, |(text, _)| text.trim_end()),
    }
}

fn unquote(key: &str) -> &str {
    let quotes = ['"', '\''];
    key.strip_prefix(quotes).and_then(|key| key.strip_suffix(quotes)).unwrap_or(key)
}

/// Names are at most 253 characters long; what is longer is none, and is not copied about.
fn short(text: &str) -> &str {
    if text.len() <= 320 { text } else { "" }
}
