//! Real models: outputs and every layer equal TFLM's, byte for byte, and arenas are within their bounds.

mod common;

use std::collections::HashMap;

use common::{
    Net, REFUSED, SETS, beside, compare, compile, files_for, first_difference, graph, quantized_models, stem,
};
use ferrolite::aligned::AlignedBuf;
use ferrolite::data::npz::Npz;
use ferrolite_runtime::{Eval, Observer, ops};

/// Largest arenas that the planner may need.
const ARENAS: &[(&str, usize)] = &[
    ("kws_ref_model", 9_536),
    ("ad01_int8", 768),
    ("pretrainedResnet_quant", 34_416),
    ("person_detect", 37_376),
];

/// Inputs and TFLM's outputs; models with state have those of sequences, too.
const ARRAYS: [(&str, &str); 5] = [
    ("in", "tflm_out"),
    ("real_in", "tflm_real_out"),
    ("in", "tflm_seq_out"),
    ("real_in", "tflm_real_seq_out"),
    ("long_in", "tflm_long_seq_out"),
];

#[test]
fn outputs_equal_tflm() {
    let mut failures = Vec::new();
    for model in quantized_models() {
        let name = stem(&model);
        let refused = REFUSED.iter().find(|(refused, _)| *refused == name);
        for (optimised, how) in [(false, ""), (true, " after passes")] {
            let file = match (compile(&model, optimised), refused) {
                (Ok(file), None) => file,
                (Err(error), Some((_, why))) if error.contains(why) => continue,
                (Ok(_), Some(_)) => {
                    failures.push(format!("{name}{how}: runs, so take it off the list"));
                    continue;
                }
                (Err(error), _) => {
                    failures.push(format!("{name}{how}: {error}"));
                    continue;
                }
            };
            let oracle = beside(&model, "oracle.npz");
            let mut samples = 0;
            for (inputs, outputs) in ARRAYS {
                let names = Npz::open(&oracle).expect("an oracle lies beside each model");
                if names.header(&format!("{outputs}0")).is_some() {
                    match compare(&file.bytes, ops::ALL, &oracle, inputs, outputs) {
                        Ok(count) => samples += count,
                        Err(error) => failures.push(format!("{name}{how}: {outputs}: {error}")),
                    }
                }
            }
            println!(
                "{name}{how}: {samples} samples, arena {}, file {}, {} ops",
                file.arena_bytes,
                file.bytes.len(),
                file.ops.len()
            );
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn every_kernel_set_gives_the_same_answers() {
    let mut failures = Vec::new();
    for model in quantized_models() {
        let name = stem(&model);
        if REFUSED.iter().any(|(refused, _)| *refused == name) {
            continue;
        }
        for set in SETS {
            for (how, file) in files_for(&model, true, set.target) {
                let answer = file.and_then(|file| {
                    let (arena, size) = (file.arena_bytes, file.bytes.len());
                    println!("{name}, {}{how}: arena {arena}, file {size}", set.name);
                    compare(&file.bytes, set.ops, &beside(&model, "oracle.npz"), "in", "tflm_out")
                });
                if let Err(error) = answer {
                    failures.push(format!("{name} ({}{how}): {error}", set.name));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

/// Collects the outputs of all ops by the name of the tensor.
struct Layers<'a> {
    net: ferrolite_runtime::Model<'a>,
    outputs: HashMap<String, Vec<u8>>,
}

impl Observer for Layers<'_> {
    fn after(&mut self, index: u16, eval: &Eval<'_>) {
        let op = &self.net.ops()[usize::from(index)];
        for (position, &tensor) in self.net.operands(op)[usize::from(op.inputs)..].iter().enumerate() {
            let name = self.net.names().tensor(tensor.into()).expect("the file carries names");
            let bytes = eval.output::<u8>(position).iter().map(|cell| cell.get()).collect();
            self.outputs.insert(name.to_owned(), bytes);
        }
    }
}

#[test]
fn layers_equal_tflm() {
    let mut failures = Vec::new();
    for model in quantized_models() {
        let name = stem(&model);
        let layers = beside(&model, "layers.npz");
        if REFUSED.iter().any(|(refused, _)| *refused == name) || !layers.exists() {
            continue;
        }
        for (optimised, how) in [(false, ""), (true, " after passes")] {
            let (Ok(graph), Ok(file)) = (graph(&model, false), compile(&model, optimised)) else {
                failures.push(format!("{name}{how}: does not compile"));
                continue;
            };
            let mut arrays = Npz::open(&layers).expect("the arrays can be read");
            let mut input = Vec::new();
            for port in 0..graph.inputs.len() {
                let array = arrays.read(&format!("in{port}")).expect("an input for each port");
                input.push(
                    (0..array.rows()).flat_map(|row| array.row_bytes(row).to_vec()).collect::<Vec<u8>>(),
                );
            }
            let file = AlignedBuf::from_bytes(&file.bytes);
            let mut net = Net::new(&file);
            let mut seen = Layers { net: *net.model(), outputs: HashMap::new() };
            net.run(&input.iter().map(Vec::as_slice).collect::<Vec<_>>(), &mut seen);
            let mut compared = 0;
            for (number, value) in graph.values.iter().enumerate() {
                let array = format!("tflm_t{number:03}");
                let Some(found) = seen.outputs.get(&value.name) else { continue };
                let Some(header) = arrays.header(&array).cloned() else { continue };
                // Passes may change the shape or the type of a layer's output.
                if header.shape.iter().product::<usize>() * value.dtype.size() != found.len() {
                    continue;
                }
                let wanted = arrays.read(&array).expect("the array can be read");
                let wanted: Vec<u8> =
                    (0..wanted.rows()).flat_map(|row| wanted.row_bytes(row).to_vec()).collect();
                compared += 1;
                if let Some(difference) = first_difference(found, &wanted) {
                    failures.push(format!("{name}{how}: layer `{}`: {difference}", value.name));
                }
            }
            println!("{name}{how}: {compared} of {} layers compared", seen.outputs.len());
            // Of models with state there are no arrays of layers.
            if compared == 0 && graph.states.is_empty() {
                failures.push(format!("{name}{how}: no layer could be compared"));
            }
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn arenas_stay_small() {
    let mut failures = Vec::new();
    for model in quantized_models() {
        let name = stem(&model);
        if let Some((_, bound)) = ARENAS.iter().find(|(bounded, _)| *bounded == name) {
            match compile(&model, true) {
                Ok(file) if file.arena_bytes <= *bound => {}
                Ok(file) => {
                    failures.push(format!("{name}: {} bytes of arena, not {bound}", file.arena_bytes))
                }
                Err(error) => failures.push(format!("{name}: {error}")),
            }
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}
