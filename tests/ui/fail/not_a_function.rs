use idempotent_runtime::idempotent;

#[idempotent(cache = 15)]
struct Handler;

fn main() {
    let _ = Handler;
}
