//! `features.json` of TFDS datasets: what an example holds, feature by feature.
//!
//! Three spellings are in use: protobuf-JSON of `Feature` (`pythonClassName` and one content key),
//! the older `{"type", "content"}` with plain JSON, and the same with protobuf-JSON inside
//! (`proto_cls`). Only the last part of a class name matters.

pub(crate) mod info;
pub(crate) mod split;

use serde_json::{Map, Value};

use super::dtype::DType;
use super::shape::Shape;
use super::spec::MAX_DEPTH;
use crate::error::{Error, Result};
use crate::options::Phrase;

/// How a tensor stands in an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TensorEncoding {
    /// As a list of values.
    None,
    /// As its little-endian bytes, in one bytes value.
    Bytes,
    /// As its bytes, compressed with zlib.
    Zlib,
}

/// A feature: what it is called in Python, and what it holds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Feature {
    /// The last part of its class's name.
    pub(crate) class: String,
    pub(crate) description: String,
    pub(crate) kind: FeatureKind,
}

/// What a feature holds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum FeatureKind {
    /// Named features, sorted by name.
    Dict(Vec<(String, Feature)>),
    /// A tensor. With more than one unknown dimension its shape stands beside it.
    Tensor { dtype: DType, shape: Shape, encoding: TensorEncoding, optional: bool },
    /// UTF-8.
    Text,
    /// An int64, −1 for unlabelled.
    ClassLabel,
    /// An encoded image.
    Image { dtype: DType, shape: Shape },
    /// Encoded images, the shape's first dimension of them.
    Video { dtype: DType, shape: Shape },
    /// The bytes of an audio file.
    AudioFile,
    /// Any number of features, or so many.
    Sequence { feature: Box<Feature>, length: Option<u64> },
    /// A class that is not known and says nothing of how it is encoded.
    Unknown,
}

impl Feature {
    /// Reads a `features.json`. With `lenient`, a feature of an unknown class is taken for what it
    /// is encoded as.
    ///
    /// # Errors
    /// The JSON is no feature, or holds a feature of a class that is not known.
    pub(crate) fn from_json(value: &Value, lenient: bool) -> Result<Self> {
        Parser { lenient }.feature(value, "", MAX_DEPTH)
    }

    fn new(class: &str, kind: FeatureKind) -> Self {
        Self { class: class.to_owned(), description: String::new(), kind }
    }

    fn text() -> Self {
        Self::new("Text", FeatureKind::Text)
    }
}

fn bad(path: &str, what: &str) -> Error {
    let error = Error::corrupt(format!("invalid features.json: {what}"));
    if path.is_empty() { error } else { error.in_column(path) }
}

/// A member by its protobuf-JSON name or its older one.
fn member<'a>(body: &'a Value, camel: &str, snake: &str) -> &'a Value {
    const NULL: &Value = &Value::Null;
    let found = body.get(camel).or_else(|| body.get(snake));
    found.unwrap_or(NULL)
}

/// An integer, which protobuf-JSON writes as a string.
pub(super) fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::String(text) => text.parse().ok(),
        other => other.as_i64(),
    }
}

/// A shape: `{"dimensions": ["-1", "3"]}`, `[null, 3]`, or nothing for a scalar.
fn shape(value: &Value, path: &str) -> Result<Shape> {
    let dims = match value {
        Value::Null => return Ok(Shape::scalar()),
        Value::Object(shape) => match shape.get("dimensions") {
            None => return Ok(Shape::scalar()),
            Some(dims) => dims,
        },
        other => other,
    };
    let dims = dims.as_array().ok_or_else(|| bad(path, "a shape is no list"))?;
    if dims.len() > MAX_DEPTH {
        return Err(bad(path, "a shape has too many dimensions"));
    }
    let dim = |dim: &Value| match (dim, integer(dim)) {
        (Value::Null, _) | (_, Some(-1)) => Ok(None),
        (_, Some(size)) => u64::try_from(size).map(Some).map_err(|_| bad(path, "a dimension is negative")),
        _ => Err(bad(path, "a dimension is no number")),
    };
    dims.iter().map(dim).collect::<Result<Vec<_>>>().map(Shape::Dims)
}

fn dtype(value: &Value, path: &str) -> Result<DType> {
    let name = value.as_str().unwrap_or_default();
    match name {
        "string" | "str" | "object" | "bytes" => Some(DType::String),
        "half" => Some(DType::Float16),
        _ => DType::from_name(name),
    }
    .filter(|dtype| !matches!(dtype, DType::Resource | DType::Variant))
    .ok_or_else(|| bad(path, "a dtype is unknown").expected("the name of a dtype", format!("`{name}`")))
}

fn encoding(value: &Value, path: &str) -> Result<TensorEncoding> {
    let name = value.as_str().unwrap_or_default().to_ascii_lowercase();
    match name.as_str() {
        "" | "none" => Ok(TensorEncoding::None),
        "bytes" => Ok(TensorEncoding::Bytes),
        "zlib" => Ok(TensorEncoding::Zlib),
        _ => Err(Error::unsupported(format!("tensor encoding `{name}`"))
            .expected("none, bytes or zlib", name)
            .in_column(path)),
    }
}

/// The content keys of `Feature` and the class that each is the content of.
const CONTENTS: &[(&str, &str, &str)] = &[
    ("featuresDict", "features_dict", "FeaturesDict"),
    ("tensor", "tensor", "Tensor"),
    ("text", "text", "Text"),
    ("classLabel", "class_label", "ClassLabel"),
    ("image", "image", "Image"),
    ("video", "video", "Video"),
    ("audio", "audio", "Audio"),
    ("boundingBox", "bounding_box", "BBoxFeature"),
    ("translation", "translation", "Translation"),
    ("sequence", "sequence", "Sequence"),
];

struct Parser {
    lenient: bool,
}

impl Parser {
    fn feature(&self, value: &Value, path: &str, depth: usize) -> Result<Feature> {
        let Some(depth) = depth.checked_sub(1) else {
            return Err(Error::limit("features nest too deeply").in_column(path));
        };
        let object = value.as_object().ok_or_else(|| bad(path, "a feature is no object"))?;
        let described = member(value, "description", "description").as_str().unwrap_or_default();
        let mut feature = if let Some(class) = object.get("type").and_then(Value::as_str) {
            self.older(class, object, path, depth)?
        } else {
            let class = member(value, "pythonClassName", "python_class_name").as_str().unwrap_or_default();
            let content = CONTENTS.iter().find_map(|(camel, snake, of)| {
                let body = object.get(*camel).or_else(|| object.get(*snake))?;
                Some((body, *of))
            });
            match content {
                Some((body, of)) => self.known(class, of, body, true, path, depth)?,
                None => self.json_feature(class, value, path, depth)?,
            }
        };
        feature.description = described.to_owned();
        Ok(feature)
    }

    /// `{"type": CLASS, "content": …}`.
    fn older(&self, class: &str, object: &Map<String, Value>, path: &str, depth: usize) -> Result<Feature> {
        let content = object.get("content").unwrap_or(&Value::Null);
        let is_proto = object.get("proto_cls").and_then(Value::as_str).is_some_and(|name| !name.is_empty());
        let parsed;
        let content = match content {
            Value::String(text) => {
                parsed = parse_text(text, path)?;
                &parsed
            }
            other => other,
        };
        let of = last_part(class);
        self.known(class, of, content, is_proto, path, depth)
    }

    /// Content that is JSON in a string: what a class without a message of its own is saved as.
    fn json_feature(&self, class: &str, value: &Value, path: &str, depth: usize) -> Result<Feature> {
        let json = member(member(value, "jsonFeature", "json_feature"), "json", "json");
        let content = match json.as_str() {
            Some(text) => parse_text(text, path)?,
            None => Value::Null,
        };
        self.known(class, last_part(class), &content, false, path, depth)
    }

    /// A feature of the class `class` with the content of the class `of`.
    fn known(
        &self,
        class: &str,
        of: &str,
        body: &Value,
        is_proto: bool,
        path: &str,
        depth: usize,
    ) -> Result<Feature> {
        let name = last_part(class);
        let kind = match self.kind(name, body, is_proto, path, depth)? {
            Some(kind) => kind,
            None if !self.lenient => {
                return Err(Error::unsupported(format!("feature of unknown class `{class}`"))
                    .in_column(if path.is_empty() { "features" } else { path })
                    .with_hint(Phrase::new(
                        "pass {lenient=true} to read it as what it is encoded as, or leave it out with {exclude}",
                    )));
            }
            None => {
                let kind = if of == name { None } else { self.kind(of, body, is_proto, path, depth)? };
                kind.unwrap_or(FeatureKind::Unknown)
            }
        };
        Ok(Feature::new(name, kind))
    }

    /// What a feature of the class `name` holds; `None` if there is no such class.
    fn kind(
        &self,
        name: &str,
        body: &Value,
        is_proto: bool,
        path: &str,
        depth: usize,
    ) -> Result<Option<FeatureKind>> {
        let dims = || shape(member(body, "shape", "shape"), path);
        let dtype_or = |default: DType| match member(body, "dtype", "dtype") {
            Value::Null => Ok(default),
            name => dtype(name, path),
        };
        Ok(Some(match name {
            "FeaturesDict" => {
                let features = if is_proto { member(body, "features", "features") } else { body };
                FeatureKind::Dict(self.dict(features, path, depth)?)
            }
            "Tensor" | "Scalar" => FeatureKind::Tensor {
                dtype: dtype(member(body, "dtype", "dtype"), path)?,
                shape: dims()?,
                encoding: encoding(member(body, "encoding", "encoding"), path)?,
                optional: member(body, "optional", "optional").as_bool().unwrap_or(false),
            },
            "Text" => match member(body, "useEncoder", "use_encoder") {
                Value::Null => FeatureKind::Text,
                _ => {
                    return Err(Error::unsupported("text with an encoder, which TFDS no longer has")
                        .in_column(path)
                        .with_hint(Phrase::new("leave it out with {exclude}")));
                }
            },
            "ClassLabel" => FeatureKind::ClassLabel,
            "Image" | "LabeledImage" => {
                FeatureKind::Image { dtype: dtype_or(DType::UInt8)?, shape: image_shape(dims()?) }
            }
            "Video" => FeatureKind::Video { dtype: dtype_or(DType::UInt8)?, shape: dims()? },
            "Audio" if member(body, "lazyDecode", "lazy_decode").as_bool() == Some(true) => {
                FeatureKind::AudioFile
            }
            "Audio" => FeatureKind::Tensor {
                dtype: dtype_or(DType::Int64)?,
                shape: match member(body, "shape", "shape") {
                    Value::Null => Shape::Dims(vec![None]),
                    _ => dims()?,
                },
                encoding: encoding(member(body, "encoding", "encoding"), path)?,
                optional: false,
            },
            "BBoxFeature" | "BBox" => FeatureKind::Tensor {
                dtype: dtype_or(DType::Float32)?,
                shape: Shape::known(&[4]),
                encoding: TensorEncoding::None,
                optional: false,
            },
            "Translation" | "TranslationVariableLanguages" => self.translation(name, body, path)?,
            "Sequence" | "Dataset" => {
                let length = match member(body, "length", "length") {
                    Value::Null => None,
                    length => match integer(length) {
                        Some(-1) => None,
                        Some(length) => {
                            Some(u64::try_from(length).map_err(|_| bad(path, "a length is negative"))?)
                        }
                        None => return Err(bad(path, "a length is no number")),
                    },
                };
                let inner = self.feature(member(body, "feature", "feature"), path, depth)?;
                FeatureKind::Sequence { feature: Box::new(inner), length }
            }
            _ => return Ok(None),
        }))
    }

    fn dict(&self, features: &Value, path: &str, depth: usize) -> Result<Vec<(String, Feature)>> {
        let empty = Map::new();
        let features = match features {
            Value::Null => &empty,
            other => other.as_object().ok_or_else(|| bad(path, "features are no object"))?,
        };
        let mut out = Vec::with_capacity(features.len());
        for (name, value) in features {
            let path = if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
            out.push((name.clone(), self.feature(value, &path, depth)?));
        }
        out.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(out)
    }

    fn translation(&self, name: &str, body: &Value, path: &str) -> Result<FeatureKind> {
        let sequence_of = |feature| FeatureKind::Sequence { feature: Box::new(feature), length: None };
        let variable = member(body, "variableLanguagesPerExample", "variable_languages_per_example");
        if name == "TranslationVariableLanguages" || variable.as_bool() == Some(true) {
            let parts = ["language", "translation"].map(|part| (part.to_owned(), Feature::text()));
            return Ok(sequence_of(Feature::new("FeaturesDict", FeatureKind::Dict(parts.into()))));
        }
        let languages = member(body, "languages", "languages");
        let languages = languages.as_array().ok_or_else(|| bad(path, "a translation names no languages"))?;
        let language = |language: &Value| match language.as_str() {
            Some(language) => Ok((language.to_owned(), Feature::text())),
            None => Err(bad(path, "a language is no string")),
        };
        let mut languages = languages.iter().map(language).collect::<Result<Vec<_>>>()?;
        languages.sort_by(|a, b| a.0.cmp(&b.0));
        languages.dedup_by(|a, b| a.0 == b.0);
        Ok(FeatureKind::Dict(languages))
    }
}

/// The shape of an image that says nothing of it.
fn image_shape(shape: Shape) -> Shape {
    if shape.rank() == Some(0) { Shape::Dims(vec![None, None, Some(3)]) } else { shape }
}

fn parse_text(text: &str, path: &str) -> Result<Value> {
    serde_json::from_str(text).map_err(|e| bad(path, "content is no JSON").with_cause(e))
}

fn last_part(class: &str) -> &str {
    class.rsplit('.').next().unwrap_or(class)
}

#[cfg(test)]
mod tests;
