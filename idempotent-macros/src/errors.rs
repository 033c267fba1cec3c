//! Mistakes, gathered so that independent ones are all told at once.

use proc_macro2::{TokenStream, TokenTree};
use syn::Token;
use syn::parse::ParseStream;

/// The mistakes found so far.
#[derive(Default)]
pub(crate) struct Errors(Option<syn::Error>);

impl Errors {
    pub(crate) fn push(&mut self, error: syn::Error) {
        match &mut self.0 {
            Some(first) => first.combine(error),
            None => self.0 = Some(error),
        }
    }

    /// The value, or nothing and one mistake more.
    pub(crate) fn note<T>(&mut self, result: syn::Result<T>) -> Option<T> {
        result.map_err(|error| self.push(error)).ok()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The value, if there was no mistake.
    pub(crate) fn or<T>(self, value: T) -> syn::Result<T> {
        self.0.map_or(Ok(value), Err)
    }

    pub(crate) fn into_compile_error(self) -> TokenStream {
        self.0
            .map_or_else(TokenStream::new, syn::Error::into_compile_error)
    }
}

/// Reads comma-separated items up to the end of the input.
///
/// After a mistake it goes on behind the next comma, and always to the end: a `ParseStream` that is dropped half-read
/// makes syn add an "unexpected token" of its own.
pub(crate) fn each_item(
    input: ParseStream<'_>,
    errors: &mut Errors,
    mut item: impl FnMut(ParseStream<'_>) -> syn::Result<()>,
) {
    while !input.is_empty() {
        let read = item(input).and_then(|()| expect_end(input));
        if errors.note(read).is_none() {
            skip_item(input);
        }
        // Absent only at the end, where there is nothing left to be told.
        let _comma = input.parse::<Option<Token![,]>>();
    }
}

fn expect_end(input: ParseStream<'_>) -> syn::Result<()> {
    match at_end(input) {
        true => Ok(()),
        false => Err(input.error("expected `,`")),
    }
}

/// Whether an item ends here.
pub(crate) fn at_end(input: ParseStream<'_>) -> bool {
    input.is_empty() || input.peek(Token![,])
}

/// Leaves the input before the next comma.
pub(crate) fn skip_item(input: ParseStream<'_>) {
    while !at_end(input) && input.parse::<TokenTree>().is_ok() {}
}
