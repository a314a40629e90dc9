//! Skip: the next ops do not run where a truth value says so. The branches of an IF are such runs of ops.
//!
//! ```text
//!  skip_if(condition = 0)   \
//!    ops of one branch       | only where the condition holds
//!  skip_if(condition = 1)   \
//!    ops of the other        | only where it does not
//!  merge(condition, x, y)     x where it holds, else y
//! ```
//! A branch without ops needs no skip. All of a program is verified as if every op ran, so memory is never shared
//! wrongly, whichever way an inference takes. What that does not say is whether a tensor has been written when it is
//! read; so the check proves that nothing written in the skipped ops is read behind them but by merges, right behind
//! both branches, that take it only where the ops ran.
//!
//! Skips nest: a branch may hold whole IFs. Each has a *level* above those of the skips in its branch, so that no op is
//! in more branches than there are levels, and a check of all of them takes time in proportion to the program.

use core::ops::Range;

use ferrolite_schema::params::SkipIfParams;
use ferrolite_schema::{DType, Model, Op, OpCode, Tensor};

use super::Operator;
use super::merge::{CONDITION, TAKEN_BY, holds};
use super::no_overlap;
use crate::error::Fault;
use crate::node::{Eval, Node};

/// The largest level: how deep branches may nest.
pub const LEVELS: u32 = 16;

/// The operator.
pub const fn operator() -> Operator {
    Operator { code: OpCode::SkipIf as u16, check, eval, lead: no_overlap }
}

fn eval(eval: &Eval<'_>) {
    if let Some(p) = eval.node().checked_params::<SkipIfParams>()
        && u32::from(holds(eval)) == p.condition
    {
        eval.skip(p.count as u16);
    }
}

fn check(node: &Node<'_>) -> Result<(), Fault> {
    let p: &SkipIfParams = node.params()?;
    if p.condition > 1 || p.count == 0 || p.level == 0 || p.level > LEVELS {
        return Err(Fault::Parameters);
    }
    node.expect_operands(1, 0)?;
    node.expect_tensor(node.input(CONDITION)?, DType::Bool, 1)?;
    Branch::of(node, p).filter(Branch::is_sound).map(drop).ok_or(Fault::Branch)
}

/// Ops that are skipped together.
struct Branch<'a> {
    model: &'a Model<'a>,
    p: SkipIfParams,
    /// Number of the tensor that decides.
    decider: u16,
    /// Number of the first op.
    start: usize,
    ops: &'a [Op],
    /// Those behind.
    behind: &'a [Op],
}

impl<'a> Branch<'a> {
    /// The branch of a skip, which ends within the program.
    fn of(node: &Node<'a>, p: &SkipIfParams) -> Option<Branch<'a>> {
        let (model, start) = (node.model(), node.index().wrapping_add(1));
        let &decider = model.operands(node.op()).first()?;
        let (ops, behind) = model.ops().get(start..)?.split_at_checked(p.count as usize)?;
        Some(Branch { model, p: *p, decider, start, ops, behind })
    }

    /// Whether nothing in it is missed where it is skipped.
    fn is_sound(&self) -> bool {
        self.holds_whole_branches()
            && self.written().is_some_and(|written| {
                let Some(merged) = self.merged(&written) else { return false };
                // The last reader of everything else is in the branch.
                let end = self.start.wrapping_add(self.ops.len()).wrapping_add(merged);
                let tensors = self.model.tensors().get(written).unwrap_or_default();
                tensors.iter().all(|tensor: &Tensor| usize::from(tensor.last_use) < end)
            })
    }

    /// Whether the branches that begin in this one end in it, and have lower levels.
    fn holds_whole_branches(&self) -> bool {
        let mut left = self.ops;
        while let Some((op, rest)) = left.split_first() {
            if let Some(inner) = self.skip(op)
                && (inner.level >= self.p.level || inner.count as usize > rest.len())
            {
                return false;
            }
            left = rest;
        }
        true
    }

    /// Parameters of an op that is a skip.
    fn skip(&self, op: &Op) -> Option<&'a SkipIfParams> {
        let is_skip = op.code == OpCode::SkipIf as u16;
        // What does not have them is refused when its turn comes.
        let words = self.model.params(op).get(..size_of::<SkipIfParams>() / size_of::<u32>());
        bytemuck::try_from_bytes(bytemuck::cast_slice(words.filter(|_| is_skip)?)).ok()
    }

    /// Inputs and outputs of an op.
    fn operands<'o>(&self, op: &'o Op) -> Option<(&'o [u16], &'o [u16])>
    where
        'a: 'o,
    {
        self.model.operands(op).split_at_checked(op.inputs.into())
    }

    /// Numbers of the tensors that the branch writes, which follow one another.
    fn written(&self) -> Option<Range<usize>> {
        let mut written = 0..0usize;
        for op in self.ops {
            let (_, outputs) = self.operands(op)?;
            if let (Some(&first), true) = (outputs.first(), written.is_empty()) {
                written = first.into()..first.into();
            }
            written.end = written.end.wrapping_add(outputs.len());
        }
        Some(written)
    }

    /// How many ops behind the branch are of its IF: the other branch, which must not read what this one writes, and the
    /// merges, which must take it only where this one ran.
    fn merged(&self, written: &Range<usize>) -> Option<usize> {
        let reads = |id: &u16| written.contains(&usize::from(*id));
        let mut rest = self.behind;
        if let Some((op, behind)) = rest.split_first()
            && let Some(other) = self.skip(op)
            && self.operands(op)?.0.first() == Some(&self.decider)
            && other.condition != self.p.condition
            && other.level == self.p.level
        {
            let (branch, behind) = behind.split_at_checked(other.count as usize)?;
            for op in branch {
                if self.operands(op)?.0.iter().any(reads) {
                    return None;
                }
            }
            rest = behind;
        }
        // It runs where the condition is not the one that skips.
        let &taken = TAKEN_BY.get(usize::from(self.p.condition == 0))?;
        while let Some((op, behind)) = rest.split_first()
            && op.code == OpCode::Merge as u16
        {
            let (inputs, _) = self.operands(op)?;
            if inputs.get(CONDITION) != Some(&self.decider) {
                break;
            }
            if inputs.iter().enumerate().any(|(position, id)| position != taken && reads(id)) {
                return None;
            }
            rest = behind;
        }
        Some(self.behind.len().wrapping_sub(rest.len()))
    }
}

/// No op is a program by itself: `tests/tests/branches.rs` has programs.
#[cfg(feature = "cases")]
pub(super) fn case(_: &mut crate::cases::Random) -> crate::cases::Case {
    panic!("a skip is about the ops behind it")
}
