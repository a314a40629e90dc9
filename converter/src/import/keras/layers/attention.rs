//! Attention: means of values, weighted by the similarity of queries and keys.

use serde_json::Value as Json;

use super::context::Context;
use crate::error::Result;
use crate::graph::{BatchMatMul, BinaryKind, Op, ValueId};
use crate::import::keras::calls::Arg;
use crate::import::keras::run::Translation;
use crate::import::refusal::unsupported;

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

    /// Masks the scores `[.., queries, keys]` of keys that come after the query.
    fn causal(&mut self, scores: ValueId) -> Result<ValueId> {
        let shape = self.shape(scores);
        let (queries, keys) = (shape[shape.len() - 2], shape[shape.len() - 1]);
        if queries.checked_mul(keys).is_none_or(|n| n > 1 << 24) {
            return Err(self.broken(format!("a causal mask of {queries} times {keys}")));
        }
        let mask = (0..queries * keys).map(|i| if i % keys > i / keys { MASKED } else { 0.0 }).collect();
        let mask = self.run.builder.float(&self.part("mask"), &[queries, keys], mask)?;
        self.run.builder.binary(&self.part("masked"), BinaryKind::Add, scores, mask)
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

/// MultiHeadAttention.
pub fn multi_head(context: &mut Context) -> Translation {
    let missing = || context.broken("it takes a query and a value");
    let query = context.tensor(0, "query").ok_or_else(missing)?;
    let value = context.tensor(1, "value").ok_or_else(missing)?;
    let key = context.tensor(2, "key").unwrap_or(value);
    for mask in ["attention_mask", "query_mask", "value_mask", "key_mask"] {
        if context.given(mask) {
            return unsupported(format!("`{mask}`"));
        }
    }
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
    if context.flag("use_causal_mask") {
        scores = context.causal(scores)?;
    }
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
    if context.flag("use_causal_mask") || context.config().bool_or("causal", false)? {
        scores = context.causal(scores)?;
    }
    let axis = context.shape(scores).len() - 1;
    let weights = context.run.builder.softmax(&context.part("softmax"), scores, axis)?;
    let product = Op::BatchMatMul(BatchMatMul { transpose_a: false, transpose_b: false });
    let y = context.run.builder.op(context.name, product, &[weights, value])?;
    Ok(if context.flag("return_attention_scores") { vec![y, weights] } else { vec![y] })
}
