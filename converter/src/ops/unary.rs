//! Functions of one number. On the device each is a table; `lookup` makes it.

use ferrolite_graph::float::elementwise;
use ferrolite_schema::OpCode;

use super::channels::Ties;
use super::check::Check;
use super::lowering::{Lowered, Lowering};
use super::operands::Operands;
use super::operator::{Layout, Operator, RunAs};
use super::tflite::{self, Tensor, Writer};
use super::{channels, int16, lookup, types};
use crate::error::Result;
use crate::graph::{DType, Graph, Node, UnaryKind, Value, ValueId};
use crate::tflite as schema;
use crate::tflite::{BuiltinOperator as Code, BuiltinOptions as Kind};

/// TensorFlow Lite's operators that become it, and what the device runs for them.
pub(super) const RUN_AS: RunAs = &[
    ("ABS", &[OpCode::Lookup, OpCode::SlopesInt16]),
    ("ELU", &[OpCode::Lookup]),
    ("HARD_SWISH", &[OpCode::Lookup]),
    ("LEAKY_RELU", &[OpCode::Lookup, OpCode::SlopesInt16]),
    ("LOGISTIC", &[OpCode::Lookup, OpCode::GateInt16]),
    ("RELU", &[OpCode::Lookup, OpCode::SlopesInt16]),
    ("RELU6", &[OpCode::Lookup, OpCode::SlopesInt16]),
    ("RSQRT", &[OpCode::Lookup, OpCode::RsqrtInt16]),
    ("TANH", &[OpCode::Lookup, OpCode::GateInt16]),
];

impl Operator for UnaryKind {
    fn check(&self, check: &Check<'_>) -> Result<()> {
        check.output(check.input(0)?)
    }

    fn check_types(&self, inputs: &[&Value], outputs: &[&Value]) -> Result<(), String> {
        match int16::has_kernel(*self) {
            true => types::one_type_or_int16(inputs, outputs),
            false => types::one_type(inputs, outputs),
        }
    }

    fn eval(&self, x: &Operands<'_>) -> Vec<Vec<f32>> {
        vec![elementwise::map(*self, x.get(0).data)]
    }

    fn commutes_with_clamps(&self) -> bool {
        self.selects()
    }

    fn selects(&self) -> bool {
        matches!(self, UnaryKind::Relu | UnaryKind::Relu6 | UnaryKind::ReluN1To1 | UnaryKind::Clip { .. })
    }

    fn prescribed(&self) -> Option<(f32, i32)> {
        match self {
            UnaryKind::Logistic => Some((1.0 / 256.0, -128)),
            UnaryKind::Tanh => Some((1.0 / 128.0, 0)),
            _ => None,
        }
    }

    fn lower(&self, cx: &mut Lowering<'_>, node: &Node) -> Result<Vec<Lowered>> {
        match cx.output(node, 0)?.1.dtype {
            DType::Int16 => int16::unary(cx, node, *self),
            _ => lookup::lower(cx, node, *self),
        }
    }

    fn write_tflite(&self, w: &mut Writer<'_>, node: &Node) -> Result<()> {
        let kind = *self;
        let quantization = |id: Option<ValueId>| id.and_then(|id| w.graph.value(id).quantization.clone());
        let rescales = quantization(node.input(0)) != quantization(node.outputs.first().copied());
        let result = quantization(node.outputs.first().copied()).and_then(|q| q.tensor());
        let int16 = node.outputs.iter().any(|&id| w.graph.value(id).dtype == DType::Int16);
        let (code, version, options) = match kind {
            UnaryKind::Relu if int16 => (Code::RELU, 3, None),
            UnaryKind::Relu6 if int16 => (Code::RELU6, 3, None),
            UnaryKind::Logistic if int16 => (Code::LOGISTIC, 3, None),
            UnaryKind::Tanh if int16 => (Code::TANH, 3, None),
            UnaryKind::Abs if int16 => (Code::ABS, 3, None),
            UnaryKind::Rsqrt if int16 => (Code::RSQRT, 3, None),
            UnaryKind::Relu => (Code::RELU, 2, None),
            // TFLM's int8 RELU6 clamps and does not rescale.
            UnaryKind::Relu6 if !rescales => (Code::RELU6, 2, None),
            // TFLM computes these on one grid, whatever the file says.
            UnaryKind::Logistic if result == Some((1.0 / 256.0, -128)) => (Code::LOGISTIC, 2, None),
            UnaryKind::Tanh if result == Some((1.0 / 128.0, 0)) => (Code::TANH, 2, None),
            UnaryKind::HardSwish => (Code::HARD_SWISH, 1, None),
            UnaryKind::Elu { alpha: 1.0 } => (Code::ELU, 1, None),
            UnaryKind::Abs => (Code::ABS, 2, None),
            UnaryKind::Rsqrt | UnaryKind::RsqrtOrZero => (Code::RSQRT, 2, None),
            UnaryKind::LeakyRelu { alpha } => {
                let options = tflite::options(Kind::LeakyReluOptions, move |fbb| {
                    schema::LeakyReluOptions::create(fbb, &schema::LeakyReluOptionsArgs { alpha })
                });
                (Code::LEAKY_RELU, 2, Some(options))
            }
            _ if int16 => return Err(tflite::refuse(node, "it cannot be written as int16")),
            _ => return look_up(w, node, kind),
        };
        tflite::simple(w, node, code, version, options)
    }

    fn layout(&self, _: &Graph, _: &Node) -> Layout {
        Layout::Any
    }

    fn ties(&self, graph: &Graph, node: &Node) -> Option<Ties> {
        channels::same(graph, node)
    }
}

fn look_up(w: &mut Writer<'_>, node: &Node, kind: UnaryKind) -> Result<()> {
    let bytes = lookup::unary_table(w.graph, node, kind)?;
    // The table is indexed by the input's bits; GATHER counts from -128.
    let table: Vec<i8> = (0..=u8::MAX).map(|index| bytes[usize::from(index ^ 0x80)]).collect();
    let quantization = w.graph.value(node.outputs[0]).quantization.clone();
    let data = Some(table.iter().map(|&x| x as u8).collect());
    let name = format!("{}/table", node.name);
    let table = w.tensor(Tensor { name, shape: vec![256], dtype: DType::Int8, quantization, data });
    tflite::look_up_in(w, node, table)
}
