use super::*;
use crate::history::{Body, End, LOCK, Operation, RECORD, Reply, Span, Turn, Way};
use crate::request::{Kind, Request};

const A: i64 = 10;

fn request(kind: Kind) -> Request {
    Request {
        kind,
        history: 1,
        name: 0,
    }
}

fn change(run: &str, kind: Kind, version: i64) -> Change {
    Change {
        run: run.to_owned(),
        request: request(kind),
        process: 1,
        row: A,
        version,
    }
}

fn answer(run: &str, kind: Kind, version: i64, way: Way, owed: bool) -> End {
    let rows = vec![(A, version)];
    End::Reply(Reply {
        status: 200,
        way,
        run: run.to_owned(),
        body: Body::new(run, &request(kind).to_string(), rows, owed).to_text(),
    })
}

fn operation(kind: Kind, process: u64, (sent, ended): (u64, u64), end: End) -> Operation {
    Operation {
        request: request(kind),
        process,
        staleness: 0,
        sent,
        ended,
        end,
    }
}

/// `e` changes the row and is kept; `f`, of this kind, changes it within 20 to 30; `e` is replayed by another process
/// within these times.
fn replayed(kind: Kind, owed: bool, times: (u64, u64)) -> History {
    let own = |run, kind, version| answer(run, kind, version, Way::Own, owed && run == "f");
    let hit = answer("e", Kind::Cached, 1, Way::Hit, false);
    History {
        operations: vec![
            operation(Kind::Cached, 1, (0, 10), own("e", Kind::Cached, 1)),
            operation(kind, 1, (20, 30), own("f", kind, 2)),
            operation(Kind::Cached, 2, times, hit),
        ],
        changes: vec![change("e", Kind::Cached, 1), change("f", kind, 2)],
        ..History::default()
    }
}

fn counts(history: &History) -> [usize; 5] {
    let verdict = check(history);
    let all = [
        Broken::Stale,
        Broken::Overlap,
        Broken::Torn,
        Broken::Stuck,
        Broken::Leaked,
    ];
    all.map(|broken| verdict.count(broken))
}

const CLEAN: [usize; 5] = [0; 5];
const STALE: [usize; 5] = [1, 0, 0, 0, 0];
const OVERLAP: [usize; 5] = [0, 1, 0, 0, 0];
const TORN: [usize; 5] = [0, 0, 1, 0, 0];
const LEAKED: [usize; 5] = [0, 0, 0, 0, 1];

#[test]
fn a_replay_sent_after_a_change_is_stale() {
    assert_eq!(counts(&replayed(Kind::Plain, false, (31, 40))), STALE);
    assert_eq!(counts(&replayed(Kind::Locked, false, (31, 40))), STALE);
}

#[test]
fn a_replay_that_overlaps_the_change_is_not() {
    assert_eq!(counts(&replayed(Kind::Plain, false, (29, 40))), CLEAN);
}

#[test]
fn a_change_that_was_seen_was_committed_by_then() {
    let mut history = replayed(Kind::Plain, false, (50, 60));
    history.operations[1].end = End::Cut;
    history.changes[1].request.kind = Kind::Locked;
    assert_eq!(counts(&history), CLEAN);
    let mut seen = operation(
        Kind::Read,
        1,
        (40, 45),
        answer("r", Kind::Read, 2, Way::Own, false),
    );
    history.operations.push(seen.clone());
    assert_eq!(counts(&history), STALE);
    // Not yet, when it was seen after the replay was sent.
    seen.ended = 55;
    *history.operations.last_mut().expect("there is one") = seen;
    assert_eq!(counts(&history), CLEAN);
}

#[test]
fn what_a_plain_writer_owes_is_excused_in_other_processes_only() {
    let mut history = replayed(Kind::Plain, true, (31, 40));
    assert_eq!(counts(&history), CLEAN);
    assert_eq!(check(&history).owed, 1);
    history.operations[2].process = 1;
    assert_eq!(counts(&history), STALE);
}

#[test]
fn a_change_may_be_unheard_for_as_long_as_was_promised_and_in_other_processes_only() {
    let of = |process, sent| {
        let mut history = replayed(Kind::Locked, false, (sent, sent + 1));
        history.operations[2].process = process;
        history.operations[2].staleness = 100;
        (counts(&history), check(&history).unheard)
    };
    assert_eq!(of(2, 129), (CLEAN, 1));
    assert_eq!(of(2, 130), (STALE, 0));
    assert_eq!(of(1, 31), (STALE, 0));
}

#[test]
fn a_debt_does_not_excuse_what_another_change_has_ended() {
    let mut history = replayed(Kind::Plain, true, (61, 70));
    let third = answer("g", Kind::Locked, 3, Way::Own, false);
    history
        .operations
        .push(operation(Kind::Locked, 1, (50, 60), third));
    history.changes.push(change("g", Kind::Locked, 3));
    assert_eq!(counts(&history), STALE);
}

#[test]
fn who_follows_an_execution_overlaps_it() {
    let mut history = replayed(Kind::Plain, false, (31, 40));
    history.operations[2].end = answer("e", Kind::Cached, 1, Way::Collapsed, false);
    assert_eq!(counts(&history), STALE);
    history.operations[0].ended = 35;
    assert_eq!(counts(&history), CLEAN);
}

#[test]
fn a_replay_of_anything_else_is_torn() {
    let of = |end| {
        let mut history = replayed(Kind::Plain, false, (15, 18));
        history.operations[2].end = end;
        counts(&history)
    };
    assert_eq!(of(answer("e", Kind::Cached, 1, Way::Hit, false)), CLEAN);
    assert_eq!(of(answer("e", Kind::Cached, 3, Way::Hit, false)), TORN);
    assert_eq!(of(answer("x", Kind::Cached, 1, Way::Hit, false)), TORN);
    assert_eq!(of(answer("e", Kind::Both, 1, Way::Hit, false)), TORN);
    let End::Reply(mut reply) = answer("e", Kind::Cached, 1, Way::Hit, false) else {
        unreachable!()
    };
    reply.body.pop();
    assert_eq!(of(End::Reply(reply)), TORN);
}

#[test]
fn a_record_that_outlives_its_time_is_leaked() {
    let mut history = replayed(Kind::Plain, false, (RECORD + 200_000, RECORD + 200_001));
    history.operations.remove(1);
    history.changes.remove(1);
    assert_eq!(counts(&history), LEAKED);
    history.operations[1].sent = RECORD;
    assert_eq!(counts(&history), CLEAN);
}

#[test]
fn what_never_ends_is_stuck() {
    let mut history = replayed(Kind::Plain, false, (15, 18));
    history.operations[2].end = End::Never;
    assert_eq!(counts(&history), [0, 0, 0, 1, 0]);
    history.operations[2].end = End::Cut;
    assert_eq!(counts(&history), CLEAN);
}

fn turn(run: &str, entered: u64, left: Option<u64>) -> Turn {
    Turn {
        lock: "locked/0".to_owned(),
        run: run.to_owned(),
        asked: entered - 5,
        entered,
        left,
        lost: false,
    }
}

#[test]
fn two_holders_overlap_unless_the_first_has_lost_its_lease() {
    let mut history = History {
        turns: vec![turn("b", 20, Some(40)), turn("a", 10, Some(30))],
        ..History::default()
    };
    assert_eq!(counts(&history), OVERLAP);
    history.turns[1].left = Some(20);
    assert_eq!(counts(&history), CLEAN);
    history.turns[1].left = None;
    assert_eq!(counts(&history), CLEAN);
}

#[test]
fn a_lease_that_was_lost_before_it_was_over_is_no_excuse() {
    let of = |lost, entered| {
        let mut first = turn("a", 10, Some(LOCK + 90));
        first.lost = lost;
        let turns = vec![first, turn("b", entered, Some(LOCK + 99))];
        counts(&History {
            turns,
            ..History::default()
        })
    };
    assert_eq!(of(true, LOCK + 6), CLEAN);
    assert_eq!(of(false, LOCK + 6), OVERLAP);
    assert_eq!(of(true, LOCK), OVERLAP);
}

#[test]
fn a_loss_excuses_only_those_who_held_the_lock_by_then() {
    let mut history = History {
        turns: vec![turn("a", 10, Some(30)), turn("b", 20, Some(40))],
        ..History::default()
    };
    history.losses = vec![Span { from: 21, to: 60 }];
    assert_eq!(counts(&history), OVERLAP);
    history.losses = vec![Span { from: 0, to: 4 }];
    assert_eq!(counts(&history), OVERLAP);
    history.losses = vec![Span { from: 12, to: 13 }];
    assert_eq!(counts(&history), CLEAN);
    assert_eq!(check(&history).lost, 1);
}
