//! Lowering of operators: each node of a quantized graph becomes ops of the device with finished
//! numbers. One file per operator, of the same name as the one in the runtime that runs it.
//!
//! [`crate::eager::run_op`] shows what one operator computes; [`crate::emit::compile`] lowers a whole graph:
//!
//! ```
//! # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/models/sine/sine_int8_tf.tflite");
//! let graph = ferrolite::import::load(path.as_ref())?.graph;
//! let emitted = ferrolite::emit::compile(&graph, &Default::default())?;
//! assert_eq!(emitted.ops[0].code, ferrolite_runtime::OpCode::FullyConnected);
//! # Ok::<(), ferrolite::Error>(())
//! ```

mod add;
mod arg_min_max;
mod batch_matmul;
mod broadcast;
mod conv_2d;
mod depthwise_conv_2d;
mod dequantize;
mod fixed_point;
mod fully_connected;
mod gather;
mod lookup;
pub mod lowering;
mod min_max;
mod mul;
mod pack;
mod pool_2d;
mod quantize;
mod reduce;
mod reduce_min_max;
pub(crate) mod repack;
mod requantize;
mod resize_bilinear;
mod resize_nearest;
mod softmax;
mod stage;
mod strided_copy;
#[cfg(test)]
mod tests;
mod transpose_conv;
pub mod winograd;

pub(crate) use lookup::{unary_results, unary_table};
pub use strided_copy::copy;

use crate::error::Result;
use crate::graph::{
    ArgMax, ArgMin, BatchMatMul, Binary, BinaryKind, Conv2d, DepthwiseConv2d, FullyConnected, Gather, Graph,
    Node, Op, Pool2d, QuantizeScaled, Reduce, ReduceKind, ResizeBilinear, ResizeNearest, Softmax,
    TransposeConv, Unsupported,
};
use crate::reference::check_node;
use crate::unsupported::{UnsupportedLayer, refusal};
use lowering::{Lowered, Lowering};

/// Lowers one node. An empty list says that the result is the operand itself, byte for byte. A node
/// whose form the device cannot run is an error that names the layer. Shapes and attributes are
/// checked against one another first, so that lowerings may index by them.
pub fn lower(cx: &mut Lowering<'_>, node: &Node) -> Result<Vec<Lowered>> {
    if let Op::Unsupported(Unsupported { reason, .. }) = &node.op
        && !reason.is_empty()
    {
        return Err(cx.unsupported(node, reason));
    }
    check_node(cx.graph, node)?;
    match &node.op {
        Op::Conv2d(Conv2d { window, activation }) => conv_2d::lower(cx, node, window, *activation),
        Op::DepthwiseConv2d(DepthwiseConv2d { window, multiplier, activation }) => {
            depthwise_conv_2d::lower(cx, node, window, *multiplier, *activation)
        }
        Op::FullyConnected(FullyConnected { activation }) => fully_connected::lower(cx, node, *activation),
        Op::Unary(kind) => lookup::lower(cx, node, *kind),
        Op::Lookup => lookup::lower_table(cx, node),
        Op::Pool2d(Pool2d { kind, window, activation }) => {
            pool_2d::lower(cx, node, *kind, window, *activation)
        }
        Op::Softmax(Softmax { beta }) => softmax::lower(cx, node, *beta),
        Op::Binary(Binary { kind: BinaryKind::Add, activation }) => add::lower(cx, node, false, *activation),
        Op::Binary(Binary { kind: BinaryKind::Sub, activation }) => add::lower(cx, node, true, *activation),
        Op::Reshape => strided_copy::alias(cx, node),
        Op::Pad(_)
        | Op::Transpose(_)
        | Op::Concat(_)
        | Op::Split(_)
        | Op::Slice(_)
        | Op::Pack(_)
        | Op::Unpack(_) => strided_copy::lower(cx, node),
        Op::Reduce(Reduce { kind: kind @ (ReduceKind::Mean | ReduceKind::Sum), axes, .. }) => {
            reduce::lower(cx, node, *kind, axes)
        }
        Op::Reduce(Reduce { kind, axes, .. }) => reduce_min_max::lower(cx, node, *kind, axes),
        &Op::ResizeNearest(ResizeNearest { align_corners, half_pixel_centers }) => {
            resize_nearest::lower(cx, node, align_corners, half_pixel_centers)
        }
        &Op::ResizeBilinear(ResizeBilinear { align_corners, half_pixel_centers }) => {
            resize_bilinear::lower(cx, node, align_corners, half_pixel_centers)
        }
        Op::Quantize => quantize::lower(cx, node),
        Op::QuantizeScaled(QuantizeScaled { factor, term }) => {
            quantize::lower_scaled(cx, node, *factor, *term)
        }
        Op::Dequantize => dequantize::lower(cx, node),
        Op::ArgMax(ArgMax { axis }) => arg_min_max::lower(cx, node, *axis, true),
        Op::ArgMin(ArgMin { axis }) => arg_min_max::lower(cx, node, *axis, false),
        Op::Binary(Binary { kind: BinaryKind::Mul, activation }) => mul::lower(cx, node, *activation),
        Op::Binary(Binary { kind: BinaryKind::Maximum, activation }) => {
            min_max::lower(cx, node, true, *activation)
        }
        Op::Binary(Binary { kind: BinaryKind::Minimum, activation }) => {
            min_max::lower(cx, node, false, *activation)
        }
        Op::TransposeConv(TransposeConv { window, activation }) => {
            transpose_conv::lower(cx, node, window, *activation)
        }
        Op::BatchMatMul(BatchMatMul { transpose_a, transpose_b }) => {
            batch_matmul::lower(cx, node, *transpose_a, *transpose_b)
        }
        &Op::Gather(Gather { axis, batch_dims }) => gather::lower(cx, node, axis, batch_dims),
        _ => Err(cx.unsupported(node, FLOAT_ONLY)),
    }
}

/// Why a layer that the float reference computes cannot be converted.
pub(crate) const FLOAT_ONLY: &str =
    "the float reference computes it, the device has no int8 kernel for it yet";

/// Passes when no layer is one that only the float reference knows.
///
/// # Errors
/// One error that lists every such layer by name.
pub fn refuse_float_only(graph: &Graph) -> Result<()> {
    let layers = graph.nodes.iter().filter(|node| is_float_only(&node.op));
    let layers = layers.map(|node| UnsupportedLayer {
        name: node.name.clone(),
        op: node.op.name().to_string(),
        reason: FLOAT_ONLY.to_string(),
    });
    match layers.collect::<Vec<_>>().as_slice() {
        [] => Ok(()),
        layers => Err(refusal(layers)),
    }
}

/// Whether the device has no kernel for an operator in any form.
pub(crate) fn is_float_only(op: &Op) -> bool {
    matches!(op, Op::Recurrent(_) | Op::LogSoftmax | Op::Prelu)
        || matches!(op, Op::Binary(Binary { kind: BinaryKind::Div | BinaryKind::SquaredDifference, .. }))
}
