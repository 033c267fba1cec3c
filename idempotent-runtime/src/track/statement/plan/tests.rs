#![allow(clippy::unwrap_used)]

use super::*;
use crate::track::TrackedTable;
use crate::track::catalog::{Kind, Reading};

const USERS: TrackedTable = TrackedTable::new(|| "users".into(), &["id"]);
const MEMBERSHIPS: TrackedTable =
    TrackedTable::new(|| "Memberships".into(), &["user_id", "group_id"]);
const NEWER: TrackedTable = TrackedTable::new(|| "newer".into(), &["id"]);

/// A plan in one line: the columns that RETURNING is to name, and the tables that change whole.
fn shown(sql: &str, dialect: Dialect) -> String {
    let registry = Registry::of(&[USERS, MEMBERSHIPS, NEWER]);
    let catalog = Catalog::plain(&[
        ("users", &["id", "name", "email"]),
        ("memberships", &["user_id", "group_id", "role"]),
        ("orders", &["id", "item"]),
    ]);
    let plan = plan(sql, dialect, &registry, &catalog);
    let rows = plan.rows.map(|rows| {
        let suffix = rows.suffix.replace('\n', "");
        assert_eq!(suffix.matches(" AS __idempotent_key_").count(), rows.keys);
        (1..=rows.keys).fold(suffix, |suffix, key| {
            suffix.replace(&format!(" AS __idempotent_key_{key}"), "")
        })
    });
    let asked = |reads: &[Read]| -> Vec<String> {
        let named = reads.iter().filter_map(|read| read.table.as_deref());
        named.map(|table| format!("asks {table}")).collect()
    };
    let before = asked(&plan.before);
    let after: Vec<_> = plan.after.iter().map(|after| after.read.clone()).collect();
    let after = asked(&after)
        .into_iter()
        .map(|asks| format!("{asks} after"));
    let whole = match plan.whole {
        Whole::Every => vec!["everything".to_owned()],
        Whole::Tables(tables) => tables.iter().map(|table| format!("{table}:*")).collect(),
    };
    rows.into_iter()
        .chain(before)
        .chain(after)
        .chain(whole)
        .collect::<Vec<_>>()
        .join(" + ")
}

#[track_caller]
fn all(dialect: Dialect, cases: &[(&str, &str)]) {
    let wrong: Vec<_> = cases
        .iter()
        .filter(|(sql, expected)| shown(sql, dialect) != *expected)
        .map(|(sql, expected)| format!("{sql}\n  is: {}\n  not: {expected}", shown(sql, dialect)))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn postgres_rows_are_asked_for_by_the_name_the_statement_gives_the_table() {
    all(
        Dialect::Postgres,
        &[
            (
                r#"INSERT INTO "users" ("name") VALUES ($1)"#,
                r#"RETURNING "users"."id""#,
            ),
            (
                r#"INSERT INTO "users" ("name", "email") VALUES ($1, DEFAULT), ($2, $3)"#,
                r#"RETURNING "users"."id""#,
            ),
            (
                r#"INSERT INTO "users" DEFAULT VALUES"#,
                r#"RETURNING "users"."id""#,
            ),
            (
                r#"INSERT INTO "users" ("name") SELECT "orders"."item" FROM "orders" WHERE ("orders"."id" > $1)"#,
                r#"RETURNING "users"."id""#,
            ),
            (
                r#"INSERT INTO "users" ("name") VALUES ($1) ON CONFLICT DO NOTHING"#,
                r#"RETURNING "users"."id""#,
            ),
            (
                r#"INSERT INTO "users" ("name") VALUES ($1), (DEFAULT) ON CONFLICT ("email") DO UPDATE SET "name" = excluded."name" WHERE ("users"."name" != $2) RETURNING "users"."id", "users"."name""#,
                r#", "users"."id""#,
            ),
            (
                r#"INSERT INTO "users" ("name") VALUES ($1) ON CONFLICT ON CONSTRAINT "users_email_key" DO UPDATE SET "name" = $2"#,
                r#"RETURNING "users"."id""#,
            ),
            (
                r#"INSERT INTO "memberships" ("user_id", "group_id") VALUES ($1, $2)"#,
                r#"RETURNING "memberships"."user_id", "memberships"."group_id""#,
            ),
            (
                "insert into Users as U (name) values ('a') returning *",
                r#", U."id""#,
            ),
            (
                r#"UPDATE "users" SET "name" = $1 WHERE ("users"."id" = $2) RETURNING "users"."id""#,
                r#", "users"."id""#,
            ),
            (
                r#"UPDATE "app"."users" SET "name" = $1"#,
                r#"RETURNING "users"."id""#,
            ),
            (
                r#"UPDATE users "U x" SET name = o.item FROM orders o WHERE o.id = "U x".id"#,
                r#"RETURNING "U x"."id""#,
            ),
            (
                r#"UPDATE "users" SET "name" = $1 WHERE ("users"."id" = ANY($2))"#,
                r#"RETURNING "users"."id""#,
            ),
            (
                r#"UPDATE "users" SET "name" = $1::text WHERE ("users"."tags" @> $2 AND "users"."name" ILIKE $3 AND "users"."email" IS DISTINCT FROM $4)"#,
                r#"RETURNING "users"."id""#,
            ),
            (
                r#"UPDATE "users" SET "name" = ("users"."data" -> $1) ->> $2 WHERE "users"."data" ? $3 AND "users"."data" ?| $4 AND "users"."data" #>> $5 = $6"#,
                r#"RETURNING "users"."id""#,
            ),
            (
                r#"UPDATE "users" SET "name" = ("users"."name" || $1), "seen" = CURRENT_TIMESTAMP WHERE ("users"."at" AT TIME ZONE $2) BETWEEN $3 AND $4"#,
                r#"RETURNING "users"."id""#,
            ),
            (
                "UPDATE users SET (name, email) = ('a', 'b')",
                r#"RETURNING users."id""#,
            ),
            (
                "UPDATE users SET (name, email) = (SELECT 'a', 'b')",
                r#"RETURNING users."id""#,
            ),
            (
                r#"DELETE  FROM "users" WHERE ("users"."id" = $1)"#,
                r#"RETURNING "users"."id""#,
            ),
            (
                r#"DELETE FROM "users" WHERE ("users"."id" IN (SELECT "orders"."id" FROM "orders")) RETURNING "users"."id""#,
                r#", "users"."id""#,
            ),
            (
                "DELETE FROM users AS u USING orders o WHERE o.id = u.id -- gone",
                r#"RETURNING u."id""#,
            ),
            (
                "DELETE FROM users USING orders /* ; */",
                r#"RETURNING users."id""#,
            ),
            (
                "WITH o AS (SELECT 1) UPDATE users SET name = 'a' FROM o",
                r#"RETURNING users."id""#,
            ),
            (
                "WITH RECURSIVE o AS (SELECT 1) INSERT INTO users (name) SELECT 'a' FROM o RETURNING name",
                r#", users."id""#,
            ),
            (
                r#"INSERT INTO "users" ("tags") VALUES (ARRAY[$1, $2]::text[])"#,
                r#"RETURNING "users"."id""#,
            ),
            (
                r#"UPDATE "users" SET "at" = now() - interval '1 day', "d" = date '2020-01-01'"#,
                r#"RETURNING "users"."id""#,
            ),
            (
                "INSERT INTO users (id, name) OVERRIDING SYSTEM VALUE VALUES (1, 'a')",
                r#"RETURNING users."id""#,
            ),
            (
                "UPDATE ONLY users SET name = 'a'",
                r#"RETURNING users."id""#,
            ),
            ("DELETE FROM ONLY users AS u", r#"RETURNING u."id""#),
            (
                r#"DELETE FROM users WHERE name SIMILAR TO 'a' ESCAPE '\' OR name ~* 'b' OR (id, name) = ($1, $2)"#,
                r#"RETURNING users."id""#,
            ),
            (
                r#"UPDATE "users" SET "name" = CASE WHEN ("users"."id" = $1) THEN $2 ELSE $3 END WHERE EXISTS (SELECT 1 FROM "orders" WHERE ("orders"."id" = "users"."id") FOR UPDATE SKIP LOCKED)"#,
                r#"RETURNING "users"."id""#,
            ),
        ],
    );
}

#[test]
fn sqlite_rows_are_asked_for_without_a_table() {
    all(
        Dialect::Sqlite,
        &[
            ("INSERT INTO `users` (`name`) VALUES (?)", "RETURNING `id`"),
            ("INSERT INTO `users` DEFAULT VALUES", "RETURNING `id`"),
            (
                "INSERT INTO `users` (`name`) VALUES (?), (?) RETURNING `users`.`id`, `users`.`name`",
                ", `id`",
            ),
            (
                "INSERT INTO `memberships` (`user_id`) VALUES (?1)",
                "RETURNING `user_id`, `group_id`",
            ),
            (
                "INSERT INTO `users` (`name`) VALUES (?) ON CONFLICT (`email`) DO UPDATE SET `name` = excluded.`name`",
                "RETURNING `id`",
            ),
            (
                "INSERT INTO users (name) VALUES (:name) ON CONFLICT DO NOTHING",
                "RETURNING `id`",
            ),
            (
                "INSERT INTO users (name) SELECT item FROM orders WHERE 1=1 ON CONFLICT (email) DO UPDATE SET name = $name",
                "RETURNING `id`",
            ),
            (
                "INSERT OR IGNORE INTO `users` (`name`) VALUES (?)",
                "RETURNING `id`",
            ),
            (
                "insert or abort into main.users (name) values (@name)",
                "RETURNING `id`",
            ),
            (
                "UPDATE `users` SET `name` = ? WHERE (`users`.`id` = ?)",
                "RETURNING `id`",
            ),
            (
                "UPDATE [users] AS u SET \"name\" = 'a' FROM orders o WHERE o.id = u.id",
                "RETURNING `id`",
            ),
            (
                "DELETE  FROM `users` WHERE (`users`.`id` = ?) RETURNING *",
                ", `id`",
            ),
            (
                "DELETE FROM users WHERE name LIKE ? ESCAPE '\\' AND name GLOB 'a*' AND id IS NOT ?",
                "RETURNING `id`",
            ),
            (
                "DELETE FROM users WHERE data ->> '$.a' = x'00' -- gone",
                "RETURNING `id`",
            ),
            (
                "UPDATE users SET name = json_set(name, '$.a', ?), at = datetime('now', '-1 day')",
                "RETURNING `id`",
            ),
            ("UPDATE OR IGNORE users SET name = 'a'", "RETURNING `id`"),
            (
                "WITH o AS (SELECT 1) DELETE FROM users WHERE id IN (SELECT * FROM o)",
                "RETURNING `id`",
            ),
            (
                "UPDATE users SET (name, email) = ('a', 'b')",
                "RETURNING `id`",
            ),
        ],
    );
}

/// The numbers of the binds, and the numbers, that are the keys of the changed rows.
fn given(sql: &str, dialect: Dialect) -> Option<String> {
    let mut catalog = Catalog::plain(&[("users", &["id", "name"])]);
    catalog.set_reading("users", "id", Reading::Same(Kind::Integer));
    let plan = plan(sql, dialect, &Registry::of(&[USERS]), &catalog);
    let keys = plan.given?.keys;
    let part = |part: &Part| match part {
        Part::Bind(bind, _) => format!("#{bind}"),
        Part::Written(written) => written.to_string(),
    };
    let keys = keys
        .iter()
        .map(|key| key.iter().map(part).collect::<String>());
    Some(keys.collect::<Vec<_>>().join(" "))
}

#[test]
fn keys_that_a_statement_has_with_it_are_not_asked_for() {
    for (sql, expected) in [
        ("UPDATE users SET name = $1 WHERE (users.id = $2)", "#1"),
        ("UPDATE users SET name = $2 WHERE id = $1 RETURNING *", "#0"),
        (
            "DELETE FROM users WHERE ((\"users\".\"id\" = $1) AND (name = 'a' OR name = 'b'))",
            "#0",
        ),
        ("DELETE FROM users WHERE id = 007", "7"),
        (
            "INSERT INTO users (name, id) VALUES ($1, $2), ($3, 5)",
            "#1 5",
        ),
    ] {
        assert_eq!(
            given(sql, Dialect::Postgres).as_deref(),
            Some(expected),
            "{sql}"
        );
    }
    assert_eq!(
        given(
            "DELETE FROM users WHERE name = ? AND `users`.`id` = ?",
            Dialect::Mysql
        )
        .as_deref(),
        Some("#1")
    );
}

#[test]
fn a_key_is_not_given_where_more_rows_or_others_may_be_meant() {
    for sql in [
        "DELETE FROM users WHERE id = $1 OR name = 'a'",
        "DELETE FROM users WHERE NOT (id = $1)",
        "DELETE FROM users WHERE NOT id = $1",
        "DELETE FROM users WHERE id = $1 = true",
        "DELETE FROM users WHERE true = id = $1",
        "DELETE FROM users WHERE id BETWEEN 1 AND id = 1",
        "DELETE FROM users WHERE id + id = $1",
        "DELETE FROM users WHERE -id = $1",
        "DELETE FROM users WHERE id = $1 + 1",
        "DELETE FROM users WHERE id = '1'",
        "DELETE FROM users WHERE id = -1",
        "DELETE FROM users WHERE id <> $1",
        "DELETE FROM users WHERE name = $1",
        "DELETE FROM users USING orders WHERE orders.id = $1",
        "UPDATE users SET id = $1 WHERE id = $2",
        "INSERT INTO users (id) VALUES ($1) ON CONFLICT DO NOTHING",
        "INSERT INTO users (id) VALUES ($1) ON CONFLICT (id) DO UPDATE SET name = 'a'",
        "INSERT INTO users (id) OVERRIDING USER VALUE VALUES ($1)",
        "INSERT INTO users (id) VALUES ($1 + 1)",
        "INSERT INTO users (id) VALUES (DEFAULT)",
        "INSERT INTO users (id) SELECT $1",
    ] {
        assert_eq!(given(sql, Dialect::Postgres), None, "{sql}");
    }
    assert_eq!(
        given("DELETE FROM users WHERE id = ?", Dialect::Sqlite),
        None
    );
}

#[test]
fn rows_that_a_statement_does_not_tell_are_asked_for_before_it() {
    let postgres = [
        (
            "UPDATE users SET name = 'a'; -- ;",
            r#"RETURNING users."id""#,
        ),
        (
            "UPDATE users SET id = id + 1",
            r#"RETURNING users."id" + asks users"#,
        ),
        (
            "UPDATE users SET (name, \"ID\") = ('a', 2)",
            r#"RETURNING users."id" + asks users"#,
        ),
        (
            "UPDATE users SET (name, email) = ('a', 'b'), id = 2 WHERE at < now()",
            r#"RETURNING users."id" + asks users"#,
        ),
        ("UPDATE users SET id = id", r#"RETURNING users."id""#),
    ];
    all(Dialect::Postgres, &postgres);
    all(
        Dialect::Sqlite,
        &[
            (
                "UPDATE users SET oid = 1 FROM orders WHERE orders.id = users.id",
                "RETURNING `id` + asks users",
            ),
            ("UPDATE OR REPLACE users SET id = 1", "users:*"),
        ],
    );
}

#[test]
fn h52_where_rows_cannot_be_told_the_table_changes_whole() {
    all(
        Dialect::Postgres,
        &[
            (
                "UPDATE users SET id = o.id FROM orders o WHERE o.item = name",
                "users:*",
            ),
            (
                "UPDATE users SET id = id + 1 WHERE id IN (SELECT id FROM orders)",
                "users:*",
            ),
            (
                "UPDATE users SET id = 7 WHERE now() BETWEEN a AND b",
                "users:*",
            ),
            (
                "WITH gone AS (DELETE FROM orders RETURNING id) UPDATE users SET id = 1",
                "users:*",
            ),
            (
                "INSERT INTO users (id) VALUES (1) ON CONFLICT (email) DO UPDATE SET id = excluded.id",
                "users:*",
            ),
            ("TRUNCATE users", "users:*"),
            (
                "TRUNCATE TABLE ONLY app.users, memberships RESTART IDENTITY CASCADE",
                "memberships:* + users:*",
            ),
            (
                "MERGE INTO users u USING orders o ON o.id = u.id WHEN MATCHED THEN UPDATE SET name = o.item WHEN NOT MATCHED THEN INSERT (name) VALUES (o.item)",
                "users:*",
            ),
            ("COPY users FROM STDIN", "users:*"),
            ("COPY users (name) FROM STDIN WITH (FORMAT csv)", "users:*"),
            (
                "WITH gone AS (DELETE FROM users RETURNING *) SELECT * FROM gone",
                "users:*",
            ),
            (
                "WITH gone AS (DELETE FROM users RETURNING *) INSERT INTO memberships SELECT * FROM gone",
                r#"RETURNING memberships."user_id", memberships."group_id" + users:*"#,
            ),
            (
                "WITH a AS (UPDATE users SET name = 'a' RETURNING id) UPDATE users SET email = 'b' FROM a",
                "users:*",
            ),
            (
                "WITH a AS (INSERT INTO users (name) VALUES ('a') RETURNING id), b AS (DELETE FROM memberships) SELECT 1",
                "memberships:* + users:*",
            ),
            ("EXPLAIN ANALYZE DELETE FROM users", "users:*"),
            (
                "EXPLAIN (ANALYZE, FORMAT json) DELETE FROM users",
                "users:*",
            ),
            ("COPY (DELETE FROM users RETURNING *) TO STDOUT", "users:*"),
        ],
    );
    all(
        Dialect::Sqlite,
        &[
            ("INSERT OR REPLACE INTO users (name) VALUES (?)", "users:*"),
            (
                "REPLACE INTO `users` (`id`, `name`) VALUES (?, ?)",
                "users:*",
            ),
            ("INSERT OR FAIL INTO users (name) VALUES (?)", "users:*"),
            ("UPDATE OR REPLACE users SET name = 'a'", "users:*"),
            ("DELETE FROM users ORDER BY id LIMIT 1", "users:*"),
            ("UPDATE users SET name = 'a' LIMIT 1", "users:*"),
            ("UPDATE users SET name = 'a'; DELETE FROM orders", "users:*"),
        ],
    );
}

#[test]
fn what_changes_no_tracked_table_changes_nothing() {
    all(
        Dialect::Postgres,
        &[
            (
                "UPDATE orders SET item = 'a' FROM users WHERE users.id = orders.id",
                "",
            ),
            ("INSERT INTO orders (item) SELECT name FROM users", ""),
            (
                "WITH u AS (SELECT * FROM users) SELECT * FROM u FOR NO KEY UPDATE",
                "",
            ),
            ("COPY users TO STDOUT", ""),
            ("EXPLAIN ANALYZE SELECT * FROM users", ""),
            ("TRUNCATE orders", ""),
        ],
    );
}

#[test]
fn h51_what_does_not_parse_may_change_everything() {
    all(
        Dialect::Postgres,
        &[
            ("UPDATE users SET tags[1] = 'a'", "everything"),
            (
                "MERGE INTO ONLY users USING o ON true WHEN MATCHED THEN DELETE",
                "everything",
            ),
            ("CALL settle()", "everything"),
            ("EXECUTE p", "everything"),
            ("DO $$ BEGIN DELETE FROM users; END $$", "everything"),
            ("UPDATE users SET name = 'open", "everything"),
            ("DELETE FROM users WHERE CURRENT OF c", "everything"),
            ("UPDATE nonsense", "everything"),
        ],
    );
    all(
        Dialect::Sqlite,
        &[("DELETE FROM users INDEXED BY i WHERE id = 1", "everything")],
    );
    all(Dialect::Mysql, &[("DELETE FROM", "everything")]);
}

#[test]
fn a_with_that_chooses_no_rows_does_not_come_in_the_way() {
    all(
        Dialect::Postgres,
        &[
            (
                "WITH seen AS (SELECT count(*) AS c FROM orders) UPDATE users AS x SET id = 1 WHERE id = 2",
                "RETURNING x.\"id\" + asks users",
            ),
            (
                "WITH seen AS (SELECT id FROM orders) UPDATE users SET id = 1 WHERE id IN (SELECT * FROM seen)",
                "users:*",
            ),
            (
                "WITH seen AS (SELECT id FROM orders) UPDATE users SET id = 1 FROM seen WHERE users.id = seen.id",
                "users:*",
            ),
        ],
    );
}

#[test]
fn a_table_that_the_catalog_does_not_know_changes_whole_and_so_does_all_that_its_statement_names() {
    all(
        Dialect::Postgres,
        &[
            ("INSERT INTO newer (id) VALUES (1)", "newer:*"),
            ("INSERT INTO strange (id) SELECT id FROM users", "users:*"),
        ],
    );
}

#[test]
fn without_tracked_tables_nothing_is_planned() {
    let plan = plan(
        "UPDATE nonsense",
        Dialect::Postgres,
        &Registry::default(),
        &Catalog::default(),
    );
    assert_eq!(plan, Plan::nothing());
}
