//! Several graphs that work on the same variables become the entry points of one file.
//!
//! Each is lowered and planned as a graph alone is. Their constants are entered one after the other, and equal ones once, so
//! that weights which several of them read are stored once; variables lie at the same places of one state, behind the largest
//! of their arenas.

use super::plan::{self, Plan};
use super::program::Program;
use super::write::{Part, write_all};
use super::{Emitted, Options, accepted_entry, ask_entry, early, emitted, known};
use crate::aligned::AlignedBuf;
use crate::error::{Error, Result};
use crate::graph::Graph;

/// Makes one file of quantized graphs with a name each, as [`compile`](super::compile) does of one. The first is what a
/// program runs that asks for none. All have the same variables, in the same types and scales; all but the first may be
/// without inputs, and without outputs.
///
/// [`Emitted`] has the ops and tensors of the first, and the operators of all.
///
/// # Errors
/// As [`compile`](super::compile); when the arena is divided among several memories, or the file is to have a self-test.
pub fn compile_entries(entries: &[(&str, &Graph)], options: &Options) -> Result<Emitted> {
    if let &[(_, graph)] = entries {
        return super::compile(graph, options);
    }
    if !options.memories.is_empty() {
        return Err(Error::input("the arena of a file with several entry points is one memory")
            .help("leave out --memory, or convert one of them by itself with `--signature NAME`"));
    }
    if options.self_test.is_some() {
        return Err(Error::input("a file with several entry points has no self-test"));
    }
    let computed: Vec<Option<Graph>> =
        entries.iter().map(|(_, graph)| known::computed(graph, options)).collect();
    let graphs: Vec<&Graph> =
        entries.iter().zip(&computed).map(|((_, graph), known)| known.as_ref().unwrap_or(graph)).collect();
    if let Some(graph) = graphs.iter().find(|graph| crate::ops::is_float(graph)) {
        return Err(Error::input(format!("model `{}` is float: its layers compute in float32", graph.name))
            .help("quantize it first: give calibration data (`--calibrate DATA`)"));
    }
    let mut programs = Program::build_all(&graphs, options)?;
    programs.iter_mut().for_each(early::write_early);
    let names: Vec<&str> = entries.iter().map(|(name, _)| *name).collect();
    let file = |plans: &[Plan], options: &Options| {
        let parts = names.iter().zip(&programs).zip(plans);
        let parts: Vec<Part<'_>> =
            parts.map(|((name, program), plan)| Part { name, program, plan }).collect();
        write_all(&parts, options, None)
    };
    let plans = programs.iter().map(plan::disjoint).collect::<Option<Vec<_>>>();
    let plans =
        plans.ok_or_else(|| Error::input("the model's activations together are larger than 1 GiB"))?;
    let apart = file(&of_one_size(plans), &Options { strip: true, ..options.clone() })?;
    let mut plans = Vec::new();
    for (number, program) in programs.iter().enumerate() {
        let (leads, _) = ask_entry(program, &apart, number)?;
        plans.push(plan::plan(program, &leads));
    }
    let plans = of_one_size(plans);
    let bytes = file(&plans, options)?;
    let aligned = AlignedBuf::from_bytes(&bytes);
    for (number, program) in programs.iter().enumerate() {
        accepted_entry(&aligned, program, number)?;
    }
    let mut all: Vec<Emitted> = programs
        .iter()
        .zip(&plans)
        .map(|(program, plan)| emitted(Vec::new(), Vec::new(), program, plan))
        .collect();
    let mut op_codes: Vec<_> = all.iter().flat_map(|emitted| emitted.op_codes.iter().copied()).collect();
    op_codes.sort();
    op_codes.dedup();
    let weight_bytes = all.last().map_or(0, |last| last.weight_bytes);
    Ok(Emitted { bytes, apart, op_codes, weight_bytes, ..all.swap_remove(0) })
}

/// Plans with the arena of the largest, behind which the state begins for all.
fn of_one_size(mut plans: Vec<Plan>) -> Vec<Plan> {
    let largest = plans.iter().map(|plan| plan.arena_bytes).max().unwrap_or(0);
    plans.iter_mut().for_each(|plan| plan.arena_bytes = largest);
    plans
}
