//! Variables: parts of the state that have a name in the file, by index and by name.

use ferrolite_schema::Tensor;

use crate::error::Error;
use crate::interpreter::{Interpreter, no_port, typed};
use crate::tensor::Element;

impl Interpreter<'_> {
    /// The index of the variable of this name among [`Model::variables`](crate::Model::variables).
    pub fn variable_index(&self, name: &str) -> Result<usize, Error> {
        let mut indices = 0..self.model().variables().len();
        indices.find(|&index| self.model().variable_name(index) == Some(name)).ok_or(Error::NoSuchName)
    }

    /// Elements of a variable, between inferences; a variable of the author's keeps its name, type and shape. As for
    /// [`state`](Interpreter::state), it is an error between two steps of one inference.
    ///
    /// ```no_run
    /// # fn level(net: &ferrolite_runtime::Interpreter<'_>) -> Result<i8, ferrolite_runtime::Error> {
    /// let index = net.variable_index("level")?;
    /// Ok(net.variable::<i8>(index)?[0])
    /// # }
    /// ```
    pub fn variable<T: Element>(&self, index: usize) -> Result<&[T], Error> {
        let tensor = typed::<T>(self.variable_tensor(index)?, index)?;
        let bytes = self.bytes(tensor.offset as usize, tensor.end() as usize).ok_or(no_port(index))?;
        bytemuck::try_cast_slice(bytes).map_err(|_| no_port(index))
    }

    /// Elements of a variable, to be changed before the next inference; otherwise as
    /// [`variable`](Interpreter::variable). Any elements are safe.
    pub fn variable_mut<T: Element>(&mut self, index: usize) -> Result<&mut [T], Error> {
        let tensor = typed::<T>(self.variable_tensor(index)?, index)?;
        let (from, to) = (tensor.offset as usize, tensor.end() as usize);
        let bytes = self.bytes_mut(from, to).ok_or(no_port(index))?;
        bytemuck::try_cast_slice_mut(bytes).map_err(|_| no_port(index))
    }

    fn variable_tensor(&self, index: usize) -> Result<&Tensor, Error> {
        self.not_running()?;
        let port = self.model().variables().get(index).ok_or(no_port(index))?;
        self.model().variable_tensor(port).ok_or(no_port(index))
    }
}
