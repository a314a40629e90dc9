//! Programs with branches, record by record.

use ferrolite_runtime::{DType, OpCode, Rounding, Target};

use super::program::{Op, Program, Tensor};

/// Bytes of each tensor but the conditions.
pub const BYTES: u32 = 4;

/// Where the tables of [`Writer::add`] start: table `n` adds `n + 1`.
const TABLES: u32 = 16;

/// A program as it grows. Tensors lie apart, and each has its number when it is written.
pub struct Writer {
    program: Program,
    end: u32,
}

impl Writer {
    /// Of models with so many conditions, and one tensor as input.
    pub fn new(conditions: u16) -> Writer {
        let mut constants = vec![0u8; TABLES as usize];
        for amount in 1..=15u8 {
            constants.extend((0..=255u8).map(|byte| byte.wrapping_add(amount)));
        }
        let program = Program {
            arena_bytes: 0,
            state_bytes: 0,
            initial_bytes: 0,
            tensors: Vec::new(),
            ops: Vec::new(),
            constants,
            inputs: conditions + 1,
            outputs: Vec::new(),
            rounding: Rounding::Double,
            target: Target::Portable,
        };
        let mut writer = Writer { program, end: 0 };
        for _ in 0..conditions {
            writer.tensor(DType::Bool, 1);
        }
        writer.tensor(DType::Int8, BYTES);
        writer
    }

    fn tensor(&mut self, dtype: DType, bytes: u32) -> u16 {
        let last_use = self.program.ops.len().saturating_sub(1) as u16;
        self.program.tensors.push(Tensor::new(dtype, self.end, bytes, last_use));
        self.end += bytes.next_multiple_of(4);
        self.program.tensors.len() as u16 - 1
    }

    fn op(&mut self, code: OpCode, inputs: &[u16], outputs: usize, params: Vec<u32>) -> Vec<u16> {
        let index = self.program.ops.len() as u16;
        for &input in inputs {
            self.program.tensors[usize::from(input)].last_use = index;
        }
        let op = Op { code, inputs: inputs.to_vec(), outputs: Vec::new(), params, scratch: (0, 0) };
        self.program.ops.push(op);
        let written: Vec<u16> = (0..outputs).map(|_| self.tensor(DType::Int8, BYTES)).collect();
        self.program.ops[usize::from(index)].outputs.clone_from(&written);
        written
    }

    /// Adds an amount of 1 to 15 to each element.
    pub fn add(&mut self, from: u16, amount: u32) -> u16 {
        self.op(OpCode::Lookup, &[from], 1, vec![TABLES + 256 * (amount - 1)])[0]
    }

    /// Skips what `branch` writes where the condition is `when`; gives what it returns.
    pub fn skip<R>(
        &mut self,
        condition: u16,
        when: u32,
        level: u32,
        branch: impl FnOnce(&mut Writer) -> R,
    ) -> R {
        let index = self.program.ops.len();
        self.op(OpCode::SkipIf, &[condition], 0, Vec::new());
        let result = branch(self);
        let count = (self.program.ops.len() - index - 1) as u32;
        self.program.ops[index].params = vec![when, count, level];
        result
    }

    /// What the branch that was taken has made.
    pub fn merge(&mut self, condition: u16, yes: u16, no: u16) -> u16 {
        self.op(OpCode::Merge, &[condition, yes, no], 1, vec![BYTES])[0]
    }

    /// The program with these outputs.
    pub fn finish(mut self, outputs: &[u16]) -> Program {
        let count = self.program.ops.len() as u16;
        for &output in outputs {
            self.program.tensors[usize::from(output)].last_use = count;
        }
        self.program.outputs = outputs.to_vec();
        self.program.arena_bytes = self.end;
        self.program
    }
}

/// `c ? x + 1 + 2 : x + 4`, with the number 8 added behind: op 0 and op 3 skip.
pub fn simple() -> Program {
    let mut w = Writer::new(1);
    let (condition, x) = (0, 1);
    let yes = w.skip(condition, 0, 1, |w| {
        let y = w.add(x, 1);
        w.add(y, 2)
    });
    let no = w.skip(condition, 1, 1, |w| w.add(x, 4));
    let y = w.merge(condition, yes, no);
    let z = w.add(y, 8);
    w.finish(&[z])
}

/// `c ? (d ? x + 1 : x) + 2 : (d ? x + 4 : x + 8)`
pub fn nested() -> Program {
    let mut w = Writer::new(2);
    let (c, d, x) = (0, 1, 2);
    let yes = w.skip(c, 0, 2, |w| {
        let yes = w.skip(d, 0, 1, |w| w.add(x, 1));
        let y = w.merge(d, yes, x);
        w.add(y, 2)
    });
    let no = w.skip(c, 1, 2, |w| {
        let yes = w.skip(d, 0, 1, |w| w.add(x, 4));
        let no = w.skip(d, 1, 1, |w| w.add(x, 8));
        w.merge(d, yes, no)
    });
    let y = w.merge(c, yes, no);
    w.finish(&[y])
}
