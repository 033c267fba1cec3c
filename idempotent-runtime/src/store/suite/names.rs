//! Names are opaque, whatever they are made of.

use super::*;

cases![
    no_two_names_are_the_same,
    clear_removes_what_begins_with_the_prefix_and_nothing_else,
    clear_hands_a_lock_to_who_waits_for_it,
];

/// What trips up patterns, delimiters, C strings, scripts, paths, cases and encodings.
fn hostile() -> Vec<String> {
    let texts = [
        "",
        " ",
        "  ",
        "a",
        "A",
        "a ",
        " a",
        "a\n",
        "a\r\nDEL b",
        "\0",
        "a\0",
        "a\0b",
        "*",
        "?",
        "[ab]",
        "a*",
        "ab",
        "{a}",
        "{}",
        "{a}{b}",
        "}{",
        ":",
        "a:",
        ":a",
        "a::b",
        "a:b",
        "\\",
        "\\*",
        "%",
        "%00",
        "'",
        "\"",
        "../a",
        "/",
        "ä",
        "a\u{308}",
        "\u{1f980}",
        "\u{202e}a",
        ":record",
        "a:claim",
        "a:lock",
        "tag:a",
        "nil",
        "-1",
    ];
    let long = ["x".repeat(4000), "x".repeat(4001)];
    texts
        .iter()
        .map(|text| (*text).to_owned())
        .chain(long)
        .collect()
}

async fn no_two_names_are_the_same<S: Store>(bench: Bench<S>) {
    let names = hostile();
    for name in &names {
        let tag = bench.tag(name);
        promise(bench.version(&tag), None, "no two tags are the same");
        bench.run(name, bench.renew_tags(&[&tag]), LONG).await;
        promise(
            bench.lock(&bench.claim(name), Duration::ZERO).await,
            true,
            "no two locks are the same",
        );
    }
    for name in &names {
        let (kept, _) = hit(bench.look(&bench.claim(name)).await, "names are opaque");
        promise(
            kept.reply.bytes(),
            bench.id(name).as_str().as_bytes(),
            "no two request ids are the same",
        );
        bench.renew_tags(&[&bench.tag(name)]);
        let ended = claimed(
            &bench.look(&bench.claim(name)).await,
            "a tag ends its own record",
        );
        promise(
            ended,
            Miss::Changed(bench.tag(name)),
            "a miss names the tag as it was given",
        );
    }
}

async fn clear_removes_what_begins_with_the_prefix_and_nothing_else<S: Store>(bench: Bench<S>) {
    for (name, gone) in [
        ("a*", true),
        ("a*b", true),
        ("ab", false),
        ("a", false),
        ("", false),
        ("A*", false),
    ] {
        let (record, claim) = (
            format!("{name}:record"),
            bench.claim(&format!("{name}:claim")),
        );
        let (tag, lock) = (
            bench.tag(&format!("{name}:tag")),
            bench.claim(&format!("{name}:lock")),
        );
        bench.run(&record, Vec::new(), LONG).await;
        bench.renew_tags(&[&tag]);
        claimed(&bench.look(&claim).await, "there is none");
        promise(
            bench.lock(&lock, Duration::ZERO).await,
            true,
            "a free lock is taken",
        );
        bench
            .store
            .clear(&format!("{}a*", bench.prefix))
            .await
            .expect("clear");
        let left = [
            bench
                .store
                .forget(&bench.id(&record))
                .await
                .expect("forget"),
            bench.version(&tag).is_some(),
            bench.renew(&claim).await,
            bench.unlock(&lock).await,
        ];
        promise(
            left,
            [!gone; 4],
            &format!("`clear` of a* removes record, tag, claim and lock of {name:?}: {gone}"),
        );
    }
}

async fn clear_hands_a_lock_to_who_waits_for_it<S: Store>(bench: Bench<S>) {
    let (holder, next) = (bench.claim("a"), bench.claim("a"));
    promise(
        bench.lock(&holder, Duration::ZERO).await,
        true,
        "a free lock is taken",
    );
    let clear = async {
        tokio::time::sleep(SHORT / 3).await;
        bench.store.clear(&bench.prefix).await.expect("clear");
        Instant::now()
    };
    let (taken, since) = futures_util::future::join(bench.lock(&next, LONG), clear).await;
    promise(taken, true, "who waits for a lock that was cleared gets it");
    soon(since, "clearing wakes those who wait");
    promise(
        bench.unlock(&holder).await,
        false,
        "a cleared lock is nobody's any more",
    );
}
