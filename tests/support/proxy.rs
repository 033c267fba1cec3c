//! A TCP proxy that cuts, delays and swallows, to stand between a client and its server.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// A proxy on a free port of this machine, to one port of it. It passes everything on until it is told otherwise.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    upstream: u16,
    /// Both ends of every connection, as long as it lasts.
    open: Mutex<Vec<Arc<Pair>>>,
    /// What each piece waits for before it is passed on.
    delay_us: AtomicU64,
    /// How many more answers are swallowed.
    swallow: AtomicU64,
    swallowed: AtomicU64,
    refusing: AtomicBool,
    stopped: AtomicBool,
}

#[derive(Debug)]
struct Pair {
    client: TcpStream,
    server: TcpStream,
}

impl Proxy {
    /// Begins to listen.
    ///
    /// # Panics
    ///
    /// If there is no free port.
    #[must_use]
    pub fn start(upstream: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port for a proxy");
        let port = listener
            .local_addr()
            .expect("the address of a proxy")
            .port();
        let state = Arc::new(State {
            upstream,
            ..State::default()
        });
        let accepting = Arc::clone(&state);
        thread::spawn(move || accepting.accept(&listener));
        Self { port, state }
    }

    /// Where to connect to instead of the server.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Ends every connection that is open now; new ones are welcome.
    pub fn cut(&self) {
        self.state.cut();
    }

    /// Whether new connections are closed at once.
    pub fn refuse(&self, refusing: bool) {
        self.state.refusing.store(refusing, Ordering::SeqCst);
    }

    /// From now on every piece of data, in both directions, comes later by this.
    pub fn delay(&self, by: Duration) {
        let micros = u64::try_from(by.as_micros()).unwrap_or(u64::MAX);
        self.state.delay_us.store(micros, Ordering::SeqCst);
    }

    /// Instead of the next answers, clients get the end of their connection: the server has done its work, and nobody
    /// hears of it.
    pub fn swallow_answers(&self, answers: u64) {
        self.state.swallow.store(answers, Ordering::SeqCst);
    }

    /// How many answers were swallowed until now.
    #[must_use]
    pub fn swallowed(&self) -> u64 {
        self.state.swallowed.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.state.stopped.store(true, Ordering::SeqCst);
        // Its own knock ends the loop that accepts.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        self.state.cut();
    }
}

impl State {
    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        for client in listener.incoming().map_while(Result::ok) {
            if self.stopped.load(Ordering::SeqCst) {
                return;
            }
            if self.refusing.load(Ordering::SeqCst) {
                continue;
            }
            // A server that is away looks like one: the client's connection is closed.
            if let Ok(server) = TcpStream::connect(("127.0.0.1", self.upstream)) {
                self.open(Pair { client, server });
            }
        }
    }

    fn open(self: &Arc<Self>, pair: Pair) {
        let _ = pair.client.set_nodelay(true);
        let _ = pair.server.set_nodelay(true);
        let pair = Arc::new(pair);
        self.open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Arc::clone(&pair));
        let (state, requests) = (Arc::clone(self), Arc::clone(&pair));
        thread::spawn(move || state.pass(&requests, &requests.client, &requests.server, false));
        let state = Arc::clone(self);
        thread::spawn(move || {
            state.pass(&pair, &pair.server, &pair.client, true);
            state
                .open
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .retain(|open| !Arc::ptr_eq(open, &pair));
        });
    }

    fn pass(&self, pair: &Pair, mut from: &TcpStream, mut to: &TcpStream, answers: bool) {
        let mut piece = [0; 16 * 1024];
        while let Ok(length @ 1..) = from.read(&mut piece) {
            if answers && self.swallows() {
                break;
            }
            let delay = self.delay_us.load(Ordering::SeqCst);
            if delay > 0 {
                thread::sleep(Duration::from_micros(delay));
            }
            if to.write_all(&piece[..length]).is_err() {
                break;
            }
        }
        match answers {
            true => pair.close(),
            // The server may still have something to say.
            false => {
                let _ = to.shutdown(Shutdown::Write);
            }
        }
    }

    fn swallows(&self) -> bool {
        let one = self
            .swallow
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                left.checked_sub(1)
            });
        if one.is_ok() {
            self.swallowed.fetch_add(1, Ordering::SeqCst);
        }
        one.is_ok()
    }

    fn cut(&self) {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.iter().for_each(|pair| pair.close());
    }
}

impl Pair {
    fn close(&self) {
        let _ = self.client.shutdown(Shutdown::Both);
        let _ = self.server.shutdown(Shutdown::Both);
    }
}
