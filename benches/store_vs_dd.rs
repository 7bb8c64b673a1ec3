//! 2 GiB through the store and through `dd`, in turn, with the same block size, both to memory.
//!
//! The store has to reach 0.85 of `dd`'s pace, with at most 32 MiB of memory. It is timed from
//! opening to publishing and takes its blocks from eight lanes at once, or from as many as make
//! it keep the most; `dd` reads `/dev/zero`. Criterion can't take turns, and on a machine with
//! other work to do, only what runs at about the same time can be compared; the quickest run of
//! each was disturbed the least.

#![allow(clippy::print_stdout, reason = "the figures are what this is for")]
#![allow(clippy::cast_precision_loss, reason = "rates and ratios are told with few digits")]

use anyhow::{Context, ensure};
use bytes::Bytes;
use haul_benches::{is_smoke, pieces, scratch};
use haul_lab::Payload;
use haul_span::Span;
use haul_store::{JobFacts, Store, Target};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

const MIB: u64 = 1 << 20;

/// What is written, and how.
#[derive(Clone, Copy)]
struct Load {
    size: u64,
    block: u64,
    lanes: u32,
}

impl Load {
    /// MiB per second, if all of it takes `time`.
    fn mib_in(self, time: Duration) -> f64 {
        self.size as f64 / MIB as f64 / time.as_secs_f64()
    }
}

fn main() -> anyhow::Result<()> {
    let (size, turns) = if is_smoke() { (16 * MIB, 1) } else { (2048 * MIB, 7) };
    let folder = scratch()?;
    println!("              MiB/s, median (best)        store to dd");
    println!("block   lanes  store         dd            median  best  store's memory");
    for (kib, lanes) in [(16, 8), (32, 8), (64, 8), (64, 256)] {
        compare(folder.path(), Load { size, block: kib << 10, lanes }, turns)?;
    }
    Ok(())
}

fn compare(folder: &Path, load: Load, turns: usize) -> anyhow::Result<()> {
    let (mut by_store, mut by_dd, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    let mut memory = 0;
    for _ in 0..turns {
        let before = start_peak()?;
        let store = time_store(&folder.join("by-store"), load)?;
        memory = memory.max(peak()?.saturating_sub(before));
        let dd = time_dd(&folder.join("by-dd"), load)?;
        ratios.push(dd.as_secs_f64() / store.as_secs_f64());
        by_store.push(load.mib_in(store));
        by_dd.push(load.mib_in(dd));
    }
    let ([store, best_store], [dd, best_dd]) =
        (typical_and_best(by_store), typical_and_best(by_dd));
    let ([ratio, _], best_ratio) = (typical_and_best(ratios), best_store / best_dd);
    println!(
        "{:>2} KiB {:>6}  {store:>5.0} ({best_store:>5.0}) {dd:>5.0} ({best_dd:>5.0}) {ratio:>7.2} {best_ratio:>5.2} {:>10.1} MiB",
        load.block >> 10,
        load.lanes,
        memory as f64 / MIB as f64,
    );
    Ok(())
}

/// The median of `values`, and the highest.
fn typical_and_best(mut values: Vec<f64>) -> [f64; 2] {
    values.sort_by(f64::total_cmp);
    [values[values.len() / 2], values[values.len() - 1]]
}

fn time_store(path: &Path, load: Load) -> anyhow::Result<Duration> {
    let block = Payload::new(1, load.block).bytes(Span::new(0, load.block).context("no block")?);
    let block = Bytes::from(block);
    let begun = Instant::now();
    let job = JobFacts { length: Some(load.size), ..JobFacts::default() };
    let mut store = Store::open(Target::new(path)?, job)?;
    for piece in pieces(load.size, load.block, load.lanes) {
        store.write_shared(piece.at, block.clone(), piece.lane)?;
        if store.due(begun.elapsed()) {
            store.sync(begun.elapsed())?;
        }
    }
    store.publish()?;
    let took = begun.elapsed();
    remove(path, load.size)?;
    Ok(took)
}

fn time_dd(path: &Path, load: Load) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    let status = Command::new("dd")
        .args(["if=/dev/zero", "status=none"])
        .arg(format!("of={}", path.display()))
        .arg(format!("bs={}", load.block))
        .arg(format!("count={}", load.size / load.block))
        .status()
        .context("running dd")?;
    let took = begun.elapsed();
    ensure!(status.success(), "dd failed: {status}");
    remove(path, load.size)?;
    Ok(took)
}

fn remove(path: &Path, size: u64) -> anyhow::Result<()> {
    ensure!(fs::metadata(path)?.len() == size, "{} is not whole", path.display());
    Ok(fs::remove_file(path)?)
}

/// Starts the kernel's search for the most memory that this process has at any time, and tells
/// how much it has now (proc(5), `clear_refs` and `VmHWM`).
fn start_peak() -> anyhow::Result<u64> {
    fs::write("/proc/self/clear_refs", "5")?;
    peak()
}

/// The most memory that this process had since [`start_peak`], in bytes.
fn peak() -> anyhow::Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    let kib = line.trim().strip_suffix(" kB").context("VmHWM has another unit")?;
    Ok(kib.parse::<u64>()? << 10)
}
