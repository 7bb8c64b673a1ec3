#![allow(dead_code, reason = "each test file uses its own part of this")]

pub(crate) mod crash_disk;

use haul_store::JobFacts;

/// The facts of a job for a file of `length` bytes.
pub(crate) fn job(length: usize) -> JobFacts {
    JobFacts {
        url: "https://example.org/file.bin".into(),
        length: Some(length as u64),
        validator: Some("\"v1\"".into()),
    }
}

/// Bytes that never repeat, so that none can stand in for another: the same for the same seed.
pub(crate) fn payload(seed: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    let mut reader = blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof();
    reader.fill(&mut bytes);
    bytes
}

/// A small generator: random enough to pick where to crash, and the same on every machine.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// A number below `end`, which is not zero.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16) % end
    }

    /// True once in `times`.
    pub(crate) fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }
}
