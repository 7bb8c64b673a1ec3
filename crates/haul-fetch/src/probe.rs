use crate::follow::{Answer, fetch};
use crate::head::{self, ContentRange};
use crate::open::Open;
use crate::request::{Location, Wanted};
use crate::ways::Mirror;
use crate::{Client, Error, Fault, Lane, Source};
use bytes::Bytes;
use tracing::debug;

/// What a first request shows: the source, and the response to that request.
pub struct Probe {
    /// What is known of the file.
    pub source: Source,
    /// The file from its first byte on.
    pub body: Body,
}

/// The file from its first byte to its last, in one response.
pub struct Body {
    /// Nothing for an empty file.
    pub(crate) open: Option<Open>,
}

/// How the end of a body shows (RFC 9112 §6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Framing {
    /// By its length.
    Length,
    /// By the last chunk.
    Chunked,
    /// By the end of the stream (RFC 9113 §8.1).
    Stream,
    /// By the end of the connection, which a break looks like: the length is unverified.
    Close,
}

impl Body {
    /// The next piece, of at most 64 KiB; `None` at the end of the file.
    ///
    /// A body that ends early is an error, as far as its framing shows it. Dropping the future
    /// loses no byte: the next call goes on.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        match &mut self.open {
            Some(open) => open.next(u64::MAX).await,
            None => Ok(None),
        }
    }

    /// How the end of the body shows.
    pub fn framing(&self) -> Framing {
        self.open.as_ref().map_or(Framing::Length, Open::framing)
    }
}

/// Its connection is kept for others, if it is fit for another request.
impl Drop for Body {
    fn drop(&mut self) {
        if let Some(open) = self.open.take() {
            open.give_back();
        }
    }
}

/// What the head of an answer says of the file.
pub(crate) enum Shown {
    Empty,
    Ranged { length: u64, end: u64 },
    Whole { length: Option<u64> },
}

impl Probe {
    /// A lane that reads on from the probe's response.
    pub fn into_lane(self) -> Lane {
        let mut lane = Lane::new(self.source);
        lane.adopt(self.body);
        lane
    }

    /// Itself, unless the file is known to have another length.
    pub(crate) fn of_length(self, length: Option<u64>) -> Result<Self, Error> {
        let known = length.zip(self.source.length());
        if known.is_some_and(|(expected, found)| expected != found) {
            return Err(Error::Changed { host: self.source.host(), what: "length" });
        }
        Ok(self)
    }

    /// The source reads from those that it announces as well.
    pub(crate) fn with_mirrors(mut self, mirrors: &[Mirror]) -> Self {
        let all = [mirrors, self.source.announced()].concat();
        self.source = self.source.with_mirrors(&all);
        self
    }

    pub(crate) async fn ask(client: &Client, asked: Location) -> Result<Self, Error> {
        let answer = fetch(client, asked.clone(), Wanted::WholeRange, None).await?;
        match shown(&answer) {
            Ok(shown) => Ok(Self::of(client, asked, answer, &shown)),
            Err(error) if may_serve_whole(&error) => {
                debug!(%error, "asking again without a range");
                let answer = fetch(client, answer.location, Wanted::File, None).await?;
                let shown = whole(&answer)?;
                Ok(Self::of(client, asked, answer, &shown))
            }
            Err(error) => Err(error),
        }
    }

    pub(crate) fn of(client: &Client, asked: Location, answer: Answer, shown: &Shown) -> Self {
        let (length, ranges, end) = match *shown {
            Shown::Empty => (Some(0), false, None),
            Shown::Ranged { length, end } => (Some(length), true, Some(end)),
            Shown::Whole { length } => (length, false, length),
        };
        let source = Source::probed(client, asked, &answer, length, ranges);
        let is_empty = length == Some(0);
        let open = (!is_empty).then(|| Open::new(client, answer, 0, end));
        Self { source, body: Body { open } }
    }
}

/// What an answer to a request for the range that is the whole file shows.
pub(crate) fn shown(answer: &Answer) -> Result<Shown, Error> {
    let range = head::content_range(answer.response.headers());
    match (answer.response.status().as_u16(), range) {
        (206, _) => ranged(answer, range),
        (416, Some(ContentRange::Outside { total: 0 })) => Ok(Shown::Empty),
        _ => whole(answer),
    }
}

fn ranged(answer: &Answer, range: Option<ContentRange>) -> Result<Shown, Error> {
    let broken = |fault| Error::Broken { host: answer.conn.host().to_owned(), fault };
    head::plain_part(answer.response.headers()).map_err(broken)?;
    match range {
        Some(ContentRange::Part { span, total: Some(length) }) if span.start() == 0 => {
            Ok(Shown::Ranged { length, end: span.end() })
        }
        Some(ContentRange::Part { span, .. }) if span.start() != 0 => Err(broken(Fault::OtherPart)),
        _ => Err(broken(Fault::ContentRange)),
    }
}

/// What an answer with the whole file shows.
fn whole(answer: &Answer) -> Result<Shown, Error> {
    match answer.response.status().as_u16() {
        200 => Ok(Shown::Whole { length: stated_length(answer) }),
        206 => Err(Error::NoRange { host: answer.conn.host().to_owned() }),
        _ => Err(answer.status_error()),
    }
}

/// The length that the head states, if it is the one by which the body is read.
fn stated_length(answer: &Answer) -> Option<u64> {
    hyper::body::Body::size_hint(answer.response.body()).exact()
}

/// Whether an origin that answers a ranged request so may yet send the file when no range is
/// asked for.
fn may_serve_whole(error: &Error) -> bool {
    match error {
        Error::Broken { .. } => true,
        Error::Status { status, .. } => matches!(status, 400 | 403 | 416 | 501),
        _ => false,
    }
}
