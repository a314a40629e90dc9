//! Prices operators without multiplications on boards, an element of the larger of inputs and outputs; for pooling,
//! reductions and searches, an element that is read.
//!
//! A case is a line of words: the operator in lower case, the shape of its first operand (`16x16x16`; images have no
//! batch), and what it needs beyond: `with=16` (the shape of the second operand, which is broadcast), `scales=even`
//! (halves occur in the results, so a sum has no factors), `axes=0,1`, `axis=2` (CONCATENATION, SPLIT and PACK have two parts),
//! `by=2,0,1` (a permutation, or amounts of padding on both sides), `step=1,2,1`, `size=8,8,16`, `indices=64`,
//! `to=32x32`, `count=4` (TOPK_V2), `coordinates=2` (GATHER_ND), `from=int16` or another type (of operands, instead of
//! int8, and of reals for QUANTIZE), `to=int16` (CAST), and a window, `3x3/2`.

use anyhow::{Context, Result, anyhow, bail};
use ferrolite::board::{self, BatchItem, Board, RunOptions};
use ferrolite::emit::{self, Options};
use ferrolite::graph::{
    Activation, ArgMinMax, Binary, BinaryKind, Cast, Compare, CompareKind, Concat, Cumsum, DType, Gather,
    GatherNd, Graph, LogicKind, Node, Op, Pack, Pad, Padding, Pool2d, PoolKind, Quantization, Reduce,
    ReduceKind, ResizeBilinear, ResizeNearest, Slice, Softmax, Split, TopK, Transpose, UnaryKind, Unpack,
    Value, ValueId, Window,
};
use ferrolite::reference::infer_shape;

use crate::markdown::align;

/// The cases that are measured where none is named.
const LIST: &str = include_str!("elements.txt");

/// The usual scale and zero point.
const USUAL: (f32, i32) = (0.05, -4);

/// What an operator costs elsewhere: its name, a board, and the figure.
const PEERS: &[(&str, &str, f64)] = &[
    // TensorFlow Lite Micro with CMSIS-NN: modelled cycles, and 2,500 instructions for 12 elements.
    ("add", "qemu-cortex-m4", 47.0),
    ("softmax", "qemu-cortex-m4", 208.0),
    // Vendors' libraries on Cortex-M55: cycles that they publish.
    ("add", "qemu-cortex-m55", 13.3),
    ("sub", "qemu-cortex-m55", 13.3),
    ("mul", "qemu-cortex-m55", 5.8),
    ("tanh", "qemu-cortex-m55", 5.0),
    ("relu", "qemu-cortex-m55", 6.0),
    ("hard_swish", "qemu-cortex-m55", 4.0),
];

/// An operator with its operands.
#[derive(Clone, Debug)]
struct Case {
    words: String,
    name: String,
    shape: Vec<usize>,
    window: Option<[usize; 3]>,
    words_of: Vec<(String, String)>,
}

/// What a case costs on a board.
pub struct Cost {
    words: String,
    name: String,
    /// Cycles where the board has a model of them, else instructions; per element.
    found: Result<f64, String>,
    /// The most that is asked for.
    asked: Option<f64>,
}

impl Cost {
    fn exceeds(&self) -> bool {
        // What is printed is compared.
        matches!((&self.found, self.asked), (Ok(found), Some(asked)) if (found * 10.0).round() > asked * 10.0)
    }
}

impl Case {
    fn parse(text: &str) -> Result<Case> {
        let bad = || anyhow!("`{text}` is no operator with operands: `add 16x16x16 with=16` is one");
        let mut words = text.split_whitespace();
        let name = words.next().with_context(bad)?.to_string();
        let shape = numbers(words.next().with_context(bad)?, 'x').with_context(bad)?;
        let mut case = Case { words: text.trim().into(), name, shape, window: None, words_of: Vec::new() };
        for word in words {
            if let Some((key, value)) = word.split_once('=') {
                case.words_of.push((key.into(), value.into()));
            } else {
                let window = numbers(&word.replace('/', "x"), 'x').with_context(bad)?;
                case.window = Some(window.try_into().map_err(|_| bad())?);
            }
        }
        Ok(case)
    }

    fn word(&self, key: &str) -> Option<&str> {
        self.words_of.iter().find(|(word, _)| word == key).map(|(_, value)| value.as_str())
    }

    fn list(&self, key: &str) -> Result<Vec<isize>> {
        let word = self.word(key).with_context(|| format!("`{}` needs {key}=", self.words))?;
        word.split(',').map(|n| n.parse().with_context(|| format!("`{}`: {word}", self.words))).collect()
    }

    fn axis(&self) -> Result<usize> {
        self.number("axis")
    }

    fn number(&self, key: &str) -> Result<usize> {
        Ok(self.list(key)?.first().copied().unwrap_or(0) as usize)
    }

    /// The type that a word names.
    fn dtype(&self, key: &str) -> Option<DType> {
        let types = [
            DType::Int8,
            DType::UInt8,
            DType::Int16,
            DType::Int32,
            DType::Int64,
            DType::Float32,
            DType::Bool,
        ];
        types
            .into_iter()
            .find(|dtype| self.word(key).is_some_and(|word| format!("{dtype:?}").to_lowercase() == word))
    }

    /// The operator of the graph. Those of images have a batch of one before their shape.
    fn op(&self) -> Result<Op> {
        let activation = Activation::None;
        let binary = |kind| Op::Binary(Binary { kind, activation });
        let reduce = |kind| -> Result<Op> {
            let axes = self.list("axes")?.into_iter().map(|axis| axis as usize).collect();
            Ok(Op::Reduce(Reduce { kind, axes, keep_dims: false }))
        };
        let pool = |kind| -> Result<Op> {
            let [h, w, stride] = self.window.with_context(|| format!("`{}` needs a window", self.words))?;
            let &[height, width, _] = &self.shape[..] else { bail!("`{}` is no image", self.words) };
            let padding = if (h, w) == (height, width) { Padding::Valid } else { Padding::Same };
            let window = Window::over([height, width], [h, w], [stride; 2], [1; 2], [padding; 2]);
            Ok(Op::Pool2d(Pool2d { kind, window, activation }))
        };
        let rank = self.shape.len();
        Ok(match self.name.as_str() {
            "add" => binary(BinaryKind::Add),
            "sub" => binary(BinaryKind::Sub),
            "mul" => binary(BinaryKind::Mul),
            "maximum" => binary(BinaryKind::Maximum),
            "minimum" => binary(BinaryKind::Minimum),
            "div" => binary(BinaryKind::Div),
            "squared_difference" => binary(BinaryKind::SquaredDifference),
            "greater" => Op::Compare(Compare { kind: CompareKind::Greater, rounded: true }),
            "equal" => Op::Compare(Compare { kind: CompareKind::Equal, rounded: true }),
            "logical_and" => Op::Logic(LogicKind::And),
            "select_v2" => Op::Select,
            "prelu" => Op::Prelu,
            "log_softmax" => Op::LogSoftmax,
            "l2_normalization" => Op::L2Normalization,
            "topk_v2" => Op::TopK(TopK { count: self.number("count")?, largest: true }),
            "cast" => Op::Cast(Cast { stored: true }),
            "gather_nd" => Op::GatherNd(GatherNd { batch_dims: 0 }),
            "tanh" => Op::Unary(UnaryKind::Tanh),
            "logistic" => Op::Unary(UnaryKind::Logistic),
            "relu" => Op::Unary(UnaryKind::Relu),
            "hard_swish" => Op::Unary(UnaryKind::HardSwish),
            "softmax" => Op::Softmax(Softmax { beta: 1.0 }),
            "mean" => reduce(ReduceKind::Mean)?,
            "sum" => reduce(ReduceKind::Sum)?,
            "reduce_max" => reduce(ReduceKind::Max)?,
            "reduce_min" => reduce(ReduceKind::Min)?,
            "average_pool_2d" => pool(PoolKind::Average)?,
            "max_pool_2d" => pool(PoolKind::Max)?,
            "resize_bilinear" => {
                Op::ResizeBilinear(ResizeBilinear { align_corners: false, half_pixel_centers: true })
            }
            "resize_nearest_neighbor" => {
                Op::ResizeNearest(ResizeNearest { align_corners: false, half_pixel_centers: false })
            }
            "pad" => {
                let amounts = self.list("by")?.into_iter().map(|n| (n as usize, n as usize)).collect();
                Op::Pad(Pad { amounts, value: None })
            }
            "concatenation" => Op::Concat(Concat { axis: self.axis()?, activation }),
            "split" => Op::Split(Split { axis: self.axis()? }),
            "strided_slice" => {
                let stride = self.list("step")?;
                let of = |step: isize, n: usize| if step < 0 { n - 1 } else { 0 };
                let begin = stride.iter().zip(&self.shape).map(|(&step, &n)| of(step, n)).collect();
                let steps = stride.iter().zip(&self.shape);
                let size = steps.map(|(step, n)| n.div_ceil(step.unsigned_abs())).collect();
                Op::Slice(Slice { begin, size, stride })
            }
            "slice" => {
                let size: Vec<usize> = self.list("size")?.into_iter().map(|n| n as usize).collect();
                let begin = self.shape.iter().zip(&size).map(|(n, size)| (n - size) / 2).collect();
                Op::Slice(Slice { begin, size, stride: vec![1; rank] })
            }
            "transpose" => {
                let permutation = self.list("by")?.into_iter().map(|axis| axis as usize).collect();
                Op::Transpose(Transpose { permutation })
            }
            "pack" => Op::Pack(Pack { axis: self.axis()? }),
            "unpack" => Op::Unpack(Unpack { axis: self.axis()? }),
            "gather" => Op::Gather(Gather { axis: self.axis().unwrap_or(0), batch_dims: 0 }),
            "arg_max" => Op::ArgMinMax(ArgMinMax { axis: self.axis()?, largest: true }),
            "cumsum" => Op::Cumsum(Cumsum { axis: self.axis()?, exclusive: false, reverse: false, start: 0 }),
            "quantize" => Op::Quantize,
            "dequantize" => Op::Dequantize,
            other => bail!("`{}`: this list has no operator {other}", self.words),
        })
    }

    fn graph(&self) -> Result<Graph> {
        let mut graph = Graph { name: self.name.clone(), ..Graph::default() };
        let op = self.op()?;
        let image = matches!(op, Op::Pool2d(_) | Op::ResizeBilinear(_) | Op::ResizeNearest(_));
        let mut shape = self.shape.clone();
        if image {
            shape.insert(0, 1);
        }
        // Int16 stands for what int8 does, in smaller steps.
        let scaled = |dtype: DType, (scale, zero_point): (f32, i32)| match dtype {
            DType::Int16 => (scale / 256.0, 0),
            _ => (scale, zero_point),
        };
        let from = match (&op, self.dtype("from")) {
            (_, Some(dtype)) => dtype,
            (Op::Quantize, _) => DType::Float32,
            (Op::Logic(_) | Op::Select, _) => DType::Bool,
            _ => DType::Int8,
        };
        let even = self.word("scales").is_some();
        let mut inputs = vec![tensor(&mut graph, "a", shape.clone(), from, scaled(from, USUAL))];
        let with = self.word("with").map_or(Some(shape.clone()), |shape| numbers(shape, 'x'));
        let with = with.with_context(|| format!("`{}`: a shape", self.words))?;
        match &op {
            Op::Binary(binary) => {
                let same = matches!(binary.kind, BinaryKind::Maximum | BinaryKind::Minimum);
                let other = if even { 0.5 } else { 0.71723 };
                let quantization = if same { USUAL } else { (other * USUAL.0, 9) };
                inputs.push(tensor(&mut graph, "b", with, from, scaled(from, quantization)));
            }
            Op::Compare(_) | Op::Prelu => {
                inputs.push(tensor(&mut graph, "b", with, from, scaled(from, (0.71723 * USUAL.0, 9))));
            }
            Op::Logic(_) => inputs.push(tensor(&mut graph, "b", with, from, USUAL)),
            // The condition comes first, and may be of another shape than the elements.
            Op::Select => {
                inputs.push(tensor(&mut graph, "x", with.clone(), DType::Int8, USUAL));
                inputs.push(tensor(&mut graph, "y", with, DType::Int8, USUAL));
            }
            Op::Concat(_) | Op::Pack(_) => {
                inputs.push(tensor(&mut graph, "b", shape.clone(), from, scaled(from, USUAL)));
            }
            Op::GatherNd(_) => {
                let (count, coordinates) = (self.number("indices")?, self.number("coordinates")?);
                inputs.push(tensor(&mut graph, "indices", vec![count, coordinates], DType::Int32, USUAL));
            }
            Op::Gather(_) => {
                let count = self.number("indices")?;
                inputs.push(tensor(&mut graph, "indices", vec![count], DType::Int32, USUAL));
            }
            _ => {}
        }
        let mut node = Node {
            name: self.name.clone(),
            inputs: inputs.iter().copied().map(Some).collect(),
            outputs: Vec::new(),
            op,
        };
        let shapes: Vec<&[usize]> = inputs.iter().map(|&id| &graph.value(id).shape[..]).collect();
        let results: Vec<Vec<usize>> = match &node.op {
            Op::ResizeBilinear(_) | Op::ResizeNearest(_) => {
                let to = self.word("to").and_then(|to| numbers(to, 'x'));
                let Some(&[height, width]) = to.as_deref() else { bail!("`{}` needs to=", self.words) };
                vec![vec![1, height, width, shape[3]]]
            }
            Op::Split(split) => {
                shape[split.axis] /= 2;
                vec![shape; 2]
            }
            Op::Unpack(unpack) => {
                let count = shape.remove(unpack.axis);
                vec![shape; count]
            }
            Op::TopK(top) => {
                *shape.last_mut().context("no dimension")? = top.count;
                vec![shape; 2]
            }
            _ => {
                let shapes: Vec<Option<&[usize]>> = shapes.into_iter().map(Some).collect();
                vec![infer_shape(&node, &shapes).map_err(crate::measure::message)?]
            }
        };
        let (dtype, quantization) = match &node.op {
            Op::Compare(_) | Op::Logic(_) => (DType::Bool, USUAL),
            Op::Cast(_) => (self.dtype("to").with_context(|| format!("`{}` needs to=", self.words))?, USUAL),
            Op::LogSoftmax => (DType::Int8, (1.0 / 16.0, 127)),
            Op::L2Normalization => (DType::Int8, (1.0 / 128.0, 0)),
            Op::Binary(binary) => match binary.kind {
                BinaryKind::Add | BinaryKind::Sub if even => (DType::Int8, (0.1, 3)),
                BinaryKind::Add | BinaryKind::Sub => (DType::Int8, (0.07919, 3)),
                BinaryKind::Mul => (DType::Int8, (0.1, 3)),
                _ => (DType::Int8, USUAL),
            },
            Op::Softmax(_) | Op::Unary(UnaryKind::Logistic) => (DType::Int8, (1.0 / 256.0, -128)),
            Op::Unary(UnaryKind::Tanh) => (DType::Int8, (1.0 / 128.0, 0)),
            Op::Reduce(reduce) if reduce.kind == ReduceKind::Mean => (DType::Int8, (0.02, 5)),
            Op::Reduce(reduce) if reduce.kind == ReduceKind::Sum => (DType::Int8, (0.4, 5)),
            Op::Cumsum(_) => (DType::Int8, (0.4, 5)),
            Op::ArgMinMax(_) => (DType::Int32, USUAL),
            Op::Dequantize => (DType::Float32, USUAL),
            Op::Prelu => (DType::Int8, (0.07, 3)),
            _ => (DType::Int8, USUAL),
        };
        // What int8 gives int8, other types give themselves.
        let (dtype, quantization) = match (dtype, from) {
            (DType::Int8, DType::Int16) if !matches!(node.op, Op::Quantize) => {
                let zero =
                    matches!(node.op, Op::Softmax(_) | Op::Unary(UnaryKind::Logistic | UnaryKind::Tanh));
                (from, if zero { (1.0 / 32768.0, 0) } else { scaled(from, quantization) })
            }
            (DType::Int8, DType::Int32) => (from, quantization),
            other => (other.0, quantization),
        };
        for (index, shape) in results.into_iter().enumerate() {
            // Behind what TOPK_V2 finds come its places.
            let dtype = if index == 1 && matches!(node.op, Op::TopK(_)) { DType::Int32 } else { dtype };
            node.outputs.push(tensor(&mut graph, &format!("y{index}"), shape, dtype, quantization));
        }
        graph.inputs = inputs;
        graph.outputs.clone_from(&node.outputs);
        graph.nodes.push(node);
        Ok(graph)
    }

    /// The elements by which the cost is divided.
    fn elements(&self, graph: &Graph) -> usize {
        let sum = |ids: &[ValueId]| -> usize {
            ids.iter().map(|&id| graph.value(id).shape.iter().product::<usize>()).sum()
        };
        let outputs = sum(&graph.outputs);
        if let Some([h, w, _]) = self.window {
            return outputs * h * w;
        }
        let largest = |ids: &[ValueId]| ids.iter().map(|&id| sum(&[id])).max().unwrap_or(1);
        match self.name.as_str() {
            "concatenation" | "pack" => outputs,
            "split" | "unpack" => sum(&graph.inputs),
            _ => largest(&graph.inputs).max(largest(&graph.outputs)),
        }
    }

    /// The most cycles an element that are asked for; instructions on cores without a model of cycles.
    fn asked(&self, board: &Board) -> Option<f64> {
        let table = matches!(self.name.as_str(), "tanh" | "logistic" | "relu" | "hard_swish")
            && self.word("from").is_none();
        match board.name {
            "qemu-cortex-m4" | "qemu-cortex-m33" => Some(match self.name.as_str() {
                _ if table => 3.0,
                "add" | "sub" | "mul" => 13.0,
                "resize_bilinear" => 16.0,
                "softmax" => 12.0 + 200.0 / *self.shape.last()? as f64,
                _ => 10.0,
            }),
            "qemu-cortex-m55" => Some(if table { 2.0 } else { 4.0 }),
            _ => None,
        }
    }
}

fn numbers(text: &str, separator: char) -> Option<Vec<usize>> {
    text.split(separator).map(|n| n.parse().ok().filter(|&n| n > 0)).collect()
}

fn tensor(graph: &mut Graph, name: &str, shape: Vec<usize>, dtype: DType, of: (f32, i32)) -> ValueId {
    let steps = matches!(dtype, DType::Int8 | DType::Int16);
    let quantization = steps.then(|| Quantization::per_tensor(of.0, of.1));
    graph.add_value(Value { name: name.into(), shape, dtype, quantization, constant: None })
}

/// Random bytes for all inputs; indices and reals are small.
fn inputs(graph: &Graph) -> Vec<u8> {
    let mut state = 7u32;
    let mut random = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    let mut bytes = Vec::new();
    for &id in &graph.inputs {
        let value = graph.value(id);
        for _ in 0..value.shape.iter().product() {
            match value.dtype {
                DType::Bool => bytes.push(random() & 1),
                DType::Int32 => bytes.extend(i32::from(random() & 31).to_le_bytes()),
                DType::Int16 => bytes.extend((i16::from(random() as i8) * 100).to_le_bytes()),
                DType::Float32 => bytes.extend((f32::from(random() as i8) * 0.05).to_le_bytes()),
                _ => bytes.push(random()),
            }
        }
    }
    bytes
}

/// Prints a table of the cases for each board.
pub fn run(boards: &[&'static Board], words: &[String]) -> Result<()> {
    for board in boards {
        let costs = costs(board, words)?;
        println!(
            "### {} (`{}`): {} an element\n\n{}",
            board.core,
            board.name,
            unit(board),
            table(board, &costs)
        );
    }
    Ok(())
}

fn unit(board: &Board) -> &'static str {
    if board.timing.is_some() { "modelled cycles" } else { "instructions" }
}

fn table(board: &Board, costs: &[Cost]) -> String {
    let mut rows = vec![vec!["operator".into(), unit(board).into(), "asked".into(), "peer".into()]];
    rows.extend(costs.iter().map(|cost| {
        let peer = PEERS.iter().find(|(name, on, _)| *name == cost.name && *on == board.name);
        let dash = || "-".to_string();
        vec![
            cost.words.clone(),
            cost.found.as_ref().map_or_else(|_| dash(), |found| format!("{found:.1}{}", mark(cost))),
            cost.asked.map_or_else(dash, |asked| format!("{asked:.1}")),
            peer.map_or_else(dash, |(_, _, peer)| format!("{peer:.1}")),
        ]
    }));
    align(&rows)
}

fn mark(cost: &Cost) -> &'static str {
    if cost.exceeds() { " !" } else { "" }
}

/// The part of BENCHMARKS.md about elements: all cases on all boards in one table.
pub fn page(boards: &[&'static Board]) -> Result<String> {
    let mut columns: Vec<(&Board, Vec<Cost>)> = Vec::new();
    for board in boards {
        columns.push((board, costs(board, &[])?));
    }
    Ok(chapter(&columns))
}

fn chapter(columns: &[(&Board, Vec<Cost>)]) -> String {
    let mut text = "\
### Operators without multiplications, an element

Modelled cycles (M4, M33) or instructions of one op of random numbers, divided by the elements of the larger of inputs and
outputs, for pooling, reductions and searches by those that are read; an exclamation mark: more than is asked, which is on M4 and
M33 3 for tables, 13 for ADD, SUB and MUL, 16 for RESIZE_BILINEAR, 12 and 200 a row for SOFTMAX, 10 for all else; on M55 2 for
tables, 4 for all else. The words are those of `cargo xtask bench --elements 'add 16x16x16 with=16'`.

"
    .to_string();
    let boards = columns.iter().map(|(board, _)| board.name.trim_start_matches("qemu-").to_string());
    let mut rows = vec![std::iter::once("operator".to_string()).chain(boards).collect::<Vec<_>>()];
    let names = columns.first().map(|(_, costs)| costs.as_slice()).unwrap_or_default();
    for (index, cost) in names.iter().enumerate() {
        let cells =
            columns.iter().map(|(_, costs)| match costs.get(index).map(|cost| (&cost.found, mark(cost))) {
                Some((Ok(found), mark)) => format!("{found:.1}{mark}"),
                _ => "-".into(),
            });
        rows.push(std::iter::once(cost.words.clone()).chain(cells).collect());
    }
    text += &align(&rows);
    text += "\nWhat it costs elsewhere, an element:";
    let peer = |&(name, board, cost): &(&str, &str, f64)| {
        let what = match (name, board) {
            ("softmax", _) => "instructions of TFLM with CMSIS-NN",
            (_, "qemu-cortex-m4") => "modelled cycles of TFLM with CMSIS-NN",
            _ => "cycles that vendors publish",
        };
        let core = board.trim_start_matches("qemu-");
        format!("\n- {} on {core}: {cost}, {what}", name.to_uppercase())
    };
    text += &PEERS.iter().map(peer).collect::<String>();
    text + "\n"
}

/// What all cases cost on a board: those of the list where none is named.
fn costs(board: &'static Board, words: &[String]) -> Result<Vec<Cost>> {
    let listed = LIST.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let cases: Vec<Case> = match words {
        [] => listed.map(Case::parse).collect::<Result<_>>()?,
        words => words.iter().map(|words| Case::parse(words)).collect::<Result<_>>()?,
    };
    let target = crate::measure::target(board)?;
    let mut files = Vec::new();
    for case in &cases {
        let mut graph = case.graph()?;
        let (sample, elements) = (vec![inputs(&graph)], case.elements(&graph));
        ferrolite::passes::optimise(&mut graph);
        let options = Options { target, ..Options::default() };
        let file = emit::compile(&graph, &options).map_err(crate::measure::message);
        files.push((file.with_context(|| case.words.clone())?, sample, elements));
    }
    let options = RunOptions { cycles: board.timing.is_some(), layers: true, ..RunOptions::default() };
    let items: Vec<BatchItem<'_>> =
        files.iter().map(|(file, inputs, _)| BatchItem { model: &file.bytes, inputs, options }).collect();
    let runs = board::run_batch(board, &items).map_err(crate::measure::message)?;
    let cost =
        |((case, (_, _, elements)), run): ((&Case, &(_, _, usize)), ferrolite::Result<board::BoardRun>)| {
            let all = run.map_err(|error| error.message).and_then(|run| {
                let cycles = run.layers.iter().map(|layer| layer.modelled.map(|cost| cost.cycles)).sum();
                let instructions = run.layers.iter().map(|layer| layer.instructions).sum();
                if board.timing.is_some() { cycles } else { Some(instructions) }
                    .ok_or_else(|| "-".to_string())
            });
            Cost {
                words: case.words.clone(),
                name: case.name.clone(),
                found: all.map(|all: u64| all as f64 / *elements as f64),
                asked: case.asked(board),
            }
        };
    Ok(cases.iter().zip(&files).zip(runs).map(cost).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listed_case_is_a_model() {
        for line in LIST.lines().filter(|line| !line.starts_with('#')) {
            let case = Case::parse(line).unwrap();
            let graph = case.graph().unwrap();
            assert!(case.elements(&graph) >= 600, "{line}");
            emit::compile(&graph, &Options::default())
                .unwrap_or_else(|error| panic!("{line}: {}", error.message));
        }
    }

    #[test]
    fn what_is_above_what_is_asked_has_a_mark() {
        let board = board::find("qemu-cortex-m4").unwrap();
        let case = Case::parse("add 16x16x16 with=16").unwrap();
        let cost = |found| Cost {
            words: case.words.clone(),
            name: case.name.clone(),
            found: Ok(found),
            asked: case.asked(board),
        };
        let text = chapter(&[(board, vec![cost(13.04), cost(13.2)])]);
        assert!(text.contains("|      13.0 |") && text.contains("|    13.2 ! |"), "{text}");
        assert!(table(board, &[cost(9.0)]).contains("|  13.0 | 47.0 |"));
    }
}
