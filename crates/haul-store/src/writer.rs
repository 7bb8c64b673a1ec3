use crate::disk::DiskFile;
use crate::piece::{MIB, Piece};
use haul_span::{Span, SpanSet};
use std::collections::BTreeMap;
use std::io;

/// Gathers bytes into writes of at least [`SEGMENT`] bytes, and the writes into pieces.
///
/// Bytes that follow one another from one deliverer are a run. A run lives until it reaches the
/// raster of [`MIB`] or until everything is flushed, and then becomes one [`Piece`].
#[derive(Default)]
pub(crate) struct Writer {
    /// By start; runs never overlap.
    runs: BTreeMap<u64, Run>,
    /// Empty buffers, to be used again.
    spare: Vec<Vec<u8>>,
    /// Pieces whose bytes are all written to the file.
    written: Vec<Piece>,
}

/// Bytes that the file did not take.
#[derive(Debug)]
pub(crate) struct Lost {
    pub(crate) spans: SpanSet,
    pub(crate) source: io::Error,
}

impl Writer {
    /// Takes bytes in. If the file refuses, none of those lost is held here any more.
    pub(crate) fn append(
        &mut self,
        file: &impl DiskFile,
        at: u64,
        mut bytes: &[u8],
        deliverer: u32,
    ) -> Result<(), Lost> {
        let mut from = at;
        let end = at + bytes.len() as u64;
        while !bytes.is_empty() {
            let room = usize::try_from(MIB - from % MIB).unwrap_or(usize::MAX);
            let (now, rest) = bytes.split_at(room.min(bytes.len()));
            let next = from + now.len() as u64;
            self.append_to_run(file, from, now, deliverer).map_err(|mut lost| {
                lost.spans.extend(Span::new(next, end));
                lost
            })?;
            (from, bytes) = (next, rest);
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

    /// The pieces that were completed since the last call.
    pub(crate) fn take_written(&mut self) -> Vec<Piece> {
        std::mem::take(&mut self.written)
    }

    /// Copies bytes from `at` on that only the memory has; `None` if the file has them.
    pub(crate) fn read(&self, at: u64, into: &mut [u8]) -> Option<usize> {
        let (_, run) = self.runs.range(..=at).next_back()?;
        let waiting = run.buffer.get(usize::try_from(at.checked_sub(run.written)?).ok()?..)?;
        let len = waiting.len().min(into.len());
        into[..len].copy_from_slice(&waiting[..len]);
        (len > 0).then_some(len)
    }

    /// Where, after `at`, bytes begin that only the memory has.
    pub(crate) fn next_waiting(&self, at: u64) -> Option<u64> {
        let waiting = self.runs.range(..).map(|(_, run)| run);
        waiting
            .filter(|run| !run.buffer.is_empty() && run.written > at)
            .map(|run| run.written)
            .min()
    }

    fn append_to_run(
        &mut self,
        file: &impl DiskFile,
        at: u64,
        bytes: &[u8],
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
        if let Err(source) = run.push(file, bytes) {
            return Err(self.give_up(run, end, source));
        }
        if end.is_multiple_of(MIB) {
            return self.finish(file, run);
        }
        self.runs.insert(run.start, run);
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
        if self.runs.len() >= BUFFERS {
            let fullest = self.runs.values().max_by_key(|run| run.buffer.len());
            let fullest = fullest.map(|run| run.start);
            if let Some(run) = fullest.and_then(|start| self.runs.remove(&start)) {
                self.finish(file, run)?;
            }
        }
        Ok(Run::new(at, deliverer, self.spare.pop().unwrap_or_default()))
    }

    fn finish(&mut self, file: &impl DiskFile, mut run: Run) -> Result<(), Lost> {
        if let Err(source) = run.flush(file) {
            let end = run.end();
            return Err(self.give_up(run, end, source));
        }
        self.retire(run);
        Ok(())
    }

    /// Keeps what the file took of a run; the rest, up to `end`, is lost.
    fn give_up(&mut self, run: Run, end: u64, source: io::Error) -> Lost {
        let spans = Span::new(run.written, end).into_iter().collect();
        self.retire(run);
        Lost { spans, source }
    }

    fn retire(&mut self, mut run: Run) {
        self.written.extend(run.piece());
        run.buffer.clear();
        self.spare.push(run.buffer);
    }
}

/// Bytes that follow one another, from one deliverer.
struct Run {
    start: u64,
    /// Up to here the file has the bytes, and `hasher` has seen them.
    written: u64,
    hasher: Box<blake3::Hasher>,
    deliverer: u32,
    /// What comes after `written`; shorter than a segment between two calls.
    buffer: Vec<u8>,
}

impl Run {
    fn new(start: u64, deliverer: u32, mut buffer: Vec<u8>) -> Self {
        buffer.reserve_exact(SEGMENT);
        Self { start, written: start, hasher: Box::default(), deliverer, buffer }
    }

    fn end(&self) -> u64 {
        self.written + self.buffer.len() as u64
    }

    fn push(&mut self, file: &impl DiskFile, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            if self.buffer.is_empty() && bytes.len() >= SEGMENT {
                return self.put(file, bytes);
            }
            let (now, rest) = bytes.split_at(bytes.len().min(SEGMENT - self.buffer.len()));
            self.buffer.extend_from_slice(now);
            if self.buffer.len() == SEGMENT {
                self.flush(file)?;
            }
            bytes = rest;
        }
        Ok(())
    }

    fn flush(&mut self, file: &impl DiskFile) -> io::Result<()> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let done = if buffer.is_empty() { Ok(()) } else { self.put(file, &buffer) };
        if done.is_ok() {
            buffer.clear();
        }
        self.buffer = buffer;
        done
    }

    fn put(&mut self, file: &impl DiskFile, bytes: &[u8]) -> io::Result<()> {
        file.write_at(self.written, bytes)?;
        self.hasher.update(bytes);
        self.written += bytes.len() as u64;
        Ok(())
    }

    /// What the file has of this run.
    fn piece(&self) -> Option<Piece> {
        let span = Span::new(self.start, self.written)?;
        let hash = *self.hasher.finalize().as_bytes();
        Some(Piece { span, deliverer: self.deliverer, hash })
    }
}

/// The least that one write carries, but for the ends of runs.
const SEGMENT: usize = 256 << 10;
/// How many runs can be open at once: 30 MiB of buffers, under 32 MiB with all that goes with them.
const BUFFERS: usize = 120;
