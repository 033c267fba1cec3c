//! What a RETURNING clause alone costs the database: written by hand and sent through the connection inside, in the
//! place of what the tracked one makes of the statement.

use diesel::prelude::*;

use super::C;
use super::cases::{delete, insert, key, newcomer, update, update_hundred};
use crate::database::{Case, Work};
use crate::tables::{TEAMS, users};

pub(super) fn cases() -> [Case<C>; 4] {
    [
        Case::floor(
            "RETURNING by hand: insert",
            200,
            Work {
                bare: insert::<C>,
                tracked: |conn, n| {
                    diesel::insert_into(users::table)
                        .values(&newcomer(n))
                        .returning(users::id)
                        .load::<i32>(conn.untracked())
                        .map(|keys| keys.len())
                },
            },
        ),
        Case::floor(
            "RETURNING by hand: update by key",
            200,
            Work {
                bare: update::<C>,
                tracked: |conn, n| {
                    diesel::update(users::table.find(key(n)))
                        .set(users::name.eq("Renamed"))
                        .returning(users::id)
                        .load::<i32>(conn.untracked())
                        .map(|keys| keys.len())
                },
            },
        ),
        Case::floor(
            "RETURNING by hand: delete by key",
            200,
            Work {
                bare: delete::<C>,
                tracked: |conn, n| {
                    diesel::delete(users::table.find(key(n)))
                        .returning(users::id)
                        .load::<i32>(conn.untracked())
                        .map(|keys| keys.len())
                },
            },
        ),
        Case::floor(
            "RETURNING by hand: update of 100 rows",
            TEAMS,
            Work {
                bare: update_hundred::<C>,
                tracked: |conn, n| {
                    diesel::update(users::table.filter(users::team.eq(n % TEAMS)))
                        .set(users::name.eq("Renamed"))
                        .returning(users::id)
                        .load::<i32>(conn.untracked())
                        .map(|keys| keys.len())
                },
            },
        ),
    ]
}
