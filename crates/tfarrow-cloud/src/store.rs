//! A scheme as a store of files.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use object_store::path::Path as Key;
use object_store::{GetOptions, GetRange, ListResult, ObjectMeta, ObjectStoreExt};
use tfarrow_store::{Entry, Hint, ReadAt, Stat, Store, StoreError, Upload};

use crate::bucket::{Bucket, Client};
use crate::failure::{Cause, Failure};
use crate::heads::Heads;
use crate::object::{HEAD_BYTES, Object, Version, stat_of};
use crate::options::{Kind, StoreOptions};
use crate::runtime;
use crate::upload::Writing;

/// Files that are opened at a time.
const OPENINGS: usize = 48;
/// Entries of a listing that is kept, at most.
const KEPT_ENTRIES: usize = 200_000;
/// Objects of a folder, those in folders of it too, that are listed at once. More are listed folder by
/// folder.
const SURVEYED: usize = 1000;
/// What says of a folder what it holds, by how its name ends: it is fetched with the listing.
const NOTES: [&str; 5] = [".json", ".pb", ".metadata", ".index", ".labels.txt"];
/// How many of these, and how large they may be.
const MOST_NOTES: usize = 16;
const NOTE_BYTES: u64 = HEAD_BYTES;

/// All buckets, containers or servers of a scheme.
pub(crate) struct CloudStore {
    kind: Kind,
    scheme: String,
    options: StoreOptions,
    buckets: Mutex<HashMap<String, Arc<Bucket>>>,
    known: Arc<Mutex<Known>>,
}

/// What earlier answers said.
#[derive(Default)]
struct Known {
    /// What lies in folders, by name.
    folders: HashMap<String, Arc<Vec<Entry>>>,
    heads: Heads,
    /// What objects are that were looked at, by name.
    stats: HashMap<String, Stat>,
}

impl fmt::Debug for CloudStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let options = &self.options;
        f.debug_struct("CloudStore")
            .field("scheme", &self.scheme)
            .field("options", options)
            .finish_non_exhaustive()
    }
}

/// A name, taken apart.
struct Named {
    bucket: Arc<Bucket>,
    key: Key,
}

impl Known {
    fn keep_head(&mut self, name: &str, stat: &Stat, head: Bytes) {
        if self.stats.len() < KEPT_ENTRIES || self.stats.contains_key(name) {
            self.stats.insert(name.to_owned(), stat.clone());
        }
        self.heads.keep(name, stat, head);
    }

    /// What an object is that was looked at.
    fn looked_at(&self, name: &str) -> Option<Stat> {
        self.stats.get(name).cloned()
    }

    /// What the listing of the folder around `name` says of it: none if there is no listing.
    fn listed(&self, name: &str) -> Option<Option<Stat>> {
        let (folder, file) = name.rsplit_once('/')?;
        let entries = self.folders.get(folder)?;
        let found = entries.binary_search_by(|entry| entry.name.as_os_str().cmp(file.as_ref()));
        Some(found.ok().and_then(|at| entries.get(at)).map(|entry| entry.stat.clone()))
    }
}

impl CloudStore {
    pub(crate) fn new(kind: Kind, scheme: &str, options: StoreOptions) -> Self {
        Self {
            kind,
            scheme: scheme.to_ascii_lowercase(),
            options,
            buckets: Mutex::default(),
            known: Arc::default(),
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes `name` apart.
    ///
    /// # Errors
    /// It names nothing.
    fn named(&self, name: &str) -> io::Result<Named> {
        if self.kind == Kind::Http {
            // The query belongs to the name, and every name has one of its own.
            let bucket = Arc::new(Bucket::new(self.kind, &self.scheme, name, &self.options));
            return Ok(Named { bucket, key: Key::default() });
        }
        let (place, key) = name.split_once('/').unwrap_or((name, ""));
        if place.is_empty() {
            return Err(invalid("a name without a bucket".to_owned()));
        }
        let key = Key::parse(key.trim_end_matches('/'))
            .map_err(|error| invalid(format!("a key that cannot be one ({error})")))?;
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = buckets
            .entry(place.to_owned())
            .or_insert_with(|| Arc::new(Bucket::new(self.kind, &self.scheme, place, &self.options)));
        Ok(Named { bucket: bucket.clone(), key })
    }

    /// What lies in a folder, in the order of names; asked for once.
    fn listing(&self, folder: &str) -> io::Result<Arc<Vec<Entry>>> {
        if let Some(entries) = self.known().folders.get(folder) {
            return Ok(entries.clone());
        }
        let named = self.named(folder)?;
        let client = named.client()?;
        let key = named.key.clone();
        let listed = runtime::run(async move { list(&client, &key).await })?;
        if listed.as_ref().is_err_and(|failure| named.moved(failure)) {
            return self.listing(folder);
        }
        let entries = Arc::new(listed.map_err(|failure| named.cannot_list(failure))?);
        self.keep(folder, &entries);
        Ok(entries)
    }

    fn keep(&self, folder: &str, entries: &Arc<Vec<Entry>>) {
        if entries.len() <= KEPT_ENTRIES {
            self.known().folders.insert(folder.to_owned(), entries.clone());
        }
    }

    /// Keeps what a survey of `folder` found; says whether there is anything.
    fn keep_survey(&self, folder: &str, survey: Survey) -> bool {
        // There is no empty folder but a bucket.
        if folder.contains('/') && survey.folders.values().all(Vec::is_empty) {
            return false;
        }
        for (inner, entries) in survey.folders {
            let name = if inner.is_empty() { folder.to_owned() } else { format!("{folder}/{inner}") };
            self.keep(&name, &Arc::new(entries));
        }
        let mut known = self.known();
        for (inner, stat, head) in survey.notes {
            known.keep_head(&format!("{folder}/{inner}"), &stat, head);
        }
        true
    }

    /// Looks at the beginning of an object, and whether there is a folder of that name if there is no
    /// object.
    fn look(&self, name: &str) -> io::Result<Stat> {
        let named = self.named(name)?;
        let client = named.client()?;
        let key = named.key.clone();
        let is_web = self.kind == Kind::Http;
        // Mostly names of files have a dot, and names of folders have none.
        let is_folder = !name.rsplit('/').next().unwrap_or_default().contains('.');
        let (head, listed) = runtime::run(async move {
            if is_web {
                return (look(&client, &key).await, None);
            }
            if key.as_ref().is_empty() {
                return (Err(absent()), Some(survey(&client, &key).await));
            }
            if is_folder {
                let (head, listed) = futures_util::join!(look(&client, &key), survey(&client, &key));
                return (head, Some(listed));
            }
            match look(&client, &key).await {
                Err(failure) if failure.status() == Some(404) => {
                    (Err(failure), Some(survey(&client, &key).await))
                }
                head => (head, None),
            }
        })?;
        let failures = [head.as_ref().err(), listed.as_ref().and_then(|listed| listed.as_ref().err())];
        if head.is_err() && failures.into_iter().flatten().any(|failure| named.moved(failure)) {
            return self.look(name);
        }
        match (head, listed) {
            (Ok((stat, head)), _) => {
                self.known().keep_head(name, &stat, head);
                Ok(stat)
            }
            (Err(failure), Some(Ok(survey))) if failure.status() == Some(404) => {
                match self.keep_survey(name, survey) {
                    true => Ok(Stat::folder()),
                    false => Err(named.bucket.error("", failure)),
                }
            }
            (Err(failure), Some(Err(other))) if failure.status() == Some(404) => {
                Err(named.cannot_list(other))
            }
            (Err(failure), _) => Err(named.bucket.error("", failure)),
        }
    }
}

fn absent() -> Failure {
    Failure::once(Cause::Status { status: 404, code: None, message: None, region: None })
}

fn invalid(what: String) -> io::Error {
    StoreError::new(what).of_kind(io::ErrorKind::InvalidInput)
}

impl Named {
    fn client(&self) -> io::Result<Arc<Client>> {
        self.bucket.client().map_err(|what| {
            let error = StoreError::new(what.clone());
            let error = match self.bucket.kind {
                Kind::Az if what.contains("Account must be") => error.with_hint(Hint::option(
                    "set AZURE_STORAGE_ACCOUNT_NAME in the environment, or pass ",
                    "azure_storage_account_name",
                    "NAME",
                    "",
                )),
                _ => error,
            };
            error.of_kind(io::ErrorKind::InvalidInput)
        })
    }

    /// Whether the store said that the bucket is in another region, where it is looked for from now on.
    fn moved(&self, failure: &Failure) -> bool {
        match &failure.cause {
            Cause::Status { region: Some(region), .. } => self.bucket.move_to(region),
            _ => false,
        }
    }

    fn cannot_list(&self, failure: Failure) -> io::Error {
        if self.bucket.kind == Kind::Http {
            let error = StoreError::new(format!("a web server that does not list its files: {failure}"));
            return error
                .with_hint(Hint::Text("name every file".to_owned()))
                .of_kind(io::ErrorKind::Unsupported);
        }
        self.bucket.error("listing it", failure)
    }
}

/// What lies directly below `key`, in the order of names.
async fn list(client: &Client, key: &Key) -> Result<Vec<Entry>, Failure> {
    let ListResult { common_prefixes, objects } =
        client.store.list_with_delimiter(Some(key)).await.map_err(Failure::of)?;
    let mut entries = Vec::with_capacity(common_prefixes.len() + objects.len());
    entries
        .extend(objects.iter().filter_map(|meta| Some(Entry::new(meta.location.filename()?, stat_of(meta)))));
    entries
        .extend(common_prefixes.iter().filter_map(|path| Some(Entry::new(path.filename()?, Stat::folder()))));
    sort(&mut entries);
    Ok(entries)
}

/// What lies in a folder: of each folder in it, by its path there, what lies in that; and what is told of
/// it, by path.
struct Survey {
    folders: BTreeMap<String, Vec<Entry>>,
    notes: Vec<(String, Stat, Bytes)>,
}

/// Lists all that lies below `key`, if that is little, and fetches what tells of it; otherwise what lies
/// directly in it.
async fn survey(client: &Client, key: &Key) -> Result<Survey, Failure> {
    let below = client.store.list(Some(key)).take(SURVEYED).map(|meta| meta.map_err(Failure::of));
    let below: Vec<ObjectMeta> = below.try_collect().await?;
    if below.len() == SURVEYED {
        let folders = [(String::new(), list(client, key).await?)].into();
        return Ok(Survey { folders, notes: Vec::new() });
    }
    let mut folders: BTreeMap<String, Vec<Entry>> = [(String::new(), Vec::new())].into();
    let mut notes = Vec::new();
    let prefix = if key.as_ref().is_empty() { 0 } else { key.as_ref().len() + 1 };
    for meta in &below {
        let Some(path) = meta.location.as_ref().get(prefix..) else { continue };
        let (mut folder, file) = path.rsplit_once('/').unwrap_or(("", path));
        folders.entry(folder.to_owned()).or_default().push(Entry::new(file, stat_of(meta)));
        while !folder.is_empty() {
            let (around, name) = folder.rsplit_once('/').unwrap_or(("", folder));
            folders.entry(around.to_owned()).or_default().push(Entry::new(name, Stat::folder()));
            folder = around;
        }
        if NOTES.iter().any(|end| file.ends_with(end)) && (1..=NOTE_BYTES).contains(&meta.size) {
            notes.push((path.to_owned(), meta));
        }
    }
    for entries in folders.values_mut() {
        sort(entries);
    }
    notes.sort_by_key(|(path, _)| path.matches('/').count());
    notes.truncate(MOST_NOTES);
    let fetched = notes.into_iter().map(async |(path, meta)| {
        // What cannot be fetched now is fetched when it is read, which says why.
        let (stat, head) = look(client, &meta.location).await.ok()?;
        (stat == stat_of(meta) && head.len() as u64 == meta.size).then_some((path, stat, head))
    });
    let notes = futures_util::future::join_all(fetched).await.into_iter().flatten().collect();
    Ok(Survey { folders, notes })
}

/// In the order of names. A folder's name may be that of a file, which comes first.
fn sort(entries: &mut Vec<Entry>) {
    entries.sort_by(|a, b| {
        let is_folder = |entry: &Entry| entry.stat.bytes.is_none();
        a.name.cmp(&b.name).then(is_folder(a).cmp(&is_folder(b)))
    });
    entries.dedup_by(|b, a| a.name == b.name);
}

/// What an object is, and how it begins.
async fn look(client: &Client, key: &Key) -> Result<(Stat, Bytes), Failure> {
    let range = Some(GetRange::Bounded(0..HEAD_BYTES));
    match client.store.get_opts(key, GetOptions { range, ..GetOptions::default() }).await {
        Ok(answer) => {
            let stat = stat_of(&answer.meta);
            // A connection that breaks here is seen again when the object is read.
            let head = answer.bytes().await.unwrap_or_default();
            Ok((stat, head))
        }
        Err(error) => {
            let failure = Failure::of(error);
            // Of an empty object there is no range.
            if failure.status() != Some(416) {
                return Err(failure);
            }
            let options = GetOptions { head: true, ..GetOptions::default() };
            match client.store.get_opts(key, options).await {
                Ok(answer) => Ok((stat_of(&answer.meta), Bytes::new())),
                Err(_) => Err(failure),
            }
        }
    }
}

/// The name of a path, as text without a `/` at its end.
fn text(path: &Path) -> io::Result<&str> {
    let text = path.to_str().ok_or_else(|| invalid("a name that is not UTF-8".to_owned()))?;
    Ok(text.trim_end_matches('/'))
}

impl Store for CloudStore {
    fn list(&self, folder: &Path) -> io::Result<Vec<Entry>> {
        let name = text(folder)?;
        let entries = self.listing(name)?;
        match entries.is_empty() && name.contains('/') {
            true => Err(StoreError::new("nothing lies there").of_kind(io::ErrorKind::NotFound)),
            false => Ok(entries.to_vec()),
        }
    }

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        let name = text(path)?;
        if self.kind == Kind::Http {
            let known = self.known().looked_at(name);
            return known.map_or_else(|| self.look(name), Ok);
        }
        let listed =
            |known: &Known| known.listed(name).map(|stat| stat.ok_or(io::ErrorKind::NotFound.into()));
        if self.known().folders.contains_key(name) {
            return Ok(Stat::folder());
        }
        if let Some(stat) = listed(&self.known()) {
            return stat;
        }
        if let Some(stat) = self.known().looked_at(name) {
            return Ok(stat);
        }
        // In a folder of a folder that was listed, other names will be asked for.
        let around = name.rsplit_once('/').map(|(folder, _)| folder);
        if let Some(folder) = around
            && matches!(self.known().listed(folder), Some(Some(stat)) if stat == Stat::folder())
        {
            self.listing(folder)?;
            if let Some(stat) = listed(&self.known()) {
                return stat;
            }
        }
        self.look(name)
    }

    fn open(&self, path: &Path, known: Option<&Stat>) -> io::Result<Arc<dyn ReadAt>> {
        let name = text(path)?;
        let stat = match known {
            Some(stat) if stat.bytes.is_some() => stat.clone(),
            _ => self.stat(path)?,
        };
        if stat.bytes.is_none() {
            return Err(io::Error::from(io::ErrorKind::IsADirectory));
        }
        let named = self.named(name)?;
        let head = self.known().heads.of(name, &stat);
        let (known, name, of) = (self.known.clone(), name.to_owned(), stat.clone());
        let keep_head = move |head| {
            known.lock().unwrap_or_else(PoisonError::into_inner).keep_head(&name, &of, head);
        };
        let version = Version { bucket: named.bucket, key: named.key, stat };
        Ok(Arc::new(Object::new(version, head, Box::new(keep_head))))
    }

    fn openings(&self) -> usize {
        OPENINGS
    }

    fn create(&self, path: &Path, replace: bool) -> io::Result<Box<dyn Upload>> {
        let named = self.named(text(path)?)?;
        let client = named.client()?;
        if client.multipart.is_none() {
            let error = StoreError::new("a web server is no place to write to");
            let way = Hint::Text("name a file here, or a bucket (s3://, gs://, az://)".to_owned());
            return Err(error.with_hint(way).of_kind(io::ErrorKind::Unsupported));
        }
        Ok(Box::new(Writing::new(named.bucket, client, named.key, replace)))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let named = self.named(text(path)?)?;
        let (client, key) = (named.client()?, named.key.clone());
        let removed = runtime::run(async move { client.store.delete(&key).await.map_err(Failure::of) })?;
        match removed {
            Err(failure) if !failure.is_absence() => Err(named.bucket.error("", failure)),
            _ => Ok(()),
        }
    }

    fn forget(&self) {
        let mut known = self.known();
        *known = Known::default();
    }

    fn has_patterns(&self) -> bool {
        self.kind != Kind::Http
    }
}
