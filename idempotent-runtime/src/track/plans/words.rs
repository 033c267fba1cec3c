//! What a statement that is not parsed does, by its words.

use super::super::rules::Rule;
use super::super::statement::Dialect;

/// Its text does not say what it runs.
pub(super) fn is_hidden(sql: &str) -> bool {
    const WORDS: [&str; 12] = [
        "CALL", "DO", "EXECUTE", "BEGIN", "IF", "CASE", "LOOP", "REPEAT", "WHILE", "FOR", "LOAD",
        "XA",
    ];
    begins_with(sql, &WORDS) && Rule::Hidden.applies()
}

/// What commits in the MySQL family, beside changes of the schema and TRUNCATE.
pub(super) const COMMITTING: [&str; 15] = [
    "ANALYZE",
    "OPTIMIZE",
    "REPAIR",
    "CHECK",
    "FLUSH",
    "CACHE",
    "INSTALL",
    "UNINSTALL",
    "SHUTDOWN",
    "RESET",
    "START",
    "STOP",
    "CHANGE",
    "PURGE",
    "BACKUP",
];

/// `SET STATEMENT … FOR UPDATE …`, and MariaDB's ANALYZE of a statement, which runs it.
pub(super) fn runs_another(sql: &str) -> bool {
    let mut words = sql.split_whitespace().map(str::to_ascii_uppercase);
    match (words.next().as_deref(), words.next().as_deref()) {
        (Some("SET"), Some("STATEMENT")) => true,
        (Some("ANALYZE"), second) => !matches!(
            second,
            Some("TABLE" | "TABLES" | "LOCAL" | "NO_WRITE_TO_BINLOG")
        ),
        _ => false,
    }
}

/// `SET TRANSACTION ISOLATION LEVEL READ COMMITTED`, which no variable tells of afterwards, and `SET autocommit = 0`.
pub(super) fn sets(sql: &str, what: &str, dialect: Dialect) -> bool {
    dialect == Dialect::Mysql
        && begins_with(sql, &["SET"])
        && sql.to_ascii_uppercase().contains(what)
}

/// `set_config('role', …)` is a SELECT. Another setting that is named outright is none of ours.
pub(super) fn sets_a_role(sql: &str, dialect: Dialect) -> bool {
    let sql = sql.to_ascii_lowercase();
    dialect == Dialect::Postgres
        && sql.split("set_config").skip(1).any(|call| {
            let name = call.trim_start_matches(|c: char| c.is_whitespace() || c == '(');
            !name.starts_with('\'')
                || name.starts_with("'role'")
                || name.starts_with("'session_authorization'")
                || name.starts_with("'standard_conforming_strings'")
        })
}

/// How the session reads strings.
pub(super) fn sets_strings(sql: &str, dialect: Dialect) -> bool {
    let names = |word: &str| {
        let mut words = sql.split(|c: char| !c.is_alphanumeric() && c != '_');
        words.any(|known| known.eq_ignore_ascii_case(word))
    };
    dialect == Dialect::Postgres
        && (begins_with(sql, &["SET", "RESET"]) && names("standard_conforming_strings")
            || begins_with(sql, &["RESET"]) && names("ALL"))
}

/// A temporary object, or an attached database: other connections do not have it.
pub(super) fn is_of_the_session(sql: &str) -> bool {
    let sql = sql.to_ascii_uppercase();
    let mut words = sql.split_whitespace().skip(1);
    let first = words.find(|word| !["OR", "REPLACE", "GLOBAL", "LOCAL"].contains(word));
    begins_with(&sql, &["ATTACH", "DETACH"])
        || begins_with(&sql, &["CREATE"]) && matches!(first, Some("TEMP" | "TEMPORARY"))
}

/// `CREATE TABLE … AS`, `ALTER TABLE … TYPE … USING` and `DROP TABLE` do; what only mentions such words may.
pub(super) fn moves_rows(sql: &str) -> bool {
    const WORDS: [&str; 8] = [
        "ALTER", "DROP", "INSERT", "UPDATE", "DELETE", "MERGE", "TRUNCATE", "ATTACH",
    ];
    let sql = sql.to_ascii_uppercase();
    sql.split(|c: char| !c.is_alphanumeric())
        .any(|word| WORDS.contains(&word))
}

pub(super) fn begins_with(sql: &str, words: &[&str]) -> bool {
    let first = sql
        .trim_start()
        .split(|c: char| !c.is_alphanumeric())
        .next()
        .unwrap_or_default();
    words.iter().any(|word| first.eq_ignore_ascii_case(word))
}
