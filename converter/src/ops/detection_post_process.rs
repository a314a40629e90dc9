//! TFLite_Detection_PostProcess: the choice among boxes. Boxes and scores are int8; what is chosen is real.

use std::cmp::Ordering;

use ferrolite_runtime::ops::detection_post_process::scratch_bytes;
use ferrolite_runtime::quant;
use ferrolite_schema::OpCode;
use ferrolite_schema::params::DetectionPostProcessParams;

use super::check::Check;
use super::lowering::{Lowered, Lowering};
use super::operands::Operands;
use super::operator::{Operator, RunAs};
use super::types;
use crate::error::Result;
use crate::graph::{DType, DetectionPostProcess, Node, Value};

/// TensorFlow Lite's operators that become it, and what the device runs for them.
pub(super) const RUN_AS: RunAs = &[("TFLite_Detection_PostProcess", &[OpCode::DetectionPostProcess])];

/// Elements of a box that are read.
const CODES: usize = 4;

/// Numbers of boxes have 16 bits on the device.
const MOST: usize = 0xFFFF;

impl Operator for DetectionPostProcess {
    fn check(&self, check: &Check<'_>) -> Result<()> {
        let (boxes, scores) = (check.input(0)?, check.input(1)?);
        let (&[1, count, codes], &[1, others, columns]) = (boxes, scores) else {
            return Err(check.error(format!("boxes of shape {boxes:?} with scores of shape {scores:?}")));
        };
        check.ensure(count == others && count == self.anchors.len() && count <= MOST, || {
            format!(
                "{count} boxes, scores of {others} and {} anchors; up to {MOST} boxes are supported",
                self.anchors.len()
            )
        })?;
        check.ensure(codes >= CODES, || format!("boxes of {codes} elements instead of 4 or more"))?;
        let classes = self.classes;
        check.ensure(classes != 0 && (columns == classes || columns == classes + 1), || {
            format!("{columns} scores of a box for {classes} classes")
        })?;
        let within = |n: usize| (1..=MOST).contains(&n);
        check.ensure(within(self.most) && within(self.rows) && columns <= MOST, || {
            format!("{} boxes of {} classes each out of {columns}", self.most, self.rows)
        })?;
        check.ensure(self.overlap > 0.0 && self.overlap <= 1.0 && !self.least.is_nan(), || {
            format!("an overlap of {} and scores from {} on", self.overlap, self.least)
        })?;
        check.ensure(self.scales.iter().all(|scale| scale.is_finite() && *scale != 0.0), || {
            format!("scales {:?}", self.scales)
        })?;
        let rest = check.outputs.get(1..).unwrap_or_default();
        let rows = [1, self.most * self.rows];
        check.ensure(check.inferred.is_some() || rest == [&rows[..], &rows, &[1]], || {
            format!("results of shapes {rest:?} for {rows:?} rows")
        })?;
        check.output(&[1, self.most * self.rows, CODES])
    }

    fn has_several_results(&self) -> bool {
        true
    }

    fn check_types(&self, inputs: &[&Value], outputs: &[&Value]) -> Result<(), String> {
        for input in inputs {
            if !types::is_data(input) {
                return Err(format!("boxes or scores of type {}", input.dtype.name()));
            }
            types::per_tensor(input)?;
        }
        match outputs.iter().find(|output| output.dtype != DType::Float32) {
            Some(output) => Err(format!("a result of type {}", output.dtype.name())),
            None => Ok(()),
        }
    }

    fn eval(&self, x: &Operands<'_>) -> Vec<Vec<f32>> {
        choose(self, x.get(0).data, x.get(1).data)
    }

    fn selects(&self) -> bool {
        true
    }

    fn lower(&self, cx: &mut Lowering<'_>, node: &Node) -> Result<Vec<Lowered>> {
        let ((boxes_id, boxes), (scores_id, scores)) = (cx.input(node, 0)?, cx.input(node, 1)?);
        if let Some(other) = [boxes, scores].iter().find(|value| value.dtype != DType::Int8) {
            let found = other.dtype.name();
            return Err(cx.unsupported(node, format!("`{}` is {found}; int8 is supported", other.name)));
        }
        let (box_scale, box_zero_point) = cx.quantization(node, boxes)?;
        let (scale, zero_point) = cx.quantization(node, scores)?;
        let (box_scale, scale) = (box_scale as f32, scale as f32);
        // In the order and the precision of TFLM.
        let quotients = |by: f32| -> Vec<f64> {
            let real = |q: i32| quant::dequantize(q, box_scale, box_zero_point);
            (-128..128).map(|q| f64::from(real(q)) / f64::from(by)).collect()
        };
        let halves = |by| -> Vec<f64> { quotients(by).iter().map(|quotient| 0.5 * quotient.exp()).collect() };
        let [y, x, h, w] = self.scales;
        let least = (-128..128).find(|&q| quant::dequantize(q, scale, zero_point) >= self.least);
        let columns = scores.shape[2];
        let params = DetectionPostProcessParams {
            boxes: cx.word(node, self.anchors.len())?,
            codes: cx.word(node, boxes.shape[2])?,
            scores: cx.word(node, columns)?,
            first_class: cx.word(node, columns - self.classes)?,
            most: cx.word(node, self.most)?,
            rows: cx.word(node, self.rows)?,
            most_of_class: cx.word(node, self.most_of_class.unwrap_or(0))?,
            least: least.unwrap_or(128),
            zero_point,
            scale,
            overlap: self.overlap,
            y: cx.constants.add(&quotients(y), 8)?,
            x: cx.constants.add(&quotients(x), 8)?,
            h: cx.constants.add(&halves(h), 8)?,
            w: cx.constants.add(&halves(w), 8)?,
            anchors: cx.constants.add(&self.anchors, 4)?,
        };
        let scratch = scratch_bytes(&params);
        let scratch =
            scratch.ok_or_else(|| cx.unsupported(node, "its results are too large for the file"))?;
        let op = Lowered::new(
            OpCode::DetectionPostProcess,
            vec![boxes_id, scores_id],
            node.outputs.clone(),
            &params,
        );
        Ok(vec![op.scratch(scratch)])
    }
}

/// The results for real numbers.
fn choose(op: &DetectionPostProcess, boxes: &[f32], scores: &[f32]) -> Vec<Vec<f32>> {
    let codes = boxes.len() / op.anchors.len();
    let boxes: Vec<[f32; 4]> =
        boxes.chunks_exact(codes).zip(&op.anchors).map(|codes| corners(op, codes)).collect();
    let columns = scores.len() / op.anchors.len();
    let first = columns - op.classes;
    let rows: Vec<&[f32]> = scores.chunks_exact(columns).map(|row| &row[first..]).collect();
    // Row of the results, box, class and its score.
    let mut chosen: Vec<(usize, usize, usize, f32)> = Vec::new();
    let count = match op.most_of_class {
        None => {
            let best = |row: &&[f32]| row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let kept = suppress(op, &boxes, &rows.iter().map(best).collect::<Vec<_>>(), op.most);
            for (at, &number) in kept.iter().enumerate() {
                let row = rows[number];
                let mut order: Vec<usize> = (0..row.len()).collect();
                order.sort_by(|&a, &b| falling(row[a], row[b]));
                let classes = order.into_iter().take(op.rows).enumerate();
                chosen.extend(classes.map(|(i, class)| (at * op.rows + i, number, class, row[class])));
            }
            kept.len()
        }
        Some(most) => {
            let mut all = Vec::new();
            for class in 0..op.classes {
                let scores: Vec<f32> = rows.iter().map(|row| row[class]).collect();
                let kept = suppress(op, &boxes, &scores, most);
                all.extend(kept.into_iter().map(|number| (number, class, scores[number])));
            }
            all.sort_by(|a, b| falling(a.2, b.2));
            all.truncate(op.most);
            chosen
                .extend(all.iter().zip(0..).map(|(&(number, class, score), at)| (at, number, class, score)));
            all.len()
        }
    };
    let places = op.most * op.rows;
    let [mut found, mut classes, mut values] =
        [vec![0.0; places * CODES], vec![0.0; places], vec![0.0; places]];
    for (at, number, class, score) in chosen {
        found[at * CODES..][..CODES].copy_from_slice(&boxes[number]);
        (classes[at], values[at]) = (class as f32, score);
    }
    vec![found, classes, values, vec![count as f32]]
}

/// Top, left, bottom and right of a box with its anchor.
fn corners(op: &DetectionPostProcess, (codes, anchor): (&[f32], &[f32; 4])) -> [f32; 4] {
    let quotient = |i: usize| f64::from(codes[i]) / f64::from(op.scales[i]);
    let centre = |i: usize| (quotient(i) * f64::from(anchor[i + 2]) + f64::from(anchor[i])) as f32;
    let half = |i: usize| (0.5 * quotient(i).exp() * f64::from(anchor[i])) as f32;
    let ([y, x], [h, w]) = ([0, 1].map(centre), [2, 3].map(half));
    [y - h, x - w, y + h, x + w]
}

/// The boxes that stay, from the highest score on.
fn suppress(op: &DetectionPostProcess, boxes: &[[f32; 4]], scores: &[f32], most: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..scores.len()).filter(|&number| scores[number] >= op.least).collect();
    order.sort_by(|&a, &b| falling(scores[a], scores[b]));
    let mut kept: Vec<usize> = Vec::new();
    for number in order {
        if kept.len() == most {
            break;
        }
        let over = |&better: &usize| shared(&boxes[better], &boxes[number]).partial_cmp(&op.overlap);
        if kept.iter().all(|better| over(better) != Some(Ordering::Greater)) {
            kept.push(number);
        }
    }
    kept
}

/// From the highest number on.
fn falling(a: f32, b: f32) -> Ordering {
    b.partial_cmp(&a).unwrap_or(Ordering::Equal)
}

/// The part of the union of two boxes that both have.
fn shared(a: &[f32; 4], b: &[f32; 4]) -> f32 {
    let area = |c: &[f32; 4]| (c[2] - c[0]) * (c[3] - c[1]);
    let side = |i: usize| (a[i + 2].min(b[i + 2]) - a[i].max(b[i])).max(0.0);
    if area(a) <= 0.0 || area(b) <= 0.0 {
        return 0.0;
    }
    let both = side(0) * side(1);
    both / (area(a) + area(b) - both)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::data::npz::Npz;
    use crate::import;
    use crate::reference::Executor;
    use crate::shared_models::rows;

    #[test]
    fn the_float_reference_chooses_what_tflm_does() {
        let folder =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors/tflite_detection_postprocess");
        let mut samples = 0;
        for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.extension().is_none_or(|extension| extension != "tflite") {
                continue;
            }
            let graph = import::load(&entry).unwrap().graph;
            let executor = Executor::new(&graph).unwrap();
            let mut answers = Npz::open(&entry.with_extension("npz")).unwrap();
            let inputs = [0, 1].map(|position| {
                let value = graph.value(graph.inputs[position]);
                let (scale, zero_point) = value.quantization.as_ref().unwrap().tensor().unwrap();
                let real = |q: f32| scale * (q - zero_point as f32);
                let rows = rows(&mut answers, &format!("in{position}"));
                rows.into_iter().map(|row| row.into_iter().map(real).collect()).collect::<Vec<Vec<f32>>>()
            });
            let outputs = [0, 1, 2, 3].map(|position| rows(&mut answers, &format!("out{position}")));
            for (sample, (boxes, scores)) in inputs[0].iter().zip(&inputs[1]).enumerate() {
                let found = executor.run(&[boxes, scores]).unwrap();
                let wanted = outputs.each_ref().map(|output| output[sample].clone());
                assert_eq!(found, wanted, "{} sample {sample}", entry.display());
                samples += 1;
            }
        }
        assert!(samples > 100);
    }
}
