//! Feature specs in a file: JSON, or the `schema.pbtxt` of TensorFlow Metadata.

use serde_json::{Map, Value};

use super::feature::{FeatureSpec, Missing, nearest};
use crate::error::{Error, Result};
use crate::tf::dtype::DType;
use crate::tf::shape::Shape;
use crate::tf::text_proto::{self, Message};

/// Members of a feature's object in JSON.
const MEMBERS: [&str; 8] =
    ["type", "encoding", "dtype", "shape", "nullable", "default", "feature_list", "description"];
/// The name under which TensorFlow Metadata keeps what a `SequenceExample`'s feature lists hold.
const SEQUENCE: &str = "##SEQUENCE##";
/// The stages of features that are not, or not yet, or no longer, to be read.
const UNREAD_STAGES: [&str; 5] = ["DEPRECATED", "DISABLED", "PLANNED", "ALPHA", "DEBUG_ONLY"];

/// Reads the feature specs in the text of a file, which says what every feature holds.
///
/// The text is either a JSON object with a member a feature, whose value is a type as
/// [`FeatureSpec::parse_type`] reads it, or an object:
///
/// ```
/// let specs = tfarrow::schema::parse_features(r#"{
///     "label": "int64",
///     "image": "raw<uint8>[64,64,3]",
///     "weight": {"type": "float32", "default": 1.0},
///     "box": {"dtype": "float32", "shape": [null, 4], "nullable": true},
///     "depth": {"encoding": "tensor", "dtype": "uint16", "shape": [64, 64]},
///     "frames": {"type": "image[32,32,3]", "feature_list": true}
/// }"#)?;
/// assert_eq!(specs.len(), 6);
/// # Ok::<(), tfarrow::Error>(())
/// ```
///
/// Or it is a `schema.pbtxt` of TensorFlow Metadata. There, `presence { min_fraction: 1 }` wants every
/// record to have the feature's key, where it is null without a value; a `shape`, or a `value_count` whose `min` equals its `max`, gives the number
/// of values, and anything else is a list; a `bool_domain` makes bool of int64, a `string_domain`
/// text of bytes; features in the stages DEPRECATED, DISABLED, PLANNED, ALPHA and DEBUG_ONLY are
/// left out.
///
/// # Errors
/// The text is of neither form, or a feature's type is none.
pub fn parse_features(text: &str) -> Result<Vec<FeatureSpec>> {
    if text.trim_start().starts_with('{') {
        let value: Value = serde_json::from_str(text)
            .map_err(|e| Error::config("features are not valid JSON").with_cause(e))?;
        return match value {
            Value::Object(features) => from_json(&features),
            _ => Err(Error::config("features are not a JSON object")),
        };
    }
    let message = Message::parse(text).map_err(|e| {
        e.with_hint("features are a JSON object of names and types, or a schema.pbtxt of TensorFlow Metadata")
    })?;
    let mut specs = Vec::new();
    from_schema(&message, false, &mut specs)?;
    match specs.is_empty() {
        true => Err(Error::config("schema has no features")),
        false => Ok(specs),
    }
}

fn from_json(features: &Map<String, Value>) -> Result<Vec<FeatureSpec>> {
    if features.contains_key("pythonClassName") {
        return Err(Error::unsupported("features.json of TensorFlow Datasets on its own")
            .with_hint("name the dataset's folder as the input"));
    }
    let mut specs = Vec::with_capacity(features.len());
    for (name, value) in features {
        specs.push(match value {
            Value::String(text) => FeatureSpec::parse_type(name, text)?,
            Value::Object(members) => from_members(name, members)?,
            other => {
                return Err(Error::config(format!("invalid type for feature `{name}`"))
                    .expected("a string or an object", other.to_string()));
            }
        });
    }
    match specs.is_empty() {
        true => Err(Error::config("no features are given")),
        false => Ok(specs),
    }
}

fn from_members(name: &str, members: &Map<String, Value>) -> Result<FeatureSpec> {
    let bad = |what: &str| Error::config(format!("invalid type for feature `{name}`: {what}"));
    if let Some(unknown) = members.keys().find(|key| !MEMBERS.contains(&key.as_str())) {
        let error = bad(&format!("no member `{unknown}`"));
        return Err(match nearest(unknown, MEMBERS) {
            Some(near) => error.with_hint(format!("did you mean `{near}`?")),
            None => error.with_hint(format!("there are: {}", MEMBERS.join(", "))),
        });
    }
    let text = |key: &str| match members.get(key) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str())),
        Some(_) => Err(bad(&format!("`{key}` is not a string"))),
    };
    let flag = |key: &str| match members.get(key) {
        None => Ok(None),
        Some(Value::Bool(flag)) => Ok(Some(*flag)),
        Some(_) => Err(bad(&format!("`{key}` is not true or false"))),
    };
    let written = match (text("type")?, text("encoding")?, text("dtype")?) {
        (Some(written), None, None) => written.to_owned(),
        (Some(_), ..) => return Err(bad("`type` says it all; leave out `encoding` and `dtype`")),
        (None, None | Some("values"), Some(dtype)) => dtype.to_owned(),
        (None, Some(encoding @ ("raw" | "tensor" | "image")), Some(dtype)) => format!("{encoding}<{dtype}>"),
        (None, Some("image"), None) => "image".to_owned(),
        (None, Some(_), _) => return Err(bad("`encoding` is values, raw, tensor or image")),
        (None, _, None) => return Err(bad("neither `type` nor `dtype` is given")),
    };
    let shape = match members.get("shape") {
        None => String::new(),
        Some(Value::Array(dims)) => {
            let dims = dims.iter().map(|dim| match dim {
                Value::Null => Ok("?".to_owned()),
                dim => {
                    dim.as_u64().map(|d| d.to_string()).ok_or_else(|| bad("a dimension is a number or null"))
                }
            });
            let dims = dims.collect::<Result<Vec<_>>>()?;
            if dims.is_empty() { String::new() } else { format!("[{}]", dims.join(",")) }
        }
        Some(_) => return Err(bad("`shape` is not a list")),
    };
    if !shape.is_empty() && written.contains(['[', '=', '?']) {
        return Err(bad("the shape is given twice"));
    }
    let default = match members.get("default") {
        None => String::new(),
        Some(Value::String(text)) => format!("={text}"),
        Some(value @ (Value::Number(_) | Value::Bool(_))) => format!("={value}"),
        Some(_) => return Err(bad("`default` is not one value")),
    };
    let nullable = flag("nullable")?;
    let mark = if nullable == Some(true) && !written.ends_with('?') { "?" } else { "" };
    let mut spec = FeatureSpec::parse_type(name, &format!("{written}{shape}{mark}{default}"))?;
    if nullable == Some(false) && spec.missing == Missing::Null {
        spec.missing = Missing::Error;
    }
    spec.feature_list = flag("feature_list")?.unwrap_or(false);
    Ok(spec)
}

/// Adds the features of a `Schema` or `StructDomain` message.
fn from_schema(schema: &Message, feature_list: bool, specs: &mut Vec<FeatureSpec>) -> Result<()> {
    for field in schema.all("feature") {
        let feature = field.message()?;
        let name = match feature.last("name") {
            Some(name) => name.text()?,
            None => return Err(text_proto::at(Error::config("feature without a name"), field.place)),
        };
        let in_feature = |e: Error| e.in_column(name);
        let stage = feature.last("lifecycle_stage").map(|stage| stage.word()).transpose();
        let deprecated = feature.last("deprecated").map(|flag| flag.word()).transpose();
        if stage.map_err(in_feature)?.is_some_and(|stage| UNREAD_STAGES.contains(&stage))
            || deprecated.map_err(in_feature)? == Some("true")
        {
            continue;
        }
        if name == SEQUENCE && !feature_list {
            if let Some(domain) = feature.last("struct_domain") {
                from_schema(domain.message()?, true, specs)?;
            }
            continue;
        }
        let mut spec = from_feature(name, feature).map_err(in_feature)?.ok_or_else(|| {
            let error = Error::config("feature without a type this program can read");
            text_proto::at(error.expected("type: BYTES, INT or FLOAT", "none"), field.place).in_column(name)
        })?;
        spec.feature_list = feature_list;
        specs.push(spec);
    }
    Ok(())
}

fn from_feature(name: &str, feature: &Message) -> Result<Option<FeatureSpec>> {
    let Some(kind) = feature.last("type") else { return Ok(None) };
    let has = |domain: &str| feature.last(domain).is_some();
    let (dtype, text) = match kind.word()? {
        "INT" | "2" if has("bool_domain") => (DType::Bool, false),
        "INT" | "2" => (DType::Int64, false),
        "FLOAT" | "3" => (DType::Float32, false),
        // `domain` names a domain of strings that several features share.
        "BYTES" | "1" => (
            DType::String,
            ["string_domain", "domain", "natural_language_domain", "url_domain"].into_iter().any(has),
        ),
        "STRUCT" | "4" => return Err(kind.wrong("BYTES, INT or FLOAT")),
        _ => return Ok(None),
    };
    let mut spec = FeatureSpec::values(name, dtype, shape(feature)?);
    spec.text = text;
    let presence = feature.last("presence").map(text_proto::Field::message).transpose()?;
    let fraction = presence.and_then(|p| p.last("min_fraction")).map(text_proto::Field::number::<f64>);
    spec.missing = match fraction.transpose()? {
        Some(fraction) if fraction >= 1.0 => Missing::NullAtKey,
        _ => Missing::Null,
    };
    Ok(Some(spec))
}

fn shape(feature: &Message) -> Result<Shape> {
    if let Some(shape) = feature.last("shape") {
        let mut dims = Vec::new();
        for (axis, dim) in shape.message()?.all("dim").enumerate() {
            match dim.message()?.last("size") {
                Some(size) => dims.push(Some(size.number()?)),
                None if axis == 0 => dims.push(None),
                None => return Err(dim.wrong("a size for every dimension but the first")),
            }
        }
        return Ok(Shape::Dims(dims));
    }
    let Some(count) = feature.last("value_count") else { return Ok(Shape::Dims(vec![None])) };
    let count = count.message()?;
    let limit = |name: &str| count.last(name).map(text_proto::Field::number::<u64>).transpose();
    Ok(match (limit("min")?, limit("max")?) {
        (Some(1), Some(1)) => Shape::scalar(),
        (Some(min), Some(max)) if min == max && min > 0 => Shape::known(&[min]),
        _ => Shape::Dims(vec![None]),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<String> {
        let specs = parse_features(text).unwrap();
        let shown = specs.iter().map(|s| {
            let place = if s.feature_list { " in feature_lists" } else { "" };
            let missing = match (&s.missing, s.is_list()) {
                (Missing::Error, true) => " required",
                _ => "",
            };
            format!("{}:{s}{missing}{place}", s.name)
        });
        shown.collect()
    }

    #[test]
    fn json_short_and_long() {
        let text = r#"{
            "a": "int64?",
            "b": {"type": "string", "default": "x:y"},
            "c": {"dtype": "float32", "shape": [null, 4], "nullable": false},
            "d": {"encoding": "raw", "dtype": "uint8", "shape": [2, 3]},
            "e": {"encoding": "image"},
            "f": {"dtype": "bool", "default": true, "description": "whatever"},
            "g": {"type": "tensor<int64>[...]", "feature_list": true}
        }"#;
        assert_eq!(
            shown(text),
            [
                "a:int64?",
                "b:string=x:y",
                "c:float32[?,4] required",
                "d:raw<uint8>[2,3]",
                "e:image",
                "f:bool=1",
                "g:tensor<int64>[...] in feature_lists"
            ]
        );
    }

    #[test]
    fn faults_in_json_name_the_feature() {
        for (text, part) in [
            (r#"{"a": "itn64"}"#, "did you mean `int64`?"),
            (r#"{"a": {"tpye": "int64"}}"#, "did you mean `type`?"),
            (r#"{"a": {"type": "int64", "dtype": "int64"}}"#, "feature `a`"),
            (r#"{"a": {"type": "int64[2]", "shape": [2]}}"#, "twice"),
            (r#"{"a": {"dtype": "int64", "shape": [-1]}}"#, "a number or null"),
            (r#"{"a": 3}"#, "expected a string or an object"),
            (r#"{"a": }"#, "line 1"),
            ("{}", "no features"),
            (r#"{"pythonClassName": "x"}"#, "TensorFlow Datasets"),
        ] {
            let message = parse_features(text).unwrap_err().to_string();
            assert!(message.contains(part), "{text}: {message}");
        }
    }

    #[test]
    fn schema_pbtxt() {
        let text = r###"
            # written by TensorFlow Data Validation
            feature { name: "age" type: INT presence { min_fraction: 1.0 min_count: 1 } shape { dim { size: 1 } } }
            feature { name: "flag" type: INT bool_domain { } value_count { min: 1 max: 1 } }
            feature { name: "tags" type: BYTES value_count { min: 1 } string_domain { value: "a" value: "b" } }
            feature { name: "png" type: BYTES value_count { min: 1 max: 1 } presence { min_fraction: 1 } }
            feature { name: "scalar" type: FLOAT shape { } presence < min_fraction: 1 > }
            feature { name: "pair" type: FLOAT value_count { min: 2 max: 2 } }
            feature { name: "old" type: INT lifecycle_stage: DEPRECATED }
            feature { name: "older" type: INT deprecated: true }
            feature {
              name: "##SEQUENCE##" type: STRUCT
              struct_domain { feature { name: "token" type: INT value_count { min: 1 max: 1 } } }
            }
            string_domain { name: "shared" value: "x" }
            generate_legacy_feature_spec: false
        "###;
        assert_eq!(
            shown(text),
            [
                "age:int64[1]?key",
                "flag:bool?",
                "tags:string[]",
                "png:binary?key",
                "scalar:float32?key",
                "pair:float32[2]?",
                "token:int64? in feature_lists",
            ]
        );
    }

    #[test]
    fn faults_in_a_schema_are_located() {
        for (text, part) in [
            ("feature { type: INT }", "without a name"),
            ("feature {\n name: \"x\" type: STRUCT }", "line 2"),
            ("feature { name: \"x\" }", "type: BYTES, INT or FLOAT"),
            ("feature { name: \"x\" type: INT value_count { min: many } }", "a number"),
            ("feature { name: \"x\" type: INT shape { dim { size: 2 } dim { } } }", "but the first"),
            ("nothing: 1", "no features"),
            ("name,type\n", "schema.pbtxt"),
        ] {
            let message = parse_features(text).unwrap_err().to_string();
            assert!(message.contains(part), "{text}: {message}");
        }
    }
}
