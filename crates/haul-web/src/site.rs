use crate::asset::Asset;
use crate::gate::Gate;
use crate::jobs::{Jobs, Wanted};
use crate::queue::Stop;
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

/// What the page may change, and whom it may ask.
const CHANGES: [&str; 6] = [
    "/api/jobs",
    "/api/jobs/pause",
    "/api/jobs/cancel",
    "/api/jobs/resume",
    "/api/jobs/forget",
    "/api/probe",
];

/// How many origins may be asked at a time what a file is, and how long each may take.
const PROBES: usize = 4;
const PROBE_TIME: Duration = Duration::from_secs(15);

/// What all connections of a page share.
pub(crate) struct Site {
    pub(crate) gate: Gate,
    pub(crate) jobs: Arc<Jobs>,
    streams: Arc<Semaphore>,
    probes: Semaphore,
}

/// What the page sends to be let in.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    token: String,
}

/// Which download is meant.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Which {
    job: u32,
}

/// Which download is to go on, and from where if not from where it began.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Again {
    job: u32,
    url: Option<String>,
}

/// What a file is to be learned of.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Where {
    url: String,
}

impl Site {
    pub(crate) fn new(gate: Gate, jobs: Jobs) -> Self {
        let (streams, probes) = (Arc::new(Semaphore::new(STREAMS)), Semaphore::new(PROBES));
        Self { gate, jobs: Arc::new(jobs), streams, probes }
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
        if path == "/api/session" && head.method == Method::POST {
            let Entry { token } = read(body).await?;
            return self.gate.enter(&token);
        }
        self.gate.check_session(head)?;
        match (&head.method, path) {
            (&Method::GET, "/api/jobs") => Ok(reply::json(StatusCode::OK, &self.jobs.list())),
            (&Method::GET, "/api/events") => self.listen(head),
            (&Method::POST, change) if CHANGES.contains(&change) => self.change(change, body).await,
            (_, "/api/session" | "/api/jobs" | "/api/events") => no_method(),
            (_, change) if CHANGES.contains(&change) => no_method(),
            _ => Err(Refusal::new(StatusCode::NOT_FOUND, "there is no such page", "open /")),
        }
    }

    async fn change(&self, path: &str, body: Incoming) -> Result<Response<Body>, Refusal> {
        let done = match path {
            "/api/probe" => return self.probe(body).await,
            "/api/jobs/pause" => {
                let Which { job } = read(body).await?;
                self.jobs.stop(job, Stop::Pause)
            }
            "/api/jobs/cancel" => {
                let Which { job } = read(body).await?;
                self.jobs.stop(job, Stop::Cancel)
            }
            "/api/jobs/resume" => {
                let Again { job, url } = read(body).await?;
                self.jobs.resume(job, url.as_deref())
            }
            "/api/jobs/forget" => {
                let Which { job } = read(body).await?;
                self.jobs.forget(job)
            }
            _ => {
                let wanted: Wanted = read(body).await?;
                self.jobs.add(&wanted)
            }
        };
        done.map(|()| reply::json(StatusCode::ACCEPTED, &serde_json::json!({})))
    }

    async fn probe(&self, body: Incoming) -> Result<Response<Body>, Refusal> {
        let Where { url } = read(body).await?;
        let Ok(_place) = self.probes.try_acquire() else {
            let because = "too many files are asked for at a time";
            return Err(Refusal::new(StatusCode::TOO_MANY_REQUESTS, because, "wait a moment"));
        };
        let slow = |_| {
            let because = "the server took too long to answer";
            Refusal::new(StatusCode::GATEWAY_TIMEOUT, because, "submit it all the same, or later")
        };
        let haul::Probed { name, size, ranges } =
            timeout(PROBE_TIME, self.jobs.probe(&url)).await.map_err(slow)??;
        let told = serde_json::json!({ "name": name, "size": size, "ranges": ranges });
        Ok(reply::json(StatusCode::OK, &told))
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

fn no_method() -> Result<Response<Body>, Refusal> {
    let status = StatusCode::METHOD_NOT_ALLOWED;
    Err(Refusal::new(status, "this page is not used that way", "use the buttons of the page"))
}
