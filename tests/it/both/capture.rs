//! Which rows a statement is known to change: theirs are the replies that end, and no others.

use diesel::dsl::insert_into;
use diesel::prelude::*;
use diesel::{delete, update};

use super::{C, UNKNOWN_ROWS};
use crate::bench::{ALL_USERS, Bench as AnyBench, is_stored};
use crate::database::{NewUser, User, users};

type Bench = AnyBench<C>;

/// A new user whose id is the next one: 4 on a fresh bench.
fn new_user(name: &str) -> NewUser {
    NewUser {
        email: format!("{name}@new.b.c"),
        name: name.to_owned(),
    }
}

fn user(id: i32, name: &str) -> User {
    User {
        id,
        email: format!("{name}@b.c"),
        name: name.to_owned(),
    }
}

#[test]
fn a_row_inserted_with_its_key_ends_its_replies() {
    let bench = Bench::with_users();
    let ended = bench.ended_users(|conn| {
        let values = (users::id.eq(4), users::email.eq("d"), users::name.eq("d"));
        assert_eq!(
            insert_into(users::table).values(values).execute(conn),
            Ok(1)
        );
    });
    assert_eq!(ended, ["users:4"]);
}

#[test]
fn a_row_whose_key_the_database_makes_ends_its_replies() {
    let bench = Bench::with_users();
    let ended = bench.ended_users(|conn| {
        let insert = insert_into(users::table).values(new_user("d"));
        assert_eq!(insert.execute(conn), Ok(1));
    });
    assert_eq!(ended, ["users:4"]);
}

#[test]
fn rows_inserted_as_a_batch_each_end_their_replies() {
    let bench = Bench::with_users();
    let ended = bench.ended_users(|conn| {
        let rows = vec![new_user("d"), new_user("e")];
        assert_eq!(insert_into(users::table).values(&rows).execute(conn), Ok(2));
    });
    assert_eq!(ended, ["users:4", "users:5"]);
}

#[test]
fn rows_inserted_from_a_select_each_end_their_replies() {
    let bench = Bench::with_users();
    let ended = bench.ended_users(|conn| {
        let source =
            users::table
                .filter(users::id.le(2))
                .select((users::id + 3, users::name, users::name));
        let insert =
            source
                .insert_into(users::table)
                .into_columns((users::id, users::email, users::name));
        assert_eq!(insert.execute(conn), Ok(2));
    });
    assert_eq!(ended, ["users:4", "users:5"]);
}

#[test]
fn an_inserted_row_comes_back_as_from_a_bare_connection() {
    let bench = Bench::with_users();
    let ended = bench.ended_users(|conn| {
        let insert = insert_into(users::table).values(new_user("d"));
        let row = insert.returning(User::as_returning()).get_result(conn);
        assert_eq!(row.unwrap().id, 4);
    });
    assert_eq!(ended, ["users:4"]);
    let insert = insert_into(users::table).values(new_user("e"));
    let row = insert.get_result::<(i32, String, String)>(&mut bench.conn());
    assert_eq!(row, Ok((5, "e@new.b.c".to_owned(), "e".to_owned())));
}

#[test]
fn a_row_updated_by_its_key_ends_its_replies() {
    let bench = Bench::with_users();
    let ended = bench.ended_users(|conn| {
        let target = users::table.find(2);
        assert_eq!(update(target).set(users::name.eq("x")).execute(conn), Ok(1));
    });
    assert_eq!(ended, ["users:2"]);
}

#[test]
fn rows_updated_by_a_filter_each_end_their_replies() {
    let bench = Bench::with_users();
    let ended = bench.ended_users(|conn| {
        let target = users::table.filter(users::name.ne("Bob"));
        assert_eq!(update(target).set(users::name.eq("x")).execute(conn), Ok(2));
    });
    assert_eq!(ended, ["users:1", "users:3"]);
}

#[test]
fn updated_rows_come_back_as_from_a_bare_connection() {
    let bench = Bench::with_users();
    let ended = bench.ended_users(|conn| {
        let target = users::table.filter(users::id.eq_any([1, 3]));
        let names = update(target)
            .set(users::name.eq(users::email))
            .returning(users::name)
            .get_results::<String>(conn);
        assert_eq!(names.unwrap(), ["a@b.c", "c@b.c"]);
    });
    assert_eq!(ended, ["users:1", "users:3"]);
}

#[test]
fn boxed_statements_are_tracked() {
    let bench = Bench::with_users();
    let ended = bench.ended_users(|conn| {
        let mut change = update(users::table).set(users::name.eq("x")).into_boxed();
        for id in [1, 2] {
            change = change.filter(users::id.ne(id));
        }
        assert_eq!(change.execute(conn), Ok(1));
    });
    assert_eq!(ended, ["users:3"]);
    let ended = bench.ended_users(|conn| {
        let gone = delete(users::table).into_boxed().filter(users::id.eq(1));
        assert_eq!(gone.execute(conn), Ok(1));
    });
    assert_eq!(ended, ["users:1"]);
}

#[test]
fn boxed_statements_of_one_shape_are_told_apart() {
    let bench = Bench::with_users();
    let change = |id| {
        update(users::table)
            .set(users::name.eq("x"))
            .into_boxed()
            .filter(users::id.eq(id))
    };
    for id in [1, 2, 3] {
        let ended = bench.ended_users(|conn| change(id).execute(conn).unwrap());
        assert_eq!(ended, [format!("users:{id}")]);
    }
}

#[test]
fn saved_changes_end_the_replies_of_their_row() {
    let bench = Bench::with_users();
    let ended = bench.ended_users(|conn| {
        let saved = user(2, "new").save_changes::<User>(conn).unwrap();
        assert_eq!(saved, user(2, "new"));
    });
    assert_eq!(ended, ["users:2"]);
}

#[test]
fn a_changeset_ends_the_replies_of_its_row() {
    let bench = Bench::with_users();
    let ended = bench.ended_users(|conn| {
        let ann = user(1, "ann");
        assert_eq!(update(&ann).set(&ann).execute(conn), Ok(1));
    });
    assert_eq!(ended, ["users:1"]);
}

#[test]
fn h06_a_deleted_row_ends_its_replies() {
    let bench = Bench::with_users();
    let ended = bench.ended_users(|conn| {
        assert_eq!(delete(users::table.find(2)).execute(conn), Ok(1));
    });
    assert_eq!(ended, ["users:2"]);
}

#[test]
fn h06_deleted_rows_come_back_as_from_a_bare_connection() {
    let bench = Bench::with_users();
    let ended = bench.ended_users(|conn| {
        let gone = delete(users::table.filter(users::id.ge(2)));
        let names = gone.returning(users::name).get_results::<String>(conn);
        assert_eq!(names.unwrap(), ["Bob", "Cid"]);
    });
    assert_eq!(ended, ["users:2", "users:3"]);
}

#[test]
fn an_upsert_that_updates_ends_the_replies_of_the_row_it_found() {
    let bench = Bench::with_users();
    let ended = bench.ended_users(|conn| {
        let values = (users::email.eq("b@b.c"), users::name.eq("x"));
        let upsert = insert_into(users::table)
            .values(values)
            .on_conflict(users::email)
            .do_update()
            .set(users::name.eq("x"));
        assert_eq!(upsert.execute(conn), Ok(1));
    });
    assert_eq!(ended, ["users:2"]);
}

#[test]
fn an_upsert_that_does_nothing_ends_nothing() {
    let bench = Bench::with_users();
    let ended = bench.ended_users(|conn| {
        let values = (users::email.eq("b@b.c"), users::name.eq("x"));
        let upsert = insert_into(users::table)
            .values(values)
            .on_conflict_do_nothing();
        assert_eq!(upsert.execute(conn), Ok(0));
    });
    assert!(ended.is_empty(), "{ended:?}");
}

#[test]
fn a_change_of_no_row_ends_nothing() {
    let bench = Bench::with_users();
    let ended = bench.ended_users(|conn| {
        assert_eq!(delete(users::table.find(9)).execute(conn), Ok(0));
        let target = users::table.filter(users::name.eq("nobody"));
        assert_eq!(update(target).set(users::name.eq("x")).execute(conn), Ok(0));
    });
    assert!(ended.is_empty(), "{ended:?}");
}

#[test]
fn a_read_ends_nothing() {
    let bench = Bench::with_users();
    let ended = bench.ended_users(|conn| users::table.load::<User>(conn).unwrap());
    assert!(ended.is_empty(), "{ended:?}");
}

#[test]
fn a_changed_key_ends_the_replies_of_both_keys() {
    let bench = Bench::with_users();
    let ended = bench.ended_users(|conn| {
        let target = users::table.find(3);
        assert_eq!(update(target).set(users::id.eq(4)).execute(conn), Ok(1));
    });
    assert_eq!(ended, ["users:3", "users:4"]);
}

#[test]
fn an_untracked_table_ends_nothing_and_keeps_its_counts() {
    let bench = Bench::with_users();
    let ended = bench.ended_users(|conn| {
        use crate::database::audits;
        let values = [audits::what.eq("a"), audits::what.eq("b")];
        assert_eq!(
            insert_into(audits::table).values(&values).execute(conn),
            Ok(2)
        );
        assert_eq!(delete(audits::table).execute(conn), Ok(2));
    });
    assert!(ended.is_empty(), "{ended:?}");
}

#[test]
fn h50_a_reply_that_depends_on_the_table_is_ended_by_any_row() {
    let bench = Bench::with_users();
    bench.watch_sql("table", UNKNOWN_ROWS);
    delete(users::table.find(1))
        .execute(&mut bench.conn())
        .unwrap();
    assert_eq!(bench.ended(), ["users:any"]);
}

#[test]
fn h50_a_reply_that_depends_on_a_row_is_ended_by_the_table() {
    let bench = Bench::with_users();
    let ended = bench.ended_users(|conn| diesel::sql_query(UNKNOWN_ROWS).execute(conn).unwrap());
    assert_eq!(ended, ALL_USERS);
}

#[test]
fn h04_a_row_that_was_changed_back_was_changed() {
    let bench = Bench::with_users();
    let ended = bench.ended_users(|conn| {
        for name in ["x", "Ann"] {
            let change = update(users::table.find(1)).set(users::name.eq(name));
            assert_eq!(change.execute(conn), Ok(1));
        }
    });
    assert_eq!(ended, ["users:1"]);
}

#[test]
fn h04_a_reply_that_was_ended_is_made_anew_and_kept() {
    let bench = Bench::with_users();
    bench.handler_on_db("again", |conn| {
        update(users::table.find(1))
            .set(users::name.eq("x"))
            .execute(conn)
    });
    for _ in 0..3 {
        assert!(is_stored(&bench.get("again")));
        assert_eq!(bench.ended_by("again"), None);
        let change = update(users::table.find(1)).set(users::name.eq("y"));
        assert_eq!(change.execute(&mut bench.conn()), Ok(1));
    }
    assert_eq!(bench.ended_by("again").as_deref(), Some("users:1"));
}
