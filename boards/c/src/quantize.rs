//! Real numbers and integers.

use ferrolite_runtime::quant;

/// The integer for a real number: the nearest one to `real / scale + zero_point`, halves away from zero, from `least` to
/// `most`.
#[unsafe(no_mangle)]
pub extern "C" fn ferrolite_quantize(real: f32, scale: f32, zero_point: i32, least: i32, most: i32) -> i32 {
    quant::quantize(real, scale, zero_point, least, most)
}

/// The real number that an integer stands for: `scale * (integer - zero_point)`.
#[unsafe(no_mangle)]
pub extern "C" fn ferrolite_dequantize(integer: i32, scale: f32, zero_point: i32) -> f32 {
    quant::dequantize(integer, scale, zero_point)
}
