use crate::{Error, Retry};
use std::time::Duration;
use std::{fmt, io};

/// Why a proxy is no way to the origin.
#[derive(Debug)]
#[non_exhaustive]
pub enum ProxyFault {
    /// There is no connection to it, or it took too long.
    Unreachable(Box<Error>),
    /// It wants to know who asks, or does not know who did.
    SignIn,
    /// It answered the request for a tunnel with this status.
    Refused {
        /// The status code.
        status: u16,
    },
    /// It does not lead to the origin, for a reason of SOCKS (RFC 1928 §6).
    NoWay {
        /// The reply's number.
        reply: u8,
    },
    /// The origin's name is longer than SOCKS can say.
    LongName,
    /// What it said is no word of the protocol that its scheme names.
    Garbled,
    /// The connection to it broke before it had answered.
    Lost(io::Error),
}

impl ProxyFault {
    pub(crate) fn retry(&self) -> Retry {
        match self {
            Self::Unreachable(error) => error.retry(),
            Self::SignIn | Self::LongName => Retry::Never,
            Self::Refused { status: 429 | 502..=504 } | Self::NoWay { reply: 3..=6 } => {
                Retry::After(PAUSE)
            }
            Self::Lost(_) => Retry::After(PAUSE),
            Self::Refused { .. } | Self::NoWay { .. } | Self::Garbled => Retry::Elsewhere,
        }
    }
}

/// The pause after a failure that may pass.
const PAUSE: Duration = Duration::from_secs(1);

impl From<io::Error> for ProxyFault {
    fn from(source: io::Error) -> Self {
        Self::Lost(source)
    }
}

impl fmt::Display for ProxyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(source) => write!(f, "cannot be used: {source}"),
            Self::SignIn => f.write_str("wants another user and password"),
            Self::Refused { status } => write!(f, "opens no tunnel and answers {status}"),
            Self::NoWay { reply } => {
                write!(f, "does not lead to the origin: {}", reply_text(*reply))
            }
            Self::LongName => f.write_str("cannot be told so long a name"),
            Self::Garbled => f.write_str("does not speak the protocol of its scheme"),
            Self::Lost(source) => write!(f, "hung up: {source}"),
        }
    }
}

/// RFC 1928 §6.
fn reply_text(reply: u8) -> &'static str {
    match reply {
        1 => "it failed",
        2 => "its rules forbid it",
        3 => "the network cannot be reached",
        4 => "the host cannot be reached",
        5 => "the connection was refused",
        6 => "the way is too long",
        7 => "it knows no such command",
        8 => "it knows no such kind of address",
        _ => "it does not say why",
    }
}
