use std::path::Path;

use arrow::array::{
    Array, AsArray, DictionaryArray, FixedSizeBinaryArray, Int32Array, LargeListArray, LargeStringArray,
    ListArray, StringViewArray, StructArray, TimestampSecondArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, Fields, Int8Type, Int32Type, Schema};
use arrow_ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};

use super::*;
use crate::options::OnError;
use crate::schema::Projection;
use crate::source::kinds::{self, Found};
use crate::source::report::Report;
use crate::tensor::extension::{EXTENSION_METADATA, FixedShapeTensor, item};
use crate::tf::dtype::DType;
use crate::tf::shape::Shape;

/// A table as other programs write it.
fn foreign() -> RecordBatch {
    let required = |data_type: DataType| Arc::new(Field::new("element", data_type, false));
    let ints = || Arc::new(Int32Array::from(vec![1, 2, 3, 4]));
    let halves = || OffsetBuffer::<i64>::from_lengths([3, 1]);
    let large = LargeListArray::new(required(DataType::Int32), halves(), ints(), None);
    let inner =
        ListArray::new(required(DataType::Int32), OffsetBuffer::from_lengths([1, 2, 1]), ints(), None);
    let nested = ListArray::new(
        required(inner.data_type().clone()),
        OffsetBuffer::from_lengths([2, 1]),
        Arc::new(inner),
        None,
    );
    let tensor = FixedShapeTensor::new(vec![2]).field("tensor", DataType::Int32).unwrap();
    let mut metadata = tensor.metadata().clone();
    metadata.insert(
        EXTENSION_METADATA.to_owned(),
        r#"{"shape":[2],"dim_names":null,"permutations":null}"#.to_owned(),
    );
    let pairs = arrow::array::FixedSizeListArray::new(item(DataType::Int32), 2, ints(), None);
    let members = Fields::from(vec![Field::new("n", DataType::LargeUtf8, false)]);
    let texts = LargeStringArray::from(vec!["a", "é"]);
    let columns: Vec<(Field, arrow::array::ArrayRef)> = vec![
        (
            Field::new("view", DataType::Utf8View, true),
            Arc::new(StringViewArray::from(vec![Some("x"), None])),
        ),
        (Field::new("large", large.data_type().clone(), false), Arc::new(large)),
        (Field::new("nested", nested.data_type().clone(), false), Arc::new(nested)),
        (tensor.with_metadata(metadata), Arc::new(pairs)),
        (
            Field::new("fixed", DataType::FixedSizeBinary(2), true),
            Arc::new(FixedSizeBinaryArray::try_from_iter([b"ab", b"cd"].into_iter()).unwrap()),
        ),
        (
            Field::new_dictionary("word", DataType::Int8, DataType::Utf8, true),
            Arc::new(["p", "q"].into_iter().collect::<DictionaryArray<Int8Type>>()),
        ),
        (
            Field::new("s", DataType::Struct(members.clone()), true),
            Arc::new(StructArray::new(members, vec![Arc::new(texts)], None)),
        ),
        (
            Field::new("when", DataType::Timestamp(arrow::datatypes::TimeUnit::Second, None), true),
            Arc::new(TimestampSecondArray::from(vec![1, 2])),
        ),
    ];
    let (fields, arrays): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
    let metadata = [("pandas".to_owned(), "{}".to_owned())].into();
    RecordBatch::try_new(Arc::new(Schema::new_with_metadata(fields, metadata)), arrays).unwrap()
}

fn write(path: &Path, batches: &[RecordBatch]) {
    let file = std::fs::File::create(path).unwrap();
    let schema = batches[0].schema();
    match path.extension().unwrap().to_str().unwrap() {
        "arrow" => {
            let mut writer = FileWriter::try_new(file, &schema).unwrap();
            batches.iter().for_each(|batch| writer.write(batch).unwrap());
            writer.finish().unwrap();
        }
        "lz4" => {
            let options = IpcWriteOptions::default()
                .try_with_compression(Some(arrow_ipc::CompressionType::LZ4_FRAME))
                .unwrap();
            let mut writer = FileWriter::try_new_with_options(file, &schema, options).unwrap();
            batches.iter().for_each(|batch| writer.write(batch).unwrap());
            writer.finish().unwrap();
        }
        "arrows" => {
            let mut writer = StreamWriter::try_new(file, &schema).unwrap();
            batches.iter().for_each(|batch| writer.write(batch).unwrap());
            writer.finish().unwrap();
        }
        #[cfg(feature = "parquet")]
        "parquet" => {
            let mut writer = ::parquet::arrow::ArrowWriter::try_new(file, schema, None).unwrap();
            batches.iter().for_each(|batch| {
                writer.write(batch).unwrap();
                writer.flush().unwrap();
            });
            writer.close().unwrap();
        }
        other => panic!("{other}"),
    }
}

const EXTENSIONS: &[&str] = if cfg!(feature = "parquet") {
    &["arrow", "arrows", "lz4", "parquet"]
} else {
    &["arrow", "arrows", "lz4"]
};

/// Opens files that are tables, whichever.
fn open_files(inputs: &[Input], options: &OpenOptions) -> Result<TableSource> {
    let Found::Files(found, _) = kinds::files(inputs, false)? else { panic!("no files") };
    let kinds = [Kind::IpcFile, Kind::IpcStream, Kind::Parquet];
    let kind = kinds.into_iter().find(|kind| kind.name() == found.name);
    open(inputs, kind.ok_or_else(|| Error::corrupt("no table"))?, options)
}

fn open_one(path: &Path, options: &OpenOptions) -> Result<TableSource> {
    open_files(&[Input::local(path)], options)
}

fn read(source: &TableSource, options: &ReadOptions) -> Result<Vec<RecordBatch>> {
    let mut units = source.units(0..source.partitions().len(), options)?;
    let mut batches = Vec::new();
    crate::source::drain(units.as_mut(), &mut |decoded| {
        match decoded {
            Decoded::Batch(batch) => batches.push(batch),
            Decoded::Failure(failure) => options.report.add(failure, options.on_error)?,
            Decoded::NulledValue(failure) => options.report.add_value(failure)?,
            Decoded::EndOfPart => {}
        }
        Ok(())
    })?;
    Ok(batches)
}

#[test]
fn tensors_of_others_become_ours_and_the_rest_stays() {
    let folder = tempfile::tempdir().unwrap();
    for extension in EXTENSIONS {
        let path = folder.path().join("x").with_extension(extension);
        write(&path, &[foreign(), foreign()]);
        let source = open_one(&path, &OpenOptions::default()).unwrap();
        assert_eq!(source.cardinality(), Cardinality::Known(4), "{extension}");
        let list = |data_type: DataType| DataType::List(item(data_type));
        let text = DataType::Struct(vec![Field::new("n", DataType::Utf8, true)].into());
        let expected = [
            ("view", DataType::Utf8),
            ("large", list(DataType::Int32)),
            ("nested", list(list(DataType::Int32))),
            ("tensor", DataType::FixedSizeList(item(DataType::Int32), 2)),
            ("fixed", DataType::FixedSizeBinary(2)),
            ("word", DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Utf8))),
            ("s", text),
            ("when", DataType::Timestamp(arrow::datatypes::TimeUnit::Second, None)),
        ];
        let schema = source.schema();
        assert_eq!(schema.fields().len(), expected.len());
        for (field, (name, data_type)) in schema.fields().iter().zip(expected) {
            assert_eq!((field.name().as_str(), field.data_type()), (name, &data_type), "{extension}");
            assert!(field.is_nullable());
        }
        // Members that other readers refuse are gone.
        assert_eq!(schema.field(3).metadata()[EXTENSION_METADATA], r#"{"shape":[2]}"#, "{extension}");
        assert_eq!(schema.metadata()["pandas"], "{}");
        let ElementSpec::Dict(parts) = source.element_spec() else { panic!() };
        let spec = |name: &str| parts.iter().find(|(n, _)| n == name).unwrap().1.clone();
        assert_eq!(spec("tensor"), ElementSpec::tensor(DType::Int32, Shape::known(&[2])));
        assert_eq!(spec("large"), ElementSpec::tensor(DType::Int32, Shape::Dims(vec![None])));
        assert_eq!(spec("word"), ElementSpec::tensor(DType::String, Shape::scalar()));
        assert_eq!(spec("fixed"), ElementSpec::tensor(DType::String, Shape::scalar()));
        assert!(parts.iter().all(|(name, _)| name != "when"), "a time is no tensor");
        assert!(matches!(spec("nested"), ElementSpec::Ragged { ragged_rank: 1, .. }));
        let batches = read(&source, &ReadOptions::default()).unwrap();
        assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 4);
        let large = batches[0].column(1).as_list::<i32>();
        assert_eq!(large.value(0).as_primitive::<Int32Type>().values(), &[1, 2, 3]);
        assert!(batches[0].column(0).is_null(1));
        assert_eq!(batches[0].column(6).as_struct().column(0).as_string::<i32>().value(1), "é");
    }
}

#[test]
fn only_the_columns_asked_for_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let projection = Projection { columns: Some(vec!["fixed".into(), "large".into()]), exclude: Vec::new() };
    for extension in EXTENSIONS {
        let path = folder.path().join("x").with_extension(extension);
        write(&path, &[foreign()]);
        let mut options = OpenOptions { projection: projection.clone(), ..OpenOptions::default() };
        options.mapping.rename = vec![("large".to_owned(), "l".to_owned())];
        let source = open_one(&path, &options).unwrap();
        let batches = read(&source, &ReadOptions::default()).unwrap();
        let schema = batches[0].schema();
        assert_eq!(schema.fields().iter().map(|f| f.name().as_str()).collect::<Vec<_>>(), ["fixed", "l"]);
        assert_eq!(batches[0].column(0).as_fixed_size_binary().value(1), b"cd");
        assert_eq!(batches[0].column(1).as_list::<i32>().value(1).len(), 1);
    }
}

#[test]
fn what_does_not_fit_together_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| Input::local(folder.path().join(name));
    let columns = |names: &[usize]| foreign().project(names).unwrap();
    write(&folder.path().join("a.arrow"), &[columns(&[0, 1])]);
    write(&folder.path().join("b.arrow"), &[columns(&[0, 4])]);
    write(&folder.path().join("c.arrows"), &[columns(&[0, 1])]);
    std::fs::write(folder.path().join("d.arrow"), b"FEA1....").unwrap();
    let error = |names: &[&str], options: &OpenOptions| {
        let inputs: Vec<_> = names.iter().map(|name| file(name)).collect();
        open_files(&inputs, options).unwrap_err().to_string()
    };
    let all = OpenOptions::default();
    let text = error(&["a.arrow", "b.arrow"], &all);
    assert!(text.contains("b.arrow") && text.contains("`fixed`"), "{text}");
    assert!(error(&["a.arrow", "c.arrows"], &all).contains("different kinds"));
    assert!(error(&["d.arrow"], &all).contains("Feather file of version 1"));
    let permuted = FixedShapeTensor { permutation: Some(vec![1, 0]), ..FixedShapeTensor::new(vec![1, 2]) };
    let field = permuted.field("t", DataType::Int32).unwrap();
    let column = foreign().column(3).clone();
    let batch = RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![column]).unwrap();
    write(&folder.path().join("e.arrow"), std::slice::from_ref(&batch));
    let source = open_one(&folder.path().join("e.arrow"), &all).unwrap();
    assert_eq!(source.schema().field(0).metadata(), batch.schema().field(0).metadata());
    let refused = crate::schema::from_arrow::element_spec(&source.schema()).unwrap_err().to_string();
    assert!(refused.contains("permuted") && refused.contains("with_exclude"), "{refused}");
}

#[test]
fn damage_is_an_error_or_passed_over_but_never_a_panic() {
    let folder = tempfile::tempdir().unwrap();
    for extension in EXTENSIONS {
        let path = folder.path().join("x").with_extension(extension);
        write(&path, &[foreign(), foreign(), foreign()].map(|batch| batch.project(&[0, 1, 4, 5]).unwrap()));
        let whole = std::fs::read(&path).unwrap();
        let mut seen = 0;
        let step = (whole.len() / 120).max(1);
        for at in (0..whole.len()).step_by(step) {
            for change in [0x01, 0x80] {
                let mut bytes = whole.clone();
                bytes[at] ^= change;
                std::fs::write(&path, &bytes).unwrap();
                let Ok(source) = open_files(&[Input::local(&path)], &OpenOptions::default()) else {
                    seen += 1;
                    continue;
                };
                let report = Arc::new(Report::default());
                let skip =
                    ReadOptions { on_error: OnError::Skip, report: report.clone(), ..ReadOptions::default() };
                let failed = read(&source, &ReadOptions::default()).is_err();
                if read(&source, &skip).is_ok() {
                    assert_eq!(!failed, report.is_clean(), "{extension}, byte {at}");
                }
                seen += usize::from(failed);
            }
        }
        assert!(seen > 20, "{extension}: {seen}");
        // What is cut short is never a shorter table; a stream may end after any batch.
        for end in (12..whole.len() - 1).step_by(step) {
            std::fs::write(&path, &whole[..end]).unwrap();
            let source = open_one(&path, &OpenOptions::default());
            match source {
                Ok(source) => assert!(*extension == "arrows" && source.rows() % 2 == 0, "{extension}, {end}"),
                Err(error) => assert!(error.is_data(), "{extension}, {end}: {error}"),
            }
        }
    }
}

#[test]
fn a_small_batch_cannot_ask_for_much_memory() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.lz4");
    let zeros = Arc::new(Int32Array::from(vec![0; 100_000]));
    let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int32, true)]));
    write(&path, &[RecordBatch::try_new(schema, vec![zeros]).unwrap()]);
    let tight = OpenOptions { max_record_bytes: 10_000, ..OpenOptions::default() };
    let error = read(&open_one(&path, &tight).unwrap(), &ReadOptions::default()).unwrap_err().to_string();
    assert!(error.contains("400000") && error.contains("with_max_record_bytes"), "{error}");
}
