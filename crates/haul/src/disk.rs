//! The thread that owns the store: writes, syncs, digests, publishing.

mod front;

use crate::reader::Grown;
use crate::{Error, ErrorKind, Verified};
use bytes::Bytes;
use front::{DIGEST_STEP, Front};
use haul_fetch::Digest;
use haul_fetch::ways::Pieces;
use haul_span::{Span, SpanSet};
use haul_store::{Store, WriteError};
use ring::digest::{Context, SHA256};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};

/// Pieces that may wait for the disk: 8 MiB of them.
const QUEUE: usize = 128;

/// What the job wants of its disk.
enum Command {
    Write { worker: u32, offset: u64, bytes: Bytes },
    Sync { now: Duration },
    SetLength(u64),
    Expect(Digest),
    Verify(oneshot::Sender<Result<Verdict, Error>>),
    ForgetAllBut { worker: u32, reply: oneshot::Sender<Result<SpanSet, Error>> },
    Forget { spans: SpanSet, reply: oneshot::Sender<Result<SpanSet, Error>> },
    Compare { span: Span, bytes: Vec<u8>, reply: oneshot::Sender<Result<Comparison, Error>> },
    Digests { spans: Vec<Span>, reply: oneshot::Sender<Result<Vec<[u8; 32]>, Error>> },
    ForgetWrong { pieces: Pieces, reply: oneshot::Sender<Result<SpanSet, Error>> },
    Publish(oneshot::Sender<Result<PathBuf, Error>>),
    Discard { is_right: bool, reply: oneshot::Sender<Result<(), Error>> },
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

/// What is stored, beside what it is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    Different,
    /// Not all of it is stored.
    Absent,
}

/// The job's end of the disk thread.
pub(crate) struct Disk {
    commands: mpsc::Sender<Command>,
    knows_digest: AtomicBool,
}

impl Disk {
    /// Hands the store to a thread of its own. Every `expected` digest will be checked, and `grown`
    /// told what can be read.
    pub(crate) fn start(
        store: Store,
        expected: Vec<Digest>,
        grown: watch::Sender<Grown>,
    ) -> Result<(Self, mpsc::UnboundedReceiver<Stored>), Error> {
        let (commands, orders) = mpsc::channel(QUEUE);
        let (news, stored) = mpsc::unbounded_channel();
        let file = Arc::new(store.part_handle()?);
        let knows_digest = AtomicBool::new(!expected.is_empty());
        grown.send_modify(|grown| grown.file = Some(file));
        let writer = Writer { store, front: Front::new(expected), news, grown, trouble: None };
        thread::Builder::new().name("haul-disk".into()).spawn(move || writer.run(orders)).map_err(
            |error| Error::new(ErrorKind::Other, "the file could not be saved", error.to_string()),
        )?;
        Ok((Self { commands, knows_digest }, stored))
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

    /// Whether somebody states what the digest of the file is.
    pub(crate) fn knows_digest(&self) -> bool {
        self.knows_digest.load(Ordering::Relaxed)
    }

    /// Checks the file against this digest too.
    pub(crate) async fn expect(&self, digest: Digest) {
        self.knows_digest.store(true, Ordering::Relaxed);
        self.tell(Command::Expect(digest)).await;
    }

    /// Checks the whole file against what is expected of it.
    pub(crate) async fn verify(&self) -> Result<Verdict, Error> {
        self.ask(Command::Verify).await
    }

    /// Forgets what everybody but this worker delivered; returns what that was.
    pub(crate) async fn forget_all_but(&self, worker: u32) -> Result<SpanSet, Error> {
        self.ask(|reply| Command::ForgetAllBut { worker, reply }).await
    }

    /// Forgets these bytes, whoever delivered them.
    pub(crate) async fn forget(&self, spans: SpanSet) -> Result<SpanSet, Error> {
        self.ask(|reply| Command::Forget { spans, reply }).await
    }

    /// Compares what is stored of `span` with these `bytes`.
    pub(crate) async fn compare(&self, span: Span, bytes: Vec<u8>) -> Result<Comparison, Error> {
        self.ask(|reply| Command::Compare { span, bytes, reply }).await
    }

    /// The SHA-256 of each of `spans`, as far as they are stored.
    pub(crate) async fn digests(&self, spans: Vec<Span>) -> Result<Vec<[u8; 32]>, Error> {
        self.ask(|reply| Command::Digests { spans, reply }).await
    }

    /// Forgets the pieces whose digest is another than it must be; returns what they were.
    pub(crate) async fn forget_wrong(&self, pieces: Pieces) -> Result<SpanSet, Error> {
        self.ask(|reply| Command::ForgetWrong { pieces, reply }).await
    }

    /// Gives the file its final name.
    pub(crate) async fn publish(self) -> Result<PathBuf, Error> {
        self.ask(Command::Publish).await
    }

    /// Gives the file no name: it is for those alone who are reading it.
    pub(crate) async fn hand_over(self) -> Result<(), Error> {
        self.ask(|reply| Command::Discard { is_right: true, reply }).await
    }

    /// Takes away what was stored; whoever is reading it learns that it ended early.
    pub(crate) async fn discard(self) -> Result<(), Error> {
        self.ask(|reply| Command::Discard { is_right: false, reply }).await
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
    grown: watch::Sender<Grown>,
    /// What went wrong first. From then on nothing more is stored, and every answer says why.
    trouble: Option<Error>,
}

impl Writer {
    fn run(mut self, mut orders: mpsc::Receiver<Command>) {
        while let Some(command) = self.next(&mut orders) {
            let done = match command {
                Command::Write { .. } | Command::Sync { .. } | Command::SetLength(_)
                    if self.trouble.is_some() =>
                {
                    Ok(())
                }
                Command::Write { worker, offset, bytes } => self.write(worker, offset, bytes),
                Command::Sync { now } => self.sync(now),
                Command::SetLength(length) => self.store.set_length(length).map_err(Error::from),
                Command::Expect(digest) => {
                    self.front.expect(digest);
                    Ok(())
                }
                Command::Verify(reply) => answer(reply, self.sound().and_then(|()| self.verify())),
                Command::ForgetAllBut { worker, reply } => {
                    answer(reply, self.sound().and_then(|()| self.forget_all_but(worker)))
                }
                Command::Forget { spans, reply } => {
                    answer(reply, self.sound().and_then(|()| self.forget_spans(spans)))
                }
                Command::Compare { span, bytes, reply } => {
                    answer(reply, self.sound().and_then(|()| self.compare(span, &bytes)))
                }
                Command::Digests { spans, reply } => {
                    let digest = |span: &Span| self.sha256(span.start(), span.len());
                    answer(reply, spans.iter().map(digest).collect())
                }
                Command::ForgetWrong { pieces, reply } => {
                    answer(reply, self.sound().and_then(|()| self.forget_wrong(&pieces)))
                }
                Command::Publish(reply) => {
                    return drop(reply.send(self.sound().and_then(|()| self.publish())));
                }
                Command::Discard { is_right, reply } => {
                    return drop(reply.send(self.discard(is_right)));
                }
                Command::Keep(reply) => {
                    return drop(reply.send(self.store.keep().map_err(Error::from)));
                }
            };
            self.tell_grown();
            let done = done.and_then(|()| self.front.keep_up(&self.store));
            done.unwrap_or_else(|error| self.fail(error));
        }
    }

    fn sound(&self) -> Result<(), Error> {
        self.trouble.clone().map_or(Ok(()), Err)
    }

    fn fail(&mut self, error: Error) {
        self.trouble.get_or_insert_with(|| error.clone());
        self.tell(Stored::Broken(error));
    }

    /// The next command; until it comes, what is stored is digested.
    fn next(&mut self, orders: &mut mpsc::Receiver<Command>) -> Option<Command> {
        loop {
            match orders.try_recv() {
                Ok(command) => return Some(command),
                Err(mpsc::error::TryRecvError::Disconnected) => return None,
                Err(mpsc::error::TryRecvError::Empty) => {}
            }
            match self.front.step(&self.store) {
                Ok(0) => return orders.blocking_recv(),
                Ok(_) => {}
                Err(error) => {
                    self.fail(error);
                    return orders.blocking_recv();
                }
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
        while self.front.step(&self.store)? > 0 {}
        Ok(self.front.verdict())
    }

    fn publish(self) -> Result<PathBuf, Error> {
        let length = self.store.job().length;
        let path = self.store.publish()?;
        self.grown.send_modify(|grown| grown.end_at(length));
        Ok(path)
    }

    fn discard(mut self, is_right: bool) -> Result<(), Error> {
        if is_right {
            self.sound()?;
            self.store.flush().map_err(of_write)?;
            let length = self.store.job().length;
            self.grown.send_modify(|grown| grown.end_at(length));
        }
        Ok(self.store.discard()?)
    }

    fn compare(&self, span: Span, bytes: &[u8]) -> Result<Comparison, Error> {
        let mut stored = vec![0; bytes.len()];
        let read = self.store.read_at(span.start(), &mut stored)?;
        Ok(match read == bytes.len() {
            false => Comparison::Absent,
            true if stored == bytes => Comparison::Equal,
            true => Comparison::Different,
        })
    }

    fn forget_all_but(&mut self, worker: u32) -> Result<SpanSet, Error> {
        let whole = Span::new(0, u64::MAX).into_iter();
        let others = whole
            .flat_map(|whole| self.store.deliverers(whole))
            .filter(|&(_, deliverer)| deliverer != worker);
        let spans: SpanSet = others.map(|(span, _)| span).collect();
        self.forget_spans(spans)
    }

    fn forget_wrong(&mut self, pieces: &Pieces) -> Result<SpanSet, Error> {
        let mut wrong = SpanSet::new();
        for (number, expected) in (0..).zip(&pieces.digests) {
            let at = pieces.length.saturating_mul(number);
            if self.sha256(at, pieces.length)? != *expected {
                let end = at.saturating_add(pieces.length);
                let stored = Span::new(at, end).into_iter();
                for span in stored.flat_map(|piece| self.store.stored().parts(piece)) {
                    wrong.insert(span);
                }
            }
        }
        self.forget_spans(wrong)
    }

    /// The digest of what is stored from `at` on, up to `length` bytes of it.
    fn sha256(&self, at: u64, length: u64) -> Result<[u8; 32], Error> {
        let mut digest = Context::new(&SHA256);
        let mut step = vec![0; DIGEST_STEP];
        let mut done = 0;
        while done < length {
            let room =
                usize::try_from(length - done).map_or(DIGEST_STEP, |left| left.min(DIGEST_STEP));
            let read = self.store.read_at(at + done, &mut step[..room])?;
            if read == 0 {
                break;
            }
            digest.update(&step[..read]);
            done += read as u64;
        }
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(digest.finish().as_ref());
        Ok(sha256)
    }

    fn forget_spans(&mut self, spans: SpanSet) -> Result<SpanSet, Error> {
        for span in spans.iter() {
            self.store.forget(span)?;
        }
        self.front.restart();
        if let Some(first) = spans.first() {
            self.grown.send_modify(|grown| grown.void_from(first.start()));
        }
        Ok(spans)
    }

    fn tell_grown(&self) {
        let bytes = self.store.front();
        self.grown.send_if_modified(|grown| std::mem::replace(&mut grown.bytes, bytes) != bytes);
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
