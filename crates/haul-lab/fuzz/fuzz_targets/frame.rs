//! No bytes break the reader of frames or make it ask for more than 128 KiB at a time, however they
//! are cut; and every frame that was read is written and read again as the same.
//!
//! The first byte chooses what the sender may send, the second where the bytes are cut.
#![no_main]

use bytes::{BufMut, BytesMut};
use haul_wire::{Frame, Limit};
use libfuzzer_sys::fuzz_target;
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

/// The most that may be asked for at a time.
const MOST: usize = 128 << 10;

#[global_allocator]
static LARGEST: Largest = Largest(AtomicUsize::new(0));

/// Remembers the largest request.
struct Largest(AtomicUsize);

// SAFETY: every call is passed on as it came.
unsafe impl GlobalAlloc for Largest {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.0.fetch_max(layout.size(), Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        self.0.fetch_max(size, Ordering::Relaxed);
        unsafe { System.realloc(block, layout, size) }
    }
}

fuzz_target!(|input: &[u8]| {
    let [which, cut, bytes @ ..] = input else { return };
    let limit = if which & 1 == 0 { Limit::Offered } else { Limit::Granted };
    let cut = usize::from(*cut).min(bytes.len());
    LARGEST.0.store(0, Ordering::Relaxed);
    let mut buffer = BytesMut::new();
    for part in [&bytes[..cut], &bytes[cut..]] {
        // A reader takes in 16 KiB at a time.
        for piece in part.chunks(16 << 10) {
            buffer.put_slice(piece);
            if !drain(&mut buffer, limit) {
                return check();
            }
        }
    }
    check();
});

/// Reads what is whole; whether the sender is still heard.
fn drain(buffer: &mut BytesMut, limit: Limit) -> bool {
    loop {
        match Frame::read(buffer, limit) {
            Ok(Some(frame)) => again(frame),
            Ok(None) => return true,
            Err(_) => return false,
        }
    }
}

fn again(frame: Frame) {
    let mut bytes = BytesMut::new();
    frame.encode(&mut bytes);
    assert_eq!(Frame::read(&mut bytes, Limit::Granted), Ok(Some(frame)));
    assert!(bytes.is_empty());
}

fn check() {
    let largest = LARGEST.0.load(Ordering::Relaxed);
    assert!(largest <= MOST, "{largest} bytes at a time");
}
