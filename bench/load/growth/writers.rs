//! Writers of one hot row in PostgreSQL, beside the same on bare connections.

use crate::Result;
use crate::arguments::Arguments;
use crate::growth::{Curves, curves, ratios, time};
use crate::measure::Load;
use crate::orders::Orders;
use crate::parts::{Database, Keys, Parts};
use crate::rounds::Ready;
use crate::rows::Traffic;

/// Connections of clients; those of the pool are eight.
const WRITERS: [usize; 5] = [1, 2, 4, 8, 64];

pub(crate) fn measured(parts: &Parts, arguments: &Arguments) -> Result<Curves> {
    let orders = Orders {
        hot: true,
        ..Orders::default()
    };
    let start = |name, traffic, keys| {
        Ready::start(name, traffic, (keys, Database::Postgres), parts, &orders)
    };
    let ready = [
        start("postgres-bare", Traffic::Fresh, Keys::None)?,
        start("postgres", Traffic::Miss, Keys::None)?,
        start("postgres-redis", Traffic::Miss, Keys::Redis)?,
    ];
    let mut points = Vec::new();
    for connections in WRITERS {
        let load = Load {
            orders,
            connections,
            time: time(arguments),
            singles: 0,
        };
        points.push((connections as f64, ratios(&ready, &load, arguments)?));
    }
    Ok(Curves {
        name: "writers",
        of: "writers on one hot row",
        what: "requests/s of misses, to bare connections that change the same row",
        curves: curves(&["MemoryStore", "RedisStore"], &points),
    })
}
