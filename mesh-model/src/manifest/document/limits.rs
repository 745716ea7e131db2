//! How much of everything a document may have.
use super::Fault;
use crate::manifest::Place;

/// The limits of reading; each guards memory or time against hostile text.
///
/// There is no limit on the number of documents: each is read alone.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "callers set each limit")]
pub struct Limits {
    /// Bytes of text of one object, without the comments before and behind it; of an item of a list,
    /// the bytes of its keys and texts.
    ///
    /// 4 MiB by default: the store of Kubernetes (etcd) takes about 1.5 MiB.
    pub object_bytes: usize,
    /// Bytes of text of one list of objects, which is one document. 256 MiB by default.
    pub list_bytes: usize,
    /// Bytes of one key or text. 1 MiB by default.
    pub scalar_bytes: usize,
    /// Values of one object, with its aliases expanded: texts, numbers, lists, maps and keys.
    /// 500,000 by default.
    ///
    /// A list may have as many times more as it may have more bytes.
    pub values: usize,
    /// Uses of an anchor (`*name`) in one document. 1,000 by default.
    pub aliases: usize,
    /// Lists and maps inside each other. 64 by default; more than [`Limits::MAX_DEPTH`] counts as
    /// that.
    pub depth: usize,
    /// Diagnostics of one source. What is wrong beyond is left out of the mesh as well, and counted:
    /// a last diagnostic says how many more there were. 1,000 by default.
    pub diagnostics: usize,
}

impl Limits {
    /// The greatest depth that can be asked for: reading takes stack for each level.
    pub const MAX_DEPTH: usize = 128;

    /// Returns the depth that counts.
    pub(super) fn depth(&self) -> usize {
        self.depth.min(Self::MAX_DEPTH)
    }

    /// Returns the values that a text of `length` bytes may have: a list's share if it is longer
    /// than an object may be.
    pub(super) fn values_in(&self, length: usize) -> usize {
        let objects = length.div_ceil(self.object_bytes.max(1)).max(1);
        self.values.saturating_mul(objects)
    }

    /// Returns the bytes of text that a document of `length` bytes may expand to.
    pub(super) fn bytes_in(&self, length: usize) -> usize {
        if length > self.object_bytes { self.list_bytes } else { self.object_bytes }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            object_bytes: 4 << 20,
            list_bytes: 256 << 20,
            scalar_bytes: 1 << 20,
            values: 500_000,
            aliases: 1_000,
            depth: 64,
            diagnostics: 1_000,
        }
    }
}

/// The code of everything here.
const CODE: &str = "YAML-LIMIT";

pub(super) fn object_bytes(limits: &Limits, place: Place) -> Fault {
    let message = format!("the object is larger than {} bytes", limits.object_bytes);
    Fault::new(CODE, place, message, "make it smaller or raise the limit `object_bytes`")
}

pub(super) fn list_bytes(limits: &Limits, place: Place) -> Fault {
    let message = format!("the list is larger than {} bytes", limits.list_bytes);
    Fault::new(CODE, place, message, "divide it or raise the limit `list_bytes`")
}

pub(super) fn scalar_bytes(limits: &Limits, place: Place) -> Fault {
    let message = format!("the text is longer than {} bytes", limits.scalar_bytes);
    Fault::new(CODE, place, message, "shorten it or raise the limit `scalar_bytes`")
}

/// Says that a document has more than `allowed` values, a share of the limit for each object.
pub(super) fn values(allowed: usize, place: Place) -> Fault {
    let message = format!("the document has more than {allowed} values, aliases expanded");
    Fault::new(CODE, place, message, "divide it or raise the limit `values`")
}

/// Says that a document of less than `allowed` bytes has more with its aliases expanded.
pub(super) fn expanded_bytes(allowed: usize, place: Place) -> Fault {
    let message = format!("with its aliases expanded the document is larger than {allowed} bytes");
    Fault::new(CODE, place, message, "use fewer aliases or raise the limit `object_bytes`")
}

pub(super) fn aliases(limits: &Limits, place: Place) -> Fault {
    let message = format!("more than {} aliases are used", limits.aliases);
    Fault::new(CODE, place, message, "write the values out or raise the limit `aliases`")
}

pub(super) fn depth(limits: &Limits, place: Place) -> Fault {
    let message = format!("lists and maps are nested more than {} deep", limits.depth());
    Fault::new(CODE, place, message, "nest less or raise the limit `depth`")
}
