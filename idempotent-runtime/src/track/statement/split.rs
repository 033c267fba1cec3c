//! A batch -> its statements.

use sqlparser::tokenizer::{Location, Token, TokenWithSpan};

use super::{Dialect, is_blank, is_keyword};

/// The statements of a batch, without the semicolons between them; nothing if the text is not SQL
/// that can be read.
pub(crate) fn split(sql: &str, dialect: Dialect) -> Option<Vec<&str>> {
    if !sql.trim_end().trim_end_matches(';').contains(';') {
        return Some(single(sql));
    }
    if dialect == Dialect::Mysql && (sql.contains("/*!") || sql.contains("/*M!")) {
        return None;
    }
    // The semicolons of MariaDB's compound statements are inside them.
    if dialect == Dialect::Mysql && super::keywords::is_opaque(sql, dialect) {
        return None;
    }
    let mut places = Places::new(sql);
    let mut statements = Vec::new();
    let mut open = Statement::default();
    let mut start = 0;
    for token in dialect.tokens(sql).ok()? {
        if is_blank(&token) {
            continue;
        }
        if token.token == Token::SemiColon && open.depth == 0 {
            let at = places.offset(token.span.start)?;
            open.take(&mut statements, &sql[start..at]);
            start = at + 1;
        } else {
            open.read(&token);
        }
    }
    open.take(&mut statements, &sql[start..]);
    Some(statements)
}

fn single(sql: &str) -> Vec<&str> {
    let statement = sql.trim_end().trim_end_matches(';');
    match statement.trim().is_empty() {
        true => Vec::new(),
        false => vec![statement],
    }
}

/// What must be known of the statement being read, to know which semicolons are inside it.
#[derive(Default)]
struct Statement {
    words: usize,
    creates: bool,
    /// A CREATE of something that can have a body of statements.
    routine: bool,
    trigger: bool,
    began: bool,
    depth: usize,
}

impl Statement {
    fn read(&mut self, token: &TokenWithSpan) {
        let is = |keyword| is_keyword(&token.token, keyword);
        self.words += 1;
        self.creates |= self.words == 1 && is("CREATE");
        if !self.creates {
            return;
        }
        if self.depth > 0 {
            self.nest(token);
        } else if self.began && is("ATOMIC") || self.trigger && is("BEGIN") {
            self.depth = 1;
        }
        self.trigger |= is("TRIGGER");
        self.routine |= is("FUNCTION") || is("PROCEDURE");
        self.began = self.routine && is("BEGIN");
    }

    fn nest(&mut self, token: &TokenWithSpan) {
        if is_keyword(&token.token, "CASE") {
            self.depth += 1;
        } else if is_keyword(&token.token, "END") {
            self.depth -= 1;
        }
    }

    /// Ends the statement and begins the next one.
    fn take<'a>(&mut self, statements: &mut Vec<&'a str>, sql: &'a str) {
        if std::mem::take(self).words > 0 {
            statements.push(sql);
        }
    }
}

/// Byte offsets of the tokenizer's places, which are lines and columns in characters. Asked for in
/// the order of the text.
pub(super) struct Places<'a> {
    chars: std::str::CharIndices<'a>,
    at: Location,
}

impl<'a> Places<'a> {
    pub(super) fn new(sql: &'a str) -> Self {
        Self {
            chars: sql.char_indices(),
            at: Location { line: 1, column: 1 },
        }
    }

    pub(super) fn offset(&mut self, place: Location) -> Option<usize> {
        while self.at != place {
            match self.chars.next()? {
                (_, '\n') => {
                    self.at = Location {
                        line: self.at.line + 1,
                        column: 1,
                    }
                }
                _ => self.at.column += 1,
            }
        }
        Some(self.chars.offset())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[track_caller]
    fn parts(sql: &str, dialect: Dialect, expected: &[&str]) {
        let parts = split(sql, dialect).unwrap();
        let parts: Vec<_> = parts.iter().map(|part| part.trim()).collect();
        assert_eq!(parts, expected);
    }

    #[test]
    fn one_statement_is_one_whatever_ends_it() {
        for sql in [
            "DELETE FROM t",
            "DELETE FROM t;",
            "DELETE FROM t ; \n",
            "DELETE FROM t;;",
        ] {
            parts(sql, Dialect::Sqlite, &["DELETE FROM t"]);
        }
        parts(" ;; ", Dialect::Sqlite, &[]);
        parts("", Dialect::Sqlite, &[]);
    }

    #[test]
    fn statements_are_told_apart_on_any_line_and_in_any_script() {
        let sql = "INSERT INTO t VALUES ('é;');\r\n\tUPDATE t SET a = '日本' -- ;\n;\n\n/* ; */ DELETE FROM \"ü;\"; -- end";
        let expected = [
            "INSERT INTO t VALUES ('é;')",
            "UPDATE t SET a = '日本' -- ;",
            "/* ; */ DELETE FROM \"ü;\"",
        ];
        parts(sql, Dialect::Sqlite, &expected);
        parts(sql, Dialect::Postgres, &expected);
    }

    #[test]
    fn dollar_quotes_keep_their_semicolons() {
        parts(
            "DO $$ BEGIN; END; $$; SELECT $a$ ; $$ ; $a$, 'a''; b', E'\\'; c'; SELECT 1",
            Dialect::Postgres,
            &[
                "DO $$ BEGIN; END; $$",
                "SELECT $a$ ; $$ ; $a$, 'a''; b', E'\\'; c'",
                "SELECT 1",
            ],
        );
    }

    #[test]
    fn a_triggers_body_is_part_of_it() {
        let trigger = "CREATE TEMP TRIGGER g AFTER UPDATE ON t BEGIN UPDATE t SET a = CASE WHEN a THEN 1 ELSE 2 END; DELETE FROM s; END";
        parts(
            &format!("{trigger}; BEGIN; DELETE FROM t; END; COMMIT"),
            Dialect::Sqlite,
            &[trigger, "BEGIN", "DELETE FROM t", "END", "COMMIT"],
        );
    }

    #[test]
    fn an_sql_functions_body_is_part_of_it() {
        let function = "CREATE OR REPLACE FUNCTION f() RETURNS int BEGIN ATOMIC DELETE FROM t; SELECT CASE WHEN true THEN 1 END; END";
        parts(
            &format!("{function}; SELECT 1;"),
            Dialect::Postgres,
            &[function, "SELECT 1"],
        );
    }

    #[test]
    fn what_creates_a_table_has_no_body() {
        parts(
            "CREATE TABLE t (begin int, \"case\" int); CREATE TRIGGER g AFTER INSERT ON t EXECUTE FUNCTION f(); SELECT 1",
            Dialect::Postgres,
            &[
                "CREATE TABLE t (begin int, \"case\" int)",
                "CREATE TRIGGER g AFTER INSERT ON t EXECUTE FUNCTION f()",
                "SELECT 1",
            ],
        );
    }

    #[test]
    fn what_cannot_be_read_is_not_split() {
        assert_eq!(split("SELECT 'open; SELECT 1", Dialect::Postgres), None);
    }
}
