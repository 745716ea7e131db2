//! Objects on their way into the index.
//!
//! While texts are read nobody asks for the objects in them, but for whether one of a name came before.
//! Put in together, in the order of their names, they find their places near each other; one by one, in
//! the order of the texts, each goes its own way through all that is there.
use std::hash::BuildHasher;

use rustc_hash::{FxBuildHasher, FxHashSet};

use crate::registry::objects::Additions;
use crate::registry::{Origin, Registry};
use crate::resource::{ObjectKey, Resource};

/// Objects that are read and not yet put in.
#[derive(Clone, Debug, Default)]
pub(in crate::registry) struct Incoming {
    is_open: bool,
    /// The hashes of all that came by.
    seen: FxHashSet<u64>,
    waiting: Vec<(Origin, Additions)>,
}

impl Incoming {
    /// Returns whether none waits.
    pub(super) const fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Takes an object; returns it if one of its name may have come before.
    fn push(&mut self, origin: &Origin, key: &ObjectKey, resource: Resource) -> Option<Resource> {
        if !self.is_open || !self.seen.insert(FxBuildHasher.hash_one((origin, key))) {
            return Some(resource);
        }
        match self.waiting.last_mut().filter(|(last, _)| last == origin) {
            Some((_, additions)) => additions.push(resource),
            None => {
                let mut additions = Additions::default();
                additions.push(resource);
                self.waiting.push((origin.clone(), additions));
            }
        }
        None
    }
}

impl Registry {
    /// Lets objects wait from now on, if there are none yet: of others it is not known which came before.
    pub(super) fn open_incoming(&mut self) {
        self.incoming.is_open = self.parts.clusters.is_empty() && self.parts.config.is_empty();
    }

    /// Puts in what waits, and lets nothing wait any more.
    pub(super) fn close_incoming(&mut self) {
        self.settle();
        self.incoming = Incoming::default();
    }

    /// Puts in what waits: before anything asks which objects there are.
    pub(super) fn settle(&mut self) {
        for (origin, additions) in std::mem::take(&mut self.incoming.waiting) {
            self.store(&origin).add_all(additions);
        }
    }

    /// Puts an object in, unless there is one of its name; returns whether there was none.
    pub(super) fn put(&mut self, origin: &Origin, key: &ObjectKey, resource: Resource) -> bool {
        let Some(resource) = self.incoming.push(origin, key, resource) else { return true };
        self.settle();
        self.store(origin).add(resource)
    }
}
