//! A `.tflite` file under construction, and what the ways in which operators are said have in common.
//!
//! Versions are the smallest that say "int8" for an operator in TFLite's registry
//! (`tensorflow/lite/tools/versioning/op_version.cc`); LiteRT refuses a version that it does not know.

pub(super) mod windows;

use std::collections::HashMap;

use flatbuffers::{FlatBufferBuilder, UnionWIPOffset, WIPOffset};

use crate::error::{Error, Result};
use crate::graph::{Activation, Constant, DType, Graph, Node, Quantization, Value, ValueId, Window};
use crate::tflite as schema;
use schema::{ActivationFunctionType as Fused, BuiltinOperator as Code, BuiltinOptions as Kind};
use windows::{Said, padding};

/// What builds the file.
pub(crate) type Fbb = FlatBufferBuilder<'static>;

/// An operator's options, written when its turn comes.
pub(crate) type Options = Box<dyn Fn(&mut Fbb) -> (schema::BuiltinOptions, WIPOffset<UnionWIPOffset>)>;

/// A tensor of the file.
pub(crate) struct Tensor {
    pub name: String,
    pub shape: Vec<usize>,
    pub dtype: DType,
    pub quantization: Option<Quantization>,
    pub data: Option<Vec<u8>>,
}

/// An operator of the file; operands are tensors, -1 for one that is absent.
pub(crate) struct Record {
    pub code: schema::BuiltinOperator,
    pub version: i32,
    pub options: Option<Options>,
    pub inputs: Vec<i32>,
    pub outputs: Vec<i32>,
}

/// The file as it grows.
pub(crate) struct Writer<'g> {
    pub graph: &'g Graph,
    pub tensors: Vec<Tensor>,
    pub by_value: HashMap<ValueId, i32>,
    pub records: Vec<Record>,
}

impl<'g> Writer<'g> {
    /// A file without operators.
    pub fn new(graph: &'g Graph) -> Writer<'g> {
        Writer { graph, tensors: Vec::new(), by_value: HashMap::new(), records: Vec::new() }
    }

    /// The tensor that stands for a value.
    pub fn value(&mut self, id: ValueId) -> i32 {
        if let Some(&tensor) = self.by_value.get(&id) {
            return tensor;
        }
        let Value { name, shape, dtype, quantization, constant } = self.graph.value(id).clone();
        let data = constant.map(|constant| constant.to_le_bytes());
        let tensor = self.tensor(Tensor { name, shape, dtype, quantization, data });
        self.by_value.insert(id, tensor);
        tensor
    }

    /// Adds a tensor.
    pub fn tensor(&mut self, tensor: Tensor) -> i32 {
        self.tensors.push(tensor);
        self.tensors.len() as i32 - 1
    }

    /// A constant that the graph keeps as an attribute.
    pub fn constant(&mut self, name: String, shape: &[usize], elements: Constant) -> i32 {
        let data = Some(elements.to_le_bytes());
        self.tensor(Tensor { name, shape: shape.to_vec(), dtype: elements.dtype(), quantization: None, data })
    }

    /// A list of int32: axes, sizes, permutations.
    pub fn integers(&mut self, name: String, elements: impl IntoIterator<Item = usize>) -> i32 {
        let elements: Vec<i32> = elements.into_iter().map(|x| x as i32).collect();
        self.constant(name, &[elements.len()], Constant::I32(elements))
    }
}

/// The error of a layer that no operator of TensorFlow Lite says.
pub(crate) fn refuse(node: &Node, why: &str) -> Error {
    Error::layer(&node.name, node.op.name(), format!("{why} in a TensorFlow Lite file"))
        .help("write a .ferro file instead, which holds this layer")
}

/// Options of one kind, made by `create`.
pub(crate) fn options<T: 'static>(
    kind: Kind,
    create: impl Fn(&mut FlatBufferBuilder<'static>) -> WIPOffset<T> + 'static,
) -> Options {
    Box::new(move |fbb| (kind, create(fbb).as_union_value()))
}

/// The word for a clamp.
pub(crate) fn fused(activation: Activation) -> Fused {
    match activation {
        Activation::None => Fused::NONE,
        Activation::Relu => Fused::RELU,
        Activation::Relu6 => Fused::RELU6,
        Activation::ReluN1To1 => Fused::RELU_N1_TO_1,
    }
}

/// The type of the result, where that is places.
pub(crate) fn index_type(w: &Writer<'_>, node: &Node) -> schema::TensorType {
    match w.graph.value(node.outputs[0]).dtype {
        DType::Int64 => schema::TensorType::INT64,
        _ => schema::TensorType::INT32,
    }
}

/// The node's operands as tensors.
pub(crate) fn inputs(w: &mut Writer<'_>, node: &Node) -> Vec<i32> {
    node.inputs.iter().map(|id| id.map_or(-1, |id| w.value(id))).collect()
}

/// One operator with the node's operands and results.
pub(crate) fn simple(
    w: &mut Writer<'_>,
    node: &Node,
    code: Code,
    version: i32,
    options: Option<Options>,
) -> Result<()> {
    with_constants(w, node, code, version, options, &[])
}

/// One operator with the node's operands, then these constants.
pub(crate) fn with_constants(
    w: &mut Writer<'_>,
    node: &Node,
    code: Code,
    version: i32,
    options: Option<Options>,
    constants: &[i32],
) -> Result<()> {
    let mut inputs = inputs(w, node);
    // Trailing operands that are absent are left out.
    while inputs.last() == Some(&-1) {
        inputs.pop();
    }
    inputs.extend(constants);
    let outputs = node.outputs.iter().map(|&id| w.value(id)).collect();
    w.records.push(Record { code, version, options, inputs, outputs });
    Ok(())
}

/// Height and width of the operand at 0 and of the result.
pub(crate) fn sizes(w: &Writer<'_>, node: &Node) -> ([usize; 2], [usize; 2]) {
    let size = |shape: &[usize]| [shape[1], shape[2]];
    let input = node.input(0).map_or([1, 1], |id| size(&w.graph.value(id).shape));
    (input, size(&w.graph.value(node.outputs[0]).shape))
}

/// The input padded by an operator of its own, with zero or `value`; its tensor.
pub(crate) fn pad_first(w: &mut Writer<'_>, node: &Node, window: &Window, value: Option<i8>) -> i32 {
    let Some(id) = node.input(0) else { return -1 };
    let source = w.graph.value(id).clone();
    let mut amounts = [(0, 0); 4];
    let mut shape = source.shape.clone();
    for d in 0..2 {
        amounts[d + 1] = (window.pad_before[d], window.pad_after[d]);
        shape[d + 1] += window.pad_before[d] + window.pad_after[d];
    }
    let padded = w.tensor(Tensor {
        name: format!("{}/padded", node.name),
        shape,
        dtype: source.dtype,
        quantization: source.quantization.clone(),
        data: None,
    });
    let input = w.value(id);
    pad_operator(w, &node.name, (input, padded), &amounts, value.map(|v| (v, source.quantization)));
    padded
}

/// PAD, or PADV2 with a value.
pub(crate) fn pad_operator(
    w: &mut Writer<'_>,
    layer: &str,
    (input, output): (i32, i32),
    amounts: &[(usize, usize)],
    value: Option<(i8, Option<Quantization>)>,
) {
    let flat: Vec<i32> = amounts.iter().flat_map(|&(a, b)| [a as i32, b as i32]).collect();
    let paddings = w.constant(format!("{layer}/paddings"), &[amounts.len(), 2], Constant::I32(flat));
    let mut inputs = vec![input, paddings];
    let code = if value.is_some() { Code::PADV2 } else { Code::PAD };
    if let Some((value, quantization)) = value {
        let (name, data) = (format!("{layer}/value"), Some(vec![value as u8]));
        inputs.push(w.tensor(Tensor { name, shape: vec![1], dtype: DType::Int8, quantization, data }));
    }
    w.records.push(Record { code, version: 2, options: None, inputs, outputs: vec![output] });
}

/// A bias of zeros for a convolution that has none: LiteRT does not run convolutions without one, and
/// TFLM's depthwise kernel reads it unasked.
pub(crate) fn zero_bias(w: &mut Writer<'_>, node: &Node) -> i32 {
    let value = |position| node.input(position).map(|id| w.graph.value(id));
    let scale = |position| value(position).and_then(|value| value.quantization.clone());
    let channels = w.graph.value(node.outputs[0]).shape.last().copied().unwrap_or(1);
    let quantization = scale(0).and_then(|q| q.tensor()).zip(scale(1)).map(|((input, _), weights)| {
        let scales = weights.scale.iter().map(|scale| scale * input).collect();
        Quantization { scale: scales, zero_point: vec![0; weights.scale.len()], axis: 0 }
    });
    // Sums of int16 are as wide as biases.
    let int16 = w.graph.value(node.outputs[0]).dtype == DType::Int16;
    let dtype = if int16 { DType::Int64 } else { DType::Int32 };
    let data = Some(vec![0; channels * dtype.size()]);
    let name = format!("{}/bias", node.name);
    w.tensor(Tensor { name, shape: vec![channels], dtype, quantization, data })
}

/// The operands of a layer with a window, its padding said by a word.
pub(crate) fn windowed(
    w: &mut Writer<'_>,
    node: &Node,
    window: &Window,
    fill: Option<i8>,
) -> (schema::Padding, Vec<i32>) {
    let (image, output) = sizes(w, node);
    let said = padding(window, image, output);
    let mut inputs = inputs(w, node);
    while inputs.last() == Some(&-1) {
        inputs.pop();
    }
    match said {
        Said::Word(word) => (word, inputs),
        Said::PadFirst => {
            inputs[0] = pad_first(w, node, window, fill);
            (schema::Padding::VALID, inputs)
        }
    }
}

/// One operator with these operands and the node's results.
pub(crate) fn push(
    w: &mut Writer<'_>,
    node: &Node,
    code: Code,
    version: i32,
    options: Options,
    inputs: Vec<i32>,
) -> Result<()> {
    let outputs = node.outputs.iter().map(|&id| w.value(id)).collect();
    w.records.push(Record { code, version, options: Some(options), inputs, outputs });
    Ok(())
}

/// Resizing to the size of the result.
pub(crate) fn resize(w: &mut Writer<'_>, node: &Node, code: Code, options: Options) -> Result<()> {
    let (_, output) = sizes(w, node);
    let size = w.integers(format!("{}/size", node.name), output);
    // Version 3 knows where pixels lie.
    with_constants(w, node, code, 3, Some(options), &[size])
}

/// SLICE, or STRIDED_SLICE where steps are longer.
pub(crate) fn strided_slice(
    w: &mut Writer<'_>,
    layer: &str,
    (input, output): (i32, i32),
    begin: &[usize],
    size: &[usize],
    stride: &[isize],
) {
    let begins = w.integers(format!("{layer}/begin"), begin.iter().copied());
    if stride.iter().all(|&s| s == 1) {
        // TFLM slices five dimensions, but strides over four only.
        let sizes = w.integers(format!("{layer}/size"), size.iter().copied());
        let (code, inputs, outputs) = (Code::SLICE, vec![input, begins, sizes], vec![output]);
        w.records.push(Record { code, version: 2, options: None, inputs, outputs });
        return;
    }
    let mut end_mask = 0;
    let ends: Vec<i32> = (0..size.len())
        .map(|d| {
            let end = begin[d] as i64 + size[d] as i64 * stride[d] as i64;
            // Below zero a number would count from the back: the mask says "to the border".
            if end < 0 {
                end_mask |= 1 << d;
            }
            end.max(0) as i32
        })
        .collect();
    let options = options(Kind::StridedSliceOptions, move |fbb| {
        let args = schema::StridedSliceOptionsArgs { end_mask, ..Default::default() };
        schema::StridedSliceOptions::create(fbb, &args)
    });
    let rank = size.len();
    let ends = w.constant(format!("{layer}/end"), &[rank], Constant::I32(ends));
    let strides = stride.iter().map(|&s| s as i32).collect();
    let strides = w.constant(format!("{layer}/strides"), &[rank], Constant::I32(strides));
    w.records.push(Record {
        code: Code::STRIDED_SLICE,
        version: 2,
        options: Some(options),
        inputs: vec![input, begins, ends, strides],
        outputs: vec![output],
    });
}

/// CAST to int32, ADD 128, GATHER.
pub(crate) fn look_up_in(w: &mut Writer<'_>, node: &Node, table: i32) -> Result<()> {
    let Some(id) = node.input(0) else { return Ok(()) };
    let shape = w.graph.value(id).shape.clone();
    let mut index = |word: &str| {
        let (name, shape) = (format!("{}/{word}", node.name), shape.clone());
        w.tensor(Tensor { name, shape, dtype: DType::Int32, quantization: None, data: None })
    };
    let (cast, indices) = (index("cast"), index("indices"));
    let half = w.constant(format!("{}/half", node.name), &[1], Constant::I32(vec![128]));
    let (input, output) = (w.value(id), w.value(node.outputs[0]));
    let add = options(Kind::AddOptions, |fbb| {
        schema::AddOptions::create(
            fbb,
            &schema::AddOptionsArgs { pot_scale_int16: false, ..Default::default() },
        )
    });
    let mut operator = |code, version, options, inputs, output| {
        w.records.push(Record { code, version, options, inputs, outputs: vec![output] });
    };
    operator(Code::CAST, 1, None, vec![input], cast);
    operator(Code::ADD, 1, Some(add), vec![cast, half], indices);
    // Without options GATHER counts along the first axis.
    operator(Code::GATHER, 2, None, vec![table, indices], output);
    Ok(())
}
