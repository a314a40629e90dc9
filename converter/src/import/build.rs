//! Builds graphs layer by layer, and infers and checks shapes, for importers whose formats consist of layers
//! rather than tensors.
//!
//! Layouts are those of the graph: activations are NHWC, filters and weights as `graph` documents. Layers
//! over one dimension become images of height 1, as TensorFlow's converter makes them. If a layer becomes
//! several nodes, the last one has the layer's name, and the others are named `NAME/WORD`.

use super::damaged::DAMAGED;
use crate::error::{Error, Result};
use crate::graph::{
    Activation, Binary, BinaryKind, Cast, Compare, CompareKind, Concat, Constant, Conv2d, DType,
    DepthwiseConv2d, FullyConnected, Gather, Graph, LogicKind, Node, Op, Pool2d, PoolKind, Recurrent, Reduce,
    ReduceKind, Slice, Softmax, TopK, Transpose, TransposeConv, UnaryKind, Unsupported, Value, ValueId,
    Window,
};
use crate::reference::infer_shape;

/// A graph under construction. Methods return the value that the new node computes. If shapes do not fit, the
/// error names the layer.
#[derive(Default)]
pub struct Builder {
    graph: Graph,
}

impl Builder {
    /// An empty graph with this name.
    pub fn new(name: impl Into<String>) -> Builder {
        Builder { graph: Graph { name: name.into(), ..Graph::default() } }
    }

    /// The graph that has been built so far.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The graph that has been built so far, to be changed.
    pub fn graph_mut(&mut self) -> &mut Graph {
        &mut self.graph
    }

    /// The graph, with these outputs.
    pub fn finish(mut self, outputs: Vec<ValueId>) -> Graph {
        self.graph.outputs = outputs;
        self.graph
    }

    /// Adds another graph, whose only input is a value of this one, and returns its outputs here. It has no states.
    pub(crate) fn inline(&mut self, other: Graph, input: ValueId, prefix: &str) -> Vec<ValueId> {
        let first = other.inputs.first().copied();
        let named = |value: Value| Value { name: format!("{prefix}{}", value.name), ..value };
        let ids: Vec<ValueId> = other
            .values
            .into_iter()
            .enumerate()
            .map(
                |(at, value)| {
                    if Some(ValueId(at)) == first { input } else { self.graph.add_value(named(value)) }
                },
            )
            .collect();
        let here = |id: ValueId| ids[id.0];
        self.graph.nodes.extend(other.nodes.into_iter().map(|node| Node {
            name: format!("{prefix}{}", node.name),
            inputs: node.inputs.into_iter().map(|id| id.map(here)).collect(),
            outputs: node.outputs.into_iter().map(here).collect(),
            op: node.op,
        }));
        self.graph.authored.extend(other.authored.into_iter().map(|(id, kind)| (here(id), kind)));
        other.outputs.into_iter().map(here).collect()
    }

    /// The shape of a value.
    pub fn shape(&self, id: ValueId) -> &[usize] {
        &self.graph.value(id).shape
    }

    /// The float elements of a constant; `None` if the value is computed or is not float.
    pub fn floats(&self, id: ValueId) -> Option<&[f32]> {
        self.graph.value(id).constant.as_ref()?.as_f32()
    }

    /// Renames a value.
    pub fn rename(&mut self, id: ValueId, name: &str) {
        self.graph.value_mut(id).name = name.into();
    }

    /// Adds an input of the model. An input of int64, the type of indices in frameworks on hosts, becomes
    /// int32: devices and TFLM look up by int32.
    pub fn input(&mut self, name: &str, shape: &[usize], dtype: DType) -> ValueId {
        let dtype = if dtype == DType::Int64 { DType::Int32 } else { dtype };
        let id = self.value(name, shape, dtype);
        self.graph.inputs.push(id);
        id
    }

    /// Adds a value that no node writes yet.
    pub fn value(&mut self, name: &str, shape: &[usize], dtype: DType) -> ValueId {
        let shape = shape.to_vec();
        self.graph.add_value(Value { name: name.into(), shape, dtype, quantization: None, constant: None })
    }

    /// Adds a constant.
    ///
    /// # Errors
    /// If the number of elements does not match the shape.
    pub fn constant(&mut self, name: &str, shape: &[usize], elements: Constant) -> Result<ValueId> {
        let wanted = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
        if wanted != Some(elements.len()) {
            return Err(Error::input(format!(
                "constant `{name}` of shape {shape:?} has {} elements",
                elements.len()
            ))
            .help(DAMAGED)
            .about(name));
        }
        let id = self.value(name, shape, elements.dtype());
        self.graph.value_mut(id).constant = Some(elements);
        Ok(id)
    }

    /// Adds a constant of float32.
    ///
    /// # Errors
    /// Like [`constant`](Builder::constant).
    pub fn float(&mut self, name: &str, shape: &[usize], elements: Vec<f32>) -> Result<ValueId> {
        self.constant(name, shape, Constant::F32(elements))
    }

    /// Adds a node and infers the shape of its result. The result has the type of the first operand, or int32
    /// for indices.
    ///
    /// # Errors
    /// If shapes or attributes contradict each other.
    pub fn op(&mut self, layer: &str, op: Op, inputs: &[ValueId]) -> Result<ValueId> {
        let inputs: Vec<Option<ValueId>> = inputs.iter().copied().map(Some).collect();
        self.op_optional(layer, op, inputs)
    }

    /// Like [`op`](Builder::op), with operands that may be absent.
    ///
    /// # Errors
    /// Like [`op`](Builder::op).
    pub fn op_optional(&mut self, layer: &str, op: Op, inputs: Vec<Option<ValueId>>) -> Result<ValueId> {
        let node = Node { name: layer.into(), op, inputs, outputs: Vec::new() };
        let shapes: Vec<Option<&[usize]>> =
            node.inputs.iter().map(|id| id.map(|id| self.graph.value(id).shape.as_slice())).collect();
        let shape = infer_shape(&node, &shapes)?;
        Ok(self.push(node, vec![shape])[0])
    }

    /// Both operands in one type of integers: devices have int32 where frameworks on hosts have int64.
    fn alike(&mut self, layer: &str, mut operands: [ValueId; 2]) -> Result<[ValueId; 2]> {
        let types = operands.map(|id| self.graph.value(id).dtype);
        if !matches!(types, [DType::Int32, DType::Int64] | [DType::Int64, DType::Int32]) {
            return Ok(operands);
        }
        for (id, dtype) in operands.iter_mut().zip(types) {
            if dtype != DType::Int64 {
                continue;
            }
            let value = self.graph.value(*id).clone();
            *id = match value.constant.as_ref().map(|constant| constant.to_i64().unwrap_or_default()) {
                Some(numbers) => {
                    let numbers = numbers.iter().map(|&n| n.clamp(i32::MIN.into(), i32::MAX.into()) as i32);
                    self.constant(&value.name, &value.shape, Constant::I32(numbers.collect()))?
                }
                None => self.cast(&format!("{layer}/int32"), *id, DType::Int32)?,
            };
        }
        Ok(operands)
    }

    /// Adds a comparison.
    ///
    /// # Errors
    /// Like [`op`](Builder::op).
    pub fn compare(&mut self, layer: &str, kind: CompareKind, a: ValueId, b: ValueId) -> Result<ValueId> {
        let operands = self.alike(layer, [a, b])?;
        self.op(layer, Op::Compare(Compare { kind, rounded: false }), &operands)
    }

    /// Adds a choice between the elements of two tensors.
    ///
    /// # Errors
    /// Like [`op`](Builder::op).
    pub fn select(&mut self, layer: &str, condition: ValueId, a: ValueId, b: ValueId) -> Result<ValueId> {
        let [a, b] = self.alike(layer, [a, b])?;
        self.op(layer, Op::Select, &[condition, a, b])
    }

    /// Adds a look-up by indices, which become int32.
    ///
    /// # Errors
    /// Like [`op`](Builder::op).
    pub fn look_up(&mut self, layer: &str, op: Op, data: ValueId, indices: ValueId) -> Result<ValueId> {
        let zero = self.constant(&format!("{layer}/zero"), &[], Constant::I32(vec![0]))?;
        let [indices, _] = self.alike(layer, [indices, zero])?;
        self.op(layer, op, &[data, indices])
    }

    /// Adds a tensor whose runs of elements are runs of some others, taken for one list: which ones is known now.
    ///
    /// # Errors
    /// If a number names no run, or the runs do not fill the shape.
    pub fn pick(
        &mut self,
        layer: &str,
        sources: &[ValueId],
        run: usize,
        picks: Vec<i32>,
        shape: &[usize],
    ) -> Result<ValueId> {
        let mut lists = Vec::new();
        for (number, &source) in sources.iter().enumerate() {
            let rows = self.shape(source).iter().product::<usize>() / run.max(1);
            lists.push(self.reshape(&format!("{layer}/runs_{number}"), source, &[rows, run])?);
        }
        let all = self.concat(&format!("{layer}/runs"), &lists, 0)?;
        let count = self.shape(all)[0];
        if picks.iter().any(|&pick| usize::try_from(pick).map_or(true, |pick| pick >= count)) {
            return Err(
                Error::input(format!("layer `{layer}` takes elements that are not there")).about(layer)
            );
        }
        let number = picks.len();
        let picks = self.constant(&format!("{layer}/picks"), &[number], Constant::I32(picks))?;
        let name = format!("{layer}/picked");
        let picked = self.op(&name, Op::Gather(Gather { axis: 0, batch_dims: 0 }), &[all, picks])?;
        self.reshape(layer, picked, shape)
    }

    /// Adds one triangle of each matrix, up to the diagonal that is so far to the right; the other becomes zero.
    ///
    /// # Errors
    /// If there is no matrix.
    pub fn triangle(&mut self, layer: &str, x: ValueId, diagonal: i64, upper: bool) -> Result<ValueId> {
        let &[.., rows, columns] = self.shape(x) else {
            return Err(Error::input(format!("layer `{layer}` reads no matrix")).about(layer));
        };
        let stays = |(i, j): (usize, usize)| {
            let right = (j as i64).saturating_sub(i as i64);
            if upper { right >= diagonal } else { right <= diagonal }
        };
        let places = (0..rows).flat_map(|i| (0..columns).map(move |j| (i, j)));
        let mask = Constant::Bool(places.map(stays).collect());
        let mask = self.constant(&format!("{layer}/triangle"), &[rows, columns], mask)?;
        let zero = self.float(&format!("{layer}/zero"), &[1], vec![0.0])?;
        self.select(layer, mask, x, zero)
    }

    /// Adds a choice between two numbers for each index and each of `depth` places along a new dimension. Negative indices
    /// count from the end where `negative`, else they are those of no place.
    ///
    /// # Errors
    /// Like [`op`](Builder::op).
    pub fn one_hot(
        &mut self,
        layer: &str,
        indices: ValueId,
        (depth, axis): (usize, usize),
        [on, off]: [ValueId; 2],
        negative: bool,
    ) -> Result<ValueId> {
        let mut shape = self.shape(indices).to_vec();
        shape.insert(axis, 1);
        let column = self.reshape(&format!("{layer}/indices"), indices, &shape)?;
        let mut places = vec![1; shape.len()];
        places[axis] = depth;
        let numbers = Constant::I32((0..depth as i32).collect());
        let numbers = self.constant(&format!("{layer}/places"), &places, numbers)?;
        let mut hot = self.compare(&format!("{layer}/hot"), CompareKind::Equal, column, numbers)?;
        if negative {
            let numbers = Constant::I32((0..depth as i32).map(|place| place - depth as i32).collect());
            let numbers = self.constant(&format!("{layer}/from_the_end"), &places, numbers)?;
            let other =
                self.compare(&format!("{layer}/hot_from_the_end"), CompareKind::Equal, column, numbers)?;
            hot = self.op(&format!("{layer}/either"), Op::Logic(LogicKind::Or), &[hot, other])?;
        }
        self.select(layer, hot, on, off)
    }

    /// Adds a conversion to another type.
    ///
    /// # Errors
    /// Like [`op`](Builder::op).
    pub fn cast(&mut self, layer: &str, x: ValueId, to: DType) -> Result<ValueId> {
        let y = self.op(layer, Op::Cast(Cast { stored: false }), &[x])?;
        self.graph.value_mut(y).dtype = to;
        Ok(y)
    }

    /// Adds a node with one result of this shape.
    ///
    /// # Errors
    /// If the shape does not fit.
    pub fn op_shaped(&mut self, layer: &str, op: Op, inputs: &[ValueId], shape: &[usize]) -> Result<ValueId> {
        Ok(self.op_many(layer, op, inputs.iter().copied().map(Some).collect(), vec![shape.to_vec()])?[0])
    }

    /// Adds a node with results of these shapes.
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn op_many(
        &mut self,
        layer: &str,
        op: Op,
        inputs: Vec<Option<ValueId>>,
        shapes: Vec<Vec<usize>>,
    ) -> Result<Vec<ValueId>> {
        let supported = !matches!(op, Op::Unsupported(_));
        let outputs = self.push(Node { name: layer.into(), op, inputs, outputs: Vec::new() }, shapes);
        if let (true, Some(node)) = (supported, self.graph.nodes.last()) {
            crate::reference::check_node(&self.graph, node)?;
        }
        Ok(outputs)
    }

    fn push(&mut self, mut node: Node, shapes: Vec<Vec<usize>>) -> Vec<ValueId> {
        let first = node.inputs.first().copied().flatten();
        let dtype = match node.op {
            Op::ArgMinMax(_) | Op::TreeEnsemble(_) => DType::Int32,
            Op::Dequantize => DType::Float32,
            Op::Compare(_) | Op::Logic(_) => DType::Bool,
            // Their first operand is the condition.
            Op::Choose(_) | Op::Select => {
                node.input(1).map_or(DType::Float32, |id| self.graph.value(id).dtype)
            }
            _ => first.map_or(DType::Float32, |id| self.graph.value(id).dtype),
        };
        for (position, shape) in shapes.into_iter().enumerate() {
            // Its second result are places.
            let dtype = if position == 1 && matches!(node.op, Op::TopK(_)) { DType::Int32 } else { dtype };
            let name = if position == 0 { node.name.clone() } else { format!("{}:{position}", node.name) };
            let id = self.value(&name, &shape, dtype);
            node.outputs.push(id);
        }
        let outputs = node.outputs.clone();
        self.graph.nodes.push(node);
        outputs
    }

    /// Adds a layer that Ferrolite cannot compute. It is kept so that all of them can be reported together.
    /// Its results have the shapes that the file states, or else that of its first operand.
    pub fn unsupported(
        &mut self,
        layer: &str,
        code: &str,
        reason: &str,
        inputs: &[ValueId],
        shapes: Vec<Vec<usize>>,
    ) -> Vec<ValueId> {
        let op = Op::Unsupported(Unsupported { code: code.into(), reason: reason.into() });
        let inputs = inputs.iter().copied().map(Some).collect();
        self.push(Node { name: layer.into(), op, inputs, outputs: Vec::new() }, shapes)
    }

    /// The same elements in another shape; the value itself if it already has that shape.
    ///
    /// # Errors
    /// If the number of elements differs.
    pub fn reshape(&mut self, layer: &str, x: ValueId, shape: &[usize]) -> Result<ValueId> {
        if self.shape(x) == shape {
            return Ok(x);
        }
        self.op_shaped(layer, Op::Reshape, &[x], shape)
    }

    /// The dimensions in another order; the value itself if the order does not change.
    ///
    /// # Errors
    /// If `permutation` is not a permutation of the value's dimensions.
    pub fn transpose(&mut self, layer: &str, x: ValueId, permutation: &[usize]) -> Result<ValueId> {
        if permutation.iter().copied().eq(0..self.shape(x).len()) {
            return Ok(x);
        }
        self.op(layer, Op::Transpose(Transpose { permutation: permutation.to_vec() }), &[x])
    }

    /// A function of one number.
    ///
    /// # Errors
    /// Never for values that this builder made.
    pub fn unary(&mut self, layer: &str, kind: UnaryKind, x: ValueId) -> Result<ValueId> {
        self.op(layer, Op::Unary(kind), &[x])
    }

    /// A function of two tensors, with broadcasting.
    ///
    /// # Errors
    /// If the shapes do not broadcast.
    pub fn binary(&mut self, layer: &str, kind: BinaryKind, a: ValueId, b: ValueId) -> Result<ValueId> {
        let operands = self.alike(layer, [a, b])?;
        self.op(layer, Op::Binary(Binary { kind, activation: Activation::None }), &operands)
    }

    /// A function of a tensor and a number.
    ///
    /// # Errors
    /// Never for values that this builder made.
    pub fn binary_scalar(&mut self, layer: &str, kind: BinaryKind, a: ValueId, b: f32) -> Result<ValueId> {
        let b = self.float(&format!("{layer}/value"), &[1], vec![b])?;
        self.binary(layer, kind, a, b)
    }

    /// Mean, sum, maximum or minimum over some axes.
    ///
    /// # Errors
    /// If an axis does not exist.
    pub fn reduce(
        &mut self,
        layer: &str,
        kind: ReduceKind,
        x: ValueId,
        axes: &[usize],
        keep_dims: bool,
    ) -> Result<ValueId> {
        let mut axes = axes.to_vec();
        axes.sort_unstable();
        axes.dedup();
        self.op(layer, Op::Reduce(Reduce { kind, axes, keep_dims }), &[x])
    }

    /// Product of the elements over some axes: of the first and the second half, and so on, so that there are few layers.
    ///
    /// # Errors
    /// If an axis does not exist.
    pub fn product(&mut self, layer: &str, x: ValueId, axes: &[usize], keep_dims: bool) -> Result<ValueId> {
        let shape = self.shape(x).to_vec();
        if axes.iter().any(|&axis| axis >= shape.len()) {
            return Err(Error::input(format!("layer `{layer}`: no axes {axes:?} in a shape of {shape:?}")));
        }
        let (over, kept): (Vec<usize>, Vec<usize>) = (0..shape.len()).partition(|d| axes.contains(d));
        let size = |dims: &[usize]| dims.iter().map(|&d| shape[d]).product::<usize>();
        let (rows, mut left) = (size(&kept), size(&over));
        let result: Vec<usize> = match keep_dims {
            true => (0..shape.len()).map(|d| if over.contains(&d) { 1 } else { shape[d] }).collect(),
            false => kept.iter().map(|&d| shape[d]).collect(),
        };
        let order = [kept, over].concat();
        let mut y = x;
        if !order.is_sorted() {
            y = self.transpose(&format!("{layer}/order"), y, &order)?;
        }
        y = self.reshape(&format!("{layer}/rows"), y, &[rows, left])?;
        while left > 1 {
            let half = left / 2;
            let mut cut = |word: &str, from: usize, size: usize| {
                let slice = Slice { begin: vec![0, from], size: vec![rows, size], stride: vec![1, 1] };
                self.op(&format!("{layer}/{word}_{left}"), Op::Slice(slice), &[y])
            };
            let (a, b) = (cut("first", 0, half)?, cut("second", half, half)?);
            let rest = if left % 2 == 1 { Some(cut("rest", 2 * half, 1)?) } else { None };
            y = self.binary(&format!("{layer}/product_{left}"), BinaryKind::Mul, a, b)?;
            if let Some(rest) = rest {
                y = self.concat(&format!("{layer}/joined_{left}"), &[y, rest], 1)?;
            }
            left = half + left % 2;
        }
        self.op_shaped(layer, Op::Reshape, &[y], &result)
    }

    /// The largest or smallest elements along `axis`, in order, and their places.
    ///
    /// # Errors
    /// If there are not so many.
    pub fn top_k(&mut self, layer: &str, x: ValueId, axis: usize, op: TopK) -> Result<Vec<ValueId>> {
        let mut shape = self.shape(x).to_vec();
        let last = shape.len().saturating_sub(1);
        if axis == last {
            shape[last] = op.count;
            return self.op_many(layer, Op::TopK(op), vec![Some(x)], vec![shape.clone(), shape]);
        }
        // The axis and the last dimension change places, and back.
        let mut order: Vec<usize> = (0..shape.len()).collect();
        order.swap(axis, last);
        let turned = self.transpose(&format!("{layer}/last"), x, &order)?;
        let found = self.top_k(&format!("{layer}/found"), turned, last, op)?;
        let names = [layer.to_string(), format!("{layer}:1")];
        found.into_iter().zip(names).map(|(id, name)| self.transpose(&name, id, &order)).collect()
    }

    /// Concatenates inputs along `axis`.
    ///
    /// # Errors
    /// If the other dimensions differ.
    pub fn concat(&mut self, layer: &str, inputs: &[ValueId], axis: usize) -> Result<ValueId> {
        if let &[one] = inputs {
            return Ok(one);
        }
        self.op(layer, Op::Concat(Concat { axis, activation: Activation::None }), inputs)
    }

    /// Extends a dimension at both ends by its elements in reverse, without the `skipped` outermost ones.
    ///
    /// # Errors
    /// If the dimension has too few elements.
    pub fn mirror(
        &mut self,
        layer: &str,
        x: ValueId,
        axis: usize,
        amounts: (usize, usize),
        skipped: usize,
    ) -> Result<ValueId> {
        let shape = self.shape(x).to_vec();
        let size = shape.get(axis).copied().unwrap_or(0);
        let (before, after) = amounts;
        if before.max(after).saturating_add(skipped) > size {
            return Err(Error::input(format!(
                "layer `{layer}`: {before} and {after} mirrored elements of a dimension of {size}"
            ))
            .about(layer));
        }
        let mut parts = vec![x];
        for (count, first, word) in [
            (before, (before + skipped).wrapping_sub(1), "before"),
            (after, (size - skipped).wrapping_sub(1), "after"),
        ] {
            if count == 0 {
                continue;
            }
            let (mut begin, mut size, mut stride) =
                (vec![0; shape.len()], shape.clone(), vec![1; shape.len()]);
            (begin[axis], size[axis]) = (first, count);
            stride[axis] = if count > 1 { -1 } else { 1 };
            let part = self.op(&format!("{layer}/{word}"), Op::Slice(Slice { begin, size, stride }), &[x])?;
            parts.insert(if word == "before" { 0 } else { parts.len() }, part);
        }
        self.concat(layer, &parts, axis)
    }

    /// Softmax over any dimension.
    ///
    /// # Errors
    /// If the axis does not exist.
    pub fn softmax(&mut self, layer: &str, x: ValueId, axis: usize) -> Result<ValueId> {
        self.over_last(layer, Op::Softmax(Softmax { beta: 1.0 }), x, axis)
    }

    /// Applies an operator that works over the last dimension to another one.
    ///
    /// # Errors
    /// If the axis does not exist.
    pub fn over_last(&mut self, layer: &str, op: Op, x: ValueId, axis: usize) -> Result<ValueId> {
        let rank = self.shape(x).len();
        if axis + 1 == rank {
            return self.op(layer, op, &[x]);
        }
        // An exchange of two dimensions is its own inverse.
        let mut exchange: Vec<usize> = (0..rank).collect();
        if axis >= rank {
            return Err(Error::input(format!(
                "layer `{layer}`: axis {axis} of a tensor of {rank} dimensions"
            ))
            .about(layer));
        }
        exchange.swap(axis, rank - 1);
        let moved = self.transpose(&format!("{layer}/transpose"), x, &exchange)?;
        let done = self.op(&format!("{layer}/{}", op.name().to_lowercase()), op, &[moved])?;
        self.transpose(layer, done, &exchange)
    }

    /// Convolution of an image `[n, h, w, c]` with a filter `[out, kh, kw, c / groups]`.
    ///
    /// # Errors
    /// If filter, bias and window do not fit.
    pub fn conv2d(
        &mut self,
        layer: &str,
        x: ValueId,
        filter: ValueId,
        bias: Option<ValueId>,
        window: Window,
    ) -> Result<ValueId> {
        let op = Op::Conv2d(Conv2d { window, activation: Activation::None });
        self.op_optional(layer, op, vec![Some(x), Some(filter), bias])
    }

    /// Depthwise convolution of an image with a filter `[1, kh, kw, c * multiplier]`.
    ///
    /// # Errors
    /// If filter, bias and window do not fit.
    pub fn depthwise_conv2d(
        &mut self,
        layer: &str,
        x: ValueId,
        filter: ValueId,
        bias: Option<ValueId>,
        window: Window,
    ) -> Result<ValueId> {
        let channels = self.shape(x).last().copied().unwrap_or(1).max(1);
        let multiplier = self.shape(filter).last().copied().unwrap_or(1) / channels;
        let op = Op::DepthwiseConv2d(DepthwiseConv2d { window, multiplier, activation: Activation::None });
        self.op_optional(layer, op, vec![Some(x), Some(filter), bias])
    }

    /// Transposed convolution of an image with a filter `[out, kh, kw, c]` to an image of `size`.
    ///
    /// # Errors
    /// If filter, bias and window do not fit.
    pub fn transpose_conv(
        &mut self,
        layer: &str,
        x: ValueId,
        filter: ValueId,
        bias: Option<ValueId>,
        window: Window,
        size: [usize; 2],
    ) -> Result<ValueId> {
        let op = Op::TransposeConv(TransposeConv { window, activation: Activation::None });
        let (n, out) = (self.shape(x).first().copied(), self.shape(filter).first().copied());
        let shape = vec![n.unwrap_or(1), size[0], size[1], out.unwrap_or(1)];
        Ok(self.op_many(layer, op, vec![Some(x), Some(filter), bias], vec![shape])?[0])
    }

    /// Dense layer over the last dimension with weights `[outputs, inputs]`.
    ///
    /// # Errors
    /// If weights and bias do not fit.
    pub fn dense(
        &mut self,
        layer: &str,
        x: ValueId,
        weights: ValueId,
        bias: Option<ValueId>,
    ) -> Result<ValueId> {
        let op = Op::FullyConnected(FullyConnected { activation: Activation::None });
        self.op_optional(layer, op, vec![Some(x), Some(weights), bias])
    }

    /// Pooling of an image.
    ///
    /// # Errors
    /// If the window does not fit.
    pub fn pool(&mut self, layer: &str, kind: PoolKind, x: ValueId, window: Window) -> Result<ValueId> {
        self.op(layer, Op::Pool2d(Pool2d { kind, window, activation: Activation::None }), &[x])
    }

    /// Batch norm over the last dimension at inference time:
    /// `(x - mean) * gamma / sqrt(variance + epsilon) + beta`, as a product and a sum, which the
    /// passes fold into the layer before.
    ///
    /// # Errors
    /// If the parameters do not have one element per channel.
    pub fn batch_norm(&mut self, layer: &str, x: ValueId, norm: &BatchNorm) -> Result<ValueId> {
        let channels = self.shape(x).last().copied().unwrap_or(1);
        let lengths = [&norm.gamma, &norm.beta, &norm.mean, &norm.variance].map(Vec::len);
        if lengths.iter().any(|&n| n != channels) {
            return Err(Error::input(format!(
                "layer `{layer}`: batch norm parameters of {lengths:?} elements for {channels} channels"
            ))
            .about(layer));
        }
        let scale: Vec<f64> = (0..channels)
            .map(|c| {
                f64::from(norm.gamma[c]) / (f64::from(norm.variance[c]) + f64::from(norm.epsilon)).sqrt()
            })
            .collect();
        let shift = (0..channels)
            .map(|c| (f64::from(norm.beta[c]) - f64::from(norm.mean[c]) * scale[c]) as f32)
            .collect();
        let scale = scale.into_iter().map(|s| s as f32).collect();
        let scale = self.float(&format!("{layer}/scale"), &[channels], scale)?;
        let shift = self.float(&format!("{layer}/shift"), &[channels], shift)?;
        let scaled = self.binary(&format!("{layer}/mul"), BinaryKind::Mul, x, scale)?;
        self.binary(layer, BinaryKind::Add, scaled, shift)
    }

    /// `(x - mean) / sqrt(variance + epsilon) * gamma + beta`, mean and variance over `axes`; `gamma` and
    /// `beta` broadcast against the input.
    ///
    /// # Errors
    /// If axes or parameters do not fit.
    pub fn normalize(
        &mut self,
        layer: &str,
        x: ValueId,
        axes: &[usize],
        epsilon: f32,
        gamma: Option<ValueId>,
        beta: Option<ValueId>,
    ) -> Result<ValueId> {
        let part = |word: &str| format!("{layer}/{word}");
        let mean = self.reduce(&part("mean"), ReduceKind::Mean, x, axes, true)?;
        let squares = self.binary(&part("squared_difference"), BinaryKind::SquaredDifference, x, mean)?;
        let variance = self.reduce(&part("variance"), ReduceKind::Mean, squares, axes, true)?;
        let stable = self.binary_scalar(&part("add_epsilon"), BinaryKind::Add, variance, epsilon)?;
        let inverse = self.unary(&part("rsqrt"), UnaryKind::Rsqrt, stable)?;
        let centred = self.binary(&part("sub"), BinaryKind::Sub, x, mean)?;
        let mut result = self.binary(&part("normalized"), BinaryKind::Mul, centred, inverse)?;
        if let Some(gamma) = gamma {
            result = self.binary(&part("mul_gamma"), BinaryKind::Mul, result, gamma)?;
        }
        if let Some(beta) = beta {
            result = self.binary(&part("add_beta"), BinaryKind::Add, result, beta)?;
        }
        self.name_last(layer, result);
        Ok(result)
    }

    /// A recurrent layer in one direction. Returns the sequence, the last hidden state and, for an LSTM, the
    /// last cell state. `operands` are as documented for `Op::Recurrent`.
    ///
    /// # Errors
    /// If the operands do not fit.
    pub fn recurrent(
        &mut self,
        layer: &str,
        attributes: Recurrent,
        operands: Vec<Option<ValueId>>,
    ) -> Result<Vec<ValueId>> {
        let shape = |position: usize| {
            operands.get(position).copied().flatten().map(|id| self.graph.value(id).shape.as_slice())
        };
        let (Some(&[batch, steps, _]), Some(&[_, units])) = (shape(0), shape(2)) else {
            return Err(Error::input(format!(
                "layer `{layer}`: operands of shapes {:?} and {:?} for a recurrent layer",
                shape(0),
                shape(2)
            ))
            .about(layer));
        };
        let mut shapes = vec![vec![batch, steps, units], vec![batch, units]];
        if attributes.cell == crate::graph::Cell::Lstm {
            shapes.push(vec![batch, units]);
        }
        self.op_many(layer, Op::Recurrent(attributes), operands, shapes)
    }

    /// Gives the layer's own name to the node that computes `id`, and to its value.
    pub fn name_last(&mut self, layer: &str, id: ValueId) {
        self.rename(id, layer);
        if let Some(node) = self.graph.nodes.iter_mut().rev().find(|node| node.outputs.contains(&id)) {
            node.name = layer.into();
        }
    }
}

/// Parameters of a batch norm, one element per channel.
pub struct BatchNorm {
    /// Scale; ones if the layer has none.
    pub gamma: Vec<f32>,
    /// Offset; zeros if the layer has none.
    pub beta: Vec<f32>,
    /// Moving mean.
    pub mean: Vec<f32>,
    /// Moving variance.
    pub variance: Vec<f32>,
    /// Added to the variance.
    pub epsilon: f32,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Padding;
    use crate::reference::Executor;

    #[test]
    fn shapes_follow_and_contradictions_name_the_layer() {
        let mut b = Builder::new("net");
        let x = b.input("x", &[1, 4, 4, 2], DType::Float32);
        let filter = b.float("filter", &[3, 3, 3, 2], vec![0.1; 54]).unwrap();
        let geometry = Window::over([4, 4], [3, 3], [2, 2], [1, 1], [Padding::Same; 2]);
        let y = b.conv2d("conv", x, filter, None, geometry).unwrap();
        assert_eq!(b.shape(y), [1, 2, 2, 3]);
        let z = b.softmax("scores", y, 1).unwrap();
        assert_eq!(b.shape(z), [1, 2, 2, 3]);
        let weights = b.float("weights", &[7, 5], vec![0.0; 35]).unwrap();
        let error = b.dense("head", z, weights, None).unwrap_err();
        assert!(error.message.contains("`head`"), "{error}");
        assert!(b.float("short", &[2], vec![0.0]).is_err());
    }

    #[test]
    fn normalization_is_what_its_name_says() {
        let mut b = Builder::new("net");
        let x = b.input("x", &[2, 4], DType::Float32);
        let gamma = b.float("gamma", &[4], vec![1.0, 2.0, 1.0, 1.0]).unwrap();
        let y = b.normalize("norm", x, &[1], 0.0, Some(gamma), None).unwrap();
        let graph = b.finish(vec![y]);
        assert_eq!(graph.nodes.last().map(|n| n.name.as_str()), Some("norm"));
        let out = Executor::new(&graph).unwrap().run(&[&[1., 2., 3., 4., 0., 0., 0., 4.]]).unwrap();
        let r = (1.25f32).sqrt();
        for (a, b) in out[0].iter().zip([-1.5 / r, -1.0 / r, 0.5 / r, 1.5 / r]) {
            assert!((a - b).abs() < 1e-6, "{out:?}");
        }
    }
}
