//! LSTM, GRU and RNN: one recurrent layer of the graph for each direction.
//!
//! ONNX orders the LSTM's gates as input, output, forget, cell; the graph as input, forget, cell, output. The
//! GRU's gates have the same order in both (update, reset, candidate). In ONNX, sequences are `[steps, batch,
//! ..]` (`layout` 0), and results have a dimension for the directions; in the graph, sequences are `[batch,
//! steps, ..]`.

use std::rc::Rc;

use super::known::Known;
use super::layer::{Layer, Translation};
use super::movement;
use super::net::Slot;
use crate::graph::{Cell, CompareKind, Constant, Recurrent, UnaryKind, ValueId};
use crate::import::damaged::damaged;
use crate::import::refusal::{Refusal, unsupported};

pub(super) fn lstm(l: &mut Layer<'_>) -> Translation {
    translate(l, Cell::Lstm, &["Sigmoid", "Tanh", "Tanh"])
}

pub(super) fn gru(l: &mut Layer<'_>) -> Translation {
    let reset_after = l.int("linear_before_reset", 0) != 0;
    translate(l, Cell::Gru { reset_after }, &["Sigmoid", "Tanh"])
}

pub(super) fn rnn(l: &mut Layer<'_>) -> Translation {
    translate(l, Cell::Simple, &["Tanh"])
}

/// The functions of one direction, with their parameters; `default` are the names if the file has none.
fn functions(l: &Layer<'_>, default: &[&str], direction: usize) -> Result<Vec<UnaryKind>, Refusal> {
    let count = default.len();
    let names = l.texts("activations");
    let names: Vec<String> = match names.get(direction * count..(direction + 1) * count) {
        Some(names) => names.to_vec(),
        None if names.is_empty() => default.iter().map(ToString::to_string).collect(),
        None => return unsupported(format!("activations {names:?}")),
    };
    // Parameters are in separate lists. The functions of all directions take theirs in turn, and those without any take none,
    // as in ONNX Runtime (`core/providers/cpu/rnn/rnn_helpers.cc`).
    let [alphas, betas] =
        ["activation_alpha", "activation_beta"].map(|name| l.float_list(name).unwrap_or_default());
    let before = l.texts("activations").into_iter().take(direction * count).collect::<Vec<_>>();
    let taken =
        |parameters: fn(&str) -> bool| before.iter().filter(|name| parameters(&name.to_lowercase())).count();
    let (mut alphas, mut betas) =
        (alphas.into_iter().skip(taken(has_alpha)), betas.into_iter().skip(taken(has_beta)));
    let mut kinds = Vec::with_capacity(count);
    for name in &names {
        let word = name.to_lowercase();
        let own = has_alpha(&word).then(|| alphas.next()).flatten();
        let alpha = |default: f32| own.unwrap_or(default);
        let own = has_beta(&word).then(|| betas.next()).flatten();
        let beta = |default: f32| own.unwrap_or(default);
        kinds.push(match word.as_str() {
            "affine" => UnaryKind::Affine { alpha: alpha(1.0), beta: beta(0.0) },
            "scaledtanh" => UnaryKind::ScaledTanh { alpha: alpha(1.0), beta: beta(1.0) },
            "sigmoid" => UnaryKind::Logistic,
            "tanh" => UnaryKind::Tanh,
            "relu" => UnaryKind::Relu,
            "leakyrelu" => UnaryKind::LeakyRelu { alpha: alpha(0.01) },
            "thresholdedrelu" => UnaryKind::Threshold { threshold: alpha(1.0), value: 0.0 },
            "hardsigmoid" => UnaryKind::HardSigmoid { alpha: alpha(0.2), beta: beta(0.5) },
            "elu" => UnaryKind::Elu { alpha: alpha(1.0) },
            "softsign" => UnaryKind::Softsign,
            "softplus" => UnaryKind::Softplus,
            _ => return unsupported(format!("activation {name}")),
        });
    }
    Ok(kinds)
}

/// Whether a function has a first parameter.
fn has_alpha(name: &str) -> bool {
    has_beta(name) || ["leakyrelu", "thresholdedrelu", "elu"].contains(&name)
}

/// Whether a function has a second parameter.
fn has_beta(name: &str) -> bool {
    ["affine", "scaledtanh", "hardsigmoid"].contains(&name)
}

/// Reorders blocks of `units` rows of a matrix, or elements of a list.
fn blocks(known: &Known, order: &[usize], units: usize) -> Known {
    let rows: Vec<usize> = order.iter().flat_map(|&gate| gate * units..(gate + 1) * units).collect();
    known.gathered(0, &rows, &[rows.len()])
}

/// The second of blocks of so many numbers becomes the first one with the other sign.
fn one_gate(known: &Known, count: usize) -> Known {
    let mut numbers = known.to_floats();
    if let Some((first, rest)) = numbers.split_at_mut_checked(count) {
        rest.iter_mut().zip(first).for_each(|(forget, input)| *forget = -*input);
    }
    Known::new(known.name.clone(), known.shape.clone(), Constant::F32(numbers))
}

fn broken<T>(what: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::Broken(damaged(what)))
}

fn translate(l: &mut Layer<'_>, cell: Cell, default: &[&str]) -> Translation {
    let (mut x, w, r) = (l.value(0)?, l.require(1, "weights")?, l.require(2, "recurrent weights")?);
    let batch_first = l.int("layout", 0) == 1;
    let (&[d0, d1, features], &[directions, rows, depth], &[_, _, units]) =
        (l.net.b.shape(x), w.shape.as_slice(), r.shape.as_slice())
    else {
        return broken(format!("weights of shapes {:?} and {:?}", w.shape, r.shape));
    };
    let (steps, batch) = if batch_first { (d1, d0) } else { (d0, d1) };
    let gates = cell.gates();
    let reverse = match l.text("direction", "forward").as_str() {
        "forward" => vec![false],
        "reverse" => vec![true],
        "bidirectional" => vec![false, true],
        other => return unsupported(format!("direction {other}")),
    };
    if rows != gates * units
        || depth != features
        || r.shape != [directions, rows, units]
        || directions != reverse.len()
    {
        return broken(format!(
            "weights of shapes {:?} and {:?} for {features} features and {} directions",
            w.shape,
            r.shape,
            reverse.len()
        ));
    }
    let sum_clip = if l.has("clip") { l.float("clip", 0.0) } else { 0.0 };
    // The forget gate is one minus the input gate: a logistic function of the number with the other sign.
    let coupled = cell == Cell::Lstm && l.int("input_forget", 0) != 0;
    let mask = lengths(l, batch, steps)?;
    let peepholes = if cell == Cell::Lstm && l.is_given(7) { Some(l.require(7, "peepholes")?) } else { None };
    if peepholes.as_ref().is_some_and(|p| p.shape != [directions, 3 * units]) {
        return broken("its peepholes have another shape than its weights");
    }
    let peepholes = peepholes.filter(|p| p.to_floats().iter().any(|&weight| weight != 0.0));
    let bias = if l.is_given(3) { Some(l.require(3, "bias")?) } else { None };
    if bias.as_ref().is_some_and(|b| b.shape != [directions, 2 * rows]) {
        return broken("its bias has another shape than its weights");
    }
    if !batch_first {
        let name = l.part("batch_first");
        x = l.net.b.transpose(&name, x, &[1, 0, 2])?;
    }
    let order: &[usize] = if cell == Cell::Lstm { &[0, 2, 3, 1] } else { &[0, 1, 2][..gates] };

    let (mut sequences, mut hiddens, mut cells) = (Vec::new(), Vec::new(), Vec::new());
    for (direction, &reverse) in reverse.iter().enumerate() {
        let kinds = functions(l, default, direction)?;
        // One less these functions is what they give for the number with the other sign.
        let mirrored = matches!(kinds[0], UnaryKind::Logistic | UnaryKind::HardSigmoid { beta: 0.5, .. });
        if coupled && !mirrored {
            return unsupported(
                "input_forget with another function of the gates than Sigmoid, or HardSigmoid about 0.5",
            );
        }
        let attributes = Recurrent {
            cell,
            activation: kinds.get(usize::from(gates > 1)).copied().unwrap_or(UnaryKind::Tanh),
            gate_activation: kinds[0],
            output_activation: kinds.get(2).copied().unwrap_or(UnaryKind::Tanh),
            reverse,
            cell_clip: 0.0,
            sum_clip,
            time_major: false,
            zero_masked: mask.is_some(),
            integer: None,
        };
        let matrix = |known: &Rc<Known>, columns: usize| {
            let own =
                known.sliced(&[direction, 0, 0], &[1, rows, columns], &[1; 3]).reshaped(&[rows, columns]);
            let own = blocks(&own, order, units);
            if coupled { one_gate(&own, units * columns) } else { own }
        };
        let weights = l.net.constant(&matrix(&w, features))?;
        let recurrent = l.net.constant(&matrix(&r, units))?;
        let mut operands = vec![Some(x), Some(weights), Some(recurrent), None, None, None, None, mask, None];
        if let Some(peepholes) = &peepholes {
            // Of the gates input, output, forget.
            let own = peepholes.sliced(&[direction, 0], &[1, 3 * units], &[1; 2]).reshaped(&[3 * units]);
            let own = blocks(&own, &[0, 2, 1], units);
            let own = if coupled { one_gate(&own, units) } else { own };
            operands[8] = Some(l.net.constant(&own)?);
        }
        if let Some(bias) = &bias {
            let half = |half: usize| {
                let own = bias.sliced(&[direction, half * rows], &[1, rows], &[1; 2]).reshaped(&[rows]);
                let own = blocks(&own, order, units);
                if coupled { one_gate(&own, units).to_floats() } else { own.to_floats() }
            };
            let (input, state) = (half(0), half(1));
            let name = match directions {
                1 => "bias".to_string(),
                _ => format!("bias_{direction}"),
            };
            if cell == (Cell::Gru { reset_after: true }) {
                operands[3] = Some(l.floats(&name, &[rows], input)?);
                operands[4] = Some(l.floats(&format!("recurrent_{name}"), &[rows], state)?);
            } else {
                let sum = input.iter().zip(&state).map(|(a, b)| a + b).collect();
                operands[3] = Some(l.floats(&name, &[rows], sum)?);
            }
        }
        for (position, operand) in [(5, 5), (6, 6)].into_iter().filter(|(p, _)| *p == 5 || cell == Cell::Lstm)
        {
            operands[operand] = state(l, position, direction, [batch, units], batch_first)?;
        }
        let name = match (directions, direction) {
            (1, _) => l.name.clone(),
            (_, 0) => l.part("forward"),
            _ => l.part("backward"),
        };
        let results = l.net.b.recurrent(&name, attributes, operands)?;
        let mut results = results.into_iter();
        sequences.extend(results.next());
        hiddens.extend(results.next());
        cells.extend(results.next());
    }
    let mut slots = vec![Slot::Unknown; l.node.output.len().max(1)];
    for (position, parts) in [(0, sequences), (1, hiddens), (2, cells)] {
        if l.is_used(position) && position < slots.len() && !parts.is_empty() {
            slots[position] = Slot::Computed(result(l, position, &parts, batch_first)?);
        }
    }
    Ok(slots)
}

/// The mask of the steps that each sequence has, if they may be fewer than all.
fn lengths(l: &mut Layer<'_>, batch: usize, steps: usize) -> Result<Option<ValueId>, Refusal> {
    if !l.is_given(4) {
        return Ok(None);
    }
    let slot = l.slot(4)?;
    let found = l.net.shape(&slot);
    if found != [batch] {
        return broken(format!("sequence_lens of shape {found:?} for {batch} sequences"));
    }
    let name = l.part("mask");
    if let Slot::Known(known) = &slot {
        let lengths = known.to_ints().unwrap_or_default();
        if lengths.iter().all(|&n| n == steps as i64) {
            return Ok(None);
        }
        let truth = lengths.iter().flat_map(|&n| (0..steps as i64).map(move |step| step < n)).collect();
        return Ok(Some(l.net.b.constant(&name, &[batch, steps], Constant::Bool(truth))?));
    }
    let each = l.part("lengths");
    let lengths = l.net.value(&slot)?;
    let lengths = l.net.b.reshape(&each, lengths, &[batch, 1])?;
    let numbers = Constant::I32((0..steps as i32).collect());
    let steps = l.net.b.constant(&l.part("steps"), &[1, steps], numbers)?;
    Ok(Some(l.net.b.compare(&name, CompareKind::Less, steps, lengths)?))
}

/// The initial state of a direction, `[batch, units]`; `None` if it is zero.
fn state(
    l: &mut Layer<'_>,
    position: usize,
    direction: usize,
    shape: [usize; 2],
    batch_first: bool,
) -> Result<Option<ValueId>, Refusal> {
    if !l.is_given(position) {
        return Ok(None);
    }
    let slot = l.slot(position)?;
    let found = l.net.shape(&slot);
    let axis = usize::from(batch_first);
    if found.len() != 3
        || found.get(axis) <= Some(&direction)
        || !found.iter().product::<usize>().is_multiple_of(shape[0] * shape[1])
    {
        return broken(format!("an initial state of shape {found:?}"));
    }
    if let Slot::Known(known) = &slot
        && known.to_floats().iter().all(|&x| x == 0.0)
    {
        return Ok(None);
    }
    let own = movement::element(l, &slot, axis, direction)?;
    if l.net.shape(&own) != shape {
        return broken(format!("an initial state of shape {found:?}"));
    }
    if let Slot::Known(known) = &own {
        let known = Known::new(
            l.part(&format!("initial_{position}_{direction}")),
            known.shape.clone(),
            Constant::F32(known.to_floats()),
        );
        return Ok(Some(l.net.constant(&known)?));
    }
    Ok(Some(l.net.value(&own)?))
}

/// Y (`position` 0), Y_h or Y_c in the file's shape, which has a dimension for the directions.
fn result(
    l: &mut Layer<'_>,
    position: usize,
    parts: &[ValueId],
    batch_first: bool,
) -> Result<ValueId, Refusal> {
    let mut wide = Vec::with_capacity(parts.len());
    for (direction, &part) in parts.iter().enumerate() {
        let word = |l: &Layer<'_>, word: &str| l.part(&format!("y{position}_{direction}_{word}"));
        let mut part = part;
        let shape = l.net.b.shape(part).to_vec();
        let mut target = match (position, batch_first) {
            (0, false) => {
                let name = word(l, "steps_first");
                part = l.net.b.transpose(&name, part, &[1, 0, 2])?;
                vec![shape[1], 1, shape[0], shape[2]]
            }
            (0, true) => vec![shape[0], shape[1], 1, shape[2]],
            (_, true) => vec![shape[0], 1, shape[1]],
            (_, false) => vec![1, shape[0], shape[1]],
        };
        let name = word(l, "direction");
        part = l.net.b.reshape(&name, part, &target)?;
        target.clear();
        wide.push(part);
    }
    let axis = match (position, batch_first) {
        (0, false) => 1,
        (0, true) => 2,
        (_, true) => 1,
        (_, false) => 0,
    };
    let name = l.part(&format!("y{position}"));
    Ok(l.net.b.concat(&name, &wide, axis)?)
}
