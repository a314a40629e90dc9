//! A model with state: a dense layer reads the last bytes of a stream.

use ferrolite_runtime::{DType, OpCode, Rounding, Target};
use ferrolite_schema::Storage;

use super::program::{Op, Program, Tensor};

/// Bytes of the stream in each inference.
pub const STEP: usize = 6;

/// Bytes of the stream that the delay line returns.
pub const WINDOW: usize = 20;

/// Its contents before the stream begins: these bytes, then zeroes.
pub const INITIAL: [i8; 5] = [9, -8, 7, -6, 5];

pub const OUTPUTS: usize = 8;

/// Where the constants of the dense layer start.
const BIAS: u32 = 16;
const MULTIPLIER: u32 = BIAS + 4 * OUTPUTS as u32;
const WEIGHTS: u32 = MULTIPLIER + 8;

/// A delay line and a dense layer that reads its window; both results are outputs.
pub fn program() -> Program {
    let tensor = |offset, bytes: usize, last_use| Tensor::new(DType::Int8, offset, bytes as u32, last_use);
    let kept = Tensor { storage: Storage::State, ..tensor(48, WINDOW + 4, 2) };
    let mut constants: Vec<u8> = bytemuck::cast_slice(&INITIAL).to_vec();
    constants.resize(BIAS as usize, 0);
    constants.extend((0..OUTPUTS as i32).flat_map(|channel| (100 * channel - 300).to_le_bytes()));
    // The multiplier is 1/64: with double rounding, mantissa 2^30 and a right shift of 5.
    constants.extend([1i32 << 30, -5].map(i32::to_le_bytes).concat());
    constants.extend((0..OUTPUTS * WINDOW).map(|at| (at * 37 % 251) as u8));
    Program {
        arena_bytes: 48,
        state_bytes: WINDOW as u32 + 4,
        initial_bytes: INITIAL.len() as u32,
        tensors: vec![tensor(0, STEP, 0), tensor(8, WINDOW, 2), tensor(28, OUTPUTS, 2), kept],
        ops: vec![
            Op {
                code: OpCode::DelayLine,
                inputs: vec![0, 3],
                outputs: vec![1],
                params: vec![STEP as u32, WINDOW as u32],
                scratch: (0, 0),
            },
            Op {
                code: OpCode::FullyConnected,
                inputs: vec![1],
                outputs: vec![2],
                params: [
                    [1, WINDOW as u32, OUTPUTS as u32, 0, WEIGHTS].as_slice(),
                    &[BIAS, MULTIPLIER, 1, 3, -128i32 as u32, 127],
                ]
                .concat(),
                scratch: (0, 0),
            },
        ],
        constants,
        inputs: 1,
        outputs: vec![1, 2],
        rounding: Rounding::Double,
        target: Target::Portable,
    }
}
