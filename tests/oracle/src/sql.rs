//! Statements -> SQL.

use std::fmt::Write;

use crate::dialect;
use crate::schema::{Fill, Kind, Schema};
use crate::statement::{
    Body, Conflict, Delete, Dress, Expr, Filter, Insert, Letters, Merge, Relation, Returning, Rows,
    Statement, Target, Update,
};
use crate::value::{Type, Value};

/// A statement's text, and the values that go beside it, if they do.
#[must_use]
pub fn written(statement: &Statement, schema: &Schema, binds: bool) -> (String, Vec<Value>) {
    let mut writer = Writer::new(schema);
    writer.inside = statement.dress == Dress::Inside;
    writer.binds = binds.then(Vec::new);
    if statement.dress == Dress::Before {
        writer.put("-- UPDATE plain_a; 'not\n/* closed\" */ ");
    }
    writer.body(&statement.body);
    writer.put(match statement.dress {
        Dress::Closed => " ; ",
        Dress::After => " -- RETURNING it's",
        _ => "",
    });
    (writer.sql, writer.binds.unwrap_or_default())
}

/// The text of a change as it is.
#[must_use]
pub fn plain(body: &Body, schema: &Schema) -> String {
    let mut writer = Writer::new(schema);
    writer.body(body);
    writer.sql
}

/// A name in quotes.
#[must_use]
pub fn quoted(name: &str, kind: Kind) -> String {
    match kind {
        Kind::Mariadb => format!("`{name}`"),
        _ => format!("\"{name}\""),
    }
}

/// A name, in quotes where it needs them.
#[must_use]
pub fn name(name: &str, kind: Kind) -> String {
    let simple = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    match name.chars().all(simple) {
        true => name.to_owned(),
        false => quoted(name, kind),
    }
}

struct Writer<'a> {
    schema: &'a Schema,
    kind: Kind,
    sql: String,
    /// Where values go that do not stand in the text.
    binds: Option<Vec<Value>>,
    inside: bool,
    /// What columns of the changed table stand behind.
    qualifier: Option<String>,
}

/// The table beside the changed one.
const OTHER: &str = "o";

impl<'a> Writer<'a> {
    fn new(schema: &'a Schema) -> Self {
        Self {
            schema,
            kind: schema.kind,
            sql: String::new(),
            binds: None,
            inside: false,
            qualifier: None,
        }
    }

    fn put(&mut self, text: &str) {
        self.sql.push_str(text);
    }

    /// Between two clauses.
    fn gap(&mut self, text: &str) {
        self.put(if self.inside {
            " /* ; DELETE FROM t_int WHERE '\" */\n-- it's\n"
        } else {
            " "
        });
        self.put(text);
    }

    fn list<T>(&mut self, items: &[T], mut item: impl FnMut(&mut Self, &T)) {
        for (at, each) in items.iter().enumerate() {
            if at > 0 {
                self.put(", ");
            }
            item(self, each);
        }
    }

    fn column(&mut self, column: &str) {
        let column = name(column, self.kind);
        self.put(&column);
    }

    fn columns(&mut self, columns: &[&'static str]) {
        self.put(" (");
        self.list(columns, |writer, column| writer.column(column));
        self.put(")");
    }

    fn own(&mut self, column: &str) {
        if let Some(qualifier) = self.qualifier.clone() {
            self.put(&qualifier);
            self.put(".");
        }
        self.column(column);
    }

    fn value(&mut self, value: Value) {
        match &mut self.binds {
            Some(binds) if bindable(value) => {
                binds.push(value);
                let mark = match self.kind {
                    Kind::Postgres => format!("${}", binds.len()),
                    _ => "?".to_owned(),
                };
                self.put(&mark);
            }
            _ => {
                let text = dialect::literal(value, self.kind);
                self.put(&text);
            }
        }
    }

    fn table(&mut self, table: usize) {
        let name = dialect::place(self.schema, table);
        self.put(&name);
    }

    /// Writes a target, and gives what qualifies its columns.
    fn target(&mut self, target: &Target) -> String {
        if target.only {
            self.put("ONLY ");
        }
        let name = self.spelled(target);
        if target.qualified {
            let schema = dialect::namespace(self.schema, target.relation);
            self.put(schema);
            self.put(".");
        }
        self.put(&name);
        match target.alias {
            Some(alias) => {
                self.put(" AS ");
                self.put(alias);
                alias.to_owned()
            }
            None => name,
        }
    }

    fn spelled(&self, target: &Target) -> String {
        let plain = dialect::relation_name(self.schema, target.relation);
        match target.letters {
            Letters::Quoted => quoted(&plain, self.kind),
            Letters::Mixed if self.kind != Kind::Mariadb => mixed(&plain, self.kind),
            _ => name(&plain, self.kind),
        }
    }
}

/// The others would need a type beside them.
fn bindable(value: Value) -> bool {
    matches!(value, Value::Int(_))
}

fn mixed(plain: &str, kind: Kind) -> String {
    match name(plain, kind) {
        quoted if quoted != plain => quoted,
        _ => plain
            .char_indices()
            .map(|(at, c)| {
                if at % 2 == 0 {
                    c.to_ascii_uppercase()
                } else {
                    c
                }
            })
            .collect(),
    }
}

impl Writer<'_> {
    fn body(&mut self, body: &Body) {
        match body {
            Body::Insert(insert) => self.insert(insert),
            Body::Update(update) => self.update(update),
            Body::Delete(delete) => self.delete(delete),
            Body::With(first, then) => {
                self.put("WITH changed AS (");
                self.body(first);
                self.put(")");
                self.gap("");
                self.body(then);
            }
            Body::Reading(table, then) => {
                self.put("WITH seen AS (SELECT count(*) AS c FROM ");
                self.table(*table);
                self.put(")");
                self.gap("");
                self.body(then);
            }
            Body::Merge(merge) => self.merge(merge),
            Body::Truncate(targets, cascade) => self.truncate(targets, *cascade),
            Body::Copy(insert) => self.copy(insert),
            Body::Code(body) => self.code(body),
            Body::Call(routine) => {
                let _ = write!(self.sql, "CALL does_{routine}()");
            }
            Body::Alter(table) => self.alter(*table),
            Body::Define(late) => {
                let sql = dialect::late(self.schema, *late).join("; ");
                self.put(&sql);
            }
            Body::Several(bodies, transaction) => self.several(bodies, *transaction),
        }
    }

    fn alter(&mut self, table: usize) {
        let place = dialect::place(self.schema, table);
        let _ = match self.kind {
            // What refers to the table's rows follows, as if they were deleted.
            Kind::Sqlite => write!(self.sql, "DROP TABLE {place}"),
            Kind::Postgres => write!(
                self.sql,
                "ALTER TABLE {place} ALTER COLUMN n TYPE integer USING (n + 1)"
            ),
            Kind::Mariadb => write!(
                self.sql,
                "ALTER TABLE {place} DROP COLUMN n, ADD COLUMN n INT DEFAULT 5"
            ),
        };
    }

    fn code(&mut self, body: &Body) {
        let (before, after) = match self.kind {
            Kind::Postgres => ("DO $$ BEGIN ", "; END $$"),
            _ => ("BEGIN NOT ATOMIC ", "; END"),
        };
        self.put(before);
        self.body(body);
        self.put(after);
    }

    fn several(&mut self, bodies: &[Body], transaction: bool) {
        if transaction {
            self.put("BEGIN; ");
        }
        for (at, body) in bodies.iter().enumerate() {
            if at > 0 {
                self.put("; ");
            }
            self.qualifier = None;
            self.body(body);
        }
        if transaction {
            self.put("; COMMIT");
        }
    }

    fn insert(&mut self, insert: &Insert) {
        self.put(match &insert.conflict {
            Conflict::Replace => "REPLACE",
            _ => "INSERT",
        });
        match (&insert.conflict, self.kind) {
            (Conflict::Or(_), Kind::Mariadb) => self.put(" IGNORE"),
            (Conflict::Or(what), _) => {
                let _ = write!(self.sql, " OR {what}");
            }
            _ => {}
        }
        self.gap("INTO ");
        let qualifier = self.target(&insert.target);
        self.rows(insert);
        self.qualifier = (self.kind != Kind::Mariadb).then_some(qualifier);
        self.conflict(&insert.conflict);
        self.qualifier = None;
        self.returning(insert.returning);
    }

    fn rows(&mut self, insert: &Insert) {
        match &insert.rows {
            Rows::Defaults if self.kind == Kind::Mariadb => self.gap("() VALUES ()"),
            Rows::Defaults => self.gap("DEFAULT VALUES"),
            Rows::Values(rows) => {
                self.columns(&insert.columns);
                self.insisting(insert);
                self.gap("VALUES ");
                self.list(rows, |writer, row| {
                    writer.put("(");
                    writer.list(row, |writer, value| writer.value(*value));
                    writer.put(")");
                });
            }
            Rows::Select(table, expressions, filter) => {
                self.columns(&insert.columns);
                self.insisting(insert);
                self.gap("SELECT ");
                self.list(expressions, Self::expression);
                self.gap("FROM ");
                self.table(*table);
                self.filter(filter, true);
            }
        }
    }

    /// An identity takes no value but by force.
    fn insisting(&mut self, insert: &Insert) {
        if let Relation::Table(table) | Relation::Part(table, _) = insert.target.relation {
            let table = &self.schema.tables[table];
            let fill = |column: &&str| table.column(column).map(|column| column.fill);
            if insert
                .columns
                .iter()
                .any(|column| fill(column) == Some(Fill::Identity))
            {
                self.gap("OVERRIDING SYSTEM VALUE");
            }
        }
    }

    fn conflict(&mut self, conflict: &Conflict) {
        match conflict {
            Conflict::Nothing => self.gap("ON CONFLICT DO NOTHING"),
            Conflict::UpdateSome(columns, set, least) => {
                self.conflict(&Conflict::Update(columns.clone(), set.clone()));
                if self.kind != Kind::Mariadb {
                    self.gap("WHERE ");
                    self.own("n");
                    let _ = write!(self.sql, " < {least}");
                }
            }
            Conflict::Update(columns, set) => {
                if self.kind == Kind::Mariadb {
                    self.gap("ON DUPLICATE KEY UPDATE ");
                } else {
                    self.gap("ON CONFLICT");
                    self.columns(columns);
                    self.gap("DO UPDATE SET ");
                }
                self.assignments(set);
            }
            _ => {}
        }
    }

    fn assignments(&mut self, set: &[(&'static str, Expr)]) {
        self.list(set, |writer, (column, expression)| {
            match writer.kind {
                Kind::Mariadb => writer.own(column),
                _ => writer.column(column),
            }
            writer.put(" = ");
            writer.expression(expression);
        });
    }

    fn expression(&mut self, expression: &Expr) {
        match expression {
            Expr::Value(value) => self.value(*value),
            Expr::Column(column) => self.own(column),
            Expr::Plus(column, by) => {
                self.own(column);
                let _ = write!(self.sql, " + {by}");
            }
            Expr::Joined(column) => {
                let _ = write!(self.sql, "{OTHER}.{}", name(column, self.kind));
            }
            Expr::Excluded(column) => {
                let column = name(column, self.kind);
                let _ = match self.kind {
                    Kind::Mariadb => write!(self.sql, "VALUES({column})"),
                    _ => write!(self.sql, "excluded.{column}"),
                };
            }
            Expr::Call(routine) => {
                let _ = write!(self.sql, "gives_{routine}()");
            }
            Expr::Greatest(table, column) => {
                let column = name(column, self.kind);
                let _ = write!(self.sql, "(SELECT max({column}) FROM ");
                self.table(*table);
                self.put(")");
            }
        }
    }

    fn returning(&mut self, returning: Returning) {
        match returning {
            Returning::None => {}
            Returning::Column => {
                self.gap("RETURNING ");
                // SQLite knows the columns of the changed table alone there, and no alias.
                match self.kind {
                    Kind::Sqlite => self.column("n"),
                    _ => self.own("n"),
                }
                self.put(" AS got");
            }
            Returning::All => self.gap("RETURNING *"),
        }
    }

    fn update(&mut self, update: &Update) {
        self.put("UPDATE");
        if let Conflict::Or(what) = &update.conflict {
            let _ = match self.kind {
                Kind::Mariadb => write!(self.sql, " IGNORE"),
                _ => write!(self.sql, " OR {what}"),
            };
        }
        self.gap("");
        let qualifier = self.target(&update.target);
        self.qualifier = update.from.map(|_| qualifier);
        if let (Some(table), Kind::Mariadb) = (update.from, self.kind) {
            self.beside("JOIN ", table);
        }
        self.gap("SET ");
        self.assignments(&update.set);
        if let Some(table) = update.from.filter(|_| self.kind != Kind::Mariadb) {
            self.beside("FROM ", table);
        }
        self.filter(&update.filter, true);
        self.limit(&update.target, update.limit);
        self.returning(update.returning);
    }

    fn beside(&mut self, word: &str, table: usize) {
        self.gap(word);
        self.table(table);
        self.put(" AS ");
        self.put(OTHER);
    }

    fn delete(&mut self, delete: &Delete) {
        self.put("DELETE");
        if delete.using.is_some() && self.kind == Kind::Mariadb {
            let qualifier = delete
                .target
                .alias
                .map_or_else(|| self.spelled(&delete.target), str::to_owned);
            self.put(" ");
            self.put(&qualifier);
        }
        self.gap("FROM ");
        let qualifier = self.target(&delete.target);
        self.qualifier = delete.using.map(|_| qualifier);
        if let Some(table) = delete.using {
            self.beside(
                if self.kind == Kind::Mariadb {
                    "JOIN "
                } else {
                    "USING "
                },
                table,
            );
        }
        self.filter(&delete.filter, true);
        self.limit(&delete.target, delete.limit);
        self.returning(delete.returning);
    }

    fn limit(&mut self, target: &Target, limit: Option<(u32, bool)>) {
        let Some((limit, total)) = limit else { return };
        if let (true, Relation::Table(table)) = (total, target.relation) {
            self.gap("ORDER BY ");
            let key = self.schema.tables[table].key();
            self.list(&key, |writer, column| writer.column(column));
        }
        let _ = write!(self.sql, " LIMIT {limit}");
    }

    fn filter(&mut self, filter: &Filter, first: bool) {
        if matches!(filter, Filter::All) {
            return;
        }
        if first {
            self.gap("WHERE ");
        }
        match filter {
            Filter::All => {}
            Filter::Is(column, operator, value) => {
                self.own(column);
                let _ = write!(self.sql, " {operator} ");
                self.value(*value);
            }
            Filter::Among(column, values) => {
                self.own(column);
                self.put(" IN (");
                self.list(values, |writer, value| writer.value(*value));
                self.put(")");
            }
            Filter::AmongRows(column, table, of, filter) => {
                self.own(column);
                self.put(" IN (SELECT ");
                self.column(of);
                self.put(" FROM ");
                self.table(*table);
                let qualifier = self.qualifier.take();
                self.filter(filter, true);
                self.qualifier = qualifier;
                self.put(")");
            }
            Filter::Joined(column, other) => {
                self.own(column);
                let _ = write!(self.sql, " = {OTHER}.{}", name(other, self.kind));
            }
            Filter::Chance => self.put(match self.kind {
                Kind::Sqlite => "abs(random()) % 2 = 0",
                Kind::Postgres => "random() < 0.5",
                Kind::Mariadb => "rand() < 0.5",
            }),
            Filter::And(one, other) => {
                self.filter(one, false);
                self.put(" AND ");
                self.filter(other, false);
            }
        }
    }

    fn merge(&mut self, merge: &Merge) {
        self.put("MERGE INTO ");
        let qualifier = self.target(&merge.target);
        self.beside("USING ", merge.source);
        let (own, other) = (name(merge.on.0, self.kind), name(merge.on.1, self.kind));
        let _ = write!(self.sql, " ON {qualifier}.{own} = {OTHER}.{other}");
        self.gap("WHEN MATCHED THEN ");
        match &merge.set {
            Some((column, expression)) => {
                self.put("UPDATE SET ");
                self.qualifier = Some(qualifier);
                self.column(column);
                self.put(" = ");
                self.expression(expression);
                self.qualifier = None;
            }
            None => self.put("DELETE"),
        }
        if let Some((columns, values)) = &merge.insert {
            self.gap("WHEN NOT MATCHED THEN INSERT");
            self.columns(columns);
            self.put(" VALUES (");
            self.list(values, |writer, value| writer.value(*value));
            self.put(")");
        }
    }

    fn truncate(&mut self, targets: &[Target], cascade: bool) {
        self.put("TRUNCATE TABLE ");
        self.list(targets, |writer, target| {
            writer.target(target);
        });
        if cascade {
            self.gap("CASCADE");
        }
    }

    /// From a program of the server's, so that it is plain SQL.
    fn copy(&mut self, insert: &Insert) {
        self.put("COPY ");
        self.target(&insert.target);
        self.columns(&insert.columns);
        let lines = match &insert.rows {
            Rows::Values(rows) => rows.iter().map(|row| line(row)).collect(),
            _ => String::new(),
        };
        let _ = write!(self.sql, " FROM PROGRAM 'printf %b \"{lines}\"'");
    }
}

fn line(row: &[Value]) -> String {
    let field = |value: &Value| match value {
        Value::Int(number) => number.to_string(),
        _ => "\\\\\\\\N".to_owned(),
    };
    row.iter().map(field).collect::<Vec<_>>().join("\\t") + "\\n"
}

/// The columns of this type that a COPY can be given.
#[must_use]
pub fn copyable(ty: Type) -> bool {
    ty.is_integer()
}
