//! A short run of histories, and whether it would notice.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "tests fail by panicking"
)]

use std::path::PathBuf;

use faults::bites::{RULES, provoke};
use faults::check::{Broken, Verdict, check};
use faults::run::random;
use faults::setup::Setup;
use faults::world::World;
use idempotent_runtime::__private::faults::Fault;

/// Within so many histories a broken rule shows.
const HISTORIES: u64 = 20;

fn world(broken: Option<Fault>) -> World {
    let name = broken.map(|fault| format!("{fault:?}"));
    World::start(PathBuf::from(env!("CARGO_BIN_EXE_faults")), name.as_deref())
}

#[track_caller]
fn assert_clean(verdict: &Verdict, what: &str) {
    let shown: Vec<_> = verdict.offences.iter().map(ToString::to_string).collect();
    assert!(shown.is_empty(), "{what}: {shown:#?}");
}

#[test]
fn random_histories_break_nothing() {
    let world = world(None);
    let mut replays = 0;
    // One of each set-up, and both servers.
    for number in 1..=4 {
        let seed = 2 * number + number % 2;
        let setup = Setup::of(seed, None);
        let verdict = check(&random(&world, number, 200, seed, setup));
        assert_clean(&verdict, &format!("seed {seed}"));
        replays += verdict.replays;
    }
    assert!(replays > 10, "{replays} replays show little");
}

#[test]
fn no_schedule_breaks_anything_while_its_rule_is_kept() {
    let world = world(None);
    for (number, rule) in (1..).zip(RULES) {
        assert_clean(&check(&provoke(&world, rule, number)), &format!("{rule:?}"));
    }
}

#[track_caller]
fn is_noticed(rule: Fault, as_what: Broken) {
    let world = world(Some(rule));
    let noticed =
        (1..=HISTORIES).any(|number| check(&provoke(&world, rule, number)).count(as_what) > 0);
    assert!(noticed, "{rule:?} breaks nothing in {HISTORIES} histories");
}

#[test]
fn h03_a_stamp_after_the_commit_is_noticed() {
    is_noticed(Fault::StampAfterCommit, Broken::Stale);
}

#[test]
fn h22_versions_of_the_client_s_clock_are_noticed() {
    is_noticed(Fault::VersionsOfClient, Broken::Stale);
}

#[test]
fn h07_a_missing_tag_that_is_taken_for_valid_is_noticed() {
    is_noticed(Fault::MissingTagValid, Broken::Stale);
}

#[test]
fn h33_a_release_without_the_token_is_noticed() {
    is_noticed(Fault::ReleaseWithoutToken, Broken::Overlap);
}

#[test]
fn h24_the_epoch_at_the_keeping_is_noticed() {
    is_noticed(Fault::EpochAtKeeping, Broken::Stale);
}

#[test]
fn a_handler_whose_changes_are_not_its_own_is_noticed() {
    is_noticed(Fault::ContextLost, Broken::Stale);
}

#[test]
fn a_copy_that_hears_of_no_change_is_noticed() {
    is_noticed(Fault::ChangesUnheard, Broken::Stale);
}
