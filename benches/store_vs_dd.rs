//! 2 GiB through the store and through `dd`, in turn, with the same block size, both to memory.
//!
//! The store has to reach 0.85 of `dd`'s pace, with at most 32 MiB of memory. It is timed from
//! opening to publishing and takes its blocks from eight lanes at once, or from as many as make
//! it keep the most; `dd` reads `/dev/zero`. Criterion can't take turns, and on a machine with
//! other work to do, only what runs at about the same time can be compared; the quickest run of
//! each was disturbed the least.
//!
//! The store hashes on a second thread, `dd` has one only: on a machine whose other cores are busy
//! the store's wall clock says more about them than about the store. So the processor time of the
//! thread that writes is compared too; where a second core is free, it is what limits the store.

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
    println!("block   lanes  store         dd            median  best   cpu  store's memory");
    for (kib, lanes) in [(16, 8), (32, 8), (64, 8), (64, 256)] {
        compare(folder.path(), Load { size, block: kib << 10, lanes }, turns)?;
    }
    Ok(())
}

fn compare(folder: &Path, load: Load, turns: usize) -> anyhow::Result<()> {
    let (mut by_store, mut by_dd) = (Vec::new(), Vec::new());
    let (mut ratios, mut cpu_ratios) = (Vec::new(), Vec::new());
    let memory = memory_of_store(&folder.join("by-store"), load)?;
    for _ in 0..turns {
        let dds_before = children_on_cpu()?;
        let (store, wrote) = time_store(&folder.join("by-store"), load)?;
        let dd = time_dd(&folder.join("by-dd"), load)?;
        cpu_ratios.push((children_on_cpu()? - dds_before) / wrote);
        ratios.push(dd.as_secs_f64() / store.as_secs_f64());
        by_store.push(load.mib_in(store));
        by_dd.push(load.mib_in(dd));
    }
    let ([store, best_store], [dd, best_dd]) =
        (typical_and_best(by_store), typical_and_best(by_dd));
    let ([ratio, _], best_ratio) = (typical_and_best(ratios), best_store / best_dd);
    let [cpu, _] = typical_and_best(cpu_ratios);
    println!(
        "{:>2} KiB {:>6}  {store:>5.0} ({best_store:>5.0}) {dd:>5.0} ({best_dd:>5.0}) {ratio:>7.2} {best_ratio:>5.2} {cpu:>5.2} {:>10.1} MiB",
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

/// How long it takes, and how much processor time of the thread that writes.
fn time_store(path: &Path, load: Load) -> anyhow::Result<(Duration, f64)> {
    let block = Payload::new(1, load.block).bytes(Span::new(0, load.block).context("no block")?);
    let block = Bytes::from(block);
    let cpu_before = on_cpu()?;
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
    let took = (begun.elapsed(), on_cpu()? - cpu_before);
    remove(path, load.size)?;
    Ok(took)
}

/// The most memory that the store takes where every block has a buffer of its own, as blocks have
/// that are received; those that are timed share one.
fn memory_of_store(path: &Path, load: Load) -> anyhow::Result<u64> {
    let block = Payload::new(1, load.block).bytes(Span::new(0, load.block).context("no block")?);
    let before = start_peak()?;
    let job = JobFacts { length: Some(load.size), ..JobFacts::default() };
    let mut store = Store::open(Target::new(path)?, job)?;
    for piece in pieces(load.size, load.block, load.lanes) {
        store.write(piece.at, &block, piece.lane)?;
    }
    store.publish()?;
    remove(path, load.size)?;
    Ok(peak()?.saturating_sub(before))
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

/// Processor time of this thread so far, in seconds (proc(5), `schedstat`).
fn on_cpu() -> anyhow::Result<f64> {
    let stat = fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanos: u64 = stat.split(' ').next().context("no schedstat")?.parse()?;
    Ok(nanos as f64 / 1e9)
}

/// Processor time of the programs that were waited for so far, in seconds, in steps of 10 ms
/// (proc(5), `cutime` and `cstime`).
fn children_on_cpu() -> anyhow::Result<f64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let fields = stat.rsplit(") ").next().context("no stat")?;
    let ticks: Vec<u64> =
        fields.split(' ').skip(13).take(2).map(str::parse).collect::<Result<_, _>>()?;
    Ok(ticks.iter().sum::<u64>() as f64 / 100.0)
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
