//! One execution at a time under a request id, and those who wait for it.

use futures_util::future::{join, join_all};

use super::*;

cases![
    of_many_looks_one_gets_the_claim,
    a_look_repeated_with_its_token_is_claimed_again,
    only_the_claims_own_token_ends_it,
    a_lapsed_claim_is_as_none,
    a_renewed_claim_does_not_lapse,
    a_repeated_look_renews_the_claim,
    waiting_for_no_claim_is_over_at_once,
    waiting_is_bounded,
    those_who_wait_are_woken_when_the_claim_ends,
    those_who_wait_are_woken_when_the_lease_lapses,
    a_renewed_claim_is_waited_for,
];

async fn of_many_looks_one_gets_the_claim<S: Store>(bench: Bench<S>) {
    let claims: Vec<_> = (0..32)
        .map(|n| Claim {
            fingerprint: Some(fingerprint(n)),
            ..bench.claim("a")
        })
        .collect();
    let looked = join_all(claims.iter().map(|claim| bench.look(claim))).await;
    let winners: Vec<_> = (0..32)
        .filter(|n| matches!(looked[*n], Looked::Claimed(_)))
        .collect();
    promise(
        winners.len(),
        1,
        "of many looks at once just one gets the claim",
    );
    for (n, looked) in looked.iter().enumerate().filter(|(n, _)| *n != winners[0]) {
        busy(
            looked,
            &claims[winners[0]],
            &format!("look {n} is told who is busy, and with which payload"),
        );
    }
}

async fn a_look_repeated_with_its_token_is_claimed_again<S: Store>(bench: Bench<S>) {
    let claim = bench.claim("a");
    for _ in 0..2 {
        claimed(
            &bench.look(&claim).await,
            "a look repeated with the token of the claim is claimed again",
        );
    }
    let other = bench.claim("a");
    busy(
        &bench.look(&other).await,
        &claim,
        "an execution under way is busy",
    );
    claimed(
        &bench.look(&bench.claim("b")).await,
        "an execution under another id is of no concern",
    );
}

async fn only_the_claims_own_token_ends_it<S: Store>(bench: Bench<S>) {
    let (claim, thief) = (bench.claim("a"), bench.claim("a"));
    claimed(&bench.look(&claim).await, "there is none");
    promise(
        bench.renew(&thief).await,
        false,
        "another's claim cannot be renewed",
    );
    bench.release(&thief).await;
    let stolen = bench
        .keep(&thief, bench.record(&thief, Vec::new()), LONG)
        .await;
    promise(stolen, false, "nothing is kept without the claim");
    busy(
        &bench.look(&bench.claim("a")).await,
        &claim,
        "another's token does not end a claim",
    );
    bench.release(&claim).await;
    bench.release(&claim).await;
    let late = bench
        .keep(&claim, bench.record(&claim, Vec::new()), LONG)
        .await;
    promise(late, false, "nothing is kept after the claim was released");
    let miss = claimed(
        &bench.look(&bench.claim("a")).await,
        "a released claim is gone",
    );
    promise(miss, Miss::Absent, "what was refused was not kept");
}

async fn a_lapsed_claim_is_as_none<S: Store>(bench: Bench<S>) {
    let lapsed = short(bench.claim("a"));
    claimed(&bench.look(&lapsed).await, "there is none");
    run_out().await;
    promise(
        bench.renew(&lapsed).await,
        false,
        "a lapsed claim cannot be renewed",
    );
    let late = bench
        .keep(&lapsed, bench.record(&lapsed, Vec::new()), LONG)
        .await;
    promise(late, false, "nothing is kept after the claim has lapsed");
    let next = bench.claim("a");
    claimed(
        &bench.look(&next).await,
        "a lapsed claim is in nobody's way",
    );
    bench.release(&lapsed).await;
    busy(
        &bench.look(&bench.claim("a")).await,
        &next,
        "who lost the claim does not end the next one's",
    );
}

async fn a_renewed_claim_does_not_lapse<S: Store>(bench: Bench<S>) {
    let claim = bench.claim("a");
    claimed(&bench.look(&short(claim.clone())).await, "there is none");
    promise(
        bench.renew(&claim).await,
        true,
        "a claim that is set can be renewed",
    );
    run_out().await;
    busy(
        &bench.look(&bench.claim("a")).await,
        &claim,
        "a renewed claim has its lease anew",
    );
    let kept = bench
        .keep(&claim, bench.record(&claim, Vec::new()), LONG)
        .await;
    promise(kept, true, "who renewed the claim may keep");
}

async fn a_repeated_look_renews_the_claim<S: Store>(bench: Bench<S>) {
    let claim = bench.claim("a");
    claimed(&bench.look(&short(claim.clone())).await, "there is none");
    claimed(
        &bench.look(&claim).await,
        "a look repeated with the token of the claim is claimed again",
    );
    run_out().await;
    busy(
        &bench.look(&bench.claim("a")).await,
        &claim,
        "a repeated look gives the claim its lease anew",
    );
}

async fn waiting_for_no_claim_is_over_at_once<S: Store>(bench: Bench<S>) {
    let (claim, other) = (bench.claim("a"), bench.claim("a"));
    let start = Instant::now();
    promise(
        bench.ended(&claim, LONG).await,
        true,
        "a claim that is not there has ended",
    );
    claimed(&bench.look(&claim).await, "there is none");
    promise(
        bench.ended(&other, LONG).await,
        true,
        "the claim of another execution is not waited for",
    );
    soon(start, "what has ended is not waited for");
}

async fn waiting_is_bounded<S: Store>(bench: Bench<S>) {
    let claim = bench.claim("a");
    claimed(&bench.look(&claim).await, "there is none");
    let start = Instant::now();
    promise(
        bench.ended(&claim, Duration::ZERO).await,
        false,
        "a claim that is set has not ended",
    );
    promise(
        bench.ended(&claim, SHORT).await,
        false,
        "a claim that is set has not ended",
    );
    promise(
        start.elapsed() >= SHORT,
        true,
        "`ended` waits for as long as it is told",
    );
    soon(start, "`ended` waits no longer than it is told");
}

async fn those_who_wait_are_woken_when_the_claim_ends<S: Store>(bench: Bench<S>) {
    for how in ["keep", "release", "clear"] {
        let claim = bench.claim(how);
        claimed(&bench.look(&claim).await, "there is none");
        let waiters = join_all((0..8).map(|_| bench.ended(&claim, LONG)));
        let end = async {
            tokio::time::sleep(SHORT / 3).await;
            match how {
                "keep" => drop(
                    bench
                        .keep(&claim, bench.record(&claim, Vec::new()), LONG)
                        .await,
                ),
                "release" => bench.release(&claim).await,
                _ => bench.store.clear(claim.id.as_str()).await.expect("clear"),
            }
            Instant::now()
        };
        let (ended, since) = join(waiters, end).await;
        promise(
            ended,
            vec![true; 8],
            "those who wait are told that the claim has ended",
        );
        soon(since, &format!("{how} wakes all who wait"));
    }
}

async fn those_who_wait_are_woken_when_the_lease_lapses<S: Store>(bench: Bench<S>) {
    let claim = short(bench.claim("a"));
    claimed(&bench.look(&claim).await, "there is none");
    let start = Instant::now();
    promise(
        bench.ended(&claim, LONG).await,
        true,
        "a claim has ended when its lease has run out",
    );
    soon(start, "the end of a lease wakes those who wait");
}

async fn a_renewed_claim_is_waited_for<S: Store>(bench: Bench<S>) {
    let claim = bench.claim("a");
    claimed(&bench.look(&short(claim.clone())).await, "there is none");
    let (ended, renewed) = join(bench.ended(&claim, 2 * SHORT), bench.renew(&claim)).await;
    promise(renewed, true, "a claim that is set can be renewed");
    promise(
        ended,
        false,
        "a renewed claim has not ended when its first lease has",
    );
}
