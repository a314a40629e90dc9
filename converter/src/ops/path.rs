//! Which way the kernels of a core take through each op of a finished file, and where that is not the fastest, why.
//!
//! Nothing here knows which shapes or numbers are fast. The packings that a core reads fast (`kernels/policy.rs`), what
//! can be packed (`can_be_packed`), what suits a kernel of its own (`suits`) and the bounds of a packing
//! (`pack`) are asked, and an obstacle is what has to change for the answer to be yes.
//!
//! ```
//! use ferrolite::model_file::ModelFile;
//! use ferrolite::ops::path::paths;
//! use ferrolite_runtime::Target;
//!
//! # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/models/sine/sine.ferro");
//! let file = ModelFile::read(path.as_ref())?;
//! let on = |core| Ok::<_, ferrolite::Error>(paths(&file.model()?, core));
//! assert_eq!(on(Target::Portable)?[0].name, "plain");
//! let because = on(Target::CortexM4)?[0].slow.clone().unwrap().because;
//! assert!(because.contains("packed for no core in particular"), "{because}");
//! # Ok::<(), ferrolite::Error>(())
//! ```

use std::fmt;

use ferrolite_runtime::kernels::{Policy, Windows, has_winograd, policy};
use ferrolite_runtime::ops::recurrent::with_two_steps;
use ferrolite_runtime::ops::{conv_2d_winograd, depthwise_3x3, depthwise_conv_2d, gru, lstm};
use ferrolite_runtime::packing::{Matrix, Order, Packing, Shape};
use ferrolite_runtime::{Model, Node, Rounding, Target};
use ferrolite_schema::params::{
    Conv2dParams, DepthwiseConv2dParams, FullyConnectedParams, GruParams, LstmParams, Multiplier,
    OutputStage, Sequence, Window,
};
use ferrolite_schema::{Op, OpCode};

use super::{pack, prices, segments, winograd};

/// Weights in the order of the core's kernels.
const PACKED: &str = "packed";
/// The same for numbers beyond the bounds of the fastest kernels.
const GENERAL: &str = "general";
/// Weights in the order of the graph.
const PLAIN: &str = "plain";
/// Weights in the order of another core's kernels, read one by one.
const FOREIGN: &str = "foreign";
/// Weights of four bits.
const NIBBLES: &str = "four bits";

/// The way through an op.
#[derive(Clone, Debug, PartialEq)]
pub struct Path {
    /// `packed`, `general`, `winograd`, `depthwise 3x3`, `plain`, `foreign`, `table`, or the operator's name where it
    /// has one way.
    pub name: String,
    /// Why it is not the fastest; `None` where it is.
    pub slow: Option<Slow>,
    /// Modelled cycles of a multiply-accumulate there, or instructions, about; `None` where nothing is known.
    pub per_mac: Option<f64>,
    /// What that price is listed as: the name, or the name with what is in the layer's way.
    pub priced: String,
}

impl Path {
    fn fastest(name: String) -> Path {
        Path { priced: name.clone(), name, slow: None, per_mac: None }
    }

    fn slow(name: &str, slow: Slow) -> Path {
        Path { slow: Some(slow), ..Path::fastest(name.into()) }
    }
}

/// Why a way is not the fastest.
#[derive(Clone, Debug, PartialEq)]
pub struct Slow {
    /// The reason, without what it costs.
    pub because: String,
    /// Times as long as on the fastest way, as far as is known: an estimate from layers of usual shapes.
    pub factor: Option<f64>,
    /// Whether whoever converted the model chose it: weights of four bits, less flash.
    pub chosen: bool,
}

impl fmt::Display for Slow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.because)?;
        match self.factor {
            None => Ok(()),
            Some(factor) if factor < 3.0 => write!(f, "; about {factor:.1} times as long"),
            Some(factor) => write!(f, "; about {factor:.0} times as long"),
        }
    }
}

/// The way through each op of a verified file on a core.
pub fn paths(model: &Model<'_>, core: Target) -> Vec<Path> {
    let file = File { model, core, policy: policy(core) };
    model.ops().iter().map(|op| file.path(op)).collect()
}

/// A file, and the core that runs it.
struct File<'a> {
    model: &'a Model<'a>,
    core: Target,
    policy: Policy,
}

/// The weights of a layer with what belongs to them.
struct Layer<'a> {
    /// Name of the operator in the list of prices.
    op: &'static str,
    /// The matrix with plain weights.
    shape: Shape,
    /// Tag of its packing.
    packing: u32,
    weights: u32,
    stage: &'a OutputStage,
    /// The packing that the core reads fast.
    wanted: Packing,
    /// Whether plain weights lie element by element, channels in turn.
    interleaved: bool,
}

impl File<'_> {
    fn path(&self, op: &Op) -> Path {
        let path = self.way(op);
        let Some(code) = OpCode::from_code(op.code) else { return path };
        // What several codes run is listed under the first of them.
        let family =
            super::LIST.iter().flat_map(|(_, run_as)| *run_as).find(|(_, codes)| codes.contains(&code));
        let op = family.and_then(|(_, codes)| codes.first()).unwrap_or(&code).name();
        Path { per_mac: prices::price(self.core, op, &path.priced), ..path }
    }

    fn way(&self, op: &Op) -> Path {
        let node = Node::new(self.model, op);
        let code = OpCode::from_code(op.code);
        let found = match code {
            Some(OpCode::Conv2d) => node.params().ok().and_then(|p| self.conv_2d(p)),
            Some(OpCode::DepthwiseConv2d) => node.params().ok().and_then(|p| self.depthwise(p)),
            Some(OpCode::FullyConnected) => node.params().ok().and_then(|p| self.fully_connected(p)),
            Some(OpCode::Lstm) => {
                node.params().ok().and_then(|p: &LstmParams| self.two_steps(op, &p.sequence, code))
            }
            Some(OpCode::Gru) => {
                node.params().ok().and_then(|p: &GruParams| self.two_steps(op, &p.sequence, code))
            }
            Some(OpCode::Conv2dSegments) => node.params().ok().map(|p| self.segments(p)),
            Some(OpCode::Conv2dWinograd) if !has_winograd(self.core) => {
                Some(self.other_core("conv_2d", "winograd"))
            }
            Some(OpCode::Depthwise3x3) if self.policy.depthwise != depthwise_3x3::PACKING => {
                Some(self.other_core("depthwise_conv_2d", FOREIGN))
            }
            Some(OpCode::DepthwiseTaps) if self.policy.windows == Windows::All => {
                Some(self.other_core("depthwise_conv_2d", FOREIGN))
            }
            _ => None,
        };
        found.unwrap_or_else(|| Path::fastest(name(code)))
    }

    /// A layer over time with room for the inputs' part of its gates of two steps.
    fn two_steps(&self, op: &Op, p: &Sequence, code: Option<OpCode>) -> Option<Path> {
        let (own, gates) = match code? {
            OpCode::Lstm => (lstm::scratch_bytes(p), 4),
            _ => (gru::scratch_bytes(p), 3),
        };
        let has_room = with_two_steps(own?, p, gates).is_some_and(|bytes| bytes <= op.scratch_bytes);
        let is_wide = has_room && self.policy.takes_two_rows();
        is_wide.then(|| Path {
            name: format!("{}, inputs of two steps at once", name(code)),
            ..Path::fastest(name(code))
        })
    }

    fn conv_2d(&self, p: &Conv2dParams) -> Option<Path> {
        let lines = p.window.kernel_h;
        let line = p.window.kernel_w.checked_mul(p.in_channels.checked_div(p.groups)?)?;
        let layer = Layer {
            op: "conv_2d",
            shape: Shape { packing: Packing::PLAIN, channels: p.out_channels, lines, line },
            packing: p.packing,
            weights: p.weights,
            stage: &p.stage,
            wanted: self.policy.conv,
            interleaved: false,
        };
        let path = self.weighted(&layer, Vec::new)?;
        match path.slow {
            None if path.name == PACKED && has_winograd(self.core) => Some(self.by_tiles(&layer, p, path)),
            _ => Some(path),
        }
    }

    fn segments(&self, p: &Conv2dParams) -> Path {
        let wanted = self.policy.conv;
        match (wanted.own(p.packing), wanted.general().own(p.packing)) {
            (Some(_), _) => Path::fastest(PACKED.into()),
            (None, Some(_)) if segments::are_few(p, self.policy) => Path::fastest(GENERAL.into()),
            (None, Some(_)) => {
                self.general("conv_2d", "channels are beyond the bounds of packed ones".into())
            }
            (None, None) => self.other_core("conv_2d", FOREIGN),
        }
    }

    /// A packed convolution, which Winograd's algorithm may make faster.
    fn by_tiles(&self, layer: &Layer<'_>, p: &Conv2dParams, path: Path) -> Path {
        let packing = Packing::from_tag(p.packing).unwrap_or(Packing::PLAIN);
        let (Some(weighed), Some(rows)) = (winograd::weigh(p, packing), self.rows(layer)) else {
            return path;
        };
        if !conv_2d_winograd::suits(p)
            || weighed.saved <= 0
            || self.beyond(layer, Order::Winograd, &rows).is_some()
        {
            return path;
        }
        let because = format!(
            "Winograd's algorithm would take {} bytes more of flash (--flash-budget)",
            crate::text::thousands(weighed.bytes)
        );
        Path { slow: Some(Slow { because, factor: Some(weighed.factor), chosen: true }), ..path }
    }

    fn depthwise(&self, p: &DepthwiseConv2dParams) -> Option<Path> {
        let line = p.window.kernel_h.checked_mul(p.window.kernel_w)?;
        let channels = p.in_channels.checked_mul(p.multiplier)?;
        let layer = Layer {
            op: "depthwise_conv_2d",
            shape: Shape { packing: Packing::PLAIN, channels, lines: 1, line },
            packing: p.packing,
            weights: p.weights,
            stage: &p.stage,
            wanted: self.policy.depthwise,
            interleaved: true,
        };
        let changes: &[Change<DepthwiseConv2dParams>] = &[
            ("dilation", |p| dilation(&p.window), |p| undilate(&mut p.window)),
            ("multiplier", |p| format!("it makes {} channels of each", p.multiplier), |p| p.multiplier = 1),
            ("batch", |p| format!("the batch is {}", p.batches), |p| p.batches = 1),
            (
                "kernel",
                |p| format!("the kernel is {}x{}", p.window.kernel_h, p.window.kernel_w),
                |p| (p.window.kernel_h, p.window.kernel_w) = (3, 3),
            ),
            (
                "stride",
                |p| format!("the stride is {}x{}", p.window.stride_h, p.window.stride_w),
                |p| (p.window.stride_h, p.window.stride_w) = (1, 1),
            ),
            (
                "channels",
                |p| format!("the channels are {}, no multiple of 4", p.in_channels),
                |p| p.in_channels = p.in_channels.next_multiple_of(4),
            ),
            (
                "width",
                |p| format!("the image is {} wide", p.window.in_w),
                |p| p.window.in_w = p.window.in_w.max(2),
            ),
            (SIZE, |_| "the image changes its size".into(), |p| p.window = same_size(p.window)),
        ];
        let path = self.weighted(&layer, || obstacles(p, depthwise_conv_2d::can_be_packed, changes))?;
        if path.slow.is_some() || path.name != PACKED || self.policy.depthwise != depthwise_3x3::PACKING {
            return Some(path);
        }
        // Padding follows from the kernel, and the size of what comes out from kernel, stride and padding: where one
        // of those is told, this is not.
        let (mut causes, size): (Vec<_>, Vec<_>) =
            obstacles(p, depthwise_3x3::suits, changes).into_iter().partition(|(key, _)| *key != SIZE);
        if causes.is_empty() {
            causes = size;
        }
        let fast = name(Some(OpCode::Depthwise3x3));
        let factor = |key: &str| prices::factor(self.core, layer.op, &format!("{PACKED}, {key}"), &fast);
        let worst = causes
            .iter()
            .map(|(key, _)| (*key, factor(key)))
            .max_by(|(_, a), (_, b)| a.unwrap_or(0.0).total_cmp(&b.unwrap_or(0.0)));
        let Some((key, factor)) = worst else { return Some(path) };
        // Where it is as fast, the other way is no loss.
        let because = format!("{}; 3x3 with stride 1 is faster", words(&causes));
        let slow = factor.is_none_or(|factor| factor > prices::WORTH).then_some(Slow {
            because,
            factor,
            chosen: false,
        });
        Some(Path { slow, priced: format!("{PACKED}, {key}"), ..path })
    }

    fn fully_connected(&self, p: &FullyConnectedParams) -> Option<Path> {
        let layer = Layer {
            op: "fully_connected",
            shape: Shape { packing: Packing::PLAIN, channels: p.outputs, lines: 1, line: p.inputs },
            packing: p.packing,
            weights: p.weights,
            stage: &p.stage,
            wanted: self.policy.dense,
            interleaved: false,
        };
        self.weighted(&layer, Vec::new)
    }

    /// The way of a layer with weights. `obstacles` are those of its shape.
    fn weighted(&self, layer: &Layer<'_>, obstacles: impl FnOnce() -> Vec<Obstacle>) -> Option<Path> {
        let plain = layer.packing == Packing::PLAIN.tag();
        if layer.wanted.order != Order::Plain && layer.wanted.own(layer.packing).is_some()
            || layer.wanted.order == Order::Plain && plain
        {
            return Some(Path::fastest(if plain { PLAIN } else { PACKED }.into()));
        }
        let fast = if layer.wanted.order == Order::Plain { PLAIN } else { PACKED };
        let slow = |path: &str, because: String| {
            let factor = prices::factor(self.core, layer.op, path, fast);
            Path::slow(path, Slow { because, factor, chosen: path == NIBBLES })
        };
        if layer.packing == Packing::NIBBLES {
            return Some(slow(
                NIBBLES,
                "weights of four bits, half the flash, are unpacked as they are read".into(),
            ));
        }
        let wanted = layer.wanted;
        if wanted.order != Order::Plain && wanted.general().own(layer.packing).is_some() {
            let Some(because) = self.beyond(layer, wanted.order, &self.rows(layer)?) else {
                return Some(Path::fastest(GENERAL.into()));
            };
            return Some(self.general(layer.op, because));
        }
        if !plain {
            return Some(self.other_core(layer.op, FOREIGN));
        }
        let told = obstacles();
        if !told.is_empty() {
            return Some(slow(PLAIN, words(&told)));
        }
        if self.model.rounding() != Rounding::Double {
            return Some(slow(PLAIN, "the file rounds once; packed layers round twice".into()));
        }
        let rows = self.rows(layer)?;
        let because = self.beyond(layer, layer.wanted.order, &rows).unwrap_or_else(|| self.not_packed());
        Some(slow(PLAIN, because))
    }

    /// Weights in a general packing, which is no loss where it is nearly as fast.
    fn general(&self, op: &str, because: String) -> Path {
        let factor = prices::factor(self.core, op, GENERAL, PACKED);
        let told = Slow { because, factor, chosen: false };
        let slow = factor.is_none_or(|factor| factor > prices::WORTH).then_some(told);
        Path { slow, ..Path::fastest(GENERAL.into()) }
    }

    /// An op whose weights are in an order that only another core's kernels read fast.
    fn other_core(&self, op: &str, path: &str) -> Path {
        let factor = prices::factor(self.core, op, path, PACKED);
        Path::slow(path, Slow { because: self.not_packed(), factor, chosen: false })
    }

    fn not_packed(&self) -> String {
        match self.model.target() {
            Some(Target::Portable) => format!(
                "weights are packed for no core in particular; --target {} packs them for this one",
                self.core.name()
            ),
            _ => format!("weights are packed for {}, not for this core", self.model.target_name()),
        }
    }

    /// The channels beyond a bound of an order, in words.
    fn beyond(&self, layer: &Layer<'_>, order: Order, rows: &[i8]) -> Option<String> {
        let depth = layer.shape.depth()? as usize;
        let channels = layer.shape.channels as usize;
        let biases: &[i32] = self.numbers(layer.stage.bias, channels)?;
        let multipliers: &[Multiplier] =
            self.numbers(layer.stage.multipliers, layer.stage.multiplier_count as usize)?;
        let mut counts: Vec<(&str, usize)> = Vec::new();
        for ((channel, row), &bias) in rows.chunks_exact(depth).enumerate().zip(biases) {
            let m = multipliers.get(channel).or(multipliers.first())?;
            let found = pack::exceeded(order, m, pack::largest_sum(row, bias.into()), channel, row);
            let chunks = order == Order::Chunks && pack::too_many_chunks(row);
            let Some(words) = found.or(chunks.then_some("take more than 255 chunks")) else {
                continue;
            };
            match counts.iter_mut().find(|(told, _)| *told == words) {
                Some((_, count)) => *count += 1,
                None => counts.push((words, 1)),
            }
        }
        counts.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
        let told: Vec<String> =
            counts.iter().map(|(words, count)| format!("{count} of {channels} channels {words}")).collect();
        (!told.is_empty()).then(|| told.join(", "))
    }

    /// The weights, row by row.
    fn rows(&self, layer: &Layer<'_>) -> Option<Vec<i8>> {
        let (shape, packing) = (layer.shape, Packing::from_tag(layer.packing)?);
        let shape = Shape { packing, ..shape };
        let bytes: &[u8] = self.numbers(layer.weights, shape.bytes()? as usize)?;
        if packing == Packing::PLAIN && layer.interleaved {
            let channels = shape.channels as usize;
            let row = |channel| bytes.iter().skip(channel).step_by(channels).map(|&w| w as i8);
            return Some((0..channels).flat_map(row).collect());
        }
        let matrix = Matrix { shape, bytes };
        Some((0..shape.channels).flat_map(|channel| matrix.row(channel)).collect())
    }

    /// Numbers among the file's constants, which are aligned.
    fn numbers<T: bytemuck::AnyBitPattern>(&self, start: u32, count: usize) -> Option<&[T]> {
        let bytes =
            self.model.constants().get(start as usize..)?.get(..count.checked_mul(size_of::<T>())?)?;
        bytemuck::try_cast_slice(bytes).ok()
    }
}

/// The way of an operator that has one.
fn name(code: Option<OpCode>) -> String {
    match code {
        None => "custom".into(),
        Some(OpCode::Lookup) => "table".into(),
        Some(OpCode::Conv2dWinograd) => "winograd".into(),
        Some(OpCode::Depthwise3x3) => "depthwise 3x3".into(),
        Some(code) => code.name().replace('_', " "),
    }
}

/// The size of the image, which others change along.
const SIZE: &str = "size";

/// What may be in the way of a layer: its key in the list of prices, what to say, and the same layer without it.
type Change<P> = (&'static str, fn(&P) -> String, fn(&mut P));

/// What is in the way of a layer: its key in the list of prices, and in words.
type Obstacle = (&'static str, String);

/// What has to change for a layer to suit: as little as will do. Nothing where it suits as it is.
fn obstacles<P: Copy>(layer: &P, suits: impl Fn(&P) -> bool, changes: &[Change<P>]) -> Vec<Obstacle> {
    if suits(layer) {
        return Vec::new();
    }
    let with = |kept: &[usize]| {
        let mut changed = *layer;
        kept.iter().for_each(|&index| changes[index].2(&mut changed));
        suits(&changed)
    };
    let mut kept: Vec<usize> = (0..changes.len()).collect();
    if !with(&kept) {
        return vec![("shape", "its shape has no kernel of its own".into())];
    }
    for index in 0..changes.len() {
        let without: Vec<usize> = kept.iter().copied().filter(|&other| other != index).collect();
        if with(&without) {
            kept = without;
        }
    }
    kept.into_iter().map(|index| (changes[index].0, changes[index].1(layer))).collect()
}

fn words(obstacles: &[Obstacle]) -> String {
    obstacles.iter().map(|(_, words)| words.as_str()).collect::<Vec<_>>().join(", ")
}

fn dilation(window: &Window) -> String {
    format!("the dilation is {}x{}", window.dilation_h, window.dilation_w)
}

fn undilate(window: &mut Window) {
    (window.dilation_h, window.dilation_w) = (1, 1);
}

/// The window over the same image, with as many pixels coming out as go in, and little padding.
fn same_size(window: Window) -> Window {
    let Window { in_h, in_w, .. } = window;
    Window {
        out_h: in_h,
        out_w: in_w,
        pad_top: window.pad_top.min(1),
        pad_left: window.pad_left.min(1),
        ..window
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn depthwise(change: impl Fn(&mut DepthwiseConv2dParams)) -> DepthwiseConv2dParams {
        let window = Window {
            in_h: 8,
            in_w: 8,
            out_h: 8,
            out_w: 8,
            kernel_h: 3,
            kernel_w: 3,
            stride_h: 1,
            stride_w: 1,
            dilation_h: 1,
            dilation_w: 1,
            pad_top: 1,
            pad_left: 1,
        };
        let mut p = DepthwiseConv2dParams {
            window,
            batches: 1,
            in_channels: 8,
            multiplier: 1,
            ..bytemuck::Zeroable::zeroed()
        };
        change(&mut p);
        p
    }

    /// What is told is what keeps the layer from it, and nothing that it may keep.
    #[test]
    fn obstacles_are_as_few_as_will_do() {
        let changes: &[Change<DepthwiseConv2dParams>] = &[
            ("dilation", |p| dilation(&p.window), |p| undilate(&mut p.window)),
            ("kernel", |_| "kernel".into(), |p| (p.window.kernel_h, p.window.kernel_w) = (3, 3)),
            ("stride", |_| "stride".into(), |p| (p.window.stride_h, p.window.stride_w) = (1, 1)),
            (
                "channels",
                |p| p.in_channels.to_string(),
                |p| p.in_channels = p.in_channels.next_multiple_of(4),
            ),
            (SIZE, |_| "size".into(), |p| p.window = same_size(p.window)),
        ];
        let told = |change: fn(&mut DepthwiseConv2dParams)| {
            words(&obstacles(&depthwise(change), depthwise_3x3::suits, changes))
        };
        assert_eq!(told(|_| ()), "");
        assert_eq!(told(|p| (p.window.kernel_h, p.window.pad_top) = (5, 2)), "kernel");
        assert_eq!(told(|p| (p.window.kernel_h, p.window.pad_top) = (7, 3)), "kernel, size");
        assert_eq!(told(|p| p.in_channels = 21), "21");
        assert_eq!(told(|p| (p.window.stride_h, p.window.out_h) = (2, 4)), "stride, size");
        assert_eq!(told(|p| p.window.dilation_w = 2), "the dilation is 1x2");
        assert_eq!(told(|p| p.batches = 2), "its shape has no kernel of its own");
    }
}
