# List what there is.
default:
    @just --list

# Everything a change must pass.
test:
    scripts/test

# How fast it is, beside the bare handler and the peers, and what capture costs: written to docs/benchmarks.md.
bench:
    scripts/bench
    scripts/bench-capture

# A server on 127.0.0.1:8080 that needs nothing but Rust and a C compiler.
quickstart:
    cargo run --example quickstart

# The documentation of the crates, in a browser.
doc:
    cargo doc --no-deps --all-features --open

# Licences, advisories and sources of the dependencies; needs cargo-deny.
deny:
    cargo deny check
