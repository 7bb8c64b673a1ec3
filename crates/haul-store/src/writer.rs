use crate::disk::DiskFile;
use crate::hashing::Hashing;
use crate::piece::{MIB, Piece};
use bytes::{Bytes, BytesMut};
use haul_span::{Span, SpanSet};
use std::collections::BTreeMap;
use std::io::{self, IoSlice};

/// Gathers bytes into writes of at least [`SEGMENT`] bytes, and the writes into pieces.
///
/// Bytes that follow one another from one deliverer are a run. A run lives until it reaches the
/// raster of [`MIB`] or until everything is flushed, and then becomes one [`Piece`].
pub(crate) struct Writer {
    /// By start; runs never overlap.
    runs: BTreeMap<u64, Run>,
    /// How many bytes wait in all of them.
    waiting: usize,
    hashing: Hashing,
}

/// Bytes that the file did not take.
#[derive(Debug)]
pub(crate) struct Lost {
    pub(crate) spans: SpanSet,
    pub(crate) source: io::Error,
}

impl Writer {
    pub(crate) fn new(hashing: Hashing) -> Self {
        Self { runs: BTreeMap::new(), waiting: 0, hashing }
    }

    /// Takes bytes in. If the file refuses, none of those lost is held here any more.
    pub(crate) fn append(
        &mut self,
        file: &impl DiskFile,
        at: u64,
        mut bytes: Bytes,
        deliverer: u32,
    ) -> Result<(), Lost> {
        let mut from = at;
        let end = at + bytes.len() as u64;
        while !bytes.is_empty() {
            let room = usize::try_from(MIB - from % MIB).unwrap_or(usize::MAX);
            let now = bytes.split_to(room.min(bytes.len()));
            let next = from + now.len() as u64;
            self.append_to_run(file, from, now, deliverer).map_err(|mut lost| {
                lost.spans.extend(Span::new(next, end));
                lost
            })?;
            from = next;
        }
        Ok(())
    }

    /// Ends all runs, and with them the waiting of every byte; goes on after a failure.
    pub(crate) fn flush(&mut self, file: &impl DiskFile) -> Result<(), Lost> {
        let mut failed: Option<Lost> = None;
        while let Some((_, run)) = self.runs.pop_first() {
            let Err(lost) = self.finish(file, run) else { continue };
            match &mut failed {
                Some(first) => first.spans.extend(lost.spans.iter()),
                None => failed = Some(lost),
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// The pieces that were completed since the last call; their bytes are all in the file.
    pub(crate) fn take_written(&mut self) -> Vec<Piece> {
        self.hashing.collect()
    }

    /// Copies bytes from `at` on that only the memory has; `None` if the file has them.
    pub(crate) fn read(&self, at: u64, into: &mut [u8]) -> Option<usize> {
        let (_, run) = self.runs.range(..=at).next_back()?;
        let skip = usize::try_from(at.checked_sub(run.written)?).ok()?;
        let waiting = run.waiting.part_at(skip)?;
        let len = waiting.len().min(into.len());
        into[..len].copy_from_slice(&waiting[..len]);
        Some(len)
    }

    /// Where, after `at`, bytes begin that only the memory has.
    pub(crate) fn next_waiting(&self, at: u64) -> Option<u64> {
        let waiting = self.runs.values().filter(|run| run.waiting.len > 0 && run.written > at);
        waiting.map(|run| run.written).min()
    }

    /// The lowest byte that only the memory has.
    pub(crate) fn first_waiting(&self) -> Option<u64> {
        let waiting = self.runs.values().filter(|run| run.waiting.len > 0);
        waiting.map(|run| run.written).min()
    }

    fn append_to_run(
        &mut self,
        file: &impl DiskFile,
        at: u64,
        bytes: Bytes,
        deliverer: u32,
    ) -> Result<(), Lost> {
        let end = at + bytes.len() as u64;
        let mut run = match self.take_run(at, deliverer) {
            Some(run) => run,
            None => self.open_run(file, at, deliverer).map_err(|mut lost| {
                lost.spans.extend(Span::new(at, end));
                lost
            })?,
        };
        self.waiting += bytes.len();
        run.waiting.push(bytes);
        if end.is_multiple_of(MIB) {
            return self.finish(file, run);
        }
        if run.waiting.len >= SEGMENT {
            return self.write_out(file, run);
        }
        self.runs.insert(run.start, run);
        if self.waiting > WAITING
            && let Some(fullest) = self.take_fullest()
        {
            self.write_out(file, fullest)?;
        }
        Ok(())
    }

    /// The run that these bytes carry on.
    fn take_run(&mut self, at: u64, deliverer: u32) -> Option<Run> {
        let (&start, run) = self.runs.range(..at).next_back()?;
        let fits = run.end() == at && run.deliverer == deliverer;
        fits.then(|| self.runs.remove(&start)).flatten()
    }

    /// A run of nothing yet; if too many are open, the one with the most to write is ended.
    fn open_run(&mut self, file: &impl DiskFile, at: u64, deliverer: u32) -> Result<Run, Lost> {
        if self.runs.len() >= RUNS
            && let Some(fullest) = self.take_fullest()
        {
            self.finish(file, fullest)?;
        }
        Ok(Run { start: at, written: at, deliverer, waiting: Waiting::default() })
    }

    fn take_fullest(&mut self) -> Option<Run> {
        let fullest = self.runs.values().max_by_key(|run| run.waiting.len)?.start;
        self.runs.remove(&fullest)
    }

    /// Writes what waits in a run, which goes on.
    fn write_out(&mut self, file: &impl DiskFile, mut run: Run) -> Result<(), Lost> {
        self.empty(file, &mut run)?;
        self.runs.insert(run.start, run);
        Ok(())
    }

    fn finish(&mut self, file: &impl DiskFile, mut run: Run) -> Result<(), Lost> {
        self.empty(file, &mut run)?;
        self.retire(&run);
        Ok(())
    }

    /// Writes what waits in a run. If the file does not take it, the run ends where the file did.
    fn empty(&mut self, file: &impl DiskFile, run: &mut Run) -> Result<(), Lost> {
        let end = run.end();
        self.waiting -= run.waiting.len;
        run.flush(file, &mut self.hashing).map_err(|source| self.give_up(run, end, source))
    }

    /// Keeps what the file took of a run; the rest, up to `end`, is lost.
    fn give_up(&mut self, run: &Run, end: u64, source: io::Error) -> Lost {
        self.retire(run);
        Lost { spans: Span::new(run.written, end).into_iter().collect(), source }
    }

    fn retire(&mut self, run: &Run) {
        if let Some(written) = Span::new(run.start, run.written) {
            self.hashing.end(written, run.deliverer);
        }
    }
}

/// Bytes that follow one another, from one deliverer.
struct Run {
    start: u64,
    /// Up to here the file has the bytes, and the hashing too.
    written: u64,
    deliverer: u32,
    /// What comes after `written`; shorter than a segment between two calls.
    waiting: Waiting,
}

impl Run {
    fn end(&self) -> u64 {
        self.written + self.waiting.len as u64
    }

    /// Writes what waits; if that fails it is gone.
    fn flush(&mut self, file: &impl DiskFile, hashing: &mut Hashing) -> io::Result<()> {
        let (parts, len) = self.waiting.take();
        if len == 0 {
            return Ok(());
        }
        let mut slices: Vec<_> = parts.iter().map(|part| IoSlice::new(part)).collect();
        file.write_at(self.written, &mut slices)?;
        hashing.feed(self.start, parts);
        self.written += len as u64;
        Ok(())
    }
}

/// Bytes in the parts in which they came; only short ones are copied together, since each part
/// may keep the whole buffer alive that it was received in.
#[derive(Default)]
struct Waiting {
    parts: Vec<Bytes>,
    /// What comes after the parts.
    tail: BytesMut,
    len: usize,
}

impl Waiting {
    fn push(&mut self, bytes: Bytes) {
        self.len += bytes.len();
        if bytes.len() < COPIED {
            return self.tail.extend_from_slice(&bytes);
        }
        self.end_tail();
        self.parts.push(bytes);
    }

    fn take(&mut self) -> (Vec<Bytes>, usize) {
        self.end_tail();
        (std::mem::take(&mut self.parts), std::mem::take(&mut self.len))
    }

    fn end_tail(&mut self) {
        if !self.tail.is_empty() {
            self.parts.push(self.tail.split().freeze());
        }
    }

    /// What follows the first `skip` bytes, up to the end of the part it is in.
    fn part_at(&self, mut skip: usize) -> Option<&[u8]> {
        let parts = self.parts.iter().map(|part| &part[..]).chain([&self.tail[..]]);
        for part in parts {
            match part.get(skip..) {
                Some(rest) if !rest.is_empty() => return Some(rest),
                _ => skip = skip.checked_sub(part.len())?,
            }
        }
        None
    }
}

/// The least that one write carries, but for the ends of runs.
const SEGMENT: usize = 256 << 10;
/// A shorter part is copied.
const COPIED: usize = 16 << 10;
/// How many bytes may wait in all: under 32 MiB with what is being hashed.
const WAITING: usize = 24 << 20;
/// How many runs may be open: more than there are ever lanes.
const RUNS: usize = 1024;
