//! Operators, one file each: all that Ferrolite knows of an operator of the graph is in the file that the list of
//! operators (`ferrolite_graph::operators!`) names, as an implementation of `operator::Operator`. Its checks, its float
//! values, its quantization, its lowering, which makes ops of the device with finished numbers, how `.tflite` says it.
//!
//! | file | what several operators share |
//! |---|---|
//! | `check`, `shapes`, `types` | shapes, attributes and element types that must agree |
//! | `operands` | operands in float |
//! | `lowering`, `stage`, `broadcast`, `cells`, `strided_copy`, `pack`, `fixed_point` | numbers for the device |
//! | `tflite` | a TensorFlow Lite file under construction |
//! | `view`, `channels` | other orders of dimensions, and channels that stand or fall together |
//! | `work`, `classes` | questions to all operators: work, weights, scores |
//! | `wide` | weights beyond int8 |
//! | `branches` | which nodes are in which branch of an IF |
//!
//! [`crate::eager::run_op`] shows what one operator computes; [`crate::emit::compile`] lowers a whole graph:
//!
//! ```
//! # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/models/sine/sine_int8_tf.tflite");
//! let graph = ferrolite::import::load(path.as_ref())?.graph;
//! let emitted = ferrolite::emit::compile(&graph, &Default::default())?;
//! assert_eq!(emitted.ops[0].code, ferrolite_runtime::OpCode::FullyConnected as u16);
//! # Ok::<(), ferrolite::Error>(())
//! ```

mod add;
pub(crate) mod branches;
mod broadcast;
mod cells;
pub(crate) mod channels;
pub(crate) mod check;
mod classes;
mod div;
mod fixed_point;
mod floor;
mod int16;
mod integers;
mod lower;
pub mod lowering;
mod min_max;
mod mul;
pub(crate) mod operands;
pub(crate) mod operator;
pub(crate) mod pack;
pub mod path;
mod prices;
pub(crate) mod repack;
mod requantize;
mod segments;
mod shapes;
mod stage;
mod strided_copy;
#[cfg(test)]
mod tests;
pub(crate) mod tflite;
mod types;
pub(crate) mod view;
pub(crate) mod wide;
pub mod winograd;
mod work;

pub(crate) use cells::{
    exponent_for, exponent_of_argument, exponent_of_candidate, exponent_of_sums, is_bounded,
};
pub(crate) use choose::{CONDITION, TAKEN_BY};
pub use classes::holds_classes;
pub use gather::no_such_index;
pub(crate) use linear_features::step as linear_step;
pub(crate) use lookup::unary_results;
pub(crate) use lower::is_float_only;
pub use lower::{lower, refuse_float_only};
pub(crate) use operator::FLOAT_ONLY;
pub use operator::RunAs;
pub use shapes::{check_node, infer_shape};
pub use strided_copy::copy;
pub use work::{channel_axis, is_float, macs, weights_of};

use crate::graph::Op;
use operator::Operator;

macro_rules! files {
    ($($file:ident { $($Op:ident $(($attributes:ident: $Attributes:ty))? => $name:expr),+ })+) => {
        $(mod $file;)+

        /// For each file of the list of operators, TensorFlow Lite's operators that it knows, and what the device runs for
        /// each of them: all that have vectors.
        pub const LIST: &[(&str, RunAs)] = &[$((stringify!($file), $file::RUN_AS)),+];

        /// What is known of an operator.
        pub(crate) fn of(op: &Op) -> &dyn Operator {
            match op {
                $($(Op::$Op $(($attributes))? => operator!($file $Op $($attributes)?),)+)+
            }
        }
    };
}

macro_rules! operator {
    ($file:ident $Op:ident) => {
        &$file::$Op
    };
    ($file:ident $Op:ident $attributes:ident) => {
        $attributes
    };
}

ferrolite_graph::operators!(files);
