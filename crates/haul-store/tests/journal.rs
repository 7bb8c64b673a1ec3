//! A journal has the bytes that docs/STORE.md describes, and no bytes make its reader fail or
//! believe what was not written.

#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a test may panic")]

mod common;

use common::crash_disk::CrashDisk;
use common::{job, payload};
use haul_span::Span;
use haul_store::{Journaled, Left, Store, Target, decode};
use proptest::prelude::*;
use std::time::Duration;

/// A frame as docs/STORE.md has it; `chain` is the checksum before it, and then its own.
fn frame(chain: &mut [u8; 32], kind: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame =
        [&kind.to_le_bytes()[..], &(payload.len() as u32).to_le_bytes(), payload].concat();
    *chain = *blake3::hash(&[&chain[..], &frame].concat()).as_bytes();
    frame.extend(*chain);
    frame
}

fn piece(at: u64, bytes: &[u8], deliverer: u32) -> Vec<u8> {
    let len = bytes.len() as u32;
    let hash = blake3::hash(bytes);
    [&at.to_le_bytes()[..], &len.to_le_bytes(), &deliverer.to_le_bytes(), hash.as_bytes()].concat()
}

/// Two pieces, of which the second is cut by forgetting its middle, of a file of ten bytes.
fn journal_by_the_store() -> Vec<u8> {
    let disk = CrashDisk::default();
    let target = Target::new("file.bin").unwrap().left(Left::Continue);
    let mut store = Store::open_on(disk.clone(), target, job(10)).unwrap();
    store.write(0, b"abc", 7).unwrap();
    store.write(5, b"fghij", 8).unwrap();
    store.sync(Duration::ZERO).unwrap();
    store.forget(Span::new(6, 8).unwrap()).unwrap();
    disk.contents("file.bin.haul").unwrap()
}

#[test]
fn a_journal_is_what_its_description_says() {
    let mut expected = b"haul.jrn\x01\0\0\0\0\0\0\0".to_vec();
    let mut chain = *blake3::hash(&expected).as_bytes();
    let facts = b"\x1c\0https://example.org/file.bin\x04\0\"v1\"\x01\x0a\0\0\0\0\0\0\0";
    expected.extend(frame(&mut chain, 1, facts));
    let pieces = [piece(0, b"abc", 7), piece(5, b"fghij", 8)].concat();
    expected.extend(frame(&mut chain, 2, &pieces));
    let ends = [6_u64.to_le_bytes(), 8_u64.to_le_bytes()].concat();
    let edges = [piece(0, b"abc", 7), piece(5, b"f", 8), piece(8, b"ij", 8)].concat();
    expected.extend(frame(&mut chain, 3, &[ends, edges].concat()));
    assert_eq!(journal_by_the_store(), expected);
}

#[test]
fn reading_a_journal_gives_what_was_written() {
    let journal = journal_by_the_store();
    let Journaled { job: facts, claimed, sound } = decode(&journal).unwrap();
    assert_eq!((facts, sound), (job(10), journal.len() as u64));
    assert_eq!(claimed.to_string(), "[0..3) (2) [5..6) (2) [8..10)");
}

#[test]
fn a_sound_frame_that_says_what_is_never_written_ends_the_journal() {
    let head = b"haul.jrn\x01\0\0\0\0\0\0\0";
    let mut chain = *blake3::hash(head).as_bytes();
    let facts = frame(&mut chain, 1, b"\0\0\xff\xff\0\0\0\0\0\0\0\0\0");
    let journal = [&head[..], &facts].concat();
    assert_eq!(decode(&journal).unwrap().job, haul_store::JobFacts::default());
    let mut crossing = piece(0, b"x", 1);
    crossing[..8].copy_from_slice(&((1_u64 << 20) - 1).to_le_bytes());
    crossing[8] = 2;
    let mut endless = piece(0, b"x", 1);
    endless[..8].fill(0xff);
    let empty = piece(0, b"", 1);
    let short = piece(0, b"x", 1)[1..].to_vec();
    let reversed = [9_u64.to_le_bytes(), 8_u64.to_le_bytes()].concat();
    let cases = [
        (2, crossing),
        (2, endless),
        (2, empty),
        (2, short),
        (3, reversed),
        (3, vec![0; 15]),
        (1, Vec::new()),
        (1, b"\x09\0x".to_vec()),
        (4, Vec::new()),
    ];
    for (kind, payload) in cases {
        let bad = frame(&mut chain.clone(), kind, &payload);
        let found = decode(&[&journal[..], &bad].concat()).unwrap();
        assert_eq!(found.sound, journal.len() as u64, "{kind} {payload:?}");
    }
}

#[test]
fn a_frame_that_says_it_is_huge_is_not_read() {
    let mut journal = journal_by_the_store();
    let sound = journal.len() as u64;
    journal.extend([2, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]);
    journal.extend(payload(1, 300_000));
    assert_eq!(decode(&journal).unwrap().sound, sound);
}

#[test]
fn more_pieces_than_one_frame_holds_are_all_told() {
    let disk = CrashDisk::default();
    let target = Target::new("file.bin").unwrap().left(Left::Continue);
    let mut store = Store::open_on(disk.clone(), target.clone(), job(10_000)).unwrap();
    for (at, byte) in payload(2, 10_000).into_iter().enumerate() {
        store.write(at as u64, &[byte], at as u32 % 2).unwrap();
    }
    store.forget(Span::new(5_000, 5_001).unwrap()).unwrap();
    let stored = store.stored().clone();
    drop(store);
    let store = Store::open_on(disk, target, job(10_000)).unwrap();
    assert_eq!(store.stored(), &stored);
    assert_eq!(store.deliverers(Span::new(0, 10_000).unwrap()).count(), 9_999);
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_fail(bytes in prop::collection::vec(any::<u8>(), 0..500)) {
        let _ = decode(&bytes);
        let _ = decode(&[b"haul.jrn\x01\0\0\0\0\0\0\0".to_vec(), bytes].concat());
    }

    #[test]
    fn whatever_is_changed_no_byte_is_claimed_that_was_not(
        at in 0..400_usize, with in any::<u8>(), len in 0..600_usize,
    ) {
        let mut journal = journal_by_the_store();
        let at = at % journal.len();
        journal[at] = with;
        journal.truncate(len);
        if let Some(found) = decode(&journal) {
            let written = [(0, 3), (5, 10)].map(|(start, end)| Span::new(start, end).unwrap());
            let claimed = found.claimed.iter().all(|span| written.iter().any(|held| held.covers(span)));
            prop_assert!(claimed);
            prop_assert_eq!(found.job, job(10));
        }
    }
}
