//! Data directories that are made once and copied for every server after that.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::programs::run;

/// Puts a copy of the template called `name` at `target`, and has `make` make the template where there is none.
///
/// `make` gives the directory it filled. Processes that come at the same time wait for the first one's.
pub(crate) fn copy(name: &str, target: &Path, make: impl FnOnce() -> tempfile::TempDir) {
    let templates = directory();
    let template = templates.join(name);
    if !template.exists() {
        let _one_at_a_time = lock(&templates.join(format!("{name}.lock")));
        if !template.exists() {
            install(make().path(), &template);
        }
    }
    copy_all(&template, target);
}

/// Copies beside the template first: it must appear whole or not at all.
fn install(made: &Path, template: &Path) {
    let partial = template.with_added_extension("partial");
    if partial.exists() {
        fs::remove_dir_all(&partial).expect("what a killed process left can be removed");
    }
    copy_all(made, &partial);
    fs::rename(&partial, template).expect("a rename beside the template");
}

/// With owners and modes, which `std::fs::copy` does not keep.
fn copy_all(from: &Path, to: &Path) {
    run(Command::new("cp")
        .args(["-a", "--reflink=auto", "--"])
        .args([from, to]));
}

fn lock(path: &Path) -> File {
    let file = File::create(path).expect("a lock file beside the template");
    file.lock().expect("an advisory lock on a local file");
    file
}

/// In cargo's target directory, which `cargo clean` empties.
fn directory() -> PathBuf {
    let program = std::env::current_exe().expect("the path of the test program");
    let target = program
        .ancestors()
        .find(|directory| directory.join("CACHEDIR.TAG").is_file());
    let templates = target
        .map_or_else(std::env::temp_dir, |target| target.join("tmp"))
        .join("idempotent-servers");
    fs::create_dir_all(&templates).expect("a directory for templates");
    templates
}
