//! Which bytes of what helpers delivered are fetched once more over the own link, to be compared.
//!
//! A place is drawn only once the bytes around it were delivered, so that nobody can know which
//! bytes will be looked at.

use haul_span::{Span, SpanSet};
use std::collections::BTreeMap;

/// A sample is due for so many bytes of a helper.
const EVERY: u64 = 8 << 20;

/// The first is due sooner: who delivers rubbish should not get far.
const FIRST: u64 = 256 << 10;

/// How much shorter a sample is than what it stands for: all together cost 0.2 % of the file.
const PART: u64 = 512;

/// The shortest and the longest sample, in bytes.
const SHORTEST: u64 = 1 << 10;
const LONGEST: u64 = 16 << 10;

/// How many samples are taken of one worker's part when it is certain that something is wrong.
const MOST_SIFTED: u64 = 64;

/// What helpers delivered since they were last sampled.
#[derive(Debug, Default)]
pub(super) struct Samples {
    unseen: BTreeMap<u32, Unseen>,
}

#[derive(Debug, Default)]
struct Unseen {
    spans: SpanSet,
    sampled: bool,
}

impl Samples {
    /// Notes what a helper delivered; returns a sample of it if one is due.
    pub(super) fn add(
        &mut self,
        worker: u32,
        span: Span,
        chance: impl FnOnce() -> u64,
    ) -> Option<Span> {
        let unseen = self.unseen.entry(worker).or_default();
        unseen.spans.insert(span);
        let due = if unseen.sampled { EVERY } else { FIRST };
        (unseen.spans.bytes() >= due).then(|| unseen.sample(chance())).flatten()
    }

    /// A sample of everybody's bytes for which none was due yet.
    pub(super) fn rest(&mut self, mut chance: impl FnMut() -> u64) -> Vec<(u32, Span)> {
        let unseen = self.unseen.iter_mut();
        unseen.filter_map(|(&worker, unseen)| Some((worker, unseen.sample(chance())?))).collect()
    }

    /// Nothing of what this helper delivered is left in the file.
    pub(super) fn forget(&mut self, worker: u32) {
        self.unseen.remove(&worker);
    }
}

impl Unseen {
    fn sample(&mut self, chance: u64) -> Option<Span> {
        let sample = draw(&self.spans, chance)?;
        self.spans = SpanSet::new();
        self.sampled = true;
        Some(sample)
    }
}

/// Samples all over `spans`, in every part of them.
pub(super) fn sifted(spans: &SpanSet, mut chance: impl FnMut() -> u64) -> Vec<Span> {
    let step = (spans.bytes() / MOST_SIFTED).max(LONGEST);
    let (mut samples, mut part) = (Vec::new(), SpanSet::new());
    for mut span in spans.iter() {
        while let Some(first) = span.first(step - part.bytes()) {
            part.insert(first);
            if part.bytes() == step {
                samples.extend(draw(&part, chance()));
                part = SpanSet::new();
            }
            match span.from(first.end()) {
                Some(rest) => span = rest,
                None => break,
            }
        }
    }
    samples.extend(draw(&part, chance()));
    samples
}

/// A sample at a byte of `spans`, each of which is as likely as any other.
fn draw(spans: &SpanSet, chance: u64) -> Option<Span> {
    let len = (spans.bytes() / PART).clamp(SHORTEST, LONGEST);
    let mut left = chance.checked_rem(spans.bytes())?;
    for span in spans.iter() {
        if left < span.len() {
            // Near the end of a span the sample moves back, or the last bytes would seldom be seen.
            let start = (span.start() + left).min(span.end().saturating_sub(len));
            return span.from(start)?.first(len);
        }
        left -= span.len();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn span(start: u64, end: u64) -> Span {
        Span::new(start, end).unwrap()
    }

    #[test]
    fn a_first_sample_is_due_soon_and_further_ones_for_every_8_mib() {
        let mut samples = Samples::default();
        let mut due = Vec::new();
        for at in 0..(32 << 20) / FIRST {
            let piece = span(at * FIRST, (at + 1) * FIRST);
            due.extend(samples.add(1, piece, || at).map(|_| (at * FIRST) >> 20));
        }
        assert_eq!(due, [0, 8, 16, 24]);
        assert_eq!(samples.rest(|| 5).len(), 1);
        assert_eq!(samples.rest(|| 5), []);
    }

    #[test]
    fn samples_cost_at_most_a_fifth_of_a_per_cent_of_many_bytes() {
        let mut samples = Samples::default();
        let mut cost = 0;
        for at in 0..1024 {
            let piece = span(at << 20, (at + 1) << 20);
            cost += samples.add(1, piece, || at * 7919).map_or(0, Span::len);
        }
        assert!(cost > 0 && cost <= (1 << 30) / 500, "{cost}");
    }

    #[test]
    fn who_delivered_nothing_or_was_forgotten_is_not_sampled() {
        let mut samples = Samples::default();
        assert_eq!(samples.rest(|| 1), []);
        assert_eq!(samples.add(1, span(0, 10), || 1), None);
        samples.forget(1);
        assert_eq!(samples.rest(|| 1), []);
    }

    proptest! {
        #[test]
        fn samples_lie_within_what_was_delivered(
            parts in prop::collection::vec((0..1_u64 << 30, 1..1_u64 << 20), 1..20),
            chance: u64,
        ) {
            let parts = parts.into_iter().filter_map(|(start, len)| Span::of_len(start, len));
            let spans: SpanSet = parts.collect();
            let mut chances = (0_u64..).map(|step| chance.wrapping_mul(step | 1));
            let sifted = sifted(&spans, || chances.next().unwrap());
            prop_assert!(sifted.len() as u64 <= MOST_SIFTED + 1 && !sifted.is_empty());
            for sample in sifted.into_iter().chain(draw(&spans, chance)) {
                prop_assert!(spans.contains(sample) && sample.len() <= LONGEST);
            }
        }

        #[test]
        fn every_byte_may_be_sampled(at in 0..5000_u64) {
            let spans: SpanSet = [span(0, 3000), span(4000, 6000)].into_iter().collect();
            let sample = draw(&spans, at).unwrap();
            let byte = if at < 3000 { at } else { at + 1000 };
            prop_assert!(sample.contains(byte));
        }
    }
}
