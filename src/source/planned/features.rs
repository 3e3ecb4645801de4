//! Feature specs as data.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value, json};

use super::Features;
use super::json::{Object, invalid};
use crate::error::Result;
use crate::schema::feature::{DefaultValue, Encoding, FeatureSpec, Missing};
use crate::tf::dtype::DType;
use crate::tf::shape::Shape;

const ENCODINGS: [Encoding; 4] = [Encoding::Values, Encoding::Raw, Encoding::Tensor, Encoding::Image];

impl FeatureSpec {
    /// All of it, as a JSON object; what most have is left out.
    pub(crate) fn to_json(&self) -> Value {
        // Every field is named, so that none that is added is forgotten.
        let Self { name, encoding, dtype, text, shape, missing, feature_list, seen, wraps, optional } = self;
        let mut object = Map::new();
        object.insert("name".to_owned(), json!(name));
        object.insert("dtype".to_owned(), json!(dtype.name()));
        object.insert(
            "shape".to_owned(),
            match shape {
                Shape::UnknownRank => Value::Null,
                Shape::Dims(dims) => json!(dims),
            },
        );
        if *encoding != Encoding::Values {
            object.insert("encoding".to_owned(), json!(encoding.to_string()));
        }
        let missing = match missing {
            Missing::Null => None,
            Missing::Error => Some(json!("error")),
            Missing::NullAtKey => Some(json!("null_at_key")),
            Missing::Default(DefaultValue::Int64(value)) => Some(json!({"int64": value})),
            // JSON has no infinities; the bits are exact.
            Missing::Default(DefaultValue::Float(value)) => Some(json!({"float_bits": value.to_bits()})),
            Missing::Default(DefaultValue::Bytes(value)) => {
                Some(json!({"bytes": BASE64_STANDARD.encode(value)}))
            }
        };
        if let Some(missing) = missing {
            object.insert("missing".to_owned(), missing);
        }
        for (key, set) in [
            ("text", text),
            ("feature_list", feature_list),
            ("seen", seen),
            ("wraps", wraps),
            ("optional", optional),
        ] {
            if *set {
                object.insert(key.to_owned(), json!(true));
            }
        }
        Value::Object(object)
    }

    /// Reads what [`to_json`](Self::to_json) gives.
    ///
    /// # Errors
    /// It is something else.
    pub(crate) fn from_json(value: &Value) -> Result<Self> {
        let object = Object::of(value, "a feature")?;
        let shape = match object.get("shape") {
            None | Some(Value::Null) => Shape::UnknownRank,
            Some(dims) => {
                let dims = dims.as_array().ok_or_else(|| invalid("a shape", dims))?;
                let dim = |dim: &Value| match dim {
                    Value::Null => Ok(None),
                    dim => dim.as_u64().map(Some).ok_or_else(|| invalid("a dimension", dim)),
                };
                Shape::Dims(dims.iter().map(dim).collect::<Result<_>>()?)
            }
        };
        let missing = match object.get("missing") {
            None => Missing::Null,
            Some(Value::String(text)) if text == "error" => Missing::Error,
            Some(Value::String(text)) if text == "null_at_key" => Missing::NullAtKey,
            Some(default) => Missing::Default(default_value(default)?),
        };
        let encoding = object.text("encoding");
        let encoding = ENCODINGS.into_iter().find(|known| encoding.is_none_or(|e| known.to_string() == e));
        Ok(Self {
            name: object.needed_text("name")?.to_owned(),
            encoding: encoding.ok_or_else(|| invalid("an encoding", value))?,
            dtype: object
                .text("dtype")
                .and_then(DType::from_name)
                .ok_or_else(|| invalid("a dtype", value))?,
            text: object.flag("text"),
            shape,
            missing,
            feature_list: object.flag("feature_list"),
            seen: object.flag("seen"),
            wraps: object.flag("wraps"),
            optional: object.flag("optional"),
        })
    }
}

fn default_value(value: &Value) -> Result<DefaultValue> {
    let object = Object::of(value, "a default")?;
    if let Some(number) = object.get("int64").and_then(Value::as_i64) {
        return Ok(DefaultValue::Int64(number));
    }
    if let Some(bits) = object.number("float_bits") {
        return Ok(DefaultValue::Float(f64::from_bits(bits)));
    }
    let bytes = object.text("bytes").and_then(|text| BASE64_STANDARD.decode(text).ok());
    bytes.map(DefaultValue::Bytes).ok_or_else(|| invalid("a default", value))
}

/// A list of specs.
pub(super) fn specs_from_json(value: &Value) -> Result<Vec<FeatureSpec>> {
    let list = value.as_array().ok_or_else(|| invalid("a list of features", value))?;
    list.iter().map(FeatureSpec::from_json).collect()
}

impl Features {
    pub(super) fn to_json(&self) -> Value {
        let specs: Vec<Value> = self.specs.iter().map(FeatureSpec::to_json).collect();
        json!({"features": specs, "sequence": self.sequence})
    }

    pub(super) fn from_json(value: &Value) -> Result<Self> {
        let object = Object::of(value, "what records hold")?;
        let specs = specs_from_json(object.needed("features")?)?;
        Ok(Self { specs, sequence: object.flag("sequence") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn specs_go_both_ways() {
        let texts = [
            "a:int64",
            "b:float32[?,4]?",
            "c:string=x",
            "d:raw<uint8>[64,64,3]",
            "e:tensor<float32>[?,3]",
            "f:image",
            "g:int64=-3",
            "h:float32=inf",
            "i:binary[]",
            "j:bool",
        ];
        for text in texts {
            let spec = FeatureSpec::parse(text).unwrap();
            assert_eq!(FeatureSpec::from_json(&spec.to_json()).unwrap(), spec, "{text}");
            let (seen, wraps, feature_list) = (true, true, true);
            let spec = FeatureSpec { missing: Missing::NullAtKey, seen, wraps, feature_list, ..spec };
            assert_eq!(FeatureSpec::from_json(&spec.to_json()).unwrap(), spec, "{text}");
        }
        let mut spec = FeatureSpec::parse("a:int64").unwrap();
        spec.missing = Missing::Default(DefaultValue::Float(f64::NAN));
        assert!(matches!(FeatureSpec::from_json(&spec.to_json()).unwrap().missing,
            Missing::Default(DefaultValue::Float(value)) if value.is_nan()));
        for wrong in [
            json!(1),
            json!({}),
            json!({"name": "a", "dtype": "int65"}),
            json!({"name": "a",
            "dtype": "int64", "shape": [-1]}),
            json!({"name": "a", "dtype": "int64", "missing": {"x": 1}}),
        ] {
            assert!(FeatureSpec::from_json(&wrong).is_err(), "{wrong}");
        }
    }
}
