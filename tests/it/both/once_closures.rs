//! What a closure of `db.once` may do wrong.

use diesel::connection::{AnsiTransactionManager, TransactionManager};

use super::*;

#[test]
fn a_savepoint_that_is_not_ended_commits_nothing_and_is_no_answer() {
    let shop = Shop::new();
    shop.act("a", |conn| {
        let reply = add(conn)?;
        AnsiTransactionManager::begin_transaction(conn)?;
        Ok(reply)
    });
    let process = shop.process();
    assert_eq!(process.once("a", "k").status, 500);
    assert_eq!((shop.users(), shop.records()), (0, 0));
    shop.adds_a_user("a");
    let retry = process.once("a", "k");
    assert_eq!((retry.status, is_replay(&retry)), (201, false));
    assert_eq!((shop.users(), shop.records()), (1, 1));
}

#[test]
fn a_transaction_that_begins_anew_does_not_begin_inside_the_old_one() {
    let shop = Shop::new();
    let runs = Arc::new(AtomicUsize::new(0));
    shop.act("a", move |conn| {
        let reply = add(conn)?;
        match runs.fetch_add(1, Ordering::SeqCst) {
            0 => {
                AnsiTransactionManager::begin_transaction(conn)?;
                Err(transient())
            }
            _ => Ok(reply),
        }
    });
    let process = shop.process();
    let committed = i64::from(process.once("a", "k").status == 201);
    assert_eq!((shop.users(), shop.records()), (committed, committed));
}

#[test]
fn a_panic_inside_is_rolled_back_and_the_retry_runs() {
    let shop = Shop::new();
    shop.act("a", |conn| {
        add(conn)?;
        panic!("on purpose")
    });
    let process = shop.process();
    // More often than there are connections.
    for _ in 0..8 {
        assert_eq!(process.once("a", "k").status, 500);
    }
    assert_eq!((shop.users(), shop.records()), (0, 0));
    shop.adds_a_user("a");
    let retry = process.once("a", "k");
    assert_eq!((retry.status, is_replay(&retry)), (201, false));
    assert_eq!((shop.users(), shop.records()), (1, 1));
}

#[test]
fn a_comment_in_front_does_not_hide_what_would_end_the_transaction() {
    let shop = Shop::new();
    shop.act("a", |conn| {
        let reply = add(conn)?;
        let mut texts = vec!["-- it's\nCOMMIT", "/* it's */ COMMIT", "; COMMIT"];
        if crate::bench::has_hash_comments::<C>() {
            texts.extend(["# it's\nCOMMIT", "  # a; b\n-- c\n#\nCOMMIT"]);
        }
        for sql in texts {
            let refused = conn.batch_execute(sql).unwrap_err().to_string();
            assert!(refused.contains("is one transaction"), "{sql}: {refused}");
        }
        Ok(reply)
    });
    assert_eq!(shop.process().once("a", "k").status, 201);
    assert_eq!((shop.users(), shop.records()), (1, 1));
}

#[test]
fn a_handler_that_panics_afterwards_has_done_it_all_the_same() {
    let shop = Shop::new();
    shop.free("a", |db| async move {
        db.once(add).await?;
        panic!("on purpose")
    });
    let process = shop.process();
    assert_eq!(process.once("a", "k").status, 500);
    assert_eq!((shop.users(), shop.records()), (1, 1));
    let retry = process.once("a", "k");
    assert_eq!((retry.status, is_replay(&retry)), (201, true), "{retry:?}");
    is_the_same(&shop.process().once("a", "k"), &retry);
    assert_eq!((shop.users(), shop.records()), (1, 1));
}

#[test]
fn a_handler_that_does_not_wait_for_it_has_done_it_all_the_same() {
    let shop = Shop::new();
    let gate = Gate::closed();
    let held = gate.clone();
    shop.free("a", move |db| {
        let held = held.clone();
        async move {
            if held.runs() > 0 {
                return Ok(db.once(add).await?);
            }
            let inside = held.clone();
            let work = db.once(move |conn| {
                inside.pass_blocking();
                add(conn)
            });
            let begun = support::eventually_async("it runs", async || held.runs() > 0);
            tokio::select! {
                reply = work => Ok(reply?),
                () = begun => Ok(Reply::new(504)),
            }
        }
    });
    let (process, other) = (shop.process(), shop.process());
    assert_eq!(process.once("a", "k").status, 504);
    let retries = [&process, &other].map(|process| process.in_background("a", "k"));
    support::eventually("the retries begin", || {
        shop.acts.begun.load(Ordering::SeqCst) == 3
    });
    gate.let_through(1);
    let replies = retries.map(|retry| retry.join().unwrap());
    for reply in &replies {
        assert_eq!((reply.status, is_replay(reply)), (201, true), "{reply:?}");
    }
    is_the_same(&replies[0], &replies[1]);
    assert_eq!((shop.users(), shop.records()), (1, 1));
}
