//! A disk that fails at any operation costs at most the bytes that the error names: the same store
//! goes on once the cause is gone, and so does the next one.

#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a test may panic")]

mod common;

use common::crash_disk::{CrashDisk, EIO, Fault};
use common::{Random, job, payload};
use haul_span::{Span, SpanSet};
use haul_store::{Clobber, Error, ErrorKind, JobFacts, Left, Store, Target};
use std::time::Duration;

const LENGTH: usize = (3 << 19) + 99;
const CAUSES: [(i32, ErrorKind); 5] = [
    (28, ErrorKind::Full),       // ENOSPC
    (122, ErrorKind::Full),      // EDQUOT
    (EIO, ErrorKind::Io),        // EIO
    (30, ErrorKind::Permission), // EROFS
    (27, ErrorKind::TooLarge),   // EFBIG
];

fn target() -> Target {
    Target::new("file.bin").unwrap().left(Left::Continue)
}

fn open(disk: &CrashDisk) -> Result<Store<CrashDisk>, Error> {
    Store::open_on(disk.clone(), target(), job(LENGTH))
}

/// Gives all that is not stored, in an order of no order, and syncs now and then.
fn fill(store: &mut Store<CrashDisk>, file: &[u8]) -> Result<(), Error> {
    let mut random = Random(7);
    let all = Span::new(0, file.len() as u64).unwrap();
    while !store.is_complete() {
        let from = Span::new(random.below(all.end()), all.end()).unwrap();
        let gaps = store.stored();
        let gap = gaps.gaps(from).next().or_else(|| gaps.gaps(all).next()).unwrap();
        let span = gap.first(1 + random.below(200_000)).unwrap();
        let before = with(store.stored(), span);
        let bytes = &file[span.start() as usize..span.end() as usize];
        let written = store.write(span.start(), bytes, 0);
        tells_what_is_lost(store, before, written.map(drop))?;
        if random.once_in(4) {
            let before = store.stored().clone();
            let synced = store.sync(Duration::ZERO);
            tells_what_is_lost(store, before, synced)?;
        }
    }
    Ok(())
}

fn with(set: &SpanSet, span: Span) -> SpanSet {
    let mut set = set.clone();
    set.insert(span);
    set
}

fn tells_what_is_lost(
    store: &Store<CrashDisk>,
    mut given: SpanSet,
    done: Result<(), haul_store::WriteError>,
) -> Result<(), Error> {
    let Err(failed) = done else { return Ok(()) };
    for span in failed.lost.iter() {
        assert!(!store.stored().intersects(span));
        given.remove(span);
    }
    assert_eq!(store.stored(), &given);
    Err(failed.into())
}

/// Runs the job against a fault; `false` if it ended before it met one.
fn meets_its_end(disk: &CrashDisk, file: &[u8], kind: ErrorKind) -> bool {
    let ended = open(disk).and_then(|mut store| {
        fill(&mut store, file)?;
        store.publish()
    });
    match &ended {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), kind, "{error}"),
    }
    disk.repair()
}

#[test]
fn the_next_store_goes_on_after_any_operation_failed() {
    let file = payload(3, LENGTH);
    for (errno, kind) in CAUSES {
        for lasts in [true, false] {
            for at in 1.. {
                let disk = CrashDisk::default();
                disk.fail(Fault { at, errno, lasts });
                let failed = meets_its_end(&disk, &file, kind);
                if disk.contents("file.bin").is_none() {
                    let mut store = open(&disk).unwrap();
                    fill(&mut store, &file).unwrap();
                    store.publish().unwrap();
                }
                let disk = disk.after_crash(&mut Random(at));
                assert!(disk.contents("file.bin").unwrap_or_default() == file, "{errno} at {at}");
                if !failed {
                    assert!(at > 20, "the faults reached {at} operations only");
                    break;
                }
            }
        }
    }
}

#[test]
fn the_same_store_goes_on_after_any_operation_failed() {
    let file = payload(4, LENGTH);
    for (errno, kind) in CAUSES {
        for lasts in [true, false] {
            let mut at = 0;
            let mut failed = true;
            while failed {
                at += 1;
                let disk = CrashDisk::default();
                let mut store = open(&disk).unwrap();
                disk.fail(Fault { at, errno, lasts });
                failed = fill(&mut store, &file)
                    .map_err(|error| assert_eq!(error.kind(), kind))
                    .is_err();
                disk.repair();
                store.sync(Duration::ZERO).unwrap();
                let image = disk.after_crash(&mut Random(at));
                assert_eq!(open(&image).unwrap().stored(), store.stored(), "{errno} at {at}");
                fill(&mut store, &file).unwrap();
                store.publish().unwrap();
                let disk = disk.after_crash(&mut Random(at));
                assert!(disk.contents("file.bin").unwrap() == file, "{errno} at {at}");
            }
            assert!(at > 10, "the faults reached {at} operations only");
        }
    }
}

#[test]
fn bytes_that_can_not_be_read_back_are_not_held_and_not_thrown_away() {
    let file = payload(5, LENGTH);
    let disk = CrashDisk::default();
    let mut store = open(&disk).unwrap();
    fill(&mut store, &file).unwrap();
    store.keep().unwrap();
    disk.fail_reads_of("file.bin.haul");
    assert_eq!(open(&disk).unwrap_err().kind(), ErrorKind::Io);
    disk.fail_reads_of("file.bin.part");
    assert_eq!(open(&disk).unwrap().resumed().unwrap().refused, LENGTH as u64);
    disk.repair();
    let store = open(&disk).unwrap();
    assert!(store.is_complete());
    store.publish().unwrap();
}

#[test]
fn a_write_over_bytes_that_can_not_be_read_takes_nothing_in() {
    let disk = CrashDisk::default();
    let mut store = open(&disk).unwrap();
    store.write(10, b"0123456789", 0).unwrap();
    store.sync(Duration::ZERO).unwrap();
    disk.fail_reads_of("file.bin.part");
    let failed = store.write(15, b"56789abcde", 1).unwrap_err();
    assert_eq!(failed.lost, Span::new(20, 25).unwrap().into());
    assert_eq!(store.stored().bytes(), 10);
}

#[test]
fn without_allocation_a_disk_that_gets_full_ends_the_job_before_its_last_byte() {
    let disk = CrashDisk::default();
    disk.without_allocation(LENGTH as u64 - 1);
    let error = open(&disk).unwrap_err();
    assert!(matches!(error, Error::Full { needed, .. } if needed == LENGTH as u64));
    disk.without_allocation(LENGTH as u64);
    let mut store = open(&disk).unwrap();
    store.write(0, &payload(6, LENGTH)[..1000], 0).unwrap();
    disk.without_allocation(1_000);
    let failed = store.sync(Duration::ZERO).unwrap_err();
    assert!(failed.lost.is_empty());
    assert_eq!(failed.error.kind(), ErrorKind::Full);
    assert_eq!(store.durable().bytes(), 1_000);
    drop(store);
    disk.without_allocation(LENGTH as u64 - 1_000);
    assert_eq!(open(&disk).unwrap().resumed().unwrap().confirmed, 1_000);
}

#[test]
fn a_changed_file_is_not_spliced_and_an_unknown_one_is_not_published_unseen() {
    let disk = CrashDisk::default();
    let file = payload(8, 10);
    let mut store = Store::open_on(disk.clone(), target(), job(10)).unwrap();
    store.write(0, &file, 0).unwrap();
    store.keep().unwrap();
    let open = |facts: JobFacts| Store::open_on(disk.clone(), target(), facts);
    let other = JobFacts { validator: Some("\"v2\"".into()), ..job(10) };
    for facts in [job(11), job(9), other] {
        let error = open(facts).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Changed);
    }
    let mirror = JobFacts { url: "https://mirror.example.org/x".into(), ..job(10) };
    let store = open(mirror.clone()).unwrap();
    assert_eq!(store.resumed().unwrap().job, job(10));
    drop(store);
    assert_eq!(open(job(10)).unwrap().resumed().unwrap().job, mirror);
    let unnamed = JobFacts { validator: None, length: None, ..job(10) };
    let store = open(unnamed.clone()).unwrap();
    assert_eq!(store.resumed().unwrap().version, haul_store::Version::Unknown);
    assert_eq!(store.job().length, Some(10));
    assert!(matches!(store.publish(), Err(Error::Unconfirmed { .. })));
    let mut store = open(unnamed).unwrap();
    store.confirm().unwrap();
    store.publish().unwrap();
}

#[test]
fn forgetting_takes_out_the_suspect_bytes_and_no_other() {
    let disk = CrashDisk::default();
    let file = payload(9, LENGTH);
    let mut store = open(&disk).unwrap();
    for (nth, chunk) in file.chunks(70_000).enumerate() {
        store.write(nth as u64 * 70_000, chunk, nth as u32).unwrap();
    }
    let all = Span::new(0, LENGTH as u64).unwrap();
    for (start, end) in
        [(100_000, 100_001), (1_048_575, 1_048_577), (0, 5), (LENGTH as u64 - 1, u64::MAX)]
    {
        let suspect = Span::new(start, end).unwrap();
        let mut rest = store.stored().clone();
        rest.remove(suspect);
        store.forget(suspect).unwrap();
        assert_eq!((store.stored(), store.durable()), (&rest, &rest));
        let delivered: Vec<_> = store.deliverers(all).collect();
        drop(store);
        store = open(&disk).unwrap();
        assert_eq!((store.stored(), store.durable()), (&rest, &rest));
        assert_eq!(store.deliverers(all).collect::<Vec<_>>(), delivered);
    }
    fill(&mut store, &file).unwrap();
    store.publish().unwrap();
    assert!(disk.contents("file.bin").unwrap() == file);
}

#[test]
fn every_write_carries_256_kib_but_for_the_ends_of_runs() {
    for piece in [1_000, 16 << 10, 40_000, 64 << 10] {
        let disk = CrashDisk::default();
        let (lanes, share) = (8, 2 << 20);
        let file = payload(11, lanes * share);
        let mut store = Store::open_on(disk.clone(), target(), job(file.len())).unwrap();
        for step in (0..share).step_by(piece) {
            for lane in 0..lanes {
                let at = lane * share + step;
                let end = (at + piece).min((lane + 1) * share);
                store.write(at as u64, &file[at..end], lane as u32).unwrap();
            }
        }
        // A run ends with each of the sixteen MiB.
        let writes = disk.writes_to("file.bin.part");
        let short = writes.iter().filter(|&&len| len < 256 << 10).count();
        assert!(short <= 16, "{short} of {} writes of {piece} bytes are short", writes.len());
        assert!(writes.len() <= 64 + 16, "{} writes", writes.len());
        store.publish().unwrap();
        assert!(disk.contents("file.bin").unwrap() == file);
    }
}

#[test]
fn many_lanes_at_once_are_written_in_large_pieces_and_exactly() {
    let disk = CrashDisk::default();
    let lanes = 200;
    let file = payload(10, lanes * 40_000);
    let target = target().clobber(Clobber::Overwrite);
    let mut store = Store::open_on(disk.clone(), target, job(file.len())).unwrap();
    for step in (0..40_000).step_by(1_000) {
        for lane in 0..lanes {
            let at = lane * 40_000 + step;
            store.write(at as u64, &file[at..at + 1_000], lane as u32).unwrap();
            let mut held = [0; 1_000];
            store.read_at(at as u64, &mut held).unwrap();
            assert!(held == file[at..at + 1_000]);
        }
    }
    store.publish().unwrap();
    assert!(disk.contents("file.bin").unwrap() == file);
}
