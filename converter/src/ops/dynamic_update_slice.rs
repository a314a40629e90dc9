//! DYNAMIC_UPDATE_SLICE: a box of elements replaced, at a place that is computed. Dimensions that the box covers, with none
//! behind them that it does not, are merged into runs of bytes; elements keep their bits.

use ferrolite_schema::OpCode;
use ferrolite_schema::params::DynamicUpdateSliceParams;

use super::check::Check;
use super::lowering::{Lowered, Lowering};
use super::operands::Operands;
use super::operator::{Operator, RunAs};
use super::tflite::{self, Writer};
use super::types;
use crate::error::Result;
use crate::graph::{DType, Node, Value};
use crate::tflite::BuiltinOperator as Code;

/// TensorFlow Lite's operators that become it, and what the device runs for them.
pub(super) const RUN_AS: RunAs = &[("DYNAMIC_UPDATE_SLICE", &[OpCode::DynamicUpdateSlice])];

/// Dimensions that the device has loops for.
const MOST: usize = 6;

/// The operator, which has no attributes.
pub(super) struct DynamicUpdateSlice;

impl Operator for DynamicUpdateSlice {
    fn check(&self, check: &Check<'_>) -> Result<()> {
        let (data, update, start) = (check.input(0)?, check.input(1)?, check.input(2)?);
        let fits = update.len() == data.len() && update.iter().zip(data).all(|(part, whole)| part <= whole);
        check.ensure(fits && !data.is_empty() && start == [data.len()], || {
            format!("a box of {update:?} in {data:?}, whose place is of shape {start:?}")
        })?;
        check.output(data)
    }

    fn check_types(&self, inputs: &[&Value], outputs: &[&Value]) -> Result<(), String> {
        types::same_type(&inputs[..2], outputs)?;
        match inputs.get(2).map(|start| start.dtype) {
            Some(DType::Int32) => Ok(()),
            other => {
                Err(format!("a place of type {}; int32 is supported", other.map_or("none", DType::name)))
            }
        }
    }

    fn eval(&self, x: &Operands<'_>) -> Vec<Vec<f32>> {
        let (data, update, start) = (x.get(0), x.get(1), x.get(2));
        let mut out = data.data.to_vec();
        let first = start.data.iter().zip(data.shape.iter().zip(update.shape));
        let first: Vec<usize> =
            first.map(|(&at, (whole, part))| at.clamp(0.0, (whole - part) as f32) as usize).collect();
        for (number, &element) in update.data.iter().enumerate() {
            // Digits of the element's number, innermost dimension first.
            let (mut rest, mut at, mut stride) = (number, 0, 1);
            for axis in (0..first.len()).rev() {
                at += (first[axis] + rest % update.shape[axis]) * stride;
                rest /= update.shape[axis];
                stride *= data.shape[axis];
            }
            out[at] = element;
        }
        vec![out]
    }

    fn commutes_with_clamps(&self) -> bool {
        true
    }

    fn is_index(&self, position: usize) -> bool {
        position == 2
    }

    fn shares_quantization(&self) -> bool {
        true
    }

    fn lower(&self, cx: &mut Lowering<'_>, node: &Node) -> Result<Vec<Lowered>> {
        let ((data_id, data), (update_id, update)) = (cx.input(node, 0)?, cx.input(node, 1)?);
        let ((start_id, _), (output_id, _)) = (cx.input(node, 2)?, cx.output(node, 0)?);
        let rank = data.shape.len();
        let kept =
            (0..rank).rev().find(|&axis| data.shape[axis] != update.shape[axis]).map_or(0, |axis| axis + 1);
        if rank > MOST {
            return Err(cx.unsupported(node, format_args!("{rank} dimensions; up to {MOST} are supported")));
        }
        let run = data.shape[kept..].iter().product::<usize>() * data.dtype.size();
        let first = MOST - kept;
        let (mut dims, mut part) = ([1; MOST], [1; MOST]);
        for axis in 0..kept {
            dims[first + axis] = cx.word(node, data.shape[axis])?;
            part[first + axis] = cx.word(node, update.shape[axis])?;
        }
        let params = DynamicUpdateSliceParams {
            dims,
            update: part,
            run: cx.word(node, run)?,
            starts: rank as u32,
            first: first as u32,
        };
        let inputs = vec![data_id, update_id, start_id];
        Ok(vec![Lowered::new(OpCode::DynamicUpdateSlice, inputs, vec![output_id], &params)])
    }

    fn write_tflite(&self, w: &mut Writer<'_>, node: &Node) -> Result<()> {
        tflite::simple(w, node, Code::DYNAMIC_UPDATE_SLICE, 1, None)
    }
}

#[cfg(test)]
mod tests {
    use ferrolite_graph::float;

    use super::*;
    use crate::eager::{Tensor, run_op};
    use crate::graph::{Graph, Op};

    const NUMBERS: [f32; 12] = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0];
    const BOX: [f32; 2] = [50.0, 60.0];

    /// The box at a place in [3, 4], in float and by the device's kernel.
    fn both(place: [i32; 2]) -> Vec<f32> {
        let real = place.map(|at| at as f32);
        let tensors = [(&[3, 4][..], &NUMBERS[..]), (&[2, 1], &BOX), (&[2], &real)];
        let tensors = tensors.map(|(shape, data)| Some(float::Tensor { shape, data }));
        let node = Node { name: "y".into(), op: Op::DynamicUpdateSlice, inputs: vec![], outputs: vec![] };
        let x = Operands { graph: &Graph::default(), node: &node, tensors: &tensors };
        let found = DynamicUpdateSlice.eval(&x).remove(0);

        let quantization = (1.0, -7);
        let data = Tensor::quantized("data", &[3, 4], quantization, &NUMBERS);
        let part = Tensor::quantized("box", &[2, 1], quantization, &BOX);
        let inputs = [&data, &part, &Tensor::int32("place", &[2], &place)];
        let y = run_op(&node.op, &inputs, &[Tensor::result("y", &[3, 4], quantization)]).unwrap();
        assert_eq!(found, y[0].real());
        found
    }

    #[test]
    fn a_box_takes_its_place_and_never_sticks_out() {
        assert_eq!(both([1, 2]), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 50.0, 7.0, 8.0, 9.0, 60.0, 11.0]);
        assert_eq!(both([9, -9]), [0.0, 1.0, 2.0, 3.0, 50.0, 5.0, 6.0, 7.0, 60.0, 9.0, 10.0, 11.0]);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let data = Tensor::int8("data", &[3], (1.0, 0), &[1, 2, 3]);
        let place = Tensor::int32("place", &[1], &[0]);
        let part = Tensor::int8("box", &[4], (1.0, 0), &[1, 2, 3, 4]);
        let y = [Tensor::result("y", &[3], (1.0, 0))];
        let error = run_op(&Op::DynamicUpdateSlice, &[&data, &part, &place], &y).unwrap_err();
        assert!(error.message.contains("a box of [4] in [3]"), "{error}");
        let error = run_op(&Op::DynamicUpdateSlice, &[&data, &data, &data], &y).unwrap_err();
        assert!(error.message.contains("place"), "{error}");
    }
}
