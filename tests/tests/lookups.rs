//! Models that look up rows of a table, from every format that supports this: in int8 they give the results
//! of the float reference up to rounding, the same with every kernel set, and so does the `.tflite` that is
//! written.

mod common;

use common::{Net, SETS, root};
use ferrolite::aligned::AlignedBuf;
use ferrolite::emit;
use ferrolite::graph::{DType, Graph, Op};
use ferrolite::import::{self, ImportOptions};
use ferrolite::quantize::{Options, Samples, quantize};
use ferrolite::reference::Executor;
use ferrolite::{Result, passes};
use ferrolite_runtime::OpCode;

/// File below `tests/import`, signature, rows of its table. With 0 rows, its inputs are real numbers, looked
/// up at known indices.
const MODELS: &[(&str, Option<&str>, u32)] = &[
    ("keras/embedding.keras", None, 6),
    ("keras/embedding_float.keras", None, 6),
    ("keras/embedding_float.h5", None, 6),
    ("saved_model/keras", Some("embedding"), 9),
    ("saved_model/keras", Some("embedding_float"), 9),
    ("onnx/embedding.onnx", None, 7),
    ("onnx/gather.onnx", None, 0),
];

const SAMPLES: usize = 40;

/// Samples of a model with one input.
struct Rows(Vec<Vec<f32>>);

impl Samples for Rows {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn sample(&self, index: usize) -> Result<Vec<Vec<f32>>> {
        Ok(vec![self.0[index].clone()])
    }
}

/// Indices of rows, or reals.
fn rows(elements: usize, count: u32) -> Rows {
    let mut state = 11u32;
    let mut random = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state >> 8
    };
    let mut element = || if count > 0 { (random() % count) as f32 } else { random() as f32 / 4e6 - 2.0 };
    Rows((0..SAMPLES).map(|_| (0..elements).map(|_| element()).collect()).collect())
}

/// An input in the model's own type.
fn raw(graph: &Graph, row: &[f32]) -> Vec<u8> {
    let input = graph.value(graph.inputs[0]);
    match input.quantization.as_ref().and_then(|q| q.tensor()) {
        None => {
            assert_eq!(input.dtype, DType::Int32, "indices");
            row.iter().flat_map(|&x| (x as i32).to_le_bytes()).collect()
        }
        Some((scale, zero_point)) => {
            let integer =
                |&x: &f32| ferrolite_runtime::quant::quantize(x, scale, zero_point, -128, 127) as u8;
            row.iter().map(integer).collect()
        }
    }
}

#[test]
fn tables_are_looked_up_in_int8() {
    for &(path, signature, count) in MODELS {
        let options = ImportOptions { signature: signature.map(Into::into), ..ImportOptions::default() };
        let mut float = import::load_with(&root().join("tests/import").join(path), &options).unwrap().graph;
        passes::optimise(&mut float);
        let elements = float.value(float.inputs[0]).elements();
        let samples = rows(elements, count);
        let (mut graph, _) = quantize(&float, &samples, &Options::default()).unwrap();
        passes::optimise(&mut graph);
        for node in graph.nodes.iter().filter(|node| matches!(node.op, Op::Gather(_))) {
            let types = [0, 1].map(|at| graph.value(node.input(at).unwrap()).dtype);
            assert_eq!(types, [DType::Int8, DType::Int32], "{path}");
        }

        let written = emit::tflite(&graph).unwrap();
        let mut again = import::load_bytes("written.tflite", &written).unwrap().graph;
        passes::optimise(&mut again);
        let again = AlignedBuf::from_bytes(&emit::compile(&again, &Default::default()).unwrap().bytes);
        let files = SETS.iter().map(|set| {
            let options = emit::Options { target: set.target, ..emit::Options::default() };
            let file = emit::compile(&graph, &options).unwrap();
            assert!(file.op_codes.contains(&OpCode::Gather), "{path}");
            (AlignedBuf::from_bytes(&file.bytes), set)
        });
        let files: Vec<_> = files.collect();
        let executor = Executor::new(&float).unwrap();
        for row in &samples.0 {
            let input = raw(&graph, row);
            let wanted = executor.run(&[row]).unwrap();
            let found = Net::new(&again).run(&[&input], &mut ());
            for (file, set) in &files {
                assert_eq!(Net::with(file, set.ops).run(&[&input], &mut ()), found, "{path}: {}", set.name);
            }
            for ((bytes, wanted), &id) in found.iter().zip(&wanted).zip(&graph.outputs) {
                let (scale, zero) = graph.value(id).quantization.as_ref().and_then(|q| q.tensor()).unwrap();
                for (&byte, wanted) in bytes.iter().zip(wanted) {
                    let real = scale * (i32::from(byte as i8) - zero) as f32;
                    // The tolerance is half a step of the result, plus the error of the layers before it.
                    assert!(
                        (real - wanted).abs() <= 3.0 * scale,
                        "{path}: {real} instead of {wanted}, step {scale}"
                    );
                }
            }
        }
    }
}

#[test]
fn indices_that_name_nothing_are_an_error_of_the_reference() {
    let float = import::load(&root().join("tests/import/keras/embedding.keras")).unwrap().graph;
    let executor = Executor::new(&float).unwrap();
    assert!(executor.run(&[&[0.0, 5.0, 1.0, 1.0]]).is_ok());
    for wrong in [-1.0, 6.0, 1e9, f32::NAN] {
        let error = executor.run(&[&[0.0, 1.0, wrong, 1.0]]).unwrap_err();
        assert!(error.message.contains("(GATHER)") && error.message.contains("0 to 5"), "{error}");
    }
}
