use super::Name;
use std::net::SocketAddr;
use std::time::Duration;
use std::{fmt, io};

/// Why it is not known which helpers a domain names.
#[derive(Debug)]
#[non_exhaustive]
pub enum SrvFault {
    /// The domain is too long to have services.
    TooLong {
        /// The domain.
        domain: Name,
    },
    /// Which name servers the system uses could not be read. Nothing was sent.
    NoServers {
        /// What the system said.
        source: io::Error,
    },
    /// There is no such record. Asking again soon will not help.
    NoRecord {
        /// What was asked for.
        name: Name,
    },
    /// The server could not be asked.
    Broken {
        /// The server.
        server: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The server did not answer. Asking again may help.
    Silent {
        /// The server.
        server: SocketAddr,
        /// How long it was waited for.
        after: Duration,
    },
    /// The server answered that it cannot or will not tell.
    Refused {
        /// The server.
        server: SocketAddr,
        /// The code of its answer (RFC 1035 §4.1.1).
        code: u8,
    },
    /// The server's answer is not one.
    Malformed {
        /// The server.
        server: SocketAddr,
    },
}

impl SrvFault {
    /// Whether asking again may help.
    pub const fn may_pass(&self) -> bool {
        matches!(self, Self::Broken { .. } | Self::Silent { .. } | Self::Refused { .. })
    }
}

impl fmt::Display for SrvFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { domain } => write!(f, "the name {domain} is too long to have services"),
            Self::NoServers { source } => {
                write!(f, "the system's name servers could not be read: {source}")
            }
            Self::NoRecord { name } => write!(f, "there is no SRV record {name}"),
            Self::Broken { server, source } => {
                write!(f, "the name server {server} could not be asked: {source}")
            }
            Self::Silent { server, after } => {
                write!(f, "the name server {server} was silent for {} s", after.as_secs_f32())
            }
            Self::Refused { server, code } => {
                write!(f, "the name server {server} answered with error {code}")
            }
            Self::Malformed { server } => {
                write!(f, "the name server {server} sent something that is no answer")
            }
        }
    }
}

impl std::error::Error for SrvFault {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NoServers { source } | Self::Broken { source, .. } => Some(source),
            _ => None,
        }
    }
}
