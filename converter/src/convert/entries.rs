//! Functions of a model that work on the same variables become entry points of one file.
//!
//! ```text
//! import::entries -> one sequence over all of them -> quantize the first -> the others by its variables -> one file
//! ```
//! A variable has one type and one scale in all of them. Its range is that of what all leave in it: for each sample, the
//! functions run one after the other on the same variables, those without inputs too, such as a reset; but what these leave
//! is forgotten, or no sample would begin with what a step has left.
//!
//! A variable that an entry leaves alone or assigns a constant takes whatever type the first has for it, so that an LSTM
//! keeps its cell state as int16 beside a reset. Where an entry computes with such a variable, all are int8.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use super::{ConvertOptions, Converted, Prepared, Source, prepare_source, write};
use crate::data::{self, Dataset, first_layers};
use crate::error::{Error, Result};
use crate::graph::{Constant, DType, Graph, Quantization, SharedState, State, Value, ValueId};
use crate::import::{self, Imported};
use crate::ops;
use crate::progress::Progress;
use crate::reference::{Executor, States};

/// What the samples show of the functions together.
#[derive(Default)]
struct Shown {
    /// What the variables hold before each sample, for each function.
    before: Vec<Vec<States>>,
    /// The range of what all but the first leave in each variable.
    left: HashMap<String, (f32, f32)>,
}

/// Converts the functions, of which there are at least two.
///
/// # Errors
/// As [`convert`](super::convert), with the name of the function.
pub(super) fn convert(
    path: &Path,
    entries: Vec<(String, Imported)>,
    options: &ConvertOptions,
    progress: &dyn Progress,
) -> Result<Converted> {
    refuse(path, options)?;
    for (name, imported) in &entries {
        import::refuse_unsupported(&imported.graph).map_err(|e| in_entry(e, name))?;
    }
    let shown = shown(&entries, options)?;
    let names: Vec<String> = entries.iter().map(|(name, _)| name.clone()).collect();
    for plain in [false, true] {
        let Some((first, others)) = quantized(path, &entries, &shown, plain, options, progress)? else {
            continue;
        };
        let mut prepared = first;
        let list: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        prepared.notes.push(format!(
            "the signatures {} work on the same variables and are entry points of one file, `{}` is its first; \
             `--signature NAME` converts one alone",
            list.join(", "),
            names[0]
        ));
        let others = names[1..].iter().cloned().zip(others).collect();
        return write(path, prepared, (&names[0], others), options);
    }
    Err(Error::internal(format!("{}: variables that are shared have no common type", path.display())))
}

/// Refuses options that several functions cannot have.
fn refuse(path: &Path, options: &ConvertOptions) -> Result<()> {
    let words = [(options.streaming, "--streaming"), (!options.memories.is_empty(), "--memory")];
    match words.iter().find(|(given, _)| *given) {
        None => Ok(()),
        Some((_, word)) => Err(Error::usage(format!(
            "{}: {word} applies to one function, and the model has several that share variables",
            path.display()
        ))
        .help("choose one with `--signature NAME`, or leave the option out")),
    }
}

fn in_entry(error: Error, name: &str) -> Error {
    error.context(format!("signature `{name}`"))
}

/// Runs all functions over the samples on the same variables.
fn shown(entries: &[(String, Imported)], options: &ConvertOptions) -> Result<Shown> {
    let float = entries.iter().any(|(_, imported)| ops::is_float(&imported.graph));
    let Some(argument) = options.calibrate.as_ref().filter(|_| float) else { return Ok(Shown::default()) };
    let mut all = Vec::new();
    for (name, imported) in entries {
        let graph = &imported.graph;
        let wants = first_layers::wants(graph);
        let asked = data::Options { scale: options.scale, wants, ..data::Options::default() };
        let data = (!graph.inputs.is_empty())
            .then(|| Dataset::load_with(argument, &data::input_specs(graph), &asked))
            .transpose()
            .map_err(|e| in_entry(e, name))?;
        all.push((name, graph, Executor::new(graph)?, data));
    }
    let samples = all.iter().find_map(|(.., data)| data.as_ref()).map_or(0, Dataset::len);
    if let Some((name, _, _, Some(data))) =
        all.iter().find(|(.., data)| data.as_ref().is_some_and(|data| data.len() != samples))
    {
        let (first, count) = (&entries[0].0, data.len());
        return Err(Error::input(format!(
            "there are {count} samples for signature `{name}` and {samples} for `{first}`"
        ))
        .help("give as many for each, in their order: a sample is one call of each function"));
    }
    let mut variables: BTreeMap<&str, Vec<f32>> = BTreeMap::new();
    let (_, graph, executor, _) = &all[0];
    for (state, data) in graph.states.iter().zip(executor.start()) {
        variables.insert(&state.name, data);
    }
    let mut shown = Shown { before: vec![Vec::new(); all.len()], ..Shown::default() };
    for sample in 0..samples {
        for (number, (name, graph, executor, data)) in all.iter().enumerate() {
            let held = |state: &State| variables.get(state.name.as_str()).cloned().unwrap_or_default();
            let mut states: States = graph.states.iter().map(held).collect();
            shown.before[number].push(states.clone());
            let inputs = data.as_ref().map_or(Ok(Vec::new()), |data| data.real(sample))?;
            let inputs: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
            let outputs = executor.run_next(&mut states, &inputs, &mut |_, _| ());
            outputs.map_err(|e| in_entry(e.context(format!("calibration sample {sample}")), name))?;
            for (state, data) in graph.states.iter().zip(states) {
                if number > 0 {
                    let (least, largest) = shown.left.entry(state.name.clone()).or_default();
                    data.iter().for_each(|&x| (*least, *largest) = (least.min(x), largest.max(x)));
                }
                if number == 0 || !inputs.is_empty() {
                    variables.insert(&state.name, data);
                }
            }
        }
    }
    Ok(shown)
}

/// All functions in int8; `None` if one of the others computes with a variable that is int16 in the first, which `plain`
/// prevents.
fn quantized(
    path: &Path,
    entries: &[(String, Imported)],
    shown: &Shown,
    plain: bool,
    options: &ConvertOptions,
    progress: &dyn Progress,
) -> Result<Option<(Prepared, Vec<Graph>)>> {
    let ((name, imported), others) = (&entries[0], &entries[1..]);
    let mut imported = imported.clone();
    let shared = |state: &State| {
        let range = shown.left.get(&state.name).copied().unwrap_or_default();
        (state.name.clone(), SharedState { range, quantization: None, plain })
    };
    imported.graph.shared_states = imported.graph.states.iter().map(shared).collect();
    let source = Source { imported, before: shown.before.first().cloned() };
    let mut first = prepare_source(path, source, options, progress, false).map_err(|e| in_entry(e, name))?;
    let mut graphs = Vec::new();
    for (number, (name, imported)) in others.iter().enumerate() {
        let mut imported = imported.clone();
        let graph = &mut imported.graph;
        let mut before = shown.before.get(number + 1).cloned();
        let untouched = untouched(graph);
        for (at, state) in graph.states.iter().enumerate() {
            let theirs = variable(&first.graph, &state.name)?;
            let is_plain = matches!(theirs.dtype, DType::Int8 | DType::Int32 | DType::Bool);
            // A variable that its source has quantized is what it is.
            let own = graph.value(state.value).dtype;
            let is_settled = own == theirs.dtype && own != DType::Float32;
            if !untouched[at] && !is_plain && !is_settled {
                return Ok(None);
            }
            let quantization = theirs.quantization.as_ref().and_then(Quantization::tensor);
            let settled = SharedState { quantization, plain, ..SharedState::default() };
            graph.shared_states.insert(state.name.clone(), settled);
        }
        let detached = detach(graph, &untouched, &mut before);
        let mut graph = match graph.nodes.is_empty() && graph.outputs.is_empty() {
            true => imported.graph,
            false => {
                let source = Source { imported, before };
                let prepared =
                    prepare_source(path, source, options, progress, false).map_err(|e| in_entry(e, name))?;
                let said = |text: String| format!("entry `{name}`: {text}");
                first.notes.extend(prepared.notes.into_iter().map(said));
                first.warnings.extend(prepared.warnings.into_iter().map(said));
                prepared.graph
            }
        };
        for (state, constant) in detached {
            attach(&mut graph, &first.graph, &state, constant)?;
        }
        // One list of variables, in one order, is what each of them shows.
        let place = |state: &State| first.graph.states.iter().position(|other| other.name == state.name);
        graph.states.sort_by_key(place);
        graphs.push(graph);
    }
    Ok(Some((first, graphs)))
}

/// A variable of a graph, by its name.
fn variable<'g>(graph: &'g Graph, name: &str) -> Result<&'g Value> {
    let state = graph.states.iter().find(|state| state.name == name);
    let missing = || Error::internal(format!("variable `{name}` is lost"));
    state.map(|state| graph.value(state.value)).ok_or_else(missing)
}

/// For each state whether nothing reads it, and what it becomes is a constant or itself.
fn untouched(graph: &Graph) -> Vec<bool> {
    let consumers = graph.consumers();
    let is = |state: &State| {
        let same = state.next == state.value;
        let constant = graph.value(state.next).constant.is_some();
        let read = consumers.contains_key(&state.value)
            || graph.outputs.contains(&state.value)
            || graph.states.iter().any(|other| other.value != state.value && other.next == state.value);
        (same || constant) && state.from == 0 && !read
    };
    graph.states.iter().map(is).collect()
}

/// Takes these states out of a graph, each with the constant that it becomes, if it becomes one.
fn detach(
    graph: &mut Graph,
    taken: &[bool],
    before: &mut Option<Vec<States>>,
) -> Vec<(State, Option<Constant>)> {
    let constant = |state: &State| graph.value(state.next).constant.clone();
    let states = graph.states.iter().zip(taken).filter(|(_, taken)| **taken);
    let detached = states.map(|(state, _)| (state.clone(), constant(state))).collect();
    let keep = |at: usize| !taken[at];
    graph.states = (0..).zip(&graph.states).filter(|(at, _)| keep(*at)).map(|(_, s)| s.clone()).collect();
    for states in before.iter_mut().flatten() {
        *states = (0..).zip(states.iter()).filter(|(at, _)| keep(*at)).map(|(_, s)| s.clone()).collect();
    }
    detached
}

/// Adds a state of the first graph to another one, which leaves it alone or assigns it a constant.
fn attach(graph: &mut Graph, first: &Graph, state: &State, constant: Option<Constant>) -> Result<()> {
    let Some(theirs) = first.states.iter().find(|other| other.name == state.name) else {
        return Err(Error::internal(format!("variable `{}` is lost", state.name)));
    };
    let like = Value { constant: None, ..first.value(theirs.value).clone() };
    let value = graph.add_value(like.clone());
    let next: ValueId = match constant {
        None => value,
        Some(constant) => {
            let constant = stored(constant, &like)?;
            graph.add_value(Value {
                name: format!("{}/assigned", state.name),
                constant: Some(constant),
                ..like
            })
        }
    };
    graph.states.push(State {
        name: state.name.clone(),
        value,
        initial: theirs.initial.clone(),
        next,
        from: 0,
    });
    Ok(())
}

/// A constant as a variable stores it.
fn stored(constant: Constant, variable: &Value) -> Result<Constant> {
    let unlike = || {
        let name = &variable.name;
        Error::input(format!("variable `{name}` is assigned a constant of another size or type"))
    };
    if constant.len() != variable.elements() {
        return Err(unlike());
    }
    let step = variable.quantization.as_ref().and_then(Quantization::tensor);
    let Constant::F32(reals) = &constant else { return Ok(constant) };
    let rounded = |(scale, zero_point): (f32, i32), least: f32, largest: f32| {
        let integer = move |x: &f32| (x / scale).round() + zero_point as f32;
        reals.iter().map(integer).map(|x| x.clamp(least, largest)).collect::<Vec<f32>>()
    };
    match (variable.dtype, step) {
        (DType::Float32, _) => Ok(constant),
        (DType::Int8, Some(step)) => {
            Ok(Constant::I8(rounded(step, -128.0, 127.0).into_iter().map(|x| x as i8).collect()))
        }
        (DType::Int16, Some(step)) => {
            Ok(Constant::I16(rounded(step, -32768.0, 32767.0).into_iter().map(|x| x as i16).collect()))
        }
        _ => Err(unlike()),
    }
}
