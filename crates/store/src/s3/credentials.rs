//! How credentials are obtained: by `object_store`'s providers, through our client and under our rules.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::BytesMut;
use futures::StreamExt;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, AwsCredentialProvider};
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
};
use object_store::{BackoffConfig, ClientOptions, RetryConfig};
use reqwest::Url;
use tokio::time::timeout;

use super::clients::domain;
use crate::error::StoreError;
use crate::settings::StoreSettings;

/// Where tasks and pods obtain credentials, over http by its makers' design: Amazon's link-local and unique-local
/// addresses, which nobody outside the machine answers for.
const AGENTS: [&str; 3] = ["169.254.170.2", "169.254.170.23", "[fd00:ec2::23]"];

/// The instance metadata service.
const INSTANCE: [&str; 2] = ["169.254.169.254", "[fd00:ec2::254]"];

/// One question and its answer.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(5);

/// A set of credentials has 2 KiB, tokens included.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// The provider that the environment chooses, in the order of Amazon's own clients: static keys, web identity, task
/// role, pod identity, instance. Does no I/O.
pub(super) fn provider(
    settings: &StoreSettings,
    http: &reqwest::Client,
    plain: reqwest::Client,
    region: &str,
) -> Result<AwsCredentialProvider, StoreError> {
    let environment = &settings.environment;
    let has = |names: &[&str]| names.iter().all(|name| environment.get(name).is_some());
    let offered = environment.get("AWS_ACCESS_KEY_ID").is_some()
        || environment.get("AWS_SECRET_ACCESS_KEY").is_some()
        || has(&["AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN"])
        || has(&["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"])
        || has(&[
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
        ]);
    if !offered && !settings.allow_instance_identity {
        return Err(StoreError::CredentialsMissing);
    }
    let retry = RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(1),
            ..BackoffConfig::default()
        },
        // Uploads retry for longer, and each of their attempts asks again.
        max_retries: 2,
        retry_timeout: Duration::from_secs(10),
    };
    let mut builder = AmazonS3Builder::new()
        // No bucket is ever asked through it: it is a credential chain to us.
        .with_bucket_name("credentials-only")
        .with_region(region)
        .with_retry(retry)
        .with_http_connector(Connector::new(settings, http, plain));
    for (name, value) in environment.iter().filter(|(name, _)| !name.ends_with("_REGION")) {
        if let Ok(key) = name.to_ascii_lowercase().parse::<AmazonS3ConfigKey>() {
            builder = builder.with_config(key, value);
        }
    }
    if environment.get("AWS_ENDPOINT_URL_STS").is_none() {
        // The library knows one domain only.
        let endpoint = format!("https://sts.{region}.{}", domain(region));
        builder = builder.with_config(AmazonS3ConfigKey::StsEndpoint, endpoint);
    }
    let chain = builder
        .build()
        .map_err(|error| StoreError::Credentials { source: error.into() })?;
    Ok(Arc::clone(chain.credentials()))
}

/// Gives the providers our client: the library's own would follow redirects, with a token in the URL.
#[derive(Clone, Debug)]
struct Connector {
    http: reqwest::Client,
    /// For what goes out in the clear: never through a proxy.
    plain: reqwest::Client,
    plain_hosts: Vec<&'static str>,
    plain_origins: Vec<String>,
}

impl Connector {
    fn new(settings: &StoreSettings, http: &reqwest::Client, plain: reqwest::Client) -> Self {
        let instance = settings
            .allow_instance_identity
            .then_some(INSTANCE)
            .into_iter()
            .flatten();
        let endpoints = settings.allowed_endpoints.iter().filter(|_| settings.allow_http);
        let urls = endpoints.filter_map(|endpoint| Url::parse(endpoint).ok());
        Self {
            http: http.clone(),
            plain,
            plain_hosts: AGENTS.into_iter().chain(instance).collect(),
            plain_origins: urls.map(|url| url.origin().ascii_serialization()).collect(),
        }
    }

    /// A token goes out encrypted, or to those who may see it in the clear.
    fn may_ask(&self, url: &Url) -> bool {
        let plain = || {
            url.host_str().is_some_and(|host| self.plain_hosts.contains(&host))
                || self.plain_origins.contains(&url.origin().ascii_serialization())
        };
        url.scheme() == "https" || url.scheme() == "http" && plain()
    }

    async fn exchange(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let encrypted = request.uri().scheme() == Some(&http::uri::Scheme::HTTPS);
        let client = if encrypted { &self.http } else { &self.plain };
        let (parts, body) = HttpService::call(client, request).await?.into_parts();
        let mut pieces = body.bytes_stream();
        let mut whole = BytesMut::new();
        while let Some(piece) = pieces.next().await {
            let piece = piece?;
            if whole.len() + piece.len() > ANSWER_BYTES_MAX {
                return Err(HttpError::new(
                    HttpErrorKind::Unknown,
                    io::Error::other("the answer is too large"),
                ));
            }
            whole.extend_from_slice(&piece);
        }
        Ok(HttpResponse::from_parts(parts, whole.freeze().into()))
    }
}

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

#[async_trait]
impl HttpService for Connector {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let permitted = Url::parse(&request.uri().to_string()).is_ok_and(|url| self.may_ask(&url));
        if !permitted {
            let message = "credentials are asked over https, or at an endpoint that the settings allow over http";
            return Err(HttpError::new(HttpErrorKind::Unknown, io::Error::other(message)));
        }
        match timeout(EXCHANGE_TIMEOUT, self.exchange(request)).await {
            Ok(answer) => answer,
            Err(late) => Err(HttpError::new(HttpErrorKind::Timeout, late)),
        }
    }
}
