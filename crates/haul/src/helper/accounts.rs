//! The budget's account on disk.
//!
//! `accounts` is a file of records of 24 bytes, each for itself: the account's local time (i64),
//! bytes (i64, negative for what is given back), and the first 8 bytes of the SHA-256 of both, all
//! in little-endian order. A record is durable before the bytes that it books are received, so
//! whatever kills the helper can only make it think that it has spent a little more than it has. A
//! record that a crash has torn does not fit its digest and is passed over; those around it count.

use super::budget::Budget;
use super::policy::{Moment, Spent};
use crate::{Error, ErrorKind, Home};
use rustix::fs::{FlockOperation, flock};
use sha2::{Digest, Sha256};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The length of a record, in bytes.
const RECORD: usize = 24;

/// A file of so many records is written anew with one a day.
const MANY: u64 = 16 << 10;

/// The account of this installation; held by one helper at a time.
#[derive(Debug)]
pub(crate) struct Accounts {
    budget: Budget,
    path: PathBuf,
    file: File,
    records: u64,
    /// Keeps other helpers with the same home away.
    _lock: File,
}

/// A booking that is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Booked {
    pub(crate) time: i64,
    pub(crate) bytes: u64,
}

impl Accounts {
    pub(crate) fn open(home: &Home) -> Result<Self, Error> {
        let path = home.folder().join("accounts");
        let failed = |error: io::Error| {
            Error::new(
                ErrorKind::Disk,
                "the account of what was spent cannot be kept",
                format!("{}: {error}", path.display()),
            )
            .with_remedy("make the folder writable, or set HAUL_HOME to one that is")
        };
        fs::create_dir_all(home.folder()).map_err(failed)?;
        let lock = lock(&home.folder().join("helper.lock"))?;
        let mut budget = Budget::default();
        match fs::read(&path) {
            Ok(bytes) => replay(&bytes, &mut budget),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
        }
        let (file, records) = rewrite(&path, &budget).map_err(failed)?;
        Ok(Self { budget, path, file, records, _lock: lock })
    }

    /// What was spent when the clocks show this.
    pub(crate) fn spent(&mut self, now: Moment, steady: Duration) -> Spent {
        self.budget.advance(now, steady);
        self.budget.spent()
    }

    /// Books bytes; they may be received when this returns.
    pub(crate) fn book(&mut self, now: Moment, steady: Duration, bytes: u64) -> io::Result<Booked> {
        let time = self.budget.advance(now, steady);
        let booked = Booked { time, bytes };
        self.write(time, i64::try_from(bytes).unwrap_or(i64::MAX))?;
        self.file.sync_data()?;
        self.budget.charge(time, bytes);
        Ok(booked)
    }

    /// Gives back what was booked and not received.
    pub(crate) fn give_back(&mut self, booked: Booked) {
        // Without the record the helper thinks that it has spent a little more than it has.
        let bytes = i64::try_from(booked.bytes).unwrap_or(i64::MAX);
        if booked.bytes > 0 && self.write(booked.time, -bytes).is_ok() {
            self.budget.refund(booked.time, booked.bytes);
        }
    }

    fn write(&mut self, time: i64, bytes: i64) -> io::Result<()> {
        if self.records >= MANY {
            (self.file, self.records) = rewrite(&self.path, &self.budget)?;
        }
        // In its place, so that half of a record cannot shift those after it.
        self.file.seek(SeekFrom::Start(self.records * RECORD as u64))?;
        self.file.write_all(&record(time, bytes))?;
        self.records += 1;
        Ok(())
    }
}

fn lock(path: &Path) -> Result<File, Error> {
    let failed = |error: io::Error| {
        Error::new(
            ErrorKind::Disk,
            "the helper's home cannot be used",
            format!("{}: {error}", path.display()),
        )
        .with_remedy("make the folder writable, or set HAUL_HOME to one that is")
    };
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(path);
    let file = file.map_err(failed)?;
    flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|_| {
        Error::new(
            ErrorKind::Locked,
            "the helper cannot start",
            format!("another helper runs on {}", path.parent().unwrap_or(path).display()),
        )
        .with_remedy("use that one (`helper status`), end it with `helper stop`, or set HAUL_HOME")
    })?;
    Ok(file)
}

fn record(time: i64, bytes: i64) -> [u8; RECORD] {
    let mut record = [0; RECORD];
    record[..8].copy_from_slice(&time.to_le_bytes());
    record[8..16].copy_from_slice(&bytes.to_le_bytes());
    let digest = Sha256::digest(&record[..16]);
    record[16..].copy_from_slice(&digest[..8]);
    record
}

fn replay(file: &[u8], budget: &mut Budget) {
    for found in file.chunks_exact(RECORD) {
        let number = |at: usize| found[at..at + 8].try_into().map(i64::from_le_bytes);
        let (Ok(time), Ok(bytes)) = (number(0), number(8)) else { continue };
        if found != record(time, bytes) {
            continue;
        }
        match bytes.is_negative() {
            true => budget.refund(time, bytes.unsigned_abs()),
            false => budget.charge(time, bytes.unsigned_abs()),
        }
    }
}

/// Writes the account anew, with one record a day and one for its time.
fn rewrite(path: &Path, budget: &Budget) -> io::Result<(File, u64)> {
    let (days, time) = budget.days();
    let days = days.map(|(time, bytes)| record(time, i64::try_from(bytes).unwrap_or(i64::MAX)));
    let records: Vec<[u8; RECORD]> = days.chain([record(time, 0)]).collect();
    let new = path.with_extension("new");
    let mut file = File::create(&new)?;
    file.write_all(&records.concat())?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    if let Some(folder) = path.parent() {
        File::open(folder)?.sync_all()?;
    }
    Ok((file, records.len() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
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
        accounts.give_back(Booked { bytes: 300, ..booked });
        accounts.book(now().0, now().1, 50).unwrap();
        drop(accounts);
        let mut again = open(&folder);
        assert_eq!(spent(&mut again), 750);
        let earlier = Moment { unix: NOON.unix - 400 * 86_400, offset: 0 };
        assert_eq!(again.spent(earlier, Duration::ZERO).today, 750, "the time is kept too");
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

    proptest! {
        // Every booking waits for the disk.
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn a_crash_at_any_byte_forgets_no_booking_that_was_durable(
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
            replay(&bytes, &mut budget);
            budget.advance(now().0, now().1);
            budget.spent();
        }
    }
}
