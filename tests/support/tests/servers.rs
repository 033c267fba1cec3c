use std::process::Command;

use support::{MariaDb, Postgres, Redis, Server, free_port, http::Connection, mariadb, postgres};

#[test]
fn postgres_gives_every_caller_a_database_of_its_own() {
    let first = postgres().database("orders");
    let second = postgres().database("orders");
    postgres().execute_in(&first, "CREATE TABLE only_here (id int)");
    let tables = "SELECT count(*) FROM pg_tables WHERE tablename = 'only_here'";
    assert_eq!(postgres().execute_in(&first, tables).trim(), "1");
    assert_eq!(postgres().execute_in(&second, tables).trim(), "0");
}

#[test]
fn mariadb_gives_every_caller_a_database_of_its_own() {
    let first = mariadb().database("orders");
    let second = mariadb().database("orders");
    assert_ne!(first, second);
    let databases = mariadb().execute("SHOW DATABASES LIKE 'orders%'");
    assert_eq!(databases.lines().count(), 2);
}

#[test]
fn a_shared_server_outlives_the_thread_that_started_it() {
    let starts = std::thread::spawn(|| postgres().server().pid());
    let pid = starts.join().expect("a server");
    assert_eq!(postgres().execute("SELECT 1").trim(), "1");
    assert!(is_running(pid));
}

#[test]
fn servers_started_at_once_do_not_clash() {
    let starting: Vec<_> = (0..3)
        .map(|_| std::thread::spawn(Postgres::start))
        .collect();
    let servers: Vec<_> = starting
        .into_iter()
        .map(|server| server.join().expect("a server"))
        .collect();
    for server in &servers {
        assert_eq!(
            server.execute("SHOW port").trim(),
            server.port().to_string()
        );
    }
}

#[test]
fn a_setting_reaches_the_server() {
    let server = Postgres::start_with(&["lock_timeout=123ms"]);
    assert_eq!(server.execute("SHOW lock_timeout").trim(), "123ms");
}

#[test]
fn a_database_that_was_killed_has_what_was_committed() {
    let server = Postgres::start();
    server.execute("CREATE TABLE kept (id int)");
    let (pid, url) = (server.server().pid(), server.url());
    let server = server.killed_and_restarted();
    assert_eq!(server.execute("SELECT count(*) FROM kept").trim(), "0");
    assert!(!is_running(pid));
    assert_eq!(server.url(), url);

    let server = MariaDb::start_with(&["--innodb-flush-log-at-trx-commit=2"]);
    server.execute(
        "CREATE DATABASE kept; CREATE TABLE kept.kept (id int); INSERT INTO kept.kept VALUES (1)",
    );
    let (pid, port) = (server.server().pid(), server.port());
    let server = server.killed_and_restarted();
    assert_eq!(server.execute("SELECT id FROM kept.kept").trim(), "1");
    assert!(!is_running(pid));
    assert_eq!(server.port(), port);
}

#[test]
fn a_dropped_server_is_gone_and_so_is_its_directory() {
    ends_with_its_drop(Postgres::start(), Postgres::server);
    ends_with_its_drop(Redis::start(), Redis::server);
    ends_with_its_drop(MariaDb::start(), MariaDb::server);
}

#[test]
fn a_panicking_test_takes_its_server_with_it() {
    let (tell, told) = std::sync::mpsc::channel();
    let test = std::thread::spawn(move || {
        let redis = Redis::start();
        tell.send((redis.server().pid(), redis.server().home().to_owned()))
            .expect("a listener");
        panic!("on purpose");
    });
    assert!(test.join().is_err());
    let (pid, home) = told.recv().expect("a server's number");
    assert!(!is_running(pid));
    assert!(!home.exists());
}

#[test]
fn a_killed_redis_comes_back_empty_on_its_port() {
    let redis = Redis::start();
    assert_eq!(ask(&redis, "SET key value"), "+OK\r\n");
    assert_eq!(ask(&redis, "EXISTS key"), ":1\r\n");
    redis.server().kill();
    let again = Redis::start_on(redis.port(), &[]);
    assert_eq!(ask(&again, "EXISTS key"), ":0\r\n");
}

#[test]
fn a_paused_server_answers_when_it_is_resumed() {
    let redis = Redis::start();
    redis.server().pause();
    let mut connection = Connection::open(("127.0.0.1", redis.port()));
    connection.send("PING\r\n");
    redis.server().resume();
    assert!(!connection.is_closed());
}

#[test]
fn a_paused_server_can_be_dropped() {
    let redis = Redis::start();
    redis.server().pause();
    let pid = redis.server().pid();
    drop(redis);
    assert!(!is_running(pid));
}

#[test]
fn a_server_that_ignores_the_polite_signal_is_killed() {
    let server = shell("trap '' TERM; echo deaf; while :; do sleep 1; done");
    server.await_line("deaf");
    let pid = server.pid();
    drop(server);
    assert!(!is_running(pid));
}

#[test]
fn output_is_read_line_by_line_from_both_streams() {
    let server = shell("echo one; echo two >&2; exec sleep 100");
    assert_eq!(server.await_line("two"), "two");
    assert_eq!(server.output(), ["one", "two"]);
}

#[test]
#[should_panic(expected = "cannot open the database")]
fn a_program_that_fails_says_what_it_printed() {
    shell("echo cannot open the database; exit 1").await_line("listening");
}

#[test]
#[should_panic(expected = "no example")]
fn a_library_is_no_example() {
    let _ = Server::example("no-such-story");
}

#[test]
fn free_ports_differ_and_can_be_listened_on() {
    let ports: Vec<_> = (0..50).map(|_| free_port()).collect();
    let distinct: std::collections::HashSet<_> = ports.iter().collect();
    assert_eq!(distinct.len(), ports.len());
    for port in ports {
        std::net::TcpListener::bind(("127.0.0.1", port)).expect("a port to listen on");
    }
}

fn ends_with_its_drop<T>(held: T, server: impl Fn(&T) -> &Server) {
    let pid = server(&held).pid();
    let home = server(&held).home().to_owned();
    assert!(is_running(pid) && home.exists());
    drop(held);
    assert!(!is_running(pid), "still running: {pid}");
    assert!(!home.exists(), "still there: {}", home.display());
}

fn is_running(pid: i32) -> bool {
    let pid = rustix::process::Pid::from_raw(pid).expect("a process's number");
    rustix::process::test_kill_process(pid).is_ok()
}

fn shell(script: &str) -> Server {
    Server::start(Command::new("sh").args(["-c", script]))
}

/// Redis takes plain lines, too; all answers wanted here are one line.
fn ask(redis: &Redis, command: &str) -> String {
    use std::io::{BufRead, BufReader, Write};
    let mut stream =
        std::net::TcpStream::connect(("127.0.0.1", redis.port())).expect("a connection");
    write!(stream, "{command}\r\n").expect("a command sent");
    let mut line = String::new();
    BufReader::new(stream)
        .read_line(&mut line)
        .expect("an answer");
    line
}
