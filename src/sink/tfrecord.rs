//! TFRecord files of `tf.train.Example`, plain or compressed as a whole, one or several shards.
//!
//! What every feature holds stands in a file beside them, in the form that the option `features` reads: for
//! `train.tfrecord`, and for all of its shards, in `train.tfrecord.features.json`.

use std::io::{BufWriter, Write};
use std::path::Path;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use serde_json::{Map, Value};

use super::atomic::{AtomicFile, persist_all, refuse_existing};
use super::{OutputCompression, Sink, SinkOptions};
use crate::encode::example::ExampleEncoder;
use crate::error::{Error, Result};
use crate::input::Place;
use crate::options::Phrase;
use crate::schema::feature::FeatureSpec;

/// What the name of a file of feature specs ends in.
const FEATURES: &str = ".features.json";
/// The file of feature specs in a folder of part files.
const FOLDER_FEATURES: &str = "_features.json";
/// Bytes held back before they are written.
const BUFFER_BYTES: usize = 1 << 18;
/// Files open at a time.
const MAX_SHARDS: usize = 512;

/// Writes records, row by row to the shards in turn.
pub(crate) struct TfRecordSink {
    encoder: ExampleEncoder,
    shards: Vec<Writer>,
    /// What else is of another sharding and to be removed at the end.
    stale: Vec<Place>,
    /// The file of feature specs; none where it is somebody else's to write.
    features: Option<AtomicFile>,
    frame: Vec<u8>,
    rows: usize,
}

impl TfRecordSink {
    /// Begins `path`, or the shards of that name.
    ///
    /// # Errors
    /// A column cannot be stored, an output exists already or cannot be created, or the compression
    /// is none of TFRecord's.
    pub(crate) fn new(place: &Place, schema: &Schema, options: &SinkOptions, alone: bool) -> Result<Self> {
        let codec = Codec::new(place.path(), options)?;
        let encoder = ExampleEncoder::new(schema, &options.encodings)?;
        let mut stale = Vec::new();
        let paths = match options.shards {
            None => vec![place.clone()],
            Some(shards) => {
                if !(1..=MAX_SHARDS).contains(&shards) {
                    return Err(Error::config("number of shards")
                        .expected(format!("1 to {MAX_SHARDS}"), shards.to_string()));
                }
                let paths: Vec<Place> = (0..shards).map(|i| shard_place(place, i, shards)).collect();
                stale = shards_of(place);
                stale.retain(|shard| !paths.contains(shard));
                if let (Some(shard), false) = (stale.first(), options.overwrite) {
                    return Err(Error::config("there are other shards of that name")
                        .in_source(shard.name())
                        .with_hint(Phrase::new("pass {overwrite} to replace them")));
                }
                paths
            }
        };
        let features = place.with_suffix(FEATURES);
        for path in paths.iter().chain(alone.then_some(&features)) {
            refuse_existing(path, options.overwrite)?;
        }
        let open = |place: &Place| {
            let file = AtomicFile::create(place, options.overwrite)?;
            Writer::new(file.with_witness(options.witness.clone()), codec)
        };
        Ok(Self {
            encoder,
            shards: paths.iter().map(open).collect::<Result<_>>()?,
            stale,
            features: alone.then(|| AtomicFile::create(&features, options.overwrite)).transpose()?,
            frame: Vec::new(),
            rows: 0,
        })
    }
}

impl Sink for TfRecordSink {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let Self { encoder, shards, frame, rows, .. } = self;
        let count = shards.len().max(1);
        encoder.encode(batch, frame, &mut |frame| {
            let shard = shards.get_mut(*rows % count);
            *rows += 1;
            let written = shard.map_or(Ok(()), |shard| shard.write_all(frame));
            frame.clear();
            written.map_err(cannot_write)
        })
    }

    fn finish(self: Box<Self>) -> Result<u64> {
        let mut whole = Vec::with_capacity(self.shards.len() + 1);
        // Whoever finds the records finds what they hold.
        if let Some(mut features) = self.features {
            features.write_all(features_text(self.encoder.features()).as_bytes()).map_err(cannot_write)?;
            whole.push(features);
        }
        for shard in self.shards {
            whole.push(shard.finish()?);
        }
        persist_all(whole, &self.stale)
    }
}

/// Writes what the features of part files in `folder` hold to `_features.json`.
///
/// # Errors
/// A column cannot be stored, or the file cannot be written.
pub(crate) fn put_folder_features(folder: &Place, schema: &Schema, options: &SinkOptions) -> Result<()> {
    let encoder = ExampleEncoder::new(schema, &options.encodings)?;
    let mut file = AtomicFile::create(&folder.join(FOLDER_FEATURES), true)?;
    file.write_all(features_text(encoder.features()).as_bytes()).map_err(cannot_write)?;
    file.persist()?;
    Ok(())
}

/// The specs as a JSON object with a member a feature.
fn features_text<'a>(specs: impl Iterator<Item = &'a FeatureSpec>) -> String {
    let members = specs.map(|spec| (spec.name.clone(), Value::String(spec.to_string())));
    format!("{:#}\n", Value::Object(members.collect::<Map<_, _>>()))
}

fn cannot_write(error: std::io::Error) -> Error {
    Error::io("cannot write output", error)
}

/// The name of `path` up to its extensions, and these: `train` and `.tfrecord.gz`.
fn split_name(path: &Path) -> (String, String) {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let lower = name.to_ascii_lowercase();
    let ends = [".tfrecord.gz", ".tfrecords.gz", ".tfrecord", ".tfrecords"];
    let extension = ends.into_iter().find(|end| lower.ends_with(end)).map_or(0, str::len);
    let (stem, extension) = name.split_at_checked(name.len() - extension).unwrap_or((&name, ""));
    (stem.to_owned(), extension.to_owned())
}

/// `train-00000-of-00004.tfrecord` for `train.tfrecord`.
fn shard_place(place: &Place, index: usize, shards: usize) -> Place {
    let (stem, extension) = split_name(place.path());
    place.beside(&format!("{stem}-{index:05}-of-{shards:05}{extension}"))
}

/// The shards of `path` that there are, of any number.
fn shards_of(place: &Place) -> Vec<Place> {
    let (stem, extension) = split_name(place.path());
    let is_shard = |name: &str| {
        let numbers = name
            .strip_prefix(&stem)
            .and_then(|rest| rest.strip_suffix(&extension))
            .and_then(|rest| rest.strip_prefix('-'))
            .and_then(|rest| rest.split_once("-of-"));
        let is_number = |text: &str| text.len() >= 5 && text.bytes().all(|byte| byte.is_ascii_digit());
        numbers.is_some_and(|(index, count)| is_number(index) && is_number(count))
    };
    let entries = place.parent().list().unwrap_or_default().into_iter();
    let names = entries.map(|(entry, _)| entry.file_name());
    // As they are listed, by name.
    names.filter(|name| is_shard(name)).map(|name| place.beside(&name)).collect()
}

/// How a file is compressed as a whole.
#[derive(Debug, Clone, Copy)]
enum Codec {
    None,
    #[cfg(feature = "gzip")]
    Gzip(flate2::Compression),
    #[cfg(feature = "gzip")]
    Zlib(flate2::Compression),
}

impl Codec {
    fn new(path: &Path, options: &SinkOptions) -> Result<Self> {
        let named_gz = path.extension().is_some_and(|end| end.eq_ignore_ascii_case("gz"));
        #[cfg(feature = "gzip")]
        let level = |level: Option<i32>| match level.map(u32::try_from) {
            None => Ok(flate2::Compression::default()),
            Some(Ok(level @ 0..=9)) => Ok(flate2::Compression::new(level)),
            Some(_) => Err(Error::config("no such level of compression").expected("0 to 9", "another")),
        };
        match options.compression {
            Some(OutputCompression::None) if named_gz => {
                Err(Error::config("the output's name ends in .gz").expected("gzip", "no compression"))
            }
            None if !named_gz => Ok(Codec::None),
            Some(OutputCompression::None) => Ok(Codec::None),
            Some(OutputCompression::Zlib(_)) if named_gz => {
                Err(Error::config("the output's name ends in .gz").expected("gzip", "zlib"))
            }
            #[cfg(feature = "gzip")]
            None => Ok(Codec::Gzip(level(None)?)),
            #[cfg(feature = "gzip")]
            Some(OutputCompression::Gzip(n)) => Ok(Codec::Gzip(level(n)?)),
            #[cfg(feature = "gzip")]
            Some(OutputCompression::Zlib(n)) => Ok(Codec::Zlib(level(n)?)),
            #[cfg(not(feature = "gzip"))]
            None | Some(OutputCompression::Gzip(_) | OutputCompression::Zlib(_)) => {
                Err(Error::unsupported("GZIP output").with_hint("build tfarrow with the feature `gzip`"))
            }
            Some(other) => Err(Error::config("compression not possible in TFRecord files")
                .expected("none, gzip[:LEVEL] or zlib[:LEVEL]", other.to_string())),
        }
    }
}

/// A file that records are written to.
enum Writer {
    Plain(BufWriter<AtomicFile>),
    #[cfg(feature = "gzip")]
    Gzip(flate2::write::GzEncoder<BufWriter<AtomicFile>>),
    #[cfg(feature = "gzip")]
    Zlib(flate2::write::ZlibEncoder<BufWriter<AtomicFile>>),
}

impl Writer {
    fn new(file: AtomicFile, codec: Codec) -> Result<Self> {
        let file = BufWriter::with_capacity(BUFFER_BYTES, file);
        Ok(match codec {
            Codec::None => Writer::Plain(file),
            #[cfg(feature = "gzip")]
            Codec::Gzip(level) => {
                // As zlib writes it, and so TensorFlow.
                const UNIX: u8 = 3;
                Writer::Gzip(flate2::GzBuilder::new().operating_system(UNIX).write(file, level))
            }
            #[cfg(feature = "gzip")]
            Codec::Zlib(level) => Writer::Zlib(flate2::write::ZlibEncoder::new(file, level)),
        })
    }

    fn write_all(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match self {
            Writer::Plain(file) => file.write_all(bytes),
            #[cfg(feature = "gzip")]
            Writer::Gzip(file) => file.write_all(bytes),
            #[cfg(feature = "gzip")]
            Writer::Zlib(file) => file.write_all(bytes),
        }
    }

    /// Ends what is written; the file has yet to get its name.
    fn finish(self) -> Result<AtomicFile> {
        let whole = |file: BufWriter<AtomicFile>| file.into_inner().map_err(|e| cannot_write(e.into_error()));
        match self {
            Writer::Plain(file) => whole(file),
            #[cfg(feature = "gzip")]
            Writer::Gzip(file) => whole(file.finish().map_err(cannot_write)?),
            #[cfg(feature = "gzip")]
            Writer::Zlib(file) => whole(file.finish().map_err(cannot_write)?),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{
        Array, ArrayRef, BinaryArray, BooleanArray, FixedSizeListArray, Float16Array, Float32Array,
        Float64Array, Int8Array, Int32Array, Int64Array, ListArray, StringArray, UInt8Array, UInt64Array,
    };
    use arrow::buffer::{NullBuffer, OffsetBuffer};
    use arrow::compute::concat_batches;
    use arrow::datatypes::{DataType, Field};
    use half::f16;
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::reader::ReaderBuilder;
    use crate::schema::feature::Encoding;
    use crate::schema::features_file::parse_features;
    use crate::sink::open_sink;
    use crate::tensor::extension::item;

    fn write(path: &Path, batch: &RecordBatch, options: &SinkOptions) -> Result<u64> {
        let mut sink = open_sink(path, &batch.schema(), options)?;
        // In two parts, of which the second is a slice.
        let half = batch.num_rows() / 2;
        sink.write(&batch.slice(0, half))?;
        sink.write(&batch.slice(half, batch.num_rows() - half))?;
        sink.finish()
    }

    /// What our own reader makes of the records with the specs beside them.
    fn read(inputs: &[String], features: &Path) -> RecordBatch {
        let specs = parse_features(&std::fs::read_to_string(features).unwrap()).unwrap();
        let reader = ReaderBuilder::new(inputs.to_vec()).with_features(specs).build().unwrap();
        let schema = reader.source().schema();
        let batches: Vec<_> = reader.map(|batch| batch.unwrap()).collect();
        concat_batches(&schema, &batches).unwrap()
    }

    fn round_trip(batch: &RecordBatch, options: &SinkOptions) -> RecordBatch {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.tfrecord");
        write(&path, batch, options).unwrap();
        read(&[path.to_str().unwrap().to_owned()], &folder.path().join("x.tfrecord.features.json"))
    }

    /// The columns of `batch` in the order in which records are read.
    fn columns(batch: &RecordBatch) -> Vec<(String, DataType, ArrayRef)> {
        let schema = batch.schema();
        let fields = schema.fields().iter().zip(batch.columns());
        let mut columns: Vec<_> =
            fields.map(|(f, array)| (f.name().clone(), f.data_type().clone(), array.clone())).collect();
        columns.sort_by(|a, b| a.0.cmp(&b.0));
        columns
    }

    fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
        let fields = columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        RecordBatch::try_new(schema, columns.into_iter().map(|(_, array)| array).collect()).unwrap()
    }

    fn list(values: ArrayRef, lengths: &[Option<usize>]) -> ArrayRef {
        let offsets = OffsetBuffer::from_lengths(lengths.iter().map(|n| n.unwrap_or(0)));
        let nulls = NullBuffer::from_iter(lengths.iter().map(Option::is_some));
        Arc::new(ListArray::new(item(values.data_type().clone()), offsets, values, Some(nulls)))
    }

    fn fixed(values: ArrayRef, size: i32, valid: &[bool]) -> ArrayRef {
        let nulls = NullBuffer::from(valid.to_vec());
        Arc::new(FixedSizeListArray::new(item(values.data_type().clone()), size, values, Some(nulls)))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn records_are_read_back_as_the_rows_they_were(
            rows in vec(
                (any::<Option<i64>>(), any::<Option<bool>>(), any::<Option<i8>>(), any::<Option<f32>>(),
                 any::<Option<i64>>(), any::<Option<u16>>(), any::<Option<String>>(),
                 proptest::option::of(vec(any::<u8>(), 0..5)), proptest::option::of(vec(any::<i32>(), 0..4))),
                0..9),
            tensors in vec((any::<bool>(), any::<[u8; 6]>(), any::<[f32; 2]>(), any::<[f64; 2]>()), 9),
        ) {
            // The one NaN that widening keeps.
            let number = |bits: u16| Some(f16::from_bits(bits)).filter(|v| !v.is_nan()).unwrap_or(f16::NAN);
            let count = rows.len();
            let of = |f: &dyn Fn(usize) -> Option<i64>| (0..count).map(f).collect::<Int64Array>();
            let valid: Vec<bool> = tensors.iter().take(count).map(|t| t.0).collect();
            let lists: Vec<Option<usize>> = rows.iter().map(|r| r.8.as_ref().map(Vec::len)).collect();
            let ints: Vec<i32> = rows.iter().flat_map(|r| r.8.clone().unwrap_or_default()).collect();
            let bytes: Vec<u8> = tensors.iter().take(count).flat_map(|t| t.1).collect();
            let floats: Vec<f32> = tensors.iter().take(count).flat_map(|t| t.2).collect();
            let doubles: Vec<f64> = tensors.iter().take(count).flat_map(|t| t.3).collect();
            let texts: Vec<String> = (0..2 * count).map(|i| format!("é{i}")).collect();
            let first = batch(vec![
                ("z", Arc::new(of(&|i| rows[i].0))),
                ("bool", Arc::new(rows.iter().map(|r| r.1).collect::<BooleanArray>())),
                ("int8", Arc::new(rows.iter().map(|r| r.2).collect::<Int8Array>())),
                ("float", Arc::new(rows.iter().map(|r| r.3).collect::<Float32Array>())),
                ("uint64", Arc::new(
                    rows.iter().map(|r| r.4.map(|v| v.unsigned_abs() >> 1)).collect::<UInt64Array>())),
                ("half", Arc::new(rows.iter().map(|r| r.5.map(number)).collect::<Float16Array>())),
                ("text", Arc::new(rows.iter().map(|r| r.6.clone()).collect::<StringArray>())),
                ("bytes", Arc::new(rows.iter().map(|r| r.7.clone()).collect::<BinaryArray>())),
                ("list", list(Arc::new(Int32Array::from(ints)), &lists)),
                ("image", fixed(Arc::new(UInt8Array::from(bytes)), 6, &valid)),
                ("vector", fixed(Arc::new(Float32Array::from(floats)), 2, &valid)),
                ("pair", fixed(Arc::new(Float64Array::from(doubles)), 2, &valid)),
                ("words", fixed(Arc::new(StringArray::from(texts)), 2, &valid)),
            ]);
            for encoding in [Encoding::Raw, Encoding::Tensor] {
                let mut encodings = vec![("pair".to_owned(), encoding), ("vector".to_owned(), encoding)];
                if encoding == Encoding::Tensor {
                    encodings.extend(["list", "words", "text", "z", "half"].map(|n| (n.to_owned(), encoding)));
                }
                let options = SinkOptions { encodings, ..Default::default() };
                let after = round_trip(&first, &options);
                for (before, after) in columns(&first).iter().zip(columns(&after)) {
                    prop_assert_eq!((&before.0, &before.1), (&after.0, &after.1));
                    prop_assert!(before.2.as_ref() == after.2.as_ref(), "{}: {:?} {:?}", before.0, before.2, after.2);
                }
            }
        }
    }

    fn saved(name: &str) -> ReaderBuilder {
        ReaderBuilder::new([format!("tests/golden/saved/{name}/data")])
    }

    fn batch_of(builder: &ReaderBuilder) -> RecordBatch {
        let source = builder.build_source().unwrap();
        let batches: Vec<_> = builder.build().unwrap().map(|batch| batch.unwrap()).collect();
        concat_batches(&source.schema(), &batches).unwrap()
    }

    /// Everything that TensorFlow saves and a feature can hold comes back as it was: dtype, shape and
    /// values.
    #[test]
    fn what_tensorflow_saved_comes_back() {
        let mut held = 0;
        let mut folders: Vec<_> =
            std::fs::read_dir("tests/golden/saved").unwrap().map(|e| e.unwrap().file_name()).collect();
        folders.sort();
        for folder in folders {
            let name = folder.to_str().unwrap();
            let Ok(source) = saved(name).build_source() else { continue };
            let before = batch_of(&saved(name));
            let wide = source.element_spec().components().into_iter().filter_map(|(path, spec)| {
                let text = spec.to_json().to_string();
                (text.contains("float64") || text.contains("uint64")).then_some((path, Encoding::Raw))
            });
            let options = SinkOptions { encodings: wide.collect(), ..Default::default() };
            if let Err(error) = ExampleEncoder::new(&before.schema(), &options.encodings) {
                let text = error.to_string();
                let known = ["lists of lists", "sparse", "structure", "raw", "rank", "vary"];
                assert!(known.iter().any(|word| text.contains(word)), "{name}: {text}");
                continue;
            }
            let after = round_trip(&before, &options);
            let (before, after) = (columns(&before), columns(&after));
            assert_eq!(format!("{before:?}"), format!("{after:?}"), "{name}");
            held += 1;
        }
        assert!(held > 30, "{held}");
    }

    #[test]
    fn what_a_feature_cannot_hold_is_refused_with_a_way_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.tfrecord");
        let refused = |array: ArrayRef, parts: &[&str]| {
            let error = write(&path, &batch(vec![("x", array)]), &SinkOptions::default()).unwrap_err();
            let text = error.to_string();
            assert!(parts.iter().all(|part| text.contains(part)), "{text}");
            assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        };
        refused(Arc::new(Float64Array::from(vec![1.0])), &["float64", "column `x`", "x=float32", "x=raw"]);
        refused(
            Arc::new(UInt64Array::from(vec![1, 2, 1 << 63, 4])),
            &["9223372036854775808", "row 2", "column `x`", "x=tensor"],
        );
        let inner = list(Arc::new(Int32Array::from(vec![1])), &[Some(1)]);
        refused(list(inner, &[Some(1)]), &["lists of lists", "column `x`", "with_exclude", "saved"]);
        refused(
            list(Arc::new(Int64Array::from(vec![Some(1), None])), &[Some(0), Some(2)]),
            &["null within a list", "row 1", "column `x`"],
        );
        let options = SinkOptions { encodings: vec![("y".to_owned(), Encoding::Raw)], ..Default::default() };
        let one = batch(vec![("x", Arc::new(Int64Array::from(vec![1])))]);
        assert!(write(&path, &one, &options).unwrap_err().to_string().contains("no column `y`"));
        // Bits of uint64 can be kept.
        let options = SinkOptions { encodings: vec![("x".to_owned(), Encoding::Raw)], ..Default::default() };
        let large = batch(vec![("x", Arc::new(UInt64Array::from(vec![None, Some(u64::MAX)])))]);
        assert_eq!(columns(&round_trip(&large, &options)), columns(&large));
    }

    #[cfg(feature = "gzip")]
    #[test]
    fn compressions_and_shards() {
        let numbers = batch(vec![("x", Arc::new((0..10).map(Some).collect::<Int64Array>()))]);
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let arg = |name: &str| at(name).to_str().unwrap().to_owned();
        let zlib = Some(OutputCompression::Zlib(Some(1)));
        for (name, compression, magic) in [
            ("a.tfrecord.gz", None, &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0][..]),
            ("b.tfrecord", zlib, &[0x78, 0x01]),
        ] {
            write(&at(name), &numbers, &SinkOptions { compression, ..Default::default() }).unwrap();
            assert!(std::fs::read(at(name)).unwrap().starts_with(magic), "{name}");
            let after = read(&[arg(name)], &at(&format!("{name}.features.json")));
            assert_eq!(columns(&after), columns(&numbers), "{name}");
        }
        let lz4 = SinkOptions { compression: Some(OutputCompression::Lz4), ..Default::default() };
        assert!(write(&at("c.tfrecord"), &numbers, &lz4).unwrap_err().to_string().contains("lz4"));
        let shards =
            |shards, overwrite| SinkOptions { shards: Some(shards), overwrite, ..Default::default() };
        write(&at("s.tfrecord"), &numbers, &shards(3, false)).unwrap();
        let after = read(&[arg("s-*-of-*.tfrecord")], &at("s.tfrecord.features.json"));
        let dealt: Int64Array = [0, 3, 6, 9, 1, 4, 7, 2, 5, 8].into_iter().map(Some).collect();
        assert_eq!(after.column(0).as_ref(), &dealt as &dyn Array);
        // Shards of another number are never left beside new ones.
        let error = write(&at("s.tfrecord"), &numbers, &shards(2, false)).unwrap_err().to_string();
        assert!(error.contains("s-00000-of-00003.tfrecord") && error.contains("with_overwrite"), "{error}");
        write(&at("s.tfrecord"), &numbers, &shards(2, true)).unwrap();
        assert_eq!(shards_of(&Place::local(at("s.tfrecord"))).len(), 2);
        assert!(!at("s.tfrecord").exists());
    }
}
