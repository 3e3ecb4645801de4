//! Objects that are written: at once if they are small, in parts otherwise. Either way they appear when
//! they are whole.

use std::collections::{HashMap, VecDeque};
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use object_store::multipart::PartId;
use object_store::path::Path as Key;
use object_store::{GetOptions, PutMode, PutOptions, PutPayload};
use tfarrow_store::{StoreError, Upload, Written};
use tokio::task::JoinHandle;

use crate::bucket::{Bucket, Client};
use crate::failure::Failure;
use crate::in_flight::InFlight;
use crate::object::version_of;
use crate::runtime;

/// Bytes of a part. There may be 10,000 parts of an object, which are 60 GiB; those behind
/// [`SMALL_PARTS`] are larger.
const PART_BYTES: usize = 6 << 20;
const SMALL_PARTS: usize = 5_000;
const LARGE_PART_BYTES: usize = 128 << 20;
/// Parts that are sent at a time.
const SENDING: usize = 3;

/// What is written in parts and not whole yet, to be given up when the process ends.
static BEGUN: Mutex<Option<HashMap<u64, Begun>>> = Mutex::new(None);
/// Whether it has been: from then on nothing is begun, and nothing ends.
static ENDED: AtomicBool = AtomicBool::new(false);
static NEXT: AtomicU64 = AtomicU64::new(0);

/// An upload in parts.
#[derive(Clone)]
struct Begun {
    client: Arc<Client>,
    key: Key,
    id: String,
}

impl Begun {
    async fn give_up(self) {
        if let Some(multipart) = &self.client.multipart {
            // There is nobody left to tell; docs/cloud.md says how to find what stayed.
            drop(multipart.abort_multipart(&self.key, &self.id).await);
        }
    }
}

/// Gives up every upload of this process that is not whole, and lets it begin and end no other.
pub fn give_up_uploads() {
    ENDED.store(true, Ordering::SeqCst);
    let begun = BEGUN.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default();
    if begun.is_empty() {
        return;
    }
    drop(runtime::run(async move {
        futures_util::future::join_all(begun.into_values().map(Begun::give_up)).await;
    }));
}

/// An object that is being written.
pub(crate) struct Writing {
    bucket: Arc<Bucket>,
    client: Arc<Client>,
    key: Key,
    replace: bool,
    held: Vec<u8>,
    written: u64,
    parts: Option<Parts>,
}

struct Parts {
    /// Its number among those that were begun.
    number: u64,
    id: String,
    next: usize,
    sending: VecDeque<JoinHandle<Result<PartId, Failure>>>,
    sent: Vec<PartId>,
}

impl Writing {
    pub(crate) fn new(bucket: Arc<Bucket>, client: Arc<Client>, key: Key, replace: bool) -> Self {
        Self { bucket, client, key, replace, held: Vec::new(), written: 0, parts: None }
    }

    fn failed(&self, failure: Failure) -> io::Error {
        self.bucket.error("", failure)
    }

    /// Sends what is held as the next part.
    fn send(&mut self) -> io::Result<()> {
        if self.parts.is_none() {
            self.parts = Some(self.begin()?);
        }
        let payload = PutPayload::from(Bytes::from(std::mem::take(&mut self.held)));
        let (client, key) = (self.client.clone(), self.key.clone());
        let Some(parts) = &mut self.parts else { return Ok(()) };
        let (id, number) = (parts.id.clone(), parts.next);
        parts.next += 1;
        let in_flight = InFlight::always(payload.content_length() as u64);
        parts.sending.push_back(runtime::spawn(async move {
            let _in_flight = in_flight;
            let Some(multipart) = &client.multipart else { return Err(Failure::unable()) };
            multipart.put_part(&key, &id, number, payload).await.map_err(Failure::of)
        })?);
        self.settle(SENDING)
    }

    /// Waits until no more than `most` parts are being sent.
    fn settle(&mut self, most: usize) -> io::Result<()> {
        while let Some(parts) = &mut self.parts
            && parts.sending.len() > most
            && let Some(task) = parts.sending.pop_front()
        {
            match runtime::run(task)? {
                Ok(Ok(part)) => parts.sent.push(part),
                Ok(Err(failure)) => return Err(self.failed(failure)),
                Err(_) => return Err(io::Error::other("the connection's thread ended")),
            }
        }
        Ok(())
    }

    fn begin(&self) -> io::Result<Parts> {
        let (client, key) = (self.client.clone(), self.key.clone());
        let begun = runtime::run(async move {
            let Some(multipart) = &client.multipart else { return Err(Failure::unable()) };
            multipart.create_multipart(&key).await.map_err(Failure::of)
        })?;
        let id = begun.map_err(|failure| self.failed(failure))?;
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let begun = Begun { client: self.client.clone(), key: self.key.clone(), id: id.clone() };
        {
            let mut all = BEGUN.lock().unwrap_or_else(PoisonError::into_inner);
            all.get_or_insert_default().insert(number, begun.clone());
        }
        if ENDED.load(Ordering::SeqCst) {
            runtime::run(begun.give_up())?;
            return Err(ended());
        }
        Ok(Parts { number, id, next: 0, sending: VecDeque::new(), sent: Vec::new() })
    }

    fn part_bytes(&self) -> usize {
        match &self.parts {
            Some(parts) if parts.next >= SMALL_PARTS => LARGE_PART_BYTES,
            _ => PART_BYTES,
        }
    }

    /// Refuses to go on if something has taken the name.
    fn refuse_existing(&self) -> io::Result<()> {
        if self.replace {
            return Ok(());
        }
        let (client, key) = (self.client.clone(), self.key.clone());
        let found = runtime::run(async move {
            let options = GetOptions { head: true, ..GetOptions::default() };
            client.store.get_opts(&key, options).await.map_err(Failure::of)
        })?;
        match found {
            Ok(_) => Err(exists()),
            Err(failure) if failure.status() == Some(404) => Ok(()),
            Err(failure) => Err(self.failed(failure)),
        }
    }

    /// Writes what is held as all there is.
    fn put(&mut self) -> io::Result<Written> {
        let payload = PutPayload::from(Bytes::from(std::mem::take(&mut self.held)));
        let mode = if self.replace { PutMode::Overwrite } else { PutMode::Create };
        let put = |mode: PutMode, payload: PutPayload| {
            let (client, key) = (self.client.clone(), self.key.clone());
            let options = PutOptions { mode, ..PutOptions::default() };
            runtime::run(
                async move { client.store.put_opts(&key, payload, options).await.map_err(Failure::of) },
            )
        };
        let result = match put(mode, payload.clone())? {
            // A store that knows no such condition is asked first.
            Err(failure) if !self.replace && failure.is_unknown_condition() => {
                self.refuse_existing()?;
                put(PutMode::Overwrite, payload)?
            }
            result => result,
        };
        match result {
            Ok(done) => Ok(Written::new(self.written, done.e_tag.map(|tag| tag.trim_matches('"').into()))),
            Err(failure) if !self.replace && matches!(failure.status(), Some(409 | 412)) => Err(exists()),
            Err(failure) => Err(self.failed(failure)),
        }
    }

    /// Puts the parts together.
    fn complete(&mut self) -> io::Result<Written> {
        if !self.held.is_empty() {
            self.send()?;
        }
        self.settle(0)?;
        self.refuse_existing()?;
        let Some(parts) = &mut self.parts else { return Err(ended()) };
        // Whoever ends the process comes before or after.
        let mut all = BEGUN.lock().unwrap_or_else(PoisonError::into_inner);
        if ENDED.load(Ordering::SeqCst) {
            return Err(ended());
        }
        let (client, key, id) = (self.client.clone(), self.key.clone(), parts.id.clone());
        let (sent, number, bytes) = (std::mem::take(&mut parts.sent), parts.number, self.written);
        let done = runtime::run(async move {
            let Some(multipart) = &client.multipart else { return Err(Failure::unable()) };
            let failure = match multipart.complete_multipart(&key, &id, sent).await {
                Ok(done) => return Ok(done.e_tag),
                Err(error) => Failure::of(error),
            };
            // If the answer to an earlier try was lost, the upload is no more, and the object is there.
            if failure.status() == Some(404) {
                let options = GetOptions { head: true, ..GetOptions::default() };
                if let Ok(found) = client.store.get_opts(&key, options).await
                    && found.meta.size == bytes
                {
                    return Ok(version_of(&found.meta));
                }
            }
            Err(failure)
        })?;
        let tag = done.map_err(|failure| self.failed(failure))?;
        if let Some(all) = all.as_mut() {
            all.remove(&number);
        }
        drop(all);
        self.parts = None;
        Ok(Written::new(self.written, tag.map(|tag| tag.trim_matches('"').into())))
    }
}

fn exists() -> io::Error {
    StoreError::new("something of that name is there").of_kind(io::ErrorKind::AlreadyExists)
}

fn ended() -> io::Error {
    StoreError::new("the process ends").of_kind(io::ErrorKind::Other)
}

impl Write for Writing {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let most = self.part_bytes();
        if self.held.capacity() == 0 {
            // A small object needs no more than it is large; that it is none is known after the first part.
            self.held.reserve_exact(if self.parts.is_some() { most } else { buf.len().min(most) });
        }
        let n = buf.len().min(most - self.held.len());
        self.held.extend_from_slice(buf.get(..n).unwrap_or_default());
        self.written += n as u64;
        if self.held.len() >= most {
            self.send()?;
        }
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Upload for Writing {
    fn finish(mut self: Box<Self>) -> io::Result<Written> {
        if self.parts.is_some() { self.complete() } else { self.put() }
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        let Some(parts) = self.parts.take() else { return };
        for task in &parts.sending {
            task.abort();
        }
        let begun = BEGUN
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .as_mut()
            .and_then(|all| all.remove(&parts.number));
        if let Some(begun) = begun {
            drop(runtime::run(begun.give_up()));
        }
    }
}
