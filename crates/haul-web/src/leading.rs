use crate::asset::Asset;
use crate::body::read;
use crate::face::Face;
use crate::jobs::{Jobs, Wanted};
use crate::queue::Stop;
use crate::record::Record;
use crate::reply::{self, Body, Refusal};
use hyper::body::Incoming;
use hyper::{Response, StatusCode};
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

/// How many origins may be asked at a time what a file is, and how long each may take.
const PROBES: usize = 4;
const PROBE_TIME: Duration = Duration::from_secs(15);

/// The leader's page: downloads that are asked for, watched and steered.
pub(crate) struct Leading {
    pub(crate) jobs: Arc<Jobs>,
    probes: Semaphore,
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

/// What a former run left and is to go on, and from where if not from where it began.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Left {
    left: String,
    url: Option<String>,
}

/// What a file is to be learned of.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Where {
    url: String,
}

impl Leading {
    pub(crate) fn new(jobs: Jobs) -> Self {
        Self { jobs: Arc::new(jobs), probes: Semaphore::new(PROBES) }
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
}

impl Face for Leading {
    const CHANGES: &'static [&'static str] = &[
        "/api/jobs",
        "/api/jobs/pause",
        "/api/jobs/cancel",
        "/api/jobs/resume",
        "/api/jobs/forget",
        "/api/left/resume",
        "/api/probe",
    ];

    type Record = Record;

    fn asset(path: &str) -> Option<Asset> {
        Asset::of_leader(path)
    }

    fn show(&self, path: &str) -> Option<Response<Body>> {
        (path == "/api/jobs").then(|| reply::json(StatusCode::OK, &self.jobs.list()))
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
            "/api/left/resume" => {
                let Left { left, url } = read(body).await?;
                self.jobs.resume_left(&left, url.as_deref())
            }
            _ => {
                let wanted: Wanted = read(body).await?;
                self.jobs.add(&wanted)
            }
        };
        done.map(|()| reply::done())
    }

    fn record(&self) -> watch::Receiver<Record> {
        self.jobs.record()
    }
}
