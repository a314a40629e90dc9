//! ADD, SUB, MUL, DIV, MAXIMUM, MINIMUM, SQUARED_DIFFERENCE: functions of two tensors, element by element, with
//! broadcasting. Each function's integers are in a file of its own: `add`, `mul`, `min_max`.

use ferrolite_graph::float::elementwise;
use ferrolite_graph::float::strided::broadcast_shape;
use ferrolite_schema::OpCode;

use super::channels::Ties;
use super::check::Check;
use super::lowering::{Lowered, Lowering};
use super::operands::Operands;
use super::operator::{FLOAT_ONLY, Layout, Operator, RunAs, Scores};
use super::tflite::{self, Writer};
use super::{add, channels, div, floor, int16, integers, min_max, mul, stage, types};
use crate::error::Result;
use crate::graph::{Activation, Binary, BinaryKind, Constant, DType, Graph, Node, Value};
use crate::tflite as schema;
use crate::tflite::{BuiltinOperator as Code, BuiltinOptions as Kind};

/// TensorFlow Lite's operators that become it, and what the device runs for them.
pub(super) const RUN_AS: RunAs = &[
    ("ADD", &[OpCode::WeightedSum, OpCode::Add, OpCode::AddInt16, OpCode::Integers]),
    ("SUB", &[OpCode::WeightedSum, OpCode::Add, OpCode::AddInt16, OpCode::Integers]),
    ("MUL", &[OpCode::Mul, OpCode::MulInt16, OpCode::Integers]),
    ("DIV", &[OpCode::Div, OpCode::Integers]),
    ("MAXIMUM", &[OpCode::MinMax, OpCode::Integers]),
    ("MINIMUM", &[OpCode::MinMax, OpCode::Integers]),
    ("SQUARED_DIFFERENCE", &[OpCode::SquaredDifference, OpCode::Integers]),
];

impl Operator for Binary {
    fn check(&self, check: &Check<'_>) -> Result<()> {
        let (a, b) = (check.input(0)?, check.input(1)?);
        let shape = broadcast_shape(a, b)
            .ok_or_else(|| check.error(format!("shapes {a:?} and {b:?} do not broadcast")))?;
        check.output(&shape)
    }

    fn check_types(&self, inputs: &[&Value], outputs: &[&Value]) -> Result<(), String> {
        match (inputs[0].dtype, self.kind) {
            (DType::Int64, BinaryKind::Div | BinaryKind::FloorDiv | BinaryKind::FloorMod) => {
                Err("of int64; int32 is supported".into())
            }
            (DType::Int32 | DType::Int64, _) if self.activation == Activation::None => {
                types::plain_integers(inputs, outputs)
            }
            (_, BinaryKind::Add | BinaryKind::Sub | BinaryKind::Mul | BinaryKind::SquaredDifference) => {
                types::one_type_or_int16(inputs, outputs)
            }
            // Both compare the integers as they are.
            (DType::Int16, BinaryKind::Maximum | BinaryKind::Minimum) => {
                types::same_type(inputs, outputs)?;
                types::same_quantization(inputs, outputs)
            }
            _ => types::one_type(inputs, outputs),
        }
    }

    fn eval(&self, x: &Operands<'_>) -> Vec<Vec<f32>> {
        let out = x.result();
        let integers = out.dtype != DType::Float32 && out.quantization.is_none();
        let out = elementwise::binary(self.kind, x.get(0), x.get(1), &out.shape, integers);
        vec![elementwise::clamped(out, self.activation)]
    }

    fn picks(&self) -> bool {
        is_choice(self.kind)
    }

    fn selects(&self) -> bool {
        is_choice(self.kind)
    }

    fn shares_quantization(&self) -> bool {
        is_choice(self.kind)
    }

    fn lower(&self, cx: &mut Lowering<'_>, node: &Node) -> Result<Vec<Lowered>> {
        let dtype = cx.output(node, 0)?.1.dtype;
        if is_integer(dtype) || (dtype == DType::Int16 && is_choice(self.kind)) {
            if self.activation != Activation::None {
                return Err(cx.unsupported(node, "a fused activation of integers"));
            }
            return integers::lower(cx, node, self.kind);
        }
        match self.kind {
            BinaryKind::Add => add::lower(cx, node, false, self.activation),
            BinaryKind::Sub => add::lower(cx, node, true, self.activation),
            BinaryKind::Mul if dtype == DType::Int16 => int16::mul(cx, node, self.activation),
            BinaryKind::Mul => mul::lower(cx, node, self.activation),
            BinaryKind::Maximum => min_max::lower(cx, node, true, self.activation),
            BinaryKind::Minimum => min_max::lower(cx, node, false, self.activation),
            BinaryKind::Div => div::lower(cx, node, self.activation),
            BinaryKind::SquaredDifference if self.activation == Activation::None => {
                div::lower_squares(cx, node)
            }
            BinaryKind::FloorDiv | BinaryKind::FloorMod if self.activation == Activation::None => {
                floor::lower(cx, node, self.kind)
            }
            _ => Err(cx.unsupported(node, FLOAT_ONLY)),
        }
    }

    fn write_tflite(&self, w: &mut Writer<'_>, node: &Node) -> Result<()> {
        let &Binary { kind, activation } = self;
        if node.outputs.iter().any(|&id| is_integer(w.graph.value(id).dtype)) {
            return Err(tflite::refuse(node, "arithmetic of plain integers is not written"));
        }
        let int16 = node.outputs.iter().any(|&id| w.graph.value(id).dtype == DType::Int16);
        // TFLM has one arithmetic for all scales, LiteRT another one where they are said to be powers of two.
        let pot_scale_int16 = !int16;
        let fused_activation_function = tflite::fused(activation);
        let options = match kind {
            BinaryKind::Add => tflite::options(Kind::AddOptions, move |fbb| {
                let args = schema::AddOptionsArgs { fused_activation_function, pot_scale_int16 };
                schema::AddOptions::create(fbb, &args)
            }),
            BinaryKind::Sub => tflite::options(Kind::SubOptions, move |fbb| {
                let args = schema::SubOptionsArgs { fused_activation_function, pot_scale_int16 };
                schema::SubOptions::create(fbb, &args)
            }),
            BinaryKind::Mul => tflite::options(Kind::MulOptions, move |fbb| {
                schema::MulOptions::create(fbb, &schema::MulOptionsArgs { fused_activation_function })
            }),
            BinaryKind::SquaredDifference if activation == Activation::None && !int16 => {
                return tflite::simple(w, node, Code::SQUARED_DIFFERENCE, 2, None);
            }
            BinaryKind::Div => tflite::options(Kind::DivOptions, move |fbb| {
                schema::DivOptions::create(fbb, &schema::DivOptionsArgs { fused_activation_function })
            }),
            BinaryKind::Maximum | BinaryKind::Minimum if activation == Activation::None => {
                let code = if kind == BinaryKind::Maximum { Code::MAXIMUM } else { Code::MINIMUM };
                return tflite::simple(w, node, code, 2, None);
            }
            _ => return Err(tflite::refuse(node, "it cannot be written as int8")),
        };
        let code = match kind {
            BinaryKind::Add => Code::ADD,
            BinaryKind::Sub => Code::SUB,
            BinaryKind::Div => Code::DIV,
            _ => Code::MUL,
        };
        let version = match code {
            Code::MUL if int16 => 4,
            _ if int16 => 3,
            _ => 2,
        };
        tflite::simple(w, node, code, version, Some(options))
    }

    fn layout(&self, _: &Graph, _: &Node) -> Layout {
        Layout::Any
    }

    fn broadcasts(&self) -> bool {
        true
    }

    fn ties(&self, graph: &Graph, node: &Node) -> Option<Ties> {
        let &output = node.outputs.first()?;
        let count = |id| channels::channels(graph, id);
        let mut ties = Vec::new();
        for &id in node.inputs.iter().flatten() {
            let repeated = count(id) != count(output);
            match &graph.value(id).constant {
                // One element for all channels; constants of one element each are shortened.
                Some(_) if repeated => {}
                Some(Constant::I8(_)) => {}
                None if !repeated => ties.extend(channels::run(id, output, 0, count(output))),
                _ => return None,
            }
        }
        Some(ties)
    }

    fn is_monotone(&self, graph: &Graph, node: &Node) -> bool {
        let scale = |id| stage::scale(graph, id);
        match self.kind {
            BinaryKind::Add | BinaryKind::Sub | BinaryKind::Maximum | BinaryKind::Minimum => true,
            // Without a shift to the left, which could wrap.
            BinaryKind::Mul => {
                scale(node.input(0)) * scale(node.input(1)) < 0.5 * scale(node.outputs.first().copied())
            }
            _ => false,
        }
    }

    fn scores(&self) -> Scores {
        match self.kind {
            BinaryKind::Add | BinaryKind::Sub if self.activation == Activation::None => Scores::Sum,
            _ => Scores::None,
        }
    }
}

/// Whether numbers of this type stand for themselves.
fn is_integer(dtype: DType) -> bool {
    matches!(dtype, DType::Int32 | DType::Int64)
}

/// Whether a function gives one of its operands.
fn is_choice(kind: BinaryKind) -> bool {
    matches!(kind, BinaryKind::Maximum | BinaryKind::Minimum)
}
