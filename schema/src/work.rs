//! How much work an inference is, at most: a bound that can be computed before anything runs.
//!
//! A small file may ask for very much: a convolution reads few weights for each of many outputs. What an op does is at
//! most the products of its parameters' dimensions, or the bytes of its operands, whichever is more. Firmware that
//! does not ask links nothing of it.

use bytemuck::Pod;

use crate::layout::Work;
use crate::params::{
    Conv2dInt16Params, Conv2dParams, Conv2dWideParams, DepthwiseConv2dParams, DepthwiseWideParams,
    DetectionPostProcessParams, GruCurvesParams, GruParams, LstmCurvesParams, LstmParams, Pool2dInt16Params,
    Pool2dParams, RnnParams, Sequence, SvdfParams, TransposeConvParams, TreeEnsembleParams, Window,
};
use crate::{Model, Op, OpCode};

impl Model<'_> {
    /// Steps of one inference, at most: products of two elements, cells of windows, and bytes that are moved. The time of
    /// an inference is in proportion to it, on any core: whoever runs files of unknown origin compares it with what
    /// is affordable first, as `Interpreter::within` of the runtime does.
    pub fn work(&self) -> u64 {
        self.ops().iter().fold(0, |sum, op| self.op_work(op).saturating_add(sum))
    }

    /// The part of one op in [`work`](Model::work).
    pub fn op_work(&self, op: &Op) -> u64 {
        let tensors = self.operands(op).iter().filter_map(|&id| self.tensors().get(usize::from(id)));
        let bytes = tensors.fold(u64::from(op.scratch_bytes), |sum, tensor| sum + u64::from(tensor.bytes));
        let own = match OpCode::from_code(op.code).map(OpCode::work) {
            Some(Work::Product(words)) => {
                let factors = words.iter().filter_map(|&word| self.params(op).get(word));
                factors.fold(1, |product: u64, &factor| product.saturating_mul(factor.into()))
            }
            Some(Work::Own) => self.own_work(op).unwrap_or(0),
            Some(Work::Bytes) | None => 0,
        };
        bytes.max(own)
    }

    /// Products or cells of an op whose bound is no product of parameters; `None` for one whose parameters are not its own.
    fn own_work(&self, op: &Op) -> Option<u64> {
        Some(match OpCode::from_code(op.code)? {
            OpCode::Conv2d | OpCode::Conv2dWinograd => {
                let p: &Conv2dParams = self.params_as(op)?;
                let depth = p.in_channels.checked_div(p.groups)?;
                let products = product(&[p.batches, p.out_channels, depth]).saturating_mul(cells(&p.window));
                products.saturating_add(gathered(op, &p.window, p.batches, p.packing))
            }
            // Each segment of a row of outputs has at least one of them.
            OpCode::Conv2dSegments => {
                let p: &Conv2dParams = self.params_as(op)?;
                let depth = p.in_channels.checked_div(p.groups)?;
                let products = product(&[p.batches, p.out_channels, depth]).saturating_mul(cells(&p.window));
                let w = &p.window;
                products.saturating_add(product(&[p.batches, w.out_h, w.out_w, op.scratch_bytes]))
            }
            OpCode::DepthwiseConv2d | OpCode::Depthwise3x3 | OpCode::DepthwiseTaps => {
                let p: &DepthwiseConv2dParams = self.params_as(op)?;
                let channels = product(&[p.batches, p.in_channels, p.multiplier]);
                let products = channels.saturating_mul(cells(&p.window));
                products.saturating_add(gathered(op, &p.window, p.batches, p.packing))
            }
            // The same, and what is there again for each output.
            OpCode::Conv2dWide => {
                let Conv2dWideParams { conv: p, repeats, .. } = self.params_as(op)?;
                let products = product(&[p.batches, p.out_channels, p.in_channels]);
                let again = product(&[p.batches, p.out_channels, p.window.out_h, p.window.out_w, *repeats]);
                products.saturating_mul(cells(&p.window)).saturating_add(again)
            }
            OpCode::DepthwiseWide => {
                let DepthwiseWideParams { conv: p, repeats, .. } = self.params_as(op)?;
                let channels = product(&[p.batches, p.in_channels, p.multiplier]);
                let again = product(&[p.window.out_h, p.window.out_w, *repeats]);
                let products = channels.saturating_mul(cells(&p.window).saturating_add(again));
                products.saturating_add(gathered(op, &p.window, p.batches, p.packing))
            }
            // Of each output pixel the taps of its phase, of which there are at most so many.
            OpCode::TransposeConv => {
                let p: &TransposeConvParams = self.params_as(op)?;
                let taps =
                    |kernel: u32, stride: u32| Some(kernel.checked_add(stride)?.checked_div(stride)?.max(1));
                let w = &p.window;
                let taps = [taps(w.kernel_h, w.stride_h)?, taps(w.kernel_w, w.stride_w)?];
                product(&[p.batches, w.out_h, w.out_w, p.in_channels, p.out_channels])
                    .saturating_mul(product(&taps))
            }
            OpCode::AveragePool2d | OpCode::AveragePoolUp | OpCode::MaxPool2d => {
                let p: &Pool2dParams = self.params_as(op)?;
                let w = &p.window;
                // Of a window only the cells inside the image count.
                let cells = [w.out_h, w.out_w, w.kernel_h.min(w.in_h), w.kernel_w.min(w.in_w)];
                product(&[p.batches, p.channels]).saturating_mul(product(&cells))
            }
            OpCode::Pool2dInt16 => {
                let Pool2dInt16Params { pool: p, .. } = self.params_as(op)?;
                product(&[p.batches, p.channels]).saturating_mul(cells(&p.window))
            }
            OpCode::Conv2dInt16 => {
                let p: &Conv2dInt16Params = self.params_as(op)?;
                let depth = p.in_channels.checked_div(p.groups)?;
                product(&[p.batches, p.out_channels, depth]).saturating_mul(cells(&p.window))
            }
            // A walk visits no node twice, and each tree votes once.
            OpCode::TreeEnsemble => {
                let p: &TreeEnsembleParams = self.params_as(op)?;
                let votes = product(&[p.trees, p.outputs]);
                votes.saturating_add(p.nodes.into()).saturating_mul(p.rows.into())
            }
            OpCode::Lstm | OpCode::LstmInt16 => {
                let p: &LstmParams = self.params_as(op)?;
                recurrent(&p.sequence, 4)
            }
            OpCode::Gru => {
                let p: &GruParams = self.params_as(op)?;
                recurrent(&p.sequence, 3)
            }
            OpCode::LstmCurves => {
                let p: &LstmCurvesParams = self.params_as(op)?;
                recurrent(&p.lstm.sequence, 4)
            }
            OpCode::GruCurves => {
                let p: &GruCurvesParams = self.params_as(op)?;
                recurrent(&p.gru.sequence, 3)
            }
            OpCode::Rnn => {
                let p: &RnnParams = self.params_as(op)?;
                recurrent(&p.sequence, 1)
            }
            OpCode::Svdf | OpCode::SvdfInt16 => {
                let p: &SvdfParams = self.params_as(op)?;
                let width = u64::from(p.features).saturating_add(p.memory.into()).saturating_add(1);
                product(&[p.batches, p.units, p.rank]).saturating_mul(width)
            }
            // Each box that is chosen is held against all others, and against those that were chosen before; its classes
            // are searched for each of its rows.
            OpCode::DetectionPostProcess => {
                let p: &DetectionPostProcessParams = self.params_as(op)?;
                let of_class = p.most_of_class.min(p.boxes);
                let taken = if p.most_of_class == 0 { p.most } else { of_class.saturating_mul(p.scores) };
                let held = product(&[taken, p.boxes.saturating_add(p.most)]);
                let searched = product(&[p.most, p.rows, p.scores]);
                let read = product(&[p.boxes, p.scores, 2]).saturating_add(product(&[p.boxes, p.codes]));
                held.saturating_add(searched).saturating_add(read)
            }
            // Nobody may take an op for cheap whose arm was forgotten.
            _ => u64::MAX,
        })
    }

    fn params_as<P: Pod>(&self, op: &Op) -> Option<&P> {
        bytemuck::try_from_bytes(bytemuck::cast_slice(self.params(op))).ok()
    }
}

/// Cells of all windows.
fn cells(w: &Window) -> u64 {
    product(&[w.out_h, w.out_w, w.kernel_h, w.kernel_w])
}

/// Bytes that kernels of packed weights gather: for each row of outputs the rows of inputs under it, padding included, of
/// which there may be far more than are read where strides are long.
fn gathered(op: &Op, w: &Window, batches: u32, packing: u32) -> u64 {
    if packing == 0 { 0 } else { product(&[batches, w.out_h, op.scratch_bytes]) }
}

/// Products of a layer over time with so many gates, and the elements that they become.
fn recurrent(p: &Sequence, gates: u32) -> u64 {
    let width = u64::from(p.features).saturating_add(p.units.into()).saturating_add(1);
    product(&[p.batches, p.steps, p.units, gates]).saturating_mul(width)
}

/// A product, or the largest number where it is larger.
fn product(factors: &[u32]) -> u64 {
    factors.iter().fold(1, |product: u64, &factor| product.saturating_mul(factor.into()))
}
