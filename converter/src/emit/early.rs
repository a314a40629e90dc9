//! When an inference writes its variables.
//!
//! All that reads a variable sees what the inference began with, so an `assign` stands behind the last of these ops, and
//! behind the op that computes what it keeps. It stands as early as that allows: what it reads has to be kept until then.

use ferrolite_schema::OpCode;

use super::program::Program;

/// Moves each `assign` to where it may stand first.
pub(super) fn write_early(program: &mut Program) {
    if program.variables.is_empty() {
        return;
    }
    let is = |program: &Program, op: usize, code: OpCode| program.ops[op].lowered.code == code as u16;
    let all = 0..program.ops.len();
    // Between the branches of an IF and its results there is no room.
    if !all.clone().any(|op| is(program, op, OpCode::SkipIf)) {
        for from in all {
            if !is(program, from, OpCode::Assign) {
                continue;
            }
            let &[source, variable] = &program.ops[from].inputs[..] else { continue };
            let needed = |op: &usize| {
                let op = &program.ops[*op];
                op.inputs.contains(&variable) || op.outputs.contains(&source)
            };
            let to = (0..from).rev().find(needed).map_or(0, |last| last + 1);
            let assign = program.ops.remove(from);
            program.ops.insert(to, assign);
        }
    }
    for tensor in &mut program.tensors {
        (tensor.writer, tensor.last_use) = (None, 0);
    }
    for (index, op) in program.ops.iter().enumerate() {
        op.outputs.iter().for_each(|&tensor| program.tensors[tensor].writer = Some(index));
        op.inputs.iter().chain(&op.outputs).for_each(|&tensor| program.tensors[tensor].last_use = index);
    }
    for output in &program.outputs {
        program.tensors[output.tensor].last_use = program.ops.len();
    }
}
