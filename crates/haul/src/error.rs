use haul_fetch::{Kind, Retry as FetchRetry};
use haul_store::ErrorKind as StoreKind;
use std::fmt;
use std::time::Duration;

/// What kept haul from its work: what happened, why, and what to try.
///
/// No text holds a password, a cookie, or more of a URL than its host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    kind: ErrorKind,
    what: String,
    because: String,
    remedy: Option<String>,
    retry: Retry,
}

/// Whose fault it is. Each kind has its exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// None of the others.
    Other,
    /// The caller asked for something impossible.
    Usage,
    /// The origin does not have the file.
    NotFound,
    /// Names, connections, TLS or time.
    Network,
    /// It was stopped on purpose and can be resumed.
    Interrupted,
    /// The disk is full, read-only, forbidden or broken.
    Disk,
    /// Another haul is downloading to this file.
    Locked,
    /// The file exists, or a part of it was left by a former run.
    Exists,
    /// Something that haul did not write has a name that it needs.
    InTheWay,
    /// The origin broke HTTP.
    Http,
    /// The origin redirects without end, or to where haul does not follow.
    Redirects,
    /// The origin wants to know who asks.
    SignIn,
    /// The file is not the one that its digest names.
    Checksum,
    /// Fewer machines help than were demanded.
    TooFewHelpers,
    /// The file changed on the origin while it was downloaded.
    Changed,
    /// What helpers delivered failed its check and could not be repaired.
    Spoiled,
    /// A policy forbids it.
    Refused,
}

impl ErrorKind {
    /// The exit code of the programs.
    pub const fn code(self) -> u8 {
        match self {
            Self::Other => 1,
            Self::Usage => 2,
            Self::NotFound => 3,
            Self::Network => 6,
            Self::Interrupted => 7,
            Self::Disk => 9,
            Self::Locked => 11,
            Self::Exists | Self::InTheWay => 13,
            Self::Http => 22,
            Self::Redirects => 23,
            Self::SignIn => 24,
            Self::Checksum => 32,
            Self::TooFewHelpers => 40,
            Self::Changed => 41,
            Self::Spoiled => 42,
            Self::Refused => 43,
        }
    }
}

/// Whether trying again may help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// It will end the same way.
    Never,
    /// It may work after this time.
    After(Duration),
    /// It may work on another machine or over another network.
    Elsewhere,
}

impl Error {
    pub(crate) fn new(
        kind: ErrorKind,
        what: impl Into<String>,
        because: impl Into<String>,
    ) -> Self {
        Self { kind, what: what.into(), because: because.into(), remedy: None, retry: Retry::Never }
    }

    /// The caller asked for something impossible, such as a file that cannot be read.
    pub fn usage(because: impl Into<String>) -> Self {
        Self::new(ErrorKind::Usage, "the request cannot be followed", because)
            .with_remedy("see --help")
    }

    /// What was fetched could not be written where the caller wanted it.
    pub fn output(because: impl Into<String>) -> Self {
        Self::new(ErrorKind::Disk, "the file could not be written", because)
            .with_remedy("see that what it is written to has room, and run the same command again")
    }

    /// Something that haul did not write has a name that it needs.
    pub fn in_the_way(what: impl Into<String>, because: impl Into<String>) -> Self {
        Self::new(ErrorKind::InTheWay, what, because)
    }

    /// The same with what to try.
    #[must_use]
    pub fn with_remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    pub(crate) fn of_kind(mut self, kind: ErrorKind) -> Self {
        self.kind = kind;
        self
    }

    pub(crate) fn with_retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// Whose fault it is.
    pub const fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Whether trying again may help.
    pub const fn retry(&self) -> Retry {
        self.retry
    }

    /// What to try, if haul knows something.
    pub fn remedy(&self) -> Option<&str> {
        self.remedy.as_deref()
    }

    /// What happened, as a sentence fragment.
    pub fn what(&self) -> &str {
        &self.what
    }

    /// Why it happened.
    pub fn because(&self) -> &str {
        &self.because
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.because)
    }
}

impl std::error::Error for Error {}

impl From<haul_fetch::Error> for Error {
    fn from(error: haul_fetch::Error) -> Self {
        Self::from(&error)
    }
}

impl From<&haul_fetch::Error> for Error {
    fn from(error: &haul_fetch::Error) -> Self {
        let (kind, remedy) = match error.kind() {
            Kind::NotFound => {
                (ErrorKind::NotFound, "check the address: the server has no such file")
            }
            Kind::SignIn => (
                ErrorKind::SignIn,
                "open the link in a browser; if it needs a password or a token, give it with -H @FILE",
            ),
            Kind::Redirects => {
                (ErrorKind::Redirects, "open the link in a browser and copy where it ends")
            }
            Kind::Changed => {
                (ErrorKind::Changed, "start again with --overwrite to get the new version")
            }
            Kind::Http => (ErrorKind::Http, "try again later, or from another mirror of the file"),
            Kind::Refused if is_inward(error) => (
                ErrorKind::Refused,
                "if you trust where it leads, run the same command with --allow-private",
            ),
            Kind::Refused => (ErrorKind::Refused, "allow the network by name with --allow-net"),
            Kind::Proxy => (
                ErrorKind::Network,
                "check the proxy's address and what it allows, or go without it: --no-proxy",
            ),
            Kind::ProxySignIn => (
                ErrorKind::SignIn,
                "give the proxy's user and password: --proxy http://USER:PASSWORD@HOST:PORT",
            ),
            Kind::Usage => (ErrorKind::Usage, "see `leader get --help`"),
            Kind::Busy => (ErrorKind::Http, "the server is busy or down: try again later with -c"),
            _ => (
                ErrorKind::Network,
                "check the address and this machine's connection, then run the same command with -c",
            ),
        };
        let retry = match error.retry() {
            FetchRetry::Never => Retry::Never,
            FetchRetry::After(pause) => Retry::After(pause),
            FetchRetry::Elsewhere => Retry::Elsewhere,
        };
        Self::new(kind, "the file could not be fetched", error.to_string())
            .with_remedy(remedy)
            .with_retry(retry)
    }
}

/// Whether it is that somebody on the internet led inward.
fn is_inward(error: &haul_fetch::Error) -> bool {
    matches!(error, haul_fetch::Error::Refused { why: haul_fetch::Refusal::Inward, .. })
}

impl From<haul_store::Error> for Error {
    fn from(error: haul_store::Error) -> Self {
        use haul_store::Error as Store;
        let kind = match error.kind() {
            _ if matches!(error, Store::InTheWay { .. } | Store::OtherVersion { .. }) => {
                ErrorKind::InTheWay
            }
            StoreKind::Foreign => ErrorKind::InTheWay,
            StoreKind::Locked => ErrorKind::Locked,
            StoreKind::Exists | StoreKind::PartLeft => ErrorKind::Exists,
            StoreKind::Changed => ErrorKind::Changed,
            StoreKind::Name => ErrorKind::Usage,
            StoreKind::Beyond | StoreKind::Incomplete => ErrorKind::Other,
            _ => ErrorKind::Disk,
        };
        let made = Self::new(kind, "the file could not be saved", error.to_string());
        match error.remedy() {
            Some(remedy) => made.with_remedy(remedy),
            None => made,
        }
    }
}

impl From<haul_link::LinkError> for Error {
    fn from(error: haul_link::LinkError) -> Self {
        use haul_link::LinkError;
        let (kind, what, remedy) = match &error {
            LinkError::Port { .. } => (
                ErrorKind::Network,
                "haul could not listen",
                "stop the other program on that port, or choose another address with --listen",
            ),
            _ => (
                ErrorKind::Network,
                "the other machine could not be talked to",
                "check that both machines are on the same network and run this version of haul",
            ),
        };
        Self::new(kind, what, error.to_string()).with_remedy(remedy)
    }
}

#[cfg(feature = "scan")]
impl From<haul_scan::Error> for Error {
    fn from(error: haul_scan::Error) -> Self {
        let (kind, remedy) = match &error {
            haul_scan::Error::NoSuchInterface { .. } => {
                (ErrorKind::Usage, "give --interface one of these names")
            }
            _ => (ErrorKind::Other, "name the machines with --helpers instead"),
        };
        Self::new(kind, "the network could not be scanned", error.to_string()).with_remedy(remedy)
    }
}
