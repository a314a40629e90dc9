//! Attention and RotaryEmbedding of the standard domain, as products, a softmax and sums.
//!
//! ```text
//! scores = softcap(scale * q * k') + mask          mask: given, causal, of a window, of padding
//! y = softmax(scores) * v
//! ```
//! Queries that share a head of keys are rows of one product. What is masked is [`BARRED`] below, as in other masks before a
//! softmax: int8 still represents the range.

use std::rc::Rc;

use super::arithmetic::{BARRED, MASKED};
use super::known::Known;
use super::layer::{Layer, Translation, one, size};
use super::net::Slot;
use crate::graph::{BatchMatMul, BinaryKind, Constant, DType, Gather, Op, Slice, UnaryKind, ValueId};
use crate::import::damaged::damaged;
use crate::import::refusal::{Refusal, unsupported};

/// Sizes of an attention.
struct Sizes {
    batch: usize,
    /// Of queries.
    heads: usize,
    /// Steps of queries, of keys, and of those that come from before.
    queries: usize,
    keys: usize,
    past: usize,
}

/// `[batch, steps, heads * depth]` as `[batch, heads, steps, depth]`; tensors of four dimensions are that already.
fn by_heads(l: &mut Layer<'_>, position: usize, heads: usize) -> Result<ValueId, Refusal> {
    let (x, shape) = (l.value(position)?, l.shape(position)?);
    match *shape.as_slice() {
        [_, _, _, _] => Ok(x),
        [batch, steps, width] if heads > 0 && width % heads == 0 => {
            let [split, turned] = ["split", "heads"].map(|word| l.part(&format!("{word}_{position}")));
            let x = l.net.b.reshape(&split, x, &[batch, steps, heads, width / heads])?;
            Ok(l.net.b.transpose(&turned, x, &[0, 2, 1, 3])?)
        }
        _ => Err(Refusal::Broken(damaged(format!("an operand of shape {shape:?} for {heads} heads")))),
    }
}

/// Attention: queries, keys, values, mask?, keys and values from before?, lengths?.
pub(super) fn attention(l: &mut Layer<'_>) -> Translation {
    let [heads, shared] = ["q_num_heads", "kv_num_heads"].map(|name| size(l.int(name, 0), name));
    let (heads, shared) = (heads?, shared?);
    let flat = l.shape(0)?.len() == 3;
    let q = by_heads(l, 0, heads)?;
    let mut kept = [by_heads(l, 1, shared)?, by_heads(l, 2, shared)?];
    let mut past = 0;
    for (i, word) in ["keys", "values"].into_iter().enumerate() {
        if l.is_given(4 + i) {
            let (before, name) = (l.value(4 + i)?, l.part(word));
            past = l.shape(4 + i)?.get(2).copied().unwrap_or(0);
            kept[i] = l.net.b.concat(&name, &[before, kept[i]], 2)?;
        }
    }
    let [k, v] = kept;
    let shapes = [q, k, v].map(|id| l.net.b.shape(id).to_vec());
    let [&[batch, heads, queries, depth], &[_, shared, keys, _], &[.., values]] =
        shapes.each_ref().map(Vec::as_slice)
    else {
        return Err(Refusal::Broken(damaged(format!("operands of shapes {shapes:?}"))));
    };
    if shared == 0 || heads % shared != 0 {
        return Err(Refusal::Broken(damaged(format!("{heads} heads of queries for {shared} of keys"))));
    }
    let sizes = Sizes { batch, heads, queries, keys, past };
    let scale = if l.has("scale") { l.float("scale", 1.0) } else { 1.0 / (depth as f32).sqrt() };
    let name = l.part("scaled");
    let q = l.net.b.binary_scalar(&name, BinaryKind::Mul, q, scale)?;
    let rows = heads / shared * queries;
    let name = l.part("rows");
    let q = l.net.b.reshape(&name, q, &[batch, shared, rows, depth])?;
    let product = |transpose_b| Op::BatchMatMul(BatchMatMul { transpose_a: false, transpose_b });
    let name = l.part("products");
    let mut scores = l.net.b.op(&name, product(true), &[q, k])?;
    let name = l.part("scores");
    scores = l.net.b.reshape(&name, scores, &[batch, heads, queries, keys])?;
    let cap = l.float("softcap", 0.0);
    if cap > 0.0 {
        let [part, curve, whole] = ["part", "curve", "capped"].map(|word| l.part(word));
        let x = l.net.b.binary_scalar(&part, BinaryKind::Mul, scores, 1.0 / cap)?;
        let x = l.net.b.unary(&curve, UnaryKind::Tanh, x)?;
        scores = l.net.b.binary_scalar(&whole, BinaryKind::Mul, x, cap)?;
    }
    let plain = scores;
    let mask = Mask::of(l, &sizes)?;
    scores = mask.add(l, scores)?;
    let masked = scores;
    let name = l.part("softmax");
    let mut shares = l.net.b.softmax(&name, scores, 3)?;
    shares = mask.without_empty_rows(l, shares, &sizes)?;
    let name = l.part("shares");
    let flattened = l.net.b.reshape(&name, shares, &[batch, shared, rows, keys])?;
    let name = l.part("sums");
    let y = l.net.b.op(&name, product(false), &[flattened, v])?;
    let name = if flat { l.part("by_heads") } else { l.name.clone() };
    let mut y = l.net.b.reshape(&name, y, &[batch, heads, queries, values])?;
    if flat {
        let name = l.part("turned");
        y = l.net.b.transpose(&name, y, &[0, 2, 1, 3])?;
        y = l.net.b.reshape(&l.name, y, &[batch, queries, heads * values])?;
    }
    let shown = match l.int("qk_matmul_output_mode", 0) {
        0 | 1 => plain,
        2 if l.is_used(3) && mask.blocks() => return unsupported("scores with minus infinity as a result"),
        2 => masked,
        _ => shares,
    };
    Ok([y, k, v, shown].into_iter().map(Slot::Computed).take(l.node.output.len().max(1)).collect())
}

/// What is added to scores.
struct Mask {
    /// `[batch or 1, heads or 1, queries, keys]`
    shape: Vec<usize>,
    terms: Vec<f32>,
    blocked: Vec<bool>,
    /// A mask that is computed: real numbers or truth values.
    computed: Option<ValueId>,
}

impl Mask {
    fn of(l: &mut Layer<'_>, sizes: &Sizes) -> Result<Mask, Refusal> {
        let lengths = l.optional_ints(6, "lengths")?;
        if lengths.as_ref().is_some_and(|lengths| lengths.len() != sizes.batch) {
            return Err(Refusal::Broken(damaged("lengths for another number of samples")));
        }
        let (mut known, mut computed): (Option<Rc<Known>>, _) = (None, None);
        if l.is_given(3) {
            match l.slot(3)? {
                Slot::Known(mask) => known = Some(mask),
                slot => computed = Some(l.net.value(&slot)?),
            }
        }
        let given = known.as_ref().map_or_else(Vec::new, |mask| mask.shape.clone());
        let mut wide = vec![1; 4usize.saturating_sub(given.len())];
        wide.extend(&given);
        let fits = |size: usize, all: usize| size == 1 || size == all;
        let sound = given.is_empty() && known.is_none()
            || wide.len() == 4
                && fits(wide[0], sizes.batch)
                && fits(wide[1], sizes.heads)
                && fits(wide[2], sizes.queries)
                && wide[3] <= sizes.keys;
        if !sound {
            return Err(Refusal::Broken(damaged(format!("a mask of shape {given:?}"))));
        }
        let truths = known.as_ref().is_some_and(|mask| mask.elements.dtype() == DType::Bool);
        let elements = known.as_ref().map_or_else(Vec::new, |mask| mask.to_floats());
        let batch = if lengths.is_some() { sizes.batch } else { wide[0] };
        let shape = vec![batch, wide[1], sizes.queries, sizes.keys];
        l.affordable(&shape)?;
        let causal = l.int("is_causal", 0) != 0;
        let [before, behind] = ["left_window_size", "right_window_size"].map(|name| l.int(name, -1));
        let (mut terms, mut blocked) = (Vec::new(), Vec::new());
        for number in 0..shape.iter().product() {
            let key = number % sizes.keys;
            let query = number / sizes.keys % sizes.queries;
            let head = number / (sizes.keys * sizes.queries) % shape[1];
            let sample = number / (sizes.keys * sizes.queries * shape[1]);
            let length = lengths.as_ref().and_then(|lengths| lengths.get(sample).copied());
            let offset = match length {
                Some(length) if sizes.past == 0 => length - sizes.queries as i64,
                _ => sizes.past as i64,
            };
            // How far the key lies before the query.
            let distance = query as i64 + offset - key as i64;
            let mut out = causal && distance < 0
                || before >= 0 && distance > before
                || behind >= 0 && -distance > behind
                || length.is_some_and(|length| key as i64 >= length);
            let mut term = 0.0;
            if known.is_some() {
                let place = |at: usize, size: usize| if size == 1 { 0 } else { at };
                let at = ((place(sample, wide[0]) * wide[1] + place(head, wide[1])) * wide[2]
                    + place(query, wide[2]))
                    * wide[3]
                    + key;
                // A short mask has nothing on the last keys.
                match elements.get(at).filter(|_| key < wide[3]) {
                    Some(&x) if truths => out |= x == 0.0,
                    Some(&x) if x <= MASKED => out = true,
                    Some(&x) => term = x,
                    None => out = true,
                }
            }
            terms.push(if out { BARRED } else { term });
            blocked.push(out);
        }
        Ok(Mask { shape, terms, blocked, computed })
    }

    fn blocks(&self) -> bool {
        self.blocked.contains(&true)
    }

    fn add(&self, l: &mut Layer<'_>, mut scores: ValueId) -> Result<ValueId, Refusal> {
        if let Some(mask) = self.computed {
            let name = l.part("masked");
            let value = l.net.b.graph().value(mask);
            if value.shape.last() != self.shape.last() {
                return unsupported("a mask that is computed and shorter than the keys");
            }
            scores = match value.dtype {
                DType::Bool => {
                    let barred = l.floats("barred", &[1], vec![BARRED])?;
                    l.net.b.select(&name, mask, scores, barred)?
                }
                DType::Float32 => l.net.b.binary(&name, BinaryKind::Add, scores, mask)?,
                other => return unsupported(format!("a mask of {}", other.name())),
            };
        }
        if self.terms.iter().any(|&term| term != 0.0) {
            let terms = l.floats("mask", &self.shape, self.terms.clone())?;
            let name = l.part("sum");
            scores = l.net.b.binary(&name, BinaryKind::Add, scores, terms)?;
        }
        Ok(scores)
    }

    /// Queries that may look at nothing get nothing. Which these are is known where the mask is.
    fn without_empty_rows(
        &self,
        l: &mut Layer<'_>,
        shares: ValueId,
        sizes: &Sizes,
    ) -> Result<ValueId, Refusal> {
        if let Some(mask) = self.computed.filter(|&mask| l.net.b.graph().value(mask).dtype == DType::Bool) {
            let zero = l.floats("nothing", &[1], vec![0.0])?;
            let name = l.part("seen");
            let shares = l.net.b.select(&name, mask, shares, zero)?;
            if !self.blocks() {
                return Ok(shares);
            }
            let seen = self.blocked.iter().map(|&out| if out { 0.0 } else { 1.0 }).collect();
            let seen = l.floats("seen_of_known", &self.shape, seen)?;
            let name = l.part("kept");
            return Ok(l.net.b.binary(&name, BinaryKind::Mul, shares, seen)?);
        }
        let rows: Vec<f32> = self
            .blocked
            .chunks_exact(sizes.keys)
            .map(|row| if row.iter().all(|&out| out) { 0.0 } else { 1.0 })
            .collect();
        if !rows.contains(&0.0) {
            return Ok(shares);
        }
        let rows = l.floats("rows_with_keys", &[self.shape[0], self.shape[1], self.shape[2], 1], rows)?;
        let name = l.part("kept");
        Ok(l.net.b.binary(&name, BinaryKind::Mul, shares, rows)?)
    }
}

/// RotaryEmbedding: data, cosines, sines, positions?.
pub(super) fn rotary(l: &mut Layer<'_>) -> Translation {
    let (mut x, shape) = (l.value(0)?, l.shape(0)?);
    let heads = size(l.int("num_heads", 0), "num_heads")?;
    let [batch, steps, heads, depth] = match *shape.as_slice() {
        [batch, heads, steps, depth] => {
            let name = l.part("turned");
            x = l.net.b.transpose(&name, x, &[0, 2, 1, 3])?;
            [batch, steps, heads, depth]
        }
        [batch, steps, width] if heads > 0 && width % heads == 0 => {
            let name = l.part("split");
            x = l.net.b.reshape(&name, x, &[batch, steps, heads, width / heads])?;
            [batch, steps, heads, width / heads]
        }
        _ => return Err(Refusal::Broken(damaged(format!("data of shape {shape:?} for {heads} heads")))),
    };
    let turned = match size(l.int("rotary_embedding_dim", 0), "rotary_embedding_dim")? {
        0 => depth,
        turned => turned,
    };
    let half = turned / 2;
    if turned > depth || turned % 2 != 0 {
        return Err(Refusal::Broken(damaged(format!("{turned} of {depth} elements turn"))));
    }
    let interleaved = l.int("interleaved", 0) != 0;
    let mut factors = Vec::new();
    for (position, word) in [(1, "cosines"), (2, "sines")] {
        let mut table = l.value(position)?;
        if l.is_given(3) {
            let name = l.part(word);
            let places = match l.slot(3)? {
                // Numbers of positions are small.
                Slot::Known(known) => {
                    let numbers = known.to_ints().unwrap_or_default().into_iter().map(|x| x as i32).collect();
                    let name = l.part(&format!("positions_of_{word}"));
                    l.net.b.constant(&name, &known.shape, Constant::I32(numbers))?
                }
                slot => l.net.value(&slot)?,
            };
            table = l.net.b.look_up(&name, Op::Gather(Gather { axis: 0, batch_dims: 0 }), table, places)?;
        }
        if l.net.b.shape(table) != [batch, steps, half] {
            let found = l.net.b.shape(table).to_vec();
            return Err(Refusal::Broken(damaged(format!("{word} of shape {found:?} for {half} pairs"))));
        }
        let name = l.part(&format!("{word}_of_heads"));
        factors.push(l.net.b.reshape(&name, table, &[batch, steps, 1, half])?);
    }
    let slice = |l: &mut Layer<'_>, word: &str, first: usize, count: usize, step: isize| {
        let op = Op::Slice(Slice {
            begin: vec![0, 0, 0, first],
            size: vec![batch, steps, heads, count],
            stride: vec![1, 1, 1, step],
        });
        let name = l.part(word);
        l.net.b.op(&name, op, &[x])
    };
    let (second, step) = if interleaved { (1, 2) } else { (half, 1) };
    let a = slice(l, "first", 0, half, step)?;
    let b = slice(l, "second", second, half, step)?;
    let rest = if turned < depth { Some(slice(l, "rest", turned, depth - turned, 1)?) } else { None };
    let [cos, sin] = [factors[0], factors[1]];
    let part = |l: &mut Layer<'_>, word: &str, kind, x, y| {
        let name = l.part(word);
        l.net.b.binary(&name, kind, x, y)
    };
    let (ac, bs) = (part(l, "ac", BinaryKind::Mul, a, cos)?, part(l, "bs", BinaryKind::Mul, b, sin)?);
    let (sa, bc) = (part(l, "as", BinaryKind::Mul, a, sin)?, part(l, "bc", BinaryKind::Mul, b, cos)?);
    let mut real = part(l, "real", BinaryKind::Sub, ac, bs)?;
    let mut imaginary = part(l, "imaginary", BinaryKind::Add, sa, bc)?;
    let mut y = if interleaved {
        for (id, word) in [(&mut real, "real_pairs"), (&mut imaginary, "imaginary_pairs")] {
            let name = l.part(word);
            *id = l.net.b.reshape(&name, *id, &[batch, steps, heads, half, 1])?;
        }
        let [pairs, flat] = ["pairs", "flat"].map(|word| l.part(word));
        let y = l.net.b.concat(&pairs, &[real, imaginary], 4)?;
        l.net.b.reshape(&flat, y, &[batch, steps, heads, turned])?
    } else {
        let name = l.part("halves");
        l.net.b.concat(&name, &[real, imaginary], 3)?
    };
    if let Some(rest) = rest {
        let name = l.part("whole");
        y = l.net.b.concat(&name, &[y, rest], 3)?;
    }
    one(match shape.len() {
        3 => l.net.b.reshape(&l.name, y, &shape)?,
        _ => l.net.b.transpose(&l.name, y, &[0, 2, 1, 3])?,
    })
}
