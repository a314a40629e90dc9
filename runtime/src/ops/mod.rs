//! Operators, one file each: parameters, checks, shapes and borders, written once for every core.
//!
//! An [`Operator`] is four functions. `check` doubts the file, once, when an interpreter is made;
//! `eval` trusts it, at each inference; `lead` says how far the output may lie over an input;
//! `scratch` functions, which the converter calls too, say how much scratch memory an op needs.
//! What is not generic and runs at start is `#[inline]`, so that it is compiled with the firmware, for size;
//! what is rare there is `#[cold]`, too, so that it has one copy.
//! An [`OpSet`] lists the operators that a program links: the converter writes the list that a model
//! needs, [`ALL`] serves any model.

pub mod add;
pub mod arg_min_max;
pub mod batch_matmul;
pub mod broadcast;
pub mod conv_2d;
pub mod conv_2d_winograd;
pub mod cumsum;
pub mod delay_line;
pub mod depthwise_3x3;
pub mod depthwise_conv_2d;
pub mod dequantize;
pub mod fully_connected;
pub mod gather;
pub mod lookup;
pub mod min_max;
pub mod mul;
pub mod pool_2d;
pub mod quantize;
pub mod reduce;
pub mod reduce_min_max;
pub mod requantize;
pub mod resize_bilinear;
pub mod resize_nearest;
pub mod softmax;
pub mod strided_copy;
pub mod transpose_conv;
pub mod window;

use ferrolite_schema::OpCode;

use crate::error::Fault;
use crate::kernels::{Kernels, Native};
use crate::node::{Eval, Node};

/// What the interpreter knows of an operator.
pub struct Operator {
    /// Its number in files.
    pub code: OpCode,
    /// Doubts the op: operands, parameters, constants, scratch. Called once, before any `eval`.
    pub check: fn(&Node<'_>) -> Result<(), Fault>,
    /// Computes the op. Only called when `check` found no fault.
    pub eval: fn(&Eval<'_>),
    /// The number of bytes that the output must start before the input at this position, at least,
    /// when the two share memory; `None` where they may not. Only called when `check` found no fault.
    pub lead: fn(&Node<'_>, usize) -> Option<u32>,
}

/// The operators that a program links, best in ascending order of their codes: they are found faster then.
pub type OpSet = &'static [Operator];

/// The `lead` of operators whose output never shares memory with an input.
pub fn no_overlap(_: &Node<'_>, _: usize) -> Option<u32> {
    None
}

/// The `lead` of operators that read element `i` of every input before they write element `i` of
/// the output, all of one size: in place.
pub fn in_place(_: &Node<'_>, _: usize) -> Option<u32> {
    Some(0)
}

/// CONV_2D.
pub const CONV_2D: Operator = conv_2d::operator::<Native>();
/// DEPTHWISE_CONV_2D.
pub const DEPTHWISE_CONV_2D: Operator = depthwise_conv_2d::operator::<Native>();
/// FULLY_CONNECTED.
pub const FULLY_CONNECTED: Operator = fully_connected::operator::<Native>();
/// Every function of one 8-bit number.
pub const LOOKUP: Operator = lookup::operator::<Native>();
/// AVERAGE_POOL_2D.
pub const AVERAGE_POOL_2D: Operator = pool_2d::average_operator::<Native>();
/// MAX_POOL_2D.
pub const MAX_POOL_2D: Operator = pool_2d::max_operator::<Native>();
/// SOFTMAX.
pub const SOFTMAX: Operator = softmax::operator();
/// ADD and SUB.
pub const ADD: Operator = add::operator::<Native>();
/// PAD, TRANSPOSE, CONCATENATION, SPLIT, SLICE, STRIDED_SLICE, PACK, UNPACK, RESHAPE.
pub const STRIDED_COPY: Operator = strided_copy::operator();
/// MEAN and SUM.
pub const REDUCE: Operator = reduce::operator();
/// REDUCE_MAX and REDUCE_MIN.
pub const REDUCE_MIN_MAX: Operator = reduce_min_max::operator();
/// RESIZE_NEAREST_NEIGHBOR.
pub const RESIZE_NEAREST: Operator = resize_nearest::operator();
/// RESIZE_BILINEAR.
pub const RESIZE_BILINEAR: Operator = resize_bilinear::operator();
/// QUANTIZE of float32.
pub const QUANTIZE: Operator = quantize::operator();
/// DEQUANTIZE.
pub const DEQUANTIZE: Operator = dequantize::operator();
/// ARG_MAX and ARG_MIN.
pub const ARG_MIN_MAX: Operator = arg_min_max::operator();
/// QUANTIZE of integers.
pub const REQUANTIZE: Operator = requantize::operator();
/// MUL.
pub const MUL: Operator = mul::operator::<Native>();
/// MAXIMUM and MINIMUM.
pub const MIN_MAX: Operator = min_max::operator::<Native>();
/// BATCH_MATMUL.
pub const BATCH_MATMUL: Operator = batch_matmul::operator();
/// CONV_2D of 3x3 filters by Winograd's algorithm.
pub const CONV_2D_WINOGRAD: Operator = conv_2d_winograd::operator::<Native>();
/// DEPTHWISE_CONV_2D of 3x3 filters, four channels of the whole image at a time.
pub const DEPTHWISE_3X3: Operator = depthwise_3x3::operator::<Native>();
/// TRANSPOSE_CONV.
pub const TRANSPOSE_CONV: Operator = transpose_conv::operator::<Native>();
/// GATHER.
pub const GATHER: Operator = gather::operator();
/// The latest bytes of a stream, kept from one inference to the next.
pub const DELAY_LINE: Operator = delay_line::operator();
/// CUMSUM.
pub const CUMSUM: Operator = cumsum::operator();

/// Operators for files that were packed for the core that this is compiled for: they link its kernels and no
/// others, and refuse what was packed for another core. `convert --rust` names them where they will do.
/// On a host they run every file, so that firmware can be tested there, and with the feature `foreign-kernels`.
pub mod tuned {
    use super::{Native, Operator, conv_2d, depthwise_conv_2d, fully_connected};

    const STRICT: bool = cfg!(all(device, not(feature = "foreign-kernels")));

    /// CONV_2D.
    pub const CONV_2D: Operator = if STRICT { conv_2d::tuned_operator::<Native>() } else { super::CONV_2D };
    /// DEPTHWISE_CONV_2D.
    pub const DEPTHWISE_CONV_2D: Operator =
        if STRICT { depthwise_conv_2d::tuned_operator::<Native>() } else { super::DEPTHWISE_CONV_2D };
    /// FULLY_CONNECTED.
    pub const FULLY_CONNECTED: Operator =
        if STRICT { fully_connected::tuned_operator::<Native>() } else { super::FULLY_CONNECTED };
}

/// Operators for files whose weights are plain: they link the kernels for those and no others, and refuse
/// packed files, on every core.
pub mod plain {
    use super::{Native, Operator, conv_2d, depthwise_conv_2d, fully_connected};

    /// CONV_2D.
    pub const CONV_2D: Operator = conv_2d::plain_operator::<Native>();
    /// DEPTHWISE_CONV_2D.
    pub const DEPTHWISE_CONV_2D: Operator = depthwise_conv_2d::plain_operator::<Native>();
    /// FULLY_CONNECTED.
    pub const FULLY_CONNECTED: Operator = fully_connected::plain_operator::<Native>();
}

/// Number of operators.
const COUNT: usize = 26;

/// Every operator in the order of codes, with the kernels `K`: for tests of kernel sets. A program wants
/// [`ALL`].
pub const fn all<K: Kernels>() -> [Operator; COUNT] {
    [
        conv_2d::operator::<K>(),
        depthwise_conv_2d::operator::<K>(),
        fully_connected::operator::<K>(),
        transpose_conv::operator::<K>(),
        BATCH_MATMUL,
        pool_2d::average_operator::<K>(),
        pool_2d::max_operator::<K>(),
        add::operator::<K>(),
        mul::operator::<K>(),
        min_max::operator::<K>(),
        lookup::operator::<K>(),
        SOFTMAX,
        STRIDED_COPY,
        REDUCE,
        REDUCE_MIN_MAX,
        RESIZE_NEAREST,
        RESIZE_BILINEAR,
        QUANTIZE,
        DEQUANTIZE,
        ARG_MIN_MAX,
        REQUANTIZE,
        conv_2d_winograd::operator::<K>(),
        depthwise_3x3::operator::<K>(),
        GATHER,
        DELAY_LINE,
        CUMSUM,
    ]
}

/// Every operator, in the order of codes: serves any model, links all of them.
pub const ALL: OpSet = &all::<Native>();
