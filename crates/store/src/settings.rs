//! What the operator allows, and how long it waits.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// Settings of all stores of a process.
#[derive(Clone, Debug)]
pub struct StoreSettings {
    /// Keep everything in folders below this one instead of S3; a policy's bucket is a folder in it, an empty bucket
    /// the folder itself.
    pub folder_root: Option<PathBuf>,
    /// Custom endpoints that configs may name, as `https://host[:port]`. The provider's own need no entry.
    pub allowed_endpoints: Vec<String>,
    /// Whether an endpoint of `allowed_endpoints` may be `http://`.
    pub allow_http: bool,
    /// Whether the instance's own identity is used when the environment offers no other. Off by default: it is the
    /// node's role, not the operator's, and where there is no instance metadata the question costs its deadline.
    pub allow_instance_identity: bool,
    /// The `AWS_*` variables.
    pub environment: Environment,
    /// Longest wait for a connection.
    pub connect_timeout: Duration,
    /// Longest time without progress: no byte taken of a body, or no answer after its last byte.
    pub stall_timeout: Duration,
    /// Deadline of one attempt, to which the time of the body at `bytes_per_second_min` is added.
    pub attempt_timeout: Duration,
    /// The slowest upload that is waited for.
    pub bytes_per_second_min: u64,
    /// Attempts of one operation.
    pub attempts_max: u32,
    /// No attempt begins later than this after the first.
    pub retry_window: Duration,
}

/// Variables of the process's environment that choose credentials and region. Values are not shown.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

/// The variables that are read. Endpoints of S3 are not among them: they come from configs and are allowed by settings.
const NAMES: [&str; 12] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_ENDPOINT_URL_STS",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
];

impl Default for StoreSettings {
    fn default() -> Self {
        Self {
            folder_root: None,
            allowed_endpoints: Vec::new(),
            allow_http: false,
            allow_instance_identity: false,
            environment: Environment::default(),
            // A store in reach connects within milliseconds; three lost handshakes take 3 s.
            connect_timeout: Duration::from_secs(3),
            // Long enough for a slow commit after the last byte, short enough to try again within a capture.
            stall_timeout: Duration::from_secs(10),
            attempt_timeout: Duration::from_secs(15),
            // A 64 MiB body then has 79 s, a slow link's worth.
            bytes_per_second_min: 1 << 20,
            // Waits of at most 0.2, 0.4, 0.8 and 1.6 s lie between five attempts: a store that restarts is back by then.
            attempts_max: 5,
            retry_window: Duration::from_secs(60),
        }
    }
}

impl Environment {
    /// The process's own.
    pub fn of_process() -> Self {
        Self::from_pairs(NAMES.iter().filter_map(|name| Some((*name, std::env::var(name).ok()?))))
    }

    /// One with these variables; others than the known ones are left out, empty ones count as absent.
    pub fn from_pairs<N: AsRef<str>, V: Into<String>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        let known = pairs.into_iter().filter(|(name, _)| NAMES.contains(&name.as_ref()));
        let values = known.map(|(name, value)| (name.as_ref().to_owned(), value.into()));
        Self(values.filter(|(_, value)| !value.is_empty()).collect())
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub(crate) fn region(&self) -> Option<&str> {
        self.get("AWS_REGION").or_else(|| self.get("AWS_DEFAULT_REGION"))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_set().entries(self.0.keys()).finish()
    }
}
