//! AVERAGE_POOL_2D and MAX_POOL_2D, whose output has the quantization of the input.
//! Source followed: TFLM `kernels/pooling_common.cc`.

use ferrolite_graph::float::{elementwise, window};
use ferrolite_schema::OpCode;
use ferrolite_schema::params::{self, Pool2dInt16Params, Pool2dParams};

use super::channels::Ties;
use super::check::Check;
use super::lowering::{Lowered, Lowering};
use super::operands::Operands;
use super::operator::{Operator, RunAs, Scores};
use super::stage::Quantized;
use super::tflite::windows::{Said, padding};
use super::tflite::{self, Writer};
use super::{channels, int16, stage, types};
use crate::error::Result;
use crate::graph::{Activation, DType, Graph, Node, Pool2d, PoolKind, Value, Window};
use crate::tflite as schema;
use crate::tflite::{BuiltinOperator as Code, BuiltinOptions as Kind};

/// TensorFlow Lite's operators that become it, and what the device runs for them.
pub(super) const RUN_AS: RunAs = &[
    ("AVERAGE_POOL_2D", &[OpCode::AveragePool2d, OpCode::AveragePoolUp, OpCode::Pool2dInt16]),
    ("MAX_POOL_2D", &[OpCode::MaxPool2d, OpCode::Pool2dInt16]),
];

impl Operator for Pool2d {
    fn check(&self, check: &Check<'_>) -> Result<()> {
        let (image, window) = (check.image(0)?, &self.window);
        check.window(window, window.kernel)?;
        let inside = window.dilation == [1, 1]
            && (0..2)
                .all(|d| window.pad_before[d] < window.kernel[d] && window.pad_after[d] < window.kernel[d]);
        check.ensure(inside, || {
            let kind = if self.kind == PoolKind::Max { "maximum" } else { "average" };
            format!("a window without pixels has no {kind}")
        })?;
        check.windowed(image, window, image[3])
    }

    fn check_types(&self, inputs: &[&Value], outputs: &[&Value]) -> Result<(), String> {
        types::one_type_or_int16(inputs, outputs)
    }

    fn eval(&self, x: &Operands<'_>) -> Vec<Vec<f32>> {
        vec![elementwise::clamped(
            window::pool(x.get(0), self.kind, &self.window, x.shape()),
            self.activation,
        )]
    }

    fn picks(&self) -> bool {
        self.kind == PoolKind::Max
    }

    fn selects(&self) -> bool {
        self.kind == PoolKind::Max
    }

    fn shares_quantization(&self) -> bool {
        true
    }

    fn lower(&self, cx: &mut Lowering<'_>, node: &Node) -> Result<Vec<Lowered>> {
        match cx.output(node, 0)?.1.dtype {
            DType::Int16 => lower_int16(cx, node, self.kind, &self.window, self.activation),
            _ => lower(cx, node, self.kind, &self.window, self.activation),
        }
    }

    fn write_tflite(&self, w: &mut Writer<'_>, node: &Node) -> Result<()> {
        let &Pool2d { kind, ref window, activation } = self;
        let (image, output) = tflite::sizes(w, node);
        // Padding first would count into the mean; that before a maximum is of int8.
        let int8 = w.graph.value(node.outputs[0]).dtype == DType::Int8;
        if (kind == PoolKind::Average || !int8) && padding(window, image, output) == Said::PadFirst {
            return Err(tflite::refuse(node, "a pooling with this padding cannot be said"));
        }
        let (padding, inputs) = tflite::windowed(w, node, window, Some(i8::MIN));
        let ([filter_height, filter_width], [stride_h, stride_w]) = (window.kernel, window.stride);
        let options = tflite::options(Kind::Pool2DOptions, move |fbb| {
            schema::Pool2DOptions::create(
                fbb,
                &schema::Pool2DOptionsArgs {
                    padding,
                    stride_w: stride_w as i32,
                    stride_h: stride_h as i32,
                    filter_width: filter_width as i32,
                    filter_height: filter_height as i32,
                    fused_activation_function: tflite::fused(activation),
                },
            )
        });
        let code = match kind {
            PoolKind::Average => Code::AVERAGE_POOL_2D,
            PoolKind::Max => Code::MAX_POOL_2D,
        };
        tflite::push(w, node, code, 2, options, inputs)
    }

    fn ties(&self, graph: &Graph, node: &Node) -> Option<Ties> {
        channels::same(graph, node)
    }

    fn is_monotone(&self, _: &Graph, _: &Node) -> bool {
        true
    }

    fn scores(&self) -> Scores {
        Scores::Own
    }
}

/// Lowers a pooling.
pub(super) fn lower(
    cx: &Lowering<'_>,
    node: &Node,
    kind: PoolKind,
    geometry: &Window,
    activation: Activation,
) -> Result<Vec<Lowered>> {
    let (input, output) = (stage::int8_input(cx, node, 0)?, stage::int8_output(cx, node, 0)?);
    let params = params(cx, node, geometry, activation, (&input, &output))?;
    let code = match kind {
        // Windows of an odd number of cells have no half steps.
        PoolKind::Average if cx.graph.from_uint8.contains(&output.id) && has_even_windows(&params.window) => {
            OpCode::AveragePoolUp
        }
        PoolKind::Average => OpCode::AveragePool2d,
        PoolKind::Max => OpCode::MaxPool2d,
    };
    Ok(vec![Lowered::new(code, vec![input.id], vec![output.id], &params)])
}

/// Lowers a pooling of int16.
fn lower_int16(
    cx: &Lowering<'_>,
    node: &Node,
    kind: PoolKind,
    geometry: &Window,
    activation: Activation,
) -> Result<Vec<Lowered>> {
    let (x, y) = (int16::input(cx, node, 0)?, int16::output(cx, node)?);
    let pool = params(cx, node, geometry, activation, (&x, &y))?;
    let params = Pool2dInt16Params { pool, largest: (kind == PoolKind::Max).into() };
    Ok(vec![Lowered::new(OpCode::Pool2dInt16, vec![x.id], vec![y.id], &params)])
}

/// Shapes and clamp of a pooling from `input` to `output`.
fn params(
    cx: &Lowering<'_>,
    node: &Node,
    geometry: &Window,
    activation: Activation,
    (input, output): (&Quantized<'_>, &Quantized<'_>),
) -> Result<Pool2dParams> {
    // TFLite's own tolerance: scales that were stored in different ways.
    if (input.scale - output.scale).abs() > 1e-6 || input.zero_point != output.zero_point {
        return Err(cx.unsupported(
            node,
            format_args!(
                "its input has scale {} and zero point {}, its output {} and {}; a pooling does not rescale",
                input.scale, input.zero_point, output.scale, output.zero_point
            ),
        ));
    }
    let (from, to) = (stage::nhwc(cx, node, input.value)?, stage::nhwc(cx, node, output.value)?);
    let ([batches, .., channels], [out_batches, .., out_channels]) = (from, to);
    if batches != out_batches || channels != out_channels || geometry.dilation != [1; 2] {
        return Err(cx.unsupported(
            node,
            format_args!(
                "it makes {to:?} of {from:?} with dilation {:?}; a pooling keeps batch and channels and has \
                 no dilation",
                geometry.dilation
            ),
        ));
    }
    let window = stage::window(cx, node, geometry, from, to)?;
    if window.pad_top >= window.kernel_h || window.pad_left >= window.kernel_w {
        return Err(cx.unsupported(node, "its padding is as large as its window"));
    }
    let (min, max) = stage::activation_range(activation, output);
    let (batches, channels) = (cx.word(node, batches)?, cx.word(node, channels)?);
    Ok(Pool2dParams { window, batches, channels, min, max })
}

/// Whether a window may have an even number of cells inside the image.
fn has_even_windows(w: &params::Window) -> bool {
    let whole = |size: u32, out: u32, kernel: u32, stride: u32, pad: u32| {
        pad == 0 && u64::from(out - 1) * u64::from(stride) + u64::from(kernel) <= u64::from(size)
    };
    let inside = whole(w.in_h, w.out_h, w.kernel_h, w.stride_h, w.pad_top)
        && whole(w.in_w, w.out_w, w.kernel_w, w.stride_w, w.pad_left);
    !inside || (w.kernel_h * w.kernel_w).is_multiple_of(2)
}
