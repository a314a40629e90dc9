// Written by `ferrolite convert --rust`; convert the model again instead of editing.
// Facts of the model watch_conv1d_int8_tf.

use ferrolite_runtime::{OpSet, ops};

// Other kernels would give the same bytes, several times slower.
const _: () = assert!(
    ferrolite_runtime::accepts(ferrolite_runtime::Target::CortexM4),
    "the model is packed for cortex-m4, and this build has the kernels of another core: build for `--target thumbv7em-none-eabihf` (or `-eabi`); or convert \
     it with `--target` for this core; the feature `foreign-kernels` of ferrolite-runtime allows it, slow as it is"
);

/// Bytes of arena that the model needs: `Arena::<ARENA>::new()`.
#[allow(dead_code)]
pub const ARENA: usize = 3_208;

/// The operators that the model uses, for `Interpreter::new`; only these are linked.
#[allow(dead_code)]
#[rustfmt::skip]
pub const OPS: OpSet = &[ops::tuned::CONV_2D, ops::tuned::DEPTHWISE_CONV_2D, ops::tuned::FULLY_CONNECTED, ops::MAX_POOL_2D, ops::SOFTMAX, ops::REDUCE];

/// Bytes of the model file.
#[allow(dead_code)]
pub const MODEL_BYTES: usize = 7_552;

/// Multiply-accumulate operations of one inference.
#[allow(dead_code)]
pub const MACS: u64 = 87520;

/// The input `keras_tensor_9`, int8.
#[allow(dead_code, clippy::approx_constant)]
pub mod input0 {
    /// Dimensions, outermost first.
    pub const SHAPE: [usize; 3] = [1, 128, 6];
    /// Number of elements.
    pub const LEN: usize = 768;
    /// Real number per integer step.
    pub const SCALE: f32 = 0.09708946;
    /// The integer that stands for zero.
    pub const ZERO_POINT: i32 = 22;
}

/// The output `output_0`, int8.
#[allow(dead_code, clippy::approx_constant)]
pub mod output0 {
    /// Dimensions, outermost first.
    pub const SHAPE: [usize; 2] = [1, 7];
    /// Number of elements.
    pub const LEN: usize = 7;
    /// Real number per integer step.
    pub const SCALE: f32 = 0.00390625;
    /// The integer that stands for zero.
    pub const ZERO_POINT: i32 = -128;
}
