//! The whole conversion from a trained model to a `.ferro` file.
//!
//! ```text
//! import -> refuse what cannot be converted -> passes -> quantize -> passes -> lower, plan, write -> run
//! ```
//! A quantized model keeps its numbers. A float model is quantized after training, which takes typical
//! samples. The finished file is run as a check before it is returned.
//!
//! ```
//! use ferrolite::convert::{ConvertOptions, convert};
//!
//! # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/models/sine/sine_int8_tf.tflite");
//! let options = ConvertOptions { flash_budget: Some(16 << 10), ..ConvertOptions::default() };
//! let converted = convert(path.as_ref(), &options, &())?;
//! assert_eq!((converted.format, converted.samples), ("TensorFlow Lite", 0));
//! assert!(converted.file.bytes().len() < 16 << 10);
//! # Ok::<(), ferrolite::Error>(())
//! ```

mod entries;
mod part;
mod slow;
mod statistics;
mod streaming;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use ferrolite_runtime::{OpCode, Rounding, Target};

use crate::data::{self, Dataset, InputSpec, Scale, first_layers};
use crate::emit::{self, Emitted, Memory, Winograd};
use crate::error::{Error, Result};
use crate::graph::{Graph, Node, Op, QuantizeScaled, ValueId};
use crate::import::{self, ImportOptions, Imported};
use crate::model_file::{self, ModelFile, PortFacts};
use crate::ops;
use crate::passes;
use crate::progress::Progress;
use crate::quantize::{
    self, Calibration, Io, NoSamples, OutputReport, Samples, Trial, quantize, quantize_from,
};
use crate::reference::States;
use crate::self_check;
use crate::text;

pub use statistics::{Gathered, Shard, statistics};
pub use streaming::streaming;

/// How a model is converted.
#[derive(Clone, Debug)]
pub struct ConvertOptions {
    /// What the model's file leaves open.
    pub import: ImportOptions,
    /// DATA with typical samples, for float models that do not bring the ranges of all layers.
    pub calibrate: Option<String>,
    /// Instead of it: what [`statistics`] gathered of the parts of a data set, a file for each.
    pub statistics: Vec<PathBuf>,
    /// The numbers that pixels of pictures among the samples become; chosen if it is `None`.
    pub scale: Option<Scale>,
    /// How ranges follow from the samples.
    pub calibration: Calibration,
    /// The core that packing is chosen for.
    pub target: Target,
    /// Type of a float model's inputs and outputs in the file.
    pub io: Io,
    /// How accumulators are scaled down.
    pub rounding: Rounding,
    /// Largest size of the file in bytes. Bytes that remain may be used for Winograd's algorithm, if the
    /// target has kernels for it. Without a budget, [`Winograd::default`] limits them.
    pub flash_budget: Option<u64>,
    /// Largest size of the arena in bytes.
    pub ram_budget: Option<u64>,
    /// The memories that the arena is divided among, the fastest first; one where none are given.
    pub memories: Vec<Memory>,
    /// Whether a model over a window of a signal becomes one over the signal; see [`streaming`].
    pub streaming: bool,
}

impl Default for ConvertOptions {
    fn default() -> ConvertOptions {
        ConvertOptions {
            import: ImportOptions::default(),
            calibrate: None,
            statistics: Vec::new(),
            scale: None,
            calibration: Calibration::Auto,
            target: Target::Portable,
            io: Io::Int8,
            rounding: Rounding::Double,
            flash_budget: None,
            ram_budget: None,
            memories: Vec::new(),
            streaming: false,
        }
    }
}

/// The result of converting a model.
#[derive(Clone, Debug)]
pub struct Converted {
    /// The `.ferro` file.
    pub file: ModelFile,
    /// Format of the source, for people.
    pub format: &'static str,
    /// Number of calibration samples; 0 for a model that was already quantized.
    pub samples: usize,
    /// How the samples were used, in words; `None` for a model that needed none.
    pub calibration: Option<String>,
    /// The ways that were tried on samples that were held back.
    pub trials: Vec<Trial>,
    /// How accurate each output is, compared with the float model; empty without calibration samples.
    pub outputs: Vec<OutputReport>,
    /// Number of samples that `outputs` was measured on, and whether calibration did not see them.
    pub judged: (usize, bool),
    /// Remarks, one sentence each.
    pub notes: Vec<String>,
    /// What the user should act on before relying on the result, one sentence each.
    pub warnings: Vec<String>,
}

/// A model in int8, before it becomes a file.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// The quantized graph, after all passes.
    pub graph: Graph,
    /// Format of the source, for people.
    pub format: &'static str,
    /// SHA-256 of the source.
    pub source_hash: [u8; 32],
    /// Number of calibration samples; 0 for a model that was already quantized.
    pub samples: usize,
    /// How the samples were used, in words; `None` for a model that needed none.
    pub calibration: Option<String>,
    /// The ways that were tried on samples that were held back.
    pub trials: Vec<Trial>,
    /// How accurate each output is, compared with the float model; empty without calibration samples.
    pub outputs: Vec<OutputReport>,
    /// Number of samples that `outputs` was measured on, and whether calibration did not see them.
    pub judged: (usize, bool),
    /// Remarks, one sentence each.
    pub notes: Vec<String>,
    /// What the user should act on before relying on the result, one sentence each.
    pub warnings: Vec<String>,
}

/// Reads a model file, optimises the network and quantizes it: everything before a file is written.
///
/// # Errors
/// When the file is not a model, has layers that cannot be converted (all are named), or is a float model
/// without samples, and when the samples do not fit.
pub fn prepare(path: &Path, options: &ConvertOptions, progress: &dyn Progress) -> Result<Prepared> {
    prepare_with(path, options, progress, false)
}

/// The same, with the choice that a scaler at the start of the model stays a layer.
fn prepare_with(
    path: &Path,
    options: &ConvertOptions,
    progress: &dyn Progress,
    keep_scalers: bool,
) -> Result<Prepared> {
    let imported = import::load_with(path, &options.import)?;
    prepare_source(path, Source { imported, before: None }, options, progress, keep_scalers)
}

/// A model that has been read.
struct Source {
    imported: Imported,
    /// What its states hold before each sample, where that is more than what the samples before leave.
    before: Option<Vec<States>>,
}

/// The same, of a model that has been read.
fn prepare_source(
    path: &Path,
    source: Source,
    options: &ConvertOptions,
    progress: &dyn Progress,
    keep_scalers: bool,
) -> Result<Prepared> {
    let shown = path.display();
    let Source { imported, before } = source;
    let Read { mut graph, wants, scalers, format, source_hash, mut notes, mut warnings } =
        Read::of(path, imported)?;
    let (mut samples, mut calibration, mut trials) = (0, None, Vec::new());
    let (mut outputs, mut judged) = (Vec::new(), (0, false));
    if ops::is_float(&graph) {
        let settings = settings(options, keep_scalers);
        let quantized = if !options.statistics.is_empty() {
            let merged = statistics::Merged::read(&options.statistics, path, &source_hash, options)?;
            warnings.extend(merged.warnings.iter().cloned());
            samples = merged.total();
            let quantized = quantize(&graph, &merged, &settings);
            quantized.map_err(|error| merged.explain(error))
        } else if let (true, Some(_)) = (graph.inputs.is_empty(), &options.calibrate) {
            samples = before.as_ref().map_or(1, Vec::len);
            quantize_from(&graph, &Unasked(samples), before, &settings)
        } else if let Some(argument) = &options.calibrate {
            let asked = data::Options { scale: options.scale, wants, ..data::Options::default() };
            let data = Dataset::load_with(argument, &data::input_specs(&graph), &asked)?;
            notes.extend(data.notes().iter().cloned());
            samples = data.len();
            // They are read once for their order, and again to be run.
            progress.begin("calibrating", 2 * samples);
            let counted = Counted { data: &data, progress, left: AtomicUsize::new(2 * samples) };
            let quantized = quantize_from(&graph, &counted, before, &settings);
            progress.end();
            if let Ok((integer, _)) = &quantized {
                tell_outside(&data, integer, &mut notes, &mut warnings)?;
            }
            quantized
        } else if quantize::brings_ranges(&graph) {
            quantize(&graph, &NoSamples, &settings)
        } else {
            Err(Error::input("a float model, which has to be quantized"))
        };
        let quantized = quantized.map_err(|e| match options.calibrate {
            None if options.statistics.is_empty() => {
                e.help("give 100 or more typical samples with `--calibrate DATA`").context(&shown)
            }
            _ => e.context(&shown),
        });
        let (integer, report) = quantized?;
        graph = integer;
        notes.extend(report.notes);
        warnings.extend(report.warnings);
        let scaled =
            scalers.iter().filter(|(input, at)| report.lost_inputs.contains(input) && !at.is_empty());
        notes.extend(scaled.map(|(input, at)| {
            format!("the numbers that the model scales `{input}` with are in `{}`", at.join("`, `"))
        }));
        if samples > 0 {
            calibration = Some(report.options.to_string());
            trials = report.trials;
            (outputs, judged) = (report.outputs, report.judged);
        }
        if (1..20).contains(&samples) {
            notes.push(format!("only {samples} calibration samples: 100 or more give better ranges"));
        }
        notes.extend(passes::optimise(&mut graph).done);
    } else {
        let needless =
            [(options.calibrate.is_some(), "--calibrate"), (!options.statistics.is_empty(), "--statistics")];
        for (_, word) in needless.iter().filter(|(given, _)| *given) {
            notes
                .push(format!("the model is quantized already and keeps its numbers; {word} was not needed"));
        }
        if options.io == Io::Float {
            quantize::float_borders(&mut graph);
        }
    }

    if options.streaming {
        let (stream, note) = streaming(&graph).map_err(|e| e.context(&shown))?;
        graph = stream;
        notes.push(note);
    }
    Ok(Prepared {
        graph,
        format,
        source_hash,
        samples,
        calibration,
        trials,
        outputs,
        judged,
        notes,
        warnings,
    })
}

/// A trained model, optimised as far as it can be before its numbers are known.
struct Read {
    graph: Graph,
    /// The scale of pictures that each input wants.
    wants: Vec<Option<Scale>>,
    /// The constants that each input is scaled with in the model, by the input's name.
    scalers: Vec<(String, Vec<String>)>,
    format: &'static str,
    source_hash: [u8; 32],
    notes: Vec<String>,
    warnings: Vec<String>,
}

impl Read {
    fn of(path: &Path, imported: Imported) -> Result<Read> {
        let (mut notes, warnings) = (imported.notes, imported.warnings);
        let mut graph = imported.graph;
        import::refuse_unsupported(&graph)?;
        let wants = first_layers::wants(&graph);
        let scaler = |&id: &ValueId| (graph.value(id).name.clone(), quantize::scaler(&graph, id));
        let scalers = graph.inputs.iter().map(scaler).collect();
        notes.extend(passes::optimise(&mut graph).done);
        match passes::decompose(&mut graph) {
            0 => {}
            count => {
                passes::optimise(&mut graph);
                notes.push(format!("layers without an int8 kernel that were written in parts: {count}"));
            }
        }
        ops::refuse_float_only(&graph).map_err(|e| e.context(path.display()))?;
        let (format, source_hash) = (imported.format, imported.source_hash);
        Ok(Read { graph, wants, scalers, format, source_hash, notes, warnings })
    }
}

/// How a float model is quantized.
fn settings(options: &ConvertOptions, keep_scalers: bool) -> quantize::Options {
    let (io, calibration) = (options.io, options.calibration);
    quantize::Options { io, calibration, keep_scalers, ..quantize::Options::default() }
}

/// Reports samples outside of the ranges of the quantized graph's inputs. Calibration may clip a few; many
/// show that the ranges are not those of the samples.
fn tell_outside(
    data: &Dataset,
    graph: &Graph,
    notes: &mut Vec<String>,
    warnings: &mut Vec<String>,
) -> Result<()> {
    let range = |&id: &ValueId| {
        let reads = |node: &&Node| {
            matches!(node.op, Op::Quantize | Op::QuantizeScaled(_)) && node.input(0) == Some(id)
        };
        let quantized = graph.nodes.iter().find(reads);
        let id = quantized.map_or(id, |node| node.outputs[0]);
        let (low, high) = InputSpec::of(graph.value(id)).real_range()?;
        let before = |x: f32| match quantized.map(|node| &node.op) {
            Some(Op::QuantizeScaled(QuantizeScaled { factor, term })) => {
                ((f64::from(x) - term) / factor) as f32
            }
            _ => x,
        };
        Some((before(low), before(high)))
    };
    for outside in data.outside(&graph.inputs.iter().map(range).collect::<Vec<_>>())? {
        let mut much = Vec::new();
        outside.tell(notes, &mut much);
        if outside.share() < 0.25 { notes.extend(much) } else { warnings.extend(much) }
    }
    Ok(())
}

/// Converts a model file.
///
/// # Errors
/// Like [`prepare`], and when the result exceeds a budget.
pub fn convert(path: &Path, options: &ConvertOptions, progress: &dyn Progress) -> Result<Converted> {
    let entries = import::entries(path, &options.import)?;
    if entries.len() > 1 {
        return entries::convert(path, entries, options, progress);
    }
    write(path, prepare(path, options, progress)?, ("", Vec::new()), options)
}

/// Converts a model file to a standard TensorFlow Lite file, which is returned together with the `.ferro`
/// file of the same model. Both are run on the same input and must give the same bytes.
///
/// # Errors
/// Like [`convert`], and when TensorFlow Lite cannot express a layer.
pub fn convert_to_tflite(
    path: &Path,
    options: &ConvertOptions,
    progress: &dyn Progress,
) -> Result<(Converted, Vec<u8>)> {
    let shown = path.display();
    // In TensorFlow Lite, QUANTIZE has only the scale and zero point of its result.
    let prepared = prepare_with(path, options, progress, true)?;
    let bytes = emit::tflite(&prepared.graph).map_err(|e| e.context(&shown))?;
    let converted = write(path, prepared, ("", Vec::new()), options)?;
    let mut again = import::load_bytes("written.tflite", &bytes)?.graph;
    passes::optimise(&mut again);
    let again = emit::compile(&again, &emit::Options::default()).map_err(|e| e.context(&shown))?;
    let again = ModelFile::from_bytes(shown.to_string(), &again.bytes);
    self_check::same_answers(&converted.file, &again, "the .tflite file")?;
    Ok((converted, bytes))
}

/// Makes the `.ferro` file, of the model and of others that have a name each and share its states.
fn write(
    path: &Path,
    prepared: Prepared,
    (name, others): (&str, Vec<(String, Graph)>),
    options: &ConvertOptions,
) -> Result<Converted> {
    let shown = path.display();
    let Prepared {
        graph,
        format,
        source_hash,
        samples,
        calibration,
        trials,
        outputs,
        judged,
        mut notes,
        mut warnings,
    } = prepared;
    let settings = emit::Options {
        target: options.target,
        rounding: options.rounding,
        memories: options.memories.clone(),
        source_hash: source_hash.to_vec(),
        metadata: emit::Metadata {
            name: graph.name.clone(),
            labels: graph.labels.clone(),
            ..emit::Metadata::default()
        },
        ..emit::Options::default()
    };
    let mut entries = vec![(name, &graph)];
    entries.extend(others.iter().map(|(name, graph)| (name.as_str(), graph)));
    let emitted = match &entries[..] {
        [_] => compile_within(&graph, settings, options),
        several => emit::compile_entries(several, &settings),
    };
    let emitted = emitted.map_err(|e| match e.help.is_empty() {
        true => e.help("replace these layers in the model, or cut the model before them").context(&shown),
        false => e.context(&shown),
    })?;
    notes.extend(winograd_note(&emitted));
    let file = ModelFile::from_bytes(shown.to_string(), &emitted.bytes).with_operators(graph.op_set());
    self_check::check(&file, &emitted.apart)?;
    let sizes = [
        ("file", "flash", emitted.bytes.len(), options.flash_budget),
        ("arena", "RAM", emitted.arena_bytes, options.ram_budget),
    ];
    for (what, memory, size, budget) in sizes {
        if let Some(budget) = budget.filter(|&budget| size as u64 > budget) {
            return Err(Error::budget(format!(
                "{shown}: the {what} takes {size} bytes, the {memory} budget is {budget}"
            ))
            .help(format!("make the model smaller, or allow {} bytes more", size as u64 - budget)));
        }
    }
    notes.extend(renamed(&graph, &file)?);
    let (told, warned) = slow::remarks(&file.model()?);
    notes.extend(told);
    warnings.extend(warned);
    Ok(Converted { file, format, samples, calibration, trials, outputs, judged, notes, warnings })
}

/// Notes on inputs and outputs that got a name of their own, because another one has theirs.
fn renamed(graph: &Graph, file: &ModelFile) -> Result<Vec<String>> {
    let model = file.model()?;
    let ports = [
        ("input", &graph.inputs, model_file::inputs(&model)),
        ("output", &graph.outputs, model_file::outputs(&model)),
    ];
    let note = |(kind, ids, facts): (&str, &Vec<ValueId>, Vec<PortFacts>)| {
        let names = ids.iter().map(|&id| graph.value(id).name.clone());
        let changed =
            names.zip(facts).enumerate().filter(|(_, (name, facts))| !name.is_empty() && *name != facts.name);
        changed
            .map(|(index, (name, facts))| {
                format!(
                    "{kind} {index} is called `{}`, because there are several of the name `{name}`",
                    facts.name
                )
            })
            .collect::<Vec<_>>()
    };
    Ok(ports.into_iter().flat_map(note).collect())
}

/// Makes the file, and uses Winograd's algorithm as far as the budgets allow.
fn compile_within(graph: &Graph, mut settings: emit::Options, options: &ConvertOptions) -> Result<Emitted> {
    if let Some(budget) = options.flash_budget {
        settings.winograd = Winograd::Never;
        let direct = emit::compile(graph, &settings)?;
        settings.winograd = Winograd::Within(budget.saturating_sub(direct.bytes.len() as u64));
    }
    let emitted = emit::compile(graph, &settings)?;
    let exceeds = |budget: Option<u64>, size: usize| budget.is_some_and(|budget| size as u64 > budget);
    let too_large = exceeds(options.flash_budget, emitted.bytes.len())
        || exceeds(options.ram_budget, emitted.arena_bytes);
    if too_large && emitted.winograd_bytes != 0 {
        settings.winograd = Winograd::Never;
        return emit::compile(graph, &settings);
    }
    Ok(emitted)
}

/// Reports which layers use Winograd's algorithm.
fn winograd_note(emitted: &Emitted) -> Option<String> {
    let layers = emitted.ops.iter().filter(|op| op.code == OpCode::Conv2dWinograd as u16);
    let names: Vec<String> = layers.map(|op| format!("`{}`", text::layer(&op.name))).collect();
    if names.is_empty() {
        return None;
    }
    Some(format!(
        "by Winograd's algorithm, for {} bytes more of flash: {}",
        text::count(emitted.winograd_bytes as usize),
        names.join(", ")
    ))
}

/// Samples of a function without inputs, so many.
struct Unasked(usize);

impl Samples for Unasked {
    fn len(&self) -> usize {
        self.0
    }

    fn sample(&self, _: usize) -> Result<Vec<Vec<f32>>> {
        Ok(Vec::new())
    }
}

/// Samples that report progress when they are read. Each counts once, because it is not known in advance how
/// often calibration reads it.
struct Counted<'a> {
    data: &'a Dataset,
    progress: &'a dyn Progress,
    left: AtomicUsize,
}

impl Samples for Counted<'_> {
    fn len(&self) -> usize {
        self.data.len()
    }

    fn sample(&self, index: usize) -> Result<Vec<Vec<f32>>> {
        let sample = self.data.real(index)?;
        if self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
            self.progress.step();
        }
        Ok(sample)
    }
}
