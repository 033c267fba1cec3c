//! A short run of the proof, and whether it would notice.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "tests fail by panicking"
)]

use crash::checker::Verdict;
use crash::kind::Kind;
use crash::run::{Asked, Found, run};
use diesel::{MysqlConnection, PgConnection, SqliteConnection};
use idempotent_runtime::__private::faults::Fault;

fn killed<C: Kind>(kills: usize, fault: Option<Fault>) -> Found {
    run::<C>(&Asked {
        kills,
        seed: 7,
        program: env!("CARGO_BIN_EXE_crash").into(),
        fault,
    })
}

/// Enough for each point to be died at.
#[track_caller]
fn happens_once<C: Kind>() {
    let found = killed::<C>(28, None);
    assert!(found.verdict.is_clean(), "{found}: {:#?}", found.verdict);
    assert_eq!(found.kills, 28);
    assert!(found.reached.iter().all(|deaths| *deaths > 0), "{found:?}");
    let seen = |status| found.statuses.contains_key(&status);
    assert!(seen(201) && seen(402) && seen(400), "{found:?}");
}

#[test]
fn every_effect_happens_once_on_sqlite() {
    happens_once::<SqliteConnection>();
}

#[test]
fn every_effect_happens_once_on_postgres() {
    happens_once::<PgConnection>();
}

#[test]
fn every_effect_happens_once_on_mariadb() {
    happens_once::<MysqlConnection>();
}

/// What servers with this fault are caught at, the first time.
fn caught<C: Kind>(fault: Fault) -> Verdict {
    killed::<C>(140, Some(fault)).verdict
}

#[test]
fn a_claim_after_the_effects_doubles_them() {
    let fault = Fault::ClaimAfterEffects;
    assert!(!caught::<SqliteConnection>(fault).doubled.is_empty());
    assert!(!caught::<PgConnection>(fault).doubled.is_empty());
    assert!(!caught::<MysqlConnection>(fault).doubled.is_empty());
}

#[test]
fn a_reply_in_a_transaction_of_its_own_doubles_the_effects() {
    let fault = Fault::ReplyApart;
    assert!(!caught::<SqliteConnection>(fault).doubled.is_empty());
    assert!(!caught::<PgConnection>(fault).doubled.is_empty());
    assert!(!caught::<MysqlConnection>(fault).doubled.is_empty());
}

#[test]
fn h16_h17_a_swallowed_error_that_is_trusted_loses_or_doubles_effects() {
    let fault = Fault::Unproven;
    // What comes after the error is committed statement by statement, and without a record.
    assert!(!caught::<SqliteConnection>(fault).doubled.is_empty());
    assert!(!caught::<MysqlConnection>(fault).doubled.is_empty());
    // COMMIT answers with a rollback and no error.
    assert!(!caught::<PgConnection>(fault).lost.is_empty());
}
