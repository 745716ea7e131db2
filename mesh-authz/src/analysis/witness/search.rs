//! What a search keeps to, and whether its bounds kept anything from it.
use std::cell::Cell;

use super::Surroundings;

/// One search for a request.
#[derive(Debug)]
pub(super) struct Search<'s> {
    pub(super) around: &'s Surroundings,
    is_cut: Cell<bool>,
}

impl<'s> Search<'s> {
    pub(super) const fn new(around: &'s Surroundings) -> Self {
        Self { around, is_cut: Cell::new(false) }
    }

    /// Notes that something was not tried: that nothing is found proves less than else.
    pub(super) fn cut(&self) {
        self.is_cut.set(true);
    }

    /// Whether something was not tried.
    pub(super) fn is_cut(&self) -> bool {
        self.is_cut.get()
    }

    /// The first of several things, and that there are more if so.
    pub(super) fn first<T>(&self, most: usize, all: impl Iterator<Item = T>) -> Vec<T> {
        let mut all = all.fuse();
        let found = all.by_ref().take(most).collect();
        if all.next().is_some() {
            self.cut();
        }
        found
    }
}
