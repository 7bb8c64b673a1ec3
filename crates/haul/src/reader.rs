//! Reading a file while it grows: its contiguous front, in order.

use crate::{Error, ErrorKind};
use bytes::Bytes;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::sync::watch;

/// The bytes of a job's file in order, as soon as everything before them is there.
///
/// It ends where the file ends. It fails if the job does, whose own error says why.
///
/// Bytes are handed out before the whole file was checked against its digest, since that cannot be
/// done earlier: until the job has ended well they are as good as their origin and those who helped.
/// If the check finds some of them wrong, the reader fails and the job repairs its file or fails.
///
/// A reader holds at most 256 KiB in memory, however slow it is read; what it has not read yet is
/// on the disk.
pub struct Reader {
    grown: watch::Receiver<Grown>,
    at: u64,
    /// How often bytes had been found wrong when it was looked last.
    repairs: u64,
    ready: Bytes,
    reading: Option<Reading>,
}

type Reading = Pin<Box<dyn Future<Output = io::Result<Bytes>> + Send + Sync>>;

/// How far a job's file has grown.
#[derive(Clone, Debug, Default)]
pub(crate) struct Grown {
    /// Where its bytes can be read, once there is such a file.
    pub(crate) file: Option<Arc<File>>,
    /// Bytes from the start on that can be read.
    pub(crate) bytes: u64,
    /// Nothing follows them.
    pub(crate) is_whole: bool,
    /// How often bytes were found wrong, and the lowest of them.
    pub(crate) repairs: u64,
    pub(crate) wrong_from: u64,
}

impl Grown {
    /// The file is whole.
    pub(crate) fn end_at(&mut self, length: Option<u64>) {
        self.bytes = length.unwrap_or(self.bytes);
        self.is_whole = true;
    }

    /// Bytes from here on were found wrong, and are fetched again.
    pub(crate) fn void_from(&mut self, start: u64) {
        self.wrong_from = if self.repairs == 0 { start } else { start.min(self.wrong_from) };
        self.repairs += 1;
    }
}

impl Reader {
    pub(crate) fn new(grown: watch::Receiver<Grown>) -> Self {
        Self { grown, at: 0, repairs: 0, ready: Bytes::new(), reading: None }
    }

    /// Whether what was handed out is still what the file holds.
    fn is_right(&mut self) -> bool {
        let grown = self.grown.borrow();
        let repaired = std::mem::replace(&mut self.repairs, grown.repairs) != grown.repairs;
        !(repaired && self.at > grown.wrong_from)
    }
}

impl AsyncRead for Reader {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.is_right() {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, spoiled())));
        }
        if this.ready.is_empty() {
            let (grown, at) = (&this.grown, this.at);
            let reading = this.reading.get_or_insert_with(|| Box::pin(read_on(grown.clone(), at)));
            let read = ready!(reading.as_mut().poll(context));
            this.reading = None;
            this.ready = read?;
        }
        let piece = this.ready.split_to(this.ready.len().min(into.remaining()));
        this.at += piece.len() as u64;
        into.put_slice(&piece);
        Poll::Ready(Ok(()))
    }
}

/// What follows `at`, as soon as there is something; nothing at the end of the file.
async fn read_on(mut grown: watch::Receiver<Grown>, at: u64) -> io::Result<Bytes> {
    let more = grown.wait_for(|grown| grown.bytes > at || grown.is_whole).await;
    let more = more.map_err(|_| io::Error::new(io::ErrorKind::UnexpectedEof, ended()))?.clone();
    let (Some(file), left @ 1..) = (more.file, more.bytes.saturating_sub(at)) else {
        return Ok(Bytes::new());
    };
    let len = usize::try_from(left).map_or(AT_ONCE, |left| left.min(AT_ONCE));
    let read = tokio::task::spawn_blocking(move || {
        let mut bytes = vec![0; len];
        file.read_exact_at(&mut bytes, at).map(|()| Bytes::from(bytes))
    });
    read.await.unwrap_or_else(|error| Err(io::Error::other(error)))
}

fn ended() -> Error {
    Error::new(ErrorKind::Other, "the file cannot be read to its end", "its download ended early")
}

fn spoiled() -> Error {
    let because = "bytes that were handed out failed their check";
    Error::new(ErrorKind::Spoiled, "the file cannot be read on", because)
}

const AT_ONCE: usize = 256 << 10;
