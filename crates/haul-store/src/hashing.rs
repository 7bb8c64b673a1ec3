//! A thread that hashes what was written while the next bytes are being written.

use crate::piece::Piece;
use bytes::Bytes;
use haul_span::Span;
use std::collections::HashMap;
use std::io;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::{self, JoinHandle};

/// Hands bytes to the thread, and takes from it the pieces that they became. Dropping it waits
/// until the thread has ended.
pub(crate) struct Hashing {
    orders: SyncSender<Vec<Order>>,
    /// Orders that go out together, as each waking of the thread costs as much as many of them.
    gathered: Vec<Order>,
    /// How many bytes they carry.
    bytes: usize,
    pieces: Receiver<Piece>,
    /// Pieces that were ended and not collected yet.
    awaited: usize,
    /// Dropped after the orders, the end of which ends the thread.
    _thread: Joined,
}

/// A thread that does not outlive this.
struct Joined(Option<JoinHandle<()>>);

impl Drop for Joined {
    fn drop(&mut self) {
        // A panic of the thread has been told by then.
        let _ = self.0.take().map(JoinHandle::join);
    }
}

enum Order {
    Bytes { run: u64, parts: Vec<Bytes> },
    End { span: Span, deliverer: u32 },
}

impl Hashing {
    pub(crate) fn start() -> io::Result<Self> {
        let (orders, given) = sync_channel(ORDERS);
        let (done, pieces) = channel();
        let thread = thread::Builder::new().name("haul-hash".into());
        let thread = thread.spawn(move || hash(&given, &done))?;
        let gathered = Vec::new();
        Ok(Self { orders, gathered, bytes: 0, pieces, awaited: 0, _thread: Joined(Some(thread)) })
    }

    /// Hashes what follows in the run that starts at `run`; waits if much is not hashed yet.
    pub(crate) fn feed(&mut self, run: u64, parts: Vec<Bytes>) {
        self.bytes += parts.iter().map(Bytes::len).sum::<usize>();
        self.gathered.push(Order::Bytes { run, parts });
        if self.bytes >= GATHERED {
            self.order();
        }
    }

    /// Makes a piece of all that was fed of the run that starts where `span` does.
    pub(crate) fn end(&mut self, span: Span, deliverer: u32) {
        self.gathered.push(Order::End { span, deliverer });
        self.awaited += 1;
    }

    /// Waits for the pieces that were ended since the last call.
    pub(crate) fn collect(&mut self) -> Vec<Piece> {
        self.order();
        let awaited = std::mem::take(&mut self.awaited);
        (0..awaited).map(|_| self.pieces.recv().expect(OUTLIVES)).collect()
    }

    fn order(&mut self) {
        self.bytes = 0;
        let gathered = std::mem::take(&mut self.gathered);
        if !gathered.is_empty() {
            self.orders.send(gathered).expect(OUTLIVES);
        }
    }
}

fn hash(orders: &Receiver<Vec<Order>>, done: &Sender<Piece>) {
    let mut runs: HashMap<u64, blake3::Hasher> = HashMap::new();
    for order in orders.iter().flatten() {
        match order {
            Order::Bytes { run, parts } => {
                let hasher = runs.entry(run).or_default();
                for part in &parts {
                    hasher.update(part);
                }
            }
            Order::End { span, deliverer } => {
                let hasher = runs.remove(&span.start()).unwrap_or_default();
                let hash = *hasher.finalize().as_bytes();
                // Whoever dropped the store needs no more pieces.
                let _ = done.send(Piece { span, deliverer, hash });
            }
        }
    }
}

/// How many bytes go to the thread at a time.
const GATHERED: usize = 1 << 20;

/// How many times that may wait for it.
const ORDERS: usize = 3;

const OUTLIVES: &str = "the thread ends only when nobody can give it orders any more";
