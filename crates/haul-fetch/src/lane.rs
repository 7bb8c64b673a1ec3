use crate::conn::Conn;
use crate::open::Open;
use crate::{Body, Error, Source};
use bytes::Bytes;
use haul_span::Span;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use url::Url;

/// One connection to a source that fetches one span at a time, and is kept alive between spans.
///
/// A lane moves only while one of its futures is polled: whoever stops reading stops the origin.
/// Both futures are cancel safe from their first poll on; before it they have done nothing. Dropping
/// one loses no byte and no request on its way; [`next`](Self::next) goes on with either. Dropping
/// the lane gives its connection to whoever next asks the same origin, or closes it if a response is
/// half read.
///
/// After an error everything before [`position`](Self::position) has been handed out, and the
/// connection is closed; opening the rest of the span goes on from there over a new one.
pub struct Lane {
    source: Source,
    state: State,
    /// The offset of the next byte to hand out.
    at: u64,
    /// Where the span ends; the lane is at rest when this is `at`.
    end: u64,
    /// The span was cut short, so what follows it is somebody else's.
    trimmed: bool,
}

enum State {
    /// No response; perhaps a connection.
    Rest(Option<Conn>),
    /// A request is on its way.
    Opening(Pin<Box<dyn Future<Output = Result<Open, Error>> + Send>>),
    /// A response is being read.
    Reading(Box<Open>),
}

impl Lane {
    /// A lane without a connection.
    pub fn new(source: Source) -> Self {
        Self { source, state: State::Rest(None), at: 0, end: 0, trimmed: false }
    }

    /// Takes over the response to a probe: the first span that starts at 0, and those that follow
    /// without a gap, need no request of their own.
    pub fn adopt(&mut self, mut body: Body) {
        if let Some(open) = body.open.take() {
            self.state = State::Reading(Box::new(match self.source.seat() {
                Some(seat) => open.seated(seat),
                None => open,
            }));
            (self.at, self.end, self.trimmed) = (0, 0, false);
        }
    }

    /// Starts to read `span`: goes on with the open response if that stands at the span's start,
    /// else asks for the span. A source that serves no parts any more is not asked as long as the
    /// open response leads to the span: what lies before that is passed over.
    ///
    /// Returns when the head of the response was checked. A response that was left half read ends
    /// with its connection.
    pub async fn open(&mut self, span: Span) -> Result<(), Error> {
        let leads_there = match &self.state {
            State::Reading(open) if self.source.ranges() => open.stands_at(span.start()),
            State::Reading(open) => open.stands_before(span.start()),
            State::Rest(_) | State::Opening(_) => false,
        };
        if !leads_there {
            self.rest();
        }
        (self.at, self.end, self.trimmed) = (span.start(), span.end(), false);
        self.settle(span).await
    }

    /// The next piece of the span, of at most 64 KiB; `None` when all of it was handed out.
    ///
    /// A response that brings less than was asked for is followed by a request for the rest.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        while let Some(span) = self.left() {
            self.settle(span).await?;
            let State::Reading(open) = &mut self.state else { continue };
            match open.next(span.len()).await {
                Ok(Some(piece)) => {
                    self.at += piece.len() as u64;
                    if open.brought() == piece.len() as u64 {
                        self.source.note_body(open.seat(), None);
                    }
                    return Ok(Some(piece));
                }
                Ok(None) => self.rest(),
                Err(error) => {
                    self.source.note_body(open.seat(), Some(&error));
                    let others_may = open.seat().is_some_and(|seat| seat.fail(&error));
                    self.state = State::Rest(None);
                    if !others_may {
                        return Err(error);
                    }
                }
            }
        }
        if self.trimmed {
            self.leave();
        }
        Ok(None)
    }

    /// Closes the connection if its response is not read to the end: nothing will go on in it, and
    /// what the origin sends of it would fill the link for nothing.
    pub fn leave(&mut self) {
        if matches!(&self.state, State::Reading(open) if open.is_half_read()) {
            self.state = State::Rest(None);
        }
    }

    /// Ends the span at `end`, or where the lane stands if that is further on; a span never grows.
    pub fn trim(&mut self, end: u64) {
        if end < self.end {
            self.end = end.max(self.at);
            self.trimmed = true;
        }
    }

    /// The offset of the next byte to hand out.
    pub fn position(&self) -> u64 {
        self.at
    }

    /// What is left to hand out of the span.
    pub fn left(&self) -> Option<Span> {
        Span::new(self.at, self.end)
    }

    /// The address of the origin that the lane is connected to, if it is.
    pub fn peer(&self) -> Option<SocketAddr> {
        match &self.state {
            State::Rest(conn) => conn.as_ref().map(Conn::peer),
            State::Opening(_) => None,
            State::Reading(open) => Some(open.conn().peer()),
        }
    }

    /// The URL whose response is being read, after redirects, and the address that it comes from.
    pub fn reads_from(&self) -> Option<(&Arc<Url>, SocketAddr)> {
        match &self.state {
            State::Reading(open) => Some((open.url(), open.conn().peer())),
            State::Rest(_) | State::Opening(_) => None,
        }
    }

    /// Gives up the response, and the connection too unless it is fit for another request.
    fn rest(&mut self) {
        self.state = match std::mem::replace(&mut self.state, State::Rest(None)) {
            State::Reading(open) => State::Rest(open.into_conn()),
            State::Rest(conn) => State::Rest(conn),
            State::Opening(_) => State::Rest(None),
        };
    }

    /// Goes on until the response that brings the first byte of `span` can be read.
    async fn settle(&mut self, span: Span) -> Result<(), Error> {
        loop {
            match &mut self.state {
                State::Rest(conn) => {
                    let read = self.source.clone().read(span, conn.take());
                    self.state = State::Opening(Box::pin(read));
                }
                State::Opening(opening) => match opening.await {
                    Ok(open) => self.state = State::Reading(Box::new(open)),
                    Err(error) => {
                        self.state = State::Rest(None);
                        return Err(error);
                    }
                },
                State::Reading(open) => match open.skip_to(span.start()).await {
                    Ok(true) => return Ok(()),
                    Ok(false) => self.rest(),
                    Err(error) => {
                        self.state = State::Rest(None);
                        return Err(error);
                    }
                },
            }
        }
    }
}

/// Its connection is kept for others, if it is fit for another request.
impl Drop for Lane {
    fn drop(&mut self) {
        self.rest();
        if let State::Rest(conn) = &mut self.state
            && let Some(conn) = conn.take()
        {
            self.source.client().0.pool.keep(conn);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Client, Options};

    #[test]
    fn a_lane_can_move_between_threads_while_it_waits() {
        fn is_send<T: Send>(_: &T) {}
        let client = Client::new(Options::default()).unwrap();
        let url = "http://192.0.2.1/".parse().unwrap();
        let mut lane = Lane::new(client.source(&url, 1, None).unwrap());
        is_send(&lane.next());
        is_send(&client.probe(&url));
    }
}
