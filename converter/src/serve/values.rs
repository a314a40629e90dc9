//! Numbers of requests: tensors as nested lists of JSON, and how they become a model's bytes.

use std::fmt::{self, Write};

use ferrolite_runtime::DType;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use super::failure::Failure;
use crate::data::npy::shape_text;
use crate::data::{InputSpec, dequantize, integers};

/// Deepest nesting of lists: no model has more dimensions.
const DEPTH: usize = 16;

/// Most tensors by name: an object of very many would take far more memory than its text.
const MOST_NAMES: usize = 1024;

/// A number as it was written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// Without a point: of a type of integers.
    Whole(i64),
    /// With one: of a type of reals.
    Real(f64),
    /// `true` or `false`.
    Flag(bool),
}

/// A part of a request's JSON.
#[derive(Clone, Debug, PartialEq)]
pub enum Tree {
    /// Nested lists of numbers of one length each, or one number.
    Numbers {
        /// Lengths, the outermost first.
        shape: Vec<usize>,
        /// All numbers.
        numbers: Vec<Number>,
    },
    /// `{"b64": "…"}`, or nested lists of them.
    Bytes {
        /// Lengths, the outermost first.
        shape: Vec<usize>,
        /// What each says.
        items: Vec<Vec<u8>>,
    },
    /// An object of tensors by name.
    Named(Vec<(String, Tree)>),
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Tree, D::Error> {
        let mut reader = Reader::default();
        Part { reader: &mut reader, depth: 0 }.deserialize(deserializer)?;
        reader.finish().map_err(D::Error::custom)
    }
}

/// What has been read of nested lists.
#[derive(Default)]
struct Reader {
    numbers: Vec<Number>,
    items: Vec<Vec<u8>>,
    named: Option<Vec<(String, Tree)>>,
    /// Length of the lists of each depth, the first of them that ended.
    lengths: Vec<Option<usize>>,
    /// The depth of the elements.
    leaves: Option<usize>,
}

impl Reader {
    /// An element stands at this depth.
    fn leaf(&mut self, depth: usize) -> Result<(), String> {
        match self.leaves.replace(depth) {
            Some(before) if before != depth => Err("lists are not nested alike".into()),
            _ => Ok(()),
        }
    }

    /// A list of this depth has ended.
    fn list(&mut self, depth: usize, length: usize) -> Result<(), String> {
        if depth >= DEPTH {
            return Err(format!("lists are nested deeper than {DEPTH}"));
        }
        if self.lengths.len() <= depth {
            self.lengths.resize(depth + 1, None);
        }
        match self.lengths[depth].replace(length) {
            Some(before) if before != length => {
                Err(format!("lists of one depth have {before} and {length} elements"))
            }
            _ => Ok(()),
        }
    }

    fn finish(self) -> Result<Tree, String> {
        if let Some(named) = self.named {
            return Ok(Tree::Named(named));
        }
        let shape: Vec<usize> = self.lengths.iter().map(|length| length.unwrap_or(0)).collect();
        if self.leaves.is_some_and(|depth| depth != shape.len()) {
            return Err("lists are not nested alike".into());
        }
        match (self.numbers.is_empty(), self.items.is_empty()) {
            (_, true) => Ok(Tree::Numbers { shape, numbers: self.numbers }),
            (true, false) => Ok(Tree::Bytes { shape, items: self.items }),
            (false, false) => Err("a tensor has both numbers and \"b64\"".into()),
        }
    }
}

/// The part of nested lists at one depth.
struct Part<'r> {
    reader: &'r mut Reader,
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for Part<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Part<'_> {
    fn number<E: serde::de::Error>(self, number: Number) -> Result<(), E> {
        self.reader.leaf(self.depth).map_err(E::custom)?;
        self.reader.numbers.push(number);
        Ok(())
    }
}

impl<'de> Visitor<'de> for Part<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, a list, an object of tensors by name, or {\"b64\": …}")
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<(), E> {
        self.number(Number::Flag(value))
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<(), E> {
        self.number(Number::Whole(value))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<(), E> {
        self.number(i64::try_from(value).map_or(Number::Real(value as f64), Number::Whole))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<(), E> {
        self.number(Number::Real(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let mut length = 0;
        if self.depth >= DEPTH {
            return Err(A::Error::custom(format!("lists are nested deeper than {DEPTH}")));
        }
        while list.next_element_seed(Part { reader: self.reader, depth: self.depth + 1 })?.is_some() {
            length += 1;
        }
        self.reader.list(self.depth, length).map_err(A::Error::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut named: Vec<(String, Tree)> = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            if key == "b64" && named.is_empty() {
                let text = map.next_value::<String>()?;
                let bytes = base64(&text).ok_or_else(|| A::Error::custom("\"b64\" is not base64"))?;
                if map.next_key::<String>()?.is_some() {
                    return Err(A::Error::custom("an object with \"b64\" has nothing else"));
                }
                self.reader.leaf(self.depth).map_err(A::Error::custom)?;
                self.reader.items.push(bytes);
                return Ok(());
            }
            if self.depth > 0 {
                return Err(A::Error::custom("objects stand only where a whole tensor or instance does"));
            }
            if named.len() == MOST_NAMES {
                return Err(A::Error::custom(format!("more than {MOST_NAMES} tensors")));
            }
            named.push((key, map.next_value()?));
        }
        self.reader.named = Some(named);
        Ok(())
    }
}

/// The bytes of base64 (RFC 4648), of the common alphabet or the one for URLs, with padding or without.
pub fn base64(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=').as_bytes();
    if text.len() - digits.len() > 2 || digits.len() % 4 == 1 {
        return None;
    }
    let value = |digit: u8| {
        Some(match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        })
    };
    let mut bytes = Vec::with_capacity(digits.len() / 4 * 3 + 2);
    for group in digits.chunks(4) {
        let mut bits = 0u32;
        for place in 0..4 {
            bits = bits << 6 | u32::from(group.get(place).map_or(Some(0), |&digit| value(digit))?);
        }
        bytes.extend_from_slice(&bits.to_be_bytes()[1..group.len()]);
    }
    Some(bytes)
}

/// How many samples a tensor of this shape has for an input, and whether it has an axis for them that the model lacks.
pub fn samples(spec: &InputSpec, shape: &[usize]) -> Result<(usize, bool), Failure> {
    if spec.fits(shape) {
        return Ok((1, false));
    }
    match shape.split_first() {
        Some((&count, rest)) if spec.fits(rest) && count > 0 => Ok((count, true)),
        _ => Err(Failure::bad(format!(
            "{}, or several of them along an axis before; the tensor is {}",
            spec.wants(),
            shape_text(shape)
        ))),
    }
}

/// Which numbers a tensor has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// Real numbers, which are quantized as `ferrolite run` does it.
    Real,
    /// The integers that the model stores.
    Stored,
}

/// A truth value where a number belongs: it could be a mistake for anything.
fn flag_refused(spec: &InputSpec, flag: Number) -> Failure {
    let flag = flag == Number::Flag(true);
    Failure::bad(format!(
        "input `{}`: the tensor has the element {flag}, and its elements are numbers; send {} where this is meant",
        spec.name,
        u8::from(flag)
    ))
}

/// A number that is none, or that is larger than float32 has.
fn not_finite(spec: &InputSpec, number: Number) -> Failure {
    let shown = match number {
        Number::Real(real) => format!("{real:?}"),
        Number::Whole(q) => q.to_string(),
        Number::Flag(flag) => flag.to_string(),
    };
    Failure::bad(format!(
        "input `{}`: the tensor has the element {shown}, which is no finite float32; send numbers between -3.4e38 and 3.4e38",
        spec.name
    ))
}

/// Numbers as bytes in an input's own type.
pub fn encode(spec: &InputSpec, numbers: &[Number], meaning: Meaning) -> Result<Vec<u8>, Failure> {
    let refuse =
        |number: String| Failure::bad(format!("{}; the tensor has the element {number}", spec.wants()));
    let whole = |number: &Number| match *number {
        Number::Whole(q) => Ok(q),
        Number::Real(real) if real.fract() == 0.0 && real.abs() < 9.0e15 => Ok(real as i64),
        Number::Real(real) => Err(refuse(format!("{real:?}"))),
        Number::Flag(flag) => Ok(flag.into()),
    };
    if spec.dtype != DType::Bool
        && let Some(flag) = numbers.iter().find(|number| matches!(number, Number::Flag(_)))
    {
        return Err(flag_refused(spec, *flag));
    }
    let takes_integers =
        spec.range().is_some() && (spec.quantization.is_none() || meaning == Meaning::Stored);
    if takes_integers {
        let integers = numbers.iter().map(whole).collect::<Result<Vec<i64>, Failure>>()?;
        return spec.store(&integers).map_err(|wrong| refuse(wrong.to_string()));
    }
    let real = numbers.iter().map(|number| {
        let real = match *number {
            Number::Whole(q) => q as f32,
            Number::Real(real) => real as f32,
            Number::Flag(_) => return Err(flag_refused(spec, *number)),
        };
        if real.is_finite() { Ok(real) } else { Err(not_finite(spec, *number)) }
    });
    spec.quantize(&real.collect::<Result<Vec<f32>, Failure>>()?).map_err(|wrong| refuse(wrong.to_string()))
}

/// Bytes of one sample: in the input's own type where the numbers are stored ones, little-endian float32 else.
pub fn encode_bytes(spec: &InputSpec, bytes: &[u8], meaning: Meaning) -> Result<Vec<u8>, Failure> {
    let own = meaning == Meaning::Stored || spec.quantization.is_none();
    let size = if own { spec.dtype.size() } else { 4 };
    if bytes.len() != spec.elements() * size {
        let (of, wanted) = (if own { spec.dtype.name() } else { "float32" }, spec.elements() * size);
        return Err(Failure::bad(format!(
            "{}; \"b64\" has {} bytes, and {wanted} of little-endian {of} are needed",
            spec.wants(),
            bytes.len()
        )));
    }
    if own && spec.dtype != DType::Float32 {
        return checked(spec, bytes).map(|()| bytes.to_vec());
    }
    let real: Vec<Number> =
        dequantize(DType::Float32, None, bytes).into_iter().map(|real| Number::Real(real.into())).collect();
    encode(spec, &real, Meaning::Real)
}

/// Refuses bytes that are no elements of the input's type: a bool that is neither 0 nor 1, a float that is not finite.
pub fn checked(spec: &InputSpec, bytes: &[u8]) -> Result<(), Failure> {
    match spec.dtype {
        DType::Bool => match bytes.iter().find(|&&byte| byte > 1) {
            Some(wrong) => Err(Failure::bad(format!("{}; the tensor has the element {wrong}", spec.wants()))),
            None => Ok(()),
        },
        DType::Float32 => {
            match dequantize(DType::Float32, None, bytes).into_iter().find(|real| !real.is_finite()) {
                Some(wrong) => Err(not_finite(spec, Number::Real(wrong.into()))),
                None => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

/// Writes elements of a port's own type as nested lists: the real numbers that they stand for, or as they are stored.
pub fn write_json(out: &mut String, port: &InputSpec, shape: &[usize], bytes: &[u8], meaning: Meaning) {
    let real = port.dtype == DType::Float32 || (meaning == Meaning::Real && port.quantization.is_some());
    if real {
        // What is no number has no JSON.
        let write = |out: &mut String, real: f32| match real.is_finite() {
            true => write!(out, "{real:?}"),
            false => out.write_str("null"),
        };
        nested(out, shape, &mut dequantize(port.dtype, port.quantization, bytes).into_iter(), &write);
    } else {
        nested(out, shape, &mut integers(port.dtype, bytes).into_iter(), &|out, q| write!(out, "{q}"));
    }
}

fn nested<T>(
    out: &mut String,
    shape: &[usize],
    elements: &mut impl Iterator<Item = T>,
    write: &impl Fn(&mut String, T) -> fmt::Result,
) {
    let Some((&length, rest)) = shape.split_first() else {
        if let Some(element) = elements.next() {
            // Writing to a string cannot fail.
            let _ = write(out, element);
        }
        return;
    };
    out.push('[');
    for index in 0..length {
        if index > 0 {
            out.push(',');
        }
        nested(out, rest, elements, write);
    }
    out.push(']');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(text: &str) -> Result<Tree, String> {
        serde_json::from_str(text).map_err(|e| e.to_string())
    }

    #[test]
    fn lists_have_a_shape_or_are_refused() {
        let whole = |shape: &[usize], numbers: &[i64]| {
            let numbers = numbers.iter().map(|&q| Number::Whole(q)).collect();
            Ok(Tree::Numbers { shape: shape.to_vec(), numbers })
        };
        assert_eq!(tree("[[1,2],[3,4],[5,6]]"), whole(&[3, 2], &[1, 2, 3, 4, 5, 6]));
        assert_eq!(tree("7"), whole(&[], &[7]));
        assert_eq!(tree("[]"), whole(&[0], &[]));
        assert_eq!(tree("[[],[]]"), whole(&[2, 0], &[]));
        assert_eq!(
            tree("[1.5, 18446744073709551615]"),
            Ok(Tree::Numbers {
                shape: vec![2],
                numbers: vec![Number::Real(1.5), Number::Real(18446744073709551615.0)]
            })
        );
        for (text, why) in [
            ("[[1,2],[3]]", "2 and 1"),
            ("[1,[2]]", "not nested alike"),
            ("[[1],2]", "not nested alike"),
            ("[[1],[]]", "1 and 0"),
            ("[[],1]", "not nested alike"),
            ("[1,{\"b64\":\"AA==\"}]", "both"),
            ("[{\"a\":1}]", "whole tensor"),
            ("{\"b64\":\"A\"}", "not base64"),
            ("{\"b64\":\"AA==\",\"c\":1}", "nothing else"),
            ("\"text\"", "a number, a list"),
            ("null", "a number, a list"),
        ] {
            let error = tree(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
        let deep = "[".repeat(40) + &"]".repeat(40);
        assert!(tree(&deep).unwrap_err().contains("deeper"));
        assert_eq!(
            tree("[{\"b64\":\"AQI=\"},{\"b64\":\"AwQ\"}]"),
            Ok(Tree::Bytes { shape: vec![2], items: vec![vec![1, 2], vec![3, 4]] })
        );
        let named = tree("{\"a\":[1],\"b\":{\"b64\":\"\"}}").unwrap();
        assert!(matches!(named, Tree::Named(list) if list.len() == 2));
    }

    /// RFC 4648's own vectors, and what is none.
    #[test]
    fn base64_is_that_of_the_standard() {
        for (text, bytes) in [
            ("", ""),
            ("Zg==", "f"),
            ("Zm8=", "fo"),
            ("Zm9v", "foo"),
            ("Zm9vYg==", "foob"),
            ("Zm9vYmE=", "fooba"),
            ("Zm9vYmFy", "foobar"),
        ] {
            assert_eq!(base64(text).unwrap(), bytes.as_bytes(), "{text}");
            assert_eq!(base64(text.trim_end_matches('=')).unwrap(), bytes.as_bytes(), "{text}");
        }
        assert_eq!((base64("-_8"), base64("+/8")), (Some(vec![0xfb, 0xff]), Some(vec![0xfb, 0xff])));
        for text in ["A", "Zg===", "Z g=", "Zm9v\n", "é"] {
            assert_eq!(base64(text), None, "{text}");
        }
    }

    #[test]
    fn an_axis_before_the_models_counts_samples() {
        let spec = |shape: &[usize]| InputSpec {
            name: "x".into(),
            shape: shape.to_vec(),
            dtype: DType::Int8,
            quantization: Some((0.5, 0)),
        };
        let image = spec(&[1, 28, 28, 1]);
        for (shape, found) in [
            (&[28, 28][..], (1, false)),
            (&[1, 28, 28, 1], (1, false)),
            (&[8, 28, 28, 1], (8, true)),
            (&[8, 1, 28, 28, 1], (8, true)),
        ] {
            assert_eq!(samples(&image, shape).unwrap(), found, "{shape:?}");
        }
        for shape in [&[784][..], &[0, 28, 28, 1], &[28], &[2, 2, 28, 28]] {
            assert!(samples(&image, shape).is_err(), "{shape:?}");
        }
        assert_eq!(samples(&spec(&[1, 1]), &[8]).unwrap(), (8, true));
        assert_eq!(samples(&spec(&[1, 1]), &[]).unwrap(), (1, false));
        // A model whose own first axis is no batch of one.
        assert_eq!(samples(&spec(&[4, 3]), &[5, 4, 3]).unwrap(), (5, true));
        assert!(samples(&spec(&[4, 3]), &[8, 3]).is_err());
    }

    #[test]
    fn numbers_are_stored_or_quantized_as_asked() {
        let spec = InputSpec {
            name: "x".into(),
            shape: vec![1, 2],
            dtype: DType::Int8,
            quantization: Some((0.5, -3)),
        };
        let numbers = [Number::Whole(1), Number::Real(-0.25)];
        assert_eq!(encode(&spec, &numbers, Meaning::Real).unwrap(), [255, 252]);
        assert!(encode(&spec, &numbers, Meaning::Stored).unwrap_err().message.contains("-0.25"));
        assert!(encode(&spec, &[Number::Whole(128)], Meaning::Stored).is_err());
        let large = encode(&spec, &[Number::Real(1e39)], Meaning::Real).unwrap_err().message;
        assert!(large.contains("1e39, which is no finite float32") && !large.contains("Real"), "{large}");
        assert!(encode(&spec, &[Number::Flag(true)], Meaning::Real).is_err());
        assert!(encode(&spec, &[Number::Flag(true)], Meaning::Stored).is_err());
        assert_eq!(encode_bytes(&spec, &[1, 2], Meaning::Stored).unwrap(), [1, 2]);
        assert!(encode_bytes(&spec, &[1, 2], Meaning::Real).unwrap_err().message.contains("8 of"));
        let mut out = String::new();
        write_json(&mut out, &spec, &[1, 2], &[0, 255], Meaning::Real);
        write_json(&mut out, &spec, &[2], &[0, 255], Meaning::Stored);
        assert_eq!(out, "[[1.5,1.0]][0,-1]");
    }
}
