//! Where generated code finds the runtime crate.

use proc_macro2::{Group, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::Path;
use syn::parse::ParseStream;

/// The path of the runtime crate: `::idempotent_runtime`, or what `crate = …` says.
pub(crate) struct Runtime(TokenStream);

impl Runtime {
    /// Reads the path of `crate = …`.
    pub(crate) fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let path = Path::parse_mod_style(input).map_err(|error| {
            syn::Error::new(
                error.span(),
                "expected the runtime crate's path: `crate = path::to::idempotent_runtime`",
            )
        })?;
        Ok(Self(path.into_token_stream()))
    }

    /// The same path, shown by the compiler's messages as if it stood in the source at `span`, yet known to lints as
    /// generated.
    pub(crate) fn at(&self, span: Span) -> TokenStream {
        respan(self.0.clone(), Span::call_site().located_at(span))
    }
}

impl Default for Runtime {
    fn default() -> Self {
        Self(quote!(::idempotent_runtime))
    }
}

impl ToTokens for Runtime {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        self.0.to_tokens(tokens);
    }
}

fn respan(tokens: TokenStream, span: Span) -> TokenStream {
    let one = |mut tree: TokenTree| {
        if let TokenTree::Group(group) = &tree {
            tree = Group::new(group.delimiter(), respan(group.stream(), span)).into();
        }
        tree.set_span(span);
        tree
    };
    tokens.into_iter().map(one).collect()
}
