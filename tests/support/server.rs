//! A program that runs beside the test.

use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::output::Output;
use crate::user::{User, again_into};
use crate::{home, programs};

/// A running program, in a directory of its own, that ends when this is dropped or this process ends.
///
/// A small shell script runs it and holds a pipe from this process. When the pipe closes, by drop or because this
/// process ended, panicked or was killed, the script sends the program SIGTERM, after five seconds SIGKILL, and removes
/// the directory. Should the script itself be killed, the kernel kills the program.
#[derive(Debug)]
pub struct Server {
    name: String,
    supervisor: Child,
    lifeline: Option<ChildStdin>,
    pid: Pid,
    output: Output,
    home: TempDir,
}

impl Server {
    /// Starts a program; its directory is the current one, unless `command` says otherwise.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    #[must_use]
    pub fn start(command: &Command) -> Self {
        let home = home::new(User::Same);
        let mut command = again_into(Command::new(command.get_program()), command);
        if command.get_current_dir().is_none() {
            command.current_dir(home.path());
        }
        Self::start_in(home, &command, User::Same, Stop::Term)
    }

    /// One of this workspace's examples, built with the default features, as the README's command does.
    ///
    /// ```no_run
    /// let port = support::free_port().to_string();
    /// let server = support::Server::start(support::Server::example("quickstart").env("PORT", &port));
    /// server.await_line("curl");
    /// ```
    ///
    /// # Panics
    ///
    /// When it does not compile.
    #[must_use]
    pub fn example(name: &str) -> Command {
        Self::example_with(name, "")
    }

    /// The same with features of the examples.
    ///
    /// # Panics
    ///
    /// When it does not compile.
    #[must_use]
    pub fn example_with(name: &str, features: &str) -> Command {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        // What a test runner says of the test's own package would have `ring` built anew, and all that is made of it.
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
                cargo.env_remove(&name);
            }
        }
        let messages = programs::run(
            cargo
                .args(["build", "--quiet", "--locked", "--message-format=json"])
                .args(["-p", "idempotent-examples", "--example", name])
                .args(["--features", features])
                .current_dir(env!("CARGO_MANIFEST_DIR")),
        );
        Command::new(executable(&messages).unwrap_or_else(|| panic!("no example `{name}`")))
    }

    pub(crate) fn start_in(home: TempDir, command: &Command, user: User, stop: Stop) -> Self {
        let mut supervisor = supervise(home.path(), command, user, stop)
            .spawn()
            .expect("a shell to supervise a server");
        let output = Output::of(supervisor.stdout.take().expect("a piped output"));
        let pid = output.find(|_| true).as_deref().and_then(parse_pid);
        Self {
            name: command.get_program().display().to_string(),
            lifeline: supervisor.stdin.take(),
            supervisor,
            pid: pid.expect("the supervisor's first line is the server's number"),
            output,
            home,
        }
    }

    /// The process's number.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// Its directory, removed with it.
    #[must_use]
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// What it has printed so far, to standard output and standard error alike.
    #[must_use]
    pub fn output(&self) -> Vec<String> {
        self.output.seen().split_off(1)
    }

    /// The first line that contains `text`, awaited.
    ///
    /// # Panics
    ///
    /// With all it printed, when it ends without such a line or takes longer than [`DEADLINE`](crate::DEADLINE).
    #[track_caller]
    pub fn await_line(&self, text: &str) -> String {
        match self.output.find(|line| line.contains(text)) {
            Some(line) => line,
            None => panic!("no line with {text:?} from {self}"),
        }
    }

    /// Stops it in mid-step (SIGSTOP), as a long pause of its machine would.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on after [`pause`](Self::pause).
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Kills it (SIGKILL), as a crash would, and returns when it is gone. Its directory stays until the drop.
    ///
    /// # Panics
    ///
    /// When it does not end.
    pub fn kill(&self) {
        self.signal(Signal::KILL);
        self.await_end();
    }

    /// [Kills](Self::kill) and drops it, all but this part of its directory: that is in another one now.
    pub(crate) fn killed_but_for(self, part: &str, user: User) -> TempDir {
        self.kill();
        let home = home::new(user);
        std::fs::rename(self.home().join(part), home.path().join(part))
            .expect("a rename beside the old one");
        home
    }

    /// Asks it to stop (SIGTERM) and returns when it is gone. Its directory stays until the drop.
    ///
    /// # Panics
    ///
    /// When it does not end within [`DEADLINE`](crate::DEADLINE).
    pub fn stop(&self) {
        self.signal(Signal::TERM);
        self.await_end();
    }

    /// Returns when it has ended by itself.
    ///
    /// # Panics
    ///
    /// When it does not end within [`DEADLINE`](crate::DEADLINE).
    #[track_caller]
    pub fn await_end(&self) {
        assert!(self.output.end(), "does not end: {self}");
    }

    fn signal(&self, signal: Signal) {
        // The supervisor does not wait for it before the drop, so the number is still its own.
        kill_process(self.pid, signal).expect("a signal to one's own server");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.lifeline.take());
        // The script's own time is bounded.
        let _ = self.supervisor.wait();
    }
}

impl std::fmt::Display for Server {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let output = self.output().join("\n");
        write!(formatter, "`{}`, which printed:\n{output}", self.name)
    }
}

/// How a program is asked to stop.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stop {
    /// Most of them.
    Term,
    /// PostgreSQL, whose SIGTERM waits for its clients to leave.
    Int,
}

fn supervise(home: &Path, command: &Command, user: User, stop: Stop) -> Command {
    let signal = match stop {
        Stop::Term => "TERM",
        Stop::Int => "INT",
    };
    let command = user.command_that_dies_with_its_parent(command);
    let mut supervisor = Command::new("sh");
    supervisor
        .args(["-c", include_str!("supervise.sh"), "supervise", signal])
        .arg(home)
        .arg(command.get_program());
    let mut supervisor = again_into(supervisor, &command);
    // A group of its own: what is sent to the tests' group, by a terminal or a test runner, must not end the
    // script before it has cleaned up.
    std::os::unix::process::CommandExt::process_group(&mut supervisor, 0);
    supervisor
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    supervisor
}

fn parse_pid(line: &str) -> Option<Pid> {
    Pid::from_raw(line.parse().ok()?)
}

fn executable(messages: &str) -> Option<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
}
