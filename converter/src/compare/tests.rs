use super::*;
use crate::graph::{DType, FullyConnected, Value};
use crate::model_file::PortFacts;
use crate::noise::Noise;
use crate::run::RunOutput;

fn output(shape: &[usize], samples: &[&[u8]]) -> RunOutput {
    let port = PortFacts {
        name: "y".into(),
        shape: shape.to_vec(),
        dtype: DType::Int8,
        quantization: Some((0.5, 0)),
    };
    RunOutput { ports: vec![port], samples: samples.iter().map(|s| vec![s.to_vec()]).collect() }
}

#[test]
fn classes_are_counted() {
    let float = vec![vec![vec![0.0, 1.0]], vec![vec![1.0, 0.0]], vec![vec![0.25, 0.0]]];
    let quantized = output(&[1, 2], &[&[0, 2], &[2, 0], &[0, 0]]);
    let labels = Labels::Classes(vec![1, 1, 0]);
    let result = compare_outputs(&float, &quantized, Some(&labels)).unwrap();
    assert_eq!(result.accuracy_float, Some(2.0 / 3.0));
    assert_eq!((result.accuracy_quantized, result.agreement), (Some(2.0 / 3.0), Some(1.0)));
    assert_eq!((result.max_abs_error, result.mse_float), (0.25, None));
    let want = 10.0 * (2.0625f64 / 0.0625).log10();
    assert!((result.sqnr_db.unwrap() - want).abs() < 1e-9);
}

#[test]
fn values_give_errors() {
    let float = vec![vec![vec![0.5]], vec![vec![1.0]]];
    let labels = Labels::Values(vec![vec![0.5], vec![0.0]]);
    let result = compare_outputs(&float, &output(&[1, 1], &[&[1], &[4]]), Some(&labels)).unwrap();
    assert_eq!((result.mse_float, result.mse_quantized), (Some(0.5), Some(2.0)));
    assert_eq!((result.agreement, result.accuracy_float), (None, None));
}

#[test]
fn what_does_not_belong_together_is_refused() {
    let float = vec![vec![vec![0.5, 0.5]]];
    let fit = output(&[1, 2], &[&[1, 1]]);
    assert!(compare_outputs(&float, &output(&[1, 1], &[&[1]]), None).is_err());
    assert!(compare_outputs(&[vec![]], &fit, None).is_err());
    assert!(compare_outputs(&float, &fit, Some(&Labels::Classes(vec![0, 1]))).is_err());
    assert!(compare_outputs(&float, &fit, Some(&Labels::Values(vec![vec![0.0]]))).is_err());
    let exact = compare_outputs(&float, &fit, None).unwrap();
    assert_eq!(exact.sqnr_db, Some(f64::INFINITY));
}

#[test]
fn labels_that_name_no_class_are_told() {
    let of = |labels: &[usize]| outputs::beyond(&[None, Some(3)], Some(&Labels::Classes(labels.to_vec())));
    assert_eq!(of(&[0, 2, 1]), None);
    let told = of(&[1, 2, 3]).unwrap();
    assert!(told.starts_with("1 of 3 labels") && told.contains("classes are 0 to 2"), "{told}");
    assert_eq!(outputs::beyond(&[None], Some(&Labels::Classes(vec![7]))), None);
}

#[test]
fn an_integer_without_scale_is_the_class_itself() {
    let port = PortFacts { name: "class".into(), shape: vec![1], dtype: DType::Int32, quantization: None };
    let sample = |class: i32| vec![class.to_le_bytes().to_vec()];
    let quantized =
        RunOutput { ports: vec![port], samples: vec![sample(3), sample(7), sample(0), sample(1)] };
    let float = [3.0, 6.0, 0.0, 1.0].map(|class| vec![vec![class]]);
    let result = compare_outputs(&float, &quantized, Some(&Labels::Classes(vec![3, 6, 0, 2]))).unwrap();
    assert_eq!((result.accuracy_float, result.accuracy_quantized), (Some(0.75), Some(0.5)));
    assert_eq!(result.agreement, Some(0.75));
}

#[test]
fn labels_that_an_output_without_classes_cannot_give_are_told() {
    let told = |shape: &[usize], dtype: DType, labels: &[usize]| {
        let mut graph = Graph::default();
        let value =
            Value { name: "y".into(), shape: shape.to_vec(), dtype, quantization: None, constant: None };
        let y = graph.add_value(value);
        graph.outputs = vec![y];
        outputs::unfit(&graph, Some(&Labels::Classes(labels.to_vec())))
    };
    assert_eq!(told(&[1, 1], DType::Float32, &[0, 1]), None);
    assert!(told(&[1, 1], DType::Float32, &[0, 7]).unwrap().contains("one number"));
    assert!(told(&[1, 4], DType::Float32, &[4]).unwrap().contains("4 elements"));
    assert!(told(&[1, 16, 16, 1], DType::Float32, &[0]).unwrap().contains("1x16x16x1"));
    assert_eq!(told(&[1], DType::Int32, &[9]), None);
}

#[test]
fn five_classes_may_be_near() {
    let scores = |best: usize| (0..7).map(|i| if i == best { 1.0 } else { -(i as f32) }).collect::<Vec<_>>();
    let float = vec![vec![scores(6)], vec![scores(0)]];
    // Equal scores: the first five count.
    let quantized = output(&[1, 7], &[&[0; 7], &[0; 7]]);
    let labels = Labels::Classes(vec![3, 5]);
    let result = compare_outputs(&float, &quantized, Some(&labels)).unwrap();
    assert_eq!((result.top5_float, result.top5_quantized), (Some(0.5), Some(0.5)));
    assert_eq!(result.accuracy_float, Some(0.0));
    let few = compare_outputs(&[vec![vec![0.0, 1.0]]], &output(&[1, 2], &[&[0, 2]]), None).unwrap();
    assert_eq!(few.top5_float, None);
}

#[test]
fn confusion_has_a_row_for_each_right_class() {
    let one = |class: usize| vec![(0..3).map(|i| f32::from(u8::from(i == class))).collect::<Vec<_>>()];
    let float = vec![one(0), one(1), one(2), one(2)];
    let quantized = output(&[1, 3], &[&[2, 0, 0], &[0, 0, 2], &[0, 0, 2], &[0, 2, 0]]);
    let labels = Labels::Classes(vec![0, 1, 2, 2]);
    let result = compare_outputs(&float, &quantized, Some(&labels)).unwrap();
    assert_eq!(result.confusion, Some(vec![vec![1, 0, 0], vec![0, 0, 1], vec![0, 1, 1]]));
    assert_eq!(result.confusion_float, Some(vec![vec![1, 0, 0], vec![0, 1, 0], vec![0, 0, 2]]));
}

#[test]
fn the_worst_are_those_that_became_wrong() {
    // Sample 0 has the largest error but keeps its class, 1 changes to the right class, 2 to a wrong one.
    let float = vec![vec![vec![9.0, 0.0]], vec![vec![1.0, 0.0]], vec![vec![0.0, 1.0]]];
    let quantized = output(&[1, 2], &[&[2, 0], &[0, 2], &[2, 0]]);
    let labels = Labels::Classes(vec![0, 1, 1]);
    let worst = compare_outputs(&float, &quantized, Some(&labels)).unwrap().worst;
    assert_eq!(worst.iter().map(|w| w.sample).collect::<Vec<_>>(), [2, 1, 0]);
    let first = &worst[0];
    assert_eq!((first.expected, first.float), (Some(Answer::Class(1)), Answer::Class(1)));
    assert_eq!((first.quantized, first.element, first.error), (Answer::Class(0), 0, 1.0));
    assert_eq!((first.score_float, first.score_quantized), (0.0, 1.0));
    let labels = Labels::Values(vec![vec![9.0, 0.0], vec![0.0, 1.0], vec![0.0, 1.0]]);
    let worst = compare_outputs(&float, &quantized, Some(&labels)).unwrap().worst;
    assert_eq!((worst[0].sample, worst[0].expected), (0, Some(Answer::Value(9.0))));
    assert_eq!(worst[0].quantized, Answer::Value(1.0));
}

/// Dense layers as a graph with its int8 file.
mod networks {
    use super::*;
    use crate::emit::{Options, compile};
    use crate::graph::{Activation, Constant, Node, Op, Value};
    use crate::model_file::ModelFile;
    use crate::quantize::{self, Samples};

    struct Ramp;

    impl Samples for Ramp {
        fn len(&self) -> usize {
            64
        }

        fn sample(&self, index: usize) -> Result<Vec<Vec<f32>>> {
            Ok(vec![(0..4).map(|i| ((index * 7 + i * 13) % 64) as f32 / 32.0 - 1.0).collect()])
        }
    }

    /// Two dense layers; the second one's weights do not lie on an int8 grid, the first one's do.
    pub fn two_layers() -> (Graph, ModelFile) {
        let mut graph = Graph { name: "two".into(), ..Graph::default() };
        let float = |name: &str, shape: &[usize], constant: Option<Vec<f32>>| Value {
            name: name.into(),
            shape: shape.to_vec(),
            dtype: DType::Float32,
            quantization: None,
            constant: constant.map(Constant::F32),
        };
        let identity = (0..16).map(|i| if i % 5 == 0 { 1.0 } else { 0.0 }).collect();
        let rough = (0..8).map(|i| [1.0, 0.4999, -0.7703, 0.1234][i % 4] * if i < 4 { 1.0 } else { -0.3 });
        let x = graph.add_value(float("x", &[1, 4], None));
        let w = graph.add_value(float("w", &[4, 4], Some(identity)));
        let h = graph.add_value(float("h", &[1, 4], None));
        let v = graph.add_value(float("v", &[2, 4], Some(rough.collect())));
        let y = graph.add_value(float("y", &[1, 2], None));
        let dense = || Op::FullyConnected(FullyConnected { activation: Activation::None });
        for (name, inputs, output) in [("exact", [x, w], h), ("rough", [h, v], y)] {
            let inputs = inputs.map(Some).to_vec();
            graph.nodes.push(Node { name: name.into(), op: dense(), inputs, outputs: vec![output] });
        }
        (graph.inputs, graph.outputs) = (vec![x], vec![y]);
        let (int8, _) = quantize::quantize(&graph, &Ramp, &quantize::Options::default()).unwrap();
        let file = compile(&int8, &Options::default()).unwrap();
        (graph, ModelFile::from_bytes("two.ferro", &file.bytes))
    }
}

#[test]
fn weight_steps_are_read_from_the_file() {
    let (graph, file) = networks::two_layers();
    let model = file.model().unwrap();
    let steps: Vec<_> = model.ops().iter().map(|op| grid::of_weights(&model, op).unwrap()).collect();
    // Channels with the same step share a multiplier.
    let want = [vec![1.0 / 127.0], vec![1.0 / 127.0, 0.3 / 127.0]];
    assert_eq!(steps.iter().map(Vec::len).collect::<Vec<_>>(), [1, 2]);
    for (found, want) in steps.iter().flatten().zip(want.iter().flatten()) {
        assert!((found / want - 1.0f32).abs() < 1e-5, "{steps:?}");
    }
    let grids = grid::of_values(&graph, &model);
    assert_eq!(grids.iter().map(Option::is_some).collect::<Vec<_>>(), [true, false, true, false, true]);
}

#[test]
fn costs_alone_are_those_of_the_layer_alone() {
    let (graph, file) = networks::two_layers();
    let model = file.model().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.csv");
    let rows: String =
        (0..40).map(|i| format!("{},0.5,{},-0.25\n", i as f32 / 40.0, (i * i % 7) as f32 / 9.0)).collect();
    std::fs::write(&path, format!("a,b,c,d\n{rows}")).unwrap();
    let data = Dataset::load(path.to_str().unwrap(), &crate::model_file::input_specs(&model)).unwrap();
    let result = compare(&graph, &model, &data, &Options::default(), &()).unwrap();
    let [exact, rough] = &result.layers[..] else { panic!("{result:?}") };
    assert_eq!((exact.name.as_str(), rough.name.as_str()), ("exact", "rough"));
    // The first layer rounds its activations only, the second weights and activations.
    let (exact_db, rough_db) = (exact.alone_sqnr_db.unwrap(), rough.alone_sqnr_db.unwrap());
    assert!(exact_db > 35.0 && rough_db > 30.0 && exact_db.is_finite(), "{result:?}");
    let shares = result.inputs.iter().map(|input| input.alone_share);
    let shares: f64 = shares.chain(result.layers.iter().map(|layer| layer.alone_share)).flatten().sum();
    assert!((shares - 1.0).abs() < 1e-9, "{result:?}");
    assert_eq!(result.inputs.len(), 1);

    // The same computed by hand: the second layer's weights and outputs are rounded, nothing else.
    let mut by_hand = graph.clone();
    let weights = by_hand.nodes[1].input(1).unwrap();
    let real = by_hand.value(weights).constant.clone().unwrap();
    let rounded = real.as_f32().unwrap().iter().enumerate();
    let step = |i: usize| if i < 4 { 1.0 / 127.0 } else { 0.3 / 127.0 };
    let rounded = rounded.map(|(i, x)| (x / step(i)).round() * step(i)).collect();
    by_hand.value_mut(weights).constant = Some(crate::graph::Constant::F32(rounded));
    let (plain, quantized) = (Executor::new(&graph).unwrap(), Executor::new(&by_hand).unwrap());
    let (scale, zero) = crate::model_file::outputs(&model)[0].quantization.unwrap();
    let mut noise = Noise::default();
    for sample in 0..data.len() {
        let input = data.real(sample).unwrap();
        let output = quantized.run(&[&input[0]]).unwrap().remove(0);
        let round =
            |x: &f32| ((x / scale).round() + zero as f32).clamp(-128.0, 127.0) * scale - zero as f32 * scale;
        let output: Vec<f32> = output.iter().map(round).collect();
        noise.add(&plain.run(&[&input[0]]).unwrap()[0], &output);
    }
    assert!((noise.decibels().unwrap() - rough_db).abs() < 0.01, "{:?} {rough_db}", noise.decibels());
}

#[test]
fn what_selects_on_its_grid_costs_nothing() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/models/mnist_cnn");
    let source = format!("{folder}/mnist_cnn_int8_tf.tflite");
    let converted = crate::convert::convert(source.as_ref(), &Default::default(), &()).unwrap();
    let model = converted.file.model().unwrap();
    let graph = crate::import::load(source.as_ref()).unwrap().graph;
    let data = Dataset::load(&format!("{folder}/data.npz:test_x"), &crate::model_file::input_specs(&model));
    let result = compare(&graph, &model, &data.unwrap(), &Options::default(), &()).unwrap();
    for layer in &result.layers {
        let free = layer.op == "MAX_POOL_2D";
        assert_eq!(layer.alone_sqnr_db.is_none(), free, "{layer:?}");
    }
    assert_eq!(result.most_costly().count(), result.layers.iter().filter(|l| l.op != "MAX_POOL_2D").count());
}

#[test]
fn names_that_the_converter_gave_lead_back_to_the_authors() {
    assert_eq!(grid::authored("dense/active"), "dense");
    assert_eq!(grid::authored("y_quantized"), "y");
    assert_eq!(grid::authored("dense/active_quantized"), "dense");
    assert_eq!(grid::authored("dense"), "dense");
}

#[test]
fn float_borders_cost_what_int8_ones_do() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/models/mnist_cnn");
    let source = format!("{folder}/mnist_cnn_float.tflite");
    let graph = crate::import::load(source.as_ref()).unwrap().graph;
    let costs = |io| {
        let options = crate::convert::ConvertOptions {
            calibrate: Some(format!("{folder}/data.npz:cal_x")),
            io,
            ..Default::default()
        };
        let converted = crate::convert::convert(source.as_ref(), &options, &()).unwrap();
        let model = converted.file.model().unwrap();
        let specs = crate::model_file::input_specs(&model);
        let data = Dataset::load(&format!("{folder}/data.npz:test_x"), &specs).unwrap();
        let result = compare(&graph, &model, &data, &Options::default(), &()).unwrap();
        let costs = result.most_costly().map(|layer| (layer.op.clone(), layer.alone_sqnr_db));
        (costs.collect::<Vec<_>>(), result.inputs.len())
    };
    let int8 = costs(crate::quantize::Io::Int8);
    assert_eq!((int8.0.len(), int8.1), (5, 1));
    assert_eq!(int8, costs(crate::quantize::Io::Float));
}
