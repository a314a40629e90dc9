//! SLICE and STRIDED_SLICE.

use ferrolite_graph::float::movement;
use ferrolite_schema::OpCode;

use super::channels::Ties;
use super::check::Check;
use super::lowering::{Lowered, Lowering};
use super::operands::Operands;
use super::operator::{Layout, Operator, RunAs};
use super::strided_copy::{Copy, loops, strides};
use super::tflite::{self, Record, Tensor, Writer};
use super::view::View;
use super::{channels, strided_copy, types};
use crate::error::Result;
use crate::graph::{Graph, Node, Op, Slice, Value};
use crate::tflite::BuiltinOperator as Code;

/// TensorFlow Lite's operators that become it, and what the device runs for them.
pub(super) const RUN_AS: RunAs =
    &[("SLICE", &[OpCode::StridedCopy]), ("STRIDED_SLICE", &[OpCode::StridedCopy])];

impl Operator for Slice {
    fn check(&self, check: &Check<'_>) -> Result<()> {
        let (input, Slice { begin, size, stride }) = (check.input(0)?, self);
        let inside = |d: usize| {
            let step =
                size[d].checked_sub(1)?.try_into().ok().and_then(|n: isize| n.checked_mul(stride[d]))?;
            let last = isize::try_from(begin[d]).ok()?.checked_add(step)?;
            (begin[d] < input[d] && (0..input[d] as isize).contains(&last)).then_some(())
        };
        let rank = input.len();
        let fits = begin.len() == rank && size.len() == rank && stride.len() == rank;
        check.ensure(fits && (0..rank).all(|d| inside(d).is_some()), || {
            format!("begin {begin:?}, size {size:?}, stride {stride:?} in a tensor of shape {input:?}")
        })?;
        let found: usize = check.outputs[0].iter().product();
        check.ensure(found == size.iter().product::<usize>(), || format!("its output has {found} elements"))
    }

    fn infer(&self, _: &Check<'_>) -> Result<Vec<usize>> {
        Ok(self.size.clone())
    }

    fn check_types(&self, inputs: &[&Value], outputs: &[&Value]) -> Result<(), String> {
        types::same_type(inputs, outputs)
    }

    fn eval(&self, x: &Operands<'_>) -> Vec<Vec<f32>> {
        vec![movement::slice(x.get(0), &self.begin, &self.size, &self.stride)]
    }

    fn only_moves_data(&self) -> bool {
        true
    }

    fn lower(&self, cx: &mut Lowering<'_>, node: &Node) -> Result<Vec<Lowered>> {
        let in_strides = strides(&cx.input(node, 0)?.1.shape);
        let source = self.begin.iter().zip(&in_strides).map(|(&b, &s)| b * s as usize).sum();
        let steps: Vec<isize> = self.stride.iter().zip(&in_strides).map(|(&step, &s)| step * s).collect();
        let loops = loops(&self.size, &steps, &strides(&self.size));
        strided_copy::lower(cx, node, &[Copy { source, ..Copy::new(loops) }], None)
    }

    fn write_tflite(&self, w: &mut Writer<'_>, node: &Node) -> Result<()> {
        let Slice { begin, size, stride } = self;
        let Some(id) = node.input(0) else { return Ok(()) };
        let (input, output) = (w.value(id), w.value(node.outputs[0]));
        let result = w.graph.value(node.outputs[0]).clone();
        if result.shape == *size {
            tflite::strided_slice(w, &node.name, (input, output), begin, size, stride);
            return Ok(());
        }
        let name = format!("{}/slice", node.name);
        let (dtype, quantization) = (result.dtype, result.quantization);
        let whole = w.tensor(Tensor { name, shape: size.to_vec(), dtype, quantization, data: None });
        tflite::strided_slice(w, &node.name, (input, whole), begin, size, stride);
        let shape = w.integers(format!("{}/shape", node.name), result.shape);
        let (code, inputs, outputs) = (Code::RESHAPE, vec![whole, shape], vec![output]);
        w.records.push(Record { code, version: 1, options: None, inputs, outputs });
        Ok(())
    }

    fn layout(&self, graph: &Graph, node: &Node) -> Layout {
        let kept = node.outputs.first().is_some_and(|&output| self.size == graph.value(output).shape);
        if kept { Layout::Any } else { Layout::Fixed }
    }

    fn under(&self, view: &View) -> Option<Op> {
        let Slice { begin, size, stride } = self;
        let (begin, size, stride) = (view.map(begin, 0), view.map(size, 1), view.map(stride, 1));
        Some(Op::Slice(Slice { begin, size, stride }))
    }

    fn ties(&self, graph: &Graph, node: &Node) -> Option<Ties> {
        let count = |id| channels::channels(graph, id);
        let (input, &output) = (node.input(0)?, node.outputs.first()?);
        let whole = self.begin.last() == Some(&0)
            && self.size.last() == Some(&count(input))
            && self.stride.last() == Some(&1)
            && count(output) == count(input);
        if whole { channels::same(graph, node) } else { None }
    }
}
