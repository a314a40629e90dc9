//! MEAN, SUM, REDUCE_MAX and REDUCE_MIN. The multiplier of the first two is `input scale / output scale`, and for a mean that divided by the
//! number of elements, in TFLM's order of operations (`QuantizedMeanOrSum` in `reference/reduce.h`).

use ferrolite_graph::float;
use ferrolite_runtime::quant::{self, Multiplier};
use ferrolite_schema::OpCode;
use ferrolite_schema::params::{LookupParams, ReduceDim, ReduceMinMaxParams, ReduceParams, Reduction};

use super::channels::Ties;
use super::check::Check;
use super::lowering::{Lowered, Lowering};
use super::operands::Operands;
use super::operator::{Layout, Operator, RunAs, Scores};
use super::tflite::{self, Writer};
use super::view::View;
use super::{channels, stage, types};
use crate::error::Result;
use crate::graph::{DType, Graph, Node, Op, Reduce, ReduceKind, Value};
use crate::tflite as schema;
use crate::tflite::{BuiltinOperator as Code, BuiltinOptions as Kind};

/// TensorFlow Lite's operators that become it, and what the device runs for them.
pub(super) const RUN_AS: RunAs = &[
    ("MEAN", &[OpCode::Reduce, OpCode::ReduceInt16]),
    ("SUM", &[OpCode::Reduce, OpCode::ReduceInt16]),
    ("REDUCE_MAX", &[OpCode::ReduceMinMax]),
    ("REDUCE_MIN", &[OpCode::ReduceMinMax]),
    ("REDUCE_ALL", &[OpCode::ReduceMinMax]),
];

impl Operator for Reduce {
    fn check(&self, check: &Check<'_>) -> Result<()> {
        let input = check.input(0)?;
        for &axis in &self.axes {
            check.axis(axis, input.len())?;
        }
        let dims = input.iter().enumerate();
        let shape: Vec<usize> = dims
            .filter_map(|(d, &n)| match self.axes.contains(&d) {
                false => Some(n),
                true => self.keep_dims.then_some(1),
            })
            .collect();
        check.output(&shape)
    }

    fn check_types(&self, inputs: &[&Value], outputs: &[&Value]) -> Result<(), String> {
        match inputs[0].dtype {
            // All hold, or one does.
            DType::Bool if is_choice(self.kind) => types::same_type(inputs, outputs),
            DType::Int16 if !is_choice(self.kind) => types::one_type_or_int16(inputs, outputs),
            _ => types::one_type(inputs, outputs),
        }
    }

    fn eval(&self, x: &Operands<'_>) -> Vec<Vec<f32>> {
        vec![float::reduce::reduce(x.get(0), self.kind, &self.axes)]
    }

    fn picks(&self) -> bool {
        is_choice(self.kind)
    }

    fn selects(&self) -> bool {
        is_choice(self.kind)
    }

    fn shares_quantization(&self) -> bool {
        is_choice(self.kind)
    }

    fn lower(&self, cx: &mut Lowering<'_>, node: &Node) -> Result<Vec<Lowered>> {
        if cx.output(node, 0)?.1.dtype == DType::Bool {
            return lower_truth(cx, node, self.kind, &self.axes);
        }
        match is_choice(self.kind) {
            true => lower_choice(cx, node, self.kind, &self.axes),
            false => lower_sum(cx, node, self.kind, &self.axes),
        }
    }

    fn write_tflite(&self, w: &mut Writer<'_>, node: &Node) -> Result<()> {
        if node.outputs.iter().any(|&id| w.graph.value(id).dtype == DType::Bool) {
            return Err(tflite::refuse(node, "truth values are not written"));
        }
        let code = match self.kind {
            ReduceKind::Mean => Code::MEAN,
            ReduceKind::Sum => Code::SUM,
            ReduceKind::Max => Code::REDUCE_MAX,
            ReduceKind::Min => Code::REDUCE_MIN,
        };
        let keep_dims = self.keep_dims;
        let options = tflite::options(Kind::ReducerOptions, move |fbb| {
            schema::ReducerOptions::create(fbb, &schema::ReducerOptionsArgs { keep_dims })
        });
        let axes = w.integers(format!("{}/axes", node.name), self.axes.iter().copied());
        tflite::with_constants(w, node, code, 2, Some(options), &[axes])
    }

    fn layout(&self, _: &Graph, _: &Node) -> Layout {
        if self.keep_dims { Layout::Any } else { Layout::Operand }
    }

    fn allows(&self, graph: &Graph, node: &Node, view: &View) -> bool {
        // Axes that go had size 1; one has to be left. New dimensions are reduced, too.
        let left = self.axes.iter().any(|&d| view.place(d).is_some());
        let (Some(input), Some(&output)) = (node.input(0), node.outputs.first()) else { return false };
        let (input, output) = (&graph.value(input).shape, &graph.value(output).shape);
        left && (self.keep_dims || view.keeps_rest(input, &self.axes, output))
    }

    fn under(&self, view: &View) -> Option<Op> {
        let mut axes: Vec<usize> = self.axes.iter().filter_map(|&d| view.place(d)).collect();
        if !self.keep_dims {
            axes.extend((0..view.0.len()).filter(|&place| view.0[place].is_none()));
        }
        axes.sort_unstable();
        Some(Op::Reduce(Reduce { axes, ..self.clone() }))
    }

    fn ties(&self, graph: &Graph, node: &Node) -> Option<Ties> {
        let kept = self.axes.iter().all(|&axis| !channels::is_last(graph, node, axis));
        if kept { channels::same(graph, node) } else { None }
    }

    fn is_monotone(&self, graph: &Graph, node: &Node) -> bool {
        match self.kind {
            ReduceKind::Mean => {
                stage::scale(graph, node.input(0)) < 0.5 * stage::scale(graph, node.outputs.first().copied())
            }
            ReduceKind::Sum => false,
            ReduceKind::Max | ReduceKind::Min => true,
        }
    }

    fn scores(&self) -> Scores {
        Scores::Own
    }
}

/// Whether a reduction gives one of its elements.
fn is_choice(kind: ReduceKind) -> bool {
    matches!(kind, ReduceKind::Max | ReduceKind::Min)
}

/// Lowers MEAN or SUM over `axes`.
fn lower_sum(cx: &Lowering<'_>, node: &Node, kind: ReduceKind, axes: &[usize]) -> Result<Vec<Lowered>> {
    let ((input_id, input), (output_id, output)) = (cx.input(node, 0)?, cx.output(node, 0)?);
    let code = match (input.dtype, output.dtype) {
        (DType::Int16, DType::Int16) => OpCode::ReduceInt16,
        _ => {
            expect_int8(cx, node)?;
            OpCode::Reduce
        }
    };
    let (input_scale, input_zero_point) = cx.quantization(node, input)?;
    let (output_scale, zero_point) = cx.quantization(node, output)?;
    let (shape, count) = shape(cx, node, axes)?;
    let mut multiplier = quant::multiplier(input_scale / output_scale);
    if kind == ReduceKind::Mean {
        multiplier = divide(multiplier, count);
    }
    let most = if code == OpCode::Reduce { 1 << 23 } else { 1 << 15 };
    let bias = i32::try_from(-i64::from(input_zero_point) * count as i64)
        .ok()
        // Sums of elements must fit too.
        .filter(|_| count <= most)
        .ok_or_else(|| cx.unsupported(node, format!("it sums {count} elements; up to {most} are")))?;
    let params = ReduceParams { shape, bias, multiplier, zero_point };
    Ok(vec![Lowered::new(code, vec![input_id], vec![output_id], &params)])
}

/// Lowers REDUCE_MAX or REDUCE_MIN over `axes`: elements keep their bits, so TFLM demands one quantization for both
/// sides.
fn lower_choice(cx: &Lowering<'_>, node: &Node, kind: ReduceKind, axes: &[usize]) -> Result<Vec<Lowered>> {
    let ((input_id, input), (output_id, output)) = (cx.input(node, 0)?, cx.output(node, 0)?);
    expect_int8(cx, node)?;
    if cx.quantization(node, input)? != cx.quantization(node, output)? {
        return Err(cx.unsupported(node, "input and output need the same scale and zero point"));
    }
    let (shape, _) = shape(cx, node, axes)?;
    let params = ReduceMinMaxParams { shape, largest: (kind == ReduceKind::Max).into() };
    Ok(vec![Lowered::new(OpCode::ReduceMinMax, vec![input_id], vec![output_id], &params)])
}

/// Truth values are reduced as the int8 0 and 1.
fn lower_truth(cx: &mut Lowering<'_>, node: &Node, kind: ReduceKind, axes: &[usize]) -> Result<Vec<Lowered>> {
    let ((input_id, input), (output_id, output)) = (cx.input(node, 0)?, cx.output(node, 0)?);
    let (shape, _) = shape(cx, node, axes)?;
    let mut number = |word: &str, like: &Value| {
        let name = format!("{}/{word}", node.name);
        cx.temporary(Value { name, dtype: DType::Int8, ..like.clone() })
    };
    let (from, to) = (number("truths", input), number("truth", output));
    let table: Vec<u8> = (0..=u8::MAX).map(|byte| u8::from(byte != 0)).collect();
    let lookup = LookupParams { table: cx.constants.add(&table, 1)? };
    let params = ReduceMinMaxParams { shape, largest: (kind == ReduceKind::Max).into() };
    Ok(vec![
        Lowered::new(OpCode::Lookup, vec![input_id], vec![from], &lookup),
        Lowered::new(OpCode::ReduceMinMax, vec![from], vec![to], &params),
        Lowered::new(OpCode::Lookup, vec![to], vec![output_id], &lookup),
    ])
}

/// A multiplier divided by a count of at least 1: the mantissa is shifted up as far as the shift
/// allows, then divided, and truncated.
fn divide(multiplier: Multiplier, count: usize) -> Multiplier {
    let up = (count.max(1).ilog2() as i32).min(32).min(31 + multiplier.shift);
    let mantissa = (i64::from(multiplier.mantissa) << up) / count.max(1) as i64;
    // At most the old mantissa, since `2^up <= count`.
    Multiplier { mantissa: mantissa as i32, shift: multiplier.shift - up }
}

/// Refuses element types other than int8.
pub(super) fn expect_int8(cx: &Lowering<'_>, node: &Node) -> Result<()> {
    for (value, what) in [(cx.input(node, 0)?.1, "input"), (cx.output(node, 0)?.1, "output")] {
        if value.dtype != DType::Int8 {
            return Err(
                cx.unsupported(node, format!("its {what} is {}; int8 is supported", value.dtype.name()))
            );
        }
    }
    Ok(())
}

/// The loops over an input's dimensions, neighbours of one kind merged, and the number of elements
/// that become one.
pub(super) fn shape(cx: &Lowering<'_>, node: &Node, axes: &[usize]) -> Result<(Reduction, usize)> {
    let (_, input) = cx.input(node, 0)?;
    let mut loops: Vec<(bool, ReduceDim)> = Vec::new();
    let (mut stride, mut reduced_count) = (1usize, 1usize);
    // Innermost first.
    for (d, &count) in input.shape.iter().enumerate().rev() {
        let reduced = axes.contains(&d);
        match loops.last_mut() {
            _ if count == 1 => {}
            Some((kind, dim)) if *kind == reduced => dim.count *= cx.word(node, count)?,
            _ => loops
                .push((reduced, ReduceDim { count: cx.word(node, count)?, stride: cx.word(node, stride)? })),
        }
        stride *= count;
        reduced_count *= if reduced { count } else { 1 };
    }
    let three = |kind: bool| {
        let mut dims = [ReduceDim { count: 1, stride: 0 }; 3];
        let found = loops.iter().filter(|(reduced, _)| *reduced == kind);
        let fits = found.clone().count() <= dims.len();
        for (dim, (_, found)) in dims.iter_mut().rev().zip(found) {
            *dim = *found;
        }
        fits.then_some(dims)
    };
    match (three(false), three(true)) {
        (Some(kept), Some(reduced)) => Ok((Reduction { kept, reduced }, reduced_count)),
        _ => Err(cx.unsupported(node, "it alternates between more than six kept and reduced dimensions")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn division_keeps_tflms_digits() {
        let one = quant::multiplier(1.0);
        assert_eq!(divide(one, 1), one);
        assert_eq!(divide(one, 4), Multiplier { mantissa: 1 << 30, shift: -1 });
        // 2^30 * 2 / 3, truncated.
        assert_eq!(divide(one, 3), Multiplier { mantissa: 715_827_882, shift: 0 });
        // The shift bottoms out at -31: the mantissa loses digits instead.
        let tiny = Multiplier { mantissa: 1 << 30, shift: -31 };
        assert_eq!(divide(tiny, 4), Multiplier { mantissa: 1 << 28, shift: -31 });
    }
}
