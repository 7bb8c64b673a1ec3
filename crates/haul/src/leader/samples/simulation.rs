//! A thousand jobs against helpers that lie in different ways, beside the chances that
//! `docs/SECURITY.md` states.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "counts of a simulation are small"
)]

use super::*;
use std::collections::BTreeSet;
use std::io::Write;

const JOBS: u64 = 1000;
const PIECE: u64 = 64 << 10;
const PIECES: u64 = 384;

/// How many samples are on their way at a time, and for how many turns each.
const LANES: usize = 2;
const LATENCY: u64 = 2;

/// What a helper does to the piece that it delivers.
type Lie = fn(Delivery) -> Option<Wrong>;

/// The piece that a helper is about to deliver.
#[derive(Clone, Copy)]
struct Delivery {
    /// How many pieces it has delivered before, and how many of the file are there.
    nth: u64,
    stored: u64,
    chance: u64,
}

/// Which part of a piece is wrong.
#[derive(Clone, Copy)]
enum Wrong {
    All,
    OneBlock,
}

/// Some helpers of a job, all at an address of their own unless they share one.
struct Party {
    helpers: u32,
    /// How many pieces each delivers before it leaves.
    stays: u64,
    shares_address: bool,
    lie: Lie,
}

impl Party {
    const fn of(helpers: u32, lie: Lie) -> Self {
        Self { helpers, stays: u64::MAX, shares_address: false, lie }
    }
}

fn honest(_: Delivery) -> Option<Wrong> {
    None
}

fn always(delivery: Delivery) -> Option<Wrong> {
    honest(delivery).or(Some(Wrong::All))
}

fn half(delivery: Delivery) -> Option<Wrong> {
    delivery.chance.is_multiple_of(2).then_some(Wrong::All)
}

fn twentieth(delivery: Delivery) -> Option<Wrong> {
    delivery.chance.is_multiple_of(20).then_some(Wrong::All)
}

fn late(delivery: Delivery) -> Option<Wrong> {
    (delivery.nth >= PIECES / 8).then_some(Wrong::All)
}

fn at_the_end(delivery: Delivery) -> Option<Wrong> {
    (delivery.stored * 100 >= PIECES * 97).then_some(Wrong::All)
}

fn one_block(delivery: Delivery) -> Option<Wrong> {
    (delivery.nth == 20).then_some(Wrong::OneBlock)
}

#[test]
fn liars_are_caught_as_often_as_the_formula_says() {
    let rows: [(&str, Vec<Party>, f64); 8] = [
        ("always", vec![Party::of(3, honest), Party::of(1, always)], 0.0),
        ("half of it", vec![Party::of(3, honest), Party::of(1, half)], 0.02),
        ("a twentieth", vec![Party::of(3, honest), Party::of(1, twentieth)], 0.75),
        ("late", vec![Party::of(3, honest), Party::of(1, late)], 0.0),
        ("at the end", vec![Party::of(3, honest), Party::of(1, at_the_end)], 0.75),
        ("one block", vec![Party::of(3, honest), Party::of(1, one_block)], 1.0),
        (
            "one address",
            vec![Party::of(3, honest), Party { shares_address: true, ..Party::of(4, half) }],
            0.005,
        ),
        ("decoys", vec![Party { stays: 4, ..Party::of(60, honest) }, Party::of(3, always)], 0.0),
    ];
    for (name, parties, most) in rows {
        let mut tally = Tally::default();
        for seed in 0..JOBS {
            tally.add(&Job::new(seed, &parties).run());
        }
        let line = format!("{name:<12} {tally}\n");
        std::io::stderr().write_all(line.as_bytes()).unwrap();
        let spoiled = tally.spoiled as f64 / JOBS as f64;
        assert!(spoiled <= most, "{line}");
        // The number caught differs from the sum of the chances by chance alone: five deviations.
        let differs = (tally.caught as f64 - tally.expected).abs();
        assert!(differs <= 5.0 * tally.variance.sqrt() + 1.0, "{line}");
    }
}

/// What became of many jobs.
#[derive(Default)]
struct Tally {
    spoiled: u64,
    wrong: u64,
    samples: u64,
    caught: u64,
    expected: f64,
    variance: f64,
}

impl Tally {
    fn add(&mut self, ended: &Self) {
        self.spoiled += u64::from(ended.wrong > 0);
        self.wrong += ended.wrong;
        self.samples += ended.samples;
        self.caught += ended.caught;
        self.expected += ended.expected;
        self.variance += ended.variance;
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { spoiled, wrong, samples, caught, expected, .. } = self;
        let wrong = 100.0 * *wrong as f64 / (JOBS * PIECES) as f64;
        write!(
            f,
            "{spoiled:>4} of {JOBS} files wrong, {wrong:.3} % of all pieces; {samples} samples, \
             {caught} caught, {expected:.1} by the formula"
        )
    }
}

struct Helper {
    provider: Provider,
    party: usize,
    delivered: u64,
    gone: bool,
}

/// One job: every turn each helper delivers a piece, as far as it may, and samples come back.
struct Job<'a> {
    parties: &'a [Party],
    helpers: Vec<Helper>,
    missing: Vec<u64>,
    wrong: BTreeMap<u64, Wrong>,
    delivered: BTreeMap<u64, Provider>,
    samples: Samples,
    on_their_way: VecDeque<(u64, Sample)>,
    random: u64,
    tally: Tally,
}

impl<'a> Job<'a> {
    fn new(seed: u64, parties: &'a [Party]) -> Self {
        let mut helpers = Vec::new();
        for (party, of) in parties.iter().enumerate() {
            for _ in 0..of.helpers {
                let provider = Provider::Worker(helpers.len() as u32);
                helpers.push(Helper { provider, party, delivered: 0, gone: false });
            }
        }
        Self {
            parties,
            helpers,
            missing: (0..PIECES).rev().collect(),
            wrong: BTreeMap::new(),
            delivered: BTreeMap::new(),
            samples: Samples::default(),
            on_their_way: VecDeque::new(),
            random: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
            tally: Tally::default(),
        }
    }

    fn run(mut self) -> Tally {
        for turn in 0.. {
            if !self.missing.is_empty() {
                // The own link brings its part.
                self.missing.pop();
                (0..self.helpers.len()).for_each(|at| self.deliver(at));
            }
            self.take_samples(turn);
            if self.missing.is_empty() && self.samples.are_complete() {
                break;
            }
        }
        self.tally.wrong = self.wrong.len() as u64;
        self.tally
    }

    /// Splitmix64.
    fn chance(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.random ^ (self.random >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn deliver(&mut self, at: usize) {
        let chance = self.chance();
        let stored = PIECES - self.missing.len() as u64;
        let Helper { provider, party, delivered: nth, gone } = self.helpers[at];
        let may = (nth + 1) * PIECE <= self.samples.allowance(provider, NOW);
        if gone || !may || nth >= self.parties[party].stays {
            return;
        }
        let Some(piece) = self.missing.pop() else { return };
        if let Some(wrong) = (self.parties[party].lie)(Delivery { nth, stored, chance }) {
            self.wrong.insert(piece, wrong);
        }
        self.helpers[at].delivered += 1;
        self.delivered.insert(piece, provider);
        self.samples.deliver(NOW, provider, Span::of_len(piece * PIECE, PIECE).unwrap());
    }

    fn take_samples(&mut self, turn: u64) {
        let running = Stage::Running { own: u64::MAX };
        let stage = if self.missing.is_empty() { Stage::Ending { own: u64::MAX } } else { running };
        while self.on_their_way.len() < LANES {
            let chance = self.chance();
            let Some(sample) = self.samples.draw(stage, || chance) else { break };
            self.on_their_way.push_back((turn + LATENCY, sample));
        }
        while let Some(&(_, sample)) = self.on_their_way.front().filter(|(back, _)| *back <= turn) {
            self.on_their_way.pop_front();
            if self.samples.awaits(sample) {
                self.compare(sample);
            }
        }
    }

    fn compare(&mut self, sample: Sample) {
        self.tally.samples += 1;
        let meets = self.chance_to_meet(sample);
        self.tally.expected += meets;
        self.tally.variance += meets * (1.0 - meets);
        if self.is_wrong(sample.span) {
            self.tally.caught += 1;
            self.expel(sample.provider);
        } else {
            self.samples.pass(NOW, sample);
        }
    }

    /// The formula: the part of the batch's bytes around which a sample meets a wrong one.
    fn chance_to_meet(&self, sample: Sample) -> f64 {
        let (_, batch) = &self.samples.ledgers[&sample.provider].open[&sample.id];
        if self.wrong.is_empty() {
            return 0.0;
        }
        let places = 256;
        let at = |place: u64| place * batch.bytes() / places;
        let meets = (0..places).filter(|&n| self.is_wrong(place_in(batch, at(n)).unwrap()));
        meets.count() as f64 / places as f64
    }

    fn is_wrong(&self, span: Span) -> bool {
        let mut wrong = self.wrong.range(span.start() / PIECE..=span.last() / PIECE);
        wrong.any(|(&piece, wrong)| {
            let length = match wrong {
                Wrong::All => PIECE,
                Wrong::OneBlock => 16 << 10,
            };
            Span::of_len(piece * PIECE, length).unwrap().intersection(span).is_some()
        })
    }

    fn expel(&mut self, liar: Provider) {
        let of = |provider| self.helpers.iter().find(|helper| helper.provider == provider).unwrap();
        let party = of(liar).party;
        let shares = self.parties[party].shares_address;
        let beside =
            |helper: &&mut Helper| helper.provider == liar || (shares && helper.party == party);
        let mut expelled = BTreeSet::new();
        for helper in self.helpers.iter_mut().filter(beside) {
            helper.gone = true;
            expelled.insert(helper.provider);
        }
        for &provider in &expelled {
            self.samples.forget(provider);
        }
        let Self { delivered, wrong, missing, .. } = self;
        delivered.retain(|piece, by| {
            let stays = !expelled.contains(by);
            if !stays {
                wrong.remove(piece);
                missing.push(*piece);
            }
            stays
        });
    }
}

const NOW: Duration = Duration::ZERO;
