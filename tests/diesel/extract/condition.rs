//! Which of Diesel's items this package's features leave in.

use std::path::Path;

use syn::punctuated::Punctuated;
use syn::{Meta, Token};

/// Whether the module that a file belongs to is compiled: Diesel's modules of one database are conditional in its `lib.rs`.
pub fn is_compiled(file: &Path) -> bool {
    match file
        .components()
        .next()
        .and_then(|first| first.as_os_str().to_str())
    {
        Some("mysql") => has_feature("mysql_backend"),
        Some("pg") => has_feature("postgres_backend"),
        Some("sqlite") => has_feature("sqlite"),
        _ => true,
    }
}

/// Whether a line is no `#[cfg(…)]`, or one that holds.
pub fn holds_in(line: &str) -> bool {
    let attribute = line
        .trim()
        .strip_prefix("#[")
        .and_then(|rest| rest.strip_suffix(']'));
    match attribute.map(syn::parse_str::<Meta>) {
        Some(Ok(Meta::List(list))) if list.path.is_ident("cfg") => {
            holds(&list.parse_args().expect("a condition"))
        }
        _ => true,
    }
}

fn holds(condition: &Meta) -> bool {
    match condition {
        Meta::List(list) => {
            let parts = list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated);
            let parts = parts.expect("conditions");
            match list
                .path
                .get_ident()
                .expect("all, any or not")
                .to_string()
                .as_str()
            {
                "all" => parts.iter().all(holds),
                "any" => parts.iter().any(holds),
                _ => !parts.iter().any(holds),
            }
        }
        Meta::NameValue(pair) if pair.path.is_ident("feature") => match &pair.value {
            syn::Expr::Lit(syn::ExprLit {
                lit: syn::Lit::Str(name),
                ..
            }) => has_feature(&name.value()),
            _ => false,
        },
        _ => false,
    }
}

fn has_feature(name: &str) -> bool {
    let name = name.to_uppercase().replace('-', "_");
    std::env::var_os(format!("CARGO_FEATURE_{name}")).is_some()
}
