//! Errors in Rust sources: calls of `Error::input` and its like, with the words that they are made of.

use std::collections::HashMap;

use syn::visit::{self, Visit};
use syn::{Attribute, Expr, ExprCall, ImplItemFn, Item, ItemConst, ItemFn, ItemMod, Lit, Meta, TraitItemFn};

/// Functions of the host's error type that make an error.
const MAKERS: [&str; 5] = ["input", "usage", "budget", "internal", "layer"];

/// An error that a source makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// `input`, `usage`, …
    pub maker: String,
    /// The function that makes it.
    pub function: String,
    /// The message with `…` where numbers and names come, where it is written at the call.
    pub message: Option<String>,
    /// What to do, where it is written at the call.
    pub help: Option<String>,
}

/// String constants of the sources, by their names.
pub type Constants = HashMap<String, String>;

/// String constants of a source.
pub fn constants(file: &syn::File) -> Constants {
    struct Finder(Constants);
    impl<'a> Visit<'a> for Finder {
        fn visit_item_const(&mut self, item: &'a ItemConst) {
            if let Some(text) = text(&item.expr, &Constants::new()) {
                self.0.insert(item.ident.to_string(), text);
            }
        }
    }
    let mut finder = Finder(Constants::new());
    finder.visit_file(file);
    finder.0
}

/// The errors that a source makes outside of its tests, in order.
pub fn errors(file: &syn::File, constants: &Constants) -> Vec<Made> {
    let mut finder = Finder { constants, function: String::new(), made: Vec::new() };
    finder.visit_file(file);
    finder.made
}

struct Finder<'c> {
    constants: &'c Constants,
    function: String,
    made: Vec<Made>,
}

impl Finder<'_> {
    fn within(&mut self, name: String, visit: impl FnOnce(&mut Self)) {
        let outer = std::mem::replace(&mut self.function, name);
        visit(self);
        self.function = outer;
    }

    fn add(&mut self, call: &ExprCall, maker: String, helps: &[&Expr]) {
        // `layer` has the words last, behind the layer's name and operator.
        let message = call.args.last().and_then(|words| text(words, self.constants));
        let help = helps.iter().find_map(|help| text(help, self.constants));
        self.made.push(Made { maker, function: self.function.clone(), message, help });
    }
}

impl<'a> Visit<'a> for Finder<'_> {
    fn visit_item(&mut self, item: &'a Item) {
        let attributes = match item {
            Item::Mod(ItemMod { attrs, .. }) | Item::Fn(ItemFn { attrs, .. }) => attrs.as_slice(),
            _ => &[],
        };
        if !attributes.iter().any(is_test) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_fn(&mut self, item: &'a ItemFn) {
        self.within(item.sig.ident.to_string(), |finder| visit::visit_item_fn(finder, item));
    }

    fn visit_impl_item_fn(&mut self, item: &'a ImplItemFn) {
        self.within(item.sig.ident.to_string(), |finder| visit::visit_impl_item_fn(finder, item));
    }

    fn visit_trait_item_fn(&mut self, item: &'a TraitItemFn) {
        self.within(item.sig.ident.to_string(), |finder| visit::visit_trait_item_fn(finder, item));
    }

    fn visit_expr(&mut self, expr: &'a Expr) {
        let mut helps = Vec::new();
        let mut arguments = Vec::new();
        let mut base = expr;
        while let Expr::MethodCall(call) = base {
            if call.method == "help" {
                helps.extend(&call.args);
            }
            arguments.extend(&call.args);
            base = &call.receiver;
        }
        if let Expr::Call(call) = base
            && let Some(maker) = maker(call)
        {
            self.add(call, maker, &helps);
            call.args.iter().chain(arguments).for_each(|argument| self.visit_expr(argument));
        } else {
            visit::visit_expr(self, expr);
        }
    }
}

/// The name of the function that makes an error, if the call is one of those.
fn maker(call: &ExprCall) -> Option<String> {
    let Expr::Path(path) = &*call.func else { return None };
    let names: Vec<String> = path.path.segments.iter().map(|part| part.ident.to_string()).collect();
    match names.as_slice() {
        [.., owner, maker] if owner == "Error" && MAKERS.contains(&maker.as_str()) => Some(maker.clone()),
        _ => None,
    }
}

fn is_test(attribute: &Attribute) -> bool {
    match &attribute.meta {
        Meta::List(list) => list.path.is_ident("cfg") && list.tokens.to_string().contains("test"),
        Meta::Path(path) => path.is_ident("test"),
        Meta::NameValue(_) => false,
    }
}

/// The words of an expression that is a string, a constant of this name, or `format!`.
fn text(expr: &Expr, constants: &Constants) -> Option<String> {
    match expr {
        Expr::Lit(lit) => match &lit.lit {
            Lit::Str(text) => Some(text.value()),
            _ => None,
        },
        Expr::Reference(inner) => text(&inner.expr, constants),
        Expr::Path(path) => {
            let name = path.path.segments.last()?.ident.to_string();
            constants.get(&name).cloned()
        }
        Expr::MethodCall(call) if call.method == "to_string" || call.method == "into" => {
            text(&call.receiver, constants)
        }
        Expr::Macro(call) if call.mac.path.is_ident("format") || call.mac.path.is_ident("concat") => {
            let first = call.mac.tokens.clone().into_iter().next()?;
            let literal: syn::LitStr = syn::parse2(first.into()).ok()?;
            Some(dots(&literal.value()))
        }
        _ => None,
    }
}

/// A format string with `…` in each place that something comes into.
fn dots(format: &str) -> String {
    let mut out = String::new();
    let mut chars = format.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '{' if chars.peek() == Some(&'{') => out.extend(chars.next()),
            '}' if chars.peek() == Some(&'}') => out.extend(chars.next()),
            '{' => {
                chars.by_ref().find(|&c| c == '}');
                out.push('…');
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_found_with_their_words() {
        let source = r#"
            const CURE: &str = "do it again";
            fn outer() -> Result<()> {
                let broken = |e| Error::input(format!("`{what}`: {} of {{x}}", e)).help(CURE).caused_by(e);
                if x { return Err(Error::layer(&name, "ADD", "too wide").help(format!("take {n}"))); }
                Err(crate::Error::usage(message).context(path))
            }
            #[cfg(test)]
            mod tests { fn f() { Error::input("not this one"); } }
        "#;
        let file = syn::parse_file(source).unwrap();
        let made = errors(&file, &constants(&file));
        let words: Vec<_> =
            made.iter().map(|m| (m.maker.as_str(), m.message.as_deref(), m.help.as_deref())).collect();
        let expected = [
            ("input", Some("`…`: … of {x}"), Some("do it again")),
            ("layer", Some("too wide"), Some("take …")),
            ("usage", None, None),
        ];
        assert_eq!(words, expected);
        assert!(made.iter().all(|made| made.function == "outer"));
    }
}
