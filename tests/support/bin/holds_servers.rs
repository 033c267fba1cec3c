//! Starts servers, prints their numbers and directories, and waits to be killed.

use support::{Server, postgres, redis};

fn main() {
    describe(postgres().server());
    describe(redis().server());
    println!("ready");
    loop {
        std::thread::park();
    }
}

fn describe(server: &Server) {
    println!("server {} {}", server.pid(), server.home().display());
}
