//! Which functions of which files get mutants: whole files, and the functions that check a file or tell how
//! far an output may lie over an input, with all functions that they call.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result};
use syn::visit::{self, Visit};

use crate::mutate::is_test;

/// Files all of whose functions get mutants.
const WHOLE: [&str; 4] =
    ["schema/src/verify.rs", "runtime/src/quant.rs", "runtime/src/packing.rs", "converter/src/ops/pack.rs"];

/// The operators, and the helpers of their checks.
const OPERATORS: &str = "runtime/src/ops";
const NODE: &str = "runtime/src/node.rs";

/// A file that gets mutants.
pub struct Chosen {
    /// Its path from the root of the repository, with slashes.
    pub path: String,
    /// Its text.
    pub source: String,
    /// Its syntax.
    pub syntax: syn::File,
    /// Names of the functions.
    pub functions: BTreeSet<String>,
}

/// All files that get mutants.
pub fn chosen(root: &Path) -> Result<Vec<Chosen>> {
    let mut files = Vec::new();
    for path in WHOLE {
        let mut file = read(root, path)?;
        file.functions = functions_of(&file.syntax).into_keys().collect();
        files.push(file);
    }
    let mut paths = vec![NODE.to_string()];
    for entry in root.join(OPERATORS).read_dir()? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".rs") {
            paths.push(format!("{OPERATORS}/{name}"));
        }
    }
    paths.sort();
    let mut operators = paths.iter().map(|path| read(root, path)).collect::<Result<Vec<_>>>()?;
    choose(&mut operators);
    files.extend(operators);
    Ok(files)
}

fn read(root: &Path, path: &str) -> Result<Chosen> {
    let source = std::fs::read_to_string(root.join(path)).with_context(|| format!("cannot read {path}"))?;
    let syntax = syn::parse_file(&source).with_context(|| format!("cannot parse {path}"))?;
    Ok(Chosen { path: path.into(), source, syntax, functions: BTreeSet::new() })
}

fn stem(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path).trim_end_matches(".rs")
}

/// Whether the mutants are made for this function.
fn is_root(name: &str) -> bool {
    name.contains("check") || name.contains("lead") || name.starts_with("expect")
}

/// Follows calls from the checks and leads, by name, through the files.
fn choose(files: &mut [Chosen]) {
    let known: Vec<BTreeMap<String, BTreeSet<Call>>> =
        files.iter().map(|file| functions_of(&file.syntax)).collect();
    let stems: Vec<String> = files.iter().map(|file| stem(&file.path).to_string()).collect();
    let mut open: Vec<(usize, String)> = Vec::new();
    for (number, functions) in known.iter().enumerate() {
        open.extend(functions.keys().filter(|name| is_root(name)).map(|name| (number, name.clone())));
    }
    while let Some((number, name)) = open.pop() {
        if !files[number].functions.insert(name.clone()) {
            continue;
        }
        for (module, called) in &known[number][&name] {
            let file = match module {
                Some(module) => stems.iter().position(|stem| stem == module),
                None => Some(number),
            };
            if let Some(file) = file.filter(|&file| known[file].contains_key(called)) {
                open.push((file, called.clone()));
            }
        }
    }
}

/// The module, if one is named, and the name that a function uses.
type Call = (Option<String>, String);

/// The functions of a file, without its tests, and the names that each uses.
fn functions_of(file: &syn::File) -> BTreeMap<String, BTreeSet<Call>> {
    let mut reader = Reader::default();
    reader.visit_file(file);
    reader.functions
}

#[derive(Default)]
struct Reader {
    functions: BTreeMap<String, BTreeSet<Call>>,
    current: Option<String>,
}

impl Reader {
    fn enter(&mut self, name: &syn::Ident, block: &syn::Block) {
        let outer = self.current.replace(name.to_string());
        self.functions.entry(name.to_string()).or_default();
        self.visit_block(block);
        self.current = outer;
    }

    fn uses(&mut self, module: Option<String>, name: String) {
        if let Some(uses) = self.current.as_ref().and_then(|current| self.functions.get_mut(current)) {
            uses.insert((module, name));
        }
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !is_test(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        if !is_test(&item.attrs) {
            self.enter(&item.sig.ident, &item.block);
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.enter(&item.sig.ident, &item.block);
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        self.uses(None, call.method.to_string());
        visit::visit_expr_method_call(self, call);
    }

    fn visit_expr_path(&mut self, path: &'ast syn::ExprPath) {
        let mut names = path.path.segments.iter().rev().map(|segment| segment.ident.to_string());
        if let Some(name) = names.next() {
            // A type's function is found by its name alone.
            let module = names.next().filter(|module| module.chars().all(|c| !c.is_uppercase()));
            self.uses(module, name);
        }
    }
}
