use crate::body::read;
use crate::face::Face;
use crate::gate::Gate;
use crate::reply::{self, Body, Refusal};
use crate::server::Client;
use crate::stream;
use hyper::body::Incoming;
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode};
use serde::Deserialize;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// How many streams of events may be open, so that they never take every connection.
const STREAMS: usize = 32;

/// Where a browser is let in.
const SESSION: &str = "/api/session";

/// Where it hears what happens.
const EVENTS: &str = "/api/events";

/// What all connections of a page share.
pub(crate) struct Site<F> {
    pub(crate) gate: Arc<Gate>,
    pub(crate) face: F,
    streams: Arc<Semaphore>,
}

/// What the page sends to be let in.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    token: String,
}

impl<F: Face> Site<F> {
    pub(crate) fn new(gate: Gate, face: F) -> Self {
        Self { gate: Arc::new(gate), face, streams: Arc::new(Semaphore::new(STREAMS)) }
    }

    pub(crate) async fn respond(
        &self,
        request: Request<Incoming>,
        client: &Client,
    ) -> Response<Body> {
        let (head, body) = request.into_parts();
        reply::guarded(self.answer(&head, body, client).await.unwrap_or_else(Response::from))
    }

    async fn answer(
        &self,
        head: &Parts,
        body: Incoming,
        client: &Client,
    ) -> Result<Response<Body>, Refusal> {
        self.gate.check_host(head)?;
        let path = head.uri.path();
        if let Some(asset) = F::asset(path) {
            return if head.method == Method::GET { Ok(reply::asset(asset)) } else { no_method() };
        }
        Gate::check_source(head)?;
        if path == SESSION && head.method == Method::POST {
            let Entry { token } = read(body).await?;
            return self.gate.enter(&token).inspect(|_| client.is_owner());
        }
        self.gate.check_session(head)?;
        client.is_owner();
        if head.method == Method::GET
            && let Some(shown) = self.face.show(path)
        {
            return Ok(shown);
        }
        match (&head.method, path) {
            (&Method::GET, EVENTS) => self.listen(head),
            (&Method::POST, change) if F::CHANGES.contains(&change) => {
                self.face.change(change, body).await
            }
            (_, SESSION | EVENTS) => no_method(),
            (_, change) if F::CHANGES.contains(&change) => no_method(),
            _ => Err(Refusal::new(StatusCode::NOT_FOUND, "there is no such page", "open /")),
        }
    }

    fn listen(&self, head: &Parts) -> Result<Response<Body>, Refusal> {
        let place = Arc::clone(&self.streams).try_acquire_owned().map_err(|_| {
            let because = "too many windows follow what happens";
            Refusal::new(StatusCode::TOO_MANY_REQUESTS, because, "close some of them")
        })?;
        let seen = head.headers.get("last-event-id").and_then(|id| id.to_str().ok());
        let seen = seen.and_then(|id| id.parse().ok()).unwrap_or(0);
        Ok(reply::events(stream::start(self.face.record(), seen, place)))
    }
}

fn no_method() -> Result<Response<Body>, Refusal> {
    let status = StatusCode::METHOD_NOT_ALLOWED;
    Err(Refusal::new(status, "this page is not used that way", "use the buttons of the page"))
}
