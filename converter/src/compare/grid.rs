//! The integers of a quantized model's tensors and weights, as grids of real numbers.

use std::collections::HashMap;

use ferrolite_runtime::params::{
    Conv2dParams, Conv2dWideParams, DepthwiseConv2dParams, DepthwiseWideParams, FullyConnectedParams,
    Multiplier, OutputStage, TransposeConvParams,
};
use ferrolite_runtime::{DType, Model, Node, OpCode};
use ferrolite_schema::Op as Record;

use crate::graph::{Graph, Op};
use crate::model_file;

/// Evenly spaced real numbers between two ends: those that integers of one type and scale can represent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Grid {
    scale: f32,
    zero_point: i32,
    low: f32,
    high: f32,
}

impl Grid {
    /// The grid of a type's integers; `None` for types that are not quantized.
    pub fn new(dtype: DType, (scale, zero_point): (f32, i32)) -> Option<Grid> {
        let (low, high) = match dtype {
            DType::Int8 => (-128.0, 127.0),
            DType::UInt8 => (0.0, 255.0),
            DType::Int16 => (-32768.0, 32767.0),
            _ => return None,
        };
        Some(Grid { scale, zero_point, low, high })
    }

    /// The grid of symmetric int8, which weights use.
    pub fn weights(scale: f32) -> Grid {
        Grid { scale, zero_point: 0, low: -127.0, high: 127.0 }
    }

    /// The nearest number of the grid, which is an end for numbers beyond it.
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

/// The author's name of a tensor. The converter renames a tensor when it adds float borders around it or
/// removes channels from it.
pub fn authored(name: &str) -> &str {
    let name = name.strip_suffix("_quantized").unwrap_or(name);
    name.strip_suffix("/active").unwrap_or(name)
}

/// The grids that a file gives to the values of its source graph, by value. Values are found by the author's
/// names. A value that only reshapes another has no tensor in the file.
pub fn of_values(graph: &Graph, model: &Model<'_>) -> Vec<Option<Grid>> {
    let names = model.names();
    let grid = |tensor: usize| {
        let quantization = names.tensor_port(tensor).and_then(model_file::quantization)?;
        Some((names.tensor(tensor)?, Grid::new(model_file::tensor_dtype(model, tensor), quantization)?))
    };
    let mut by_name: HashMap<&str, Grid> = (0..model.tensors().len()).filter_map(grid).collect();
    for (name, grid) in by_name.clone() {
        by_name.entry(authored(name)).or_insert(grid);
    }
    let mut grids: Vec<Option<Grid>> =
        graph.values.iter().map(|value| by_name.get(value.name.as_str()).copied()).collect();
    for node in graph.nodes.iter().filter(|node| node.op == Op::Reshape) {
        if let (Some(from), Some(to)) = (node.input(0), node.outputs.first()) {
            grids[to.0] = grids[to.0].or(grids[from.0]);
        }
    }
    grids
}

/// The steps of a layer's weights, one for each output channel or one for all. The file does not store them,
/// but its multipliers imply them: each is input step times weight step, divided by output step. A channel
/// without weights has the step 0.
pub fn of_weights(model: &Model<'_>, op: &Record) -> Option<Vec<f32>> {
    let node = Node::new(model, op);
    let stage: OutputStage = match OpCode::from_code(op.code)? {
        OpCode::Conv2d | OpCode::Conv2dWinograd | OpCode::Conv2dSegments => {
            node.params::<Conv2dParams>().ok()?.stage
        }
        OpCode::DepthwiseConv2d | OpCode::Depthwise3x3 | OpCode::DepthwiseTaps => {
            node.params::<DepthwiseConv2dParams>().ok()?.stage
        }
        OpCode::Conv2dWide => node.params::<Conv2dWideParams>().ok()?.conv.stage,
        OpCode::DepthwiseWide => node.params::<DepthwiseWideParams>().ok()?.conv.stage,
        OpCode::FullyConnected => node.params::<FullyConnectedParams>().ok()?.stage,
        OpCode::TransposeConv => node.params::<TransposeConvParams>().ok()?.stage,
        _ => return None,
    };
    let names = model.names();
    let scale = |position: usize| {
        let tensor = usize::from(*model.operands(op).get(position)?);
        names.tensor_port(tensor).and_then(model_file::quantization).map(|(scale, _)| f64::from(scale))
    };
    let by = scale(op.inputs.into())? / scale(0)?;
    let multipliers = node.constants::<Multiplier>(stage.multipliers, stage.multiplier_count).ok()?;
    // Where phases of a transposed convolution are one matrix, they repeat.
    let multipliers = match node.params::<TransposeConvParams>() {
        Ok(p) if op.code == OpCode::TransposeConv as u16 => {
            multipliers.get(..p.out_channels as usize).unwrap_or(multipliers)
        }
        _ => multipliers,
    };
    let real = |m: &Multiplier| f64::from(m.mantissa) * f64::from(m.shift - 31).exp2();
    Some(multipliers.iter().map(|m| (real(m) * by) as f32).collect())
}
