//! Delay line: the latest `window` bytes of a stream that grows by `step` bytes with each inference, the oldest first.
//! Bytes are moved, whatever they stand for.
//!
//! Its state is a ring of the window's bytes and, behind them, the place of the oldest as a little-endian number: a
//! step overwrites the oldest bytes, and nothing else moves. A streaming model reads the frames that it has seen that
//! way, where others compute on them again. TFLM's `CIRCULAR_BUFFER` does the same with frames.

use core::cell::Cell;

use ferrolite_schema::OpCode;
use ferrolite_schema::params::DelayLineParams;

use super::{Operator, in_place};
use crate::error::Fault;
use crate::node::{Eval, Node};

/// Bytes of the oldest byte's place, behind the ring.
const PLACE: usize = 4;

/// The operator.
pub const fn operator() -> Operator {
    // All of the input is in the ring before anything of the output is written.
    Operator { code: OpCode::DelayLine as u16, check, eval, lead: in_place }
}

fn check(node: &Node<'_>) -> Result<(), Fault> {
    let p: &DelayLineParams = node.params()?;
    if p.step == 0 || p.step > p.window {
        return Err(Fault::Parameters);
    }
    node.expect_operands(2, 1)?;
    let (input, output) = (node.input(0)?, node.output(0)?);
    if !input.in_arena() || input.dtype != output.dtype {
        return Err(Fault::Operands);
    }
    if input.bytes != p.step || output.bytes != p.window {
        return Err(Fault::Sizes);
    }
    node.expect_state(1, state_bytes(p).ok_or(Fault::Sizes)?)
}

/// Bytes of state that a delay line needs.
pub fn state_bytes(p: &DelayLineParams) -> Option<u32> {
    p.window.checked_add(PLACE as u32)
}

fn eval(eval: &Eval<'_>) {
    delay_line(eval.input(0), eval.input(1), eval.output(0));
}

/// Takes the bytes of `input` into the ring of `state` and copies the ring to `out`, the oldest byte first.
pub fn delay_line(input: &[Cell<u8>], state: &[Cell<u8>], out: &[Cell<u8>]) {
    let Some((ring, place)) = state.split_last_chunk::<PLACE>() else { return };
    // A state that was restored may hold anything.
    let oldest = u32::from_le_bytes(place.each_ref().map(Cell::get)) as usize;
    let (before, behind) = ring.split_at_checked(oldest).unwrap_or((&[], ring));
    let places = behind.iter().chain(before);
    for (cell, byte) in places.zip(input) {
        cell.set(byte.get());
    }
    let oldest = before.len().wrapping_add(input.len());
    let oldest = if oldest < ring.len() { oldest } else { oldest.wrapping_sub(ring.len()) };
    let (before, behind) = ring.split_at_checked(oldest).unwrap_or((&[], ring));
    for (cell, byte) in out.iter().zip(behind.iter().chain(before)) {
        cell.set(byte.get());
    }
    for (cell, byte) in place.iter().zip((oldest as u32).to_le_bytes()) {
        cell.set(byte);
    }
}

/// Any op of the operator, for tests.
#[cfg(feature = "cases")]
pub(super) fn case(random: &mut crate::cases::Random) -> crate::cases::Case {
    use crate::cases::{Case, Constants, dim};
    use ferrolite_schema::{DType, Storage};

    let dtype = DType::ALL[random.below(DType::ALL.len())];
    let step = dim(random, 5) * dtype.size() as u32;
    let window = step + (dim(random, 20) - 1) * dtype.size() as u32;
    let p = DelayLineParams { step, window };
    let case = Case::of(OpCode::DelayLine, &p, Constants::default()).input(random, dtype, step);
    let state = state_bytes(&p).expect("it is small");
    // The place behind the ring is any, too.
    let mut case = case.input(random, DType::Int8, state);
    case.inputs[1].storage = Storage::State;
    case.output(dtype, window)
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec;
    use std::vec::Vec;

    use super::*;

    fn step(input: &mut [u8], state: &mut [u8], window: usize) -> Vec<u8> {
        let mut out = vec![0x55; window];
        let [input, state, cells] =
            [input, state, &mut out].map(|bytes| Cell::from_mut(bytes).as_slice_of_cells());
        delay_line(input, state, cells);
        out
    }

    #[test]
    fn the_window_is_the_end_of_the_stream() {
        for (length, window) in [(1, 1), (1, 5), (2, 5), (3, 7), (4, 8), (5, 5), (6, 7)] {
            let mut stream = vec![0u8; window];
            let mut state = vec![0u8; window + 4];
            for round in 0..40u8 {
                let mut input: Vec<u8> = (0..length).map(|k| round.wrapping_mul(7).wrapping_add(k)).collect();
                stream.extend(&input);
                let out = step(&mut input, &mut state, window);
                assert_eq!(out, stream[stream.len() - window..], "{length} of {window}, round {round}");
            }
        }
    }

    #[test]
    fn a_place_outside_the_ring_is_its_start() {
        for place in [5u32, 6, 1 << 16, u32::MAX] {
            let mut state = vec![1, 2, 3, 4, 5];
            state.extend(place.to_le_bytes());
            assert_eq!(step(&mut [9, 8], &mut state, 5), [3, 4, 5, 9, 8], "{place}");
            assert_eq!(state, [9, 8, 3, 4, 5, 2, 0, 0, 0]);
        }
        // A state of fewer bytes than a place has.
        assert_eq!(step(&mut [9], &mut [1, 2, 3], 2), [0x55, 0x55]);
    }
}
