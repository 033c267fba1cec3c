//! Who has which slot.

use std::collections::HashMap;
use std::sync::Arc;

use deadpool_redis::redis::Value;

use super::slots::SLOTS;
use crate::store::redis::convert::as_text;
use crate::store::redis::server::Server;
use crate::store::redis::target::Address;

/// A primary.
pub(super) struct Node {
    pub(super) address: Address,
    pub(super) server: Arc<Server>,
}

/// What a server says about some slots.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) first: u16,
    pub(super) last: u16,
    pub(super) primary: Address,
    pub(super) replicas: Vec<Address>,
}

/// What is known.
pub(super) struct Map {
    owners: Vec<Option<Arc<Node>>>,
    nodes: HashMap<Address, Arc<Node>>,
    pub(super) replicas: Vec<Address>,
}

impl Default for Map {
    fn default() -> Self {
        Self {
            owners: vec![None; usize::from(SLOTS)],
            nodes: HashMap::new(),
            replicas: Vec::new(),
        }
    }
}

impl Map {
    pub(super) fn owner(&self, slot: u16) -> Option<Arc<Node>> {
        self.owners.get(usize::from(slot)).cloned().flatten()
    }

    pub(super) fn node(&self, address: &Address) -> Option<Arc<Node>> {
        self.nodes.get(address).map(Arc::clone)
    }

    pub(super) fn nodes(&self) -> Vec<Arc<Node>> {
        self.nodes.values().map(Arc::clone).collect()
    }

    /// Gives the one that is there already, if there is one.
    pub(super) fn insert(&mut self, node: Arc<Node>) -> Arc<Node> {
        let address = node.address.clone();
        Arc::clone(self.nodes.entry(address).or_insert(node))
    }

    pub(super) fn assign(&mut self, first: u16, last: u16, node: &Arc<Node>) {
        let range = usize::from(first)..=usize::from(last);
        if let Some(owners) = self.owners.get_mut(range) {
            owners.fill(Some(Arc::clone(node)));
        }
    }
}

/// The answer to `CLUSTER SLOTS`, as `by` gave it. `None` if it makes no sense.
pub(super) fn read(answer: &Value, by: &Address) -> Option<Vec<Range>> {
    array(answer)?
        .iter()
        .map(|range| read_range(range, by))
        .collect()
}

fn read_range(range: &Value, by: &Address) -> Option<Range> {
    let [first, last, primary, replicas @ ..] = array(range)? else {
        return None;
    };
    let (first, last) = (number(first)?, number(last)?);
    Some(Range {
        first: (first <= last && last < SLOTS).then_some(first)?,
        last,
        primary: address(primary, by)?,
        replicas: replicas
            .iter()
            .filter_map(|node| address(node, by))
            .collect(),
    })
}

fn address(node: &Value, by: &Address) -> Option<Address> {
    let [host, port, ..] = array(node)? else {
        return None;
    };
    // No host: that of the server that is asked.
    Some(Address::of(as_text(host)?, number(port)?, by))
}

fn array(value: &Value) -> Option<&[Value]> {
    match value {
        Value::Array(values) => Some(values),
        _ => None,
    }
}

fn number(value: &Value) -> Option<u16> {
    match value {
        Value::Int(number) => u16::try_from(*number).ok(),
        _ => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn here() -> Address {
        Address {
            host: "here".to_owned(),
            port: 1,
        }
    }

    fn node(host: Value, port: i64) -> Value {
        let id = Value::BulkString(b"id".to_vec());
        Value::Array(vec![host, Value::Int(port), id, Value::Array(vec![])])
    }

    fn range(first: i64, last: i64, nodes: Vec<Value>) -> Value {
        Value::Array([vec![Value::Int(first), Value::Int(last)], nodes].concat())
    }

    #[test]
    fn answers_are_read() {
        let there = || node(Value::BulkString(b"there".to_vec()), 2);
        let answer = Value::Array(vec![
            range(0, 5, vec![there(), node(Value::BulkString(Vec::new()), 3)]),
            range(6, 16383, vec![node(Value::Nil, 4)]),
        ]);
        let ranges = read(&answer, &here()).unwrap();
        assert_eq!(ranges[0].primary.to_string(), "there:2");
        assert_eq!(ranges[0].replicas[0].to_string(), "here:3");
        assert_eq!((ranges[1].first, ranges[1].last), (6, 16383));
        assert_eq!(ranges[1].primary.to_string(), "here:4");
        for bad in [
            range(5, 0, vec![there()]),
            range(0, 16384, vec![there()]),
            range(-1, 5, vec![there()]),
            range(0, 5, vec![]),
            Value::Nil,
        ] {
            assert_eq!(read(&Value::Array(vec![bad]), &here()), None);
        }
    }
}
