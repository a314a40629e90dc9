//! What the user writes as the value of an input: one number, which all elements have, or one number for each, with commas
//! between them.

use crate::graph::{Constant, DType, Quantization};

/// The elements that a text says.
pub(super) fn constant(
    text: &str,
    elements: usize,
    dtype: DType,
    quantization: Option<&Quantization>,
) -> std::result::Result<Constant, String> {
    let words: Vec<&str> = text.split(',').map(str::trim).collect();
    if words.len() != 1 && words.len() != elements {
        return Err(format!("{} numbers for {elements} elements", words.len()));
    }
    let scale = quantization.and_then(Quantization::tensor);
    let real = |word: &str| {
        let number = word.parse::<f64>().ok().filter(|x| (*x as f32).is_finite());
        number.ok_or_else(|| format!("`{word}` is no number"))
    };
    let integer = |word: &str| {
        let (low, high): (i64, i64) = match dtype {
            DType::Bool => (0, 1),
            DType::Int8 => (i8::MIN.into(), i8::MAX.into()),
            DType::UInt8 => (0, u8::MAX.into()),
            DType::Int16 => (i16::MIN.into(), i16::MAX.into()),
            DType::Int32 => (i32::MIN.into(), i32::MAX.into()),
            DType::Int64 | DType::Float32 => (i64::MIN, i64::MAX),
        };
        if let Some((scale, zero_point)) = scale {
            let steps = (real(word)? / f64::from(scale)).round() + f64::from(zero_point);
            return Ok(steps.clamp(low as f64, high as f64) as i64);
        }
        let number = match (word, dtype) {
            ("true", DType::Bool) => Some(1),
            ("false", DType::Bool) => Some(0),
            _ => word.parse::<i64>().ok(),
        };
        let number = number.filter(|x| (low..=high).contains(x));
        number.ok_or_else(|| format!("`{word}` is no number of the type {}", dtype.name()))
    };
    let all = |word: &dyn Fn(&str) -> std::result::Result<i64, String>| {
        let numbers = words.iter().map(|one| word(one)).collect::<std::result::Result<Vec<i64>, _>>()?;
        Ok::<_, String>(if words.len() == 1 { vec![numbers[0]; elements] } else { numbers })
    };
    Ok(match dtype {
        DType::Float32 => {
            let numbers = words.iter().map(|one| real(one)).collect::<std::result::Result<Vec<f64>, _>>()?;
            let numbers = if words.len() == 1 { vec![numbers[0]; elements] } else { numbers };
            Constant::F32(numbers.into_iter().map(|x| x as f32).collect())
        }
        // The ranges are those of the types.
        DType::Int8 => Constant::I8(all(&integer)?.into_iter().map(|x| x as i8).collect()),
        DType::UInt8 => Constant::U8(all(&integer)?.into_iter().map(|x| x as u8).collect()),
        DType::Int16 => Constant::I16(all(&integer)?.into_iter().map(|x| x as i16).collect()),
        DType::Int32 => Constant::I32(all(&integer)?.into_iter().map(|x| x as i32).collect()),
        DType::Int64 => Constant::I64(all(&integer)?),
        DType::Bool => Constant::Bool(all(&integer)?.into_iter().map(|x| x != 0).collect()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_of_the_inputs_type_and_shape() {
        let int = |text| constant(text, 3, DType::Int32, None);
        assert_eq!(int("7"), Ok(Constant::I32(vec![7; 3])));
        assert_eq!(int("1, -2,3"), Ok(Constant::I32(vec![1, -2, 3])));
        assert!(int("1,2").unwrap_err().contains("2 numbers for 3 elements"));
        for bad in ["1.5", "3000000000", "", "true", "1,2,x"] {
            assert!(int(bad).unwrap_err().contains("int32"), "{bad}");
        }
        assert_eq!(constant("true", 1, DType::Bool, None), Ok(Constant::Bool(vec![true])));
        assert!(constant("2", 1, DType::Bool, None).is_err());
        assert_eq!(constant("0.5", 2, DType::Float32, None), Ok(Constant::F32(vec![0.5; 2])));
        for bad in ["nan", "inf", "1e39", "half"] {
            assert!(constant(bad, 2, DType::Float32, None).is_err(), "{bad}");
        }
        // Int64 does not pass through floats, and an int8 of a scale is the nearest step.
        let large = "9007199254740993";
        assert_eq!(constant(large, 1, DType::Int64, None), Ok(Constant::I64(vec![9_007_199_254_740_993])));
        let scale = Quantization::per_tensor(0.5, -3);
        assert_eq!(constant("2.1", 1, DType::Int8, Some(&scale)), Ok(Constant::I8(vec![1])));
        assert_eq!(constant("1000", 1, DType::Int8, Some(&scale)), Ok(Constant::I8(vec![127])));
    }
}
