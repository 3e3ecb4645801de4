//! Pipeline folders.

use std::io::Read;
use std::path::{Component, Path};
use std::sync::Arc;

use serde_json::Value;

use super::runner::Fed;
use super::{LiveSource, Pipeline, Runtime, library, tensor};
use crate::error::{Error, Result};
use crate::input::Place;
use crate::source::live::{ELEMENT_SPEC, GRAPH};
use crate::source::options::OpenOptions;
use crate::source::{InputFile, Source};
use crate::tf::dtype::DType;
use crate::tf::graph_def;
use crate::tf::spec::ElementSpec;

/// Constants that stand beside the graph: `[{"node", "file", "dtype", "shape"}]`.
const CONSTANTS: &str = "constants.json";
/// Protobuf's own limit.
const MAX_GRAPH_BYTES: u64 = (1 << 31) - 1;
const MAX_JSON_BYTES: u64 = 64 << 20;

/// Opens the pipeline folder `path`.
///
/// # Errors
/// A file in it cannot be read or is damaged, or an option does not fit the element spec. That
/// libtensorflow is missing is told when reading begins.
pub(crate) fn open_pipeline(path: &Place, options: &OpenOptions) -> Result<Arc<dyn Source>> {
    let name = path.name().to_string();
    let open = || -> Result<LiveSource> {
        let spec = read_json(&path.join(ELEMENT_SPEC))?;
        let element_spec =
            ElementSpec::from_json(&spec).map_err(|e| e.in_source(path.join(ELEMENT_SPEC).name()))?;
        let graph = read_capped(&path.join(GRAPH), MAX_GRAPH_BYTES)?;
        let output = graph_def::dataset_output(&graph).map_err(|e| e.in_source(path.join(GRAPH).name()))?;
        let runtime = Runtime { library: options.libtensorflow.clone(), threads: options.tensorflow_threads };
        let feeds = read_constants(path, &runtime)?;
        let feeds = Arc::new(feeds);
        let inputs = [GRAPH, ELEMENT_SPEC].map(|file| InputFile::of(&path.join(file).input(None))).into();
        let pipeline =
            Pipeline { name: name.clone(), graph, output, feeds, model: None, element_spec, inputs };
        LiveSource::new(pipeline, runtime, options)
    };
    Ok(Arc::new(open().map_err(|e| e.in_source(name.as_str()))?))
}

pub(super) fn read_capped(path: &Place, most: u64) -> Result<Vec<u8>> {
    path.open(None)?.read_to_end(most)
}

fn read_json(path: &Place) -> Result<Value> {
    serde_json::from_slice(&read_capped(path, MAX_JSON_BYTES)?)
        .map_err(|e| Error::corrupt("invalid JSON").with_cause(e).in_source(path.name()))
}

/// Reads the constants that were exported beside the graph into tensors of TensorFlow's.
fn read_constants(folder: &Place, runtime: &Runtime) -> Result<Vec<Fed>> {
    let list = folder.join(CONSTANTS);
    if !list.is_file() {
        return Ok(Vec::new());
    }
    let bad = |expected: &str| {
        Error::corrupt("invalid list of constants")
            .expected(expected, "something else")
            .in_source(list.name())
    };
    let json = read_json(&list)?;
    let entries = json.as_array().ok_or_else(|| bad("a JSON array"))?;
    if !entries.is_empty() {
        library::ensure(runtime.library.as_deref())?;
    }
    let mut feeds = Vec::new();
    for entry in entries {
        let text = |member: &str| {
            let found = entry.get(member).and_then(Value::as_str);
            found.ok_or_else(|| bad("objects with `node`, `file`, `dtype` and `shape`"))
        };
        let dtype = DType::from_name(text("dtype")?).ok_or_else(|| bad("a dtype"))?;
        let dims = entry.get("shape").and_then(Value::as_array).ok_or_else(|| bad("a list of sizes"))?;
        let dims = dims.iter().map(|d| d.as_u64().ok_or_else(|| bad("a list of sizes")));
        let dims = dims.collect::<Result<Vec<u64>>>()?;
        let file = Path::new(text("file")?);
        // A folder from elsewhere must not make us read what is not in it.
        if !matches!(file.components().collect::<Vec<_>>().as_slice(), [Component::Normal(_)]) {
            return Err(bad("a file name without a folder"));
        }
        feeds.push(Fed {
            name: text("node")?.to_owned(),
            tensor: read_constant(&folder.join(file), dtype, &dims)?,
        });
    }
    Ok(feeds)
}

fn read_constant(path: &Place, dtype: DType, dims: &[u64]) -> Result<Box<dyn tensor::Feed>> {
    let place = |e: Error| e.in_source(path.name());
    let io = |e| place(Error::io("cannot read constant", e));
    let file = path.open(None)?;
    let values = dims.iter().try_fold(1u64, |a, b| a.checked_mul(*b));
    let expected = values.and_then(|n| n.checked_mul(dtype.item_bytes()? as u64));
    let found = file.bytes();
    // Checked before memory is asked for.
    if expected != Some(found) {
        return Err(place(Error::corrupt("constant does not fill its shape").expected(
            expected.map_or_else(|| "a size that fits in 64 bits".to_owned(), |n| format!("{n} bytes")),
            format!("{found} bytes"),
        )));
    }
    let mut file = file.forward(0..found);
    tensor::new_feed(dtype, dims, &mut |out| file.read_exact(out).map_err(io)).map_err(place)
}
