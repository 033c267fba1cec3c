//! What the text of a trigger or a function may do: whatever it names, it may change.

use std::collections::{BTreeSet, HashSet};

use super::{Catalog, Name};
use crate::track::fold;

/// The effects of a piece of code.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) tables: BTreeSet<Name>,
    pub(super) functions: BTreeSet<Name>,
    /// It runs text made at run time, or text in a language that is not read here.
    pub(super) every: bool,
}

impl Source {
    pub(super) fn every() -> Self {
        Self {
            every: true,
            ..Self::default()
        }
    }

    /// The relations and functions of the catalog that occur in a text.
    pub(super) fn mentions(text: &str, catalog: &Catalog) -> Self {
        let text = fold(text);
        let words = words(&text);
        let named = |name: &&Name| mentioned(&text, &words, name);
        Self {
            tables: catalog.relations.keys().filter(named).cloned().collect(),
            functions: catalog.functions.keys().filter(named).cloned().collect(),
            every: false,
        }
    }

    pub(super) fn add(&mut self, other: Self) {
        self.tables.extend(other.tables);
        self.functions.extend(other.functions);
        self.every |= other.every;
    }
}

fn in_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '$')
}

/// The words of a folded text.
pub(super) fn words(text: &str) -> HashSet<&str> {
    text.split(|c| !in_word(c))
        .filter(|word| !word.is_empty())
        .collect()
}

/// Whether a folded text names this; a name that is no word is looked for as it is.
pub(super) fn mentioned(text: &str, words: &HashSet<&str>, name: &str) -> bool {
    match name.chars().all(in_word) {
        true => words.contains(name),
        false => text.contains(name),
    }
}
