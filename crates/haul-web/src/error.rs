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
    /// A download cannot begin as it was told.
    Job(haul::Error),
    /// A file cannot have this name.
    Name {
        /// The name.
        name: String,
        /// Why not.
        because: &'static str,
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
    pub fn remedy(&self) -> &str {
        match self {
            Self::Job(error) => error.remedy().unwrap_or("see --help"),
            Self::Name { .. } => "give the file a plain name, such as image.iso",
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
            Self::Job(error) => write!(f, "the download cannot begin: {error}"),
            Self::Name { name, because } => {
                write!(f, "the file cannot be called {name:?}: {because}")
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
            Self::Job(error) => Some(error),
            Self::Name { .. } | Self::Random => None,
        }
    }
}
