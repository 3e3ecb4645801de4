//! Keys and values that say how a store is reached: those of `object_store`'s builders, and how often a
//! request is tried.

use std::fmt;

use object_store::ClientConfigKey;
use object_store::aws::AmazonS3ConfigKey;
use object_store::azure::AzureConfigKey;
use object_store::gcp::GoogleConfigKey;

/// Keys and values, in the order in which they were given: of two that are the same the last counts.
/// [`Debug`](fmt::Debug) shows no value: there may be secrets among them.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct StoreOptions(Vec<(String, String)>);

/// What kind of store a scheme leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    S3,
    Gs,
    Az,
    Http,
}

/// The schemes of each kind.
const SCHEMES: [(&str, Kind); 9] = [
    ("s3", Kind::S3),
    ("s3a", Kind::S3),
    ("gs", Kind::Gs),
    ("az", Kind::Az),
    ("azure", Kind::Az),
    ("abfs", Kind::Az),
    ("abfss", Kind::Az),
    ("http", Kind::Http),
    ("https", Kind::Http),
];

/// How often a request is tried that fails for a reason that may pass.
const MAX_RETRIES: &str = "max_retries";

/// The keys that people set, to find the one that was meant.
const KNOWN: &[&str] = &[
    "aws_access_key_id",
    "aws_secret_access_key",
    "aws_session_token",
    "aws_region",
    "aws_endpoint",
    "aws_allow_http",
    "aws_skip_signature",
    "aws_virtual_hosted_style_request",
    "aws_metadata_endpoint",
    "aws_request_payer",
    "aws_unsigned_payload",
    "aws_checksum_algorithm",
    "aws_server_side_encryption",
    "aws_sse_kms_key_id",
    "aws_sse_customer_key_base64",
    "aws_role_arn",
    "aws_web_identity_token_file",
    "aws_s3_express",
    "aws_conditional_put",
    "google_service_account",
    "google_service_account_key",
    "google_application_credentials",
    "google_base_url",
    "google_skip_signature",
    "azure_storage_account_name",
    "azure_storage_account_key",
    "azure_storage_sas_token",
    "azure_storage_token",
    "azure_client_id",
    "azure_client_secret",
    "azure_tenant_id",
    "azure_endpoint",
    "azure_allow_http",
    "azure_storage_use_emulator",
    "azure_use_azure_cli",
    "azure_skip_signature",
    "access_key_id",
    "secret_access_key",
    "session_token",
    "region",
    "endpoint",
    "base_url",
    "account_name",
    "account_key",
    "sas_token",
    "skip_signature",
    "allow_http",
    "allow_invalid_certificates",
    "connect_timeout",
    "timeout",
    "http1_only",
    "http2_only",
    "pool_idle_timeout",
    "pool_max_idle_per_host",
    "proxy_url",
    "proxy_ca_certificate",
    "proxy_excludes",
    "randomize_addresses",
    "user_agent",
    MAX_RETRIES,
];

impl Kind {
    pub(crate) fn of(scheme: &str) -> Option<Self> {
        let found = SCHEMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(scheme));
        found.map(|(_, kind)| *kind)
    }

    /// Whether the key is one of this kind of store.
    fn has(self, key: &str) -> bool {
        key == MAX_RETRIES
            || match self {
                Kind::S3 => key.parse::<AmazonS3ConfigKey>().is_ok(),
                Kind::Gs => key.parse::<GoogleConfigKey>().is_ok(),
                Kind::Az => key.parse::<AzureConfigKey>().is_ok(),
                Kind::Http => key.parse::<ClientConfigKey>().is_ok(),
            }
    }
}

/// The schemes that lead to a store, in lower case.
pub fn schemes() -> impl Iterator<Item = &'static str> {
    SCHEMES.iter().map(|(scheme, _)| *scheme)
}

/// Whether names of `scheme` take the key; never, if it leads to no store.
#[must_use]
pub fn takes_key(scheme: &str, key: &str) -> bool {
    Kind::of(scheme).is_some_and(|kind| kind.has(&key.to_ascii_lowercase()))
}

/// Whether any kind of store has the key.
#[must_use]
pub fn is_key(key: &str) -> bool {
    schemes().any(|scheme| takes_key(scheme, key))
}

/// Keys that people set, from which one that was mistyped can be found.
#[must_use]
pub fn known_keys() -> &'static [&'static str] {
    KNOWN
}

impl StoreOptions {
    /// No options.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets `key` to `value`.
    pub fn set(&mut self, key: impl Into<String>, value: impl Into<String>) {
        self.0.push((key.into().to_ascii_lowercase(), value.into()));
    }

    /// Those that names of `scheme` take, with their keys in lower case.
    pub(crate) fn of(&self, kind: Kind) -> impl Iterator<Item = (&str, &str)> {
        let all = self.0.iter().filter(move |(key, _)| kind.has(key) && key != MAX_RETRIES);
        all.map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// How often a request is tried.
    ///
    /// # Errors
    /// What was given is no number.
    pub(crate) fn tries(&self) -> Result<u32, String> {
        match self.0.iter().rfind(|(key, _)| key == MAX_RETRIES) {
            None => Ok(crate::service::TRIES),
            Some((_, value)) => match value.parse::<u32>() {
                Ok(retries) if retries < 1000 => Ok(retries + 1),
                _ => Err(format!("`{MAX_RETRIES}` is not a number below 1000")),
            },
        }
    }
}

impl fmt::Debug for StoreOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.iter().map(|(key, _)| key)).finish()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_key_that_is_known_is_one() {
        for key in KNOWN {
            assert!(is_key(key), "{key}");
        }
        assert!(takes_key("s3", "AWS_REGION") && !takes_key("gs", "aws_region"));
        assert!(takes_key("https", "timeout") && !takes_key("https", "aws_timeout"));
        assert!(!is_key("aws_regoin") && !takes_key("ftp", "timeout"));
    }

    #[test]
    fn values_are_not_shown() {
        let mut options = StoreOptions::new();
        options.set("aws_secret_access_key", "hush");
        let shown = format!("{options:?}");
        assert!(shown.contains("aws_secret_access_key") && !shown.contains("hush"), "{shown}");
    }
}
