//! The order of the files: imports form no cycle, and no import leads from a lower layer to a higher one.
//!
//! Files are read as text: `use` declarations, and paths that begin with `crate`, `super` or `self`. A module
//! that only re-exports a name of a file below it counts as that file. A path from a `mod.rs` into its own
//! modules (`child::name`) is not an import, because a module that lists others may use them. Tests may
//! import anything.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::run::root;

/// The source folders that are checked.
const SOURCES: [&str; 4] = ["schema/src", "runtime/src", "converter/graph/src", "converter/src"];

/// The layers of the crate `ferrolite`, the lowest first, by the first part of a module's path. Files of a
/// layer may import from the same layer and from lower ones.
const LAYERS: [(&str, &[&str]); 11] = [
    ("ground", &["aligned", "files", "noise", "progress", "text", "tflite", "unsupported"]),
    ("operators", &["ops", "reference"]),
    ("data", &["data"]),
    ("device", &["emit", "execute", "model_file"]),
    ("passes", &["passes"]),
    ("import", &["import"]),
    ("quantize", &["quantize"]),
    ("convert", &["convert", "self_check", "update", "written"]),
    (
        "study",
        &[
            "bench", "bindings", "board", "compare", "eager", "facts", "fits", "hub", "migrate", "project",
            "run", "serve", "upgrade",
        ],
    ),
    ("report", &["report"]),
    ("command", &["cli"]),
];

/// A module's path from the root of its crate.
type Module = Vec<String>;

/// Fails with a list of all cycles, and of all imports that lead to a higher layer.
pub fn check() -> Result<()> {
    let mut wrong = Vec::new();
    for source in SOURCES {
        let files = read(&root().join(source))?;
        let imports = imports(&files);
        for circle in circles(&imports) {
            wrong.push(format!("circle: {source}: {}", names(&circle)));
        }
        if source == "converter/src" {
            wrong.extend(climbing(&imports));
        }
    }
    if wrong.is_empty() {
        return Ok(());
    }
    bail!("{}\nARCHITECTURE.md, \"Layers\", says which way imports go", wrong.join("\n"))
}

fn names(modules: &[Module]) -> String {
    let name = |module: &Module| if module.is_empty() { "lib".to_string() } else { module.join("/") };
    modules.iter().map(name).collect::<Vec<_>>().join(", ")
}

/// The tokens of a file, without comments, strings and tests.
struct File {
    tokens: Vec<String>,
    /// Whether it contains the modules below it: `mod.rs`, `lib.rs`.
    parent: bool,
}

/// All files of a crate by module, except tests and generated files.
fn read(source: &Path) -> Result<BTreeMap<Module, File>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let entries =
            fs::read_dir(source.join(&folder)).with_context(|| source.join(&folder).display().to_string())?;
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if entry.file_type()?.is_dir() {
                folders.push(folder.join(name));
                continue;
            }
            let Some(stem) = name.strip_suffix(".rs") else { continue };
            let test = stem == "tests" || stem == "testing" || stem.ends_with("_tests");
            // The command's `main` is above the library.
            if test || stem == "generated" || stem == "main" {
                continue;
            }
            let mut module: Module = folder.iter().map(|part| part.to_string_lossy().into_owned()).collect();
            let parent = matches!(stem, "mod" | "lib");
            if !parent {
                module.push(stem.to_string());
            }
            let text = fs::read_to_string(entry.path())?;
            files.insert(module, File { tokens: tokens(&text), parent });
        }
    }
    let tests = test_modules(&files);
    files.retain(|module, _| !tests.iter().any(|test| module.starts_with(test)));
    Ok(files)
}

/// Modules that are declared for tests only.
fn test_modules(files: &BTreeMap<Module, File>) -> Vec<Module> {
    let mut found = Vec::new();
    for (module, file) in files {
        let base = if file.parent { module.clone() } else { continue };
        for (at, window) in file.tokens.windows(TEST.len()).enumerate() {
            if window != TEST {
                continue;
            }
            let mut rest = file.tokens[at + TEST.len()..].iter().skip_while(|word| *word != "mod");
            if let Some(name) = rest.nth(1) {
                found.push([base.clone(), vec![name.clone()]].concat());
            }
        }
    }
    found
}

const TEST: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];

/// The tokens of Rust that matter here: names, `::` and single signs. An inline module of tests ends the
/// file.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if rest.starts_with("//") {
            rest = rest.split_once('\n').map_or("", |(_, behind)| behind);
        } else if let Some(behind) = raw_text(rest) {
            rest = behind;
        } else if c == '"' {
            rest = behind_text(&rest[1..]);
        } else if c == '\'' {
            // A lifetime has no second quote nearby.
            let end = match rest[1..].strip_prefix('\\') {
                Some(escaped) => escaped.find('\'').map(|at| at + 3),
                None => rest[1..].char_indices().nth(1).filter(|(_, c)| *c == '\'').map(|(at, _)| at + 2),
            };
            rest = &rest[end.unwrap_or(1)..];
        } else if c.is_alphabetic() || c == '_' {
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            tokens.push(rest[..end].to_string());
            rest = &rest[end..];
        } else if let Some(behind) = rest.strip_prefix("::") {
            tokens.push("::".into());
            rest = behind;
        } else {
            if !c.is_whitespace() {
                tokens.push(c.to_string());
            }
            rest = &rest[c.len_utf8()..];
        }
        if tokens.last().is_some_and(|word| word == "{") && ends_in_tests(&tokens) {
            break;
        }
    }
    tokens
}

/// Whether `#[cfg(test)] mod name {` has just been read, with any visibility.
fn ends_in_tests(tokens: &[String]) -> bool {
    let Some(head) = tokens.windows(TEST.len()).rposition(|window| window == TEST) else { return false };
    let words: Vec<&str> = tokens[head + TEST.len()..].iter().map(String::as_str).collect();
    matches!(words.as_slice(), ["mod", _, "{"] | ["pub", "mod", _, "{"] | ["pub", "(", _, ")", "mod", _, "{"])
}

/// The text after a raw string that begins here with `r"` or `r#"`, if one does.
fn raw_text(text: &str) -> Option<&str> {
    let behind = text.strip_prefix('r')?;
    let signs = behind.len() - behind.trim_start_matches('#').len();
    let body = behind[signs..].strip_prefix('"')?;
    let end = ["\"", &"#".repeat(signs)].concat();
    Some(body.split_once(&end).map_or("", |(_, behind)| behind))
}

/// The text after a string whose first quote has been read.
fn behind_text(text: &str) -> &str {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            '"' if !escaped => return &text[at + 1..],
            _ => escaped = c == '\\' && !escaped,
        }
    }
    ""
}

/// The files that each file imports.
fn imports(files: &BTreeMap<Module, File>) -> BTreeMap<Module, BTreeSet<Module>> {
    let handed = handed_on(files);
    let mut found = BTreeMap::new();
    for (module, file) in files {
        let mut targets = BTreeSet::new();
        for (path, public) in paths(&file.tokens) {
            let Some(target) = resolve(files, &handed, module, file, &path) else { continue };
            // A module that re-exports a name of a file below it does not use it.
            let hands_on = public && file.parent && target.starts_with(module);
            if target != *module && !hands_on {
                targets.insert(target);
            }
        }
        found.insert(module.clone(), targets);
    }
    found
}

/// For each name that a module re-exports, the file below it that defines the name.
fn handed_on(files: &BTreeMap<Module, File>) -> BTreeMap<(Module, String), Module> {
    let mut handed = BTreeMap::new();
    for (module, file) in files.iter().filter(|(_, file)| file.parent) {
        for (path, public) in paths(&file.tokens) {
            let path = if path[0] == "self" { &path[1..] } else { &path[..] };
            let [child, name] = path else { continue };
            let child = [module.clone(), vec![child.clone()]].concat();
            if public && files.contains_key(&child) {
                handed.insert((module.clone(), name.clone()), child);
            }
        }
    }
    handed
}

/// The file that a path refers to, if it is one of the crate's.
fn resolve(
    files: &BTreeMap<Module, File>,
    handed: &BTreeMap<(Module, String), Module>,
    module: &Module,
    file: &File,
    path: &[String],
) -> Option<Module> {
    let mut words = path;
    let mut base = module.clone();
    let inside = file.parent;
    match words.first()?.as_str() {
        "crate" => (base, words) = (Vec::new(), &words[1..]),
        "self" => words = &words[1..],
        "super" => {
            while words.first().is_some_and(|word| word == "super") {
                // The module of a file that contains others is its folder.
                base.pop()?;
                words = &words[1..];
            }
        }
        // This is a name of a module below.
        _ if !inside => return None,
        first => {
            let child = [base.clone(), vec![first.to_string()]].concat();
            files.contains_key(&child).then_some(())?;
        }
    }
    let whole = [&base[..], words].concat();
    let mut at = (0..=whole.len()).rev().find(|&n| files.contains_key(&whole[..n]))?;
    let mut found = whole[..at].to_vec();
    while let Some(child) = whole.get(at).and_then(|name| handed.get(&(found.clone(), name.clone()))) {
        found = child.clone();
        at += 1;
    }
    Some(found)
}

/// All paths of a file, each with whether it is re-exported (`pub use`): those of `use` declarations, and
/// others that begin with `crate` or `super`.
fn paths(tokens: &[String]) -> Vec<(Vec<String>, bool)> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let word = tokens[at].as_str();
        if word == "use" {
            let public = at > 0 && (tokens[at - 1] == "pub" || tokens[at - 1] == ")");
            let end = tokens[at..].iter().position(|word| word == ";").map_or(tokens.len(), |n| at + n);
            tree(&tokens[at + 1..end], &[], &mut |path| found.push((path, public)));
            at = end;
        } else if matches!(word, "crate" | "super") && tokens.get(at + 1).is_some_and(|word| word == "::") {
            let mut path = vec![word.to_string()];
            while tokens.get(at + 1).is_some_and(|word| word == "::")
                && tokens
                    .get(at + 2)
                    .is_some_and(|word| word.starts_with(|c: char| c.is_alphabetic() || c == '_'))
            {
                path.push(tokens[at + 2].clone());
                at += 2;
            }
            found.push((path, false));
            at += 1;
        } else {
            at += 1;
        }
    }
    found
}

/// The paths of a tree of imports such as `a::{self, b::c as d}`.
fn tree(tokens: &[String], prefix: &[String], found: &mut dyn FnMut(Vec<String>)) {
    let mut path = prefix.to_vec();
    let mut at = 0;
    while at < tokens.len() {
        match tokens[at].as_str() {
            "::" => {}
            "as" => at += 1,
            "{" => {
                let mut depth = 1;
                let mut start = at + 1;
                let mut end = start;
                while depth > 0 && end < tokens.len() {
                    match tokens[end].as_str() {
                        "{" => depth += 1,
                        "}" => depth -= 1,
                        "," if depth == 1 => {
                            tree(&tokens[start..end], &path, found);
                            start = end + 1;
                        }
                        _ => {}
                    }
                    end += 1;
                }
                // There may be a comma after the last one.
                let last = &tokens[start..end.saturating_sub(1).max(start)];
                if !last.is_empty() {
                    tree(last, &path, found);
                }
                return;
            }
            "self" if !path.is_empty() => {}
            word => path.push(word.to_string()),
        }
        at += 1;
    }
    if !path.is_empty() {
        found(path);
    }
}

/// Groups of files that import one another, directly or through others.
fn circles(imports: &BTreeMap<Module, BTreeSet<Module>>) -> Vec<Vec<Module>> {
    let reach = |start: &Module| {
        let mut seen: BTreeSet<&Module> = BTreeSet::new();
        let mut open: Vec<&Module> = imports.get(start).into_iter().flatten().collect();
        while let Some(module) = open.pop() {
            if seen.insert(module) {
                open.extend(imports.get(module).into_iter().flatten());
            }
        }
        seen
    };
    let reached: BTreeMap<&Module, BTreeSet<&Module>> =
        imports.keys().map(|module| (module, reach(module))).collect();
    let mut found: Vec<Vec<Module>> = Vec::new();
    for (&module, far) in &reached {
        if far.contains(module) && !found.iter().any(|circle| circle.contains(module)) {
            let both = far.iter().filter(|other| reached.get(*other).is_some_and(|far| far.contains(module)));
            found.push(both.map(|&other| other.clone()).collect());
        }
    }
    found
}

/// Imports of the crate `ferrolite` from a layer to a higher one, and imports from or to a file without a
/// layer.
fn climbing(imports: &BTreeMap<Module, BTreeSet<Module>>) -> Vec<String> {
    let layer = |module: &Module| {
        let top = module.first()?;
        LAYERS.iter().position(|(_, modules)| modules.contains(&top.as_str()))
    };
    let mut wrong = Vec::new();
    for (module, targets) in imports.iter().filter(|(module, _)| !module.is_empty()) {
        let Some(own) = layer(module) else {
            wrong.push(format!(
                "climb: converter/src: {} stands in no layer",
                names(std::slice::from_ref(module))
            ));
            continue;
        };
        for target in targets {
            if let Some(other) = layer(target).filter(|&other| other > own) {
                wrong.push(format!(
                    "climb: converter/src: {} ({}) imports {} ({})",
                    module.join("/"),
                    LAYERS[own].0,
                    target.join("/"),
                    LAYERS[other].0
                ));
            }
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(path: &str) -> Module {
        path.split('/').filter(|part| !part.is_empty()).map(String::from).collect()
    }

    fn crate_of(files: &[(&str, &str)]) -> BTreeMap<Module, File> {
        let parent = |path: &str| {
            files.iter().any(|(other, _)| other.starts_with(&format!("{path}/"))) || path.is_empty()
        };
        files
            .iter()
            .map(|(path, text)| (module(path), File { tokens: tokens(text), parent: parent(path) }))
            .collect()
    }

    #[test]
    fn imports_are_found_in_every_form() {
        let files = crate_of(&[
            ("", "mod a; mod b; pub mod c;"),
            ("a", "use crate::{b, c::d::{self, Deep as Other},};"),
            (
                "b",
                "/* */ // use crate::a;\n const T: &str = \"use crate::a;\"; const C: char = '\"'; fn f<'a>() { crate::c::e::g::<u8>() }",
            ),
            ("c", "pub mod d; mod e; pub use e::Handed; use d::Deep;"),
            ("c/d", "use super::e::Name;"),
            ("c/e", "fn h() { super::super::a::f() }\n#[cfg(test)]\npub(super) mod tests { use crate::b; }"),
        ]);
        let found = imports(&files);
        let of = |path: &str| names(&found[&module(path)].iter().cloned().collect::<Vec<_>>());
        assert_eq!(of("a"), "b, c/d");
        assert_eq!(of("b"), "c/e");
        assert_eq!(of("c"), "c/d");
        assert_eq!(of("c/d"), "c/e");
        assert_eq!(of("c/e"), "a");
        // A name that `c` re-exports counts as its file.
        let files =
            crate_of(&[("x", "use crate::c::Handed;"), ("c", "pub use self::e::Handed;"), ("c/e", "")]);
        assert_eq!(names(&imports(&files)[&module("x")].iter().cloned().collect::<Vec<_>>()), "c/e");
    }

    #[test]
    fn circles_and_climbing_imports_are_told() {
        let files = crate_of(&[
            ("data", "use crate::text;"),
            ("text", ""),
            ("passes", "use crate::quantize::Q;"),
            ("quantize", "use crate::passes;"),
            ("elsewhere", ""),
        ]);
        let found = imports(&files);
        assert_eq!(circles(&found), [vec![module("passes"), module("quantize")]]);
        let wrong = climbing(&found);
        assert_eq!(wrong.len(), 2, "{wrong:?}");
        assert!(wrong[0].contains("elsewhere stands in no layer"), "{wrong:?}");
        assert!(wrong[1].contains("passes (passes) imports quantize (quantize)"), "{wrong:?}");
    }
}
