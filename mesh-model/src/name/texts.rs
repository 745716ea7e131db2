//! Texts that many things have, each kept once.
use std::sync::Arc;

use rustc_hash::FxHashSet;

use super::labels::share_text;

/// Texts that were met, so that equal ones are one allocation: that costs less memory, and whoever walks
/// over many of them finds them near.
#[derive(Clone, Debug, Default)]
pub(crate) struct Texts(FxHashSet<Arc<str>>);

impl Texts {
    /// Returns the allocation of a text.
    pub(crate) fn get(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.0.get(text) {
            return Arc::clone(known);
        }
        let text = Arc::from(text);
        self.0.insert(Arc::clone(&text));
        text
    }

    /// Takes the allocation that is known of a text, or makes this the one that is.
    pub(crate) fn share(&mut self, text: &mut Arc<str>) {
        match self.0.get(text) {
            Some(known) => share_text(text, known),
            None => {
                self.0.insert(Arc::clone(text));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_are_one_allocation() {
        let mut texts = Texts::default();
        let first = texts.get("v1");
        let mut second: Arc<str> = "v1".into();
        assert!(!Arc::ptr_eq(&first, &second));
        texts.share(&mut second);
        assert!(Arc::ptr_eq(&first, &second));
        let mut other: Arc<str> = "v2".into();
        texts.share(&mut other);
        assert!(Arc::ptr_eq(&other, &texts.get("v2")));
    }
}
