use crate::PeerId;
use haul_wire::{ByeReason, WireError};
use std::net::SocketAddr;
use std::time::Duration;
use std::{fmt, io};

/// Why two machines do not talk to each other.
#[derive(Debug)]
#[non_exhaustive]
pub enum LinkError {
    /// A local port could not be opened. Nothing was sent.
    Port {
        /// The address that was wanted.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The connection failed or broke.
    Broken {
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The other side was silent for too long.
    Silent {
        /// What was being waited for.
        awaiting: &'static str,
        /// How long.
        after: Duration,
    },
    /// The other side closed the connection.
    Closed,
    /// The other side sent bytes that are not the protocol.
    Wire(WireError),
    /// The other side sent a frame that does not belong here.
    Unexpected {
        /// What was being waited for.
        awaiting: &'static str,
        /// The kind of frame that came.
        kind: u8,
    },
    /// The leader's nonce is not the one that it had committed to: somebody is in the middle.
    Commitment,
    /// The other side is not of the group, and nobody else is talked to.
    Stranger,
    /// The other side sent more control frames than any honest one does.
    Flood,
    /// No version of the protocol is spoken by both.
    Version,
    /// The machine at that address has another key than the one that asked.
    OtherPeer {
        /// Who was expected.
        expected: PeerId,
    },
}

impl LinkError {
    /// What the other side is told before the connection is closed, if anything can still be told.
    pub const fn farewell(&self) -> Option<ByeReason> {
        match self {
            Self::Wire(_) | Self::Unexpected { .. } | Self::Commitment | Self::Flood => {
                Some(ByeReason::Protocol)
            }
            Self::Silent { .. } => Some(ByeReason::Timeout),
            _ => None,
        }
    }

    /// Whether the connection was lost by nobody's will, as far as can be told.
    pub const fn is_loss(&self) -> bool {
        matches!(self, Self::Broken { .. } | Self::Closed | Self::Silent { .. })
    }
}

/// The text is not 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadGroupKey;

impl fmt::Display for BadGroupKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a group's key is 64 hexadecimal digits")
    }
}

impl std::error::Error for BadGroupKey {}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Port { address, source } => write!(f, "cannot listen on {address}: {source}"),
            Self::Broken { doing, source } => write!(f, "{doing} failed: {source}"),
            Self::Silent { awaiting, after } => {
                write!(f, "no {awaiting} within {} s", after.as_secs_f32())
            }
            Self::Closed => write!(f, "the other side closed the connection"),
            Self::Wire(error) => write!(f, "{error}"),
            Self::Unexpected { awaiting, kind } => {
                write!(f, "a frame of kind {kind} came in place of {awaiting}")
            }
            Self::Commitment => write!(f, "the leader did not keep its commitment"),
            Self::Stranger => write!(f, "the other side is not of the group"),
            Self::Flood => write!(f, "too many control frames"),
            Self::Version => write!(f, "the other side speaks another version of haul"),
            Self::OtherPeer { expected } => {
                write!(f, "the machine there is not {}", expected.short())
            }
        }
    }
}

impl std::error::Error for LinkError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Port { source, .. } | Self::Broken { source, .. } => Some(source),
            Self::Wire(error) => Some(error),
            _ => None,
        }
    }
}

impl From<WireError> for LinkError {
    fn from(error: WireError) -> Self {
        Self::Wire(error)
    }
}
