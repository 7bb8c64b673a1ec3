//! What errors say.

use super::{Error, Fault, LONGEST_PAUSE, Refusal, Stage};
use std::fmt;
use std::time::Duration;

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header { name, why } => write!(f, "the header {name:?} cannot be set: {why}"),
            Self::Roots { source } => write!(f, "the root certificates cannot be read: {source}"),
            Self::Unreadable { what, text } => write!(f, "{text:?} is no {what}"),
            Self::Url { why } => write!(f, "the URL {why}"),
            Self::Input { what, why } => write!(f, "the {what} cannot be used: {why}"),
            Self::Proxy { proxy, fault } => write!(f, "the proxy {proxy} {fault}"),
            Self::Refused { host, why } => write!(f, "{host} must not be fetched from: {why}"),
            Self::Resolve { host, source } => write!(f, "{host} has no address: {source}"),
            Self::Connect { host, source } => write!(f, "{host} cannot be reached: {source}"),
            Self::Tls { host, source } => write!(f, "no secure connection to {host}: {source}"),
            Self::Timeout { host, stage, after } => {
                write!(f, "{host} took more than {} s for {stage}", after.as_secs_f32())
            }
            Self::Lost { host, at, source: None } => write!(f, "{host} stopped at byte {at}"),
            Self::Lost { host, at, source: Some(source) } => {
                write!(f, "the connection to {host} broke at byte {at}: {source}")
            }
            Self::Status { host, status, wait } => write_status(f, host, *status, *wait),
            Self::Overrun { host } => write!(f, "{host} takes no more requests at present"),
            Self::TooManyRedirects { host } => write!(f, "too many redirects, the last by {host}"),
            Self::Downgrade { host } => write!(f, "{host} redirects from https to http"),
            Self::BadRedirect { host } => write!(f, "{host} redirects to no one http or https URL"),
            Self::NoRange { host } => write!(f, "{host} did not send the part it was asked for"),
            Self::Changed { host, what } => {
                write!(f, "the file changed on {host}: its {what} is not what it was")
            }
            Self::Broken { host, fault } => write!(f, "{host} broke HTTP: {fault}"),
        }
    }
}

fn write_status(
    f: &mut fmt::Formatter<'_>,
    host: &str,
    status: u16,
    wait: Option<Duration>,
) -> fmt::Result {
    write!(f, "{host} answered with status {status}")?;
    match wait {
        Some(wait) if wait > LONGEST_PAUSE => write!(
            f,
            " and asks to wait {} s, of which haul waits {} s",
            wait.as_secs(),
            LONGEST_PAUSE.as_secs()
        ),
        Some(wait) => write!(f, " and asks to wait {} s", wait.as_secs()),
        None => Ok(()),
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Address => "its address is not a public one",
            Self::Inward => {
                "it is on this machine or its networks, and somebody outside of them led there"
            }
            Self::Name => "its name belongs to a local network",
            Self::Peer => "it answered from another address",
            Self::Port => "only ports 80 and 443 are open",
            Self::Owner => "the owner of this machine does not want it asked",
            Self::Secret => "the URL holds a user or a password",
        })
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resolve => "its address",
            Self::Connect => "a connection",
            Self::Handshake => "the TLS handshake",
            Self::Head => "the head of its response",
            Self::Body => "the next bytes",
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Message => "its response is no HTTP message",
            Self::ContentRange => "its Content-Range is missing or wrong",
            Self::OtherPart => "it sent another part than it was asked for",
            Self::Encoded => "it sent a part of an encoded form of the file",
            Self::Digest => "it sent a part that is not what its Content-Digest says",
            Self::TransferCoding => "it coded its response in a way that it was not asked for",
            Self::Interim => "it sends interim responses without end",
            Self::Multipart => "it sent several parts where one was asked for",
        })
    }
}
