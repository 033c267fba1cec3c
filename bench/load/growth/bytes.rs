//! Replays of large replies, beside the handler that makes them anew.

use crate::Result;
use crate::arguments::Arguments;
use crate::growth::{Curves, curves, ratios, time};
use crate::measure::Load;
use crate::orders::Orders;
use crate::parts::{Database, Keys, Parts};
use crate::rounds::{Ready, bare};
use crate::rows::Traffic;

/// Beyond those 300 bytes; the largest that is kept has a mebibyte in all.
const SIZES: [usize; 5] = [0, 3_000, 30_000, 300_000, 1_048_000];

pub(crate) fn measured(parts: &Parts, arguments: &Arguments) -> Result<Curves> {
    let orders = |size| Orders {
        keys: 8,
        size,
        ..Orders::default()
    };
    let start = |name, keys| {
        let own = (keys, Database::None);
        Ready::start(name, Traffic::Replay, own, parts, &orders(0))
    };
    let mut ready = vec![
        bare(Traffic::Again, &orders(0))?,
        start("memory", Keys::None)?,
        start("redis", Keys::Redis)?,
        start("redis-strict", Keys::Redis)?,
    ];
    let mut points = Vec::new();
    for size in SIZES {
        let load = Load {
            orders: orders(size),
            connections: 64,
            time: time(arguments),
            singles: 0,
        };
        let (bare, replaying) = ready.split_at_mut(1);
        bare[0].ask_for(Traffic::Again, &load.orders)?;
        for replaying in replaying {
            replaying.ask_for(Traffic::Replay, &load.orders)?;
        }
        points.push(((size + 360) as f64, ratios(&ready, &load, arguments)?));
    }
    Ok(Curves {
        name: "bytes",
        of: "bytes per reply",
        what: "requests/s of replays, to bare",
        curves: curves(
            &["replay-memory", "replay-redis", "replay-redis-strict"],
            &points,
        ),
    })
}
