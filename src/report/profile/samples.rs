//! Rows chosen by chance: to show, to look for equal ones among, and for their images.

use std::collections::{BTreeMap, HashMap, HashSet};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Field, Int32Type, Int64Type, Schema, UInt8Type};

use super::classes::Classes;
use super::media::{self, Found};
use super::random::{Reservoir, hash, mix};
use crate::error::Result;
use crate::report::rows::{Room, value_to_text};

/// Rows that are shown.
const ROWS: usize = 100;
/// Values that are hashed, at most, to look for equal rows; and rows.
const HASHED_VALUES: usize = 1 << 21;
const HASHED_ROWS: usize = 4096;
/// Columns whose images are shown, classes, images of each class, images where there is no class.
const IMAGE_COLUMNS: usize = 8;
const CLASSES: usize = 20;
/// A column of more different values than these is not one of classes.
const MANY_CLASSES: usize = 100;
/// Numbers of classes that are looked up.
const KNOWN_CLASSES: usize = 4096;
const IMAGES_OF_A_CLASS: usize = 6;
const IMAGES: usize = 48;
/// Bytes of an image that is kept to be shown, where one column holds images, and a share of it where there are
/// more; of one that stands in a row.
const IMAGE_BYTES: usize = 1 << 20;
const SMALL_IMAGE_BYTES: usize = 1500;
/// How much of a value is shown.
const ROOM: Room = Room { value: 200, nested: 240 };
/// Columns of a row that are shown.
const COLUMNS: usize = 40;

/// A row that is shown.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SampleRow {
    /// Its number, from 0.
    pub row: u64,
    /// The values of its first columns as text.
    pub cells: Vec<String>,
    /// Small encoded images among these, by column.
    pub(crate) images: BTreeMap<usize, ImageData>,
}

/// The images of a column, chosen by chance.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ImageGrid {
    /// The column, as the path to it.
    pub column: String,
    /// Whether they are in order of their classes.
    pub by_class: bool,
    /// The images.
    pub images: Vec<SampleImage>,
}

/// An image that was chosen.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SampleImage {
    /// The number of its row.
    pub row: u64,
    /// Its class, where there is one.
    pub class: Option<String>,
    pub(crate) data: ImageData,
}

/// An image as it was found.
#[derive(Debug, Clone)]
pub(crate) enum ImageData {
    Encoded {
        bytes: Vec<u8>,
        mime: &'static str,
        width: u32,
        height: u32,
    },
    /// Rows of pixels of so many channels.
    Pixels {
        bytes: Vec<u8>,
        width: u32,
        height: u32,
        channels: u8,
    },
    /// Too many bytes to keep.
    Large,
    /// What is in the place of an image.
    Other {
        bytes: u64,
    },
}

/// Where images are: columns, fields and items on the way.
struct Place {
    name: String,
    path: Vec<usize>,
    kind: PlaceKind,
}

#[derive(Clone, Copy, PartialEq)]
enum PlaceKind {
    /// Bytes, which are images by what TFDS says or by their content.
    Encoded {
        certain: bool,
    },
    Pixels {
        width: u32,
        height: u32,
        channels: u8,
    },
}

/// What a class is called by.
#[derive(Debug, Clone)]
pub(super) struct ClassColumn {
    pub(super) column: usize,
    names: Option<Classes>,
}

/// The column that says which class a row is of: the first whose classes have names, or that is
/// called as such columns are.
pub(super) fn class_column(schema: &Schema) -> Option<ClassColumn> {
    const CALLED: [&str; 8] =
        ["label", "class", "category", "target", "y", "class_label", "digit", "species"];
    let fields = || schema.fields().iter().enumerate();
    let is_class = |field: &Field| {
        let kind = field.data_type();
        kind.is_integer() || matches!(kind, DataType::Utf8 | DataType::Boolean | DataType::Dictionary(..))
    };
    let named = fields().find(|(_, field)| is_class(field) && Classes::of(field).is_some());
    let called = || {
        fields().find(|(_, field)| {
            let last = field.name().rsplit('/').next().unwrap_or_default().to_lowercase();
            is_class(field) && CALLED.contains(&last.as_str())
        })
    };
    named.or_else(called).map(|(column, field)| ClassColumn { column, names: Classes::of(field) })
}

impl ClassColumn {
    /// The class of a row.
    fn of(&self, batch: &RecordBatch, row: usize) -> Option<String> {
        let column = batch.columns().get(self.column)?;
        if column.is_null(row) {
            return None;
        }
        if let Some(number) = self.number(batch, row) {
            let name = self.names.as_ref().and_then(|names| names.name(number));
            return Some(name.map_or_else(|| number.to_string(), ToOwned::to_owned));
        }
        value_to_text(column, row, Room { value: 60, nested: 60 }).ok()
    }

    /// The number of a row's class, where classes have numbers and the row one.
    fn number(&self, batch: &RecordBatch, row: usize) -> Option<i64> {
        let column = batch.columns().get(self.column).filter(|column| column.is_valid(row))?;
        let int64 = column.as_primitive_opt::<Int64Type>().map(|numbers| numbers.value(row));
        int64.or_else(|| column.as_primitive_opt::<Int32Type>().map(|numbers| i64::from(numbers.value(row))))
    }
}

/// Chooses rows.
pub(super) struct Sampler {
    seen: u64,
    rows: Reservoir<SampleRow>,
    hashes: Reservoir<u64>,
    class: Option<ClassColumn>,
    /// The first classes, in the order in which they came; none of a row without one.
    classes: Vec<Option<String>>,
    /// Where classes with numbers stand among these, if they do.
    by_number: HashMap<i64, Option<usize>>,
    /// All classes, as long as they are not many.
    names: HashSet<Option<String>>,
    places: Vec<Place>,
    /// For each place, the images of each of the classes.
    grids: Vec<Vec<Reservoir<SampleImage>>>,
    /// For each place, images of any class, where there are such.
    any: Vec<Reservoir<SampleImage>>,
    looked: bool,
}

impl Sampler {
    pub(super) fn new(schema: &Schema) -> Self {
        let mut places = Vec::new();
        for (index, field) in schema.fields().iter().enumerate() {
            find_places(field, field.name(), &[index], &mut places);
        }
        let hashed = (HASHED_VALUES / schema.fields().len().max(1)).clamp(64, HASHED_ROWS);
        Self {
            seen: 0,
            rows: Reservoir::new(ROWS, 1),
            hashes: Reservoir::new(hashed, 2),
            class: class_column(schema),
            classes: Vec::new(),
            by_number: HashMap::new(),
            names: HashSet::new(),
            places,
            grids: Vec::new(),
            any: Vec::new(),
            looked: false,
        }
    }

    /// # Errors
    /// A value cannot be displayed.
    pub(super) fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        if !self.looked && batch.num_rows() > 0 {
            self.looked = true;
            self.places.retain(|place| holds_images(place, batch));
            self.places.truncate(IMAGE_COLUMNS);
            self.grids = self.places.iter().map(|_| Vec::new()).collect();
            self.any = self.places.iter().map(|_| Reservoir::new(IMAGES, 3)).collect();
        }
        let first = self.seen;
        let mut failed = None;
        self.rows.offer(batch.num_rows(), |at| {
            sample_row(batch, at, first + at as u64).unwrap_or_else(|error| {
                failed.get_or_insert(error);
                SampleRow { row: 0, cells: Vec::new(), images: BTreeMap::new() }
            })
        });
        if let Some(error) = failed {
            return Err(error);
        }
        self.hashes.offer(batch.num_rows(), |at| {
            batch.columns().iter().fold(0, |key, column| mix(key ^ hash_value(column, at)))
        });
        if !self.places.is_empty() {
            (0..batch.num_rows()).for_each(|at| self.add_images(batch, at));
        }
        self.seen += batch.num_rows() as u64;
        Ok(())
    }

    /// Offers the images of a row.
    fn add_images(&mut self, batch: &RecordBatch, at: usize) {
        let row = self.seen + at as u64;
        let most_bytes = IMAGE_BYTES / self.places.len().max(1);
        let image = |of: &Place| image_at(of, batch, at, most_bytes);
        if self.class.is_some() {
            for (of, images) in self.places.iter().zip(&mut self.any) {
                images.offer(1, |_| SampleImage { row, class: None, data: image(of) });
            }
        }
        if self.names.len() > MANY_CLASSES {
            self.grids.iter_mut().for_each(Vec::clear);
            return;
        }
        let Some(place) = self.place_of_class(batch, at) else { return };
        let most = if self.class.is_some() { IMAGES_OF_A_CLASS } else { IMAGES };
        let class = self.classes.get(place).and_then(Option::as_ref);
        for (of, grid) in self.places.iter().zip(&mut self.grids) {
            while grid.len() <= place {
                grid.push(Reservoir::new(most, 3 + grid.len() as u64));
            }
            if let Some(images) = grid.get_mut(place) {
                images.offer(1, |_| SampleImage { row, class: class.cloned(), data: image(of) });
            }
        }
    }

    /// Where the class of a row stands among the first ones.
    fn place_of_class(&mut self, batch: &RecordBatch, row: usize) -> Option<usize> {
        let number = self.class.as_ref().and_then(|class| class.number(batch, row));
        if let Some(place) = number.and_then(|number| self.by_number.get(&number)) {
            return *place;
        }
        let name = self.class.as_ref().and_then(|class| class.of(batch, row));
        if self.names.len() <= MANY_CLASSES {
            self.names.insert(name.clone());
        }
        let mut place = self.classes.iter().position(|class| *class == name);
        if place.is_none() && self.classes.len() < CLASSES {
            place = Some(self.classes.len());
            self.classes.push(name);
        }
        if let Some(number) = number.filter(|_| self.by_number.len() < KNOWN_CLASSES) {
            self.by_number.insert(number, place);
        }
        place
    }

    /// The chosen rows, in order; the images; and of how many rows so many are equal to an earlier
    /// one.
    pub(super) fn finish(self) -> (Vec<SampleRow>, Vec<ImageGrid>, (u64, u64)) {
        let mut rows = self.rows.items;
        rows.sort_by_key(|row| row.row);
        let mut hashes = self.hashes.items;
        let hashed = hashes.len() as u64;
        hashes.sort_unstable();
        hashes.dedup();
        let duplicates = hashed - hashes.len() as u64;
        let many = self.names.len() > MANY_CLASSES;
        let by_class = self.class.is_some() && !many;
        let in_order = |images: Reservoir<SampleImage>| {
            let mut images = images.items;
            images.sort_by_key(|image| image.row);
            images
        };
        let grids = self.places.into_iter().zip(self.grids).zip(self.any).map(|((place, grid), any)| {
            if many {
                return ImageGrid { column: place.name, by_class, images: in_order(any) };
            }
            let mut classes: Vec<_> = self.classes.iter().zip(grid).collect();
            classes.sort_by_key(|(class, _)| *class);
            if let Some(names) = self.class.as_ref().and_then(|class| class.names.as_ref()) {
                let place_of = |class: &Option<String>| class.as_deref().and_then(|name| names.place(name));
                classes.sort_by_key(|(class, _)| (place_of(class).is_none(), place_of(class)));
            } else {
                classes.sort_by_key(|(class, _)| class.as_ref().and_then(|c| c.parse::<i64>().ok()));
            }
            let images = classes.into_iter().flat_map(|(_, images)| in_order(images));
            ImageGrid { column: place.name, by_class, images: images.collect() }
        });
        (rows, grids.collect(), (duplicates, hashed))
    }
}

fn sample_row(batch: &RecordBatch, at: usize, row: u64) -> Result<SampleRow> {
    let mut images = BTreeMap::new();
    let mut cells = Vec::new();
    for (index, column) in batch.columns().iter().enumerate().take(COLUMNS) {
        let bytes = bytes_at(column, at);
        match bytes.and_then(|bytes| Some((bytes, media::find(bytes)?))) {
            Some((bytes, Found::Image { format, mime, width, height })) => {
                cells.push(format!("{format}, {width} × {height}, {} bytes", bytes.len()));
                if bytes.len() <= SMALL_IMAGE_BYTES {
                    images.insert(index, ImageData::Encoded { bytes: bytes.to_vec(), mime, width, height });
                }
            }
            _ => cells.push(value_to_text(column, at, ROOM)?),
        }
    }
    Ok(SampleRow { row, cells, images })
}

fn bytes_at(array: &ArrayRef, row: usize) -> Option<&[u8]> {
    if array.is_null(row) {
        return None;
    }
    match array.data_type() {
        DataType::Binary => Some(array.as_binary_opt::<i32>()?.value(row)),
        DataType::LargeBinary => Some(array.as_binary_opt::<i64>()?.value(row)),
        DataType::BinaryView => Some(array.as_binary_view_opt()?.value(row)),
        _ => None,
    }
}

/// The places in `field` where images may be.
fn find_places(field: &Field, name: &str, path: &[usize], places: &mut Vec<Place>) {
    let feature = field.metadata().get("tfds.feature").map(String::as_str);
    let mut push = |kind| places.push(Place { name: name.to_owned(), path: path.to_vec(), kind });
    let deeper = |index: usize| [path, &[index]].concat();
    match field.data_type() {
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => {
            push(PlaceKind::Encoded { certain: matches!(feature, Some("Image" | "LabeledImage")) });
        }
        DataType::FixedSizeList(item, _) if *item.data_type() == DataType::UInt8 => {
            let shape = field.metadata().get("ARROW:extension:metadata");
            let shape = shape.and_then(|text| serde_json::from_str::<serde_json::Value>(text).ok());
            let dims: Option<Vec<u32>> = shape.as_ref().and_then(|shape| {
                shape.get("shape")?.as_array()?.iter().map(|d| u32::try_from(d.as_u64()?).ok()).collect()
            });
            let (height, width, channels) = match dims.as_deref() {
                Some([height, width]) => (*height, *width, 1),
                Some([height, width, channels @ (1 | 3 | 4)]) => (*height, *width, *channels),
                _ => return,
            };
            let fits = |side: u32| (4..=4096).contains(&side);
            if let (true, true, Ok(channels)) = (fits(height), fits(width), u8::try_from(channels)) {
                push(PlaceKind::Pixels { width, height, channels });
            }
        }
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            find_places(item, name, &deeper(0), places);
        }
        DataType::Struct(fields) => {
            for (index, inner) in fields.iter().enumerate() {
                find_places(inner, &format!("{name}/{}", inner.name()), &deeper(index), places);
            }
        }
        _ => {}
    }
}

/// The array and the row in it where `path` leads from a row: of lists, to the first item.
fn follow(path: &[usize], batch: &RecordBatch, row: usize) -> Option<(ArrayRef, usize)> {
    let (first, rest) = path.split_first()?;
    let (mut array, mut at) = (batch.columns().get(*first)?.clone(), row);
    for step in rest {
        if array.is_null(at) {
            return None;
        }
        (array, at) = match array.data_type() {
            DataType::Struct(_) => (array.as_struct().columns().get(*step)?.clone(), at),
            DataType::List(_) => (array.as_list::<i32>().value(at), 0),
            DataType::LargeList(_) => (array.as_list::<i64>().value(at), 0),
            DataType::FixedSizeList(..) => (array.as_fixed_size_list().value(at), 0),
            _ => return None,
        };
        if at >= array.len() {
            return None;
        }
    }
    (!array.is_null(at)).then_some((array, at))
}

/// Whether there are images at `place` in most of the first rows that hold something there.
fn holds_images(place: &Place, batch: &RecordBatch) -> bool {
    if place.kind != (PlaceKind::Encoded { certain: false }) {
        return true;
    }
    let (mut images, mut others) = (0, 0);
    for row in 0..batch.num_rows().min(64) {
        let Some((array, at)) = follow(&place.path, batch, row) else { continue };
        match bytes_at(&array, at).and_then(media::find) {
            Some(Found::Image { .. }) => images += 1,
            _ => others += 1,
        }
    }
    images > others
}

/// The image of a row, if it takes no more than so many bytes.
fn image_at(place: &Place, batch: &RecordBatch, row: usize, most_bytes: usize) -> ImageData {
    let Some((array, at)) = follow(&place.path, batch, row) else { return ImageData::Other { bytes: 0 } };
    match place.kind {
        PlaceKind::Pixels { width, height, channels } => {
            let list = array.as_fixed_size_list_opt().map(|list| list.value(at));
            match list.as_ref().and_then(|list| list.as_primitive_opt::<UInt8Type>()) {
                Some(pixels) if pixels.len() <= most_bytes => {
                    ImageData::Pixels { bytes: pixels.values().to_vec(), width, height, channels }
                }
                Some(_) => ImageData::Large,
                None => ImageData::Other { bytes: 0 },
            }
        }
        PlaceKind::Encoded { .. } => {
            let bytes = bytes_at(&array, at).unwrap_or_default();
            match media::find(bytes) {
                Some(Found::Image { mime, width, height, .. }) if bytes.len() <= most_bytes => {
                    ImageData::Encoded { bytes: bytes.to_vec(), mime, width, height }
                }
                Some(Found::Image { .. }) => ImageData::Large,
                _ => ImageData::Other { bytes: bytes.len() as u64 },
            }
        }
    }
}

/// A hash of the value at `row`.
fn hash_value(array: &ArrayRef, row: usize) -> u64 {
    if array.is_null(row) {
        return 1;
    }
    let of_list = |values: ArrayRef| -> u64 {
        let data = values.to_data();
        if let (Some(width), 0) = (values.data_type().primitive_width(), values.null_count()) {
            let from = data.offset() * width;
            let bytes = data.buffers().first().and_then(|b| b.get(from..from + values.len() * width));
            return hash(bytes.unwrap_or_default());
        }
        (0..values.len()).fold(2, |key, at| mix(key ^ hash_value(&values, at)))
    };
    match array.data_type() {
        DataType::Utf8 => hash(array.as_string::<i32>().value(row).as_bytes()),
        DataType::LargeUtf8 => hash(array.as_string::<i64>().value(row).as_bytes()),
        DataType::Utf8View => hash(array.as_string_view().value(row).as_bytes()),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => {
            hash(bytes_at(array, row).unwrap_or_default())
        }
        DataType::List(_) => of_list(array.as_list::<i32>().value(row)),
        DataType::LargeList(_) => of_list(array.as_list::<i64>().value(row)),
        DataType::FixedSizeList(..) => of_list(array.as_fixed_size_list().value(row)),
        DataType::Struct(_) => {
            array.as_struct().columns().iter().fold(3, |key, column| mix(key ^ hash_value(column, row)))
        }
        kind if kind.primitive_width().is_some() => of_list(array.slice(row, 1)),
        _ => hash(value_to_text(array, row, ROOM).unwrap_or_default().as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{BinaryArray, Int64Array, StringArray};

    use super::*;

    #[test]
    fn images_are_in_order_of_their_classes_unless_these_are_many() {
        let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x20\0\0\0\x10".as_slice();
        let images: ArrayRef = Arc::new(BinaryArray::from_iter_values((0..1000).map(|_| png)));
        for (classes, texts, expected) in [
            (3, false, (true, 18)),
            (3, true, (true, 18)),
            (100, false, (true, 120)),
            (101, true, (false, 48)),
            (1000, false, (false, 48)),
        ] {
            let numbers = Int64Array::from_iter_values((0..1000).map(|i| i % classes));
            let names = StringArray::from_iter_values((0..1000).map(|i| format!("c{}", i % classes)));
            let labels: ArrayRef = if texts { Arc::new(names) } else { Arc::new(numbers) };
            let batch = RecordBatch::try_from_iter([("image", images.clone()), ("label", labels)]).unwrap();
            let mut sampler = Sampler::new(&batch.schema());
            for at in (0..1000).step_by(250) {
                sampler.add(&batch.slice(at, 250)).unwrap();
            }
            let (_, grids, _) = sampler.finish();
            assert_eq!((grids[0].by_class, grids[0].images.len()), expected, "{classes}");
            assert!(grids[0].images.iter().all(|image| image.class.is_some() == expected.0));
        }
    }

    #[test]
    fn equal_rows_are_found_and_rows_come_in_order() {
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values((0..1000).map(|i| i % 990)));
        let texts: ArrayRef =
            Arc::new(StringArray::from_iter_values((0..1000).map(|i| format!("t{}", i % 990))));
        let batch = RecordBatch::try_from_iter([("n", numbers), ("label", texts)]).unwrap();
        let mut sampler = Sampler::new(&batch.schema());
        sampler.add(&batch).unwrap();
        assert_eq!(sampler.class.as_ref().unwrap().of(&batch, 3), Some("t3".to_owned()));
        let (rows, grids, duplicates) = sampler.finish();
        assert_eq!((rows.len(), grids.len(), duplicates), (ROWS, 0, (10, 1000)));
        assert!(rows.windows(2).all(|pair| pair[0].row < pair[1].row));
        assert!(
            rows.iter().all(|row| row.cells == [(row.row % 990).to_string(), format!("t{}", row.row % 990)])
        );
    }
}
