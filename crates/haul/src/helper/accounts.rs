//! The budget's account on disk.
//!
//! `accounts` is a file of records of 32 bytes, each for itself: the account's local time (i64),
//! bytes (i64, negative for what is given back), a tag (u64), and the first 8 bytes of the SHA-256
//! of these, all in little-endian order. A record that a crash has torn does not fit its digest and
//! is passed over; those around it count.
//!
//! Bytes are booked before they are received, and a record that was written survives the end of the
//! helper, however that comes. To survive a power cut it must be on the disk, for which a booking
//! seldom waits: instead the first one books a [`GUARD`] too, waits for that to be on the disk, and
//! tags it with the boot of the machine that it was made under. At most as much as the guard is
//! ever booked and not on the disk. Whoever reads a guard of this boot knows that every record after
//! it is there, and passes it over; a guard of another boot counts, in place of what may be missing.
//! So whatever happens can only make the helper think that it has spent a little more than it has.

use super::budget::Budget;
use super::policy::{Moment, Spent};
use crate::home::files::{self, replace};
use crate::{Error, ErrorKind, Home};
use rustix::fs::{FlockOperation, flock};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The length of a record, in bytes.
const RECORD: usize = 32;

/// What is booked for what may not be on the disk yet, in bytes.
const GUARD: u64 = 4 << 20;

/// A file of so many records is written anew with one a day.
const MANY: u64 = 16 << 10;

/// The account of this installation; held by one helper at a time.
#[derive(Debug)]
pub(crate) struct Accounts {
    budget: Budget,
    path: PathBuf,
    file: File,
    records: u64,
    /// What tells this boot of the machine from others.
    boot: u64,
    /// The time of the guard, while there is one.
    guarded: Option<i64>,
    /// Booked and perhaps not on the disk.
    unsynced: u64,
    /// Keeps other helpers with the same home away.
    _lock: File,
}

/// A booking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Booked {
    pub(crate) time: i64,
    pub(crate) bytes: u64,
}

impl Accounts {
    pub(crate) fn open(home: &Home) -> Result<Self, Error> {
        let path = home.folder().join("accounts");
        let what = "the account of what was spent cannot be kept";
        let failed = |error| files::failed(what, &path, &error);
        home.make().map_err(failed)?;
        let lock = lock(home, &home.make_run().map_err(failed)?.join("helper.lock"))?;
        let (mut budget, boot) = (Budget::default(), boot());
        if let Some(bytes) = files::read(&path).map_err(failed)? {
            replay(&bytes, boot, &mut budget);
        }
        let (file, records) = rewrite(&path, &budget).map_err(failed)?;
        let (guarded, unsynced) = (None, 0);
        Ok(Self { budget, path, file, records, boot, guarded, unsynced, _lock: lock })
    }

    /// What was spent when the clocks show this.
    pub(crate) fn spent(&mut self, now: Moment, steady: Duration) -> Spent {
        self.budget.advance(now, steady);
        self.budget.spent()
    }

    /// Books bytes; they may be received when this returns.
    pub(crate) fn book(&mut self, now: Moment, steady: Duration, bytes: u64) -> io::Result<Booked> {
        let time = self.budget.advance(now, steady);
        if self.guarded.is_none() {
            self.write(time, signed(GUARD), self.boot)?;
            self.sync()?;
            self.guarded = Some(time);
        }
        self.write(time, signed(bytes), 0)?;
        self.budget.charge(time, bytes);
        self.unsynced += bytes;
        if self.unsynced > GUARD / 2 {
            self.sync()?;
        }
        Ok(Booked { time, bytes })
    }

    /// Gives back what was booked and not received, or books what was received without, at the end
    /// of a job.
    pub(crate) fn close(&mut self, left: Booked, owed: u64) {
        // Where this cannot be written the helper thinks that it has spent a little more than it
        // has, or little less than it could not keep from arriving.
        if owed > 0 && self.write(left.time, signed(owed), 0).is_ok() {
            self.budget.charge(left.time, owed);
        }
        if left.bytes > 0 && self.write(left.time, -signed(left.bytes), 0).is_ok() {
            self.budget.refund(left.time, left.bytes);
        }
        if let Some(time) = self.guarded.take()
            && self.sync().is_ok()
        {
            // The next booking makes a guard anew, so this one can do without the disk.
            let _ = self.write(time, -signed(GUARD), self.boot);
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()?;
        self.unsynced = 0;
        Ok(())
    }

    fn write(&mut self, time: i64, bytes: i64, tag: u64) -> io::Result<()> {
        if self.records >= MANY && self.guarded.is_none() {
            (self.file, self.records) = rewrite(&self.path, &self.budget)?;
        }
        // In its place, so that half of a record cannot shift those after it.
        self.file.seek(SeekFrom::Start(self.records * RECORD as u64))?;
        self.file.write_all(&record(time, bytes, tag))?;
        self.records += 1;
        Ok(())
    }
}

fn lock(home: &Home, path: &Path) -> Result<File, Error> {
    let file = files::append(path);
    let file =
        file.map_err(|error| files::failed("the helper's home cannot be used", path, &error))?;
    flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|_| {
        Error::new(
            ErrorKind::Locked,
            "the helper cannot start",
            format!("another helper runs on {}", home.folder().display()),
        )
        .with_remedy("use that one (`helper status`), end it with `helper stop`, or set HAUL_HOME")
    })?;
    Ok(file)
}

fn record(time: i64, bytes: i64, tag: u64) -> [u8; RECORD] {
    let mut record = [0; RECORD];
    record[..8].copy_from_slice(&time.to_le_bytes());
    record[8..16].copy_from_slice(&bytes.to_le_bytes());
    record[16..24].copy_from_slice(&tag.to_le_bytes());
    let digest = Sha256::digest(&record[..24]);
    record[24..].copy_from_slice(&digest[..8]);
    record
}

fn replay(file: &[u8], boot: u64, budget: &mut Budget) {
    for found in file.chunks_exact(RECORD) {
        let number = |at: usize| found[at..at + 8].try_into().map(i64::from_le_bytes);
        let (Ok(time), Ok(bytes), Ok(tag)) = (number(0), number(8), number(16)) else { continue };
        let tag = tag.cast_unsigned();
        if found != record(time, bytes, tag) || (tag != 0 && tag == boot) {
            continue;
        }
        if bytes.is_negative() {
            budget.refund(time, bytes.unsigned_abs());
        } else {
            budget.charge(time, bytes.unsigned_abs());
        }
    }
}

/// A number that only this boot of the machine has, and never 0. Where the machine does not tell,
/// every start of a helper is taken for one.
fn boot() -> u64 {
    let told = fs::read("/proc/sys/kernel/random/boot_id").unwrap_or_else(|_| {
        let random: [u8; 16] = haul_link::random();
        random.to_vec()
    });
    let digest = Sha256::digest(told);
    let bytes = [0, 1, 2, 3, 4, 5, 6, 7].map(|at| digest[at]);
    u64::from_le_bytes(bytes) | 1
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// Writes the account anew, with one record a day and one for its time.
fn rewrite(path: &Path, budget: &Budget) -> io::Result<(File, u64)> {
    let (days, time) = budget.days();
    let days = days.map(|(time, bytes)| record(time, signed(bytes), 0));
    let records: Vec<[u8; RECORD]> = days.chain([record(time, 0, 0)]).collect();
    Ok((replace(path, &records.concat())?, records.len() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::fs::OpenOptions;
    use tempfile::TempDir;

    const NOON: Moment = Moment { unix: 20_512 * 86_400 + 43_200, offset: 0 };

    fn now() -> (Moment, Duration) {
        (NOON, Duration::from_secs(9))
    }

    fn open(folder: &TempDir) -> Accounts {
        Accounts::open(&Home::at(folder.path())).unwrap()
    }

    fn spent(accounts: &mut Accounts) -> u64 {
        accounts.spent(now().0, now().1).today
    }

    #[test]
    fn what_was_booked_and_not_given_back_is_there_again() {
        let folder = TempDir::new().unwrap();
        let mut accounts = open(&folder);
        let booked = accounts.book(now().0, now().1, 1000).unwrap();
        accounts.close(Booked { bytes: 300, ..booked }, 0);
        accounts.book(now().0, now().1, 50).unwrap();
        drop(accounts);
        let mut again = open(&folder);
        assert_eq!(spent(&mut again), 750);
        let closed = again.book(now().0, now().1, 10).unwrap();
        again.close(Booked { bytes: 0, ..closed }, 7);
        drop(again);
        let mut again = open(&folder);
        assert_eq!(spent(&mut again), 767, "what had arrived in vain counts");
        let earlier = Moment { unix: NOON.unix - 400 * 86_400, offset: 0 };
        assert_eq!(again.spent(earlier, Duration::ZERO).today, 767, "the time is kept too");
    }

    #[test]
    fn a_second_helper_with_the_same_home_is_told_of_the_first() {
        let folder = TempDir::new().unwrap();
        let first = open(&folder);
        let error = Accounts::open(&Home::at(folder.path())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Locked);
        assert!(error.remedy().unwrap().contains("helper stop"));
        drop(first);
        open(&folder);
    }

    #[test]
    fn a_long_account_is_written_anew_with_the_same_sum() {
        let folder = TempDir::new().unwrap();
        let mut accounts = open(&folder);
        accounts.records = MANY;
        accounts.budget.charge(NOON.local(), 7);
        accounts.book(now().0, now().1, 5).unwrap();
        assert!(accounts.records < 10);
        assert_eq!(
            (spent(&mut accounts), {
                drop(accounts);
                spent(&mut open(&folder))
            }),
            (12, 12)
        );
    }

    #[test]
    fn after_a_power_cut_the_guard_counts_for_what_may_be_missing_and_after_a_kill_it_does_not() {
        let folder = TempDir::new().unwrap();
        let mut accounts = open(&folder);
        accounts.book(now().0, now().1, 1000).unwrap();
        drop(accounts);
        let file = fs::read(folder.path().join("accounts")).unwrap();
        let replayed = |file: &[u8], boot| {
            let mut budget = Budget::default();
            replay(file, boot, &mut budget);
            budget.spent().today
        };
        assert_eq!(replayed(&file, boot()), 1000, "killed");
        assert_eq!(replayed(&file, 1), GUARD + 1000, "another boot");
        let without_the_last = &file[..file.len() - RECORD];
        assert_eq!(replayed(without_the_last, 1), GUARD, "another boot, and a record is missing");
        assert_eq!(spent(&mut open(&folder)), 1000);
    }

    #[test]
    fn no_more_than_the_guard_is_ever_booked_and_not_on_the_disk() {
        let folder = TempDir::new().unwrap();
        let mut accounts = open(&folder);
        for _ in 0..64 {
            accounts.book(now().0, now().1, 1 << 20).unwrap();
            assert!(accounts.unsynced <= GUARD / 2 && accounts.guarded.is_some());
        }
        accounts.close(Booked { time: NOON.local(), bytes: 0 }, 0);
        assert_eq!((accounts.unsynced, accounts.guarded), (0, None));
        drop(accounts);
        let mut budget = Budget::default();
        replay(&fs::read(folder.path().join("accounts")).unwrap(), 1, &mut budget);
        assert_eq!(budget.spent().today, 64 << 20, "a guard that was taken away counts nowhere");
    }

    proptest! {
        // Every booking waits for the disk.
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn a_crash_at_any_byte_forgets_no_booking_that_was_written(
            sizes in prop::collection::vec(1u64..1 << 30, 1..20), torn in 0usize..RECORD
        ) {
            let folder = TempDir::new().unwrap();
            let mut accounts = open(&folder);
            for &bytes in &sizes {
                accounts.book(now().0, now().1, bytes).unwrap();
            }
            drop(accounts);
            // What was being written at the crash.
            let path = folder.path().join("accounts");
            let mut file = OpenOptions::new().append(true).open(&path).unwrap();
            file.write_all(&vec![0xa5; torn]).unwrap();
            let mut again = open(&folder);
            prop_assert_eq!(spent(&mut again), sizes.iter().sum::<u64>());
        }

        #[test]
        fn no_content_of_the_file_makes_it_panic(bytes: Vec<u8>) {
            let mut budget = Budget::default();
            replay(&bytes, 1, &mut budget);
            budget.advance(now().0, now().1);
            budget.spent();
        }
    }
}
