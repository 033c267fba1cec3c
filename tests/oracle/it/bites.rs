//! The oracle notices what is missed, whatever is missed.

use oracle::database::{Database, Postgres, Sqlite};
use oracle::generate::Focus;
use oracle::hunt::{Failure, Hunt, hunt};
use oracle::recorder::Deafness;

/// Within so many statements.
const STATEMENTS: usize = 1_000;

/// The first thing that is missed by a store that does not hear everything.
fn missed<D: Database>(deaf: Deafness, shrinks: bool) -> Option<Failure> {
    let asked = Hunt {
        statements: STATEMENTS,
        focus: Focus::Even,
        deaf: Some(deaf),
        stops: true,
        shrinks,
        ..Hunt::default()
    };
    hunt(&mut D::start(), asked).unwrap().failure
}

#[test]
fn rows_that_are_not_heard_of_are_missed() {
    assert!(missed::<Sqlite>(Deafness::Rows, false).is_some());
    assert!(missed::<Postgres>(Deafness::Rows, false).is_some());
}

#[test]
fn tables_that_are_not_heard_of_are_missed() {
    assert!(missed::<Sqlite>(Deafness::Tables, false).is_some());
    assert!(missed::<Postgres>(Deafness::Tables, false).is_some());
}

#[test]
fn what_is_missed_is_shown_as_one_statement() {
    let failure = missed::<Sqlite>(Deafness::Rows, true).unwrap();
    let shown = failure.show(Sqlite::NAME);
    assert_eq!(failure.case.program.0.len(), 1, "{shown}");
    assert_eq!(failure.case.program.0[0].statements(), 1, "{shown}");
}
