//! No journal makes its reader allocate more than 1 MiB at once, whatever lengths it tells.

#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![cfg(target_os = "linux")]

use haul_store::decode;

const HEAD: &[u8; 16] = b"haul.jrn\x01\0\0\0\0\0\0\0";

/// The only test of its process: what others allocate would count.
#[test]
fn lengths_that_are_not_there_take_no_memory() {
    let tails = [0, 40, 200_000].map(|len| vec![0xff; len]);
    let journals: Vec<Vec<u8>> = tails
        .iter()
        .flat_map(|tail| {
            let lens = [196_608_u32, 196_609, 1 << 20, 1 << 30, u32::MAX];
            let kinds = [1_u32, 2, 3, u32::MAX];
            kinds.into_iter().flat_map(move |kind| lens.map(|len| (kind, len, tail)))
        })
        .map(|(kind, len, tail)| [HEAD, &kind.to_le_bytes()[..], &len.to_le_bytes(), tail].concat())
        .collect();
    let before = peak();
    for journal in &journals {
        assert_eq!(decode(journal), None);
    }
    let grown = peak() - before;
    assert!(grown <= 1 << 20, "{grown} bytes more");
}

/// The most address space that this process ever had, in bytes: memory counts before it is used.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmPeak:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() << 10
}
