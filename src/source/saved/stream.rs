//! Reads the elements of a shard, one after the other.

use std::sync::Arc;

use super::cache::CacheReader;
use super::layout::{Form, Shard};
use super::legacy::LegacyReader;
use super::payload::Payload;
use crate::error::{Error, ErrorKind, Result};
use crate::input::{Input, Place, Turns};
use crate::source::Progress;
use crate::source::blocks::{BufferPool, Frame, FrameReader};
use crate::tf::dtype::DType;
use crate::tf::tensor_proto::Tensor;
use crate::wire::tfrecord;

/// What reading needs to know of the dataset.
#[derive(Debug, Clone)]
pub(super) struct StreamOptions {
    pub(super) form: Form,
    /// Of a cache, its files without their suffixes.
    pub(super) prefix: Option<Place>,
    /// Stored components an element.
    pub(super) components: usize,
    /// Their dtypes.
    pub(super) dtypes: Vec<DType>,
    pub(super) max_record_bytes: u64,
    /// Whether the CRCs of a cache's values are checked; those of frames are when these are decoded.
    pub(super) check_crc: bool,
    pub(super) pool: Arc<BufferPool>,
    pub(super) progress: Arc<Progress>,
    pub(super) turns: Option<Arc<Turns>>,
}

impl StreamOptions {
    /// An empty payload for such elements.
    pub(super) fn payload(&self) -> Payload {
        match self.form {
            Form::Frames => Payload::frames(self.components),
            Form::Legacy | Form::Cache => Payload::Owned(Vec::new()),
        }
    }
}

/// The elements of one shard, or of shards that elements were dealt to in turn.
pub(super) struct Stream {
    options: StreamOptions,
    inner: Inner,
    /// Whether elements were lost, nobody knows how many.
    lost: bool,
}

enum Inner {
    Files {
        files: std::vec::IntoIter<Input>,
        cache: Option<Place>,
        reader: Option<Reader>,
    },
    /// Elements with their number in front, of which the lowest comes next.
    Dealt {
        readers: Vec<(Stream, Option<(u64, Payload)>)>,
        next: u64,
    },
}

enum Reader {
    Frames(Box<FrameReader>),
    Legacy(Box<LegacyReader>),
    Cache(Box<CacheReader>),
}

impl Stream {
    /// The elements of `shard`.
    pub(super) fn new(shard: &Shard, options: &StreamOptions) -> Self {
        let files = shard.files.clone().into_iter();
        // The files of a cache are read together.
        let cache = options.prefix.clone();
        let inner = Inner::Files { files, cache, reader: None };
        Self { options: options.clone(), inner, lost: false }
    }

    /// The elements that were dealt to `shards`, brought into their order.
    pub(super) fn dealt(shards: &[Shard], options: &StreamOptions) -> Self {
        let readers = shards.iter().map(|shard| (Self::new(shard, options), None)).collect();
        Self { options: options.clone(), inner: Inner::Dealt { readers, next: 0 }, lost: false }
    }

    /// Steps over the next element, and adds it to `out` if there is one. `false` at the end.
    ///
    /// # Errors
    /// The shard cannot be read, is damaged, or ends inside an element.
    pub(super) fn next(&mut self, mut out: Option<&mut Payload>) -> Result<bool> {
        if let Inner::Dealt { readers, next } = &mut self.inner {
            let Some((number, payload)) = lowest(readers, &self.options)? else { return Ok(false) };
            if number != *next {
                return Err(Error::corrupt("elements of the snapshot are missing")
                    .expected(format!("element {next}"), format!("element {number}"))
                    .with_hint("a shard is missing or cut short"));
            }
            *next += 1;
            if let Some(out) = out {
                out.append(&payload);
            }
            return Ok(true);
        }
        loop {
            let Inner::Files { files, cache, reader } = &mut self.inner else { return Ok(false) };
            if let Some(open) = reader {
                let found = match open {
                    Reader::Frames(reader) => {
                        next_frames(reader, self.options.components, out.as_deref_mut())?
                    }
                    Reader::Legacy(reader) => push(reader.next_element()?, out.as_deref_mut()),
                    Reader::Cache(reader) => push(reader.next_element()?, out.as_deref_mut()),
                };
                if found {
                    return Ok(true);
                }
                *reader = None;
            }
            *reader = Some(match (cache.take(), files.next()) {
                (Some(prefix), _) => Reader::Cache(Box::new(CacheReader::open(&prefix, &self.options)?)),
                (None, Some(file)) => open(&file, &self.options)?,
                (None, None) => return Ok(false),
            });
        }
    }
}

impl Stream {
    /// Whether elements were lost, nobody knows how many.
    pub(super) fn has_lost(&self) -> bool {
        self.lost
    }

    /// Goes on after `error`, which [`next`](Self::next) failed with, and gives it back to be told of.
    /// What is damaged counts as one element.
    ///
    /// # Errors
    /// `error`, if it is not known where the next element begins.
    pub(super) fn pass_over(&mut self, error: Error) -> Result<Error> {
        const SEVERAL: &str = "an element has several components, and which one the next sound record is \
            cannot be known: only damage within records can be passed over";
        const DEALT: &str = "the elements of this snapshot were dealt to its shards in turn: none can be \
            passed over where it is read";
        let Inner::Files { reader, .. } = &mut self.inner else {
            return Err(error.or_hint(|| DEALT.into()));
        };
        match reader {
            Some(Reader::Frames(frames)) => {
                if !frames.resync()? {
                    *reader = None;
                } else if self.options.components > 1 {
                    // What is only too long has a better hint already.
                    return Err(match error.kind() {
                        ErrorKind::Limit => error,
                        _ => error.with_hint(SEVERAL),
                    });
                }
                self.lost = true;
            }
            Some(Reader::Cache(cache)) => cache.skip_element(),
            // Its records have nothing by which the next one could be found.
            Some(Reader::Legacy(_)) | None => {
                self.lost = true;
                *reader = None;
            }
        }
        Ok(error)
    }
}

/// Whether a file that is read takes long to read: its compression is undone while reading.
pub(super) fn is_compressed(shard: &Shard, options: &StreamOptions) -> Result<bool> {
    match (options.form, shard.files.first()) {
        (Form::Frames, Some(file)) => {
            let reader = FrameReader::open(file, &options.pool, options.max_record_bytes, &Arc::default())?;
            Ok(reader.compression() != crate::wire::compress::Compression::None)
        }
        _ => Ok(false),
    }
}

fn open(file: &Input, options: &StreamOptions) -> Result<Reader> {
    let file = file.in_turn(options.turns.as_ref());
    Ok(match options.form {
        Form::Legacy => Reader::Legacy(Box::new(LegacyReader::open(&file, options)?)),
        Form::Frames | Form::Cache => Reader::Frames(Box::new(FrameReader::open(
            &file,
            &options.pool,
            options.max_record_bytes,
            &options.progress,
        )?)),
    })
}

fn push(element: Option<super::payload::Owned>, out: Option<&mut Payload>) -> bool {
    let Some(element) = element else { return false };
    if let Some(Payload::Owned(elements)) = out {
        elements.push(Arc::new(element));
    }
    true
}

fn next_frames(reader: &mut FrameReader, components: usize, mut out: Option<&mut Payload>) -> Result<bool> {
    let mut first: Option<Frame> = None;
    for component in 0..components {
        let Some(frame) = reader.next_frame()? else {
            return match first {
                None => Ok(false),
                Some(first) => Err(Error::corrupt("shard ends inside an element")
                    .expected(format!("{components} components"), component.to_string())
                    .at_offset(first.offset)
                    .at_record(first.record.checked_div(components as u64).unwrap_or(0))
                    .in_source(reader.source().clone())),
            };
        };
        first.get_or_insert(frame);
        if let Some(Payload::Frames { runs, .. }) = &mut out
            && !runs.last_mut().is_some_and(|run| reader.extend_run(run, &frame))
        {
            runs.push(reader.begin_run(&frame));
        }
    }
    Ok(components > 0)
}

type Dealt = (Stream, Option<(u64, Payload)>);

/// Takes the element with the lowest number out of `readers`.
fn lowest(readers: &mut [Dealt], options: &StreamOptions) -> Result<Option<(u64, Payload)>> {
    for (stream, head) in readers.iter_mut().filter(|(_, head)| head.is_none()) {
        let mut payload = options.payload();
        if stream.next(Some(&mut payload))? {
            let number = leading_number(&payload)?;
            *head = Some((number, payload));
        }
    }
    let next = readers.iter_mut().filter_map(|(_, head)| {
        let number = head.as_ref()?.0;
        Some((number, head))
    });
    Ok(next.min_by_key(|(number, _)| *number).and_then(|(_, head)| head.take()))
}

/// The number that stands in front of the one element of `payload`.
pub(super) fn leading_number(payload: &Payload) -> Result<u64> {
    let Payload::Frames { runs, .. } = payload else {
        return Err(Error::unsupported("numbered elements in this form"));
    };
    let run = runs.first().ok_or_else(|| Error::corrupt("empty element"))?;
    let bad = |e: Error| e.at_offset(run.offset).in_source(run.source.clone());
    let frame = run.frames().next().unwrap_or_default();
    let record = tfrecord::record_of(frame, false).map_err(|fault| bad(Error::corrupt(fault.to_string())))?;
    let tensor = Tensor::parse(record).map_err(bad)?;
    match (tensor.dims(), tensor.to_i64s().as_deref()) {
        ([], Some([number])) if tensor.dtype() == DType::Int64 => u64::try_from(*number).ok(),
        _ => None,
    }
    .ok_or_else(|| bad(Error::corrupt("element without its number")))
}
