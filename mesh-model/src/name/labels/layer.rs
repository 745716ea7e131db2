//! Labels that many sets have laid over their own.
use std::ops::Deref;
use std::sync::Arc;

use rustc_hash::FxHashSet;

use super::{Label, Labels, find};
use crate::name::Texts;

/// A sorted list of labels that are laid over others.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct Layer(
    // INVARIANT: not empty, sorted by key, keys are unique. One word, as most sets have none.
    Arc<Box<[Label]>>,
);

impl Layer {
    /// Makes a layer of a sorted list; `None` of an empty one.
    pub(super) fn of(labels: Vec<Label>) -> Option<Self> {
        (!labels.is_empty()).then(|| Self(Arc::new(labels.into_boxed_slice())))
    }

    /// Returns the value of a label.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        find(self, key)
    }

    /// Returns the list unless it is shared.
    pub(super) fn get_mut(&mut self) -> Option<&mut [Label]> {
        Arc::get_mut(&mut self.0).map(|labels| &mut **labels)
    }

    /// Returns whether two layers are one allocation.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Deref for Layer {
    type Target = [Label];

    fn deref(&self) -> &[Label] {
        &self.0
    }
}

/// What was met of labels laid over others, so that equal ones are one allocation: there are few, as all
/// workloads of a node have the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Layers(FxHashSet<Layer>);

impl Layers {
    /// Takes the allocation that is known of what is laid over labels, or else those of its texts.
    pub(crate) fn share(&self, labels: &mut Labels, texts: &mut Texts) {
        match labels.over.as_mut().and_then(|over| Some((self.0.get(over)?, over))) {
            Some((known, over)) => over.clone_from(known),
            None => labels.share_texts(texts),
        }
    }

    /// Takes note of what is laid over labels.
    pub(crate) fn add(&mut self, labels: &Labels) {
        self.0.extend(labels.over.clone());
    }

    /// Returns how many layers there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Drops what no labels have any more.
    pub(crate) fn drop_unused(&mut self) {
        self.0.retain(|layer| Arc::strong_count(&layer.0) > 1);
    }
}
