//! Leaves in assembly must read the fields of their arguments by name, never by a number. This test follows
//! the text of each `asm.rs` from top to bottom, as a reader does: it tracks which registers and stack slots
//! hold the address of a struct, or a copy of the struct, and what is read through them.
//!
//! It does not follow addresses that the lines above a label do not show, nor pointers that a function gets
//! beside a struct.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The struct whose pointers are advanced: adding to such a pointer gives another pointer to this struct.
const WALKED: &str = "Multiplier";

#[test]
fn fields_are_read_by_name() {
    for (path, text) in sources() {
        let mut reads = 0;
        for function in functions(&text) {
            let found = check(&text, function);
            assert!(found.wrong.is_empty(), "{}:\n{}", path.display(), found.wrong.join("\n"));
            reads += found.reads;
        }
        assert!(reads > 10, "{}: only {reads} reads of fields were understood", path.display());
    }
}

/// A number in place of any field's name is found.
#[test]
fn numbers_are_found() {
    for (path, text) in sources() {
        let fields = fields(&text);
        let mut tried = 0;
        for function in functions(&text) {
            for (at, name) in names(function).into_iter().filter(|(_, name)| fields.contains(name)) {
                let number = format!("{}8{}", &function[..at], &function[at + name.len() + 2..]);
                let line = function[..at].lines().last().unwrap_or("").trim();
                let wrong = check(&text, &number).wrong;
                assert!(!wrong.is_empty(), "{}: {line}: {name} as a number", path.display());
                tried += 1;
            }
        }
        assert!(tried > 0, "{}: no field is named", path.display());
    }
}

/// An order of fields that no macro checks is found.
#[test]
fn unchecked_order_is_found() {
    for (path, text) in sources() {
        let functions = functions(&text);
        for (at, order) in text.match_indices("\nin_order!(") {
            let (before, after) = (&text[..at], &text[at + order.len()..]);
            let unchecked = format!("{before}\n// ({after}");
            let found = functions.iter().any(|function| !check(&unchecked, function).wrong.is_empty());
            assert!(found, "{}: {}", path.display(), after.lines().next().unwrap_or(""));
        }
    }
}

fn sources() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src/kernels")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("kernels have a folder") {
            let path = entry.expect("a folder is readable").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.ends_with("asm.rs") {
                let text = std::fs::read_to_string(&path).expect("a source is text");
                found.push((path, text));
            }
        }
    }
    assert!(found.len() >= 7, "{} sources", found.len());
    found
}

/// The functions in assembly of a file, each starting with its head.
fn functions(text: &str) -> Vec<&str> {
    text.split("#[unsafe(naked)]").skip(1).map(|rest| rest.split("\n}\n").next().unwrap_or(rest)).collect()
}

/// The start of each `{name}`.
fn names(function: &str) -> Vec<(usize, &str)> {
    let braces = function.match_indices('{').filter(|(at, _)| !function[..*at].ends_with('{'));
    let name = |(at, _): (usize, &str)| Some((at, function[at + 1..].split_once('}')?.0));
    braces.filter_map(name).collect()
}

/// Fields of the structs that functions get.
fn fields(text: &str) -> BTreeSet<&str> {
    let mut fields = BTreeSet::new();
    for rest in text.split("pub(super) struct ").skip(1) {
        let (name, rest) = rest.split_once(" {\n").expect("a struct has fields");
        let body = rest.split("\n}").next().unwrap_or("");
        if ["const", "mut"].iter().any(|kind| text.contains(&format!("(work: *{kind} {name})"))) {
            fields
                .extend(body.lines().filter_map(|line| line.trim().strip_prefix("pub ")?.split(':').next()));
        }
    }
    fields
}

#[derive(Default)]
struct Found {
    /// Number of reads and writes of fields.
    reads: usize,
    wrong: Vec<String>,
}

fn check(text: &str, function: &str) -> Found {
    let mut found = Found::default();
    let (head, body) = function.split_once("!(\n").expect("a function in assembly is a macro");
    let work = head.split("(work: *").nth(1).and_then(|rest| rest.split([' ', ')']).nth(1));
    let mut leaf = Leaf { text, work: work.unwrap_or(""), ..Leaf::default() };
    if work.is_some() {
        leaf.holds.extend(["r0", "a0"].map(|register| (register.into(), leaf.work.into())));
    }
    leaf.run(&instructions(text, body), &mut found);
    found
}

/// The lines of the assembly: strings, including those of the file's own macros, with the assembler's macros
/// expanded.
fn instructions(text: &str, body: &str) -> Vec<String> {
    let mut plain = Vec::new();
    for line in body.lines().map(str::trim) {
        if let Some(line) = line.strip_prefix('"') {
            plain.push(unescaped(line.rsplit_once('"').map_or(line, |(line, _)| line)));
        } else if let Some(name) = line.strip_suffix("!(),") {
            let rest = text.split(&format!("macro_rules! {name} {{")).nth(1).unwrap_or("");
            let lines = rest.split('"').nth(1).unwrap_or("").lines();
            plain.extend(lines.map(|line| unescaped(line.trim())));
        }
    }
    let mut macros = BTreeMap::new();
    let mut expanded = Vec::new();
    let mut lines = plain.into_iter();
    while let Some(line) = lines.next() {
        if let Some(head) = line.strip_prefix(".macro ") {
            let (name, parameters) = head.split_once(' ').unwrap_or((head, ""));
            let parameters: Vec<String> = parameters.split(',').map(|name| name.trim().into()).collect();
            let lines: Vec<String> = lines.by_ref().take_while(|line| line != ".endm").collect();
            macros.insert(String::from(name), (parameters, lines));
        } else {
            expand(&macros, &line, &mut expanded);
        }
    }
    expanded
}

type Macros = BTreeMap<String, (Vec<String>, Vec<String>)>;

fn expand(macros: &Macros, line: &str, expanded: &mut Vec<String>) {
    let (name, arguments) = line.split_once(' ').unwrap_or((line, ""));
    let Some((parameters, lines)) = macros.get(name) else {
        expanded.push(line.into());
        return;
    };
    for line in lines {
        let mut line = line.clone();
        for (parameter, argument) in parameters.iter().zip(arguments.split(',')) {
            line = line.replace(&format!("\\{parameter}"), argument.trim());
        }
        expand(macros, &line, expanded);
    }
}

fn unescaped(line: &str) -> String {
    line.replace("\\\\", "\\").replace("{{", "(").replace("}}", ")")
}

/// What is known about registers and the stack between two instructions of a leaf.
#[derive(Default)]
struct Leaf<'a> {
    text: &'a str,
    work: &'a str,
    /// Structs that registers point to.
    holds: BTreeMap<String, String>,
    /// Structs and fields that registers point to.
    inside: BTreeMap<String, (String, String)>,
    /// Stack slots that hold the address of the arguments.
    slots: BTreeSet<u32>,
    /// Registers that point into the stack, and the offset that they have reached.
    stack: BTreeMap<String, u32>,
    /// Bytes of the arguments that are at the bottom of the stack.
    copied: u32,
}

/// Instructions whose first operand is not written.
const NO_TARGET: [&str; 10] = ["cmp", "tst", "beq", "bne", "beqz", "bnez", "b", "bl", "cbnz", "cbz"];

impl Leaf<'_> {
    fn run(&mut self, lines: &[String], found: &mut Found) {
        for line in lines {
            let (name, operands) = line.split_once(' ').unwrap_or((line, ""));
            if name.starts_with('.') || name.ends_with(':') {
                continue;
            }
            let op = name.split('.').next().unwrap_or(name);
            if let Err(why) = self.step(op, operands, found) {
                found.wrong.push(format!("{}: `{line}`: {why}", self.work));
            }
        }
    }

    fn step(&mut self, op: &str, operands: &str, found: &mut Found) -> Result<(), String> {
        let words = operands.split([',', ' ', '(', ')', '[', ']', '!']);
        let registers: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
        let [first, ..] = registers[..] else { return Ok(()) };
        let is_store = op.starts_with("st") || op.starts_with("vst") || ["sw", "sb", "sh"].contains(&op);
        if op.starts_with("ldm") || op.starts_with("stm") {
            return self.several(first, operands, is_store, found);
        }
        if op == "push" || op == "vpush" || first == "sp" {
            // What is made room for lies below the slots.
            let room = operands.rsplit_once('#').and_then(|(_, room)| value(room)).filter(|_| op == "sub");
            let slots = std::mem::take(&mut self.slots);
            self.slots.extend(room.iter().flat_map(|room| slots.iter().map(move |at| at + room)));
            // The lowest register is stored at the bottom.
            if op == "push" && self.holds_work(first) {
                self.slots.insert(0);
            }
            return Ok(());
        }
        let memory = memory(operands);
        if let Some(memory) = &memory {
            self.access(op, memory, found)?;
        }
        if is_store {
            if let Some(("sp", offset, _)) = memory
                && self.holds_work(first)
            {
                self.slots.extend(value(offset));
            }
            return Ok(());
        }
        if NO_TARGET.contains(&op) {
            return Ok(());
        }
        // The value that the first register gets.
        let (mut holds, mut inside, mut stack) = (None, None, None);
        let source = registers.get(if op == "mla" { 3 } else { 1 }).copied().unwrap_or("");
        match memory {
            Some(("sp", offset, _)) if value(offset).is_some_and(|at| self.slots.contains(&at)) => {
                holds = Some(self.work.to_string());
            }
            Some((_, "{multipliers}", _)) => holds = Some(WALKED.into()),
            Some(_) => {}
            None if op.starts_with("mov") || op == "mv" => {
                holds = self.holds.get(source).cloned();
                stack = (source == "sp").then_some(0);
            }
            None if op.starts_with("add") || op == "mla" => {
                let from = if self.holds.contains_key(source) || source == "sp" { source } else { first };
                holds = self.holds.get(from).filter(|of| *of == WALKED).cloned();
                inside = self.lead(from, operands)?;
            }
            None => {}
        }
        self.forget(first);
        if op == "ldrd" {
            self.forget(source);
        }
        self.holds.extend(holds.map(|of| (first.into(), of)));
        self.inside.extend(inside.map(|place| (first.into(), place)));
        self.stack.extend(stack.map(|at| (first.into(), at)));
        Ok(())
    }

    /// LDM or STM.
    fn several(
        &mut self,
        base: &str,
        operands: &str,
        is_store: bool,
        found: &mut Found,
    ) -> Result<(), String> {
        let list = operands.split_once('(').map_or("", |(_, list)| list.trim_end_matches(')'));
        let registers: Vec<&str> = list.split(',').map(str::trim).collect();
        let count = registers.len() as u32;
        let moves = operands.starts_with(&format!("{base}!"));
        if let Some(at) = self.stack.get_mut(base).filter(|_| is_store) {
            *at += 4 * count;
            self.copied = self.copied.max(*at);
        } else if let Some(place) = self.place(base) {
            found.reads += registers.len();
            // An instruction that advances the pointer copies the struct, whose size is checked at its
            // declaration.
            if !(moves && self.holds.contains_key(base)) {
                self.order(&place, count)?;
            }
        }
        if moves {
            self.holds.remove(base);
            self.inside.remove(base);
        }
        if !is_store {
            for register in registers {
                self.forget(register);
            }
        }
        Ok(())
    }

    /// Any other load or store.
    fn access(&self, op: &str, memory: &Memory<'_>, found: &mut Found) -> Result<(), String> {
        let (base, offset, moves) = *memory;
        let Some((of, field)) = self.place(base) else { return Ok(()) };
        if !field.is_empty() {
            return Ok(());
        }
        let words = match op {
            "ldrd" | "strd" | "vld20" | "vld21" => 2,
            _ if op.starts_with("vldr") || op.starts_with("vstr") => 4,
            _ => 1,
        };
        // VLD2 has no offset. If the pointer is advanced, it is by the size of a struct that begins with this
        // field.
        let by_name = op.starts_with("vld2") || moves.unwrap_or(offset).contains('{');
        if !by_name && (base != "sp" || value(offset).is_none_or(|at| at < self.copied)) {
            return Err(format!("a field of {of} is a number"));
        }
        found.reads += usize::from(by_name);
        let field = offset.split_once('{').and_then(|(_, rest)| rest.split('}').next()).unwrap_or("");
        if by_name && words > 1 { self.order(&(of, field.into()), words) } else { Ok(()) }
    }

    /// The result of adding a field's offset to a pointer to a struct, or to a copy on the stack.
    fn lead(&self, from: &str, operands: &str) -> Result<Option<(String, String)>, String> {
        let (Some((of, _)), Some((_, offset))) = (self.place(from), operands.rsplit_once('#')) else {
            return Ok(None);
        };
        if let Some(field) = offset.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            return Ok(Some((of, field.into())));
        }
        let is_field = from != "sp" || value(offset).is_none_or(|at| at < self.copied);
        if is_field && of == self.work {
            return Err(format!("the place of a field of {of} is a number"));
        }
        Ok(None)
    }

    fn holds_work(&self, register: &str) -> bool {
        self.holds.get(register).is_some_and(|of| of == self.work)
    }

    /// The struct that a register points into, and the field at which it points; the field is empty for the
    /// first one.
    fn place(&self, register: &str) -> Option<(String, String)> {
        let copy = self.copied > 0 && (register == "sp" || self.stack.contains_key(register));
        let whole = self.holds.get(register).cloned().or(copy.then(|| self.work.into()));
        whole.map(|of| (of, String::new())).or_else(|| self.inside.get(register).cloned())
    }

    fn forget(&mut self, register: &str) {
        self.holds.remove(register);
        self.inside.remove(register);
        self.stack.remove(register);
    }

    /// Checks that a macro checks the order of so many words from a field on.
    fn order(&self, (of, field): &(String, String), count: u32) -> Result<(), String> {
        let is_checked = orders(self.text, of).into_iter().any(|(is_first, words, fields)| {
            let at =
                if field.is_empty() { is_first.then_some(0) } else { fields.iter().position(|x| x == field) };
            match at {
                Some(0) => words >= count,
                Some(at) => count == 2 && at + 1 < fields.len(),
                None => false,
            }
        });
        let from = if field.is_empty() { "the first" } else { field };
        is_checked.then_some(()).ok_or(format!("no `in_order!` checks {count} words of {of} from {from} on"))
    }
}

/// The checks of a struct by `in_order!`: whether from its start, how many words, which fields.
fn orders<'a>(text: &'a str, of: &str) -> Vec<(bool, u32, Vec<&'a str>)> {
    let order = |rest: &'a str| {
        let inside = rest.split(')').next()?.trim();
        let (is_first, inside) =
            inside.strip_prefix("first ").map_or((false, inside), |inside| (true, inside));
        let (count, rest) = inside.split_once(" words of ")?;
        let fields = rest.strip_prefix(of)?.strip_prefix(':')?;
        Some((is_first, count.parse().ok()?, fields.split(',').map(str::trim).collect()))
    };
    text.split("\nin_order!(").skip(1).filter_map(order).collect()
}

/// The base, the offset, and the amount by which the base is advanced.
type Memory<'a> = (&'a str, &'a str, Option<&'a str>);

/// The operand in memory.
fn memory(operands: &str) -> Option<Memory<'_>> {
    if let Some((_, rest)) = operands.split_once('[') {
        let (inside, behind) = rest.split_once(']')?;
        let moves = behind.split_once('#').map(|(_, way)| way);
        return Some(match inside.split_once(',') {
            Some((base, offset)) => (base, offset.trim().trim_start_matches('#'), moves),
            None => (inside, "0", moves),
        });
    }
    let (before, rest) = operands.rsplit_once('(')?;
    let (_, offset) = before.split_once(',')?;
    Some((rest.strip_suffix(')')?, offset.trim(), None))
}

/// The value of a sum of products of numbers.
fn value(text: &str) -> Option<u32> {
    let products = text.split('+').map(|product| {
        product.split('*').map(|number| number.trim().parse::<u32>().ok()).product::<Option<u32>>()
    });
    products.sum()
}
