//! BATCH_MATMUL. With a constant second operand that is symmetric and not batched, it is a dense
//! layer, and runs as one. Source followed: TFLM `kernels/batch_matmul.cc`; TFLite's
//! `GetQuantizedConvolutionMultipler` multiplies both scales in single precision.

use ferrolite_graph::float::matmul;
use ferrolite_graph::float::strided::broadcast_shape;
use ferrolite_runtime::ops::batch_matmul::scratch_bytes;
use ferrolite_runtime::quant::multiplier;
use ferrolite_schema::OpCode;
use ferrolite_schema::params::{BatchMatMulParams, Product};

use super::broadcast::broadcast;
use super::check::Check;
use super::fully_connected::Rows;
use super::lowering::{Lowered, Lowering};
use super::operands::Operands;
use super::operator::{Operator, RunAs, Scores};
use super::stage::{self, Quantized};
use super::tflite::{self, Writer};
use super::{int16, types, work};
use crate::error::Result;
use crate::graph::{Activation, BatchMatMul, Constant, DType, Graph, Node, Value};
use crate::tflite as schema;
use crate::tflite::{BuiltinOperator as Code, BuiltinOptions as Kind};

/// TensorFlow Lite's operators that become it, and what the device runs for them.
pub(super) const RUN_AS: RunAs = &[("BATCH_MATMUL", &[OpCode::BatchMatMul, OpCode::BatchMatMulInt16])];

impl Operator for BatchMatMul {
    fn check(&self, check: &Check<'_>) -> Result<()> {
        let (a, b) = (check.input(0)?, check.input(1)?);
        check.ensure(a.len() >= 2 && b.len() >= 2, || format!("operands {a:?} and {b:?}"))?;
        let matrix = |shape: &[usize], transposed: bool| {
            let [x, y] = [shape[shape.len() - 2], shape[shape.len() - 1]];
            if transposed { (y, x) } else { (x, y) }
        };
        let ((m, k), (k2, n)) = (matrix(a, self.transpose_a), matrix(b, self.transpose_b));
        let lead = broadcast_shape(&a[..a.len() - 2], &b[..b.len() - 2]);
        match lead {
            Some(mut shape) if k == k2 => {
                shape.extend([m, n]);
                check.output(&shape)
            }
            _ => Err(check.error(format!("operands {a:?} and {b:?} do not fit together"))),
        }
    }

    fn check_types(&self, inputs: &[&Value], outputs: &[&Value]) -> Result<(), String> {
        types::one_type_or_int16(inputs, outputs)
    }

    fn eval(&self, x: &Operands<'_>) -> Vec<Vec<f32>> {
        vec![matmul::batch_matmul(x.get(0), x.get(1), self.transpose_a, self.transpose_b, x.shape())]
    }

    fn macs(&self, graph: &Graph, node: &Node) -> u64 {
        let a = work::shape(graph, node, 0);
        let depth = a.len().checked_sub(if self.transpose_a { 2 } else { 1 }).and_then(|at| a.get(at));
        work::results(graph, node).saturating_mul(depth.map_or(1, |&d| d as u64))
    }

    fn lower(&self, cx: &mut Lowering<'_>, node: &Node) -> Result<Vec<Lowered>> {
        lower(cx, node, self.transpose_a, self.transpose_b)
    }

    fn write_tflite(&self, w: &mut Writer<'_>, node: &Node) -> Result<()> {
        let (adj_x, adj_y) = (self.transpose_a, self.transpose_b);
        let options = tflite::options(Kind::BatchMatMulOptions, move |fbb| {
            let args = schema::BatchMatMulOptionsArgs { adj_x, adj_y, ..Default::default() };
            schema::BatchMatMulOptions::create(fbb, &args)
        });
        tflite::simple(w, node, Code::BATCH_MATMUL, 2, Some(options))
    }

    fn scores(&self) -> Scores {
        Scores::Own
    }
}

/// Lowers the node.
pub(super) fn lower(
    cx: &mut Lowering<'_>,
    node: &Node,
    transpose_a: bool,
    transpose_b: bool,
) -> Result<Vec<Lowered>> {
    let (out_id, out) = cx.output(node, 0)?;
    let dtype = if out.dtype == DType::Int16 { DType::Int16 } else { DType::Int8 };
    let operand = |position: usize| {
        let (id, value) = cx.input(node, position)?;
        stage::quantized(cx, node, id, value, dtype)
    };
    let (a, b) = (operand(0)?, operand(1)?);
    let out = stage::quantized(cx, node, out_id, out, dtype)?;
    let mismatch = || {
        cx.unsupported(
            node,
            format_args!(
                "matrices {:?} and {:?} do not make {:?}",
                a.value.shape, b.value.shape, out.value.shape
            ),
        )
    };
    let (batch_a, rows, depth) = matrices(&a.value.shape, transpose_a).ok_or_else(mismatch)?;
    let (batch_b, depth_b, columns) = matrices(&b.value.shape, transpose_b).ok_or_else(mismatch)?;
    let (batch, out_rows, out_columns) = matrices(&out.value.shape, false).ok_or_else(mismatch)?;
    if depth != depth_b || rows != out_rows || columns != out_columns {
        return Err(mismatch());
    }
    let batch = broadcast(cx, node, batch_a, batch_b, batch)?;
    let factor = f64::from(a.scale as f32 * b.scale as f32) / out.scale;
    let macs = (out.value.elements() as u64).saturating_mul(depth as u64);
    let shapes = BatchMatMulParams {
        batch,
        rows: cx.word(node, rows)?,
        depth: cx.word(node, depth)?,
        columns: cx.word(node, columns)?,
        transpose_a: u32::from(transpose_a),
        transpose_b: u32::from(transpose_b),
        ..BatchMatMulParams::default()
    };
    if dtype == DType::Int16 {
        return int16::batch_matmul(cx, node, shapes, macs);
    }
    let plain_rows = !transpose_a && a.value.constant.is_none();
    if let (true, 0, Some(Constant::I8(b_elements))) = (plain_rows, b.zero_point, &b.value.constant)
        && b_elements.len() == depth * columns
    {
        let weights = if transpose_b { b_elements.clone() } else { transposed(b_elements, columns) };
        return Ok(vec![dense(cx, node, &a, &out, &weights, [depth, columns], factor)?]);
    }
    let params = BatchMatMulParams {
        product: Product {
            a_zero_point: a.zero_point,
            b_zero_point: b.zero_point,
            multiplier: multiplier(factor),
            zero_point: out.zero_point,
            min: -128,
            max: 127,
        },
        ..shapes
    };
    let scratch = scratch_bytes(&params).ok_or_else(|| cx.unsupported(node, "its rows are too long"))?;
    let lowered = Lowered::new(OpCode::BatchMatMul, vec![a.id, b.id], vec![out.id], &params);
    Ok(vec![lowered.scratch(scratch).macs(macs)])
}

/// Batch dimensions, rows and columns of an operand, read transposed where it is stored so.
fn matrices(shape: &[usize], transposed: bool) -> Option<(&[usize], usize, usize)> {
    let [batch @ .., rows, columns] = shape else { return None };
    let (rows, columns) = if transposed { (*columns, *rows) } else { (*rows, *columns) };
    (rows != 0 && columns != 0).then_some((batch, rows, columns))
}

fn transposed(elements: &[i8], columns: usize) -> Vec<i8> {
    (0..columns).flat_map(|column| elements.iter().skip(column).step_by(columns).copied()).collect()
}

/// The dense layer over the rows of `a` with weights `[columns, depth]`.
fn dense(
    cx: &mut Lowering<'_>,
    node: &Node,
    a: &Quantized<'_>,
    out: &Quantized<'_>,
    weights: &[i8],
    [depth, columns]: [usize; 2],
    factor: f64,
) -> Result<Lowered> {
    let sums = weights.chunks_exact(depth).map(|w| w.iter().map(|&w| i32::from(w)).sum()).collect();
    let channels = stage::Channels { bias: vec![0; columns], sums, factors: vec![factor] };
    let dims = [a.value.elements() / depth, depth, columns];
    let layer = Rows { input: *a, output: *out, weights, dims, activation: Activation::None };
    layer.lower(cx, node, channels)
}
