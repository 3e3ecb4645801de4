//! Decoders of messages, as the engine of records drives them.

use std::sync::Arc;

use crate::column::elwc::ElwcDecoder;
use crate::column::event::EventDecoder;
use crate::column::message::MessageDecoder;
use crate::error::Result;
use crate::options::OnError;
use crate::source::records::{Emit, Failed, RowDecoder};

impl RowDecoder for MessageDecoder {
    fn append(&mut self, record: &[u8], _: u64) -> Result<()> {
        MessageDecoder::append(self, record)
    }

    fn rollback(&mut self) {
        MessageDecoder::rollback(self);
    }

    fn push_null(&mut self) -> Result<()> {
        MessageDecoder::push_null(self);
        Ok(())
    }

    fn finish(&mut self, _: OnError, _: Failed<'_>, emit: Emit<'_>) -> Result<Option<usize>> {
        if self.rows() > 0 {
            emit(MessageDecoder::finish(self)?)?;
        }
        Ok(None)
    }

    fn is_full(&mut self, bytes: usize) -> bool {
        MessageDecoder::is_full(self, bytes)
    }
}

impl RowDecoder for ElwcDecoder {
    fn append(&mut self, record: &[u8], _: u64) -> Result<()> {
        ElwcDecoder::append(self, record)
    }

    fn rollback(&mut self) {
        ElwcDecoder::rollback(self);
    }

    fn push_null(&mut self) -> Result<()> {
        ElwcDecoder::push_null(self)
    }

    fn finish(&mut self, _: OnError, _: Failed<'_>, emit: Emit<'_>) -> Result<Option<usize>> {
        let batch = ElwcDecoder::finish(self)?;
        if batch.num_rows() > 0 {
            emit(batch)?;
        }
        Ok(None)
    }

    fn is_full(&mut self, bytes: usize) -> bool {
        ElwcDecoder::is_full(self, bytes)
    }
}

impl RowDecoder for EventDecoder {
    fn begin_run(&mut self, source: &Arc<str>) {
        self.begin_file(source);
    }

    fn append(&mut self, record: &[u8], _: u64) -> Result<()> {
        EventDecoder::append(self, record)
    }

    /// Nothing of a record that fails is appended.
    fn rollback(&mut self) {}

    fn push_null(&mut self) -> Result<()> {
        EventDecoder::push_null(self);
        Ok(())
    }

    fn finish(&mut self, _: OnError, _: Failed<'_>, emit: Emit<'_>) -> Result<Option<usize>> {
        let batch = EventDecoder::finish(self)?;
        if batch.num_rows() > 0 {
            emit(batch)?;
        }
        Ok(None)
    }

    fn is_full(&mut self, bytes: usize) -> bool {
        EventDecoder::is_full(self, bytes)
    }
}
