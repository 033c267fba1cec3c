//! The databases: how one is started, killed and asked, and how a transaction in it is lost without a word.

mod mariadb;
mod postgres;
mod sqlite;

use actix_web::web::ServiceConfig;
use diesel::sql_types::{BigInt, Integer, Text};
use diesel::{QueryResult, QueryableByName};
use idempotent_runtime::{Trackable, TrackedConnection};

/// How many accounts there are, numbered from 1.
pub const ACCOUNTS: i32 = 8;

/// What is in each of them at first.
pub const BALANCE: i32 = 1_000;

/// What a transfer has done.
#[derive(Clone, Debug, PartialEq, Eq, QueryableByName)]
pub struct Effect {
    /// Its key.
    #[diesel(sql_type = Text)]
    pub entry: String,
    /// Which run of the handler it was.
    #[diesel(sql_type = Text)]
    pub execution: String,
    /// Whose money.
    #[diesel(sql_type = Integer)]
    pub source: i32,
    /// Who has it now.
    #[diesel(sql_type = Integer)]
    pub target: i32,
    /// How much.
    #[diesel(sql_type = Integer)]
    pub amount: i32,
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = Integer)]
    number: i32,
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    number: i64,
}

/// A database of one of the three kinds, by its connection.
pub trait Kind: Trackable {
    /// Its name in the report.
    const NAME: &'static str;

    /// Whether it is a process of its own.
    const HAS_SERVER: bool;

    /// What keeps it there.
    type Server: Send;

    /// Starts it.
    fn start() -> Self::Server;

    /// Kills it, and starts it again with what it has.
    fn killed_and_restarted(server: Self::Server) -> Self::Server;

    /// Makes an empty database, and gives its URL.
    fn database(server: &mut Self::Server) -> String;

    /// What its schema has beside what all have.
    const SCHEMA: &'static str;

    /// Runs a statement; how many rows it has changed.
    ///
    /// # Errors
    ///
    /// The database's.
    fn change(conn: &mut TrackedConnection<Self>, sql: &str) -> QueryResult<usize>;

    /// Has the database end the transaction that is open, and does not say so.
    fn lose(conn: &mut TrackedConnection<Self>, url: &str);

    /// All effects.
    ///
    /// # Errors
    ///
    /// The database's.
    fn effects(bare: &mut Self) -> QueryResult<Vec<Effect>>;

    /// The balances of all accounts, in their order.
    ///
    /// # Errors
    ///
    /// The database's.
    fn balances(bare: &mut Self) -> QueryResult<Vec<i32>>;

    /// How many records do not say "done".
    ///
    /// # Errors
    ///
    /// The database's.
    fn open_records(bare: &mut Self) -> QueryResult<i64>;

    /// Registers the handler.
    fn services(config: &mut ServiceConfig);
}

/// What makes the tables.
#[must_use]
pub fn schema<C: Kind>() -> String {
    let accounts: Vec<_> = (1..=ACCOUNTS)
        .map(|id| format!("({id}, {BALANCE})"))
        .collect();
    let traps: Vec<_> = (1..=50).map(|id| format!("({id}, 0)")).collect();
    format!(
        "CREATE TABLE accounts (id INTEGER PRIMARY KEY, balance INTEGER NOT NULL);
         CREATE TABLE effects (entry VARCHAR(64) NOT NULL, execution VARCHAR(64) NOT NULL, source INTEGER NOT NULL, \
             target INTEGER NOT NULL, amount INTEGER NOT NULL);
         CREATE TABLE traps (id INTEGER PRIMARY KEY, n INTEGER NOT NULL);
         INSERT INTO accounts VALUES {};
         INSERT INTO traps VALUES {};
         {}",
        accounts.join(", "),
        traps.join(", "),
        C::SCHEMA
    )
}

/// Defines what is written alike for all of them.
macro_rules! alike {
    ($conn:ty) => {
        fn change(conn: &mut TrackedConnection<Self>, sql: &str) -> QueryResult<usize> {
            sql_query(sql).execute(conn)
        }

        fn effects(bare: &mut Self) -> QueryResult<Vec<Effect>> {
            sql_query("SELECT entry, execution, source, target, amount FROM effects").load(bare)
        }

        fn balances(bare: &mut Self) -> QueryResult<Vec<i32>> {
            let rows = sql_query("SELECT balance AS number FROM accounts ORDER BY id");
            let rows = rows.load::<Number>(bare)?;
            Ok(rows.into_iter().map(|row| row.number).collect())
        }

        fn open_records(bare: &mut Self) -> QueryResult<i64> {
            let open = "SELECT COUNT(*) AS number FROM idempotent_once WHERE reply IS NULL";
            Ok(sql_query(open).get_result::<Count>(bare)?.number)
        }

        fn services(config: &mut ServiceConfig) {
            #[post("/transfers")]
            #[idempotent(once = 86400, key = header("Idempotency-Key"))]
            async fn transfer(
                request: HttpRequest,
                order: web::Json<Order>,
                db: Db<$conn>,
            ) -> actix_web::Result<Reply> {
                bank::transfer(&request, order.into_inner(), db).await
            }
            config.service(transfer);
        }
    };
}

use alike;
