//! What the servers do: transfers between accounts, and the mistakes that handlers make.

use actix_web::error::{ErrorBadRequest, ErrorInternalServerError};
use actix_web::{HttpRequest, web};
use diesel::Connection;
use diesel::result::Error as DieselError;
use idempotent_runtime::{Db, Error, Reply, Tracked, TrackedConnection};
use serde::{Deserialize, Serialize};

use crate::kind::Kind;

#[allow(missing_docs, reason = "the macro's")]
mod tables {
    diesel::table! {
        accounts (id) {
            id -> Integer,
            balance -> Integer,
        }
    }
}

use tables::accounts;

/// A row of the accounts, so that they are tracked.
#[derive(Tracked)]
#[diesel(table_name = accounts)]
#[allow(dead_code, reason = "the handler says it in SQL")]
struct Account {
    id: i32,
    balance: i32,
}

/// What is asked for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Order {
    /// Whose money.
    pub source: i32,
    /// Who gets it.
    pub target: i32,
    /// How much; with nothing it is refused before the transaction.
    pub amount: i32,
}

/// A reply's body, another one for each run.
#[derive(Debug, Serialize, Deserialize)]
pub struct Told {
    /// Which run it was.
    pub execution: String,
}

/// A mistake in the handler, of this request alone: in this header, as the payload must be the same each time.
pub const MISTAKE: &str = "X-Mistake";

/// What a handler does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// It swallows an error that has ended the transaction, in the midst of its effects.
    Lost,
    /// It swallows an error in a savepoint, which has undone no more than that.
    Undone,
    /// It fails after all of its effects.
    Failed,
}

impl Mistake {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Lost, Self::Undone, Self::Failed];

    /// As it is in the header.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Undone => "undone",
            Self::Failed => "failed",
        }
    }

    fn of(request: &HttpRequest) -> Option<Self> {
        let name = request.headers().get(MISTAKE)?;
        Self::ALL.into_iter().find(|mistake| name == mistake.name())
    }
}

/// The handler.
///
/// # Errors
///
/// When nothing is asked for, and those of `db.once`.
pub async fn transfer<C: Kind>(
    request: &HttpRequest,
    order: Order,
    db: Db<C>,
) -> actix_web::Result<Reply> {
    if order.amount == 0 {
        return Err(ErrorBadRequest("an amount, please"));
    }
    let key = request.headers().get("Idempotency-Key");
    let entry = key.and_then(|key| key.to_str().ok()).unwrap_or_default();
    let url = request.app_data::<web::Data<String>>();
    let url = url.ok_or_else(|| ErrorInternalServerError("no URL"))?;
    let (entry, url) = (entry.to_owned(), url.to_string());
    let mistake = Mistake::of(request);
    let reply = db.once(move |conn| done(conn, &order, &entry, mistake, &url));
    Ok(reply.await?)
}

fn done<C: Kind>(
    conn: &mut TrackedConnection<C>,
    order: &Order,
    entry: &str,
    mistake: Option<Mistake>,
    url: &str,
) -> Result<Reply, Error> {
    let Order {
        source,
        target,
        amount,
    } = order;
    let execution = format!("{:016x}", fastrand::u64(..));
    let told = Told {
        execution: execution.clone(),
    };
    let debit = format!(
        "UPDATE accounts SET balance = balance - {amount} WHERE id = {source} AND balance >= {amount}"
    );
    if C::change(conn, &debit)? == 0 {
        return Ok(Reply::json(402, &told)?);
    }
    match mistake {
        Some(Mistake::Lost) => C::lose(conn, url),
        Some(Mistake::Undone) => {
            // The row is there.
            let _ = conn.transaction(|conn| C::change(conn, "INSERT INTO traps VALUES (1, 0)"));
        }
        Some(Mistake::Failed) | None => {}
    }
    let credit = format!("UPDATE accounts SET balance = balance + {amount} WHERE id = {target}");
    let effect = format!(
        "INSERT INTO effects VALUES ('{entry}', '{execution}', {source}, {target}, {amount})"
    );
    let (credited, noted) = (C::change(conn, &credit), C::change(conn, &effect));
    match mistake {
        Some(Mistake::Failed) => return Err(DieselError::RollbackTransaction.into()),
        // Whoever swallows one error swallows all.
        Some(Mistake::Lost) => {}
        Some(Mistake::Undone) | None => {
            credited?;
            noted?;
        }
    }
    let location = format!("/transfers/{execution}");
    Ok(Reply::json(201, &told)?.header("Location", location))
}
