use super::*;
use Class::{Change, Other, Role, Schema};

fn savepoint(name: &str) -> Class {
    Class::Control(Control::Savepoint(name.into()))
}

#[track_caller]
fn all(dialect: Dialect, class: &Class, statements: &[&str]) {
    for sql in statements {
        assert_eq!(classify(sql, dialect), *class, "{sql}");
    }
}

#[test]
fn transaction_control_is_read_in_all_its_spellings() {
    use Control::*;
    let chained = Class::Control(Commit { chain: true });
    let commit = Class::Control(Commit { chain: false });
    let rollback = Class::Control(Rollback { chain: false });
    let pg = Dialect::Postgres;
    all(
        pg,
        &Class::Control(Begin),
        &[
            "BEGIN",
            "begin;",
            "BEGIN TRANSACTION ISOLATION LEVEL SERIALIZABLE READ ONLY",
            "START TRANSACTION",
            "  /* a /* b */ c */ -- d\n BEGIN",
        ],
    );
    all(
        Dialect::Sqlite,
        &Class::Control(Begin),
        &["BEGIN IMMEDIATE", "BEGIN EXCLUSIVE TRANSACTION"],
    );
    all(
        pg,
        &commit,
        &[
            "COMMIT",
            "commit work",
            "END",
            "END TRANSACTION;",
            "COMMIT AND NO CHAIN",
        ],
    );
    all(pg, &chained, &["COMMIT AND CHAIN", "END WORK AND CHAIN"]);
    all(
        pg,
        &rollback,
        &[
            "ROLLBACK",
            "ABORT",
            "ROLLBACK WORK",
            "rollback transaction and no chain",
        ],
    );
    all(
        pg,
        &Class::Control(Rollback { chain: true }),
        &["ROLLBACK AND CHAIN", "ABORT AND CHAIN"],
    );
    all(pg, &Class::Control(Prepare), &["PREPARE TRANSACTION 'a'"]);
    all(
        pg,
        &Class::Control(CommitPrepared),
        &["COMMIT PREPARED 'a'"],
    );
    all(
        pg,
        &Class::Control(RollbackPrepared),
        &["ROLLBACK PREPARED 'a'"],
    );
}

#[test]
fn savepoints_are_known_by_the_name_the_database_knows() {
    use Control::*;
    all(
        Dialect::Postgres,
        &savepoint("diesel_savepoint_1"),
        &[
            "SAVEPOINT diesel_savepoint_1",
            "savepoint Diesel_Savepoint_1;",
            "SAVEPOINT \"diesel_savepoint_1\"",
        ],
    );
    all(Dialect::Postgres, &savepoint("A"), &["SAVEPOINT \"A\""]);
    all(
        Dialect::Sqlite,
        &savepoint("a"),
        &[
            "SAVEPOINT \"A\"",
            "SAVEPOINT 'a'",
            "SAVEPOINT `A`",
            "SAVEPOINT [a]",
        ],
    );
    all(
        Dialect::Postgres,
        &Class::Control(Release("a".into())),
        &[
            "RELEASE a",
            "RELEASE SAVEPOINT a",
            "release /* it */ savepoint A",
        ],
    );
    all(
        Dialect::Postgres,
        &Class::Control(RollbackTo("a".into())),
        &[
            "ROLLBACK TO a",
            "ROLLBACK TO SAVEPOINT a",
            "ROLLBACK WORK TO SAVEPOINT A",
            "ROLLBACK TRANSACTION TO a;",
        ],
    );
}

#[test]
fn what_may_change_rows_is_planned() {
    all(
        Dialect::Postgres,
        &Change,
        &[
            "insert into t values (1)",
            "\u{feff}UPDATE t SET a = 1",
            "(WITH x AS (DELETE FROM t RETURNING *) SELECT * FROM x)",
            "; ;DELETE FROM t",
            "TRUNCATE t",
            "COPY t FROM STDIN",
            "CALL f()",
            "MERGE INTO t USING s ON true WHEN MATCHED THEN DELETE",
            "DO $$ BEGIN END $$",
            "EXECUTE p",
            "EXPLAIN ANALYZE DELETE FROM t",
            "explain (analyze, buffers) delete from t",
        ],
    );
    all(
        Dialect::Sqlite,
        &Change,
        &[
            "REPLACE INTO t VALUES (1)",
            "/* a /* b */ UPDATE t SET a = 1",
            "-- a\r\n--b\nDELETE FROM t",
        ],
    );
}

#[test]
fn what_changes_the_schema_voids_the_catalog() {
    all(
        Dialect::Postgres,
        &Schema,
        &[
            "CREATE TABLE t ()",
            "alter table t add a int",
            "DROP VIEW v",
            "GRANT ALL ON t TO u",
            "REVOKE ALL ON t FROM u",
        ],
    );
    all(
        Dialect::Sqlite,
        &Schema,
        &["ATTACH 'a.db' AS a", "DETACH a"],
    );
}

#[test]
fn what_changes_the_role_is_told_from_other_settings() {
    all(
        Dialect::Postgres,
        &Role,
        &[
            "SET ROLE u",
            "SET LOCAL ROLE u",
            "SET SESSION ROLE u",
            "SET SESSION AUTHORIZATION u",
            "SET LOCAL SESSION AUTHORIZATION u",
            "RESET ROLE",
            "RESET SESSION AUTHORIZATION",
            "SET role TO 'u'",
            "SET role = u",
            "DISCARD ALL",
        ],
    );
    all(
        Dialect::Postgres,
        &Other,
        &[
            "SET TIME ZONE 'UTC'",
            "SET LOCAL lock_timeout = 1",
            "SET SESSION statement_timeout = 1",
            "RESET ALL",
            "SET CONSTRAINTS ALL IMMEDIATE",
            "DISCARD PLANS",
        ],
    );
}

#[test]
fn h51_everything_else_passes_untouched() {
    all(
        Dialect::Postgres,
        &Other,
        &[
            "SELECT 1",
            "SELECT * INTO n FROM t",
            "SELECT * FROM t FOR NO KEY UPDATE",
            "VACUUM",
            "EXPLAIN DELETE FROM t",
            "LISTEN a",
            "PREPARE p AS SELECT 1",
            "START the engine",
            "FETCH ALL FROM c",
            "",
            "  ",
            "-- only",
            "/* open",
            "1",
            "é",
        ],
    );
    all(
        Dialect::Sqlite,
        &Other,
        &[
            "PRAGMA journal_mode = WAL",
            "EXPLAIN ANALYZE DELETE FROM t",
            "EXPLAIN QUERY PLAN DELETE FROM t",
            "/* UPDATE t SET a = 1",
        ],
    );
}

#[test]
fn a_comment_of_mysql_s_own_hides_nothing() {
    let commit = Class::Control(Control::Commit { chain: false });
    let texts = ["# it's\nCOMMIT", " # a; b\n-- c\n#\n/* d */ COMMIT"];
    all(Dialect::Mysql, &commit, &texts);
    all(Dialect::Mysql, &Change, &["#\nUPDATE t SET a = 1"]);
    all(Dialect::Mysql, &Other, &["# COMMIT", "#"]);
}
