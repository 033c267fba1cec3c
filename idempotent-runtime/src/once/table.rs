//! Where the records are: the table's name, and the SQL that makes it.

use std::fmt;

use crate::error::Error;
use crate::track::backend::Trackable;
use crate::track::statement::Dialect;

/// The longest name, so that those of the index and of the migration fit everywhere.
const LONGEST: usize = 40;

/// The table of the records.
///
/// ```
/// use idempotent_runtime::once::Table;
///
/// let table = Table::default();
/// assert_eq!(table.to_string(), "idempotent_once");
/// let table = Table::named("answers")?.in_schema("shop")?;
/// assert_eq!(table.to_string(), "shop.answers");
/// # Ok::<(), idempotent_runtime::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    pub(super) schema: Option<String>,
    pub(super) name: String,
}

impl Default for Table {
    fn default() -> Self {
        Self {
            schema: None,
            name: "idempotent_once".to_owned(),
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.schema {
            Some(schema) => write!(f, "{schema}.{}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

impl Table {
    /// A table of this name.
    ///
    /// # Errors
    ///
    /// If it is not made of 1 to 40 ASCII letters, digits and underscores.
    pub fn named(name: impl Into<String>) -> Result<Self, Error> {
        let name = checked(name.into())?;
        Ok(Self { schema: None, name })
    }

    /// The same in this schema (in the MySQL family: database).
    ///
    /// # Errors
    ///
    /// As [`named`](Self::named).
    pub fn in_schema(mut self, schema: impl Into<String>) -> Result<Self, Error> {
        self.schema = Some(checked(schema.into())?);
        Ok(self)
    }

    /// The SQL that makes the table, for those who keep migrations of their own.
    ///
    /// ```
    /// # #[cfg(feature = "sqlite")] {
    /// use idempotent_runtime::once::Table;
    ///
    /// let sql = Table::default().sql::<diesel::SqliteConnection>();
    /// assert!(sql.starts_with("CREATE TABLE IF NOT EXISTS \"idempotent_once\""));
    /// # }
    /// ```
    #[must_use]
    pub fn sql<C: Trackable>(&self) -> String {
        self.sql_for(C::DIALECT)
    }

    pub(super) fn sql_for(&self, dialect: Dialect) -> String {
        let (template, index_in_schema) = match dialect {
            Dialect::Sqlite => (include_str!("sqlite.sql"), true),
            Dialect::Postgres => (include_str!("postgres.sql"), false),
            Dialect::Mysql => (include_str!("mysql.sql"), false),
        };
        let index = Self {
            schema: self.schema.clone().filter(|_| index_in_schema),
            name: format!("{}_expires", self.name),
        };
        let bare = Self {
            schema: self.schema.clone().filter(|_| !index_in_schema),
            name: self.name.clone(),
        };
        template
            .replace("{table}", &self.quoted(dialect))
            .replace("{index}", &index.quoted(dialect))
            .replace("{indexed}", &bare.quoted(dialect))
    }

    /// As it stands in a statement.
    pub(super) fn quoted(&self, dialect: Dialect) -> String {
        let mark = match dialect {
            Dialect::Mysql => '`',
            Dialect::Sqlite | Dialect::Postgres => '"',
        };
        match &self.schema {
            Some(schema) => format!("{mark}{schema}{mark}.{mark}{}{mark}", self.name),
            None => format!("{mark}{}{mark}", self.name),
        }
    }
}

fn checked(name: String) -> Result<String, Error> {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    match (1..=LONGEST).contains(&name.len()) && name.bytes().all(is_word) {
        true => Ok(name),
        false => Err(Error::setup(format!(
            "`{name}` cannot name the table of the records: use 1 to {LONGEST} ASCII letters, digits and underscores"
        ))),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_would_have_to_be_escaped_is_refused() {
        for name in ["", "a b", "a\"; DROP TABLE users", "é", &"x".repeat(41)] {
            assert!(Table::named(name).is_err(), "{name}");
        }
    }

    #[test]
    fn an_index_has_its_schema_where_the_database_wants_it() {
        let table = Table::named("t").unwrap().in_schema("s").unwrap();
        let sqlite = table.sql_for(Dialect::Sqlite);
        assert!(
            sqlite.contains(r#"INDEX IF NOT EXISTS "s"."t_expires" ON "t" "#),
            "{sqlite}"
        );
        let postgres = table.sql_for(Dialect::Postgres);
        assert!(
            postgres.contains(r#"INDEX IF NOT EXISTS "t_expires" ON "s"."t" "#),
            "{postgres}"
        );
        let mysql = table.sql_for(Dialect::Mysql);
        assert!(mysql.contains("TABLE IF NOT EXISTS `s`.`t`"), "{mysql}");
    }
}
