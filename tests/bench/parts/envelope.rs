//! A record as bytes, and back.

use std::hint::black_box;

use idempotent_runtime::store::Record;

use crate::Part;
use crate::tags::record;

pub(crate) fn write() -> Part {
    let record = record(1);
    Box::new(move || {
        black_box(record.to_msgpack().unwrap());
    })
}

pub(crate) fn read() -> Part {
    let bytes = record(1).to_msgpack().unwrap();
    Box::new(move || {
        black_box(Record::from_msgpack(&bytes).unwrap());
    })
}
