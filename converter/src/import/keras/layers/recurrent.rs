//! Recurrent layers. Keras's kernels `[features, gates]` become `[gates, features]`. The order of the gates
//! is the graph's.
//!
//! A layer that walks backwards returns its sequence in the order in which it was computed; within
//! Bidirectional, in the order of the steps.

use serde_json::Value as Json;

use super::activation;
use super::context::Context;
use super::masks;
use crate::error::Result;
use crate::graph::{BinaryKind, Cell, Constant, DType, Op, Recurrent, Slice, State, ValueId};
use crate::import::keras::calls::{Arg, Call};
use crate::import::keras::network::Layer;
use crate::import::keras::run::Translation;
use crate::import::refusal::{Refusal, unsupported};

/// The results of a layer in one direction.
struct Direction {
    /// `[batch, steps, units]`, or `[steps, batch, units]`, each result at the index of its step.
    sequence: ValueId,
    /// The dimension of steps.
    axis: usize,
    /// Index in the sequence of the step that is computed last.
    last: usize,
    /// States after the last step, those of an LSTM hidden state first, cell by cell.
    states: Vec<ValueId>,
}

/// A recurrent layer in one direction.
pub fn layer(context: &mut Context) -> Translation {
    let (x, states) = operands(context)?;
    let reverse = context.config().bool_or("go_backwards", false)?;
    let zero = context.config().bool_or("zero_output_for_mask", false)?;
    let direction = direction(context, x, &states, zero)?;
    let mut results = vec![match context.config().bool_or("return_sequences", false)? {
        true if reverse => flipped(context, &direction)?,
        true => direction.sequence,
        false => last(context, &direction)?,
    }];
    if context.config().bool_or("return_state", false)? {
        results.extend(direction.states);
    }
    Ok(results)
}

/// The layers whose variables are those of a cell: the layer itself, or the cells of an RNN, which follow one another
/// within a step.
fn cells(layer: &Layer) -> Result<Vec<&Layer>, Refusal> {
    let cells = match (layer.class.as_str(), layer.children.first()) {
        ("RNN", Some((_, stack))) if stack.class == "StackedRNNCells" => {
            stack.children.iter().map(|(_, cell)| cell).collect()
        }
        ("RNN", Some((_, cell))) => vec![cell],
        _ => vec![layer],
    };
    for cell in &cells {
        if kind(cell).is_none() {
            return unsupported(format!(
                "of a cell {}; LSTMCell, GRUCell and SimpleRNNCell are known",
                cell.class
            ));
        }
    }
    Ok(cells)
}

/// The kind of cell that a layer or a cell has.
fn kind(cell: &Layer) -> Option<&str> {
    let class = cell.class.strip_suffix("Cell").unwrap_or(&cell.class);
    ["LSTM", "GRU", "SimpleRNN"].into_iter().find(|known| *known == class)
}

/// The sequence and the initial states that a layer is called with.
fn operands(context: &Context) -> Result<(ValueId, Vec<ValueId>)> {
    let inputs = context.inputs();
    let (&x, states) = inputs.split_first().ok_or_else(|| context.broken("it is called with no tensor"))?;
    if context.shape(x).len() != 3 {
        return Err(context.broken(format!("an input of shape {:?}", context.shape(x))));
    }
    Ok((x, states.to_vec()))
}

/// Adds the layer. With `zero_masked`, steps that its mask leaves out give zero.
fn direction(
    context: &mut Context,
    x: ValueId,
    states: &[ValueId],
    zero_masked: bool,
) -> Result<Direction, Refusal> {
    let mask = masks::read(context, x)?;
    let config = context.config();
    let time_major = config.bool_or("time_major", false)?;
    let stateful = config.bool_or("stateful", false)?;
    if stateful && !states.is_empty() {
        return unsupported("`stateful` with initial states: leave one of them out");
    }
    let returns = config.bool_or("return_state", false)?;
    let reverse = config.bool_or("go_backwards", false)?;
    let cells = cells(context.layer)?;
    let wanted: usize = cells.iter().map(|cell| states_of(cell)).sum();
    if !states.is_empty() && states.len() != wanted {
        return Err(context.broken(format!("{} initial states, expected {wanted}", states.len())).into());
    }
    let axis = usize::from(!time_major);
    let steps = context.shape(x)[axis];
    let mut direction =
        Direction { sequence: x, axis, last: if reverse { 0 } else { steps - 1 }, states: Vec::new() };
    let (mut given, outer) = (states, context.name);
    for (number, &cell) in cells.iter().enumerate() {
        let is_last = number + 1 == cells.len();
        let name = if is_last { outer.to_string() } else { context.part(&cell.name) };
        let (own, rest) = given.split_at(states_of(cell).min(given.len()));
        given = rest;
        let run = &mut *context.run;
        let mut within = Context {
            run,
            layer: cell,
            name: &name,
            call: context.call,
            mask: context.mask,
            masks: Vec::new(),
        };
        let form = Form { reverse, time_major, stateful, returns, mask, zero_masked: zero_masked && is_last };
        let after = add(&mut within, &mut direction, own, &form)?;
        direction.states.extend(after);
    }
    Ok(direction)
}

/// How many states a cell has.
fn states_of(cell: &Layer) -> usize {
    if kind(cell) == Some("LSTM") { 2 } else { 1 }
}

/// What a layer says of all of its cells.
struct Form {
    reverse: bool,
    time_major: bool,
    stateful: bool,
    returns: bool,
    mask: Option<ValueId>,
    zero_masked: bool,
}

/// Adds the cell of this context, over all steps of the sequence so far, which its results replace. Returns its last states,
/// if the layer does.
fn add(
    context: &mut Context,
    direction: &mut Direction,
    states: &[ValueId],
    form: &Form,
) -> Result<Vec<ValueId>, Refusal> {
    let (x, mask, config, keras) = (direction.sequence, form.mask, context.config(), context.run.keras);
    // If a layer of Keras 2 does not state it, the reset gate acts before the product.
    let cell = match kind(context.layer) {
        Some("LSTM") => Cell::Lstm,
        Some("GRU") => Cell::Gru { reset_after: config.bool_or("reset_after", keras >= 3)? },
        _ => Cell::Simple,
    };
    let function = |key: &str, default: &str| {
        let value = config.get(key).cloned().unwrap_or_else(|| Json::String(default.into()));
        activation::unary(Some(&value), keras)
    };
    // No activation is written as null or as `linear`.
    let activation = function("activation", "linear")?;
    let gate_activation = match cell {
        Cell::Simple => activation,
        _ => function("recurrent_activation", "linear")?,
    };
    let attributes = Recurrent {
        cell,
        activation,
        gate_activation,
        output_activation: activation,
        reverse: form.reverse,
        cell_clip: 0.0,
        sum_clip: 0.0,
        time_major: form.time_major,
        zero_masked: form.zero_masked && mask.is_some(),
        integer: None,
    };
    let units = config.usize("units")?;
    let rows = units.checked_mul(cell.gates()).ok_or_else(|| context.broken("too many units"))?;
    let &[first, second, features] = context.shape(x).as_slice() else {
        return Err(context.broken("its input is not a sequence").into());
    };
    let batch = if form.time_major { second } else { first };
    let weights = context.permuted("kernel", &[features, rows], &[1, 0], &[rows, features])?;
    let recurrent = context.permuted("recurrent_kernel", &[units, rows], &[1, 0], &[rows, units])?;
    let (mut bias, mut recurrent_bias) = (None, None);
    if context.has("bias") {
        if cell == (Cell::Gru { reset_after: true }) {
            let layer = context.layer;
            let half = |part: usize| {
                move |run: &crate::import::keras::run::Run| -> Result<Vec<f32>> {
                    let both = run.variable(layer, "bias", &[2, rows])?;
                    Ok(both.chunks(rows).nth(part).unwrap_or_default().to_vec())
                }
            };
            bias = Some(context.run.once(layer, "bias", &[rows], half(0))?);
            recurrent_bias = Some(context.run.once(layer, "recurrent_bias", &[rows], half(1))?);
        } else {
            bias = Some(context.variable("bias", &[rows])?);
        }
    }
    let mut states = states.to_vec();
    if form.stateful {
        // What the inference before has left.
        for word in ["hidden", "cell"].into_iter().take(states_of(context.layer)) {
            let name = format!("{}/{word}", context.name);
            states.push(context.run.builder.value(&name, &[batch, units], DType::Float32));
        }
    }
    let hidden = states.first().copied();
    let initial = states.get(1).copied();
    let operands = vec![Some(x), Some(weights), Some(recurrent), bias, recurrent_bias, hidden, initial, mask];
    // States are results only if the layer returns them. Without a mask the hidden one is the last result.
    let keeps = form.returns && (cell == Cell::Lstm || mask.is_some());
    let mut shapes = vec![vec![first, second, units]];
    if keeps || form.stateful {
        shapes.extend(vec![vec![batch, units]; states_of(context.layer)]);
    }
    let results = context.run.builder.op_many(context.name, Op::Recurrent(attributes), operands, shapes)?;
    if form.stateful {
        for (&value, &next) in states.iter().zip(results.iter().skip(1)) {
            let graph = context.run.builder.graph_mut();
            let name = graph.value(value).name.clone();
            let initial = Constant::F32(vec![0.0; batch * units]);
            graph.states.push(State { name, value, initial, next, from: 0 });
        }
    }
    direction.sequence = results.first().copied().ok_or_else(|| context.broken("it has no result"))?;
    if !form.returns {
        return Ok(Vec::new());
    }
    let hidden = match results.get(1).filter(|_| mask.is_some()) {
        Some(&hidden) => hidden,
        None => last(context, direction)?,
    };
    Ok(std::iter::once(hidden).chain(results.get(2).copied()).collect())
}

/// The result of the last step.
fn last(context: &mut Context, direction: &Direction) -> Result<ValueId> {
    let (x, shape) = (direction.sequence, context.shape(direction.sequence));
    let (mut begin, mut size) = (vec![0; 3], shape.clone());
    begin[direction.axis] = direction.last;
    size[direction.axis] = 1;
    let op = Op::Slice(Slice { begin, size, stride: vec![1, 1, 1] });
    let name = context.part("last_step");
    context.run.builder.op_shaped(&name, op, &[x], &[shape[1 - direction.axis], shape[2]])
}

/// The sequence with its steps from the last to the first.
fn flipped(context: &mut Context, direction: &Direction) -> Result<ValueId> {
    let size = context.shape(direction.sequence);
    let (mut begin, mut stride) = (vec![0; 3], vec![1; 3]);
    begin[direction.axis] = size[direction.axis] - 1;
    stride[direction.axis] = -1;
    let op = Op::Slice(Slice { begin, size, stride });
    let name = context.part("reversed");
    context.run.builder.op(&name, op, &[direction.sequence])
}

/// A layer in both directions.
pub fn bidirectional(context: &mut Context) -> Translation {
    let (x, states) = operands(context)?;
    let (layer, mask) = (context.layer, context.mask);
    let [(_, forward), (_, backward)] = layer.children.as_slice() else {
        return Err(context.broken("it wraps no layer").into());
    };
    for inner in [forward, backward] {
        if !["LSTM", "GRU", "SimpleRNN", "RNN"].contains(&inner.class.as_str()) {
            return unsupported(format!("of a layer {}", inner.class));
        }
    }
    let sequences = forward.config.bool_or("return_sequences", false)?;
    let returns_states = forward.config.bool_or("return_state", false)?;
    let half = states.len() / 2;
    if states.len() % 2 != 0 {
        return Err(context.broken(format!("{} initial states", states.len())).into());
    }
    let no_call = Call { args: Vec::<Arg<ValueId>>::new(), named: Vec::new() };
    let (mut results, mut returned) = (Vec::new(), Vec::new());
    for (inner, word, states) in
        [(forward, "forward", &states[..half]), (backward, "backward", &states[half..])]
    {
        let name = context.part(word);
        let mut within =
            Context { run: context.run, layer: inner, name: &name, call: &no_call, mask, masks: Vec::new() };
        // As Keras has it, whatever the layers within say.
        let direction = direction(&mut within, x, states, sequences)?;
        results.push(if sequences { direction.sequence } else { last(&mut within, &direction)? });
        if returns_states {
            returned.extend(direction.states);
        }
    }
    // With `null`, the two results stay separate.
    let mode = context.config().str_or("merge_mode", "")?.to_owned();
    let (name, axis) = (context.name, if sequences { 2 } else { 1 });
    let builder = &mut context.run.builder;
    let (a, b) = (results[0], results[1]);
    let merged = match mode.as_str() {
        "" => results,
        "concat" => vec![builder.concat(name, &results, axis)?],
        "sum" => vec![builder.binary(name, BinaryKind::Add, a, b)?],
        "mul" => vec![builder.binary(name, BinaryKind::Mul, a, b)?],
        "ave" => {
            let sum = builder.binary(&format!("{name}/sum"), BinaryKind::Add, a, b)?;
            vec![builder.binary_scalar(name, BinaryKind::Mul, sum, 0.5)?]
        }
        other => return unsupported(format!("merge_mode `{other}`")),
    };
    Ok(merged.into_iter().chain(returned).collect())
}
