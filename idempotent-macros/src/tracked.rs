//! `#[derive(Tracked)]`: from Diesel's attributes to the table's name and key columns.

#[cfg(test)]
mod tests;

use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::{Attribute, Data, DeriveInput, Meta, Path, Token, parenthesized, token};

use crate::errors::{Errors, at_end, each_item, skip_item};
use crate::runtime::Runtime;

/// The whole of the derive.
pub(crate) fn expand(input: &DeriveInput) -> TokenStream {
    match Model::read(input) {
        Ok(model) => model.expand(input),
        Err(error) => error.into_compile_error(),
    }
}

/// What the attributes say about a model.
#[derive(Default)]
struct Attributes {
    table: Option<Path>,
    key: Option<Vec<Ident>>,
    runtime: Option<Runtime>,
}

struct Model {
    table: Path,
    key: Vec<Ident>,
    runtime: Runtime,
}

impl Model {
    fn read(input: &DeriveInput) -> syn::Result<Self> {
        let mut errors = Errors::default();
        errors.note(check_struct(input));
        let attributes = Attributes::read(&input.attrs, &mut errors);
        let name = &input.ident;
        errors.or(Self {
            table: attributes.table.unwrap_or_else(|| default_table(name)),
            key: attributes
                .key
                .unwrap_or_else(|| vec![Ident::new("id", name.span())]),
            runtime: attributes.runtime.unwrap_or_default(),
        })
    }

    fn expand(&self, input: &DeriveInput) -> TokenStream {
        let (runtime, name) = (&self.runtime, &input.ident);
        let (parameters, arguments, bounds) = input.generics.split_for_impl();
        let table = self.tracked_table();
        quote! {
            impl #parameters #runtime::Tracked for #name #arguments #bounds {
                const TABLE: #runtime::TrackedTable = #table;
            }
            #runtime::__private::inventory::submit! { #table }
        }
    }

    fn tracked_table(&self) -> TokenStream {
        let Self {
            table,
            key,
            runtime,
        } = self;
        let column = quote!(#runtime::__private::diesel::Column);
        quote! {
            #runtime::TrackedTable::new(
                #runtime::__private::table_name::<#table::table>,
                &[#(<#table::#key as #column>::NAME),*],
            )
        }
    }
}

impl Attributes {
    fn read(attributes: &[Attribute], errors: &mut Errors) -> Self {
        let mut found = Self::default();
        for attribute in attributes {
            if attribute.path().is_ident("diesel") {
                found.read_list(attribute, errors, Self::diesel_option);
            } else if attribute.path().is_ident("tracked") {
                found.read_list(attribute, errors, Self::tracked_option);
            }
        }
        found
    }

    fn read_list(
        &mut self,
        attribute: &Attribute,
        errors: &mut Errors,
        option: fn(&mut Self, ParseStream<'_>) -> syn::Result<()>,
    ) {
        let Meta::List(list) = &attribute.meta else {
            let form = "expected a list, as in `#[diesel(table_name = users)]` or `#[tracked(crate = path)]`";
            return errors.push(syn::Error::new_spanned(attribute, form));
        };
        let mut read = |input: ParseStream<'_>| {
            each_item(input, errors, |input| option(self, input));
            Ok(())
        };
        // `each_item` notes its errors itself, and reads to the end.
        let _read_to_the_end = Parser::parse2(&mut read, list.tokens.clone());
    }

    /// Reads the two options that matter here, and leaves the others to Diesel.
    fn diesel_option(&mut self, input: ParseStream<'_>) -> syn::Result<()> {
        let ahead = input.fork();
        match ahead.call(Ident::parse_any) {
            Ok(name) if name == "table_name" => self.table = Some(table(input)?),
            Ok(name) if name == "primary_key" => self.key = Some(primary_key(input)?),
            _ => skip_item(input),
        }
        Ok(())
    }

    fn tracked_option(&mut self, input: ParseStream<'_>) -> syn::Result<()> {
        const FORM: &str = "`#[tracked]` knows one option: `crate = path::to::idempotent_runtime`";
        if !input.peek(Token![crate]) {
            return Err(input.error(FORM));
        }
        let name = input.call(Ident::parse_any)?;
        if input.parse::<Token![=]>().is_err() {
            return Err(syn::Error::new_spanned(name, FORM));
        }
        self.runtime = Some(Runtime::parse(input)?);
        Ok(())
    }
}

fn check_struct(input: &DeriveInput) -> syn::Result<()> {
    match &input.data {
        Data::Struct(_) => Ok(()),
        Data::Enum(_) | Data::Union(_) => Err(syn::Error::new_spanned(
            &input.ident,
            "`Tracked` is derived for structs, whose rows Diesel reads",
        )),
    }
}

fn table(input: ParseStream<'_>) -> syn::Result<Path> {
    const FORM: &str = "`table_name` takes the table's path, as in `table_name = users`";
    let name = input.call(Ident::parse_any)?;
    if input.parse::<Token![=]>().is_err() || at_end(input) {
        return Err(syn::Error::new_spanned(name, FORM));
    }
    Path::parse_mod_style(input).map_err(|error| syn::Error::new(error.span(), FORM))
}

fn primary_key(input: ParseStream<'_>) -> syn::Result<Vec<Ident>> {
    const FORM: &str = "`primary_key` takes the key's columns, as in `primary_key(id)` or `primary_key(team, user)`";
    let name = input.call(Ident::parse_any)?;
    if !input.peek(token::Paren) {
        return Err(syn::Error::new_spanned(name, FORM));
    }
    let content;
    let paren = parenthesized!(content in input);
    let (mut errors, mut columns) = (Errors::default(), Vec::new());
    each_item(&content, &mut errors, |input| {
        columns.push(
            input
                .parse()
                .map_err(|error: syn::Error| syn::Error::new(error.span(), FORM))?,
        );
        Ok(())
    });
    if columns.is_empty() && errors.is_empty() {
        errors.push(syn::Error::new(paren.span.join(), FORM));
    }
    errors.or(columns)
}

/// The table that Diesel takes when none is named, letter by letter as `diesel_derives` does it.
fn default_table(model: &Ident) -> Path {
    let mut table = String::new();
    for (index, letter) in model.unraw().to_string().chars().enumerate() {
        if index > 0 && letter.is_uppercase() {
            table.push('_');
        }
        table.extend(letter.to_lowercase());
    }
    table.push('s');
    Ident::new(&table, model.span()).into()
}
