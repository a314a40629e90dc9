//! Scalers of features before trees and linear models, which take them up.

use super::layer::Layer;
use crate::graph::{Activation, Binary, BinaryKind, Op, ValueId};

/// A product or a sum of single features with constants, as it stands before the trees.
pub(super) struct Step {
    pub kind: BinaryKind,
    pub by: Vec<f32>,
}

impl Step {
    /// What a feature becomes.
    pub(super) fn of(&self, feature: usize, x: f32) -> f32 {
        let by = if self.by.len() == 1 { self.by[0] } else { self.by[feature] };
        match self.kind {
            BinaryKind::Add => x + by,
            BinaryKind::Sub => x - by,
            BinaryKind::Div => x / by,
            _ => x * by,
        }
    }

    /// The factor and the term of a feature behind this step.
    pub(super) fn behind(&self, feature: usize, (factor, term): (f64, f64)) -> (f64, f64) {
        let by = f64::from(if self.by.len() == 1 { self.by[0] } else { self.by[feature] });
        match self.kind {
            BinaryKind::Add => (factor, term + by),
            BinaryKind::Sub => (factor, term - by),
            BinaryKind::Div => (factor / by, term / by),
            _ => (factor * by, term * by),
        }
    }

    /// Whether larger features become smaller ones; `None` where all become one.
    pub(super) fn falls(&self, feature: usize) -> Option<bool> {
        let by = if self.by.len() == 1 { self.by[0] } else { self.by[feature] };
        match self.kind {
            BinaryKind::Add | BinaryKind::Sub => by.is_finite().then_some(false),
            _ => (by.is_finite() && by != 0.0).then_some(by < 0.0),
        }
    }
}

/// The features before scalers, and the scalers, the first one first; those from one on that is not `fit` stay layers.
pub(super) fn before(l: &Layer<'_>, mut x: ValueId, fit: impl Fn(&Step) -> bool) -> (ValueId, Vec<Step>) {
    let graph = l.net.b.graph();
    let mut steps: Vec<Step> = Vec::new();
    let features = graph.value(x).shape.last().copied().unwrap_or(1);
    while let Some(node) = graph.nodes.iter().find(|node| node.outputs.contains(&x)) {
        let Op::Binary(Binary { kind, activation: Activation::None }) = node.op else { break };
        if !matches!(kind, BinaryKind::Add | BinaryKind::Sub | BinaryKind::Mul | BinaryKind::Div) {
            break;
        }
        let (Some(a), Some(b)) = (node.input(0), node.input(1)) else { break };
        let constant = |id: ValueId| graph.value(id).constant.as_ref().and_then(|c| c.as_f32());
        let commutes = matches!(kind, BinaryKind::Add | BinaryKind::Mul);
        let (source, by) = match (constant(a), constant(b)) {
            (None, Some(by)) => (a, by),
            (Some(by), None) if commutes => (b, by),
            _ => break,
        };
        let step = Step { kind, by: by.to_vec() };
        let one_each = by.len() == 1 || by.len() == features;
        if !one_each || !fit(&step) || graph.value(source).shape != graph.value(x).shape {
            break;
        }
        steps.push(step);
        x = source;
    }
    steps.reverse();
    (x, steps)
}
