//! Spot checks: samples of what helpers delivered, held against what the origin sends to the
//! leader's own link.

use super::Segmented;
use crate::Error;
use crate::event::Happening;
use crate::lanes::{Lanes, Order, Word};
use crate::leader::samples::{Samples, sifted};
use crate::leader::single::OWN;
use haul_fetch::Source;
use haul_link::random;
use haul_plan::WorkerId;
use haul_span::{Span, SpanSet};
use haul_wire::ByeReason;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::mpsc;

/// How many connections samples may use.
const LANES: u8 = 2;

/// How long the end of a job waits for samples that are still open.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long a file that is known to be wrong waits for them.
const PATIENCE_SIFTING: Duration = Duration::from_secs(30);

/// How often a sample is asked for.
const TRIES: u8 = 2;

/// The spot checks of one job.
pub(super) struct Spots {
    samples: Samples,
    lanes: Lanes,
    open: BTreeMap<u32, Spot>,
    next: u32,
    /// Whether a sample could not be fetched.
    unseen: bool,
}

/// A sample that is being fetched.
struct Spot {
    worker: u32,
    span: Span,
    bytes: Vec<u8>,
    tries: u8,
}

impl Spots {
    pub(super) fn start(source: &Source, words: &mpsc::Sender<Word>) -> Self {
        let lanes = Lanes::start(source, LANES, None, words, None);
        lanes.order(Order::Lanes { lanes: LANES });
        Self { samples: Samples::default(), lanes, open: BTreeMap::new(), next: 0, unseen: false }
    }

    /// Notes what a helper delivered.
    pub(super) fn note(&mut self, worker: u32, span: Span) {
        if let Some(sample) = self.samples.add(worker, span, chance) {
            self.look(worker, sample);
        }
    }

    /// Looks at what was not sampled yet.
    fn look_at_rest(&mut self) {
        for (worker, sample) in self.samples.rest(chance) {
            self.look(worker, sample);
        }
    }

    fn look(&mut self, worker: u32, span: Span) {
        let spot = Spot { worker, span, bytes: Vec::new(), tries: TRIES };
        self.order(spot);
    }

    fn order(&mut self, spot: Spot) {
        let lease = self.next;
        self.next = self.next.wrapping_add(1);
        self.lanes.order(Order::Grant { lease, span: spot.span });
        self.open.insert(lease, spot);
    }

    /// Takes in what came for a sample; returns it once it is whole.
    fn take(&mut self, word: Word) -> Option<Spot> {
        match word {
            Word::Data { lease, bytes, .. } => {
                self.open.get_mut(&lease)?.bytes.extend_from_slice(&bytes);
                None
            }
            Word::Done { lease } => {
                let spot = self.open.remove(&lease)?;
                let whole = spot.bytes.len() as u64 == spot.span.len();
                self.unseen |= !whole;
                whole.then_some(spot)
            }
            Word::Failed { lease, .. } => {
                let spot = self.open.remove(&lease)?;
                match spot.tries.checked_sub(1).filter(|&left| left > 0) {
                    Some(tries) => self.order(Spot { tries, bytes: Vec::new(), ..spot }),
                    None => self.unseen = true,
                }
                None
            }
        }
    }

    /// Forgets a helper of whose bytes nothing is left.
    fn forget(&mut self, worker: u32) {
        self.samples.forget(worker);
        let Self { open, lanes, .. } = self;
        open.retain(|&lease, spot| {
            let stays = spot.worker != worker;
            if !stays {
                lanes.order(Order::Revoke { lease });
            }
            stays
        });
    }

    /// Whether every sample that was due was seen, and was right.
    pub(super) const fn saw_all(&self) -> bool {
        !self.unseen
    }
}

/// How far a job is whose bytes are all there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// Bytes are missing.
    NotYet,
    /// Samples are still open; they are waited for until then.
    Sampling { until: Duration },
}

impl Segmented<'_> {
    /// Waits for the last samples, where they decide what can be said of the file.
    pub(super) fn begin_ending(&mut self) {
        if self.disk.knows_digest() {
            self.ending = Ending::Sampling { until: self.now() };
        } else {
            self.spots.look_at_rest();
            self.ending = Ending::Sampling { until: self.now() + PATIENCE };
        }
    }

    /// Looks closely at what each helper delivered of a file that is wrong; says whether there is
    /// anything to look at.
    pub(super) fn sift(&mut self) -> bool {
        let helpers: Vec<(u32, SpanSet)> = self.strip.of_helpers().collect();
        for (worker, spans) in &helpers {
            for sample in sifted(spans, chance) {
                self.spots.look(*worker, sample);
            }
        }
        self.ending = Ending::Sampling { until: self.now() + PATIENCE_SIFTING };
        !helpers.is_empty()
    }

    /// Whether nothing is waited for any more.
    pub(super) fn is_at_end(&self) -> bool {
        match self.ending {
            Ending::NotYet => false,
            Ending::Sampling { until } => self.spots.open.is_empty() || self.now() >= until,
        }
    }

    /// Takes in what came for a sample, and compares it once it is whole.
    pub(super) async fn take_sample(&mut self, word: Word) -> Result<(), Error> {
        if let Word::Data { bytes, .. } = &word {
            self.crew.count(OWN, 0, bytes.len() as u64);
        }
        let Some(Spot { worker, span, bytes, .. }) = self.spots.take(word) else { return Ok(()) };
        if self.disk.differs(span, bytes).await? {
            self.expel(worker).await?;
        }
        Ok(())
    }

    /// Ends the part of a helper whose bytes are not the origin's; all of them are fetched again.
    async fn expel(&mut self, worker: u32) -> Result<(), Error> {
        let spans = self.strip.of(worker);
        self.spots.forget(worker);
        self.planner.leave(self.now(), WorkerId(worker));
        self.blame(worker, spans.bytes());
        self.crew.bar(worker);
        self.lose(
            worker,
            ByeReason::Spoiled,
            "what it delivered is not what the origin sends".into(),
        );
        self.disk.forget(spans.clone()).await?;
        self.fetch_again(&spans);
        Ok(())
    }

    /// Names a helper that delivered wrong bytes.
    pub(super) fn blame(&mut self, worker: u32, bytes: u64) {
        if let Some(name) = self.crew.get(worker).map(|member| member.name.clone()) {
            self.crew.count_spoiled(worker, bytes);
            self.telling.tell(Happening::Blamed { worker, name, bytes });
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
        }
    }
}

fn chance() -> u64 {
    u64::from_ne_bytes(random())
}
