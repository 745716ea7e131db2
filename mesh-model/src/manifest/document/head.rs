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
}

/// The names of an object, guessed from text that cannot be read.
///
/// What stands where printers put it is found: in block style the keys at the margin and the first
/// deeper ones below `metadata:`, in flow style and JSON the members of the outermost map and of its
/// `metadata`. The first of each counts.
#[derive(Debug, Default)]
pub(super) struct Guess {
    /// The names.
    pub head: Head,
    /// Whether nothing in the text can mean other names: no key is there twice, none is written in a way
    /// that printers do not write, and each name is a bare or a quoted word.
    pub is_plain: bool,
}

impl Guess {
    /// Guesses.
    pub(super) fn of(text: &str) -> Self {
        let is_plain = !text.contains(['\\', '\0', char::REPLACEMENT_CHARACTER]);
        let mut guess = Self { head: Head::default(), is_plain };
        if super::json::starts(text) {
            guess.flow(text, 0, false);
        } else {
            guess.block(text);
        }
        guess
    }

    fn block(&mut self, text: &str) {
        let mut is_metadata = false;
        let mut indent = 0;
        for line in text.split(['\n', '\r']) {
            let trimmed = line.trim_start_matches([' ', '\t']);
            let depth = line.len() - trimmed.len();
            if trimmed.is_empty() || trimmed.starts_with('#') {
                continue;
            }
            let is_named = depth == 0 || is_metadata && (indent == 0 || depth <= indent);
            if !is_named {
                continue;
            }
            let Some((key, value)) = trimmed.split_once(':') else {
                self.is_plain &= depth == 0 && trimmed.starts_with(['}', ']']);
                continue;
            };
            let key = unquote(key.trim_end());
            self.is_plain &= is_word(key);
            if depth == 0 {
                is_metadata = key == "metadata";
                indent = 0;
                self.offer(0, key, scalar(value));
                if is_metadata {
                    self.metadata(value);
                }
            } else if indent == 0 || indent == depth {
                indent = depth;
                self.offer(1, key, scalar(value));
            } else {
                self.is_plain = false;
            }
        }
    }

    /// Reads what stands behind `metadata:` on its line.
    fn metadata(&mut self, value: &str) {
        let value = value.trim_start();
        if value.starts_with('{') {
            self.flow(value, 1, true);
        } else {
            self.is_plain &= value.is_empty() || value.starts_with('#');
        }
    }

    /// Reads a map in braces, quoted or not, `depth` maps deep already.
    fn flow(&mut self, text: &str, mut depth: usize, mut is_metadata: bool) {
        let mut key = "";
        let mut after_colon = false;
        let mut rest = text;
        self.is_plain &= !text.contains('#');
        while let Some((token, behind)) = token(rest) {
            rest = behind;
            let is_named = depth == 1 || depth == 2 && is_metadata;
            match token {
                Token::Open => {
                    depth += 1;
                    is_metadata |= depth == 2 && after_colon && key == "metadata";
                    after_colon = false;
                }
                Token::Close => {
                    is_metadata &= depth != 2;
                    depth = depth.saturating_sub(1);
                }
                Token::Comma => after_colon = false,
                Token::Colon => after_colon = true,
                Token::Text(text) if !after_colon => {
                    key = text;
                    self.is_plain &= !is_named || is_word(key);
                }
                Token::Text(text) => {
                    if is_named {
                        self.offer(depth - 1, key, text);
                    }
                }
            }
        }
    }

    /// Takes the value of a key at a depth, if it names the object and none was seen before.
    fn offer(&mut self, depth: usize, key: &str, value: &str) {
        let part = match (depth, key) {
            (0, "apiVersion") => &mut self.head.api_version,
            (0, "kind") => &mut self.head.kind,
            (1, "namespace") => &mut self.head.namespace,
            (1, "name") => &mut self.head.name,
            _ => return,
        };
        self.is_plain &= part.is_empty() && is_word(value);
        if part.is_empty() {
            *part = short(value).to_owned();
        }
    }
}

/// Whether a text is one word of those that name something: no mark of YAML's is in it.
fn is_word(text: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte);
    !text.is_empty() && text.bytes().all(is_letter)
}

/// Returns whether text that has not been read yet is a list of objects.
pub(super) fn is_list(text: &str) -> bool {
    list::is_list_kind(&Guess::of(text).head.kind)
}

/// A piece of a map in braces.
enum Token<'t> {
    Open,
    Close,
    Comma,
    Colon,
    Text(&'t str),
}

/// Returns the next piece of a map in braces, and what is behind it.
fn token(text: &str) -> Option<(Token<'_>, &str)> {
    let text = text.trim_start();
    let first = text.chars().next()?;
    let behind = text.get(first.len_utf8()..).unwrap_or_default();
    Some(match first {
        '{' | '[' => (Token::Open, behind),
        '}' | ']' => (Token::Close, behind),
        ',' => (Token::Comma, behind),
        ':' => (Token::Colon, behind),
        '"' => {
            let length = string_length(behind);
            let string = behind.get(..length).unwrap_or_default();
            (Token::Text(string), behind.get(length + 1..).unwrap_or_default())
        }
        '\'' => {
            let (string, behind) = behind.split_once('\'').unwrap_or((behind, ""));
            (Token::Text(string), behind)
        }
        _ => {
            let end = bare_length(text);
            let (bare, behind) = text.split_at_checked(end).unwrap_or((text, ""));
            (Token::Text(bare.trim_end()), behind)
        }
    })
}

/// Returns the bytes of a text without quotes: a colon ends it only where a value may follow.
fn bare_length(text: &str) -> usize {
    let mut characters = text.char_indices().skip(1).peekable();
    while let Some((at, character)) = characters.next() {
        let next = characters.peek().map(|(_, next)| *next);
        let ends = match character {
            '{' | '}' | '[' | ']' | ',' | '\n' | '\r' => true,
            ':' => next.is_none_or(|next| next.is_whitespace() || "{[\"'".contains(next)),
            _ => false,
        };
        if ends {
            return at;
        }
    }
    text.len()
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
