//! Reads the configuration of a layer, a JSON object: values by key, with Keras's defaults, and errors that
//! name the layer, the key and the value.

use serde_json::{Map, Value as Json};

use crate::error::{Error, Result};

/// A layer's configuration.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// The layer's name, for messages.
    layer: String,
    map: Map<String, Json>,
}

impl Config {
    /// The configuration of the layer with that name.
    pub fn new(layer: impl Into<String>, value: Option<&Json>) -> Config {
        let map = value.and_then(Json::as_object).cloned().unwrap_or_default();
        Config { layer: layer.into(), map }
    }

    /// The value of a key; `None` if it is missing or null.
    pub fn get(&self, key: &str) -> Option<&Json> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    /// The same configuration with one value replaced.
    pub fn with(&self, key: &str, value: Json) -> Config {
        let mut changed = self.clone();
        changed.map.insert(key.into(), value);
        changed
    }

    fn wrong(&self, key: &str, expected: &str) -> Error {
        let found = self.map.get(key).map_or_else(|| "missing".into(), Json::to_string);
        let found: String = found.chars().take(60).collect();
        Error::input(format!("layer `{}`: `{key}` is {found}, expected {expected}", self.layer))
            .about(&self.layer)
    }

    /// A whole number.
    pub fn usize(&self, key: &str) -> Result<usize> {
        self.get(key).and_then(size).ok_or_else(|| self.wrong(key, "a whole number"))
    }

    /// A whole number, or `default` if it is missing.
    pub fn usize_or(&self, key: &str, default: usize) -> Result<usize> {
        if self.get(key).is_none() { Ok(default) } else { self.usize(key) }
    }

    /// A real number, or `default` if it is missing.
    pub fn f32_or(&self, key: &str, default: f32) -> Result<f32> {
        Ok(self.f32(key)?.unwrap_or(default))
    }

    /// A real number, if there is one.
    pub fn f32(&self, key: &str) -> Result<Option<f32>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        number(value).map(Some).ok_or_else(|| self.wrong(key, "a number"))
    }

    /// A boolean, or `default` if it is missing.
    pub fn bool_or(&self, key: &str, default: bool) -> Result<bool> {
        let Some(value) = self.get(key) else { return Ok(default) };
        value.as_bool().ok_or_else(|| self.wrong(key, "true or false"))
    }

    /// A string, or `default` if it is missing.
    pub fn str_or<'a>(&'a self, key: &str, default: &'a str) -> Result<&'a str> {
        let Some(value) = self.get(key) else { return Ok(default) };
        value.as_str().ok_or_else(|| self.wrong(key, "a word"))
    }

    /// `N` whole numbers: a list of them, or one number for all.
    pub fn sizes<const N: usize>(&self, key: &str, default: usize) -> Result<[usize; N]> {
        let Some(value) = self.get(key) else { return Ok([default; N]) };
        if let Some(one) = size(value) {
            return Ok([one; N]);
        }
        let list = items(value).and_then(|list| list.iter().map(size).collect::<Option<Vec<_>>>());
        list.and_then(|list| list.try_into().ok()).ok_or_else(|| self.wrong(key, &format!("{N} numbers")))
    }

    /// A list of whole numbers.
    pub fn sizes_list(&self, key: &str) -> Result<Vec<usize>> {
        let list = self.get(key).and_then(items).and_then(|list| list.iter().map(size).collect());
        list.ok_or_else(|| self.wrong(key, "a list of whole numbers"))
    }

    /// Real numbers: one, or a (nested) list of them.
    pub fn numbers(&self, key: &str) -> Result<Option<Vec<f32>>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let mut found = Vec::new();
        if collect_numbers(value, &mut found) { Ok(Some(found)) } else { Err(self.wrong(key, "numbers")) }
    }

    /// Integers, which may be negative: one, or a list of them.
    pub fn integers(&self, key: &str) -> Result<Option<Vec<i64>>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        if let Some(one) = value.as_i64() {
            return Ok(Some(vec![one]));
        }
        let list = items(value).and_then(|list| list.iter().map(Json::as_i64).collect());
        list.map(Some).ok_or_else(|| self.wrong(key, "whole numbers"))
    }

    /// `N` pairs of whole numbers, before and after: one number, a number or a pair for each dimension, or,
    /// for one dimension, one pair.
    pub fn amounts<const N: usize>(&self, key: &str, default: usize) -> Result<[(usize, usize); N]> {
        let Some(value) = self.get(key) else { return Ok([(default, default); N]) };
        let both = |value: &Json| -> Option<(usize, usize)> {
            if let Some(one) = size(value) {
                return Some((one, one));
            }
            match items(value)?.as_slice() {
                [a, b] => Some((size(a)?, size(b)?)),
                _ => None,
            }
        };
        let parsed = (|| {
            if N == 1 || size(value).is_some() {
                return both(value).map(|pair| [pair; N]);
            }
            let list = items(value)?.iter().map(both).collect::<Option<Vec<_>>>()?;
            list.try_into().ok()
        })();
        parsed.ok_or_else(|| self.wrong(key, &format!("{N} pairs of numbers")))
    }

    /// Whether channels precede the image's dimensions.
    pub fn channels_first(&self) -> Result<bool> {
        match self.str_or("data_format", "channels_last")? {
            "channels_first" => Ok(true),
            "channels_last" => Ok(false),
            _ => Err(self.wrong("data_format", "channels_first or channels_last")),
        }
    }
}

/// The elements of a list or of Keras's `__tuple__`.
pub fn items(value: &Json) -> Option<&Vec<Json>> {
    value.as_array().or_else(|| {
        (value.get("class_name")?.as_str()? == "__tuple__").then(|| value.get("items")?.as_array())?
    })
}

/// A whole number, even if Python wrote it as a float.
pub fn size(value: &Json) -> Option<usize> {
    if let Some(n) = value.as_u64() {
        return usize::try_from(n).ok();
    }
    value.as_f64().filter(|x| x.fract() == 0.0 && (0.0..1e9).contains(x)).map(|x| x as usize)
}

/// A real number, even if Keras wrote it as a NumPy value.
pub fn number(value: &Json) -> Option<f32> {
    if let Some(x) = value.as_f64() {
        return Some(x as f32);
    }
    number(value.get("config")?.get("value")?)
}

/// Collects the numbers of nested lists; returns false if there is anything else among them.
fn collect_numbers(value: &Json, found: &mut Vec<f32>) -> bool {
    if let Some(x) = value.as_f64() {
        found.push(x as f32);
        return true;
    }
    match items(value).or_else(|| items(value.get("config")?.get("value")?)) {
        Some(list) => list.iter().all(|value| collect_numbers(value, found)),
        None => number(value).map(|x| found.push(x)).is_some(),
    }
}
