use std::error::Error as StdError;
use std::process::ExitStatus;
use std::{fmt, io};

/// Why something of the lab could not be set up.
///
/// None of these is worth a retry: the machine lacks something, or the test asks for what cannot
/// be.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused something.
    Io {
        /// What was being done, and to what.
        doing: String,
        /// What the system said.
        source: io::Error,
    },
    /// A program that the lab leans on failed.
    Tool {
        /// The command as one would type it.
        command: String,
        /// How it ended.
        status: ExitStatus,
        /// What it wrote to stderr.
        said: String,
    },
    /// A program of a test did not get ready in time.
    NotReady {
        /// Which one.
        program: String,
        /// What it wrote while it tried.
        said: String,
    },
    /// A browser did not do what it was asked to.
    Browser {
        /// What it was asked.
        asked: String,
        /// What it said.
        said: String,
    },
    /// A scenario's file says something that the simulation does not understand.
    Scenario {
        /// Which file.
        name: String,
        /// What is wrong, and in which line.
        why: String,
    },
    /// A certificate could not be made or taken.
    Tls(Box<dyn StdError + Send + Sync>),
}

impl Error {
    pub(crate) fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Io { doing, source }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { doing, source } => write!(f, "could not {doing}: {source}"),
            Self::Tool { command, status, said } => {
                write!(f, "`{command}` failed ({status}): {}", said.trim())
            }
            Self::NotReady { program, said } => {
                write!(f, "{program} did not get ready: {}", said.trim())
            }
            Self::Browser { asked, said } => write!(f, "the browser failed at {asked}: {said}"),
            Self::Scenario { name, why } => write!(f, "{name}: {}", why.trim()),
            Self::Tls(source) => write!(f, "could not set up TLS: {source}"),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            Self::Tls(source) => Some(source.as_ref()),
            Self::Tool { .. }
            | Self::NotReady { .. }
            | Self::Browser { .. }
            | Self::Scenario { .. } => None,
        }
    }
}
