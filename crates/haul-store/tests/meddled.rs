//! Whoever tears, cuts, clears or swaps a part or a journal costs the bytes that are not known
//! again, and never a wrong one; and what cannot be known for haul's is left as it is.

#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a test may panic")]

mod common;

use common::{job, payload};
use haul_span::Span;
use haul_store::{Clobber, ErrorKind, JobFacts, Left, Resumed, Store, Target, decode};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::{TempDir, tempdir};

const LENGTH: usize = (5 << 19) + 7;

/// A folder in which half of a file was left.
struct Half {
    folder: TempDir,
    file: Vec<u8>,
    held: u64,
}

fn left(seed: u64) -> Half {
    let folder = tempdir().unwrap();
    let file = payload(seed, LENGTH);
    let mut store = Store::open(target(folder.path()), job(LENGTH)).unwrap();
    for (nth, at) in [0, 1 << 20, (1 << 20) + 300_000, 1_900_000].into_iter().enumerate() {
        store.write(at as u64, &file[at..at + 250_000], nth as u32).unwrap();
        store.sync(Duration::ZERO).unwrap();
    }
    store.keep().unwrap();
    Half { folder, file, held: 1_000_000 }
}

fn target(folder: &Path) -> Target {
    Target::new(folder.join("file.bin")).unwrap().left(Left::Continue)
}

impl Half {
    fn part(&self) -> PathBuf {
        self.folder.path().join("file.bin.part")
    }

    fn journal(&self) -> PathBuf {
        self.folder.path().join("file.bin.haul")
    }

    /// Neither going on nor starting anew touches what is there.
    fn is_left_alone(&self) {
        let both = || [self.part(), self.journal()].map(|path| fs::read(path).ok());
        let before = both();
        let clobbers = [Clobber::Refuse, Clobber::Overwrite];
        let ways =
            clobbers.map(|clobber| [Left::Continue, Left::Refuse].map(|left| (clobber, left)));
        for &(clobber, left) in ways.as_flattened() {
            let target = target(self.folder.path()).clobber(clobber).left(left);
            let error = Store::open(target, job(LENGTH)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Foreign, "{clobber:?} {left:?}: {error}");
            let remedy = error.remedy().unwrap();
            assert!(remedy.contains("-o") && !remedy.contains("-c"), "{remedy}");
            assert!(!remedy.contains("overwrite"), "{remedy}");
            assert!(both() == before, "{clobber:?} {left:?}");
        }
        let names = fs::read_dir(self.folder.path()).unwrap().count();
        assert_eq!(names, before.iter().flatten().count(), "something is left beside them");
    }

    /// Resumes, sees that all that is held is right, and finishes.
    fn resumes_exactly(&self) -> Option<Resumed> {
        let mut store = Store::open(target(self.folder.path()), job(LENGTH)).unwrap();
        let found = store.resumed().cloned();
        assert_eq!(store.stored().bytes(), found.as_ref().map_or(0, |found| found.confirmed));
        let journal = fs::read(self.journal()).unwrap();
        assert_eq!(decode(&journal).unwrap().sound, journal.len() as u64);
        let all = Span::new(0, LENGTH as u64).unwrap();
        for span in store.stored().clone().iter() {
            let mut held = vec![0; span.len() as usize];
            store.read_at(span.start(), &mut held).unwrap();
            assert!(held == self.file[span.start() as usize..span.end() as usize]);
        }
        for gap in store.stored().clone().gaps(all) {
            let bytes = &self.file[gap.start() as usize..gap.end() as usize];
            store.write(gap.start(), bytes, 9).unwrap();
        }
        assert!(fs::read(store.publish().unwrap()).unwrap() == self.file);
        found
    }
}

fn counts(found: Option<Resumed>) -> (u64, u64) {
    found.map_or((0, 0), |found| (found.confirmed, found.refused))
}

#[test]
fn untouched_files_are_held_whole() {
    let left = left(1);
    assert_eq!(counts(left.resumes_exactly()), (left.held, 0));
}

/// How long the part of a journal is that was on the disk before the first byte of its part.
fn beginning(journal: &[u8]) -> usize {
    let frame = |at: usize| {
        let len = journal[at + 4..at + 8].try_into().map(u32::from_le_bytes).unwrap();
        at + 8 + len as usize + 32
    };
    frame(frame(16))
}

#[test]
fn a_journal_torn_anywhere_gives_what_it_told_up_to_there() {
    let whole = fs::read(left(2).journal()).unwrap();
    let mut last = 0;
    for len in (0..whole.len()).step_by(13) {
        let left = left(2);
        let own = fs::read(left.journal()).unwrap();
        fs::write(left.journal(), &own[..len]).unwrap();
        if len < beginning(&own) {
            left.is_left_alone();
            continue;
        }
        let (confirmed, refused) = counts(left.resumes_exactly());
        assert!((last..left.held).contains(&confirmed) && refused == 0);
        last = confirmed;
    }
    assert_eq!(last, 750_000);
}

#[test]
fn a_journal_with_one_bit_turned_gives_what_it_told_before() {
    let whole = fs::read(left(3).journal()).unwrap();
    for at in (0..whole.len()).step_by(7) {
        let left = left(3);
        let mut turned = fs::read(left.journal()).unwrap();
        turned[at] ^= 1 << (at % 8);
        fs::write(left.journal(), turned).unwrap();
        if let 8..12 = at {
            let error = Store::open(target(left.folder.path()), job(LENGTH)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::PartLeft);
            continue;
        }
        if at < beginning(&whole) {
            left.is_left_alone();
            continue;
        }
        let (confirmed, refused) = counts(left.resumes_exactly());
        assert!(confirmed < left.held && refused == 0);
    }
}

#[test]
fn a_journal_of_zeros_or_of_another_program_is_left_alone_with_the_part() {
    for bytes in [vec![0; 4096], b"[aria2]".to_vec(), Vec::new()] {
        for without_part in [false, true] {
            let left = left(4);
            fs::write(left.journal(), &bytes).unwrap();
            if without_part {
                fs::remove_file(left.part()).unwrap();
            }
            left.is_left_alone();
        }
    }
}

#[test]
fn a_journal_of_a_later_version_is_left_alone() {
    let left = left(5);
    let mut later = fs::read(left.journal()).unwrap();
    later[8] = 2;
    fs::write(left.journal(), &later).unwrap();
    let error = Store::open(target(left.folder.path()), job(LENGTH)).unwrap_err();
    assert!(error.to_string().contains("version 2"), "{error}");
    assert_eq!(fs::read(left.journal()).unwrap(), later);
    assert!(left.part().exists());
}

#[test]
fn a_journal_without_a_part_gives_nothing_and_a_part_without_a_journal_is_left_alone() {
    let journal_only = left(6);
    fs::remove_file(journal_only.part()).unwrap();
    assert_eq!(journal_only.resumes_exactly(), None);
    let part_only = left(6);
    fs::remove_file(part_only.journal()).unwrap();
    part_only.is_left_alone();
}

#[test]
fn files_swapped_with_those_of_another_job_are_left_alone() {
    for swap in [Half::part, Half::journal] {
        let (left, other) = (left(7), left(8));
        fs::rename(swap(&other), swap(&left)).unwrap();
        left.is_left_alone();
    }
}

#[test]
fn a_part_that_was_cut_gives_the_pieces_before_the_cut() {
    for (len, confirmed) in
        [(0, 0), (250_000, 250_000), (1_300_000, 500_000), (LENGTH as u64 - 1, 1_000_000)]
    {
        let left = left(9);
        fs::File::options().write(true).open(left.part()).unwrap().set_len(len).unwrap();
        assert_eq!(counts(left.resumes_exactly()), (confirmed, left.held - confirmed));
    }
}

#[test]
fn a_part_that_grew_is_cut_to_the_files_length() {
    let left = left(10);
    fs::File::options().write(true).open(left.part()).unwrap().set_len(9_999_999).unwrap();
    assert_eq!(counts(left.resumes_exactly()), (left.held, 0));
}

#[test]
fn a_part_with_one_byte_changed_loses_the_piece_around_it() {
    for at in [0, 249_999, 1_400_000, 2_149_999] {
        let left = left(11);
        let mut part = fs::read(left.part()).unwrap();
        part[at] ^= 0x10;
        fs::write(left.part(), part).unwrap();
        let (confirmed, refused) = counts(left.resumes_exactly());
        assert_eq!(confirmed + refused, left.held);
        assert!((1..=250_000).contains(&refused));
    }
}

#[test]
fn a_part_of_zeros_gives_nothing() {
    let left = left(12);
    fs::write(left.part(), vec![0; LENGTH]).unwrap();
    assert_eq!(counts(left.resumes_exactly()), (0, left.held));
}

#[test]
fn a_length_that_the_former_run_did_not_know_must_hold_what_it_stored() {
    let folder = tempdir().unwrap();
    let unknown = JobFacts { length: None, ..job(0) };
    let mut store = Store::open(target(folder.path()), unknown).unwrap();
    store.write(0, b"0123456789", 0).unwrap();
    store.keep().unwrap();
    let error = Store::open(target(folder.path()), job(9)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Changed);
    let store = Store::open(target(folder.path()), job(10)).unwrap();
    assert!(store.is_complete());
    store.publish().unwrap();
}
