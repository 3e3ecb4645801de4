use super::*;
use serde_json::json;

fn tensor(dtype: DType, dims: &[Option<u64>], encoding: TensorEncoding) -> FeatureKind {
    FeatureKind::Tensor { dtype, shape: Shape::Dims(dims.to_vec()), encoding, optional: false }
}

fn one(value: Value) -> Feature {
    Feature::from_json(&value, false).unwrap()
}

#[test]
fn every_class_is_known() {
    let class = |name: &str| format!("tensorflow_datasets.core.features.some_module.{name}");
    let dims = |dims: &[&str]| json!({"dimensions": dims});
    for (name, content, expected) in [
        (
            "Tensor",
            json!({"tensor": {"shape": dims(&["-1", "2"]), "dtype": "float64", "encoding": "zlib"}}),
            tensor(DType::Float64, &[None, Some(2)], TensorEncoding::Zlib),
        ),
        (
            "Scalar",
            json!({"tensor": {"shape": {}, "dtype": "int32", "optional": true}}),
            FeatureKind::Tensor {
                dtype: DType::Int32,
                shape: Shape::scalar(),
                encoding: TensorEncoding::None,
                optional: true,
            },
        ),
        ("Text", json!({"text": {}}), FeatureKind::Text),
        ("ClassLabel", json!({"classLabel": {"numClasses": "3"}}), FeatureKind::ClassLabel),
        (
            "Image",
            json!({"image": {"shape": dims(&["4", "6", "3"]), "dtype": "uint8", "encodingFormat": "jpeg"}}),
            FeatureKind::Image { dtype: DType::UInt8, shape: Shape::known(&[4, 6, 3]) },
        ),
        (
            "LabeledImage",
            json!({"image": {"shape": dims(&["4", "4", "1"]), "dtype": "uint8", "label": {"numClasses": "3"}}}),
            FeatureKind::Image { dtype: DType::UInt8, shape: Shape::known(&[4, 4, 1]) },
        ),
        (
            "Video",
            json!({"video": {"shape": dims(&["-1", "4", "4", "3"]), "dtype": "uint8"}}),
            FeatureKind::Video {
                dtype: DType::UInt8,
                shape: Shape::Dims(vec![None, Some(4), Some(4), Some(3)]),
            },
        ),
        (
            "Audio",
            json!({"audio": {"shape": dims(&["-1"]), "dtype": "int64", "encoding": "BYTES"}}),
            tensor(DType::Int64, &[None], TensorEncoding::Bytes),
        ),
        ("Audio", json!({"audio": {"shape": dims(&["-1"]), "lazyDecode": true}}), FeatureKind::AudioFile),
        (
            "BBoxFeature",
            json!({"boundingBox": {"shape": dims(&["4"]), "dtype": "float32", "bboxFormat": "REL_YXYX"}}),
            tensor(DType::Float32, &[Some(4)], TensorEncoding::None),
        ),
    ] {
        let mut value = content;
        value["pythonClassName"] = json!(class(name));
        assert_eq!(one(value).kind, expected, "{name}");
    }
}

#[test]
fn the_spellings_of_all_times_say_the_same() {
    let new = json!({
        "pythonClassName": "tensorflow_datasets.core.features.features_dict.FeaturesDict",
        "featuresDict": {"features": {
            "objs": {
                "pythonClassName": "tensorflow_datasets.core.features.sequence_feature.Sequence",
                "sequence": {"length": "-1", "feature": {
                    "pythonClassName": "x.ClassLabel", "classLabel": {"numClasses": "2"}}},
            },
            "id": {"pythonClassName": "x.Tensor", "tensor": {"shape": {"dimensions": ["2"]}, "dtype": "int32"}},
        }},
    });
    let old = json!({
        "type": "tensorflow_datasets.core.features.features_dict.FeaturesDict",
        "content": {
            "id": {"type": "tensorflow_datasets.core.features.feature.Tensor",
                   "content": {"shape": [2], "dtype": "int32"}},
            "objs": {"type": "x.Sequence", "content": {"length": null, "feature": {
                "type": "x.ClassLabel", "content": {"num_classes": 2}}}},
        },
    });
    let between = json!({
        "type": "x.FeaturesDict", "proto_cls": "tensorflow_datasets.FeaturesDict",
        "content": {"features": {
            "id": {"type": "x.Tensor", "proto_cls": "tensorflow_datasets.TensorFeature",
                   "content": "{\"shape\": {\"dimensions\": [\"2\"]}, \"dtype\": \"int32\"}"},
            "objs": {"pythonClassName": "x.Sequence", "sequence": {"length": "-1", "feature": {
                "pythonClassName": "x.ClassLabel", "classLabel": {}}}},
        }},
    });
    assert_eq!(one(new.clone()), one(old));
    assert_eq!(one(new), one(between));
}

#[test]
fn translations_are_texts() {
    let fixed = one(json!({"pythonClassName": "x.Translation", "translation": {"languages": ["fr", "en"]}}));
    let FeatureKind::Dict(parts) = fixed.kind else { panic!() };
    assert_eq!(parts.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["en", "fr"]);
    let variable = one(json!({"pythonClassName": "x.TranslationVariableLanguages",
        "translation": {"languages": ["fr"], "variableLanguagesPerExample": true}}));
    let FeatureKind::Sequence { feature, length: None } = variable.kind else { panic!() };
    assert!(matches!(feature.kind, FeatureKind::Dict(parts) if parts.len() == 2));
}

#[test]
fn an_unknown_class_is_refused_by_path_and_name() {
    let value = json!({"pythonClassName": "x.FeaturesDict", "featuresDict": {"features": {
        "a": {"pythonClassName": "x.FeaturesDict", "featuresDict": {"features": {
            "b": {"pythonClassName": "my.lab.Pose", "tensor": {"dtype": "float32", "shape": {"dimensions": ["7"]}}},
            "c": {"pythonClassName": "my.lab.Odd", "jsonFeature": {"json": "{}"}},
        }}},
    }}});
    let error = Feature::from_json(&value, false).unwrap_err().to_string();
    for part in ["`my.lab.Pose`", "a/b", r#".set("lenient", "true")"#] {
        assert!(error.contains(part), "{error}");
    }
    let FeatureKind::Dict(parts) = Feature::from_json(&value, true).unwrap().kind else { panic!() };
    let FeatureKind::Dict(parts) = &parts[0].1.kind else { panic!() };
    assert_eq!(parts[0].1.kind, tensor(DType::Float32, &[Some(7)], TensorEncoding::None));
    assert_eq!((parts[0].1.class.as_str(), &parts[1].1.kind), ("Pose", &FeatureKind::Unknown));
}

#[test]
fn hostile_json_is_an_error() {
    let mut deep = json!({"pythonClassName": "x.Text", "text": {}});
    for _ in 0..100 {
        deep = json!({"pythonClassName": "x.Sequence", "sequence": {"feature": deep}});
    }
    let tensor = |shape: Value, dtype: &str| json!({"pythonClassName": "x.Tensor", "tensor": {"shape": shape, "dtype": dtype}});
    for bad in [
        json!(null),
        json!([]),
        json!({}),
        deep,
        tensor(json!({"dimensions": ["-2"]}), "int64"),
        tensor(json!({"dimensions": "x"}), "int64"),
        tensor(json!({"dimensions": vec!["1"; 1000]}), "int64"),
        tensor(json!({}), "float7"),
        tensor(json!({}), "resource"),
    ] {
        assert!(Feature::from_json(&bad, true).map(|f| f.kind).is_err() || bad == json!({}), "{bad}");
    }
    assert!(Feature::from_json(&json!({}), false).is_err());
}
