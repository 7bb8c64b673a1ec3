//! How many downloads ended, and how.

use crate::tell;
use haul::{Error, ErrorKind, Failed};
use serde_json::{Value, json};
use std::process::ExitCode;
use std::time::{Duration, Instant};

pub(crate) struct Tally {
    files: usize,
    done: usize,
    skipped: usize,
    failed: usize,
    /// Files that were not begun, as the run was stopped.
    left: usize,
    bytes: u64,
    began: Instant,
    /// Of those that failed the one that stands first in the list.
    first: Option<(usize, Error)>,
}

impl Tally {
    pub(crate) fn of(files: usize) -> Self {
        let began = Instant::now();
        Self { files, done: 0, skipped: 0, failed: 0, left: 0, bytes: 0, began, first: None }
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

    pub(crate) fn leave(&mut self, files: usize) {
        self.left += files;
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
        let Self { files, done, skipped, failed, left, .. } = self;
        let (size, time) = (tell::size(self.bytes), tell::time(after));
        let there =
            if *skipped == 0 { String::new() } else { format!("; {skipped} were there already") };
        let failed = if *failed == 0 { String::new() } else { format!("; {failed} failed") };
        let left = if *left == 0 { String::new() } else { format!("; {left} were not begun") };
        format!("{done} of {files} files, {size} in {time}{there}{failed}{left}")
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
        } else if self.left > 0 {
            line["event"] = "failed".into();
            line["code"] = INTERRUPTED.into();
            line["error"] = format!("{} of {} files were not begun", self.left, self.files).into();
            line["because"] = "you asked for it".into();
            line["try"] = "run the same command with -c to go on where it was".into();
        }
        line
    }

    /// The first failure, or how the run ended if there is none.
    pub(crate) fn verdict(self) -> Result<ExitCode, Error> {
        match self.first {
            Some((_, error)) => Err(error),
            None if self.left > 0 => Ok(ExitCode::from(INTERRUPTED)),
            None => Ok(ExitCode::SUCCESS),
        }
    }
}

const INTERRUPTED: u8 = ErrorKind::Interrupted.code();
