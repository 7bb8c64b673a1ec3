//! What a trap's conduct is given: who asks for what, and what the scene holds.

use super::Reply;
use crate::Payload;
use crate::origin::ledger::{Ledger, Seen};
use haul_span::Span;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// One running trap.
#[derive(Debug)]
pub(super) struct Scene {
    /// The file.
    pub(super) payload: Payload,
    /// Another version of it, of the same length.
    pub(super) other: Payload,
    pub(super) address: SocketAddr,
    /// Another origin, which misbehaves alike.
    pub(super) stranger: SocketAddr,
    /// The pace of a connection, in bytes per second.
    pub(super) rate: u64,
    /// How many streams at a time a connection may have in HTTP/2; none if it speaks none.
    pub(super) streams: Option<u32>,
    pub(super) began: Instant,
    pub(super) answer: fn(&Asked, &Self) -> Reply,
    pub(super) ledger: Ledger,
    pub(super) memory: Memory,
}

impl Scene {
    pub(super) const fn size(&self) -> u64 {
        self.payload.len()
    }

    pub(super) fn whole(&self) -> Option<Span> {
        Span::new(0, self.size())
    }

    pub(super) fn since(&self) -> Duration {
        self.began.elapsed()
    }
}

/// What an origin keeps in mind between requests.
#[derive(Debug, Default)]
pub(super) struct Memory {
    requests: AtomicU64,
    parts: AtomicU64,
    refusals: AtomicU64,
    paused_until: AtomicU64,
    blame: Mutex<Option<&'static str>>,
}

impl Memory {
    /// Counts a request; returns how many came before it, and how many of these for later parts.
    pub(super) fn note(&self, is_part: bool) -> (u64, u64) {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        (number, self.parts.fetch_add(is_part.into(), Ordering::Relaxed))
    }

    /// Whether the origin has refused fewer than `most` times; counts one more if so.
    pub(super) fn refuses_yet(&self, most: u64) -> bool {
        let one_more = |told| (told < most).then_some(told + 1);
        self.refusals.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_ok()
    }

    /// Nobody is to ask before this time since the start.
    pub(super) fn pause_until(&self, time: Duration) {
        self.paused_until.store(millis(time), Ordering::Relaxed);
    }

    pub(super) fn is_paused(&self, now: Duration) -> bool {
        millis(now) < self.paused_until.load(Ordering::Relaxed)
    }

    /// Notes what the downloader should not have done.
    pub(super) fn blame(&self, what: &'static str) {
        *self.blame.lock().unwrap_or_else(PoisonError::into_inner) = Some(what);
    }

    pub(super) fn blamed(&self) -> Option<&'static str> {
        *self.blame.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One request.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) seen: Seen,
    /// How many requests came before.
    pub(super) number: u64,
    /// How many requests for later parts came before.
    pub(super) parts_before: u64,
    /// How many connections are open.
    pub(super) open: u64,
    /// Which connection it came over, counted from 0.
    pub(super) connection: u64,
    /// Whether it came to the other origin.
    pub(super) to_stranger: bool,
}

impl Asked {
    pub(super) fn path(&self) -> &str {
        &self.seen.target
    }

    /// The first byte that is asked for and, where it is said, the last one.
    pub(super) fn range(&self) -> Option<(u64, Option<u64>)> {
        let (first, last) = self.seen.header("range")?.strip_prefix("bytes=")?.split_once('-')?;
        Some((first.parse().ok()?, last.parse().ok()))
    }

    /// The part of a file of this size that is asked for, if a part is.
    pub(super) fn part(&self, size: u64) -> Option<Span> {
        let (first, last) = self.range()?;
        Span::new(first, last.map_or(size, |last| last.saturating_add(1).min(size)))
    }

    /// The part, if it is not the file's beginning.
    pub(super) fn later_part(&self, size: u64) -> Option<Span> {
        self.part(size).filter(|span| span.start() > 0)
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
