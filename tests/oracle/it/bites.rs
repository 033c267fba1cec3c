//! The oracle notices what is missed, whatever is missed.

use oracle::database::{Database, Mariadb, Postgres, Sqlite};
use oracle::generate::Focus;
use oracle::hunt::{Example, Hunt, hunt};
use oracle::recorder::Deafness;

/// What is missed by a store that does not hear everything, within a thousand statements.
fn missed<D: Database>(deaf: Deafness, shrinks: bool) -> Option<Example> {
    let asked = Hunt {
        statements: 1_000,
        focus: Focus::Even,
        deaf: Some(deaf),
        stops: true,
        shrinks,
        ..Hunt::default()
    };
    hunt(&mut D::start(), asked).unwrap().cases.pop()
}

#[test]
fn rows_that_are_not_heard_of_are_missed() {
    assert!(missed::<Sqlite>(Deafness::Rows, false).is_some());
    assert!(missed::<Postgres>(Deafness::Rows, false).is_some());
    assert!(missed::<Mariadb>(Deafness::Rows, false).is_some());
}

#[test]
fn tables_that_are_not_heard_of_are_missed() {
    assert!(missed::<Sqlite>(Deafness::Tables, false).is_some());
    assert!(missed::<Postgres>(Deafness::Tables, false).is_some());
    assert!(missed::<Mariadb>(Deafness::Tables, false).is_some());
}

#[test]
fn what_is_missed_is_shown_as_one_statement() {
    let failure = missed::<Sqlite>(Deafness::Rows, true).unwrap();
    let shown = failure.show(Sqlite::NAME);
    assert_eq!(failure.case.program.0.len(), 1, "{shown}");
    assert_eq!(failure.case.program.0[0].statements(), 1, "{shown}");
}
