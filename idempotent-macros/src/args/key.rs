//! `key(path, body)`, `key = header("Idempotency-Key")`, `key = path::to::function`.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::ext::IdentExt;
use syn::parse::ParseStream;
use syn::{ExprPath, Ident, LitStr, Token, parenthesized, token};

use crate::errors::{Errors, at_end, each_item};
use crate::runtime::Runtime;

/// What makes two requests the same.
pub(crate) enum Key {
    Dimensions(Vec<Dimension>),
    Header(LitStr),
    Function(ExprPath),
}

/// One part of a request, as the user named it.
pub(crate) struct Dimension {
    name: Ident,
    variant: &'static str,
    headers: Vec<LitStr>,
}

const FORMS: &str = "`key` takes parts of the request, as in `key(path, body)`, or `key = header(\"Idempotency-Key\")`, or `key = path::to::function`";

const DIMENSIONS: [(&str, &str); 14] = [
    ("path", "Path"),
    ("method", "Method"),
    ("query", "Query"),
    ("body", "Body"),
    ("host", "Host"),
    ("endpoint", "Endpoint"),
    ("content_type", "ContentType"),
    ("content_length", "ContentLength"),
    ("accept", "Accept"),
    ("session", "Session"),
    ("remote_address", "RemoteAddress"),
    ("principal", "Principal"),
    ("shared", "Shared"),
    ("headers", "Headers"),
];

impl Key {
    /// Reads what follows the word `key`.
    pub(super) fn parse(name: &Ident, input: ParseStream<'_>) -> syn::Result<Self> {
        if input.peek(token::Paren) {
            return dimensions(input).map(Self::Dimensions);
        }
        if input.parse::<Token![=]>().is_err() || at_end(input) {
            return Err(syn::Error::new_spanned(name, FORMS));
        }
        if input.peek(Ident) && input.peek2(token::Paren) {
            return header(input).map(Self::Header);
        }
        match input.parse() {
            Ok(path) if at_end(input) => Ok(Self::Function(path)),
            Ok(path) => Err(syn::Error::new_spanned(path, FORMS)),
            Err(error) => Err(syn::Error::new(error.span(), FORMS)),
        }
    }

    /// The word `shared`, if it is there.
    pub(super) fn shared(&self) -> Option<&Ident> {
        match self {
            Self::Dimensions(dimensions) => named(dimensions, "Shared"),
            Self::Header(_) | Self::Function(_) => None,
        }
    }

    /// The value of `Spec::key`.
    pub(crate) fn expand(&self, runtime: &Runtime) -> TokenStream {
        let key = quote!(#runtime::__private::Key);
        match self {
            Self::Dimensions(dimensions) => {
                let dimensions = dimensions.iter().map(|one| one.expand(runtime));
                quote!(#key::Dimensions(&[#(#dimensions),*]))
            }
            Self::Header(name) => quote!(#key::Header(#name)),
            Self::Function(path) => {
                let closure = with_our_error(path);
                quote!(#key::Function(#closure))
            }
        }
    }
}

/// Calls the application's function, whose error may be any that actix takes.
fn with_our_error(function: &ExprPath) -> TokenStream {
    // Not visible to the path, which may well be `body`.
    let [request, body] = ["request", "body"].map(|name| Ident::new(name, Span::mixed_site()));
    quote! {
        |#request, #body| #function(#request, #body).map_err(::core::convert::Into::into)
    }
}

impl Dimension {
    fn expand(&self, runtime: &Runtime) -> TokenStream {
        let variant = Ident::new(self.variant, self.name.span());
        let headers = &self.headers;
        let arguments = (!headers.is_empty()).then(|| quote!((&[#(#headers),*])));
        quote!(#runtime::__private::Dimension::#variant #arguments)
    }
}

fn named<'a>(dimensions: &'a [Dimension], variant: &str) -> Option<&'a Ident> {
    dimensions
        .iter()
        .find(|one| one.variant == variant)
        .map(|one| &one.name)
}

fn dimensions(input: ParseStream<'_>) -> syn::Result<Vec<Dimension>> {
    let content;
    let paren = parenthesized!(content in input);
    let (mut errors, mut found) = (Errors::default(), Vec::new());
    each_item(&content, &mut errors, |input| {
        found.push(dimension(input, &found)?);
        Ok(())
    });
    if found.is_empty() && errors.is_empty() {
        let message = "`key()` names nothing; name parts of the request, as in `key(path, body)`";
        errors.push(syn::Error::new(paren.span.join(), message));
    }
    errors.note(shared_or_principal(&found));
    errors.or(found)
}

fn shared_or_principal(found: &[Dimension]) -> syn::Result<()> {
    match (named(found, "Shared"), named(found, "Principal")) {
        (Some(shared), Some(_)) => Err(syn::Error::new_spanned(
            shared,
            "`shared` takes the principal out of the key; keep `shared` or `principal`",
        )),
        _ => Ok(()),
    }
}

fn dimension(input: ParseStream<'_>, found: &[Dimension]) -> syn::Result<Dimension> {
    let name = match input.call(Ident::parse_any) {
        Ok(name) => name,
        Err(error) => return Err(syn::Error::new(error.span(), unknown("this"))),
    };
    let variant = variant(&name)?;
    let headers = match variant {
        "Headers" => headers(&name, input)?,
        _ => Vec::new(),
    };
    if found.iter().any(|other| other.variant == variant) {
        return Err(syn::Error::new_spanned(
            &name,
            format!("`{name}` specified more than once"),
        ));
    }
    Ok(Dimension {
        name,
        variant,
        headers,
    })
}

fn variant(name: &Ident) -> syn::Result<&'static str> {
    DIMENSIONS
        .iter()
        .find(|(known, _)| name == known)
        .map(|(_, variant)| *variant)
        .ok_or_else(|| syn::Error::new_spanned(name, unknown(&format!("`{name}`"))))
}

fn unknown(what: &str) -> String {
    let known = DIMENSIONS.map(|(name, _)| match name {
        "headers" => "`headers(\"…\")`".to_owned(),
        _ => format!("`{name}`"),
    });
    format!(
        "{what} is no part of a request; expected one of {}",
        known.join(", ")
    )
}

fn headers(name: &Ident, input: ParseStream<'_>) -> syn::Result<Vec<LitStr>> {
    let names = match input.peek(token::Paren) {
        true => header_names(input)?,
        false => Vec::new(),
    };
    if names.is_empty() {
        let message = "`headers` needs the headers' names, as in `headers(\"X-Tenant\")`";
        return Err(syn::Error::new_spanned(name, message));
    }
    Ok(names)
}

/// Reads `header("Name")`.
fn header(input: ParseStream<'_>) -> syn::Result<LitStr> {
    let word: Ident = input.parse()?;
    let names = header_names(input);
    if word != "header" {
        return Err(syn::Error::new_spanned(word, FORMS));
    }
    let mut names = names?;
    match (names.pop(), names.is_empty()) {
        (Some(name), true) => Ok(name),
        _ => Err(syn::Error::new_spanned(
            word,
            "`header` takes one name, as in `header(\"Idempotency-Key\")`",
        )),
    }
}

fn header_names(input: ParseStream<'_>) -> syn::Result<Vec<LitStr>> {
    let content;
    parenthesized!(content in input);
    let (mut errors, mut names) = (Errors::default(), Vec::new());
    each_item(&content, &mut errors, |input| {
        names.push(header_name(input)?);
        Ok(())
    });
    errors.or(names)
}

fn header_name(input: ParseStream<'_>) -> syn::Result<LitStr> {
    let Ok(name) = input.parse::<LitStr>() else {
        return Err(input.error("expected a header's name, as in \"X-Tenant\""));
    };
    if is_token(&name.value()) {
        return Ok(name);
    }
    let message =
        "no header can have this name; expected letters, digits and hyphens, as in \"X-Tenant\"";
    Err(syn::Error::new_spanned(name, message))
}

/// Whether this is a `token` of RFC 9110, section 5.6.2, which every header's name is.
fn is_token(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}
