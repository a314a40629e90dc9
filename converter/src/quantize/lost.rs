//! Finds numbers that int8 cannot tell apart because they share a scale with much larger ones.
//!
//! A tensor has one scale. Examples are features of different units in one input, estimates of different
//! units in one output, and boxes beside scores in one CONCATENATION: numbers that span fewer than four steps
//! of the scale become nearly constant. TFLite has the same limit; Ferrolite warns of it.
//!
//! Not all small numbers are lost. There is no warning for numbers that the grid represents exactly (pixels),
//! for numbers that are the same in nearly all samples (dead pixels, classes that never occur, the rare
//! output of a rectifier), or for the results of SOFTMAX and similar operators, whose scale is prescribed.
//! Inputs and inner layers are named only if the outputs suffer.

use super::report::OutputReport;
use super::samples::{Held, Samples, affordable, run};
use crate::error::Result;
use crate::graph::{Graph, Node, Op, ValueId};
use crate::ops;
use crate::parallel;
use crate::reference::Executor;

/// Steps that numbers must span.
const STEPS: f32 = 4.0;

/// Least variance relative to the squared error of rounding: twice that of numbers that span [`STEPS`] steps.
const LEAST_RATIO: f64 = 32.0;

/// Most features that are checked along a dimension.
const MOST: usize = 4096;

/// Most samples that are checked.
const SAMPLES: usize = 256;

/// Samples that a thread takes at a time.
const PART: usize = 8;

/// An output with this signal to noise, in decibels, misses nothing.
const GOOD: f64 = 35.0;

/// Share of the samples in which an informative number may be the same: for inputs, and for the results of
/// layers, where rectifiers give many zeros.
const MOST_ALIKE: [f64; 2] = [0.9, 0.3];

/// The distribution of one feature.
#[derive(Clone, Copy, Default)]
struct Spread {
    count: u64,
    min: f32,
    max: f32,
    first: f32,
    /// Elements that equal the first one, and zeros.
    alike: [u64; 2],
    sum: f64,
    squares: f64,
    /// Sum of squared errors of rounding.
    error: f64,
}

impl Spread {
    fn observe(&mut self, x: f32, (scale, zero_point): (f32, i32)) {
        if self.count == 0 {
            (self.min, self.max, self.first) = (x, x, x);
        }
        self.count += 1;
        (self.min, self.max) = (self.min.min(x), self.max.max(x));
        self.alike[0] += u64::from(x == self.first);
        self.alike[1] += u64::from(x == 0.0);
        let grid = ((x / scale).round() + zero_point as f32).clamp(-128.0, 127.0);
        let error = f64::from(x) - f64::from((grid - zero_point as f32) * scale);
        (self.sum, self.squares) = (self.sum + f64::from(x), self.squares + f64::from(x).powi(2));
        self.error += error * error;
    }

    fn merge(&mut self, later: &Spread) {
        if self.count == 0 {
            *self = *later;
            return;
        }
        self.count += later.count;
        (self.min, self.max) = (self.min.min(later.min), self.max.max(later.max));
        self.alike[0] += if later.first == self.first { later.alike[0] } else { 0 };
        self.alike[1] += later.alike[1];
        self.sum += later.sum;
        self.squares += later.squares;
        self.error += later.error;
    }

    /// Whether its information is lost on a grid of this step.
    fn is_lost(&self, scale: f32, most_alike: f64) -> bool {
        let count = self.count.max(1) as f64;
        let variance = self.squares / count - (self.sum / count).powi(2);
        let alike = self.alike.into_iter().max().unwrap_or(0) as f64 / count;
        self.max > self.min
            && self.max - self.min < STEPS * scale
            && alike <= most_alike
            && variance < LEAST_RATIO * self.error / count
    }

    fn range(&self) -> String {
        format!("{} to {}", short(self.min), short(self.max))
    }
}

/// A number with three digits.
fn short(x: f32) -> String {
    match x.abs() {
        0.0 => "0".into(),
        size if (0.01..100.0).contains(&size) => format!("{x:.2}"),
        size if (100.0..1e6).contains(&size) => format!("{x:.0}"),
        _ => format!("{x:.1e}"),
    }
}

/// A value whose features along one dimension are checked; without a dimension, all of its elements are one
/// feature.
struct Watched {
    id: ValueId,
    axis: Option<usize>,
    params: (f32, i32),
    spreads: Vec<Spread>,
}

impl Watched {
    fn new(graph: &Graph, id: ValueId, axis: Option<usize>, params: (f32, i32)) -> Watched {
        let count = axis.map_or(1, |axis| graph.value(id).shape[axis]);
        Watched { id, axis, params, spreads: vec![Spread::default(); count] }
    }

    fn observe(&mut self, shape: &[usize], data: &[f32]) {
        let inner = self.axis.map_or(data.len(), |axis| shape[axis + 1..].iter().product());
        let count = self.spreads.len();
        for (index, block) in data.chunks(inner.max(1)).enumerate() {
            let spread = &mut self.spreads[index % count];
            block.iter().for_each(|&x| spread.observe(x, self.params));
        }
    }

    /// The lost features, in words; `None` if there are none.
    fn lost(&self, what: &str, most_alike: f64) -> Option<String> {
        let lost = self.spreads.iter().enumerate().filter(|(_, s)| s.is_lost(self.params.0, most_alike));
        let lost: Vec<String> = lost.map(|(index, s)| format!("{what} {index} ({})", s.range())).collect();
        let more = lost.len().saturating_sub(4);
        let shown = lost[..lost.len() - more].join(", ");
        match (lost.len(), more) {
            (0, _) => None,
            (_, 0) => Some(shown),
            _ => Some(format!("{shown} and {more} more")),
        }
    }
}

/// The names of the constants of the scaler that a model begins with: those with which an input is computed,
/// element by element, before anything else reads it.
pub fn scaler(graph: &Graph, input: ValueId) -> Vec<String> {
    let (mut names, mut id) = (Vec::new(), input);
    loop {
        let mut readers = graph.nodes.iter().filter(|node| node.inputs.contains(&Some(id)));
        let (Some(reader), None) = (readers.next(), readers.next()) else { return names };
        match (&reader.op, reader.outputs.as_slice()) {
            (Op::Binary(_), &[result]) => {
                let constants =
                    reader.inputs.iter().flatten().filter(|&&id| graph.value(id).constant.is_some());
                let before = names.len();
                names.extend(constants.map(|&id| graph.value(id).name.clone()));
                if names.len() == before {
                    return names;
                }
                id = result;
            }
            (Op::Reshape | Op::Transpose(_), &[result]) => id = result,
            _ => return names,
        }
    }
}

/// Warns of what is lost in a graph that was quantized with these samples, one sentence each. Also returns
/// the inputs with lost features.
pub fn warnings(
    graph: &Graph,
    quantized: &Graph,
    samples: &dyn Samples,
    outputs: &[OutputReport],
) -> Result<(Vec<String>, Vec<String>)> {
    let suffers = outputs.iter().any(|output| output.sqnr_db.is_none_or(|decibels| decibels < GOOD));
    let joins: Vec<&Node> = graph.nodes.iter().filter(|node| is_join(node)).collect();
    let mut watched = Vec::new();
    let ports = |ids: &[ValueId], quantized_ids: &[ValueId]| -> Vec<(ValueId, (f32, i32))> {
        let pairs = ids.iter().zip(quantized_ids);
        pairs.filter_map(|(&id, &inner)| Some((id, params(quantized, inner)?))).collect()
    };
    let (inputs, results) =
        (ports(&graph.inputs, &quantized.inputs), ports(&graph.outputs, &quantized.outputs));
    for &(id, params) in inputs.iter().chain(&results) {
        let axes = axes(&graph.value(id).shape);
        watched.extend(axes.into_iter().map(|axis| Watched::new(graph, id, Some(axis), params)));
    }
    for node in &joins {
        let Some(params) = node.outputs.first().and_then(|&id| params(quantized, id)) else { continue };
        let operands = node.inputs.iter().flatten().filter(|&&id| graph.value(id).constant.is_none());
        watched.extend(operands.map(|&id| Watched::new(graph, id, None, params)));
    }
    observe(graph, samples, &mut watched)?;

    let mut found = Vec::new();
    let ends: Vec<ValueId> = graph.outputs.iter().map(|&id| origin(graph, id)).collect();
    let mut split = Vec::new();
    for node in &joins {
        let output = node.outputs[0];
        let end = ends.iter().position(|&end| end == output);
        if end.is_none() && !suffers {
            continue;
        }
        let scale = params(quantized, output).map_or(0.0, |(scale, _)| scale);
        let whole = |id: ValueId| {
            watched
                .iter()
                .find(|w| w.id == id && w.axis.is_none() && w.params.0 == scale)
                .map(|w| w.spreads[0])
        };
        let operands = node.inputs.iter().flatten().filter_map(|&id| Some((id, whole(id)?)));
        let (lost, kept): (Vec<_>, Vec<_>) = operands.partition(|(_, s)| s.is_lost(scale, MOST_ALIKE[0]));
        if lost.is_empty() {
            continue;
        }
        let list = |operands: &[(ValueId, Spread)]| {
            let name = |(id, s): &(ValueId, Spread)| format!("`{}` ({})", graph.value(*id).name, s.range());
            operands.iter().take(4).map(name).collect::<Vec<_>>().join(", ")
        };
        let (place, cure) = match end {
            Some(position) => (
                format!("output `{}`", graph.value(graph.outputs[position]).name),
                "make the tensors that it joins separate outputs of the model",
            ),
            None => (
                format!("layer `{}`", node.name),
                "scale the tensors that it joins to similar ranges in the model",
            ),
        };
        split.extend(end);
        found.push(format!(
            "{place}: {} ({}) joins numbers of different ranges in one scale with a step of {}: beside {}, fewer \
             than 4 steps are left for {}, which int8 loses; {cure}",
            node.op.name(),
            node.name,
            short(scale),
            list(&kept),
            list(&lost),
        ));
    }
    for (position, &id) in graph.outputs.iter().enumerate() {
        if split.contains(&position) || has_given_scale(graph, ends[position]) {
            continue;
        }
        let what = if graph.value(id).shape.len() > 2 { "channel" } else { "element" };
        if let Some((lost, step)) = first_lost(&watched, id, what, MOST_ALIKE[1]) {
            found.push(format!(
                "output `{}`: fewer than 4 steps of the scale that the whole output shares (a step is {step}) are left \
                 for {lost}, which int8 makes nearly constant; give numbers of different units separate outputs, or \
                 bring them to like ranges in the model",
                graph.value(id).name
            ));
        }
    }
    let mut lost_inputs = Vec::new();
    for &(id, _) in inputs.iter().filter(|_| suffers) {
        let what = if graph.value(id).shape.len() > 2 { "channel" } else { "feature" };
        if let Some((lost, step)) = first_lost(&watched, id, what, MOST_ALIKE[0]) {
            lost_inputs.push(graph.value(id).name.clone());
            found.push(format!(
                "input `{}`: fewer than 4 steps of the scale that the whole input shares (a step is {step}) are left for \
                 {lost}, which int8 loses; bring the features to like ranges before they reach the model (a \
                 scaler or Normalization inside of it comes too late: with a factor for each feature it cannot become \
                 part of the border yet, so use its numbers in the application), or \
                 give them as separate inputs",
                graph.value(id).name
            ));
        }
    }
    Ok((found, lost_inputs))
}

/// What is lost along the first dimension of a value in which anything is lost, and the step of its scale.
fn first_lost(watched: &[Watched], id: ValueId, what: &str, most_alike: f64) -> Option<(String, String)> {
    let of = watched.iter().filter(|w| w.id == id && w.axis.is_some());
    of.into_iter().find_map(|w| Some((w.lost(what, most_alike)?, short(w.params.0))))
}

/// Whether a layer joins tensors.
fn is_join(node: &Node) -> bool {
    matches!(node.op, Op::Concat(_) | Op::Pack(_)) && node.inputs.iter().flatten().count() > 1
}

/// Scale and zero point of a quantized value.
fn params(graph: &Graph, id: ValueId) -> Option<(f32, i32)> {
    graph.values.get(id.0)?.quantization.as_ref()?.tensor()
}

/// The dimensions whose indices may be different quantities: the last one, and the channels of images and
/// sequences that have them first.
fn axes(shape: &[usize]) -> Vec<usize> {
    let last = shape.len().checked_sub(1);
    let first = (shape.len() > 2).then_some(1);
    let mut axes: Vec<usize> = last.into_iter().chain(first).collect();
    axes.dedup();
    axes.retain(|&axis| (2..=MOST).contains(&shape[axis]));
    axes
}

/// The value from which another one is made only by moving elements.
fn origin(graph: &Graph, mut id: ValueId) -> ValueId {
    let producers = graph.producers();
    while let Some(node) = producers.get(&id).map(|&index| &graph.nodes[index]) {
        match (&node.op, node.input(0)) {
            (Op::Reshape | Op::Transpose(_) | Op::Quantize | Op::Dequantize, Some(before)) => id = before,
            _ => break,
        }
    }
    id
}

/// Whether TFLite prescribes the scale of a value.
fn has_given_scale(graph: &Graph, id: ValueId) -> bool {
    let node = graph.nodes.iter().find(|node| node.outputs.contains(&id));
    node.is_some_and(|node| ops::of(&node.op).prescribed().is_some())
}

/// Runs some of the samples.
fn observe(graph: &Graph, samples: &dyn Samples, watched: &mut [Watched]) -> Result<()> {
    let bytes = graph.inputs.iter().map(|&id| graph.value(id).elements() * 4).sum();
    let samples = Held(samples.drawn(affordable(bytes, SAMPLES))?);
    let count = samples.len();
    let executor = Executor::new(graph)?;
    let fresh =
        || -> Vec<Watched> { watched.iter().map(|w| Watched::new(graph, w.id, w.axis, w.params)).collect() };
    let part = |index: usize| {
        let mut part = fresh();
        for i in index * PART..((index + 1) * PART).min(count) {
            run(&executor, &samples, i, &mut |id, data| {
                let shape = &graph.value(id).shape;
                part.iter_mut().filter(|w| w.id == id).for_each(|w| w.observe(shape, data));
            })?;
        }
        Ok(part)
    };
    // Sums that round are added in the same parts for any number of threads.
    let add = |whole: &mut Vec<Watched>, part: Vec<Watched>| {
        for (whole, part) in whole.iter_mut().zip(&part) {
            whole.spreads.iter_mut().zip(&part.spreads).for_each(|(whole, part)| whole.merge(part));
        }
    };
    let whole = parallel::fold(0..count.div_ceil(PART), fresh(), part, add)?;
    watched.iter_mut().zip(whole).for_each(|(old, new)| *old = new);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{
        Activation, Binary, BinaryKind, Concat, Constant, DType, FullyConnected, Quantization, UnaryKind,
        Value,
    };

    struct Rows(Vec<Vec<f32>>);

    impl Samples for Rows {
        fn len(&self) -> usize {
            self.0.len()
        }

        fn sample(&self, index: usize) -> Result<Vec<Vec<f32>>> {
            Ok(vec![self.0[index].clone()])
        }
    }

    /// A repeatable number between 0 and 1.
    fn noise(i: usize) -> f32 {
        ((i as f32 * 12.9898).sin() * 43_758.547).rem_euclid(1.0)
    }

    fn rows(row: impl Fn(usize) -> Vec<f32>) -> Rows {
        Rows((0..64).map(row).collect())
    }

    /// `x -> y = matrix * x`, with the given steps of input and output.
    fn dense(inputs: usize, matrix: &[f32], steps: [f32; 2]) -> (Graph, Graph) {
        let outputs = matrix.len() / inputs;
        let mut graph = Graph::default();
        let mut value = |name: &str, shape: &[usize], constant| {
            let (name, shape) = (name.to_string(), shape.to_vec());
            graph.add_value(Value { name, shape, dtype: DType::Float32, quantization: None, constant })
        };
        let (x, y) = (value("x", &[1, inputs], None), value("y", &[1, outputs], None));
        let w = value("w", &[outputs, inputs], Some(Constant::F32(matrix.to_vec())));
        let op = Op::FullyConnected(FullyConnected { activation: Activation::None });
        graph.nodes = vec![Node { name: "y".into(), op, inputs: vec![Some(x), Some(w)], outputs: vec![y] }];
        (graph.inputs, graph.outputs) = (vec![x], vec![y]);
        let mut quantized = graph.clone();
        for (id, step) in [x, y].into_iter().zip(steps) {
            quantized.value_mut(id).quantization = Some(Quantization::per_tensor(step, -128));
        }
        (graph, quantized)
    }

    fn found(graphs: &(Graph, Graph), samples: &Rows, decibels: f64) -> Vec<String> {
        let outputs = [OutputReport { name: "y".into(), sqnr_db: Some(decibels), agreement: None }];
        warnings(&graphs.0, &graphs.1, samples, &outputs).unwrap().0
    }

    #[test]
    fn features_of_other_units_are_named() {
        let graphs = dense(3, &[0.001, 1.0, 1.0], [4.0, 0.1]);
        let samples = rows(|i| vec![1000.0 * noise(i), noise(i + 100), 900.0 * noise(i + 200)]);
        let warned = found(&graphs, &samples, 12.0);
        assert_eq!(warned.len(), 1, "{warned:?}");
        assert!(
            warned[0].starts_with("input `x`: ") && warned[0].contains("left for feature 1 (0."),
            "{warned:?}"
        );
        // The outputs do not suffer from it.
        assert!(found(&graphs, &samples, 45.0).is_empty());
    }

    #[test]
    fn the_numbers_of_a_scaler_are_found() {
        let (mut graph, _) = dense(2, &[1.0, 1.0], [1.0, 1.0]);
        let x = graph.inputs[0];
        let mut z = x;
        for (kind, name) in [(BinaryKind::Sub, "mean"), (BinaryKind::Mul, "inverse")] {
            let value = |name: &str, constant| Value {
                name: name.into(),
                shape: vec![1, 2],
                dtype: DType::Float32,
                quantization: None,
                constant,
            };
            let c = graph.add_value(value(name, Some(Constant::F32(vec![1.0, 2.0]))));
            let y = graph.add_value(value("scaled", None));
            let op = Op::Binary(Binary { kind, activation: Activation::None });
            let node = Node { name: name.into(), op, inputs: vec![Some(z), Some(c)], outputs: vec![y] };
            graph.nodes.insert(graph.nodes.len() - 1, node);
            z = y;
        }
        graph.nodes.last_mut().unwrap().inputs[0] = Some(z);
        assert_eq!(scaler(&graph, x), ["mean", "inverse"]);
        assert!(scaler(&graph, z).is_empty());
    }

    #[test]
    fn elements_of_other_units_are_named() {
        let graphs = dense(1, &[640.0, 0.5], [1.0 / 255.0, 2.5]);
        let warned = found(&graphs, &rows(|i| vec![noise(i)]), 44.0);
        assert_eq!(warned.len(), 1, "{warned:?}");
        assert!(
            warned[0].starts_with("output `y`: ") && warned[0].contains("left for element 1 ("),
            "{warned:?}"
        );
    }

    #[test]
    fn what_is_no_loss_is_not_named() {
        let graphs = dense(3, &[0.001, 1.0, 1.0], [4.0, 4.0]);
        let rows: [Rows; 3] = [
            // The feature is the same in all samples but a few.
            rows(|i| vec![1000.0 * noise(i), f32::from(u8::from(i % 16 == 0)), 500.0 * noise(i + 50)]),
            // The feature lies on the grid, as the pixels of a camera do.
            rows(|i| vec![4.0 * (250.0 * noise(i)).round(), 4.0 * (i % 3) as f32, 400.0]),
            // All features have a similar size.
            rows(|i| vec![1000.0 * noise(i), 700.0 * noise(i + 100), 900.0 * noise(i + 200)]),
        ];
        for samples in &rows {
            assert_eq!(found(&graphs, samples, 12.0), Vec::<String>::new());
        }
    }

    #[test]
    fn joined_tensors_of_other_ranges_are_named() {
        let (mut graph, _) = dense(1, &[640.0], [1.0, 1.0]);
        let mut value = |name: &str, shape: &[usize]| {
            let (name, shape) = (name.to_string(), shape.to_vec());
            graph.add_value(Value { name, shape, dtype: DType::Float32, quantization: None, constant: None })
        };
        let (score, both) = (value("score", &[1, 1]), value("both", &[1, 2]));
        let (x, box_) = (graph.inputs[0], graph.outputs[0]);
        let node = |op, inputs: Vec<ValueId>, y| Node {
            name: "n".into(),
            op,
            inputs: inputs.into_iter().map(Some).collect(),
            outputs: vec![y],
        };
        graph.nodes.push(node(Op::Unary(UnaryKind::Logistic), vec![x], score));
        graph.nodes.push(node(
            Op::Concat(Concat { axis: 1, activation: Activation::None }),
            vec![box_, score],
            both,
        ));
        graph.outputs = vec![both];
        let mut quantized = graph.clone();
        quantized.value_mut(both).quantization = Some(Quantization::per_tensor(2.5, -128));
        let warned = found(&(graph, quantized), &rows(|i| vec![noise(i)]), 44.0);
        assert_eq!(warned.len(), 1, "{warned:?}");
        assert!(warned[0].starts_with("output `both`: CONCATENATION (n) joins"), "{warned:?}");
        assert!(warned[0].contains("`score` (0.50 to 0.7"), "{warned:?}");
    }
}
