//! Where the servers' programs are.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A server's program, from `PATH` or from where Debian keeps those that are not in it.
///
/// # Panics
///
/// When there is none, naming the command that installs it.
pub(crate) fn find(program: &str, package: &str) -> PathBuf {
    look(program)
        .unwrap_or_else(|| panic!("`{program}` is not installed: run `apt-get install {package}`"))
}

/// Valkey's server, from `PATH` or from where `scripts/install-valkey` puts it.
///
/// # Panics
///
/// When there is none, naming the command that installs it.
pub(crate) fn find_valkey() -> PathBuf {
    let program = "valkey-server";
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let targets = target
        .into_iter()
        .chain([Path::new(env!("CARGO_MANIFEST_DIR")).join("../target")]);
    look(program)
        .or_else(|| {
            targets
                .map(|target| target.join("tools").join(program))
                .find(|file| file.is_file())
        })
        .unwrap_or_else(|| panic!("`{program}` is not installed: run `scripts/install-valkey`"))
}

pub(crate) fn look(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(postgres_directories())
        .chain([PathBuf::from("/usr/sbin")])
        .map(|directory| directory.join(program))
        .find(|file| file.is_file())
}

/// The newest first.
fn postgres_directories() -> Vec<PathBuf> {
    let mut versions: Vec<(u32, PathBuf)> = Path::new("/usr/lib/postgresql")
        .read_dir()
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path())))
        .collect();
    versions.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    versions
        .into_iter()
        .map(|(_, path)| path.join("bin"))
        .collect()
}

/// Runs a program to its end and gives what it printed.
///
/// # Panics
///
/// With all its output, when it fails.
pub(crate) fn run(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[cfg(test)]
mod tests {
    use super::find;

    #[test]
    #[should_panic(expected = "run `apt-get install some-package`")]
    fn a_missing_server_fails_its_test_and_says_what_to_install() {
        find("no-such-server", "some-package");
    }
}
