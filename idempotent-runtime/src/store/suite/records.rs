//! What is kept, for how long, and what makes it void.

use super::*;

cases![
    a_kept_record_comes_back_whole,
    a_record_answers_while_a_claim_is_set,
    a_later_record_takes_the_place_of_an_earlier_one,
    a_record_ends_with_its_life,
    a_record_of_another_epoch_is_a_miss_and_removed,
    a_record_that_never_stamped_knows_no_epoch,
    a_forgotten_record_is_gone_and_the_claim_stays,
];

async fn a_kept_record_comes_back_whole<S: Store>(bench: Bench<S>) {
    let tags = bench.renew_tags(&[&bench.tag("users:1"), &bench.tag("users:*")]);
    let claim = Claim {
        fingerprint: Some(fingerprint(7)),
        ..bench.claim("a")
    };
    promise(
        claimed(&bench.look(&claim).await, "there is none"),
        Miss::Absent,
        "what was never kept is absent",
    );
    let record = bench.record(&claim, tags);
    promise(
        bench.keep(&claim, record.clone(), LONG).await,
        true,
        "who has the claim may keep",
    );
    let (kept, left) = hit(
        bench.look(&bench.claim("a")).await,
        "a kept record is found",
    );
    promise(
        kept.execution,
        record.execution,
        "a record keeps its execution",
    );
    promise(
        kept.fingerprint,
        record.fingerprint,
        "a record keeps its fingerprint",
    );
    promise(kept.epoch, record.epoch, "a record keeps its epoch");
    promise(kept.tags.clone(), record.tags, "a record keeps its tags");
    promise(
        kept.reply.clone(),
        record.reply,
        "a reply is replayed as it was",
    );
    promise(
        left <= LONG && left > LONG / 2,
        true,
        "a hit says how long the record has left",
    );
}

async fn a_record_answers_while_a_claim_is_set<S: Store>(bench: Bench<S>) {
    let tag = bench.tag("t");
    let first = bench.run("a", bench.renew_tags(&[&tag]), LONG).await;
    hit(
        bench.look_reject(&bench.claim("a")).await,
        "a record is found whatever a retry wants after a change",
    );
    hit(
        bench.look(&first).await,
        "a record is found by its own execution, too",
    );
}

async fn a_later_record_takes_the_place_of_an_earlier_one<S: Store>(bench: Bench<S>) {
    let tag = bench.tag("t");
    bench.run("a", bench.renew_tags(&[&tag]), LONG).await;
    let versions = bench.renew_tags(&[&tag]);
    let second = bench.run("a", versions, LONG).await;
    let (kept, _) = hit(
        bench.look(&bench.claim("a")).await,
        "the record kept last is found",
    );
    promise(
        kept.execution,
        second.execution,
        "the record kept last is found",
    );
}

async fn a_record_ends_with_its_life<S: Store>(bench: Bench<S>) {
    bench.run("a", Vec::new(), SHORT).await;
    run_out().await;
    promise(
        bench.store.forget(&bench.id("a")).await.expect("forget"),
        false,
        "an expired record is not there",
    );
    let looked = bench.look(&bench.claim("a")).await;
    promise(
        claimed(&looked, "an expired record is a miss"),
        Miss::Absent,
        "an expired record is absent",
    );
}

async fn a_record_of_another_epoch_is_a_miss_and_removed<S: Store>(bench: Bench<S>) {
    for name in ["run", "reject"] {
        let claim = bench.claim(name);
        claimed(&bench.look(&claim).await, "there is none");
        let tags = bench.renew_tags(&[&bench.tag("t")]);
        let epoch = Some(bench.epoch().wrapping_add(1));
        let record = Record {
            epoch,
            ..bench.record(&claim, tags)
        };
        promise(
            bench.keep(&claim, record, LONG).await,
            true,
            "who has the claim may keep",
        );
        let retry = bench.claim(name);
        let looked = if name == "run" {
            bench.look(&retry).await
        } else {
            bench.look_reject(&retry).await
        };
        let miss = claimed(&looked, "a record of another epoch is a miss");
        promise(miss, Miss::Epoch, "the reason of a miss is told");
        promise(
            bench.store.forget(&retry.id).await.expect("forget"),
            false,
            "a record of another epoch is removed",
        );
    }
}

async fn a_record_that_never_stamped_knows_no_epoch<S: Store>(bench: Bench<S>) {
    bench.run("a", Vec::new(), LONG).await;
    let (kept, _) = hit(
        bench.look(&bench.claim("a")).await,
        "a record without tags is valid until its end",
    );
    promise(kept.epoch, None, "a record keeps its epoch");
}

async fn a_forgotten_record_is_gone_and_the_claim_stays<S: Store>(bench: Bench<S>) {
    bench.run("a", Vec::new(), LONG).await;
    promise(
        bench.store.forget(&bench.id("a")).await.expect("forget"),
        true,
        "forget says that there was a record",
    );
    promise(
        bench.store.forget(&bench.id("a")).await.expect("forget"),
        false,
        "forget says that there was none",
    );
    let claim = bench.claim("a");
    claimed(&bench.look(&claim).await, "a forgotten record is a miss");
    promise(
        bench.store.forget(&claim.id).await.expect("forget"),
        false,
        "a claim is no record",
    );
    busy(
        &bench.look(&bench.claim("a")).await,
        &claim,
        "forget leaves claims alone",
    );
}
