//! What the sources of a TFLM project say: model arrays, operators of the resolver, the arena, and which of them
//! belong together.

use std::collections::BTreeSet;

use super::conditions::Names;
use super::constants::{Constants, spell};
use super::operators;
use super::tokens::{Include, Kind, Read, Token, read};

/// A place in the sources.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) file: String,
    pub(super) line: usize,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// An array of bytes that is a TensorFlow Lite model.
#[derive(Clone, Debug)]
pub(super) struct Array {
    pub(super) name: String,
    pub(super) place: Place,
    pub(super) bytes: Vec<u8>,
}

/// An operator that is added to a resolver.
#[derive(Clone, Debug)]
struct Added {
    resolver: String,
    operator: String,
}

/// A `MicroInterpreter` that is made.
#[derive(Clone, Debug)]
struct Made {
    /// The name that stands for its model.
    model: String,
    resolver: String,
    size: Vec<Token>,
    place: Place,
}

/// What one file says.
#[derive(Debug, Default)]
struct Facts {
    /// Arrays that `GetModel` is called on, with the variable that gets the result.
    loads: Vec<(String, Option<String>)>,
    made: Vec<Made>,
    added: Vec<Added>,
    /// The resolvers that have all operators, by their names.
    all_operators: BTreeSet<String>,
    resolvers: BTreeSet<String>,
    /// Whether it names a resolver that has what is added to it.
    mutable: bool,
    /// Arrays of bytes whose name says that they are an arena.
    arenas: Vec<(Vec<Token>, Place)>,
    constants: Constants,
}

/// What all sources say.
#[derive(Debug, Default)]
pub(super) struct Sources {
    files: Vec<Facts>,
    constants: Constants,
    /// The arrays that are models.
    pub(super) arrays: Vec<Array>,
    /// Uses of TFLM, by the words of [`WORDS`], where each is first.
    pub(super) uses: Vec<(&'static str, Place)>,
    /// What was not understood, a sentence each.
    pub(super) unclear: Vec<String>,
    /// The conditions that stayed open, a sentence each.
    pub(super) open: Vec<String>,
    names: BTreeSet<String>,
}

/// The arena that the sources give a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Arena {
    pub(super) bytes: u64,
    pub(super) words: String,
    pub(super) place: Option<Place>,
}

/// The operators that the sources link for a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Linked {
    /// Nothing was found.
    Unknown,
    /// All that TFLM has.
    All,
    /// These.
    These(BTreeSet<String>),
}

/// Words of TFLM's programs that have a counterpart, which the report names.
const WORDS: [&str; 15] = [
    "GetModel",
    "AllocateTensors",
    "Invoke",
    "arena_used_bytes",
    "MicroAllocator",
    "MicroResourceVariables",
    "Reset",
    "MicroProfiler",
    "RecordingMicroInterpreter",
    "MicroPrintf",
    "TF_LITE_REPORT_ERROR",
    "ErrorReporter",
    "InitializeTarget",
    "TFLITE_SCHEMA_VERSION",
    "FrontendProcessSamples",
];

/// Words by which a file is known as one that uses TFLM.
const TFLM: [&str; 4] = ["tflite", "MicroInterpreter", "MicroMutableOpResolver", "AllOpsResolver"];

impl Sources {
    /// Reads one file, before which these names are defined.
    pub(super) fn read(&mut self, file: &str, text: &str, include: Include<'_>, names: Names) {
        let Read { tokens, open, .. } = read(text, include, names);
        let place = |line| Place { file: file.to_string(), line };
        let mut facts = Facts::default();
        facts.constants.add(&tokens);
        self.constants.add(&tokens);
        let about = tokens.iter().any(|token| token.word().is_some_and(|word| TFLM.contains(&word)));
        let resolvers = aliases(&tokens);
        let arrays = self.arrays.len();
        for (at, token) in tokens.iter().enumerate() {
            let here = place(token.line);
            match &token.kind {
                Kind::Body(body) => {
                    if let Some(name) = declared(&tokens[..at]) {
                        self.array(name, here, body);
                    }
                }
                Kind::Mark('[') => facts.arena(&tokens, at, here),
                Kind::Word(word) if about => {
                    let known = WORDS.iter().find(|known| *known == word);
                    if let Some(known) =
                        known.filter(|known| !self.uses.iter().any(|(word, _)| word == *known))
                    {
                        self.uses.push((known, here.clone()));
                    }
                    match word.as_str() {
                        "GetModel" => facts.load(&tokens, at),
                        "MicroInterpreter" | "RecordingMicroInterpreter" => facts.make(&tokens, at, here),
                        "AllOpsResolver" => {
                            facts
                                .all_operators
                                .insert(named(&tokens[at + 1..]).unwrap_or_default().to_string());
                        }
                        "array" => facts.array_arena(&tokens, at, here),
                        word if resolvers.contains(word) => facts.resolver(&tokens, at),
                        word if word.starts_with("Add") => {
                            self.unclear.extend(facts.add(&tokens, at, &here));
                        }
                        _ => {}
                    }
                }
                _ => {}
            }
        }
        self.files.push(facts);
        if about || self.arrays.len() > arrays {
            self.left_open(file, open);
        }
    }

    /// Says which conditions of a file stayed open, but for those on the compiler, which has names with two underscores.
    fn left_open(&mut self, file: &str, open: Vec<(usize, String)>) {
        let mut said = BTreeSet::new();
        for (line, directive) in open {
            if !directive.contains(" __") && !directive.contains("(__") && said.insert(directive.clone()) {
                let place = Place { file: file.to_string(), line };
                self.open.push(format!(
                    "{place}: `#{directive}` stayed open, since the build may decide it: all its branches were read"
                ));
            }
        }
    }

    fn array(&mut self, name: &str, place: Place, body: &Result<Vec<u8>, String>) {
        self.names.insert(name.to_string());
        match body {
            Ok(bytes) if bytes.get(4..8) == Some(b"TFL3") => {
                self.arrays.push(Array { name: name.to_string(), place, bytes: bytes.clone() });
            }
            Err(why) if name.to_ascii_lowercase().contains("model") || why.contains("TFL3") => {
                self.unclear.push(format!("{place}: `{name}` may be a model, but {why}"));
            }
            _ => {}
        }
    }

    /// The arrays behind a name that a file loads: those that it stands for, by way of other names.
    fn behind(&self, facts: &Facts, name: &str) -> BTreeSet<String> {
        let (mut found, mut seen) = (BTreeSet::new(), BTreeSet::new());
        let mut open = vec![name.to_string()];
        while let Some(name) = open.pop() {
            if !seen.insert(name.clone()) {
                continue;
            }
            if self.arrays.iter().any(|array| array.name == name) {
                found.insert(name);
                continue;
            }
            let own = facts.constants.words_of(&name);
            open.extend(if own.is_empty() { self.constants.words_of(&name) } else { own });
        }
        found
    }

    /// Puts arrays in the place of the pointers and macros that stand for them: `const uint8_t* p = g_model; GetModel(p)`.
    fn follow(&mut self) {
        let mut all = Vec::new();
        for facts in &self.files {
            let mut loads = Vec::new();
            for (name, variable) in &facts.loads {
                let behind = self.behind(facts, name);
                match behind.is_empty() {
                    true => loads.push((name.clone(), variable.clone())),
                    false => loads.extend(behind.into_iter().map(|array| (array, variable.clone()))),
                }
            }
            all.push(loads);
        }
        for (facts, loads) in self.files.iter_mut().zip(all) {
            facts.loads = loads;
        }
    }

    /// Finds the arrays that are loaded as models; says what hinders them, and which lengths differ.
    pub(super) fn check(&mut self) {
        self.follow();
        let mut unclear = Vec::new();
        for (name, _) in self.files.iter().flat_map(|facts| &facts.loads) {
            let known = self.arrays.iter().any(|array| array.name == *name);
            let says = match self.names.contains(name) {
                true => {
                    format!("`{name}` is loaded as a model, but its bytes are not those of a .tflite file")
                }
                false => {
                    format!("`{name}` is loaded as a model, but no array of this name has its bytes here")
                }
            };
            if !known && !unclear.contains(&says) {
                unclear.push(says);
            }
        }
        for (index, array) in self.arrays.iter().enumerate() {
            let other = |other: &&Array| other.name == array.name && other.bytes != array.bytes;
            if let Some(other) = self.arrays[..index].iter().find(other) {
                unclear.push(format!(
                    "{} and {}: `{}` is two models, as if for two builds; which of them is compiled is not decided here, so both were taken",
                    other.place, array.place, array.name
                ));
            }
            for ending in ["_len", "_size", "_length"] {
                let name = format!("{}{ending}", array.name);
                // Each of several arrays of a name has a length of its own.
                let lengths = self.constants.values(&name);
                if let Some(length) = lengths.iter().next_back()
                    && !lengths.contains(&(array.bytes.len() as u64))
                {
                    unclear.push(format!(
                        "`{name}` is {length}, but `{}` has {} bytes; all of them were taken",
                        array.name,
                        array.bytes.len()
                    ));
                }
            }
        }
        self.unclear.extend(unclear);
    }

    /// Whether a program loads this array as its model.
    pub(super) fn loads(&self, array: &str) -> bool {
        self.files.iter().any(|facts| facts.loads.iter().any(|(name, _)| name == array))
    }

    /// The files that load an array; all, where none does.
    fn users(&self, array: &str) -> Vec<&Facts> {
        let users = |facts: &&Facts| facts.loads.iter().any(|(name, _)| name == array);
        let found: Vec<&Facts> = self.files.iter().filter(users).collect();
        if found.is_empty() { self.files.iter().collect() } else { found }
    }

    /// The interpreters that run an array, by the variables that stand for it; those of the files that load it where
    /// variables do not tell; all, where no such file makes one.
    fn made(&self, array: &str) -> Vec<(&Facts, &Made)> {
        let mut found = interpreters(self.users(array));
        if found.is_empty() {
            found = interpreters(self.files.iter().collect());
        }
        let mut names = BTreeSet::from([array]);
        for (name, variable) in self.files.iter().flat_map(|facts| &facts.loads) {
            names.extend(variable.as_deref().filter(|_| name == array));
        }
        let exact: Vec<_> =
            found.iter().copied().filter(|(_, made)| names.contains(made.model.as_str())).collect();
        if exact.is_empty() { found } else { exact }
    }

    /// The operators that the program which runs an array links for it.
    pub(super) fn linked(&self, array: &str) -> Linked {
        let resolvers: BTreeSet<&str> =
            self.made(array).iter().map(|(_, made)| made.resolver.as_str()).collect();
        let of = |files: &[&Facts], any: bool| -> BTreeSet<String> {
            let added = files.iter().flat_map(|facts| &facts.added);
            let added = added.filter(|added| any || resolvers.contains(added.resolver.as_str()));
            added.map(|added| added.operator.clone()).collect()
        };
        let (users, every) = (self.users(array), self.files.iter().collect::<Vec<_>>());
        let all = |files: &[&Facts]| files.iter().any(|facts| !facts.all_operators.is_empty());
        // One that has all has them whatever is added to it.
        let mut of_all = every.iter().flat_map(|facts| &facts.all_operators);
        if of_all.any(|name| resolvers.contains(name.as_str())) && of(&users, false).is_empty()
            || all(&users) && !users.iter().any(|facts| facts.mutable)
        {
            return Linked::All;
        }
        for (files, any) in [(&users, false), (&users, true), (&every, true)] {
            let found = of(files, any);
            if !found.is_empty() {
                return Linked::These(found);
            }
            if all(files) {
                return Linked::All;
            }
        }
        Linked::Unknown
    }

    /// The arena that the program which runs an array gives it: the largest, where there are several.
    ///
    /// # Errors
    /// What was found and not understood; empty where there is nothing.
    pub(super) fn arena(&self, array: &str) -> Result<Arena, String> {
        let made: Vec<_> =
            self.made(array).into_iter().map(|(f, made)| (f, &made.size, &made.place)).collect();
        let mut unclear = String::new();
        let sources = [made, arenas(self.users(array)), arenas(self.files.iter().collect())];
        for found in sources {
            let mut best: Option<Arena> = None;
            for (facts, size, place) in found {
                let value = facts.constants.value(size).or_else(|_| self.constants.value(size));
                match value {
                    Ok(bytes) if best.as_ref().is_none_or(|best| best.bytes < bytes) => {
                        best = Some(Arena { bytes, words: self.words(size), place: Some(place.clone()) });
                    }
                    Ok(_) => {}
                    Err(why) if unclear.is_empty() => {
                        unclear =
                            format!("{place}: the size of the arena, `{}`: {why} is not known", spell(size));
                    }
                    Err(_) => {}
                }
            }
            if let Some(best) = best {
                return Ok(best);
            }
        }
        Err(unclear)
    }

    /// An expression, with a remark where it has several values.
    fn words(&self, size: &[Token]) -> String {
        let several = self.constants.is_ambiguous(size);
        let text = spell(size);
        if several { format!("{text}, the largest of its values") } else { text }
    }
}

/// The interpreters of some files.
fn interpreters(files: Vec<&Facts>) -> Vec<(&Facts, &Made)> {
    files.into_iter().flat_map(|facts| facts.made.iter().map(move |made| (facts, made))).collect()
}

/// The arrays of some files that are arenas by their names.
fn arenas(files: Vec<&Facts>) -> Vec<(&Facts, &Vec<Token>, &Place)> {
    files
        .into_iter()
        .flat_map(|facts| facts.arenas.iter().map(move |(size, place)| (facts, size, place)))
        .collect()
}

impl Facts {
    /// `model = tflite::GetModel(g_model)`.
    fn load(&mut self, tokens: &[Token], at: usize) {
        let Some(argument) = arguments(&tokens[at + 1..]).into_iter().next() else { return };
        let Some(name) = last_word(argument) else { return };
        let before = tokens[..at].iter().rev();
        let mut before = before.skip_while(|t| t.is(':') || matches!(t.word(), Some("tflite")));
        let variable = before.next().filter(|t| t.is('=')).and_then(|_| before.next()).and_then(Token::word);
        self.loads.push((name.to_string(), variable.map(str::to_string)));
    }

    /// `MicroInterpreter interpreter(model, resolver, arena, kArenaSize)`, also behind `new` and `make_unique<…>`.
    fn make(&mut self, tokens: &[Token], at: usize, place: Place) {
        let mut rest = &tokens[at + 1..];
        while rest.first().is_some_and(|token| token.is('>') || token.word().is_some()) {
            rest = &rest[1..];
        }
        let arguments = arguments(rest);
        let [model, resolver, _, size, ..] = arguments[..] else { return };
        // A declaration of arguments is no call.
        if size.is_empty()
            || size.iter().any(|t| t.is('=') || matches!(t.kind, Kind::Body(_)))
            || size.len() > 32
        {
            return;
        }
        self.made.push(Made {
            model: last_word(model).unwrap_or_default().to_string(),
            resolver: last_word(resolver).unwrap_or_default().to_string(),
            size: size.to_vec(),
            place,
        });
    }

    /// `MicroMutableOpResolver<5> resolver`, and references to one.
    fn resolver(&mut self, tokens: &[Token], at: usize) {
        self.mutable = true;
        self.resolvers.extend(named(&tokens[at + 1..]).map(str::to_string));
    }

    /// `std::array<uint8_t, kArenaSize> tensor_arena`.
    fn array_arena(&mut self, tokens: &[Token], at: usize, place: Place) {
        let rest = &tokens[at + 1..];
        let Some(end) = rest.iter().take(32).position(|token| token.is('>')) else { return };
        let Some(comma) = rest[..end].iter().position(|token| token.is(',')) else { return };
        let arena = named(rest).is_some_and(|name| name.to_ascii_lowercase().contains("arena"));
        if arena && comma + 1 < end {
            self.arenas.push((rest[comma + 1..end].to_vec(), place));
        }
    }

    /// `resolver.AddConv2D()`: what it adds, or a sentence where that is not known.
    fn add(&mut self, tokens: &[Token], at: usize, place: &Place) -> Option<String> {
        let word = tokens[at].word()?;
        if !tokens.get(at + 1).is_some_and(|token| token.is('(')) {
            return None;
        }
        let before = &tokens[..at];
        let receiver = match before {
            [.., name, dot] if dot.is('.') => name.word(),
            [.., name, dash, arrow] if dash.is('-') && arrow.is('>') => name.word(),
            _ => None,
        }?;
        let arguments = arguments(&tokens[at + 1..]);
        let first = arguments.first().copied().unwrap_or_default();
        let operator = match word {
            "AddCustom" => first.iter().find_map(|token| match &token.kind {
                Kind::Text(name) => Some(format!("custom {name}")),
                _ => None,
            }),
            "AddBuiltin" => {
                let name =
                    first.iter().filter_map(Token::word).find_map(|w| w.strip_prefix("BuiltinOperator_"));
                name.map(str::to_string)
            }
            method => operators::of_method(&method[3..]),
        };
        let known = self.resolvers.contains(receiver) || receiver.to_ascii_lowercase().contains("resolver");
        match operator {
            Some(operator) => {
                self.added.push(Added { resolver: receiver.to_string(), operator });
                None
            }
            None if known => {
                Some(format!("{place}: `{receiver}.{word}(…)` adds an operator that is not known here"))
            }
            None => None,
        }
    }

    /// `uint8_t tensor_arena[kArenaSize]`.
    fn arena(&mut self, tokens: &[Token], at: usize, place: Place) {
        let Some(name) = at.checked_sub(1).and_then(|before| tokens[before].word()) else { return };
        let typed = tokens[..at - 1].last().is_some_and(|token| token.word().is_some() || token.is(')'));
        if !typed || !name.to_ascii_lowercase().contains("arena") {
            return;
        }
        let rest = &tokens[at + 1..];
        let size = rest.iter().take(32).position(|token| token.is(']')).map(|end| &rest[..end]);
        if let Some(size) = size.filter(|size| !size.is_empty()) {
            self.arenas.push((size.to_vec(), place));
        }
    }
}

/// The name that is declared behind a type, whose arguments, `&` and `*` are passed over.
fn named(tokens: &[Token]) -> Option<&str> {
    let mut rest = tokens;
    if rest.first().is_some_and(|token| token.is('<')) {
        let end = rest.iter().take(32).position(|token| token.is('>'))?;
        rest = &rest[end + 1..];
    }
    rest.iter().find(|token| !token.is('&') && !token.is('*')).and_then(Token::word)
}

/// `MicroMutableOpResolver` and the names that a file gives it: `using R = tflite::MicroMutableOpResolver<3>;`.
fn aliases(tokens: &[Token]) -> BTreeSet<String> {
    let mut names = BTreeSet::from(["MicroMutableOpResolver".to_string()]);
    for window in tokens.windows(3) {
        let [using, name, equals] = window else { continue };
        let ends = name.word().is_some_and(|name| name.ends_with("OpResolver"));
        if using.word() == Some("using") && equals.is('=') && ends {
            names.extend(name.word().map(str::to_string));
        }
    }
    names
}

/// The name that a declaration in front of an initialiser declares: before its first `[`, or the last one.
fn declared(before: &[Token]) -> Option<&str> {
    let ends = |token: &Token| {
        token.is(';')
            || token.is('{')
            || token.is('}')
            || matches!(token.kind, Kind::Directive(_) | Kind::Body(_))
    };
    let start = before.iter().rposition(ends).map_or(0, |at| at + 1);
    let statement = &before[start..];
    match statement.iter().position(|token| token.is('[')) {
        Some(bracket) => statement[..bracket].last().and_then(Token::word),
        None => statement.iter().rev().find_map(Token::word),
    }
}

/// The arguments of a call whose `(` comes first; none, where there is none.
fn arguments(tokens: &[Token]) -> Vec<&[Token]> {
    let mut out = Vec::new();
    if !tokens.first().is_some_and(|token| token.is('(')) {
        return out;
    }
    let (mut depth, mut start) = (0usize, 1);
    for (at, token) in tokens.iter().enumerate().take(4096) {
        match token.kind {
            Kind::Mark('(' | '[' | '{') => depth += 1,
            Kind::Mark(')' | ']' | '}') => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    out.push(&tokens[start..at]);
                    return out;
                }
            }
            Kind::Mark(',') if depth == 1 => {
                out.push(&tokens[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    Vec::new()
}

/// The name at the end of an argument: `&ns::g_model[0]` and `g_model.data()` are `g_model`.
fn last_word(argument: &[Token]) -> Option<&str> {
    let end = argument.iter().position(|token| token.is('[')).unwrap_or(argument.len());
    let mut words = argument[..end].iter().rev().filter_map(Token::word);
    // One that has such a name itself is alone.
    words.clone().find(|word| !["get", "data"].contains(word)).or_else(|| words.next())
}

#[cfg(test)]
mod tests {
    use super::super::headers::Headers;
    use super::*;

    /// The bytes of an array that counts as a model.
    const MODEL: &str = "{0x1c, 0, 0, 0, 'T', 'F', 'L', '3', 1}";

    fn read(files: &[(&str, &str)]) -> Sources {
        let mut sources = Sources::default();
        let mut headers = Headers::default();
        for (file, text) in files {
            headers.add(file, text);
        }
        for (file, text) in files {
            sources.read(file, text, &|_| None, headers.before(file));
        }
        sources.check();
        sources
    }

    fn these(names: &[&str]) -> Linked {
        Linked::These(names.iter().map(|name| name.to_string()).collect())
    }

    #[test]
    fn a_program_and_its_data_belong_together() {
        let data = format!(
            "#include \"m.h\"\nalignas(16) const unsigned char DATA_ALIGN_ATTRIBUTE g_m[] = {MODEL};\nconst int g_m_len = 9;\n"
        );
        let main = "
            #include \"tensorflow/lite/micro/micro_interpreter.h\"
            // resolver.AddSoftmax();
            constexpr int kTensorArenaSize = 10 * 1024;
            uint8_t tensor_arena[kTensorArenaSize];
            void setup() {
              model = tflite::GetModel(g_m);
              static tflite::MicroMutableOpResolver<3> resolver;
              if (resolver.AddConv2D(tflite::Register_CONV_2D_INT8()) != kTfLiteOk) return;
              resolver.AddFullyConnected(); resolver.AddCustom(\"MINE\", 0); resolver.AddFancy();
              static tflite::MicroInterpreter static_interpreter(model, resolver, tensor_arena, kTensorArenaSize);
              interpreter->AllocateTensors();
            }";
        let sources =
            read(&[("m.h", "extern const unsigned char g_m[];"), ("m.cc", &data), ("main.cc", main)]);
        assert_eq!(sources.arrays.len(), 1);
        assert_eq!((sources.arrays[0].name.as_str(), sources.arrays[0].place.line), ("g_m", 2));
        assert!(sources.loads("g_m"));
        assert_eq!(sources.linked("g_m"), these(&["CONV_2D", "FULLY_CONNECTED", "custom MINE"]));
        let arena = sources.arena("g_m").unwrap();
        assert_eq!((arena.bytes, arena.words.as_str()), (10240, "kTensorArenaSize"));
        assert_eq!(sources.unclear.len(), 1, "{:?}", sources.unclear);
        assert!(sources.unclear[0].contains("AddFancy"));
        assert!(sources.uses.iter().any(|(word, _)| *word == "AllocateTensors"));
    }

    #[test]
    fn models_of_one_file_have_their_own_resolver_and_arena() {
        let main = format!(
            "const uint8_t a[] = {MODEL}; const uint8_t b[] = {MODEL};
            namespace {{ tflite::MicroMutableOpResolver<1> ra; tflite::MicroMutableOpResolver<2> rb; }}
            void f() {{
              ra.AddReshape(); rb.AddSoftmax(); rb.AddRelu();
              auto* ma = ::tflite::GetModel(a); auto* mb = ::tflite::GetModel(&b[0]);
              auto ia = std::make_unique<tflite::MicroInterpreter>(ma, ra, arena_a, 1 << 10);
              ib = new tflite::MicroInterpreter(mb, rb, arena_b, sizeof(arena_b));
            }}
            static uint8_t arena_b[2000];"
        );
        let sources = read(&[("main.cpp", &main)]);
        assert_eq!(sources.linked("a"), these(&["RESHAPE"]));
        assert_eq!(sources.linked("b"), these(&["RELU", "SOFTMAX"]));
        assert_eq!(sources.arena("a").unwrap().bytes, 1024);
        // `sizeof` is not understood, so the array itself tells.
        assert_eq!(sources.arena("b").unwrap().bytes, 2000);
    }

    #[test]
    fn what_is_missing_or_odd_is_said() {
        let text = "void f() { tflite::GetModel(g_gone); tflite::AllOpsResolver r;
            tflite::MicroInterpreter i(m, r, arena, Size()); }
            const unsigned char my_model[] = {1, 2, LAST};";
        let sources = read(&[("main.cc", text)]);
        assert_eq!(sources.linked("g_gone"), Linked::All);
        assert!(sources.arena("g_gone").unwrap_err().contains("Size"), "{:?}", sources.arena("g_gone"));
        assert_eq!(sources.unclear.len(), 2, "{:?}", sources.unclear);
        let nothing = read(&[("x.c", "int main(void) { return 0; }")]);
        assert_eq!((nothing.linked("x"), nothing.arena("x")), (Linked::Unknown, Err(String::new())));
        let lengths = read(&[("x.c", &format!("unsigned char x[] = {MODEL}; unsigned int x_len = 8;"))]);
        assert!(lengths.unclear[0].contains("x_len"), "{:?}", lengths.unclear);
    }

    #[test]
    fn pointers_and_macros_stand_for_arrays() {
        let arrays =
            format!("const uint8_t a[] = {MODEL}; const uint8_t b[] = {MODEL}; const uint8_t c[] = {MODEL};");
        let macros = "#define MODEL_DATA (ns::a)\n#define DATA MODEL_DATA\n";
        for (load, loaded) in [
            ("const uint8_t* p = a; auto m = tflite::GetModel(p);", "a"),
            ("auto m = tflite::GetModel(DATA);", "a"),
            (
                "const void* p = reinterpret_cast<const void*>(&b[0]); auto q = p; auto m = tflite::GetModel(q);",
                "b",
            ),
            ("p = big ? a : b; auto m = tflite::GetModel(p);", "ab"),
            ("auto p = q; auto q = p; auto m = tflite::GetModel(p);", ""),
        ] {
            let program = format!(
                "{load} tflite::MicroMutableOpResolver<1> r; r.AddRelu(); tflite::MicroInterpreter i(m, r, x, 77);"
            );
            // A name of another file is not meant where the file has its own.
            let other = "static const uint8_t* p = c;";
            let sources = read(&[("d.cc", &arrays), ("m.h", macros), ("o.cc", other), ("main.cc", &program)]);
            let found: String = ["a", "b", "c"].into_iter().filter(|name| sources.loads(name)).collect();
            assert_eq!(found, loaded, "{load}");
            assert_eq!(sources.unclear.is_empty(), !loaded.is_empty(), "{:?}", sources.unclear);
            assert_eq!(sources.arena("a").unwrap().bytes, 77);
        }
    }

    #[test]
    fn arrays_of_one_name_have_lengths_of_their_own() {
        let long = MODEL.replace("1}", "1, 2}");
        let text = format!(
            "#ifdef BIG\nchar g[] = {long}; int g_len = 10;\n#else\nchar g[] = {MODEL}; int g_len = 9;\n#endif\n"
        );
        let sources = read(&[("m.c", &text)]);
        assert_eq!(sources.arrays.len(), 2);
        assert_eq!(sources.unclear.len(), 1, "{:?}", sources.unclear);
        assert!(
            sources.unclear[0].starts_with("m.c:2 and m.c:4: `g` is two models"),
            "{:?}",
            sources.unclear
        );
    }

    #[test]
    fn a_resolver_with_all_operators_has_them_whatever_is_added() {
        let text = "static tflite::AllOpsResolver op_resolver; op_resolver.AddSoftmax();
            std::array<uint8_t, 2 * kBlock> tensor_arena_; constexpr int kBlock = 100;
            auto* m = tflite::GetModel(voice.data());
            i.reset(new tflite::MicroInterpreter(m, *op_resolver, tensor_arena_.data(), tensor_arena_.size(), &e));";
        let sources = read(&[("main.ino", text)]);
        assert_eq!(sources.linked("voice"), Linked::All);
        assert_eq!(sources.arena("voice").unwrap().bytes, 200);
        assert!(sources.loads("voice"));
    }

    #[test]
    fn a_class_has_its_members_in_a_header() {
        let header = "class Net { tflite::MicroMutableOpResolver<5> *m_resolver; static const int kArenaSize = 20000; };";
        let body = "Net::Net() { m_model = tflite::GetModel(converted_model_tflite);
            m_resolver = new tflite::MicroMutableOpResolver<10>(); m_resolver->AddConv2D(); m_resolver->AddMul();
            m_interpreter = new tflite::MicroInterpreter(m_model, *m_resolver, m_tensor_arena, kArenaSize, m_error); }";
        let sources = read(&[("Net.h", header), ("Net.cpp", body)]);
        assert_eq!(sources.linked("converted_model_tflite"), these(&["CONV_2D", "MUL"]));
        assert_eq!(sources.arena("converted_model_tflite").unwrap().bytes, 20000);
    }

    #[test]
    fn old_registrations_and_aliases_are_operators() {
        let text = "using MyOpResolver = tflite::MicroMutableOpResolver<2>;
            TfLiteStatus Register(MyOpResolver& ops) {
              ops.AddBuiltin(tflite::BuiltinOperator_DEPTHWISE_CONV_2D, tflite::ops::micro::Register_DEPTHWISE_CONV_2D());
              ops.AddNothingKnown();
            }";
        let sources = read(&[("main.cc", text)]);
        assert_eq!(sources.linked("x"), these(&["DEPTHWISE_CONV_2D"]));
        assert!(sources.unclear[0].contains("AddNothingKnown"));
    }
}
