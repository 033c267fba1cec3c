#![allow(clippy::unwrap_used)]

use super::*;

/// The `Spec` of a handler called `pay`, as text without spaces.
fn spec(arguments: &str) -> String {
    let args = Args::parse(arguments.parse().unwrap()).unwrap();
    let spec = args.spec(&Ident::new("pay", Span::call_site()));
    spec.to_string().split_whitespace().collect()
}

/// The builder calls alone.
fn calls(arguments: &str) -> String {
    let spec = spec(&format!("name = \"n\", {arguments}"));
    let start = "::idempotent_runtime::__private::Spec::new(\"n\")";
    let calls = spec.strip_prefix(start).unwrap();
    calls.replace("::idempotent_runtime::__private::", "")
}

/// The messages of all mistakes.
fn mistakes(arguments: &str) -> Vec<String> {
    let error = Args::parse(arguments.parse().unwrap()).err().unwrap();
    error.into_iter().map(|one| one.to_string()).collect()
}

#[track_caller]
fn only_mistake(arguments: &str, expected: &str) {
    let found = mistakes(arguments);
    assert_eq!(found.len(), 1, "{arguments}: {found:#?}");
    assert!(found[0].contains(expected), "{arguments}: {}", found[0]);
}

#[test]
fn arguments_come_in_any_order_and_with_a_comma_at_the_end() {
    let one = calls("cache = 15, lock = 3, wait = 0, keep = \"all\"");
    let other = calls("keep = \"all\", wait = 0, lock = 3, cache = 15,");
    assert_eq!(one, other);
    assert_eq!(one, ".cache(15000).lock(3000).wait(0).keep(Keep::All)");
}

#[test]
fn every_time_is_told_in_milliseconds() {
    assert_eq!(calls("cache = \"500ms\""), ".cache(500)");
    assert_eq!(calls("lock = \"24h\""), ".lock(86400000)");
    assert_eq!(calls("lock = 1, wait = \"0s\""), ".lock(1000).wait(0)");
}

#[test]
fn a_handler_is_called_by_its_module_and_name_unless_it_is_pinned() {
    let by_path = "::core::concat!(::core::module_path!(),\"::\",\"pay\")";
    assert!(spec("lock = 3").contains(by_path));
    assert!(spec("lock = 3, name = \"orders\"").contains("Spec::new(\"orders\")"));
}

#[test]
fn a_raw_name_is_told_without_its_prefix() {
    let args = Args::parse(quote!(lock = 3)).unwrap();
    let spec = args.spec(&syn::parse_str("r#match").unwrap()).to_string();
    assert!(spec.contains("\"match\""), "{spec}");
}

#[test]
fn a_renamed_crate_is_named_everywhere() {
    let spec = spec(
        "cache = 1, crate = my::own, key(path), keep = \"all\", changed = \"run\", outage = \"run\"",
    );
    assert!(!spec.contains("::idempotent_runtime"), "{spec}");
    assert_eq!(spec.matches("my::own::__private").count(), 6, "{spec}");
}

#[test]
fn every_dimension_has_its_variant() {
    let all = "path, method, query, body, host, endpoint, content_type, content_length, accept, session, remote_address, shared, headers(\"A\", \"B\")";
    let variants = "Path Method Query Body Host Endpoint ContentType ContentLength Accept Session RemoteAddress Shared";
    let found = calls(&format!("cache = 1, key({all})"));
    for variant in variants.split(' ') {
        assert!(found.contains(&format!("Dimension::{variant},")), "{found}");
    }
    assert!(
        found.contains("Dimension::Headers(&[\"A\",\"B\"])]"),
        "{found}"
    );
    let principal = calls("lock = 1, key(principal)");
    assert_eq!(
        principal,
        ".lock(1000).key(Key::Dimensions(&[Dimension::Principal]))"
    );
}

#[test]
fn a_key_is_a_header_or_a_function() {
    assert_eq!(
        calls("cache = 1, key = header(\"Idempotency-Key\")"),
        ".cache(1000).key(Key::Header(\"Idempotency-Key\"))"
    );
    assert_eq!(
        calls("cache = 1, key = keys::<A, B>::of"),
        ".cache(1000).key(Key::Function(|request,body|keys::<A,B>::of(request,body).map_err(::core::convert::Into::into)))"
    );
    assert!(calls("cache = 1, key = header").contains("|request,body|header(request,body)"));
}

#[test]
fn choices_are_strings_and_keep_may_be_a_function() {
    let choices = calls("cache = 1, keep = \"success\", changed = \"reject\", outage = \"run\"");
    assert_eq!(
        choices,
        ".cache(1000).keep(Keep::Success).changed(Changed::Reject).outage(Outage::Run)"
    );
    let function = calls("cache = 1, keep = replies::worth_it");
    assert_eq!(
        function,
        ".cache(1000).keep(Keep::Function(replies::worth_it))"
    );
}

#[test]
fn neither_cache_nor_lock_is_one_mistake() {
    for arguments in [
        "",
        "wait = 3",
        "keep = \"all\", changed = \"run\"",
        "key(path, shared)",
    ] {
        only_mistake(arguments, "expected `#[idempotent(cache = SECONDS)]`");
    }
}

#[test]
fn once_stands_alone() {
    for other in [
        "cache = 3",
        "lock = 3",
        "keep = \"all\"",
        "changed = \"run\"",
        "outage = \"run\"",
    ] {
        let name = other.split(' ').next().unwrap();
        let arguments = format!("once = 86400, {other}");
        only_mistake(&arguments, &format!("`{name}` cannot stand beside `once`"));
    }
}

#[test]
fn an_argument_that_is_not_understood_is_not_also_missing() {
    only_mistake(
        "cash = 15",
        "unknown argument `cash`; expected one of `cache`, `lock`",
    );
    only_mistake("15", "expected `#[idempotent(cache = SECONDS)]`");
    only_mistake("cache = 0", "`cache` must be at least 1 millisecond");
    only_mistake(
        "cache = 0, keep = \"all\"",
        "`cache` must be at least 1 millisecond",
    );
}

#[test]
fn independent_mistakes_are_told_together() {
    let found =
        mistakes("cache = 0, lock = -1, wait = \"soon\", colour = red, key(pth, path, headers())");
    let expected = [
        "`cache`",
        "`lock`",
        "`wait`",
        "`colour`",
        "`pth`",
        "`headers`",
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.contains(expected), "{found}");
    }
}

#[test]
fn an_argument_given_twice_is_one_mistake_whatever_its_values() {
    only_mistake("cache = 1, cache = 2", "`cache` specified more than once");
    only_mistake("cache = 1, cache = 0", "`cache` specified more than once");
    only_mistake(
        "lock = 1, key(path), key = header(\"A\")",
        "`key` specified more than once",
    );
    only_mistake(
        "lock = 1, key(path, path)",
        "`path` specified more than once",
    );
}

#[test]
fn a_bad_time_is_told_with_good_ones() {
    for wrong in ["TTL", "1.5", "15s", "\"soon\"", "true", "(1)"] {
        only_mistake(
            &format!("cache = {wrong}"),
            "`cache` takes whole seconds, as in `cache = 15`",
        );
    }
    only_mistake("lock = -1", "`lock` must be at least 1 millisecond");
    only_mistake("lock = 1, wait = -1", "`wait` must not be negative");
    only_mistake(
        "cache = 4294967296",
        "`cache` must be at most 4294967295 seconds",
    );
}

#[test]
fn a_value_that_is_not_there_is_told_with_an_example() {
    for missing in ["cache", "cache =", "cache(15)", "cache =, lock = 3"] {
        only_mistake(missing, "`cache` needs a value, as in `cache = 15`");
    }
}

#[test]
fn two_values_need_a_comma_between_them() {
    only_mistake("cache = 15 lock = 3", "expected `,`");
    only_mistake("cache = 15 * 60", "expected `,`");
}

#[test]
fn a_key_of_the_wrong_shape_is_told_with_the_right_ones() {
    for wrong in [
        "key",
        "key =",
        "key = \"path\"",
        "key = foo(\"A\")",
        "key = a + b",
    ] {
        only_mistake(
            &format!("lock = 3, {wrong}"),
            "`key` takes parts of the request",
        );
    }
    only_mistake("lock = 3, key()", "`key()` names nothing");
    only_mistake(
        "lock = 3, key(\"path\")",
        "expected one of `path`, `method`",
    );
    only_mistake(
        "lock = 3, key(uri)",
        "`uri` is no part of a request; expected one of `path`",
    );
    only_mistake(
        "lock = 3, key(headers)",
        "`headers` needs the headers' names",
    );
    only_mistake(
        "lock = 3, key(headers())",
        "`headers` needs the headers' names",
    );
    only_mistake("lock = 3, key(headers(A))", "expected a header's name");
    only_mistake(
        "lock = 3, key(headers(\"X Tenant\"))",
        "no header can have this name",
    );
    only_mistake(
        "lock = 3, key = header(\"\")",
        "no header can have this name",
    );
    only_mistake("lock = 3, key = header()", "`header` takes one name");
    only_mistake(
        "lock = 3, key = header(\"A\", \"B\")",
        "`header` takes one name",
    );
    only_mistake(
        "cache = 3, key(shared, principal)",
        "keep `shared` or `principal`",
    );
}

#[test]
fn what_is_about_kept_replies_needs_a_cache() {
    only_mistake("lock = 3, keep = \"all\"", "`keep` needs `cache`");
    only_mistake("lock = 3, changed = \"run\"", "`changed` needs `cache`");
    only_mistake("lock = 3, key(path, shared)", "`shared` needs `cache`");
}

#[test]
fn a_choice_that_is_none_is_told_with_the_choices() {
    only_mistake(
        "cache = 3, keep = \"some\"",
        "`keep` takes \"final\", \"success\", \"all\"",
    );
    only_mistake(
        "cache = 3, keep = 200",
        "`keep` takes \"final\", \"success\", \"all\"",
    );
    only_mistake(
        "cache = 3, keep = |reply| true",
        "`keep` takes \"final\", \"success\", \"all\"",
    );
    only_mistake(
        "cache = 3, changed = run",
        "`changed` takes \"run\" or \"reject\"",
    );
    only_mistake(
        "cache = 3, outage = \"panic\"",
        "`outage` takes \"run\" or \"reject\"",
    );
    only_mistake(
        "cache = 3, name = \"\"",
        "`name` takes a string that is not empty",
    );
    only_mistake(
        "cache = 3, name = pay",
        "`name` takes a string that is not empty",
    );
    only_mistake(
        "cache = 3, crate = \"a\"",
        "expected the runtime crate's path",
    );
}
