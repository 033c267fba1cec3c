//! Replays of large replies, beside the handler that makes them anew.

use crate::Result;
use crate::arguments::Arguments;
use crate::growth::{Curves, replays};
use crate::orders::Orders;
use crate::parts::{Database, Parts};

/// Beyond those 300 bytes; the largest that is kept has a mebibyte in all.
const SIZES: [usize; 5] = [0, 3_000, 30_000, 300_000, 1_048_000];

pub(crate) fn measured(parts: &Parts, arguments: &Arguments) -> Result<Curves> {
    let orders = |size| Orders {
        keys: 8,
        size,
        ..Orders::default()
    };
    let points = SIZES.map(|size| ((size + 360) as f64, orders(size)));
    Ok(Curves {
        name: "bytes",
        of: "bytes per reply",
        what: "requests/s of replays, to bare",
        curves: replays(
            ["memory", "redis", "redis-strict"],
            Database::None,
            &points,
            parts,
            arguments,
        )?,
    })
}
