//! Which store the names of a scheme lie in, and how it is reached.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Place, Store};
use crate::error::{Error, Result};
use crate::options::Phrase;
#[cfg(feature = "cloud")]
use crate::options::nearest;

/// The schemes of object stores and web servers, whether this build reaches them or not.
const CLOUD: [&str; 9] = ["s3", "s3a", "gs", "az", "azure", "abfs", "abfss", "http", "https"];

/// The stores of all schemes.
#[derive(Clone, Default)]
pub(crate) struct Stores {
    /// Those that the caller gave, by scheme.
    given: BTreeMap<String, Arc<dyn Store>>,
    /// The keys of the options that were set.
    keys: Vec<String>,
    #[cfg(feature = "cloud")]
    options: tfarrow_cloud::StoreOptions,
    /// Those that were needed so far; builders that are alike have them in common.
    opened: Arc<Mutex<BTreeMap<String, Arc<dyn Store>>>>,
}

impl fmt::Debug for Stores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values may be secrets.
        f.debug_struct("Stores").field("given", &self.given).field("keys", &self.keys).finish_non_exhaustive()
    }
}

impl Stores {
    /// Names of `scheme` lie in `store`.
    pub(crate) fn give(&mut self, scheme: &str, store: Arc<dyn Store>) {
        self.given.insert(scheme.to_ascii_lowercase(), store);
    }

    /// Sets `key` to `value` for the stores that have such a key.
    ///
    /// # Errors
    /// None has; or this build reaches no store.
    #[cfg(feature = "cloud")]
    pub(crate) fn set_option(&mut self, key: &str, value: &str) -> Result<()> {
        if !tfarrow_cloud::is_key(key) {
            let error = Error::config(Phrase::new("no store has a key ").text(format!("`{key}`")));
            let error = match nearest(&key.to_ascii_lowercase(), tfarrow_cloud::known_keys().iter().copied())
            {
                Some(near) => error.with_hint(format!("did you mean `{near}`?")),
                None => error.with_hint("docs/cloud.md lists them"),
            };
            return Err(error);
        }
        self.keys.push(key.to_ascii_lowercase());
        self.options.set(key, value);
        // What was opened was opened without it.
        self.opened = Arc::default();
        Ok(())
    }

    /// Sets `key` to `value`, were there stores.
    ///
    /// # Errors
    /// This build reaches none.
    #[cfg(not(feature = "cloud"))]
    pub(crate) fn set_option(&mut self, _: &str, _: &str) -> Result<()> {
        Err(not_built("object stores cannot be reached by this build".into()))
    }

    /// The store of `scheme`; none if it is none of ours.
    ///
    /// # Errors
    /// There is one, but not in this build.
    pub(crate) fn of(&self, scheme: &str) -> Result<Option<Arc<dyn Store>>> {
        let scheme = scheme.to_ascii_lowercase();
        if let Some(store) = self.given.get(&scheme) {
            return Ok(Some(store.clone()));
        }
        if !CLOUD.contains(&&*scheme) {
            return Ok(None);
        }
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(store) = opened.get(&scheme) {
            return Ok(Some(store.clone()));
        }
        let store = self.open(&scheme)?;
        opened.insert(scheme, store.clone());
        Ok(Some(store))
    }

    /// What `name` names: a path, or what stands behind `scheme://` in a store. It may be a pattern.
    ///
    /// # Errors
    /// There is no store for its scheme.
    pub(crate) fn place(&self, name: &OsStr) -> Result<Place> {
        let Some((scheme, rest)) = name.to_str().and_then(scheme_of) else { return Ok(Place::local(name)) };
        if let Some(store) = self.of(scheme).map_err(|e| e.in_source(shown(&name.to_string_lossy())))? {
            return Ok(Place::new(store, rest.into(), format!("{scheme}://")));
        }
        if scheme.eq_ignore_ascii_case("file") {
            return Ok(Place::local(rest));
        }
        if Place::local(name).stat()?.is_some() {
            return Ok(Place::local(name));
        }
        Err(Error::unsupported(format!("there is no store for `{scheme}://`"))
            .in_source(name.to_string_lossy())
            .with_hint("in Rust, give one for it with `with_store`"))
    }

    /// Refuses keys that `name` does not take.
    ///
    /// # Errors
    /// There is one.
    pub(crate) fn check_name(&self, name: &OsStr) -> Result<()> {
        self.check(name.to_str().and_then(cloud_scheme).into_iter())
    }

    #[cfg(feature = "cloud")]
    fn open(&self, scheme: &str) -> Result<Arc<dyn Store>> {
        tfarrow_cloud::store(scheme, &self.options)
            .ok_or_else(|| Error::unsupported(format!("`{scheme}://` leads to no store")))
    }

    #[cfg(not(feature = "cloud"))]
    fn open(&self, scheme: &str) -> Result<Arc<dyn Store>> {
        Err(not_built(format!("`{scheme}://` cannot be reached by this build").into()))
    }

    /// Refuses keys that none of these schemes takes.
    ///
    /// # Errors
    /// There is one.
    pub(crate) fn check<'a>(&self, schemes: impl Iterator<Item = &'a str>) -> Result<()> {
        let schemes: Vec<&str> = schemes.collect();
        let takes = |key: &str| schemes.iter().any(|scheme| takes_key(scheme, key));
        match self.keys.iter().find(|key| !takes(key)) {
            None => Ok(()),
            Some(_) if !schemes.iter().any(|scheme| CLOUD.contains(scheme)) => {
                let what = Phrase::new("{store}").text(" is for s3://, gs://, az:// and https:// names");
                Err(Error::config(what).with_hint("there is none"))
            }
            Some(key) => {
                let named: Vec<String> = schemes.iter().map(|scheme| format!("{scheme}://")).collect();
                Err(Error::config(format!("`{key}` is no key of {}", named.join(" or "))))
            }
        }
    }
}

/// Whether names of `scheme` take `key`.
#[cfg(feature = "cloud")]
fn takes_key(scheme: &str, key: &str) -> bool {
    tfarrow_cloud::takes_key(scheme, key)
}

#[cfg(not(feature = "cloud"))]
fn takes_key(_: &str, _: &str) -> bool {
    false
}

#[cfg(not(feature = "cloud"))]
fn not_built(what: Phrase) -> Error {
    Error::unsupported(what).with_hint(
        "`cargo install tfarrow -F cloud` brings a build that does, and so does the Python package; or copy the files \
         here",
    )
}

/// The scheme of a URL and what follows on `://`.
fn scheme_of(name: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = name.split_once("://")?;
    let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '.' | '-');
    // One letter is a drive.
    let named = scheme.len() > 1 && scheme.starts_with(|c: char| c.is_ascii_alphabetic());
    (named && scheme.chars().all(valid)).then_some((scheme, rest))
}

/// The scheme of an object store or a web server that `name` begins with, in lower case.
pub(crate) fn cloud_scheme(name: &str) -> Option<&'static str> {
    let (scheme, _) = scheme_of(name)?;
    CLOUD.into_iter().find(|cloud| cloud.eq_ignore_ascii_case(scheme))
}

/// Whether `name` is that of something in an object store or on a web server: `s3://…`, `https://…`.
#[must_use]
pub fn is_url(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| cloud_scheme(name).is_some())
}

/// Whether `name` is reached with the help of `key`, a key of the option `store`.
#[must_use]
pub fn takes_store_key(name: &OsStr, key: &str) -> bool {
    name.to_str().and_then(cloud_scheme).is_some_and(|scheme| takes_key(scheme, key))
}

/// A name as it may be shown: of a URL without what may be secret, a query (the signature of a signed
/// URL is in it) and a password.
#[must_use]
pub fn shown(name: &str) -> Cow<'_, str> {
    let Some(scheme) = cloud_scheme(name) else { return Cow::Borrowed(name) };
    let rest = name.get(scheme.len() + "://".len()..).unwrap_or_default();
    let is_web = matches!(scheme, "http" | "https");
    // Elsewhere a question mark may stand for a letter.
    let query = rest.find('?').filter(|at| {
        let query = rest.get(*at..).unwrap_or_default().to_ascii_lowercase();
        is_web || ["sig=", "signature=", "token="].iter().any(|secret| query.contains(secret))
    });
    let plain = query.and_then(|at| rest.get(..at)).unwrap_or(rest);
    let host_end = plain.find('/').unwrap_or(plain.len());
    let (host, path) = plain.split_at(host_end);
    // In abfss://container@account there is none.
    let host = host.rsplit_once('@').filter(|_| is_web).map_or(host, |(_, host)| host);
    Cow::Owned(format!("{scheme}://{host}{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_of_urls_are_not_shown() {
        for (name, expected) in [
            ("a?b=c", "a?b=c"),
            ("s3://b/a?c", "s3://b/a?c"),
            ("https://h/p/x.parquet?X-Amz-Signature=1&b", "https://h/p/x.parquet"),
            ("HTTPS://user:word@h:1/p", "https://h:1/p"),
            ("https://h", "https://h"),
            ("abfss://c@a.dfs.core.windows.net/p?sv=1&sig=2", "abfss://c@a.dfs.core.windows.net/p"),
        ] {
            assert_eq!(shown(name), expected);
        }
    }

    #[test]
    #[cfg(feature = "cloud")]
    fn a_key_that_no_store_has_is_told_with_the_nearest() {
        let mut stores = Stores::default();
        let error = stores.set_option("aws_endpont", "hush").unwrap_err().to_string();
        assert!(error.contains("aws_endpoint") && !error.contains("hush"), "{error}");
        stores.set_option("AWS_Region", "eu-west-1").unwrap();
        stores.check(["gs", "s3"].into_iter()).unwrap();
        let error = stores.check(["gs"].into_iter()).unwrap_err().to_string();
        assert!(error.contains("`aws_region` is no key of gs://"), "{error}");
        let error = stores.check([].into_iter()).unwrap_err().to_string();
        assert!(error.contains("s3://"), "{error}");
        assert!(!format!("{stores:?}").contains("eu-west-1"));
    }

    #[test]
    fn one_letter_is_a_drive() {
        assert_eq!(scheme_of("C://x"), None);
        assert_eq!(scheme_of("a b://x"), None);
        assert_eq!(scheme_of("s3://x"), Some(("s3", "x")));
    }

    #[test]
    #[cfg(feature = "cloud")]
    fn the_schemes_are_those_that_lead_to_a_store() {
        assert!(tfarrow_cloud::schemes().eq(CLOUD));
    }
}
