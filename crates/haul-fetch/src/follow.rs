//! One answer to one request, over as many redirects as it takes.

use crate::allowance::{Turn, turn};
use crate::client::Settings;
use crate::conn::Conn;
use crate::connect::host_of;
use crate::head::{self, ContentRange};
use crate::host::Place;
use crate::request::{self, Location, Wanted};
use crate::{AddressSpace, Backoff, Client, Error, Retry};
use hyper::body::Incoming;
use hyper::{Response, StatusCode};
use std::time::SystemTime;
use tracing::debug;
use url::Url;

/// A response whose body is still to be read.
pub(crate) struct Answer {
    pub(crate) conn: Conn,
    pub(crate) response: Response<Incoming>,
    /// Who sent it.
    pub(crate) location: Location,
}

impl Answer {
    /// Whether the body is all of a file of this length.
    pub(crate) fn is_of_all(&self, length: Option<u64>) -> bool {
        match (self.response.status().as_u16(), head::content_range(self.response.headers())) {
            (200, _) => true,
            (206, Some(ContentRange::Part { span, .. })) => {
                span.start() == 0 && Some(span.end()) == length
            }
            _ => false,
        }
    }

    /// The error that stands for a status that brings no data.
    pub(crate) fn status_error(&self) -> Error {
        Error::Status {
            host: self.conn.host().to_owned(),
            status: self.response.status().as_u16(),
            wait: head::retry_after(self.response.headers(), SystemTime::now()),
        }
    }
}

/// Asks at `location`, over `conn` if that leads there, and follows redirects.
pub(crate) async fn fetch(
    client: &Client,
    mut location: Location,
    wanted: Wanted<'_>,
    mut conn: Option<Conn>,
) -> Result<Answer, Error> {
    for _ in 0..=MAX_REDIRECTS {
        let exchanged = exchange(client, &location, wanted, conn.take()).await;
        let (used, response) =
            exchanged.inspect_err(|error| note_refusal(client, &location, error))?;
        match redirect(&location, used.space(), &response)? {
            None => {
                let answer = Answer { conn: used, response, location };
                note_business(client, &answer);
                head::plain_transfer(answer.response.headers()).map_err(|fault| Error::Broken {
                    host: answer.conn.host().to_owned(),
                    fault,
                })?;
                return Ok(answer);
            }
            Some(next) => location = next,
        }
    }
    Err(Error::TooManyRedirects { host: host_of(&location.url) })
}

/// A host that is too busy rests, for everything that the client asks there.
fn note_business(client: &Client, answer: &Answer) {
    let host = client.0.learned.of(&answer.location.url);
    let status = answer.response.status();
    if !matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
        return host.serves();
    }
    let error = answer.status_error();
    let asked = match (&error, error.retry()) {
        (Error::Status { wait: Some(_), .. }, Retry::After(pause)) => Some(pause),
        _ => None,
    };
    host.is_busy(asked, Backoff::chance());
}

/// A host that refuses a stream rests as one that answers that it is too busy.
fn note_refusal(client: &Client, location: &Location, error: &Error) {
    if matches!(error, Error::Overrun { .. }) {
        client.0.learned.of(&location.url).is_busy(None, Backoff::chance());
    }
}

async fn exchange(
    client: &Client,
    location: &Location,
    wanted: Wanted<'_>,
    conn: Option<Conn>,
) -> Result<(Conn, Response<Incoming>), Error> {
    let settings: &Settings = &client.0;
    settings.learned.of(&location.url).rested().await;
    let asked = || turn(settings, Turn::Request(&location.url, wanted.part()));
    let kept = conn.filter(|conn| conn.is_open() && conn.serves(location));
    let place = || Place::at(settings.learned.of(&location.url));
    if let Some(mut conn) = kept.or_else(|| settings.pool.take(location, place)) {
        asked().await;
        match conn.send(settings, request::get(client, location, wanted)?).await {
            Ok(response) => return Ok((conn, response)),
            // A server may close an idle connection while a request is on its way to it.
            Err(Error::Lost { .. }) => debug!(host = conn.host(), "a kept connection was closed"),
            Err(error) => return Err(error),
        }
    }
    turn(settings, Turn::Connection(&location.url)).await;
    let mut conn = Conn::open(settings, location).await?;
    settings.pool.share(&conn);
    asked().await;
    let response = conn.send(settings, request::get(client, location, wanted)?).await?;
    Ok((conn, response))
}

/// Where a response that came from this space sends the request on to, if it does.
pub(crate) fn redirect(
    from: &Location,
    space: AddressSpace,
    response: &Response<Incoming>,
) -> Result<Option<Location>, Error> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let host = || host_of(&from.url);
    let to = head::location(response.headers());
    let target = to.and_then(|to| from.url.join(&to).ok()).filter(is_web);
    let Some(url) = target else { return Err(Error::BadRedirect { host: host() }) };
    if from.url.scheme() == "https" && url.scheme() == "http" {
        return Err(Error::Downgrade { host: host() });
    }
    debug!(from = host(), to = host_of(&url), "redirected");
    Ok(Some(from.onward(url, space)))
}

/// Whether haul can fetch from `url`.
pub(crate) fn is_web(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https") && url.has_host()
}

/// A longer chain is a loop in practice.
const MAX_REDIRECTS: usize = 10;
