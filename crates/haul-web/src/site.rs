use crate::asset::Asset;
use crate::gate::Gate;
use crate::jobs::Jobs;
use crate::reply::{self, Body, Refusal};
use crate::stream;
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body as _, Incoming};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// The longest body that is read, in bytes.
const LONGEST_BODY: usize = 16 << 10;

/// How long a body may take to come in.
const BODY_TIME: Duration = Duration::from_secs(10);

/// How many streams of events may be open, so that they never take every connection.
const STREAMS: usize = 32;

/// What all connections of a page share.
pub(crate) struct Site {
    pub(crate) gate: Gate,
    pub(crate) jobs: Arc<Jobs>,
    streams: Arc<Semaphore>,
}

/// What the page sends to be let in.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    token: String,
}

/// A body that says nothing.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

impl Site {
    pub(crate) fn new(gate: Gate, jobs: Jobs) -> Self {
        Self { gate, jobs: Arc::new(jobs), streams: Arc::new(Semaphore::new(STREAMS)) }
    }

    pub(crate) async fn respond(&self, request: Request<Incoming>) -> Response<Body> {
        let (head, body) = request.into_parts();
        reply::guarded(self.answer(&head, body).await.unwrap_or_else(Response::from))
    }

    async fn answer(&self, head: &Parts, body: Incoming) -> Result<Response<Body>, Refusal> {
        self.gate.check_host(head)?;
        let path = head.uri.path();
        if let Some(asset) = Asset::at(path) {
            return if head.method == Method::GET { Ok(reply::asset(asset)) } else { no_method() };
        }
        Gate::check_source(head)?;
        if path == "/session" && head.method == Method::POST {
            let Entry { token } = read(body).await?;
            return self.gate.enter(&token);
        }
        self.gate.check_session(head)?;
        match (&head.method, path) {
            (&Method::GET, "/jobs") => Ok(reply::json(StatusCode::OK, &self.jobs.state())),
            (&Method::POST, "/jobs") => accepted(self.jobs.start(&read(body).await?)),
            (&Method::POST, "/jobs/cancel") => {
                let Nothing {} = read(body).await?;
                accepted(self.jobs.cancel())
            }
            (&Method::GET, "/events") => self.listen(head),
            (_, "/session" | "/jobs" | "/jobs/cancel" | "/events") => no_method(),
            _ => Err(Refusal::new(StatusCode::NOT_FOUND, "there is no such page", "open /")),
        }
    }

    fn listen(&self, head: &Parts) -> Result<Response<Body>, Refusal> {
        let place = Arc::clone(&self.streams).try_acquire_owned().map_err(|_| {
            let because = "too many windows follow the download";
            Refusal::new(StatusCode::TOO_MANY_REQUESTS, because, "close some of them")
        })?;
        let seen = head.headers.get("last-event-id").and_then(|id| id.to_str().ok());
        let seen = seen.and_then(|id| id.parse().ok()).unwrap_or(0);
        Ok(reply::events(stream::start(self.jobs.record(), seen, place)))
    }
}

/// Reads a body of JSON, within bounds of length and time.
async fn read<T: DeserializeOwned>(body: Incoming) -> Result<T, Refusal> {
    let too_long =
        || Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "it is too long", "send less than 16 KiB");
    // A length that is told and too long needs no reading.
    if body.size_hint().lower() > LONGEST_BODY as u64 {
        return Err(too_long());
    }
    let body = timeout(BODY_TIME, Limited::new(body, LONGEST_BODY).collect()).await;
    let slow = |_| Refusal::new(StatusCode::REQUEST_TIMEOUT, "it came in too slowly", "try again");
    let bytes = body.map_err(slow)?.map_err(|_| too_long())?.to_bytes();
    serde_json::from_slice(&bytes).map_err(|error| {
        let because = format!("its body cannot be read: {error}");
        Refusal::new(StatusCode::BAD_REQUEST, &because, "reload the page")
    })
}

fn accepted(done: Result<(), Refusal>) -> Result<Response<Body>, Refusal> {
    done.map(|()| reply::json(StatusCode::ACCEPTED, &serde_json::json!({})))
}

fn no_method() -> Result<Response<Body>, Refusal> {
    let status = StatusCode::METHOD_NOT_ALLOWED;
    Err(Refusal::new(status, "this page is not used that way", "use the buttons of the page"))
}
