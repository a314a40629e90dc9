//! Weights as a list of named arrays, as formats keep them whose networks are written in text.

use crate::graph::Constant;

/// A named array.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Its name in the list.
    pub name: String,
    /// Dimensions, outermost first.
    pub shape: Vec<usize>,
    /// The elements.
    pub data: Constant,
}
