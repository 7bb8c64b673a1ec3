//! Bytes into the part file: over the size of the pieces, and over how many lanes they come from.

use bytes::Bytes;
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use haul_benches::{pieces, scratch};
use haul_lab::Payload;
use haul_span::Span;
use haul_store::{Clobber, JobFacts, Store, Target};
use std::path::Path;
use std::time::Duration;

/// Enough to leave the processor's caches.
const FILE: u64 = 128 << 20;

fn main() -> anyhow::Result<()> {
    let mut criterion = Criterion::default().configure_from_args().sample_size(20);
    let folder = scratch()?;
    over_pieces(&mut criterion, folder.path());
    over_lanes(&mut criterion, folder.path());
    criterion.final_summary();
    Ok(())
}

fn over_pieces(criterion: &mut Criterion, folder: &Path) {
    let mut group = criterion.benchmark_group("store/piece");
    group.throughput(Throughput::Bytes(FILE));
    for kib in [16, 32, 64] {
        let block = block(kib << 10);
        group.bench_function(BenchmarkId::from_parameter(format!("{kib} KiB")), |bencher| {
            bencher.iter_batched_ref(
                || begin(folder),
                |store| fill(store, &block, 8),
                BatchSize::PerIteration,
            );
        });
    }
}

fn over_lanes(criterion: &mut Criterion, folder: &Path) {
    let mut group = criterion.benchmark_group("store/lanes");
    group.throughput(Throughput::Bytes(FILE));
    let block = block(32 << 10);
    for lanes in [1, 32, 256] {
        group.bench_function(BenchmarkId::from_parameter(lanes), |bencher| {
            bencher.iter_batched_ref(
                || begin(folder),
                |store| fill(store, &block, lanes),
                BatchSize::PerIteration,
            );
        });
    }
}

fn block(len: u64) -> Bytes {
    Payload::new(1, len).bytes(Span::new(0, len).expect("a block has bytes")).into()
}

/// A store of a new job, whatever the last one left.
fn begin(folder: &Path) -> Store {
    let job =
        JobFacts { url: "https://example.org/file".into(), length: Some(FILE), validator: None };
    let target = Target::new(folder.join("file")).expect("the name is plain");
    Store::open(target.clobber(Clobber::Overwrite), job).expect("the scratch folder has room")
}

/// Stores the whole file from `lanes` lanes at once, and makes it durable.
fn fill(store: &mut Store, block: &Bytes, lanes: u32) {
    for piece in pieces(FILE, block.len() as u64, lanes) {
        store
            .write_shared(piece.at, block.clone(), piece.lane)
            .expect("the scratch folder has room");
    }
    store.sync(Duration::ZERO).expect("the scratch folder has room");
}
