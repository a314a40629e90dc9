//! What each layer of Keras computes, as nodes of the graph.
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
//! | `recurrent` | LSTM, GRU, SimpleRNN, Bidirectional |
//! | `attention` | Attention, MultiHeadAttention |
//! | `operation` | `keras.ops` in functional models |

mod activation;
mod attention;
mod convolution;
mod einsum;
mod merge;
mod normalization;
mod operation;
mod pooling;
mod recurrent;
mod shape;

use super::calls::{Arg, Call};
use super::config::Config;
use super::masking::{self, Rule};
use super::model::{Layer, Variable};
use super::run::{Answer, Run, Trouble, unsupported};
use super::training;
use crate::error::{Error, Result};
use crate::graph::ValueId;

/// One call of a layer, and the graph that it adds to.
pub struct Context<'r, 'a> {
    /// The model that is being built.
    pub run: &'r mut Run<'a>,
    /// The layer.
    pub layer: &'r Layer,
    /// Name of the call in the graph.
    pub name: &'r str,
    /// What it is called with.
    pub call: &'r Call<ValueId>,
}

impl Context<'_, '_> {
    fn config(&self) -> &Config {
        &self.layer.config
    }

    /// The name of a node within the layer.
    fn part(&self, word: &str) -> String {
        format!("{}/{word}", self.name)
    }

    /// All tensors that the layer is called with.
    fn inputs(&self) -> Vec<ValueId> {
        self.call.tensors().into_iter().copied().collect()
    }

    /// The first tensor.
    fn input(&self) -> Result<ValueId> {
        self.inputs().first().copied().ok_or_else(|| self.broken("it is called with no tensor"))
    }

    fn shape(&self, x: ValueId) -> Vec<usize> {
        self.run.builder.shape(x).to_vec()
    }

    fn broken(&self, message: impl std::fmt::Display) -> Error {
        Error::input(format!("layer `{}` ({}): {message}", self.layer.name, self.layer.class))
    }

    /// A dimension of a tensor of that rank, counted from the end where it is negative.
    fn axis(&self, axis: i64, rank: usize) -> Result<usize> {
        let place = if axis < 0 { axis + rank as i64 } else { axis };
        usize::try_from(place)
            .ok()
            .filter(|&place| place < rank)
            .ok_or_else(|| self.broken(format!("axis {axis} of a tensor of {rank} dimensions")))
    }

    /// The dimensions that `axis` names; `default` where it names none.
    fn axes(&self, rank: usize, default: i64) -> Result<Vec<usize>> {
        let axes = self.config().integers("axis")?.unwrap_or_else(|| vec![default]);
        axes.into_iter().map(|axis| self.axis(axis, rank)).collect()
    }

    /// A variable of the layer as a constant of the same shape.
    fn variable(&mut self, name: &str, shape: &[usize]) -> Result<ValueId> {
        self.permuted(name, shape, &(0..shape.len()).collect::<Vec<_>>(), shape)
    }

    /// A variable of the layer as a constant: its dimensions in another order, then in the shape `target`.
    fn permuted(
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

    /// The bias, where the layer has one.
    fn bias(&mut self, elements: usize) -> Result<Option<ValueId>> {
        if !self.has("bias") {
            return Ok(None);
        }
        self.variable("bias", &[elements]).map(Some)
    }

    /// Whether the layer has a variable of that name.
    fn has(&self, name: &str) -> bool {
        self.layer.variables.iter().any(|variable| variable.name == name)
    }
}

/// Elements of a tensor with its dimensions in another order.
fn reorder(elements: &[f32], shape: &[usize], order: &[usize]) -> Vec<f32> {
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

/// A layer of one result.
fn one(result: Result<ValueId>) -> Answer {
    Ok(vec![result?])
}

type Build = fn(&mut Context) -> Answer;

/// Every layer, by the names that Keras 2 and 3 have for its class.
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
    (&["LSTM", "GRU", "SimpleRNN"], recurrent::layer),
    (&["Bidirectional"], recurrent::bidirectional),
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

/// Whether Ferrolite knows the class, in some form.
pub fn is_known(class: &str) -> bool {
    class == "InputLayer" || find(class).is_some()
}

/// Builds one call of a layer.
pub fn call(context: &mut Context) -> Answer {
    let layer = context.layer;
    if let Some(inner) = training::trains(layer, context.call) {
        let name = if inner.name == layer.name {
            layer.name.clone()
        } else {
            format!("{}/{}", layer.name, inner.name)
        };
        if context.run.keras < 3 {
            return unsupported(format!(
                "{} called in training mode: build the model without `training=True`",
                inner.class
            ));
        }
        context.run.warnings.push(format!(
            "layer `{name}` ({}) is called with training=True; it was converted as `predict` computes it, for \
             inference: build the model without `training=True` if that is what is meant",
            inner.class
        ));
    }
    // Layers that do not read a mask compute without it.
    let given = matches!(context.call.arg(usize::MAX, "mask"), Some(Arg::Tensor(_) | Arg::List(_)));
    let mut unmasked = context.call.clone();
    unmasked.named.retain(|(name, _)| name != "mask");
    let context = &mut Context { run: &mut *context.run, layer, name: context.name, call: &unmasked };
    if let Some(network) = &layer.network {
        let inputs = context.inputs();
        if given {
            context.run.masked.extend(inputs.first());
        }
        return Ok(context.run.network(network, &format!("{}/", context.name), &inputs)?);
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
            "Masking" => "masked steps are not skipped",
            class if NO_ROAD.contains(&class) => "",
            _ => ROAD,
        });
    };
    if let Some(mode) = quantized(&layer.config) {
        return unsupported(format!("its weights are quantized by Keras ({mode}): save the float model"));
    }
    let rule = masking::rule(layer);
    let mut masks: Vec<bool> = context.inputs().iter().map(|id| context.run.masked.contains(id)).collect();
    if let Some(first) = masks.first_mut() {
        *first |= given;
    }
    if rule == Rule::Reads && masks.contains(&true) {
        return unsupported("it reads a mask (mask_zero of an Embedding), and masked steps are not skipped");
    }
    let results = match build(context) {
        Err(Trouble::Broken(error)) if !error.message.contains(&layer.name) => {
            return Err(error.context(format!("layer `{}`", layer.name)).into());
        }
        other => other?,
    };
    let masked = match rule {
        Rule::Makes => true,
        Rule::Passes => masks.first() == Some(&true),
        Rule::PassesIfAll => masks.iter().all(|&masked| masked),
        Rule::PassesIfAny => masks.contains(&true),
        Rule::Reads | Rule::Drops => false,
    };
    if masked {
        context.run.masked.extend(&results);
    }
    Ok(results)
}

/// The road for layers that only a SavedModel shows in parts.
const ROAD: &str = "`model.export(...)` writes a SavedModel, which may show it in parts that are known";

/// Layers whose parts are not known either.
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

/// How Keras has quantized a layer, where it has.
pub fn quantized(config: &Config) -> Option<String> {
    let dtype = config.get("dtype")?;
    // A policy by its name is `int8_from_float32`.
    if let Some((mode, _)) = dtype.as_str().and_then(|name| name.split_once("_from_")) {
        return Some(mode.into());
    }
    let class = dtype.get("class_name")?.as_str()?;
    let other = class.ends_with("DTypePolicy") && !["DTypePolicy", "FloatDTypePolicy"].contains(&class);
    let mode = dtype.get("config").and_then(|config| config.get("mode")?.as_str());
    (other || mode.is_some()).then(|| mode.unwrap_or(class).into())
}

/// A layer that does something in training only.
fn nothing(context: &mut Context) -> Answer {
    one(context.input())
}

/// The variables of a layer, in the order of Keras.
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
