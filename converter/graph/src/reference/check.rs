//! What must hold before a node is executed: the shapes of its operands, its attributes and its
//! results agree. The executing functions index without further doubt.

use std::cell::RefCell;

use super::strided::broadcast_shape;
use crate::error::{Error, Result};
use crate::graph::{
    ArgMax, ArgMin, BatchMatMul, Concat, Conv2d, DepthwiseConv2d, Gather, Graph, Node, Op, Pack, Pad, Pool2d,
    PoolKind, Reduce, Slice, Split, Transpose, TransposeConv, Unpack, Unsupported, Value, ValueId, Window,
};

/// Largest number of elements of one tensor; a wrong file must not exhaust the memory.
const MAX_ELEMENTS: usize = 1 << 31;

/// An error of a layer, by name and operator.
pub fn error(node: &Node, message: impl std::fmt::Display) -> Error {
    Error::input(format!("layer `{}` ({}): {message}", node.name, node.op.name()))
}

/// Refuses a graph with unsupported layers, naming all of them.
pub fn supported(graph: &Graph) -> Result<()> {
    let layers: Vec<String> = graph
        .nodes
        .iter()
        .filter_map(|node| match &node.op {
            Op::Unsupported(Unsupported { code, reason }) if reason.is_empty() => {
                Some(format!("`{}` ({code})", node.name))
            }
            Op::Unsupported(Unsupported { code, reason }) => {
                Some(format!("`{}` ({code}: {reason})", node.name))
            }
            _ => None,
        })
        .collect();
    if layers.is_empty() {
        return Ok(());
    }
    let count = layers.len();
    Err(Error::input(format!(
        "{count} layer{} not supported: {}",
        if count == 1 { " is" } else { "s are" },
        layers.join(", ")
    ))
    .help("replace them in the model by supported operators, or cut the model before them"))
}

/// Refuses a graph in which a value is read, or is an output, that nothing has written before.
pub fn order(graph: &Graph) -> Result<()> {
    let ids = graph.inputs.iter().chain(&graph.outputs);
    let ids =
        ids.chain(graph.nodes.iter().flat_map(|node| node.inputs.iter().flatten().chain(&node.outputs)));
    for id in ids {
        let value = graph.values.get(id.0).ok_or_else(|| {
            Error::input(format!("the model refers to value {} of {}", id.0, graph.values.len()))
        })?;
        if elements(&value.shape).is_none() {
            return Err(Error::input(format!("`{}` of shape {:?} is too large", value.name, value.shape)));
        }
    }
    let mut written: Vec<bool> = graph.values.iter().map(|value| value.constant.is_some()).collect();
    for id in &graph.inputs {
        written[id.0] = true;
    }
    for node in &graph.nodes {
        if let Some(&id) = node.inputs.iter().flatten().find(|id| !written[id.0]) {
            let name = &graph.value(id).name;
            return Err(error(node, format!("it reads `{name}` before anything has written it")));
        }
        for id in &node.outputs {
            written[id.0] = true;
        }
    }
    match graph.outputs.iter().find(|id| !written[id.0]) {
        Some(&id) => {
            Err(Error::input(format!("no layer writes the model's output `{}`", graph.value(id).name)))
        }
        None => Ok(()),
    }
}

/// Refuses a constant whose elements or scales do not fit its shape.
pub fn constant(value: &Value) -> Result<()> {
    let Some(constant) = &value.constant else { return Ok(()) };
    if elements(&value.shape) != Some(constant.len()) {
        return Err(Error::input(format!(
            "constant `{}` has shape {:?}, but {} elements",
            value.name,
            value.shape,
            constant.len()
        )));
    }
    match &value.quantization {
        Some(q) if q.scale.is_empty() || q.scale.len() != q.zero_point.len() => Err(Error::input(format!(
            "constant `{}` has {} scales and {} zero points",
            value.name,
            q.scale.len(),
            q.zero_point.len()
        ))),
        _ => Ok(()),
    }
}

/// Number of elements of a shape, if it is not beyond reason.
fn elements(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d)).filter(|&n| n <= MAX_ELEMENTS)
}

/// Output size of a window along one dimension.
fn extent(size: usize, window: &Window, dim: usize) -> Option<usize> {
    let padded = size.checked_add(window.pad_before[dim])?.checked_add(window.pad_after[dim])?;
    let kernel = (window.kernel[dim].checked_sub(1)?).checked_mul(window.dilation[dim])?.checked_add(1)?;
    padded.checked_sub(kernel)?.checked_div(window.stride[dim])?.checked_add(1)
}

/// The checks of one node, with its shapes at hand.
struct Check<'a> {
    node: &'a Node,
    inputs: Vec<Option<&'a [usize]>>,
    outputs: Vec<&'a [usize]>,
    /// Where set, the shape of the result is not checked but asked for.
    inferred: Option<RefCell<Vec<usize>>>,
}

impl<'a> Check<'a> {
    /// An error unless `condition` holds.
    fn ensure(&self, condition: bool, message: impl FnOnce() -> String) -> Result<()> {
        if condition { Ok(()) } else { Err(error(self.node, message())) }
    }

    /// Shape of a required operand.
    fn input(&self, position: usize) -> Result<&'a [usize]> {
        let shape = self.inputs.get(position).copied().flatten();
        shape.ok_or_else(|| error(self.node, format!("operand {position} is missing")))
    }

    /// Shape of a required operand of four dimensions.
    fn image(&self, position: usize) -> Result<[usize; 4]> {
        let shape = self.input(position)?;
        shape.try_into().map_err(|_| {
            error(self.node, format!("operand {position} has shape {shape:?}, expected 4 dimensions"))
        })
    }

    /// The first output's shape must be this.
    fn output(&self, expected: &[usize]) -> Result<()> {
        if let Some(inferred) = &self.inferred {
            *inferred.borrow_mut() = expected.to_vec();
            return Ok(());
        }
        let found = self.outputs[0];
        self.ensure(found == expected, || {
            format!("its output has shape {found:?}, but {expected:?} follows from its operands")
        })
    }

    /// The optional bias must have one element per output channel.
    fn bias(&self, channels: usize) -> Result<()> {
        let Some(bias) = self.inputs.get(2).copied().flatten() else { return Ok(()) };
        let found: usize = bias.iter().product();
        self.ensure(found == channels, || {
            format!("its bias has {found} elements for {channels} output channels")
        })
    }

    /// Strides, dilations and kernel are not zero, and the kernel is that of the filter.
    fn window(&self, window: &Window, kernel: [usize; 2]) -> Result<()> {
        let positive = [window.kernel, window.stride, window.dilation].iter().flatten().all(|&x| x > 0);
        self.ensure(positive, || "kernel, stride or dilation is zero".into())?;
        // Keeps the index arithmetic of the kernels in range.
        let small = [window.kernel, window.stride, window.dilation, window.pad_before, window.pad_after]
            .iter()
            .flatten()
            .all(|&x| x < 1 << 24);
        self.ensure(small, || "kernel, stride, dilation or padding is beyond reason".into())?;
        self.ensure(window.kernel == kernel, || {
            format!("its kernel is {:?}, but its filter has {kernel:?}", window.kernel)
        })
    }

    /// Shape `[n, h, w, channels]` of the output of a window over an image.
    fn windowed(&self, [n, h, w, _]: [usize; 4], window: &Window, channels: usize) -> Result<()> {
        match (extent(h, window, 0), extent(w, window, 1)) {
            (Some(out_h), Some(out_w)) => self.output(&[n, out_h, out_w, channels]),
            _ => Err(error(self.node, format!("its window does not fit into an image of {h}x{w}"))),
        }
    }

    fn axis(&self, axis: usize, rank: usize) -> Result<()> {
        self.ensure(axis < rank, || format!("axis {axis} of a tensor of {rank} dimensions"))
    }
}

/// Checks a node's operands, attributes and results against one another.
pub fn node(graph: &Graph, node: &Node) -> Result<()> {
    let shape = |id: ValueId| -> Result<&[usize]> {
        let value = graph
            .values
            .get(id.0)
            .ok_or_else(|| error(node, format!("it refers to value {} of {}", id.0, graph.values.len())))?;
        match elements(&value.shape) {
            Some(n) if n > 0 => Ok(&value.shape),
            Some(_) => Err(error(node, format!("`{}` of shape {:?} is empty", value.name, value.shape))),
            None => Err(error(node, format!("`{}` of shape {:?} is too large", value.name, value.shape))),
        }
    };
    let inputs = node.inputs.iter().map(|&id| id.map(shape).transpose()).collect::<Result<Vec<_>>>()?;
    let outputs = node.outputs.iter().map(|&id| shape(id)).collect::<Result<Vec<_>>>()?;
    let several = matches!(node.op, Op::Split(_) | Op::Unpack(_) | Op::Recurrent(_) | Op::Unsupported(_));
    let count = outputs.len();
    if count == 0 || (count > 1 && !several) {
        return Err(error(node, format!("it has {count} outputs")));
    }
    operator(&Check { node, inputs, outputs, inferred: None })
}

/// The shape of a node's (first) result, from those of its operands; only of operators whose operands
/// and attributes say it: not of RESHAPE, TRANSPOSE_CONV, SPLIT, UNPACK and RESIZE.
pub fn infer(node: &Node, inputs: &[Option<&[usize]>]) -> Result<Vec<usize>> {
    let unknown = || error(node, "its result has no shape that follows from its operands");
    let last = |position: usize, wanted: usize| {
        let shape = inputs.get(position).copied().flatten().filter(|shape| shape.len() == wanted);
        shape.and_then(|shape| shape.split_last())
    };
    let shape = match &node.op {
        Op::Reshape
        | Op::TransposeConv(_)
        | Op::Split(_)
        | Op::Unpack(_)
        | Op::ResizeNearest(_)
        | Op::ResizeBilinear(_)
        | Op::Unsupported(_) => return Err(unknown()),
        Op::FullyConnected(_) => {
            let input = inputs.first().copied().flatten().ok_or_else(unknown)?;
            let (&columns, rows) = last(1, 2).ok_or_else(|| error(node, "its weights are no matrix"))?;
            let (&depth, lead) = input.split_last().ok_or_else(unknown)?;
            if depth != columns || columns == 0 {
                return Err(error(
                    node,
                    format!("an input of shape {input:?} for weights of {columns} columns"),
                ));
            }
            [lead, rows].concat()
        }
        Op::Slice(Slice { size, .. }) => size.clone(),
        Op::ArgMax(ArgMax { axis }) | Op::ArgMin(ArgMin { axis }) => {
            let mut shape = inputs.first().copied().flatten().ok_or_else(unknown)?.to_vec();
            if *axis >= shape.len() {
                return Err(error(node, format!("axis {axis} of a tensor of {} dimensions", shape.len())));
            }
            shape.remove(*axis);
            shape
        }
        _ => {
            let check = Check {
                node,
                inputs: inputs.to_vec(),
                outputs: Vec::new(),
                inferred: Some(RefCell::default()),
            };
            operator(&check)?;
            check.inferred.map(RefCell::into_inner).unwrap_or_default()
        }
    };
    match elements(&shape) {
        Some(n) if n > 0 => Ok(shape),
        _ => Err(error(node, format!("its result of shape {shape:?} is empty or too large"))),
    }
}

/// Refuses indices that name nothing.
pub fn indices(node: &Node, indices: &[f32], count: usize) -> Result<()> {
    match indices.iter().find(|&&index| !(index >= 0.0 && (index as usize) < count)) {
        None => Ok(()),
        Some(index) => Err(no_such_index(&node.name, i64::from(*index as i32), count)),
    }
}

/// The error of an index that names nothing.
pub fn no_such_index(layer: &str, index: i64, count: usize) -> Error {
    Error::input(format!("layer `{layer}` (GATHER) is asked for index {index}, but has 0 to {}", count - 1))
        .help("give the numbers that the model was trained with; words that it does not know have a number, too")
}

/// The rules of each operator.
fn operator(check: &Check) -> Result<()> {
    let node = check.node;
    match &node.op {
        Op::Conv2d(Conv2d { window, .. }) => {
            let (image, [out, kh, kw, depth]) = (check.image(0)?, check.image(1)?);
            check.window(window, [kh, kw])?;
            let groups = image[3] / depth;
            check.ensure(groups > 0 && image[3] % depth == 0 && out % groups == 0, || {
                format!("a filter of depth {depth} with {out} outputs for {} channels", image[3])
            })?;
            check.bias(out)?;
            check.windowed(image, window, out)
        }
        Op::DepthwiseConv2d(DepthwiseConv2d { window, multiplier, .. }) => {
            let (image, [one, kh, kw, out]) = (check.image(0)?, check.image(1)?);
            check.window(window, [kh, kw])?;
            check.ensure(one == 1 && image[3].checked_mul(*multiplier) == Some(out), || {
                format!("a filter with {out} outputs for {} channels times {multiplier}", image[3])
            })?;
            check.bias(out)?;
            check.windowed(image, window, out)
        }
        Op::TransposeConv(TransposeConv { window, .. }) => {
            let (image, [out, kh, kw, depth]) = (check.image(0)?, check.image(1)?);
            check.window(window, [kh, kw])?;
            check.ensure(depth == image[3], || {
                format!("a filter of depth {depth} for {} channels", image[3])
            })?;
            check.bias(out)?;
            // The size along the image is the author's: it may reach beyond the last kernel tap.
            let found = check.outputs[0];
            check.ensure(found.len() == 4 && found[0] == image[0] && found[3] == out, || {
                format!("its output has shape {found:?} for {} images of {out} channels", image[0])
            })
        }
        Op::FullyConnected(_) => {
            let (input, weights) = (check.input(0)?, check.input(1)?);
            check.ensure(weights.len() == 2, || format!("its weights have shape {weights:?}"))?;
            let total: usize = input.iter().product();
            check.ensure(total.is_multiple_of(weights[1]), || {
                format!("an input of shape {input:?} for weights of shape {weights:?}")
            })?;
            check.bias(weights[0])?;
            let found: usize = check.outputs[0].iter().product();
            check.ensure(found == total / weights[1] * weights[0], || {
                format!("its output has {found} elements")
            })
        }
        Op::BatchMatMul(BatchMatMul { transpose_a, transpose_b }) => {
            let (a, b) = (check.input(0)?, check.input(1)?);
            check.ensure(a.len() >= 2 && b.len() >= 2, || format!("operands {a:?} and {b:?}"))?;
            let matrix = |shape: &[usize], transposed: bool| {
                let [x, y] = [shape[shape.len() - 2], shape[shape.len() - 1]];
                if transposed { (y, x) } else { (x, y) }
            };
            let ((m, k), (k2, n)) = (matrix(a, *transpose_a), matrix(b, *transpose_b));
            let lead = broadcast_shape(&a[..a.len() - 2], &b[..b.len() - 2]);
            match lead {
                Some(mut shape) if k == k2 => {
                    shape.extend([m, n]);
                    check.output(&shape)
                }
                _ => Err(error(node, format!("operands {a:?} and {b:?} do not fit together"))),
            }
        }
        Op::Pool2d(Pool2d { kind, window, .. }) => {
            let image = check.image(0)?;
            check.window(window, window.kernel)?;
            let inside = window.dilation == [1, 1]
                && (0..2).all(|d| {
                    window.pad_before[d] < window.kernel[d] && window.pad_after[d] < window.kernel[d]
                });
            check.ensure(inside, || {
                let kind = if *kind == PoolKind::Max { "maximum" } else { "average" };
                format!("a window without pixels has no {kind}")
            })?;
            check.windowed(image, window, image[3])
        }
        Op::Binary(_) => {
            let (a, b) = (check.input(0)?, check.input(1)?);
            let shape = broadcast_shape(a, b)
                .ok_or_else(|| error(node, format!("shapes {a:?} and {b:?} do not broadcast")))?;
            check.output(&shape)
        }
        Op::Prelu => {
            let (x, slope) = (check.input(0)?, check.input(1)?);
            check.ensure(broadcast_shape(x, slope).as_deref() == Some(x), || {
                format!("a slope of shape {slope:?} for an input of {x:?}")
            })?;
            check.output(x)
        }
        Op::Unary(_)
        | Op::Softmax(_)
        | Op::LogSoftmax
        | Op::Quantize
        | Op::QuantizeScaled(_)
        | Op::Dequantize => check.output(check.input(0)?),
        Op::Reshape => {
            let (input, found) = (check.input(0)?, check.outputs[0]);
            check.ensure(input.iter().product::<usize>() == found.iter().product::<usize>(), || {
                format!("from shape {input:?} to {found:?}")
            })
        }
        Op::Pad(Pad { amounts, .. }) => {
            let input = check.input(0)?;
            check.ensure(amounts.len() == input.len(), || {
                format!("{} paddings for {} dimensions", amounts.len(), input.len())
            })?;
            let sum = |(&n, &(a, b)): (&usize, &(usize, usize))| n.checked_add(a)?.checked_add(b);
            let shape: Option<Vec<usize>> = input.iter().zip(amounts).map(sum).collect();
            check.output(&shape.ok_or_else(|| error(node, "its padding is beyond reason"))?)
        }
        Op::Reduce(Reduce { axes, keep_dims, .. }) => {
            let input = check.input(0)?;
            for &axis in axes {
                check.axis(axis, input.len())?;
            }
            let dims = input.iter().enumerate();
            let shape: Vec<usize> = dims
                .filter_map(|(d, &n)| match axes.contains(&d) {
                    false => Some(n),
                    true => keep_dims.then_some(1),
                })
                .collect();
            check.output(&shape)
        }
        Op::Concat(Concat { axis, .. }) => {
            let first = check.input(0)?;
            check.axis(*axis, first.len())?;
            let mut shape = first.to_vec();
            shape[*axis] = 0;
            for position in 0..node.inputs.len() {
                let mut input = check.input(position)?.to_vec();
                check.ensure(input.len() == shape.len(), || {
                    format!("operands of shapes {first:?} and {input:?}")
                })?;
                shape[*axis] += input[*axis];
                input[*axis] = shape[*axis];
                check.ensure(input == shape, || format!("operand {position} has another shape"))?;
            }
            check.output(&shape)
        }
        Op::Pack(Pack { axis }) => {
            let first = check.input(0)?;
            check.axis(*axis, first.len() + 1)?;
            for position in 0..node.inputs.len() {
                let same = check.input(position)? == first;
                check.ensure(same, || format!("operand {position} has another shape"))?;
            }
            let mut shape = first.to_vec();
            shape.insert(*axis, node.inputs.len());
            check.output(&shape)
        }
        Op::Split(Split { axis }) => {
            let input = check.input(0)?;
            check.axis(*axis, input.len())?;
            let mut rest = input[*axis];
            for part in &check.outputs {
                let mut expected = input.to_vec();
                expected[*axis] = part.get(*axis).copied().unwrap_or(0);
                check.ensure(*part == expected && expected[*axis] <= rest, || {
                    format!("a part of shape {part:?} of {input:?}")
                })?;
                rest -= expected[*axis];
            }
            check.ensure(rest == 0, || format!("its parts leave {rest} of {input:?} over"))
        }
        Op::Unpack(Unpack { axis }) => {
            let input = check.input(0)?;
            check.axis(*axis, input.len())?;
            let mut part = input.to_vec();
            let count = part.remove(*axis);
            let found = check.outputs.len();
            check.ensure(found == count && check.outputs.iter().all(|&out| out == part), || {
                format!("{found} outputs of an input of shape {input:?}")
            })
        }
        Op::Slice(Slice { begin, size, stride }) => {
            let input = check.input(0)?;
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
            check.ensure(found == size.iter().product::<usize>(), || {
                format!("its output has {found} elements")
            })
        }
        Op::Transpose(Transpose { permutation }) => {
            let input = check.input(0)?;
            let mut sorted = permutation.clone();
            sorted.sort_unstable();
            check.ensure(sorted.iter().copied().eq(0..input.len()), || {
                format!("permutation {permutation:?} of {} dimensions", input.len())
            })?;
            check.output(&permutation.iter().map(|&p| input[p]).collect::<Vec<_>>())
        }
        Op::ResizeNearest(_) | Op::ResizeBilinear(_) => {
            let ([n, _, _, channels], found) = (check.image(0)?, check.outputs[0]);
            check.ensure(found.len() == 4 && found[0] == n && found[3] == channels, || {
                format!("its output has shape {found:?} for {n} images of {channels} channels")
            })
        }
        Op::ArgMax(ArgMax { axis }) | Op::ArgMin(ArgMin { axis }) => {
            let input = check.input(0)?;
            check.axis(*axis, input.len())?;
            let (found, expected): (usize, usize) =
                (check.outputs[0].iter().product(), input.iter().product::<usize>() / input[*axis]);
            check.ensure(found == expected, || format!("its output has {found} elements"))
        }
        Op::Recurrent(layer) => {
            let (input, weights, recurrent) = (check.input(0)?, check.input(1)?, check.input(2)?);
            let (&[batch, steps, features], &[_, units]) = (input, recurrent) else {
                return Err(error(node, format!("operands of shapes {input:?} and {recurrent:?}")));
            };
            let rows = layer.cell.gates().saturating_mul(units);
            check.ensure(weights == [rows, features] && recurrent == [rows, units], || {
                format!("weights {weights:?} and {recurrent:?} for {features} features and {units} units")
            })?;
            for (position, wanted) in
                [(3, vec![rows]), (4, vec![rows]), (5, vec![batch, units]), (6, vec![batch, units])]
            {
                let found = check.inputs.get(position).copied().flatten();
                check.ensure(found.is_none_or(|found| found == wanted), || {
                    format!("operand {position} has shape {found:?}, expected {wanted:?}")
                })?;
            }
            let rest = check.outputs.get(1..).unwrap_or_default();
            check.ensure(rest.len() <= 2 && rest.iter().all(|&out| out == [batch, units]), || {
                format!("its states have shapes {rest:?}, expected [{batch}, {units}]")
            })?;
            check.output(&[batch, steps, units])
        }
        &Op::Gather(Gather { axis, batch_dims }) => {
            let (data, indices) = (check.input(0)?, check.input(1)?);
            check.axis(axis, data.len())?;
            let shared = indices.get(..batch_dims).filter(|shared| data.get(..batch_dims) == Some(shared));
            check.ensure(batch_dims <= axis && shared.is_some(), || {
                format!("{batch_dims} batch dimensions of {data:?} and {indices:?} before axis {axis}")
            })?;
            check.output(&[&data[..axis], &indices[batch_dims..], &data[axis + 1..]].concat())
        }
        Op::Lookup => {
            let (input, table) = (check.input(0)?, check.input(1)?);
            check.ensure(table == [256], || format!("a table of shape {table:?} instead of [256]"))?;
            check.output(input)
        }
        Op::Unsupported(_) => Err(error(node, "the operator is not supported")),
    }
}
