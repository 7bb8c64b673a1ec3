//! A set of spans behaves as the set of its bytes does, whatever is done to it.

#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a test may panic")]

use haul_span::{Span, SpanSet};
use proptest::prelude::*;

const FILE: u64 = 64;

#[derive(Clone, Copy, Debug)]
enum Step {
    Insert(Span),
    Remove(Span),
}

proptest! {
    #[test]
    fn a_set_equals_its_bytes_after_every_step(steps in prop::collection::vec(step(), 0..40), probe in span()) {
        let mut set = SpanSet::new();
        let mut bytes = [false; FILE as usize];
        for step in steps {
            let (span, held) = match step {
                Step::Insert(span) => (span, true),
                Step::Remove(span) => (span, false),
            };
            let changed = if held { set.insert(span) } else { set.remove(span) };
            prop_assert_eq!(changed, paint(&mut bytes, span, held));
            agrees(&set, &bytes, probe)?;
        }
    }
}

fn agrees(set: &SpanSet, bytes: &[bool], probe: Span) -> Result<(), TestCaseError> {
    prop_assert_eq!(set.bytes(), count(bytes));
    prop_assert_eq!(set.iter().collect::<Vec<_>>(), runs(bytes, 0..FILE, true));
    prop_assert_eq!(set.count(), set.iter().count());
    let within = probe.start()..probe.end();
    prop_assert_eq!(set.parts(probe).collect::<Vec<_>>(), runs(bytes, within.clone(), true));
    prop_assert_eq!(set.gaps(probe).collect::<Vec<_>>(), runs(bytes, within.clone(), false));
    let mut inside = within.map(|at| bytes[at as usize]);
    prop_assert_eq!(set.contains(probe), inside.clone().all(|held| held));
    prop_assert_eq!(set.intersects(probe), inside.any(|held| held));
    let run = bytes[probe.start() as usize..].iter().take_while(|&&held| held).count();
    prop_assert_eq!(set.run_from(probe.start()), run as u64);
    let whole = runs(bytes, 0..FILE, true).into_iter().find(|held| held.end() > probe.start());
    prop_assert_eq!(set.at_or_after(probe.start()), whole);
    Ok(())
}

fn paint(bytes: &mut [bool], span: Span, held: bool) -> u64 {
    let before = count(bytes);
    bytes[span.start() as usize..span.end() as usize].fill(held);
    before.abs_diff(count(bytes))
}

fn count(bytes: &[bool]) -> u64 {
    bytes.iter().filter(|&&held| held).count() as u64
}

fn runs(bytes: &[bool], within: std::ops::Range<u64>, held: bool) -> Vec<Span> {
    let mut runs: Vec<Span> = Vec::new();
    for at in within.filter(|&at| bytes[at as usize] == held) {
        match runs.last_mut() {
            Some(run) if run.end() == at => *run = Span::new(run.start(), at + 1).unwrap(),
            _ => runs.push(Span::new(at, at + 1).unwrap()),
        }
    }
    runs
}

fn span() -> impl Strategy<Value = Span> {
    (0..FILE, 1..=FILE).prop_filter_map("empty", |(start, end)| Span::new(start, end))
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![span().prop_map(Step::Insert), span().prop_map(Step::Remove)]
}

#[test]
fn a_set_prints_its_spans_and_the_gaps_between() {
    let set: SpanSet =
        [Span::new(0, 10).unwrap(), Span::new(15, 20).unwrap()].into_iter().collect();
    assert_eq!(set.to_string(), "[0..10) (5) [15..20)");
    assert_eq!(SpanSet::new().to_string(), "");
}
