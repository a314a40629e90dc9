//! Masks: an Embedding with `mask_zero` marks steps that later layers are to skip. Ferrolite computes every
//! step, which is the same only where no later layer reads the mask.
//!
//! A mask travels with a tensor: most layers that work element by element hand on the mask of their first
//! operand, others drop it, and a few read it.
//!
//! Sources: `layers/layer.py` (`__call__`, steps 6 and 7) of Keras 3.15, and `supports_masking`, `compute_mask`
//! and the arguments of `call` of its layers.

use std::collections::HashSet;

use super::network::{Layer, Network};

/// What a layer does with the masks of its operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Computes something else where there is one.
    Reads,
    /// Hands on that of its first operand.
    Passes,
    /// Hands one on where all operands have one.
    PassesIfAll,
    /// Hands one on where an operand has one.
    PassesIfAny,
    /// Makes one.
    Makes,
    /// Does not know of masks; its results have none.
    Drops,
}

/// The operations of a model whose results are masks and nothing else. Functional models of Keras 3 hold how a
/// mask is computed, and give it to every layer that takes one, read or not.
pub fn only_masks(network: &Network) -> HashSet<&str> {
    let operations = network.layers.iter().filter(|layer| layer.operation);
    let mut only: HashSet<&str> = operations.map(|layer| layer.name.as_str()).collect();
    for output in &network.outputs {
        only.remove(output.layer.as_str());
    }
    // Readers stand behind what they read, mostly: one round from the end, and one that changes nothing.
    loop {
        let before = only.len();
        for layer in network.layers.iter().rev().filter(|layer| !layer.calls.is_empty()) {
            if !only.contains(layer.name.as_str()) {
                for tensor in layer.calls.iter().flat_map(|call| call.tensors_without("mask")) {
                    only.remove(tensor.layer.as_str());
                }
            }
        }
        if only.len() == before {
            return only;
        }
    }
}

/// The rule of a layer. Models within hand masks on to their layers.
pub fn rule(layer: &Layer) -> Rule {
    match layer.class.as_str() {
        "LSTM"
        | "GRU"
        | "SimpleRNN"
        | "RNN"
        | "ConvLSTM1D"
        | "ConvLSTM2D"
        | "ConvLSTM3D"
        | "Bidirectional"
        | "GlobalAveragePooling1D"
        | "GlobalAvgPool1D"
        | "Softmax"
        | "Attention"
        | "AdditiveAttention"
        | "MultiHeadAttention"
        | "GroupQueryAttention"
        | "GroupedQueryAttention"
        | "Lambda" => Rule::Reads,
        "TimeDistributed" => match layer.children.first() {
            Some((_, inner)) if inner.network.is_some() || rule(inner) == Rule::Reads => Rule::Reads,
            _ => Rule::Passes,
        },
        "Embedding" if layer.config.bool_or("mask_zero", false).unwrap_or(false) => Rule::Makes,
        "Add" | "Subtract" | "Multiply" | "Average" | "Maximum" | "Minimum" if !layer.operation => {
            Rule::PassesIfAll
        }
        "Concatenate" if !layer.operation => Rule::PassesIfAny,
        "Dense"
        | "Activation"
        | "ReLU"
        | "LeakyReLU"
        | "PReLU"
        | "ELU"
        | "ThresholdedReLU"
        | "BatchNormalization"
        | "BatchNormalizationV1"
        | "BatchNormalizationV2"
        | "LayerNormalization"
        | "GroupNormalization"
        | "UnitNormalization"
        | "Normalization"
        | "Rescaling"
        | "Dropout"
        | "SpatialDropout1D"
        | "SpatialDropout2D"
        | "AlphaDropout"
        | "GaussianDropout"
        | "GaussianNoise"
        | "ActivityRegularization"
        | "Identity"
            if !layer.operation =>
        {
            Rule::Passes
        }
        _ => Rule::Drops,
    }
}
