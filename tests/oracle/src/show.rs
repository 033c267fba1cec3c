//! A case as SQL to be read.

use std::fmt::Write;

use crate::dialect;
use crate::generate::Case;
use crate::schema::Schema;
use crate::sql::{plain, written};
use crate::statement::{Block, Body, End, Opening, Step, Way};

/// The schema, the rows at first, and the program.
#[must_use]
pub fn show(case: &Case) -> String {
    let mut out = String::new();
    let line = |out: &mut String, sql: &str| {
        let _ = writeln!(out, "{sql};");
    };
    dialect::tables(&case.schema)
        .iter()
        .for_each(|sql| line(&mut out, sql));
    for seed in &case.seeds {
        line(&mut out, &plain(&Body::Insert(seed.clone()), &case.schema));
    }
    dialect::effects(&case.schema)
        .iter()
        .for_each(|sql| line(&mut out, sql));
    out += "-- the program\n";
    for step in &case.program.0 {
        out += &show_step(step, &case.schema, 0);
    }
    out
}

/// A step, so deep in blocks.
#[must_use]
pub fn show_step(step: &Step, schema: &Schema, depth: usize) -> String {
    let indent = "    ".repeat(depth);
    match step {
        Step::Statement(statement) => {
            let binds = statement.way == Way::Query { binds: true };
            let (sql, binds) = written(statement, schema, binds);
            let binds = if binds.is_empty() {
                String::new()
            } else {
                format!(" with {binds:?}")
            };
            format!("{indent}{sql};{binds} -- {:?}\n", statement.way)
        }
        Step::Block(block) => show_block(block, schema, depth),
    }
}

fn show_block(block: &Block, schema: &Schema, depth: usize) -> String {
    let indent = "    ".repeat(depth);
    let opening = match (block.opening, depth) {
        (Opening::Diesel, _) => "transaction()",
        (Opening::Sql, 0) => "BEGIN",
        (Opening::Sql, _) => "SAVEPOINT",
        (Opening::Other, 0) => "the same as BEGIN",
        (Opening::Other, _) => "SAVEPOINT of a name that is used again",
    };
    let swallows = if block.swallows {
        ", going on after errors"
    } else {
        ""
    };
    let steps: String = block
        .steps
        .iter()
        .map(|step| show_step(step, schema, depth + 1))
        .collect();
    let end = match block.end {
        End::Commit => "COMMIT",
        End::Rollback => "ROLLBACK",
    };
    format!("{indent}-- {opening}{swallows}\n{steps}{indent}-- {end}\n")
}
