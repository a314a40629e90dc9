//! Variables: parts of the state that have a name.
//!
//! A program needs no names, and [`Model::from_bytes`] does not look at them. Whoever asks for the variables gets those that
//! are what they say, which is proved at that time.

use crate::{DType, Model, Port, Tensor};

impl<'a> Model<'a> {
    /// The variables: tensors of the state, with their shapes and quantizations. Empty where one of them is no state, or
    /// has another shape than its tensor has bytes for.
    pub fn variables(&self) -> &'a [Port] {
        let ports = self.named_state().unwrap_or_default();
        if ports.iter().all(|port| self.variable_tensor(port).is_some()) { ports } else { &[] }
    }

    /// The tensor of a variable.
    pub fn variable_tensor(&self, port: &Port) -> Option<&'a Tensor> {
        let tensor = self.tensors().get(port.tensor as usize).filter(|tensor| tensor.is_state())?;
        let size = tensor.dtype().map_or(0, DType::size) as u32;
        let dims = port.dims.get(..port.rank as usize)?;
        let bytes = dims.iter().try_fold(size, |bytes, &dim| bytes.checked_mul(dim))?;
        (bytes == tensor.bytes).then_some(tensor)
    }
}
