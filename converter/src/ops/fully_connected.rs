//! FULLY_CONNECTED, per tensor and per channel. Source followed: TFLM
//! `kernels/fully_connected_common.cc`.

use ferrolite_schema::OpCode;
use ferrolite_schema::params::FullyConnectedParams;

use super::lowering::{Lowered, Lowering};
use super::{pack, stage};
use crate::error::Result;
use crate::graph::{Activation, Node};

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
        [scale] => vec![f64::from(input.scale as f32 * scale) / output.scale],
        _ => stage::factors(&input, quantization, &output),
    };
    let mut channels = stage::Channels { bias, sums, factors };
    let dims = (cx.word(node, outputs)?, 1, cx.word(node, inputs)?);
    let shape = pack::choose(cx, cx.policy.dense, dims, &mut channels, &input, weights.chunks_exact(inputs));
    let params = FullyConnectedParams {
        rows: cx.word(node, rows)?,
        inputs: cx.word(node, inputs)?,
        outputs: cx.word(node, outputs)?,
        packing: shape.packing.tag(),
        weights: pack::store(cx, &shape, weights.chunks_exact(inputs))?,
        stage: stage::output_stage(cx, node, channels, &input, &output, activation)?,
    };
    let macs = (rows as u64).saturating_mul(weights.len() as u64);
    Ok(vec![Lowered::new(OpCode::FullyConnected, vec![input.id], vec![output.id], &params).macs(macs)])
}
