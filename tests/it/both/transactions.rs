//! What was committed ends replies and is depended on; what was not, is not.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::result::Error;
use diesel::{sql_query, update};

use super::{C, LONG_FORMS, MIGRATED, QUOTED};
use crate::app::is_replay;
use crate::bench::{Bench as AnyBench, Tracked, is_stored, sent};
use crate::database::users;

type Bench = AnyBench<C>;

fn rename(conn: &mut Tracked<C>, id: i32) -> QueryResult<usize> {
    update(users::table.find(id))
        .set(users::name.eq("x"))
        .execute(conn)
}

fn nothing(ended: &[String]) -> bool {
    assert!(ended.is_empty(), "{ended:?}");
    true
}

/// The closure's error, after which a transaction is rolled back.
fn roll_back<T>() -> QueryResult<T> {
    Err(Error::RollbackTransaction)
}

#[test]
fn a_transaction_ends_the_replies_of_all_its_rows() {
    let bench = Bench::with_users();
    let ended = bench.ended_users(|conn| {
        conn.transaction(|conn| {
            rename(conn, 1)?;
            rename(conn, 3)
        })
    });
    assert_eq!(ended, ["users:1", "users:3"]);
}

#[test]
fn h05_every_commit_of_a_handler_counts() {
    let bench = Bench::with_users();
    for id in [1, 2] {
        bench.watch("both", |conn| {
            rename(conn, 1)?;
            conn.transaction(|conn| rename(conn, 2))
        });
        rename(&mut bench.conn(), id).unwrap();
        assert_eq!(bench.ended(), [format!("users:{id}")]);
    }
}

#[test]
fn a_reply_is_not_ended_by_the_changes_of_its_own_run() {
    let table = |conn: &mut Tracked<C>| {
        let sql = "UPDATE users SET id = id WHERE id = 1";
        sql_query(sql).execute(conn)
    };
    let bench = Bench::with_users();
    bench.watch("table-then-row", move |conn| {
        table(conn)?;
        rename(conn, 2)
    });
    assert!(nothing(&bench.ended()));
    bench.watch("row-then-table", move |conn| {
        rename(conn, 2)?;
        table(conn)
    });
    assert!(nothing(&bench.ended()));
}

#[test]
fn a_handler_that_changes_a_row_twice_depends_on_the_last_change() {
    let bench = Bench::with_users();
    bench.watch("twice", |conn| {
        rename(conn, 1)?;
        rename(conn, 1)
    });
    assert!(nothing(&bench.ended()));
}

#[test]
fn h08_a_change_that_was_rolled_back_ends_nothing() {
    let bench = Bench::with_users();
    let ended = bench.ended_users(|conn| {
        let done = conn.transaction(|conn| {
            rename(conn, 1)?;
            roll_back::<()>()
        });
        assert_eq!(done, Err(Error::RollbackTransaction));
    });
    assert!(nothing(&ended));
}

#[test]
fn h08_a_reply_does_not_depend_on_what_its_handler_rolled_back() {
    let bench = Bench::with_users();
    bench.watch("rolls-back", |conn| {
        let _ = conn.transaction(|conn| {
            rename(conn, 1)?;
            roll_back::<()>()
        });
        rename(conn, 2)
    });
    rename(&mut bench.conn(), 1).unwrap();
    assert!(nothing(&bench.ended()));
}

#[test]
fn h08_the_reply_of_a_handler_that_failed_is_not_kept() {
    let bench = Bench::with_users();
    bench.handler_on_db("fails", |conn| {
        rename(conn, 1)?;
        roll_back::<()>()
    });
    for _ in 0..2 {
        let reply = bench.get("fails");
        assert!(
            reply.status == 500 && !is_replay(&reply) && !is_stored(&reply),
            "{reply:?}"
        );
    }
}

#[test]
fn h08_a_handler_that_failed_after_its_commit_ends_the_replies_of_others() {
    let bench = Bench::with_users();
    bench.watch_users();
    bench.handler_on_db("fails", |conn| {
        rename(conn, 1)?;
        roll_back::<()>()
    });
    assert_eq!(bench.get("fails").status, 500);
    assert_eq!(bench.ended(), ["users:1"]);
}

#[test]
fn h14_what_a_savepoint_undid_ends_nothing() {
    let bench = Bench::with_users();
    let ended = bench.ended_users(|conn| {
        conn.transaction(|conn| {
            rename(conn, 1)?;
            let inner = conn.transaction(|conn| {
                rename(conn, 2)?;
                conn.transaction(|conn| rename(conn, 3))?;
                roll_back::<()>()
            });
            assert_eq!(inner, Err(Error::RollbackTransaction));
            conn.transaction(|conn| conn.transaction(|conn| rename(conn, 1)))
        })
    });
    assert_eq!(ended, ["users:1"]);
}

#[test]
fn h14_a_row_undone_in_a_savepoint_and_changed_again_counts() {
    let bench = Bench::with_users();
    let ended = bench.ended_users(|conn| {
        conn.transaction(|conn| {
            let _ = conn.transaction(|conn| {
                rename(conn, 2)?;
                roll_back::<()>()
            });
            rename(conn, 2)
        })
    });
    assert_eq!(ended, ["users:2"]);
}

#[test]
fn h14_savepoints_set_by_hand_are_followed() {
    let bench = Bench::with_users();
    let ended = bench.ended_users(|conn| {
        conn.batch_execute("BEGIN")?;
        rename(conn, 1)?;
        sql_query(format!("SAVEPOINT {QUOTED}")).execute(conn)?;
        rename(conn, 2)?;
        conn.batch_execute("SAVEPOINT other")?;
        rename(conn, 3)?;
        sql_query(format!("ROLLBACK TO {QUOTED}")).execute(conn)?;
        conn.batch_execute(&format!("RELEASE SAVEPOINT {QUOTED}; COMMIT"))
    });
    assert_eq!(ended, ["users:1"]);
}

#[test]
fn a_transaction_by_hand_ends_replies_when_it_commits() {
    let bench = Bench::with_users();
    bench.keep("one", |conn| rename(conn, 1));
    let mut conn = bench.conn();
    conn.batch_execute("BEGIN").unwrap();
    rename(&mut conn, 1).unwrap();
    assert_eq!(bench.ended_by("one"), None);
    conn.batch_execute("COMMIT").unwrap();
    assert_eq!(bench.ended_by("one").as_deref(), Some("users:1"));
}

#[test]
fn a_transaction_may_be_moved_by_any_statement() {
    let bench = Bench::with_users();
    for (begin, end) in [
        ("BEGIN", "COMMIT"),
        ("begin;", "commit;"),
        LONG_FORMS,
        ("/* now */ BEGIN -- go", "COMMIT -- done"),
    ] {
        let ended = bench.ended_users(|conn| {
            sql_query(begin).execute(conn)?;
            rename(conn, 2)?;
            sql_query(end).execute(conn)
        });
        assert_eq!(ended, ["users:2"], "{begin} {end}");
        let ended = bench.ended_users(|conn| {
            conn.batch_execute(begin)?;
            rename(conn, 2)?;
            conn.batch_execute("ROLLBACK")
        });
        assert!(nothing(&ended));
    }
}

#[test]
fn transaction_control_inside_one_batch_is_followed() {
    let bench = Bench::with_users();
    let change = "UPDATE users SET name = 'y' WHERE id = 1";
    for (batch, all) in [
        (format!("BEGIN; {change}; COMMIT"), true),
        (format!("BEGIN; {change}; ROLLBACK"), false),
        (
            format!("BEGIN; SAVEPOINT a; {change}; ROLLBACK TO a; COMMIT"),
            false,
        ),
        (format!("BEGIN; ROLLBACK; {change};"), true),
    ] {
        let ended = bench.ended_users(|conn| conn.batch_execute(&batch).unwrap());
        assert_eq!(ended, if all { &["users:1"][..] } else { &[] }, "{batch}");
    }
}

#[test]
fn a_test_transaction_announces_nothing() {
    let bench = Bench::with_users();
    let ended = bench.ended_users(|conn| {
        conn.test_transaction::<_, Error, _>(|conn| rename(conn, 1));
        conn.begin_test_transaction().unwrap();
        rename(conn, 2).unwrap();
        conn.transaction(|conn| rename(conn, 3)).unwrap();
    });
    assert!(nothing(&ended));
}

#[test]
fn h20_a_change_by_itself_is_in_a_transaction_and_nothing_else_is() {
    let bench = Bench::with_users();
    let mut conn = bench.conn();
    rename(&mut conn, 1).unwrap();
    let read = sent(&mut *conn, |conn| {
        users::table.count().get_result::<i64>(conn).unwrap();
        sql_query("SELECT 1").execute(conn).unwrap();
        sql_query("DELETE FROM audits").execute(conn).unwrap();
    });
    assert_eq!(read.len(), 3, "{read:?}");
    let change = sent(&mut *conn, |conn| rename(conn, 1).unwrap());
    assert!(change[0].starts_with("BEGIN"), "{change:?}");
    let update = change.iter().filter(|sql| sql.starts_with("UPDATE"));
    assert_eq!(update.count(), 1, "{change:?}");
    assert!(change.last().unwrap().contains("COMMIT"), "{change:?}");
}

#[test]
fn h20_a_change_that_fails_leaves_no_transaction_behind() {
    let bench = Bench::with_users();
    let ended = bench.ended_users(|conn| {
        rename(conn, 1).unwrap();
        let twice = sql_query("UPDATE users SET email = 'c@b.c' WHERE id = 2").execute(conn);
        assert!(matches!(
            twice,
            Err(Error::DatabaseError(
                diesel::result::DatabaseErrorKind::UniqueViolation,
                _
            ))
        ));
        let outside = sent(conn, |conn| conn.batch_execute("SELECT 1").unwrap());
        assert_eq!(outside, ["SELECT 1"]);
        rename(conn, 3).unwrap();
    });
    assert_eq!(ended, ["users:1", "users:3"]);
}

#[test]
fn h20_a_change_by_itself_is_seen_by_others_at_once() {
    let bench = Bench::with_users();
    rename(&mut bench.conn(), 1).unwrap();
    let name = users::table.find(1).select(users::name);
    assert_eq!(name.first::<String>(&mut bench.bare()), Ok("x".to_owned()));
}

#[test]
fn migrations_run_through_a_tracked_connection() {
    use diesel_migrations::{FileBasedMigrations, MigrationHarness};
    let bench = Bench::with_users();
    let directory = tempfile::tempdir().unwrap();
    let migration = directory.path().join("2026-01-01-000000_rename");
    std::fs::create_dir(&migration).unwrap();
    std::fs::write(
        migration.join("up.sql"),
        "UPDATE users SET name = 'migrated'; CREATE TABLE made (id int);",
    )
    .unwrap();
    std::fs::write(migration.join("down.sql"), "DROP TABLE made;").unwrap();
    let migrations = FileBasedMigrations::from_path(directory.path()).unwrap();
    let up = migrations.clone();
    let ended =
        bench.ended_users(|conn| assert_eq!(conn.run_pending_migrations(up).unwrap().len(), 1));
    assert_eq!(ended[..3], MIGRATED, "{ended:?}");
    assert_eq!(
        bench
            .conn()
            .revert_all_migrations(migrations)
            .unwrap()
            .len(),
        1
    );
}
