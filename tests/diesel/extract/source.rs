//! Where Diesel's source is.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::condition;

/// A file that this package's features leave in.
pub struct File {
    /// As it is in Diesel's repository: `diesel/src/expression/sql_literal.rs`.
    pub name: PathBuf,
    pub text: String,
}

/// The files of the very Diesel that this workspace is built with.
pub fn files() -> Vec<File> {
    let metadata = metadata();
    ["diesel", "diesel_derives"]
        .iter()
        .flat_map(|package| of_package(package, &root(&metadata, package)))
        .collect()
}

fn of_package(package: &str, root: &Path) -> Vec<File> {
    let source = Path::new(package).join("src");
    paths(root)
        .iter()
        .map(|path| (path, path.strip_prefix(root).expect("a file of it")))
        .filter(|(_, name)| condition::is_compiled(name))
        .map(|(path, name)| File {
            name: source.join(name),
            text: std::fs::read_to_string(path).expect("a text"),
        })
        .collect()
}

/// The `src` of a package.
fn root(metadata: &serde_json::Value, package: &str) -> PathBuf {
    let packages = metadata["packages"].as_array().expect("packages");
    let found = packages.iter().find(|found| found["name"] == package);
    let manifest = found.and_then(|package| package["manifest_path"].as_str());
    Path::new(manifest.expect("a dependency")).with_file_name("src")
}

fn metadata() -> serde_json::Value {
    let cargo = std::env::var_os("CARGO").expect("cargo runs this");
    let output = Command::new(cargo)
        .args(["metadata", "--locked", "--format-version=1"])
        .output()
        .expect("cargo runs");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo metadata: {told}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// All Rust files in a directory, in the order of their names.
fn paths(directory: &Path) -> Vec<PathBuf> {
    let entries = directory.read_dir().expect("a directory");
    let mut all: Vec<_> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    all.sort();
    let (directories, files): (Vec<_>, Vec<_>) = all.into_iter().partition(|path| path.is_dir());
    let rust = |path: &PathBuf| path.extension().is_some_and(|end| end == "rs");
    let files = files.into_iter().filter(rust);
    files
        .chain(directories.iter().flat_map(|path| paths(path)))
        .collect()
}
