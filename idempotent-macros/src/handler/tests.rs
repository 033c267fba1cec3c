#![allow(clippy::unwrap_used)]

use super::*;

/// The expansion as an editor would show it.
fn expanded(args: TokenStream, item: TokenStream) -> String {
    let tokens = expand(args, item);
    prettyplease::unparse(&syn::parse2(tokens).unwrap())
}

macro_rules! snapshot {
    ($name:ident, ($($args:tt)*), { $($item:tt)* }) => {
        #[test]
        fn $name() {
            insta::assert_snapshot!(expanded(quote!($($args)*), quote!($($item)*)));
        }
    };
}

snapshot!(a_route_attribute_above_is_not_ours_to_see, (cache = 15), {
    async fn put_user(
        form: web::Json<NewUser>,
        db: Db<SqliteConnection>,
    ) -> actix_web::Result<impl Responder> {
        Ok(web::Json(form.into_inner()))
    }
});

snapshot!(a_route_attribute_below_stays_outside, (cache = 15), {
    /// Makes a user.
    #[put("/user")]
    pub(crate) async fn put_user(form: web::Json<NewUser>) -> impl Responder {
        form.into_inner()
    }
});

snapshot!(
    a_namespaced_route_attribute_stays_outside,
    (lock = "500ms"),
    {
        #[actix_web::route("/user", method = "PUT", method = "POST")]
        async fn put_user() -> impl Responder {
            ""
        }
    }
);

snapshot!(
    attributes_about_the_item_stay_outside_and_others_go_inside,
    (lock = 3),
    {
        /// Docs.
        #[cfg(feature = "users")]
        #[cfg_attr(docsrs, doc(hidden))]
        #[allow(clippy::too_many_lines)]
        #[deprecated]
        #[instrument(skip_all)]
        #[get("/")]
        #[other::get("/")]
        async fn get_user() -> impl Responder {
            #![expect(unused_variables)]
            let x = 1;
            ""
        }
    }
);

snapshot!(
    every_argument_is_one_call,
    (
        cache = "24h",
        lock = 3,
        wait = 0,
        key(path, headers("X-Tenant", "X-Region"), shared),
        keep = "success",
        changed = "reject",
        outage = "run",
        name = "orders"
    ),
    {
        async fn order(
            web::Path((shop, id)): web::Path<(String, i64)>,
            mut body: web::Bytes,
        ) -> HttpResponse {
            HttpResponse::Ok().body(body.split_off(1))
        }
    }
);

snapshot!(
    a_key_can_be_a_header,
    (cache = "24h", key = header("Idempotency-Key")),
    {
        async fn order() -> HttpResponse {
            HttpResponse::Ok().finish()
        }
    }
);

snapshot!(
    functions_say_the_key_and_what_is_kept,
    (cache = 1, key = keys::of, keep = replies::worth_it),
    {
        async fn order() -> HttpResponse {
            HttpResponse::Ok().finish()
        }
    }
);

snapshot!(
    a_renamed_crate_is_named_everywhere,
    (cache = 1, crate = crate::vendor::safe),
    {
        async fn order() -> actix_web::Result<HttpResponse> {
            web::block(work).await?;
            Ok(HttpResponse::Ok().finish())
        }
    }
);

snapshot!(
    calls_of_block_become_the_runtimes_and_nothing_else_does,
    (cache = 1),
    {
        async fn order(pool: web::Data<Pool>) -> actix_web::Result<impl Responder> {
            let a = web::block(move || pool.get()).await??;
            let b = actix_web::web::block::<_, i32>(|| 1).await?;
            let c = ::actix_web::web::block(|| web::block(nested)).await?;
            let d = async { web::block(inside).await };
            let e = join!(web::block(in_a_macro), d);
            let f = web::block;
            let g = other::web::block(not_actix).await;
            let h = block(imported).await;
            async fn item() {
                web::block(in_an_item).await;
            }
            Ok("")
        }
    }
);

snapshot!(a_mistake_leaves_the_handler_as_it_was, (cache = 0), {
    /// Docs.
    #[put("/user")]
    async fn put_user(form: web::Json<NewUser>) -> impl Responder {
        form.into_inner()
    }
});

snapshot!(a_handler_that_cannot_serve_is_replaced, (cache = 15), {
    /// Docs.
    #[put("/user")]
    #[instrument]
    pub fn put_user<T>(&self) -> HttpResponse {
        HttpResponse::Ok().finish()
    }
});

fn mistakes(item: TokenStream) -> Vec<String> {
    let mut errors = Errors::default();
    let mut handler: Handler = syn::parse2(item).unwrap();
    handler.take_repeated(&mut errors);
    handler.check(&mut errors);
    let error = errors.or(()).err().unwrap();
    error.into_iter().map(|one| one.to_string()).collect()
}

#[test]
fn every_mistake_of_a_signature_is_told() {
    let found = mistakes(quote! {
        #[idempotent(lock = 3)]
        const unsafe extern "C" fn f<T>(self, x: impl FromRequest, ...) -> HttpResponse {}
    });
    let expected = [
        "twice",
        "must be an `async fn`",
        "cannot be `const`",
        "cannot be `unsafe`",
        "cannot be `extern \"C\"`",
        "cannot be generic",
        "cannot take `self`",
        "cannot take `impl Trait`",
        "cannot take `...`",
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.contains(expected), "{found}");
    }
}

#[test]
fn mistakes_of_arguments_and_signature_are_told_together() {
    let tokens = expand(
        quote!(cache = 0),
        quote!(
            fn f() -> HttpResponse {}
        ),
    )
    .to_string();
    assert_eq!(tokens.matches("compile_error").count(), 2, "{tokens}");
}

#[test]
fn an_item_that_is_no_function_is_kept() {
    for item in [
        quote!(
            struct Handler;
        ),
        quote!(
            async fn declared() -> HttpResponse;
        ),
    ] {
        let tokens = expand(quote!(cache = 15), item.clone()).to_string();
        assert_eq!(tokens.matches("compile_error").count(), 1, "{tokens}");
        assert!(tokens.ends_with(&item.to_string()), "{tokens}");
    }
}

#[test]
fn a_half_written_body_is_kept_for_the_editor() {
    let item = quote! {
        async fn f() -> HttpResponse {
            let x = request.;
        }
    };
    let tokens = expand(quote!(cache = 15), item).to_string();
    assert!(tokens.contains("let x = request . ;"), "{tokens}");
    assert!(!tokens.contains("compile_error"), "{tokens}");
}
