//! Connections in pools, by hand, and of nobody.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::result::Error;
use diesel::{sql_query, update};

use super::C;
use crate::bench::{Bench as AnyBench, Tracked, sent};
use crate::database::users;

type Bench = AnyBench<C>;

fn rename(conn: &mut Tracked<C>, id: i32) -> QueryResult<usize> {
    update(users::table.find(id))
        .set(users::name.eq("x"))
        .execute(conn)
}

#[test]
fn a_leaked_transaction_goes_with_its_connection() {
    let bench = Bench::with_users();
    bench.watch_users();
    let mut conn = bench.conn();
    conn.batch_execute("BEGIN").unwrap();
    rename(&mut conn, 1).unwrap();
    drop(conn);
    support::eventually("the row is as before, and free", || {
        let name = users::table.find(1).select(users::name);
        name.first::<String>(&mut bench.conn()) == Ok("Ann".to_owned())
            && sql_query("UPDATE users SET email = email WHERE id = 9")
                .execute(&mut bench.conn())
                .is_ok()
    });
    assert!(bench.ended().is_empty());
}

#[test]
fn a_panic_in_a_transaction_goes_with_its_connection() {
    let bench = Bench::with_users();
    let pool = bench
        .idempotent
        .pool_builder::<C>()
        .max_size(1)
        .build(&bench.url)
        .unwrap();
    bench.watch_users();
    let panicking = pool.clone();
    let thread = std::thread::spawn(move || {
        let mut conn = panicking.get().unwrap();
        let _ = conn.transaction(|conn| {
            rename(conn, 1)?;
            if conn.batch_execute("SELECT 1").is_ok() {
                panic!("on purpose");
            }
            Err::<(), _>(Error::RollbackTransaction)
        });
    });
    assert!(thread.join().is_err());
    let mut conn = pool.get().unwrap();
    rename(&mut conn, 2).unwrap();
    let name = users::table.find(1).select(users::name);
    assert_eq!(name.first::<String>(&mut conn), Ok("Ann".to_owned()));
    assert_eq!(bench.ended(), ["users:2"]);
}

#[test]
fn diesels_own_manager_holds_tracked_connections() {
    use diesel::r2d2::{ConnectionManager, CustomizeConnection, Pool};
    #[derive(Debug)]
    struct Attach(idempotent_runtime::Idempotent);
    impl CustomizeConnection<Tracked<C>, diesel::r2d2::Error> for Attach {
        fn on_acquire(&self, conn: &mut Tracked<C>) -> Result<(), diesel::r2d2::Error> {
            conn.attach(&self.0);
            Ok(())
        }
    }
    let bench = Bench::with_users();
    let pool = Pool::builder()
        .max_size(1)
        .connection_customizer(Box::new(Attach(bench.idempotent.clone())))
        .build(ConnectionManager::<Tracked<C>>::new(&bench.url))
        .unwrap();
    bench.watch_users();
    rename(&mut pool.get().unwrap(), 2).unwrap();
    pool.get().unwrap().batch_execute("BEGIN").unwrap();
    assert_eq!(
        sent(&mut *pool.get().unwrap(), |conn| conn
            .batch_execute("SELECT 1")
            .unwrap()),
        ["SELECT 1"]
    );
    rename(&mut pool.get().unwrap(), 3).unwrap();
    assert_eq!(bench.ended(), ["users:2", "users:3"]);
}

#[test]
fn a_plain_r2d2_pool_holds_the_applications_manager() {
    let bench = Bench::with_users();
    let pool = diesel::r2d2::Pool::builder()
        .max_size(2)
        .build(bench.idempotent.manager::<C>(&bench.url))
        .unwrap();
    bench.watch_users();
    rename(&mut pool.get().unwrap(), 2).unwrap();
    assert_eq!(bench.ended(), ["users:2"]);
}

type Deadpool = deadpool::managed::Pool<deadpool_diesel::Manager<Tracked<C>>>;

/// A pool of one connection.
fn deadpool(bench: &Bench) -> Deadpool {
    use deadpool::managed::{Hook, HookError};
    let idempotent = bench.idempotent.clone();
    let attach = Hook::<deadpool_diesel::Manager<Tracked<C>>>::sync_fn(move |conn, _| {
        let conn = conn.lock();
        conn.map_err(|_| HookError::message("poisoned"))?
            .attach(&idempotent);
        Ok(())
    });
    let manager = deadpool_diesel::Manager::new(&bench.url, deadpool_diesel::Runtime::Tokio1);
    Deadpool::builder(manager)
        .max_size(1)
        .post_create(attach)
        .build()
        .unwrap()
}

/// Runs something with the pool's connection.
fn interact<T: Send + 'static>(
    pool: &Deadpool,
    work: impl FnOnce(&mut Tracked<C>) -> T + Send + 'static,
) -> T {
    let interacts = async { pool.get().await.unwrap().interact(work).await.unwrap() };
    tokio::runtime::Handle::current().block_on(interacts)
}

#[test]
fn a_deadpool_holds_tracked_connections() {
    let bench = Bench::with_users();
    let tokio = tokio::runtime::Runtime::new().unwrap();
    let _entered = tokio.enter();
    let pool = deadpool(&bench);
    bench.watch_users();
    assert_eq!(interact(&pool, |conn| rename(conn, 2)), Ok(1));
    let done = interact(&pool, |conn| conn.transaction(|conn| rename(conn, 3)));
    assert_eq!(done, Ok(1));
    let undone = interact(&pool, |conn| {
        conn.transaction(|conn| {
            rename(conn, 1)?;
            Err::<(), _>(Error::RollbackTransaction)
        })
    });
    assert_eq!(undone, Err(Error::RollbackTransaction));
    assert_eq!(bench.ended(), ["users:2", "users:3"]);
}

#[test]
fn a_transaction_that_was_left_open_does_not_return_to_a_deadpool() {
    use diesel::connection::{AnsiTransactionManager, TransactionManager};
    let bench = Bench::with_users();
    let tokio = tokio::runtime::Runtime::new().unwrap();
    let _entered = tokio.enter();
    let pool = deadpool(&bench);
    bench.watch_users();
    let left = interact(&pool, |conn| {
        AnsiTransactionManager::begin_transaction(conn)?;
        rename(conn, 1)
    });
    assert_eq!(left, Ok(1));
    let name = users::table.find(1).select(users::name);
    let name = interact(&pool, move |conn| name.first::<String>(conn));
    assert_eq!(name, Ok("Ann".to_owned()));
    assert!(bench.ended().is_empty());
}

#[test]
fn a_connection_attached_by_hand_announces_its_changes() {
    let bench = Bench::with_users();
    let mut conn = Tracked::<C>::new(bench.bare());
    conn.attach(&bench.idempotent);
    assert_eq!(
        bench.ended_users(|_| rename(&mut conn, 2).unwrap()),
        ["users:2"]
    );
}

#[test]
fn a_connection_of_nobody_works_announces_nothing_and_warns_once() {
    let bench = Bench::with_users();
    let ended = bench.ended_users(|_| {
        let mut conn = Tracked::<C>::establish(&bench.url).unwrap();
        assert_eq!(rename(&mut conn, 2), Ok(1));
        assert_eq!(conn.transaction(|conn| rename(conn, 3)), Ok(1));
    });
    assert!(ended.is_empty(), "{ended:?}");
    assert_eq!(crate::logs::count(&["no Idempotent behind it"]), 1);
}
