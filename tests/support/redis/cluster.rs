//! Clusters.

use std::time::{Duration, Instant};

use super::{Flavor, Redis};
use crate::{eventually, free_port};

/// How many slots a cluster has.
const SLOTS: usize = 16_384;

/// How many servers have slots; as many more are their replicas.
const PRIMARIES: usize = 3;

/// Three primaries and a replica of each, all on 127.0.0.1.
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<Redis>,
    /// Where each listens for clients with TLS, if any does.
    tls_ports: Vec<u16>,
}

impl Flavor {
    /// Starts a cluster, and returns when all of its servers agree about it.
    ///
    /// # Panics
    ///
    /// When the server is not installed, or they do not become a cluster.
    #[must_use]
    pub fn start_cluster(self) -> RedisCluster {
        let nodes = (0..2 * PRIMARIES).map(|_| self.start_node(&[])).collect();
        RedisCluster::of(nodes, Vec::new())
    }

    /// The same with TLS, among the servers, too; `arguments` say by which certificates. Without TLS they listen as well.
    ///
    /// # Panics
    ///
    /// As [`start_cluster`](Self::start_cluster) does.
    #[must_use]
    pub fn start_cluster_with_tls(self, arguments: &[&str]) -> RedisCluster {
        let ports: Vec<_> = (0..2 * PRIMARIES).map(|_| free_port()).collect();
        let start = |port: &u16| {
            let port = port.to_string();
            let tls = ["--tls-cluster", "yes", "--tls-replication", "yes"];
            self.start_node(&[&["--tls-port", &port], &tls[..], arguments].concat())
        };
        RedisCluster::of(ports.iter().map(start).collect(), ports)
    }

    fn start_node(self, arguments: &[&str]) -> Redis {
        // The default, 10,000 more than the other, may be no port.
        let bus = free_port().to_string();
        let own = [
            "--cluster-enabled",
            "yes",
            "--cluster-port",
            &bus,
            "--cluster-node-timeout",
            "1000",
            "--repl-diskless-sync-delay",
            "0",
        ];
        self.start_with(&[&own[..], arguments].concat())
    }
}

impl RedisCluster {
    fn of(nodes: Vec<Redis>, tls_ports: Vec<u16>) -> Self {
        let cluster = Self { nodes, tls_ports };
        cluster.meet();
        cluster.replicate();
        cluster
    }

    /// The servers; those that had slots at first come first, and each one's replica is three places behind it.
    #[must_use]
    pub fn nodes(&self) -> &[Redis] {
        &self.nodes
    }

    /// The URLs of all.
    #[must_use]
    pub fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(Redis::url).collect()
    }

    /// The URLs of all with TLS.
    #[must_use]
    pub fn tls_urls(&self) -> Vec<String> {
        let url = |port| format!("rediss://127.0.0.1:{port}/");
        self.tls_ports.iter().map(url).collect()
    }

    fn meet(&self) {
        let (first, others) = self.nodes.split_first().expect("there are some");
        for (number, node) in self.nodes.iter().enumerate() {
            node.ask(&["CLUSTER", "SET-CONFIG-EPOCH", &(number + 1).to_string()]);
        }
        for (number, node) in self.nodes[..PRIMARIES].iter().enumerate() {
            let bounds = [number, number + 1].map(|number| number * SLOTS / PRIMARIES);
            let bounds = [bounds[0], bounds[1] - 1].map(|slot| slot.to_string());
            node.ask(&["CLUSTER", "ADDSLOTSRANGE", &bounds[0], &bounds[1]]);
        }
        for (number, node) in (1..).zip(others) {
            let tls = self.tls_ports.get(number).copied();
            let port = tls.unwrap_or(node.port()).to_string();
            let bus = node.config("cluster-port");
            first.ask(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus]);
        }
        for node in &self.nodes {
            let count = format!("cluster_known_nodes:{}", 2 * PRIMARIES);
            eventually("all have met", || {
                node.ask(&["CLUSTER", "INFO"])[0].contains(&count)
            });
        }
    }

    fn replicate(&self) {
        let (primaries, replicas) = self.nodes.split_at(PRIMARIES);
        for (primary, replica) in primaries.iter().zip(replicas) {
            let id = primary.node_id();
            eventually("its primary is known to it", || {
                replica.try_ask(&["CLUSTER", "REPLICATE", &id]).is_ok()
            });
        }
        for replica in replicas {
            eventually("it follows its primary", || {
                replica.ask(&["INFO", "replication"])[0].contains("master_link_status:up")
            });
        }
        for node in &self.nodes {
            eventually("all know all", || {
                let known = node.ask(&["CLUSTER", "NODES"]).remove(0);
                node.ask(&["CLUSTER", "INFO"])[0].contains("cluster_state:ok")
                    && known.matches("slave ").count() == PRIMARIES
                    && !known.contains("handshake")
            });
        }
    }

    /// The server that has a key, dead ones left out, by the word of the others.
    ///
    /// # Panics
    ///
    /// When nobody has it.
    #[must_use]
    pub fn owner(&self, slot: u16) -> &Redis {
        let owner = self.nodes.iter().find(|node| {
            let Ok(known) = node.try_ask(&["CLUSTER", "NODES"]) else {
                return false;
            };
            let own = known[0].lines().find(|line| line.contains("myself"));
            own.is_some_and(|line| has(line, slot))
        });
        owner.unwrap_or_else(|| panic!("nobody has slot {slot}"))
    }

    /// The slot of a key.
    #[must_use]
    pub fn slot(&self, key: &str) -> u16 {
        let answer = self.nodes[self.nodes.len() - 1].ask(&["CLUSTER", "KEYSLOT", key]);
        answer[0].parse().expect("a slot")
    }

    /// Has a replica take the place of its primary, which follows it from then on.
    ///
    /// # Panics
    ///
    /// When it does not.
    pub fn promote(&self, replica: &Redis) {
        let mut asked: Option<Instant> = None;
        eventually("it has taken over", || {
            let replication = replica.ask(&["INFO", "replication"]).remove(0);
            // What was asked for in vain is forgotten after five seconds.
            let is_asked = asked.is_some_and(|since| since.elapsed() < Duration::from_secs(6));
            if !is_asked && replication.contains("master_link_status:up") {
                replica.ask(&["CLUSTER", "FAILOVER"]);
                asked = Some(Instant::now());
            }
            replication.contains("role:master")
        });
    }

    /// Begins to move a slot: what is in it stays where it is, and what is not is asked for at its new place.
    pub fn begin_move(&self, slot: u16, to: &Redis) {
        let (from, slot) = (self.owner(slot), slot.to_string());
        to.ask(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &from.node_id()]);
        from.ask(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &to.node_id()]);
    }

    /// Moves up to so many keys of a slot in mid-move; gives how many there were.
    pub fn move_keys(&self, slot: u16, to: &Redis, count: usize) -> usize {
        let from = self.owner(slot);
        let keys = from.ask(&[
            "CLUSTER",
            "GETKEYSINSLOT",
            &slot.to_string(),
            &count.to_string(),
        ]);
        let port = to.port().to_string();
        let mut migrate = vec!["MIGRATE", "127.0.0.1", &port, "", "0", "5000", "KEYS"];
        migrate.extend(keys.iter().map(String::as_str));
        if !keys.is_empty() {
            from.ask(&migrate);
        }
        keys.len()
    }

    /// Ends the move of a slot.
    pub fn end_move(&self, slot: u16, to: &Redis) {
        while self.move_keys(slot, to, 100) > 0 {}
        let (slot, id) = (slot.to_string(), to.node_id());
        to.ask(&["CLUSTER", "SETSLOT", &slot, "NODE", &id]);
        for node in &self.nodes {
            // Replicas and the dead hear of it from others, or never.
            let _ = node.try_ask(&["CLUSTER", "SETSLOT", &slot, "NODE", &id]);
        }
    }
}

impl Redis {
    fn node_id(&self) -> String {
        self.ask(&["CLUSTER", "MYID"]).remove(0)
    }

    fn config(&self, name: &str) -> String {
        self.ask(&["CONFIG", "GET", name]).remove(1)
    }
}

/// Whether a line of `CLUSTER NODES` has a slot in it; what is being moved is in brackets.
fn has(line: &str, slot: u16) -> bool {
    line.split(' ').skip(8).any(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        match (first.parse::<u16>(), last.parse::<u16>()) {
            (Ok(first), Ok(last)) => (first..=last).contains(&slot),
            _ => false,
        }
    })
}
