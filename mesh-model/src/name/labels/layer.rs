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
    /// Takes the allocation that is known of what is laid over labels, or makes this the one that is, and its
    /// texts those that are known.
    pub(crate) fn share(&mut self, labels: &mut Labels, texts: &mut Texts) {
        let Some(over) = &mut labels.over else { return };
        if let Some(known) = self.0.get(over) {
            over.clone_from(known);
            return;
        }
        labels.share_texts(texts);
        self.0.extend(labels.over.clone());
    }
}
