//! The way without parts: one stream over the own link, as the origin allows no other.

use super::builder::Settings;
use super::job::{Fetch, Fetched};
use super::strip::Strip;
use super::transfer::{Snapshot, Stop, Telling, interrupted};
use crate::disk::{Disk, Stored, Verdict};
use crate::event::{Stretch, WorkerProgress};
use crate::{Error, ErrorKind, Verified, WorkerReport};
use haul_fetch::{Body, Framing};
use haul_span::{Span, SpanSet};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, Interval, interval, sleep};

/// How often a stream that broke is begun anew.
const ATTEMPTS: u32 = 5;

pub(crate) const OWN: u32 = 0;

/// Fetches the file in one stream, anew if it breaks.
pub(crate) async fn run(fetch: Fetch<'_>, body: Body, stop: &mut Stop) -> Result<Fetched, Error> {
    let Fetch { settings, telling, source, disk, mut news, .. } = fetch;
    refuse_min_helpers(settings)?;
    if source.length() != Some(0) {
        telling.note("the origin serves this file in one piece only, so nobody can help");
    }
    let mut body = Some(body);
    let mut wasted = 0;
    for attempt in 1.. {
        // What an earlier stream brought may be of another version.
        wasted += disk.forget_all_but(u32::MAX).await?.bytes();
        let mut stream = match body.take() {
            Some(body) => body,
            None => settings.client.probe(&settings.url).await?.body,
        };
        let mut meter = Meter::new(telling, source.length());
        match meter.read(&mut stream, disk, &mut news, stop).await {
            Ok(()) => return conclude(disk, stream.framing(), &meter, wasted).await,
            Err(error) if attempt < ATTEMPTS && error.kind() == ErrorKind::Network => {
                telling.note(format!("{}; beginning anew", error.because()));
                sleep(Duration::from_secs(attempt.into())).await;
            }
            Err(error) => return Err(error),
        }
    }
    unreachable!("the last attempt returns")
}

fn refuse_min_helpers(settings: &Settings) -> Result<(), Error> {
    if settings.min_helpers == 0 {
        return Ok(());
    }
    let because = "the origin serves this file in one piece only, so nobody can help";
    Err(Error::new(ErrorKind::TooFewHelpers, "too few machines help", because)
        .with_remedy("run it without --min-helpers"))
}

async fn conclude(
    disk: &Disk,
    framing: Framing,
    meter: &Meter<'_>,
    wasted: u64,
) -> Result<Fetched, Error> {
    disk.set_length(meter.stored).await;
    let verified = match disk.verify().await? {
        Verdict::Right(Verified::Unverified) if framing == Framing::Close => {
            Verified::LengthUnverified
        }
        Verdict::Right(verified) => verified,
        Verdict::Wrong => return Err(wrong_digest()),
    };
    let own = WorkerReport {
        worker: OWN,
        name: "own link".into(),
        address: None,
        bytes: meter.stored,
        wasted,
    };
    Ok(Fetched { verified, workers: vec![own], own_rate: 0.0, bytes: meter.stored })
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

/// Counts a stream and tells its progress.
struct Meter<'a> {
    telling: &'a Telling,
    size: Option<u64>,
    stored: u64,
    durable: u64,
    rate: u64,
    ticks: Interval,
    last: (Instant, u64),
}

impl<'a> Meter<'a> {
    fn new(telling: &'a Telling, size: Option<u64>) -> Self {
        let ticks = interval(Duration::from_millis(250));
        Self { telling, size, stored: 0, durable: 0, rate: 0, ticks, last: (Instant::now(), 0) }
    }

    async fn read(
        &mut self,
        stream: &mut Body,
        disk: &Disk,
        news: &mut mpsc::UnboundedReceiver<Stored>,
        stop: &mut Stop,
    ) -> Result<(), Error> {
        loop {
            tokio::select! {
                piece = stream.next() => match piece? {
                    Some(bytes) => {
                        let offset = self.stored;
                        self.stored += bytes.len() as u64;
                        disk.write(OWN, offset, bytes).await;
                    }
                    None => break,
                },
                Some(done) = news.recv() => match done {
                    Stored::Written { .. } => {}
                    Stored::Durable(bytes) => self.durable = bytes,
                    Stored::Broken(error) => return Err(error),
                },
                _ = self.ticks.tick() => {
                    disk.sync(self.telling.now()).await;
                    self.show();
                }
                () = stop.requested() => return Err(interrupted()),
            }
        }
        self.show();
        Ok(())
    }

    fn show(&mut self) {
        let (then, before) = self.last;
        // Too short a time says nothing of the rate.
        if then.elapsed() >= Duration::from_millis(100) || self.rate == 0 {
            let millis = u64::try_from(then.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
            self.rate = (self.stored - before).saturating_mul(1000) / millis;
            self.last = (Instant::now(), self.stored);
        }
        let rate = self.rate;
        let own = WorkerProgress {
            worker: OWN,
            name: "own link".into(),
            bytes: self.stored,
            rate,
            lanes: 1,
        };
        let (stored, durable) = (self.stored, self.durable);
        self.telling.progress(Snapshot {
            size: self.size,
            stored,
            durable,
            rate,
            workers: vec![own],
            map: self.map(),
        });
    }

    fn map(&self) -> Vec<Stretch> {
        let Some(size @ 1..) = self.size else { return Vec::new() };
        let mut strip = Strip::new(size, &SpanSet::new());
        if let Some(front) = Span::new(0, self.stored.min(size)) {
            strip.add(OWN, front);
        }
        strip.stretches()
    }
}
