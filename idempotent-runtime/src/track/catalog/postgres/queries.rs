//! Every query reads `pg_catalog` alone, which every role may, and calls nothing that fails on a
//! relation dropped meanwhile: an error would doom the user's transaction.

use diesel::QueryableByName;
use diesel::sql_types::{Array, Bool, Oid, SmallInt, Text};

/// A column's reading is how its value as a key is told: types whose binary form is one per value as they are, others
/// through a hash of the database's own, which agrees with its equality (there since PostgreSQL 14).
pub(super) const RELATIONS: &str = "
SELECT c.oid AS id, c.relname::text AS name, c.relkind::text AS kind,
       pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname) AS sql,
       pg_catalog.row_security_active(c.oid) AS secured,
       pg_catalog.has_any_column_privilege(c.oid, 'UPDATE') AS lockable,
       pg_catalog.array_remove(pg_catalog.array_agg(CASE
           WHEN pg_catalog.has_column_privilege(c.oid, a.attnum, 'SELECT') THEN a.attname::text
       END ORDER BY a.attnum), NULL) AS columns,
       pg_catalog.array_remove(pg_catalog.array_agg(CASE
           WHEN NOT pg_catalog.has_column_privilege(c.oid, a.attnum, 'SELECT') THEN NULL
           WHEN a.attgenerated <> '' THEN 'never'
           WHEN coalesce((pg_catalog.to_jsonb(o) ->> 'collisdeterministic')::boolean, true) IS FALSE THEN 'text hash'
           WHEN t.oid IN (20, 21, 23) THEN 'integer'
           WHEN t.oid = 25 OR t.oid = 1043 AND a.atttypmod = -1 THEN 'text'
           WHEN t.oid = 2950 THEN 'uuid'
           WHEN t.typtype = 'e' OR coalesce(nullif(t.typbasetype, 0), t.oid) IN (16, 17, 18, 19, 20, 21, 23, 25, 26,
               650, 700, 701, 774, 790, 829, 869, 1042, 1043, 1082, 1083, 1114, 1184, 1186, 1266, 1560, 1562,
               1700, 2950, 3220) THEN 'plain'
           WHEN t.typname = 'citext' THEN 'citext'
           WHEN pg_catalog.current_setting('server_version_num')::int >= 140000 AND
               (t.oid = 3802 OR t.typelem IN (17, 19, 20, 21, 23, 25, 26, 700, 701, 1042, 1043, 1082, 1083, 1114,
                1184, 1700, 2950)) THEN 'hash'
           WHEN a.attname IS NOT NULL THEN 'never'
       END ORDER BY a.attnum), NULL) AS readings
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_catalog.pg_collation o ON o.oid = a.attcollation
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
  AND NOT pg_catalog.pg_is_other_temp_schema(n.oid)
GROUP BY c.oid, c.relname, c.relkind, n.nspname";

pub(super) const FUNCTIONS: &str = "
SELECT p.oid AS id, p.proname::text AS name, l.lanname::text AS language,
       coalesce(p.prosrc, '') AS text,
       EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.deptype = 'e' AND d.objid = p.oid
               AND d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass) AS extension,
       n.nspname IN ('pg_catalog', 'information_schema') AS built_in
FROM pg_catalog.pg_proc p
JOIN pg_catalog.pg_language l ON l.oid = p.prolang
JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
WHERE n.nspname NOT IN ('pg_catalog', 'information_schema')
   OR p.oid IN (SELECT t.tgfoid FROM pg_catalog.pg_trigger t)";

/// Clones of triggers on partitions may count as internal: foreign keys' own are known by name.
pub(super) const TRIGGERS: &str = "
SELECT t.tgrelid AS id, t.tgfoid AS function, t.tgtype AS kind, t.tgdeferrable AS deferrable
FROM pg_catalog.pg_trigger t
JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid
WHERE t.tgenabled <> 'D' AND p.proname NOT LIKE 'RI\\_FKey\\_%' AND p.proname <> 'unique_key_recheck'";

/// What the code of rules and views, of column defaults and of functions with a parsed body needs.
/// (A function's text is not kept beside a parsed body.)
pub(super) const NEEDS: &str = "
SELECT r.ev_class AS id, CASE r.ev_type WHEN '1' THEN 'view' ELSE 'rule' END AS kind,
       r.ev_type::text AS event, d.refobjid AS needed, d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass AS called
FROM pg_catalog.pg_rewrite r
JOIN pg_catalog.pg_depend d
  ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = r.oid
WHERE d.refclassid IN ('pg_catalog.pg_class'::pg_catalog.regclass,
                       'pg_catalog.pg_proc'::pg_catalog.regclass)
UNION
SELECT f.adrelid, 'default', '', d.refobjid, true
FROM pg_catalog.pg_attrdef f
JOIN pg_catalog.pg_depend d
  ON d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND d.objid = f.oid
WHERE d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass
UNION
SELECT d.objid, 'function', '', d.refobjid,
       d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass
FROM pg_catalog.pg_depend d
WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass
  AND d.refclassid IN ('pg_catalog.pg_class'::pg_catalog.regclass,
                       'pg_catalog.pg_proc'::pg_catalog.regclass)";

/// A generated column changes with those that it is made of, which are any of the table's: they come behind the others.
/// Of partitioned tables only what they refer to as a whole, and what refers to them so: the walk comes from each part to
/// its whole.
pub(super) const REFERENCES: &str = "
SELECT k.conrelid AS child, k.confrelid AS parent,
       k.confdeltype::text AS on_delete, k.confupdtype::text AS on_update,
       ARRAY(SELECT a.attname::text
             FROM pg_catalog.unnest(k.conkey) WITH ORDINALITY AS u (attnum, place)
             JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.attnum
             ORDER BY u.place) AS child_columns,
       ARRAY(SELECT a.attname::text
             FROM pg_catalog.unnest(k.confkey) WITH ORDINALITY AS u (attnum, place)
             JOIN pg_catalog.pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.attnum
             ORDER BY u.place)
       || ARRAY(SELECT o.attname::text FROM pg_catalog.pg_attribute o
                WHERE o.attrelid = k.confrelid AND o.attnum > 0 AND NOT o.attisdropped
                  AND EXISTS (SELECT FROM pg_catalog.pg_attribute g WHERE g.attrelid = k.confrelid
                              AND g.attnum = ANY (k.confkey) AND g.attgenerated <> '')) AS columns
FROM pg_catalog.pg_constraint k WHERE k.contype = 'f' AND k.conparentid = 0";

pub(super) const INHERITS: &str =
    "SELECT i.inhrelid AS child, i.inhparent AS parent, c.relispartition AS is_part
FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid";

/// Without it a backslash in a string means what follows it.
pub(super) const STRINGS: &str =
    "SELECT pg_catalog.current_setting('standard_conforming_strings') AS value";

#[derive(QueryableByName)]
pub(super) struct SettingRow {
    #[diesel(sql_type = Text)]
    pub(super) value: String,
}

#[derive(QueryableByName)]
pub(super) struct RelationRow {
    #[diesel(sql_type = Oid)]
    pub(super) id: u32,
    #[diesel(sql_type = Text)]
    pub(super) name: String,
    #[diesel(sql_type = Text)]
    pub(super) kind: String,
    #[diesel(sql_type = Bool)]
    pub(super) secured: bool,
    #[diesel(sql_type = Bool)]
    pub(super) lockable: bool,
    #[diesel(sql_type = Text)]
    pub(super) sql: String,
    #[diesel(sql_type = Array<Text>)]
    pub(super) columns: Vec<String>,
    #[diesel(sql_type = Array<Text>)]
    pub(super) readings: Vec<String>,
}

#[derive(QueryableByName)]
pub(super) struct FunctionRow {
    #[diesel(sql_type = Oid)]
    pub(super) id: u32,
    #[diesel(sql_type = Text)]
    pub(super) name: String,
    #[diesel(sql_type = Text)]
    pub(super) language: String,
    #[diesel(sql_type = Text)]
    pub(super) text: String,
    #[diesel(sql_type = Bool)]
    pub(super) extension: bool,
    #[diesel(sql_type = Bool)]
    pub(super) built_in: bool,
}

#[derive(QueryableByName)]
pub(super) struct TriggerRow {
    #[diesel(sql_type = Oid)]
    pub(super) id: u32,
    #[diesel(sql_type = Oid)]
    pub(super) function: u32,
    #[diesel(sql_type = SmallInt)]
    pub(super) kind: i16,
    #[diesel(sql_type = Bool)]
    pub(super) deferrable: bool,
}

#[derive(QueryableByName)]
pub(super) struct NeedRow {
    #[diesel(sql_type = Oid)]
    pub(super) id: u32,
    #[diesel(sql_type = Text)]
    pub(super) kind: String,
    /// Of a rule.
    #[diesel(sql_type = Text)]
    pub(super) event: String,
    #[diesel(sql_type = Oid)]
    pub(super) needed: u32,
    #[diesel(sql_type = Bool)]
    pub(super) called: bool,
}

#[derive(QueryableByName)]
pub(super) struct ReferenceRow {
    #[diesel(sql_type = Oid)]
    pub(super) child: u32,
    #[diesel(sql_type = Oid)]
    pub(super) parent: u32,
    #[diesel(sql_type = Text)]
    pub(super) on_delete: String,
    #[diesel(sql_type = Text)]
    pub(super) on_update: String,
    #[diesel(sql_type = Array<Text>)]
    pub(super) child_columns: Vec<String>,
    #[diesel(sql_type = Array<Text>)]
    pub(super) columns: Vec<String>,
}

#[derive(QueryableByName)]
pub(super) struct InheritsRow {
    #[diesel(sql_type = Oid)]
    pub(super) child: u32,
    #[diesel(sql_type = Oid)]
    pub(super) parent: u32,
    #[diesel(sql_type = Bool)]
    pub(super) is_part: bool,
}
