//! Data movement: PAD, TRANSPOSE, CONCATENATION, SPLIT, SLICE, PACK, UNPACK and RESHAPE become boxes of
//! bytes to copy.
//!
//! A box starts as one loop per dimension, in elements. Loops that count to 1 go, neighbours that
//! walk as one become one, and the innermost becomes a run of bytes where it is contiguous on both
//! sides. Elements keep their bits, so both sides need the same quantization, as TFLM demands of
//! CONCATENATION and the TFLite converter gives all of them.

use ferrolite_schema::OpCode;
use ferrolite_schema::params::{CopyDim, CopySegment, StridedCopyParams};

use super::lowering::{Lowered, Lowering};
use crate::error::{Error, Result};
use crate::graph::{DType, Node, Value, ValueId};

/// One loop of a copy: steps, and the elements from one step to the next on both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Loop {
    count: usize,
    source: isize,
    target: isize,
}

/// A box of elements to copy, one loop per dimension.
pub(super) struct Copy {
    pub input: usize,
    pub output: usize,
    /// First element in the input.
    pub source: usize,
    /// First element in the output.
    pub target: usize,
    pub loops: Vec<Loop>,
}

impl Copy {
    /// From the start of the first input to the start of the first output.
    pub fn new(loops: Vec<Loop>) -> Copy {
        Copy { input: 0, output: 0, source: 0, target: 0, loops }
    }
}

/// Row-major strides in elements.
pub(super) fn strides(shape: &[usize]) -> Vec<isize> {
    let mut strides = vec![1isize; shape.len()];
    for d in (1..shape.len()).rev() {
        strides[d - 1] = strides[d] * shape[d] as isize;
    }
    strides
}

/// Loops over `shape` that walk with these strides.
pub(super) fn loops(shape: &[usize], source: &[isize], target: &[isize]) -> Vec<Loop> {
    let strides = source.iter().zip(target);
    shape.iter().zip(strides).map(|(&count, (&source, &target))| Loop { count, source, target }).collect()
}

/// Drops loops that count to 1 and joins neighbours that walk as one.
fn merge(loops: &[Loop]) -> Vec<Loop> {
    let mut merged: Vec<Loop> = Vec::new();
    for &inner in loops.iter().filter(|l| l.count != 1) {
        match merged.last_mut() {
            Some(outer)
                if outer.source == inner.source * inner.count as isize
                    && outer.target == inner.target * inner.count as isize =>
            {
                *outer = Loop { count: outer.count * inner.count, ..inner };
            }
            _ => merged.push(inner),
        }
    }
    merged
}

/// The copies of operands that lie side by side along one dimension of the result, which is new where it is
/// `packed`.
pub(super) fn joined(cx: &Lowering<'_>, node: &Node, axis: usize, packed: bool) -> Result<Vec<Copy>> {
    let out_strides = strides(&cx.output(node, 0)?.1.shape);
    let mut copies = Vec::new();
    let mut begin = 0;
    for position in 0..node.inputs.len() {
        let mut shape = cx.input(node, position)?.1.shape.clone();
        if packed {
            shape.insert(axis, 1);
        }
        let loops = loops(&shape, &strides(&shape), &out_strides);
        let target = begin * out_strides[axis] as usize;
        copies.push(Copy { input: position, target, ..Copy::new(loops) });
        begin += shape[axis];
    }
    Ok(copies)
}

/// The copies of results that lie side by side along one dimension of the operand, which goes where they were
/// `packed`.
pub(super) fn parted(cx: &Lowering<'_>, node: &Node, axis: usize, packed: bool) -> Result<Vec<Copy>> {
    let in_strides = strides(&cx.input(node, 0)?.1.shape);
    let mut copies = Vec::new();
    let mut begin = 0;
    for position in 0..node.outputs.len() {
        let mut shape = cx.output(node, position)?.1.shape.clone();
        if packed {
            shape.insert(axis, 1);
        }
        let loops = loops(&shape, &in_strides, &strides(&shape));
        let source = begin * in_strides[axis] as usize;
        copies.push(Copy { output: position, source, ..Copy::new(loops) });
        begin += shape[axis];
    }
    Ok(copies)
}

/// The segment that the device walks.
fn segment(cx: &Lowering<'_>, node: &Node, copy: &Copy, element: usize) -> Result<CopySegment> {
    let mut loops = merge(&copy.loops);
    let run = match loops.last() {
        Some(&Loop { count, source: 1, target: 1 }) => {
            loops.pop();
            count * element
        }
        _ => element,
    };
    let mut dims = [CopyDim { count: 1, source_stride: 0, target_stride: 0 }; 5];
    if loops.len() > dims.len() {
        return Err(cx.unsupported(node, "its copy has more than five dimensions that cannot be merged"));
    }
    let bytes = |elements: isize| {
        i32::try_from(elements * element as isize)
            .map_err(|_| cx.unsupported(node, "its tensors are too large for the file"))
    };
    for (dim, l) in dims.iter_mut().rev().zip(loops.iter().rev()) {
        *dim = CopyDim {
            count: cx.word(node, l.count)?,
            source_stride: bytes(l.source)?,
            target_stride: bytes(l.target)?,
        };
    }
    Ok(CopySegment {
        input: cx.word(node, copy.input)?,
        output: cx.word(node, copy.output)?,
        run: cx.word(node, run)?,
        source: cx.word(node, copy.source * element)?,
        target: cx.word(node, copy.target * element)?,
        dims,
    })
}

/// Eight bytes that hold a number of an element type, repeated.
fn pattern(cx: &Lowering<'_>, node: &Node, value: f64, dtype: DType) -> Result<[u32; 2]> {
    let (low, high) = match dtype {
        DType::Int8 => (i8::MIN.into(), i8::MAX.into()),
        DType::UInt8 => (0.0, u8::MAX.into()),
        DType::Bool => (0.0, 1.0),
        DType::Int16 => (i16::MIN.into(), i16::MAX.into()),
        DType::Int32 => (i32::MIN.into(), i32::MAX.into()),
        DType::Int64 => (i64::MIN as f64, i64::MAX as f64),
        DType::Float32 => (f64::NEG_INFINITY, f64::INFINITY),
    };
    if !(low..=high).contains(&value) {
        return Err(cx.unsupported(node, format!("padding with {value}, which {} cannot hold", dtype.name())));
    }
    let bytes = match dtype {
        DType::Int8 => (value as i8).to_le_bytes().repeat(8),
        DType::UInt8 | DType::Bool => (value as u8).to_le_bytes().repeat(8),
        DType::Int16 => (value as i16).to_le_bytes().repeat(4),
        DType::Int32 => (value as i32).to_le_bytes().repeat(2),
        DType::Float32 => (value as f32).to_le_bytes().repeat(2),
        DType::Int64 => (value as i64).to_le_bytes().to_vec(),
    };
    let word = |k: usize| u32::from_le_bytes([bytes[k], bytes[k + 1], bytes[k + 2], bytes[k + 3]]);
    Ok([word(0), word(4)])
}

/// Refuses a result whose elements would mean other numbers than those they are copies of.
fn check_same(cx: &Lowering<'_>, node: &Node, input: &Value, output: &Value) -> Result<()> {
    if input.dtype != output.dtype {
        let (from, to) = (input.dtype.name(), output.dtype.name());
        return Err(cx.unsupported(node, format!("from {from} to {to}: it only moves data")));
    }
    let quantization = |value: &Value| value.quantization.as_ref().and_then(|q| q.tensor());
    match (quantization(input), quantization(output)) {
        (Some(from), Some(to)) if from != to => Err(cx
            .unsupported(
                node,
                format!(
                    "`{}` has scale {} and zero point {}, but `{}` has {} and {}",
                    input.name, from.0, from.1, output.name, to.0, to.1
                ),
            )
            .help("quantize the model so that both share one scale, or put a QUANTIZE layer in between")),
        _ => Ok(()),
    }
}

/// A RESHAPE is no op at all: its result is its operand.
pub fn alias(cx: &Lowering<'_>, node: &Node) -> Result<Vec<Lowered>> {
    check_same(cx, node, cx.input(node, 0)?.1, cx.output(node, 0)?.1)?;
    Ok(Vec::new())
}

/// An op that copies all bytes of one value to another of the same type and size, for outputs of a
/// model that are its inputs or constants.
pub fn copy(cx: &Lowering<'_>, from: ValueId, to: ValueId) -> Result<Lowered> {
    let bytes = cx.graph.value(from).bytes();
    let run = u32::try_from(bytes).map_err(|_| Error::input("an output has more than 4 GiB"))?;
    let dims = [CopyDim { count: 1, source_stride: 0, target_stride: 0 }; 5];
    let segment = CopySegment { input: 0, output: 0, run, source: 0, target: 0, dims };
    Ok(lowered(vec![from], vec![to], StridedCopyParams { fill: 0, pattern: [0; 2] }, &[segment]))
}

fn lowered(
    inputs: Vec<ValueId>,
    outputs: Vec<ValueId>,
    head: StridedCopyParams,
    segments: &[CopySegment],
) -> Lowered {
    let words: Vec<u32> = [bytemuck::cast_slice(&[head]), bytemuck::cast_slice(segments)].concat();
    Lowered::with_list(OpCode::StridedCopy, inputs, outputs, &words)
}

/// The op that makes these copies, after it has filled its results with a number where one is given. A node reads its
/// first operands; what it has beyond those that are copied are attributes by now.
pub(super) fn lower(
    cx: &Lowering<'_>,
    node: &Node,
    copies: &[Copy],
    fill: Option<f64>,
) -> Result<Vec<Lowered>> {
    let operands = |ids: &[ValueId]| -> Result<()> {
        // The file counts operands in bytes.
        if ids.len() > 255 { Err(cx.unsupported(node, "it has more than 255 operands")) } else { Ok(()) }
    };
    let count = copies.iter().map(|copy| copy.input + 1).max().unwrap_or(1);
    let mut inputs = Vec::new();
    for position in 0..count {
        let (id, input) = cx.input(node, position)?;
        for output in 0..node.outputs.len() {
            check_same(cx, node, input, cx.output(node, output)?.1)?;
        }
        inputs.push(id);
    }
    operands(&inputs)?;
    operands(&node.outputs)?;
    let dtype = cx.input(node, 0)?.1.dtype;
    let head = StridedCopyParams {
        fill: fill.is_some().into(),
        pattern: fill.map_or(Ok([0; 2]), |value| pattern(cx, node, value, dtype))?,
    };
    let mut segments: Vec<CopySegment> =
        copies.iter().map(|copy| segment(cx, node, copy, dtype.size())).collect::<Result<_>>()?;
    // No two copy to the same bytes, and a reader sees that none are left out where they come in order.
    segments.sort_by_key(|segment| (segment.output, segment.target));
    Ok(vec![lowered(inputs, node.outputs.clone(), head, &segments)])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(count: usize, source: isize, target: isize) -> Loop {
        Loop { count, source, target }
    }

    #[test]
    fn merges_what_walks_as_one() {
        assert_eq!(merge(&[step(2, 12, 12), step(3, 4, 4), step(4, 1, 1)]), [step(24, 1, 1)]);
        assert_eq!(merge(&[step(1, 7, 9), step(3, 4, 8), step(4, 1, 1)]), [step(3, 4, 8), step(4, 1, 1)]);
        // [2, 3, 4] to [2, 4, 3]: nothing to merge.
        let transposed = [step(2, 12, 12), step(4, 1, 3), step(3, 4, 1)];
        assert_eq!(merge(&transposed), transposed);
        assert_eq!(merge(&[step(1, 1, 1)]), []);
    }
}
