use std::path::PathBuf;
use std::process::Command;

use rustix::process::{Pid, test_kill_process};
use support::{Server, eventually};

#[test]
fn a_killed_test_process_leaves_neither_servers_nor_directories() {
    let held = held_servers(&holder());
    assert_eq!(held.len(), 2);
    for (pid, home) in held {
        eventually("the server is gone", || test_kill_process(pid).is_err());
        eventually("its directory is gone", || !home.exists());
    }
}

#[test]
fn a_killed_supervisor_takes_its_server_with_it() {
    let held = holder();
    let servers = servers_of(&held);
    let (redis, home) = servers.last().expect("a server");
    kill_parent(*redis);
    // A zombie until its new parent, init, takes notice.
    eventually("the server is gone", || !is_alive(*redis));
    std::fs::remove_dir_all(home).expect("what nobody else is left to remove");
}

#[test]
fn processes_that_start_servers_at_once_do_not_clash() {
    let first = start_holder();
    let second = start_holder();
    first.await_line("ready");
    second.await_line("ready");
    let (first, second) = (servers_of(&first), servers_of(&second));
    assert!(first.iter().all(|server| !second.contains(server)));
}

fn start_holder() -> Server {
    Server::start(&Command::new(env!("CARGO_BIN_EXE_holds-servers")))
}

fn holder() -> Server {
    let holder = start_holder();
    holder.await_line("ready");
    holder
}

fn held_servers(holder: &Server) -> Vec<(Pid, PathBuf)> {
    let servers = servers_of(holder);
    for (pid, home) in &servers {
        assert!(test_kill_process(*pid).is_ok() && home.exists());
    }
    holder.kill();
    servers
}

fn servers_of(holder: &Server) -> Vec<(Pid, PathBuf)> {
    let lines = holder.output();
    lines.iter().filter_map(|line| parse(line)).collect()
}

fn parse(line: &str) -> Option<(Pid, PathBuf)> {
    let (pid, home) = line.strip_prefix("server ")?.split_once(' ')?;
    Some((Pid::from_raw(pid.parse().ok()?)?, home.into()))
}

fn kill_parent(pid: Pid) {
    let supervisor = stat(pid, 1).and_then(|parent| Pid::from_raw(parent.parse().ok()?));
    let supervisor = supervisor.expect("a process with a parent");
    rustix::process::kill_process(supervisor, rustix::process::Signal::KILL).expect("a signal");
}

fn is_alive(pid: Pid) -> bool {
    stat(pid, 0).is_some_and(|state| state != "Z")
}

/// A field of `/proc/PID/stat` after the program's name: 0 is the state, 1 the parent.
fn stat(pid: Pid, field: usize) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(") ")?;
    fields.split(' ').nth(field).map(str::to_owned)
}
