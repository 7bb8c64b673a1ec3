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
    orders: SyncSender<Order>,
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
        Ok(Self { orders, pieces, awaited: 0, _thread: Joined(Some(thread)) })
    }

    /// Hashes what follows in the run that starts at `run`; waits if much is not hashed yet.
    pub(crate) fn feed(&self, run: u64, parts: Vec<Bytes>) {
        self.order(Order::Bytes { run, parts });
    }

    /// Makes a piece of all that was fed of the run that starts where `span` does.
    pub(crate) fn end(&mut self, span: Span, deliverer: u32) {
        self.order(Order::End { span, deliverer });
        self.awaited += 1;
    }

    /// Waits for the pieces that were ended since the last call.
    pub(crate) fn collect(&mut self) -> Vec<Piece> {
        let awaited = std::mem::take(&mut self.awaited);
        (0..awaited).map(|_| self.pieces.recv().expect(OUTLIVES)).collect()
    }

    fn order(&self, order: Order) {
        self.orders.send(order).expect(OUTLIVES);
    }
}

fn hash(orders: &Receiver<Order>, done: &Sender<Piece>) {
    let mut runs: HashMap<u64, blake3::Hasher> = HashMap::new();
    while let Ok(order) = orders.recv() {
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

/// How many orders may wait, each of at most about 1 MiB and mostly of a quarter of that.
const ORDERS: usize = 6;

const OUTLIVES: &str = "the thread ends only when nobody can give it orders any more";
