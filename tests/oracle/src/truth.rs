//! What has really changed, asked of the database itself, on a connection that nobody tracks.
//!
//! Two witnesses, because each is blind somewhere. Row triggers see a row that is written without being made
//! different, and one that comes and goes in one transaction; but on MariaDB not what a foreign key does. A comparison of
//! all rows before and after sees everything that lasts, whoever did it.

use std::collections::{BTreeMap, BTreeSet};

use diesel::QueryResult;

use crate::database::{Database, Noted};
use crate::dialect::{LOG, snapshot};
use crate::models::{MODELS, VIEW};
use crate::names;
use crate::schema::{Kind, Schema};
use crate::statement::Relation;

/// All rows of all tracked tables: by model and key, what is in them. A key need not be there once only.
type Rows = BTreeMap<(i32, String), Vec<String>>;

/// Follows the changes of one database.
#[derive(Debug)]
pub struct Truth {
    kind: Kind,
    logged: bool,
    snapshot: String,
    rows: Rows,
    seen: i64,
}

impl Truth {
    /// Everything up to now is no change.
    ///
    /// # Errors
    ///
    /// The database's.
    pub fn new<D: Database>(schema: &Schema, bare: &mut D::Connection) -> QueryResult<Self> {
        let mut truth = Self {
            kind: schema.kind,
            logged: schema.logged,
            snapshot: snapshots(schema),
            rows: Rows::new(),
            seen: 0,
        };
        truth.changed::<D>(bare)?;
        Ok(truth)
    }

    /// The names of the rows that were changed since this was last asked.
    ///
    /// # Errors
    ///
    /// The database's.
    pub fn changed<D: Database>(
        &mut self,
        bare: &mut D::Connection,
    ) -> QueryResult<BTreeSet<String>> {
        let mut changed = self.noted::<D>(bare)?;
        let rows = grouped(D::noted(bare, &self.snapshot)?);
        changed.extend(differences(&self.rows, &rows, self.kind));
        self.rows = rows;
        Ok(changed)
    }

    fn noted<D: Database>(&mut self, bare: &mut D::Connection) -> QueryResult<BTreeSet<String>> {
        if !self.logged {
            return Ok(BTreeSet::new());
        }
        let text = D::KIND.text_of("seq");
        let log = format!(
            "SELECT model, raw, {text} AS content FROM {LOG} WHERE seq > {} ORDER BY seq",
            self.seen
        );
        let noted = D::noted(bare, &log)?;
        if let Some(last) = noted.last() {
            self.seen = last.content.parse().unwrap_or(self.seen);
        }
        let names = noted
            .iter()
            .map(|noted| name(noted.model, &noted.raw, self.kind));
        Ok(names.collect())
    }
}

impl Kind {
    fn text_of(self, column: &str) -> String {
        match self {
            Self::Mariadb => format!("CAST({column} AS CHAR)"),
            _ => format!("CAST({column} AS TEXT)"),
        }
    }
}

/// One query for all of them.
fn snapshots(schema: &Schema) -> String {
    let mut parts = Vec::new();
    for table in schema.tracked() {
        let model = schema.tables[table].model;
        parts.push(snapshot(schema, Relation::Table(table), model));
    }
    for (at, view) in schema.views.iter().enumerate() {
        if view.model == Some(VIEW) {
            parts.push(snapshot(schema, Relation::View(at), VIEW));
        }
    }
    parts.join(" UNION ALL ")
}

fn grouped(noted: Vec<Noted>) -> Rows {
    let mut rows = Rows::new();
    for Noted {
        model,
        raw,
        content,
    } in noted
    {
        rows.entry((model, raw)).or_default().push(content);
    }
    rows.values_mut().for_each(|contents| contents.sort());
    rows
}

fn differences(before: &Rows, after: &Rows, kind: Kind) -> Vec<String> {
    let keys: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    keys.into_iter()
        .filter(|key| before.get(*key) != after.get(*key))
        .map(|(model, raw)| name(*model, raw, kind))
        .collect()
}

fn name(model: i32, raw: &str, kind: Kind) -> String {
    let model = usize::try_from(model).unwrap_or(MODELS.len());
    names::row(model, raw, kind)
}
