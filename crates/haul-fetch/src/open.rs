use crate::conn::Conn;
use crate::follow::Answer;
use crate::ways::Seat;
use crate::{Client, Digest, Error, Fault, Framing, Stage, head};
use bytes::{Bytes, BytesMut};
use hyper::body::{Body as _, Incoming};
use hyper::header::TRANSFER_ENCODING;
use hyper::{Response, Version};
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::time::{Instant, timeout};
use url::Url;

/// A response that is being read.
pub(crate) struct Open {
    client: Client,
    conn: Conn,
    /// Where the response came from, after redirects.
    url: Arc<Url>,
    body: Incoming,
    framing: Framing,
    /// Came from the origin and was not handed out yet.
    ready: Bytes,
    /// What the body must be as a whole, while that is to be checked.
    digest: Option<Digest>,
    /// Came from the origin and is not checked yet.
    held: BytesMut,
    /// Where the response begins.
    start: u64,
    /// The offset of the next byte to hand out.
    at: u64,
    /// Where the response must end; unknown for a file of unknown length.
    end: Option<u64>,
    /// The body had more bytes than its head allowed, or the head left open where it ends: nobody
    /// can be sure of what follows.
    unsure: bool,
    /// How long somebody has waited for the next frame.
    waited: Duration,
    /// The site that it comes from, where there are several.
    seat: Option<Seat>,
}

impl Open {
    /// A response whose body is the part of the file from `at` to `end`.
    pub(crate) fn new(client: &Client, answer: Answer, at: u64, end: Option<u64>) -> Self {
        let Answer { conn, response, location } = answer;
        Self {
            client: client.clone(),
            conn,
            url: Arc::new(location.url),
            framing: framing(&response),
            ready: Bytes::new(),
            digest: None,
            held: BytesMut::new(),
            start: at,
            at,
            end,
            unsure: head::is_ambiguous(response.headers()),
            body: response.into_body(),
            waited: Duration::ZERO,
            seat: None,
        }
    }

    /// Hands nothing out before all of it is known to be what this names. All of it is held in
    /// memory meanwhile.
    pub(crate) fn checked_by(self, digest: Digest) -> Self {
        Self { digest: Some(digest), ..self }
    }

    pub(crate) fn seated(self, seat: Seat) -> Self {
        Self { seat: Some(seat), ..self }
    }

    pub(crate) fn seat(&self) -> Option<&Seat> {
        self.seat.as_ref()
    }

    pub(crate) fn conn(&self) -> &Conn {
        &self.conn
    }

    pub(crate) fn url(&self) -> &Arc<Url> {
        &self.url
    }

    pub(crate) fn framing(&self) -> Framing {
        self.framing
    }

    /// How many bytes it has handed out.
    pub(crate) fn brought(&self) -> u64 {
        self.at - self.start
    }

    /// Whether the byte at `offset` comes next.
    pub(crate) fn stands_at(&self, offset: u64) -> bool {
        self.at == offset && self.is_half_read()
    }

    /// Whether the byte at `offset` comes now or later.
    pub(crate) fn stands_before(&self, offset: u64) -> bool {
        self.at <= offset && self.end.is_none_or(|end| offset < end)
    }

    /// Passes over the bytes before `offset`; says whether it stands there then.
    pub(crate) async fn skip_to(&mut self, offset: u64) -> Result<bool, Error> {
        while self.at < offset {
            if self.next(offset - self.at).await?.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether bytes are left that were promised.
    pub(crate) fn is_half_read(&self) -> bool {
        self.end != Some(self.at)
    }

    /// The next piece, of at most `room` bytes; `None` at the end of the response.
    ///
    /// Dropping the future loses nothing: a piece leaves `ready` only as it is returned.
    pub(crate) async fn next(&mut self, room: u64) -> Result<Option<Bytes>, Error> {
        if let Some(digest) = self.digest {
            self.check(digest).await?;
        }
        while self.ready.is_empty() {
            match self.more().await? {
                Some(data) => self.ready = data,
                None => return Ok(None),
            }
        }
        let limit = self.client.0.limit.as_ref();
        let most = limit.map_or(PIECE, |limit| limit.piece().min(PIECE)).min(self.ready.len());
        let piece = usize::try_from(room).map_or(most, |room| room.min(most));
        if let Some(limit) = limit {
            limit.pay(piece).await;
        }
        let piece = self.ready.split_to(piece);
        if let Some(seat) = &self.seat {
            seat.note(self.at, &piece);
        }
        self.at += piece.len() as u64;
        Ok(Some(piece))
    }

    /// Reads all of the body and checks it.
    async fn check(&mut self, digest: Digest) -> Result<(), Error> {
        while let Some(data) = self.more().await? {
            self.held.extend_from_slice(&data);
        }
        if !digest.names(&self.held) {
            let host = self.conn.host().to_owned();
            return Err(Error::Broken { host, fault: Fault::Digest });
        }
        self.ready = std::mem::take(&mut self.held).freeze();
        self.digest = None;
        Ok(())
    }

    /// Reads one frame and cuts it to what is missing; `None` at the end of the response.
    async fn more(&mut self) -> Result<Option<Bytes>, Error> {
        let here = self.at + self.held.len() as u64;
        let left = self.end.map(|end| end - here);
        if left == Some(0) {
            return Ok(None);
        }
        let Some(mut data) = self.frame().await? else {
            return match left {
                None => Ok(None),
                // One that ends well and brought nothing is no part, whatever its head says.
                Some(_) if here == self.start => {
                    Err(Error::NoRange { host: self.conn.host().to_owned() })
                }
                Some(_) => Err(self.cut(None)),
            };
        };
        if let Some(left) = left
            && data.len() as u64 > left
        {
            self.unsure = true;
            data.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        }
        Ok(Some(data))
    }

    /// The data of the next frame; `None` at the end of the body.
    async fn frame(&mut self) -> Result<Option<Bytes>, Error> {
        let idle = self.client.0.timeouts.idle;
        let idle = self.seat.as_ref().and_then(Seat::patience).map_or(idle, |less| less.min(idle));
        let Self { conn, body, waited, .. } = self;
        let patience = idle.saturating_sub(*waited);
        let waiting = Waiting { total: waited, since: Instant::now() };
        let frame = timeout(patience, poll_fn(|context| conn.poll_frame(body, context))).await;
        drop(waiting);
        let Ok(frame) = frame else {
            let host = self.conn.host().to_owned();
            let error = Error::Timeout { host, stage: Stage::Body, after: idle };
            self.conn.note(&error);
            return Err(error);
        };
        self.waited = Duration::ZERO;
        match frame.transpose().map_err(|source| self.cut(Some(source)))? {
            // A trailer is no data; an empty piece says the same to a reader that loops.
            Some(frame) => Ok(Some(frame.into_data().unwrap_or_default())),
            // A stream that was reset may look as if it had ended.
            None if self.framing == Framing::Stream && !self.body.is_end_stream() => {
                Err(self.cut(None))
            }
            None => Ok(None),
        }
    }

    fn cut(&self, source: Option<hyper::Error>) -> Error {
        match source {
            Some(source) => self.conn.broke(self.at, source),
            None => Error::Lost { host: self.conn.host().to_owned(), at: self.at, source: None },
        }
    }

    /// Keeps the connection for others, if it is fit for another request.
    pub(crate) fn give_back(self) {
        let client = self.client.clone();
        client.keep(self);
    }

    /// The connection, if the response was read to its end and left it fit for another request.
    pub(crate) fn into_conn(mut self) -> Option<Conn> {
        if self.is_half_read() || self.unsure || self.framing == Framing::Close {
            return None;
        }
        // The end of a chunked body is kept only if it is already here: it is not waited for.
        let Self { conn, body, .. } = &mut self;
        let here = conn.poll_frame(body, &mut Context::from_waker(Waker::noop()));
        matches!(here, Poll::Ready(None)).then_some(self.conn)
    }
}

/// Counts the time until it is dropped, so that a wait that is broken off and taken up again is
/// one wait, and time in which nobody waits is none.
struct Waiting<'a> {
    total: &'a mut Duration,
    since: Instant,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        *self.total += self.since.elapsed();
    }
}

/// How the end of the body shows (RFC 9112 §6.3, RFC 9113 §8.1).
fn framing(response: &Response<Incoming>) -> Framing {
    if response.headers().contains_key(TRANSFER_ENCODING) {
        return if response.body().size_hint().exact().is_none() && is_chunked(response) {
            Framing::Chunked
        } else {
            Framing::Close
        };
    }
    if head::content_length(response.headers()).is_some() {
        Framing::Length
    } else if response.version() == Version::HTTP_2 {
        Framing::Stream
    } else {
        Framing::Close
    }
}

fn is_chunked(response: &Response<Incoming>) -> bool {
    let last = response.headers().get_all(TRANSFER_ENCODING).iter().next_back();
    let coding = last.and_then(|value| value.to_str().ok()?.rsplit(',').next());
    coding.is_some_and(|coding| coding.trim().eq_ignore_ascii_case("chunked"))
}

/// The largest piece that is handed out, in bytes.
const PIECE: usize = 64 << 10;
