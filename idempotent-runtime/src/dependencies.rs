//! What a record of an execution depends on; pure.
//!
//! Transactions of one execution may overlap, and the news that they have committed may come in another order than
//! their stamps. A tag is *overtaken* if someone else stamped it between two stamps of this execution: the reply may
//! hold what was true before, or after.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::store::{Tag, Version};

/// What a tag stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One row, which was changed.
    Row,
    /// `*`: rows unknown. It was asked for by one who changed known rows, or (`true`) changed.
    Unknown(bool),
    /// `any`: whatever row.
    Any,
}

/// A tag that a transaction stamped, with its versions.
#[derive(Clone, Debug)]
pub(crate) struct Stamped {
    pub(crate) table: Arc<str>,
    pub(crate) kind: Kind,
    pub(crate) tag: Tag,
    pub(crate) before: Option<Version>,
    pub(crate) now: Option<Version>,
}

/// All that an execution has stamped.
#[derive(Debug, Default)]
pub(crate) struct Dependencies(BTreeMap<Arc<str>, OfTable>);

/// What it has stamped of one table.
#[derive(Debug, Default)]
struct OfTable {
    rows: BTreeMap<Tag, Seen>,
    unknown: Option<(Tag, Seen)>,
    any: Option<(Tag, Seen)>,
    /// Its rows are not known, or too many: a record depends on the whole table.
    whole: bool,
}

/// The versions of one tag, as far as this execution has seen them.
#[derive(Clone, Copy, Debug)]
struct Seen {
    before: Option<Version>,
    now: Option<Version>,
    overtaken: bool,
}

impl Dependencies {
    /// A transaction that stamped this has committed. Of each table up to `most` rows are told apart.
    pub(crate) fn note(&mut self, stamped: Stamped, most: usize) {
        self.0
            .entry(Arc::clone(&stamped.table))
            .or_default()
            .note(stamped, most);
    }

    /// The tags that a record must carry; `None` if one of them was overtaken.
    pub(crate) fn tags(&self) -> Option<Vec<(Tag, Version)>> {
        self.0
            .values()
            .flat_map(OfTable::tags)
            .map(|(tag, seen)| {
                let version = seen.now.filter(|_| !seen.overtaken)?;
                Some((Tag::clone(tag), version))
            })
            .collect()
    }
}

impl OfTable {
    fn note(&mut self, stamped: Stamped, most: usize) {
        let seen = Seen {
            before: stamped.before,
            now: stamped.now,
            overtaken: stamped.now.is_none(),
        };
        match stamped.kind {
            Kind::Row => self.note_row(stamped.tag, seen, most),
            Kind::Unknown(changed) => {
                self.whole |= changed;
                merge(&mut self.unknown, stamped.tag, seen);
            }
            Kind::Any => merge(&mut self.any, stamped.tag, seen),
        }
    }

    fn note_row(&mut self, tag: Tag, seen: Seen, most: usize) {
        if let Some(known) = self.rows.get_mut(&tag) {
            known.follow(seen);
        } else if self.whole || self.rows.len() >= most {
            self.whole = true;
            self.rows.clear();
        } else {
            self.rows.insert(tag, seen);
        }
    }

    fn tags(&self) -> impl Iterator<Item = (&Tag, &Seen)> {
        let rows = self.rows.iter().filter(|_| !self.whole);
        let any = self.any.iter().filter(|_| self.whole);
        let tables = self
            .unknown
            .iter()
            .chain(any)
            .map(|(tag, seen)| (tag, seen));
        rows.chain(tables)
    }
}

fn merge(known: &mut Option<(Tag, Seen)>, tag: Tag, seen: Seen) {
    match known {
        Some((_, known)) => known.follow(seen),
        None => *known = Some((tag, seen)),
    }
}

impl Seen {
    /// What another transaction of this execution saw of the same tag.
    fn follow(&mut self, other: Self) {
        self.overtaken |= other.overtaken;
        if other.before == self.now && other.now != self.now {
            (self.before, self.now) = (other.before, other.now);
        } else if self.before == other.now && other.now != self.now {
            // It stamped before the one that was noted first.
            self.before = other.before;
        } else if other.now != self.now {
            self.overtaken = true;
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn stamped(kind: Kind, tag: &str, before: u64, now: u64) -> Stamped {
        let version = |count| (count > 0).then_some(Version { count, nonce: 0 });
        Stamped {
            table: "t".into(),
            kind,
            tag: tag.into(),
            before: version(before),
            now: version(now),
        }
    }

    /// The tags with the counts of their versions.
    fn after(stamps: &[Stamped], most: usize) -> Option<Vec<(String, u64)>> {
        let mut dependencies = Dependencies::default();
        for stamped in stamps {
            dependencies.note(stamped.clone(), most);
        }
        let tags = dependencies.tags()?;
        Some(
            tags.iter()
                .map(|(tag, version)| (tag.to_string(), version.count))
                .collect(),
        )
    }

    fn row(name: &str, before: u64, now: u64, any: (u64, u64)) -> [Stamped; 3] {
        [
            stamped(Kind::Row, name, before, now),
            stamped(Kind::Any, "any", any.0, any.1),
            stamped(Kind::Unknown(false), "*", 1, 1),
        ]
    }

    fn tags(list: &[(&str, u64)]) -> Option<Vec<(String, u64)>> {
        Some(
            list.iter()
                .map(|(tag, count)| ((*tag).to_owned(), *count))
                .collect(),
        )
    }

    #[test]
    fn a_record_depends_on_its_rows_and_on_rows_unknown() {
        assert_eq!(
            after(&row("a", 0, 2, (0, 3)), 9),
            tags(&[("a", 2), ("*", 1)])
        );
    }

    #[test]
    fn h50_a_change_of_rows_unknown_makes_it_depend_on_any_row_at_its_latest() {
        let mut stamps = vec![
            stamped(Kind::Unknown(true), "*", 0, 1),
            stamped(Kind::Any, "any", 0, 2),
        ];
        stamps.extend(row("a", 0, 3, (2, 4)));
        assert_eq!(after(&stamps, 9), tags(&[("*", 1), ("any", 4)]));
    }

    #[test]
    fn too_many_rows_become_the_table() {
        let stamps = [row("a", 0, 2, (0, 3)), row("b", 0, 4, (3, 5))].concat();
        assert_eq!(after(&stamps, 1), tags(&[("*", 1), ("any", 5)]));
    }

    #[test]
    fn a_row_stamped_by_another_in_between_is_overtaken() {
        let stamps = [row("a", 0, 2, (0, 3)), row("a", 4, 5, (3, 6))].concat();
        assert_eq!(after(&stamps, 9), None);
    }

    #[test]
    fn news_of_commits_may_come_in_any_order() {
        let stamps = [row("a", 2, 4, (3, 5)), row("a", 0, 2, (0, 3))].concat();
        assert_eq!(after(&stamps, 9), tags(&[("a", 4), ("*", 1)]));
    }

    #[test]
    fn others_who_change_other_rows_of_the_table_do_not_matter() {
        let stamps = [row("a", 0, 2, (0, 3)), row("b", 0, 5, (4, 6))].concat();
        assert_eq!(after(&stamps, 9), tags(&[("a", 2), ("b", 5), ("*", 1)]));
    }

    #[test]
    fn a_tag_that_could_not_be_had_is_no_dependency_to_rely_on() {
        assert_eq!(after(&[stamped(Kind::Row, "a", 0, 0)], 9), None);
    }
}
