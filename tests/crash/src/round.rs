//! One round: servers over a fresh database, killed again and again, until every key has its answer.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::ScopedJoinHandle;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use fastrand::Rng;
use idempotent_runtime::__private::faults::Point;
use idempotent_runtime::{Idempotent, once};
use support::{Proxy, Redis, Server, free_port};

use crate::bank::{Mistake, Order};
use crate::checker::{Evidence, Told};
use crate::client::{Answer, send};
use crate::deck::{Deck, Fate};
use crate::kind::{ACCOUNTS, Kind, schema};
use crate::serve::{FAILED, Life};

/// How many servers there are at once.
const SERVERS: usize = 3;

/// How many clients, each with a key of its own at a time.
const CLIENTS: usize = 4;

/// How long a key may take to be answered once nothing is killed any more.
const PATIENCE: Duration = Duration::from_secs(60);

/// The servers' programs and where they are.
pub struct World<C: Kind> {
    /// The database, if it is not just killed.
    pub database: Mutex<Option<C::Server>>,
    /// Redis, if there is one.
    pub redis: Mutex<Option<Redis>>,
    /// What is still to be killed.
    pub deck: Mutex<Deck>,
    /// How often a server has died at each point.
    pub reached: [AtomicUsize; Point::ALL.len()],
    /// How much was killed.
    pub kills: AtomicUsize,
}

/// Where a server is, whichever it is.
struct Slot {
    life: Life,
    proxy: Proxy,
}

struct Round<'a, C: Kind> {
    world: &'a World<C>,
    program: &'a Path,
    slots: Vec<Slot>,
    seed: u64,
    over: AtomicBool,
    deadline: OnceLock<Instant>,
    keys: Mutex<BTreeMap<String, (Order, Told)>>,
}

/// Runs a round until the deck is empty, and gives what is known at its end.
///
/// # Panics
///
/// When a server or a database does not do as it should.
pub fn round<C: Kind>(
    world: &World<C>,
    program: &Path,
    seed: u64,
    with_redis: bool,
    fault: Option<usize>,
) -> Evidence {
    let url = match lock(&world.database).as_mut() {
        Some(server) => C::database(server),
        None => unreachable!("a database that is killed is started again"),
    };
    prepare::<C>(&url);
    let redis = lock(&world.redis).as_ref().map(Redis::url);
    let redis = redis.filter(|_| with_redis);
    let round = Round {
        world,
        program,
        slots: slots(&Life {
            port: 0,
            kind: C::NAME.to_owned(),
            url: url.clone(),
            redis,
            dies: None,
            fault,
        }),
        seed,
        over: AtomicBool::new(false),
        deadline: OnceLock::new(),
        keys: Mutex::default(),
    };
    round.run();
    let keys = round
        .keys
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    evidence::<C>(&url, keys)
}

/// Makes the tables.
#[allow(clippy::expect_used, reason = "without them there is no proof")]
fn prepare<C: Kind>(url: &str) {
    let idempotent = Idempotent::builder("crash").build();
    let pool = idempotent.pool_builder::<C>().max_size(1).build(url);
    let pool = pool.expect("a database that was just made");
    let mut conn = pool.get().expect("a connection to it");
    once::migrate(&mut conn).expect("the table of the records");
    conn.batch_execute(&schema::<C>()).expect("the tables");
}

fn slots(life: &Life) -> Vec<Slot> {
    let slot = |_| {
        let port = free_port();
        Slot {
            life: Life {
                port,
                ..life.clone()
            },
            proxy: Proxy::start(port),
        }
    };
    (0..SERVERS).map(slot).collect()
}

#[allow(clippy::expect_used, reason = "without it there is no proof")]
fn evidence<C: Kind>(url: &str, keys: BTreeMap<String, (Order, Told)>) -> Evidence {
    let mut bare = C::establish(url).expect("a database that runs");
    let open = C::open_records(&mut bare).expect("the records");
    Evidence {
        keys: keys
            .into_iter()
            .map(|(key, (_, told))| (key, told))
            .collect(),
        effects: C::effects(&mut bare).expect("the effects"),
        balances: C::balances(&mut bare).expect("the accounts"),
        open: usize::try_from(open).unwrap_or(usize::MAX),
    }
}

impl<C: Kind> Round<'_, C> {
    fn run(&self) {
        let servers: Vec<Server> = std::thread::scope(|scope| {
            let clients: Vec<_> = (0..CLIENTS)
                .map(|number| scope.spawn(move || self.client(number)))
                .collect();
            let slots = self.slots.iter();
            let slots: Vec<_> = slots.map(|slot| scope.spawn(|| self.kill(slot))).collect();
            let servers: Vec<_> = slots.into_iter().map(ScopedJoinHandle::join).collect();
            let _ = self.deadline.set(Instant::now() + PATIENCE);
            self.over.store(true, Ordering::SeqCst);
            joined(clients);
            servers.into_iter().map(unwound).collect()
        });
        self.ask_once_more();
        servers.iter().for_each(Server::kill);
    }

    /// Has a slot's servers die one after the other, and leaves one that does not.
    fn kill(&self, slot: &Slot) -> Server {
        while let Some(fate) = self.draw() {
            match fate {
                Fate::At(point, visit) => {
                    let server = self.start(slot, Some((point, visit)));
                    server.await_end();
                    let output = server.output();
                    assert!(
                        !output.iter().any(|line| line.starts_with(FAILED)),
                        "{server}"
                    );
                    self.world.reached[point].fetch_add(1, Ordering::SeqCst);
                }
                Fate::After(time) => {
                    let server = self.start(slot, None);
                    std::thread::sleep(time);
                    server.kill();
                }
                Fate::Database => {
                    let mut database = lock(&self.world.database);
                    *database = database.take().map(C::killed_and_restarted);
                }
                Fate::Redis => {
                    let mut redis = lock(&self.world.redis);
                    *redis = redis.take().map(|redis| {
                        let port = redis.port();
                        redis.server().kill();
                        drop(redis);
                        Redis::start_on(port, &[])
                    });
                }
            }
            self.world.kills.fetch_add(1, Ordering::SeqCst);
        }
        self.start(slot, None)
    }

    /// What there is not cannot be killed.
    fn draw(&self) -> Option<Fate> {
        let fate = lock(&self.world.deck).draw()?;
        let is_there = match fate {
            Fate::Database => C::HAS_SERVER,
            Fate::Redis => self.slots.iter().any(|slot| slot.life.redis.is_some()),
            Fate::At(..) | Fate::After(_) => true,
        };
        Some(match is_there {
            true => fate,
            false => Fate::After(Duration::from_millis(100)),
        })
    }

    fn start(&self, slot: &Slot, dies: Option<(usize, u64)>) -> Server {
        let life = Life {
            dies,
            ..slot.life.clone()
        };
        let life = serde_json::to_string(&life).unwrap_or_default();
        Server::start(Command::new(self.program).arg("serve").arg(life))
    }

    /// Sends one transfer after the other, some of them several times at once.
    fn client(&self, number: usize) {
        let mut random = Rng::with_seed(self.seed ^ (number as u64) << 32);
        let mut count = 0;
        while !self.over.load(Ordering::SeqCst) {
            let key = format!("{:x}-{number}-{count}", self.seed);
            let order = order(&mut random);
            let senders = [1, 1, 1, 2, 2, 3][random.usize(..6)];
            let answers = std::thread::scope(|scope| {
                let senders = (0..senders).map(|_| {
                    let (random, key, order) = (Rng::with_seed(random.u64(..)), &key, &order);
                    scope.spawn(move || self.until_answered(key, order, random, true))
                });
                joined(senders.collect())
            });
            lock(&self.keys).insert(key, (order, told(answers)));
            count += 1;
        }
    }

    fn until_answered(
        &self,
        key: &str,
        order: &Order,
        mut random: Rng,
        mistakes: bool,
    ) -> Option<Answer> {
        for attempt in 0.. {
            let slot = &self.slots[random.usize(..SERVERS)];
            let port = match random.u8(..3) {
                0 => slot.proxy.port(),
                _ => slot.life.port,
            };
            if port == slot.proxy.port() && mistakes && random.u8(..3) == 0 {
                slot.proxy.swallow_answers(1);
            }
            let mistake = mistake(&mut random, attempt).filter(|_| mistakes);
            match send(port, key, order, mistake) {
                Ok(answer) if answer.is_final() => return Some(answer),
                _ if self.deadline.get().is_some_and(|end| Instant::now() > *end) => return None,
                _ => std::thread::sleep(Duration::from_millis(random.u64(1..20))),
            }
        }
        None
    }

    /// Every key, when nothing is killed any more.
    fn ask_once_more(&self) {
        let keys: Vec<_> = lock(&self.keys)
            .iter()
            .map(|(key, (order, _))| (key.clone(), order.clone()))
            .collect();
        let part = keys.len().div_ceil(CLIENTS).max(1);
        std::thread::scope(|scope| {
            for (seed, part) in (self.seed..).zip(keys.chunks(part)) {
                scope.spawn(move || {
                    let mut random = Rng::with_seed(seed);
                    for (key, order) in part {
                        let answer = self.until_answered(key, order, random.fork(), false);
                        if let Some((_, known)) = lock(&self.keys).get_mut(key) {
                            known.waits |= answer.is_none();
                            known.answers.extend(answer);
                        }
                    }
                });
            }
        });
    }
}

fn told(answers: Vec<Option<Answer>>) -> Told {
    Told {
        waits: answers.iter().any(Option::is_none),
        answers: answers.into_iter().flatten().collect(),
    }
}

fn order(random: &mut Rng) -> Order {
    let source = random.i32(1..=ACCOUNTS);
    Order {
        source,
        target: (source + random.i32(0..ACCOUNTS - 1)) % ACCOUNTS + 1,
        amount: match random.u8(..20) {
            0 => 0,
            _ => random.i32(1..=300),
        },
    }
}

/// Fewer and fewer, so that a transfer comes to an end.
fn mistake(random: &mut Rng, attempt: u32) -> Option<Mistake> {
    let chance = [3, 6].get(attempt as usize)?;
    (random.u32(..*chance) == 0).then(|| Mistake::ALL[random.usize(..Mistake::ALL.len())])
}

fn joined<T>(threads: Vec<ScopedJoinHandle<'_, T>>) -> Vec<T> {
    let joined = threads.into_iter().map(ScopedJoinHandle::join);
    joined.map(unwound).collect()
}

fn unwound<T>(ended: std::thread::Result<T>) -> T {
    match ended {
        Ok(value) => value,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
