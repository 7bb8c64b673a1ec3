use super::*;
use proptest::prelude::*;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const RICH: Stage = Stage::Running { own: u64::MAX };
const END: Stage = Stage::Ending { own: 0 };
const POOR: Stage = Stage::Running { own: 0 };
const ONE: Provider = Provider::Worker(1);
const TWO: Provider = Provider::Worker(2);
const NOW: Duration = Duration::ZERO;

/// A job whose own link can afford no sample more than there must be.
fn poor() -> Samples {
    Samples { drawn: OWN_START, ..Samples::default() }
}

fn span(start: u64, end: u64) -> Span {
    Span::new(start, end).unwrap()
}

/// Everything that is due, compared at once.
fn pass_all(samples: &mut Samples, stage: Stage) -> Vec<Sample> {
    let mut passed = Vec::new();
    while let Some(sample) = samples.draw(stage, || 7 * passed.len() as u64) {
        samples.pass(NOW, sample);
        passed.push(sample);
    }
    passed
}

#[test]
fn samples_of_a_helper_are_due_soon_at_first_and_then_for_every_mib() {
    let mut samples = Samples::default();
    let mut due = Vec::new();
    for at in 0..(8 * MIB / FIRST) {
        samples.deliver(NOW, ONE, span(at * FIRST, (at + 1) * FIRST));
        due.extend(pass_all(&mut samples, RICH).iter().map(|_| (at + 1) * FIRST / KIB));
    }
    assert_eq!(due, [256, 512, 768, 1280, 2048, 3072, 4096, 5120, 6144, 7168, 8192]);
    assert!(samples.are_complete());
}

#[test]
fn samples_are_due_for_every_4_mib_however_little_the_own_link_brings() {
    let mut samples = poor();
    let mut due = Vec::new();
    for at in 0..(16 * MIB / FIRST) {
        samples.deliver(NOW, ONE, span(at * FIRST, (at + 1) * FIRST));
        due.extend(pass_all(&mut samples, POOR).iter().map(|_| (at + 1) * FIRST / KIB));
    }
    assert_eq!(due, [256, 4352, 8448, 12544]);
    assert!(!samples.are_complete());
    assert_eq!(pass_all(&mut samples, END).len(), 1);
    assert!(samples.are_complete());
}

#[test]
fn samples_cost_less_than_a_hundredth_of_what_helpers_deliver() {
    let mut samples = Samples::default();
    let mut cost = 0;
    for at in 0..1024 {
        samples.deliver(NOW, ONE, span(at * MIB, (at + 1) * MIB));
        cost += pass_all(&mut samples, RICH).iter().map(|sample| sample.span.len()).sum::<u64>();
    }
    cost += pass_all(&mut samples, END).iter().map(|sample| sample.span.len()).sum::<u64>();
    assert!(cost > 0 && cost <= (1 << 30) / 250, "{cost}");
}

#[test]
fn a_sample_that_is_open_or_was_missed_stands_for_nothing() {
    let mut samples = Samples::default();
    samples.deliver(NOW, ONE, span(0, FIRST));
    let sample = samples.draw(RICH, || 5).unwrap();
    assert_eq!((samples.unchecked(), samples.draw(RICH, || 5)), (FIRST, None));
    samples.miss(sample);
    assert!(!samples.are_complete());
    let again = samples.draw(RICH, || 9).unwrap();
    assert_ne!(again.id, sample.id);
    samples.pass(NOW, sample);
    assert!(!samples.are_complete(), "what was missed cannot pass");
    samples.pass(NOW, again);
    assert!(samples.are_complete());
    assert_eq!(samples.checks(), Checks { samples: 1, bytes: again.span.len(), of: FIRST });
}

#[test]
fn a_sample_of_one_helper_says_nothing_of_another() {
    let mut samples = Samples::default();
    samples.deliver(NOW, ONE, span(0, FIRST));
    samples.deliver(NOW, TWO, span(FIRST, FIRST + 1));
    pass_all(&mut samples, RICH);
    assert_eq!(samples.unchecked(), 1);
    assert_eq!(pass_all(&mut samples, END)[0].provider, TWO);
    assert!(samples.are_complete());
}

#[test]
fn who_brought_most_unchecked_bytes_is_sampled_first_and_strangers_of_many_keys_before_others() {
    let mut samples = Samples::default();
    samples.deliver(NOW, ONE, span(0, MIB));
    samples.deliver(NOW, TWO, span(MIB, 3 * MIB));
    assert_eq!(samples.draw(RICH, || 0).unwrap().provider, TWO);
    let mut samples = Samples::default();
    samples.enter(ONE, Risk::Trusted);
    samples.enter(TWO, Risk::Stranger { keys: 4 });
    samples.deliver(NOW, ONE, span(0, MIB));
    samples.deliver(NOW, TWO, span(MIB, 2 * MIB));
    assert_eq!(samples.draw(RICH, || 0).unwrap().provider, TWO);
}

#[test]
fn allowance_is_small_until_a_first_sample_passed_and_holds_nobody_up_for_long() {
    let second = Duration::from_secs;
    let mut samples = Samples::default();
    samples.enter(ONE, Risk::Stranger { keys: 1 });
    samples.enter(TWO, Risk::Stranger { keys: 4 });
    assert_eq!(samples.allowance(ONE, second(0)), UNCHECKED);
    assert_eq!(samples.allowance(TWO, second(0)), UNCHECKED / 4, "many keys of one address");
    samples.deliver(second(1), ONE, span(0, FIRST));
    assert_eq!(samples.allowance(ONE, second(2)), UNCHECKED);
    assert_eq!(samples.allowance(ONE, second(3)), u64::MAX, "the check is late");
    let sample = samples.draw(RICH, || 0).unwrap();
    samples.pass(second(3), sample);
    assert_eq!(samples.allowance(ONE, second(3)), u64::MAX);
    samples.enter(TWO, Risk::Trusted);
    assert_eq!(samples.allowance(TWO, second(0)), u64::MAX, "it is known");
}

#[test]
fn what_is_not_in_the_file_any_more_needs_no_sample() {
    let mut samples = Samples::default();
    samples.deliver(NOW, ONE, span(0, MIB));
    let sample = samples.draw(RICH, || 0).unwrap();
    samples.deliver(NOW, ONE, span(MIB, 2 * MIB));
    samples.retract(sample.span);
    assert!(!samples.awaits(sample), "its bytes are gone");
    assert_eq!(samples.unchecked(), 2 * MIB - sample.span.len());
    samples.retract(span(0, 2 * MIB));
    assert!(samples.are_complete());
    samples.deliver(NOW, TWO, span(0, MIB));
    let sample = samples.draw(RICH, || 0).unwrap();
    samples.pass(NOW, sample);
    samples.forget(TWO);
    assert!(samples.are_complete());
    assert_eq!(samples.checks().samples, 0, "samples of bytes that are gone count no more");
}

#[test]
fn the_end_is_sampled_in_small_parts_where_the_own_link_can_afford_it() {
    let mut samples = Samples::default();
    samples.deliver(NOW, ONE, span(0, MIB - 1));
    assert_eq!(pass_all(&mut samples, END).len(), 4);
    let mut samples = poor();
    samples.deliver(NOW, ONE, span(0, MIB - 1));
    assert_eq!(pass_all(&mut samples, END).len(), 1);
}

#[test]
fn sifting_samples_every_part_of_what_a_helper_brought() {
    let mut samples = Samples::default();
    samples.deliver(NOW, ONE, span(0, 64 * MIB));
    pass_all(&mut samples, END);
    samples.sift(ONE, &[span(0, 64 * MIB)].into_iter().collect());
    let mut places: Vec<u64> = Vec::new();
    places.extend(pass_all(&mut samples, END).iter().map(|it| it.span.start() / MIB));
    assert_eq!(places, (0..64).collect::<Vec<_>>());
}

proptest! {
    #[test]
    fn samples_lie_within_what_was_delivered(
        parts in prop::collection::vec((0..1_u64 << 30, 1..1_u64 << 20), 1..20),
        chance: u64,
    ) {
        let parts = parts.into_iter().filter_map(|(start, len)| Span::of_len(start, len));
        let spans: SpanSet = parts.collect();
        let mut samples = poor();
        for span in spans.iter() {
            samples.deliver(NOW, ONE, span);
        }
        let mut stood_for = 0;
        while let Some(sample) = samples.draw(END, || chance) {
            prop_assert!(spans.contains(sample.span) && sample.span.len() <= LONGEST);
            samples.pass(NOW, sample);
            stood_for += 1;
        }
        prop_assert_eq!(samples.checks().of, spans.bytes());
        prop_assert_eq!(stood_for, spans.bytes().div_ceil(MOST));
    }

    #[test]
    fn every_byte_is_as_likely_to_be_in_a_sample(at in 0..5000_u64) {
        let spans: SpanSet = [span(0, 3000), span(4000, 6000)].into_iter().collect();
        let byte = if at < 3000 { at } else { at + 1000 };
        let holds = |chance: u64| place_in(&spans, chance).unwrap().contains(byte);
        let hits = (0..5000).filter(|&chance| holds(chance)).count() as u64;
        prop_assert!(hits >= SHORTEST / 2, "{} of 5000", hits);
    }

    #[test]
    fn any_order_of_happenings_ends_complete_once_every_sample_has_passed(
        steps in prop::collection::vec((0..4_u8, 0..8_u32, 0..64_u64), 1..60),
    ) {
        let mut samples = Samples::default();
        let mut open = Vec::new();
        for (what, worker, at) in steps {
            let provider = Provider::Worker(worker);
            match what {
                0 => samples.deliver(NOW, provider, span(at * MIB, (at + 1) * MIB)),
                1 => open.extend(samples.draw(RICH, || at)),
                2 => samples.retract(span(at * MIB, (at + 3) * MIB)),
                _ => open.pop().into_iter().for_each(|sample| samples.miss(sample)),
            }
        }
        for sample in open {
            samples.pass(NOW, sample);
        }
        pass_all(&mut samples, END);
        prop_assert!(samples.are_complete());
    }
}
