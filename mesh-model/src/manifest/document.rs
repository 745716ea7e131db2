//! From text to trees: which documents does a source hold, and where does everything in them stand?
//!
//! ```text
//! bytes ──split──▶ pieces ──yaml | json──▶ Node ──expand lists──▶ documents, diagnostics
//! ```
//!
//! A stream is cut at its `---` lines first and each piece is read alone, so that a broken document
//! never hides the others, whatever is wrong with it: syntax, encoding or size. JSON (one object, a
//! list of objects, objects one after the other) is read by the same function. A `kind: List` becomes
//! its items, empty documents are skipped.
//!
//! # Upstream
//!
//! What `kubectl` and `istioctl` accept: kubernetes/apimachinery `pkg/util/yaml/decoder.go`,
//! kubernetes-sigs/yaml `yaml.go` (YAML becomes JSON, keys become texts).
use std::collections::BTreeSet;
use std::sync::Arc;

use super::diagnostic::{Diagnostic, Severity};
use super::{Node, Place, Value};

mod form;
mod head;
mod json;
mod key;
mod limits;
mod list;
mod meant;
mod said;
mod split;
mod yaml;

pub(crate) use self::form::{OF_OBJECTS, has_field};
use self::head::Guess;
pub use self::head::Head;
pub use self::limits::Limits;
pub(crate) use self::meant::{METADATA_FIELDS, is_of_old_policies, misplaced_namespace};
pub use self::meant::{Meant, SECURITY_KINDS, TARGET_KINDS};
pub(crate) use self::said::{names_security, said_kinds};
use self::split::Piece;

/// One object of a source.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "callers build documents by hand")]
pub struct Document {
    /// The source's name as the caller gave it.
    pub file: Arc<str>,
    /// The object: a map.
    pub node: Node,
}

impl Document {
    /// Returns what the document says it is.
    pub fn head(&self) -> Head {
        Head::of(&self.node)
    }

    /// Returns what the document may have been meant as, for one that is not understood.
    pub fn meant(&self) -> Meant {
        Meant::of_node(&self.node)
    }

    /// Returns whether it has the form of an object: notes that happen to be YAML have not.
    pub fn is_manifest(&self) -> bool {
        form::of_node(&self.node)
    }
}

/// A document that could not be read, as far as it can be told what it was meant to be.
///
/// Security fails closed: a policy that cannot be read is still known to have been there.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "callers build documents by hand")]
pub struct Unreadable {
    /// The source's name as the caller gave it.
    pub file: Arc<str>,
    /// Where reading failed.
    pub place: Place,
    /// What the text says at the places where objects name themselves; parts may be empty.
    pub head: Head,
    /// What it may have been meant as.
    pub meant: Meant,
    /// Whether it has the form of an object, or of several: notes that name kinds have not.
    pub is_manifest: bool,
}

/// What a source holds.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "the three outcomes of reading")]
pub struct Reading {
    /// The objects, in the order of the text.
    pub documents: Vec<Document>,
    /// The documents that are left out.
    pub unreadable: Vec<Unreadable>,
    /// What is wrong, in the order of the text.
    pub diagnostics: Vec<Diagnostic>,
}

/// What is wrong with a document, before it is known as a diagnostic of a file.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Fault {
    code: &'static str,
    place: Place,
    message: String,
    help: &'static str,
}

impl Fault {
    fn new(
        code: &'static str,
        place: Place,
        message: impl Into<String>,
        help: &'static str,
    ) -> Self {
        Self { code, place, message: message.into(), help }
    }
}

/// Returns where the first byte of a kind stands: many are looked at at once.
fn position(bytes: &[u8], is_meant: impl Fn(u8) -> bool) -> Option<usize> {
    const STEP: usize = 16;
    let (steps, _) = bytes.as_chunks::<STEP>();
    // Without a branch for each byte.
    let holds = |step: &[u8; STEP]| {
        step.iter().fold(0_u8, |holds, byte| holds | u8::from(is_meant(*byte))) != 0
    };
    let passed = STEP * steps.iter().take_while(|step| !holds(step)).count();
    let at = bytes.get(passed..)?.iter().position(|byte| is_meant(*byte))?;
    Some(passed + at)
}

/// Reads every object of a source.
///
/// `name` appears in diagnostics; `text` is YAML or JSON in UTF-8, with or without a byte order
/// mark, with any line ends. Documents that cannot be read are left out and diagnosed: nothing here
/// fails as a whole.
///
/// # Examples
///
/// ```
/// use mesh_model::manifest::{Limits, read};
///
/// let text = b"kind: Service\nmetadata: {name: cart}\n---\nkind: [\n---\n{\"kind\": \"Pod\"}\n";
/// let reading = read("shop.yaml", text, &Limits::default());
/// let kinds: Vec<String> = reading.documents.iter().map(|d| d.head().kind).collect();
/// assert_eq!(kinds, ["Service", "Pod"]);
/// assert_eq!(reading.diagnostics[0].to_string().split(": ").next(), Some("shop.yaml:4:7"));
/// ```
pub fn read(name: &str, text: &[u8], limits: &Limits) -> Reading {
    let mut reader = Reader::new(name, limits);
    for piece in split::pieces(text) {
        reader.piece(&piece);
    }
    reader.finish();
    reader.reading
}

/// Reads a source as [`read`] does, a document of its stream at a time: who is done with one before the next
/// takes memory for one.
pub(crate) fn parts<'r>(
    name: &str,
    text: &'r [u8],
    limits: &'r Limits,
) -> impl Iterator<Item = Reading> + use<'r> {
    let mut reader = Reader::new(name, limits);
    let pieces = split::pieces(text).map(Some).chain([None]);
    pieces.map(move |piece| {
        match piece {
            Some(piece) => reader.piece(&piece),
            None => reader.finish(),
        }
        std::mem::take(&mut reader.reading)
    })
}

/// Reads those documents of a source whose text has any of these lines, counted from 1, and what stands with
/// them where several are one text: the others cost nothing.
pub(crate) fn documents_at(
    name: &str,
    text: &[u8],
    limits: &Limits,
    lines: &BTreeSet<u32>,
) -> Vec<Document> {
    let mut reader = Reader::new(name, limits);
    let mut pieces = split::pieces(text).peekable();
    while let Some(piece) = pieces.next() {
        let end = pieces.peek().map_or(u32::MAX, |next| next.line);
        if lines.range(piece.line.saturating_add(1)..).next().is_some_and(|line| *line <= end) {
            reader.piece(&piece);
        }
    }
    reader.reading.documents
}

/// Gathers the documents of one source.
struct Reader<'l> {
    file: Arc<str>,
    limits: &'l Limits,
    reading: Reading,
    /// How many documents were left out and told of.
    told: usize,
    /// How many were not told of because there were too many, and where the last of them is.
    untold: usize,
    last: Place,
}

impl<'l> Reader<'l> {
    fn new(name: &str, limits: &'l Limits) -> Self {
        let (file, reading, last) = (Arc::from(name), Reading::default(), Place::default());
        Self { file, limits, reading, told: 0, untold: 0, last }
    }

    /// Reads one piece of the stream.
    fn piece(&mut self, piece: &Piece<'_>) {
        let text = match piece.text() {
            Ok(text) => text,
            Err(fault) => return self.reject(fault, &String::from_utf8_lossy(piece.bytes)),
        };
        if split::is_blank(text) {
            return;
        }
        // Only where it matters: nothing of the text is lost either way.
        let is_large = text.len() > self.limits.object_bytes;
        let (text, line) =
            if is_large { split::without_comments(text, piece.line) } else { (text, piece.line) };
        if json::starts(text) {
            return self.json(text, line);
        }
        match yaml::read(text, line, self.limits) {
            Ok(node) => self.accept(node, text),
            Err(fault) => self.reject(fault, text),
        }
    }

    /// Reads a piece that looks like JSON: values one after the other, or else YAML after all.
    fn json(&mut self, text: &str, line: u32) {
        let mut objects = json::Objects::new(text, line, self.limits);
        let mut read = Vec::new();
        let failed = loop {
            match objects.next_object() {
                Ok(Some((node, source))) => read.push((node, source)),
                Ok(None) => break None,
                Err(fault) => break Some(fault),
            }
        };
        let Some(fault) = failed else {
            return read.into_iter().for_each(|(node, source)| self.accept(node, source));
        };
        if fault.code == "JSON" {
            // Braces are YAML too: `{a: b}`, comments, quotes of the other kind.
            match yaml::read(text, line, self.limits) {
                Ok(node) => return self.accept(node, text),
                Err(other) if read.is_empty() && !json::looks_like(text) => {
                    return self.reject(other, text);
                }
                Err(_) => {}
            }
        }
        read.into_iter().for_each(|(node, source)| self.accept(node, source));
        self.resume(fault, objects);
    }

    /// Goes on after a broken JSON object, at the next line that begins one.
    fn resume(&mut self, fault: Fault, mut objects: json::Objects<'_>) {
        let mut failed = Some(fault);
        loop {
            if let Some(fault) = failed.take() {
                let skipped = objects.skip_to_next_line_with_object();
                self.reject(fault, skipped);
            }
            match objects.next_object() {
                Ok(Some((node, source))) => self.accept(node, source),
                Ok(None) => return,
                Err(fault) => failed = Some(fault),
            }
        }
    }

    /// Takes what was read: an object, a list of objects, or nothing.
    fn accept(&mut self, node: Node, source: &str) {
        if node.is_null() {
            return;
        }
        let is_large = source.len() > self.limits.object_bytes;
        if is_large && !list::is_list(&node) {
            return self.reject(limits::object_bytes(self.limits, node.place), source);
        }
        let mut waiting = vec![node];
        while let Some(node) = waiting.pop() {
            if list::is_list(&node) {
                let file = || Arc::clone(&self.file);
                let beside = list::beside_items(&node).map(|node| Document { file: file(), node });
                self.reading.documents.extend(beside);
                waiting.extend(list::items(node).into_iter().rev());
            } else if !matches!(node.value, Value::Map(_)) {
                let message = format!("expected an object, found {}", node.kind());
                let help = "an object begins with `apiVersion:` and `kind:`";
                self.leave_out_node(Fault::new("YAML-OBJECT", node.place, message, help), &node);
            } else if is_large && list::weight(&node) > self.limits.object_bytes {
                self.leave_out_node(limits::object_bytes(self.limits, node.place), &node);
            } else {
                self.reading.documents.push(Document { file: Arc::clone(&self.file), node });
            }
        }
    }

    /// Leaves out a document of which only the text is known.
    fn reject(&mut self, fault: Fault, text: &str) {
        let guess = Guess::of(text);
        let meant = Meant::of_text(text, &guess);
        self.leave_out(fault, guess.head, meant, form::of_text(text));
    }

    /// Leaves out a document that was read.
    fn leave_out_node(&mut self, fault: Fault, node: &Node) {
        self.leave_out(fault, Head::of(node), Meant::of_node(node), form::of_node(node));
    }

    /// Leaves out a document.
    fn leave_out(&mut self, fault: Fault, head: Head, meant: Meant, is_manifest: bool) {
        let Fault { code, place, message, help } = fault;
        if self.told < self.limits.diagnostics {
            self.told += 1;
            self.reading.diagnostics.push(Diagnostic {
                code,
                severity: Severity::Error,
                file: Arc::clone(&self.file),
                place,
                object: head.to_string(),
                field: String::new(),
                message,
                help: help.to_owned(),
            });
        } else {
            self.untold += 1;
            self.last = place;
        }
        self.reading.unreadable.push(Unreadable {
            file: Arc::clone(&self.file),
            place,
            head,
            meant,
            is_manifest,
        });
    }

    /// Ends the reading, saying how much was not told.
    fn finish(&mut self) {
        if self.untold > 0 {
            self.reading.diagnostics.push(Diagnostic {
                code: "YAML-LIMIT",
                severity: Severity::Error,
                file: Arc::clone(&self.file),
                place: self.last,
                object: String::new(),
                field: String::new(),
                message: format!("{} more documents cannot be read", self.untold),
                help: "mend the ones above first".to_owned(),
            });
        }
    }
}

#[cfg(test)]
mod tests;
