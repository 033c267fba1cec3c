//! The arguments of `#[idempotent(…)]`: from text to [`Args`].

mod duration;
mod key;
#[cfg(test)]
mod tests;

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::{ExprPath, LitStr, Token};

use crate::errors::{Errors, at_end, each_item};
use crate::runtime::Runtime;
use key::Key;

const KNOWN: &str = "expected one of `cache`, `lock`, `once`, `key`, `wait`, `keep`, `changed`, `outage`, `name`, `crate`";
const NEITHER: &str =
    "expected `#[idempotent(cache = SECONDS)]`, `lock`, both, or `#[idempotent(once = SECONDS)]`";

/// What one handler asks for. Times are milliseconds; choices are the names of the runtime's variants.
#[derive(Default)]
pub(crate) struct Args {
    cache: Option<u64>,
    lock: Option<u64>,
    once: Option<u64>,
    key: Option<Key>,
    wait: Option<u64>,
    keep: Option<Keep>,
    changed: Option<Ident>,
    outage: Option<Ident>,
    name: Option<LitStr>,
    pub(crate) runtime: Runtime,
}

enum Keep {
    Variant(Ident),
    Function(ExprPath),
}

impl Args {
    /// Reads the attribute's arguments; the error holds every independent mistake.
    pub(crate) fn parse(tokens: TokenStream) -> syn::Result<Self> {
        Parser::parse2(Draft::parse, tokens)?.finish()
    }

    /// The `Spec` of the handler with this name.
    pub(crate) fn spec(&self, handler: &Ident) -> TokenStream {
        let runtime = &self.runtime;
        let name = self.handler_name(handler);
        let calls = [
            call("cache", self.cache.map(millis)),
            call("lock", self.lock.map(millis)),
            call("once", self.once.map(millis)),
            call("wait", self.wait.map(millis)),
            call("key", self.key.as_ref().map(|key| key.expand(runtime))),
            call("keep", self.keep.as_ref().map(|keep| keep.expand(runtime))),
            call("changed", self.variant("Changed", self.changed.as_ref())),
            call("outage", self.variant("Outage", self.outage.as_ref())),
        ];
        quote!(#runtime::__private::Spec::new(#name) #(#calls)*)
    }

    fn handler_name(&self, handler: &Ident) -> TokenStream {
        if let Some(name) = &self.name {
            return quote!(#name);
        }
        let handler = handler.unraw().to_string();
        quote!(::core::concat!(::core::module_path!(), "::", #handler))
    }

    fn variant(&self, of: &str, variant: Option<&Ident>) -> Option<TokenStream> {
        let runtime = &self.runtime;
        let of = Ident::new(of, Span::call_site());
        variant.map(|variant| quote!(#runtime::__private::#of::#variant))
    }
}

impl Keep {
    fn expand(&self, runtime: &Runtime) -> TokenStream {
        let keep = quote!(#runtime::__private::Keep);
        match self {
            Self::Variant(variant) => quote!(#keep::#variant),
            Self::Function(path) => quote!(#keep::Function(#path)),
        }
    }
}

fn call(method: &str, value: Option<TokenStream>) -> Option<TokenStream> {
    let method = Ident::new(method, Span::call_site());
    value.map(|value| quote!(.#method(#value)))
}

fn millis(millis: u64) -> TokenStream {
    let literal = proc_macro2::Literal::u64_unsuffixed(millis);
    quote!(#literal)
}

/// One argument: whether it was given, and its value if that made sense.
///
/// The two are apart because an argument with a bad value must not also be called missing.
struct Slot<T> {
    given: Option<Ident>,
    value: Option<T>,
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self {
            given: None,
            value: None,
        }
    }
}

impl<T> Slot<T> {
    fn fill(
        &mut self,
        name: Ident,
        input: ParseStream<'_>,
        read: impl FnOnce(&Ident, ParseStream<'_>) -> syn::Result<T>,
    ) -> syn::Result<()> {
        if self.given.is_some() {
            let message = format!("`{name}` specified more than once");
            return Err(syn::Error::new_spanned(name, message));
        }
        self.value = Some(read(self.given.insert(name), input)?);
        Ok(())
    }

    /// [`fill`](Self::fill) from what follows a `=`.
    fn set(
        &mut self,
        name: Ident,
        input: ParseStream<'_>,
        example: &str,
        read: impl FnOnce(&Ident, ParseStream<'_>) -> syn::Result<T>,
    ) -> syn::Result<()> {
        self.fill(name, input, |name, input| {
            if input.parse::<Token![=]>().is_err() || at_end(input) {
                let message = format!("`{name}` needs a value, as in `{name} = {example}`");
                return Err(syn::Error::new_spanned(name, message));
            }
            read(name, input)
        })
    }
}

/// The arguments while they are being read.
#[derive(Default)]
struct Draft {
    cache: Slot<u64>,
    lock: Slot<u64>,
    once: Slot<u64>,
    key: Slot<Key>,
    wait: Slot<u64>,
    keep: Slot<Keep>,
    changed: Slot<Ident>,
    outage: Slot<Ident>,
    name: Slot<LitStr>,
    runtime: Slot<Runtime>,
    /// An argument was not understood; it may be the one that would otherwise be called missing.
    unclear: bool,
    errors: Errors,
}

impl Draft {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let (mut draft, mut errors) = (Self::default(), Errors::default());
        each_item(input, &mut errors, |input| draft.argument(input));
        draft.errors = errors;
        Ok(draft)
    }

    fn argument(&mut self, input: ParseStream<'_>) -> syn::Result<()> {
        let Ok(name) = input.call(Ident::parse_any) else {
            self.unclear = true;
            return Err(input.error(NEITHER));
        };
        match name.to_string().as_str() {
            "cache" => self.cache.set(name, input, "15", duration::positive),
            "lock" => self.lock.set(name, input, "3", duration::positive),
            "once" => self.once.set(name, input, "86400", duration::positive),
            "wait" => self.wait.set(name, input, "30", duration::or_zero),
            "key" => self.key.fill(name, input, Key::parse),
            "keep" => self.keep.set(name, input, "\"final\"", keep),
            "changed" => self.changed.set(name, input, "\"run\"", run_or_reject),
            "outage" => self.outage.set(name, input, "\"reject\"", run_or_reject),
            "name" => self.name.set(name, input, "\"create_user\"", handler_name),
            "crate" => self
                .runtime
                .set(name, input, "idempotent_runtime", |_, input| {
                    Runtime::parse(input)
                }),
            _ => Err(self.not_an_argument(&name)),
        }
    }

    fn not_an_argument(&mut self, name: &Ident) -> syn::Error {
        self.unclear = true;
        let message = format!("unknown argument `{name}`; {KNOWN}");
        syn::Error::new_spanned(name, message)
    }

    fn finish(mut self) -> syn::Result<Args> {
        if self.once.given.is_some() {
            self.check_once();
        } else if !self.unclear && self.cache.given.is_none() {
            self.check_without_cache();
        }
        self.errors.or(Args {
            cache: self.cache.value,
            lock: self.lock.value,
            once: self.once.value,
            key: self.key.value,
            wait: self.wait.value,
            keep: self.keep.value,
            changed: self.changed.value,
            outage: self.outage.value,
            name: self.name.value,
            runtime: self.runtime.value.unwrap_or_default(),
        })
    }

    fn check_once(&mut self) {
        let others = [
            (
                &self.cache.given,
                "its answer is replayed whatever is changed",
            ),
            (
                &self.lock.given,
                "its duplicates wait for each other anyway",
            ),
            (&self.keep.given, "what `db.once` returns is recorded"),
            (
                &self.changed.given,
                "its answer is replayed whatever is changed",
            ),
            (&self.outage.given, "it does not depend on the store"),
        ];
        for (name, why) in others {
            if let Some(name) = name {
                let message = format!("`{name}` cannot stand beside `once`: {why}");
                self.errors.push(syn::Error::new_spanned(name, message));
            }
        }
    }

    fn check_without_cache(&mut self) {
        if self.lock.given.is_none() {
            return self
                .errors
                .push(syn::Error::new(Span::call_site(), NEITHER));
        }
        let keeps = [&self.keep.given, &self.changed.given];
        for name in keeps.into_iter().flatten() {
            let message = format!("`{name}` needs `cache`: under `lock` alone no reply is kept");
            self.errors.push(syn::Error::new_spanned(name, message));
        }
        if let Some(shared) = self.key.value.as_ref().and_then(Key::shared) {
            let message =
                "`shared` needs `cache`: under `lock` alone the principal is not part of the key";
            self.errors.push(syn::Error::new_spanned(shared, message));
        }
    }
}

fn keep(_: &Ident, input: ParseStream<'_>) -> syn::Result<Keep> {
    const FORMS: &str =
        "`keep` takes \"final\", \"success\", \"all\" or the path of a `fn(&Reply) -> bool`";
    if input.peek(LitStr) {
        let known = [("final", "Final"), ("success", "Success"), ("all", "All")];
        return choice(input, &known, FORMS).map(Keep::Variant);
    }
    match input.parse() {
        Ok(path) if at_end(input) => Ok(Keep::Function(path)),
        Ok(path) => Err(syn::Error::new_spanned::<ExprPath, _>(path, FORMS)),
        Err(error) => Err(syn::Error::new(error.span(), FORMS)),
    }
}

/// Reads `"run"` or `"reject"`, which mean other things in `changed` than in `outage`, but go by the same names.
fn run_or_reject(name: &Ident, input: ParseStream<'_>) -> syn::Result<Ident> {
    let message = format!("`{name}` takes \"run\" or \"reject\"");
    choice(input, &[("run", "Run"), ("reject", "Reject")], &message)
}

/// Reads one of these strings, and gives the variant that stands beside it.
fn choice(input: ParseStream<'_>, known: &[(&str, &str)], message: &str) -> syn::Result<Ident> {
    let Ok(text) = input.parse::<LitStr>() else {
        return Err(input.error(message));
    };
    known
        .iter()
        .find(|(word, _)| text.value() == *word)
        .map(|(_, variant)| Ident::new(variant, text.span()))
        .ok_or_else(|| syn::Error::new_spanned(&text, message))
}

fn handler_name(_: &Ident, input: ParseStream<'_>) -> syn::Result<LitStr> {
    const FORM: &str = "`name` takes a string that is not empty, as in `name = \"create_user\"`";
    match input.parse::<LitStr>() {
        Ok(name) if name.value().is_empty() => Err(syn::Error::new_spanned(name, FORM)),
        Ok(name) => Ok(name),
        Err(error) => Err(syn::Error::new(error.span(), FORM)),
    }
}
