//! Messages that differ in texts alone: one is encoded, the others are filled in.
//!
//! ```text
//! message with marks for texts ──encode──▶ bytes ──cut──▶ ▒▒▒▒▒ length │ 0 │▒▒▒▒▒│ 1 │▒▒▒▒▒
//!                                                                └─ fill ──┴─────────┘
//! ```
//!
//! A message of which only some texts are another's need not be made and encoded again: its bytes are
//! those of the first one but for the texts, and for the lengths of what holds them. A [`Stencil`]
//! knows where both are. It finds out by itself, from the bytes of a message that has [marks](mark) in
//! place of the texts, so that what a message says is written down in one place, and that place makes
//! messages.
use std::ops::Range;

use super::Backwards;

/// Begins and ends a mark. As the first byte of a field it would be of a wire type that there is
/// not, so that a mark is never mistaken for a message.
const EDGE: u8 = 0x07;
/// Deeper than any message that is filled in.
const MAX_DEPTH: u32 = 32;

/// Stands for the text of that number in a message that a stencil is cut from.
pub(crate) fn mark(text: usize) -> String {
    let edge = char::from(EDGE);
    format!("{edge}{text}{edge}")
}

/// The bytes of a message but for its texts.
#[derive(Clone, Debug)]
pub(crate) struct Stencil {
    bytes: Box<[u8]>,
    steps: Box<[Step]>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Step {
    /// Bytes that are always the same.
    Same(Range<usize>),
    /// The text of this number.
    Text(usize),
    /// Where the length of what follows is told.
    Open,
    /// Where what a length counts ends.
    Close,
}

impl Stencil {
    /// Cuts a stencil from the bytes of a message with marks; `None` where one is within something
    /// else than texts and messages.
    pub(crate) fn cut(bytes: &[u8]) -> Option<Self> {
        let marks = marks(bytes);
        let mut cutter = Cutter { bytes, marks: &marks, steps: Vec::new(), written: 0 };
        cutter.message(0..bytes.len(), 0)?;
        cutter.same(bytes.len());
        Some(Self { bytes: bytes.into(), steps: cutter.steps.into() })
    }

    /// Writes the message with these texts, each in place of the mark of its number.
    ///
    /// A text that is empty is written as such: where a message leaves empty fields out, it is no
    /// text for a stencil.
    pub(crate) fn fill<'t>(&self, text: impl Fn(usize) -> &'t str, into: &mut Backwards) {
        self.fill_noting(text, into, |_, _| {});
    }

    /// The same; `note` is told the number of each text that is written, and how much is written then.
    fn fill_noting<'t>(
        &self,
        text: impl Fn(usize) -> &'t str,
        into: &mut Backwards,
        mut note: impl FnMut(usize, usize),
    ) {
        let mut marks = [0_usize; MAX_DEPTH as usize];
        let mut depth = 0_usize;
        for step in self.steps.iter().rev() {
            match step {
                Step::Same(range) => into.push(self.bytes.get(range.clone()).unwrap_or_default()),
                Step::Text(number) => {
                    into.push(text(*number).as_bytes());
                    note(*number, into.len());
                }
                Step::Close => {
                    if let Some(mark) = marks.get_mut(depth) {
                        *mark = into.len();
                    }
                    depth += 1;
                }
                Step::Open => {
                    depth = depth.saturating_sub(1);
                    let mark = marks.get(depth).copied().unwrap_or_default();
                    let len = into.len().saturating_sub(mark);
                    into.varint(u64::try_from(len).unwrap_or(u64::MAX));
                }
            }
        }
    }
}

/// A stencil with what it was filled with last. Texts as long as those before them take their places
/// there, and no length is told anew: names of services that somebody numbers.
#[derive(Clone, Debug)]
pub(crate) struct Refill {
    stencil: Stencil,
    /// What was written last.
    bytes: Vec<u8>,
    // INVARIANT: of `bytes`, a text once.
    texts: Vec<Placed>,
}

/// A text and where it stands.
#[derive(Clone, Debug)]
struct Placed {
    number: usize,
    len: usize,
    /// How much is written, from the end, when it is.
    ends: Vec<usize>,
}

impl Refill {
    pub(crate) fn new(stencil: Stencil) -> Self {
        Self { stencil, bytes: Vec::new(), texts: Vec::new() }
    }

    /// Returns the bytes that [`Stencil::fill`] would write; `scratch` holds nothing before and after.
    pub(crate) fn fill<'t>(
        &mut self,
        text: impl Fn(usize) -> &'t str,
        scratch: &mut Backwards,
    ) -> &[u8] {
        let fits = |placed: &Placed| placed.len == text(placed.number).len();
        if self.bytes.is_empty() || !self.texts.iter().all(fits) {
            self.anew(&text, scratch);
            return &self.bytes;
        }
        let whole = self.bytes.len();
        for placed in &self.texts {
            let text = text(placed.number).as_bytes();
            for end in &placed.ends {
                let start = whole.wrapping_sub(*end);
                let place = self.bytes.get_mut(start..start.wrapping_add(text.len()));
                place.into_iter().for_each(|place| place.copy_from_slice(text));
            }
        }
        &self.bytes
    }

    fn anew<'t>(&mut self, text: impl Fn(usize) -> &'t str, scratch: &mut Backwards) {
        let texts = &mut self.texts;
        for placed in texts.iter_mut() {
            placed.len = text(placed.number).len();
            placed.ends.clear();
        }
        self.stencil.fill_noting(&text, scratch, |number, written| {
            match texts.iter_mut().find(|placed| placed.number == number) {
                Some(placed) => placed.ends.push(written),
                None => texts.push(Placed { number, len: text(number).len(), ends: vec![written] }),
            }
        });
        self.bytes.clear();
        self.bytes.extend_from_slice(scratch.as_slice());
        scratch.back_to(0);
    }
}

/// Finds the steps of a stencil.
struct Cutter<'b> {
    bytes: &'b [u8],
    /// Where marks are, in order, and of which texts.
    marks: &'b [(Range<usize>, usize)],
    steps: Vec<Step>,
    /// What the steps have written so far.
    written: usize,
}

impl<'b> Cutter<'b> {
    /// Writes what is the same up to a place.
    fn same(&mut self, end: usize) {
        if self.written < end {
            self.steps.push(Step::Same(self.written..end));
        }
        self.written = end;
    }

    /// Cuts the fields of a message; `None` if it is none.
    fn message(&mut self, range: Range<usize>, depth: u32) -> Option<()> {
        if depth + 1 >= MAX_DEPTH {
            return None;
        }
        let mut at = range.start;
        while at < range.end {
            let tag = self.varint(&mut at, range.end)?;
            match tag & 7 {
                _ if tag >> 3 == 0 => return None,
                0 => drop(self.varint(&mut at, range.end)?),
                1 => at = at.checked_add(8)?,
                5 => at = at.checked_add(4)?,
                2 => {
                    let before_len = at;
                    let len = usize::try_from(self.varint(&mut at, range.end)?).ok()?;
                    let content = at..at.checked_add(len).filter(|&end| end <= range.end)?;
                    at = content.end;
                    if !self.marks_in(&content).is_empty() {
                        self.field(before_len, content, depth)?;
                    }
                }
                _ => return None,
            }
            if at > range.end {
                return None;
            }
        }
        Some(())
    }

    /// Cuts the content of a field, a message or a text, with its length.
    fn field(&mut self, before_len: usize, content: Range<usize>, depth: u32) -> Option<()> {
        let (kept, written) = (self.steps.len(), self.written);
        self.open(before_len, content.start);
        if self.message(content.clone(), depth + 1).is_none() {
            self.steps.truncate(kept);
            self.written = written;
            self.open(before_len, content.start);
            self.text(content.clone())?;
        }
        self.same(content.end);
        self.steps.push(Step::Close);
        Some(())
    }

    fn open(&mut self, before_len: usize, content: usize) {
        self.same(before_len);
        self.steps.push(Step::Open);
        self.written = content;
    }

    /// Cuts a text at its marks.
    fn text(&mut self, content: Range<usize>) -> Option<()> {
        let marks = self.marks_in(&content);
        for (mark, text) in marks {
            self.same(mark.start);
            self.steps.push(Step::Text(*text));
            self.written = mark.end;
        }
        marks.last().is_some_and(|(last, _)| last.end <= content.end).then_some(())
    }

    /// The marks that begin in a part of the bytes.
    fn marks_in(&self, part: &Range<usize>) -> &'b [(Range<usize>, usize)] {
        let before = |place: usize| self.marks.partition_point(|(mark, _)| mark.start < place);
        self.marks.get(before(part.start)..before(part.end)).unwrap_or_default()
    }

    fn varint(&self, at: &mut usize, end: usize) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = *self.bytes.get(*at).filter(|_| *at < end)?;
            *at += 1;
            value |= u64::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }
}

/// All marks in bytes, and of which texts they are.
fn marks(bytes: &[u8]) -> Vec<(Range<usize>, usize)> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(rest) = bytes.get(at..)
        && let Some(edge) = rest.iter().position(|&byte| byte == EDGE)
    {
        let start = at + edge;
        at = start + 1;
        let inner = bytes.get(at..).unwrap_or_default();
        let len = inner.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let digits = inner.get(..len).and_then(|digits| std::str::from_utf8(digits).ok());
        if inner.get(len) == Some(&EDGE)
            && let Some(text) = digits.and_then(|digits| digits.parse().ok())
        {
            at += len + 1;
            found.push((start..at, text));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use mesh_envoy_proto::envoy::config::cluster::v3::Cluster;
    use mesh_envoy_proto::envoy::config::cluster::v3::cluster::EdsClusterConfig;
    use mesh_envoy_proto::envoy::config::core::v3::{Metadata, TransportSocket, transport_socket};
    use mesh_envoy_proto::pack;
    use mesh_envoy_proto::prost_types::value::Kind;
    use mesh_envoy_proto::prost_types::{Struct, Value};
    use prost::Message;

    use super::*;

    /// A message with texts in fields, in parts of texts, in maps, and within packed messages.
    fn message(texts: &[&str]) -> Vec<u8> {
        let of = |number: usize| texts.get(number).copied().unwrap_or_default();
        let inner = Cluster { name: of(1).to_owned(), ..Cluster::default() };
        let socket = TransportSocket {
            name: "socket".to_owned(),
            config_type: Some(transport_socket::ConfigType::TypedConfig(pack(&inner))),
        };
        let value = Value { kind: Some(Kind::StringValue(format!("/a/{}/b/{}", of(1), of(2)))) };
        let fields = Struct { fields: [("config".to_owned(), value)].into() };
        let metadata = Metadata {
            filter_metadata: [("istio".to_owned(), fields)].into(),
            ..Metadata::default()
        };
        Cluster {
            name: format!("outbound|80|{}|{}", of(0), of(1)),
            eds_cluster_config: Some(EdsClusterConfig {
                service_name: of(2).to_owned(),
                ..EdsClusterConfig::default()
            }),
            respect_dns_ttl: true,
            transport_socket: Some(socket),
            metadata: Some(metadata),
            ..Cluster::default()
        }
        .encode_to_vec()
    }

    fn filled(texts: &[&str]) -> Vec<u8> {
        let marks = [0, 1, 2].map(mark);
        let stencil = Stencil::cut(&message(&marks.each_ref().map(String::as_str)));
        let mut bytes = Backwards::default();
        let Some(stencil) = stencil else { return Vec::new() };
        stencil.fill(|number| texts.get(number).copied().unwrap_or_default(), &mut bytes);
        bytes.as_slice().to_vec()
    }

    #[test]
    fn what_is_filled_in_is_what_would_have_been_encoded() {
        let long = "x".repeat(20_000);
        let middle = "y".repeat(113);
        for texts in [["v1", "cart.shop", "web"], ["a", &long, "b"], [&middle, "c", &long]] {
            assert_eq!(filled(&texts), message(&texts));
        }
    }

    #[test]
    fn what_is_filled_in_again_is_what_would_have_been_filled_in() {
        let marks = [0, 1, 2].map(mark);
        let stencil = Stencil::cut(&message(&marks.each_ref().map(String::as_str)));
        let mut refill = Refill::new(stencil.unwrap());
        let mut scratch = Backwards::default();
        let texts = [
            ["v1", "cart.shop", "web"],
            ["v2", "sale.shop", "api"],
            ["v2", "sale.shop", "api2"],
            ["v3", "cart.shop", "web2"],
            ["v", "cart.shop", "web"],
            ["w", "sale.shop", "api"],
        ];
        for texts in texts {
            let text = |number: usize| texts.get(number).copied().unwrap_or_default();
            assert_eq!(refill.fill(text, &mut scratch), message(&texts));
            assert_eq!(scratch.len(), 0);
        }
    }

    #[test]
    fn a_message_without_marks_is_filled_in_as_it_is() {
        let bytes = message(&["a", "b", "c"]);
        let mut filled = Backwards::default();
        let stencil = Stencil::cut(&bytes);
        stencil.iter().for_each(|stencil| stencil.fill(|_| "", &mut filled));
        assert_eq!(filled.as_slice(), bytes);
    }

    #[test]
    fn what_is_no_message_is_refused() {
        for bytes in [&[0x0A, 0x05, 0x01][..], &[0x07], &[0x00, 0x01], &[0x0B], &[0xFF; 12]] {
            assert!(Stencil::cut(bytes).is_none(), "{bytes:?}");
        }
    }
}
