//! The example `shop`, by its one command: two processes behind one Redis and one PostgreSQL.

use serde_json::{Value, json};
use support::http::{Response, send};
use support::{Server, free_port};

use crate::app::{cache_status, is_replay};

struct Shop {
    ports: [u16; 2],
    _servers: Server,
}

impl Shop {
    fn open() -> Self {
        let ports = [free_port(), free_port()];
        let servers = Server::start(
            Server::example_with("shop", "shop")
                .env("PORT", ports[0].to_string())
                .env("PORT_B", ports[1].to_string()),
        );
        servers.await_line("Both serve");
        Self {
            ports,
            _servers: servers,
        }
    }

    fn send(&self, server: usize, method: &str, target: &str, key: &str, body: &Value) -> Response {
        let headers = [
            ("Content-Type", "application/json"),
            ("Idempotency-Key", key),
        ];
        let to = ("127.0.0.1", self.ports[server]);
        send(to, method, target, &headers, body.to_string().as_bytes())
    }

    fn put(&self, server: usize) -> Response {
        let tea = json!({ "name": "tea", "stock": 100 });
        self.send(server, "PUT", "/products/1", "-", &tea)
    }

    fn take(&self, server: usize) -> i64 {
        let taken = self.send(server, "POST", "/products/1/take", "-", &json!({}));
        taken.json()["stock"].as_i64().unwrap()
    }

    fn order(&self, server: usize, key: &str) -> Response {
        self.send(server, "POST", "/orders", key, &json!({ "product": 1 }))
    }
}

#[test]
fn two_processes_are_one_shop() {
    let shop = Shop::open();

    let first = shop.put(0);
    let replay = shop.put(1);
    assert_eq!((first.status, is_replay(&first)), (200, false), "{first:?}");
    assert!(
        is_replay(&replay) && replay.body == first.body,
        "{replay:?}"
    );

    let green = json!({ "name": "green tea" });
    assert_eq!(
        shop.send(1, "PATCH", "/products/1", "-", &green).status,
        200
    );
    let again = shop.put(0);
    assert!(!is_replay(&again), "{again:?}");
    assert!(cache_status(&again).contains("fwd=stale"), "{again:?}");
    assert_eq!(again.json()["revision"], 2);

    let mut stocks: Vec<i64> = std::thread::scope(|scope| {
        let takers: Vec<_> = (0..20)
            .map(|taker| {
                scope.spawn({
                    let shop = &shop;
                    move || shop.take(taker % 2)
                })
            })
            .collect();
        takers
            .into_iter()
            .map(|taker| taker.join().unwrap())
            .collect()
    });
    stocks.sort_unstable();
    assert_eq!(stocks, (80..100).collect::<Vec<_>>());

    let order = shop.order(0, "o-1");
    let retry = shop.order(1, "o-1");
    assert_eq!((order.status, is_replay(&order)), (201, false), "{order:?}");
    assert!(is_replay(&retry) && retry.body == order.body, "{retry:?}");
    assert_ne!(shop.order(1, "o-2").body, order.body);
}

#[test]
fn orders_at_both_servers_at_once_are_one_order() {
    let shop = Shop::open();
    let orders: Vec<Response> = std::thread::scope(|scope| {
        let tries: Vec<_> = (0..8)
            .map(|one| {
                scope.spawn({
                    let shop = &shop;
                    move || shop.order(one % 2, "o-1")
                })
            })
            .collect();
        tries.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert!(
        orders
            .iter()
            .all(|order| order.status == 201 && order.body == orders[0].body),
        "{orders:?}"
    );
    assert_eq!(orders.iter().filter(|order| !is_replay(order)).count(), 1);
    assert_eq!(shop.order(0, "o-2").json()["id"], 2);
}
