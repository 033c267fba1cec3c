//! A whole request in this process, by the handler and by its replay from memory.

use actix_web::dev::Service;
use actix_web::rt::System;

use crate::Part;
use crate::replay::{application, request};

pub(crate) fn bare() -> Part {
    of("/bare")
}

pub(crate) fn replayed() -> Part {
    of("/replayed")
}

fn of(path: &'static str) -> Part {
    let system = System::new();
    let app = system.block_on(application());
    system.block_on(app.call(request(path))).unwrap();
    Box::new(move || {
        let response = system.block_on(app.call(request(path)));
        assert!(response.unwrap().status().is_success());
    })
}
