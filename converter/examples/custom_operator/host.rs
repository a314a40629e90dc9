//! The host's side of the operator: what the converter needs in addition to the device's code.

use ferrolite::graph::custom::{Attributes, CustomLayer, CustomOperator, Prepared, Registry, Tensor};
use ferrolite_runtime::quant::{Multiplier, multiplier};

use super::contrast::{Contrast, MOST_RADIUS, Params};

/// The operator for the converter.
struct OnHost;

/// The registry for a conversion, in `ImportOptions`.
pub fn registry() -> Registry {
    Registry::new().with::<Contrast>(OnHost)
}

/// Radius and gain. In ONNX they are attributes; in TensorFlow Lite the author chose a uint32 and a float32
/// as custom options.
fn settings(attributes: &Attributes) -> Result<(usize, f64), String> {
    let (radius, gain) = match attributes.bytes[..] {
        [a, b, c, d, e, f, g, h] => {
            (f64::from(u32::from_le_bytes([a, b, c, d])), f64::from(f32::from_le_bytes([e, f, g, h])))
        }
        [] => {
            (attributes.number("radius").ok_or("it has no radius")?, attributes.number("gain").unwrap_or(1.0))
        }
        ref other => return Err(format!("its options have {} bytes instead of 8", other.len())),
    };
    if !(0.0..=f64::from(MOST_RADIUS)).contains(&radius) || radius.fract() != 0.0 {
        return Err(format!("its radius is {radius}; whole numbers up to {MOST_RADIUS} are supported"));
    }
    if !gain.is_finite() || gain < 0.0 {
        return Err(format!("its gain is {gain}; it has to be 0 or more"));
    }
    Ok((radius as usize, gain))
}

impl CustomOperator for OnHost {
    fn shapes(
        &self,
        attributes: &Attributes,
        inputs: &[Option<&[usize]>],
    ) -> Result<Vec<Vec<usize>>, String> {
        settings(attributes)?;
        match inputs {
            [Some(shape)] if !shape.is_empty() => Ok(vec![shape.to_vec()]),
            _ => Err("it takes one operand with dimensions".into()),
        }
    }

    fn eval(&self, attributes: &Attributes, inputs: &[Option<Tensor<'_>>]) -> Vec<Vec<f32>> {
        let (Ok((radius, gain)), &[Some(x)]) = (settings(attributes), inputs) else { return Vec::new() };
        let mut results = Vec::with_capacity(x.data.len());
        for row in x.data.chunks(x.depth()) {
            for (at, &element) in row.iter().enumerate() {
                let window = &row[at.saturating_sub(radius)..row.len().min(at + radius + 1)];
                let mean = window.iter().map(|&x| f64::from(x)).sum::<f64>() / (2 * radius + 1) as f64;
                results.push((gain * (f64::from(element) - mean)) as f32);
            }
        }
        vec![results]
    }

    fn prepare(
        &self,
        layer: &CustomLayer<'_>,
        _constants: &mut dyn FnMut(&[u8]) -> u32,
    ) -> Result<Prepared, String> {
        let (radius, gain) = settings(layer.attributes)?;
        let (&[Some(x)], &[y]) = (&layer.inputs[..], &layer.outputs[..]) else {
            return Err("other operands".into());
        };
        let quantization = |value: &ferrolite::graph::Value| {
            value.quantization.as_ref().and_then(|q| q.tensor()).ok_or("a tensor without a scale")
        };
        let ((input_scale, input_zero_point), (scale, output_zero_point)) =
            (quantization(x)?, quantization(y)?);
        let factor = gain * f64::from(input_scale) / f64::from(scale) / (2 * radius + 1) as f64;
        let params = Params {
            width: x.shape.last().copied().unwrap_or(1) as u32,
            radius: radius as u32,
            input_zero_point,
            multiplier: multiplier(factor),
            output_zero_point,
        };
        Ok(Prepared { params: words(&params).to_vec(), ..Prepared::default() })
    }
}

/// The parameters as words of the file, as `Params::read` takes them.
fn words(params: &Params) -> [u32; 6] {
    let Multiplier { mantissa, shift } = params.multiplier;
    let zero_points = [params.input_zero_point as u32, params.output_zero_point as u32];
    [params.width, params.radius, zero_points[0], mantissa as u32, shift as u32, zero_points[1]]
}
