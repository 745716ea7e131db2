//! What loading finds: of every file no more than anybody reads.
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::manifest::{Diagnostic, Place, Severity};

/// The diagnostics of several files, of each as many as the limit says; those beyond are counted.
#[derive(Debug)]
pub(super) struct Findings {
    most: usize,
    told: Vec<Diagnostic>,
    files: BTreeMap<Arc<str>, Count>,
}

/// How many diagnostics a file has.
#[derive(Debug, Default)]
struct Count {
    told: usize,
    untold: usize,
    untold_errors: usize,
    last: Place,
}

impl Findings {
    /// None yet; `most` of each file are kept.
    pub(super) fn new(most: usize) -> Self {
        Self { most, told: Vec::new(), files: BTreeMap::new() }
    }

    /// Takes a diagnostic, or counts it if its file has enough.
    pub(super) fn push(&mut self, diagnostic: Diagnostic) {
        let most = self.most;
        let count = self.count(&diagnostic.file);
        if count.told < most {
            return self.keep(diagnostic);
        }
        count.untold += 1;
        count.untold_errors += usize::from(diagnostic.severity == Severity::Error);
        count.last = count.last.max(diagnostic.place);
    }

    /// Takes several.
    pub(super) fn extend(&mut self, diagnostics: impl IntoIterator<Item = Diagnostic>) {
        diagnostics.into_iter().for_each(|diagnostic| self.push(diagnostic));
    }

    /// Takes those of reading, which knows the limit itself and says what it left out.
    pub(super) fn extend_limited(&mut self, diagnostics: Vec<Diagnostic>) {
        diagnostics.into_iter().for_each(|diagnostic| self.keep(diagnostic));
    }

    /// How many are told so far.
    pub(super) const fn len(&self) -> usize {
        self.told.len()
    }

    /// Those that are told after the first so many.
    pub(super) fn since(&mut self, first: usize) -> &mut [Diagnostic] {
        self.told.get_mut(first..).unwrap_or_default()
    }

    fn count(&mut self, file: &Arc<str>) -> &mut Count {
        self.files.entry(file.clone()).or_default()
    }

    fn keep(&mut self, mut diagnostic: Diagnostic) {
        diagnostic.shorten();
        let count = self.count(&diagnostic.file);
        count.told += 1;
        count.last = count.last.max(diagnostic.place);
        self.told.push(diagnostic);
    }

    /// Ends with how many more each file has, by file and place.
    pub(super) fn into_sorted(self) -> Vec<Diagnostic> {
        let Self { mut told, files, .. } = self;
        let more = files.into_iter().filter(|(_, count)| count.untold > 0);
        told.extend(more.map(|(file, count)| more_of(file, &count)));
        told.sort_by(|a, b| (&a.file, a.place, a.code).cmp(&(&b.file, b.place, b.code)));
        told
    }
}

/// `DIAGNOSTICS-LIMIT`: an error if one is among what is not told.
fn more_of(file: Arc<str>, count: &Count) -> Diagnostic {
    let is_error = count.untold_errors > 0;
    Diagnostic {
        code: "DIAGNOSTICS-LIMIT",
        severity: if is_error { Severity::Error } else { Severity::Warning },
        file,
        place: count.last,
        object: String::new(),
        field: String::new(),
        message: format!(
            "{} more findings about this file are not told, {} of them errors",
            count.untold, count.untold_errors
        ),
        help: "mend the ones above first, or raise the limit `diagnostics`".to_owned(),
    }
}
