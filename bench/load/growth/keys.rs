//! Replays of one key that all ask for, and of ever more, beside the handler.

use crate::Result;
use crate::arguments::Arguments;
use crate::growth::{Curves, replays};
use crate::orders::Orders;
use crate::parts::{Database, Parts};

const NUMBERS: [usize; 5] = [1, 4, 16, 64, 1_024];

pub(crate) fn measured(parts: &Parts, arguments: &Arguments) -> Result<Curves> {
    let orders = |keys| Orders {
        keys,
        ..Orders::default()
    };
    let points = NUMBERS.map(|keys| (keys as f64, orders(keys)));
    Ok(Curves {
        name: "keys",
        of: "keys that 64 connections ask for",
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
