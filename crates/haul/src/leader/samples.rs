//! Which bytes of what helpers delivered are fetched once more over the own link and compared.
//!
//! A sample is drawn at random from bytes that were delivered before. It stands for these bytes
//! until it is compared; until then none of them counts as checked. A sample that could not be
//! fetched is drawn anew, from the same bytes.

use crate::Checks;
use haul_span::{Span, SpanSet};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// A helper's first sample is due after so many bytes: who delivers rubbish should not get far.
const FIRST: u64 = 256 << 10;

/// Further ones stand for so many bytes while there is room for them.
const STEP: u64 = 1 << 20;

/// No sample stands for more.
const MOST: u64 = 4 << 20;

/// How much shorter a sample is than what it stands for: all together cost 0.4 % of what helpers
/// deliver.
const PART: u64 = 256;

/// The shortest and the longest sample, in bytes.
const SHORTEST: u64 = 1 << 10;
const LONGEST: u64 = 4 << 10;

/// What samples may cost of what the own link brings, beyond those that must be.
const OWN_PART: u64 = 50;

/// What they may cost before the own link has brought anything.
const OWN_START: u64 = 256 << 10;

/// In so many parts a helper's bytes are sampled when it is certain that something is wrong.
const SIFTED: u64 = 64;

/// How much a stranger may deliver before anything of it was checked, in bytes: a second's work of
/// a link of 20 Mbit/s. Strangers' keys of one address have less each.
const UNCHECKED: u64 = 3 << 20;

/// What makes up for having nothing checked yet, where those who brought most are found.
const NOVICE: f64 = 1_048_576.0;

/// For how long a helper waits for a check before it may go on without. What it delivers then is
/// checked later.
const HELD: Duration = Duration::from_secs(2);

/// Who delivered bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Provider {
    /// A helper of this run.
    Worker(u32),
    /// A helper of an earlier run of this job.
    Earlier(u32),
}

/// How likely it is that a helper lies; who is more likely to is checked earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Risk {
    /// Its key is known, or it is of the group.
    Trusted,
    /// A stranger; so many strangers' keys came from its address, itself included.
    Stranger { keys: u32 },
}

/// Bytes that are to be fetched once more and compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sample {
    pub(super) id: u32,
    pub(super) provider: Provider,
    pub(super) span: Span,
}

/// How far the job is, which says how much is sampled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Helpers deliver, and the own link has brought so many bytes.
    Running { own: u64 },
    /// Nothing more comes: whatever was not sampled is.
    Ending { own: u64 },
}

/// What was delivered, what of it was sampled, and what was compared.
#[derive(Debug, Default)]
pub(super) struct Samples {
    ledgers: BTreeMap<Provider, Ledger>,
    next: u32,
    drawn: u64,
}

#[derive(Debug)]
struct Ledger {
    risk: Risk,
    /// Delivered, and not yet stood for by a sample.
    fresh: SpanSet,
    /// What a further sample is due for, whatever else.
    due: VecDeque<SpanSet>,
    /// The samples that are being fetched, and what each stands for.
    open: BTreeMap<u32, (Span, SpanSet)>,
    /// Bytes for which a sample was compared.
    checked: u64,
    /// How many samples were, and how many bytes these were.
    passed: u64,
    compared: u64,
    /// Since when enough bytes for a sample wait, without one that was compared meanwhile.
    waits: Option<Duration>,
}

impl Samples {
    /// Notes who is about to deliver.
    pub(super) fn enter(&mut self, provider: Provider, risk: Risk) {
        self.ledgers.entry(provider).or_insert_with(|| Ledger::new(risk)).risk = risk;
    }

    /// Notes what was delivered.
    pub(super) fn deliver(&mut self, now: Duration, provider: Provider, span: Span) {
        let stranger = || Ledger::new(Risk::Stranger { keys: 1 });
        let ledger = self.ledgers.entry(provider).or_insert_with(stranger);
        ledger.fresh.insert(span);
        if ledger.unchecked() >= FIRST {
            ledger.waits.get_or_insert(now);
        }
    }

    /// The sample that is due most, if any is; `chance` decides where it lies.
    pub(super) fn draw(&mut self, stage: Stage, chance: impl FnOnce() -> u64) -> Option<Sample> {
        let (Stage::Running { own } | Stage::Ending { own }) = stage;
        let affordable = self.drawn < own / OWN_PART + OWN_START;
        let due = self.ledgers.iter_mut();
        let due = due.filter(|(_, ledger)| ledger.is_due(stage, affordable));
        let (&provider, ledger) =
            due.max_by(|(_, a), (_, b)| a.urgency().total_cmp(&b.urgency()))?;
        let batch = ledger.next_batch(stage, affordable)?;
        let span = place_in(&batch, chance())?;
        let id = self.next;
        self.next = id.wrapping_add(1);
        self.drawn += span.len();
        ledger.open.insert(id, (span, batch));
        Some(Sample { id, provider, span })
    }

    /// A sample is what the origin sends: the bytes that it stood for are checked.
    pub(super) fn pass(&mut self, now: Duration, sample: Sample) {
        let Some(ledger) = self.ledgers.get_mut(&sample.provider) else { return };
        let Some((_, batch)) = ledger.open.remove(&sample.id) else { return };
        ledger.checked += batch.bytes();
        ledger.waits = (ledger.unchecked() >= FIRST).then_some(now);
        ledger.passed += 1;
        ledger.compared += sample.span.len();
    }

    /// A sample could not be fetched: another is due for the same bytes.
    pub(super) fn miss(&mut self, sample: Sample) {
        let Some(ledger) = self.ledgers.get_mut(&sample.provider) else { return };
        if let Some((_, batch)) = ledger.open.remove(&sample.id) {
            ledger.due.push_front(batch);
        }
    }

    /// Everything that is there of what was delivered is sampled again, in every part of it.
    pub(super) fn sift(&mut self, provider: Provider, spans: &SpanSet) {
        let Some(ledger) = self.ledgers.get_mut(&provider) else { return };
        ledger.checked = 0;
        ledger.fresh = SpanSet::new();
        ledger.due = in_parts(spans, (spans.bytes() / SIFTED).max(LONGEST)).into();
    }

    /// Nothing of what this one delivered is left in the file.
    pub(super) fn forget(&mut self, provider: Provider) {
        self.ledgers.remove(&provider);
    }

    /// These bytes are not in the file any more, whoever delivered them.
    pub(super) fn retract(&mut self, span: Span) {
        self.ledgers.values_mut().for_each(|ledger| ledger.retract(span));
    }

    /// Whether this sample still stands for bytes of the file.
    pub(super) fn awaits(&self, sample: Sample) -> bool {
        let ledger = self.ledgers.get(&sample.provider);
        ledger.is_some_and(|ledger| ledger.open.contains_key(&sample.id))
    }

    /// Whether a sample of every byte's helper, drawn after it had brought the byte, was compared.
    pub(super) fn are_complete(&self) -> bool {
        self.unchecked() == 0
    }

    /// How many bytes are not checked.
    pub(super) fn unchecked(&self) -> u64 {
        self.ledgers.values().map(Ledger::unchecked).sum()
    }

    /// How many bytes in all a helper may have delivered at this moment: few until something of it
    /// was checked. A late check holds nobody up for long.
    pub(super) fn allowance(&self, provider: Provider, now: Duration) -> u64 {
        let Some(ledger) = self.ledgers.get(&provider) else { return FIRST };
        let is_late = ledger.waits.is_some_and(|since| now.saturating_sub(since) >= HELD);
        match ledger.risk {
            Risk::Stranger { keys } if ledger.checked == 0 && !is_late => {
                (UNCHECKED / u64::from(keys.max(1))).max(FIRST)
            }
            Risk::Stranger { .. } | Risk::Trusted => u64::MAX,
        }
    }

    /// What was compared of the bytes that are in the file, and how many it vouches for.
    pub(super) fn checks(&self) -> Checks {
        let sum = |of: fn(&Ledger) -> u64| self.ledgers.values().map(of).sum();
        Checks {
            samples: sum(|ledger| ledger.passed),
            bytes: sum(|ledger| ledger.compared),
            of: sum(|ledger| ledger.checked),
        }
    }
}

impl Ledger {
    const fn new(risk: Risk) -> Self {
        Self {
            risk,
            fresh: SpanSet::new(),
            due: VecDeque::new(),
            open: BTreeMap::new(),
            checked: 0,
            passed: 0,
            compared: 0,
            waits: None,
        }
    }

    fn is_due(&self, stage: Stage, affordable: bool) -> bool {
        let fresh = self.fresh.bytes();
        let step = if affordable { (self.checked / 2).clamp(FIRST, STEP) } else { MOST };
        let is_first = self.checked == 0 && self.open.is_empty();
        !self.due.is_empty()
            || fresh >= if is_first { FIRST } else { step }
            || (matches!(stage, Stage::Ending { .. }) && fresh > 0)
    }

    /// The end is looked at closely: nobody who has waited for it to lie shall hide among what was
    /// right before.
    fn next_batch(&mut self, stage: Stage, affordable: bool) -> Option<SpanSet> {
        let most = if matches!(stage, Stage::Ending { .. }) && affordable { FIRST } else { MOST };
        self.due.pop_front().or_else(|| take_front(&mut self.fresh, most))
    }

    /// Of a sample that lies in `gone` nothing can be compared: one is due for what is left.
    fn retract(&mut self, gone: Span) {
        self.fresh.remove(gone);
        let due = &mut self.due;
        self.open.retain(|_, (sample, batch)| {
            batch.remove(gone);
            let stays = sample.intersection(gone).is_none();
            if !stays {
                due.push_back(std::mem::take(batch));
            }
            stays
        });
        for batch in &mut self.due {
            batch.remove(gone);
        }
        self.due.retain(|batch| !batch.is_empty());
    }

    fn unchecked(&self) -> u64 {
        let open = self.open.values().map(|(_, batch)| batch);
        self.fresh.bytes() + self.due.iter().chain(open).map(SpanSet::bytes).sum::<u64>()
    }

    /// Who brought most that is not checked comes first, by what was checked of it and by the risk.
    #[expect(clippy::cast_precision_loss, reason = "an order, not an account")]
    fn urgency(&self) -> f64 {
        let risk = match self.risk {
            Risk::Trusted => 1,
            Risk::Stranger { keys } => 1 + keys,
        };
        f64::from(risk) * self.unchecked() as f64 / (self.checked as f64 + NOVICE)
    }
}

/// Up to `most` of the lowest bytes of a set, which loses them.
fn take_front(spans: &mut SpanSet, most: u64) -> Option<SpanSet> {
    let mut front = SpanSet::new();
    while let Some(span) = spans.first()
        && let Some(part) = span.first(most - front.bytes())
    {
        front.insert(part);
        spans.remove(part);
    }
    (!front.is_empty()).then_some(front)
}

fn in_parts(spans: &SpanSet, length: u64) -> Vec<SpanSet> {
    let mut rest = spans.clone();
    std::iter::from_fn(|| take_front(&mut rest, length)).collect()
}

/// A sample around a byte of `spans`, each of which is as likely as any other. So every byte is in
/// the sample with at least half the chance that `len` bytes of all have.
fn place_in(spans: &SpanSet, chance: u64) -> Option<Span> {
    let len = (spans.bytes() / PART).clamp(SHORTEST, LONGEST);
    let mut left = chance.checked_rem(spans.bytes())?;
    for span in spans.iter() {
        if left < span.len() {
            let around = (span.start() + left).saturating_sub(len / 2);
            let start = around.min(span.end().saturating_sub(len)).max(span.start());
            return span.from(start)?.first(len);
        }
        left -= span.len();
    }
    None
}

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
