//! Replays of a record that depends on many rows.

use crate::Result;
use crate::arguments::Arguments;
use crate::growth::{Curves, curves, ratios, time};
use crate::measure::Load;
use crate::orders::Orders;
use crate::parts::{Database, Keys, Parts};
use crate::rounds::{Ready, bare};
use crate::rows::Traffic;

const ROWS: [i32; 4] = [1, 10, 100, 1_000];

pub(crate) fn measured(parts: &Parts, arguments: &Arguments) -> Result<Curves> {
    // One key, as the runs of another would end its record.
    let orders = |rows| Orders {
        keys: 1,
        rows,
        ..Orders::default()
    };
    let start = |name, keys| {
        let own = (keys, Database::Sqlite);
        Ready::start(name, Traffic::Replay, own, parts, &orders(1))
    };
    let mut ready = vec![
        bare(Traffic::Again, &orders(1))?,
        start("sqlite", Keys::None)?,
        start("sqlite-redis", Keys::Redis)?,
        start("sqlite-redis-strict", Keys::Redis)?,
    ];
    let mut points = Vec::new();
    for rows in ROWS {
        let load = Load {
            orders: orders(rows),
            connections: 64,
            time: time(arguments),
            singles: 0,
        };
        for replaying in &mut ready[1..] {
            replaying.ask_for(Traffic::Replay, &load.orders)?;
        }
        points.push((f64::from(rows), ratios(&ready, &load, arguments)?));
    }
    Ok(Curves {
        name: "rows",
        of: "rows per record",
        what: "requests/s of replays, to bare",
        curves: curves(
            &["replay-memory", "replay-redis", "replay-redis-strict"],
            &points,
        ),
    })
}
