//! Stripe's own clients against the provider of the example `payments`, with a proxy between them that swallows the first
//! answers: the clients ask again by themselves, there is one effect, and they have its reply. By `scripts/stripe-clients`.

use std::process::Command;

use serde_json::Value;
use support::http::send;
use support::{Proxy, Server, free_port};

const SWALLOWED: u64 = 2;

struct Provider {
    port: u16,
    server: Server,
}

impl Provider {
    fn start() -> Self {
        let port = free_port();
        let server = Server::start(
            Server::example("payments")
                .arg("provider")
                .env("PROVIDER_PORT", port.to_string())
                .env("DATA", "."),
        );
        server.await_line("listening on");
        Self { port, server }
    }

    fn charges(&self) -> Vec<Value> {
        let list = send(("127.0.0.1", self.port), "GET", "/v1/charges", &[], b"").json();
        let data = list["data"].as_array();
        data.unwrap_or_else(|| panic!("no list: {list}, {}", self.server))
            .clone()
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let (Some(python), Some(node_modules)) = (arguments.next(), arguments.next()) else {
        panic!("run `scripts/stripe-clients`");
    };
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/stripe");
    let provider = Provider::start();

    let mut command = Command::new(python);
    command.arg(format!("{directory}/client.py"));
    charges_once("python", 1_100, &provider, command);

    let mut command = Command::new("node");
    command
        .arg(format!("{directory}/client.cjs"))
        .env("NODE_PATH", node_modules);
    charges_once("node", 1_200, &provider, command);
}

/// Twice, so that it is seen that another call is another charge.
fn charges_once(name: &str, amount: i64, provider: &Provider, mut client: Command) {
    let proxy = Proxy::start(provider.port);
    client.arg(proxy.port().to_string());
    for call in 1..=2 {
        let before = provider.charges().len();
        proxy.swallow_answers(SWALLOWED);
        let got = run(&mut client);
        let charges = provider.charges();
        assert_eq!(proxy.swallowed(), call * SWALLOWED, "{name}: {got}");
        assert_eq!(charges.len(), before + 1, "{name}: {charges:?}");
        let charge = &charges[before];
        assert_eq!(got["id"], charge["id"], "{name}");
        assert_eq!(
            (&got["amount"], &charge["amount"]),
            (&amount.into(), &amount.into())
        );
        assert_eq!(got["replayed"], "true", "{name}");
        println!(
            "{name} call={call} swallowed={SWALLOWED} charges=1 key={} reply={got}",
            charge["metadata"]["key"]
        );
    }
}

fn run(client: &mut Command) -> Value {
    let output = client
        .output()
        .unwrap_or_else(|error| panic!("{client:?}: {error}"));
    let (said, error) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{client:?}: {said}{error}");
    serde_json::from_str(&said).unwrap_or_else(|_| panic!("{client:?}: {said}{error}"))
}
