//! Finds a scaler at the start of a model: `factor * x + term` with one factor and one term for all elements.
//! With float borders, the QUANTIZE at the border replaces it, and the layer disappears.
//!
//! With scale `s` and zero point `z`, QUANTIZE computes `round((factor * x + term) / s) + z`. That is
//! `round(x / s') + z'` for `s' = s / factor` and `z' = z + term / s`, if `term / s` is an integer. Then the
//! real zero after the scaler has the integer `z`, as padding needs it, and the grid of the incoming numbers
//! is the grid that the model computes with. So `s` is chosen a little larger if necessary. The model is
//! calibrated behind the scaler, as if the application scaled its samples.
//!
//! A term of fewer than some tens of steps would cost too much of the range, so such a scaler stays a layer.

use std::collections::HashSet;

use super::pool::Pool;
use super::range::{MOST_STEPS, Params, Range, is_real, params_for};
use super::samples::Samples;
use crate::error::Result;
use crate::graph::{Activation, Binary, BinaryKind, Graph, Op, ValueId};

/// How far from an integer a zero point may be, in steps.
const NEAR: f64 = 0.01;

/// Samples that are checked before a scaler is cut off.
const SAMPLES: usize = 64;

/// A scaler that was cut off a graph.
#[derive(Clone, Debug, PartialEq)]
pub struct Scaler {
    /// Index of the input in the graph.
    pub position: usize,
    /// The number that the input is multiplied with, above 0.
    pub factor: f64,
    /// The number that is added then.
    pub term: f64,
    /// Names of the last layer and of its result, if the result takes the place of the input.
    pub names: Option<(String, String)>,
    /// The original layers.
    steps: Vec<Step>,
}

/// A layer of a scaler: what it does to `x` with a constant.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Step {
    /// `x * constant`
    Mul(f32),
    /// `x / constant`
    Div(f32),
    /// `x + constant`
    Add(f32),
    /// `x - constant`
    Sub(f32),
    /// `constant - x`
    SubFrom(f32),
}

impl Step {
    fn apply(self, x: f32) -> f32 {
        match self {
            Step::Mul(c) => x * c,
            Step::Div(c) => x / c,
            Step::Add(c) => x + c,
            Step::Sub(c) => x - c,
            Step::SubFrom(c) => c - x,
        }
    }

    /// The product and sum of `factor * x + term` followed by this step.
    fn behind(self, (factor, term): (f64, f64)) -> (f64, f64) {
        match self {
            Step::Mul(c) => (factor * f64::from(c), term * f64::from(c)),
            Step::Div(c) => (factor / f64::from(c), term / f64::from(c)),
            Step::Add(c) => (factor, term + f64::from(c)),
            Step::Sub(c) => (factor, term - f64::from(c)),
            Step::SubFrom(c) => (-factor, f64::from(c) - term),
        }
    }
}

impl Scaler {
    fn apply(&self, x: f32) -> f32 {
        self.steps.iter().fold(x, |x, step| step.apply(x))
    }

    /// Whether QUANTIZE can replace the scaler for integers with these parameters.
    pub fn fits(&self, (scale, _): Params) -> bool {
        let steps = self.term / f64::from(scale);
        steps.abs() <= MOST_STEPS && (steps - steps.round()).abs() <= NEAR
    }
}

/// Cuts the scalers off all inputs whose ranges follow from samples, except the inputs at the indices `kept`.
/// The input that remains represents the scaler's result.
pub fn cut(
    graph: &mut Graph,
    calibrated: &[ValueId],
    samples: &dyn Samples,
    kept: &HashSet<usize>,
) -> Result<Vec<Scaler>> {
    let mut scalers = Vec::new();
    for (position, &input) in graph.inputs.clone().iter().enumerate() {
        if kept.contains(&position) || !calibrated.contains(&input) {
            continue;
        }
        let Some((scaler, layers)) = find(graph, position) else { continue };
        if scaler.term != 0.0 && params_for(seen(&scaler, samples)?, scaler.term).is_none() {
            continue;
        }
        for &layer in &layers {
            let (data, result) = data_and_result(graph, layer).unwrap_or((input, input));
            graph.replace_uses(result, data);
        }
        let mut number = 0;
        graph.nodes.retain(|_| {
            number += 1;
            !layers.contains(&(number - 1))
        });
        scalers.push(scaler);
    }
    Ok(scalers)
}

/// The operand that a layer of a scaler reads besides its constant, and the layer's result.
fn data_and_result(graph: &Graph, layer: usize) -> Option<(ValueId, ValueId)> {
    let node = graph.nodes.get(layer)?;
    let data = node.inputs.iter().flatten().find(|&&id| graph.value(id).constant.is_none())?;
    Some((*data, *node.outputs.first()?))
}

/// The scaler of an input, and the indices of its layers.
fn find(graph: &Graph, position: usize) -> Option<(Scaler, Vec<usize>)> {
    let input = *graph.inputs.get(position)?;
    let consumers = graph.consumers();
    let (mut id, mut affine) = (input, (1.0, 0.0));
    let (mut steps, mut layers, mut names, mut moved) = (Vec::new(), Vec::new(), None, false);
    while let (Some(&[reader]), false) = (consumers.get(&id).map(Vec::as_slice), graph.is_output(id)) {
        let node = &graph.nodes[reader];
        let &[result] = node.outputs.as_slice() else { break };
        if graph.is_output(result) {
            break;
        }
        if matches!(node.op, Op::Reshape | Op::Transpose(_)) {
            moved = true;
        } else if let Some(step) = step(graph, reader, id) {
            affine = step.behind(affine);
            names = (!moved).then(|| (node.name.clone(), graph.value(result).name.clone()));
            steps.push(step);
            layers.push(reader);
        } else {
            break;
        }
        id = result;
    }
    let (factor, term) = affine;
    let sound = factor > 0.0
        && factor.is_finite()
        && term.is_finite()
        && graph.inputs.iter().filter(|&&i| i == input).count() == 1;
    (sound && !layers.is_empty()).then_some((Scaler { position, factor, term, names, steps }, layers))
}

/// A layer as a step, if it does the same to all elements of `data`.
fn step(graph: &Graph, layer: usize, data: ValueId) -> Option<Step> {
    let node = &graph.nodes[layer];
    let Op::Binary(Binary { kind, activation: Activation::None }) = node.op else { return None };
    let (first, second) = (node.input(0)?, node.input(1)?);
    let (other, is_first) = if first == data { (second, true) } else { (first, false) };
    let constant = graph.constant(Some(other))?.as_f32()?;
    let (&c, rest) = constant.split_first()?;
    let result = *node.outputs.first()?;
    let uniform = rest.iter().all(|x| x == &c) && c.is_finite();
    if !uniform
        || other == data
        || !is_real(graph, result)
        || graph.value(result).shape != graph.value(data).shape
    {
        return None;
    }
    match (kind, is_first) {
        (BinaryKind::Mul, _) if c != 0.0 => Some(Step::Mul(c)),
        (BinaryKind::Div, true) if c != 0.0 => Some(Step::Div(c)),
        (BinaryKind::Add, _) => Some(Step::Add(c)),
        (BinaryKind::Sub, true) => Some(Step::Sub(c)),
        (BinaryKind::Sub, false) => Some(Step::SubFrom(c)),
        _ => None,
    }
}

/// The range after a scaler for some of the samples.
fn seen(scaler: &Scaler, samples: &dyn Samples) -> Result<Range> {
    let mut range = Range::default();
    for sample in samples.drawn(SAMPLES)? {
        let scaled: Vec<f32> =
            sample.get(scaler.position).into_iter().flatten().map(|&x| scaler.apply(x)).collect();
        range = range.union(Range::of(&scaled).unwrap_or_default());
    }
    Ok(range)
}

/// The samples after the scalers of a model.
pub struct Scaled<'a> {
    /// The samples of the whole model.
    pub samples: &'a dyn Samples,
    /// The scalers that were cut off.
    pub scalers: &'a [Scaler],
}

impl Samples for Scaled<'_> {
    fn len(&self) -> usize {
        self.samples.len()
    }

    fn sample(&self, index: usize) -> Result<Vec<Vec<f32>>> {
        let mut sample = self.samples.sample(index)?;
        self.scale(&mut sample);
        Ok(sample)
    }

    fn total(&self) -> usize {
        self.samples.total()
    }

    fn key(&self, index: usize) -> u128 {
        self.samples.key(index)
    }

    fn drawn(&self, most: usize) -> Result<Vec<Vec<Vec<f32>>>> {
        let mut drawn = self.samples.drawn(most)?;
        drawn.iter_mut().for_each(|sample| self.scale(sample));
        Ok(drawn)
    }

    fn is_sequence(&self) -> bool {
        self.samples.is_sequence()
    }

    fn pool(&self) -> Option<&dyn Pool> {
        self.samples.pool()
    }

    fn view(&self) -> String {
        let of = |scaler: &Scaler| format!("{} {:?};", scaler.position, scaler.steps);
        self.samples.view() + &self.scalers.iter().map(of).collect::<String>()
    }
}

impl Scaled<'_> {
    fn scale(&self, sample: &mut [Vec<f32>]) {
        for scaler in self.scalers {
            if let Some(input) = sample.get_mut(scaler.position) {
                input.iter_mut().for_each(|x| *x = scaler.apply(*x));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use ferrolite_runtime::{Interpreter, Model, ops};

    use super::*;
    use crate::aligned::AlignedBuf;
    use crate::emit;
    use crate::graph::{Concat, Conv2d, Softmax};
    use crate::passes;
    use crate::passes::testing::{Build, Random};
    use crate::quantize::{Calibration, Io, Options, Report, quantize};
    use crate::reference::Executor;

    const SHAPE: [usize; 4] = [1, 5, 5, 2];

    struct Rows(Vec<Vec<Vec<f32>>>);

    impl Samples for Rows {
        fn len(&self) -> usize {
            self.0.len()
        }

        fn sample(&self, index: usize) -> Result<Vec<Vec<f32>>> {
            Ok(self.0[index].clone())
        }
    }

    /// Samples of one input, spread evenly between two numbers that both occur.
    fn rows(random: &mut Random, count: usize, (low, high): (f32, f32)) -> Rows {
        let elements: usize = SHAPE.iter().product();
        let mut between = || low + (high - low) * (random.real() * 0.5 + 0.5);
        let mut rows: Vec<Vec<f32>> =
            (0..count).map(|_| (0..elements).map(|_| between()).collect()).collect();
        (rows[0][0], rows[0][1]) = (low, high);
        Rows(rows.into_iter().map(|row| vec![row]).collect())
    }

    /// A layer of a scaler: its kind, the constant, and whether that is the first operand.
    type Layer = (BinaryKind, f32, bool);
    type Layers<'a> = &'a [Layer];

    fn scale(b: &mut Build, layers: Layers<'_>) -> ValueId {
        let mut x = b.input();
        for &(kind, c, first) in layers {
            let c = b.constant(&[1], |_| c);
            let operands = if first { [c, x] } else { [x, c] };
            x = b.node(Op::Binary(Binary { kind, activation: Activation::None }), &operands, &SHAPE);
        }
        x
    }

    /// A scaler before a convolution with padding, as quantization gets it.
    fn model(layers: Layers<'_>) -> Graph {
        let mut b = Build::new(&SHAPE);
        let x = scale(&mut b, layers);
        let weights = b.constant(&[3, 3, 3, 2], |i| (i as f32 * 1.7).sin());
        let window = crate::graph::Window {
            kernel: [3, 3],
            stride: [1, 1],
            dilation: [1, 1],
            pad_before: [1, 1],
            pad_after: [1, 1],
        };
        let y =
            b.node(Op::Conv2d(Conv2d { window, activation: Activation::None }), &[x, weights], &[1, 5, 5, 3]);
        let mut graph = b.finish(y);
        passes::decompose(&mut graph);
        graph
    }

    fn with_float_borders(graph: &Graph, samples: &Rows, keep_scalers: bool) -> (Graph, Report) {
        let options =
            Options { io: Io::Float, calibration: Calibration::MinMax, keep_scalers, ..Options::default() };
        quantize(graph, samples, &options).unwrap()
    }

    /// The device's output for one float input.
    fn on_device(graph: &Graph, input: &[f32]) -> Vec<f32> {
        let file = AlignedBuf::from_bytes(&emit::compile(graph, &emit::Options::default()).unwrap().bytes);
        let model = Model::from_bytes(&file).unwrap();
        let mut arena = AlignedBuf::zeroed(model.arena_bytes());
        let mut net = Interpreter::new(&model, ops::ALL, &mut arena).unwrap();
        net.input_mut::<f32>(0).unwrap().copy_from_slice(input);
        net.invoke().unwrap();
        net.output::<f32>(0).unwrap().to_vec()
    }

    /// Signal to noise in decibels over some samples.
    fn decibels(float: &Graph, quantized: &Graph, samples: &Rows) -> f64 {
        let executor = Executor::new(float).unwrap();
        let (mut signal, mut noise) = (0.0, 0.0);
        for sample in &samples.0 {
            let wanted = executor.run(&[&sample[0]]).unwrap().concat();
            for (x, y) in wanted.iter().zip(on_device(quantized, &sample[0])) {
                signal += f64::from(*x).powi(2);
                noise += f64::from(x - y).powi(2);
            }
        }
        10.0 * (signal / noise).log10()
    }

    fn names(graph: &Graph) -> Vec<&str> {
        graph.nodes.iter().map(|node| node.op.name()).collect()
    }

    #[test]
    fn scalers_vanish_and_cost_no_accuracy() {
        use BinaryKind::{Add, Div, Mul, Sub};
        let mut random = Random(7);
        let mut cases: Vec<((f32, f32), Vec<Layer>)> = vec![
            ((0.0, 255.0), vec![(Div, 255.0, false)]),
            ((0.0, 255.0), vec![(Mul, 1.0 / 255.0, true)]),
            ((0.0, 255.0), vec![(Mul, 1.0 / 127.5, false), (Add, -1.0, false)]),
            ((0.0, 255.0), vec![(Sub, 127.5, false), (Div, 127.5, false)]),
            ((0.0, 1.0), vec![(Sub, 1.0, true), (Sub, 1.0, true), (Sub, 0.5, false)]),
            // The zero point of the border lies far outside of int8.
            ((1000.0, 1001.0), vec![(Sub, 1000.5, false), (Mul, 2.0, false)]),
        ];
        for _ in 0..30 {
            let size = 2f32.powi(random.below(16) as i32 - 8);
            let low = size * 4.0 * random.real();
            let high = low + size * (1.5 + random.real());
            // Numbers below `zero` become negative.
            let zero = low + (high - low) * (0.3 + 0.2 * random.real());
            let factor = 2f32.powi(random.below(12) as i32 - 6) * (1.5 + random.real() * 0.5);
            // The term is -zero * factor: a large enough number of steps of the range.
            if zero.abs() < (high - low) / 6.0 {
                continue;
            }
            cases.push((
                (low, high),
                match random.below(3) {
                    0 => vec![(Sub, zero, false), (Mul, factor, false)],
                    1 => vec![(Mul, factor, true), (Sub, zero * factor, false)],
                    _ => vec![(Add, -zero * 3.0, false), (Add, zero * 2.0, true), (Div, 1.0 / factor, false)],
                },
            ));
        }
        assert!(cases.len() > 25);
        let mut gained = 0.0;
        for (range, layers) in &cases {
            let graph = model(layers);
            let samples = rows(&mut random, 12, *range);
            let (kept, _) = with_float_borders(&graph, &samples, true);
            let (folded, report) = with_float_borders(&graph, &samples, false);
            assert_eq!(names(&folded), ["QUANTIZE", "CONV_2D", "DEQUANTIZE"], "{range:?} {layers:?}");
            assert_eq!(kept.nodes.len(), 3 + layers.len());
            assert!(
                report.notes.iter().any(|note| note.contains("became part of its QUANTIZE")),
                "{report:?}"
            );
            let fresh = rows(&mut random, 8, *range);
            let [before, after] = [&kept, &folded].map(|quantized| decibels(&graph, quantized, &fresh));
            assert!(after > before - 1.0, "{before:.1} to {after:.1} dB: {range:?} {layers:?}");
            gained += after - before;
        }
        // One rounding fewer.
        assert!(gained > 0.0, "{gained}");
    }

    /// The border has the name of the input; QUANTIZE has that of the scaler's last layer, whose numbers it
    /// computes.
    #[test]
    fn borders_are_named_as_before() {
        let graph = model(&[(BinaryKind::Sub, 127.5, false), (BinaryKind::Div, 127.5, false)]);
        let (folded, report) = with_float_borders(&graph, &rows(&mut Random(1), 9, (0.0, 255.0)), false);
        assert_eq!(folded.value(folded.inputs[0]).name, "input");
        let quantize = &folded.nodes[0];
        assert_eq!((quantize.name.as_str(), &*folded.value(quantize.outputs[0]).name), ("div_1", "div_1"));
        let (scale, zero_point) =
            folded.value(quantize.outputs[0]).quantization.as_ref().unwrap().tensor().unwrap();
        assert!((scale - 1.0 / 127.0).abs() < 1e-8 && zero_point == -1, "{scale} {zero_point}");
        assert_eq!(report.activations[0].name, "input");
        // No real number is lost, and 127.5 becomes exactly zero.
        let reals = Executor::new(&folded).unwrap().run_transformed(&[&[127.5; 50]], &mut |id, data| {
            if id == quantize.outputs[0] {
                assert!(data.iter().all(|&x| x == 0.0));
            }
        });
        assert!(reals.is_ok());
    }

    #[test]
    fn integer_borders_are_as_before() {
        let graph = model(&[(BinaryKind::Sub, 127.5, false), (BinaryKind::Div, 127.5, false)]);
        let samples = rows(&mut Random(2), 50, (0.0, 255.0));
        let [kept, free] = [true, false].map(|keep_scalers| {
            quantize(&graph, &samples, &Options { keep_scalers, ..Options::default() }).unwrap().0
        });
        assert_eq!(format!("{kept:?}"), format!("{free:?}"));
        assert_eq!(names(&free), ["SUB", "MUL", "CONV_2D"]);
    }

    #[test]
    fn what_a_border_cannot_do_stays_a_layer() {
        use BinaryKind::{Add, Maximum, Mul, Sub};
        let mut random = Random(3);
        let samples = rows(&mut random, 9, (-1.0, 1.0));
        // Negative factors, terms of a few steps, other functions.
        let cases: [Layers<'_>; 4] =
            [&[(Mul, -2.0, false)], &[(Sub, 1.0, true)], &[(Add, 0.0345, false)], &[(Maximum, 0.5, false)]];
        for layers in cases {
            let (graph, _) = with_float_borders(&model(layers), &samples, false);
            assert_eq!(graph.nodes.len(), 3 + layers.len(), "{layers:?}");
        }
        // A factor for each channel.
        let mut b = Build::new(&SHAPE);
        let factors = b.constant(&[2], |i| 0.5 + i as f32);
        let y = b.node(
            Op::Binary(Binary { kind: Mul, activation: Activation::None }),
            &[b.input(), factors],
            &SHAPE,
        );
        let y = b.node(Op::Softmax(Softmax { beta: 1.0 }), &[y], &SHAPE);
        assert_eq!(with_float_borders(&b.finish(y), &samples, false).0.nodes.len(), 4);
        // Another layer reads the input too, or the scaler's result is an output.
        let mut b = Build::new(&SHAPE);
        let y = scale(&mut b, &[(Mul, 0.5, false)]);
        let y =
            b.node(Op::Binary(Binary { kind: Add, activation: Activation::None }), &[y, b.input()], &SHAPE);
        assert_eq!(with_float_borders(&b.finish(y), &samples, false).0.nodes.len(), 4);
        let mut b = Build::new(&SHAPE);
        let y = scale(&mut b, &[(Mul, 0.5, false)]);
        assert_eq!(with_float_borders(&b.finish(y), &samples, false).0.nodes.len(), 3);
        // A value that shares the scale has such a wide range that the term is a fifth of a step.
        let mut b = Build::new(&SHAPE);
        let y = scale(&mut b, &[(Add, 1.1, false)]);
        let large = b.constant(&SHAPE, |i| i as f32 * 30.0);
        let y =
            b.node(Op::Concat(Concat { axis: 3, activation: Activation::None }), &[y, large], &[1, 5, 5, 4]);
        assert_eq!(
            names(&with_float_borders(&b.finish(y), &samples, false).0),
            ["QUANTIZE", "ADD", "CONCATENATION", "DEQUANTIZE"]
        );
    }

    #[test]
    fn layers_that_move_elements_may_stand_between() {
        let mut b = Build::new(&SHAPE);
        let c = b.constant(&[1], |_| 0.25);
        let binary = |kind| Op::Binary(Binary { kind, activation: Activation::None });
        let x = b.node(binary(BinaryKind::Mul), &[b.input(), c], &SHAPE);
        let x = b.node(Op::Reshape, &[x], &[1, 50]);
        let x = b.node(binary(BinaryKind::Add), &[x, c], &[1, 50]);
        let y = b.node(Op::Softmax(Softmax { beta: 1.0 }), &[x], &[1, 50]);
        let graph = b.finish(y);
        let samples = rows(&mut Random(4), 20, (-1.0, 1.0));
        let (folded, _) = with_float_borders(&graph, &samples, false);
        assert_eq!(names(&folded), ["QUANTIZE", "RESHAPE", "SOFTMAX", "DEQUANTIZE"]);
        assert_eq!(folded.value(folded.nodes[0].outputs[0]).name, "input_quantized");
        assert!(decibels(&graph, &folded, &samples) > 15.0);
    }

    #[test]
    fn terms_are_whole_numbers_of_steps() {
        let mut random = Random(5);
        let (mut found, mut none) = (0, 0);
        for _ in 0..20_000 {
            let size = 2f32.powi(random.below(40) as i32 - 20);
            let (a, b) = (size * random.real(), size * random.real());
            let range = Range { min: a.min(b).min(0.0), max: a.max(b).max(0.0) };
            let term = f64::from(random.real()) * f64::from(size) * [0.1, 1.0, 20.0][random.below(3)];
            let (least, _) = range.asymmetric();
            let Some((scale, zero_point)) = params_for(range, term) else {
                let steps = term.abs() / f64::from(least);
                assert!(!(33.0..=0.9 * MOST_STEPS).contains(&steps), "{range:?} {term}");
                none += 1;
                continue;
            };
            found += 1;
            let steps = term / f64::from(scale);
            assert!((steps - steps.round()).abs() < NEAR, "{range:?} {term}: {steps} steps");
            assert!(scale <= least * 1.03126, "{range:?} {term}: {scale} instead of {least}");
            assert!((-128..=127).contains(&zero_point));
            assert!(Range::representable(scale, zero_point).holds(range, scale * 0.51), "{range:?} {term}");
        }
        assert!(found > 1000 && none > 1000, "{found} {none}");
    }
}
