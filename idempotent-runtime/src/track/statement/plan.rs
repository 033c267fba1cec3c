//! What to append to a statement, what to ask before and after it, and what to believe it changed.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use super::analyse::{Analysis, Ending, Target, analyse};
use super::change::Change;
use super::reading::{Check, Chosen, Having, KeyColumns, ROW, Read, quoted};
use super::selection::Selection;
use super::text::{Piece, behind};
use super::{Dialect, ROWIDS};
use crate::track::backend::escape;
use crate::track::catalog::{Catalog, Chain, Kind, Reading, Touched};
use crate::track::rules::Rule;
use crate::track::{Key, Registry, fold};

mod conflicts;

use conflicts::Taken;

/// What a change means to the tracked tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Asked before the statement. Where the answer cannot be had or is not sure, the tables that it is about change as
    /// a whole.
    pub(crate) before: Box<[Read]>,
    /// Sent before these: on SQLite who has read cannot wait for the write lock any more.
    pub(crate) lock: Option<Arc<str>>,
    /// How to learn which rows of the statement's own table it changes.
    pub(crate) rows: Option<Rows>,
    /// The rows that it changes, if it changes any, by keys that it has with it.
    pub(crate) given: Option<Given>,
    pub(crate) after: Option<After>,
    /// What else it changes: note it even when the statement fails, for an SQLite statement with
    /// `OR FAIL` keeps what it did before its error.
    pub(crate) whole: Whole,
}

/// A RETURNING clause, or more of it, that names the key of each row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rows {
    /// The folded name of the table; none if its rows are only compared with those that were asked for.
    pub(crate) table: Option<Arc<str>>,
    /// To be appended to the statement.
    pub(crate) suffix: Arc<str>,
    /// How many columns it adds, last in each row.
    pub(crate) keys: usize,
    /// As many bytes at the statement's end are left out before it: a semicolon, and what follows.
    pub(crate) cut: usize,
}

/// Keys that are in the statement's text or in its binds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Given {
    /// The folded name of the table.
    pub(crate) table: Arc<str>,
    pub(crate) keys: Box<[Box<[Part]>]>,
}

/// A part of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// The bind with this number, if it is of this kind.
    Bind(usize, Kind),
    /// Written out, in the form in which it is part of a resource's name.
    Written(Box<str>),
}

impl Part {
    /// A value, if equal values read alike.
    fn of(value: &Piece, reading: Reading) -> Option<Self> {
        let Reading::Same(kind) = reading else {
            return None;
        };
        let text = value.sql.trim();
        match value.binds.as_slice() {
            [bind] if text == "?" || text.strip_prefix('$').is_some_and(is_number) => {
                Some(Self::Bind(*bind, kind))
            }
            [] => Some(Self::Written(written(text, kind)?.into())),
            _ => None,
        }
    }
}

/// A constant of the text as a key has it, if all that are equal to it are written so.
fn written(text: &str, kind: Kind) -> Option<String> {
    if kind == Kind::Integer {
        let digits = text.strip_prefix('-').unwrap_or(text);
        let number: i64 = text.parse().ok().filter(|_| is_number(digits))?;
        return Some(number.to_string());
    }
    let inner = text.strip_prefix('\'')?.strip_suffix('\'')?;
    let single = inner.split("''").all(|part| !part.contains('\''));
    // Whether a backslash is one is up to a setting.
    let plain = single && !inner.contains('\\');
    let digits = |at: usize, c: char| match at {
        8 | 13 | 18 | 23 => c == '-',
        _ => matches!(c, '0'..='9' | 'a'..='f'),
    };
    let spelled = match kind {
        Kind::Uuid => inner.len() == 36 && inner.char_indices().all(|(at, c)| digits(at, c)),
        Kind::Text | Kind::Integer => true,
    };
    (plain && spelled).then(|| escape(&inner.replace("''", "'")))
}

/// A constant as a number.
fn integer(sql: &str) -> Option<Piece> {
    let sql = sql.trim();
    let number = match () {
        () if sql.eq_ignore_ascii_case("TRUE") => "1".to_owned(),
        () if sql.eq_ignore_ascii_case("FALSE") => "0".to_owned(),
        () => written(sql, Kind::Integer)?,
    };
    Some(Piece::from(&*number))
}

/// A literal or a bind as a text of MySQL's that is compared byte by byte.
fn text(value: &Piece) -> Option<Piece> {
    let sql = value.sql.trim();
    let (start, end) = Reading::TEXT.around()?;
    let mut piece = Piece::from(start);
    piece.append(value);
    piece.push(end);
    (sql == "?" || sql.starts_with('\'')).then_some(piece)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Asked after the statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct After {
    pub(crate) read: Read,
    /// With fewer rows than these the table changes as a whole.
    pub(crate) least: usize,
    pub(crate) count: Count,
}

/// What the number of rows that the server has counted must be, or else the table changes as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Count {
    Any,
    /// Any, but if rows were changed, one at least is found: else the key is not as it was set, for it was made to fit.
    Some,
    /// The number of new rows: more of them says that others were replaced.
    Given,
    /// The number of rows that were not there before.
    New,
}

/// Tables of which unknown rows change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Whole {
    Tables(Box<[Arc<str>]>),
    Every,
}

impl Plan {
    fn nothing() -> Self {
        Self::whole([])
    }

    fn whole(tables: impl IntoIterator<Item = Arc<str>>) -> Self {
        Self {
            whole: Whole::Tables(tables.into_iter().collect()),
            ..Self::every()
        }
    }

    /// Any row of any tracked table.
    pub(crate) fn every() -> Self {
        Self {
            before: Box::default(),
            lock: None,
            rows: None,
            given: None,
            after: None,
            whole: Whole::Every,
        }
    }

    /// All queries of it.
    pub(crate) fn reads(&self) -> impl Iterator<Item = &Read> {
        self.before
            .iter()
            .chain(self.after.iter().map(|after| &after.read))
    }

    /// The same without them: the tables that they are about change as a whole.
    pub(crate) fn unasked(&self) -> Self {
        let asked = self.reads().filter_map(|read| read.table.clone());
        let whole = match &self.whole {
            Whole::Every => Whole::Every,
            Whole::Tables(tables) => Whole::Tables(tables.iter().cloned().chain(asked).collect()),
        };
        Self {
            before: Box::default(),
            lock: None,
            after: None,
            whole,
            ..self.clone()
        }
    }

    /// Whether no tracked row changes.
    pub(crate) fn is_nothing(&self) -> bool {
        self.rows.is_none()
            && self.given.is_none()
            && self.before.is_empty()
            && self.after.is_none()
            && matches!(&self.whole, Whole::Tables(tables) if tables.is_empty())
    }
}

/// Plans one statement of the class [`Change`](super::keywords::Class::Change).
pub(crate) fn plan(sql: &str, dialect: Dialect, registry: &Registry, catalog: &Catalog) -> Plan {
    if registry.is_empty() {
        return Plan::nothing();
    }
    if catalog.strange {
        return Plan::every();
    }
    match analyse(sql, dialect) {
        Some(mut analysis) if !analysis.hidden => {
            analysis
                .targets
                .iter_mut()
                .for_each(|target| settle_conflict(target, catalog));
            let planner = Planner {
                sql,
                dialect,
                registry,
                catalog,
                ending: analysis.ending,
            };
            planner.plan(&analysis)
        }
        None if !Rule::Unreadable.applies() => Plan::nothing(),
        Some(_) if !Rule::Hidden.applies() => Plan::nothing(),
        _ => Plan::every(),
    }
}

/// What a conflict does: a table may say that it replaces rows, and `UPDATE OR REPLACE` replaces none where it sets no
/// column of a unique index.
fn settle_conflict(target: &mut Target, catalog: &Catalog) {
    let Change {
        insert,
        delete,
        update,
        ..
    } = &mut target.change;
    let stops = target.untold && !*delete;
    if catalog.replaces(&target.table) && (*insert || update.is_some()) {
        *delete = true;
        target.untold |= !*insert;
    }
    if *insert || !*delete || !update.is_some() {
        return;
    }
    let unique = catalog.unique(&target.table);
    if unique.is_some_and(|unique| !update.any(unique.iter().flatten()) && !update.any(ROWIDS)) {
        *delete = false;
        target.untold = stops;
    }
}

/// How the rows of the statement's own table are learned.
#[derive(Default)]
struct Own {
    before: Vec<Read>,
    rows: Option<Rows>,
    given: Option<Given>,
    after: Option<After>,
}

struct Planner<'a> {
    sql: &'a str,
    dialect: Dialect,
    registry: &'a Registry,
    catalog: &'a Catalog,
    ending: Ending,
}

impl Planner<'_> {
    fn plan(&self, analysis: &Analysis) -> Plan {
        let main = analysis.targets.iter().find(|target| target.main);
        // Where a WITH changes rows, too, a query of ours would do that once more.
        let alone = main.filter(|_| analysis.targets.len() == 1);
        let chosen = alone.filter(|target| !target.change.insert);
        let chosen = chosen.and_then(|_| Selection::of(self.sql, self.dialect));
        let selection = alone.and_then(|target| self.repeatable(target, chosen.as_ref()?));
        let inserts = alone.filter(|target| {
            target.change.insert && (target.change.delete || target.change.update.is_some())
        });
        let taken = inserts.and_then(|target| self.taken(target));
        let chains = match (main, selection, &taken) {
            (_, _, Some(Taken::Nothing)) => Some(Vec::new()),
            (Some(target), _, Some(Taken::Rows(taken))) => self.chains(target, taken),
            (Some(target), Some(selection), None) => self.chains(target, selection),
            _ => None,
        };
        let touched = self.touched(analysis, main.filter(|_| chains.is_some()));
        if touched.every {
            return Plan::every();
        }
        let tracked = |table: &Arc<str>| self.registry.get(table).map(|(name, _)| name.clone());
        let mut whole: BTreeSet<_> = touched.tables.iter().filter_map(tracked).collect();
        let mut own = Own::default();
        for target in &analysis.targets {
            let Some((table, _)) = self.registry.get(&target.table) else {
                continue;
            };
            let known = || self.own(target, analysis, chosen.as_ref(), selection);
            match known().filter(|_| !whole.contains(table)) {
                Some(known) if target.main => own = known,
                _ if !target.main && !Rule::Parts.applies() => {}
                _ if !Rule::Untold.applies() => {}
                _ => {
                    whole.insert(table.clone());
                }
            }
        }
        let taken = match &taken {
            Some(Taken::Rows(taken)) => Some(&**taken),
            _ => None,
        };
        if let (Some(target), Some(selection), Some(chains)) = (main, selection.or(taken), chains) {
            self.follow(target, selection, &chains, &mut own, &mut whole);
        }
        own.before.retain(|read| {
            read.table
                .as_ref()
                .is_none_or(|table| !whole.contains(table))
        });
        if own.before.iter().all(|read| read.table.is_none()) {
            own.before.clear();
        }
        let place = main.and_then(|target| self.catalog.place(&target.table));
        let locks = !own.before.is_empty() && self.dialect == Dialect::Sqlite;
        let lock = place
            .filter(|_| locks)
            .map(|place| format!("DELETE FROM {place} WHERE 0"));
        if locks && lock.is_none() {
            whole.extend(own.before.drain(..).filter_map(|read| read.table));
        }
        Plan {
            lock: lock.map(Into::into),
            before: own.before.into(),
            rows: own.rows.filter(|rows| {
                !rows
                    .table
                    .as_ref()
                    .is_some_and(|table| whole.contains(table))
            }),
            given: own.given.filter(|given| !whole.contains(&given.table)),
            after: own.after,
            ..Plan::whole(whole)
        }
    }

    /// What chooses the rows of the main target, if the same rows are found by a query of ours.
    fn repeatable<'s>(&self, target: &Target, selection: &'s Selection) -> Option<&'s Selection> {
        // A query of ours would wait for rows that the statement itself passes by, as others may change them.
        let repeats = !self.catalog.unrepeatable;
        let same = selection.steady
            && self.is_settled(target, selection)
            && self.catalog.lockable(&target.table)
            && !self.catalog.has_function(&selection.calls);
        (repeats && same).then_some(selection)
    }

    /// Whether it is settled which rows a LIMIT takes.
    fn is_settled(&self, target: &Target, selection: &Selection) -> bool {
        let key = self.registry.get(&target.table).map(|(_, key)| key);
        let ordered = match key {
            Some(Key::Columns(columns)) => columns
                .iter()
                .all(|column| selection.order.contains(&fold(column))),
            _ => false,
        };
        selection.limit.sql.is_empty() || ordered && self.dialect == Dialect::Mysql
    }

    /// The foreign keys along which the change of the main target goes on, if the rows can be asked for.
    fn chains(&self, target: &Target, selection: &Selection) -> Option<Vec<Chain>> {
        let told = || {
            let compared = self.registry.get(&target.table).is_none() && self.catalog.returning;
            target.change.delete && (compared || self.key(target).is_some())
        };
        if !self.counts(selection) && !told() {
            return None;
        }
        self.catalog.chains(&target.table, &target.change)
    }

    /// Asks for the rows that the foreign keys change.
    fn follow(
        &self,
        target: &Target,
        selection: &Selection,
        chains: &[Chain],
        own: &mut Own,
        whole: &mut BTreeSet<Arc<str>>,
    ) {
        let chosen = self.chosen(target, selection);
        let mut reads = Vec::new();
        for chain in chains {
            let Some((table, key)) = chain.table().and_then(|table| self.registry.get(table))
            else {
                reads.extend(chosen.passing(chain));
                continue;
            };
            match self.chained(&chosen, chain, table, key) {
                Some(read) => reads.push(read),
                None => {
                    whole.insert(table.clone());
                }
            }
        }
        // On SQLite nobody else writes between a query for what an INSERT takes and that.
        if !reads.is_empty() && own.before.is_empty() && !target.change.insert {
            match self.locking(target, &chosen, chains, own) {
                Some(lock) => own.before.push(lock),
                None => whole.extend(reads.drain(..).filter_map(|read| read.table)),
            }
        }
        own.before.extend(reads);
    }

    fn chained(
        &self,
        chosen: &Chosen<'_>,
        chain: &Chain,
        table: &Arc<str>,
        key: Key,
    ) -> Option<Read> {
        let Key::Columns(columns) = key else {
            return None;
        };
        let effect = &chain.effect;
        let readings = self.catalog.key(table, columns)?;
        let kept = !self.sets_key(effect, columns) && self.catalog.tells(table, effect, columns);
        let key = KeyColumns {
            columns,
            readings: &readings,
        };
        chosen.chained(chain, table.clone(), &key).filter(|_| kept)
    }

    /// Locks the rows of the main target before others are asked for.
    fn locking(
        &self,
        target: &Target,
        chosen: &Chosen<'_>,
        chains: &[Chain],
        own: &mut Own,
    ) -> Option<Read> {
        let told = own.rows.is_some() && target.change.delete;
        match self.key(target).filter(|_| told) {
            Some((table, columns, readings)) => {
                let key = KeyColumns {
                    columns,
                    readings: &readings,
                };
                Some(chosen.rows(Some(table), &key, Check::Keys))
            }
            None if self.counts(chosen.selection) => Some(chosen.lock()),
            None => self.compared(target, chosen, chains, own),
        }
    }

    /// The same for an untracked table, whose rows are told for that alone: by what a foreign key refers to.
    fn compared(
        &self,
        target: &Target,
        chosen: &Chosen<'_>,
        chains: &[Chain],
        own: &mut Own,
    ) -> Option<Read> {
        let pairs = &chains.first()?.hops.first()?.pairs;
        let columns: Vec<_> = pairs.iter().map(|(_, column)| column.as_str()).collect();
        let told = self.catalog.tells(&target.table, &target.change, &columns);
        let readings = self.catalog.key(&target.table, &columns)?;
        let key = KeyColumns {
            columns: &columns,
            readings: &readings,
        };
        let free = told && target.change.delete && own.rows.is_none() && own.given.is_none();
        own.rows = free.then(|| self.suffix(target, None, &key)).flatten();
        own.rows
            .is_some()
            .then(|| chosen.rows(None, &key, Check::Keys))
    }

    /// Whether rows that are as many as the changed ones are the changed ones: others may come in the place of some only
    /// where a statement looks at more than the rows themselves.
    fn counts(&self, selection: &Selection) -> bool {
        self.dialect != Dialect::Postgres || !selection.asks_others
    }

    fn chosen<'s>(&self, target: &'s Target, selection: &'s Selection) -> Chosen<'s> {
        Chosen {
            dialect: self.dialect,
            selection,
            qualifier: match target.change.insert {
                true => ROW,
                false => &target.qualifier,
            },
            refers: target.change.delete
                || self.catalog.refers(&target.table, &target.change)
                || self.sets_key_of(target),
        }
    }

    /// What changes beside the rows of the targets. `chained`: what foreign keys make of this one's change is asked for.
    fn touched(&self, analysis: &Analysis, chained: Option<&Target>) -> Touched {
        let mut touched = self.catalog.called(&analysis.calls);
        for target in &analysis.targets {
            let chained = chained.is_some_and(|main| std::ptr::eq(main, target));
            let more = match self.catalog.knows(&target.table) {
                true => self.catalog.touched(&target.table, &target.change, chained),
                false => self.unknown(),
            };
            touched.every |= more.every || self.is_elsewhere(target);
            touched.tables.extend(more.tables);
        }
        touched
    }

    /// MySQL's other databases may have a table of the same name, of which the catalog says nothing then.
    fn is_elsewhere(&self, target: &Target) -> bool {
        let Some(schema) = target
            .schema
            .as_ref()
            .filter(|_| self.dialect == Dialect::Mysql)
        else {
            return false;
        };
        let place = self.catalog.place(&target.table).map(fold);
        let named = format!("{}.", fold(&quoted(self.dialect, schema)));
        !place.is_some_and(|place| place.starts_with(&named))
    }

    /// A relation that the catalog does not know may be newer than it, or no relation but a word
    /// that the grammar took for one: whatever the text names may be changed.
    fn unknown(&self) -> Touched {
        let text = fold(self.sql);
        let named = |table: &&Arc<str>| text.contains(&***table);
        Touched {
            tables: self.registry.names().filter(named).cloned().collect(),
            every: false,
        }
    }

    /// The key of a target whose rows RETURNING or a query can tell.
    fn key(&self, target: &Target) -> Option<(Arc<str>, &'static [&'static str], Vec<Reading>)> {
        let (table, key) = self.registry.get(&target.table)?;
        let Key::Columns(columns) = key else {
            return None;
        };
        let told = target.main
            && !target.untold
            && self.catalog.tells(&target.table, &target.change, columns);
        let readings = self.catalog.key(&target.table, columns).filter(|_| told)?;
        Some((table.clone(), columns, readings))
    }

    fn own(
        &self,
        target: &Target,
        analysis: &Analysis,
        chosen: Option<&Selection>,
        selection: Option<&Selection>,
    ) -> Option<Own> {
        let (table, columns, readings) = self.key(target)?;
        let key = KeyColumns {
            columns,
            readings: &readings,
        };
        if target.change.insert {
            return self.inserted(target, &table, &key, analysis);
        }
        let sets_key = self.sets_key(&target.change, columns);
        let given = chosen
            .filter(|_| !sets_key)
            .and_then(|chosen| self.given(&table, &key, chosen));
        if given.is_some() {
            return Some(Own {
                given,
                ..Own::default()
            });
        }
        let rows = self.suffix(target, Some(&table), &key);
        if rows.is_some() && !sets_key {
            return Some(Own {
                rows,
                ..Own::default()
            });
        }
        self.asked(target, &table, &key, rows, selection?)
    }

    /// A column as [`Text::name`](super::text::Text::name) has it.
    fn spelled(&self, column: &str) -> String {
        match self.dialect {
            Dialect::Postgres => column.to_owned(),
            Dialect::Sqlite | Dialect::Mysql => fold(column),
        }
    }

    /// The row whose key is all that the condition lets through. (Diesel does not give SQLite's binds away.)
    fn given(&self, table: &Arc<str>, key: &KeyColumns<'_>, chosen: &Selection) -> Option<Given> {
        if self.dialect == Dialect::Sqlite || chosen.asks_others {
            return None;
        }
        let columns = key.columns.iter().zip(key.readings);
        let parts = columns.map(|(column, reading)| {
            let mut values = chosen
                .equal
                .iter()
                .filter(|(known, _)| *known == self.spelled(column));
            values.find_map(|(_, value)| Part::of(value, *reading))
        });
        let parts: Option<Box<[_]>> = parts.collect();
        Some(Given {
            table: table.clone(),
            keys: Box::new([parts?]),
        })
    }

    /// Rows that are asked for before the statement, because it does not tell them or not their old keys.
    fn asked(
        &self,
        target: &Target,
        table: &Arc<str>,
        key: &KeyColumns<'_>,
        rows: Option<Rows>,
        selection: &Selection,
    ) -> Option<Own> {
        let sets_key = self.sets_key(&target.change, key.columns);
        if !self.counts(selection) {
            return None;
        }
        let chosen = self.chosen(target, selection);
        let mut before = vec![chosen.rows(Some(table.clone()), key, Check::Count)];
        let mut after = None;
        if sets_key && rows.is_none() {
            after = self.renamed(target, table, key, selection);
            if after.is_none() {
                let parts = self.recomputed(target, key, selection)?;
                before.push(chosen.renamed(table.clone(), &parts));
            }
        }
        Some(Own {
            before,
            rows,
            after,
            given: None,
        })
    }

    /// Rows by the new key that the statement sets, if all of it is made of constants.
    fn renamed(
        &self,
        target: &Target,
        table: &Arc<str>,
        key: &KeyColumns<'_>,
        selection: &Selection,
    ) -> Option<After> {
        let constant = |column: &&str| {
            let mut sets = selection
                .sets
                .iter()
                .filter(|set| set.column == fold(column));
            let set = sets.next().filter(|_| sets.next().is_none())?;
            Some(((*column).to_owned(), set.constant.clone()?))
        };
        let values = key
            .columns
            .iter()
            .map(constant)
            .collect::<Option<Vec<_>>>()?;
        let place = self.catalog.place(&target.table)?;
        let read = Having {
            dialect: self.dialect,
            place,
            parameters: selection.parameters,
        }
        .any(table, key, &[values], Check::Nothing);
        Some(After {
            read,
            least: 0,
            count: Count::Some,
        })
    }

    /// The new keys, made of the old row: columns that stay, numbers that are added to, texts that are compared byte by byte.
    fn recomputed(
        &self,
        target: &Target,
        key: &KeyColumns<'_>,
        selection: &Selection,
    ) -> Option<Vec<Piece>> {
        let column = |name: &str| format!("{}.{}", target.qualifier, quoted(self.dialect, name));
        let sets = |name: &str| {
            let own = selection.sets.iter().filter(|set| set.column == name);
            own.collect::<Vec<_>>()
        };
        let part = |(name, reading): (&&str, &Reading)| {
            let own = sets(&fold(name));
            let Some(set) = own.first() else {
                return Some(Piece::from(&*reading.of(&column(name))));
            };
            // MySQL sets one column after the other.
            let kept = |from: &str| from == set.column || sets(from).is_empty();
            let value = match (&set.constant, &set.shifted, *reading) {
                (Some(value), _, Reading::Same(Kind::Integer)) => integer(&value.sql),
                (Some(value), _, Reading::TEXT) => text(value),
                (None, Some((from, shift)), Reading::Same(Kind::Integer)) => {
                    let numbers = self.catalog.key(&target.table, &[from.as_str()])?;
                    let shifted = format!("({} {shift})", column(from));
                    (kept(from) && numbers == [*reading]).then(|| Piece::from(&*shifted))
                }
                _ => None,
            };
            value.filter(|_| own.len() == 1)
        };
        let strict = self.dialect == Dialect::Mysql && !self.catalog.lenient;
        let known = key.columns.iter().any(|name| !sets(&fold(name)).is_empty());
        let parts = key.columns.iter().zip(key.readings).map(part);
        parts
            .collect::<Option<Vec<_>>>()
            .filter(|_| strict && known)
    }

    fn sets_key_of(&self, target: &Target) -> bool {
        match self.registry.get(&target.table) {
            Some((_, Key::Columns(columns))) => self.sets_key(&target.change, columns),
            _ => true,
        }
    }

    fn sets_key(&self, change: &Change, key: &[&str]) -> bool {
        let columns: HashSet<_> = key.iter().map(|column| fold(column)).collect();
        let by_rowid =
            self.dialect == Dialect::Sqlite && change.update.any(ROWIDS) && Rule::Rowid.applies();
        (change.update.any(&columns) || by_rowid) && Rule::OldKeys.applies()
    }

    fn suffix(
        &self,
        target: &Target,
        table: Option<&Arc<str>>,
        key: &KeyColumns<'_>,
    ) -> Option<Rows> {
        // A line break first: the statement may end in a line comment.
        let start = match self.ending {
            _ if !self.catalog.returning => return None,
            Ending::Closed => return None,
            Ending::Open => "\nRETURNING ",
            Ending::Returning => "\n, ",
        };
        // SQLite's RETURNING knows the target's columns alone.
        let qualifier = (self.dialect == Dialect::Postgres).then_some(target.qualifier.as_str());
        let expressions = key.expressions(self.dialect, qualifier);
        Some(Rows {
            table: table.cloned(),
            suffix: format!("{start}{expressions}").into(),
            keys: key.columns.len(),
            cut: behind(self.sql, self.dialect)?,
        })
    }
}

#[cfg(test)]
mod tests;
