//! How rows are told apart.

use diesel::prelude::*;
use diesel::{insert_into, sql_query, update};

use super::C;
use crate::bench::Bench as AnyBench;
use crate::database::{Membership, memberships};
use crate::tables::{LABELS, labels};

type Bench = AnyBench<C>;

fn member(team: i32, member: &str) -> Membership {
    Membership {
        team,
        member: member.to_owned(),
        role: "guest".to_owned(),
    }
}

fn insert_members(bench: &Bench, members: &[Membership]) {
    let insert = insert_into(memberships::table).values(members);
    assert_eq!(insert.execute(&mut bench.conn()), Ok(members.len()));
}

fn promote(conn: &mut crate::bench::Tracked<C>, one: &Membership) -> QueryResult<usize> {
    let target = memberships::table.find((one.team, &one.member));
    update(target)
        .set(memberships::role.eq("owner"))
        .execute(conn)
}

/// Each of these rows has a reply; each row's change ends its own reply, by this name, and no other.
fn each_is_told_apart<R: Clone + Send + Sync + 'static>(
    bench: &Bench,
    rows: &[(R, &str)],
    change: impl Fn(&mut crate::bench::Tracked<C>, &R) -> QueryResult<usize>
    + Copy
    + Send
    + Sync
    + 'static,
) {
    for (number, (row, _)) in rows.iter().enumerate() {
        let row = row.clone();
        bench.keep(&format!("row{number}"), move |conn| change(conn, &row));
    }
    for (number, (row, name)) in rows.iter().enumerate() {
        assert_eq!(change(&mut bench.conn(), row), Ok(1));
        let ended: Vec<_> = (number..rows.len())
            .filter_map(|other| bench.ended_by(&format!("row{other}")))
            .collect();
        assert_eq!(ended, [*name]);
    }
}

#[test]
fn h09_all_columns_of_a_key_count() {
    let bench = Bench::new();
    let rows = [(1, "a"), (1, "b"), (2, "a"), (11, "a")].map(|(team, name)| member(team, name));
    insert_members(&bench, &rows);
    let names = [
        "memberships:1,a",
        "memberships:1,b",
        "memberships:2,a",
        "memberships:11,a",
    ];
    let rows: Vec<_> = rows.into_iter().zip(names).collect();
    each_is_told_apart(&bench, &rows, promote);
}

#[test]
fn h46_separators_in_keys_do_not_make_two_rows_one() {
    let bench = Bench::new();
    let rows = ["a,b", "a%2cb", "a", "a:b", "*", "any", "%61ny", ""].map(|name| member(7, name));
    insert_members(&bench, &rows);
    let names = [
        "memberships:7,a%2cb",
        "memberships:7,a%252cb",
        "memberships:7,a",
        "memberships:7,a%3ab",
        "memberships:7,%2a",
        "memberships:7,%61ny",
        "memberships:7,%2561ny",
        "memberships:7,",
    ];
    let rows: Vec<_> = rows.into_iter().zip(names).collect();
    each_is_told_apart(&bench, &rows, promote);
}

fn hit(conn: &mut crate::bench::Tracked<C>, name: &&'static str) -> QueryResult<usize> {
    let target = labels::table.find(*name);
    update(target)
        .set(labels::hits.eq(labels::hits + 1))
        .execute(conn)
}

#[test]
fn h46_no_key_of_text_is_taken_for_the_table() {
    let bench = Bench::with(LABELS);
    let rows = [
        ("*", "labels:%2a"),
        ("any", "labels:%61ny"),
        ("", "labels:"),
        ("it's", "labels:it's"),
        ("say \"so\"", "labels:say \\"),
        ("null", "labels:null"),
        ("1", "labels:1"),
        ("01", "labels:01"),
        ("a b", "labels:a b"),
        ("A", "labels:A"),
        ("a", "labels:a"),
        ("a\nb", "labels:a%0ab"),
        ("{x}/y", "labels:%7bx%7d%2fy"),
        ("é", "labels:?"),
        ("e\u{301}", "labels:e?"),
        ("日本", "labels:??"),
    ];
    for (name, _) in rows {
        let insert = insert_into(labels::table).values((labels::name.eq(name), labels::hits.eq(0)));
        assert_eq!(insert.execute(&mut bench.conn()), Ok(1));
    }
    each_is_told_apart(&bench, &rows, hit);
}

#[test]
fn negative_and_large_numbers_are_keys() {
    let bench = Bench::new();
    let rows = [(-1, "a"), (1, "a"), (i32::MAX, "a"), (i32::MIN, "a")]
        .map(|(team, name)| member(team, name));
    insert_members(&bench, &rows);
    let names = [
        "memberships:-1,a",
        "memberships:1,a",
        "memberships:2147483647,a",
        "memberships:-2147483648,a",
    ];
    let rows: Vec<_> = rows.into_iter().zip(names).collect();
    each_is_told_apart(&bench, &rows, promote);
}

#[test]
fn a_part_of_a_composite_key_that_changes_ends_the_replies_of_both_keys() {
    let bench = Bench::new();
    insert_members(&bench, &[member(1, "a"), member(2, "a")]);
    bench.watch("other", |conn| promote(conn, &member(2, "a")));
    bench.watch("old", |conn| promote(conn, &member(1, "a")));
    sql_query("UPDATE memberships SET member = 'b' WHERE team = 1")
        .execute(&mut bench.conn())
        .unwrap();
    assert_eq!(bench.ended(), ["memberships:1,a"]);
}
