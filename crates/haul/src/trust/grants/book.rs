//! What owners have said yes to, as lines of text.
//!
//! The first line is `haul grants 1`. Each further one is a yes or what a job has used up, its
//! fields parted by single spaces; the last field is the first 8 hexadecimal digits of the SHA-256
//! of all before it, so that a line that is torn or was changed by half says nothing.
//!
//! ```text
//! yes ID MADE UNTIL CARES FILES BYTES all NAME SUM
//! yes ID MADE UNTIL CARES FILES BYTES file SCHEME HOST SIZE NAME SUM
//! job JOB LAST BYTES SUM
//! ```

use super::{Covers, Grant, Sought};
use crate::checksum::hex;
use crate::helper::policy::{Cares, DAY};
use sha2::{Digest, Sha256};
use std::fmt;

/// How many yeses are kept, and of how many jobs it is known what they used up; the oldest go.
const MOST: usize = 256;

/// No yes lasts longer, in seconds.
const LONGEST: i64 = DAY;

/// For how long it is known what a job has used up, in seconds since it did.
const MEMORY: i64 = DAY;

const HEAD: &str = "haul grants 1";

/// The digits of a line's sum, and of what names a job.
const SUM: usize = 8;
const JOB: usize = 32;

/// Every yes, and what the jobs of others have used up. Time is an argument: seconds since 1970.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Book {
    grants: Vec<Grant>,
    used: Vec<Used>,
}

/// One download of one leader, as far as a helper can tell it from others: by its leader, its URL
/// without a query, and its length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct JobId(String);

/// What was received for a job, and when last.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Used {
    job: JobId,
    last: i64,
    bytes: u64,
}

/// What was said yes to, and by when: which yes it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    leader_id: String,
    covers: Covers,
    made: i64,
    until: i64,
}

impl JobId {
    pub(crate) fn of(leader_id: &str, place: &str, length: u64) -> Self {
        let digest = Sha256::digest(format!("{leader_id} {length} {place}"));
        Self(hex(&digest).chars().take(JOB).collect())
    }
}

impl Grant {
    /// Whether it holds: neither before it was given, where a clock was set back, nor after its end.
    pub(crate) const fn holds(&self, now: i64) -> bool {
        self.made <= now && now < self.until
    }

    pub(crate) fn key(&self) -> Key {
        let Self { leader_id, covers, made, until, .. } = self.clone();
        Key { leader_id, covers, made, until }
    }

    fn is_sound(&self) -> bool {
        let lasts = self.until.checked_sub(self.made);
        lasts.is_some_and(|lasts| (1..=LONGEST).contains(&lasts)) && is_plain(&self.leader)
    }
}

impl Book {
    /// What whole lines say.
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let mut lines = bytes.split(|&byte| byte == b'\n').map(str::from_utf8);
        let mut book = Self::default();
        if lines.next() != Some(Ok(HEAD)) {
            return book;
        }
        for line in lines.filter_map(Result::ok) {
            if let Some(grant) = grant_of(line)
                && book.grants.len() < MOST
            {
                book.grants.push(grant);
            } else if let Some(used) = used_of(line)
                && book.used.len() < MOST
            {
                book.used.push(used);
            }
        }
        book
    }

    /// The yeses that hold.
    pub(crate) fn holding(&self, now: i64) -> impl Iterator<Item = &Grant> {
        self.grants.iter().filter(move |grant| grant.holds(now))
    }

    /// The yeses that cover what a leader asks for in these circumstances.
    pub(crate) fn covering(
        &self,
        now: i64,
        leader_id: &str,
        sought: Sought<'_>,
        cares: Cares,
    ) -> impl Iterator<Item = &Grant> {
        self.holding(now)
            .filter(move |grant| grant.leader_id == leader_id && sought.is_in(&grant.covers))
            .filter(move |grant| cares.are_within(grant.cares))
    }

    /// Whether a yes was taken back before its end, and no other one covers the same.
    pub(crate) fn was_taken_back(&self, now: i64, key: &Key) -> bool {
        let covers = |grant: &Grant| grant.covers == Covers::All || grant.covers == key.covers;
        let mut of_leader = self.grants.iter().filter(|grant| grant.leader_id == key.leader_id);
        now < key.until && !of_leader.any(covers)
    }

    /// What was received under a yes to one file.
    pub(crate) fn of_file(&self, key: &Key) -> u64 {
        let mut files = self.grants.iter().filter(|grant| grant.covers != Covers::All);
        files.find(|grant| grant.key() == *key).map_or(0, |grant| grant.bytes)
    }

    /// Takes a yes down, in place of those that it covers.
    pub(crate) fn give(&mut self, grant: Grant) {
        let covers = |old: &Grant| {
            let is_covered = grant.covers == Covers::All || grant.covers == old.covers;
            old.leader_id == grant.leader_id && is_covered
        };
        self.grants.retain(|old| !covers(old) && old.holds(grant.made));
        self.grants.drain(..(self.grants.len() + 1).saturating_sub(MOST));
        self.grants.push(grant);
    }

    /// Takes back what `is_meant`.
    pub(crate) fn take_back(&mut self, is_meant: impl Fn(&Grant) -> bool) -> Vec<Grant> {
        let (taken, left) = std::mem::take(&mut self.grants).into_iter().partition(is_meant);
        self.grants = left;
        taken
    }

    /// Counts what a help under a yes has brought: `bytes` in place of `noted`, which were counted
    /// for it before.
    pub(crate) fn count(&mut self, key: &Key, files: u64, noted: u64, bytes: u64) {
        if let Some(grant) = self.grants.iter_mut().find(|grant| grant.key() == *key) {
            grant.files = grant.files.saturating_add(files);
            grant.bytes = grant.bytes.saturating_sub(noted).saturating_add(bytes);
        }
    }

    /// What was received for a job before.
    pub(crate) fn used(&self, now: i64, job: &JobId) -> u64 {
        let mut used = self.used.iter();
        // A clock that was set back makes nobody's job forgotten.
        let used = used.find(|used| used.job == *job && now.saturating_sub(used.last) < MEMORY);
        used.map_or(0, |used| used.bytes)
    }

    /// Counts what was received for a job: `bytes` in place of `noted`, which were counted for it
    /// before.
    pub(crate) fn use_up(&mut self, now: i64, job: &JobId, noted: u64, bytes: u64) {
        let bytes = self.used(now, job).saturating_sub(noted).saturating_add(bytes);
        let is_old = |used: &Used| now.saturating_sub(used.last) >= MEMORY;
        self.used.retain(|used| used.job != *job && !is_old(used));
        if bytes > 0 {
            self.used.drain(..(self.used.len() + 1).saturating_sub(MOST));
            self.used.push(Used { job: job.clone(), last: now, bytes });
        }
    }

    /// Forgets what was received for a job: it is done, or may begin anew.
    pub(crate) fn forget(&mut self, job: &JobId) {
        self.used.retain(|used| used.job != *job);
    }
}

impl fmt::Display for Book {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEAD}")?;
        self.grants.iter().try_for_each(|grant| writeln!(f, "{}", line_of(grant)))?;
        self.used.iter().try_for_each(|used| writeln!(f, "{}", line_of_used(used)))
    }
}

fn line_of(grant: &Grant) -> String {
    let Grant { leader, leader_id, covers, made, until, files, bytes, cares } = grant;
    let covers = match covers {
        Covers::All => "all".to_owned(),
        Covers::File { scheme, host, size } => format!("file {scheme} {host} {size}"),
    };
    let Cares(cares) = cares;
    summed(format!("yes {leader_id} {made} {until} {cares} {files} {bytes} {covers} {leader}"))
}

fn line_of_used(Used { job, last, bytes }: &Used) -> String {
    summed(format!("job {} {last} {bytes}", job.0))
}

fn summed(line: String) -> String {
    let sum: String = hex(&Sha256::digest(&line)).chars().take(SUM).collect();
    line + " " + &sum
}

/// The yes that this line says; nothing but what is written as it is here says one.
fn grant_of(line: &str) -> Option<Grant> {
    let said = line.rsplit_once(' ')?.0.strip_prefix("yes ")?;
    let mut words = said.splitn(8, ' ');
    let mut word = || words.next();
    let leader_id = word()?.to_owned();
    let (made, until) = (word()?.parse().ok()?, word()?.parse().ok()?);
    let cares = Cares(word()?.parse().ok()?);
    let (files, bytes) = (word()?.parse().ok()?, word()?.parse().ok()?);
    let (covers, leader) = match (word()?, word()?) {
        ("all", leader) => (Covers::All, leader),
        ("file", file) => {
            let mut words = file.splitn(4, ' ');
            let (scheme, host) = (words.next()?.to_owned(), words.next()?.to_owned());
            let size = words.next()?.parse().ok()?;
            (Covers::File { scheme, host, size }, words.next()?)
        }
        _ => return None,
    };
    let leader = leader.to_owned();
    let grant = Grant { leader, leader_id, covers, made, until, files, bytes, cares };
    (grant.is_sound() && line_of(&grant) == line).then_some(grant)
}

fn used_of(line: &str) -> Option<Used> {
    let mut words = line.strip_prefix("job ")?.split(' ');
    let job = JobId(words.next()?.to_owned());
    let (last, bytes) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let used = Used { job, last, bytes };
    (line_of_used(&used) == line).then_some(used)
}

/// Whether it can stand in a line and be read again.
fn is_plain(name: &str) -> bool {
    !name.contains(char::is_control)
}

#[cfg(test)]
mod tests;
