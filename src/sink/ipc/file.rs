//! Arrow IPC files with dictionaries. A file has one of each for all of its batches, and arrow-ipc
//! refuses a batch whose dictionary is another.
//!
//! Here it grows, and is written before the first batch and, where it grew, once more after the last
//! one: the footer names the dictionaries that count, and readers of files begin with these.

use std::io::Write;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow_ipc::convert::IpcSchemaEncoder;
use arrow_ipc::writer::{
    DictionaryTracker, EncodedData, IpcDataGenerator, IpcWriteContext, IpcWriteOptions, write_message,
};
use arrow_ipc::{self as ipc, Block, FooterBuilder, MetadataVersion};
use flatbuffers::FlatBufferBuilder;

use crate::error::{Error, Result};
use crate::sink::dictionaries::Dictionaries;

/// The magic bytes at both ends.
const MAGIC: &[u8] = b"ARROW1";
/// The first message begins at a multiple of this, as all others do.
const ALIGNMENT: usize = 64;
/// The end of the messages.
const END: [u8; 8] = [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];

/// Writes an IPC file whose columns have dictionaries.
pub(super) struct DictionaryFileWriter<W: Write> {
    output: W,
    /// Bytes written.
    written: usize,
    schema: SchemaRef,
    options: IpcWriteOptions,
    generator: IpcDataGenerator,
    context: IpcWriteContext,
    tracker: DictionaryTracker,
    dictionaries: Dictionaries,
    /// The dictionaries in the file, and whether there are values that they do not have.
    dictionary_blocks: Vec<Block>,
    grown: bool,
    batch_blocks: Vec<Block>,
    /// A batch without rows that has every dictionary as it is now.
    latest: Option<RecordBatch>,
}

impl<W: Write> DictionaryFileWriter<W> {
    /// Begins a file of batches of `schema`.
    ///
    /// # Errors
    /// The output cannot be written.
    pub(super) fn new(output: W, schema: &Schema, options: IpcWriteOptions) -> Result<Self> {
        let mut writer = Self {
            output,
            written: 0,
            schema: SchemaRef::new(schema.clone()),
            options,
            generator: IpcDataGenerator::default(),
            context: IpcWriteContext::default(),
            tracker: DictionaryTracker::new(false),
            dictionaries: Dictionaries::default(),
            dictionary_blocks: Vec::new(),
            grown: false,
            batch_blocks: Vec::new(),
            latest: None,
        };
        let mut begin = MAGIC.to_vec();
        begin.resize(ALIGNMENT, 0);
        writer.put(&begin)?;
        let schema = writer.generator.schema_to_bytes_with_dictionary_tracker(
            schema,
            &mut writer.tracker,
            &writer.options,
        );
        writer.message(schema)?;
        Ok(writer)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.output.write_all(bytes).map_err(cannot_write)?;
        self.written += bytes.len();
        Ok(())
    }

    fn message(&mut self, message: EncodedData) -> Result<Block> {
        let (metadata, body) = write_message(&mut self.output, message, &self.options)?;
        let too_large = || Error::limit("a message too large for an Arrow IPC file");
        let offset = i64::try_from(self.written).map_err(|_| too_large())?;
        let length = i32::try_from(metadata).map_err(|_| too_large())?;
        self.written += metadata + body;
        Ok(Block::new(offset, length, i64::try_from(body).map_err(|_| too_large())?))
    }

    /// Writes a batch.
    ///
    /// # Errors
    /// A dictionary has more values than its keys can count, or the output cannot be written.
    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let batch = self.dictionaries.unify(batch)?;
        let (dictionaries, message) =
            self.generator.encode(&batch, &mut self.tracker, &self.options, &mut self.context)?;
        if self.batch_blocks.is_empty() {
            for dictionary in dictionaries {
                let block = self.message(dictionary)?;
                self.dictionary_blocks.push(block);
            }
        } else {
            self.grown |= !dictionaries.is_empty();
        }
        let block = self.message(message)?;
        self.batch_blocks.push(block);
        self.latest = Some(batch.slice(0, 0));
        Ok(())
    }

    /// Ends the file and returns the output.
    ///
    /// # Errors
    /// The output cannot be written.
    pub(super) fn finish(mut self) -> Result<W> {
        if let (true, Some(latest)) = (self.grown, self.latest.take()) {
            // The same numbers as before, and nothing written yet.
            let mut tracker = DictionaryTracker::new(false);
            self.generator.schema_to_bytes_with_dictionary_tracker(&self.schema, &mut tracker, &self.options);
            let (dictionaries, _) =
                self.generator.encode(&latest, &mut tracker, &self.options, &mut self.context)?;
            self.dictionary_blocks.clear();
            for dictionary in dictionaries {
                let block = self.message(dictionary)?;
                self.dictionary_blocks.push(block);
            }
        }
        self.put(&END)?;
        let footer = self.footer();
        let length = i32::try_from(footer.len());
        let length = length.map_err(|_| Error::limit("a footer too large for an Arrow IPC file"))?;
        self.put(&footer)?;
        self.put(&length.to_le_bytes())?;
        self.put(MAGIC)?;
        self.output.flush().map_err(cannot_write)?;
        Ok(self.output)
    }

    fn footer(&self) -> Vec<u8> {
        let mut builder = FlatBufferBuilder::new();
        let dictionaries = builder.create_vector(&self.dictionary_blocks);
        let batches = builder.create_vector(&self.batch_blocks);
        let mut tracker = DictionaryTracker::new(false);
        let schema = IpcSchemaEncoder::new()
            .with_dictionary_tracker(&mut tracker)
            .schema_to_fb_offset(&mut builder, &self.schema);
        let mut footer = FooterBuilder::new(&mut builder);
        footer.add_version(MetadataVersion::V5);
        footer.add_schema(schema);
        footer.add_dictionaries(dictionaries);
        footer.add_recordBatches(batches);
        let footer: flatbuffers::WIPOffset<ipc::Footer<'_>> = footer.finish();
        builder.finish(footer, None);
        builder.finished_data().to_vec()
    }
}

fn cannot_write(error: std::io::Error) -> Error {
    Error::io("cannot write output", error)
}
