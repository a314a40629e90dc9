//! FULLY_CONNECTED, per tensor and per channel. Source followed: TFLM
//! `kernels/fully_connected_common.cc`.

use ferrolite_graph::float::{elementwise, matmul};
use ferrolite_runtime::Rounding;
use ferrolite_runtime::kernels::TILE;
use ferrolite_runtime::ops::conv_2d::scratch_bytes;
use ferrolite_runtime::packing::Order;
use ferrolite_schema::params::{Conv2dParams, FullyConnectedParams, OutputStage, Window};
use ferrolite_schema::{OpCode, Packing};

use super::channels::Ties;
use super::check::Check;
use super::lowering::{Lowered, Lowering};
use super::operands::Operands;
use super::operator::{Operator, RunAs, Scores};
use super::stage::{Channels, Quantized};
use super::tflite::{self, Options, Record, Tensor, Writer};
use super::{int16, pack, stage, types, work};
use crate::error::Result;
use crate::graph::{Activation, DType, FullyConnected, Graph, Node, Value, ValueId};
use crate::tflite as schema;
use crate::tflite::{BuiltinOperator as Code, BuiltinOptions as Kind};

/// TensorFlow Lite's operators that become it, and what the device runs for them.
pub(super) const RUN_AS: RunAs =
    &[("FULLY_CONNECTED", &[OpCode::FullyConnected, OpCode::Conv2d, OpCode::Conv2dInt16])];

impl Operator for FullyConnected {
    fn check(&self, check: &Check<'_>) -> Result<()> {
        let (input, weights) = (check.input(0)?, check.input(1)?);
        check.ensure(weights.len() == 2, || format!("its weights have shape {weights:?}"))?;
        let total: usize = input.iter().product();
        check.ensure(total.is_multiple_of(weights[1]), || {
            format!("an input of shape {input:?} for weights of shape {weights:?}")
        })?;
        check.bias(weights[0])?;
        let found: usize = check.outputs[0].iter().product();
        check.ensure(found == total / weights[1] * weights[0], || format!("its output has {found} elements"))
    }

    fn infer(&self, check: &Check<'_>) -> Result<Vec<usize>> {
        let input = check.inputs.first().copied().flatten().ok_or_else(|| check.unknown())?;
        let Some(&[rows, columns]) = check.inputs.get(1).copied().flatten() else {
            return Err(check.error("its weights are no matrix"));
        };
        let (&depth, lead) = input.split_last().ok_or_else(|| check.unknown())?;
        if depth != columns || columns == 0 {
            return Err(check.error(format!("an input of shape {input:?} for weights of {columns} columns")));
        }
        Ok([lead, &[rows]].concat())
    }

    fn check_types(&self, inputs: &[&Value], outputs: &[&Value]) -> Result<(), String> {
        types::weighted(inputs, outputs, 0)
    }

    fn eval(&self, x: &Operands<'_>) -> Vec<Vec<f32>> {
        let out = matmul::fully_connected(x.get(0), x.get(1), x.optional(2));
        vec![elementwise::clamped(out, self.activation)]
    }

    fn macs(&self, graph: &Graph, node: &Node) -> u64 {
        work::results(graph, node).saturating_mul(work::elements(graph, node, 1, 1))
    }

    fn channel_axis(&self) -> Option<usize> {
        Some(0)
    }

    fn lower(&self, cx: &mut Lowering<'_>, node: &Node) -> Result<Vec<Lowered>> {
        match cx.output(node, 0)?.1.dtype {
            DType::Int16 => int16::fully_connected(cx, node, self.activation),
            _ => lower(cx, node, self.activation),
        }
    }

    fn write_tflite(&self, w: &mut Writer<'_>, node: &Node) -> Result<()> {
        let &FullyConnected { activation } = self;
        let dims = |id: Option<ValueId>| id.map_or(Vec::new(), |id| w.graph.value(id).shape.clone());
        let (input, weights, output) =
            (dims(node.input(0)), dims(node.input(1)), dims(node.outputs.first().copied()));
        let (outputs, inputs_per_row) = (weights[0], weights[1]);
        let keep_num_dims = output.len() != 2;
        // TFLite keeps dimensions of an input whose last one is a row; all else is a matrix, and a RESHAPE.
        let kept = input.last() == Some(&inputs_per_row)
            && input.len() == output.len()
            && input[..input.len() - 1] == output[..output.len() - 1];
        if keep_num_dims && !kept {
            let result = w.graph.value(node.outputs[0]).clone();
            let matrix = w.tensor(Tensor {
                name: format!("{}/matrix", node.name),
                shape: vec![result.elements() / outputs, outputs],
                dtype: result.dtype,
                quantization: result.quantization,
                data: None,
            });
            let operands = tflite::inputs(w, node);
            let options = fully_connected_options(activation, false);
            let operands = operands.into_iter().filter(|&operand| operand >= 0).collect();
            let (code, options, outputs) = (Code::FULLY_CONNECTED, Some(options), vec![matrix]);
            w.records.push(Record { code, version: 4, options, inputs: operands, outputs });
            let shape = w.integers(format!("{}/shape", node.name), result.shape);
            let (code, inputs, outputs) =
                (Code::RESHAPE, vec![matrix, shape], vec![w.value(node.outputs[0])]);
            w.records.push(Record { code, version: 1, options: None, inputs, outputs });
            return Ok(());
        }
        // Version 5 keeps dimensions.
        let options = fully_connected_options(activation, keep_num_dims);
        tflite::simple(w, node, Code::FULLY_CONNECTED, if keep_num_dims { 5 } else { 4 }, Some(options))
    }

    fn ties(&self, _: &Graph, _: &Node) -> Option<Ties> {
        Some(Vec::new())
    }

    fn scores(&self) -> Scores {
        if self.activation == Activation::None { Scores::Own } else { Scores::None }
    }
}

fn fully_connected_options(activation: Activation, keep_num_dims: bool) -> Options {
    tflite::options(Kind::FullyConnectedOptions, move |fbb| {
        let fused_activation_function = tflite::fused(activation);
        let args = schema::FullyConnectedOptionsArgs {
            fused_activation_function,
            keep_num_dims,
            ..Default::default()
        };
        schema::FullyConnectedOptions::create(fbb, &args)
    })
}

/// Lowers the node. The graph's weights are `[outputs, inputs]`.
pub fn lower(cx: &mut Lowering<'_>, node: &Node, activation: Activation) -> Result<Vec<Lowered>> {
    let input = stage::int8_input(cx, node, 0)?;
    let output = stage::int8_output(cx, node, 0)?;
    let (matrix, weights, quantization) = stage::weights(cx, node, 1)?;
    let mismatch = || {
        cx.unsupported(
            node,
            format_args!(
                "weights {:?} do not make {:?} of {:?}",
                matrix.shape, output.value.shape, input.value.shape
            ),
        )
    };
    let &[outputs, inputs] = &matrix.shape[..] else { return Err(mismatch()) };
    let rows = input.value.elements().checked_div(inputs).unwrap_or(0);
    let fits = outputs != 0
        && rows != 0
        && rows.checked_mul(inputs) == Some(input.value.elements())
        && rows.checked_mul(outputs) == Some(output.value.elements());
    if !fits {
        return Err(mismatch());
    }
    let sums: Vec<i32> =
        weights.chunks_exact(inputs).map(|w| w.iter().map(|&w| i32::from(w)).sum()).collect();
    let bias = stage::bias(cx, node, 2, outputs)?;
    let factors = match quantization.scale[..] {
        // With one scale TFLite multiplies the scales in float32, unlike everywhere else.
        [scale] => vec![stage::single(&input, scale, &output)],
        _ => stage::factors(cx, &input, quantization, &output),
    };
    let channels = stage::Channels { bias, sums, factors };
    let four_bits = node.input(1).is_some_and(|id| cx.graph.four_bits.contains(&id))
        && weights.iter().all(|weight| (-8..8).contains(weight));
    let layer = Rows { input, output, weights, dims: [rows, inputs, outputs], activation };
    let lowered = match four_bits {
        true => layer.of_nibbles(cx, node, channels)?,
        false => layer.lower(cx, node, channels)?,
    };
    Ok(vec![lowered])
}

/// A layer of some rows, each of which is multiplied with all weights.
pub(super) struct Rows<'a> {
    /// Its operands of int8.
    pub input: Quantized<'a>,
    pub output: Quantized<'a>,
    /// Weights, a row for each output.
    pub weights: &'a [i8],
    /// Rows, and elements of each in the input and in the output.
    pub dims: [usize; 3],
    pub activation: Activation,
}

impl Rows<'_> {
    /// The op, with weights as the target's kernels read them.
    pub fn lower(&self, cx: &mut Lowering<'_>, node: &Node, mut channels: Channels) -> Result<Lowered> {
        let [_, inputs, outputs] = self.dims;
        let dims = (cx.word(node, outputs)?, 1, cx.word(node, inputs)?);
        let rows = self.weights.chunks_exact(inputs);
        let pixels = self.pixels(cx);
        let wanted = if pixels.is_some() { cx.policy.conv } else { cx.policy.dense };
        let shape = pack::choose_general(cx, wanted, dims, &mut channels, &self.input, rows.clone());
        let packing = shape.packing.tag();
        let weights = pack::store(cx, &shape, rows)?;
        let stage = stage::output_stage(cx, node, channels, &self.input, &self.output, self.activation)?;
        let Some(pixels) = pixels else { return self.dense(cx, node, packing, weights, stage) };
        let params = Conv2dParams { packing, weights, stage, ..pixels };
        let scratch = scratch_bytes(&params).ok_or_else(|| cx.unsupported(node, "its rows are too long"))?;
        let (input, output) = (vec![self.input.id], vec![self.output.id]);
        Ok(Lowered::new(OpCode::Conv2d, input, output, &params).scratch(scratch).macs(self.macs()))
    }

    /// The op with weights of four bits, all of which fit these.
    fn of_nibbles(&self, cx: &mut Lowering<'_>, node: &Node, channels: Channels) -> Result<Lowered> {
        let weights = cx.constants.add(&nibbles(self.weights), 4)?;
        let stage = stage::output_stage(cx, node, channels, &self.input, &self.output, self.activation)?;
        self.dense(cx, node, Packing::NIBBLES, weights, stage)
    }

    fn dense(
        &self,
        cx: &Lowering<'_>,
        node: &Node,
        packing: u32,
        weights: u32,
        stage: OutputStage,
    ) -> Result<Lowered> {
        let [rows, inputs, outputs] = self.dims;
        let params = FullyConnectedParams {
            rows: cx.word(node, rows)?,
            inputs: cx.word(node, inputs)?,
            outputs: cx.word(node, outputs)?,
            packing,
            weights,
            stage,
        };
        let (input, output) = (vec![self.input.id], vec![self.output.id]);
        Ok(Lowered::new(OpCode::FullyConnected, input, output, &params).macs(self.macs()))
    }

    fn macs(&self) -> u64 {
        (self.dims[0] as u64).saturating_mul(self.weights.len() as u64)
    }

    /// The rows as pixels of a pointwise convolution, which reads each weight once for [`TILE`] of them; without what
    /// belongs to the weights. `None` where rows are too few, or leave too much of their last tile empty, where a tile
    /// takes more memory than what the layer reads and writes, or where kernels read rows as fast as pixels.
    fn pixels(&self, cx: &Lowering<'_>) -> Option<Conv2dParams> {
        let [rows, inputs, outputs] = self.dims;
        let packing = match cx.policy.conv {
            // How many chunks there are makes no difference to a tile.
            packing if packing.order == Order::Chunks => Packing::chunks(1),
            packing => packing,
        };
        let gains = cx.rounding == Rounding::Double && !matches!(packing.order, Order::Plain | Order::Filled);
        if !gains || rows < TILE || rows.next_multiple_of(TILE) * 5 > rows * 6 {
            return None;
        }
        let width = u16::try_from(rows).ok()?.into();
        let params = Conv2dParams {
            window: Window {
                in_h: 1,
                in_w: width,
                out_h: 1,
                out_w: width,
                kernel_h: 1,
                kernel_w: 1,
                stride_h: 1,
                stride_w: 1,
                dilation_h: 1,
                dilation_w: 1,
                pad_top: 0,
                pad_left: 0,
            },
            batches: 1,
            in_channels: u32::try_from(inputs).ok()?,
            out_channels: u32::try_from(outputs).ok()?,
            groups: 1,
            input_zero_point: self.input.zero_point,
            packing: packing.tag(),
            ..Conv2dParams::default()
        };
        let tile = scratch_bytes(&params)? as usize;
        (tile <= rows.checked_mul(inputs.checked_add(outputs)?)?).then_some(params)
    }
}

/// Weights of four bits, two to a byte, the first one in the lower half.
fn nibbles(weights: &[i8]) -> Vec<u8> {
    let half = |pair: &[i8], place: usize| pair.get(place).map_or(0, |&weight| weight as u8 & 15);
    weights.chunks(2).map(|pair| half(pair, 0) | half(pair, 1) << 4).collect()
}
