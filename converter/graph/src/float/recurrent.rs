//! Recurrent layers: simple cells, LSTM, GRU, in one direction.
//!
//! The equations are those that [`Cell`] documents, which are Keras's. TFLite's float LSTM computes the same
//! if it has neither peepholes nor a projection.

use super::Tensor;
use super::elementwise::unary;
use super::matmul::fully_connected;
use crate::graph::{Cell, Recurrent};

/// The operands of a recurrent node, by name.
pub struct Operands<'a> {
    /// `[batch, steps, features]`
    pub input: Tensor<'a>,
    /// `[gates * units, features]`
    pub weights: Tensor<'a>,
    /// `[gates * units, units]`
    pub recurrent: Tensor<'a>,
    /// `[gates * units]`
    pub bias: Option<&'a [f32]>,
    /// `[gates * units]`
    pub recurrent_bias: Option<&'a [f32]>,
    /// `[batch, units]`
    pub hidden: Option<&'a [f32]>,
    /// `[batch, units]`
    pub cell: Option<&'a [f32]>,
    /// `[batch, steps]`, 0 where a step is left out.
    pub mask: Option<&'a [f32]>,
    /// `[3 * units]`
    pub peepholes: Option<&'a [f32]>,
}

/// The sequence of hidden states, the last hidden state, the last cell state, the largest magnitudes of cell states (zeros
/// if the kind of cell has none), and those of what the candidate's function takes, and of its parts.
pub fn run(layer: &Recurrent, x: &Operands<'_>) -> [Vec<f32>; 5] {
    let [batch, steps] = match layer.time_major {
        false => [x.input.shape[0], x.input.shape[1]],
        true => [x.input.shape[1], x.input.shape[0]],
    };
    let units = x.recurrent.shape[1];
    let width = layer.cell.gates() * units;
    let state = |given: Option<&[f32]>| given.map_or_else(|| vec![0.0; batch * units], <[f32]>::to_vec);
    let (mut hidden, mut cell) = (state(x.hidden), state(x.cell));
    // The contribution of the inputs does not depend on the state, so one product serves all steps.
    let from_input = fully_connected(x.input, x.weights, x.bias);
    let mut sequence = vec![0.0; batch * steps * units];
    let mut largest: Vec<f32> = cell.iter().map(|c| c.abs()).collect();
    let mut sums = vec![0.0; batch * units];
    let state_shape = [batch, units];
    // Whether a step of each sequence was computed.
    let mut began = vec![false; batch];
    for count in 0..steps {
        let step = if layer.reverse { steps - 1 - count } else { count };
        // A GRU whose reset gate acts before the product computes a separate product for the candidate.
        let from_state =
            fully_connected(Tensor { shape: &state_shape, data: &hidden }, x.recurrent, x.recurrent_bias);
        for row in 0..batch {
            let h = &mut hidden[row * units..][..units];
            let c = &mut cell[row * units..][..units];
            let place = if layer.time_major { step * batch + row } else { row * steps + step };
            if x.mask.is_some_and(|mask| mask[place] == 0.0) {
                if began[row] && !layer.zero_masked {
                    sequence[place * units..][..units].copy_from_slice(h);
                }
                continue;
            }
            began[row] = true;
            let i = &from_input[place * width..][..width];
            let s = &from_state[row * width..][..width];
            let sums = &mut sums[row * units..][..units];
            match layer.cell {
                Cell::Simple => {
                    for u in 0..units {
                        h[u] = candidate(layer, [i[u], s[u]], &mut sums[u]);
                    }
                }
                Cell::Lstm => {
                    lstm(layer, [i, s], x.peepholes, h, c, sums);
                    let magnitudes = largest[row * units..].iter_mut().zip(c);
                    magnitudes.for_each(|(largest, c)| *largest = largest.max(c.abs()));
                }
                Cell::Gru { reset_after } => {
                    let own = (!reset_after).then(|| reset_before(layer, x, i, s, h));
                    gru(layer, [i, s], own.as_deref(), h, sums);
                }
            }
            sequence[place * units..][..units].copy_from_slice(h);
        }
    }
    [sequence, hidden, cell, largest, sums]
}

/// A sum within the bound of what functions take.
fn bounded(layer: &Recurrent, sum: f32) -> f32 {
    if layer.sum_clip > 0.0 { sum.clamp(-layer.sum_clip, layer.sum_clip) } else { sum }
}

/// The candidate of two parts of a sum; magnitudes of parts and sum may be the largest.
fn candidate(layer: &Recurrent, [a, b]: [f32; 2], largest: &mut f32) -> f32 {
    *largest = [a, b, a + b].iter().fold(*largest, |largest, x| largest.max(x.abs()));
    unary(layer.activation, bounded(layer, a + b))
}

/// The result of a gate.
fn gate(layer: &Recurrent, sum: f32) -> f32 {
    unary(layer.gate_activation, bounded(layer, sum))
}

fn lstm(
    layer: &Recurrent,
    [i, s]: [&[f32]; 2],
    peepholes: Option<&[f32]>,
    h: &mut [f32],
    c: &mut [f32],
    sums: &mut [f32],
) {
    let units = h.len();
    let parts = |number: usize, u: usize| [i, s].map(|part| part[number * units + u]);
    let sum = |number: usize, u: usize| parts(number, u).iter().sum::<f32>();
    for u in 0..units {
        let seen = |number: usize, c: f32| peepholes.map_or(0.0, |weights| weights[number * units + u] * c);
        let input = gate(layer, sum(0, u) + seen(0, c[u]));
        let forget = gate(layer, sum(1, u) + seen(1, c[u]));
        let candidate = candidate(layer, parts(2, u), &mut sums[u]);
        c[u] = forget * c[u] + input * candidate;
        if layer.cell_clip > 0.0 {
            c[u] = c[u].clamp(-layer.cell_clip, layer.cell_clip);
        }
        let output = gate(layer, sum(3, u) + seen(2, c[u]));
        h[u] = output * unary(layer.output_activation, c[u]);
    }
}

/// The candidate's sums `R (r * h) + rb` of a GRU that resets before the product.
fn reset_before(layer: &Recurrent, x: &Operands<'_>, i: &[f32], s: &[f32], h: &[f32]) -> Vec<f32> {
    let units = h.len();
    let reset: Vec<f32> = (0..units).map(|u| gate(layer, i[units + u] + s[units + u]) * h[u]).collect();
    let weights = Tensor { shape: &[units, units], data: &x.recurrent.data[2 * units * units..] };
    let bias = x.recurrent_bias.map(|bias| &bias[2 * units..]);
    fully_connected(Tensor { shape: &[1, units], data: &reset }, weights, bias)
}

/// One step of a GRU. `own` is the state's contribution to the candidate, if the reset gate has already
/// been applied.
fn gru(layer: &Recurrent, [i, s]: [&[f32]; 2], own: Option<&[f32]>, h: &mut [f32], sums: &mut [f32]) {
    let units = h.len();
    for u in 0..units {
        let update = gate(layer, i[u] + s[u]);
        let state = match own {
            Some(own) => own[u],
            None => {
                // What the gate leaves none of has to have room, too.
                sums[u] = sums[u].max(s[2 * units + u].abs());
                gate(layer, i[units + u] + s[units + u]) * s[2 * units + u]
            }
        };
        let new = candidate(layer, [i[2 * units + u], state], &mut sums[u]);
        h[u] = update * h[u] + (1.0 - update) * new;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::UnaryKind;

    fn layer(cell: Cell) -> Recurrent {
        Recurrent {
            cell,
            activation: UnaryKind::Tanh,
            gate_activation: UnaryKind::Logistic,
            output_activation: UnaryKind::Tanh,
            reverse: false,
            cell_clip: 0.0,
            sum_clip: 0.0,
            time_major: false,
            zero_masked: false,
            integer: None,
        }
    }

    /// One unit, one feature, two steps, all weights 1.
    fn run_ones(layer: &Recurrent, input: &[f32]) -> [Vec<f32>; 5] {
        let gates = layer.cell.gates();
        let ones = vec![1.0; gates];
        let operands = Operands {
            input: Tensor { shape: &[1, 2, 1], data: input },
            weights: Tensor { shape: &[gates, 1], data: &ones },
            recurrent: Tensor { shape: &[gates, 1], data: &ones },
            bias: None,
            recurrent_bias: None,
            hidden: None,
            cell: None,
            mask: None,
            peepholes: None,
        };
        run(layer, &operands)
    }

    fn sigmoid(x: f32) -> f32 {
        1.0 / (1.0 + (-x).exp())
    }

    fn close(found: &[f32], wanted: &[f32]) {
        assert_eq!(found.len(), wanted.len());
        assert!(found.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-6), "{found:?} for {wanted:?}");
    }

    #[test]
    fn cells_follow_their_equations() {
        let h1 = 0.5f32.tanh();
        let h2 = (-1.0 + h1).tanh();
        close(&run_ones(&layer(Cell::Simple), &[0.5, -1.0])[0], &[h1, h2]);

        let c1 = sigmoid(0.5) * 0.5f32.tanh();
        let h1 = sigmoid(0.5) * c1.tanh();
        let s = -1.0 + h1;
        let c2 = sigmoid(s) * c1 + sigmoid(s) * s.tanh();
        let h2 = sigmoid(s) * c2.tanh();
        let [sequence, hidden, cell, largest, _] = run_ones(&layer(Cell::Lstm), &[0.5, -1.0]);
        close(&sequence, &[h1, h2]);
        close(&[hidden, cell].concat(), &[h2, c2]);
        close(&largest, &[c1.abs().max(c2.abs())]);

        for reset_after in [false, true] {
            let h1 = (1.0 - sigmoid(0.5)) * 0.5f32.tanh();
            let gate = sigmoid(-1.0 + h1);
            let h2 = gate * h1 + (1.0 - gate) * (-1.0 + gate * h1).tanh();
            close(&run_ones(&layer(Cell::Gru { reset_after }), &[0.5, -1.0])[0], &[h1, h2]);
        }
    }

    #[test]
    fn backwards_keeps_the_place_of_each_step() {
        let forward = run_ones(&layer(Cell::Lstm), &[0.5, -1.0]);
        let backward = run_ones(&Recurrent { reverse: true, ..layer(Cell::Lstm) }, &[-1.0, 0.5]);
        close(&backward[0], &[forward[0][1], forward[0][0]]);
        close(&backward[1], &forward[1]);
    }

    #[test]
    fn time_may_come_before_the_batch() {
        let ones = [1.0];
        let run = |time_major, data: &[f32]| {
            let operands = Operands {
                input: Tensor { shape: &[2, 2, 1], data },
                weights: Tensor { shape: &[1, 1], data: &ones },
                recurrent: Tensor { shape: &[1, 1], data: &ones },
                bias: None,
                recurrent_bias: None,
                hidden: None,
                cell: None,
                mask: None,
                peepholes: None,
            };
            super::run(&Recurrent { time_major, ..layer(Cell::Simple) }, &operands)
        };
        let (by_batch, by_time) = (run(false, &[0.5, -1.0, 2.0, 3.0]), run(true, &[0.5, 2.0, -1.0, 3.0]));
        let [a, b, c, d] = by_batch[0][..] else { panic!("four results") };
        close(&by_time[0], &[a, c, b, d]);
        close(&by_time[1], &by_batch[1]);
    }

    #[test]
    fn steps_that_a_mask_leaves_out_change_no_state() {
        let ones = [1.0; 3];
        let run = |layer: &Recurrent, data: &[f32], mask: Option<&[f32]>, hidden: Option<&[f32]>| {
            let operands = Operands {
                input: Tensor { shape: &[1, data.len(), 1], data },
                weights: Tensor { shape: &[3, 1], data: &ones },
                recurrent: Tensor { shape: &[3, 1], data: &ones },
                bias: None,
                recurrent_bias: None,
                hidden,
                cell: None,
                mask,
                peepholes: None,
            };
            super::run(layer, &operands)
        };
        let gru = layer(Cell::Gru { reset_after: true });
        let given = Some([0.5].as_slice());
        let [rows, last, ..] = run(&gru, &[0.5, -1.0], None, given);
        let mask = Some([0.0, 1.0, 0.0, 1.0, 0.0].as_slice());
        let data = [9.0, 0.5, 9.0, -1.0, 9.0];
        let [masked, masked_last, ..] = run(&gru, &data, mask, given);
        // Nothing was computed before the first step, whatever the state is.
        close(&masked, &[0.0, rows[0], rows[0], rows[1], rows[1]]);
        close(&masked_last, &last);
        let zero = Recurrent { zero_masked: true, ..gru };
        close(&run(&zero, &data, mask, given)[0], &[0.0, rows[0], 0.0, rows[1], 0.0]);
        let back = Recurrent { reverse: true, ..gru };
        let [rows, ..] = run(&back, &[0.5, -1.0], None, given);
        close(&run(&back, &data, mask, given)[0], &[rows[0], rows[0], rows[1], rows[1], 0.0]);
        let [none, kept, ..] = run(&gru, &data, Some([0.0; 5].as_slice()), given);
        close(&none, &[0.0; 5]);
        close(&kept, &[0.5]);
    }

    #[test]
    fn peepholes_see_the_cell_state_and_sums_are_clipped() {
        let ones = [1.0; 4];
        let peepholes = [0.5, -0.25, 2.0];
        let operands = Operands {
            input: Tensor { shape: &[1, 1, 1], data: &[3.0] },
            weights: Tensor { shape: &[4, 1], data: &ones },
            recurrent: Tensor { shape: &[4, 1], data: &ones },
            bias: None,
            recurrent_bias: None,
            hidden: None,
            cell: Some(&[0.5]),
            mask: None,
            peepholes: Some(&peepholes),
        };
        let c = sigmoid(3.0 - 0.125) * 0.5 + sigmoid(3.25) * 3f32.tanh();
        let h = sigmoid(3.0 + 2.0 * c) * c.tanh();
        let [_, hidden, cell, _, sums] = run(&layer(Cell::Lstm), &operands);
        close(&[hidden, cell, sums].concat(), &[h, c, 3.0]);
        let c = sigmoid(1.5) * 0.5 + sigmoid(1.5) * 1.5f32.tanh();
        let [_, hidden, cell, _, sums] = run(&Recurrent { sum_clip: 1.5, ..layer(Cell::Lstm) }, &operands);
        close(&[hidden, cell, sums].concat(), &[sigmoid(1.5) * c.tanh(), c, 3.0]);
    }

    #[test]
    fn the_cell_state_is_clipped() {
        let [_, _, cell, ..] = run_ones(&Recurrent { cell_clip: 0.1, ..layer(Cell::Lstm) }, &[9.0, 9.0]);
        close(&cell, &[0.1]);
    }
}
