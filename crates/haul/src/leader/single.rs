//! The way without parts: one stream over the own link, as the origin allows no other.

use super::builder::Settings;
use super::job::{Fetch, Fetched};
use super::strip::Strip;
use super::transfer::{Snapshot, Stop, interrupted};
use crate::disk::{Stored, Verdict};
use crate::event::WorkerProgress;
use crate::{Error, ErrorKind, Retry, Verified, WorkerReport};
use bytes::Bytes;
use haul_fetch::{Backoff, Body, Framing, Probe, Source, Validator};
use haul_span::{Span, SpanSet};
use std::time::Duration;
use tokio::time::{Instant, Interval, interval};
use url::Url;

/// How often in a row a stream is begun anew that gets no further than before.
const TRIES: u32 = 9;

/// A stream that ends at the same byte so often will always end there.
const SAME_PLACE: u32 = 3;

pub(crate) const OWN: u32 = 0;

/// Fetches what is missing of the file in one stream, anew if it breaks.
///
/// Without a `body` that is open, the origin has shown that it serves no parts after all.
pub(crate) async fn run(
    mut fetch: Fetch<'_>,
    mut body: Option<Body>,
    stop: &mut Stop,
) -> Result<Fetched, Error> {
    let Fetch { settings, telling, .. } = fetch;
    if body.is_none() {
        telling.note("the origin serves no parts after all: the rest comes in one stream");
    } else {
        refuse_min_helpers(settings)?;
    }
    if body.is_some() && fetch.source.length() != Some(0) {
        telling.note("the origin serves this file in one piece only, so nobody can help");
    }
    let mut stream = Stream::new(&mut fetch);
    let mut backoff = Backoff::new(TRIES);
    loop {
        let before = stream.furthest;
        let error = match stream.read(body.take(), stop).await {
            Ok(framing) => return stream.conclude(framing).await,
            Err(error) => error,
        };
        if stream.furthest > before {
            backoff.renew();
        }
        let pause = match error.retry() {
            Retry::After(pause) if stream.broke_anew() => {
                backoff.fail(haul_fetch::Retry::After(pause), Backoff::chance())
            }
            _ => None,
        };
        let Some(pause) = pause else { return Err(error) };
        telling.note(format!("{}; beginning anew", error.because()));
        stop.sleep(pause).await?;
    }
}

fn refuse_min_helpers(settings: &Settings) -> Result<(), Error> {
    if settings.min_helpers == 0 {
        return Ok(());
    }
    let because = "the origin serves this file in one piece only, so nobody can help";
    Err(Error::new(ErrorKind::TooFewHelpers, "too few machines help", because)
        .with_remedy("run it without --min-helpers"))
}

pub(crate) fn wrong_digest() -> Error {
    Error::new(
        ErrorKind::Checksum,
        "the file is not the one that its checksum names",
        "all of it was fetched, and its digest differs",
    )
    .with_remedy(
        "check the checksum; if it is right, the origin has another file: do not use this one",
    )
}

/// One stream after another, and what they have brought.
struct Stream<'a, 'b> {
    fetch: &'b mut Fetch<'a>,
    /// The offset in the stream that is being read.
    at: u64,
    /// The furthest that any stream has come.
    furthest: u64,
    /// Where what is stored came from: the URL, and what names the version there.
    site: Site,
    /// Where the last one broke off, and how often in a row.
    broke: (u64, u32),
    /// What the own link has brought, and what of it was of no use.
    brought: u64,
    wasted: u64,
    durable: u64,
    /// Who brought which part, if the length is known.
    strip: Option<Strip>,
    rate: u64,
    ticks: Interval,
    last: (Instant, u64),
}

impl<'a, 'b> Stream<'a, 'b> {
    fn new(fetch: &'b mut Fetch<'a>) -> Self {
        let (now, strip, site) = (Instant::now(), strip(fetch), Site::of(&fetch.source));
        Self {
            fetch,
            strip,
            site,
            rate: 0,
            at: 0,
            furthest: 0,
            broke: (0, 0),
            brought: 0,
            wasted: 0,
            durable: 0,
            ticks: interval(Duration::from_millis(250)),
            last: (now, 0),
        }
    }

    /// Reads one stream to its end.
    async fn read(&mut self, body: Option<Body>, stop: &mut Stop) -> Result<Framing, Error> {
        self.at = 0;
        let mut body = match body {
            Some(body) => body,
            None => self.begin(stop).await?,
        };
        if self.site.validator.is_none() {
            self.forget().await?;
        }
        while !self.is_whole() {
            tokio::select! {
                piece = body.next() => match piece? {
                    Some(bytes) => self.take(bytes).await,
                    None if self.fetch.source.length().is_some() => return Err(changed()),
                    None => break,
                },
                Some(done) = self.fetch.news.recv() => match done {
                    Stored::Written { .. } => {}
                    Stored::Durable(bytes) => self.durable = bytes,
                    Stored::Broken(error) => return Err(error),
                },
                _ = self.ticks.tick() => {
                    self.fetch.disk.sync(self.fetch.telling.now()).await;
                    self.show();
                }
                () = stop.requested() => return Err(interrupted()),
            }
        }
        self.show();
        Ok(body.framing())
    }

    /// Opens another stream of the same file, at its first site that has it.
    async fn begin(&mut self, stop: &mut Stop) -> Result<Body, Error> {
        let Fetch { settings, source, .. } = &*self.fetch;
        let length = source.length();
        let Probe { source, body } = tokio::select! {
            probed = settings.probe_for(length) => probed?,
            () = stop.requested() => return Err(interrupted()),
        };
        let site = Site::of(&source);
        if site.url != self.site.url {
            // Sites name their versions each in its own way, so that nothing can be joined.
            self.fetch.telling.note("another address of the file takes over, from its first byte");
            self.site = site;
            self.forget().await?;
        } else if site != self.site || source.length() != length {
            return Err(changed());
        }
        Ok(body)
    }

    /// Forgets what earlier streams brought, which may be of another version.
    async fn forget(&mut self) -> Result<(), Error> {
        self.wasted += self.fetch.disk.forget_all_but(u32::MAX).await?.bytes();
        self.fetch.stored = SpanSet::new();
        self.strip = strip(self.fetch);
        Ok(())
    }

    /// Stores what is not there yet.
    async fn take(&mut self, bytes: Bytes) {
        let Some(span) = Span::of_len(self.at, bytes.len() as u64) else { return };
        let missing: Vec<Span> = self.fetch.stored.gaps(span).collect();
        let within = |at: u64| usize::try_from(at - span.start()).unwrap_or(bytes.len());
        let mut fresh = 0;
        for gap in missing {
            fresh += gap.len();
            let part = bytes.slice(within(gap.start())..within(gap.end()));
            self.fetch.disk.write(OWN, gap.start(), part).await;
            if let Some(strip) = &mut self.strip {
                strip.add(OWN, gap);
            }
        }
        self.fetch.stored.insert(span);
        self.at = span.end();
        self.furthest = self.furthest.max(self.at);
        self.brought += fresh;
        self.wasted += span.len() - fresh;
    }

    /// Whether every byte of a file of known length is there.
    fn is_whole(&self) -> bool {
        self.fetch.source.length() == Some(self.fetch.stored.bytes())
    }

    /// Whether the stream broke off elsewhere than those before it; one that was not even begun
    /// has not shown where it ends.
    fn broke_anew(&mut self) -> bool {
        let (place, times) = self.broke;
        self.broke = (self.at, if place == self.at { times + 1 } else { 1 });
        self.at == 0 || self.broke.1 < SAME_PLACE
    }

    async fn conclude(mut self, framing: Framing) -> Result<Fetched, Error> {
        let bytes = self.fetch.source.length().unwrap_or(self.at);
        self.fetch.disk.set_length(bytes).await;
        let verified = match self.fetch.disk.verify().await? {
            Verdict::Right(Verified::Unverified) if framing == Framing::Close => {
                Verified::LengthUnverified
            }
            Verdict::Right(verified) => verified,
            Verdict::Wrong => return Err(wrong_digest()),
        };
        let workers = self.reports();
        Ok(Fetched { verified, checks: None, workers, own_rate: 0.0, bytes })
    }

    /// Who brought what, also before the streams.
    fn reports(&mut self) -> Vec<WorkerReport> {
        let mut workers = std::mem::take(&mut self.fetch.workers);
        if workers.iter().all(|worker| worker.worker != OWN) {
            let (name, address) = ("own link".into(), None);
            workers.insert(
                0,
                WorkerReport { worker: OWN, name, address, bytes: 0, wasted: 0, spoiled: 0 },
            );
        }
        if let Some(own) = workers.iter_mut().find(|worker| worker.worker == OWN) {
            own.bytes += self.brought;
            own.wasted += self.wasted;
        }
        workers
    }

    fn show(&mut self) {
        let stored = self.fetch.stored.bytes();
        let (then, before) = self.last;
        // Too short a time says nothing of the rate.
        if then.elapsed() >= Duration::from_millis(100) || self.rate == 0 {
            let millis = u64::try_from(then.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
            self.rate = stored.saturating_sub(before).saturating_mul(1000) / millis;
            self.last = (Instant::now(), stored);
        }
        let (name, durable, rate) = ("own link".into(), self.durable, self.rate);
        let (bytes, lanes, held) = (self.brought, 1, 0);
        let own = WorkerProgress { worker: OWN, name, bytes, rate, lanes, held };
        let size = self.fetch.source.length();
        let workers = vec![own];
        let map = self.strip.as_ref().map(Strip::stretches).unwrap_or_default();
        self.fetch.telling.progress(Snapshot { size, stored, durable, rate, workers, map });
    }
}

/// One address of the file, and the version that is there.
#[derive(PartialEq, Eq)]
struct Site {
    url: Url,
    validator: Option<Validator>,
}

impl Site {
    fn of(source: &Source) -> Self {
        Self { url: source.url().clone(), validator: source.validator() }
    }
}

/// The picture of what is stored, of a file that has a length.
fn strip(fetch: &Fetch<'_>) -> Option<Strip> {
    let size = fetch.source.length().filter(|&size| size > 0)?;
    Some(Strip::new(size, &fetch.stored))
}

fn changed() -> Error {
    Error::new(
        ErrorKind::Changed,
        "the file changed on the origin",
        "what it sends now has another length or another validator",
    )
    .with_remedy("start again with --overwrite to get the new version")
}
