//! The table of the records: how it comes to be.

use std::sync::Barrier;

use super::*;

#[test]
fn processes_that_start_together_all_find_the_table() {
    let (_home, url) = C::fresh("");
    let barrier = Barrier::new(6);
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                let pool = Idempotent::builder("it").build();
                let pool = pool.pool_builder::<C>().max_size(1).build(&url).unwrap();
                let mut conn = pool.get().unwrap();
                barrier.wait();
                once::migrate(&mut conn).unwrap();
            });
        }
    });
    let records: i64 =
        diesel::dsl::sql::<diesel::sql_types::BigInt>("SELECT COUNT(*) FROM idempotent_once")
            .get_result(&mut C::establish(&url).unwrap())
            .unwrap();
    assert_eq!(records, 0);
}

#[test]
fn a_table_of_the_longest_name_can_be_made_and_is_made_once() {
    let shop = Shop::new();
    let process = shop.process();
    let mut conn = process.pool.get().unwrap();
    for last in ["a", "b"] {
        let name = format!("{}{last}", "t".repeat(39));
        let table = once::Table::named(name).unwrap();
        for _ in 0..2 {
            table.migrate(&mut conn).unwrap();
            assert_eq!(table.sweep(&mut conn, 1).unwrap(), 0);
        }
    }
}
