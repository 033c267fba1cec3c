//! `COPY … FROM`, by Diesel's own function.

use diesel::prelude::*;
use diesel::result::Error;

use super::C;
use crate::bench::{ALL_USERS, Bench as AnyBench, Tracked};
use crate::database::users;

type Bench = AnyBench<C>;

#[derive(Insertable)]
#[diesel(table_name = users, treat_none_as_default_value = false)]
struct Copied<'a> {
    email: &'a str,
    name: &'a str,
}

/// Copies users with these emails; `a@b.c` is taken.
fn copy(conn: &mut Tracked<C>, emails: &[&str]) -> QueryResult<usize> {
    let name = "copied";
    let rows: Vec<_> = emails.iter().map(|email| Copied { email, name }).collect();
    diesel::copy_from(users::table)
        .from_insertable(&rows)
        .execute(conn)
}

fn emails(bench: &Bench) -> Vec<String> {
    let emails = users::table.order(users::id).select(users::email);
    emails.offset(3).load(&mut bench.bare()).unwrap()
}

#[test]
fn copied_rows_end_the_replies_of_their_table() {
    let bench = Bench::with_users();
    let ended = bench.ended_users(|conn| assert_eq!(copy(conn, &["d", "e"]), Ok(2)));
    assert_eq!(ended, ALL_USERS);
    assert_eq!(emails(&bench), ["d", "e"]);
}

#[test]
fn copied_text_ends_the_replies_of_its_table() {
    let bench = Bench::with_users();
    let ended = bench.ended_users(|conn| {
        let copied = diesel::copy_from(users::table)
            .from_raw_data((users::email, users::name), |copy| {
                writeln!(copy, "d\tcopied").unwrap();
                QueryResult::Ok(())
            })
            .execute(conn);
        assert_eq!(copied, Ok(1));
    });
    assert_eq!(ended, ALL_USERS);
    assert_eq!(emails(&bench), ["d"]);
}

#[test]
fn a_reply_depends_on_the_table_that_it_copied_into() {
    let bench = Bench::with_users();
    bench.watch("copies", |conn| copy(conn, &["d"]));
    let update = diesel::update(users::table.find(1)).set(users::name.eq("x"));
    assert_eq!(update.execute(&mut bench.conn()), Ok(1));
    assert_eq!(bench.ended(), ["users:any"]);
}

#[test]
fn rows_copied_in_a_transaction_go_with_it() {
    let bench = Bench::with_users();
    let ended = bench.ended_users(|conn| {
        let undone = conn.transaction(|conn| {
            assert_eq!(copy(conn, &["d"]), Ok(1));
            QueryResult::<()>::Err(Error::RollbackTransaction)
        });
        assert_eq!(undone, Err(Error::RollbackTransaction));
    });
    assert!(ended.is_empty(), "{ended:?}");
    let ended = bench.ended_users(|conn| {
        assert_eq!(conn.transaction(|conn| copy(conn, &["d"])), Ok(1));
    });
    assert_eq!(ended, ALL_USERS);
    assert_eq!(emails(&bench), ["d"]);
}

#[test]
fn h08_a_copy_that_fails_changes_nothing() {
    let bench = Bench::with_users();
    let ended = bench.ended_users(|conn| {
        assert!(copy(conn, &["d", "a@b.c"]).is_err());
        let update = diesel::update(users::table.find(2)).set(users::name.eq("x"));
        assert_eq!(update.execute(conn), Ok(1), "usable afterwards");
    });
    assert_eq!(ended, ["users:2"]);
    assert!(emails(&bench).is_empty());
}

#[test]
fn h14_a_copy_that_fails_leaves_its_transaction_usable() {
    let bench = Bench::with_users();
    let ended = bench.ended_users(|conn| {
        let done = conn.transaction(|conn| {
            assert!(copy(conn, &["d", "a@b.c"]).is_err());
            diesel::update(users::table.find(2))
                .set(users::name.eq("x"))
                .execute(conn)
        });
        assert_eq!(done, Ok(1));
    });
    assert_eq!(ended, ["users:2"]);
    assert!(emails(&bench).is_empty());
}
