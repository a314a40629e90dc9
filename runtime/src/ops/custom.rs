//! Operators of the user's own.
//!
//! A type that implements [`Custom`] becomes an operator of an op set by [`Operator::custom`]. The file names it by a hash
//! of [`Custom::NAME`]: the interpreter refuses an op whose hash is another one before [`Custom::check`] sees it, and the
//! operator gets the parameter words behind the hash. Firmware without such an operator links nothing of this.
//!
//! The rules are those of all operators. `check` doubts everything that comes from the file, once; `eval` cannot fail, and
//! writes all bytes of its outputs; `lead` says how far an output may lie over an input. Slices are bounds-checked and
//! memory is cells, so a mistake in them gives wrong numbers or a panic of their own, and nothing worse.
//!
//! ```
//! use ferrolite_runtime::ops::custom::Custom;
//! use ferrolite_runtime::{Eval, Fault, Node, OpSet, Operator, ops};
//!
//! /// `max(x, floor)` of int8 elements.
//! struct Floor;
//!
//! impl Custom for Floor {
//!     const NAME: &'static str = "example.Floor";
//!
//!     fn check(node: &Node<'_>, params: &[u32]) -> Result<(), Fault> {
//!         let &[floor] = params else { return Err(Fault::Parameters) };
//!         i8::try_from(floor as i32).map_err(|_| Fault::Parameters)?;
//!         let elements = node.input(0)?.bytes;
//!         node.expect_int8(elements, elements)
//!     }
//!
//!     fn eval(eval: &Eval<'_>, params: &[u32]) {
//!         let &[floor] = params else { return };
//!         for (x, y) in eval.input::<i8>(0).iter().zip(eval.output::<i8>(0)) {
//!             y.set(x.get().max(floor as i8));
//!         }
//!     }
//!
//!     fn lead(_: &Node<'_>, _: &[u32], _: usize) -> Option<u32> {
//!         Some(0) // element by element: in place
//!     }
//! }
//!
//! const OPS: OpSet = &[ops::CONV_2D, ops::SOFTMAX, Operator::custom::<Floor>()];
//! ```

use ferrolite_schema::{custom_code, custom_words};

use super::Operator;
use crate::error::Fault;
use crate::node::{Eval, Node};

pub use crate::node::{check_clamp, check_int8, check_multiplier};

/// An operator of the user's own; the [module](self) has an example.
pub trait Custom {
    /// Its name, by which files know it: best with that of its author or project in front, since another operator of the
    /// same name would be taken for it.
    const NAME: &'static str;

    /// Doubts the op: operands, parameters, constants, scratch memory. Called once, before any [`eval`](Custom::eval).
    fn check(node: &Node<'_>, params: &[u32]) -> Result<(), Fault>;

    /// Computes the op. Only called when `check` found no fault.
    fn eval(eval: &Eval<'_>, params: &[u32]);

    /// The number of bytes that an output must start before the input at this position, at least, when the two share
    /// memory; `None` where they may not. Only called when `check` found no fault.
    fn lead(node: &Node<'_>, params: &[u32], position: usize) -> Option<u32> {
        let _ = (node, params, position);
        None
    }
}

impl Operator {
    /// An operator of the user's own.
    pub const fn custom<C: Custom>() -> Operator {
        Operator { code: custom_code(C::NAME), check: check::<C>, eval: eval::<C>, lead: lead::<C> }
    }
}

/// The words that belong to the operator, behind the hash of its name; `None` in an op of another name.
fn params<'a, C: Custom>(node: &Node<'a>) -> Option<&'a [u32]> {
    node.words().strip_prefix(const { &custom_words(C::NAME) })
}

fn check<C: Custom>(node: &Node<'_>) -> Result<(), Fault> {
    C::check(node, params::<C>(node).ok_or(Fault::Name)?)
}

fn eval<C: Custom>(eval: &Eval<'_>) {
    if let Some(params) = params::<C>(eval.node()) {
        C::eval(eval, params);
    }
}

fn lead<C: Custom>(node: &Node<'_>, position: usize) -> Option<u32> {
    C::lead(node, params::<C>(node)?, position)
}
