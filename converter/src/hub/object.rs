//! JSON of others: objects that are objects, and parsers' errors in plain words.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// An object with named fields. A derived `Deserialize` alone takes a list, too, and gives its elements to the fields in
/// their order.
pub(crate) struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Object<T>, D::Error> {
        deserializer.deserialize_map(Fields(PhantomData)).map(Object)
    }
}

struct Fields<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object {…}")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<T, A::Error> {
        Err(A::Error::custom("found a list, expected an object {…}"))
    }
}

/// A list of objects with named fields, for `deserialize_with`.
pub(crate) fn list<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    let list = Vec::<Object<T>>::deserialize(deserializer)?;
    Ok(list.into_iter().map(|Object(value)| value).collect())
}

/// One of them.
pub(crate) fn one<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    Object::deserialize(deserializer).map(|Object(value)| value)
}

/// One, or none.
pub(crate) fn maybe<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    let found = Option::<Object<T>>::deserialize(deserializer)?;
    Ok(found.map(|Object(value)| value))
}

/// A parser's error in plain words: what was found, what was expected, and where.
pub(crate) fn plainly(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let Some(found) = ["invalid type: ", "invalid value: "].iter().find_map(|kind| text.strip_prefix(kind))
    else {
        return text;
    };
    let found = match found {
        found if found.starts_with("sequence") => found.replacen("sequence", "a list", 1),
        found if found.starts_with("map") => found.replacen("map", "an object", 1),
        found => found.to_string(),
    };
    let found = found.replacen("expected a sequence", "expected a list", 1);
    let found = found.replacen("expected a map", "expected an object {…}", 1);
    let found = ["usize", "u64", "u32"].iter().fold(found, |found, kind| {
        found.replacen(&format!("expected {kind}"), "expected a whole number, not below zero", 1)
    });
    format!("found {found}")
}
