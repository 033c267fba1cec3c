//! What the text of a trigger or a function may do: whatever it names, it may change, in every way that it has a word for.

use std::collections::{BTreeSet, HashSet};

use super::{Catalog, Name};
use crate::track::fold;
use crate::track::statement::change::{Change, Columns};

/// The effects of a piece of code.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) tables: BTreeSet<Name>,
    /// What it may do to them.
    pub(super) change: Change,
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
            change: possible(&words),
            functions: catalog.functions.keys().filter(named).cloned().collect(),
            every: false,
        }
    }

    pub(super) fn add(&mut self, other: Self) {
        self.tables.extend(other.tables);
        self.change.add(other.change);
        self.functions.extend(other.functions);
        self.every |= other.every;
    }
}

/// What a text with these words may do to a row: a keyword cannot be written otherwise.
fn possible(words: &HashSet<&str>) -> Change {
    const ANY: [&str; 10] = [
        "merge", "truncate", "copy", "drop", "alter", "create", "rename", "refresh", "language",
        "execute",
    ];
    let has = |word: &str| words.contains(word);
    if ANY.into_iter().any(has) {
        return Change::any();
    }
    Change {
        insert: has("insert") || has("replace") || has("load"),
        delete: has("delete") || has("replace"),
        update: match has("update") {
            true => Columns::All,
            false => Columns::None,
        },
        truncate: None,
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

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> (bool, bool, bool) {
        let change = possible(&words(&fold(text)));
        (change.insert, change.delete, change.update.is_some())
    }

    #[test]
    fn a_text_changes_rows_in_the_ways_that_it_has_words_for() {
        assert_eq!(
            of("INSERT INTO users VALUES (NEW.id)"),
            (true, false, false)
        );
        assert_eq!(of("REPLACE INTO users VALUES (1)"), (true, true, false));
        assert_eq!(
            of("insert into users values (1) on conflict do nothing"),
            (true, false, false)
        );
        assert_eq!(of("BEGIN DELETE FROM users; END"), (false, true, false));
        assert_eq!(of("UPDATE users SET id = 2"), (false, false, true));
        assert_eq!(of("SELECT updated FROM users"), (false, false, false));
        assert_eq!(of("TRUNCATE users"), (true, true, true));
        assert_eq!(of("RENAME TABLE users TO old"), (true, true, true));
    }
}
