//! One call of a layer while it is built.

use crate::error::{Error, Result};
use crate::graph::ValueId;
use crate::import::keras::calls::Call;
use crate::import::keras::config::Config;
use crate::import::keras::network::Layer;
use crate::import::keras::run::{Mask, Run, Translation};

/// The advice for layers that a SavedModel may contain as simpler parts.
pub const ROAD: &str = "`model.export(...)` writes a SavedModel, which may show it in parts that are known";

/// One call of a layer, and the graph that it adds to.
pub struct Context<'r, 'a> {
    /// The model that is being built.
    pub run: &'r mut Run<'a>,
    /// The layer.
    pub layer: &'r Layer,
    /// Name of the call in the graph.
    pub name: &'r str,
    /// The arguments of the call.
    pub call: &'r Call<ValueId>,
    /// The mask that a layer which reads one reads.
    pub mask: Option<Mask>,
    /// The masks of all tensors that the layer is called with, of a layer that reads them.
    pub masks: Vec<Option<Mask>>,
}

impl Context<'_, '_> {
    /// The layer's configuration.
    pub fn config(&self) -> &Config {
        &self.layer.config
    }

    /// The name of a node within the layer.
    pub fn part(&self, word: &str) -> String {
        format!("{}/{word}", self.name)
    }

    /// All tensors that the layer is called with.
    pub fn inputs(&self) -> Vec<ValueId> {
        self.call.tensors().into_iter().copied().collect()
    }

    /// The first tensor.
    pub fn input(&self) -> Result<ValueId> {
        self.inputs().first().copied().ok_or_else(|| self.broken("it is called with no tensor"))
    }

    /// The shape of a value.
    pub fn shape(&self, x: ValueId) -> Vec<usize> {
        self.run.builder.shape(x).to_vec()
    }

    /// An error of this layer.
    pub fn broken(&self, message: impl std::fmt::Display) -> Error {
        Error::layer(&self.layer.name, &self.layer.class, message)
    }

    /// A dimension of a tensor of that rank; a negative number counts from the end.
    pub fn axis(&self, axis: i64, rank: usize) -> Result<usize> {
        let place = if axis < 0 { axis + rank as i64 } else { axis };
        usize::try_from(place)
            .ok()
            .filter(|&place| place < rank)
            .ok_or_else(|| self.broken(format!("axis {axis} of a tensor of {rank} dimensions")))
    }

    /// The dimensions that `axis` names, or `default`.
    pub fn axes(&self, rank: usize, default: i64) -> Result<Vec<usize>> {
        let axes = self.config().integers("axis")?.unwrap_or_else(|| vec![default]);
        axes.into_iter().map(|axis| self.axis(axis, rank)).collect()
    }

    /// A variable of the layer as a constant of the same shape.
    pub fn variable(&mut self, name: &str, shape: &[usize]) -> Result<ValueId> {
        self.permuted(name, shape, &(0..shape.len()).collect::<Vec<_>>(), shape)
    }

    /// A variable of the layer as a constant, with its dimensions in another order and then in the shape
    /// `target`.
    pub fn permuted(
        &mut self,
        name: &str,
        shape: &[usize],
        order: &[usize],
        target: &[usize],
    ) -> Result<ValueId> {
        let layer = self.layer;
        self.run
            .once(layer, name, target, |run| Ok(reorder(&run.variable(layer, name, shape)?, shape, order)))
    }

    /// The bias, if the layer has one.
    pub fn bias(&mut self, elements: usize) -> Result<Option<ValueId>> {
        if !self.has("bias") {
            return Ok(None);
        }
        self.variable("bias", &[elements]).map(Some)
    }

    /// Whether the layer has a variable with that name.
    pub fn has(&self, name: &str) -> bool {
        self.layer.variables.iter().any(|variable| variable.name == name)
    }
}

/// The elements of a tensor with its dimensions in another order.
pub fn reorder(elements: &[f32], shape: &[usize], order: &[usize]) -> Vec<f32> {
    let strides: Vec<usize> = (0..shape.len()).map(|d| shape.iter().skip(d + 1).product()).collect();
    let mut result = Vec::with_capacity(elements.len());
    let mut place = vec![0usize; order.len()];
    for _ in 0..elements.len() {
        let index: usize = place.iter().zip(order).map(|(p, &d)| p * strides[d]).sum();
        result.push(elements[index]);
        for (p, &d) in place.iter_mut().zip(order).rev() {
            *p += 1;
            if *p < shape[d] {
                break;
            }
            *p = 0;
        }
    }
    result
}

/// The translation of a layer with one result.
pub fn one(result: Result<ValueId>) -> Translation {
    Ok(vec![result?])
}
