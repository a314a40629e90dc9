//! Layers that compute something else in training: dropout, noise, batch norm, augmentation.
//!
//! A call may contain `training=True`. `predict` of Keras 3 ignores it and computes the inference result;
//! Keras 2 obeys it.
//!
//! Source: `models/functional.py` of Keras 3.15 (`operation_fn`), and the layers' own `call`.

use serde_json::Value as Json;

use super::calls::{Arg, Call};
use super::network::Layer;

/// The layer that is called in training mode and behaves differently there: this one, or one inside it.
pub fn trains<'l, T>(layer: &'l Layer, call: &Call<T>) -> Option<&'l Layer> {
    let position = match layer.class.as_str() {
        "LSTM" | "GRU" | "SimpleRNN" | "Bidirectional" => 3,
        "MultiHeadAttention" | "Attention" => usize::MAX,
        _ => 1,
    };
    let training = match call.arg(position, "training") {
        Some(Arg::Plain(value)) => value.as_bool() == Some(true) || value.as_i64() == Some(1),
        _ => false,
    };
    if training { acts(layer) } else { None }
}

/// A layer that behaves differently in training: this one, or one inside it.
fn acts(layer: &Layer) -> Option<&Layer> {
    let positive = |key: &str| layer.config.f32_or(key, 0.0).is_ok_and(|rate| rate > 0.0);
    let own = match layer.class.as_str() {
        "Dropout" | "SpatialDropout1D" | "SpatialDropout2D" | "AlphaDropout" | "GaussianDropout" => {
            positive("rate")
        }
        "GaussianNoise" => positive("stddev"),
        // A frozen batch norm computes the same as at inference.
        "BatchNormalization" | "BatchNormalizationV1" | "BatchNormalizationV2" => {
            layer.config.get("trainable").and_then(Json::as_bool).unwrap_or(true)
        }
        "LSTM" | "GRU" | "SimpleRNN" => positive("dropout") || positive("recurrent_dropout"),
        "MultiHeadAttention" | "Attention" => positive("dropout"),
        class => class.starts_with("Random") || ["AugMix", "CutMix", "MixUp", "RandAugment"].contains(&class),
    };
    if own {
        return Some(layer);
    }
    let children = layer.children.iter().map(|(_, child)| child);
    children.chain(layer.network.iter().flat_map(|network| &network.layers)).find_map(acts)
}
