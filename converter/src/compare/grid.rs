//! The integers of a quantized model's tensors and weights, as grids of real numbers.

use std::collections::HashMap;

use ferrolite_runtime::params::{
    Conv2dParams, DepthwiseConv2dParams, FullyConnectedParams, Multiplier, OutputStage, TransposeConvParams,
};
use ferrolite_runtime::{DType, Model, Node, OpCode};

use crate::model_file;

/// Evenly spaced real numbers between two ends: what integers of one type and scale can stand for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Grid {
    scale: f32,
    zero_point: i32,
    low: f32,
    high: f32,
}

impl Grid {
    /// The grid of integers of a type; none for types that are not quantized.
    pub fn new(dtype: DType, (scale, zero_point): (f32, i32)) -> Option<Grid> {
        let (low, high) = match dtype {
            DType::Int8 => (-128.0, 127.0),
            DType::UInt8 => (0.0, 255.0),
            DType::Int16 => (-32768.0, 32767.0),
            _ => return None,
        };
        Some(Grid { scale, zero_point, low, high })
    }

    /// Symmetric int8, as weights have.
    pub fn weights(scale: f32) -> Grid {
        Grid { scale, zero_point: 0, low: -127.0, high: 127.0 }
    }

    /// The nearest number of the grid; beyond its ends, the end.
    pub fn round(&self, x: f32) -> f32 {
        let zero = self.zero_point as f32;
        (((x / self.scale).round() + zero).clamp(self.low, self.high) - zero) * self.scale
    }

    /// Smallest and largest number.
    pub fn range(&self) -> (f32, f32) {
        let real = |end: f32| (end - self.zero_point as f32) * self.scale;
        (real(self.low), real(self.high))
    }

    /// Distance between two numbers.
    pub fn step(&self) -> f32 {
        self.scale
    }
}

/// The grids of a file's tensors, by the author's names.
pub fn of_tensors<'a>(model: &Model<'a>) -> HashMap<&'a str, Grid> {
    let names = model.names();
    let grid = |tensor: usize| {
        let quantization = names.tensor_port(tensor).and_then(model_file::quantization)?;
        Some((names.tensor(tensor)?, Grid::new(model_file::tensor_dtype(model, tensor), quantization)?))
    };
    (0..model.tensors().len()).filter_map(grid).collect()
}

/// The steps of a layer's weights, one for each output channel or one for all. The file does not store
/// them; they follow from its multipliers, which are input step times weight step by output step.
/// A channel without weights has the step 0.
pub fn of_weights(node: &Node<'_>, code: OpCode, input: Grid, output: Grid) -> Option<Vec<f32>> {
    let stage: OutputStage = match code {
        OpCode::Conv2d | OpCode::Conv2dWinograd => node.params::<Conv2dParams>().ok()?.stage,
        OpCode::DepthwiseConv2d => node.params::<DepthwiseConv2dParams>().ok()?.stage,
        OpCode::FullyConnected => node.params::<FullyConnectedParams>().ok()?.stage,
        OpCode::TransposeConv => node.params::<TransposeConvParams>().ok()?.stage,
        _ => return None,
    };
    let multipliers = node.constants::<Multiplier>(stage.multipliers, stage.multiplier_count).ok()?;
    let real = |m: &Multiplier| f64::from(m.mantissa) * f64::from(m.shift - 31).exp2();
    let by = f64::from(output.scale) / f64::from(input.scale);
    Some(multipliers.iter().map(|m| (real(m) * by) as f32).collect())
}
