//! A bucket, a container or a web server, and the client that reaches it.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey as S3Key};
use object_store::azure::{AzureConfigKey as AzKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey as GsKey};
use object_store::http::HttpBuilder;
use object_store::multipart::MultipartStore;
use object_store::{ClientConfigKey, ObjectStore, RetryConfig};

use tfarrow_store::Hint;

use url::Url;

use crate::failure::{Cause, Failure, innermost};
use crate::options::{Kind, StoreOptions};
use crate::runtime::PerProcess;
use crate::service::Connector;

/// A client for one bucket, made when it is first used.
pub(crate) struct Bucket {
    pub(crate) kind: Kind,
    /// What stands in a name between `scheme://` and the key: a bucket, or of a web server all of it.
    place: String,
    /// `http` or `https`, and others.
    scheme: String,
    options: StoreOptions,
    /// Where the store says that the bucket is.
    region: Mutex<Option<String>>,
    client: PerProcess<Client>,
}

/// What reaches a bucket.
pub(crate) struct Client {
    pub(crate) store: Box<dyn ObjectStore>,
    /// The same, for objects that are written in parts; a web server takes none.
    pub(crate) multipart: Option<Box<dyn MultipartStore>>,
    /// Whether requests are made without credentials because there were none.
    pub(crate) is_anonymous: bool,
    pub(crate) tries: u32,
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The place may hold a signature, and a client credentials.
        f.debug_struct("Bucket").field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl Bucket {
    pub(crate) fn new(kind: Kind, scheme: &str, place: &str, options: &StoreOptions) -> Self {
        let (place, scheme) = (place.to_owned(), scheme.to_ascii_lowercase());
        Self {
            kind,
            place,
            scheme,
            options: options.clone(),
            region: Mutex::default(),
            client: PerProcess::new(),
        }
    }

    /// The client of this process.
    ///
    /// # Errors
    /// What is wrong with the options or the environment.
    pub(crate) fn client(&self) -> Result<Arc<Client>, String> {
        self.client.get(|| self.connect())
    }

    /// Looks for the bucket in `region` from now on; says whether that is another one than before.
    pub(crate) fn move_to(&self, region: &str) -> bool {
        let mut current = self.region.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = current.as_deref() != Some(region);
        if is_new {
            *current = Some(region.to_owned());
            self.client.reset();
        }
        is_new
    }

    fn connect(&self) -> Result<Client, String> {
        let tries = self.options.tries()?;
        let connector = Connector { tries };
        let said = |error: object_store::Error| innermost(&error);
        // Requests are tried again below, where answers are seen.
        let retry = RetryConfig { max_retries: 0, ..RetryConfig::default() };
        let mut is_anonymous = false;
        let (store, multipart): (Box<dyn ObjectStore>, Option<Box<dyn MultipartStore>>) = match self.kind {
            Kind::S3 => {
                let mut builder = AmazonS3Builder::from_env().with_bucket_name(&self.place);
                builder = untimed(&self.options, Kind::S3, builder, |builder, key, value| {
                    builder.with_config(S3Key::Client(key), value)
                });
                for (key, value) in self.options.of(Kind::S3) {
                    builder = builder.with_config(key.parse().map_err(said)?, value);
                }
                let region = self.region.lock().unwrap_or_else(PoisonError::into_inner).clone();
                if let Some(region) = region {
                    builder = builder.with_region(region);
                }
                for key in [S3Key::Endpoint, S3Key::S3Endpoint, S3Key::StsEndpoint, S3Key::MetadataEndpoint] {
                    check_url(key.as_ref(), builder.get_config_value(&key))?;
                }
                if let Some(region) = builder.get_config_value(&S3Key::Region)
                    && !region.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
                {
                    return Err("`aws_region` is no name of a region".to_owned());
                }
                let has = |key| builder.get_config_value(&key).is_some();
                let all = |keys: [S3Key; 2]| keys.into_iter().all(has);
                let is_known = has(S3Key::AccessKeyId)
                    || has(S3Key::SecretAccessKey)
                    || has(S3Key::ContainerCredentialsRelativeUri)
                    || has(S3Key::MetadataEndpoint)
                    || all([S3Key::WebIdentityTokenFile, S3Key::RoleArn])
                    || all([S3Key::ContainerCredentialsFullUri, S3Key::ContainerAuthorizationTokenFile]);
                if !is_known && !self.is_set(Kind::S3, &S3Key::SkipSignature, "AWS_SKIP_SIGNATURE") {
                    is_anonymous = true;
                    builder = builder.with_skip_signature(true);
                }
                let store = builder.with_retry(retry).with_http_connector(connector).build().map_err(said)?;
                (Box::new(store.clone()), Some(Box::new(store)))
            }
            Kind::Gs => {
                let mut builder = GoogleCloudStorageBuilder::from_env().with_bucket_name(&self.place);
                builder = untimed(&self.options, Kind::Gs, builder, |builder, key, value| {
                    builder.with_config(GsKey::Client(key), value)
                });
                for (key, value) in self.options.of(Kind::Gs) {
                    builder = builder.with_config(key.parse().map_err(said)?, value);
                }
                check_url(GsKey::BaseUrl.as_ref(), builder.get_config_value(&GsKey::BaseUrl))?;
                let has = |key| builder.get_config_value(&key).is_some();
                let is_known = has(GsKey::ServiceAccount)
                    || has(GsKey::ServiceAccountKey)
                    || has(GsKey::ApplicationCredentials)
                    || has_google_login();
                if !is_known && !self.is_set(Kind::Gs, &GsKey::SkipSignature, "GOOGLE_SKIP_SIGNATURE") {
                    is_anonymous = true;
                    builder = builder.with_skip_signature(true);
                }
                let store = builder.with_retry(retry).with_http_connector(connector).build().map_err(said)?;
                (Box::new(store.clone()), Some(Box::new(store)))
            }
            Kind::Az => {
                let mut builder = MicrosoftAzureBuilder::from_env();
                builder = match self.place.split_once('@') {
                    // abfss://container@account.dfs.core.windows.net
                    Some(_) => builder.with_url(format!("abfss://{}/", self.place)),
                    None => builder.with_container_name(&self.place),
                };
                builder = untimed(&self.options, Kind::Az, builder, |builder, key, value| {
                    builder.with_config(AzKey::Client(key), value)
                });
                for (key, value) in self.options.of(Kind::Az) {
                    builder = builder.with_config(key.parse().map_err(said)?, value);
                }
                let has = |key| builder.get_config_value(&key).is_some();
                let is = |key| builder.get_config_value(&key).is_some_and(|value| value == "true");
                let is_known = has(AzKey::AccessKey)
                    || has(AzKey::SasKey)
                    || has(AzKey::Token)
                    || has(AzKey::ClientSecret)
                    || has(AzKey::FederatedTokenFile)
                    || has(AzKey::MsiEndpoint)
                    || has(AzKey::FabricSessionToken)
                    || is(AzKey::UseAzureCli)
                    || is(AzKey::UseEmulator);
                if !is_known && !self.is_set(Kind::Az, &AzKey::SkipSignature, "AZURE_SKIP_SIGNATURE") {
                    is_anonymous = true;
                    builder = builder.with_skip_signature(true);
                }
                let builder = builder.with_retry(retry).with_http_connector(connector);
                // It cannot be shared; what it connects with is.
                let multipart = builder.clone().build().map_err(said)?;
                (Box::new(builder.build().map_err(said)?), Some(Box::new(multipart)))
            }
            Kind::Http => {
                let url = format!("{}://{}", self.scheme, self.place);
                let mut builder = HttpBuilder::new().with_url(url);
                builder = untimed(&self.options, Kind::Http, builder, HttpBuilder::with_config);
                if self.scheme == "http" {
                    builder = builder.with_config(ClientConfigKey::AllowHttp, "true");
                }
                for (key, value) in self.options.of(Kind::Http) {
                    builder = builder.with_config(key.parse().map_err(said)?, value);
                }
                let store = builder.with_retry(retry).with_http_connector(connector).build().map_err(said)?;
                (Box::new(store), None)
            }
        };
        Ok(Client { store, multipart, is_anonymous, tries })
    }

    /// Whether it was said, one way or the other, if requests are signed.
    fn is_set<K: std::str::FromStr + PartialEq>(&self, kind: Kind, wanted: &K, variable: &str) -> bool {
        let mut keys = self.options.of(kind).map(|(key, _)| key);
        keys.any(|key| key.parse::<K>().is_ok_and(|key| key == *wanted))
            || std::env::var_os(variable).is_some()
    }
}

/// Takes back `object_store`'s limit on the time of a whole request, which slow links reach with large
/// ranges: here a limit on the time without any byte counts. One that the user sets counts, too.
fn untimed<B>(
    options: &StoreOptions,
    kind: Kind,
    builder: B,
    set: impl Fn(B, ClientConfigKey, String) -> B,
) -> B {
    let is_given = options.of(kind).any(|(key, _)| key.ends_with("timeout") && !key.contains("connect"));
    if is_given { builder } else { set(builder, ClientConfigKey::Timeout, "86400 s".to_owned()) }
}

/// Whether Google's command line left credentials where they are looked for.
fn has_google_login() -> bool {
    let home = std::env::var_os(if cfg!(windows) { "APPDATA" } else { "HOME" });
    let path = if cfg!(windows) { "gcloud" } else { ".config/gcloud" };
    home.is_some_and(|home| {
        std::path::Path::new(&home).join(path).join("application_default_credentials.json").exists()
    })
}

impl Bucket {
    /// The error of a request that was made for `what`.
    pub(crate) fn error(&self, what: &str, failure: Failure) -> std::io::Error {
        let refused = matches!(failure.status(), Some(401 | 403));
        let is_anonymous = self.client().is_ok_and(|client| client.is_anonymous);
        let advice = match self.kind {
            Kind::S3 => Some("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"),
            Kind::Gs => Some("GOOGLE_APPLICATION_CREDENTIALS"),
            Kind::Az => Some("AZURE_STORAGE_ACCOUNT_KEY or AZURE_STORAGE_SAS_TOKEN"),
            Kind::Http => None,
        };
        let advice = advice.filter(|_| refused && is_anonymous).map(|variables| {
            Hint::Text(format!(
                "there are no credentials, so none were sent: set {variables} in the environment, or see \
                 docs/cloud.md"
            ))
        });
        // Each of `object_store`'s clients says it in its own words.
        let no_parts = ["non-partial", "Range request not supported"];
        let ranges =
            matches!(&failure.cause, Cause::Answer(said) if no_parts.iter().any(|no| said.contains(no)));
        let advice = advice.or_else(|| {
            let way = "the server gives no parts of files: fetch it first, or pipe it to standard input";
            ranges.then(|| Hint::Text(way.to_owned()))
        });
        failure.into_error(what, advice)
    }
}

/// Refuses what would be no URL of a server, which `object_store` takes for one.
///
/// # Errors
/// What is wrong with the value of the setting `key`.
fn check_url(key: &str, value: Option<String>) -> Result<(), String> {
    let Some(text) = value else { return Ok(()) };
    let what = match Url::parse(&text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => return Ok(()),
        Ok(_) => "another kind of URL".to_owned(),
        Err(error) => error.to_string(),
    };
    Err(format!("`{key}` is not like http://host:port or https://host: {what}"))
}
