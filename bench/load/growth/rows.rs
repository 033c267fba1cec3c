//! Replays of a record that depends on many rows.

use crate::Result;
use crate::arguments::Arguments;
use crate::growth::{Curves, replays};
use crate::orders::Orders;
use crate::parts::{Database, Parts};

const ROWS: [i32; 4] = [1, 10, 100, 1_000];

pub(crate) fn measured(parts: &Parts, arguments: &Arguments) -> Result<Curves> {
    // One key, as the runs of another would end its record.
    let orders = |rows| Orders {
        keys: 1,
        rows,
        ..Orders::default()
    };
    let points = ROWS.map(|rows| (f64::from(rows), orders(rows)));
    Ok(Curves {
        name: "rows",
        of: "rows per record",
        what: "requests/s of replays, to bare",
        curves: replays(
            ["sqlite", "sqlite-redis", "sqlite-redis-strict"],
            Database::Sqlite,
            &points,
            parts,
            arguments,
        )?,
    })
}
