mod display;

use crate::ways::ProxyFault;
use std::error::Error as StdError;
use std::io;
use std::time::Duration;

/// What went wrong with one source, by culprit.
///
/// No text of an error holds more of a URL than its host.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The caller gave a header that haul must own or that is no header.
    Header {
        /// The name as given.
        name: String,
        /// Why not.
        why: &'static str,
    },
    /// The caller gave root certificates that cannot be read.
    Roots {
        /// What is wrong with them.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// The caller gave a text that is not what it should be.
    Unreadable {
        /// What the text should have been.
        what: &'static str,
        /// The text.
        text: String,
    },
    /// The caller gave a URL that is not `http` or `https`, or names no host.
    Url {
        /// What is wrong with it.
        why: &'static str,
    },
    /// The caller gave something else that cannot be used.
    Input {
        /// What it is.
        what: &'static str,
        /// What is wrong with it; holds nothing that may be secret.
        why: String,
    },
    /// The proxy is no way to the origin.
    Proxy {
        /// Which proxy: its host and port.
        proxy: String,
        /// Why not.
        fault: ProxyFault,
    },
    /// The address guard forbids this source.
    Refused {
        /// Who was not to be asked.
        host: String,
        /// Why not.
        why: Refusal,
    },
    /// The name has no address.
    Resolve {
        /// The name.
        host: String,
        /// What the resolver said.
        source: io::Error,
    },
    /// No address of the host takes a connection.
    Connect {
        /// Who was called.
        host: String,
        /// What the last address said.
        source: io::Error,
    },
    /// The host did not prove to be who it should be, or speaks no TLS.
    Tls {
        /// Who was called.
        host: String,
        /// What failed in the handshake.
        source: io::Error,
    },
    /// Nothing happened for too long.
    Timeout {
        /// Who was waited for.
        host: String,
        /// For what.
        stage: Stage,
        /// How long.
        after: Duration,
    },
    /// The connection broke, or ended before all that was promised had come.
    Lost {
        /// Who was read from.
        host: String,
        /// Up to which offset of the file all bytes have come.
        at: u64,
        /// What broke, if it was more than an early end.
        source: Option<hyper::Error>,
    },
    /// The origin answered with a status that brings no data.
    Status {
        /// Who answered.
        host: String,
        /// The status code.
        status: u16,
        /// How long it asks to be left alone (`Retry-After`), as it said it.
        wait: Option<Duration>,
    },
    /// The origin takes no more requests at present (HTTP/2's `REFUSED_STREAM` and
    /// `ENHANCE_YOUR_CALM`, RFC 9113 §7).
    Overrun {
        /// Who refused.
        host: String,
    },
    /// More redirects than haul follows.
    TooManyRedirects {
        /// Who sent the last one.
        host: String,
    },
    /// A redirect from `https` to `http`.
    Downgrade {
        /// Who sent it.
        host: String,
    },
    /// A redirect to nowhere, to several places, or to what is not `http` or `https`.
    BadRedirect {
        /// Who sent it.
        host: String,
    },
    /// The origin answered a request for a part with the whole, or will not send that part.
    NoRange {
        /// Who answered.
        host: String,
    },
    /// The file is not the one that was probed.
    Changed {
        /// Who answered.
        host: String,
        /// What is different.
        what: &'static str,
    },
    /// The origin broke HTTP.
    Broken {
        /// Who answered.
        host: String,
        /// How.
        fault: Fault,
    },
}

/// What an error means for whoever asked for the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// The origin will not serve for now.
    Busy,
    /// The file changed on the origin.
    Changed,
    /// The origin broke HTTP or gave no data.
    Http,
    /// Names, connections, TLS or time.
    Network,
    /// The origin does not have the file.
    NotFound,
    /// A proxy is no way to the origin.
    Proxy,
    /// A proxy wants to know who asks.
    ProxySignIn,
    /// Redirects that are not followed.
    Redirects,
    /// The address guard forbids it.
    Refused,
    /// The origin wants to know who asks.
    SignIn,
    /// The caller asked for something impossible.
    Usage,
}

/// Whether asking again may help. A caller bounds the attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Nobody will get another answer.
    Never,
    /// The same source may answer after this time.
    After(Duration),
    /// Another worker, or another way of asking, may get an answer; this one will not.
    Elsewhere,
}

/// Why the address guard refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// The address is not public, or denied.
    Address,
    /// The address is of this machine or its networks, and was named from outside of them.
    Inward,
    /// The name belongs to a local network.
    Name,
    /// The machine's owner does not want this host to be asked.
    Owner,
    /// The connection was made with another address than the one that was judged.
    Peer,
    /// The port is not the web's.
    Port,
    /// The URL carries a user or a password.
    Secret,
}

/// What was being waited for when time ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// The addresses of a name.
    Resolve,
    /// A connection.
    Connect,
    /// The TLS handshake.
    Handshake,
    /// The head of a response.
    Head,
    /// More of a body.
    Body,
}

/// How an origin broke HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// What came is no HTTP message.
    Message,
    /// A part without `Content-Range`, or with several, or with one that cannot be read.
    ContentRange,
    /// A part other than the one that was asked for.
    OtherPart,
    /// A part of an encoded form of the file.
    Encoded,
    /// Several parts in answer to a request for one.
    Multipart,
    /// A part that is not what its `Content-Digest` says.
    Digest,
    /// A body that was coded for the way as nobody asked for.
    TransferCoding,
    /// More interim responses than anybody has a use for.
    Interim,
}

impl Error {
    /// What it means for whoever asked for the file.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Header { .. }
            | Self::Input { .. }
            | Self::Roots { .. }
            | Self::Unreadable { .. }
            | Self::Url { .. } => Kind::Usage,
            Self::Proxy { fault: ProxyFault::SignIn, .. } => Kind::ProxySignIn,
            Self::Proxy { .. } => Kind::Proxy,
            Self::Refused { .. } => Kind::Refused,
            Self::Resolve { .. }
            | Self::Connect { .. }
            | Self::Tls { .. }
            | Self::Timeout { .. }
            | Self::Lost { .. } => Kind::Network,
            Self::Status { status, .. } => status_kind(*status),
            Self::Overrun { .. } => Kind::Busy,
            Self::TooManyRedirects { .. } | Self::Downgrade { .. } | Self::BadRedirect { .. } => {
                Kind::Redirects
            }
            Self::NoRange { .. } | Self::Broken { .. } => Kind::Http,
            Self::Changed { .. } => Kind::Changed,
        }
    }

    /// Whether asking again may help.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Status { status, wait, .. } => status_retry(*status, *wait),
            Self::Proxy { fault, .. } => fault.retry(),
            Self::Connect { .. }
            | Self::NoRange { .. }
            | Self::Overrun { .. }
            | Self::Resolve { .. } => Retry::After(PAUSE),
            Self::Lost { .. }
            | Self::Timeout { .. }
            | Self::Broken { fault: Fault::Digest, .. } => Retry::After(Duration::ZERO),
            Self::Tls { source, .. } if source.kind() != io::ErrorKind::InvalidData => {
                Retry::After(PAUSE)
            }
            Self::Broken { .. }
            | Self::Changed { .. }
            | Self::Refused { .. }
            | Self::Tls { .. } => Retry::Elsewhere,
            Self::BadRedirect { .. }
            | Self::Downgrade { .. }
            | Self::Header { .. }
            | Self::Input { .. }
            | Self::Roots { .. }
            | Self::TooManyRedirects { .. }
            | Self::Unreadable { .. }
            | Self::Url { .. } => Retry::Never,
        }
    }

    /// The host that was asked, if any was; that of the proxy if it failed.
    pub fn host(&self) -> Option<&str> {
        match self {
            Self::Refused { host, .. }
            | Self::Resolve { host, .. }
            | Self::Connect { host, .. }
            | Self::Tls { host, .. }
            | Self::Timeout { host, .. }
            | Self::Lost { host, .. }
            | Self::Status { host, .. }
            | Self::Overrun { host }
            | Self::TooManyRedirects { host }
            | Self::Downgrade { host }
            | Self::BadRedirect { host }
            | Self::NoRange { host }
            | Self::Changed { host, .. }
            | Self::Broken { host, .. } => Some(host),
            Self::Proxy { proxy, .. } => Some(proxy),
            Self::Header { .. }
            | Self::Input { .. }
            | Self::Roots { .. }
            | Self::Unreadable { .. }
            | Self::Url { .. } => None,
        }
    }
}

fn status_kind(status: u16) -> Kind {
    match status {
        404 | 410 => Kind::NotFound,
        401 | 403 | 407 => Kind::SignIn,
        408 | 425 | 429 | 500 | 502..=504 => Kind::Busy,
        _ => Kind::Http,
    }
}

fn status_retry(status: u16, wait: Option<Duration>) -> Retry {
    match status_kind(status) {
        Kind::Busy => Retry::After(wait.unwrap_or(PAUSE).min(LONGEST_PAUSE)),
        Kind::SignIn if status != 403 => Retry::Never,
        _ => Retry::Elsewhere,
    }
}

/// The pause after a failure that says nothing of its length.
const PAUSE: Duration = Duration::from_secs(1);

/// An origin that asks to be left alone for longer than this is asked again earlier.
const LONGEST_PAUSE: Duration = Duration::from_secs(120);

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Roots { source } => Some(source.as_ref()),
            Self::Resolve { source, .. }
            | Self::Connect { source, .. }
            | Self::Tls { source, .. }
            | Self::Proxy { fault: ProxyFault::Lost(source), .. } => Some(source),
            Self::Lost { source, .. } => source.as_ref().map(|source| source as _),
            Self::Proxy { fault: ProxyFault::Unreachable(source), .. } => Some(source.as_ref()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(status: u16, wait: Option<u64>) -> Error {
        Error::Status { host: "h".into(), status, wait: wait.map(Duration::from_secs) }
    }

    #[test]
    fn a_status_says_whether_to_ask_again() {
        let after = |seconds| Retry::After(Duration::from_secs(seconds));
        for (error, kind, retry) in [
            (status(404, None), Kind::NotFound, Retry::Elsewhere),
            (status(401, None), Kind::SignIn, Retry::Never),
            (status(407, None), Kind::SignIn, Retry::Never),
            (status(403, None), Kind::SignIn, Retry::Elsewhere),
            (status(429, Some(7)), Kind::Busy, after(7)),
            (status(503, None), Kind::Busy, after(1)),
            (status(503, Some(0)), Kind::Busy, after(0)),
            (status(503, Some(1_000_000_000)), Kind::Busy, after(120)),
            (status(204, None), Kind::Http, Retry::Elsewhere),
        ] {
            assert_eq!((error.kind(), error.retry()), (kind, retry), "{error}");
        }
    }

    #[test]
    fn a_capped_pause_is_told() {
        let text = status(503, Some(1_000_000_000)).to_string();
        assert_eq!(
            text,
            "h answered with status 503 and asks to wait 1000000000 s, of which haul waits 120 s"
        );
    }
}
