//! The way of a piece in memory, from the helper's bytes to the leader's part file.
//!
//! `plain` is all that haul does itself: frame, read, plan, store, on one thread. `link` is TLS
//! over a loopback socket with nothing behind it. `whole` is both, with the store on a thread of
//! its own: the leader grants spans and the helper fills them.

use bytes::{Bytes, BytesMut};
use criterion::{BenchmarkId, Criterion, Throughput};
use haul_benches::scratch;
use haul_lab::Payload;
use haul_link::{FrameReader, FrameWriter, Identity, Me, accept, answer, dial, greet};
use haul_plan::{Config, LeaseId, Output, Planner, WorkerId};
use haul_span::{Span, SpanSet};
use haul_store::{Clobber, JobFacts, Store, Target};
use haul_wire::{Frame, Limit};
use std::collections::VecDeque;
use std::path::Path;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use std::{iter, thread};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

const FILE: u64 = 64 << 20;
const HELPER: WorkerId = WorkerId(1);

/// How many pieces wait for the store's thread at the most.
const WAITING: usize = 32;

fn main() -> anyhow::Result<()> {
    let mut criterion = Criterion::default().configure_from_args().sample_size(10);
    let folder = scratch()?;
    let runtime = Runtime::new()?;
    let file = Bytes::from(Payload::new(1, FILE).bytes(span(0, FILE)));
    over_pieces(&mut criterion, "pipeline/plain", |piece| plain(folder.path(), &file, piece));
    over_pieces(&mut criterion, "pipeline/link", |piece| runtime.block_on(link(&file, piece)));
    over_pieces(&mut criterion, "pipeline/whole", |piece| {
        runtime.block_on(whole(folder.path(), &file, piece))
    });
    criterion.final_summary();
    Ok(())
}

/// Times `way` over the sizes of pieces; it sets itself up and tells how long the bytes took.
fn over_pieces(
    criterion: &mut Criterion,
    name: &str,
    way: impl Fn(u64) -> anyhow::Result<Duration>,
) {
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Bytes(FILE));
    for kib in [4, 16, 32, 64] {
        group.bench_function(BenchmarkId::from_parameter(format!("{kib} KiB")), |bencher| {
            bencher.iter_custom(|times| {
                let took = (0..times).map(|_| way(kib << 10).expect("nothing here can fail"));
                took.sum()
            });
        });
    }
}

fn plain(folder: &Path, file: &Bytes, piece: u64) -> anyhow::Result<Duration> {
    let mut store = begin(folder)?;
    let mut leader = Leader::new();
    let begun = Instant::now();
    let mut granted = VecDeque::from(leader.join());
    let mut wire = BytesMut::new();
    while let Some(grant) = granted.pop_front() {
        for data in pieces(file, &grant, piece) {
            data.encode(&mut wire);
            let Some(Frame::Data { lease, offset, bytes }) =
                Frame::read(&mut wire, Limit::Granted)?
            else {
                continue;
            };
            granted.extend(leader.take(begun.elapsed(), lease, offset, &bytes));
            store.write_shared(offset, bytes, HELPER.0)?;
        }
    }
    store.sync(begun.elapsed())?;
    assert!(store.is_complete(), "every byte was stored");
    Ok(begun.elapsed())
}

async fn link(file: &Bytes, piece: u64) -> anyhow::Result<Duration> {
    let Pair { mut from_helper, mut to_leader, .. } = Pair::connect().await?;
    let begun = Instant::now();
    let file = file.clone();
    let grant = Frame::Grant { lease: 0, span: span(0, FILE) };
    let helper = tokio::spawn(async move {
        for data in pieces(&file, &grant, piece) {
            to_leader.send(&data).await?;
        }
        to_leader.close().await;
        anyhow::Ok(())
    });
    let mut received = 0;
    while received < FILE {
        if let Frame::Data { bytes, .. } = from_helper.next().await? {
            received += bytes.len() as u64;
        }
    }
    let took = begun.elapsed();
    helper.await??;
    Ok(took)
}

async fn whole(folder: &Path, file: &Bytes, piece: u64) -> anyhow::Result<Duration> {
    let Pair { mut from_helper, mut to_helper, from_leader, to_leader } = Pair::connect().await?;
    let (to_store, store) = store_thread(begin(folder)?);
    let helper = tokio::spawn(help(from_leader, to_leader, file.clone(), piece));
    let mut leader = Leader::new();
    let begun = Instant::now();
    for grant in leader.join() {
        to_helper.send(&grant).await?;
    }
    while !leader.complete {
        let Frame::Data { lease, offset, bytes } = from_helper.next().await? else { continue };
        for grant in leader.take(begun.elapsed(), lease, offset, &bytes) {
            to_helper.send(&grant).await?;
        }
        to_store.send((offset, bytes))?;
    }
    drop(to_store);
    assert!(store.join().is_ok_and(|complete| complete), "every byte was stored");
    let took = begun.elapsed();
    helper.abort();
    Ok(took)
}

/// The leader's side of one job with one helper, but for the sockets and the disk.
struct Leader {
    planner: Planner,
    complete: bool,
}

impl Leader {
    fn new() -> Self {
        Self { planner: Planner::new(FILE, SpanSet::new(), Config::default()), complete: false }
    }

    /// The first grants.
    fn join(&mut self) -> Vec<Frame> {
        self.planner.join(Duration::ZERO, HELPER, 1);
        self.grants()
    }

    /// The grants that follow from bytes that came.
    fn take(&mut self, now: Duration, lease: u32, offset: u64, bytes: &[u8]) -> Vec<Frame> {
        let arrived = span(offset, offset + bytes.len() as u64);
        let arrival = self.planner.arrive(now, HELPER, LeaseId(lease), arrived);
        assert_eq!(arrival.fresh, Some(arrived), "a single helper brings nothing twice");
        self.grants()
    }

    fn grants(&mut self) -> Vec<Frame> {
        let mut grants = Vec::new();
        while let Some(output) = self.planner.poll_output() {
            match output {
                Output::Grant { lease, span, .. } => {
                    grants.push(Frame::Grant { lease: lease.0, span });
                }
                Output::Complete => self.complete = true,
                _ => {}
            }
        }
        grants
    }
}

/// Both ends of a session, after the first frames.
struct Pair {
    from_helper: FrameReader,
    to_helper: FrameWriter,
    from_leader: FrameReader,
    to_leader: FrameWriter,
}

impl Pair {
    /// A leader that listens on loopback and a helper that dials it.
    async fn connect() -> anyhow::Result<Self> {
        let (leader, helper) = (Identity::ephemeral(), Identity::ephemeral());
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let at_leader = async {
            let secured = accept(&leader, listener.accept().await?.0).await?;
            anyhow::Ok(greet(secured, me(&leader, "leader"), [0; 16]).await?)
        };
        let at_helper = async {
            let secured = dial(&helper, address, Some(leader.id())).await?;
            anyhow::Ok(answer(secured, me(&helper, "helper")).await?)
        };
        let (at_leader, at_helper) = tokio::try_join!(at_leader, at_helper)?;
        let (from_helper, to_helper) = at_leader.session.granted();
        let (from_leader, to_leader) = at_helper.session.granted();
        Ok(Self { from_helper, to_helper, from_leader, to_leader })
    }
}

fn me<'a>(identity: &Identity, name: &'a str) -> Me<'a> {
    Me { id: identity.id(), name, group: None }
}

/// Fills every grant, until the leader is gone.
async fn help(
    mut from_leader: FrameReader,
    mut to_leader: FrameWriter,
    file: Bytes,
    piece: u64,
) -> anyhow::Result<()> {
    loop {
        let grant = from_leader.next().await?;
        for data in pieces(&file, &grant, piece) {
            to_leader.send(&data).await?;
        }
    }
}

/// The data that answers a grant; none for other frames.
fn pieces(file: &Bytes, grant: &Frame, piece: u64) -> impl Iterator<Item = Frame> {
    let (lease, granted) = match *grant {
        Frame::Grant { lease, span } => (lease, Some(span)),
        _ => (0, None),
    };
    let first = move |rest: Span| Some((rest.first(piece)?, rest));
    let next = move |(sent, rest): &(Span, Span)| rest.from(sent.end()).and_then(first);
    let spans = iter::successors(granted.and_then(first), next).map(|(part, _)| part);
    let file = file.clone();
    spans.map(move |part| {
        let index = |at: u64| usize::try_from(at).expect("the file is in memory");
        let bytes = file.slice(index(part.start())..index(part.end()));
        Frame::Data { lease, offset: part.start(), bytes }
    })
}

fn begin(folder: &Path) -> anyhow::Result<Store> {
    let target = Target::new(folder.join("file"))?.clobber(Clobber::Overwrite);
    Ok(Store::open(target, JobFacts { length: Some(FILE), ..JobFacts::default() })?)
}

/// A thread that stores what it is sent; in the end it tells whether that was the whole file.
fn store_thread(mut store: Store) -> (SyncSender<(u64, Bytes)>, JoinHandle<bool>) {
    let (to_store, pieces) = sync_channel::<(u64, Bytes)>(WAITING);
    let thread = thread::spawn(move || {
        for (at, bytes) in pieces {
            store.write_shared(at, bytes, HELPER.0).expect("the scratch folder has room");
        }
        store.sync(Duration::ZERO).expect("the scratch folder has room");
        store.is_complete()
    });
    (to_store, thread)
}

fn span(start: u64, end: u64) -> Span {
    Span::new(start, end).expect("the ends are in order")
}
