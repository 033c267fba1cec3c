//! `information_schema` shows each user what concerns the user's own rights.

use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Bool, Nullable, Text};

/// Schemas that hold no rows of an application's.
macro_rules! own_schemas {
    ($column:literal) => {
        concat!(
            $column,
            " NOT IN ('information_schema', 'performance_schema', 'mysql', 'sys')"
        )
    };
}

pub(super) const SERVER: &str = "
SELECT EXISTS (SELECT 1 FROM information_schema.USER_PRIVILEGES WHERE PRIVILEGE_TYPE = 'TRIGGER')
       OR EXISTS (SELECT 1 FROM information_schema.SCHEMA_PRIVILEGES WHERE PRIVILEGE_TYPE = 'TRIGGER')
       AS sees_triggers";

/// MySQL 8 has no `tx_isolation` any more, and MariaDB before 11.1 no `transaction_isolation`.
pub(super) const ISOLATION: [&str; 2] = [
    "SELECT @@transaction_isolation AS isolation",
    "SELECT @@tx_isolation AS isolation",
];

pub(super) const TABLES: &str = concat!(
    "SELECT TABLE_SCHEMA AS place, TABLE_NAME AS name, TABLE_TYPE = 'BASE TABLE' AS ordinary
     FROM information_schema.TABLES WHERE ",
    own_schemas!("TABLE_SCHEMA")
);

pub(super) const COLUMNS: &str = concat!(
    "SELECT TABLE_SCHEMA AS place, TABLE_NAME AS owner, COLUMN_NAME AS name, LOWER(DATA_TYPE) AS kind,
            COLLATION_NAME AS collation, FIND_IN_SET('select', LOWER(PRIVILEGES)) > 0 AS readable,
            FIND_IN_SET('update', LOWER(PRIVILEGES)) > 0 AS writable,
            EXTRA LIKE '%auto_increment%' AS serial,
            IS_NULLABLE = 'YES' AND coalesce(COLUMN_DEFAULT, 'NULL') = 'NULL' AND EXTRA NOT LIKE '%GENERATED%' AS optional
     FROM information_schema.COLUMNS WHERE ",
    own_schemas!("TABLE_SCHEMA")
);

pub(super) const INDEXES: &str = concat!(
    "SELECT TABLE_SCHEMA AS place, TABLE_NAME AS owner, INDEX_NAME AS index_name, COLUMN_NAME AS `column`,
            CAST(SUB_PART AS SIGNED) AS part
     FROM information_schema.STATISTICS WHERE NON_UNIQUE = 0 AND ",
    own_schemas!("TABLE_SCHEMA"),
    " ORDER BY SEQ_IN_INDEX"
);

pub(super) const LINKS: &str = concat!(
    "SELECT k.TABLE_SCHEMA AS place, k.TABLE_NAME AS child, k.CONSTRAINT_NAME AS constraint_name,
            k.COLUMN_NAME AS child_column, k.REFERENCED_TABLE_NAME AS parent, k.REFERENCED_COLUMN_NAME AS `column`,
            r.DELETE_RULE AS on_delete, r.UPDATE_RULE AS on_update
     FROM information_schema.KEY_COLUMN_USAGE k
     JOIN information_schema.REFERENTIAL_CONSTRAINTS r
       ON r.CONSTRAINT_SCHEMA = k.CONSTRAINT_SCHEMA AND r.CONSTRAINT_NAME = k.CONSTRAINT_NAME
      AND r.TABLE_NAME = k.TABLE_NAME
     WHERE k.REFERENCED_TABLE_NAME IS NOT NULL AND ",
    own_schemas!("k.TABLE_SCHEMA"),
    " ORDER BY k.ORDINAL_POSITION"
);

/// Views, triggers (by their table) and routines with their texts.
pub(super) const CODE: &str = concat!(
    "SELECT 'view' AS kind, TABLE_NAME AS name, VIEW_DEFINITION AS text, NULL AS event, NULL AS timing
     FROM information_schema.VIEWS WHERE ",
    own_schemas!("TABLE_SCHEMA"),
    " UNION ALL
     SELECT 'trigger', EVENT_OBJECT_TABLE, ACTION_STATEMENT, EVENT_MANIPULATION, ACTION_TIMING
     FROM information_schema.TRIGGERS WHERE ",
    own_schemas!("TRIGGER_SCHEMA"),
    " UNION ALL
     SELECT 'routine', ROUTINE_NAME, ROUTINE_DEFINITION, NULL, NULL
     FROM information_schema.ROUTINES WHERE ",
    own_schemas!("ROUTINE_SCHEMA")
);

#[derive(QueryableByName)]
pub(super) struct ServerRow {
    #[diesel(sql_type = Bool)]
    pub(super) sees_triggers: bool,
}

#[derive(QueryableByName)]
pub(super) struct IsolationRow {
    #[diesel(sql_type = Text)]
    pub(super) isolation: String,
}

#[derive(QueryableByName)]
pub(super) struct TableRow {
    #[diesel(sql_type = Text)]
    pub(super) place: String,
    #[diesel(sql_type = Text)]
    pub(super) name: String,
    #[diesel(sql_type = Bool)]
    pub(super) ordinary: bool,
}

#[derive(QueryableByName)]
pub(super) struct ColumnRow {
    #[diesel(sql_type = Text)]
    pub(super) place: String,
    #[diesel(sql_type = Text)]
    pub(super) owner: String,
    #[diesel(sql_type = Text)]
    pub(super) name: String,
    #[diesel(sql_type = Text)]
    pub(super) kind: String,
    #[diesel(sql_type = Nullable<Text>)]
    pub(super) collation: Option<String>,
    #[diesel(sql_type = Bool)]
    pub(super) readable: bool,
    #[diesel(sql_type = Bool)]
    pub(super) writable: bool,
    #[diesel(sql_type = Bool)]
    pub(super) serial: bool,
    #[diesel(sql_type = Bool)]
    pub(super) optional: bool,
}

#[derive(QueryableByName)]
pub(super) struct IndexRow {
    #[diesel(sql_type = Text)]
    pub(super) place: String,
    #[diesel(sql_type = Text)]
    pub(super) owner: String,
    #[diesel(sql_type = Text)]
    pub(super) index_name: String,
    #[diesel(sql_type = Nullable<Text>)]
    pub(super) column: Option<String>,
    #[diesel(sql_type = Nullable<BigInt>)]
    pub(super) part: Option<i64>,
}

#[derive(QueryableByName)]
pub(super) struct LinkRow {
    #[diesel(sql_type = Text)]
    pub(super) place: String,
    #[diesel(sql_type = Text)]
    pub(super) child: String,
    #[diesel(sql_type = Text)]
    pub(super) constraint_name: String,
    #[diesel(sql_type = Text)]
    pub(super) child_column: String,
    #[diesel(sql_type = Text)]
    pub(super) parent: String,
    #[diesel(sql_type = Text)]
    pub(super) column: String,
    #[diesel(sql_type = Text)]
    pub(super) on_delete: String,
    #[diesel(sql_type = Text)]
    pub(super) on_update: String,
}

#[derive(QueryableByName)]
pub(super) struct CodeRow {
    #[diesel(sql_type = Text)]
    pub(super) kind: String,
    #[diesel(sql_type = Text)]
    pub(super) name: String,
    #[diesel(sql_type = Nullable<Text>)]
    pub(super) text: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    pub(super) event: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    pub(super) timing: Option<String>,
}
