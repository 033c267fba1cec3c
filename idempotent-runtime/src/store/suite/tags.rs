//! Versions of tags, and the records that depend on them.

use std::collections::HashSet;

use super::*;

cases![
    a_stamp_tells_versions_before_and_after_in_order,
    a_stamp_that_does_not_create_leaves_missing_tags_missing,
    asking_changes_no_version,
    versions_never_recur,
    any_renewed_tag_ends_the_record,
    a_missing_tag_is_a_miss,
    a_late_duplicate_stamp_ends_the_record,
    the_life_of_a_tag_only_grows,
    a_tag_lives_as_long_as_a_record_that_depends_on_it,
    a_rejected_retry_stays_rejected_until_the_records_end,
    a_stamp_needs_no_runtime,
];

fn tags_of<S: Store>(bench: &Bench<S>, names: &[&str], renew: bool) -> Vec<TagStamp> {
    names
        .iter()
        .map(|name| TagStamp {
            tag: bench.tag(name),
            renew,
        })
        .collect()
}

async fn a_stamp_tells_versions_before_and_after_in_order<S: Store>(bench: Bench<S>) {
    let first = tags_of(&bench, &["a", "b"], true);
    let first = bench.stamp(&Stamp {
        tags: &first,
        create: true,
        life: LONG,
        nonce: 1,
    });
    let [(None, Some(a)), (None, Some(b))] = first.versions[..] else {
        panic!(
            "the contract promises: a new tag has a version after the stamp and none before. Seen {first:?}"
        );
    };
    let mut second = tags_of(&bench, &["b", "c"], true);
    second.extend(tags_of(&bench, &["a"], false));
    let second = bench.stamp(&Stamp {
        tags: &second,
        create: true,
        life: LONG,
        nonce: 2,
    });
    promise(
        second.epoch,
        first.epoch,
        "the epoch of a store that lost nothing stays",
    );
    let befores: Vec<_> = second.versions.iter().map(|(before, _)| *before).collect();
    promise(
        befores,
        vec![Some(b), None, Some(a)],
        "a stamp tells the versions before it, in the order of its tags",
    );
    promise(
        second.versions[0].1 != Some(b),
        true,
        "a renewed tag has another version",
    );
    promise(
        second.versions[2].1,
        Some(a),
        "a tag that is only asked for keeps its version",
    );
}

async fn a_stamp_that_does_not_create_leaves_missing_tags_missing<S: Store>(bench: Bench<S>) {
    let old = bench.renew_tags(&[&bench.tag("there")]);
    let tags = [
        tags_of(&bench, &["there", "gone"], true),
        tags_of(&bench, &["away"], false),
    ]
    .concat();
    let stamped = bench.stamp(&Stamp {
        tags: &tags,
        create: false,
        life: LONG,
        nonce: 3,
    });
    promise(
        stamped.versions[0].0,
        Some(old[0].1),
        "a tag that exists is known to every stamp",
    );
    promise(
        stamped.versions[0].1 != Some(old[0].1),
        true,
        "a tag that exists gets its new version from every stamp",
    );
    promise(
        &stamped.versions[1..],
        &[(None, None), (None, None)],
        "without `create` a missing tag stays missing",
    );
    promise(
        bench.version(&bench.tag("gone")),
        None,
        "without `create` a missing tag stays missing",
    );
}

async fn asking_changes_no_version<S: Store>(bench: Bench<S>) {
    let tags = tags_of(&bench, &["a"], false);
    let stamp = Stamp {
        tags: &tags,
        create: true,
        life: LONG,
        nonce: 4,
    };
    let created = bench.stamp(&stamp).versions[0];
    promise(
        created.0.is_none() && created.1.is_some(),
        true,
        "a tag that is asked for is created, too",
    );
    promise(
        bench.stamp(&stamp).versions[0],
        (created.1, created.1),
        "asking for a tag changes nothing",
    );
}

async fn versions_never_recur<S: Store>(bench: Bench<S>) {
    let mut seen = HashSet::new();
    let tags = tags_of(&bench, &["a", "b"], true);
    for round in 0..4 {
        // The same nonce each time: a client's chance must not be all there is.
        let stamped = bench.stamp(&Stamp {
            tags: &tags,
            create: true,
            life: SHORT,
            nonce: 5,
        });
        for ((_, version), tag) in stamped.versions.iter().zip(&tags) {
            promise(
                seen.insert((tag.tag.clone(), *version)),
                true,
                "no version of a tag ever comes twice",
            );
        }
        match round {
            1 => run_out().await,
            2 => bench.store.clear(&bench.prefix).await.expect("clear"),
            _ => {}
        }
    }
}

async fn any_renewed_tag_ends_the_record<S: Store>(bench: Bench<S>) {
    let names = ["users:1", "users:2", "users:*"];
    for name in names {
        let tags: Vec<_> = names.iter().map(|name| bench.tag(name)).collect();
        bench
            .run(
                "a",
                bench.renew_tags(&tags.iter().collect::<Vec<_>>()),
                LONG,
            )
            .await;
        hit(
            bench.look(&bench.claim("a")).await,
            "a record is valid while all of its tags are as they were",
        );
        let tag = [renewal(&bench.tag(name))];
        bench.stamp(&Stamp {
            tags: &tag,
            create: false,
            life: LONG,
            nonce: random(),
        });
        let retry = bench.claim("a");
        let miss = claimed(
            &bench.look(&retry).await,
            "one renewed tag is enough to end a record",
        );
        promise(
            miss,
            Miss::Changed(bench.tag(name)),
            "a miss names the tag that ended the record",
        );
        bench.release(&retry).await;
        let again = bench.claim("a");
        let miss = claimed(
            &bench.look(&again).await,
            "a void record does not come back",
        );
        promise(miss, Miss::Absent, "a void record is removed");
        bench.release(&again).await;
    }
}

async fn a_missing_tag_is_a_miss<S: Store>(bench: Bench<S>) {
    let mut tags = bench.renew_tags(&[&bench.tag("there")]);
    let missing = bench.tag("missing");
    // One that the store has given, as it may tell from others those that it has not.
    let stamped = bench.stamp(&Stamp {
        tags: &[renewal(&missing)],
        create: true,
        life: SHORT,
        nonce: random(),
    });
    let version = stamped.versions[0].1.expect("a created tag has a version");
    while bench.version(&missing).is_some() {
        run_out().await;
    }
    tags.push((missing.clone(), version));
    bench.run("a", tags, LONG).await;
    let miss = claimed(
        &bench.look(&bench.claim("a")).await,
        "a record without one of its tags is void",
    );
    promise(
        miss,
        Miss::Changed(missing.clone()),
        "a miss names the tag that is missing",
    );
    promise(
        bench.version(&missing),
        None,
        "keeping a record creates no tags",
    );
}

async fn a_late_duplicate_stamp_ends_the_record<S: Store>(bench: Bench<S>) {
    let tags = tags_of(&bench, &["a"], true);
    let stamp = Stamp {
        tags: &tags,
        create: true,
        life: LONG,
        nonce: 6,
    };
    let version = bench.stamp(&stamp).versions[0]
        .1
        .expect("a created tag has a version");
    bench.stamp(&Stamp {
        nonce: 7,
        ..stamp.clone()
    });
    bench.stamp(&stamp); // As a message that was sent twice.
    bench.run("a", vec![(bench.tag("a"), version)], LONG).await;
    let looked = bench.look(&bench.claim("a")).await;
    let miss = claimed(
        &looked,
        "a stamp that arrives twice does not bring an old version back",
    );
    promise(
        miss,
        Miss::Changed(bench.tag("a")),
        "a miss names the tag that ended the record",
    );
}

async fn the_life_of_a_tag_only_grows<S: Store>(bench: Bench<S>) {
    let tags = tags_of(&bench, &["a", "b"], true);
    bench.stamp(&Stamp {
        tags: &tags[..1],
        create: true,
        life: LONG,
        nonce: 8,
    });
    bench.stamp(&Stamp {
        tags: &tags,
        create: true,
        life: SHORT,
        nonce: 9,
    });
    run_out().await;
    promise(
        bench.version(&bench.tag("a")).is_some(),
        true,
        "a stamp with a shorter life leaves a tag its longer one",
    );
    promise(
        bench.version(&bench.tag("b")),
        None,
        "a tag is gone after its life",
    );
}

async fn a_tag_lives_as_long_as_a_record_that_depends_on_it<S: Store>(bench: Bench<S>) {
    let tags = tags_of(&bench, &["a"], true);
    let stamped = bench.stamp(&Stamp {
        tags: &tags,
        create: true,
        life: SHORT,
        nonce: 10,
    });
    let version = stamped.versions[0].1.expect("a created tag has a version");
    bench.run("a", vec![(bench.tag("a"), version)], LONG).await;
    run_out().await;
    hit(
        bench.look(&bench.claim("a")).await,
        "a tag lives at least as long as a record that depends on it",
    );
}

async fn a_rejected_retry_stays_rejected_until_the_records_end<S: Store>(bench: Bench<S>) {
    let tag = bench.tag("t");
    for life in [SHORT, LONG] {
        bench.run("a", bench.renew_tags(&[&tag]), life).await;
        bench.renew_tags(&[&tag]);
        for _ in 0..2 {
            let looked = bench.look_reject(&bench.claim("a")).await;
            let seen = matches!(&looked, Looked::Changed(ended, _) if *ended == tag);
            assert!(
                seen,
                "the contract promises: a void record stays where retries are rejected. Seen {looked:?}"
            );
        }
        if life == SHORT {
            run_out().await;
            let late = bench.claim("a");
            let miss = claimed(
                &bench.look_reject(&late).await,
                "a void record stays no longer than its life",
            );
            promise(miss, Miss::Absent, "an expired record is absent");
            bench.release(&late).await;
        }
    }
    let miss = claimed(
        &bench.look(&bench.claim("a")).await,
        "who runs again sets the claim in spite of it",
    );
    promise(miss, Miss::Changed(tag), "the reason of a miss is told");
}

async fn a_stamp_needs_no_runtime<S: Store>(bench: Bench<S>) {
    let store = bench.store.clone();
    let tag = bench.tag("a");
    let stamped = std::thread::spawn(move || {
        let tags = [renewal(&tag)];
        store
            .stamp(&Stamp {
                tags: &tags,
                create: true,
                life: LONG,
                nonce: 11,
            })
            .map(|stamped| stamped.versions[0].1)
    });
    let version = stamped
        .join()
        .expect("a stamp from a plain thread")
        .expect("stamp");
    promise(
        bench.version(&bench.tag("a")),
        version,
        "a stamp works on any thread",
    );
}
