//! A sum of a model's answers to made-up inputs: two builds that give the same sum give the same answers.
//!
//! The inputs follow from a generator of numbers, so that neither a file nor a firmware holds them. The converter computes
//! the sum on the host and writes it beside the model; firmware computes it on its core and compares. Integers only, so
//! that firmware of an int8 model links no float routine for it.
//!
//! Sources followed: Marsaglia's xorshift (2003) with shifts of 13, 17 and 5; FNV-1a with 32 bits.

use ferrolite_schema::DType;

use crate::error::Error;
use crate::interpreter::Interpreter;

/// The sum of all outputs of so many inferences, from a state as before the first one. The state is that again
/// afterwards, and an inference that was under way is given up.
///
/// ```
/// use ferrolite_runtime::{Interpreter, Model, ops, self_test};
/// # #[repr(align(16))]
/// # struct File([u8; include_bytes!("../../tests/models/sine/sine.ferro").len()]);
/// # static FILE: File = File(*include_bytes!("../../tests/models/sine/sine.ferro"));
/// # let file = &FILE.0;
/// let model = Model::from_bytes(file)?;
/// let mut arena = ferrolite_runtime::Arena::<1024>::new();
/// let mut net = Interpreter::new(&model, ops::ALL, &mut arena)?;
/// assert_eq!(self_test::sum(&mut net, 3)?, self_test::sum(&mut net, 3)?);
/// # Ok::<(), ferrolite_runtime::Error>(())
/// ```
// Compiled with the firmware, for size.
#[inline]
pub fn sum(net: &mut Interpreter<'_>, inferences: u32) -> Result<u32, Error> {
    net.reset();
    let (mut random, mut sum) = (Random(0x5EED_1E57), 0x811C_9DC5u32);
    for _ in 0..inferences {
        for index in 0..net.model().inputs().len() {
            let port = net.model().inputs().get(index).and_then(|port| {
                let tensor = net.model().tensors().get(port.tensor as usize)?;
                tensor.dtype()
            });
            fill(net.input_bytes_mut(index)?, port.unwrap_or(DType::Int8), &mut random);
        }
        net.invoke()?;
        for index in 0..net.model().outputs().len() {
            for &byte in net.output_bytes(index)? {
                sum = (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193);
            }
        }
    }
    net.reset();
    Ok(sum)
}

/// Fills an input with any numbers that make sense for its type.
#[inline]
fn fill(bytes: &mut [u8], dtype: DType, random: &mut Random) {
    match dtype {
        DType::Int8 | DType::UInt8 | DType::Int16 => words(bytes, || [random.next() as u8]),
        DType::Bool => words(bytes, || [random.next() as u8 & 1]),
        // Most are indices of rows; one beyond the last row means the last row.
        DType::Int32 => words(bytes, || (random.next() & 0xFFF).to_le_bytes()),
        DType::Int64 => words(bytes, || u64::from(random.next() & 0xFFF).to_le_bytes()),
        // Both signs, a magnitude from 1/8 to 16.
        DType::Float32 => words(bytes, || {
            let bits = random.next();
            let exponent = 124 + (bits >> 24) % 7;
            (bits & 0x807F_FFFF | exponent << 23).to_le_bytes()
        }),
    }
}

fn words<const N: usize>(bytes: &mut [u8], mut next: impl FnMut() -> [u8; N]) {
    for word in bytes.as_chunks_mut().0 {
        *word = next();
    }
}

struct Random(u32);

impl Random {
    /// The high bits of a product with an odd number: the low ones of an xorshift are weak.
    fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0.wrapping_mul(0x9E37_79B9).rotate_left(16)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;

    #[test]
    fn numbers_make_sense_for_their_type() {
        let mut random = Random(0x5EED_1E57);
        let mut bytes = [0; 4096];
        fill(&mut bytes, DType::Float32, &mut random);
        let floats = bytes.as_chunks().0.iter().map(|&word| f32::from_le_bytes(word));
        assert!(floats.clone().all(|x| (0.125..16.0).contains(&x.abs())));
        assert!(floats.clone().any(|x| x < -8.0) && floats.clone().any(|x| x > 8.0));
        fill(&mut bytes, DType::Int32, &mut random);
        assert!(bytes.as_chunks().0.iter().all(|&word| u32::from_le_bytes(word) < 4096));
        fill(&mut bytes, DType::Bool, &mut random);
        assert!(bytes.iter().all(|&byte| byte < 2));
        fill(&mut bytes, DType::Int8, &mut random);
        let mut seen = [false; 256];
        bytes.iter().for_each(|&byte| seen[usize::from(byte)] = true);
        assert!(seen.iter().all(|&seen| seen));
    }
}
