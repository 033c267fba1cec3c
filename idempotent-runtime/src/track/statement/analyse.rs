//! One statement -> the tables it changes.

use std::collections::BTreeSet;

use sqlparser::ast::{
    AssignmentTarget, ConflictTarget, CopySource, Delete, FromTable, Ident, Insert, Merge,
    MergeAction, ObjectName, OnConflictAction, OnInsert, Query, SetExpr, SqliteOnConflict,
    Statement, TableFactor, TableObject, TableWithJoins, Truncate, Update,
};
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::change::{Cascade, Change, Columns};
use super::gaps::filled;
use super::{Dialect, is_blank, is_keyword};
use crate::track::fold;

mod names;

use names::{Named, called, named, set, spelled, tables};

/// What a statement does, as far as its text tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Analysis {
    pub(crate) targets: Vec<Target>,
    /// It runs something that is not in the text.
    pub(crate) hidden: bool,
    /// `INSERT IGNORE`, `DO NOTHING`: rows that are in conflict are left out.
    pub(crate) skips: bool,
    /// The columns by whose conflict rows are updated, as [`Text::name`](super::text::Text::name) has them, if they are
    /// named.
    pub(crate) conflict: Vec<String>,
    pub(crate) ending: Ending,
    /// Folded names of the functions that the text calls, and of more, for a name before a
    /// parenthesis counts as one.
    pub(crate) calls: BTreeSet<String>,
}

/// What may follow the last token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Nothing.
    Closed,
    /// A RETURNING clause.
    Open,
    /// More expressions of a RETURNING clause.
    Returning,
}

/// A table that a statement changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// Folded and unqualified.
    pub(crate) table: String,
    /// The schema that the statement names it in.
    pub(crate) schema: Option<String>,
    /// What qualifies a column of the table in the statement: the alias or the name, as written.
    pub(crate) qualifier: String,
    pub(crate) change: Change,
    /// The outermost statement's own, so that the outermost RETURNING tells its rows.
    pub(crate) main: bool,
    /// Rows may change that RETURNING does not tell.
    pub(crate) untold: bool,
}

/// What `sql` does; nothing if it does not parse.
pub(crate) fn analyse(sql: &str, dialect: Dialect) -> Option<Analysis> {
    let mut tokens = dialect.tokens(sql).ok()?;
    tokens.retain(|token| !is_blank(token));
    while tokens.last()?.token == Token::SemiColon {
        tokens.pop();
    }
    let calls = calls(&tokens);
    let reads = only_reads(&tokens);
    let tokens = filled(tokens, dialect);
    let mut parser = Parser::new(dialect.grammar()).with_tokens_with_locations(tokens);
    let mut facts = Facts {
        mysql: dialect == Dialect::Mysql,
        ..Facts::default()
    };
    match parser.parse_statements() {
        Ok(statements) => {
            let single = statements.len() == 1;
            for statement in &statements {
                facts.statement(statement, single)?;
            }
        }
        Err(_) if reads => {}
        Err(_) => return None,
    }
    facts.analysis(calls)
}

/// Whether this is a query that, parsed or not, cannot change a row: it has none of the words.
fn only_reads(tokens: &[TokenWithSpan]) -> bool {
    let is = |at: usize, word| {
        tokens
            .get(at)
            .is_some_and(|token| is_keyword(&token.token, word))
    };
    let changes = |at: usize| {
        let locks = at > 0 && (is(at - 1, "FOR") || is(at - 1, "KEY"));
        is(at, "UPDATE") && !locks
            || ["INSERT", "DELETE", "MERGE", "REPLACE"]
                .iter()
                .any(|word| is(at, word))
    };
    is(0, "WITH") && !(0..tokens.len()).any(changes)
}

fn calls(tokens: &[TokenWithSpan]) -> BTreeSet<String> {
    let mut calls = BTreeSet::new();
    let mut last = None;
    for token in tokens {
        if let (Some(name), Token::LParen) = (last, &token.token) {
            calls.insert(fold(name));
        }
        last = match &token.token {
            Token::Word(word) => Some(&word.value),
            _ => None,
        };
    }
    calls
}

/// The walk over a statement. `None` from its steps is a shape that is not understood.
#[derive(Default)]
struct Facts {
    targets: Vec<Target>,
    hidden: bool,
    mysql: bool,
    skips: bool,
    conflict: Vec<String>,
    ending: Option<Ending>,
}

impl Facts {
    fn analysis(self, calls: BTreeSet<String>) -> Option<Analysis> {
        Some(Analysis {
            targets: self.targets,
            hidden: self.hidden,
            skips: self.skips,
            conflict: self.conflict,
            ending: self.ending.unwrap_or(Ending::Closed),
            calls,
        })
    }

    fn statement(&mut self, statement: &Statement, main: bool) -> Option<()> {
        match statement {
            Statement::Insert(insert) => self.insert(insert, main),
            Statement::Update(update) => self.update(update, main),
            Statement::Delete(delete) => self.delete(delete, main),
            Statement::Merge(merge) => self.merge(merge),
            Statement::Truncate(truncate) => self.truncate(truncate),
            Statement::Copy { source, to, .. } => self.copy(source, *to),
            Statement::Query(query) => self.query(query, main),
            Statement::Explain { statement, .. } => self.statement(statement, false),
            Statement::Call(_) | Statement::Execute { .. } => {
                self.hidden = true;
                Some(())
            }
            _ => None,
        }
    }
}

impl Facts {
    fn insert(&mut self, insert: &Insert, main: bool) -> Option<()> {
        let TableObject::TableName(name) = &insert.table else {
            return None;
        };
        let mut change = Change::insert();
        let alias = insert.table_alias.as_ref().map(|alias| &alias.alias);
        let called = alias.or_else(|| name.0.last()?.as_ident());
        match &insert.on {
            None => {}
            Some(OnInsert::OnConflict(conflict)) => match &conflict.action {
                OnConflictAction::DoUpdate(update) => {
                    change.update = set(&update.assignments, called);
                    if let Some(ConflictTarget::Columns(columns)) = &conflict.conflict_target {
                        self.conflict = columns.iter().map(spelled).collect();
                    }
                }
                OnConflictAction::DoNothing => self.skips |= main,
            },
            Some(OnInsert::DuplicateKeyUpdate(assignments)) => {
                change.update = set(assignments, called)
            }
            Some(_) => change.update = Columns::All,
        }
        if let Some(source) = &insert.source {
            self.query(source, false)?;
        }
        self.skips |= main && insert.ignore;
        let replaces = insert.replace_into || insert.or == Some(SqliteOnConflict::Replace);
        change.delete = replaces;
        let untold = insert.or == Some(SqliteOnConflict::Fail);
        self.target(name, alias, change, main, untold)?;
        self.end(main, insert.returning.is_some(), false)
    }

    fn update(&mut self, update: &Update, main: bool) -> Option<()> {
        if !update.table.joins.is_empty() {
            return self.joined_update(update);
        }
        let mut change = Change::update(set(&update.assignments, called(&update.table)));
        change.delete = update.or == Some(SqliteOnConflict::Replace);
        let untold = change.delete || update.or == Some(SqliteOnConflict::Fail);
        self.joined(&update.table, &change, main, untold)?;
        let limited = !update.order_by.is_empty() || update.limit.is_some();
        self.end(main, update.returning.is_some(), limited)
    }

    /// A join on the changed side is MySQL's: each of its tables is changed that an assignment names.
    fn joined_update(&mut self, update: &Update) -> Option<()> {
        let tables = tables(std::slice::from_ref(&update.table))?;
        let mut changed: Vec<(&Named<'_>, Columns)> = Vec::new();
        for assignment in &update.assignments {
            let AssignmentTarget::ColumnName(name) = &assignment.target else {
                return None;
            };
            let [.., qualifier, _] = name.0.as_slice() else {
                return None;
            };
            let table = named(&tables, &qualifier.as_ident()?.value)?;
            let columns = set(std::slice::from_ref(assignment), None);
            match changed
                .iter_mut()
                .find(|(known, _)| std::ptr::eq(*known, table))
            {
                Some((_, known)) => known.add(columns),
                None => changed.push((table, columns)),
            }
        }
        let single = changed.len() == 1;
        for (table, columns) in changed {
            self.target(
                table.name,
                table.alias,
                Change::update(columns),
                single,
                false,
            )?;
        }
        self.end(single, update.returning.is_some(), true)
    }

    /// `DELETE a, b FROM …` and `DELETE FROM a, b USING …` of MySQL's.
    fn joined_delete(&mut self, delete: &Delete) -> Option<()> {
        let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
        let (names, among): (Vec<&ObjectName>, _) = match &delete.using {
            Some(using) => (
                self::tables(from)?.iter().map(|table| table.name).collect(),
                using,
            ),
            None => (delete.tables.iter().collect(), from),
        };
        let tables = self::tables(among)?;
        let single = names.len() == 1;
        for name in names {
            let name = &name.0.last()?.as_ident()?.value;
            let table = named(&tables, name)?;
            self.target(table.name, table.alias, Change::delete(), single, false)?;
        }
        self.end(single, delete.returning.is_some(), true)
    }

    fn delete(&mut self, delete: &Delete, main: bool) -> Option<()> {
        if self.mysql && (!delete.tables.is_empty() || delete.using.is_some()) {
            return self.joined_delete(delete);
        }
        let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
        let [table] = from.as_slice() else {
            return None;
        };
        self.joined(table, &Change::delete(), main, false)?;
        // MariaDB takes a RETURNING behind them.
        let limited = !self.mysql && (!delete.order_by.is_empty() || delete.limit.is_some());
        self.end(main, delete.returning.is_some(), limited)
    }

    fn merge(&mut self, merge: &Merge) -> Option<()> {
        let mut change = Change::default();
        for clause in &merge.clauses {
            match &clause.action {
                MergeAction::Insert(_) => change.insert = true,
                MergeAction::Update(_) => change.update = Columns::All,
                MergeAction::Delete { .. } => change.delete = true,
                MergeAction::DoNothing { .. } => {}
            }
        }
        self.factor(&merge.table, change, false, true)
    }

    fn truncate(&mut self, truncate: &Truncate) -> Option<()> {
        let cascade = match truncate.cascade {
            Some(sqlparser::ast::CascadeOption::Cascade) => Cascade::Yes,
            _ => Cascade::No,
        };
        for table in &truncate.table_names {
            self.target(&table.name, None, Change::truncate(cascade), false, true)?;
        }
        Some(())
    }

    fn copy(&mut self, source: &CopySource, to: bool) -> Option<()> {
        match source {
            CopySource::Query(query) => self.query(query, false),
            CopySource::Table { .. } if to => Some(()),
            CopySource::Table { table_name, .. } => {
                self.target(table_name, None, Change::insert(), false, true)
            }
        }
    }

    fn query(&mut self, query: &Query, main: bool) -> Option<()> {
        for table in query.with.iter().flat_map(|with| &with.cte_tables) {
            self.query(&table.query, false)?;
        }
        let main = main && query.order_by.is_none() && query.limit_clause.is_none();
        self.body(&query.body, main)
    }

    fn body(&mut self, body: &SetExpr, main: bool) -> Option<()> {
        match body {
            SetExpr::Insert(change)
            | SetExpr::Update(change)
            | SetExpr::Delete(change)
            | SetExpr::Merge(change) => self.statement(change, main),
            SetExpr::Query(query) => self.query(query, false),
            SetExpr::SetOperation { left, right, .. } => {
                self.body(left, false)?;
                self.body(right, false)
            }
            SetExpr::Select(_) | SetExpr::Values(_) | SetExpr::Table(_) => Some(()),
        }
    }

    fn joined(
        &mut self,
        table: &TableWithJoins,
        change: &Change,
        main: bool,
        untold: bool,
    ) -> Option<()> {
        // A join on the changed side is MySQL's, where each of its tables may be changed.
        match table.joins.as_slice() {
            [] => self.factor(&table.relation, change.clone(), main, untold),
            _ => None,
        }
    }

    fn factor(
        &mut self,
        table: &TableFactor,
        change: Change,
        main: bool,
        untold: bool,
    ) -> Option<()> {
        let TableFactor::Table {
            name,
            alias,
            args: None,
            ..
        } = table
        else {
            return None;
        };
        let alias = alias.as_ref().map(|alias| &alias.name);
        self.target(name, alias, change, main, untold)
    }

    fn target(
        &mut self,
        name: &ObjectName,
        alias: Option<&Ident>,
        change: Change,
        main: bool,
        untold: bool,
    ) -> Option<()> {
        let schema = name.0.iter().nth_back(1).and_then(|part| part.as_ident());
        let schema = schema.map(|schema| schema.value.clone());
        let name = name.0.last()?.as_ident()?;
        // The grammar takes `DELETE FROM ONLY users` for a table ONLY by the alias of users.
        if name.quote_style.is_none() && name.value.eq_ignore_ascii_case("only") {
            return None;
        }
        self.targets.push(Target {
            table: fold(&name.value),
            schema,
            qualifier: alias.unwrap_or(name).to_string(),
            change,
            main,
            untold,
        });
        Some(())
    }

    /// Notes what may follow a main statement.
    fn end(&mut self, main: bool, returning: bool, limited: bool) -> Option<()> {
        if main {
            self.ending = Some(match (limited, returning) {
                (true, _) => Ending::Closed,
                (false, true) => Ending::Returning,
                (false, false) => Ending::Open,
            });
        }
        Some(())
    }
}

#[cfg(test)]
mod tests;
