//! Makes the examples in Diesel's documentation into modules, as they are in the registry; nothing of them is kept here.
//!
//! An example becomes a file where it finds a copy of the set-up that it includes, so that its text needs no change. In the
//! set-up one word is changed: `establish` is `attached`, so that the changes are announced.

mod condition;
mod example;
mod exceptions;
mod source;
mod write;

fn main() {
    println!("cargo::rerun-if-changed=../extract");
    println!("cargo::rerun-if-changed=../../../Cargo.lock");
    let files = source::files();
    let examples: Vec<_> = files.iter().flat_map(example::of_file).collect();
    exceptions::check(&examples);
    write::everything(&files, &examples);
}
