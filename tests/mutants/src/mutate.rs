//! Finds the places in a file where a small fault can be put, and the faults.
//!
//! A [`Site`] is a piece of source text with its alternatives. Sites are nested, as expressions are. An
//! alternative is plain text, since only one mutant is active at a time.

use std::collections::BTreeSet;
use std::ops::Range;

use proc_macro2::Span;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{BinOp, Block, Expr, ExprMethodCall, ReturnType, Stmt, UnOp};

/// How a site is written as a switch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// An expression: `(if mutant { alternative } else { itself })`.
    Expression,
    /// A statement: `if mutant { alternative } else { itself }`.
    Statement,
    /// The start of a function's body: `if mutant { alternative }`.
    Start,
}

/// A piece of source text that has alternatives.
#[derive(Clone, Debug)]
pub struct Site {
    /// Its range, in bytes.
    pub range: Range<usize>,
    /// How it is written as a switch.
    pub kind: Kind,
    /// The texts that can replace it.
    pub alternatives: Vec<Alternative>,
}

/// One mutant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alternative {
    /// The text that replaces it.
    pub text: String,
    /// The function, with its type.
    pub function: String,
    /// The line with the change in it, which names the mutant.
    pub shown: String,
}

/// Methods that are replaced by others.
const METHODS: [(&str, &str); 18] = [
    ("wrapping_add", "wrapping_sub"),
    ("wrapping_sub", "wrapping_add"),
    ("wrapping_mul", "wrapping_div"),
    ("wrapping_div", "wrapping_mul"),
    ("wrapping_rem", "wrapping_div"),
    ("wrapping_shl", "wrapping_shr"),
    ("wrapping_shr", "wrapping_shl"),
    ("saturating_add", "wrapping_add"),
    ("saturating_sub", "wrapping_sub"),
    ("saturating_mul", "wrapping_mul"),
    ("checked_add", "checked_sub"),
    ("min", "max"),
    ("max", "min"),
    ("all", "any"),
    ("any", "all"),
    ("is_some", "is_none"),
    ("is_none", "is_some"),
    ("abs_diff", "wrapping_sub"),
];

/// Methods whose result is that of another method within `Some`.
const CHECKED: [(&str, &str); 3] =
    [("checked_add", "wrapping_add"), ("checked_sub", "wrapping_sub"), ("checked_mul", "wrapping_mul")];

/// Methods that are removed, so that their receiver is the result.
const DROPPED: [&str; 4] = ["filter", "wrapping_neg", "abs", "checked_next_multiple_of"];

/// Methods whose arguments are values for impossible cases; numbers in them have no effect.
const DEFAULTS: [&str; 3] = ["unwrap_or", "map_or", "max"];

/// The sites of a file, within the functions in `chosen`.
pub fn sites(source: &str, file: &syn::File, chosen: &BTreeSet<String>) -> Vec<Site> {
    let constants = file.items.iter().filter_map(|item| match item {
        syn::Item::Const(item) if is_integer(&text_of(source, item.ty.span())) => {
            Some(item.ident.to_string())
        }
        _ => None,
    });
    let constants = constants.collect();
    let mut finder =
        Finder { source, chosen, constants, holder: String::new(), function: None, sites: Vec::new() };
    finder.visit_file(file);
    finder.sites.retain(|site| !site.alternatives.is_empty());
    finder.sites
}

fn text_of(source: &str, span: Span) -> String {
    source[span.byte_range()].to_string()
}

fn is_integer(name: &str) -> bool {
    matches!(name, "u8" | "i8" | "u16" | "i16" | "u32" | "i32" | "u64" | "i64" | "usize" | "isize")
}

/// Whether an attribute restricts an item to tests.
pub fn is_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.parse_args::<syn::Path>().is_ok_and(|path| path.is_ident("test"))
    })
}

struct Finder<'a> {
    source: &'a str,
    chosen: &'a BTreeSet<String>,
    /// Constants of whole numbers that the file defines.
    constants: BTreeSet<String>,
    /// The type whose functions are visited.
    holder: String,
    /// The function that is visited, if it is chosen.
    function: Option<String>,
    sites: Vec<Site>,
}

impl Finder<'_> {
    fn text(&self, spanned: &impl Spanned) -> &str {
        &self.source[spanned.span().byte_range()]
    }

    /// Adds a site at `range`. Each change is the changed range, its new text, and the whole new text.
    fn add(&mut self, range: Range<usize>, kind: Kind, changes: Vec<(Range<usize>, String, String)>) {
        let Some(function) = self.function.clone() else { return };
        let alternatives = changes.into_iter().map(|(changed, after, text)| Alternative {
            text,
            function: function.clone(),
            shown: self.shown(changed, &after),
        });
        let alternatives = alternatives.collect();
        self.sites.push(Site { range, kind, alternatives });
    }

    /// The line around a change, with the change in it.
    fn shown(&self, changed: Range<usize>, after: &str) -> String {
        let start = self.source[..changed.start].rfind('\n').map_or(0, |at| at + 1);
        let end = self.source[changed.end..].find('\n').map_or(self.source.len(), |at| changed.end + at);
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let mut before = words(&self.source[changed.clone()]);
        if before.chars().count() > 70 {
            let first: String = before.chars().take(40).collect();
            let last: Vec<char> = before.chars().rev().take(25).collect();
            before = format!("{first} … {}", last.iter().rev().collect::<String>());
        }
        let (head, tail) = (&self.source[start..changed.start], &self.source[changed.end..end]);
        format!("{}⟦{before} → {}⟧{}", head.trim_start(), words(after), tail.trim_end())
    }

    /// The expression with the part at `changed` written as `after`.
    fn swap(
        &self,
        whole: &Range<usize>,
        changed: Range<usize>,
        after: &str,
    ) -> (Range<usize>, String, String) {
        let (head, tail) = (&self.source[whole.start..changed.start], &self.source[changed.end..whole.end]);
        (changed, after.to_string(), format!("{head}{after}{tail}"))
    }

    fn body(&mut self, output: &ReturnType, block: &Block) {
        let open = block.brace_token.span.open().byte_range().end;
        let returned = match output {
            ReturnType::Default => String::new(),
            ReturnType::Type(_, ty) => self.text(ty.as_ref()).to_string(),
        };
        let values: &[&str] = match returned.as_str() {
            "" => &[""],
            "bool" => &["true", "false"],
            "Option<u32>" => &["None", "Some(0)"],
            name if name.starts_with("Option<") => &["None"],
            name if name.starts_with("Result<(),") || name == "Result<()>" => &["Ok(())"],
            name if is_integer(name) => &["0", "1"],
            _ => &[],
        };
        let brace = open - 1..open;
        let changes =
            values.iter().map(|value| (brace.clone(), format!("{{ {value} }}"), format!("return {value};")));
        let changes = changes.collect();
        self.add(open..open, Kind::Start, changes);
        // The last of several checks.
        if let (&["Ok(())"], [_, .., Stmt::Expr(last, None)]) = (values, &block.stmts[..])
            && !matches!(last, Expr::If(_) | Expr::Match(_))
            && self.text(last) != "Ok(())"
        {
            let range = last.span().byte_range();
            self.add(range.clone(), Kind::Expression, vec![self.swap(&range, range.clone(), "Ok(())")]);
        }
    }

    fn function(&mut self, signature: &syn::Signature, block: &Block) {
        let name = signature.ident.to_string();
        if signature.constness.is_some() || !self.chosen.contains(&name) {
            return;
        }
        let name = if self.holder.is_empty() { name } else { format!("{}::{name}", self.holder) };
        let outer = self.function.replace(name);
        self.body(&signature.output, block);
        self.visit_block(block);
        self.function = outer;
    }

    fn condition(&mut self, condition: &Expr, values: &[&str]) {
        if has_let(condition) {
            return;
        }
        let range = condition.span().byte_range();
        let changes = values.iter().map(|value| self.swap(&range, range.clone(), value)).collect();
        self.add(range, Kind::Expression, changes);
    }

    fn method(&mut self, call: &ExprMethodCall) {
        let range = call.span().byte_range();
        let name = call.method.to_string();
        let place = call.method.span().byte_range();
        let mut changes = Vec::new();
        for (_, other) in METHODS.iter().filter(|(from, _)| *from == name) {
            changes.push(self.swap(&range, place.clone(), other));
        }
        for (_, other) in CHECKED.iter().filter(|(from, _)| *from == name) {
            let (place, after, text) = self.swap(&range, place.clone(), other);
            changes.push((place, after, format!("Some({text})")));
        }
        if DROPPED.contains(&name.as_str()) {
            let receiver = call.receiver.span().byte_range();
            let kept = self.source[receiver.clone()].to_string();
            let kept = if name.starts_with("checked") { format!("Some({kept})") } else { kept };
            changes.push((receiver.end..range.end, String::new(), kept));
        }
        self.add(range, Kind::Expression, changes);
    }
}

/// Whether a condition binds names.
fn has_let(expression: &Expr) -> bool {
    match expression {
        Expr::Let(_) => true,
        Expr::Binary(binary) => has_let(&binary.left) || has_let(&binary.right),
        _ => false,
    }
}

/// Whether control leaves a block at its end.
fn leaves(block: &Block) -> bool {
    let last = block.stmts.last();
    matches!(last, Some(Stmt::Expr(Expr::Return(_) | Expr::Break(_) | Expr::Continue(_), _)))
}

/// The operators that can replace an operator, including assignments.
fn other_operators(operator: &BinOp) -> &'static [&'static str] {
    match operator {
        BinOp::Lt(_) => &["<="],
        BinOp::Le(_) => &["<"],
        BinOp::Gt(_) => &[">="],
        BinOp::Ge(_) => &[">"],
        BinOp::Eq(_) => &["!="],
        BinOp::Ne(_) => &["=="],
        BinOp::Add(_) => &["-"],
        BinOp::Sub(_) => &["+"],
        BinOp::Mul(_) => &["/"],
        BinOp::Div(_) => &["*"],
        BinOp::Rem(_) => &["/"],
        BinOp::Shl(_) => &[">>"],
        BinOp::Shr(_) => &["<<"],
        BinOp::BitAnd(_) => &["|"],
        BinOp::BitOr(_) => &["&"],
        BinOp::And(_) => &["||"],
        BinOp::Or(_) => &["&&"],
        BinOp::AddAssign(_) => &["-="],
        BinOp::SubAssign(_) => &["+="],
        BinOp::MulAssign(_) => &["/="],
        BinOp::DivAssign(_) => &["*="],
        _ => &[],
    }
}

impl<'ast> Visit<'ast> for Finder<'_> {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !is_test(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        let name = self.text(item.self_ty.as_ref());
        let name = name.split('<').next().unwrap_or_default().to_string();
        let outer = std::mem::replace(&mut self.holder, name);
        visit::visit_item_impl(self, item);
        self.holder = outer;
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        if !is_test(&item.attrs) {
            self.function(&item.sig, &item.block);
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.function(&item.sig, &item.block);
    }

    // The compiler evaluates constants, so they cannot contain a switch.
    fn visit_item_const(&mut self, _: &'ast syn::ItemConst) {}
    fn visit_impl_item_const(&mut self, _: &'ast syn::ImplItemConst) {}
    fn visit_item_static(&mut self, _: &'ast syn::ItemStatic) {}
    fn visit_type(&mut self, _: &'ast syn::Type) {}
    fn visit_pat(&mut self, _: &'ast syn::Pat) {}
    fn visit_generic_argument(&mut self, _: &'ast syn::GenericArgument) {}
    fn visit_expr_repeat(&mut self, repeat: &'ast syn::ExprRepeat) {
        self.visit_expr(&repeat.expr);
    }

    fn visit_stmt(&mut self, statement: &'ast Stmt) {
        if let Stmt::Expr(expression, Some(_)) = statement {
            let removed = matches!(
                expression,
                Expr::Assign(_) | Expr::Binary(_) | Expr::Call(_) | Expr::MethodCall(_) | Expr::Try(_)
            );
            if removed {
                let range = statement.span().byte_range();
                self.add(range.clone(), Kind::Statement, vec![self.swap(&range, range.clone(), "")]);
            }
        }
        visit::visit_stmt(self, statement);
    }

    fn visit_expr_if(&mut self, expression: &'ast syn::ExprIf) {
        let check = expression.else_branch.is_none() && leaves(&expression.then_branch);
        self.condition(&expression.cond, if check { &["false"] } else { &["true", "false"] });
        visit::visit_expr_if(self, expression);
    }

    fn visit_expr_while(&mut self, expression: &'ast syn::ExprWhile) {
        self.condition(&expression.cond, &["false"]);
        visit::visit_expr_while(self, expression);
    }

    fn visit_arm(&mut self, arm: &'ast syn::Arm) {
        if let Some((_, guard)) = &arm.guard {
            self.condition(guard, &["true", "false"]);
        }
        visit::visit_arm(self, arm);
    }

    fn visit_expr_binary(&mut self, binary: &'ast syn::ExprBinary) {
        let range = binary.span().byte_range();
        let operator = binary.op.span().byte_range();
        let is_assignment = self.source[operator.clone()].ends_with('=')
            && !matches!(binary.op, BinOp::Le(_) | BinOp::Ge(_) | BinOp::Eq(_) | BinOp::Ne(_));
        let (left, right) = (binary.left.span().byte_range(), binary.right.span().byte_range());
        if !has_let(&binary.left) && !has_let(&binary.right) {
            let others = other_operators(&binary.op).iter();
            let (a, b) = (&self.source[left.clone()], &self.source[right.clone()]);
            // Operands are put in parentheses: another operator may bind less, and `as u32 <` would begin a
            // list of types.
            let write = |other: &&str| (operator.clone(), other.to_string(), format!("({a}) {other} ({b})"));
            let mut changes: Vec<_> = others.map(write).collect();
            if matches!(binary.op, BinOp::And(_) | BinOp::Or(_) | BinOp::BitAnd(_) | BinOp::BitOr(_)) {
                changes.push((
                    operator.start..right.end,
                    String::new(),
                    self.source[left.clone()].to_string(),
                ));
                changes.push((
                    left.start..operator.end,
                    String::new(),
                    self.source[right.clone()].to_string(),
                ));
            }
            if matches!(binary.op, BinOp::Add(_)) {
                changes.push((
                    operator.start..right.end,
                    String::new(),
                    self.source[left.clone()].to_string(),
                ));
            }
            let kind = if is_assignment { Kind::Statement } else { Kind::Expression };
            self.add(range, kind, changes);
        } else if matches!(binary.op, BinOp::And(_)) && !has_let(&binary.right) {
            // It is part of a chain of bindings, so it becomes true.
            let swapped = self.swap(&right, right.clone(), "true");
            self.add(right, Kind::Expression, vec![swapped]);
        }
        visit::visit_expr_binary(self, binary);
    }

    fn visit_expr_unary(&mut self, unary: &'ast syn::ExprUnary) {
        if matches!(unary.op, UnOp::Not(_) | UnOp::Neg(_)) {
            let (range, inner) = (unary.span().byte_range(), unary.expr.span().byte_range());
            let removed = range.start..inner.start;
            let text = self.source[inner].to_string();
            self.add(range, Kind::Expression, vec![(removed, String::new(), text)]);
        }
        visit::visit_expr_unary(self, unary);
    }

    fn visit_expr_method_call(&mut self, call: &'ast ExprMethodCall) {
        self.method(call);
        self.visit_expr(&call.receiver);
        if !DEFAULTS.contains(&call.method.to_string().as_str()) {
            call.args.iter().for_each(|argument| self.visit_expr(argument));
        } else {
            let not_literal = call.args.iter().filter(|argument| !matches!(argument, Expr::Lit(_)));
            not_literal.for_each(|argument| self.visit_expr(argument));
        }
    }

    fn visit_expr_lit(&mut self, literal: &'ast syn::ExprLit) {
        let range = literal.span().byte_range();
        let others = match &literal.lit {
            syn::Lit::Int(number) => {
                let Ok(value) = number.base10_parse::<u64>() else { return };
                let near = [value.checked_add(1), value.checked_sub(1)];
                near.into_iter().flatten().map(|near| format!("{near}{}", number.suffix())).collect()
            }
            syn::Lit::Float(number) => {
                let Ok(value) = number.base10_parse::<f64>() else { return };
                vec![format!("{:?}{}", value + 1.0, number.suffix())]
            }
            _ => Vec::new(),
        };
        let changes = others.iter().map(|other| self.swap(&range, range.clone(), other)).collect();
        self.add(range, Kind::Expression, changes);
    }

    fn visit_expr_path(&mut self, path: &'ast syn::ExprPath) {
        let Some(name) = path.path.get_ident().map(ToString::to_string) else { return };
        if self.constants.contains(&name) {
            let range = path.span().byte_range();
            let others = [format!("({name} + 1)"), format!("({name} - 1)")];
            let changes = others.iter().map(|other| self.swap(&range, range.clone(), other)).collect();
            self.add(range, Kind::Expression, changes);
        }
    }
}
