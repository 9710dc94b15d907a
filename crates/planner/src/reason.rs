//! The closed set of reasons: one enum for events, conditions, records, metadata, metrics and logs.

use alloc::string::String;

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $name:ident,)*) => {
        /// Why something was done, not done, or failed. Closed, so that it can be a metric label.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Reason { $($(#[doc = $doc])+ $name,)* }

        impl Reason {
            /// Every reason.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The form of events and conditions: `ThresholdExceeded`.
            pub const fn as_camel(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }

            /// What it means, for the reference page.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),+),)* }
            }
        }
    };
}

reasons! {
    // Why a capture is made.
    /// Usage crossed a threshold of the config.
    ThresholdExceeded,
    /// The config's on-demand interval was over.
    OnDemand,
    /// Somebody asked for it.
    Requested,

    // Why nothing is captured now. The order of the rules that give them is that of `rules`.
    /// This replica is not the leader.
    NotLeader,
    /// The past of the config is still being read from its records.
    Restoring,
    /// The config is suspended.
    Suspended,
    /// The config names a namespace that the operator's settings do not allow it.
    NamespaceNotAllowed,
    /// The config cannot be used as written.
    InvalidSpec,
    /// The pod does not opt in with `profiling.io/enabled: "true"`.
    NotOptedIn,
    /// No config selects the pod.
    NotSelected,
    /// The pod does not run.
    NotRunning,
    /// The pod is being deleted.
    Terminating,
    /// The pod uses the node's network, whose loopback is the node's.
    HostNetworkRefused,
    /// The port is one that belongs to the cluster itself, or does not resolve.
    PortRefused,
    /// Both modes of the config are off.
    NothingEnabled,
    /// There are no usage samples to decide on.
    MetricsUnavailable,
    /// The last list of samples did not have the pod.
    SampleMissing,
    /// The pod's sample is too old, or older than the pod.
    SampleStale,
    /// The container has neither limit nor request to take a percentage of.
    NoLimitOrRequest,
    /// The sample has no value for the resource that can be used.
    SampleUnusable,
    /// Usage is below every threshold.
    BelowThreshold,
    /// The pod was captured less than a cooldown ago.
    CoolingDown,
    /// Earlier captures failed and the wait after them is not over.
    BackingOff,
    /// The pod is being captured, by this config or another.
    CaptureInProgress,
    /// The config has as many captures running as it allows.
    ConfigBusy,
    /// The pod's node has as many captures running as the operator allows.
    NodeBusy,
    /// The operator has as many captures running, or just started, as it allows.
    OperatorBusy,
    /// The on-demand interval is not over.
    NotDue,

    // How a capture ended.
    /// Profiles were captured and stored.
    ProfileCaptured,
    /// Some types were stored and some failed.
    CapturePartial,
    /// No type was stored.
    CaptureFailed,
    /// A profile was whole and had no samples; its event says what to set in the program.
    EmptyProfile,

    // Why a type failed.
    /// The pod was deleted, or another one has its name, or its container restarted.
    PodReplaced,
    /// The pod lost its opt-in during the capture.
    OptedOut,
    /// The API server or the kubelet refused the tunnel.
    ForwardRefused,
    /// The operator's role does not allow the call.
    Forbidden,
    /// Nothing listens at the port.
    ConnectionRefused,
    /// The tunnel broke before the body was complete.
    TunnelBroken,
    /// The deadline passed.
    TimedOut,
    /// The body stopped coming.
    Stalled,
    /// The body was larger than the config's `maxBytes`.
    BodyTooLarge,
    /// The body ended before its announced end.
    Truncated,
    /// The answer was a redirect, which is never followed.
    Redirected,
    /// The program does not have this profile.
    ProfileNotFound,
    /// Another CPU profile or trace of the program is running.
    ProfilerBusy,
    /// The program answered with another status.
    UnexpectedStatus,
    /// The answer is not HTTP, or breaks its rules.
    ProtocolError,
    /// The body is not a profile.
    NotAProfile,
    /// The body is a profile of another type.
    WrongProfileType,
    /// The capture was ended by a panic, which is a bug here.
    Panicked,
    /// This replica stopped being the leader during the capture.
    LeadershipLost,
    /// The operator is ending.
    ShuttingDown,
    /// The process ended during the capture, as its record shows.
    Interrupted,
    /// The config was deleted or suspended during the capture.
    ConfigRemoved,

    // Storage.
    /// The store did not take the profile.
    StorageUnavailable,
    /// The store's credentials do not allow it.
    StorageDenied,
    /// The bucket does not exist.
    BucketNotFound,
    /// Both names of the profile are taken by other captures.
    KeyConflict,
    /// The disk for captures on their way is full or cannot be written.
    SpoolUnavailable,
    /// The endpoint is not one that the operator's settings allow.
    EndpointNotAllowed,
    /// No credentials were found.
    CredentialsUnavailable,
    /// The store cannot be used as the config and the operator's environment have it.
    StorageMisconfigured,

    // Conditions when all is well, or not known yet.
    /// Everything the config needs is there.
    Ready,
    /// Targets match.
    TargetsFound,
    /// No pod both matches the config and opts in.
    NoTargets,
    /// Samples come.
    MetricsAvailable,
    /// Thresholds are off, so samples are not needed.
    MetricsNotNeeded,
    /// Profiles are stored.
    StorageReady,
    /// Nothing was tried yet.
    NotTriedYet,
    /// Values outside their bounds were read as the nearest allowed ones.
    SpecAdjusted,
}

impl Reason {
    /// The form of records, metadata, metric labels and logs: `threshold-exceeded`.
    pub fn as_kebab(self) -> String {
        let mut kebab = String::new();
        for letter in self.as_camel().chars() {
            if letter.is_ascii_uppercase() && !kebab.is_empty() {
                kebab.push('-');
            }
            kebab.push(letter.to_ascii_lowercase());
        }
        kebab
    }

    /// What it means, ready to be continued: without the space and the full stop around a sentence.
    pub fn meaning_plain(self) -> &'static str {
        self.meaning().trim().trim_end_matches('.')
    }

    /// The reason of a kebab-case word.
    pub fn parse_kebab(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|one| one.as_kebab() == word)
    }
}
