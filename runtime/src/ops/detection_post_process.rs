//! TFLite_Detection_PostProcess: boxes relative to anchors become corners, and of those that overlap the best one stays.
//!
//! ```text
//! y = y_code / y_scale * anchor.h + anchor.y         x likewise
//! half_h = exp(h_code / h_scale) / 2 * anchor.h      w likewise
//! box = (y - half_h, x - half_w, y + half_h, x + half_w)
//! ```
//! Codes and scores are int8, so both functions of a code are tables of 256 reals, and scores are compared as integers.
//! From there on numbers are reals, in the precision and the order of TFLM: products with an anchor in float64, corners
//! in float32. Results are float32: corners `[most * rows, 4]`, classes, scores, and how many boxes there are.
//!
//! Source followed: TFLM `kernels/detection_postprocess.cc`. It leaves results that no box takes as they are, which are
//! zero here, and with several classes for each box it writes beyond its results; their places are LiteRT's here. It
//! fails for a box without an area, which overlaps nothing here, as in LiteRT.

use core::cell::Cell;

use ferrolite_schema::params::DetectionPostProcessParams;
use ferrolite_schema::{DType, OpCode};

use super::{Operator, no_overlap};
use crate::error::Fault;
use crate::node::{Eval, Node, check_int8};
use crate::quant;
use crate::tensor::{cells_of, fill, runs};

/// Elements of a box, its anchor and its corners.
const CODES: u32 = 4;

/// Values of an int8.
const ENTRIES: u32 = 256;

/// Boxes are numbered in 16 bits.
const MOST_BOXES: u32 = 0xFFFF;

/// The operator.
pub const fn operator() -> Operator {
    Operator { code: OpCode::DetectionPostProcess as u16, check, eval, lead: no_overlap }
}

/// Bytes of scratch memory that an op needs: the corners of all boxes, their order, the chosen ones as box and class, and
/// the scores of both.
pub fn scratch_bytes(p: &DetectionPostProcessParams) -> Option<u32> {
    let boxes = p.boxes.checked_mul(4 * CODES + 2 + 1)?;
    p.most.checked_mul(2 + 2 + 1)?.checked_add(boxes)
}

fn check(node: &Node<'_>) -> Result<(), Fault> {
    let p: &DetectionPostProcessParams = node.params()?;
    let size = |a: u32, b: u32| a.checked_mul(b).ok_or(Fault::Parameters);
    let classes = p.scores.checked_sub(p.first_class).ok_or(Fault::Parameters)?;
    let counts = [p.boxes, p.most, p.rows, classes];
    if counts.iter().any(|&count| count == 0 || count > MOST_BOXES)
        || p.codes < CODES
        || p.first_class > 1
        || !(-128..=128).contains(&p.least)
    {
        return Err(Fault::Parameters);
    }
    check_int8(p.zero_point)?;
    for table in [p.y, p.x, p.h, p.w] {
        node.expect_constants::<f64>(table, ENTRIES)?;
    }
    node.expect_constants::<f32>(p.anchors, size(p.boxes, CODES)?)?;
    node.expect_operands(2, 4)?;
    node.expect_tensor(node.input(0)?, DType::Int8, size(p.boxes, p.codes)?)?;
    node.expect_tensor(node.input(1)?, DType::Int8, size(p.boxes, p.scores)?)?;
    let rows = size(p.most, p.rows)?;
    for (position, elements) in [size(rows, CODES)?, rows, rows, 1].into_iter().enumerate() {
        node.expect_tensor(node.output(position)?, DType::Float32, elements)?;
    }
    node.expect_scratch(scratch_bytes(p).ok_or(Fault::Parameters)?)
}

fn eval(eval: &Eval<'_>) {
    let node = eval.node();
    let Ok(p) = node.params::<DetectionPostProcessParams>() else { return };
    let table = |offset| node.constants::<f64>(offset, ENTRIES).ok()?.first_chunk();
    let (Some(y), Some(x), Some(h), Some(w)) = (table(p.y), table(p.x), table(p.h), table(p.w)) else {
        return;
    };
    let Ok(anchors) = node.constants_from::<f32>(p.anchors) else { return };
    let chooser = Chooser { p, tables: [y, x, h, w], anchors: anchors.as_chunks().0 };
    let results = Results {
        corners: eval.output::<f32>(0),
        classes: eval.output(1),
        scores: eval.output(2),
        count: eval.output(3),
    };
    chooser.run(eval.input(0), eval.input(1), eval.scratch(), &results);
}

/// A table of an int8.
pub type Table = [f64; ENTRIES as usize];

/// An op with its constants.
#[derive(Clone, Copy, Debug)]
pub struct Chooser<'a> {
    /// Its numbers.
    pub p: &'a DetectionPostProcessParams,
    /// Of y, x, h and w.
    pub tables: [&'a Table; 4],
    /// Of all boxes.
    pub anchors: &'a [[f32; 4]],
}

/// Where results go.
#[derive(Clone, Copy, Debug)]
pub struct Results<'a> {
    /// Of boxes: top, left, bottom, right.
    pub corners: &'a [Cell<f32>],
    /// Numbers of classes.
    pub classes: &'a [Cell<f32>],
    /// Their scores.
    pub scores: &'a [Cell<f32>],
    /// How many boxes there are.
    pub count: &'a [Cell<f32>],
}

impl Results<'_> {
    /// Row `at`.
    fn write(&self, at: usize, corners: &[f32; 4], class: usize, score: f32) {
        let all = self.corners.as_chunks::<4>().0;
        let (Some(place), Some(to_class), Some(to_score)) =
            (all.get(at), self.classes.get(at), self.scores.get(at))
        else {
            return;
        };
        place.iter().zip(corners).for_each(|(place, &corner)| place.set(corner));
        to_class.set(class as f32);
        to_score.set(score);
    }
}

/// The number of a box or a class: the bits of 16 without a sign.
type Numbered = Cell<i16>;

fn number(place: &Numbered) -> usize {
    usize::from(place.get() as u16)
}

/// Scratch memory.
struct Memory<'a> {
    corners: &'a [[Cell<f32>; 4]],
    /// Boxes from the best on.
    order: &'a [Numbered],
    chosen: Chosen<'a>,
    /// The best score of each box, or its score of the class that is looked at.
    scores: &'a [Cell<i8>],
}

/// The best boxes of all classes so far, from the best on.
struct Chosen<'a> {
    boxes: &'a [Numbered],
    classes: &'a [Numbered],
    scores: &'a [Cell<i8>],
}

impl<'a> Memory<'a> {
    fn of(p: &DetectionPostProcessParams, scratch: &'a [Cell<u8>]) -> Option<Memory<'a>> {
        let (boxes, most) = (p.boxes as usize, p.most as usize);
        let (corners, rest) = scratch.split_at_checked(boxes.wrapping_mul(4 * CODES as usize))?;
        let (order, rest) = rest.split_at_checked(boxes.wrapping_mul(2))?;
        let (chosen, rest) = rest.split_at_checked(most.wrapping_mul(2))?;
        let (classes, rest) = rest.split_at_checked(most.wrapping_mul(2))?;
        let (chosen_scores, rest) = rest.split_at_checked(most)?;
        let chosen = Chosen {
            boxes: cells_of(chosen)?,
            classes: cells_of(classes)?,
            scores: cells_of(chosen_scores)?,
        };
        let scores = cells_of(rest.get(..boxes)?)?;
        Some(Memory { corners: cells_of(corners)?.as_chunks().0, order: cells_of(order)?, chosen, scores })
    }
}

impl Chosen<'_> {
    /// Puts a box behind those that are not worse; where all places are taken, the worst one goes. Gives the number of
    /// boxes, of which there were `count`.
    fn insert(&self, count: usize, number: usize, class: usize, score: i8) -> usize {
        let there = self.scores.iter().take(count).take_while(|other| other.get() >= score).count();
        let mut moved = (number as i16, class as i16, score);
        let places = self.boxes.iter().zip(self.classes).zip(self.scores);
        for ((number, class), score) in places.skip(there).take(count.wrapping_sub(there).wrapping_add(1)) {
            moved = (number.replace(moved.0), class.replace(moved.1), score.replace(moved.2));
        }
        count.wrapping_add(1).min(self.boxes.len())
    }
}

impl Chooser<'_> {
    /// Chooses. `boxes` is `[boxes, codes]`, `scores` `[boxes, scores]`.
    pub fn run(&self, boxes: &[Cell<i8>], scores: &[Cell<i8>], scratch: &[Cell<u8>], results: &Results<'_>) {
        let p = self.p;
        for result in [results.corners, results.classes, results.scores, results.count] {
            fill(result, 0.0);
        }
        let Some(memory) = Memory::of(p, scratch) else { return };
        let codes = runs(boxes, p.codes as usize);
        for ((corners, codes), anchor) in memory.corners.iter().zip(codes).zip(self.anchors) {
            let Some(codes) = codes.first_chunk::<4>() else { return };
            corners.iter().zip(self.corners(codes, anchor)).for_each(|(place, corner)| place.set(corner));
        }
        let count = match p.most_of_class {
            0 => self.by_boxes(scores, &memory, results),
            most => self.by_classes(scores, most as usize, &memory, results),
        };
        results.count.iter().for_each(|place| place.set(count as f32));
    }

    /// The corners of a box.
    fn corners(&self, codes: &[Cell<i8>; 4], anchor: &[f32; 4]) -> [f32; 4] {
        let entry = |table: &Table, code: &Cell<i8>| {
            table.get(usize::from(code.get() as u8 ^ 0x80)).copied().unwrap_or_default()
        };
        let ([y, x, h, w], &[anchor_y, anchor_x, anchor_h, anchor_w]) = (self.tables, anchor);
        let [code_y, code_x, code_h, code_w] = codes;
        let centre = |table, code, size: f32, middle: f32| {
            (entry(table, code) * f64::from(size) + f64::from(middle)) as f32
        };
        let half = |table, code, size: f32| (entry(table, code) * f64::from(size)) as f32;
        let (y, x) = (centre(y, code_y, anchor_h, anchor_y), centre(x, code_x, anchor_w, anchor_x));
        let (h, w) = (half(h, code_h, anchor_h), half(w, code_w, anchor_w));
        [y - h, x - w, y + h, x + w]
    }

    /// The scores of each box, without that of the background.
    fn classes<'s>(&self, scores: &'s [Cell<i8>]) -> impl Iterator<Item = &'s [Cell<i8>]> {
        let first = self.p.first_class as usize;
        runs(scores, self.p.scores as usize).map(move |row| row.get(first..).unwrap_or(&[]))
    }

    /// Those of one box.
    fn classes_of<'s>(&self, scores: &'s [Cell<i8>], number: usize) -> Option<&'s [Cell<i8>]> {
        let start = number.wrapping_mul(self.p.scores as usize);
        let row = scores.get(start..)?.get(..self.p.scores as usize)?;
        row.get(self.p.first_class as usize..)
    }

    fn real(&self, score: i8) -> f32 {
        quant::dequantize(score.into(), self.p.scale, self.p.zero_point)
    }

    /// Boxes by their best class. Gives their number.
    fn by_boxes(&self, scores: &[Cell<i8>], memory: &Memory<'_>, results: &Results<'_>) -> usize {
        let p = self.p;
        for (row, best) in self.classes(scores).zip(memory.scores) {
            best.set(row.iter().map(Cell::get).max().unwrap_or(i8::MIN));
        }
        let order = rank(memory.scores, p.least, memory.order);
        let count = suppress(memory.corners, order, p.overlap, p.most as usize);
        for (at, number) in order.iter().take(count).map(number).enumerate() {
            let (Some(corners), Some(row)) = (memory.corners.get(number), self.classes_of(scores, number))
            else {
                return at;
            };
            let mut last = None;
            for column in 0..p.rows as usize {
                let Some((class, score)) = next_best(row, last) else { break };
                let place = at.wrapping_mul(p.rows as usize).wrapping_add(column);
                results.write(place, &corners.each_ref().map(Cell::get), class, self.real(score));
                last = Some((class, score));
            }
        }
        count
    }

    /// Boxes class by class. Gives their number.
    fn by_classes(
        &self,
        scores: &[Cell<i8>],
        most_of_class: usize,
        memory: &Memory<'_>,
        results: &Results<'_>,
    ) -> usize {
        let p = self.p;
        let chosen = &memory.chosen;
        let mut count = 0;
        for class in 0..p.scores.wrapping_sub(p.first_class) as usize {
            for (row, score) in self.classes(scores).zip(memory.scores) {
                score.set(row.get(class).map_or(i8::MIN, Cell::get));
            }
            let order = rank(memory.scores, p.least, memory.order);
            let kept = suppress(memory.corners, order, p.overlap, most_of_class);
            for number in order.iter().take(kept).map(number) {
                let score = memory.scores.get(number).map_or(i8::MIN, Cell::get);
                count = chosen.insert(count, number, class, score);
            }
        }
        let places = chosen.boxes.iter().zip(chosen.classes).zip(chosen.scores).take(count);
        for (at, ((box_, class), score)) in places.enumerate() {
            let Some(corners) = memory.corners.get(number(box_)) else { return at };
            let corners = corners.each_ref().map(Cell::get);
            results.write(at, &corners, number(class), self.real(score.get()));
        }
        count
    }
}

/// The class with the highest score behind this one, in the order of scores, and of numbers where they are equal.
fn next_best(row: &[Cell<i8>], last: Option<(usize, i8)>) -> Option<(usize, i8)> {
    let mut best: Option<(usize, i8)> = None;
    for (class, score) in row.iter().map(Cell::get).enumerate() {
        let is_behind = last.is_none_or(|(number, value)| score < value || score == value && class > number);
        if is_behind && best.is_none_or(|(_, value)| score > value) {
            best = Some((class, score));
        }
    }
    best
}

/// The boxes whose score is at least `least`, from the highest score on; equal ones stay in their order.
fn rank<'m>(scores: &[Cell<i8>], least: i32, order: &'m [Numbered]) -> &'m [Numbered] {
    let kept = || {
        let all = scores.iter().map(Cell::get).enumerate();
        all.filter(|&(_, score)| i32::from(score) >= least)
            .map(|(at, score)| (at, 127u8.wrapping_sub(score as u8)))
    };
    // How many boxes have a score, then where the next of them goes.
    let mut places = [0u16; ENTRIES as usize];
    for (_, score) in kept() {
        if let Some(count) = places.get_mut(usize::from(score)) {
            *count = count.wrapping_add(1);
        }
    }
    let mut next = 0u16;
    for place in &mut places {
        let count = core::mem::replace(place, next);
        next = next.wrapping_add(count);
    }
    for (at, score) in kept() {
        if let Some(place) = places.get_mut(usize::from(score)) {
            if let Some(slot) = order.get(usize::from(*place)) {
                slot.set(at as i16);
            }
            *place = place.wrapping_add(1);
        }
    }
    order.get(..usize::from(next)).unwrap_or(&[])
}

/// Of boxes in their order, takes one after the other, at most `most`, and leaves out those that overlap it. Those taken
/// are the first in `order` afterwards; gives their number.
fn suppress(corners: &[[Cell<f32>; 4]], order: &[Numbered], overlap: f32, most: usize) -> usize {
    let corners =
        |place: &Numbered| corners.get(number(place)).map_or([0.0; 4], |box_| box_.each_ref().map(Cell::get));
    let (mut taken, mut left) = (0usize, order.len());
    while taken < left.min(most) {
        let Some(best) = order.get(taken).map(corners) else { break };
        taken = taken.wrapping_add(1);
        let mut kept = taken;
        for other in order.get(taken..left).unwrap_or(&[]) {
            if shared(&best, &corners(other)) > overlap {
                continue;
            }
            if let Some(place) = order.get(kept) {
                place.set(other.get());
            }
            kept = kept.wrapping_add(1);
        }
        left = kept;
    }
    taken
}

/// The part of the union of two boxes that both have.
fn shared(a: &[f32; 4], b: &[f32; 4]) -> f32 {
    let area = |&[top, left, bottom, right]: &[f32; 4]| (bottom - top) * (right - left);
    let (area_a, area_b) = (area(a), area(b));
    if area_a <= 0.0 || area_b <= 0.0 {
        return 0.0;
    }
    // The first one where both are equal, as in C++.
    let larger = |a: f32, b: f32| if a < b { b } else { a };
    let smaller = |a: f32, b: f32| if b < a { b } else { a };
    let (&[top_a, left_a, bottom_a, right_a], &[top_b, left_b, bottom_b, right_b]) = (a, b);
    let height = larger(smaller(bottom_a, bottom_b) - larger(top_a, top_b), 0.0);
    let width = larger(smaller(right_a, right_b) - larger(left_a, left_b), 0.0);
    let both = height * width;
    both / (area_a + area_b - both)
}

/// Any op of the operator, for tests.
#[cfg(feature = "cases")]
pub(super) fn case(random: &mut crate::cases::Random) -> crate::cases::Case {
    use crate::cases::{Case, Constants, dim, zero_point};
    use std::vec::Vec;

    let (boxes, most, rows) = (dim(random, 12), dim(random, 5), dim(random, 3));
    let first_class = random.below(2) as u32;
    let (codes, scores) = (CODES + random.below(3) as u32, first_class + dim(random, 4));
    let mut constants = Constants::default();
    let mut table = |random: &mut crate::cases::Random, least: f64| {
        let step = random.up_to(50) as f64 / 1000.0;
        let entries: Vec<f64> = (-128..128).map(|code| (f64::from(code) * step).max(least)).collect();
        constants.push(&entries)
    };
    let [y, x] = [(); 2].map(|()| table(random, -1e9));
    let [h, w] = [(); 2].map(|()| table(random, 0.1));
    let anchors: Vec<f32> = (0..4 * boxes).map(|_| random.up_to(40) as f32 / 16.0).collect();
    let p = DetectionPostProcessParams {
        boxes,
        codes,
        scores,
        first_class,
        most,
        rows,
        most_of_class: random.below(4) as u32,
        least: random.below(257) as i32 - 128,
        zero_point: zero_point(random),
        scale: 1.0 / 256.0,
        overlap: random.up_to(9) as f32 / 10.0,
        y,
        x,
        h,
        w,
        anchors: constants.push(&anchors),
    };
    let rows = most * rows;
    let case = Case::of(OpCode::DetectionPostProcess, &p, constants);
    let case = case.input(random, DType::Int8, boxes * codes).input(random, DType::Int8, boxes * scores);
    let case =
        [CODES * rows, rows, rows, 1].into_iter().fold(case, |case, n| case.output(DType::Float32, 4 * n));
    case.scratch(scratch_bytes(&p))
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    fn cells<T: Copy>(elements: &[T]) -> Vec<Cell<T>> {
        elements.iter().copied().map(Cell::new).collect()
    }

    proptest! {
        #[test]
        fn ranks_are_a_stable_sort(scores: Vec<i8>, least in -128i32..=128) {
            let order = cells(&std::vec![0i16; scores.len()]);
            let found: Vec<usize> = rank(&cells(&scores), least, &order).iter().map(number).collect();
            let mut wanted: Vec<usize> = (0..scores.len()).collect();
            wanted.retain(|&at| i32::from(scores[at]) >= least);
            wanted.sort_by_key(|&at| core::cmp::Reverse(scores[at]));
            prop_assert_eq!(found, wanted);
        }

        #[test]
        fn classes_come_in_the_order_of_their_scores(row: Vec<i8>) {
            let mut wanted: Vec<(usize, i8)> = row.iter().copied().enumerate().collect();
            wanted.sort_by_key(|&(_, score)| core::cmp::Reverse(score));
            let row = cells(&row);
            let found = core::iter::successors(next_best(&row, None), |&last| next_best(&row, Some(last)));
            prop_assert_eq!(found.collect::<Vec<_>>(), wanted);
        }

        #[test]
        fn the_best_of_all_classes_stay(scores: Vec<i8>, most in 1usize..8) {
            let chosen = Chosen {
                boxes: &cells(&std::vec![0; most]),
                classes: &cells(&std::vec![0; most]),
                scores: &cells(&std::vec![0; most]),
            };
            let numbered = scores.iter().zip(0usize..);
            let count = numbered.clone().fold(0, |count, (&score, at)| chosen.insert(count, at, at, score));
            let mut wanted: Vec<(i8, usize)> = numbered.map(|(&score, at)| (score, at)).collect();
            wanted.sort_by_key(|&(score, _)| core::cmp::Reverse(score));
            wanted.truncate(most);
            let found = chosen.scores.iter().zip(chosen.boxes).take(count);
            prop_assert_eq!(found.map(|(score, at)| (score.get(), number(at))).collect::<Vec<_>>(), wanted);
        }
    }

    #[test]
    fn of_boxes_that_overlap_the_best_stays() {
        let boxes =
            [[0.0, 0.0, 2.0, 2.0], [0.0, 0.5, 2.0, 2.5], [5.0, 5.0, 6.0, 6.0], [0.0, 1.5, 2.0, 3.5f32]];
        let corners = boxes.map(|corners| corners.map(Cell::new));
        let taken = |order: [i16; 4], overlap, most| {
            let order = order.map(Cell::new);
            let count = suppress(&corners, &order, overlap, most);
            order.iter().take(count).map(Cell::get).collect::<Vec<_>>()
        };
        assert_eq!(taken([0, 1, 2, 3], 0.5, 4), [0, 2, 3]);
        assert_eq!(taken([1, 0, 2, 3], 0.3, 4), [1, 2]);
        assert_eq!(taken([3, 2, 1, 0], 0.9, 3), [3, 2, 1]);
        // Without an area nothing is shared.
        assert_eq!(shared(&[0.0, 0.0, 0.0, 2.0], &[0.0, 0.0, 2.0, 2.0]), 0.0);
        assert_eq!(shared(&boxes[0], &boxes[1]), 0.6);
    }
}
