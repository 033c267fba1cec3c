//! Which rows a statement changes: asked before it, told by it, asked after it.
//!
//! On READ COMMITTED others may commit between our query and the statement. The rows that were found are locked, so none
//! of them can go; more may come, and then there are more than were found: all rows count.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use diesel::expression::QueryMetadata;
use diesel::query_builder::{Query, QueryFragment, QueryId};
use diesel::result::QueryResult;

use super::Trackable;
use crate::track::backend::{NULL, each_key, write_key};
use crate::track::changes::Changes;
use crate::track::fragment::{Telling, TellingMore};
use crate::track::statement::plan::{Count, Plan, Rows};
use crate::track::statement::reading::{Check, Read};

/// Runs a statement that changes rows, and notes which.
pub(super) fn execute<C, T>(
    inner: &mut C,
    plan: &Plan,
    source: &T,
    text: Option<&str>,
    changes: &mut Changes,
) -> QueryResult<usize>
where
    C: Trackable,
    T: QueryFragment<C::Backend> + QueryId,
{
    let found = before(inner, plan, source, changes)?;
    let (count, told) = match &plan.rows {
        None => (inner.execute_returning_count(source)?, None),
        Some(rows) => {
            let telling = Telling {
                statement: source,
                text,
                suffix: &rows.suffix,
                cut: rows.cut,
            };
            let mut told = Told::new(plan, rows);
            let count = each_key(inner, telling, rows.keys, |key| told.note(key, changes))?;
            (count, told.keys)
        }
    };
    settle(plan, &found, count, told.as_ref(), changes);
    given(inner, plan, source, count, changes);
    after(inner, plan, source, (&found, count), changes)?;
    Ok(count)
}

/// The same for a statement that returns rows; and how many columns they have that the caller did not ask for.
pub(super) fn load<C, T>(
    inner: &mut C,
    plan: &Plan,
    source: &T,
    text: Option<&str>,
    changes: &mut Changes,
) -> QueryResult<(Vec<C::OwnedRow>, usize)>
where
    C: Trackable,
    T: Query + QueryFragment<C::Backend> + QueryId,
    C::Backend: QueryMetadata<T::SqlType>,
{
    let found = before(inner, plan, source, changes)?;
    let (loaded, hidden, told) = match &plan.rows {
        None => (inner.load_owned(source)?, 0, None),
        Some(rows) => {
            let loaded = inner.load_owned(TellingMore {
                statement: source,
                text,
                suffix: &rows.suffix,
                cut: rows.cut,
            })?;
            let mut told = Told::new(plan, rows);
            let mut key = String::new();
            for row in &loaded {
                write_key::<C>(row, rows.keys, &mut key);
                told.note(&key, changes);
            }
            (loaded, rows.keys, told.keys)
        }
    };
    settle(plan, &found, loaded.len(), told.as_ref(), changes);
    given(inner, plan, source, loaded.len(), changes);
    after(inner, plan, source, (&found, loaded.len()), changes)?;
    Ok((loaded, hidden))
}

/// What a statement tells of its rows.
struct Told<'a> {
    rows: &'a Rows,
    /// Their keys, where they are to be compared.
    keys: Option<HashSet<String>>,
}

impl<'a> Told<'a> {
    fn new(plan: &Plan, rows: &'a Rows) -> Self {
        let compared = plan.before.iter().any(|read| read.check == Check::Keys);
        Self {
            rows,
            keys: compared.then(HashSet::new),
        }
    }

    fn note(&mut self, key: &str, changes: &mut Changes) {
        if let Some(keys) = &mut self.keys {
            keys.insert(key.to_owned());
        }
        let table = self.rows.table.as_ref();
        if let Some(table) = table.filter(|table| !changes.is_whole(table)) {
            changes.row(table, key.to_owned());
        }
    }
}

/// What the first query before a statement found.
enum Found {
    /// Nothing was to be asked.
    Unasked,
    Rows {
        count: usize,
        keys: HashSet<String>,
    },
    /// Or it is not known what it should have.
    Failed,
}

fn before<C, T>(inner: &mut C, plan: &Plan, source: &T, changes: &mut Changes) -> QueryResult<Found>
where
    C: Trackable,
    T: QueryFragment<C::Backend> + QueryId,
{
    let Some((first, others)) = plan.before.split_first() else {
        return Ok(Found::Unasked);
    };
    if let Some(lock) = &plan.lock {
        inner.batch_execute(lock)?;
    }
    let asked = inner.before_statement(|inner| {
        let mut keys = HashSet::new();
        let collects = matches!(first.check, Check::Keys | Check::Kept);
        let count = ask(inner, first, source, |table, key| {
            if collects {
                keys.insert(key.to_owned());
            }
            if let Some(table) = table.filter(|_| first.check != Check::Kept) {
                changes.row(table, key.to_owned());
            }
        })?;
        let ends = others.iter().any(|read| read.goes_on);
        let mut rounds: HashMap<usize, HashSet<String>> = HashMap::new();
        for read in others {
            let mut news = 0;
            let found = ask(inner, read, source, |table, key| {
                if let Some(table) = table {
                    changes.row(table, key.to_owned());
                }
                if ends && rounds.entry(read.round).or_default().insert(key.to_owned()) {
                    news += 1;
                }
            })?;
            if read.goes_on && found > 0 && (news > 0 || read.keys == 0) {
                return Ok(Found::Failed);
            }
        }
        Ok(Found::Rows { count, keys })
    })?;
    Ok(asked.unwrap_or(Found::Failed))
}

fn ask<C, T>(
    inner: &mut C,
    read: &Read,
    source: &T,
    mut see: impl FnMut(Option<&Arc<str>>, &str),
) -> QueryResult<usize>
where
    C: Trackable,
    T: QueryFragment<C::Backend> + QueryId,
{
    inner.ask(source, read, |key| see(read.table.as_ref(), key))
}

/// Where what was found is not surely what was changed, the tables that were asked for change as a whole.
fn settle(
    plan: &Plan,
    found: &Found,
    changed: usize,
    told: Option<&HashSet<String>>,
    changes: &mut Changes,
) {
    let Some(first) = plan.before.first() else {
        return;
    };
    let sure = match found {
        Found::Unasked => true,
        Found::Failed => false,
        Found::Rows { count, keys } => match first.check {
            Check::Nothing | Check::Kept => true,
            Check::Count => *count == changed,
            Check::Keys => told == Some(keys),
        },
    };
    if !sure {
        let tables = plan.before.iter().filter_map(|read| read.table.as_ref());
        tables.for_each(|table| changes.whole(table));
    }
}

/// Notes the keys that the statement has with it, if it has changed anything.
fn given<C, T>(inner: &mut C, plan: &Plan, source: &T, changed: usize, changes: &mut Changes)
where
    C: Trackable,
    T: QueryFragment<C::Backend> + QueryId,
{
    let Some(given) = plan.given.as_ref().filter(|_| changed > 0) else {
        return;
    };
    let table = &given.table;
    if !inner.given(source, given, |key| changes.row(table, key.to_owned())) {
        changes.whole(table);
    }
}

fn after<C, T>(
    inner: &mut C,
    plan: &Plan,
    source: &T,
    (found, changed): (&Found, usize),
    changes: &mut Changes,
) -> QueryResult<()>
where
    C: Trackable,
    T: QueryFragment<C::Backend> + QueryId,
{
    let Some(after) = plan
        .after
        .as_ref()
        .filter(|after| changed > 0 || after.least > 0)
    else {
        return Ok(());
    };
    let kept = match found {
        Found::Rows { keys, .. } => Some(keys),
        Found::Unasked | Found::Failed => None,
    };
    let mut new = 0;
    let mut gone = false;
    let asked = inner.before_statement(|inner| {
        ask(inner, &after.read, source, |table, key| {
            if key.split(',').any(|part| part == NULL) {
                gone = true;
            } else if let Some(table) = table
                && !kept.is_some_and(|kept| kept.contains(key))
            {
                changes.row(table, key.to_owned());
                new += 1;
            }
        })
    })?;
    let counted = match after.count {
        Count::Any => true,
        Count::Some => asked.is_some_and(|found| found > 0),
        Count::Given => changed == after.least,
        Count::New => changed == new,
    };
    if (!counted || gone || asked.is_none_or(|found| found < after.least))
        && let Some(table) = &after.read.table
    {
        changes.whole(table);
    }
    Ok(())
}
