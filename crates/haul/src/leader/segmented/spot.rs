//! Spot checks: samples of what helpers delivered, held against what the origin sends to the
//! leader's own link.

use super::Segmented;
use crate::disk::Comparison;
use crate::event::Happening;
use crate::lanes::{Lanes, Order, Word};
use crate::leader::samples::{Provider, Risk, Sample, Samples, Stage};
use crate::leader::single::OWN;
use crate::{Checks, Error, ErrorKind};
use haul_fetch::{Kind, Source};
use haul_link::random;
use haul_plan::WorkerId;
use haul_span::{Span, SpanSet};
use haul_wire::ByeReason;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::mpsc;

/// How many connections samples may use while the own link downloads, and when nothing else is
/// left to be done.
const LANES: u8 = 4;
const LANES_ENDING: u8 = 8;

/// For how long the end of a job waits for the origin to send another sample.
const PATIENCE: Duration = Duration::from_secs(30);

/// The first pause after a sample that could not be fetched, and the longest.
const PAUSE: Duration = Duration::from_millis(100);
const PAUSE_MOST: Duration = Duration::from_secs(2);

/// The spot checks of one job.
pub(super) struct Spots {
    samples: Samples,
    lanes: Lanes,
    /// What helpers of earlier runs have left.
    earlier: BTreeMap<u32, SpanSet>,
    /// The samples that are being fetched.
    open: BTreeMap<u32, Fetching>,
    /// When something was compared last, or began to be waited for.
    since: Duration,
    trouble: Option<Trouble>,
}

struct Fetching {
    sample: Sample,
    bytes: Vec<u8>,
}

/// Samples cannot be fetched at present.
struct Trouble {
    error: haul_fetch::Error,
    pause: Duration,
    until: Duration,
}

impl Spots {
    pub(super) fn start(source: &Source, words: &mpsc::Sender<Word>) -> Self {
        let lanes = Lanes::start(source, LANES_ENDING, None, words, None);
        lanes.order(Order::Lanes { lanes: LANES });
        Self {
            samples: Samples::default(),
            lanes,
            earlier: BTreeMap::new(),
            open: BTreeMap::new(),
            since: Duration::ZERO,
            trouble: None,
        }
    }

    /// Notes what helpers of earlier runs have left in the file.
    pub(super) fn note_earlier(&mut self, delivered: &[(Span, u32)]) {
        for &(span, worker) in delivered {
            self.earlier.entry(worker).or_default().insert(span);
            self.samples.deliver(Duration::ZERO, Provider::Earlier(worker), span);
        }
    }

    /// Notes a helper that is about to deliver.
    pub(super) fn enter(&mut self, worker: u32, risk: Risk) {
        self.samples.enter(Provider::Worker(worker), risk);
    }

    /// Notes what a helper delivered.
    pub(super) fn note(&mut self, now: Duration, worker: u32, span: Span) {
        self.samples.deliver(now, Provider::Worker(worker), span);
    }

    /// How many bytes in all this helper may have delivered at this moment.
    pub(super) fn allowance(&self, worker: u32, now: Duration) -> u64 {
        self.samples.allowance(Provider::Worker(worker), now)
    }

    /// Asks for the samples that are due, as far as there are lanes for them.
    fn order(&mut self, now: Duration, stage: Stage) {
        let lanes = match stage {
            Stage::Running { .. } => LANES,
            Stage::Ending { .. } => LANES_ENDING,
        };
        self.lanes.order(Order::Lanes { lanes });
        if self.trouble.as_ref().is_some_and(|trouble| now < trouble.until) {
            return;
        }
        while self.open.len() < usize::from(lanes)
            && let Some(sample) = self.samples.draw(stage, chance)
        {
            self.lanes.order(Order::Grant { lease: sample.id, span: sample.span });
            self.open.insert(sample.id, Fetching { sample, bytes: Vec::new() });
        }
    }

    /// Whether what was fetched still stands for bytes of the file.
    fn awaits(&self, fetching: &Fetching) -> bool {
        self.samples.awaits(fetching.sample)
    }

    /// Takes in what came for a sample; returns it once it is whole.
    fn take(&mut self, now: Duration, word: Word) -> Option<Fetching> {
        match word {
            Word::Data { lease, bytes, .. } => {
                if let Some(fetching) = self.open.get_mut(&lease) {
                    fetching.bytes.extend_from_slice(&bytes);
                }
                None
            }
            Word::Done { lease } => {
                let fetching = self.open.remove(&lease)?;
                if fetching.bytes.len() as u64 == fetching.sample.span.len() {
                    return Some(fetching);
                }
                self.samples.miss(fetching.sample);
                None
            }
            Word::Failed { lease, error } => {
                if let Some(Fetching { sample, .. }) = self.open.remove(&lease) {
                    self.samples.miss(sample);
                }
                self.pause(now, error);
                None
            }
        }
    }

    /// Leaves the origin alone for a while, longer each time.
    fn pause(&mut self, now: Duration, error: haul_fetch::Error) {
        let doubled = self.trouble.as_ref().map_or(PAUSE, |trouble| 2 * trouble.pause);
        let pause = doubled.min(PAUSE_MOST);
        self.trouble = Some(Trouble { error, pause, until: now + pause });
    }

    /// A sample is what the origin sends.
    fn pass(&mut self, now: Duration, sample: Sample) {
        self.samples.pass(now, sample);
        self.since = now;
        self.trouble = None;
    }

    /// Forgets a helper of whose bytes nothing is left.
    fn forget(&mut self, provider: Provider) {
        self.samples.forget(provider);
        let Self { open, lanes, .. } = self;
        open.retain(|&lease, fetching| {
            let stays = fetching.sample.provider != provider;
            if !stays {
                lanes.order(Order::Revoke { lease });
            }
            stays
        });
    }

    /// Whether of every helper's bytes samples were compared, and were right.
    pub(super) fn are_complete(&self) -> bool {
        self.samples.are_complete()
    }

    /// Whether the last samples may still come; else why they do not.
    fn may_wait(&self, now: Duration) -> Result<(), Error> {
        let why = self.trouble.as_ref().map(|trouble| &trouble.error);
        if let Some(changed) = why.filter(|error| error.kind() == Kind::Changed) {
            return Err(Error::from(changed));
        }
        if now < self.since + PATIENCE {
            return Ok(());
        }
        let bytes = self.samples.unchecked();
        let why = why.map_or_else(|| "it sends nothing".into(), ToString::to_string);
        let because = format!(
            "{bytes} bytes that helpers brought could not be compared with the origin: {why}"
        );
        Err(Error::new(ErrorKind::Network, "the file is not checked yet", because)
            .with_remedy("run it again with -c when the origin can be reached: nothing is lost"))
    }

    /// What was compared.
    pub(super) fn checks(&self) -> Checks {
        self.samples.checks()
    }
}

/// How far a job is whose bytes are all there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// Bytes are missing.
    NotYet,
    /// Nobody states a digest, so that the file waits until all samples are compared.
    Sampling,
    /// A digest says what the file must be; these samples find out who spoiled it, or it is waited
    /// for them no longer.
    Sifting { until: Duration },
    /// A digest decides.
    Checking,
}

impl Segmented<'_> {
    /// Waits for the last samples, where they decide whether the file may have its name.
    pub(super) fn begin_ending(&mut self) {
        self.ending = if self.disk.knows_digest() { Ending::Checking } else { Ending::Sampling };
        self.crew.leave_own_responses();
        self.spots.since = self.now();
        self.order_samples();
    }

    /// Looks closely at what each helper delivered of a file that is wrong; says whether there is
    /// anything to look at.
    pub(super) fn sift(&mut self) -> bool {
        let helpers: Vec<(u32, SpanSet)> = self.strip.of_helpers().collect();
        for (worker, spans) in &helpers {
            self.spots.samples.sift(Provider::Worker(*worker), spans);
        }
        self.ending = Ending::Sifting { until: self.now() + PATIENCE };
        self.order_samples();
        !helpers.is_empty()
    }

    /// Whether nothing is waited for any more. What cannot be compared gets no name: it stays for
    /// a later run.
    pub(super) fn is_at_end(&self) -> Result<bool, Error> {
        let (now, complete) = (self.now(), self.spots.are_complete());
        match self.ending {
            Ending::NotYet => Ok(false),
            Ending::Checking => Ok(true),
            Ending::Sifting { until } => Ok(complete || now >= until),
            Ending::Sampling if complete || self.disk.knows_digest() => Ok(true),
            Ending::Sampling => self.spots.may_wait(now).map(|()| false),
        }
    }

    /// Asks for the samples that are due.
    pub(super) fn order_samples(&mut self) {
        let own = self.crew.bytes_of(OWN);
        let stage = match self.ending {
            Ending::NotYet => Stage::Running { own },
            Ending::Sampling | Ending::Sifting { .. } | Ending::Checking => Stage::Ending { own },
        };
        let now = self.now();
        self.spots.order(now, stage);
    }

    /// Takes in what came for a sample, and compares it once it is whole.
    pub(super) async fn take_sample(&mut self, word: Word) -> Result<(), Error> {
        if let Word::Data { bytes, .. } = &word {
            self.crew.count(OWN, 0, bytes.len() as u64);
        }
        let now = self.now();
        let whole = self.spots.take(now, word);
        if let Some(Fetching { sample, bytes }) = whole.filter(|it| self.spots.awaits(it)) {
            match self.disk.compare(sample.span, bytes).await? {
                Comparison::Equal => self.spots.pass(now, sample),
                Comparison::Absent => self.spots.samples.miss(sample),
                Comparison::Different => self.expel(sample.provider).await?,
            }
            if let Provider::Worker(worker) = sample.provider {
                self.extend_credit(worker);
            }
        }
        self.order_samples();
        Ok(())
    }

    /// Ends the part of a helper whose bytes are not the origin's; all of them are fetched again,
    /// and those that strangers at the same address brought.
    async fn expel(&mut self, provider: Provider) -> Result<(), Error> {
        self.spots.forget(provider);
        let liar = match provider {
            Provider::Worker(worker) => worker,
            Provider::Earlier(worker) => {
                let spans = self.spots.earlier.remove(&worker).unwrap_or_default();
                return self.discard(spans).await;
            }
        };
        if let Some((peer, address, is_trusted)) = self.crew.identity(liar) {
            self.limits.presence.bar(peer, (!is_trusted).then_some(address));
        }
        for worker in self.crew.strangers_beside(liar) {
            let spans = self.strip.of(worker);
            self.spots.forget(Provider::Worker(worker));
            self.planner.leave(self.now(), WorkerId(worker));
            if worker == liar {
                self.blame(worker, spans.bytes());
            }
            self.lose(worker, ByeReason::Spoiled, because_spoiled(worker == liar));
            self.discard(spans).await?;
        }
        Ok(())
    }

    async fn discard(&mut self, spans: SpanSet) -> Result<(), Error> {
        self.disk.forget(spans.clone()).await?;
        self.fetch_again(&spans);
        Ok(())
    }

    /// Names a helper that delivered wrong bytes.
    pub(super) fn blame(&mut self, worker: u32, bytes: u64) {
        if let Some(member) = self.crew.get(worker) {
            let (name, address) = (member.name.clone(), member.address.map(|at| at.ip()));
            self.crew.count_spoiled(worker, bytes);
            self.telling.tell(Happening::Blamed { worker, name, address, bytes });
        }
    }

    /// What is not in the file any more is to be fetched again.
    pub(super) fn fetch_again(&mut self, spans: &SpanSet) {
        self.telling.tell(Happening::Repaired { bytes: spans.bytes() });
        self.ending = Ending::NotYet;
        let now = self.now();
        for span in spans.iter() {
            self.planner.forget(now, span);
            self.strip.forget(span);
            self.spots.samples.retract(span);
        }
    }
}

fn because_spoiled(itself: bool) -> String {
    let because = if itself {
        "what it delivered is not what the origin sends"
    } else {
        "what came from its address is not what the origin sends"
    };
    because.into()
}

fn chance() -> u64 {
    u64::from_ne_bytes(random())
}
