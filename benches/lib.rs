//! What the benches of haul's chunk pipeline share.
//!
//! Each bench takes the arguments of criterion; `-- --test` runs everything once and small, so
//! that the benches are known to work.

use std::path::Path;
use std::{env, io};
use tempfile::TempDir;

/// How many bytes a lane fetches before it moves on to another part of the file.
const LEASE: u64 = 4 << 20;

/// A piece of the file as a lane delivers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Which lane, from zero.
    pub lane: u32,
    /// Where it starts in the file, in bytes.
    pub at: u64,
}

/// The pieces of `len` bytes each that make up a file, in the order in which `lanes` lanes of
/// equal speed deliver them: each lane in order within its lease, all lanes in turn.
///
/// The file's size is to be a multiple of `lanes` leases, each a multiple of `len`; a lease is
/// 4 MiB, or less where the file is too small for one per lane.
pub fn pieces(size: u64, len: u64, lanes: u32) -> impl Iterator<Item = Piece> {
    let lease = LEASE.min(size / u64::from(lanes));
    let leases = (0..size).step_by(usize::try_from(lease).unwrap_or(usize::MAX));
    let rounds = leases.step_by(lanes as usize);
    rounds.flat_map(move |round| {
        (0..lease / len).flat_map(move |nth| {
            (0..lanes)
                .map(move |lane| Piece { lane, at: round + u64::from(lane) * lease + nth * len })
        })
    })
}

/// A folder in memory where the machine has one, so that no bench measures a disk.
pub fn scratch() -> io::Result<TempDir> {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }
}

/// Whether everything is to run once only, and small.
pub fn is_smoke() -> bool {
    env::args().any(|argument| argument == "--test")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pieces_of_any_number_of_lanes_cover_the_file_once() {
        for (size, len, lanes) in
            [(16 << 20, 64 << 10, 1), (64 << 20, 16 << 10, 8), (1 << 20, 64 << 10, 16)]
        {
            let mut starts: Vec<u64> = pieces(size, len, lanes).map(|piece| piece.at).collect();
            starts.sort_unstable();
            let all: Vec<u64> = (0..size / len).map(|nth| nth * len).collect();
            assert_eq!(starts, all);
        }
    }
}
