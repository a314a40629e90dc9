//! Float kernels: what operators compute on real numbers, as functions of shapes and slices.
//!
//! The semantics are those of TFLite's float kernels. Matrix products come from the `ndarray` crate. Kernels
//! do not check their arguments: callers have checked that shapes and attributes agree.

pub mod elementwise;
pub mod matmul;
pub mod movement;
pub mod recurrent;
pub mod reduce;
pub mod resize;
pub mod strided;
pub mod window;

/// Elements in row-major order together with their shape: an operand of an operator.
#[derive(Clone, Copy, Debug)]
pub struct Tensor<'a> {
    /// Dimensions, outermost first.
    pub shape: &'a [usize],
    /// The elements, as many as the shape says.
    pub data: &'a [f32],
}

impl Tensor<'_> {
    /// Size of the last dimension; 1 for a scalar.
    pub fn depth(&self) -> usize {
        self.shape.last().copied().unwrap_or(1)
    }
}
