//! How criterion reads a round: as times the bare connection's.

use criterion::Throughput;
use criterion::measurement::{Measurement, ValueFormatter};

use crate::pair::Round;

pub(crate) struct Ratio;

impl Measurement for Ratio {
    type Intermediate = ();
    type Value = Round;

    fn start(&self) {}

    /// A round measures itself.
    fn end(&self, (): ()) -> Round {
        Round::default()
    }

    /// A round has no parts.
    fn add(&self, _: &Round, round: &Round) -> Round {
        *round
    }

    fn zero(&self) -> Round {
        Round::default()
    }

    /// criterion divides it by the number of calls.
    fn to_f64(&self, round: &Round) -> f64 {
        round.ratio() * round.calls as f64
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        &Ratio
    }
}

impl ValueFormatter for Ratio {
    fn scale_values(&self, _: f64, _: &mut [f64]) -> &'static str {
        "× bare"
    }

    fn scale_throughputs(&self, _: f64, _: &Throughput, _: &mut [f64]) -> &'static str {
        "× bare"
    }

    fn scale_for_machines(&self, _: &mut [f64]) -> &'static str {
        "× bare"
    }
}
