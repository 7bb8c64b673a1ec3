//! How many downloads ended, and how.

use crate::tell;
use haul::{Error, Failed};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

pub(crate) struct Tally {
    files: usize,
    done: usize,
    skipped: usize,
    failed: usize,
    bytes: u64,
    began: Instant,
    /// Of those that failed the one that stands first in the list.
    first: Option<(usize, Error)>,
}

impl Tally {
    pub(crate) fn of(files: usize) -> Self {
        let began = Instant::now();
        Self { files, done: 0, skipped: 0, failed: 0, bytes: 0, began, first: None }
    }

    pub(crate) fn done(&mut self, bytes: u64) {
        self.done += 1;
        self.bytes += bytes;
    }

    /// A file that was there already.
    pub(crate) fn skipped(&mut self) {
        self.skipped += 1;
    }

    pub(crate) fn failed(&mut self, number: usize, error: Error) {
        self.failed += 1;
        if self.first.as_ref().is_none_or(|(first, _)| number < *first) {
            self.first = Some((number, error));
        }
    }

    pub(crate) fn files(&self) -> usize {
        self.files
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn ended(&self) -> usize {
        self.done + self.skipped + self.failed
    }

    /// Which of how many ends next.
    pub(crate) fn next(&self) -> String {
        format!("{}/{}", self.ended() + 1, self.files)
    }

    /// The run in a sentence.
    pub(crate) fn summary(&self, after: Duration) -> String {
        let Self { files, done, skipped, failed, .. } = self;
        let (size, time) = (tell::size(self.bytes), tell::time(after));
        let there =
            if *skipped == 0 { String::new() } else { format!("; {skipped} were there already") };
        let failed = if *failed == 0 { String::new() } else { format!("; {failed} failed") };
        format!("{done} of {files} files, {size} in {time}{there}{failed}")
    }

    /// The last line of `--json`, which has no `file`.
    pub(crate) fn last_event(&self) -> Value {
        let seconds = (self.began.elapsed().as_secs_f64() * 1e3).round() / 1e3;
        let mut line = json!({
            "event": "done", "at": seconds, "v": 1, "seconds": seconds, "bytes": self.bytes,
            "files": self.files, "done": self.done, "skipped": self.skipped, "failed": self.failed,
        });
        if let Some((number, error)) = &self.first {
            let failed = Failed::from(error);
            line["event"] = "failed".into();
            line["code"] = failed.code.into();
            line["error"] = format!("{} of {} files failed", self.failed, self.files).into();
            line["because"] = format!("file {number}: {}", failed.because).into();
            line["try"] = failed.r#try.into();
        }
        line
    }

    /// The first failure, if there is one.
    pub(crate) fn verdict(self) -> Result<(), Error> {
        self.first.map_or(Ok(()), |(_, error)| Err(error))
    }
}
