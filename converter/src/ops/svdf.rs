//! SVDF of int8, with a state of int8 or int16 that is kept from one inference to the next.
//!
//! Source followed: TFLM `kernels/svdf_common.cc`.

use ferrolite_runtime::ops::svdf::scratch_bytes;
use ferrolite_runtime::quant::multiplier;
use ferrolite_schema::OpCode;
use ferrolite_schema::params::{OutputStage, SvdfParams};

use super::cells;
use super::check::Check;
use super::lowering::{Lowered, Lowering};
use super::operands::Operands;
use super::operator::{Operator, RunAs};
use super::stage;
use super::tflite::{self, Writer};
use super::types;
use super::work;
use crate::error::Result;
use crate::graph::{Constant, DType, Graph, Node, Svdf, Value};

/// TensorFlow Lite's operators that become it, and what the device runs for them.
pub(super) const RUN_AS: RunAs = &[("SVDF", &[OpCode::Svdf, OpCode::SvdfInt16])];

impl Operator for Svdf {
    fn check(&self, check: &Check<'_>) -> Result<()> {
        let (input, feature, time) = (check.input(0)?, check.input(1)?, check.input(2)?);
        let (&[batches, features], &[filters, _], &[lines, memory]) = (input, feature, time) else {
            return Err(check.error(format!("operands of shapes {input:?}, {feature:?} and {time:?}")));
        };
        check.ensure(
            feature == [filters, features]
                && lines == filters
                && ![batches, features, filters, memory].contains(&0)
                && self.rank != 0
                && filters.is_multiple_of(self.rank),
            || format!("weights {feature:?} and {time:?} of rank {} for an input {input:?}", self.rank),
        )?;
        let units = filters / self.rank;
        let bias = check.inputs.get(3).copied().flatten();
        check.ensure(bias.is_none_or(|bias| bias == [units]), || {
            format!("a bias of shape {bias:?} for {units} units")
        })?;
        check.output(&[batches, units])
    }

    fn check_types(&self, inputs: &[&Value], outputs: &[&Value]) -> Result<(), String> {
        types::same_type(&inputs[..2], outputs)?;
        match inputs[0].dtype {
            DType::Int8 => inputs[..2].iter().chain(outputs).try_for_each(|value| types::per_tensor(value)),
            other => Err(format!("it computes with {}", other.name())),
        }
    }

    /// From a state that stands for zero: only the newest number of each filter counts.
    fn eval(&self, x: &Operands<'_>) -> Vec<Vec<f32>> {
        let (input, feature, time) = (x.get(0), x.get(1), x.get(2));
        let (features, memory) = (feature.depth(), time.depth());
        let filters = feature.data.len() / features;
        let mut out = Vec::new();
        for input in input.data.chunks(features) {
            let weighed = |filter: usize| {
                let row = &feature.data[filter * features..][..features];
                let sum: f32 = row.iter().zip(input).map(|(w, x)| w * x).sum();
                sum * time.data[filter * memory + memory - 1]
            };
            out.extend((0..filters / self.rank).map(|unit| {
                let bias = x.optional(3).map_or(0.0, |bias| bias[unit]);
                bias + (0..self.rank).map(|k| weighed(unit * self.rank + k)).sum::<f32>()
            }));
        }
        vec![out]
    }

    fn macs(&self, graph: &Graph, node: &Node) -> u64 {
        let weights = [1, 2].map(|position| work::elements(graph, node, position, 0));
        let batches = work::shape(graph, node, 0).first().map_or(0, |&batches| batches as u64);
        batches.saturating_mul(weights[0].saturating_add(weights[1]))
    }

    fn lower(&self, cx: &mut Lowering<'_>, node: &Node) -> Result<Vec<Lowered>> {
        let (input, output) = (stage::int8_input(cx, node, 0)?, stage::int8_output(cx, node, 0)?);
        let (feature, weights, _) = stage::weights(cx, node, 1)?;
        let (filters, features) = (feature.shape[0], feature.shape[1]);
        let (units, batches) = (filters / self.rank, input.value.shape[0]);
        let (_, time) = cx.input(node, 2)?;
        let memory = time.shape[1];
        let scale = |value: &Value| {
            let scale = value.quantization.as_ref().and_then(|q| q.tensor()).filter(|(_, zero)| *zero == 0);
            let fault = || format!("weights `{}` without one scale and zero point 0", value.name);
            scale.map(|(scale, _)| scale).ok_or_else(|| cx.unsupported(node, fault()))
        };
        let (feature_scale, time_scale) = (scale(feature)?, scale(time)?);
        // TFLM multiplies and divides scales in float32.
        let first = input.scale as f32 * feature_scale / self.scale;
        let second = self.scale * time_scale / output.scale as f32;
        let mut bias = stage::bias(cx, node, 3, units)?;
        // What stands for zero in the state is taken from the sums here.
        let fold = |bias: &mut [i32], sums: Vec<i32>| {
            for (bias, sums) in bias.iter_mut().zip(sums.chunks(self.rank)) {
                let sum = sums.iter().fold(0i32, |sum, &x| sum.wrapping_add(x));
                *bias = bias.wrapping_sub(self.zero_point.wrapping_mul(sum));
            }
        };
        let state = batches * filters * memory;
        let kept = |dtype| Value {
            name: format!("{}/state", node.name),
            shape: vec![batches, filters, memory],
            dtype,
            quantization: None,
            constant: None,
        };
        let (code, time, state) = match &time.constant {
            Some(Constant::I8(time)) if self.state == DType::Int8 => {
                fold(
                    &mut bias,
                    time.chunks(memory).map(|line| line.iter().map(|&w| i32::from(w)).sum()).collect(),
                );
                let initial = vec![self.zero_point as i8; state];
                (OpCode::Svdf, cx.constants.add(time, 4)?, cx.state(kept(DType::Int8), &initial)?)
            }
            Some(Constant::I16(time)) if self.state == DType::Int16 => {
                let initial = vec![0i16; state];
                (OpCode::SvdfInt16, cx.constants.add(time, 4)?, cx.state(kept(DType::Int16), &initial)?)
            }
            _ => {
                let found = (time.dtype.name(), self.state.name());
                let fault = format!(
                    "weights over time of {} with a state of {}; both int8 or both int16 constants are \
                                     supported",
                    found.0, found.1
                );
                return Err(cx.unsupported(node, fault));
            }
        };
        let rows: Vec<&[i8]> = weights.chunks(features).collect();
        let params = SvdfParams {
            batches: cx.word(node, batches)?,
            features: cx.word(node, features)?,
            units: cx.word(node, units)?,
            rank: cx.word(node, self.rank)?,
            memory: cx.word(node, memory)?,
            feature: cells::product(
                cx,
                node,
                &input,
                &rows,
                (vec![0; filters], vec![first.into(); filters]),
                self.state == DType::Int8,
            )?,
            time,
            state_zero_point: self.zero_point,
            stage: OutputStage {
                bias: cx.constants.add(&bias, 4)?,
                multipliers: cx.constants.add(&[multiplier(second.into())], 4)?,
                multiplier_count: 1,
                zero_point: output.zero_point,
                // TFLM ignores the fused function.
                min: i8::MIN.into(),
                max: i8::MAX.into(),
            },
        };
        let scratch = scratch_bytes(&params).ok_or_else(|| cx.unsupported(node, "too many filters"))?;
        let macs = work::macs(cx.graph, node);
        let lowered = Lowered::new(code, vec![input.id, state], vec![output.id], &params);
        Ok(vec![lowered.scratch(scratch).macs(macs)])
    }

    fn write_tflite(&self, _: &mut Writer<'_>, node: &Node) -> Result<()> {
        Err(tflite::refuse(node, "layers with a state are not written as .tflite"))
    }
}
