//! `web::block(…)` in a handler's body becomes the runtime's `block(…)`, which knows the request.

use proc_macro2::TokenStream;
use quote::quote;
use syn::spanned::Spanned;
use syn::visit_mut::{self, VisitMut};
use syn::{Expr, ExprCall, ExprPath, Item, Path, Stmt, parse_quote};

use crate::runtime::Runtime;

/// The same statements with their calls of actix's `block` turned into the runtime's.
pub(crate) fn rewrite(mut statements: Vec<Stmt>, runtime: &Runtime) -> TokenStream {
    let mut calls = Calls { runtime };
    for statement in &mut statements {
        calls.visit_stmt_mut(statement);
    }
    quote!(#(#statements)*)
}

struct Calls<'a> {
    runtime: &'a Runtime,
}

impl VisitMut for Calls<'_> {
    fn visit_expr_call_mut(&mut self, call: &mut ExprCall) {
        if let Expr::Path(function) = &mut *call.func
            && is_block(function)
        {
            self.replace(&mut function.path);
        }
        visit_mut::visit_expr_call_mut(self, call);
    }

    /// A nested item is code of its own, which other requests may run.
    fn visit_item_mut(&mut self, _: &mut Item) {}
}

impl Calls<'_> {
    fn replace(&self, path: &mut Path) {
        let Some(block) = path.segments.last() else {
            return;
        };
        let runtime = self.runtime.at(path.span());
        *path = parse_quote!(#runtime::#block);
    }
}

fn is_block(function: &ExprPath) -> bool {
    let path = &function.path;
    let names: Vec<_> = path
        .segments
        .iter()
        .map(|one| one.ident.to_string())
        .collect();
    match names.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["web", "block"] => function.qself.is_none() && path.leading_colon.is_none(),
        ["actix_web", "web", "block"] => function.qself.is_none(),
        _ => false,
    }
}
