//! Packed weights of any shape, and the numbers of output channels that they are allowed with.

use std::collections::HashSet;
use std::vec;
use std::vec::Vec;

use ferrolite_schema::Rounding;
use ferrolite_schema::params::Multiplier;

use super::Random;
use crate::kernels::Stage;
use crate::packing::{LONGEST_CHUNK, Matrix, Order, Packing, Shape};
use crate::winograd::{self, Filters};

/// Largest weight of chunks of any lengths: `16 * 15 * 128` is below `2^15`.
pub const LARGEST_IN_CHUNKS: i8 = 15;

impl Random {
    /// A weight that a channel in this packing may have.
    pub fn weight(&mut self, packing: Packing, channel: u32) -> i8 {
        let w = self.element();
        match packing.order {
            _ if packing.general => w,
            Order::Chunks => w.clamp(-LARGEST_IN_CHUNKS, LARGEST_IN_CHUNKS),
            Order::Pairs if channel % 2 == 1 => w.max(-127),
            _ => w,
        }
    }

    /// A packed matrix, with chunks of any lengths, also of such as lead beyond the end.
    pub fn matrix(&mut self, shape: Shape) -> Packed {
        let order = shape.packing.order;
        let mut words = vec![0u32; shape.bytes().expect("it is small") as usize / 4];
        // What lies behind the weights in a file.
        words.extend((0..self.below(2) * self.below(40)).map(|_| self.next()));
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut words);
        let mut rooms = Vec::new();
        for channel in 0..shape.channels {
            for number in 0..if order == Order::Chunks { shape.packing.lengths() } else { 0 } {
                bytes[shape.chunk_place(channel, number) as usize] = self.next() as u8;
            }
            let mut room = bound(order, channel) - 1;
            let mut chunks = Chunks { number: 0, length: 0, room: 0 };
            for k in 0..shape.depth().expect("it is small") {
                let w = self.weight(shape.packing, channel);
                let at = shape.place(channel, k) as usize;
                if order == Order::Pairs {
                    let pair = i16::from_le_bytes([bytes[at], bytes[at + 1]]);
                    let w = if shape.packing.general { i16::from(w as u8) } else { w.into() };
                    let pair = pair.wrapping_add(w << (8 * (channel % 2)));
                    bytes[at..at + 2].copy_from_slice(&pair.to_le_bytes());
                } else {
                    let offset = order == Order::Quads && channel.is_multiple_of(2);
                    bytes[at] = w as u8 ^ if offset { 0x80 } else { 0 };
                }
                if order == Order::Chunks && shape.packing.general {
                    let (number, length) = chunks.add(w);
                    // Its upper bits say nothing.
                    bytes[shape.chunk_place(channel, number) as usize] =
                        (length - 1) as u8 | self.next() as u8 & 0xF0;
                }
                room -= 128 * i64::from(w).abs();
            }
            // Any bias will do.
            rooms.push(if shape.packing.general { i32::MAX.into() } else { room });
        }
        Packed { shape, words, rooms }
    }

    /// The same, with anything in place of the zeroes that fill up lines, rows and channels.
    pub fn padded_matrix(&mut self, shape: Shape) -> Packed {
        let mut packed = self.matrix(shape);
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut packed.words);
        let weights = weight_bytes(&shape);
        for at in (0..bytes.len()).filter(|at| !weights.contains(at)) {
            bytes[at] = self.next() as u8;
        }
        packed
    }

    /// Filters for Winograd's algorithm, and what they leave of each channel's bound.
    pub fn filters(&mut self, inputs: u32, outputs: u32) -> (Vec<u32>, Vec<i64>) {
        let mut filters = vec![0u32; Filters::words(outputs, inputs).expect("it is small") as usize];
        let mut rooms = Vec::new();
        for output in 0..outputs {
            let mut room = bound(Order::Winograd, output) - 1;
            for input in 0..inputs {
                let filter: [i8; 9] = std::array::from_fn(|_| self.element());
                room -= filter.iter().map(|&w| 128 * i64::from(w).abs()).sum::<i64>();
                for (slot, u) in winograd::transform(&filter).into_iter().enumerate() {
                    let at = winograd::place(inputs, output, slot, input);
                    filters[at / 2] |= u32::from(u as u16) << (16 * (at % 2));
                }
            }
            rooms.push(room);
        }
        (filters, rooms)
    }

    /// Numbers for which weights in a general packing are allowed: any that the converter makes.
    pub fn any_channels(&mut self, count: usize) -> Channels {
        let mut channels = self.channels(&vec![i32::MAX.into(); count]);
        for multiplier in &mut channels.multipliers {
            // Any, one that makes an output of a usual sum, one near the borders of the short way.
            multiplier.shift = match self.below(4) {
                0 => self.below(62) as i32 - 31,
                1 => -7 - self.below(8) as i32,
                2 => [-31, -30, -23, -22, -2, -1, 0, 1, 2, 30][self.below(10)],
                _ => -(self.below(4) as i32),
            };
        }
        channels
    }

    /// Numbers that suit packed weights.
    pub fn channels_of(&mut self, weights: &Packed) -> Channels {
        match weights.shape.packing.general {
            true => self.any_channels(weights.rooms.len()),
            false => self.channels(&weights.rooms),
        }
    }

    /// Numbers for which packed weights are allowed, for channels whose biases have this much room.
    pub fn channels(&mut self, rooms: &[i64]) -> Channels {
        let mut bias = |&room: &i64| {
            assert!(room >= 0, "weights alone exceed the bound");
            let bias = match self.below(6) {
                0 => room,
                1 => -room,
                2 => i64::from(self.next() as i32) % (room + 1),
                _ => i64::from(self.next() as i32 >> 14).clamp(-room, room),
            };
            bias as i32
        };
        let bias = rooms.iter().map(&mut bias).collect();
        let multipliers = if self.below(3) == 0 { 1 } else { rooms.len() };
        let mut multiplier = || Multiplier {
            // A channel whose outputs are all zero has no factor.
            mantissa: match self.below(12) {
                0 => [0, 1 << 30, i32::MAX][self.below(3)],
                _ => (1 << 30) + self.below(1 << 30) as i32,
            },
            // Any that is allowed, or one that makes an output of a usual sum.
            shift: -([1 + self.below(22), 7 + self.below(8)][self.below(2)] as i32),
        };
        let multipliers = (0..multipliers).map(|_| multiplier()).collect();
        let (a, b) = (i32::from(self.element()), i32::from(self.element()));
        let bounds = if self.below(2) == 0 { (-128, 127) } else { (a.min(b), a.max(b)) };
        Channels { bias, multipliers, zero_point: self.element().into(), bounds }
    }
}

/// The chunk that the weights of a channel have come to.
struct Chunks {
    number: u32,
    length: usize,
    room: i32,
}

impl Chunks {
    /// The number and the length of the chunk that a weight is added to: the last one, while there is room in it.
    fn add(&mut self, w: i8) -> (u32, usize) {
        let most = 128 * i32::from(w).abs();
        if self.length != 0 && (most > self.room || self.length == LONGEST_CHUNK) {
            (self.number, self.length) = (self.number + 1, 0);
        }
        if self.length == 0 {
            self.room = i16::MAX.into();
        }
        (self.length, self.room) = (self.length + 1, self.room - most);
        (self.number, self.length)
    }
}

/// What the largest magnitude of a channel's sum stays below, bias included: `converter/src/ops/pack.rs` proves it.
pub fn bound(order: Order, channel: u32) -> i64 {
    match order {
        Order::Pairs if channel % 2 == 1 => 1 << 23,
        Order::Quads if channel.is_multiple_of(2) => 1 << 23,
        Order::Shared => 1 << 22,
        Order::Winograd => 1 << 29,
        _ => 1 << 30,
    }
}

/// The bytes of packed weights that say something: what others hold must not matter.
pub fn weight_bytes(shape: &Shape) -> HashSet<usize> {
    let order = shape.packing.order;
    let mut bytes = HashSet::new();
    for channel in 0..shape.channels {
        let chunks = if order == Order::Chunks { shape.packing.lengths() } else { 0 };
        bytes.extend((0..chunks).map(|number| shape.chunk_place(channel, number) as usize));
        // The odd channel of a pair has the upper byte.
        let upper = u32::from(order == Order::Pairs && channel % 2 == 1);
        let depth = shape.depth().expect("it is sound");
        bytes.extend((0..depth).map(|k| (shape.place(channel, k) + upper) as usize));
    }
    bytes
}

/// A packed matrix.
#[derive(Clone, Debug)]
pub struct Packed {
    /// Its shape.
    pub shape: Shape,
    /// Its weights as they lie in a file.
    pub words: Vec<u32>,
    /// What the weights of each channel leave of its bound.
    pub rooms: Vec<i64>,
}

impl Packed {
    /// As kernels take it.
    pub fn matrix(&self) -> Matrix<'_> {
        Matrix { shape: self.shape, bytes: bytemuck::cast_slice(&self.words) }
    }
}

/// Numbers of output channels.
#[derive(Clone, Debug)]
pub struct Channels {
    /// One of each channel.
    pub bias: Vec<i32>,
    /// One of each channel, or of all.
    pub multipliers: Vec<Multiplier>,
    /// Of the output.
    pub zero_point: i32,
    /// Smallest and largest output.
    pub bounds: (i32, i32),
}

impl Channels {
    /// As kernels take them.
    pub fn stage(&self) -> Stage<'_> {
        Stage {
            bias: &self.bias,
            multipliers: &self.multipliers,
            rounding: Rounding::Double,
            zero_point: self.zero_point,
            min: self.bounds.0,
            max: self.bounds.1,
        }
    }
}
