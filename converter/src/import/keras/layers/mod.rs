//! Translates each layer of Keras into nodes of the graph.
//!
//! | file | layers |
//! |---|---|
//! | `activation` | activation functions and layers |
//! | `convolution` | convolutions over images and sequences, Dense |
//! | `einsum` | EinsumDense |
//! | `pooling` | pooling, resizing, borders |
//! | `normalization` | batch, layer, group norms; Normalization, Rescaling |
//! | `merge` | layers of several operands |
//! | `shape` | Flatten, Reshape, Permute, RepeatVector, Embedding |
//! | `masks` | Masking, and the masks of all layers |
//! | `recurrent` | LSTM, GRU, SimpleRNN, RNN, Bidirectional |
//! | `attention` | Attention, MultiHeadAttention |
//! | `operation` | `keras.ops` in functional models |

mod activation;
mod attention;
mod context;
mod convolution;
mod einsum;
mod elements;
mod hub;
mod masks;
mod merge;
mod normalization;
mod operands;
mod operation;
mod pooling;
mod recurrent;
mod shape;

use super::calls::{Arg, Call};
use super::config::Config;
use super::masking::{self, Rule};
use super::network::{Layer, Variable};
use super::run::{Mask, Run, Translation};
use super::training;
use crate::error::Result;
use crate::graph::ValueId;
use crate::import::refusal::{Refusal, unsupported};
use context::{Context, ROAD, one};

type Build = fn(&mut Context) -> Translation;

/// All layers, by the names of their classes in Keras 2 and 3.
const LAYERS: &[(&[&str], Build)] = &[
    (&["Dense"], convolution::dense),
    (&["EinsumDense"], einsum::dense),
    (&["Conv1D", "Convolution1D"], convolution::conv::<1>),
    (&["Conv2D", "Convolution2D"], convolution::conv::<2>),
    (&["DepthwiseConv1D"], convolution::depthwise::<1>),
    (&["DepthwiseConv2D"], convolution::depthwise::<2>),
    (&["SeparableConv1D", "SeparableConvolution1D"], convolution::separable::<1>),
    (&["SeparableConv2D", "SeparableConvolution2D"], convolution::separable::<2>),
    (&["Conv1DTranspose", "Convolution1DTranspose"], convolution::transposed::<1>),
    (&["Conv2DTranspose", "Convolution2DTranspose"], convolution::transposed::<2>),
    (&["Activation", "ReLU", "LeakyReLU", "ELU", "ThresholdedReLU", "Softmax", "PReLU"], activation::layer),
    (&["MaxPooling1D", "MaxPool1D", "AveragePooling1D", "AvgPool1D"], pooling::pool::<1>),
    (&["MaxPooling2D", "MaxPool2D", "AveragePooling2D", "AvgPool2D"], pooling::pool::<2>),
    (
        &[
            "GlobalMaxPooling1D",
            "GlobalMaxPool1D",
            "GlobalAveragePooling1D",
            "GlobalAvgPool1D",
            "GlobalMaxPooling2D",
            "GlobalMaxPool2D",
            "GlobalAveragePooling2D",
            "GlobalAvgPool2D",
        ],
        pooling::global,
    ),
    (&["ZeroPadding1D"], pooling::pad::<1>),
    (&["ZeroPadding2D"], pooling::pad::<2>),
    (&["Cropping1D"], pooling::crop::<1>),
    (&["Cropping2D"], pooling::crop::<2>),
    (&["UpSampling1D"], pooling::upsample::<1>),
    (&["UpSampling2D"], pooling::upsample::<2>),
    (&["BatchNormalization", "BatchNormalizationV1", "BatchNormalizationV2"], normalization::batch),
    (&["LayerNormalization"], normalization::layer),
    (&["GroupNormalization"], normalization::group),
    (&["RMSNormalization"], normalization::rms),
    (&["UnitNormalization"], normalization::unit),
    (&["Normalization"], normalization::normalization),
    (&["Rescaling"], normalization::rescaling),
    (&["Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum"], merge::elementwise),
    (&["Concatenate"], merge::concatenate),
    (&["Dot"], merge::dot),
    (&["Flatten"], shape::flatten),
    (&["Reshape"], shape::reshape),
    (&["Permute"], shape::permute),
    (&["RepeatVector"], shape::repeat),
    (&["Embedding"], shape::embedding),
    (&["LSTM", "GRU", "SimpleRNN", "RNN"], recurrent::layer),
    (&["Bidirectional"], recurrent::bidirectional),
    (&["Masking"], masks::masking),
    (&["TimeDistributed"], shape::time_distributed),
    (&["MultiHeadAttention"], attention::multi_head),
    (&["Attention"], attention::dot_product),
    (
        &[
            "Dropout",
            "SpatialDropout1D",
            "SpatialDropout2D",
            "AlphaDropout",
            "GaussianDropout",
            "GaussianNoise",
            "ActivityRegularization",
            "Identity",
            "RandomBrightness",
            "RandomColorDegeneration",
            "RandomColorJitter",
            "RandomContrast",
            "RandomErasing",
            "RandomFlip",
            "RandomGaussianBlur",
            "RandomGrayscale",
            "RandomHue",
            "RandomInvert",
            "RandomPerspective",
            "RandomPosterization",
            "RandomRotation",
            "RandomSaturation",
            "RandomSharpness",
            "RandomShear",
            "RandomTranslation",
            "RandomZoom",
            "RandomHeight",
            "RandomWidth",
            "AugMix",
            "CutMix",
            "MixUp",
            "RandAugment",
        ],
        nothing,
    ),
];

fn find(class: &str) -> Option<Build> {
    LAYERS.iter().find(|(names, _)| names.contains(&class)).map(|(_, build)| *build)
}

/// Whether Ferrolite knows the class, at least in some form.
pub fn is_known(class: &str) -> bool {
    // Cells are known within an RNN.
    let cells = ["LSTMCell", "GRUCell", "SimpleRNNCell", "StackedRNNCells"];
    class == "InputLayer" || cells.contains(&class) || find(class).is_some()
}

/// Builds one call of a layer, under this name.
pub fn call(run: &mut Run<'_>, layer: &Layer, name: &str, call: &Call<ValueId>) -> Translation {
    if let Some(inner) = training::trains(layer, call) {
        let name = if inner.name == layer.name {
            layer.name.clone()
        } else {
            format!("{}/{}", layer.name, inner.name)
        };
        if run.keras < 3 {
            return unsupported(format!(
                "{} called in training mode: build the model without `training=True`",
                inner.class
            ));
        }
        run.warnings.push(format!(
            "layer `{name}` ({}) is called with training=True; it was converted as `predict` computes it, for \
             inference: build the model without `training=True` if that is what is meant",
            inner.class
        ));
    }
    // Layers that do not read a mask compute the same with one.
    let given = match call.arg(usize::MAX, "mask") {
        Some(&Arg::Tensor(id)) => Some(vec![id]),
        Some(list @ Arg::List(_)) => {
            let mut found = Vec::new();
            list.tensors(&mut found);
            Some(found.into_iter().copied().collect::<Vec<_>>())
        }
        _ => None,
    };
    let mut unmasked = call.clone();
    unmasked.named.retain(|(name, _)| name != "mask");
    let context = &mut Context { run, layer, name, call: &unmasked, mask: None, masks: Vec::new() };
    if let Some(network) = &layer.network {
        let inputs = context.inputs();
        if let (Some(&first), Some(&mask)) = (inputs.first(), given.as_ref().and_then(|given| given.first()))
        {
            let mask = masks::given(context, mask);
            context.run.masked.insert(first, mask);
        }
        return Ok(context.run.network(network, &format!("{}/", context.name), &inputs)?);
    }
    if layer.class == "KerasLayer" {
        return hub::build(context);
    }
    if layer.operation {
        return operation::build(context);
    }
    let Some(build) = find(&layer.class) else {
        return unsupported(match layer.class.as_str() {
            "TFOpLambda" | "SlicingOpLambda" => {
                "a TensorFlow function in a model of Keras 2: use a layer instead, or export a SavedModel"
            }
            "Lambda" => {
                "a Python function, which the file does not hold in readable form: `model.export(...)` writes a \
                 SavedModel, which holds what it computes"
            }
            class if NO_ROAD.contains(&class) => "",
            _ => ROAD,
        });
    };
    if let Some(mode) = quantized(&layer.config) {
        return unsupported(format!("its weights are quantized by Keras ({mode}): save the float model"));
    }
    let rule = masking::rule(layer);
    let inputs = context.inputs();
    let mut masks: Vec<Option<Mask>> = inputs.iter().map(|id| context.run.masked.get(id).copied()).collect();
    let said = given.as_ref().and_then(|given| given.first()).map(|&mask| masks::given(context, mask));
    if let (Some(first), Some(said)) = (masks.first_mut(), said) {
        // Masks that Keras gives to layers of several operands are those that the operands have.
        if rule == Rule::Reads || inputs.len() == 1 || first.is_none() {
            *first = Some(said);
        }
    }
    if let (Some(Arg::List(listed)), Rule::Reads) = (call.arg(usize::MAX, "mask"), rule) {
        for (mask, said) in masks.iter_mut().zip(listed) {
            *mask = match said {
                Arg::Tensor(id) => Some(masks::given(context, *id)),
                _ => None,
            };
        }
    }
    context.masks = masks.clone();
    if rule == Rule::Reads && masking::is_read_here(layer) {
        // Keras 3 hands a layer the mask of its operand only if that is its only tensor.
        let own = inputs.len() == 1 || context.run.keras < 3;
        context.mask = said.or(masks.first().copied().flatten().filter(|_| own));
    } else if rule == Rule::Reads && masks.iter().any(Option::is_some) {
        return unsupported(
            "it reads a mask (of a Masking layer, or of an Embedding with mask_zero), which only LSTM, GRU, SimpleRNN, \
             Bidirectional, GlobalAveragePooling1D, Softmax, Attention and MultiHeadAttention do here",
        );
    }
    let results = match build(context) {
        Err(Refusal::Broken(error))
            if !error.named_layer().is_some_and(|named| named.contains(&layer.name)) =>
        {
            return Err(error.context(format!("layer `{}`", layer.name)).into());
        }
        other => other?,
    };
    let of_results = masks::of_results(context, rule, &masks, &results)?;
    for (&id, mask) in results.iter().zip(of_results) {
        // A value that is passed on as it is keeps the mask that it has.
        if let Some(mask) = mask {
            context.run.masked.insert(id, mask);
        }
    }
    Ok(results)
}

/// Layers whose parts are not supported either.
const NO_ROAD: &[&str] = &[
    "Conv3D",
    "Conv3DTranspose",
    "MaxPooling3D",
    "AveragePooling3D",
    "ConvLSTM3D",
    "CategoryEncoding",
    "Discretization",
    "Hashing",
    "HashedCrossing",
    "StringLookup",
    "IntegerLookup",
    "TextVectorization",
    "MelSpectrogram",
    "STFTSpectrogram",
];

/// How Keras has quantized a layer, if it has.
pub fn quantized(config: &Config) -> Option<String> {
    let dtype = config.get("dtype")?;
    // A policy that is given by name is `int8_from_float32`.
    if let Some((mode, _)) = dtype.as_str().and_then(|name| name.split_once("_from_")) {
        return Some(mode.into());
    }
    let class = dtype.get("class_name")?.as_str()?;
    let other = class.ends_with("DTypePolicy") && !["DTypePolicy", "FloatDTypePolicy"].contains(&class);
    let mode = dtype.get("config").and_then(|config| config.get("mode")?.as_str());
    (other || mode.is_some()).then(|| mode.unwrap_or(class).into())
}

/// A layer that has an effect only in training.
fn nothing(context: &mut Context) -> Translation {
    one(context.input())
}

/// The variables of a layer, in Keras's order.
pub fn variables(layer: &Layer) -> Result<Vec<Variable>> {
    let config = &layer.config;
    let mut list: Vec<(&'static str, &str, bool)> = Vec::new();
    let yes = |key: &str| config.bool_or(key, true);
    let mut own = |name, trainable| list.push((name, "", trainable));
    let bias = |list: &mut Vec<_>, place| -> Result<()> {
        if yes("use_bias")? {
            list.push(("bias", place, true));
        }
        Ok(())
    };
    match layer.class.as_str() {
        "Dense"
        | "Conv1D"
        | "Conv2D"
        | "Convolution1D"
        | "Convolution2D"
        | "DepthwiseConv1D"
        | "DepthwiseConv2D"
        | "Conv1DTranspose"
        | "Conv2DTranspose"
        | "Convolution1DTranspose"
        | "Convolution2DTranspose" => {
            own("kernel", true);
            bias(&mut list, "")?;
        }
        "EinsumDense" => {
            own("kernel", true);
            if config.get("bias_axes").is_some() {
                own("bias", true);
            }
        }
        "SeparableConv1D" | "SeparableConv2D" | "SeparableConvolution1D" | "SeparableConvolution2D" => {
            own("depthwise_kernel", true);
            own("pointwise_kernel", true);
            bias(&mut list, "")?;
        }
        "BatchNormalization"
        | "BatchNormalizationV1"
        | "BatchNormalizationV2"
        | "LayerNormalization"
        | "GroupNormalization" => {
            if yes("scale")? {
                own("gamma", true);
            }
            if yes("center")? && !config.bool_or("rms_scaling", false)? {
                own("beta", true);
            }
            if layer.class.starts_with("Batch") {
                own("moving_mean", false);
                own("moving_variance", false);
            }
        }
        "RMSNormalization" => own("scale", true),
        "PReLU" => own("alpha", true),
        "Embedding" => own("embeddings", true),
        "Normalization" if config.get("mean").is_none() => {
            own("mean", false);
            own("variance", false);
            own("count", false);
        }
        "Attention" if config.bool_or("use_scale", false)? => own("scale", true),
        "LSTM" | "GRU" | "SimpleRNN" => {
            list.push(("kernel", "cell/", true));
            list.push(("recurrent_kernel", "cell/", true));
            bias(&mut list, "cell/")?;
        }
        "LSTMCell" | "GRUCell" | "SimpleRNNCell" => {
            own("kernel", true);
            own("recurrent_kernel", true);
            bias(&mut list, "")?;
        }
        "MultiHeadAttention" => attention::variables(yes("use_bias")?, &mut list),
        _ => {}
    }
    let mut counts = std::collections::HashMap::<&str, usize>::new();
    let place = |(name, folder, trainable): (&'static str, &'static str, bool)| {
        let count = counts.entry(folder).or_default();
        let place = format!("{folder}vars/{count}");
        *count += 1;
        Variable { name, place, trainable, path: None }
    };
    let list: Vec<(&'static str, &'static str, bool)> = list;
    Ok(list.into_iter().map(place).collect())
}
