use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use support::Proxy;

/// Answers every byte by the next one, and tells of each that came.
fn counting() -> (u16, Receiver<u8>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let port = listener.local_addr().expect("its address").port();
    let (tell, told) = channel();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let mut client = client.expect("a client");
            let tell = tell.clone();
            std::thread::spawn(move || {
                let mut byte = [0];
                while client.read_exact(&mut byte).is_ok() {
                    let _ = tell.send(byte[0]);
                    let _ = client.write_all(&[byte[0] + 1]);
                }
            });
        }
    });
    (port, told)
}

fn connect(proxy: &Proxy) -> TcpStream {
    TcpStream::connect(("127.0.0.1", proxy.port())).expect("a connection to the proxy")
}

fn ask(client: &mut TcpStream, byte: u8) -> Option<u8> {
    let mut answer = [0];
    client.write_all(&[byte]).ok()?;
    client.read_exact(&mut answer).ok().map(|()| answer[0])
}

#[test]
fn all_is_passed_on_until_the_connection_is_cut() {
    let (upstream, _told) = counting();
    let proxy = Proxy::start(upstream);
    let mut client = connect(&proxy);
    assert_eq!(ask(&mut client, 1), Some(2));
    assert_eq!(ask(&mut client, 7), Some(8));
    proxy.cut();
    assert_eq!(ask(&mut client, 1), None);
    assert_eq!(ask(&mut connect(&proxy), 3), Some(4));
}

#[test]
fn a_swallowed_answer_is_of_a_request_that_came() {
    let (upstream, told) = counting();
    let proxy = Proxy::start(upstream);
    proxy.swallow_answers(1);
    assert_eq!(ask(&mut connect(&proxy), 5), None);
    assert_eq!(told.recv(), Ok(5));
    assert_eq!(ask(&mut connect(&proxy), 6), Some(7));
    assert_eq!(proxy.swallowed(), 1);
}

#[test]
fn connections_are_refused_and_then_welcome_again() {
    let (upstream, _told) = counting();
    let proxy = Proxy::start(upstream);
    proxy.refuse(true);
    assert_eq!(ask(&mut connect(&proxy), 1), None);
    proxy.refuse(false);
    assert_eq!(ask(&mut connect(&proxy), 1), Some(2));
}

#[test]
fn what_is_delayed_comes_all_the_same() {
    let (upstream, _told) = counting();
    let proxy = Proxy::start(upstream);
    let by = Duration::from_millis(20);
    proxy.delay(by);
    let begun = Instant::now();
    assert_eq!(ask(&mut connect(&proxy), 1), Some(2));
    // There and back: no less, however fast the machine.
    assert!(begun.elapsed() >= by * 2);
}
