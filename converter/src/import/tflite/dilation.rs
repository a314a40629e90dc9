//! Convolutions with gaps between their taps, as TensorFlow's converter writes them: SPACE_TO_BATCH_ND takes
//! every n-th pixel into an image of its own, a convolution without gaps runs over those, and
//! BATCH_TO_SPACE_ND puts them together again. In one dimension RESHAPEs stand around the convolution.
//!
//! With blocks of `b`, paddings `p` and crops `c`, a tap of the convolution reaches `b` pixels: its
//! dilation is `b` times as large, and it is padded by `p + b * padding - c`. Padding is real zero in both,
//! and each result is the same sum of the same products, so the bytes are the same.
//!
//! Elsewhere each of the two only moves elements, as PAD, RESHAPE, TRANSPOSE and SLICE do.

use std::collections::HashMap;

use crate::graph::{
    Conv2d, DepthwiseConv2d, Graph, Node, Op, Pad, Slice, Transpose, Unsupported, Value, ValueId, Window,
};
use crate::reference::infer_shape;
use crate::tflite::BuiltinOperator as Code;

/// Why one of the two operators is not converted by itself where shapes differ from what its operands say.
pub(super) const ONLY_AROUND: &str = "around a convolution of stride 1, SPACE_TO_BATCH_ND and BATCH_TO_SPACE_ND say its \
     dilation; alone, their blocks, paddings and crops have to be constants that make the shape of the result";

/// Turns such convolutions into one layer each.
pub(super) fn run(graph: &mut Graph, notes: &mut Vec<String>) {
    // What a layer is made of is read as often afterwards, so this is counted once.
    let mut reads = Reads::new();
    for id in graph.nodes.iter().flat_map(|node| node.inputs.iter().flatten()) {
        *reads.entry(*id).or_default() += 1;
    }
    let mut gone = Vec::new();
    for index in 0..graph.nodes.len() {
        if let Some(found) = Dilated::find(graph, &reads, index) {
            if pads(graph, &graph.nodes[found.split]) {
                notes.push(format!(
                    "layer `{}` pads with zero, as LiteRT does; TFLM's SPACE_TO_BATCH_ND does not set the integer that \
                     it pads with",
                    graph.nodes[index].name
                ));
            }
            if let Some((recorded, made)) = found.left_out(graph) {
                notes.push(format!(
                    "layer `{}` computes {made} parts, as LiteRT does; the file records {recorded}, of which alone TFLM \
                     computes the pixels",
                    graph.nodes[index].name
                ));
            }
            gone.extend([found.split, found.join]);
            found.rewrite(graph);
        }
    }
    // Others keep their places until all are found.
    gone.sort_unstable();
    let mut place = 0;
    graph.nodes.retain(|_| {
        place += 1;
        gone.binary_search(&(place - 1)).is_err()
    });
    for index in (0..graph.nodes.len()).rev() {
        let padded = pads(graph, &graph.nodes[index]);
        let name = graph.nodes[index].name.clone();
        if apart(graph, index).is_some() && padded {
            notes.push(format!(
                "layer `{name}` pads with zero, as LiteRT does; TFLM's SPACE_TO_BATCH_ND does not set the integer that \
                 it pads with"
            ));
        }
    }
}

/// Whether SPACE_TO_BATCH_ND pads with an integer other than 0.
fn pads(graph: &Graph, node: &Node) -> bool {
    let zero = |id: ValueId| graph.value(id).quantization.as_ref().and_then(|q| q.tensor());
    let moved = node.outputs.first().and_then(|&id| zero(id)).is_some_and(|(_, zero)| zero != 0);
    let some = || sizes(graph, node, 2).is_some_and(|paddings| paddings.iter().any(|&p| p != 0));
    is(node, Code::SPACE_TO_BATCH_ND) && moved && some()
}

/// One of the two operators by itself, as what it does to the elements: PAD, RESHAPE, TRANSPOSE, RESHAPE, or
/// RESHAPE, TRANSPOSE, RESHAPE, SLICE.
fn apart(graph: &mut Graph, index: usize) -> Option<()> {
    let node = &graph.nodes[index];
    let splits = is(node, Code::SPACE_TO_BATCH_ND);
    if !splits && !is(node, Code::BATCH_TO_SPACE_ND) {
        return None;
    }
    let (source, &result) = (node.input(0)?, node.outputs.first()?);
    let (blocks, borders) = (sizes(graph, node, 1)?, sizes(graph, node, 2)?);
    let (from, to) = (graph.value(source).clone(), graph.value(result).clone());
    let (shape, spatial) = (from.shape.clone(), blocks.len());
    let same = from.dtype == to.dtype && from.quantization == to.quantization;
    if !same || shape.len() <= spatial || borders.len() != 2 * spatial || blocks.contains(&0) {
        return None;
    }
    let rest = shape[1 + spatial..].to_vec();
    let all = blocks.iter().try_fold(1usize, |all, &b| all.checked_mul(b))?;
    let mut steps: Vec<(Op, Vec<usize>)> = Vec::new();
    if splits {
        let mut padded = shape.clone();
        let mut amounts = vec![(0, 0); shape.len()];
        for d in 0..spatial {
            amounts[1 + d] = (borders[2 * d], borders[2 * d + 1]);
            padded[1 + d] += borders[2 * d] + borders[2 * d + 1];
        }
        if padded != shape {
            steps.push((Op::Pad(Pad { amounts, value: None }), padded.clone()));
        }
        // [n, h / b, b, ..] becomes [b, .., n, h / b, ..].
        let mut parts = vec![padded[0]];
        for (d, &block) in blocks.iter().enumerate() {
            if padded[1 + d] % block != 0 {
                return None;
            }
            parts.extend([padded[1 + d] / block, block]);
        }
        parts.extend(&rest);
        let first = (0..spatial).map(|d| 2 + 2 * d).chain([0]).chain((0..spatial).map(|d| 1 + 2 * d));
        let permutation: Vec<usize> = first.chain(1 + 2 * spatial..parts.len()).collect();
        let turned: Vec<usize> = permutation.iter().map(|&d| parts[d]).collect();
        let joined = [&[turned[..=spatial].iter().product()], &turned[1 + spatial..]].concat();
        steps.extend([
            (Op::Reshape, parts),
            (Op::Transpose(Transpose { permutation }), turned),
            (Op::Reshape, joined),
        ]);
    } else {
        if shape[0] % all != 0 {
            return None;
        }
        // [b, .., n, h, ..] becomes [n, h, b, ..].
        let parts = [&blocks[..], &[shape[0] / all], &shape[1..]].concat();
        let pairs = (0..spatial).flat_map(|d| [1 + spatial + d, d]);
        let permutation: Vec<usize> =
            [spatial].into_iter().chain(pairs).chain(1 + 2 * spatial..parts.len()).collect();
        let turned: Vec<usize> = permutation.iter().map(|&d| parts[d]).collect();
        let mut joined = vec![shape[0] / all];
        joined.extend((0..spatial).map(|d| shape[1 + d] * blocks[d]));
        joined.extend(&rest);
        let (mut begin, mut size) = (vec![0; joined.len()], joined.clone());
        for d in 0..spatial {
            begin[1 + d] = borders[2 * d];
            size[1 + d] = size[1 + d].checked_sub(borders[2 * d])?.checked_sub(borders[2 * d + 1])?;
        }
        let stride = vec![1; joined.len()];
        steps.extend([
            (Op::Reshape, parts),
            (Op::Transpose(Transpose { permutation }), turned),
            (Op::Reshape, joined.clone()),
        ]);
        if size != joined {
            steps.push((Op::Slice(Slice { begin, size: size.clone(), stride }), size));
        }
    }
    if steps.last()?.1 != to.shape {
        return None;
    }
    let name = graph.nodes.remove(index).name;
    let (count, mut last) = (steps.len(), source);
    for (place, (op, shape)) in steps.into_iter().enumerate() {
        let name = if place + 1 == count { name.clone() } else { format!("{name}/{place}") };
        let output = match place + 1 == count {
            true => result,
            false => graph.add_value(Value { name: name.clone(), shape, ..from.clone() }),
        };
        graph.nodes.insert(index + place, Node { name, op, inputs: vec![Some(last)], outputs: vec![output] });
        last = output;
    }
    Some(())
}

/// A convolution with gaps, found.
struct Dilated {
    /// Indices of the nodes: SPACE_TO_BATCH_ND, a RESHAPE behind it, the convolution, those between it and
    /// BATCH_TO_SPACE_ND in their order, BATCH_TO_SPACE_ND.
    split: usize,
    reshape: Option<usize>,
    convolution: usize,
    behind: Vec<usize>,
    join: usize,
    window: Window,
    /// Shapes of the convolution's input and result.
    shapes: [Vec<usize>; 2],
}

fn is(node: &Node, code: Code) -> bool {
    matches!(&node.op, Op::Unsupported(Unsupported { code: name, .. }) if Some(name.as_str()) == code.variant_name())
}

/// How often values are read.
type Reads = HashMap<ValueId, usize>;

/// The node that computes the first operand of a node, if nothing else reads that. It lies before the node, and most
/// often right there.
fn only_for(graph: &Graph, reads: &Reads, reader: usize) -> Option<usize> {
    let id = graph.nodes[reader].input(0)?;
    if reads.get(&id) != Some(&1) || graph.is_output(id) {
        return None;
    }
    graph.nodes[..reader].iter().rposition(|node| node.outputs == [id])
}

/// Pairs or single numbers of an operand, none of them negative.
fn sizes(graph: &Graph, node: &Node, position: usize) -> Option<Vec<usize>> {
    let listed = graph.constant(node.input(position))?.to_i64()?;
    listed.into_iter().map(|x| usize::try_from(x).ok().filter(|&x| x < 1 << 24)).collect()
}

impl Dilated {
    /// The convolution that ends with the node at `join`.
    fn find(graph: &Graph, reads: &Reads, join: usize) -> Option<Dilated> {
        let end = &graph.nodes[join];
        if !is(end, Code::BATCH_TO_SPACE_ND) {
            return None;
        }
        let (mut behind, mut at) = (Vec::new(), only_for(graph, reads, join)?);
        // What works pixel by pixel may stand in between.
        while pixel_by_pixel(graph, &graph.nodes[at]) {
            behind.insert(0, at);
            at = only_for(graph, reads, at)?;
        }
        let convolution = at;
        let node = &graph.nodes[convolution];
        let (Op::Conv2d(Conv2d { window, .. }) | Op::DepthwiseConv2d(DepthwiseConv2d { window, .. })) =
            &node.op
        else {
            return None;
        };
        let image = node.input(0)?;
        let mut at = only_for(graph, reads, convolution)?;
        let reshape = (graph.nodes[at].op == Op::Reshape).then_some(at);
        if reshape.is_some() {
            at = only_for(graph, reads, at)?;
        }
        let (split, start) = (at, &graph.nodes[at]);
        if !is(start, Code::SPACE_TO_BATCH_ND) {
            return None;
        }

        let (source, parts) = (graph.value(start.input(0)?), graph.value(start.outputs[0]));
        let result = graph.value(end.outputs[0]);
        let same = |a: ValueId, b: ValueId| {
            let (a, b) = (graph.value(a), graph.value(b));
            a.quantization == b.quantization && a.dtype == b.dtype
        };
        if !same(start.input(0)?, start.outputs[0]) || !same(end.input(0)?, end.outputs[0]) {
            return None;
        }
        let blocks = sizes(graph, start, 1).filter(|b| Some(b) == sizes(graph, end, 1).as_ref())?;
        let (paddings, crops) = (sizes(graph, start, 2)?, sizes(graph, end, 2)?);
        let spatial = blocks.len();
        let rank = source.shape.len();
        if spatial == 0 || rank != spatial + 2 || paddings.len() != 2 * spatial || crops.len() != 2 * spatial
        {
            return None;
        }
        // Which dimensions of the image the blocks speak of.
        let whole = &graph.value(image).shape;
        let first = match (rank, whole.as_slice()) {
            (4, _) if reshape.is_none() => 0,
            (3, &[_, 1, w, _]) if w == parts.shape[1] => 1,
            (3, &[_, h, 1, _]) if h == parts.shape[1] => 0,
            _ => return None,
        };
        let reshapes = behind.iter().filter(|&&at| graph.nodes[at].op == Op::Reshape).count();
        if reshapes != usize::from(rank == 3) {
            return None;
        }
        let mut window = *window;
        let mut input = vec![source.shape[0], 1, 1, source.shape[rank - 1]];
        for (i, &block) in blocks.iter().enumerate() {
            let d = first + i;
            input[1 + d] = source.shape[1 + i];
            // With a stride, the results of different parts would not lie between one another.
            if block == 0 || window.stride[d] != 1 {
                return None;
            }
            let padding = |own: usize, outer: usize, crop: usize| {
                own.checked_mul(block)?.checked_add(outer)?.checked_sub(crop)
            };
            window.pad_before[d] = padding(window.pad_before[d], paddings[2 * i], crops[2 * i])?;
            window.pad_after[d] = padding(window.pad_after[d], paddings[2 * i + 1], crops[2 * i + 1])?;
            window.dilation[d] = window.dilation[d].checked_mul(block)?;
        }
        let mut found = node.clone();
        match &mut found.op {
            Op::Conv2d(Conv2d { window: own, .. })
            | Op::DepthwiseConv2d(DepthwiseConv2d { window: own, .. }) => *own = window,
            _ => return None,
        }
        let shape = |id: &Option<ValueId>| id.map(|id| graph.value(id).shape.as_slice());
        let mut operands: Vec<Option<&[usize]>> = node.inputs.iter().map(shape).collect();
        *operands.first_mut()? = Some(&input);
        let output = infer_shape(&found, &operands).ok()?;
        // The file says the size of the result, too.
        let inside = [&output[1 + first..1 + first + spatial], &output[3..]].concat();
        if result.shape.len() != rank || result.shape[1..] != inside {
            return None;
        }
        Some(Dilated { split, reshape, convolution, behind, join, window, shapes: [input, output] })
    }

    /// How many parts of integers the file records, and how many there are, where these differ: the converter
    /// leaves the batch open, and TFLM believes what is recorded.
    fn left_out(&self, graph: &Graph) -> Option<(usize, usize)> {
        let node = &graph.nodes[self.split];
        let (source, parts) = (graph.value(node.input(0)?), graph.value(node.outputs[0]));
        let made = sizes(graph, node, 1)?.iter().try_fold(source.shape[0], |all, &b| all.checked_mul(b))?;
        let recorded = *parts.shape.first()?;
        (source.quantization.is_some() && recorded != made).then_some((recorded, made))
    }

    fn rewrite(self, graph: &mut Graph) {
        let [input, output] = self.shapes;
        let source = graph.nodes[self.split].input(0);
        let result = graph.nodes[self.join].outputs[0];
        let last_name = graph.nodes[self.join].name.clone();
        if let Some(reshape) = self.reshape {
            graph.nodes[reshape].inputs[0] = source;
            let image = graph.nodes[reshape].outputs[0];
            graph.value_mut(image).shape = input;
        } else {
            graph.nodes[self.convolution].inputs[0] = source;
        }
        match &mut graph.nodes[self.convolution].op {
            Op::Conv2d(Conv2d { window, .. }) | Op::DepthwiseConv2d(DepthwiseConv2d { window, .. }) => {
                *window = self.window
            }
            _ => {}
        }
        let mut shape = output;
        let last = self.behind.last().copied().unwrap_or(self.convolution);
        for &at in std::iter::once(&self.convolution).chain(&self.behind) {
            let id = graph.nodes[at].outputs[0];
            if graph.nodes[at].op == Op::Reshape {
                shape = vec![shape[0], shape[1] * shape[2], shape[3]];
            }
            let id = if at == last { result } else { id };
            graph.value_mut(id).shape = shape.clone();
        }
        let node = &mut graph.nodes[last];
        (node.outputs, node.name) = (vec![result], last_name);
        // They are taken out later, and no longer compute anything.
        for at in [self.split, self.join] {
            graph.nodes[at].outputs.clear();
        }
    }
}

/// Whether a node treats all pixels alike: a function of one number, an operation with a number per channel,
/// or a RESHAPE that drops the dimension of a sequence made an image.
fn pixel_by_pixel(graph: &Graph, node: &Node) -> bool {
    let Some(&output) = node.outputs.first() else { return false };
    let shape = |id: Option<ValueId>| id.map(|id| graph.value(id).shape.as_slice()).unwrap_or_default();
    match &node.op {
        Op::Unary(_) => true,
        Op::Reshape => {
            let (from, to) = (shape(node.input(0)), &graph.value(output).shape);
            matches!((from, to.as_slice()), (&[n, h, w, c], &[m, l, d]) if n == m && c == d && h * w == l && (h == 1 || w == 1))
        }
        Op::Binary(_) => {
            let other = node.input(1);
            let per_channel = shape(other).iter().rev().skip(1).all(|&d| d == 1);
            graph.constant(other).is_some() && per_channel && graph.constant(node.input(0)).is_none()
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Constant, DType};
    use crate::passes::testing::Build;
    use crate::reference::Executor;

    fn ints(b: &mut Build, shape: &[usize], elements: &[i32]) -> ValueId {
        let name = format!("ints_{}", b.graph.values.len());
        let (shape, constant) = (shape.to_vec(), Some(Constant::I32(elements.to_vec())));
        b.graph.add_value(Value { name, shape, dtype: DType::Int32, quantization: None, constant })
    }

    fn moved(code: &str, from: &[usize], blocks: &[i32], borders: &[i32], to: &[usize]) -> Option<Vec<f32>> {
        let mut b = Build::new(from);
        let operands =
            [b.input(), ints(&mut b, &[blocks.len()], blocks), ints(&mut b, &[blocks.len(), 2], borders)];
        let y = b.node(
            Op::Unsupported(Unsupported { code: code.into(), reason: ONLY_AROUND.into() }),
            &operands,
            to,
        );
        let mut graph = b.finish(y);
        run(&mut graph, &mut Vec::new());
        let x: Vec<f32> = (1..=from.iter().product::<usize>()).map(|i| i as f32).collect();
        Executor::new(&graph).ok().map(|e| e.run(&[&x]).unwrap().remove(0))
    }

    #[test]
    fn alone_they_move_elements() {
        // Rows and columns of zeros in front; each part begins at one pixel of the first block.
        let split = moved("SPACE_TO_BATCH_ND", &[1, 3, 3, 1], &[2, 2], &[1, 0, 1, 0], &[4, 2, 2, 1]).unwrap();
        assert_eq!(split, [0., 0., 0., 5., 0., 0., 4., 6., 0., 2., 0., 8., 1., 3., 7., 9.]);
        let joined =
            moved("BATCH_TO_SPACE_ND", &[4, 1, 2, 1], &[2, 2], &[0, 1, 1, 0], &[1, 1, 3, 1]).unwrap();
        assert_eq!(joined, [3., 2., 4.]);
        let sequence = moved("SPACE_TO_BATCH_ND", &[1, 4, 2], &[2], &[0, 0], &[2, 2, 2]).unwrap();
        assert_eq!(sequence, [1., 2., 5., 6., 3., 4., 7., 8.]);
        // A batch that the file leaves open.
        assert_eq!(moved("SPACE_TO_BATCH_ND", &[1, 4, 2], &[2], &[0, 0], &[1, 2, 2]), None);
    }
}
