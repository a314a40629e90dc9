//! What must hold before a node is executed: the shapes of its operands, its attributes and its
//! results agree. The executing functions index without further doubt.

use std::cell::RefCell;

use crate::error::{Error, Result};
use crate::graph::{Node, Window};

/// Largest number of elements of one tensor; a wrong file must not exhaust the memory.
const MAX_ELEMENTS: usize = 1 << 31;

/// An error of a layer, by name and operator.
pub fn error(node: &Node, message: impl std::fmt::Display) -> Error {
    Error::layer(&node.name, node.op.name(), message)
}

/// Number of elements of a shape, if it is not beyond reason.
pub(crate) fn elements(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d)).filter(|&n| n <= MAX_ELEMENTS)
}

/// Output size of a window along one dimension.
fn extent(size: usize, window: &Window, dim: usize) -> Option<usize> {
    let padded = size.checked_add(window.pad_before[dim])?.checked_add(window.pad_after[dim])?;
    let kernel = (window.kernel[dim].checked_sub(1)?).checked_mul(window.dilation[dim])?.checked_add(1)?;
    padded.checked_sub(kernel)?.checked_div(window.stride[dim])?.checked_add(1)
}

/// The checks of one node, with its shapes at hand.
pub(crate) struct Check<'a> {
    pub node: &'a Node,
    pub inputs: Vec<Option<&'a [usize]>>,
    pub outputs: Vec<&'a [usize]>,
    /// Where set, the shape of the result is not checked but asked for.
    pub(super) inferred: Option<RefCell<Vec<usize>>>,
}

impl<'a> Check<'a> {
    /// An error of the layer.
    pub fn error(&self, message: impl std::fmt::Display) -> Error {
        error(self.node, message)
    }

    /// The error of an operator whose result has a shape that nothing else says.
    pub fn unknown(&self) -> Error {
        self.error("its result has no shape that follows from its operands")
    }

    /// An error unless `condition` holds.
    pub fn ensure(&self, condition: bool, message: impl FnOnce() -> String) -> Result<()> {
        if condition { Ok(()) } else { Err(error(self.node, message())) }
    }

    /// Shape of a required operand.
    pub fn input(&self, position: usize) -> Result<&'a [usize]> {
        let shape = self.inputs.get(position).copied().flatten();
        shape.ok_or_else(|| error(self.node, format!("operand {position} is missing")))
    }

    /// Shape of a required operand of four dimensions.
    pub fn image(&self, position: usize) -> Result<[usize; 4]> {
        let shape = self.input(position)?;
        shape.try_into().map_err(|_| {
            error(self.node, format!("operand {position} has shape {shape:?}, expected 4 dimensions"))
        })
    }

    /// The first output's shape must be this.
    pub fn output(&self, expected: &[usize]) -> Result<()> {
        if let Some(inferred) = &self.inferred {
            *inferred.borrow_mut() = expected.to_vec();
            return Ok(());
        }
        let found = self.outputs[0];
        self.ensure(found == expected, || {
            format!("its output has shape {found:?}, but {expected:?} follows from its operands")
        })
    }

    /// The optional bias must have one element per output channel.
    pub fn bias(&self, channels: usize) -> Result<()> {
        let Some(bias) = self.inputs.get(2).copied().flatten() else { return Ok(()) };
        let found: usize = bias.iter().product();
        self.ensure(found == channels, || {
            format!("its bias has {found} elements for {channels} output channels")
        })
    }

    /// Strides, dilations and kernel are not zero, and the kernel is that of the filter.
    pub fn window(&self, window: &Window, kernel: [usize; 2]) -> Result<()> {
        let positive = [window.kernel, window.stride, window.dilation].iter().flatten().all(|&x| x > 0);
        self.ensure(positive, || "kernel, stride or dilation is zero".into())?;
        // Keeps the index arithmetic of the kernels in range.
        let small = [window.kernel, window.stride, window.dilation, window.pad_before, window.pad_after]
            .iter()
            .flatten()
            .all(|&x| x < 1 << 24);
        self.ensure(small, || "kernel, stride, dilation or padding is beyond reason".into())?;
        self.ensure(window.kernel == kernel, || {
            format!("its kernel is {:?}, but its filter has {kernel:?}", window.kernel)
        })
    }

    /// Shape `[n, h, w, channels]` of the output of a window over an image.
    pub fn windowed(&self, [n, h, w, _]: [usize; 4], window: &Window, channels: usize) -> Result<()> {
        match (extent(h, window, 0), extent(w, window, 1)) {
            (Some(out_h), Some(out_w)) => self.output(&[n, out_h, out_w, channels]),
            _ => Err(error(self.node, format!("its window does not fit into an image of {h}x{w}"))),
        }
    }

    /// An axis is one of the dimensions.
    pub fn axis(&self, axis: usize, rank: usize) -> Result<()> {
        self.ensure(axis < rank, || format!("axis {axis} of a tensor of {rank} dimensions"))
    }

    /// The result is images of the operand's number and channels, of any size.
    pub fn resized(&self) -> Result<()> {
        let ([n, _, _, channels], found) = (self.image(0)?, self.outputs[0]);
        self.ensure(found.len() == 4 && found[0] == n && found[3] == channels, || {
            format!("its output has shape {found:?} for {n} images of {channels} channels")
        })
    }

    /// The shape that was asked for, once the operator has said it.
    pub fn found(&self) -> Vec<usize> {
        self.inferred.as_ref().map(|shape| shape.borrow().clone()).unwrap_or_default()
    }
}
