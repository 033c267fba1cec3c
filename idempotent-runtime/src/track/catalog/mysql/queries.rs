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

/// Who may create triggers sees them.
pub(super) const SEES_TRIGGERS: [&str; 2] = [
    "SELECT COUNT(*) AS count FROM information_schema.USER_PRIVILEGES WHERE PRIVILEGE_TYPE = 'TRIGGER'",
    "SELECT COUNT(*) AS count FROM information_schema.SCHEMA_PRIVILEGES WHERE PRIVILEGE_TYPE = 'TRIGGER'",
];

/// MySQL 8 has no `tx_isolation` any more, and MariaDB before 11.1 no `transaction_isolation`.
pub(super) const ISOLATION: [&str; 2] = [
    "SELECT @@transaction_isolation AS value",
    "SELECT @@tx_isolation AS value",
];

pub(super) const MODE: &str = "SELECT @@sql_mode AS value";

pub(super) const TABLES: &str = concat!(
    "SELECT TABLE_SCHEMA AS place, TABLE_NAME AS name, TABLE_TYPE = 'BASE TABLE' AS ordinary,
            coalesce(TABLE_SCHEMA = DATABASE(), FALSE) AS own
     FROM information_schema.TABLES WHERE ",
    own_schemas!("TABLE_SCHEMA")
);

pub(super) const COLUMNS: &str = concat!(
    "SELECT TABLE_SCHEMA AS place, TABLE_NAME AS owner, COLUMN_NAME AS name, LOWER(DATA_TYPE) AS kind,
            COLLATION_NAME AS collation, FIND_IN_SET('select', LOWER(PRIVILEGES)) > 0 AS readable,
            FIND_IN_SET('update', LOWER(PRIVILEGES)) > 0 AS writable,
            EXTRA LIKE '%auto_increment%' AS serial, EXTRA LIKE '%GENERATED%' OR EXTRA LIKE '%on update%' AS made,
            IS_NULLABLE = 'NO' AS required,
            IS_NULLABLE = 'YES' AND coalesce(COLUMN_DEFAULT, 'NULL') = 'NULL' AND EXTRA NOT LIKE '%GENERATED%' AS optional
     FROM information_schema.COLUMNS WHERE ",
    own_schemas!("TABLE_SCHEMA"),
    " ORDER BY ORDINAL_POSITION"
);

pub(super) const INDEXES: &str = concat!(
    "SELECT TABLE_SCHEMA AS place, TABLE_NAME AS owner, INDEX_NAME AS index_name, COLUMN_NAME AS `column`,
            CAST(SUB_PART AS SIGNED) AS part
     FROM information_schema.STATISTICS WHERE NON_UNIQUE = 0 AND ",
    own_schemas!("TABLE_SCHEMA"),
    " ORDER BY SEQ_IN_INDEX"
);

pub(super) const LINKS: &str = concat!(
    "SELECT TABLE_SCHEMA AS place, TABLE_NAME AS child, CONSTRAINT_NAME AS constraint_name,
            COLUMN_NAME AS child_column, REFERENCED_TABLE_SCHEMA AS parent_place, REFERENCED_TABLE_NAME AS parent, REFERENCED_COLUMN_NAME AS `column`
     FROM information_schema.KEY_COLUMN_USAGE WHERE REFERENCED_TABLE_NAME IS NOT NULL AND ",
    own_schemas!("TABLE_SCHEMA"),
    " ORDER BY ORDINAL_POSITION"
);

pub(super) const ACTIONS: &str = concat!(
    "SELECT CONSTRAINT_SCHEMA AS place, TABLE_NAME AS child, CONSTRAINT_NAME AS constraint_name,
            DELETE_RULE AS on_delete, UPDATE_RULE AS on_update
     FROM information_schema.REFERENTIAL_CONSTRAINTS WHERE ",
    own_schemas!("CONSTRAINT_SCHEMA")
);

/// Views, triggers (by their table) and routines with their texts.
pub(super) const CODE: [&str; 3] = [
    concat!(
        "SELECT 'view' AS kind, TABLE_SCHEMA AS place, TABLE_NAME AS name, VIEW_DEFINITION AS text, NULL AS event, NULL AS timing
         FROM information_schema.VIEWS WHERE ",
        own_schemas!("TABLE_SCHEMA")
    ),
    concat!(
        "SELECT 'trigger' AS kind, EVENT_OBJECT_SCHEMA AS place, EVENT_OBJECT_TABLE AS name, ACTION_STATEMENT AS text,
                EVENT_MANIPULATION AS event, ACTION_TIMING AS timing
         FROM information_schema.TRIGGERS WHERE ",
        own_schemas!("TRIGGER_SCHEMA")
    ),
    concat!(
        "SELECT 'routine' AS kind, ROUTINE_SCHEMA AS place, ROUTINE_NAME AS name, ROUTINE_DEFINITION AS text, NULL AS event, NULL AS timing
         FROM information_schema.ROUTINES WHERE ",
        own_schemas!("ROUTINE_SCHEMA")
    ),
];

#[derive(QueryableByName)]
pub(super) struct CountRow {
    #[diesel(sql_type = BigInt)]
    pub(super) count: i64,
}

#[derive(QueryableByName)]
pub(super) struct SettingRow {
    #[diesel(sql_type = Text)]
    pub(super) value: String,
}

#[derive(QueryableByName)]
pub(super) struct TableRow {
    #[diesel(sql_type = Text)]
    pub(super) place: String,
    #[diesel(sql_type = Text)]
    pub(super) name: String,
    #[diesel(sql_type = Bool)]
    pub(super) ordinary: bool,
    #[diesel(sql_type = Bool)]
    pub(super) own: bool,
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
    /// From other columns.
    #[diesel(sql_type = Bool)]
    pub(super) made: bool,
    #[diesel(sql_type = Bool)]
    pub(super) required: bool,
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
    pub(super) parent_place: String,
    #[diesel(sql_type = Text)]
    pub(super) parent: String,
    #[diesel(sql_type = Text)]
    pub(super) column: String,
}

#[derive(QueryableByName)]
pub(super) struct ActionRow {
    #[diesel(sql_type = Text)]
    pub(super) place: String,
    #[diesel(sql_type = Text)]
    pub(super) child: String,
    #[diesel(sql_type = Text)]
    pub(super) constraint_name: String,
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
    pub(super) place: String,
    #[diesel(sql_type = Text)]
    pub(super) name: String,
    #[diesel(sql_type = Nullable<Text>)]
    pub(super) text: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    pub(super) event: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    pub(super) timing: Option<String>,
}
