//! Differences of operator sets before 7: how shapes broadcast, and attributes that later became operands.

use super::layer::{Layer, axis};
use super::movement::reshaped;
use super::net::Slot;
use crate::import::refusal::{Refusal, unsupported};

impl Layer<'_> {
    /// The second operand of a function of two tensors. Before operator set 7, its dimensions are those of
    /// the first operand from `axis` on. Since then, and without `axis`, shapes are aligned at their ends.
    pub(super) fn second(&mut self) -> Result<Slot, Refusal> {
        let slot = self.slot(1)?;
        if self.opset() >= 7 || self.int("broadcast", 0) == 0 || !self.has("axis") {
            return Ok(slot);
        }
        let (rank, mut shape) = (self.shape(0)?.len(), self.shape(1)?);
        if shape.iter().all(|&d| d == 1) {
            shape.clear();
        } else {
            let place = axis(self.int("axis", 0), rank)?;
            if place + shape.len() > rank {
                return unsupported(format!(
                    "an operand of shape {shape:?} from dimension {place} of {rank} on"
                ));
            }
            shape.resize(rank - place, 1);
        }
        let outer = std::mem::take(&mut self.name);
        self.name = format!("{outer}/aligned");
        let found = reshaped(self, &slot, &shape);
        self.name = outer;
        Ok(found?.pop().unwrap_or(Slot::Unknown))
    }
}
