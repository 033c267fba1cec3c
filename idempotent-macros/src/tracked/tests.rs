#![allow(clippy::unwrap_used)]

use proc_macro2::Span;

use super::*;

fn expanded(input: TokenStream) -> String {
    let tokens = expand(&syn::parse2(input).unwrap());
    prettyplease::unparse(&syn::parse2(tokens).unwrap())
}

macro_rules! snapshot {
    ($name:ident, { $($item:tt)* }) => {
        #[test]
        fn $name() {
            insta::assert_snapshot!(expanded(quote!($($item)*)));
        }
    };
}

snapshot!(a_model_has_diesels_defaults, {
    struct OrderLine {
        id: i32,
    }
});

snapshot!(a_composite_key_keeps_its_order, {
    #[diesel(table_name = crate::schema::memberships)]
    #[diesel(primary_key(team_id, user_id))]
    struct Membership {
        user_id: i32,
        team_id: i32,
    }
});

snapshot!(diesels_other_options_are_left_to_diesel, {
    #[diesel(check_for_backend(diesel::sqlite::Sqlite, diesel::pg::Pg), belongs_to(Team, foreign_key = team))]
    #[diesel(sql_type = Pair<A, B>, treat_none_as_null = true, table_name = users, primary_key(r#type,),)]
    #[serde(table_name = nothing)]
    struct User(i32);
});

snapshot!(generics_go_to_the_impl_alone, {
    #[diesel(table_name = users)]
    struct NewUser<'a, T: Clone = i32, const N: usize = 1>
    where
        T: Send,
    {
        email: &'a [T; N],
    }
});

snapshot!(a_renamed_crate_is_named_everywhere, {
    #[tracked(crate = crate::vendor::safe)]
    struct User {
        id: i32,
    }
});

fn table_of(model: &str) -> String {
    let table = default_table(&Ident::new(model, Span::call_site()));
    quote!(#table).to_string()
}

#[test]
fn a_table_is_named_as_diesel_names_it() {
    assert_eq!(table_of("User"), "users");
    assert_eq!(table_of("OrderLine"), "order_lines");
    assert_eq!(table_of("HTTPLog"), "h_t_t_p_logs");
    assert_eq!(table_of("Person2"), "person2s");
}

fn mistakes(input: TokenStream) -> Vec<String> {
    let error = Model::read(&syn::parse2(input).unwrap()).err().unwrap();
    error.into_iter().map(|one| one.to_string()).collect()
}

#[track_caller]
fn only_mistake(input: TokenStream, expected: &str) {
    let found = mistakes(input);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0].contains(expected), "{}", found[0]);
}

#[test]
fn only_structs_are_models() {
    only_mistake(
        quote!(
            enum User {
                A,
            }
        ),
        "derived for structs",
    );
    only_mistake(quote!(union User { a: u8 }), "derived for structs");
}

#[test]
fn a_malformed_option_is_told_with_a_good_one() {
    only_mistake(
        quote!(
            #[diesel]
            struct A;
        ),
        "expected a list",
    );
    only_mistake(
        quote!(
            #[tracked = "a"]
            struct A;
        ),
        "expected a list",
    );
    only_mistake(
        quote!(
            #[diesel(table_name)]
            struct A;
        ),
        "`table_name = users`",
    );
    only_mistake(
        quote!(
            #[diesel(table_name = "users")]
            struct A;
        ),
        "`table_name = users`",
    );
    only_mistake(
        quote!(
            #[diesel(table_name(users))]
            struct A;
        ),
        "`table_name = users`",
    );
    only_mistake(
        quote!(
            #[diesel(primary_key = id)]
            struct A;
        ),
        "`primary_key(id)`",
    );
    only_mistake(
        quote!(
            #[diesel(primary_key())]
            struct A;
        ),
        "`primary_key(id)`",
    );
    only_mistake(
        quote!(
            #[diesel(primary_key("id"))]
            struct A;
        ),
        "`primary_key(id)`",
    );
    only_mistake(
        quote!(
            #[tracked(table = users)]
            struct A;
        ),
        "knows one option",
    );
    only_mistake(
        quote!(
            #[tracked(crate)]
            struct A;
        ),
        "knows one option",
    );
    only_mistake(
        quote!(
            #[tracked(crate = "a")]
            struct A;
        ),
        "the runtime crate's path",
    );
}

#[test]
fn independent_mistakes_are_told_together() {
    let found = mistakes(quote! {
        #[diesel(table_name = 1, primary_key())]
        #[tracked(colour)]
        enum User { A }
    });
    assert_eq!(found.len(), 4, "{found:#?}");
}
