use super::*;

#[track_caller]
fn parses(dialect: Dialect, conditions: &[&str]) {
    let fails = |condition: &&&str| {
        let sql = format!("DELETE  FROM users WHERE ({condition})");
        analyse(&sql, dialect).is_none()
    };
    let failing: Vec<_> = conditions.iter().filter(fails).collect();
    assert!(failing.is_empty(), "{failing:#?}");
}

#[test]
fn what_diesel_writes_for_postgres_parses() {
    let operators = [
        "!=",
        "#-",
        "#>",
        "#>>",
        "&",
        "&&",
        "&<",
        "&>",
        "*",
        "+",
        "-",
        "->",
        "->>",
        "-|-",
        "<",
        "<<",
        "<<=",
        "<=",
        "<@",
        "=",
        ">",
        ">=",
        ">>",
        ">>=",
        "?",
        "?&",
        "?|",
        "@>",
        "@@",
        "AND",
        "ILIKE",
        "IS DISTINCT FROM",
        "IS NOT DISTINCT FROM",
        "NOT ILIKE",
        "NOT LIKE",
        "NOT SIMILAR TO",
        "OR",
        "SIMILAR TO",
        "|",
        "||",
        "~",
        "AT TIME ZONE",
    ];
    let infix: Vec<_> = operators
        .iter()
        .map(|operator| format!("(\"users\".\"a\" {operator} $1)"))
        .collect();
    parses(
        Dialect::Postgres,
        &infix.iter().map(String::as_str).collect::<Vec<_>>(),
    );
    parses(
        Dialect::Postgres,
        &[
            "a IS JSON",
            "a IS JSON ARRAY",
            "a IS NOT JSON OBJECT",
            "a IS JSON SCALAR",
            "a IS NOT NULL",
            "a BETWEEN $1 AND $2",
            "a NOT BETWEEN $1 AND $2",
            "a LIKE $1 ESCAPE '!'",
            "a = ANY($1)",
            "a != ALL($1)",
            "a IN ($1, $2)",
            "a NOT IN (SELECT b FROM o)",
            "a = CAST($1 AS Text)",
            "a[$1] = $2",
            "a[$1:$2] = $3",
            "a = ARRAY[$1, $2]",
            "a = ARRAY(SELECT b FROM o)",
            "(a, b) = ROW($1, $2)",
            "a = (SELECT DISTINCT ON (b) b FROM o ORDER BY b ASC NULLS FIRST LIMIT $1 OFFSET $2)",
            "EXISTS (SELECT 1 FROM ONLY \"o\" AS \"x\" INNER JOIN p ON (x.id = p.id) LEFT OUTER JOIN q ON q.id = p.id)",
            "a = (SELECT count(*) FILTER (WHERE b) OVER (PARTITION BY c ORDER BY d ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) FROM o)",
            "a IN (SELECT b FROM o UNION ALL (SELECT c FROM p))",
            "a = (SELECT b FROM o TABLESAMPLE SYSTEM(10) REPEATABLE(1))",
            "a = (b COLLATE \"C\")",
            "a IN (SELECT b FROM o FOR UPDATE)",
            "a IN (SELECT b FROM o FOR NO KEY UPDATE SKIP LOCKED)",
            "a IN (SELECT b FROM o FOR KEY SHARE NOWAIT)",
        ],
    );
}

#[test]
fn what_diesel_writes_for_sqlite_parses() {
    parses(
        Dialect::Sqlite,
        &[
            "`users`.`a` IS ?",
            "`users`.`a` IS NOT ?",
            "(a -> ?) ->> ?",
            "a LIKE ? ESCAPE '!'",
            "a NOT LIKE ?",
            "a MATCH ?",
            "a IN (SELECT b FROM o LIMIT -1 OFFSET ?)",
            "a IN (SELECT b FROM o WHERE 1=1 UNION SELECT c FROM p)",
            "a || ? = CAST(? AS Text)",
            "a BETWEEN ? AND ? OR NOT (b & ? | ?)",
            "CASE WHEN a THEN 1 ELSE 2 END = ?",
            "a COLLATE NOCASE = ?",
            "a = datetime('now')",
            "(a, b) IN (VALUES (1, 2))",
            "a IS DISTINCT FROM ?",
        ],
    );
}
