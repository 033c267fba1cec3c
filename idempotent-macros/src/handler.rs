//! `#[idempotent(…)]`: from arguments and a handler to the handler that is called in its stead.

#[cfg(test)]
mod tests;

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote};
use syn::parse::{Parse, ParseStream, Parser};
use syn::spanned::Spanned;
use syn::{Attribute, Block, FnArg, Signature, Type, Visibility, braced, token};

use crate::args::Args;
use crate::block;
use crate::errors::Errors;

/// The whole of the attribute.
pub(crate) fn expand(args: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let args = errors.note(Args::parse(args));
    let Ok(mut handler) = syn::parse2::<Handler>(item.clone()) else {
        errors.push(syn::Error::new(
            Span::call_site(),
            "`#[idempotent]` stands on a handler: an `async fn` with a body",
        ));
        return beside(errors, item);
    };
    handler.take_repeated(&mut errors);
    let usable = handler.check(&mut errors);
    match args {
        Some(args) if errors.is_empty() => handler.expand(&args),
        _ if usable => beside(errors, handler.original()),
        _ => beside(errors, handler.stub()),
    }
}

/// Mistakes, and what lets the rest of the program compile, so that no second error follows from them.
fn beside(errors: Errors, item: TokenStream) -> TokenStream {
    let errors = errors.into_compile_error();
    quote!(#errors #item)
}

/// An annotated function.
///
/// Its body stays a token stream: it need not be understood (an editor hands over half-written ones), only kept.
struct Handler {
    attributes: Vec<Attribute>,
    visibility: Visibility,
    signature: Signature,
    brace: token::Brace,
    inner_attributes: Vec<Attribute>,
    body: TokenStream,
}

impl Parse for Handler {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let content;
        Ok(Self {
            attributes: input.call(Attribute::parse_outer)?,
            visibility: input.parse()?,
            signature: input.parse()?,
            brace: braced!(content in input),
            inner_attributes: content.call(Attribute::parse_inner)?,
            body: content.parse()?,
        })
    }
}

impl Handler {
    /// A second `#[idempotent]` below the first would count as one of the user's own attributes and lock itself out.
    fn take_repeated(&mut self, errors: &mut Errors) {
        let is_ours = |attribute: &mut Attribute| last_segment(attribute) == "idempotent";
        for repeated in self.attributes.extract_if(.., is_ours) {
            errors.push(syn::Error::new_spanned(
                repeated,
                "`#[idempotent]` stands here twice; write one, as in `#[idempotent(cache = 15, lock = 3)]`",
            ));
        }
    }

    /// Notes what is wrong with the signature. Gives whether the function can still serve as a handler.
    fn check(&self, errors: &mut Errors) -> bool {
        let mistakes = [
            self.check_async(),
            self.check_qualifiers(),
            self.check_generics(),
        ];
        let parameters = self.signature.inputs.iter().map(check_parameter);
        let variadic = check_variadic(&self.signature);
        let mut usable = true;
        for mistake in mistakes.into_iter().chain(parameters).chain([variadic]) {
            usable &= errors.note(mistake).is_some();
        }
        usable
    }

    fn check_async(&self) -> syn::Result<()> {
        match self.signature.asyncness {
            Some(_) => Ok(()),
            None => Err(syn::Error::new_spanned(
                self.signature.fn_token,
                "a handler with `#[idempotent]` must be an `async fn`",
            )),
        }
    }

    fn check_qualifiers(&self) -> syn::Result<()> {
        let Signature {
            constness,
            unsafety,
            abi,
            ..
        } = &self.signature;
        let found = [
            constness.as_ref().map(ToTokens::to_token_stream),
            unsafety.as_ref().map(ToTokens::to_token_stream),
            abi.as_ref().map(ToTokens::to_token_stream),
        ];
        let mut errors = Errors::default();
        for qualifier in found.into_iter().flatten() {
            let message = format!("a handler cannot be `{qualifier}`; remove this word");
            errors.push(syn::Error::new_spanned(qualifier, message));
        }
        errors.or(())
    }

    fn check_generics(&self) -> syn::Result<()> {
        let generics = &self.signature.generics;
        if generics.params.is_empty() {
            return Ok(());
        }
        Err(syn::Error::new_spanned(
            generics,
            "a handler with `#[idempotent]` cannot be generic; name the types that the application uses",
        ))
    }

    fn expand(&self, args: &Args) -> TokenStream {
        let (outside, inside) = self.split_attributes();
        let Self {
            visibility,
            signature,
            ..
        } = self;
        let name = &signature.ident;
        let body = self.rewritten_body(args);
        let (spec, runtime) = (args.spec(name), &args.runtime);
        // Not visible to the body, whatever that calls its own.
        let call = Ident::new("__call", Span::mixed_site());
        quote! {
            #(#outside)*
            #visibility async fn #name(
                #call: #runtime::__private::Call,
            ) -> #runtime::__private::HttpResponse {
                #(#inside)*
                #signature #body
                const __SPEC: #runtime::__private::Spec = #spec;
                #call.run(&__SPEC, #name).await
            }
        }
    }

    /// The attributes of the function that actix calls, and those of the user's own inside it.
    fn split_attributes(&self) -> (Vec<&Attribute>, Vec<&Attribute>) {
        self.attributes.iter().partition(|one| stays_outside(one))
    }

    fn rewritten_body(&self, args: &Args) -> TokenStream {
        let body = match Parser::parse2(Block::parse_within, self.body.clone()) {
            Ok(statements) => block::rewrite(statements, &args.runtime),
            Err(_) => self.body.clone(),
        };
        self.braced(&body)
    }

    fn braced(&self, body: &TokenStream) -> TokenStream {
        let mut tokens = TokenStream::new();
        self.brace.surround(&mut tokens, |tokens| {
            tokens.extend(self.inner_attributes.iter().map(ToTokens::to_token_stream));
            body.to_tokens(tokens);
        });
        tokens
    }

    fn original(&self) -> TokenStream {
        let Self {
            attributes,
            visibility,
            signature,
            body,
            ..
        } = self;
        let body = self.braced(body);
        quote!(#(#attributes)* #visibility #signature #body)
    }

    /// A handler of the same name that compiles wherever the original should have stood.
    fn stub(&self) -> TokenStream {
        let Self {
            visibility,
            signature,
            ..
        } = self;
        let (outside, _) = self.split_attributes();
        let name = &signature.ident;
        quote! {
            #(#outside)*
            #visibility async fn #name() -> &'static str {
                ""
            }
        }
    }
}

fn check_parameter(parameter: &FnArg) -> syn::Result<()> {
    match parameter {
        FnArg::Receiver(receiver) => Err(syn::Error::new_spanned(
            receiver,
            "a handler cannot take `self`; take what it needs from the request, as in `web::Data<State>`",
        )),
        FnArg::Typed(typed) if matches!(*typed.ty, Type::ImplTrait(_)) => {
            Err(syn::Error::new_spanned(
                &typed.ty,
                "a handler cannot take `impl Trait`; name the extractor's type",
            ))
        }
        FnArg::Typed(_) => Ok(()),
    }
}

fn check_variadic(signature: &Signature) -> syn::Result<()> {
    match &signature.variadic {
        Some(variadic) => Err(syn::Error::new(
            variadic.span(),
            "a handler cannot take `...`; name its extractors",
        )),
        None => Ok(()),
    }
}

/// Attributes about the handler as an item: seen by whoever uses it, or, for lints, for all that is inside.
const OUTSIDE: [&str; 10] = [
    "doc",
    "cfg",
    "cfg_attr",
    "allow",
    "warn",
    "deny",
    "forbid",
    "expect",
    "deprecated",
    "must_use",
];

/// actix-web's own; what they register must be the function that takes a `Call`.
const ROUTES: [&str; 12] = [
    "get", "post", "put", "delete", "head", "connect", "options", "trace", "patch", "query",
    "route", "routes",
];

fn stays_outside(attribute: &Attribute) -> bool {
    let segments = &attribute.path().segments;
    let name = last_segment(attribute);
    match segments.len() {
        1 => OUTSIDE.contains(&name.as_str()) || ROUTES.contains(&name.as_str()),
        2 => segments[0].ident == "actix_web" && ROUTES.contains(&name.as_str()),
        _ => false,
    }
}

fn last_segment(attribute: &Attribute) -> String {
    let last = attribute.path().segments.last();
    last.map(|segment| segment.ident.to_string())
        .unwrap_or_default()
}
