//! Operators that repeat, mirror or rearrange elements become slices, concatenations, transpositions and
//! reshapes, which the device has: TILE, BROADCAST_TO, MIRROR_PAD, REVERSE_V2, DEPTH_TO_SPACE,
//! SPACE_TO_DEPTH.

use super::layer::{Layer, Place, Reason, Step, Translated, axis, dims4, options};
use crate::graph::{Activation, Binary, BinaryKind, Concat, Op, Pad, Slice, Transpose};
use crate::tflite::MirrorPadMode;

/// Operands that one concatenation of the file may have.
const MOST_COPIES: usize = 255;

/// The steps of a layer; each reads the one before unless it says otherwise.
struct Steps<'a> {
    layer: &'a Layer<'a>,
    steps: Vec<Step>,
    /// What the next step reads, and its shape.
    last: Place,
    shape: Vec<usize>,
}

impl<'a> Steps<'a> {
    fn new(layer: &'a Layer<'a>) -> Result<Steps<'a>, Reason> {
        let shape = layer.input(0)?.shape.clone();
        Ok(Steps { layer, steps: Vec::new(), last: Place::Operand(layer.id(0)), shape })
    }

    fn add(&mut self, op: Op, inputs: Vec<Place>, shape: Vec<usize>) -> Place {
        self.steps.push(Step { op, inputs, shape });
        Place::Step(self.steps.len() - 1)
    }

    fn then(&mut self, op: Op, shape: Vec<usize>) {
        self.last = self.add(op, vec![self.last], shape.clone());
        self.shape = shape;
    }

    fn reshape(&mut self, shape: Vec<usize>) {
        if shape != self.shape {
            self.then(Op::Reshape, shape);
        }
    }

    /// Elements of one dimension of the tensor so far, counted by `step`.
    fn slice(&mut self, axis: usize, begin: usize, size: usize, step: isize) -> Place {
        let rank = self.shape.len();
        let (mut begins, mut shape, mut stride) = (vec![0; rank], self.shape.clone(), vec![1; rank]);
        (begins[axis], shape[axis], stride[axis]) = (begin, size, step);
        self.add(Op::Slice(Slice { begin: begins, size: shape.clone(), stride }), vec![self.last], shape)
    }

    fn join(&mut self, axis: usize, parts: Vec<Place>, size: usize) {
        let mut shape = self.shape.clone();
        shape[axis] = size;
        self.last = self.add(Op::Concat(Concat { axis, activation: Activation::None }), parts, shape.clone());
        self.shape = shape;
    }

    /// `times` copies behind one another along each dimension.
    fn repeat(&mut self, times: &[usize]) -> Result<(), Reason> {
        for (axis, &n) in times.iter().enumerate().filter(|(_, n)| **n != 1) {
            let size = self.shape[axis].checked_mul(n).filter(|_| (1..=MOST_COPIES).contains(&n));
            let size = size.ok_or_else(|| format!("{n} copies; 1 to {MOST_COPIES} are supported"))?;
            self.join(axis, vec![self.last; n], size);
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Translated, Reason> {
        self.layer.expect_output(&self.shape)?;
        if self.steps.is_empty() {
            let shape = self.shape.clone();
            self.then(Op::Reshape, shape);
        }
        Ok(Translated::several(self.steps, &self.layer.inputs[..1]))
    }
}

/// TILE: input, copies along each dimension.
pub(super) fn tile(layer: &Layer<'_>) -> Result<Translated, Reason> {
    let mut steps = Steps::new(layer)?;
    let listed = layer.integers(1, "number of copies")?;
    let times: Option<Vec<usize>> = listed.iter().map(|&n| usize::try_from(n).ok()).collect();
    match times {
        Some(times) if times.len() == steps.shape.len() => steps.repeat(&times)?,
        _ => return Err(format!("{listed:?} copies of {} dimensions", steps.shape.len())),
    }
    steps.finish()
}

/// BROADCAST_TO: input, shape.
pub(super) fn broadcast_to(layer: &Layer<'_>) -> Result<Translated, Reason> {
    let mut steps = Steps::new(layer)?;
    let listed = layer.integers(1, "shape")?;
    let whole: Option<Vec<usize>> = listed.iter().map(|&d| usize::try_from(d).ok()).collect();
    let refused = || format!("shape {:?} becomes {listed:?}", layer.input(0).map(|v| &v.shape));
    let whole = whole.filter(|whole| whole.len() >= steps.shape.len()).ok_or_else(refused)?;
    let mut own = vec![1; whole.len() - steps.shape.len()];
    own.extend(&steps.shape);
    if own.iter().zip(&whole).any(|(&d, &w)| d != w && d != 1) {
        return Err(refused());
    }
    let times: Vec<usize> = own.iter().zip(&whole).map(|(&d, &w)| if d == w { 1 } else { w }).collect();
    steps.reshape(own);
    steps.repeat(&times)?;
    steps.finish()
}

/// FILL: shape, and a computed number that all elements are. A known one has been computed before.
pub(super) fn fill(layer: &Layer<'_>) -> Result<Translated, Reason> {
    let listed = layer.integers(0, "shape")?;
    let whole: Option<Vec<usize>> = listed.iter().map(|&d| usize::try_from(d).ok()).collect();
    let whole = whole.ok_or_else(|| format!("the shape {listed:?}"))?;
    let shape = layer.input(1)?.shape.clone();
    if shape.iter().product::<usize>() != 1 {
        return Err(format!("elements of shape {shape:?}"));
    }
    let mut steps = Steps { layer, steps: Vec::new(), last: Place::Operand(layer.id(1)), shape };
    steps.reshape(vec![1; whole.len()]);
    steps.repeat(&whole)?;
    steps.finish()
}

/// BROADCAST_ARGS of computed shapes: of two dimensions that agree, the larger; missing ones are 1.
pub(super) fn broadcast_args(layer: &Layer<'_>) -> Result<Translated, Reason> {
    let lengths = [0, 1].map(|position| layer.input(position).map(|value| value.shape.clone()));
    let [Ok(a), Ok(b)] = &lengths else { return Err("an operand is missing".into()) };
    let (&[a], &[b]) = (a.as_slice(), b.as_slice()) else {
        return Err(format!("shapes of shapes {a:?} and {b:?}"));
    };
    let rank = a.max(b);
    layer.expect_output(&[rank])?;
    let mut steps = Vec::new();
    let mut whole = |position: usize, length: usize| {
        let own = Place::Operand(layer.id(position));
        if length == rank {
            return own;
        }
        let op = Op::Pad(Pad { amounts: vec![(rank - length, 0)], value: Some(1.0) });
        steps.push(Step { op, inputs: vec![own], shape: vec![rank] });
        Place::Step(steps.len() - 1)
    };
    let inputs = vec![whole(0, a), whole(1, b)];
    let op = Op::Binary(Binary { kind: BinaryKind::Maximum, activation: Activation::None });
    steps.push(Step { op, inputs, shape: vec![rank] });
    Ok(Translated::several(steps, layer.inputs))
}

/// MIRROR_PAD: input, paddings `[rank, 2]`. Dimension by dimension, the elements at the border come once more,
/// backwards; REFLECT leaves out the outermost.
pub(super) fn mirror_pad(layer: &Layer<'_>) -> Result<Translated, Reason> {
    let mode = options(layer.operator.builtin_options_as_mirror_pad_options())?.mode();
    let skipped = match mode {
        MirrorPadMode::REFLECT => 1,
        MirrorPadMode::SYMMETRIC => 0,
        other => return Err(format!("mode {other:?}")),
    };
    let mut steps = Steps::new(layer)?;
    let listed = layer.integers(1, "paddings")?;
    let sizes: Option<Vec<usize>> = listed.iter().map(|&p| usize::try_from(p).ok()).collect();
    let sizes = sizes.filter(|sizes| sizes.len() == 2 * steps.shape.len());
    let sizes = sizes.ok_or_else(|| format!("paddings {listed:?} of {} dimensions", steps.shape.len()))?;
    for (axis, pair) in sizes.chunks_exact(2).enumerate().filter(|(_, pair)| *pair != [0, 0]) {
        let (before, after, size) = (pair[0], pair[1], steps.shape[axis]);
        if before.max(after).saturating_add(skipped) > size {
            return Err(format!("{before} and {after} mirrored elements of a dimension of {size}"));
        }
        let mut parts = vec![steps.last];
        if before > 0 {
            parts.insert(0, steps.slice(axis, before - 1 + skipped, before, -1));
        }
        if after > 0 {
            parts.push(steps.slice(axis, size - 1 - skipped, after, -1));
        }
        steps.join(axis, parts, before + size + after);
    }
    steps.finish()
}

/// REVERSE_V2: input, axes.
pub(super) fn reverse(layer: &Layer<'_>) -> Result<Translated, Reason> {
    let mut steps = Steps::new(layer)?;
    let rank = steps.shape.len();
    let (mut begin, mut stride) = (vec![0; rank], vec![1; rank]);
    for at in layer.integers(1, "axes")? {
        let at = axis(at, rank)?;
        (begin[at], stride[at]) = (steps.shape[at].saturating_sub(1), -1);
    }
    let size = steps.shape.clone();
    steps.then(Op::Slice(Slice { begin, size: size.clone(), stride }), size);
    steps.finish()
}

/// DEPTH_TO_SPACE: each pixel's channels become a block of pixels.
pub(super) fn depth_to_space(layer: &Layer<'_>) -> Result<Translated, Reason> {
    let [n, h, w, c] = dims4(layer.input(0)?, "input")?;
    let [_, out_h, out_w, depth] = dims4(layer.output()?, "result")?;
    let block = block(h, out_h, w, out_w)?;
    if Some(c) != depth.checked_mul(block * block) {
        return Err(format!("blocks of {block} by {block} pixels of {depth} channels from {c} channels"));
    }
    rearranged(layer, [n, h, w, block, block, depth], [n, out_h, out_w, depth])
}

/// SPACE_TO_DEPTH: each block of pixels becomes the channels of one pixel.
pub(super) fn space_to_depth(layer: &Layer<'_>) -> Result<Translated, Reason> {
    let [n, h, w, c] = dims4(layer.input(0)?, "input")?;
    let [_, out_h, out_w, depth] = dims4(layer.output()?, "result")?;
    let block = block(out_h, h, out_w, w)?;
    if Some(depth) != c.checked_mul(block * block) {
        return Err(format!("{depth} channels of blocks of {block} by {block} pixels of {c} channels"));
    }
    rearranged(layer, [n, out_h, block, out_w, block, c], [n, out_h, out_w, depth])
}

/// The side of a block by which two sizes differ.
fn block(small_h: usize, large_h: usize, small_w: usize, large_w: usize) -> Result<usize, Reason> {
    let block = large_h.checked_div(small_h).unwrap_or(0);
    let fits = (1..=1 << 12).contains(&block)
        && small_h.checked_mul(block) == Some(large_h)
        && small_w.checked_mul(block) == Some(large_w);
    if fits {
        Ok(block)
    } else {
        Err(format!("an image of {large_h}x{large_w} beside one of {small_h}x{small_w}"))
    }
}

/// The input in six dimensions, of which the third and fourth change places, then the result's.
fn rearranged(layer: &Layer<'_>, parts: [usize; 6], result: [usize; 4]) -> Result<Translated, Reason> {
    let mut steps = Steps::new(layer)?;
    steps.reshape(parts.to_vec());
    let permutation = vec![0, 1, 3, 2, 4, 5];
    let turned = permutation.iter().map(|&d| parts[d]).collect();
    steps.then(Op::Transpose(Transpose { permutation }), turned);
    steps.reshape(result.to_vec());
    steps.finish()
}
