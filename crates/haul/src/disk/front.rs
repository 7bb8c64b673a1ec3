//! What the digest of a file is computed from while the file grows.

use super::Verdict;
use crate::{Error, Verified};
use haul_fetch::Digest;
use haul_store::Store;
use ring::digest::{Context, SHA256, SHA512};

/// How much is digested at a time.
pub(super) const DIGEST_STEP: usize = 1 << 20;

/// How much may wait to be digested while there is something to write.
const MOST_BEHIND: u64 = 32 << 20;

/// The digests of the file, computed along its contiguous front while it grows.
pub(super) struct Front {
    expected: Vec<Digest>,
    at: u64,
    sha256: Option<Context>,
    sha512: Option<Context>,
    buffer: Vec<u8>,
}

impl Front {
    pub(super) fn new(expected: Vec<Digest>) -> Self {
        let is256 = |digest: &Digest| matches!(digest, Digest::Sha256(_));
        let sha256 = expected.iter().any(is256).then(|| Context::new(&SHA256));
        let sha512 = (!expected.iter().all(is256)).then(|| Context::new(&SHA512));
        let buffer = if expected.is_empty() { Vec::new() } else { vec![0; DIGEST_STEP] };
        Self { expected, at: 0, sha256, sha512, buffer }
    }

    /// Digests from the start on for one digest more.
    pub(super) fn expect(&mut self, digest: Digest) {
        self.expected.push(digest);
        self.restart();
    }

    pub(super) fn restart(&mut self) {
        *self = Self::new(std::mem::take(&mut self.expected));
    }

    /// Digests a step if much is waiting for it, however busy the disk is: what is left for the end
    /// of the download would delay it.
    pub(super) fn keep_up(&mut self, store: &Store) -> Result<(), Error> {
        if !self.expected.is_empty() && store.stored().run_from(self.at) > MOST_BEHIND {
            self.step(store)?;
        }
        Ok(())
    }

    /// Digests what is stored behind the front, but not much at a time; returns how many bytes.
    /// Without an expected digest there is nothing to do.
    pub(super) fn step(&mut self, store: &Store) -> Result<usize, Error> {
        if self.expected.is_empty() {
            return Ok(0);
        }
        let read = store.read_at(self.at, &mut self.buffer)?;
        let bytes = &self.buffer[..read];
        self.sha256.iter_mut().for_each(|sha256| sha256.update(bytes));
        self.sha512.iter_mut().for_each(|sha512| sha512.update(bytes));
        self.at += read as u64;
        Ok(read)
    }

    pub(super) fn verdict(&self) -> Verdict {
        let sha256 = self.sha256.clone().map(Context::finish);
        let sha512 = self.sha512.clone().map(Context::finish);
        let right = |digest: &Digest| match digest {
            Digest::Sha256(expected) => sha256.is_some_and(|is| is.as_ref() == expected),
            Digest::Sha512(expected) => sha512.is_some_and(|is| is.as_ref() == expected),
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
