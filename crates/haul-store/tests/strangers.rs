//! What haul did not write, or what others own or may change, is never opened for writing, cut,
//! replaced or removed, whatever its name.

#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a test may panic")]
#![allow(clippy::print_stderr, reason = "why a test was skipped is told")]

mod common;

use common::{job, payload};
use haul_span::Span;
use haul_store::{Clobber, Error, ErrorKind, JobFacts, Left, Leftover, Store, Target, leftovers};
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::{TempDir, tempdir};

const LENGTH: usize = 300_000;
const NOBODY: u32 = 65_534;

struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempdir().unwrap())
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn target(&self, name: &str) -> Target {
        Target::new(self.at(name)).unwrap()
    }

    /// A job of which half is durable, or nothing but begun.
    fn left(&self, name: &str, held: usize) {
        let mut store = Store::open(self.target(name), job(LENGTH)).unwrap();
        store.write(0, &payload(1, LENGTH)[..held], 0).unwrap();
        store.keep().unwrap();
    }

    /// What is there: names, contents, owners and modes.
    fn all(&self) -> Vec<(PathBuf, Vec<u8>, u32, u32)> {
        let entries = fs::read_dir(self.0.path()).unwrap().map(|entry| entry.unwrap().path());
        let mut all: Vec<_> = entries
            .map(|path| {
                let about = path.symlink_metadata().unwrap();
                let held = fs::read(&path).unwrap_or_default();
                (path, held, about.uid(), about.mode())
            })
            .collect();
        all.sort();
        all
    }

    /// Whatever is asked for, the answer is this error, and everything is as it was.
    fn refuses(&self, name: &str, kind: ErrorKind) {
        let before = self.all();
        for clobber in [Clobber::Refuse, Clobber::Overwrite] {
            for left in [Left::Refuse, Left::Continue] {
                let target = self.target(name).clobber(clobber).left(left);
                let error = Store::open(target.clone(), job(LENGTH)).unwrap_err();
                assert_eq!(error.kind(), kind, "{clobber:?} {left:?}: {error}");
                assert_eq!(target.look().unwrap_err().kind(), kind);
                let remedy = error.remedy().unwrap();
                assert!(remedy.contains("-o"), "{remedy}");
                assert!(!remedy.contains("overwrite") && !remedy.contains("-c"), "{remedy}");
            }
        }
        let renamed = self.target(name).clobber(Clobber::AutoRename);
        drop(Store::open(renamed, job(LENGTH)).unwrap());
        assert!(self.all() == before, "something was touched");
    }
}

#[test]
fn a_users_file_with_the_name_of_a_part_or_a_journal_is_left_as_it_is() {
    for content in [&b"notes\n"[..], b"", &payload(2, LENGTH), b"haul.jrn", &vec![0; LENGTH]] {
        for suffix in ["part", "haul"] {
            let place = Place::new();
            let file = place.at(&format!("q.{suffix}"));
            fs::write(&file, content).unwrap();
            fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
            place.refuses("q", ErrorKind::Foreign);
        }
    }
}

#[test]
fn a_finished_file_in_place_of_the_part_is_no_part_even_with_the_same_bytes() {
    for same in [true, false] {
        let place = Place::new();
        place.left("q", LENGTH / 2);
        fs::remove_file(place.at("q.part")).unwrap();
        let mut finished = Store::open(place.target("q.part"), job(LENGTH)).unwrap();
        finished.write(0, &payload(if same { 1 } else { 2 }, LENGTH), 0).unwrap();
        finished.publish().unwrap();
        place.refuses("q", ErrorKind::Foreign);
        assert_eq!(leftovers(place.0.path()).unwrap(), [], "it cannot be gone on with");
        assert_eq!(Leftover::of(&place.at("q")).unwrap(), None);
    }
}

#[test]
fn notes_written_into_the_part_itself_make_it_the_users() {
    for held in [LENGTH / 2, 0] {
        let place = Place::new();
        let store = Store::open(place.target("q"), job(LENGTH)).unwrap();
        let (part, journal) = (place.at("q.part"), fs::read(place.at("q.haul")).unwrap());
        if held == 0 {
            // As after a kill before anything was durable.
            let kept = place.at("kept");
            fs::rename(&part, &kept).unwrap();
            drop(store);
            fs::rename(kept, &part).unwrap();
            fs::write(place.at("q.haul"), journal).unwrap();
        } else {
            drop(store);
            place.left("q", held);
        }
        fs::write(&part, "notes").unwrap();
        place.refuses("q", ErrorKind::Foreign);
    }
}

#[test]
fn what_was_begun_and_has_nothing_durable_is_begun_anew_in_another_inode() {
    let place = Place::new();
    let store = Store::open(place.target("q"), job(LENGTH)).unwrap();
    let journal = fs::read(place.at("q.haul")).unwrap();
    fs::rename(place.at("q.part"), place.at("kept")).unwrap();
    drop(store);
    fs::rename(place.at("kept"), place.at("q.part")).unwrap();
    fs::write(place.at("q.haul"), journal).unwrap();
    // Some of it was written, and none of that was told to the journal.
    let mut part = fs::read(place.at("q.part")).unwrap();
    part[..9].copy_from_slice(b"something");
    fs::write(place.at("q.part"), part).unwrap();
    let held = fs::File::open(place.at("q.part")).unwrap();
    let again = Store::open(place.target("q").left(Left::Continue), job(LENGTH)).unwrap();
    assert!(again.resumed().is_none());
    let inodes = [held.metadata().unwrap(), fs::metadata(again.part_path()).unwrap()];
    assert_ne!(inodes[0].ino(), inodes[1].ino());
    assert_eq!(inodes[0].nlink(), 0);
}

#[test]
fn the_journal_of_another_file_is_left_as_it_is() {
    let place = Place::new();
    place.left("q", LENGTH / 2);
    fs::copy(place.at("q.haul"), place.at("r.haul")).unwrap();
    place.refuses("r", ErrorKind::Foreign);
    fs::rename(place.at("q.part"), place.at("r.part")).unwrap();
    place.refuses("r", ErrorKind::Foreign);
}

#[test]
fn overwriting_makes_a_new_file_of_which_nobody_has_a_handle() {
    let place = Place::new();
    place.left("q", LENGTH / 2);
    let held = fs::File::open(place.at("q.part")).unwrap();
    let over = place.target("q").clobber(Clobber::Overwrite);
    let mut store = Store::open(over, job(LENGTH)).unwrap();
    let new = fs::metadata(store.part_path()).unwrap();
    assert_ne!(held.metadata().unwrap().ino(), new.ino());
    assert_eq!(new.mode() & 0o777, 0o600);
    store.write(0, &payload(1, LENGTH), 0).unwrap();
    store.publish().unwrap();
    assert!(held.metadata().unwrap().nlink() == 0);
}

#[test]
fn the_part_of_a_job_at_work_is_not_overwritten_as_a_finished_file() {
    let place = Place::new();
    let mut store = Store::open(place.target("q"), job(LENGTH)).unwrap();
    let over = place.target("q.part").clobber(Clobber::Overwrite);
    assert_eq!(Store::open(over, job(LENGTH)).unwrap_err().kind(), ErrorKind::Locked);
    store.write(0, &payload(1, LENGTH), 0).unwrap();
    store.publish().unwrap();
}

#[test]
fn a_pipe_a_socket_and_a_device_are_never_replaced() {
    let place = Place::new();
    rustix::fs::mkfifoat(rustix::fs::CWD, place.at("q"), rustix::fs::Mode::RUSR).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(place.at("s")).unwrap();
    for name in ["q", "s"] {
        for clobber in [Clobber::Refuse, Clobber::Overwrite] {
            let error = Store::open(place.target(name).clobber(clobber), job(1)).unwrap_err();
            assert!(matches!(error, Error::InTheWay { .. }), "{error}");
            assert!(!error.remedy().unwrap().contains("overwrite"));
        }
    }
    let device = Target::new("/dev/null").unwrap().clobber(Clobber::Overwrite);
    assert_eq!(Store::open(device, job(1)).unwrap_err().kind(), ErrorKind::Exists);
    // It may come while the job runs, too.
    let over = place.target("late").clobber(Clobber::Overwrite);
    let mut store = Store::open(over, job(1)).unwrap();
    store.write(0, b"x", 0).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, place.at("late"), rustix::fs::Mode::RUSR).unwrap();
    assert!(matches!(store.publish(), Err(Error::InTheWay { .. })));
}

#[test]
fn what_others_may_write_to_is_not_gone_on_with() {
    for suffix in ["part", "haul"] {
        for mode in [0o620, 0o602, 0o666] {
            let place = Place::new();
            place.left("q", LENGTH / 2);
            let file = place.at(&format!("q.{suffix}"));
            fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
            place.refuses("q", ErrorKind::Unsafe);
            fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
            Store::open(place.target("q").left(Left::Continue), job(LENGTH)).unwrap();
        }
    }
}

#[test]
fn what_belongs_to_another_user_is_not_taken_for_ones_own() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can give a file to another user");
        return;
    }
    for suffix in ["part", "haul"] {
        let place = Place::new();
        place.left("q", LENGTH / 2);
        let file = place.at(&format!("q.{suffix}"));
        chown(&file, Some(NOBODY), Some(NOBODY)).unwrap();
        place.refuses("q", ErrorKind::Unsafe);
    }
    let place = Place::new();
    fs::write(place.at("q.part"), payload(1, LENGTH)).unwrap();
    chown(place.at("q.part"), Some(NOBODY), None).unwrap();
    place.refuses("q", ErrorKind::Unsafe);
}

#[test]
fn a_part_is_its_owners_alone_and_the_finished_file_is_for_whom_the_umask_lets() {
    let place = Place::new();
    let mut store = Store::open(place.target("q"), job(4)).unwrap();
    store.write(0, b"four", 0).unwrap();
    store.sync(Duration::ZERO).unwrap();
    for (_, _, _, mode) in place.all() {
        assert_eq!(mode & 0o777, 0o600);
    }
    let finished = store.publish().unwrap();
    let plain = place.at("plain");
    fs::write(&plain, "").unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
    assert_eq!(mode(&finished), mode(&plain));
}

#[test]
fn a_journal_of_before_and_its_part_go_on_and_are_tied_from_then_on() {
    let place = Place::new();
    place.left("q", LENGTH / 2);
    // As it was written before journals told which part they speak of.
    let new = fs::read(place.at("q.haul")).unwrap();
    let facts = job(LENGTH);
    let text = |text: &str| [&(text.len() as u16).to_le_bytes()[..], text.as_bytes()].concat();
    let payload_of_facts = [
        text(&facts.url),
        text(facts.validator.as_deref().unwrap()),
        vec![1],
        (LENGTH as u64).to_le_bytes().to_vec(),
    ]
    .concat();
    let mut old = new[..16].to_vec();
    let mut chain = *blake3::hash(&old).as_bytes();
    let held = &payload(1, LENGTH)[..LENGTH / 2];
    let piece = [
        &0_u64.to_le_bytes()[..],
        &(held.len() as u32).to_le_bytes(),
        &0_u32.to_le_bytes(),
        blake3::hash(held).as_bytes(),
    ]
    .concat();
    for (kind, payload) in [(1_u32, &payload_of_facts), (2, &piece)] {
        let frame = [&kind.to_le_bytes()[..], &(payload.len() as u32).to_le_bytes(), payload];
        let frame = frame.concat();
        chain = *blake3::hash(&[&chain[..], &frame].concat()).as_bytes();
        old.extend(frame);
        old.extend(chain);
    }
    fs::write(place.at("q.haul"), &old).unwrap();
    fs::set_permissions(place.at("q.part"), Permissions::from_mode(0o644)).unwrap();
    let store = Store::open(place.target("q").left(Left::Continue), job(LENGTH)).unwrap();
    assert_eq!(store.resumed().unwrap().confirmed, held.len() as u64);
    assert_eq!(fs::metadata(store.part_path()).unwrap().mode() & 0o777, 0o600);
    drop(store);
    assert!(fs::read(place.at("q.haul")).unwrap().len() > old.len(), "the part is named now");
    fs::copy(place.at("q.haul"), place.at("r.haul")).unwrap();
    place.refuses("r", ErrorKind::Foreign);
}

#[test]
fn a_journal_tells_its_part_and_its_target_as_its_description_says() {
    let place = Place::new();
    let store = Store::open(place.target("file.bin"), JobFacts::default()).unwrap();
    let about = fs::metadata(store.part_path()).unwrap();
    let born = about.created().unwrap().duration_since(std::time::UNIX_EPOCH).unwrap();
    let payload =
        [&about.ino().to_le_bytes()[..], &(born.as_nanos() as u64).to_le_bytes(), b"file.bin"]
            .concat();
    let journal = fs::read(place.at("file.bin.haul")).unwrap();
    // The head, and the frame of the facts: two texts of no length, and an unknown length.
    let frame = &journal[16 + 8 + 13 + 32..];
    assert_eq!(frame[..8], [&4_u32.to_le_bytes()[..], &24_u32.to_le_bytes()].concat());
    assert_eq!(frame[8..32], payload);
    assert_eq!(frame.len(), 8 + 24 + 32);
}

#[test]
fn what_was_moved_to_another_disk_is_known_by_its_bytes() {
    let (place, other) = (Place::new(), Place::new());
    place.left("q", LENGTH / 2);
    for name in ["q.part", "q.haul"] {
        fs::copy(place.at(name), other.at(name)).unwrap();
    }
    let store = Store::open(other.target("q").left(Left::Continue), job(LENGTH)).unwrap();
    assert!(store.stored().contains(Span::new(0, LENGTH as u64 / 2).unwrap()));
}
