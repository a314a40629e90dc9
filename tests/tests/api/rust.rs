//! The public items of a crate as a text: declarations without bodies, values, private fields and documentation, each
//! under the name that users give it.
//!
//! It reads the sources as they are written, so what a macro makes is not there: of `macro_rules!` themselves the patterns
//! are, and the lists of operators have tests of their own.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use syn::{Attribute, Fields, ImplItem, Item, TraitItem, UseTree, Visibility, parse_quote};

/// A module, with everything in it.
struct Module {
    items: Vec<Item>,
    children: BTreeMap<String, Module>,
}

/// The listing of the crate with this `src/lib.rs`.
pub fn listing(lib: &Path) -> String {
    let root = Module::read(lib, lib.parent().expect("a folder"));
    let mut impls = Vec::new();
    root.impls(&mut impls);
    let mut out = String::new();
    root.list(&root, "crate", &impls, &mut out);
    out
}

impl Module {
    fn read(file: &Path, folder: &Path) -> Module {
        let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let parsed = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        Module::of(parsed.items, folder)
    }

    fn of(items: Vec<Item>, folder: &Path) -> Module {
        let mut children = BTreeMap::new();
        let items: Vec<Item> = items.into_iter().filter(|item| !is_for_tests(attributes(item))).collect();
        for item in &items {
            let Item::Mod(module) = item else { continue };
            let name = module.ident.to_string();
            let below = folder.join(&name);
            let child = match &module.content {
                Some((_, items)) => Module::of(items.clone(), &below),
                None => {
                    let places = [folder.join(format!("{name}.rs")), below.join("mod.rs")];
                    // What another core compiles may have a path of its own.
                    let Some(file) = places.iter().find(|place| place.is_file()) else { continue };
                    Module::read(file, &below)
                }
            };
            children.insert(name, child);
        }
        Module { items, children }
    }

    fn impls<'m>(&'m self, out: &mut Vec<&'m syn::ItemImpl>) {
        out.extend(self.items.iter().filter_map(|item| match item {
            Item::Impl(block) => Some(block),
            _ => None,
        }));
        self.children.values().for_each(|child| child.impls(out));
    }

    /// Writes what of this module is public, under `path`, and the public modules below it.
    fn list(&self, root: &Module, path: &str, impls: &[&syn::ItemImpl], out: &mut String) {
        let mut shown: Vec<(String, Vec<Item>)> = Vec::new();
        for item in self.items.iter().filter(|item| is_public(item)) {
            match item {
                Item::Use(used) => self.reexports(root, &used.tree, &mut Vec::new(), impls, &mut shown),
                Item::Mod(_) => {}
                item => shown.extend(declared(item, impls)),
            }
        }
        shown.sort_by(|a, b| a.0.cmp(&b.0));
        shown.dedup_by(|a, b| a.0 == b.0);
        if !shown.is_empty() {
            let _ = writeln!(out, "\n// {path}\n");
        }
        for (name, items) in shown {
            if items.is_empty() {
                let _ = writeln!(out, "{name}");
                continue;
            }
            let file = syn::File { shebang: None, attrs: Vec::new(), items };
            let text = prettyplease::unparse(&file);
            let _ = writeln!(out, "{}", text.trim_end());
        }
        for item in self.items.iter().filter(|item| is_public(item)) {
            if let Item::Mod(module) = item
                && let Some(child) = self.children.get(&module.ident.to_string())
            {
                child.list(root, &format!("{path}::{}", module.ident), impls, out);
            }
        }
    }

    /// What a `pub use` gives: items of this crate with their declarations, others by their path.
    fn reexports(
        &self,
        root: &Module,
        tree: &UseTree,
        path: &mut Vec<String>,
        impls: &[&syn::ItemImpl],
        out: &mut Vec<(String, Vec<Item>)>,
    ) {
        match tree {
            UseTree::Path(step) => {
                path.push(step.ident.to_string());
                self.reexports(root, &step.tree, path, impls, out);
                path.pop();
            }
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.reexports(root, tree, path, impls, out);
                }
            }
            UseTree::Glob(_) => match self.find(root, path) {
                Some(module) => {
                    let public = module.items.iter().filter(|item| is_public(item));
                    out.extend(public.flat_map(|item| declared(item, impls)));
                }
                None => out.push((format!("pub use {}::*;", path.join("::")), Vec::new())),
            },
            UseTree::Name(_) | UseTree::Rename(_) => {
                let (name, new) = match tree {
                    UseTree::Name(name) => (name.ident.to_string(), None),
                    UseTree::Rename(renamed) => (renamed.ident.to_string(), Some(renamed.rename.to_string())),
                    _ => return,
                };
                let found = self.find(root, path).and_then(|module| {
                    module.items.iter().find(|item| named(item).as_deref() == Some(&name))
                });
                let renamed = new.map(|new| format!(" as {new}")).unwrap_or_default();
                match found {
                    Some(item) if renamed.is_empty() => out.extend(declared(item, impls)),
                    _ => out.push((format!("pub use {}::{name}{renamed};", path.join("::")), Vec::new())),
                }
            }
        }
    }

    /// The module of this crate that a path leads to.
    fn find<'m>(&'m self, root: &'m Module, path: &[String]) -> Option<&'m Module> {
        let (mut module, rest) = match path.first()?.as_str() {
            "crate" => (root, &path[1..]),
            "self" => (self, &path[1..]),
            _ => (self, path),
        };
        for step in rest {
            module = module.children.get(step)?;
        }
        Some(module)
    }
}

/// The declaration of an item, by its name, with the blocks that implement it.
fn declared(item: &Item, impls: &[&syn::ItemImpl]) -> Option<(String, Vec<Item>)> {
    if let Item::Macro(made) = item {
        let exported = made.attrs.iter().any(|attribute| attribute.path().is_ident("macro_export"));
        let name = made.ident.as_ref().filter(|_| exported)?;
        return Some((format!("macro {name}!: {}", patterns(made)), Vec::new()));
    }
    let name = named(item)?;
    let mut items = vec![bare(item)?];
    let is_type = matches!(item, Item::Struct(_) | Item::Enum(_) | Item::Union(_) | Item::Type(_));
    if is_type {
        let mut own: Vec<Item> = impls.iter().filter_map(|block| implemented(block, &name)).collect();
        own.sort_by_key(|item| {
            prettyplease::unparse(&syn::File { shebang: None, attrs: Vec::new(), items: vec![item.clone()] })
        });
        items.extend(own);
    }
    Some((name, items))
}

/// The patterns that an exported macro takes.
fn patterns(made: &syn::ItemMacro) -> String {
    let mut out = Vec::new();
    let mut tokens = made.mac.tokens.clone().into_iter();
    while let Some(token) = tokens.next() {
        out.push(token.to_string());
        // The arrow, the body, and the semicolon behind it.
        tokens.by_ref().take(4).for_each(drop);
    }
    out.join(" | ")
}

/// The public functions that a block gives a type, or the trait that it implements for it.
fn implemented(block: &syn::ItemImpl, name: &str) -> Option<Item> {
    let syn::Type::Path(of) = &*block.self_ty else { return None };
    (of.path.segments.last()?.ident == name && !is_hidden(&block.attrs)).then_some(())?;
    let mut block = block.clone();
    block.attrs.retain(|attribute| attribute.path().is_ident("cfg"));
    if block.trait_.is_some() {
        block.items.clear();
        return Some(Item::Impl(block));
    }
    block.items.retain_mut(|item| match item {
        ImplItem::Fn(function) => {
            clean(&mut function.attrs);
            function.block = parse_quote!({});
            is_pub(&function.vis)
        }
        ImplItem::Const(constant) => {
            clean(&mut constant.attrs);
            constant.expr = parse_quote!(_);
            is_pub(&constant.vis)
        }
        _ => false,
    });
    block.items.retain(|item| match item {
        ImplItem::Fn(function) => !is_hidden(&function.attrs),
        ImplItem::Const(constant) => !is_hidden(&constant.attrs),
        _ => true,
    });
    for item in &mut block.items {
        if let ImplItem::Fn(function) = item {
            function.attrs.retain(|attribute| !attribute.path().is_ident("doc"));
        }
    }
    (!block.items.is_empty()).then_some(Item::Impl(block))
}

/// An item without what a user does not see.
fn bare(item: &Item) -> Option<Item> {
    let mut item = item.clone();
    match &mut item {
        Item::Fn(function) => function.block = parse_quote!({}),
        Item::Const(constant) => constant.expr = parse_quote!(_),
        Item::Static(constant) => constant.expr = parse_quote!(_),
        Item::Struct(kind) => public_fields(&mut kind.fields),
        Item::Enum(kind) => kind.variants.iter_mut().for_each(|variant| {
            clean_all(&mut variant.attrs);
            variant.fields.iter_mut().for_each(|field| clean_all(&mut field.attrs));
        }),
        Item::Trait(kind) => kind.items.iter_mut().for_each(|item| {
            if let TraitItem::Fn(function) = item {
                clean_all(&mut function.attrs);
                function.default = function.default.as_ref().map(|_| parse_quote!({}));
            } else if let TraitItem::Const(constant) = item {
                clean_all(&mut constant.attrs);
            } else if let TraitItem::Type(kind) = item {
                clean_all(&mut kind.attrs);
            }
        }),
        Item::Union(_) | Item::Type(_) => {}
        _ => return None,
    }
    clean_all(attributes_mut(&mut item)?);
    Some(item)
}

fn public_fields(fields: &mut Fields) {
    match fields {
        Fields::Named(named) => {
            let all = std::mem::take(&mut named.named);
            named.named = all.into_iter().filter(|field| is_pub(&field.vis)).collect();
        }
        Fields::Unnamed(unnamed) => {
            let all = std::mem::take(&mut unnamed.unnamed);
            unnamed.unnamed = all.into_iter().filter(|field| is_pub(&field.vis)).collect();
        }
        Fields::Unit => {}
    }
    fields.iter_mut().for_each(|field| clean_all(&mut field.attrs));
}

/// Keeps what is a promise, and what [`is_hidden`] asks for.
fn clean(attributes: &mut Vec<Attribute>) {
    let promises = ["derive", "repr", "non_exhaustive", "must_use", "deprecated", "cfg"];
    attributes.retain(|attribute| {
        promises.iter().any(|name| attribute.path().is_ident(name))
            || is_hidden(std::slice::from_ref(attribute))
    });
}

fn clean_all(attributes: &mut Vec<Attribute>) {
    clean(attributes);
    attributes.retain(|attribute| !attribute.path().is_ident("doc"));
}

fn is_pub(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

fn is_public(item: &Item) -> bool {
    let visible = match item {
        Item::Const(item) => is_pub(&item.vis),
        Item::Enum(item) => is_pub(&item.vis),
        Item::Fn(item) => is_pub(&item.vis),
        Item::Mod(item) => is_pub(&item.vis),
        Item::Static(item) => is_pub(&item.vis),
        Item::Struct(item) => is_pub(&item.vis),
        Item::Trait(item) => is_pub(&item.vis),
        Item::Type(item) => is_pub(&item.vis),
        Item::Union(item) => is_pub(&item.vis),
        Item::Use(item) => is_pub(&item.vis),
        Item::Macro(_) => true,
        _ => false,
    };
    visible && !is_hidden(attributes(item))
}

/// Whether the documentation leaves it out, which says that it is no promise.
fn is_hidden(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("doc")
            && attribute.parse_args::<syn::Ident>().is_ok_and(|word| word == "hidden")
    })
}

/// Whether it is compiled for tests, or for the feature that only tests have.
fn is_for_tests(attributes: &[Attribute]) -> bool {
    let text = |attribute: &Attribute| match &attribute.meta {
        syn::Meta::List(list) => list.tokens.to_string(),
        _ => String::new(),
    };
    attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("cfg"))
        .any(|attribute| ["test", "doctest", "feature = \"cases\""].contains(&text(attribute).as_str()))
}

fn named(item: &Item) -> Option<String> {
    Some(
        match item {
            Item::Const(item) => &item.ident,
            Item::Enum(item) => &item.ident,
            Item::Fn(item) => &item.sig.ident,
            Item::Static(item) => &item.ident,
            Item::Struct(item) => &item.ident,
            Item::Trait(item) => &item.ident,
            Item::Type(item) => &item.ident,
            Item::Union(item) => &item.ident,
            _ => return None,
        }
        .to_string(),
    )
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

fn attributes_mut(item: &mut Item) -> Option<&mut Vec<Attribute>> {
    Some(match item {
        Item::Const(item) => &mut item.attrs,
        Item::Enum(item) => &mut item.attrs,
        Item::Fn(item) => &mut item.attrs,
        Item::Static(item) => &mut item.attrs,
        Item::Struct(item) => &mut item.attrs,
        Item::Trait(item) => &mut item.attrs,
        Item::Type(item) => &mut item.attrs,
        Item::Union(item) => &mut item.attrs,
        _ => return None,
    })
}
