//! JSON whose numbers are read as they were written. `serde_json` reads a float of seventeen digits to its neighbour
//! about one time in ten, and what is compared or shown again must be what was stored.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, Visitor},
};
use serde_json::{Map, Number, Value, value::RawValue};

/// Reads an object.
///
/// # Errors
/// If it is none.
pub(crate) fn map<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Map<String, Value>, D::Error> {
    deserializer.deserialize_map(Object)
}

struct Object;

impl<'de> Visitor<'de> for Object {
    type Value = Map<String, Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut map = Map::new();
        while let Some((name, raw)) = entries.next_entry::<String, Box<RawValue>>()? {
            map.insert(name, value(raw.get()).map_err(A::Error::custom)?);
        }
        Ok(map)
    }
}

fn value(text: &str) -> serde_json::Result<Value> {
    Ok(match text.as_bytes().first() {
        Some(b'{') => {
            #[derive(Deserialize)]
            struct Inner(#[serde(deserialize_with = "map")] Map<String, Value>);
            Value::Object(serde_json::from_str::<Inner>(text)?.0)
        }
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(text)?;
            Value::Array(items.into_iter().map(|item| value(item.get())).collect::<Result<_, _>>()?)
        }
        Some(b'-' | b'0'..=b'9') if text.contains(['.', 'e', 'E']) => {
            let float = text.parse().ok().and_then(Number::from_f64);
            float.map(Value::Number).ok_or_else(|| serde_json::Error::custom("a number is too large"))?
        }
        _ => serde_json::from_str(text)?,
    })
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use serde_json::json;

    use super::*;

    #[derive(Deserialize)]
    struct Held(#[serde(deserialize_with = "map")] Map<String, Value>);

    #[test]
    fn every_float_comes_back_as_it_was_written() {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        for _ in 0..20_000 {
            let score = f64::from_bits(rng.random());
            let near = rng.random::<f64>() * 10.0;
            let written = json!({"a": score, "b": [near, {"c": near}], "n": 7, "t": "甲 1.50", "z": null});
            let read: Held = serde_json::from_str(&written.to_string()).unwrap();
            assert_eq!(Value::Object(read.0.clone()), written);
            assert_eq!(serde_json::to_string(&read.0).unwrap(), written.to_string());
            // Out of another value too, as a notification is read.
            let Held(again) = serde_json::from_value(written.clone()).unwrap();
            assert_eq!(Value::Object(again), written);
        }
        // The digits that were read as another number.
        let text = r#"{"score":0.24961112468865454}"#;
        let read: Held = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&read.0).unwrap(), text);
        assert!(
            serde_json::from_str::<Held>("[1]").is_err()
                && serde_json::from_str::<Held>("{\"a\":1e999}").is_err()
        );
    }
}
