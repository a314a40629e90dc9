//! Attention: means of values, weighted by the similarity of queries and keys.

use serde_json::Value as Json;

use super::context::Context;
use super::masks;
use crate::error::Result;
use crate::graph::{BatchMatMul, BinaryKind, CompareKind, Constant, DType, Op, ReduceKind, ValueId};
use crate::import::keras::calls::Arg;
use crate::import::keras::run::{Mask, Translation};
use crate::import::refusal::{Refusal, unsupported};

/// Added to masked scores: far below any score, but still a number that can be added.
const MASKED: f32 = -1e9;

/// The variables of MultiHeadAttention: those of four dense layers.
pub fn variables(bias: bool, list: &mut Vec<(&'static str, &'static str, bool)>) {
    for (kernel, bias_name, folder) in [
        ("query/kernel", "query/bias", "_query_dense/"),
        ("key/kernel", "key/bias", "_key_dense/"),
        ("value/kernel", "value/bias", "_value_dense/"),
        ("output/kernel", "output/bias", "_output_dense/"),
    ] {
        list.push((kernel, folder, true));
        if bias {
            list.push((bias_name, folder, true));
        }
    }
}

impl Context<'_, '_> {
    /// Whether an argument of the call is true.
    fn flag(&self, name: &str) -> bool {
        matches!(self.call.arg(usize::MAX, name), Some(Arg::Plain(Json::Bool(true))))
    }

    fn given(&self, name: &str) -> bool {
        matches!(self.call.arg(usize::MAX, name), Some(Arg::Tensor(_) | Arg::List(_)))
    }

    fn tensor(&self, position: usize, name: &str) -> Option<ValueId> {
        match self.call.arg(position, name) {
            Some(&Arg::Tensor(id)) => Some(id),
            _ => None,
        }
    }

    /// Queries and keys of scores `[.., queries, keys]`, of which there are not too many for a mask that is a constant.
    fn sides(&self, scores: ValueId) -> Result<(usize, usize)> {
        let shape = self.shape(scores);
        let (queries, keys) = (shape[shape.len() - 2], shape[shape.len() - 1]);
        match queries.checked_mul(keys).is_none_or(|n| n > 1 << 24) {
            true => Err(self.broken(format!("a causal mask of {queries} times {keys}"))),
            false => Ok((queries, keys)),
        }
    }

    /// Masks the scores of keys that come after the query.
    fn causal(&mut self, scores: ValueId) -> Result<ValueId> {
        let (queries, keys) = self.sides(scores)?;
        let mask = (0..queries * keys).map(|i| if i % keys > i / keys { MASKED } else { 0.0 }).collect();
        let mask = self.run.builder.float(&self.part("mask"), &[queries, keys], mask)?;
        self.run.builder.binary(&self.part("masked"), BinaryKind::Add, scores, mask)
    }

    /// Masks scores `[batch, .., queries, keys]` by the masks of steps, by one of all pairs, and of keys that come after the
    /// query. Nothing but the last one is the cheapest: a sum with a constant.
    fn mask_scores(&mut self, mut scores: ValueId, masks: Masks, causal: bool) -> Result<ValueId, Refusal> {
        let shape = self.shape(scores);
        let (batch, middle) = (shape[0], vec![1; shape.len() - 3]);
        let (queries, keys) = self.sides(scores)?;
        let of = |last: [usize; 2]| [&[batch], &middle[..], &last].concat();
        let steps = [
            (masks.query, "query_mask", [queries, 1]),
            (masks.value, "value_mask", [1, keys]),
            (masks.key, "key_mask", [1, keys]),
            (masks.pairs, "attention_mask", [queries, keys]),
        ];
        let mut joined = None;
        for (mask, word, last) in steps {
            let Some(mask) = mask else { continue };
            // A mask of pairs may be one for each head.
            let heads = matches!(mask, Mask::Known(id) if self.shape(id) == shape);
            let wanted = if heads { shape.clone() } else { of(last) };
            let mask = masks::shaped(self, mask, &wanted, word)?;
            joined = Some(masks::both(self, joined, mask, &format!("{word}/and"))?);
        }
        match joined {
            None if causal => Ok(self.causal(scores)?),
            None => Ok(scores),
            Some(mut mask) => {
                if causal {
                    let name = self.part("causal");
                    let before = (0..queries * keys).map(|i| i % keys <= i / keys).collect();
                    let dims = [&vec![1; shape.len() - 2][..], &[queries, keys]].concat();
                    let causal = self.run.builder.constant(&name, &dims, Constant::Bool(before))?;
                    mask = masks::both(self, Some(mask), causal, "causal/and")?;
                }
                scores = masks::lowered(self, scores, mask)?;
                if !causal && masks.query.is_none() && masks.pairs.is_none() {
                    return Ok(scores);
                }
                // Of a query that is left out, or all of whose keys are, Keras makes the mean of all values. Scores of 0 give the
                // same, and leave the low ones out of such rows, so that in int8 they need not be told from one another.
                let words = ["any", "even", "rows"].map(|word| self.part(word));
                let any =
                    self.run.builder.reduce(&words[0], ReduceKind::Max, mask, &[shape.len() - 1], true)?;
                let even = self.run.builder.float(&words[1], &[1], vec![0.0])?;
                Ok(self.run.builder.select(&words[2], any, scores, even)?)
            }
        }
    }

    /// The mask of an operand, which the call gives by its name or which the operand has.
    fn mask_of(&mut self, word: &str, x: ValueId) -> Option<Mask> {
        match self.tensor(usize::MAX, word) {
            Some(id) => Some(masks::given(self, id)),
            None => self.run.masked.get(&x).copied(),
        }
    }

    /// One of the dense layers, with a kernel `[inputs, heads, size]`. The result is `[n, heads, steps,
    /// size]`.
    fn heads(&mut self, x: ValueId, word: &'static str, heads: usize, size: usize) -> Result<ValueId> {
        let shape = self.shape(x);
        let &[batch, steps, inputs] = shape.as_slice() else {
            return Err(self.broken(format!("an input of shape {shape:?}")));
        };
        let outputs = heads.checked_mul(size).ok_or_else(|| self.broken("too many heads"))?;
        let kernel = format!("{word}/kernel");
        let weights = self.permuted(&kernel, &[inputs, heads, size], &[1, 2, 0], &[outputs, inputs])?;
        let bias_name = format!("{word}/bias");
        let bias = match self.has(&bias_name) {
            true => Some(self.permuted(&bias_name, &[heads, size], &[0, 1], &[outputs])?),
            false => None,
        };
        let y = self.run.builder.dense(&self.part(word), x, weights, bias)?;
        let name = self.part(&format!("{word}/heads"));
        let y = self.run.builder.reshape(&name, y, &[batch, steps, heads, size])?;
        self.run.builder.transpose(&self.part(&format!("{word}/transpose")), y, &[0, 2, 1, 3])
    }
}

/// The masks that attention reads.
#[derive(Clone, Copy, Default)]
struct Masks {
    query: Option<Mask>,
    value: Option<Mask>,
    key: Option<Mask>,
    /// Of pairs of a query and a key.
    pairs: Option<Mask>,
}

/// `attention_mask`, whose numbers are truth values where they are not 0.
fn pairs(context: &mut Context, id: ValueId) -> Result<Mask, Refusal> {
    if context.run.unknown.contains(&id) || context.run.builder.graph().value(id).dtype == DType::Bool {
        return Ok(masks::given(context, id));
    }
    let words = ["no", "attention_mask/truth"].map(|word| context.part(word));
    let no = match context.run.builder.graph().value(id).dtype {
        DType::Float32 => context.run.builder.float(&words[0], &[1], vec![0.0])?,
        DType::Int32 => context.run.builder.constant(&words[0], &[1], Constant::I32(vec![0]))?,
        other => return unsupported(format!("an `attention_mask` of {}", other.name())),
    };
    Ok(Mask::Known(context.run.builder.compare(&words[1], CompareKind::NotEqual, id, no)?))
}

/// MultiHeadAttention.
pub fn multi_head(context: &mut Context) -> Translation {
    let missing = || context.broken("it takes a query and a value");
    let query = context.tensor(0, "query").ok_or_else(missing)?;
    let value = context.tensor(1, "value").ok_or_else(missing)?;
    let key = context.tensor(2, "key").unwrap_or(value);
    let masks = Masks {
        query: context.mask_of("query_mask", query),
        value: context.mask_of("value_mask", value),
        key: context.tensor(2, "key").and_then(|key| context.mask_of("key_mask", key)),
        pairs: match context.tensor(usize::MAX, "attention_mask") {
            Some(id) => Some(pairs(context, id)?),
            None if context.given("attention_mask") => return unsupported("a list of `attention_mask`"),
            None => None,
        },
    };
    let config = context.config();
    if config.get("attention_axes").is_some() && config.integers("attention_axes")?.as_deref() != Some(&[1]) {
        return unsupported("attention over other axes than the first");
    }
    if config.bool_or("use_gate", false)? {
        return unsupported("`use_gate`");
    }
    let (heads, size) = (config.usize("num_heads")?, config.usize("key_dim")?);
    let value_size = config.usize_or("value_dim", size)?;
    let outputs = match config.integers("output_shape")?.as_deref() {
        None => context.shape(query).last().copied().unwrap_or(1),
        Some(&[outputs]) => usize::try_from(outputs).unwrap_or(0),
        Some(_) => return unsupported("an output of several dimensions"),
    };
    let width = heads.checked_mul(value_size).filter(|&n| n > 0 && size > 0);
    let width = width.ok_or_else(|| context.broken("it has no heads"))?;
    let q = context.heads(query, "query", heads, size)?;
    let k = context.heads(key, "key", heads, size)?;
    let v = context.heads(value, "value", heads, value_size)?;
    let scale = 1.0 / (size as f32).sqrt();
    let name = context.part("scale");
    let q = context.run.builder.binary_scalar(&name, BinaryKind::Mul, q, scale)?;
    let product = Op::BatchMatMul(BatchMatMul { transpose_a: false, transpose_b: true });
    let mut scores = context.run.builder.op(&context.part("scores"), product, &[q, k])?;
    let causal = context.flag("use_causal_mask");
    scores = context.mask_scores(scores, masks, causal)?;
    let weights = context.run.builder.softmax(&context.part("softmax"), scores, 3)?;
    let product = Op::BatchMatMul(BatchMatMul { transpose_a: false, transpose_b: false });
    let mean = context.run.builder.op(&context.part("mean"), product, &[weights, v])?;
    let name = context.part("mean/transpose");
    let mean = context.run.builder.transpose(&name, mean, &[0, 2, 1, 3])?;
    let shape = context.shape(mean);
    let joined = context.run.builder.reshape(&context.part("join"), mean, &[shape[0], shape[1], width])?;
    let stored = [heads, value_size, outputs];
    let kernel = context.permuted("output/kernel", &stored, &[2, 0, 1], &[outputs, width])?;
    let bias = match context.has("output/bias") {
        true => Some(context.variable("output/bias", &[outputs])?),
        false => None,
    };
    let y = context.run.builder.dense(context.name, joined, kernel, bias)?;
    if context.run.keras >= 3 {
        // As its call does: what reads these tensors later finds no mask, such as the sum with the answers, and what reads that.
        for id in [query, value, key] {
            context.run.masked.remove(&id);
        }
    }
    Ok(if context.flag("return_attention_scores") { vec![y, weights] } else { vec![y] })
}

/// Attention by products of queries and keys. The operands are query, value, and key if it differs from the
/// value.
pub fn dot_product(context: &mut Context) -> Translation {
    let inputs = context.inputs();
    let (query, value, key) = match inputs[..] {
        [query, value] => (query, value, value),
        [query, value, key] => (query, value, key),
        _ => return Err(context.broken(format!("it is called with {} tensors", inputs.len())).into()),
    };
    if context.config().str_or("score_mode", "dot")? != "dot" {
        return unsupported("scores other than products");
    }
    let product = Op::BatchMatMul(BatchMatMul { transpose_a: false, transpose_b: true });
    let mut scores = context.run.builder.op(&context.part("scores"), product, &[query, key])?;
    if context.has("scale") {
        let scale = context.permuted("scale", &[], &[], &[1])?;
        scores = context.run.builder.binary(&context.part("scaled"), BinaryKind::Mul, scores, scale)?;
    }
    let causal = context.flag("use_causal_mask") || context.config().bool_or("causal", false)?;
    let of_query = context.masks.first().copied().flatten();
    let masks = Masks { value: context.masks.get(1).copied().flatten(), ..Masks::default() };
    scores = context.mask_scores(scores, masks, causal)?;
    let axis = context.shape(scores).len() - 1;
    let weights = context.run.builder.softmax(&context.part("softmax"), scores, axis)?;
    let product = Op::BatchMatMul(BatchMatMul { transpose_a: false, transpose_b: false });
    let name = if of_query.is_some() { context.part("mean") } else { context.name.to_string() };
    let mut y = context.run.builder.op(&name, product, &[weights, value])?;
    if let Some(mask) = of_query {
        // Answers to queries that are left out are 0.
        let shape = context.shape(y);
        let mask = masks::shaped(context, mask, &[shape[0], shape[1], 1], "query_mask")?;
        let name = context.part("zero");
        let zero = context.run.builder.float(&name, &[1], vec![0.0])?;
        y = context.run.builder.select(context.name, mask, y, zero)?;
    }
    Ok(if context.flag("return_attention_scores") { vec![y, weights] } else { vec![y] })
}
