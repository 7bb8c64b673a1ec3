//! The part file and its journal: bytes go in at any offset and in any order, a crash loses at
//! most what was not yet durable, and the whole file appears under its final name or not at all.
//!
//! A [`Store`] is one job's place on disk. While the job runs its bytes live in `<name>.part`, and
//! `<name>.haul` beside it, the journal, says which of them are durable, what their BLAKE3 is and
//! who delivered them; docs/STORE.md describes the journal byte by byte. The store never learns
//! where bytes come from: whoever delivered them is a `u32` that the caller chose.
//!
//! It is synchronous on purpose. Everything here ends in a system call that blocks on a disk, and
//! what a crash can leave depends on the order of those calls: that order is read off the code
//! where one line follows another, and a test can cut it at every call. An async caller gives the
//! store a thread of its own.
//!
//! ```
//! use haul_store::{JobFacts, Store, Target};
//! use std::time::Duration;
//!
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("greeting");
//! let job = JobFacts { url: "https://example.org/greeting".into(), length: Some(12), validator: None };
//! let mut store = Store::open(Target::new(&path)?, job)?;
//! store.write(6, b"world\n", 1)?;
//! store.write(0, b"hello ", 0)?;
//! store.sync(Duration::ZERO)?;
//! assert_eq!(std::fs::read(store.publish()?)?, b"hello world\n");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod disk;

mod claim;
mod error;
mod hashing;
mod journal;
mod leftovers;
mod open;
mod piece;
mod proof;
mod provenance;
mod publish;
mod read;
mod store;
mod sweep;
mod target;
mod writer;

pub use error::{Error, ErrorKind, WriteError};
pub use journal::{Journaled, decode};
pub use leftovers::{Leftover, leftovers};
pub use open::{Resumed, Version};
pub use store::{Store, Written};
pub use sweep::{sweep, sweep_on};
pub use target::{Clobber, JobFacts, Left, Target};
