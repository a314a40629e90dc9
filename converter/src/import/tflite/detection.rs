//! TFLite_Detection_PostProcess, a custom operator: boxes, scores and anchors, with its options as a FlexBuffers map.

use super::builder::Builder;
use super::flexbuffer;
use super::layer::Reason;
use super::operators::DETECTION;
use crate::graph::{DType, DetectionPostProcess, Node, Op, Unsupported, ValueId};
use crate::tflite as schema;

/// Boxes of each class that are chosen where the file does not say how many.
const OF_CLASS: i64 = 100;

/// Adds the layer, whose operands and results `node` has.
pub(super) fn add(builder: &mut Builder, operator: schema::Operator<'_>, mut node: Node) {
    match read(builder, operator, &node) {
        Ok(op) => {
            let rows = op.most * op.rows;
            let shapes = [vec![1, rows, 4], vec![1, rows], vec![1, rows], vec![1]];
            for (&id, shape) in node.outputs.iter().zip(shapes) {
                let value = builder.graph.value_mut(id);
                (value.shape, value.dtype) = (shape, DType::Float32);
                builder.graph.reals.insert(id);
            }
            node.inputs.truncate(2);
            for input in node.inputs.iter_mut().flatten() {
                *input = integers(builder, *input).unwrap_or(*input);
            }
            node.op = Op::DetectionPostProcess(op);
        }
        Err(reason) => {
            let operands = node.inputs.iter().take(2).flatten();
            let cuts: Vec<String> =
                operands.map(|&id| format!("--cut {}", builder.graph.value(id).name)).collect();
            let reason = format!("{reason}; end the model before it, with `{}`", cuts.join(" "));
            node.op = Op::Unsupported(Unsupported { code: DETECTION.into(), reason });
        }
    }
    builder.graph.nodes.push(node);
}

/// What DEQUANTIZE makes a tensor of: the layer reads the integers itself.
fn integers(builder: &Builder, id: ValueId) -> Option<ValueId> {
    let source = builder.graph.nodes.iter().rev().find(|node| node.outputs.contains(&id))?;
    let integers = source.input(0).filter(|_| source.op == Op::Dequantize)?;
    let value = builder.graph.value(integers);
    let bytes = matches!(value.dtype, DType::Int8 | DType::UInt8) && value.quantization.is_some();
    bytes.then_some(integers)
}

fn read(
    builder: &Builder,
    operator: schema::Operator<'_>,
    node: &Node,
) -> Result<DetectionPostProcess, Reason> {
    let (&[Some(boxes), Some(scores), Some(anchors)], &[_, _, _, _]) =
        (node.inputs.as_slice(), node.outputs.as_slice())
    else {
        return Err(format!(
            "{} operands and {} results instead of 3 and 4",
            node.inputs.len(),
            node.outputs.len()
        ));
    };
    for id in [boxes, scores, anchors] {
        if let Some(fault) = &builder.faults[id.0] {
            return Err(format!("tensor `{}`: {fault}", builder.graph.value(id).name));
        }
    }
    let bytes = operator.custom_options().map_or(&[][..], |options| options.bytes());
    let options = flexbuffer::map(bytes).ok_or("its options are damaged")?;
    let given = |name: &str| options.iter().find(|(key, _)| key == name).map(|(_, number)| *number);
    let number = |name: &str| given(name).ok_or_else(|| format!("its options lack `{name}`"));
    let count = |name: &str| -> Result<usize, Reason> {
        let found = number(name)?;
        let whole = found.fract() == 0.0 && (1.0..=65535.0).contains(&found);
        if whole { Ok(found as usize) } else { Err(format!("`{name}` is {found}")) }
    };
    let anchors = builder.graph.value(anchors);
    let (Some(constant), &[_, 4]) = (&anchors.constant, anchors.shape.as_slice()) else {
        return Err("its anchors are no constant of four columns".into());
    };
    let anchors = constant.to_real(anchors.quantization.as_ref(), &anchors.shape);
    let regular = given("use_regular_nms").is_some_and(|given| given != 0.0);
    let of_class = given("detections_per_class").unwrap_or(OF_CLASS as f64);
    if regular && !(1.0..=65535.0).contains(&of_class) {
        return Err(format!("`detections_per_class` is {of_class}"));
    }
    let real = |name: &str| number(name).map(|number| number as f32);
    Ok(DetectionPostProcess {
        most: count("max_detections")?,
        rows: count("max_classes_per_detection")?,
        most_of_class: regular.then_some(of_class as usize),
        classes: count("num_classes")?,
        least: real("nms_score_threshold")?,
        overlap: real("nms_iou_threshold")?,
        scales: [real("y_scale")?, real("x_scale")?, real("h_scale")?, real("w_scale")?],
        anchors: anchors.as_chunks().0.to_vec(),
    })
}
