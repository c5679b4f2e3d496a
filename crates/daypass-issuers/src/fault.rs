//! Why a cloud gave no credential, and what those who wait for one are told.

use daypass_core::refusal::{Reason, Refusal};

/// Why a cloud gave no credential that can be used. It holds nothing that was sent, and nothing that came but the cloud's own
/// code and request id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Fault {
    /// What went wrong.
    pub kind: FaultKind,
    /// In words, for the log.
    pub why: String,
    /// The cloud's code for it, cut to what a log can take.
    pub code: Option<String>,
    /// The cloud's own id of the request.
    pub request: Option<String>,
    /// Seconds after which the cloud wants to be asked again.
    pub retry_after: Option<u32>,
}

/// What went wrong. The label is stable: metrics and records use it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// No connection came about.
    Unreached,
    /// TLS failed: a certificate that is not trusted, or no TLS at all.
    Tls,
    /// No whole answer in time.
    Late,
    /// The connection ended before the answer did, or what came was no HTTP.
    Broken,
    /// It wants to send us elsewhere.
    Redirect,
    /// The answer is larger than any right one, or encoded although that was not asked for.
    TooLarge,
    /// The answer is not of the type that was agreed.
    WrongType,
    /// The answer cannot be understood.
    Garbage,
    /// The cloud has too much to do: 429, or its own code for it.
    Busy,
    /// The cloud has a fault of its own: 5xx, or its own code for it.
    Down,
    /// The cloud does not take our root key.
    KeyRefused,
    /// The cloud finds our clock wrong.
    Clock,
    /// The cloud refuses what it was asked for.
    Refused,
    /// It gave something else than was asked for: too short a life, another account, another form, more rights.
    Wrong,
    /// Our own budget of calls for this root key is used up.
    Budget,
    /// There is no root key, or it does not open.
    NoKey,
}

impl FaultKind {
    /// Every kind, for tables and metrics.
    pub const ALL: &'static [Self] = &[
        Self::Unreached,
        Self::Tls,
        Self::Late,
        Self::Broken,
        Self::Redirect,
        Self::TooLarge,
        Self::WrongType,
        Self::Garbage,
        Self::Busy,
        Self::Down,
        Self::KeyRefused,
        Self::Clock,
        Self::Refused,
        Self::Wrong,
        Self::Budget,
        Self::NoKey,
    ];

    /// The label.
    pub fn label(self) -> &'static str {
        match self {
            Self::Unreached => "unreached",
            Self::Tls => "tls",
            Self::Late => "late",
            Self::Broken => "broken",
            Self::Redirect => "redirect",
            Self::TooLarge => "too_large",
            Self::WrongType => "wrong_type",
            Self::Garbage => "garbage",
            Self::Busy => "busy",
            Self::Down => "down",
            Self::KeyRefused => "key_refused",
            Self::Clock => "clock",
            Self::Refused => "refused",
            Self::Wrong => "wrong",
            Self::Budget => "budget",
            Self::NoKey => "no_key",
        }
    }

    /// Whether asking again soon may help without anybody doing anything.
    pub fn passes(self) -> bool {
        !matches!(self, Self::KeyRefused | Self::Refused | Self::NoKey)
    }
}

impl Fault {
    /// A fault with its words.
    pub fn new(kind: FaultKind, why: impl Into<String>) -> Self {
        Self { kind, why: why.into(), code: None, request: None, retry_after: None }
    }

    /// What the asker is told. Which cloud it is, and what it said, is for the log and the record.
    pub fn refusal(&self, issuer: &str, again: u32) -> Refusal {
        let told = if self.kind.passes() {
            let detail = "the cloud that makes this credential does not answer as it should; ask again soon";
            Refusal::new(Reason::UpstreamUnavailable, detail).retry_after(again.max(1))
        } else {
            let detail =
                "the cloud that makes this credential refuses to; its operator finds the reason in the log";
            Refusal::new(Reason::UpstreamRefused, detail)
        };
        let code = self.code.as_deref().unwrap_or("no code");
        let request = self.request.as_deref().unwrap_or("no request id");
        told.because(format!("issuer {issuer}: {}: {} ({code}, {request})", self.kind.label(), self.why))
    }
}
