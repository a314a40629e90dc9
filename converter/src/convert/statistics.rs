//! Calibration on samples that lie on several machines: each gathers statistics of its own, and together they give the
//! file that one machine with all samples would write, byte for byte.
//!
//! ```text
//! round 1   statistics MODEL --calibrate SHARD                      -> PART      on each machine
//! round 2   statistics MODEL --calibrate SHARD --statistics PART…   -> PART      with the parts of all machines
//!           …
//! the end   convert MODEL --statistics PART…                        -> OUT.ferro
//! ```
//! A part answers what quantization asks of all samples, as far as it is known what that is. `minmax` and
//! `moving-average` ask once; the others ask for the ranges first, and then for what depends on them: two rounds for
//! histograms, one more where trials choose equalized channels or corrected biases. How many it takes is found on the
//! way, and every command says whether another round is needed.
//!
//! A part holds no more samples than trials may draw, those of the smallest keys among all samples; samples that are
//! large are left for the second round, when it is known which are drawn. Each part is bound to the model, the settings
//! and its samples' keys.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use sha2::{Digest, Sha256};

use super::part::{HELP, Part};
use super::{ConvertOptions, Read, settings};
use crate::data::{self, Dataset};
use crate::error::{Error, Result};
use crate::graph::Graph;
use crate::import;
use crate::ops;
use crate::parallel::in_order;
use crate::progress::Progress;
use crate::quantize::{self, MOST_DRAWN, Pool, Question, Samples, affordable, quantize};

/// Which part of the data set is to be gathered.
#[derive(Clone, Debug)]
pub struct Shard {
    /// DATA with the samples of this part.
    pub data: String,
    /// The parts of the round before, all of them; none in the first round.
    pub before: Vec<PathBuf>,
    /// Its number, from 1, and how many parts there are; then a missing one is noticed.
    pub number: Option<(u64, u64)>,
    /// Bytes of samples that a part may bring in the first round, before it is known which ones are drawn.
    pub early_bytes: usize,
}

impl Default for Shard {
    /// 16 MB of samples in the first round.
    fn default() -> Shard {
        Shard { data: String::new(), before: Vec::new(), number: None, early_bytes: 16 << 20 }
    }
}

/// What was gathered of a part.
#[derive(Clone, Debug)]
pub struct Gathered {
    /// The file to write.
    pub bytes: Vec<u8>,
    /// Samples of this part.
    pub samples: usize,
    /// How often it was asked, this time included.
    pub round: u64,
    /// Whether nothing was left to ask, so that `convert` needs no further round.
    pub complete: bool,
    /// What is worth knowing, one sentence each.
    pub notes: Vec<String>,
    /// What the user should act on, one sentence each.
    pub warnings: Vec<String>,
}

/// Gathers the statistics of one part of a data set, for a conversion with these options.
///
/// # Errors
/// When the model or the samples cannot be read, when the model needs no samples or takes them as one sequence, and when
/// the parts of the round before are not those of this model, these settings and this part.
pub fn statistics(
    path: &Path,
    shard: &Shard,
    options: &ConvertOptions,
    progress: &dyn Progress,
) -> Result<Gathered> {
    let shown = path.display();
    let Read { graph, wants, source_hash, mut notes, mut warnings, .. } =
        Read::of(path, import::load_with(path, &options.import)?)?;
    refuse_needless(&graph).map_err(|e| e.context(&shown))?;
    let asked = data::Options { scale: options.scale, wants, ..data::Options::default() };
    let data = Dataset::load_with(&shard.data, &data::input_specs(&graph), &asked)?;
    notes.extend(data.notes().iter().cloned());
    progress.begin("reading samples", data.len());
    let keys = in_order(
        0..data.len(),
        || (),
        |(), index| {
            let sample = data.real(index)?;
            progress.step();
            Ok(quantize::key(&sample))
        },
    );
    progress.end();
    let keys = keys?;

    let mut part = Part {
        version: env!("CARGO_PKG_VERSION").into(),
        model: source_hash,
        settings: words(options),
        place: place(),
        round: 1,
        shard: shard.number,
        keys: keys.clone(),
        ..Part::default()
    };
    part.keys.sort_unstable();
    let parts = match shard.before.is_empty() {
        true => Vec::new(),
        false => {
            let merged = Merged::read(&shard.before, path, &source_hash, options)?;
            let own = merged.parts.iter().find(|before| before.keys == part.keys).ok_or_else(|| {
                Error::input(format!("{}: none of the parts was gathered from these samples", shard.data)).help(
                    "give the parts of the round before, all of them, and the same data for each as in that round",
                )
            })?;
            part = Part { round: own.round + 1, whole: Some(whole(&merged.parts)), ..own.clone() };
            part.drawn.clear();
            warnings.extend(merged.warnings.iter().cloned());
            merged.parts
        }
    };
    let bytes = sample_bytes(&graph);
    let chosen = match parts.is_empty() {
        true => part.keys.iter().copied().take(affordable(bytes, MOST_DRAWN)).collect(),
        false => drawn_keys(&parts, bytes),
    };
    if !parts.is_empty() || chosen.len() * bytes <= shard.early_bytes {
        let numbers: Vec<usize> =
            (0..keys.len()).filter(|&index| chosen.binary_search(&keys[index]).is_ok()).collect();
        part.drawn =
            in_order(0..numbers.len(), || (), |(), i| Ok((keys[numbers[i]], data.real(numbers[i])?)))?;
        part.drawn.sort_by_key(|(key, _)| *key);
        part.drawn.dedup_by_key(|(key, _)| *key);
    }

    progress.begin("calibrating", data.len());
    let merged = Merged { here: Some(Here { data: &data, keys, progress }), ..Merged::new(parts, bytes) };
    let quantized = quantize(&graph, &merged, &settings(options, false));
    progress.end();
    let asked = merged.into_asked();
    let complete = match (quantized, asked) {
        (_, Some(Asked::Question(question, words))) => {
            part.answers.push((question, words));
            false
        }
        (_, Some(Asked::Samples)) => false,
        (Ok(_), None) => true,
        (Err(error), None) => return Err(error.context(&shown)),
    };
    let (samples, round) = (part.keys.len(), part.round);
    Ok(Gathered { bytes: part.to_bytes()?, samples, round, complete, notes, warnings })
}

/// Refuses models whose samples cannot be cut into parts, or are not needed.
fn refuse_needless(graph: &Graph) -> Result<()> {
    let why = if !ops::is_float(graph) {
        "the model is quantized already and keeps its numbers: there are no statistics to gather"
    } else if quantize::brings_ranges(graph) {
        "the model brings the ranges of all layers: there are no statistics to gather"
    } else if !graph.states.is_empty() {
        "the model has states: its samples are one sequence, which cannot be cut into parts"
    } else {
        return Ok(());
    };
    let help = match graph.states.is_empty() {
        true => "convert it without samples",
        false => "convert it on one machine, with --calibrate",
    };
    Err(Error::input(why).help(help))
}

/// The settings that statistics depend on, as they are given to a command: one a line.
fn words(options: &ConvertOptions) -> String {
    let import = &options.import;
    let mut lines = vec![
        format!("--calibration {}", options.calibration),
        format!("--io {}", format!("{:?}", options.io).to_lowercase()),
    ];
    lines.extend(options.scale.map(|scale| format!("--scale {scale}")));
    lines.extend(import.signature.as_ref().map(|name| format!("--signature {name}")));
    lines.extend(import.input_shapes.iter().map(|(name, shape)| {
        let sizes: Vec<String> = shape.iter().map(ToString::to_string).collect();
        format!("--input-shape {name}={}", sizes.join(","))
    }));
    lines.extend(import.input_values.iter().map(|(name, value)| format!("--input-value {name}={value}")));
    lines.extend(import.states.iter().map(|(input, output)| format!("--state {input}={output}")));
    for (word, names) in
        [("--cut", &import.cut), ("--inputs", &import.inputs), ("--outputs", &import.outputs)]
    {
        lines.extend((!names.is_empty()).then(|| format!("{word} {}", names.join(","))));
    }
    lines.extend(import.custom.names().map(|name| format!("the custom operator {name}")));
    // Names may hold anything.
    let lines: Vec<String> = lines.into_iter().map(|line| line.replace('\n', " ")).collect();
    lines.join("\n")
}

/// The settings of `own` that `other` has not, in one line.
fn differing(own: &str, other: &str) -> String {
    own.lines().filter(|&line| other.lines().all(|other| other != line)).collect::<Vec<_>>().join(" ")
}

fn place() -> String {
    format!("{} {}", std::env::consts::ARCH, std::env::consts::OS)
}

/// Bytes of one sample.
fn sample_bytes(graph: &Graph) -> usize {
    graph.inputs.iter().map(|&id| graph.value(id).elements() * 4).sum()
}

/// The hash of the keys of all samples, however they are cut.
fn whole(parts: &[Part]) -> [u8; 32] {
    let mut hash = Sha256::new();
    sorted_keys(parts).iter().for_each(|key| hash.update(key.to_le_bytes()));
    hash.finalize().into()
}

fn sorted_keys(parts: &[Part]) -> Vec<u128> {
    let mut keys: Vec<u128> = parts.iter().flat_map(|part| part.keys.iter().copied()).collect();
    keys.sort_unstable();
    keys
}

/// The keys of the samples that are drawn from all, in their order.
fn drawn_keys(parts: &[Part], bytes: usize) -> Vec<u128> {
    let mut keys = sorted_keys(parts);
    keys.truncate(affordable(bytes, MOST_DRAWN));
    keys
}

/// What quantization asked for in vain.
enum Asked {
    /// A question, with the answer of the samples that lie here.
    Question(Question, Vec<u64>),
    /// Samples that were not drawn yet.
    Samples,
}

/// The samples that lie here.
struct Here<'a> {
    data: &'a Dataset,
    keys: Vec<u128>,
    progress: &'a dyn Progress,
}

/// All parts of a data set: samples that can be drawn, and answers about all.
pub struct Merged<'a> {
    parts: Vec<Part>,
    total: usize,
    /// The keys of the samples to draw, and the samples that are there.
    chosen: Vec<u128>,
    here: Option<Here<'a>>,
    asked: Mutex<Option<Asked>>,
    /// What the user should act on, one sentence each.
    pub warnings: Vec<String>,
}

impl Merged<'_> {
    fn new<'a>(parts: Vec<Part>, bytes: usize) -> Merged<'a> {
        let (total, chosen) = (parts.iter().map(|part| part.keys.len()).sum(), drawn_keys(&parts, bytes));
        Merged { parts, total, chosen, here: None, asked: Mutex::new(None), warnings: Vec::new() }
    }

    /// Reads the parts of a data set.
    ///
    /// # Errors
    /// When one of them cannot be read, is of another model or of other settings, is there twice, or is missing where that
    /// can be seen.
    pub fn read(
        paths: &[PathBuf],
        model: &Path,
        source_hash: &[u8; 32],
        options: &ConvertOptions,
    ) -> Result<Merged<'static>> {
        let mut parts: Vec<Part> = Vec::new();
        let mut warnings = Vec::new();
        for path in paths {
            let shown = path.display().to_string();
            let bytes = crate::files::read(path)
                .map_err(|e| Error::input(format!("{shown}: cannot be read: {e}")).help(HELP).caused_by(e))?;
            let part = Part::from_bytes(&bytes).map_err(|e| e.context(&shown))?;
            fits(&part, model, source_hash, options).map_err(|e| e.context(&shown))?;
            for (other, before) in paths.iter().zip(&parts) {
                let other = other.display();
                if before.keys == part.keys {
                    return Err(Error::input(format!(
                        "{shown} and {other} were gathered from the same samples"
                    ))
                    .help("give each part once"));
                }
                if let (Some((number, _)), true) = (part.shard, part.shard == before.shard) {
                    return Err(Error::input(format!("{shown} and {other} are both called part {number}"))
                        .help("give each part its own number with --shard"));
                }
                match common(&before.keys, &part.keys) {
                    0 => {}
                    count => warnings.push(format!(
                        "{shown} and {other} have {count} samples in common, which count twice: do the parts overlap?"
                    )),
                }
            }
            if let Some(first) = parts.first().filter(|first| first.place != part.place) {
                warnings.push(format!(
                    "{} was gathered on {}, {shown} on {}: their floats may differ in the last bit, and the result with \
                     them",
                    paths[0].display(),
                    first.place,
                    part.place
                ));
            }
            parts.push(part);
        }
        complete(paths, &parts)?;
        let bytes = parts.iter().flat_map(|part| &part.drawn).next();
        let bytes = bytes.map_or(0, |(_, inputs)| inputs.iter().map(|input| input.len() * 4).sum());
        Ok(Merged { warnings, ..Merged::new(parts, bytes) })
    }

    /// The error of a conversion, or what is missing for it.
    pub fn explain(&self, error: Error) -> Error {
        if self.asked.lock().unwrap_or_else(PoisonError::into_inner).is_none() {
            return error;
        }
        let round = self.parts.iter().map(|part| part.round).max().unwrap_or(0);
        Error::input(format!(
            "after {} of statistics, quantization has another question about all samples",
            if round == 1 { "one round".into() } else { format!("{round} rounds") }
        ))
        .help(
            "gather each part again with all parts of this round: `ferrolite statistics MODEL --calibrate SHARD \
             --statistics PART… -o NEW`, and convert with the new ones",
        )
    }

    fn into_asked(self) -> Option<Asked> {
        self.asked.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    fn ask(&self, what: Asked) {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(what);
    }

    /// The samples to draw, unless some are missing.
    fn draw(&self, most: usize) -> Option<Vec<Vec<Vec<f32>>>> {
        let there: HashMap<u128, &Vec<Vec<f32>>> =
            self.parts.iter().flat_map(|part| &part.drawn).map(|(key, sample)| (*key, sample)).collect();
        self.chosen.iter().take(most).map(|key| there.get(key).map(|&sample| sample.clone())).collect()
    }
}

/// Refuses a part that was gathered for something else.
fn fits(part: &Part, model: &Path, source_hash: &[u8; 32], options: &ConvertOptions) -> Result<()> {
    let wanted = words(options);
    if part.version != env!("CARGO_PKG_VERSION") {
        return Err(Error::input(format!(
            "gathered by Ferrolite {}, this is {}",
            part.version,
            env!("CARGO_PKG_VERSION")
        ))
        .help("use the same version on all machines"));
    }
    if part.model != *source_hash {
        return Err(Error::input(format!("gathered for another model than {}", model.display()))
            .help("gather the statistics of this model, or give the model that they are of"));
    }
    let (theirs, ours) = (differing(&part.settings, &wanted), differing(&wanted, &part.settings));
    let what = match (theirs.is_empty(), ours.is_empty()) {
        (true, true) => return Ok(()),
        (false, true) => format!("gathered with {theirs}, which this command leaves out"),
        (true, false) => format!("gathered without {ours}, which this command has"),
        (false, false) => format!("gathered with {theirs}, where this command has {ours}"),
    };
    Err(Error::input(what).help("give the same settings to `statistics` and `convert`"))
}

/// Refuses parts of which one is missing, as far as that can be seen.
fn complete(paths: &[PathBuf], parts: &[Part]) -> Result<()> {
    let numbered = paths.iter().zip(parts).find_map(|(path, part)| Some((path, part.shard?)));
    if let Some((first, (number, of))) = numbered {
        let other = paths.iter().zip(parts).find(|(_, part)| part.shard.is_none_or(|(_, count)| count != of));
        if let Some((path, part)) = other {
            let how = part.shard.map_or("without --shard".into(), |(k, n)| format!("as part {k} of {n}"));
            return Err(Error::input(format!(
                "{}: gathered {how}, where {} was gathered as part {number} of {of}",
                path.display(),
                first.display()
            ))
            .help(
                "gather it again with --shard K/N, its own number K among all N parts, as the others were",
            ));
        }
        let missing: Vec<String> = (1..=of)
            .filter(|&number| !parts.iter().any(|part| part.shard == Some((number, of))))
            .map(|number| number.to_string())
            .collect();
        if !missing.is_empty() || parts.len() as u64 != of {
            return Err(Error::input(format!(
                "{} of {of} parts were given; missing: {}",
                parts.len(),
                if missing.is_empty() { "none, so there is one too many".into() } else { missing.join(", ") }
            ))
            .help("give all parts of the data set, and no others"));
        }
    }
    let given = whole(parts);
    for (path, part) in paths.iter().zip(parts) {
        if part.whole.is_some_and(|whole| whole != given) {
            return Err(Error::input(format!(
                "{}: round {} was gathered with other parts than these {}: one is missing or too many",
                path.display(),
                part.round,
                parts.len()
            ))
            .help("give the parts of all samples that the round before had"));
        }
    }
    let latest = parts.iter().map(|part| part.round).max().unwrap_or(0);
    match paths.iter().zip(parts).find(|(_, part)| part.round < latest) {
        None => Ok(()),
        Some((path, part)) => Err(Error::input(format!(
            "{}: of round {}, where others are of round {latest}",
            path.display(),
            part.round
        ))
        .help("give the parts of one round, as the last command for each wrote them")),
    }
}

/// How many keys are in both lists, which are sorted.
fn common(a: &[u128], b: &[u128]) -> usize {
    a.iter().filter(|key| b.binary_search(key).is_ok()).count()
}

impl Samples for Merged<'_> {
    fn len(&self) -> usize {
        self.here.as_ref().map_or(0, |here| here.data.len())
    }

    fn sample(&self, index: usize) -> Result<Vec<Vec<f32>>> {
        let Some(here) = &self.here else {
            return Err(Error::internal(format!("sample {index} lies on another machine")));
        };
        here.progress.step();
        here.data.real(index)
    }

    fn total(&self) -> usize {
        self.total.max(self.len())
    }

    fn key(&self, index: usize) -> u128 {
        self.here.as_ref().and_then(|here| here.keys.get(index).copied()).unwrap_or_default()
    }

    fn drawn(&self, most: usize) -> Result<Vec<Vec<Vec<f32>>>> {
        self.draw(most).filter(|_| self.total > 0).ok_or_else(|| {
            self.ask(Asked::Samples);
            Error::input("the samples of other parts are not known yet")
        })
    }

    fn pool(&self) -> Option<&dyn Pool> {
        Some(self)
    }
}

impl Pool for Merged<'_> {
    fn known(&self, question: &Question) -> Option<Vec<&[u64]>> {
        let answers: Option<Vec<&[u64]>> = self.parts.iter().map(|part| part.answer(question)).collect();
        answers.filter(|answers| !answers.is_empty())
    }

    fn unanswered(&self, question: Question, gather: &mut dyn FnMut() -> Result<Vec<u64>>) -> Error {
        if self.here.is_some() {
            match gather() {
                Ok(words) => self.ask(Asked::Question(question, words)),
                Err(error) => return error,
            }
        } else {
            self.ask(Asked::Question(question, Vec::new()));
        }
        Error::input("the answers of other parts are not known yet")
    }

    fn can_draw(&self) -> bool {
        self.here.is_some() || self.draw(MOST_DRAWN).is_some()
    }
}
