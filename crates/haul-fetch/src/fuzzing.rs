//! Entrances for fuzz targets: what reads the bytes of strangers, without a network.
//!
//! Each function panics where a promise of the crate is broken, and on nothing else.

use crate::conn::Conn;
use crate::connect::Connected;
use crate::follow::{Answer, redirect};
use crate::host::Place;
use crate::open::Open;
use crate::probe::shown;
use crate::request::{self, Location, Trust, Wanted};
use crate::validator::Version;
use crate::ways::Links;
use crate::{AddressSpace, Client, Digest, Error, Options, Probe, Source, Validator, head, name};
use haul_span::Span;
use hyper::header::{CONTENT_DISPOSITION, HeaderMap, HeaderName, HeaderValue};
use std::io::{self, Cursor};
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::SystemTime;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::runtime;
use url::Url;

/// Reads the fields of a head, one `name: value` a line, as responses have them.
pub fn fields(lines: &[u8]) {
    let fields = lines.split(|&byte| byte == b'\n').filter_map(|line| {
        let colon = line.iter().position(|&byte| byte == b':')?;
        let name = HeaderName::from_bytes(&line[..colon]).ok()?;
        Some((name, HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?))
    });
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(name, value);
    }
    if let Some(head::ContentRange::Part { span, total }) = head::content_range(&headers) {
        assert!(total.is_none_or(|total| span.end() <= total));
    }
    let _ = (head::content_length(&headers), head::plain_part(&headers), head::encoding(&headers));
    let _ = head::retry_after(&headers, SystemTime::UNIX_EPOCH);
    if let Some(validator) = Version::of(&headers).validator(7) {
        assert_eq!(validator.to_string().parse::<Validator>().ok(), Some(validator));
    }
    let text = |name: &str| headers.get(name)?.to_str().ok();
    Digest::stated(text("repr-digest"), text("digest"));
    for link in Links::of(&headers, &origin()).mirrors {
        assert!(link.location(AddressSpace::Public).url.username().is_empty());
    }
}

/// The name that a `Content-Disposition` and the path of a URL give.
pub fn file_name(disposition: &[u8], path: &str) -> String {
    let value = HeaderValue::from_bytes(disposition).ok();
    let headers = value.into_iter().map(|value| (CONTENT_DISPOSITION, value)).collect();
    let mut url = origin();
    url.set_path(path);
    name::file_name(&headers, &[&url])
}

/// Takes a URL for what a user gives, or for where a server redirects to, and makes requests.
pub fn url(text: &str) {
    let user = Url::parse("https://user:password@origin.example/file").expect("it is a URL");
    let from = Location::named(user, Trust::Origin);
    let client = client();
    for url in [Url::parse(text), from.url.join(text)].into_iter().flatten() {
        let to = from.onward(url, AddressSpace::Public);
        let Ok(request) = request::get(&client, &to, Wanted::WholeRange) else { continue };
        let elsewhere = to.url.origin() != from.url.origin();
        assert!(!(elsewhere && request.headers().contains_key("authorization")));
        assert!(request.uri().to_string().bytes().all(|byte| byte > b' ' && byte != 0x7f));
    }
}

/// Plays bytes as what an origin sends in answer to a request for a part, and to a probe.
///
/// What is handed out of a part must lie in it, in pieces of at most 64 KiB.
pub fn response(bytes: &[u8]) {
    let runtime = runtime::Builder::new_current_thread().enable_time().build();
    runtime.expect("a runtime without I/O needs nothing").block_on(async {
        // Either may end with any error.
        let _ = play_part(bytes).await;
        let _ = play_probe(bytes).await;
    });
}

async fn play_part(bytes: &[u8]) -> Result<(), Error> {
    let (client, span) = (client(), Span::new(100, 200).expect("it has bytes"));
    let validator = Validator::ETag("\"v1\"".to_owned());
    let source = Source::known(&client, &origin(), 1000, Some(&validator))?;
    let answer = answer(&client, Wanted::Part { span, tag: None }, bytes).await?;
    let mut open = source.accept(answer, span)?;
    let read = drain(&mut open).await?;
    assert!(read <= 900, "{read} bytes of a part");
    Ok(())
}

async fn play_probe(bytes: &[u8]) -> Result<(), Error> {
    let client = client();
    let answer = answer(&client, Wanted::WholeRange, bytes).await?;
    if redirect(&answer.location, answer.conn.space(), &answer.response)?.is_some() {
        return Ok(());
    }
    let shown = shown(&answer)?;
    let asked = answer.location.clone();
    let Probe { source, mut body } = Probe::of(&client, asked, answer, &shown);
    let Some(open) = &mut body.open else { return Ok(()) };
    let read = drain(open).await?;
    assert!(source.length().is_none_or(|length| read <= length), "{read} bytes of a file");
    Ok(())
}

async fn drain(open: &mut Open) -> Result<u64, Error> {
    let mut read = 0;
    while let Some(piece) = open.next(u64::MAX).await? {
        assert!(!piece.is_empty() && piece.len() <= 64 << 10);
        read += piece.len() as u64;
    }
    Ok(read)
}

async fn answer(client: &Client, wanted: Wanted<'_>, bytes: &[u8]) -> Result<Answer, Error> {
    let location = Location::named(origin(), Trust::Origin);
    let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 80));
    let stream = Box::new(Script { says: Cursor::new(bytes.to_vec()), asked: false, waits: None });
    let place = Place::at(client.0.learned.of(&location.url));
    let space = AddressSpace::Public;
    let connected = Connected { stream, peer, space, forward: None, is_http2: false };
    let mut conn = Conn::over(connected, &location.url, place).await?;
    let response = conn.send(&client.0, request::get(client, &location, wanted)?).await?;
    Ok(Answer { conn, response, location })
}

fn client() -> Client {
    thread_local! {
        static CLIENT: Client = Client::new(Options::default()).expect("the defaults are fine");
    }
    CLIENT.with(Client::clone)
}

fn origin() -> Url {
    Url::parse("http://origin.example/file").expect("it is a URL")
}

/// A connection over which everything is said as soon as a request was written.
struct Script {
    says: Cursor<Vec<u8>>,
    asked: bool,
    waits: Option<Waker>,
}

impl AsyncRead for Script {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.asked {
            return Pin::new(&mut self.says).poll_read(context, into);
        }
        self.waits = Some(context.waker().clone());
        Poll::Pending
    }
}

impl AsyncWrite for Script {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.asked = true;
        if let Some(waits) = self.waits.take() {
            waits.wake();
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(bytes: &str) -> (Result<(), Error>, Result<(), Error>) {
        (play_part(bytes.as_bytes()).await, play_probe(bytes.as_bytes()).await)
    }

    #[tokio::test]
    async fn a_response_that_is_played_is_read_to_its_end() {
        let head = "HTTP/1.1 206 P\r\nETag: \"v1\"\r\nContent-Length: 2\r\n";
        let part = read(&format!("{head}Content-Range: bytes 100-101/1000\r\n\r\nab")).await;
        part.0.unwrap();
        part.1.unwrap_err();
        let probe = read(&format!("{head}Content-Range: bytes 0-1/2\r\n\r\nab")).await;
        probe.0.unwrap_err();
        probe.1.unwrap();
    }
}
