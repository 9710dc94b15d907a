//! What buckets share: one HTTP client, and one set of credentials per region of the token service.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use object_store::aws::AwsCredentialProvider;
use planner::{Chain, StorePolicy};
use reqwest::Url;

use super::{Bucket, Timing, credentials};
use crate::error::StoreError;
use crate::settings::StoreSettings;

/// The shared part.
#[derive(Debug)]
pub(crate) struct Clients {
    settings: StoreSettings,
    shared: Mutex<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    http: Option<reqwest::Client>,
    providers: BTreeMap<String, AwsCredentialProvider>,
}

/// Connections kept for the next upload to the same store. A set has a handful of types, one after the other.
const IDLE_CONNECTIONS_MAX: usize = 8;

/// How long they are kept: less than the 20 s after which S3 closes them.
const IDLE_TIMEOUT: Duration = Duration::from_secs(15);

/// Providers kept; there are fewer regions, but a config may write what it likes.
const PROVIDERS_MAX: usize = 64;

/// The region of stores that have none of their own, where nobody names one.
const REGION_OF_CUSTOM_ENDPOINTS: &str = "us-east-1";

impl Clients {
    pub(crate) fn new(settings: StoreSettings) -> Self {
        Self {
            settings,
            shared: Mutex::default(),
        }
    }

    /// The bucket of a policy. Does no I/O.
    pub(crate) fn bucket(&self, policy: &StorePolicy) -> Result<Bucket, StoreError> {
        check_bucket(&policy.bucket)?;
        let region = self.region(policy)?;
        let base = match &policy.endpoint {
            Some(endpoint) => format!("{}/{}", self.allowed(endpoint)?, policy.bucket),
            None => provider_base(&policy.bucket, &region),
        };
        let (http, credentials) = self.shared(&region)?;
        let host = Url::parse(&base)
            .ok()
            .and_then(|url| url.host_str().map(str::to_owned))
            .unwrap_or_default();
        let settings = &self.settings;
        let timing = Timing {
            stall: settings.stall_timeout,
            attempt: settings.attempt_timeout,
            bytes_per_second_min: settings.bytes_per_second_min,
            attempts_max: settings.attempts_max,
            retry_window: settings.retry_window,
        };
        Ok(Bucket {
            http,
            credentials,
            name: policy.bucket.to_string(),
            region,
            base,
            host,
            timing,
        })
    }

    fn shared(&self, region: &str) -> Result<(reqwest::Client, AwsCredentialProvider), StoreError> {
        // The operator's own region, where it has one: the token service next to it, and one exchange for all buckets.
        let region = self.settings.environment.region().unwrap_or(region);
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let http = match &shared.http {
            Some(http) => http.clone(),
            None => shared.http.insert(http_client(&self.settings)?).clone(),
        };
        if let Some(provider) = shared.providers.get(region) {
            return Ok((http, Arc::clone(provider)));
        }
        let provider = credentials::provider(&self.settings, &http, plain_client(&self.settings)?, region)?;
        if shared.providers.len() >= PROVIDERS_MAX {
            shared.providers.clear();
        }
        shared.providers.insert(region.to_owned(), Arc::clone(&provider));
        Ok((http, provider))
    }

    fn region(&self, policy: &StorePolicy) -> Result<String, StoreError> {
        let own = policy.region.as_deref().filter(|region| !region.is_empty());
        let custom = policy.endpoint.as_ref().map(|_| REGION_OF_CUSTOM_ENDPOINTS);
        // A library's silent default would send the first user outside the US to the wrong place.
        let region = own
            .or(self.settings.environment.region())
            .or(custom)
            .ok_or(StoreError::RegionMissing)?;
        // It becomes part of a host name.
        let plain = |one: char| one.is_ascii_alphanumeric() || one == '-' || one == '_';
        if region.len() > 63 || !region.chars().all(plain) {
            return Err(StoreError::invalid("region", region, "write one like eu-central-1"));
        }
        Ok(region.to_owned())
    }

    /// An endpoint in the form in which the settings allow it, without a slash at its end.
    fn allowed(&self, endpoint: &str) -> Result<String, StoreError> {
        let refused = || StoreError::EndpointNotAllowed {
            endpoint: endpoint.chars().take(253).collect(),
        };
        let wanted = plain_endpoint(endpoint).ok_or_else(refused)?;
        let listed = self
            .settings
            .allowed_endpoints
            .iter()
            .filter_map(|one| plain_endpoint(one));
        if !listed.into_iter().any(|one| one == wanted) {
            return Err(refused());
        }
        if wanted.scheme() == "http" && !self.settings.allow_http {
            return Err(StoreError::HttpNotAllowed {
                endpoint: wanted.to_string(),
            });
        }
        Ok(wanted.as_str().trim_end_matches('/').to_owned())
    }
}

/// An endpoint that is nothing but scheme, host, port and perhaps a path.
fn plain_endpoint(text: &str) -> Option<Url> {
    let url = Url::parse(text.trim_end_matches('/')).ok()?;
    let bare =
        url.username().is_empty() && url.password().is_none() && url.query().is_none() && url.fragment().is_none();
    (bare && matches!(url.scheme(), "http" | "https") && url.has_host()).then_some(url)
}

/// Amazon's partitions that have a domain of their own, by how their regions begin: China, the European sovereign cloud,
/// and those of the United States and their allies that are not on the internet.
const PARTITIONS: [(&str, &str); 6] = [
    ("cn-", "amazonaws.com.cn"),
    ("eusc-", "amazonaws.eu"),
    ("us-iso-", "c2s.ic.gov"),
    ("us-isob-", "sc2s.sgov.gov"),
    ("us-isof-", "csp.hci.ic.gov"),
    ("eu-isoe-", "cloud.adc-e.uk"),
];

/// The domain under which a region's services are; that of most regions, where the region is of no partition above.
pub(super) fn domain(region: &str) -> &'static str {
    let of_partition = PARTITIONS.iter().find(|(start, _)| region.starts_with(start));
    of_partition.map_or("amazonaws.com", |(_, domain)| domain)
}

/// Amazon's own URL of a bucket.
fn provider_base(bucket: &str, region: &str) -> String {
    let domain = domain(region);
    // The wildcard of the certificate covers one label.
    if bucket.contains('.') {
        format!("https://s3.{region}.{domain}/{bucket}")
    } else {
        format!("https://{bucket}.s3.{region}.{domain}")
    }
}

/// The rules of S3 as far as they keep a name inside its place in a URL; the store knows the rest.
fn check_bucket(bucket: &str) -> Result<(), StoreError> {
    let plain = |one: char| one.is_ascii_alphanumeric() || matches!(one, '-' | '.' | '_');
    let outer = |one: char| one.is_ascii_alphanumeric();
    if !(3..=63).contains(&bucket.len())
        || !bucket.chars().all(plain)
        || !bucket.starts_with(outer)
        || !bucket.ends_with(outer)
        || bucket.contains("..")
    {
        return Err(StoreError::invalid(
            "bucket",
            bucket,
            "write the bucket's name alone: 3 to 63 letters, digits, '-' or '.'",
        ));
    }
    Ok(())
}

fn http_client(settings: &StoreSettings) -> Result<reqwest::Client, StoreError> {
    let failed = |error: reqwest::Error| StoreError::Client {
        message: Chain(&error).to_string(),
    };
    match builder(settings)?.build() {
        Ok(client) => Ok(client),
        // An image without certificate authorities can still talk to a store that is allowed over http.
        Err(error) if settings.allow_http => {
            tracing::warn!(error = %Chain(&error), "no certificate authorities: stores are reached over http only");
            builder(settings)?.tls_certs_only([]).build().map_err(failed)
        }
        Err(error) => Err(failed(error)),
    }
}

/// A client for the agents that hand out credentials on this machine: no proxy shall see them.
fn plain_client(settings: &StoreSettings) -> Result<reqwest::Client, StoreError> {
    let client = builder(settings)?.no_proxy().tls_certs_only([]).build();
    client.map_err(|error| StoreError::Client {
        message: Chain(&error).to_string(),
    })
}

fn builder(settings: &StoreSettings) -> Result<reqwest::ClientBuilder, StoreError> {
    // The client panics without one.
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        return Err(StoreError::Client {
            message: "no TLS provider is installed; main installs ring's".into(),
        });
    }
    Ok(reqwest::Client::builder()
        .user_agent(concat!("profiling-operator/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        // Attempts are counted here, and only here.
        .retry(reqwest::retry::never())
        .connect_timeout(settings.connect_timeout)
        .http1_only()
        .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
        .pool_idle_timeout(IDLE_TIMEOUT)
        // What is stored is what is read: another crate may switch these features on.
        .no_gzip()
        .no_brotli()
        .no_deflate()
        .no_zstd())
}
