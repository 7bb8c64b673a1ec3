//! The bodies of control frames: postcard structs that grow only at their end.

use crate::{FailReason, Verdict};
use serde::{Deserialize, Serialize};

/// The bit of `features` of a machine that belongs to a group: where both hellos have it, the
/// leader sends a group proof right after it has revealed its nonce, and the helper answers with
/// its own.
pub const FEATURE_GROUP: u64 = 1;

/// The first frame of a session, from the leader.
///
/// The commitment hides the leader's nonce until the helper has sent its own, so that nobody in
/// the middle can search for a nonce that makes both sides show the same code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaderHello {
    /// The newest minor version that the leader speaks.
    pub minor: u16,
    /// Optional abilities, one bit each: [`FEATURE_GROUP`].
    pub features: u64,
    /// The name the leader's machine goes by; at most 64 bytes, hostile until made safe.
    pub name: String,
    /// The ask that the leader sent, so that a helper can tell which one it answers.
    pub ask: [u8; 16],
    /// SHA-256 over a label, the leader's nonce, both public keys and the TLS exporter.
    pub commit: [u8; 32],
}

/// The helper's answer to [`LeaderHello`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HelperHello {
    /// The newest minor version that the helper speaks.
    pub minor: u16,
    /// Optional abilities, one bit each: [`FEATURE_GROUP`].
    pub features: u64,
    /// The name the helper's machine goes by; at most 64 bytes, hostile until made safe.
    pub name: String,
    /// Fresh randomness of the helper.
    pub nonce: [u8; 32],
}

/// The scheme of the file's URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scheme {
    /// Unencrypted.
    Http,
    /// Over TLS.
    Https,
}

/// What is asked of a helper, for its owner to decide on. The path and query stay secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// The scheme of the URL.
    pub scheme: Scheme,
    /// The host of the URL; at most 253 bytes.
    pub host: String,
    /// The port of the URL.
    pub port: u16,
    /// Length of the whole file, in bytes.
    pub size: u64,
    /// The most that this helper will be asked to fetch, in bytes.
    pub share: u64,
}

/// A helper's answer to an [`Offer`] or a roll call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Yes, no, busy or later.
    pub verdict: Verdict,
    /// For [`Verdict::Busy`] and [`Verdict::Later`]: in how many seconds it may be a yes, if that is
    /// known; else 0.
    pub after: u32,
    /// For [`Verdict::Yes`]: how many lanes the helper opens at the most.
    pub lanes: u8,
    /// For [`Verdict::Yes`]: how many bytes it will fetch at the most.
    pub budget: u64,
}

impl Answer {
    /// A plain refusal.
    pub const NO: Self = Self::refusal(Verdict::No);

    /// A yes to at most `budget` bytes over at most `lanes` lanes.
    pub const fn yes(lanes: u8, budget: u64) -> Self {
        Self { verdict: Verdict::Yes, after: 0, lanes, budget }
    }

    /// What a roll call is answered: the verdict alone.
    pub const fn to_roll_call(verdict: Verdict) -> Self {
        Self { verdict, after: 0, lanes: 0, budget: 0 }
    }

    /// No yes at present, but perhaps in so many seconds; 0 if that is not known.
    pub const fn not_yet(verdict: Verdict, after: u32) -> Self {
        Self { verdict, after, lanes: 0, budget: 0 }
    }

    /// Anything but a yes.
    pub const fn refusal(verdict: Verdict) -> Self {
        Self { verdict, after: 0, lanes: 0, budget: 0 }
    }
}

/// What to fetch: told only after a yes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobFacts {
    /// The whole URL, without userinfo or fragment; at most 8 KiB.
    pub url: String,
    /// Length of the file, in bytes.
    pub length: u64,
    /// The validator of the version wanted, as text.
    pub validator: Option<String>,
}

/// Why a lease was not fetched, and when to come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What happened.
    pub reason: FailReason,
    /// How long the helper will not fetch anything from this origin, in milliseconds.
    pub pause_ms: u32,
}
