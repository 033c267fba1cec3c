//! Ports for servers that must be told theirs.

use std::io::Read;
use std::net::{Ipv4Addr, TcpListener, TcpStream};

/// A port of 127.0.0.1 that nobody uses and that the system gives to nobody else for a minute.
///
/// A port that was merely bound and closed may be handed to another process at once. One with a connection
/// in TIME_WAIT is not, while a server (all of them set `SO_REUSEADDR`) can still listen on it.
///
/// # Panics
///
/// When the loopback interface has no port left.
#[must_use]
pub fn free_port() -> u16 {
    reserved_port().expect("a free port on 127.0.0.1")
}

fn reserved_port() -> std::io::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    let mut client = TcpStream::connect(address)?;
    // Who closes first keeps TIME_WAIT: it must be the server's end, for that one has the port.
    drop(listener.accept()?);
    client.read_to_end(&mut Vec::new())?;
    Ok(address.port())
}
