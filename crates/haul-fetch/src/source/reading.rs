//! Parts of a file: asked for, and checked before a byte of them is handed out.

use super::{CONTENT_DIGEST, MOST_REFUSALS, Source};
use crate::conn::Conn;
use crate::follow::{Answer, fetch};
use crate::head::{self, ContentRange};
use crate::host::{DIGESTED_PART, Host};
use crate::open::Open;
use crate::request::{Location, Wanted};
use crate::validator::Version;
use crate::ways::Seat;
use crate::{Digest, Error, Fault, Retry};
use haul_span::Span;
use hyper::HeaderMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use tracing::debug;

impl Source {
    /// Asks for `span` or the front of it, over `conn` if it leads there, and checks that the
    /// response is a part of this file that starts where the span does.
    pub(crate) async fn read_here(self, span: Span, mut conn: Option<Conn>) -> Result<Open, Error> {
        let host = self.learned();
        loop {
            let part = span.first(host.longest_part()).unwrap_or(span);
            let read = self.read_part(part, conn.take()).await;
            if let Err(error) = &read {
                self.note_refusal(error);
            }
            match read {
                Err(error) if may_be_too_long(&error) && host.refused_part(part.len()) => {
                    debug!(length = part.len(), "a part was refused; asking for a shorter one");
                }
                done => return done,
            }
        }
    }

    async fn read_part(&self, span: Span, conn: Option<Conn>) -> Result<Open, Error> {
        let from = self.found();
        let tag = self
            .0
            .version
            .get()
            .and_then(Version::strong_tag)
            .filter(|_| self.learned().takes_conditions());
        let wanted = Wanted::Part { span, tag };
        let mut answer = fetch(self.client(), from.clone(), wanted, conn).await?;
        if is_stale(&answer) && from != self.0.asked {
            answer = self.find_anew(answer, &from, wanted).await?;
        }
        if tag.is_some() && self.is_spoiled_by_condition(&answer, span) {
            debug!(host = answer.conn.host(), "asking again without a condition");
            self.learned().spoils_conditions();
            let wanted = Wanted::Part { span, tag: None };
            answer = fetch(self.client(), answer.location, wanted, None).await?;
        }
        let location = answer.location.clone();
        let open = self.accept(answer, span)?;
        self.set_found(&from, &location);
        Ok(open)
    }

    /// What an answer to a request for `span` brings of it, if it is a part of this file that
    /// starts where the span does.
    pub(crate) fn accept(&self, answer: Answer, span: Span) -> Result<Open, Error> {
        let covered = self.covered(&answer, span)?;
        Ok(self.opened(answer, covered))
    }

    /// The part of an answer that brings `covered`; one that says what its digest is and is short
    /// enough to be held is checked before it is handed out.
    fn opened(&self, answer: Answer, covered: Span) -> Open {
        let digest = field(answer.response.headers(), CONTENT_DIGEST).and_then(Digest::strongest);
        if digest.is_some() {
            self.learned().digests_parts();
        }
        let open = Open::new(self.client(), answer, covered.start(), Some(covered.end()));
        match digest {
            Some(digest) if covered.len() <= DIGESTED_PART => open.checked_by(digest),
            _ => open,
        }
    }

    /// What is known of the host where the file was found.
    pub(super) fn learned(&self) -> Arc<Host> {
        self.client().0.learned.of(&self.found().url)
    }

    /// Notes what a body brought, if it came from here: a first piece, or an error.
    pub(crate) fn note_body(&self, seat: Option<&Seat>, error: Option<&Error>) {
        match error {
            _ if !seat.is_none_or(Seat::is_at_source) => {}
            None => self.0.refusals.store(0, Ordering::Relaxed),
            Some(error @ Error::NoRange { .. }) => self.note_refusal(error),
            Some(_) => {}
        }
    }

    /// Counts the answers, with no part of the file between them, that show that the origin serves
    /// no parts, or none any more.
    fn note_refusal(&self, error: &Error) {
        let weight = match error {
            Error::Broken { fault: Fault::Digest, .. } => 0,
            Error::NoRange { .. } | Error::Broken { fault: Fault::Message, .. } => 1,
            Error::Status { .. } => u32::from(error.retry() == Retry::Elsewhere),
            Error::Broken { .. } => MOST_REFUSALS,
            _ => 0,
        };
        // A sum that overflows would take more answers than a file has parts.
        self.0.refusals.fetch_add(weight, Ordering::Relaxed);
    }

    /// Whether the origin would serve the part, were it not for the condition.
    fn is_spoiled_by_condition(&self, answer: &Answer, span: Span) -> bool {
        match answer.response.status().as_u16() {
            200 => span.start() > 0 && self.same_version(answer).is_ok(),
            400 | 412 | 501 => true,
            _ => false,
        }
    }

    /// Follows the redirects from the URL that was asked for, unless somebody else just did.
    async fn find_anew(
        &self,
        answer: Answer,
        stale: &Location,
        wanted: Wanted<'_>,
    ) -> Result<Answer, Error> {
        let mut turn = self.0.finding.lock().await;
        let found = self.found();
        if found != *stale {
            drop(turn);
            return fetch(self.client(), found, wanted, None).await;
        }
        if turn.is_some_and(|failed| failed.elapsed() < FOUND_NOTHING) {
            return Ok(answer);
        }
        debug!(host = stale.url.host_str(), "the location went stale");
        let answer = fetch(self.client(), self.0.asked.clone(), wanted, None).await?;
        if is_stale(&answer) {
            *turn = Some(Instant::now());
        } else {
            self.set_found(stale, &answer.location);
        }
        Ok(answer)
    }

    /// Notes where the file was found, unless somebody has found it elsewhere since `from`.
    fn set_found(&self, from: &Location, location: &Location) {
        let mut found = self.0.found.lock().unwrap_or_else(PoisonError::into_inner);
        if *found == *from {
            found.clone_from(location);
        }
    }

    /// The bytes that an answer to a request for `span` brings, from the span's first byte on.
    fn covered(&self, answer: &Answer, span: Span) -> Result<Span, Error> {
        match answer.response.status().as_u16() {
            200 => self.covered_by_file(answer, span),
            206 => self.covered_by_part(answer, span),
            416 => Err(self.out_of_range(answer)),
            _ => Err(answer.status_error()),
        }
    }

    fn covered_by_part(&self, answer: &Answer, span: Span) -> Result<Span, Error> {
        let headers = answer.response.headers();
        let broken = |fault| Error::Broken { host: answer.conn.host().to_owned(), fault };
        head::plain_part(headers).map_err(broken)?;
        let Some(ContentRange::Part { span: part, total }) = head::content_range(headers) else {
            return Err(broken(Fault::ContentRange));
        };
        let length = self.0.length;
        if total.is_some() && length.is_some() && total != length {
            return Err(changed(answer, "length"));
        }
        self.same_version(answer)?;
        let outside = length.is_some_and(|length| part.end() > length);
        if part.start() != span.start() || outside {
            return Err(broken(Fault::OtherPart));
        }
        let brings = head::content_length(headers).map_or(part.len(), |sent| sent.min(part.len()));
        if brings < CRUMB && span.len() > CRUMB * 16 {
            return Err(no_range(answer));
        }
        Ok(part)
    }

    /// A whole file serves a span at its start, if its length is the known one.
    fn covered_by_file(&self, answer: &Answer, span: Span) -> Result<Span, Error> {
        let headers = answer.response.headers();
        let Some(length) = self.0.length else { return Err(no_range(answer)) };
        if head::encoding(headers) != self.0.encoding || span.start() != 0 {
            return Err(no_range(answer));
        }
        if head::content_length(headers).is_some_and(|stated| stated != length) {
            return Err(changed(answer, "length"));
        }
        self.same_version(answer)?;
        Span::new(0, length).ok_or_else(|| no_range(answer))
    }

    fn out_of_range(&self, answer: &Answer) -> Error {
        match (head::content_range(answer.response.headers()), self.0.length) {
            (Some(ContentRange::Outside { total }), Some(length)) if total != length => {
                changed(answer, "length")
            }
            _ => no_range(answer),
        }
    }

    fn same_version(&self, answer: &Answer) -> Result<(), Error> {
        let seen = Version::of(answer.response.headers());
        let version = self.0.version.get_or_init(|| seen.clone());
        version.conflict(&seen).map_or(Ok(()), |what| Err(changed(answer, what)))
    }
}

/// Whether the status is that of a link that has expired.
fn is_stale(answer: &Answer) -> bool {
    matches!(answer.response.status().as_u16(), 400 | 401 | 403 | 404 | 410)
}

/// Whether a shorter part may be served although this one was not.
fn may_be_too_long(error: &Error) -> bool {
    matches!(error, Error::Status { status: 400 | 403 | 413, .. })
}

fn field<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// A part of fewer bytes, where many were asked for, costs more than it brings.
const CRUMB: u64 = 256;

/// For so long nobody else tries to find what was not found anew.
const FOUND_NOTHING: Duration = Duration::from_secs(1);

fn no_range(answer: &Answer) -> Error {
    Error::NoRange { host: answer.conn.host().to_owned() }
}

fn changed(answer: &Answer, what: &'static str) -> Error {
    Error::Changed { host: answer.conn.host().to_owned(), what }
}
