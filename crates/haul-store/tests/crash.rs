//! Whatever a power cut leaves, a job never takes a byte for stored that is not there, keeps every
//! byte that it called durable, and ends byte-exact.

#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a test may panic")]
#![allow(clippy::print_stdout, reason = "a figure, or why a test was skipped, is told")]

mod common;

use common::crash_disk::CrashDisk;
use common::{Random, job, payload};
use haul_span::{Span, SpanSet};
use haul_store::{Error, JobFacts, Left, Store, Target, sweep_on};
use std::time::Duration;

const POINTS: u64 = 1_500;
const LENGTH: usize = (5 << 19) + 4_321;
/// Each stretch of this many bytes has a deliverer of its own.
const STRETCH: u64 = 300_000;

#[test]
fn every_image_that_a_power_cut_can_leave_resumes_without_a_wrong_or_lost_byte() {
    let mut points = 0;
    let mut seed = 0;
    while points < POINTS {
        seed += 1;
        points += Job::new(seed).run_through_crashes();
    }
    println!("{points} power cuts in {seed} jobs");
}

/// What is known of a job from outside its store.
struct Job {
    random: Random,
    facts: JobFacts,
    /// The file as the origin has it.
    file: Vec<u8>,
    /// The bytes as they were last given, some of which are spoilt.
    given: Vec<u8>,
    spoilt: SpanSet,
    /// What the store has called durable.
    durable: SpanSet,
}

impl Job {
    fn new(seed: u64) -> Self {
        let file = payload(seed, LENGTH);
        let known = !seed.is_multiple_of(3);
        let facts = JobFacts { length: known.then_some(LENGTH as u64), ..job(LENGTH) };
        Self {
            random: Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
            facts,
            given: file.clone(),
            file,
            spoilt: SpanSet::new(),
            durable: SpanSet::new(),
        }
    }

    /// Runs the job to its end over as many power cuts as it takes; returns how many.
    fn run_through_crashes(mut self) -> u64 {
        let mut disk = CrashDisk::default();
        for crashes in 0.. {
            disk.cut_power_at(1 + self.random.below(40));
            let ended = self.run(&disk);
            disk = disk.after_crash(&mut self.random);
            if let Some(published) = disk.contents("file.bin") {
                assert!(published == self.file, "published a wrong byte");
                self.is_swept(&disk);
                return crashes;
            }
            assert!(ended.is_err(), "published, and the power cut took it back");
            assert!(crashes < 1_000, "what is left can never be gone on with: {ended:?}");
        }
        unreachable!("the loop has no end")
    }

    /// A journal that outlived its job is gone after a look, and after one that was cut as well.
    fn is_swept(&mut self, disk: &CrashDisk) {
        let target = Target::new("file.bin").unwrap();
        disk.cut_power_at(1 + self.random.below(4));
        // It may have come to its end.
        let _ = sweep_on(disk, &target);
        let disk = disk.after_crash(&mut self.random);
        sweep_on(&disk, &target).unwrap();
        assert!(disk.contents("file.bin.haul").is_none(), "a journal stays");
        assert!(disk.contents("file.bin").unwrap() == self.file, "the file was touched");
    }

    fn run(&mut self, disk: &CrashDisk) -> Result<(), Error> {
        let target = Target::new("file.bin")?.left(Left::Continue);
        let mut store = Store::open_on(disk.clone(), target, self.facts.clone())?;
        self.agrees(&store);
        while !self.is_done(&store) {
            self.step(&mut store)?;
        }
        store.set_length(LENGTH as u64)?;
        store.publish()?;
        Ok(())
    }

    fn agrees(&self, store: &Store<CrashDisk>) {
        assert_eq!(store.stored(), store.durable());
        assert_eq!(store.resumed().map_or(0, |found| found.refused), 0);
        for span in store.stored().iter() {
            let mut held = vec![0; span.len() as usize];
            assert_eq!(store.read_at(span.start(), &mut held).unwrap(), held.len());
            assert!(held == self.given[span.start() as usize..span.end() as usize], "{span}");
            for (part, who) in store.deliverers(span) {
                assert_eq!(part.start() / STRETCH, who.into());
                assert_eq!(part.last() / STRETCH, who.into());
            }
        }
        for span in self.durable.iter() {
            assert!(store.stored().contains(span), "{span} was durable and is gone");
        }
    }

    fn is_done(&self, store: &Store<CrashDisk>) -> bool {
        store.stored().bytes() == LENGTH as u64 && self.spoilt.is_empty()
    }

    fn step(&mut self, store: &mut Store<CrashDisk>) -> Result<(), Error> {
        let all = Span::new(0, LENGTH as u64).unwrap();
        let complete = store.stored().contains(all);
        if complete || self.random.once_in(25) {
            self.forget_one(store)?;
        }
        let from = Span::new(self.random.below(LENGTH as u64), all.end()).unwrap();
        let gap = store.stored().gaps(from).next().or_else(|| store.stored().gaps(all).next());
        if let Some(gap) = gap {
            self.give(store, gap)?;
        }
        if self.random.once_in(6) {
            store.sync(Duration::ZERO)?;
            self.durable = store.durable().clone();
        }
        Ok(())
    }

    fn give(&mut self, store: &mut Store<CrashDisk>, gap: Span) -> Result<(), Error> {
        let to_stretch = STRETCH - gap.start() % STRETCH;
        let span = gap.first(to_stretch.min(1 + self.random.below(150_000))).unwrap();
        let place = span.start() as usize..span.end() as usize;
        self.given[place.clone()].copy_from_slice(&self.file[place.clone()]);
        self.spoilt.remove(span);
        if self.random.once_in(12) {
            self.given[place.clone()].iter_mut().for_each(|byte| *byte ^= 1);
            self.spoilt.insert(span);
        }
        store.write(span.start(), &self.given[place], (span.start() / STRETCH) as u32)?;
        Ok(())
    }

    fn forget_one(&mut self, store: &mut Store<CrashDisk>) -> Result<(), Error> {
        let Some(span) = self.spoilt.first() else { return Ok(()) };
        self.durable.remove(span);
        store.forget(span)?;
        self.spoilt.remove(span);
        self.durable = store.durable().clone();
        Ok(())
    }
}
