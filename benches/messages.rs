//! What reading records of a protobuf message costs, beside prost's generated code and Arrow's
//! builders: CPU time of one thread, taken in turns, so that a busy machine slows both alike.
//!
//! ```text
//! cargo bench --bench messages                     # figures
//! cargo bench --bench messages -- --keep FOLDER    # and the records, for benches/messages/peers.py
//! ```

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::cast_precision_loss)]

mod common;

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Float32Builder, Float64Builder, Int32Builder, ListArray, ListBuilder,
    RecordBatch, StringBuilder, StructArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field};
use prost::Message;
use tfarrow::{ReaderBuilder, Result};

const ROWS: u64 = 20_000;
const BATCH_ROWS: usize = 1024;
const TURNS: usize = 15;

#[derive(Clone, PartialEq, Message)]
struct Scene {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(double, repeated, tag = "2")]
    seconds: Vec<f64>,
    #[prost(int32, tag = "3")]
    current: i32,
    #[prost(message, repeated, tag = "4")]
    tracks: Vec<Track>,
}

#[derive(Clone, PartialEq, Message)]
struct Track {
    #[prost(int32, tag = "1")]
    id: i32,
    #[prost(int32, tag = "2")]
    kind: i32,
    #[prost(message, repeated, tag = "3")]
    states: Vec<State>,
}

#[derive(Clone, PartialEq, Message)]
struct State {
    #[prost(double, tag = "1")]
    center_x: f64,
    #[prost(double, tag = "2")]
    center_y: f64,
    #[prost(double, tag = "3")]
    center_z: f64,
    #[prost(float, tag = "4")]
    length: f32,
    #[prost(float, tag = "5")]
    width: f32,
    #[prost(float, tag = "6")]
    height: f32,
    #[prost(float, tag = "7")]
    heading: f32,
    #[prost(float, tag = "8")]
    velocity_x: f32,
    #[prost(float, tag = "9")]
    velocity_y: f32,
    #[prost(bool, tag = "10")]
    valid: bool,
}

fn scene(row: u64) -> Scene {
    let at = |a: u64, b: u64| (row * 31 + a * 7 + b) as f64;
    let state = |track: u64, step: u64| State {
        center_x: at(track, step) * 1.01,
        center_y: at(track, step) * 0.99,
        center_z: 1.5 + at(track, 0),
        length: 4.5,
        width: 2.1,
        height: 1.6 + step as f32,
        heading: 0.1 + step as f32,
        velocity_x: 3.0 + step as f32,
        velocity_y: 1.0 + track as f32,
        valid: true,
    };
    let track = |track: u64| Track {
        id: i32::try_from(track * 300 + 5).unwrap(),
        kind: i32::try_from(track % 2 + 1).unwrap(),
        states: (0..7).map(|step| state(track, step)).collect(),
    };
    Scene {
        id: format!("scene-{row:08}"),
        seconds: (0..11).map(|i| f64::from(i) * 0.1 + 0.05).collect(),
        current: 10,
        tracks: (0..2).map(track).collect(),
    }
}

/// The columns of a scene, put together by hand as anybody would.
#[derive(Default)]
struct Builders {
    id: StringBuilder,
    seconds: ListBuilder<Float64Builder>,
    current: Int32Builder,
    tracks: Vec<i32>,
    track_id: Int32Builder,
    kind: Int32Builder,
    states: Vec<i32>,
    doubles: [Float64Builder; 3],
    floats: [Float32Builder; 6],
    valid: BooleanBuilder,
    rows: usize,
}

fn list(offsets: &mut Vec<i32>, items: ArrayRef) -> ArrayRef {
    let item = Arc::new(Field::new("item", items.data_type().clone(), true));
    let offsets = std::iter::once(0).chain(offsets.drain(..)).collect::<Vec<_>>();
    Arc::new(ListArray::new(item, OffsetBuffer::new(offsets.into()), items, None))
}

fn structs(parts: Vec<(&str, ArrayRef)>) -> ArrayRef {
    let (fields, arrays): (Vec<_>, Vec<_>) = parts
        .into_iter()
        .map(|(name, array)| (Field::new(name, array.data_type().clone(), true), array))
        .unzip();
    Arc::new(StructArray::new(fields.into(), arrays, None))
}

impl Builders {
    fn append(&mut self, scene: &Scene) {
        self.id.append_value(&scene.id);
        self.seconds.values().append_slice(&scene.seconds);
        self.seconds.append(true);
        self.current.append_value(scene.current);
        for track in &scene.tracks {
            self.track_id.append_value(track.id);
            self.kind.append_value(track.kind);
            for state in &track.states {
                let doubles = [state.center_x, state.center_y, state.center_z];
                self.doubles.iter_mut().zip(doubles).for_each(|(column, value)| column.append_value(value));
                let floats = [
                    state.length,
                    state.width,
                    state.height,
                    state.heading,
                    state.velocity_x,
                    state.velocity_y,
                ];
                self.floats.iter_mut().zip(floats).for_each(|(column, value)| column.append_value(value));
                self.valid.append_value(state.valid);
            }
            self.states.push(i32::try_from(arrow::array::ArrayBuilder::len(&self.valid)).unwrap());
        }
        self.tracks.push(i32::try_from(arrow::array::ArrayBuilder::len(&self.kind)).unwrap());
        self.rows += 1;
    }

    fn finish(&mut self) -> RecordBatch {
        let names = ["center_x", "center_y", "center_z"];
        let mut parts: Vec<(&str, ArrayRef)> = Vec::new();
        for (name, column) in names.into_iter().zip(&mut self.doubles) {
            parts.push((name, Arc::new(column.finish())));
        }
        let names = ["length", "width", "height", "heading", "velocity_x", "velocity_y"];
        for (name, column) in names.into_iter().zip(&mut self.floats) {
            parts.push((name, Arc::new(column.finish())));
        }
        parts.push(("valid", Arc::new(self.valid.finish())));
        let states = list(&mut self.states, structs(parts));
        let tracks = structs(vec![
            ("id", Arc::new(self.track_id.finish())),
            ("kind", Arc::new(self.kind.finish())),
            ("states", states),
        ]);
        let tracks = list(&mut self.tracks, tracks);
        self.rows = 0;
        RecordBatch::try_from_iter_with_nullable([
            ("id", Arc::new(self.id.finish()) as ArrayRef, true),
            ("seconds", Arc::new(self.seconds.finish()), true),
            ("current", Arc::new(self.current.finish()), true),
            ("tracks", tracks, true),
        ])
        .unwrap()
    }
}

fn with_prost(records: &[Vec<u8>]) -> Vec<RecordBatch> {
    let mut builders = Builders::default();
    let mut batches = Vec::new();
    for record in records {
        builders.append(&Scene::decode(record.as_slice()).unwrap());
        if builders.rows == BATCH_ROWS {
            batches.push(builders.finish());
        }
    }
    batches.push(builders.finish());
    batches
}

fn with_tfarrow(file: &bytes::Bytes, columns: &[&str]) -> Result<Vec<RecordBatch>> {
    let mut builder = ReaderBuilder::from_bytes(file.clone())
        .with_proto(concat!(env!("CARGO_MANIFEST_DIR"), "/benches/messages/scene.proto"))
        .with_message("bench.Scene")
        .with_check_crc(false)
        .with_batch_rows(BATCH_ROWS);
    if !columns.is_empty() {
        builder = builder.with_columns(columns.iter().copied());
    }
    builder.build()?.collect()
}

/// CPU seconds of this thread.
fn cpu() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the time is written to a place of ours.
    #[allow(unsafe_code)]
    unsafe {
        libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time)
    };
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds.get(seconds.len() / 2).copied().unwrap_or(f64::NAN)
}

fn main() {
    let records: Vec<Vec<u8>> = (0..ROWS).map(|row| scene(row).encode_to_vec()).collect();
    let mut file = Vec::new();
    records.iter().for_each(|record| common::frame(&mut file, record));
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|argument| argument == "--keep") {
        let folder = std::path::Path::new(arguments.get(at + 1).expect("--keep FOLDER"));
        std::fs::create_dir_all(folder).unwrap();
        std::fs::write(folder.join("scenes.tfrecord"), &file).unwrap();
    }
    let file = bytes::Bytes::from(file);
    let ours = with_tfarrow(&file, &[]).unwrap();
    let theirs = with_prost(&records);
    for (ours, theirs) in ours.iter().zip(&theirs) {
        let typed = |batch: &RecordBatch| batch.columns().iter().map(|c| c.to_data()).collect::<Vec<_>>();
        assert_eq!(ours.num_rows(), theirs.num_rows());
        for (ours, theirs) in typed(ours).iter().zip(&typed(theirs)) {
            // Names and values; metadata says where they are from.
            assert_eq!(plain(ours.data_type()), plain(theirs.data_type()));
        }
        assert_eq!(ours.column(0), theirs.column(0));
        assert_eq!(ours.column(1), theirs.column(1));
    }
    let bytes: usize = records.iter().map(Vec::len).sum();
    let mut seconds: [Vec<f64>; 4] = Default::default();
    for _ in 0..TURNS {
        let turns: [&dyn Fn(); 4] = [
            &|| drop(with_tfarrow(&file, &[]).unwrap()),
            &|| drop(with_prost(&records)),
            &|| records.iter().for_each(|record| drop(Scene::decode(record.as_slice()).unwrap())),
            &|| drop(with_tfarrow(&file, &["tracks/states/center_x"]).unwrap()),
        ];
        for (seconds, turn) in seconds.iter_mut().zip(turns) {
            let before = cpu();
            turn();
            seconds.push(cpu() - before);
        }
    }
    println!(
        "{} records of {} bytes, CPU time of one thread, median of {TURNS}",
        records.len(),
        bytes / records.len()
    );
    let names = ["tfarrow", "prost + builders", "prost alone", "tfarrow, 1 column"];
    for (name, seconds) in names.into_iter().zip(seconds) {
        let seconds = median(seconds);
        let nanos = seconds * 1e9 / records.len() as f64;
        println!("{name:18} {nanos:6.0} ns a record, {:6.0} MB/s", bytes as f64 / seconds / 1e6);
    }
}

/// A type without the metadata of its fields.
fn plain(data_type: &DataType) -> DataType {
    let bare = |field: &Field| Field::new(field.name(), plain(field.data_type()), true);
    match data_type {
        DataType::List(item) => DataType::List(Arc::new(bare(item))),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(|field| bare(field)).collect()),
        other => other.clone(),
    }
}
