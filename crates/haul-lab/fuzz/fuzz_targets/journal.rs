//! Whatever a journal holds, reading it and going on with its job neither panics nor allocates
//! more than 1 MiB at once, and claims no byte that the part does not have.
//!
//! The first byte of the input says what the rest is: a journal as it stands, or payloads to be
//! wrapped in frames whose checks are right, since no fuzzer finds a BLAKE3 by itself.

#![no_main]

use haul_span::SpanSet;
use haul_store::disk::{Disk, DiskFile, Entry, Readers, Reserved};
use haul_store::{JobFacts, Left, Store, Target, decode};
use libfuzzer_sys::fuzz_target;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::{self, IoSlice};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};

const MOST_AT_ONCE: usize = 1 << 20;
const PART_LEN: usize = 4096;
/// So that the disk in memory can append to a journal without an allocation that counts.
const LONGEST_JOURNAL: usize = 400 << 10;

fuzz_target!(|input: &[u8]| {
    let Some((&how, rest)) = input.split_first() else { return };
    let mut journal = if how & 1 == 0 { rest.to_vec() } else { framed(rest) };
    journal.truncate(LONGEST_JOURNAL);
    LARGEST.store(0, Ordering::Relaxed);
    let told = decode(&journal);
    let stored = reopened(journal.clone(), how & 2 != 0);
    let largest = LARGEST.load(Ordering::Relaxed);
    assert!(largest <= MOST_AT_ONCE, "{largest} bytes were allocated at once");
    let claimed = told.as_ref().map(|told| told.claimed.clone()).unwrap_or_default();
    for span in stored.iter() {
        assert!(claimed.contains(span), "{span:?} was not claimed");
        assert!(span.end() <= PART_LEN as u64, "{span:?} is beyond the part");
    }
    if let Some(told) = told {
        let sound = usize::try_from(told.sound).expect("it is within the journal");
        assert_eq!(decode(&journal[..sound]), Some(told));
    }
});

/// Frames of whatever kind and payload the input says, chained and checked as the store does it.
fn framed(mut input: &[u8]) -> Vec<u8> {
    let mut journal = b"haul.jrn\x01\0\0\0\0\0\0\0".to_vec();
    let mut chain = *blake3::hash(&journal).as_bytes();
    while let Some((&[kind, repeat, len], rest)) = input.split_first_chunk::<3>() {
        let (given, rest) = rest.split_at(rest.len().min(len.into()));
        let payload = payload(kind, given, repeat.into());
        let payload_len = u32::try_from(payload.len()).expect("a few KiB");
        let start = [u32::from(kind % 5).to_le_bytes(), payload_len.to_le_bytes()];
        let mut hasher = blake3::Hasher::new();
        hasher.update(&chain).update(start.as_flattened()).update(&payload);
        chain = *hasher.finalize().as_bytes();
        journal.extend_from_slice(start.as_flattened());
        journal.extend(payload);
        journal.extend(chain);
        input = rest;
    }
    journal
}

/// The bytes as given; with the highest bit of `kind`, pieces that the part really has.
fn payload(kind: u8, given: &[u8], repeat: usize) -> Vec<u8> {
    if kind & 0x80 == 0 {
        return given.repeat(1 + repeat);
    }
    let part = part();
    let piece = |at: &[u8; 4]| {
        let (start, len) = (u16::from_le_bytes([at[0], at[1]]), u16::from_le_bytes([at[2], at[3]]));
        let bytes = part.iter().skip(start.into()).take(len.into());
        let hash = blake3::hash(&bytes.copied().collect::<Vec<_>>());
        let head = [u64::from(start).to_le_bytes(), u64::from(len).to_le_bytes()];
        [head.as_flattened(), hash.as_bytes()].concat()
    };
    given.as_chunks::<4>().0.iter().flat_map(piece).collect()
}

fn part() -> Vec<u8> {
    (0..PART_LEN).map(|at| (at * 31 % 251) as u8).collect()
}

/// What a store holds that goes on with the part and this journal.
fn reopened(journal: Vec<u8>, knows_length: bool) -> SpanSet {
    let disk = Memory::default();
    disk.put("file.part", part());
    disk.put("file.haul", journal);
    let job = JobFacts { length: knows_length.then_some(PART_LEN as u64), ..JobFacts::default() };
    let target = Target::new("file").expect("a plain name").left(Left::Continue);
    Store::open_on(disk, target, job).map_or_else(|_| SpanSet::new(), |store| store.stored().clone())
}

type Contents = Rc<RefCell<Vec<u8>>>;

/// A folder in memory, with room for a gibibyte of holes.
#[derive(Clone, Default)]
struct Memory(Rc<RefCell<BTreeMap<OsString, MemoryFile>>>);

#[derive(Clone, Default)]
struct MemoryFile(Contents);

impl Memory {
    fn put(&self, name: &str, bytes: Vec<u8>) {
        let file = MemoryFile(Rc::new(RefCell::new(bytes)));
        self.0.borrow_mut().insert(name.into(), file);
    }
}

impl Disk for Memory {
    type File = MemoryFile;

    fn create(&self, name: &OsStr, _: Readers) -> io::Result<MemoryFile> {
        let file = MemoryFile::default();
        self.0.borrow_mut().insert(name.to_owned(), file.clone());
        Ok(file)
    }

    fn open(&self, name: &OsStr) -> io::Result<MemoryFile> {
        self.0.borrow().get(name).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn look(&self, name: &OsStr) -> io::Result<Option<Entry>> {
        Ok(self.0.borrow().get(name).map(|_| Entry::Plain))
    }

    fn leads_to(&self, name: &OsStr, file: &MemoryFile) -> io::Result<bool> {
        Ok(self.0.borrow().get(name).is_some_and(|named| Rc::ptr_eq(&named.0, &file.0)))
    }

    fn rename_new(&self, _: &OsStr, _: &OsStr) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn rename_over(&self, _: &OsStr, _: &OsStr) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn remove(&self, name: &OsStr) -> io::Result<()> {
        self.0.borrow_mut().remove(name);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn free(&self) -> io::Result<u64> {
        Ok(1 << 30)
    }
}

impl DiskFile for MemoryFile {
    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<usize> {
        let bytes = self.0.borrow();
        let rest = usize::try_from(at).ok().and_then(|at| bytes.get(at..)).unwrap_or_default();
        let len = rest.len().min(into.len());
        into[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }

    fn write_at(&self, at: u64, parts: &mut [IoSlice<'_>]) -> io::Result<()> {
        let parts: Vec<&[u8]> = parts.iter().map(|part| &part[..]).collect();
        let bytes = parts.concat();
        let at = usize::try_from(at).map_err(io::Error::other)?;
        let mut held = self.0.borrow_mut();
        let end = held.len().max(at + bytes.len());
        held.resize(end, 0);
        held[at..at + bytes.len()].copy_from_slice(&bytes);
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.borrow().len() as u64)
    }

    fn allocated(&self) -> io::Result<u64> {
        self.len()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let len = usize::try_from(len).map_err(io::Error::other)?;
        self.0.borrow_mut().truncate(len);
        Ok(())
    }

    fn reserve(&self, _: u64) -> io::Result<Reserved> {
        Ok(Reserved::Sparse)
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn is_locked(&self) -> io::Result<bool> {
        Ok(false)
    }

    fn try_lock(&self) -> io::Result<bool> {
        Ok(true)
    }
}

/// The largest allocation since it was last set to zero, in bytes.
static LARGEST: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
static ALLOCATOR: Watched = Watched;

struct Watched;

// SAFETY: every call is passed on as it is to the system's allocator.
unsafe impl GlobalAlloc for Watched {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LARGEST.fetch_max(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `GlobalAlloc::alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `GlobalAlloc::dealloc`.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        LARGEST.fetch_max(size, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `GlobalAlloc::realloc`.
        unsafe { System.realloc(at, layout, size) }
    }
}
