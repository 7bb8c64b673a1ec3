//! The small enums of the protocol: one byte each on the wire, open for values to come.

use serde::{Deserialize, Serialize};

macro_rules! codes {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $code:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(from = "u8", into = "u8")]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
            /// A value of a later version.
            Unknown(u8),
        }

        impl From<u8> for $name {
            fn from(code: u8) -> Self {
                match code {
                    $($code => Self::$variant,)+
                    other => Self::Unknown(other),
                }
            }
        }

        impl From<$name> for u8 {
            fn from(value: $name) -> Self {
                match value {
                    $($name::$variant => $code,)+
                    $name::Unknown(other) => other,
                }
            }
        }
    };
}

codes! {
    /// What a helper's owner, or their policy, answers to an offer. A leader learns no more.
    Verdict {
        /// The helper will fetch.
        Yes = 1,
        /// It will not.
        No = 2,
        /// It helps others and has no room.
        Busy = 3,
        /// Not at this time of day or on this network; the leader may ask again.
        Later = 4,
    }
}

codes! {
    /// Why a helper could not fetch a lease.
    FailReason {
        /// Its link to the origin broke or timed out.
        Network = 1,
        /// The origin asked for fewer requests or lanes.
        Throttled = 2,
        /// The origin answered this helper with a refusal, such as 403.
        Refused = 3,
        /// The origin serves another version, length or form of the file to this helper.
        Changed = 4,
        /// The origin broke HTTP.
        Origin = 5,
        /// The helper's owner or policy stopped it.
        Stopped = 6,
    }
}

codes! {
    /// Why one side ends a session.
    ByeReason {
        /// The job is done.
        Done = 1,
        /// The job was cancelled.
        Cancelled = 2,
        /// The helper is thanked and released: its help adds too little.
        Released = 3,
        /// Two deliveries of this helper failed their check.
        Spoiled = 4,
        /// The other side broke the protocol.
        Protocol = 5,
        /// The other side took too long.
        Timeout = 6,
        /// The helper's owner or policy ended it.
        Stopped = 7,
        /// The helper could not use the origin: its address is not allowed, or it is unreachable.
        Unreachable = 8,
        /// The leader could not show that it can read the file by itself.
        Unproven = 9,
        /// No version of the protocol is spoken by both.
        Version = 10,
        /// The ask is not known, or no longer wanted.
        NotWanted = 11,
        /// The helper's owner ended this help for good: the ask is not to be followed again.
        Withdrawn = 12,
    }
}
