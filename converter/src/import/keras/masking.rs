//! Masks: Masking, or an Embedding with `mask_zero`, marks steps that later layers leave out. `layers/masks` makes
//! their values.
//!
//! A mask belongs to a tensor. Most layers that work element by element pass on the mask of their first
//! operand, others drop it, and a few read it.
//!
//! Sources: `layers/layer.py` (`__call__`, steps 6 and 7) of Keras 3.15, and `supports_masking`, `compute_mask`
//! and the arguments of `call` of its layers.

use std::collections::HashSet;

use super::network::{Layer, Network};

/// What a layer does with the masks of its operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// The layer computes something else if there is a mask.
    Reads,
    /// The result has the mask of the first operand.
    Passes,
    /// The result has a mask if all operands have one.
    PassesIfAll,
    /// The result has a mask if one of the operands does, or, along features, all do.
    PassesIfAny,
    /// The layer makes a mask.
    Makes,
    /// The layer ignores masks, and its results have none.
    Drops,
}

/// The operations of a model whose results are used only as masks. Functional models of Keras 3 store how a
/// mask is computed, and pass it to every layer that accepts one, whether the layer reads it or not.
pub fn only_masks(network: &Network) -> HashSet<&str> {
    let operations = network.layers.iter().filter(|layer| layer.operation);
    let mut only: HashSet<&str> = operations.map(|layer| layer.name.as_str()).collect();
    for output in &network.outputs {
        only.remove(output.layer.as_str());
    }
    // Readers mostly come after what they read, so one round from the end finds all, and a second one changes
    // nothing.
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

/// Whether a layer that reads masks is computed with one.
pub fn is_read_here(layer: &Layer) -> bool {
    let class = layer.class.as_str();
    matches!(
        class,
        "LSTM"
            | "GRU"
            | "SimpleRNN"
            | "RNN"
            | "Bidirectional"
            | "GlobalAveragePooling1D"
            | "GlobalAvgPool1D"
            | "Softmax"
            | "Attention"
            | "MultiHeadAttention"
    )
}

/// The rule of a layer. A model that is a layer passes masks on to its layers.
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
        "Masking" => Rule::Makes,
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
