//! Mistakes in the attribute and in the derive, and what the compiler says of them.
#![allow(missing_docs)]

#[test]
fn mistakes_are_explained_at_the_wrong_token() {
    let cases = trybuild::TestCases::new();
    cases.pass("ui/pass/*.rs");
    cases.compile_fail("ui/fail/*.rs");
}
