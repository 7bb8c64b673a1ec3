//! The thread that owns the store: writes, syncs, digests, publishing.

use crate::{Error, ErrorKind, Verified};
use bytes::Bytes;
use haul_fetch::Digest;
use haul_span::{Span, SpanSet};
use haul_store::{Store, WriteError};
use sha2::{Digest as _, Sha256, Sha512};
use std::path::PathBuf;
use std::thread;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Pieces that may wait for the disk: 8 MiB of them.
const QUEUE: usize = 128;

/// How much is digested at a time.
const DIGEST_STEP: usize = 1 << 20;

/// What the job wants of its disk.
enum Command {
    Write { worker: u32, offset: u64, bytes: Bytes },
    Sync { now: Duration },
    SetLength(u64),
    Verify(oneshot::Sender<Result<Verdict, Error>>),
    Forget { workers_but: u32, reply: oneshot::Sender<Result<SpanSet, Error>> },
    Publish(oneshot::Sender<Result<PathBuf, Error>>),
    Keep(oneshot::Sender<Result<(), Error>>),
}

/// What the disk has done.
#[derive(Debug)]
pub(crate) enum Stored {
    /// Bytes of this worker were taken in.
    Written { worker: u32, bytes: u64 },
    /// So many bytes survive a power cut.
    Durable(u64),
    /// Nothing more can be stored.
    Broken(Error),
}

/// What a check of the whole file showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Right(Verified),
    Wrong,
}

/// The job's end of the disk thread.
pub(crate) struct Disk {
    commands: mpsc::Sender<Command>,
}

impl Disk {
    /// Hands the store to a thread of its own. Every `expected` digest will be checked.
    pub(crate) fn start(
        store: Store,
        expected: Vec<Digest>,
    ) -> Result<(Self, mpsc::UnboundedReceiver<Stored>), Error> {
        let (commands, orders) = mpsc::channel(QUEUE);
        let (news, stored) = mpsc::unbounded_channel();
        thread::Builder::new()
            .name("haul-disk".into())
            .spawn(move || Writer { store, front: Front::new(expected), news }.run(orders))
            .map_err(|error| {
                Error::new(ErrorKind::Other, "the file could not be saved", error.to_string())
            })?;
        Ok((Self { commands }, stored))
    }

    pub(crate) async fn write(&self, worker: u32, offset: u64, bytes: Bytes) {
        self.tell(Command::Write { worker, offset, bytes }).await;
    }

    pub(crate) async fn sync(&self, now: Duration) {
        self.tell(Command::Sync { now }).await;
    }

    pub(crate) async fn set_length(&self, length: u64) {
        self.tell(Command::SetLength(length)).await;
    }

    /// Checks the whole file against what is expected of it.
    pub(crate) async fn verify(&self) -> Result<Verdict, Error> {
        self.ask(Command::Verify).await
    }

    /// Forgets what everybody but this worker delivered; returns what that was.
    pub(crate) async fn forget_all_but(&self, worker: u32) -> Result<SpanSet, Error> {
        self.ask(|reply| Command::Forget { workers_but: worker, reply }).await
    }

    /// Gives the file its final name.
    pub(crate) async fn publish(self) -> Result<PathBuf, Error> {
        self.ask(Command::Publish).await
    }

    /// Makes everything durable and leaves it for a later run.
    pub(crate) async fn keep(self) -> Result<(), Error> {
        self.ask(Command::Keep).await
    }

    /// A thread that has ended has said why.
    async fn tell(&self, command: Command) {
        let _ = self.commands.send(command).await;
    }

    async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<T, Error>>) -> Command,
    ) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        self.tell(command(reply)).await;
        answer.await.unwrap_or_else(|_| Err(gone()))
    }
}

fn gone() -> Error {
    Error::new(ErrorKind::Other, "the file could not be saved", "the thread that writes it ended")
}

struct Writer {
    store: Store,
    front: Front,
    news: mpsc::UnboundedSender<Stored>,
}

impl Writer {
    fn run(mut self, mut orders: mpsc::Receiver<Command>) {
        while let Some(command) = orders.blocking_recv() {
            let done = match command {
                Command::Write { worker, offset, bytes } => self.write(worker, offset, bytes),
                Command::Sync { now } => self.sync(now),
                Command::SetLength(length) => self.store.set_length(length).map_err(Error::from),
                Command::Verify(reply) => answer(reply, self.verify()),
                Command::Forget { workers_but, reply } => answer(reply, self.forget(workers_but)),
                Command::Publish(reply) => {
                    return drop(reply.send(self.store.publish().map_err(Error::from)));
                }
                Command::Keep(reply) => {
                    return drop(reply.send(self.store.keep().map_err(Error::from)));
                }
            };
            let done = done.and_then(|()| {
                if orders.is_empty() { self.front.advance(&self.store) } else { Ok(()) }
            });
            if let Err(error) = done {
                self.tell(Stored::Broken(error));
            }
        }
    }

    fn write(&mut self, worker: u32, offset: u64, bytes: Bytes) -> Result<(), Error> {
        let len = bytes.len() as u64;
        self.store.write_shared(offset, bytes, worker).map_err(of_write)?;
        self.tell(Stored::Written { worker, bytes: len });
        Ok(())
    }

    fn sync(&mut self, now: Duration) -> Result<(), Error> {
        if self.store.due(now) {
            self.store.sync(now).map_err(of_write)?;
        }
        self.tell(Stored::Durable(self.store.durable().bytes()));
        Ok(())
    }

    fn verify(&mut self) -> Result<Verdict, Error> {
        self.front.advance(&self.store)?;
        Ok(self.front.verdict())
    }

    fn forget(&mut self, workers_but: u32) -> Result<SpanSet, Error> {
        let whole = Span::new(0, u64::MAX).into_iter();
        let others = whole
            .flat_map(|whole| self.store.deliverers(whole))
            .filter(|&(_, worker)| worker != workers_but);
        let spans: SpanSet = others.map(|(span, _)| span).collect();
        for span in spans.iter() {
            self.store.forget(span)?;
        }
        self.front.restart();
        Ok(spans)
    }

    /// A job that has ended needs no news.
    fn tell(&self, news: Stored) {
        let _ = self.news.send(news);
    }
}

/// The asker may be gone; the work is done all the same.
#[expect(clippy::unnecessary_wraps, reason = "every command ends with a result")]
fn answer<T>(
    reply: oneshot::Sender<Result<T, Error>>,
    result: Result<T, Error>,
) -> Result<(), Error> {
    let _ = reply.send(result);
    Ok(())
}

fn of_write(error: WriteError) -> Error {
    haul_store::Error::from(error).into()
}

/// The digests of the file, computed along its contiguous front while it grows.
struct Front {
    expected: Vec<Digest>,
    at: u64,
    sha256: Sha256,
    sha512: Sha512,
}

impl Front {
    fn new(expected: Vec<Digest>) -> Self {
        Self { expected, at: 0, sha256: Sha256::new(), sha512: Sha512::new() }
    }

    fn restart(&mut self) {
        *self = Self::new(std::mem::take(&mut self.expected));
    }

    /// Digests what is stored behind the front. Without an expected digest there is nothing to do.
    fn advance(&mut self, store: &Store) -> Result<(), Error> {
        let is256 = |digest: &Digest| matches!(digest, Digest::Sha256(_));
        let wants256 = self.expected.iter().any(is256);
        let wants512 = !self.expected.iter().all(is256);
        let mut step = if wants256 || wants512 { vec![0; DIGEST_STEP] } else { return Ok(()) };
        loop {
            let read = store.read_at(self.at, &mut step)?;
            if read == 0 {
                return Ok(());
            }
            if wants256 {
                self.sha256.update(&step[..read]);
            }
            if wants512 {
                self.sha512.update(&step[..read]);
            }
            self.at += read as u64;
        }
    }

    fn verdict(&self) -> Verdict {
        let (sha256, sha512) = (self.sha256.clone().finalize(), self.sha512.clone().finalize());
        let right = |digest: &Digest| match digest {
            Digest::Sha256(expected) => sha256[..] == expected[..],
            Digest::Sha512(expected) => sha512[..] == expected[..],
        };
        let strongest = |digest: &Digest| match digest {
            Digest::Sha256(_) => Verified::Sha256,
            Digest::Sha512(_) => Verified::Sha512,
        };
        if self.expected.iter().all(right) {
            Verdict::Right(self.expected.first().map_or(Verified::Unverified, strongest))
        } else {
            Verdict::Wrong
        }
    }
}
