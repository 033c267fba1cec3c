//! A server's own directory.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::user::User;

/// A new directory that `user` owns and can reach.
pub(crate) fn new(user: User) -> TempDir {
    let home = tempfile::Builder::new()
        .prefix("idempotent-")
        .tempdir_in(reachable(std::env::temp_dir(), user))
        .expect("a temporary directory");
    user.own(home.path());
    home
}

/// A `TMPDIR` of root's own is no place for another user's server. The path must be short as well: a Unix
/// socket's has 107 bytes.
fn reachable(directory: PathBuf, user: User) -> PathBuf {
    match user {
        User::Other { .. } if !directory.ancestors().all(anyone_may_pass) => "/tmp".into(),
        _ => directory,
    }
}

fn anyone_may_pass(directory: &Path) -> bool {
    directory
        .metadata()
        .is_ok_and(|metadata| metadata.mode() & 0o001 != 0)
}
