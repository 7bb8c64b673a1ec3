//! A job on a real disk: from opening over any order of writes to the final name, and what is in
//! the way.

#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a test may panic")]

mod common;

use common::{job, payload};
use haul_store::{Clobber, Error, ErrorKind, JobFacts, Left, Store, Target, leftovers, sweep};
use std::fs;
use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;
use tempfile::tempdir;

const MIB: usize = 1 << 20;

fn target(folder: &Path) -> Target {
    Target::new(folder.join("file.bin")).unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn bytes_in_any_order_become_the_file() {
    let folder = tempdir().unwrap();
    let bytes = payload(1, 3 * MIB + 17);
    let mut store = Store::open(target(folder.path()), job(bytes.len())).unwrap();
    for (nth, chunk) in bytes.chunks(100_000).enumerate().collect::<Vec<_>>().into_iter().rev() {
        let written = store.write((nth * 100_000) as u64, chunk, nth as u32).unwrap();
        assert_eq!((written.new, written.differs), (chunk.len() as u64, None));
    }
    assert_eq!(names(folder.path()), ["file.bin.haul", "file.bin.part"]);
    let path = store.publish().unwrap();
    assert!(fs::read(&path).unwrap() == bytes);
    assert_eq!(names(folder.path()), ["file.bin"]);
    assert_eq!(fs::metadata(path).unwrap().mode() & 0o111, 0);
}

#[test]
fn however_many_deliver_at_a_time_no_more_than_24_mib_wait_to_be_written() {
    const EACH: usize = 192 << 10;
    let folder = tempdir().unwrap();
    let bytes = payload(3, 256 * EACH);
    let mut store = Store::open(target(folder.path()), job(bytes.len())).unwrap();
    for block in 0..3 {
        for lane in 0..256 {
            let at = lane * EACH + block * (64 << 10);
            store.write(at as u64, &bytes[at..at + (64 << 10)], lane as u32).unwrap();
        }
    }
    let part = fs::read(folder.path().join("file.bin.part")).unwrap();
    let waits = part.chunks(4096).zip(bytes.chunks(4096)).filter(|(part, sent)| part != sent);
    assert!(waits.count() * 4096 <= 24 * MIB);
    assert!(fs::read(store.publish().unwrap()).unwrap() == bytes);
}

#[test]
fn a_store_can_be_given_to_a_thread_of_its_own() {
    fn goes_to_a_thread<T: Send + 'static>() {}
    goes_to_a_thread::<Store>();
}

#[test]
fn files_of_no_byte_and_of_one_byte_are_files() {
    let folder = tempdir().unwrap();
    let store = Store::open(target(folder.path()), job(0)).unwrap();
    assert!(store.is_complete());
    assert_eq!(fs::read(store.publish().unwrap()).unwrap(), b"");
    let one = Target::new(folder.path().join("one")).unwrap();
    let mut store = Store::open(one, job(1)).unwrap();
    assert!(!store.is_complete());
    store.write(0, b"x", 0).unwrap();
    assert_eq!(fs::read(store.publish().unwrap()).unwrap(), b"x");
}

#[test]
fn a_file_of_unknown_length_grows_and_learns_its_length_at_the_end() {
    let folder = tempdir().unwrap();
    let bytes = payload(2, 2 * MIB + 5);
    let unknown = JobFacts { length: None, ..job(0) };
    let mut store = Store::open(target(folder.path()), unknown).unwrap();
    for (nth, chunk) in bytes.chunks(64 << 10).enumerate() {
        store.write((nth * (64 << 10)) as u64, chunk, 0).unwrap();
    }
    store.sync(Duration::ZERO).unwrap();
    assert!(!store.is_complete());
    assert!(matches!(store.set_length(MIB as u64), Err(Error::Changed { .. })));
    store.set_length(bytes.len() as u64).unwrap();
    assert!(matches!(store.set_length(9), Err(Error::Changed { .. })));
    assert!(fs::read(store.publish().unwrap()).unwrap() == bytes);
}

#[test]
fn offsets_beyond_four_gib_work_and_take_no_space_before_they_are_written() {
    let folder = tempdir().unwrap();
    let length = 5_u64 << 30;
    let unknown = JobFacts { length: None, ..job(0) };
    let mut store = Store::open(target(folder.path()), unknown).unwrap();
    for at in [0, (1 << 31) - 1, (1 << 32) - 1, length - 1] {
        store.write(at, b"x", 0).unwrap();
    }
    store.set_length(length).unwrap();
    store.sync(Duration::ZERO).unwrap();
    assert_eq!(fs::metadata(store.part_path()).unwrap().len(), length);
    let mut two = [9; 2];
    assert_eq!(store.read_at((1 << 32) - 1, &mut two).unwrap(), 1);
    assert_eq!(two, [b'x', 9]);
    assert!(matches!(store.publish(), Err(Error::Incomplete { .. })));
}

#[test]
fn nothing_is_written_beyond_the_end_of_the_file() {
    let folder = tempdir().unwrap();
    let mut store = Store::open(target(folder.path()), job(10)).unwrap();
    for (at, bytes) in [(8, &b"xyz"[..]), (u64::MAX, b"x"), (10, b"x")] {
        let failed = store.write(at, bytes, 0).unwrap_err();
        assert_eq!(failed.error.kind(), ErrorKind::Beyond);
    }
    assert!(store.stored().is_empty());
    assert_eq!(store.write(10, b"", 0).unwrap().new, 0);
}

#[test]
fn an_incomplete_file_is_never_published() {
    let folder = tempdir().unwrap();
    let mut store = Store::open(target(folder.path()), job(10)).unwrap();
    store.write(0, b"123456789", 0).unwrap();
    assert!(matches!(store.publish(), Err(Error::Incomplete { missing: Some(1), .. })));
    let unknown = JobFacts { length: None, ..job(0) };
    let other = Target::new(folder.path().join("other")).unwrap();
    let store = Store::open(other, unknown).unwrap();
    assert!(matches!(store.publish(), Err(Error::Incomplete { missing: None, .. })));
    assert!(!names(folder.path()).contains(&"file.bin".to_owned()));
}

#[test]
fn bytes_that_come_twice_are_counted_once_and_compared() {
    let folder = tempdir().unwrap();
    let mut store = Store::open(target(folder.path()), job(30)).unwrap();
    store.write(10, b"0123456789", 1).unwrap();
    let same = store.write(5, b"abcde01234", 2).unwrap();
    assert_eq!((same.new, same.differs), (5, None));
    let other = store.write(10, b"0x2345678x", 3).unwrap();
    assert_eq!(other.new, 0);
    assert_eq!(other.differs.unwrap().to_string(), "[11..20)");
    let mut held = [0; 20];
    assert_eq!(store.read_at(5, &mut held).unwrap(), 15);
    assert_eq!(&held[..15], b"abcde0123456789");
    let all = haul_span::Span::new(0, 30).unwrap();
    let told: Vec<_> = store.deliverers(all).map(|(span, who)| (span.to_string(), who)).collect();
    assert_eq!(told, [("[5..10)".to_owned(), 2), ("[10..20)".to_owned(), 1)]);
}

#[test]
fn whoever_looks_for_what_was_left_keeps_nobody_from_going_on_with_it() {
    let folder = tempdir().unwrap();
    let mut store = Store::open(target(folder.path()), job(MIB)).unwrap();
    store.write(0, &[7; 1000], 0).unwrap();
    store.keep().unwrap();
    let over = AtomicBool::new(false);
    let looks = || {
        while !over.load(Ordering::Relaxed) {
            assert_eq!(leftovers(folder.path()).unwrap().len(), 1);
        }
    };
    thread::scope(|scope| {
        scope.spawn(looks);
        scope.spawn(looks);
        for _ in 0..200 {
            let again = Store::open(target(folder.path()).left(Left::Continue), job(MIB));
            over.store(again.is_err(), Ordering::Relaxed);
            again.unwrap();
        }
        over.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_journal_that_outlived_its_job_is_swept_and_no_other() {
    let folder = tempdir().unwrap();
    let journal = folder.path().join("file.bin.haul");
    let mut store = Store::open(target(folder.path()), job(1000)).unwrap();
    store.write(0, &[7; 1000], 0).unwrap();
    store.sync(Duration::ZERO).unwrap();
    let path = folder.path().join("file.bin");
    assert!(!sweep(&path).unwrap(), "its job is at work");
    let left = fs::read(&journal).unwrap();
    store.publish().unwrap();
    assert!(!sweep(&path).unwrap(), "there is none");
    fs::write(&journal, &left).unwrap();
    fs::write(folder.path().join("file.bin.part"), b"another's").unwrap();
    assert!(!sweep(&path).unwrap(), "there is a part");
    fs::remove_file(folder.path().join("file.bin.part")).unwrap();
    assert!(sweep(&path).unwrap());
    assert_eq!(
        (names(folder.path()), fs::read(&path).unwrap()),
        (vec!["file.bin".into()], vec![7; 1000])
    );
    fs::write(&journal, &left).unwrap();
    fs::write(&path, b"something else").unwrap();
    assert!(!sweep(&path).unwrap(), "the file is not the journal's");
}

#[test]
fn a_second_store_for_the_target_is_locked_out_until_the_first_is_gone() {
    let folder = tempdir().unwrap();
    let mut first = Store::open(target(folder.path()), job(1)).unwrap();
    for left in [Left::Refuse, Left::Continue] {
        for clobber in [Clobber::Refuse, Clobber::Overwrite] {
            let second = target(folder.path()).left(left).clobber(clobber);
            let error = Store::open(second, job(1)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Locked, "{left:?} {clobber:?}");
        }
    }
    assert!(leftovers(folder.path()).unwrap()[0].in_use);
    first.write(0, b"x", 0).unwrap();
    first.keep().unwrap();
    Store::open(target(folder.path()).left(Left::Continue), job(1)).unwrap();
}

#[test]
fn a_target_that_exists_is_left_alone_unless_the_target_says_otherwise() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("file.bin");
    fs::write(&path, "mine").unwrap();
    let error = Store::open(target(folder.path()), job(0)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Exists);
    let renamed = Store::open(target(folder.path()).clobber(Clobber::AutoRename), job(0)).unwrap();
    assert_eq!(renamed.publish().unwrap(), folder.path().join("file (1).bin"));
    assert_eq!(fs::read(&path).unwrap(), b"mine");
    let over = Store::open(target(folder.path()).clobber(Clobber::Overwrite), job(0)).unwrap();
    assert_eq!(over.publish().unwrap(), path);
    assert_eq!(fs::read(&path).unwrap(), b"");
    assert_eq!(names(folder.path()), ["file (1).bin", "file.bin"]);
}

#[test]
fn a_target_that_appears_meanwhile_is_not_replaced() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("file.bin");
    let mut store = Store::open(target(folder.path()), job(1)).unwrap();
    store.write(0, b"x", 0).unwrap();
    fs::write(&path, "mine").unwrap();
    assert!(matches!(store.publish(), Err(Error::Exists { .. })));
    assert_eq!(fs::read(&path).unwrap(), b"mine");
    assert_eq!(names(folder.path()), ["file.bin", "file.bin.haul", "file.bin.part"]);
    fs::remove_file(&path).unwrap();
    let go_on = target(folder.path()).left(Left::Continue);
    let mut store = Store::open(go_on.clone().clobber(Clobber::AutoRename), job(1)).unwrap();
    store.confirm().unwrap();
    fs::write(&path, "mine").unwrap();
    assert_eq!(store.publish().unwrap(), folder.path().join("file (1).bin"));
    assert_eq!(fs::read(&path).unwrap(), b"mine");
}

#[test]
fn a_folder_with_the_final_name_is_found_before_the_download() {
    let folder = tempdir().unwrap();
    fs::create_dir(folder.path().join("file.bin")).unwrap();
    for clobber in [Clobber::Refuse, Clobber::Overwrite] {
        let error = Store::open(target(folder.path()).clobber(clobber), job(0)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Exists);
    }
}

#[test]
fn no_link_leads_out_of_the_folder() {
    let folder = tempdir().unwrap();
    let victim = folder.path().join("victim");
    fs::write(&victim, "mine").unwrap();
    let all = [Clobber::Refuse, Clobber::Overwrite];
    let part = folder.path().join("file.bin.part");
    for make in [symlink::<&Path, &Path>, |from: &Path, to: &Path| fs::hard_link(from, to)] {
        make(&victim, &part).unwrap();
        for clobber in all {
            let there = target(folder.path()).left(Left::Continue).clobber(clobber);
            assert_eq!(Store::open(there, job(0)).unwrap_err().kind(), ErrorKind::Exists);
        }
        fs::remove_file(&part).unwrap();
    }
    let path = folder.path().join("file.bin");
    symlink(&victim, &path).unwrap();
    assert_eq!(Store::open(target(folder.path()), job(0)).unwrap_err().kind(), ErrorKind::Exists);
    let over = target(folder.path()).clobber(Clobber::Overwrite);
    let journal = folder.path().join("file.bin.haul");
    symlink(&victim, &journal).unwrap();
    assert_eq!(Store::open(over.clone(), job(0)).unwrap_err().kind(), ErrorKind::Exists);
    assert!(journal.is_symlink() && !part.exists());
    fs::remove_file(&journal).unwrap();
    Store::open(over, job(0)).unwrap().publish().unwrap();
    assert!(fs::symlink_metadata(&path).unwrap().is_file());
    assert_eq!(fs::read(&victim).unwrap(), b"mine");
}

#[test]
fn a_left_part_is_refused_continued_or_begun_anew() {
    let folder = tempdir().unwrap();
    let mut store = Store::open(target(folder.path()), job(4)).unwrap();
    store.write(0, b"ab", 0).unwrap();
    store.keep().unwrap();
    let error = Store::open(target(folder.path()), job(4)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PartLeft);
    assert!(error.remedy().unwrap().contains("-c"));
    let store = Store::open(target(folder.path()).left(Left::Continue), job(4)).unwrap();
    assert_eq!(store.resumed().unwrap().confirmed, 2);
    drop(store);
    let store = Store::open(target(folder.path()).clobber(Clobber::Overwrite), job(4)).unwrap();
    assert!(store.resumed().is_none() && store.stored().is_empty());
}

#[test]
fn a_job_that_stored_nothing_leaves_nothing() {
    let folder = tempdir().unwrap();
    drop(Store::open(target(folder.path()), job(1 << 20)).unwrap());
    Store::open(target(folder.path()), job(1 << 20)).unwrap().keep().unwrap();
    assert!(names(folder.path()).is_empty());
}

#[test]
fn a_file_that_does_not_fit_is_refused_before_it_is_begun() {
    let folder = tempdir().unwrap();
    let error = Store::open(target(folder.path()), job(1 << 60)).unwrap_err();
    assert!(matches!(error, Error::Full { needed, .. } if needed == 1 << 60), "{error}");
    assert!(names(folder.path()).is_empty());
}

#[test]
fn a_part_that_somebody_replaced_cut_or_linked_is_not_published() {
    let meddle: [fn(&Path); 5] = [
        |part| fs::remove_file(part).unwrap(),
        |part| {
            fs::remove_file(part).unwrap();
            fs::write(part, "xyz").unwrap();
        },
        |part| fs::write(part, "x").unwrap(),
        |part| fs::hard_link(part, part.with_file_name("second")).unwrap(),
        |part| fs::set_permissions(part, Permissions::from_mode(0o622)).unwrap(),
    ];
    for meddle in meddle {
        let folder = tempdir().unwrap();
        let mut store = Store::open(target(folder.path()), job(3)).unwrap();
        store.write(0, b"abc", 0).unwrap();
        store.sync(Duration::ZERO).unwrap();
        meddle(&store.part_path());
        assert_eq!(store.publish().unwrap_err().kind(), ErrorKind::Meddled);
        assert!(!folder.path().join("file.bin").exists());
    }
}

#[test]
fn a_missing_folder_says_so() {
    let folder = tempdir().unwrap();
    let nowhere = Target::new(folder.path().join("no/such/file")).unwrap();
    let error = Store::open(nowhere, job(0)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::MissingFolder);
    fs::write(folder.path().join("plain"), "").unwrap();
    let below = Target::new(folder.path().join("plain/file")).unwrap();
    assert_eq!(Store::open(below, job(0)).unwrap_err().kind(), ErrorKind::MissingFolder);
}

#[test]
fn leftovers_are_listed_and_can_be_discarded() {
    let folder = tempdir().unwrap();
    for (name, held) in [("b", 3), ("a", 2)] {
        let target = Target::new(folder.path().join(name)).unwrap();
        let mut store = Store::open(target, job(10)).unwrap();
        store.write(0, &[7; 5][..held], 0).unwrap();
        store.keep().unwrap();
    }
    fs::write(folder.path().join("c.haul"), "no journal").unwrap();
    fs::write(folder.path().join("c.part"), "").unwrap();
    fs::write(folder.path().join("d.part"), "another program's").unwrap();
    let found = leftovers(folder.path()).unwrap();
    let told: Vec<_> =
        found.iter().map(|left| (left.path.clone(), left.claimed, left.in_use)).collect();
    assert_eq!(told, [(folder.path().join("a"), 2, false), (folder.path().join("b"), 3, false)]);
    assert_eq!(found[0].job, job(10));
    for left in found {
        left.discard().unwrap();
    }
    assert_eq!(names(folder.path()), ["c.haul", "c.part", "d.part"]);
}

#[test]
fn a_sync_is_due_a_second_after_the_last_if_anything_is_not_durable() {
    let folder = tempdir().unwrap();
    let mut store = Store::open(target(folder.path()), job(10)).unwrap();
    assert!(!store.due(Duration::from_secs(100)));
    store.write(0, b"x", 0).unwrap();
    assert!(!store.due(Duration::from_millis(999)) && store.due(Duration::from_secs(1)));
    store.sync(Duration::from_secs(1)).unwrap();
    assert_eq!(store.durable().bytes(), 1);
    assert!(!store.due(Duration::from_secs(100)));
}
