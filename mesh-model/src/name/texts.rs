//! Texts that many things have, each kept once.
use std::sync::Arc;

use rustc_hash::FxHashSet;

use super::Text;
use super::labels::share_text;

/// Texts that were met, so that equal ones are one allocation: that costs less memory, and whoever walks
/// over many of them finds them near.
#[derive(Clone, Debug, Default)]
pub(crate) struct Texts {
    texts: FxHashSet<Arc<str>>,
    words: FxHashSet<Text>,
}

impl Texts {
    /// Takes the allocation that is known of a text, or makes this the one that is.
    pub(crate) fn share(&mut self, text: &mut Arc<str>) {
        match self.texts.get(text) {
            Some(known) => share_text(text, known),
            None => {
                self.texts.insert(Arc::clone(text));
            }
        }
    }

    /// The same for a text of one word.
    pub(crate) fn share_word(&mut self, text: &mut Text) {
        match self.words.get(&**text) {
            Some(known) => text.clone_from(known),
            None => {
                self.words.insert(text.clone());
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
        let mut first: Arc<str> = "v1".into();
        let mut second: Arc<str> = "v1".into();
        assert!(!Arc::ptr_eq(&first, &second));
        texts.share(&mut first);
        texts.share(&mut second);
        assert!(Arc::ptr_eq(&first, &second));
        let mut other: Arc<str> = "v2".into();
        texts.share(&mut other);
        let mut again: Arc<str> = "v2".into();
        texts.share(&mut again);
        assert!(Arc::ptr_eq(&other, &again) && !Arc::ptr_eq(&other, &first));
        let (mut word, mut same) = (Text::from("v1"), Text::from("v1"));
        texts.share_word(&mut word);
        texts.share_word(&mut same);
        assert!(word.is_same(&same) && word == "v1");
    }
}
