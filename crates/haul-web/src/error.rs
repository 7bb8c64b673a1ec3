use std::net::SocketAddr;
use std::path::PathBuf;
use std::{fmt, io};

/// What kept a page from being served.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The folder that files are to be saved in cannot be used.
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The port cannot be listened on. Another port, or 0 for any, may do.
    Port {
        /// Where it was to listen.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The system gives no random numbers, without which nothing can be kept secret.
    Random,
}

impl Error {
    /// What to try.
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::Folder { .. } => "name a folder that exists and that you may write to",
            Self::Port { .. } => "choose another port, or 0 for any that is free",
            Self::Random => "restart the machine: its source of random numbers is broken",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder { path, source } => {
                write!(f, "files cannot be saved in {}: {source}", path.display())
            }
            Self::Port { address, source } => write!(f, "cannot listen on {address}: {source}"),
            Self::Random => f.write_str("the system gives no random numbers"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Folder { source, .. } | Self::Port { source, .. } => Some(source),
            Self::Random => None,
        }
    }
}
