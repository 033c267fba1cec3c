//! Whom a server runs as.

use std::ffi::OsString;
use std::os::unix::fs::chown;
use std::path::Path;
use std::process::Command;

use crate::programs;

/// PostgreSQL and MariaDB refuse to run as root, which is who runs tests in a container.
#[derive(Clone, Copy, Debug)]
pub(crate) enum User {
    /// Whoever runs the tests.
    Same,
    /// Another one, taken because the tests run as root.
    Other { uid: u32, gid: u32 },
}

impl User {
    /// The one called `preferred`, or `nobody`, when the tests run as root.
    pub(crate) fn unprivileged(preferred: &str) -> Self {
        if !rustix::process::geteuid().is_root() {
            return Self::Same;
        }
        let users = std::fs::read_to_string("/etc/passwd").expect("a readable /etc/passwd");
        [preferred, "nobody"]
            .iter()
            .find_map(|name| users.lines().find_map(|line| Self::named(name, line)))
            .expect("an unprivileged user, for the server does not run as root")
    }

    fn named(name: &str, line: &str) -> Option<Self> {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then_some(())?;
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        Some(Self::Other { uid, gid })
    }

    /// Makes an empty directory theirs.
    pub(crate) fn own(self, directory: &Path) {
        if let Self::Other { uid, gid } = self {
            chown(directory, Some(uid), Some(gid)).expect("root may give a directory away");
        }
    }

    /// `command`, run as this user.
    pub(crate) fn command(self, command: &Command) -> Command {
        self.wrap(command, &[])
    }

    /// As [`command`](Self::command), and killed with its parent. The parent must not be one thread among many,
    /// for Linux takes the thread for the parent.
    pub(crate) fn command_that_dies_with_its_parent(self, command: &Command) -> Command {
        match programs::look("setpriv") {
            Some(_) => self.wrap(command, &["--pdeathsig".into(), "KILL".into()]),
            None => self.command(command),
        }
    }

    fn wrap(self, command: &Command, options: &[OsString]) -> Command {
        let mut options = options.to_vec();
        options.extend(self.options());
        if options.is_empty() {
            return again(command.get_program(), command);
        }
        let mut wrapped = Command::new(programs::find("setpriv", "util-linux"));
        wrapped.args(options).arg("--").arg(command.get_program());
        again_into(wrapped, command)
    }

    fn options(self) -> Vec<OsString> {
        match self {
            Self::Same => Vec::new(),
            Self::Other { uid, gid } => vec![
                format!("--reuid={uid}").into(),
                format!("--regid={gid}").into(),
                "--clear-groups".into(),
            ],
        }
    }
}

/// `Command` is not `Clone`.
fn again(program: &std::ffi::OsStr, command: &Command) -> Command {
    again_into(Command::new(program), command)
}

/// Adds the arguments, environment and directory of `from`.
pub(crate) fn again_into(mut command: Command, from: &Command) -> Command {
    command.args(from.get_args());
    for (name, value) in from.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    if let Some(directory) = from.get_current_dir() {
        command.current_dir(directory);
    }
    command
}
