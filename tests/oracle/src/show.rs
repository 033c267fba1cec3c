//! A case as SQL to be read.

use crate::dialect;
use crate::generate::Case;
use crate::schema::Schema;
use crate::sql::{plain, written};
use crate::statement::{Block, Body, End, Opening, Step, Way};

/// The schema, the rows at first, and the program.
#[must_use]
pub fn show(case: &Case) -> String {
    let schema = &case.schema;
    let seeds = case
        .seeds
        .iter()
        .map(|seed| plain(&Body::Insert(seed.clone()), schema));
    let rest: Vec<_> = seeds.chain(dialect::effects(schema)).collect();
    let program: String = case
        .program
        .0
        .iter()
        .map(|step| show_step(step, schema, 0))
        .collect();
    let tables = needed(dialect::tables(schema), &(rest.join(" ") + &program));
    let lines: Vec<_> = tables
        .into_iter()
        .chain(rest)
        .map(|sql| sql + ";\n")
        .collect();
    format!("{}-- the program\n{program}", lines.concat())
}

/// Leaves out the tables that neither the rest nor a table that is needed names, and that refer to none that is needed.
fn needed(mut tables: Vec<String>, rest: &str) -> Vec<String> {
    let mut text = rest.to_lowercase();
    let mut found: Vec<String> = Vec::new();
    loop {
        let names: Vec<_> = found.iter().filter_map(|sql| created(sql)).collect();
        let (named, others): (Vec<_>, Vec<_>) = tables.into_iter().partition(|sql| {
            let words = sql.to_lowercase();
            let refers = words.split("references ").skip(1).any(|place| {
                let place = place.split(" (").next().unwrap_or_default();
                names.iter().any(|name| place.contains(name.as_str()))
            });
            refers || created(sql).is_none_or(|name| text.contains(&name))
        });
        if named.is_empty() {
            return found;
        }
        text += &named.concat().to_lowercase();
        found.extend(named);
        tables = others;
    }
}

/// The name of the table that this makes; of a part, the whole's.
fn created(sql: &str) -> Option<String> {
    let create = sql.strip_prefix("CREATE TABLE ")?;
    let whole = create.split_once(" PARTITION OF ").map(|(_, whole)| whole);
    let place = whole.unwrap_or(create).split([' ', '(']).next()?;
    let name = place.rsplit('.').next()?;
    Some(name.trim_matches(['"', '`']).to_lowercase())
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
