//! Operators of `ai.onnx.ml`, which exporters of scikit-learn write around a network: they scale features,
//! and turn scores into labels. Scores are kept; labels and maps are cut.

use super::layer::{Layer, Translation, one};
use super::net::Slot;
use super::scores::{self, Behind};
use super::{normalization, scalers, trees};
use crate::graph::{
    BinaryKind, DType, LinearFeatures, Op, Quantization, ReduceKind, Slice, Softmax, UnaryKind, ValueId,
};
use crate::import::damaged::damaged;
use crate::import::refusal::{Refusal, unsupported};

pub(super) fn find(op: &str) -> Option<fn(&mut Layer<'_>) -> Translation> {
    Some(match op {
        "Scaler" => scaler,
        "Normalizer" => normalizer,
        "ArrayFeatureExtractor" => extractor,
        "ZipMap" => zip_map,
        "LabelEncoder" => labels,
        "Binarizer" => binarizer,
        "LinearRegressor" => linear_regressor,
        "LinearClassifier" => linear_classifier,
        "Imputer" => imputer,
        "TreeEnsembleClassifier" => trees::classifier,
        "TreeEnsembleRegressor" => trees::regressor,
        "TreeEnsemble" => trees::tree_ensemble,
        _ => return None,
    })
}

/// Scaler: `(x - offset) * scale`, with one of each for a feature or for all.
fn scaler(l: &mut Layer<'_>) -> Translation {
    let mut x = l.value(0)?;
    let features = l.shape(0)?.last().copied().unwrap_or(1);
    for (word, kind) in [("offset", BinaryKind::Sub), ("scale", BinaryKind::Mul)] {
        let list = l.float_list(word).unwrap_or_default();
        if list.is_empty() {
            continue;
        }
        if ![1, features].contains(&list.len()) {
            let text = format!("{} numbers of {word} for {features} features", list.len());
            return Err(Refusal::Broken(damaged(text)));
        }
        let constant = l.floats(word, &[list.len()], list)?;
        let name = if word == "scale" { l.name.clone() } else { l.part("sub") };
        x = l.net.b.binary(&name, kind, x, constant)?;
    }
    one(x)
}

/// LinearRegressor: one weighted sum of the features for each target.
fn linear_regressor(l: &mut Layer<'_>) -> Translation {
    let targets = usize::try_from(l.int("targets", 1)).unwrap_or(0);
    let y = linear(l, targets, "intercepts")?;
    one(y)
}

/// LinearClassifier: its label is cut, and its scores are the result.
fn linear_classifier(l: &mut Layer<'_>) -> Translation {
    let labels =
        l.texts("classlabels_strings").len().max(l.int_list("classlabels_ints").unwrap_or_default().len());
    let scores = l.float_list("coefficients").unwrap_or_default().len();
    let features = l.shape(0)?.last().copied().unwrap_or(1).max(1);
    if labels < 2 || scores != labels * features {
        return unsupported(format!(
            "{scores} coefficients for {features} features and {labels} classes; supported is a row for each class"
        ));
    }
    let y = linear(l, labels, "intercepts")?;
    l.net.b.graph_mut().labels = scores::labels(l);
    Ok(vec![Slot::Cut, Slot::Computed(y)])
}

/// `rows` weighted sums of the features, and the function that follows them.
fn linear(l: &mut Layer<'_>, rows: usize, offsets: &str) -> Result<ValueId, Refusal> {
    let (mut x, shape) = (l.value(0)?, l.shape(0)?);
    let features = shape.last().copied().unwrap_or(1);
    let (weights, offsets) = (l.float_list("coefficients"), l.float_list(offsets));
    let (weights, offsets) = (weights.unwrap_or_default(), offsets.unwrap_or_default());
    if rows == 0 || weights.len() != rows * features || ![0, rows].contains(&offsets.len()) {
        return Err(Refusal::Broken(damaged(format!(
            "{} coefficients and {} intercepts for {rows} results of {features} features",
            weights.len(),
            offsets.len()
        ))));
    }
    if shape.len() == 1 {
        let name = l.part("row");
        x = l.net.b.reshape(&name, x, &[1, features])?;
    }
    let behind = scores::behind(l)?;
    if let Some(y) = exact(l, x, &weights, &offsets, &behind)? {
        return Ok(y);
    }
    let weights = l.floats("coefficients", &[rows, features], weights)?;
    let offsets = if offsets.is_empty() { None } else { Some(l.floats("intercepts", &[rows], offsets)?) };
    let name = if matches!(behind, Behind::None) { l.name.clone() } else { l.part("sum") };
    let y = l.net.b.dense(&name, x, weights, offsets)?;
    Ok(match behind {
        Behind::None => y,
        Behind::Logistic => l.net.b.op(&l.name, Op::Unary(UnaryKind::Logistic), &[y])?,
        Behind::Softmax => l.net.b.op(&l.name, Op::Softmax(Softmax { beta: 1.0 }), &[y])?,
    })
}

/// Scores of int16 have this step: the functions behind them are flat where they saturate.
const STEP: f64 = 1.0 / 2048.0;

/// The sums of features that come from outside, as they are or behind scalers, which the weights take up. One scale for
/// features of different size would cost what the smaller ones say. `None` for features that are computed.
fn exact(
    l: &mut Layer<'_>,
    x: ValueId,
    weights: &[f32],
    offsets: &[f32],
    behind: &Behind,
) -> Result<Option<ValueId>, Refusal> {
    let fits = |by: &f32, kind| by.is_finite() && (*by != 0.0 || kind != BinaryKind::Div);
    let (x, steps) = scalers::before(l, x, |step| step.by.iter().all(|by| fits(by, step.kind)));
    let graph = l.net.b.graph();
    if !graph.inputs.contains(&x) || graph.value(x).dtype != DType::Float32 {
        return Ok(None);
    }
    let features = graph.value(x).shape.last().copied().unwrap_or(1);
    let (mut scaled, mut bias) = (Vec::with_capacity(weights.len()), Vec::new());
    for (row, weights) in weights.chunks_exact(features).enumerate() {
        let mut sum = f64::from(offsets.get(row).copied().unwrap_or(0.0));
        for (feature, &weight) in weights.iter().enumerate() {
            let start = (1.0, 0.0);
            let (factor, term) = steps.iter().fold(start, |affine, step| step.behind(feature, affine));
            scaled.push(f64::from(weight) * factor);
            sum += f64::from(weight) * term;
        }
        bias.push(sum);
    }
    let step = match behind {
        Behind::None => crate::ops::linear_step(&scaled, &bias),
        _ => STEP,
    };
    let op = LinearFeatures { weights: scaled, bias, relative: matches!(behind, Behind::Softmax) };
    if !matches!(behind, Behind::None) {
        let sums = scores::int16(l, "sums", Op::LinearFeatures(op), x, step)?;
        return Ok(Some(scores::function(l, sums, behind)?));
    }
    let name = l.part("sums");
    let most = step * f64::from(i32::MAX);
    let text = format!(
        "`{}`: results beyond {most:.0} are cut off there, and have steps of {step:e}: give features in units in which \
         they are no larger than some thousands",
        l.name
    );
    l.net.note(text);
    let sums = l.net.b.op(&name, Op::LinearFeatures(op), &[x])?;
    let value = l.net.b.graph_mut().value_mut(sums);
    (value.dtype, value.quantization) = (DType::Int32, Some(Quantization::per_tensor(step as f32, 0)));
    Ok(Some(scores::reals(l, sums)?))
}

/// Imputer: replaces missing numbers. A quantized input has no missing numbers.
fn imputer(l: &mut Layer<'_>) -> Translation {
    if !l.float("replaced_value_float", 0.0).is_nan() {
        return unsupported("it replaces a number, not what is missing");
    }
    let numbers: Vec<String> =
        l.float_list("imputed_value_floats").unwrap_or_default().iter().map(f32::to_string).collect();
    let text = format!(
        "layer `{}` (Imputer) is left out: fill in what is missing before the model, with {}",
        l.name,
        numbers.join(", ")
    );
    l.net.warn(text);
    Ok(vec![l.slot(0)?])
}

/// Normalizer: each row divided by its norm.
fn normalizer(l: &mut Layer<'_>) -> Translation {
    let (x, rank) = (l.value(0)?, l.shape(0)?.len());
    let last = rank.saturating_sub(1);
    let norm = l.text("norm", "MAX");
    if norm == "L1" && scores::are_shares(l, x) {
        return Ok(vec![l.slot(0)?]);
    }
    match norm.as_str() {
        "L1" => one(normalization::by_norm(l, x, last, true)?),
        "L2" => one(normalization::by_norm(l, x, last, false)?),
        _ => {
            let [most, inverse] = ["max", "inverse"].map(|word| l.part(word));
            let y = l.net.b.reduce(&most, ReduceKind::Max, x, &[last], true)?;
            let y = l.net.b.unary(&inverse, UnaryKind::ReciprocalOrZero, y)?;
            one(l.net.b.binary(&l.name, BinaryKind::Mul, x, y)?)
        }
    }
}

/// ArrayFeatureExtractor: a known table looked up by computed indices gives labels; known indices select
/// features.
fn extractor(l: &mut Layer<'_>) -> Translation {
    let data = l.slot(0)?;
    if let (Slot::Known(_), Slot::Computed(_)) = (&data, l.slot(1)?) {
        return Ok(vec![Slot::Cut]);
    }
    let (x, shape) = (l.value(0)?, l.shape(0)?);
    let columns = l.ints(1, "indices")?;
    let Some(last) = shape.len().checked_sub(1) else { return unsupported("of a scalar") };
    let mut parts = Vec::with_capacity(columns.len());
    for (i, &column) in columns.iter().enumerate() {
        let Some(column) = usize::try_from(column).ok().filter(|&c| c < shape[last]) else {
            return Err(Refusal::Broken(damaged(format!("column {column} of {}", shape[last]))));
        };
        let (mut begin, mut size) = (vec![0; shape.len()], shape.clone());
        (begin[last], size[last]) = (column, 1);
        let op = Op::Slice(Slice { begin, size, stride: vec![1; shape.len()] });
        let name = l.part(&format!("column_{i}"));
        parts.push(l.net.b.op(&name, op, &[x])?);
    }
    one(l.net.b.concat(&l.name, &parts, last)?)
}

/// ZipMap: pairs scores with their labels; the scores are the result.
fn zip_map(l: &mut Layer<'_>) -> Translation {
    let text =
        format!("`{}` (ZipMap) is left out: the result is the array of scores, without labels", l.name);
    l.net.note(text);
    Ok(vec![l.slot(0)?])
}

/// LabelEncoder: turns labels into numbers or strings.
fn labels(l: &mut Layer<'_>) -> Translation {
    l.slot(0)?;
    Ok(vec![Slot::Cut])
}

/// Binarizer: 1 above the threshold, else 0, which is a label.
fn binarizer(l: &mut Layer<'_>) -> Translation {
    l.slot(0)?;
    Ok(vec![Slot::Cut])
}
